//! Positions a second through intake and graph, in memory: no files, no journal, no HTTP.

use std::collections::BTreeSet;
use std::time::Instant;

use model::{GraphSettings, PositionRef, Record, RecordSink};
use pipeline::Driver;
use serde_json::json;

use super::Options;
use super::report::{Figure, Report};
use crate::simulate::prng::{key, mix};
use crate::simulate::{DEFAULT_START, Fleet, FleetOptions, FleetPosition, Layout, fleet};

const TICK: usize = 1000;

struct Case {
    figure: &'static str,
    vehicles: u32,
    fences: u32,
    layout: Layout,
    workers: usize,
    /// How many of a hundred fixes come late.
    late_percent: u64,
}

/// A late fix comes up to so long after its time.
const LATEST_MS: i64 = 3_600_000;

pub(super) fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let case = |figure, vehicles, fences, layout, workers| Case {
        figure,
        vehicles,
        fences,
        layout,
        workers,
        late_percent: 0,
    };
    let cases = [
        case("scattered", 10_000, 100, Layout::Scattered, 1),
        case("scattered", 10_000, 10_000, Layout::Scattered, 1),
        case("scattered", 10_000, 100_000, Layout::Scattered, 1),
        case("dense", 1_000, 10_000, Layout::Dense, 1),
        case("scattered", 10_000, 10_000, Layout::Scattered, 2),
        Case { late_percent: 5, ..case("scattered, some late", 10_000, 10_000, Layout::Scattered, 1) },
    ];
    let (positions, runs) = if options.quick { (200_000, 1) } else { (4_000_000, 5) };
    for case in cases.into_iter().filter(|case| options.fences.is_none_or(|only| case.fences == only)) {
        one(&case, positions, runs, report)?;
    }
    Ok(())
}

fn one(case: &Case, positions: usize, runs: usize, report: &mut Report) -> anyhow::Result<()> {
    let mut source: Fleet = fleet(&FleetOptions {
        vehicles: case.vehicles,
        fences: case.fences,
        seed: 7,
        layout: case.layout,
        // Monday, 08:00 in Lagos: most trucks are on the road.
        start: DEFAULT_START.plus_ms(7 * 3_600_000),
    });
    let ids = source.vehicle_ids().to_vec();
    let fences: Vec<_> = source.fences()?.into_iter().map(std::sync::Arc::new).collect();
    let mut fixes: Vec<FleetPosition> = source.by_ref().take(positions).collect();
    let latest_ms = delay_some(&mut fixes, case.late_percent);
    let order = match case.late_percent {
        0 => "event-time order, none late".to_owned(),
        percent => format!("{percent} % late by up to {} s, the rest in event-time order", latest_ms / 1000),
    };
    let mut rates = Vec::new();
    let mut changes = 0;
    for _ in 0..runs {
        let mut driver = Driver::start(GraphSettings::default(), BTreeSet::new(), false, case.workers)?;
        for fence in &fences {
            driver.intake.record(None, Record::FenceUpsert(fence.clone()));
        }
        let input = driver.intake.finish_tick(None);
        driver.submit(1, input)?;
        driver.close_next()?;
        changes = 0;
        let started = Instant::now();
        for (tick, chunk) in (2..).zip(fixes.chunks(TICK)) {
            for fix in chunk {
                let vehicle_id = &*ids[fix.vehicle as usize];
                driver
                    .intake
                    .position(None, PositionRef { vehicle_id, spelling: None, position: fix.position });
            }
            let input = driver.intake.finish_tick(None);
            if let Some(closed) = driver.submit(tick, input)? {
                changes += closed.changes.len();
            }
        }
        while let Some(closed) = driver.close_next()? {
            changes += closed.changes.len();
        }
        rates.push(fixes.len() as f64 / started.elapsed().as_secs_f64());
    }
    report.add(&Figure {
        bench: "graph",
        figure: case.figure,
        unit: "positions/s",
        params: vec![
            ("positions", json!(fixes.len())),
            ("vehicles", json!(case.vehicles)),
            ("fences", json!(case.fences)),
            ("workers", json!(case.workers)),
            ("tick", json!(TICK)),
            ("order", json!(order)),
            ("changes_a_position", json!((changes as f64 / fixes.len() as f64 * 1000.0).round() / 1000.0)),
        ],
        runs: rates,
    });
    Ok(())
}

/// Moves some fixes to where they would be had they come late, the same ones each time; tells how late at
/// most. A short input has shorter delays, or all of them would come at its end.
fn delay_some(fixes: &mut [FleetPosition], percent: u64) -> i64 {
    let time = |fix: &FleetPosition| fix.position.event_time.0;
    let (Some(first), Some(last)) = (fixes.first().map(time), fixes.last().map(time)) else { return 0 };
    let latest_ms = LATEST_MS.min((last - first) / 2).max(1);
    let arrival = |fix: &FleetPosition| {
        let chance = mix(key(u64::from(fix.vehicle), time(fix).cast_unsigned()));
        let is_late = chance % 100 < percent;
        let delay_ms =
            if is_late { ((chance >> 8) % latest_ms.cast_unsigned()).cast_signed() + 1 } else { 0 };
        time(fix) + delay_ms
    };
    // Stable: those that are not late keep their order.
    fixes.sort_by_cached_key(arrival);
    latest_ms
}

#[cfg(test)]
mod tests {
    use model::{Position, TimeMs};

    use super::*;

    #[test]
    fn some_fixes_come_late_and_none_is_lost() {
        let fix = |n: i64| FleetPosition {
            vehicle: (n % 100) as u32,
            position: Position { event_time: TimeMs(n * 1000), ..Position::default() },
        };
        let in_order: Vec<FleetPosition> = (0..20_000).map(fix).collect();
        let times = |fixes: &[FleetPosition]| -> Vec<i64> {
            fixes.iter().map(|fix| fix.position.event_time.0).collect()
        };
        let mut none_late = in_order.clone();
        delay_some(&mut none_late, 0);
        assert_eq!(times(&none_late), times(&in_order));

        let mut some_late = in_order.clone();
        assert_eq!(delay_some(&mut some_late, 5), LATEST_MS);
        let mut newest = i64::MIN;
        let (mut late, mut latest_ms) = (0, 0);
        for time in times(&some_late) {
            late += usize::from(time < newest);
            latest_ms = latest_ms.max(newest.saturating_sub(time));
            newest = newest.max(time);
        }
        assert!((900..1100).contains(&late), "{late} of 20000 are late");
        assert!((LATEST_MS / 2..=LATEST_MS).contains(&latest_ms), "by up to {latest_ms} ms");
        let mut again = times(&some_late);
        again.sort_unstable();
        assert_eq!(again, times(&in_order));
    }
}
