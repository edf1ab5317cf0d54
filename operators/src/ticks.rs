//! What waits for its tick to be complete.

use std::collections::BTreeMap;

use timely::progress::frontier::MutableAntichain;

use crate::control::Control;

/// What an operator was given for ticks that its inputs have not passed yet: data of type `D` and controls
/// of type `M`, and the capability `C` to answer.
pub(crate) struct TickStash<C, D, M = Control> {
    waiting: BTreeMap<u64, OfTick<C, D, M>>,
}

/// All that came for one tick.
pub(crate) struct OfTick<C, D, M = Control> {
    pub(crate) capability: C,
    pub(crate) data: Vec<D>,
    pub(crate) controls: Vec<M>,
}

impl<C, D, M> Default for TickStash<C, D, M> {
    fn default() -> Self {
        TickStash { waiting: BTreeMap::new() }
    }
}

impl<C, D, M> TickStash<C, D, M> {
    /// What there is of a tick; `capability` is asked for when it is the first of it.
    pub(crate) fn of_tick(&mut self, tick: u64, capability: impl FnOnce() -> C) -> &mut OfTick<C, D, M> {
        self.waiting.entry(tick).or_insert_with(|| OfTick {
            capability: capability(),
            data: Vec::new(),
            controls: Vec::new(),
        })
    }

    /// The earliest tick, once both inputs have passed it.
    pub(crate) fn next_complete(
        &mut self,
        data: &MutableAntichain<u64>,
        controls: &MutableAntichain<u64>,
    ) -> Option<(u64, OfTick<C, D, M>)> {
        let (&tick, _) = self.waiting.first_key_value()?;
        let is_open = data.less_equal(&tick) || controls.less_equal(&tick);
        if is_open { None } else { self.waiting.pop_first() }
    }
}
