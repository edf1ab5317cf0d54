//! Working tick by tick: what waits for its tick to be complete, and the operator around a state machine.

use std::collections::BTreeMap;

use differential_dataflow::{AsCollection, VecCollection};
use model::Why;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::{ParallelizationContract, Pipeline};
use timely::dataflow::operators::generic::operator::Operator;
use timely::progress::frontier::MutableAntichain;

use crate::rows::Delta;

/// What an operator was given for ticks that its inputs have not passed yet: data of type `D` and controls
/// of type `M`, and the capability `C` to answer.
struct TickStash<C, D, M> {
    waiting: BTreeMap<u64, OfTick<C, D, M>>,
}

/// All that came for one tick.
struct OfTick<C, D, M> {
    capability: C,
    data: Vec<D>,
    controls: Vec<M>,
}

impl<C, D, M> TickStash<C, D, M> {
    /// What there is of a tick; `capability` is asked for when it is the first of it.
    fn of_tick(&mut self, tick: u64, capability: impl FnOnce() -> C) -> &mut OfTick<C, D, M> {
        self.waiting.entry(tick).or_insert_with(|| OfTick {
            capability: capability(),
            data: Vec::new(),
            controls: Vec::new(),
        })
    }

    /// The earliest tick, once both inputs have passed it.
    fn next_complete(
        &mut self,
        data: &MutableAntichain<u64>,
        controls: &MutableAntichain<u64>,
    ) -> Option<(u64, OfTick<C, D, M>)> {
        let (&tick, _) = self.waiting.first_key_value()?;
        let is_open = data.less_equal(&tick) || controls.less_equal(&tick);
        if is_open { None } else { self.waiting.pop_first() }
    }
}

/// The operator of a state machine that works tick by tick. `work` is given the number of a tick, all controls and
/// all data of it, once both inputs have passed it, and tells what comes of it.
pub(crate) fn each_tick<'scope, D, M, O>(
    name: &str,
    data: StreamVec<'scope, u64, D>,
    exchanged: impl ParallelizationContract<u64, Vec<D>>,
    controls: StreamVec<'scope, u64, M>,
    mut work: impl FnMut(u64, &[M], Vec<D>, &mut dyn FnMut(O)) + 'static,
) -> StreamVec<'scope, u64, O>
where
    D: Clone + 'static,
    M: Clone + 'static,
    O: Clone + 'static,
{
    data.binary_frontier(controls, exchanged, Pipeline, name, move |_capability, _info| {
        let mut stash = TickStash { waiting: BTreeMap::new() };
        move |(data, data_frontier), (controls, control_frontier), output| {
            data.for_each_time(|time, batches| {
                let of_tick = stash.of_tick(*time.time(), || time.retain(output.output_index()));
                batches.for_each(|batch| take_all(&mut of_tick.data, batch));
            });
            controls.for_each_time(|time, batches| {
                let of_tick = stash.of_tick(*time.time(), || time.retain(output.output_index()));
                batches.for_each(|batch| take_all(&mut of_tick.controls, batch));
            });
            while let Some((tick, of_tick)) = stash.next_complete(data_frontier, control_frontier) {
                let OfTick { capability, data, controls } = of_tick;
                let mut session = output.session(&capability);
                work(tick, &controls, data, &mut |given| session.give(given));
            }
        }
    })
}

/// The operator of a state machine that gives differences of rows, as [`each_tick`].
pub(crate) fn rows_each_tick<'scope, D, M, R>(
    name: &str,
    data: StreamVec<'scope, u64, D>,
    exchanged: impl ParallelizationContract<u64, Vec<D>>,
    controls: StreamVec<'scope, u64, M>,
    mut work: impl FnMut(&[M], Vec<D>, &mut dyn FnMut(Delta<R>)) + 'static,
) -> VecCollection<'scope, u64, (R, Why), isize>
where
    D: Clone + 'static,
    M: Clone + 'static,
    R: Clone + 'static,
{
    each_tick(name, data, exchanged, controls, move |tick, controls, data, emit| {
        work(controls, data, &mut |Delta { row, diff, why }| emit(((row, why), tick, isize::from(diff))));
    })
    .as_collection()
}

/// Rows of one operator as the next one is given them.
pub(crate) fn deltas<R>(rows: Vec<((R, Why), u64, isize)>) -> impl Iterator<Item = Delta<R>> {
    rows.into_iter().map(|((row, why), _, diff)| Delta { row, diff: diff as i8, why })
}

/// Moves a batch behind what there is; the first is taken as it is.
fn take_all<T>(all: &mut Vec<T>, batch: &mut Vec<T>) {
    if all.is_empty() {
        std::mem::swap(all, batch);
    } else {
        all.append(batch);
    }
}
