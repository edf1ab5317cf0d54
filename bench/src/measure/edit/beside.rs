//! Positions that come in steadily while fences are edited: how late their ticks are closed.
//!
//! The load is open-loop: a tick is timed from when it was due, so that those that wait behind a slow one are
//! slow too. Ticks are closed one after the other.

use std::time::{Duration, Instant};

use serde_json::json;

use super::Figures;
use super::crowds::Centres;
use super::edits::Edits;
use crate::measure::bare::{BareGraph, TICK};
use crate::measure::country::{CountryFleet, Seen};
use crate::measure::quantiles::Quantiles;

const POSITIONS_A_SECOND: u64 = 200_000;
const EDITS_A_SECOND: u64 = 10;
const TICKS_A_SECOND: u64 = POSITIONS_A_SECOND / TICK as u64;
/// The system wakes a sleeper up this late at most, mostly.
const AWAKE_BEFORE: Duration = Duration::from_micros(300);

/// What goes on at the same time.
pub(super) struct Beside<'a> {
    pub graph: &'a mut BareGraph,
    pub fleet: &'a mut CountryFleet,
    pub edits: &'a mut Edits,
    pub centres: &'a Centres,
}

pub(super) fn measure(
    beside: &mut Beside<'_>,
    seconds: u64,
    passes: usize,
    figures: &mut Figures<'_>,
) -> anyhow::Result<()> {
    let (mut alone, mut with_edits) = (Vec::new(), Vec::new());
    figures.report.note("edit: positions at a steady rate, without edits and with");
    for _ in 0..passes {
        alone.push(beside.run(seconds, false)?);
        with_edits.push(beside.run(seconds, true)?);
    }
    let params = |edits_a_second: u64| {
        [
            ("positions_a_second", json!(POSITIONS_A_SECOND)),
            ("tick", json!(TICK)),
            ("edits_a_second", json!(edits_a_second)),
            ("seconds", json!(seconds)),
        ]
    };
    let p99_ms = |times: &[Duration]| Quantiles::of(times.to_vec()).ms(0.99);
    let ratios = alone.iter().zip(&with_edits).map(|(alone, with)| p99_ms(with) / p99_ms(alone)).collect();
    figures.add("p99 beside edits, next to p99 without", "times", &params(EDITS_A_SECOND), ratios);
    figures.add_quantiles("a tick of positions", &params(0), alone);
    figures.add_quantiles("a tick of positions beside edits", &params(EDITS_A_SECOND), with_edits);
    Ok(())
}

impl Beside<'_> {
    /// The times from when each tick was due until it was closed.
    fn run(&mut self, seconds: u64, with_edits: bool) -> anyhow::Result<Vec<Duration>> {
        let ticks = seconds * TICKS_A_SECOND;
        // Made before: what it costs to make them is no part of the figure.
        let mut load: Vec<Seen> = Vec::with_capacity(ticks as usize * TICK);
        let mut slice = Vec::new();
        while load.len() < load.capacity() {
            self.fleet.next_slice(&mut slice);
            slice.truncate(load.capacity() - load.len());
            load.append(&mut slice);
        }
        let mut times = Vec::with_capacity(ticks as usize);
        let started = Instant::now();
        for (tick, chunk) in (0..).zip(load.chunks(TICK)) {
            let edit = match with_edits && tick % (TICKS_A_SECOND / EDITS_A_SECOND) == 0 {
                true => Some(self.edits.draw(self.centres)?.record),
                false => None,
            };
            let due = started + Duration::from_secs(tick) / TICKS_A_SECOND as u32;
            wait_until(due);
            if let Some(edit) = edit {
                self.graph.record(edit);
            }
            for seen in chunk {
                self.graph.position(self.fleet.id(seen.truck), seen.position());
            }
            self.graph.end_tick()?;
            self.graph.close_all()?;
            times.push(due.elapsed());
        }
        Ok(times)
    }
}

fn wait_until(due: Instant) {
    loop {
        let early = due.saturating_duration_since(Instant::now());
        if early.is_zero() {
            return;
        }
        match early.checked_sub(AWAKE_BEFORE) {
            Some(long) => std::thread::sleep(long),
            None => std::hint::spin_loop(),
        }
    }
}
