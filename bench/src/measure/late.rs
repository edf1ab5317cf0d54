//! What a fix that comes late costs, next to one that comes in order: intake and graph in memory.
//!
//! ```text
//!   event time   |------ a day ------|------ a day ------|
//!   arrival      |  not timed        |  timed            |  what would arrive later is left out
//! ```
//!
//! A late fix arrives up to a day after its time, every delay as likely as another. In the day that is timed
//! late fixes come as steadily as the others, into a history of a day behind them.

use std::time::Instant;

use model::{GraphSettings, Record, TimeMs};
use pipeline::Computes;
use serde_json::json;

use super::Options;
use super::bare::{BareGraph, TICK};
use super::report::{Figure, Report};
use crate::simulate::prng::{key, mix};
use crate::simulate::{DEFAULT_START, FleetOptions, FleetPosition, Layout, fleet};

const FENCES: u32 = 10_000;
const HOUR_MS: i64 = 3_600_000;
const LATEST_MS: i64 = 24 * HOUR_MS;
/// Longer than any delay, so that no fix is too late, and less than what is fed in all.
const HORIZON_MS: i64 = LATEST_MS + HOUR_MS;
const LATE_PERCENTS: [u64; 5] = [0, 1, 5, 20, 50];

pub(super) fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let (vehicles, runs) = if options.quick { (50, 1) } else { (1000, 5) };
    // Monday, 08:00 in Lagos.
    let start = DEFAULT_START.plus_ms(7 * HOUR_MS);
    let source = fleet(&FleetOptions { vehicles, fences: FENCES, seed: 7, layout: Layout::Scattered, start });
    let ids = source.vehicle_ids().to_vec();
    let settings =
        GraphSettings { horizon_ms: HORIZON_MS, keep_ms: Some(HORIZON_MS), ..GraphSettings::default() };
    let fences: Vec<_> = source.fences()?.into_iter().map(std::sync::Arc::new).collect();
    let (timed_from, timed_until) = (start.plus_ms(LATEST_MS), start.plus_ms(2 * LATEST_MS));
    let mut fixes: Vec<FleetPosition> =
        source.take_while(|fix| fix.position.event_time < timed_until).collect();

    let mut rates = [const { Vec::new() }; LATE_PERCENTS.len()];
    let mut timed_counts = [0; LATE_PERCENTS.len()];
    let (mut ratios, mut costs_ns) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        // Every run goes through all shares, so that a slow minute of the machine is in all of them.
        let mut points = Vec::new();
        for (case, percent) in LATE_PERCENTS.into_iter().enumerate() {
            arrive_late(&mut fixes, percent, LATEST_MS);
            let arrives_before =
                |time: TimeMs| fixes.partition_point(|fix| arrival_ms(fix, percent, LATEST_MS) < time.0);
            let (warm_up, rest) = fixes.split_at(arrives_before(timed_from));
            let timed = &rest[..arrives_before(timed_until) - warm_up.len()];
            let mut graph = BareGraph::start_for(Computes::Visits, settings.clone(), 1)?;
            for fence in &fences {
                graph.record(Record::FenceUpsert(fence.clone()));
            }
            graph.end_tick()?;
            feed(&mut graph, &ids, warm_up)?;
            let started = Instant::now();
            feed(&mut graph, &ids, timed)?;
            let elapsed_ns = started.elapsed().as_nanos() as f64;
            timed_counts[case] = timed.len();
            rates[case].push(timed.len() as f64 / elapsed_ns * 1e9);
            points.push((percent as f64 / 100.0, elapsed_ns / timed.len() as f64));
        }
        let (in_order_ns, more_if_late_ns) = line_through(&points);
        ratios.push((in_order_ns + more_if_late_ns) / in_order_ns);
        costs_ns.push(in_order_ns + more_if_late_ns);
    }

    let params = vec![
        ("vehicles", json!(vehicles)),
        ("fences", json!(FENCES)),
        ("workers", json!(1)),
        ("tick", json!(TICK)),
        ("late_by_up_to_h", json!(LATEST_MS / HOUR_MS)),
        ("history_h", json!(HORIZON_MS / HOUR_MS)),
    ];
    for ((percent, positions), runs) in LATE_PERCENTS.into_iter().zip(timed_counts).zip(rates) {
        let mut params = params.clone();
        params.push(("late_percent", json!(percent)));
        params.push(("positions", json!(positions)));
        report.add(&Figure { bench: "late", figure: "some late", unit: "positions/s", params, runs });
    }
    let mut params = params;
    params.push(("from", json!("the slope of the time a position over the share that is late")));
    let mut add = |figure, unit, runs| {
        report.add(&Figure { bench: "late", figure, unit, params: params.clone(), runs });
    };
    add("a late fix", "ns", costs_ns);
    add("a late fix, next to one in order", "times", ratios);
    Ok(())
}

fn feed(graph: &mut BareGraph, ids: &[std::sync::Arc<str>], fixes: &[FleetPosition]) -> anyhow::Result<()> {
    for chunk in fixes.chunks(TICK) {
        for fix in chunk {
            graph.position(&ids[fix.vehicle as usize], fix.position);
        }
        graph.end_tick()?;
    }
    graph.close_all()
}

/// Puts fixes into the order in which they arrive when so many of a hundred are late.
pub(super) fn arrive_late(fixes: &mut [FleetPosition], percent: u64, latest_ms: i64) {
    fixes.sort_by_cached_key(|fix| {
        (arrival_ms(fix, percent, latest_ms), fix.position.event_time, fix.vehicle)
    });
}

/// When a fix arrives: at its own time, or up to `latest_ms` later. Whether it is late is drawn from what it
/// is, so that a fix that is late at one percentage is so at a higher one.
fn arrival_ms(fix: &FleetPosition, percent: u64, latest_ms: i64) -> i64 {
    let time_ms = fix.position.event_time.0;
    let chance = mix(key(u64::from(fix.vehicle), time_ms.cast_unsigned()));
    if chance % 100 >= percent {
        return time_ms;
    }
    time_ms + ((chance >> 8) % latest_ms.cast_unsigned()).cast_signed() + 1
}

/// Where the line of least squares meets x = 0, and its slope.
fn line_through(points: &[(f64, f64)]) -> (f64, f64) {
    let count = points.len() as f64;
    let mean_x = points.iter().map(|point| point.0).sum::<f64>() / count;
    let mean_y = points.iter().map(|point| point.1).sum::<f64>() / count;
    let together: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let slope = together / points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum::<f64>();
    (mean_y - slope * mean_x, slope)
}

#[cfg(test)]
mod tests {
    use model::Position;

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
        arrive_late(&mut none_late, 0, HOUR_MS);
        assert_eq!(times(&none_late), times(&in_order));

        let mut some_late = in_order.clone();
        arrive_late(&mut some_late, 5, HOUR_MS);
        let mut newest = i64::MIN;
        let (mut late, mut latest_ms) = (0, 0);
        for time in times(&some_late) {
            late += usize::from(time < newest);
            latest_ms = latest_ms.max(newest.saturating_sub(time));
            newest = newest.max(time);
        }
        assert!((900..1100).contains(&late), "{late} of 20000 are late");
        assert!((HOUR_MS / 2..=HOUR_MS).contains(&latest_ms), "by up to {latest_ms} ms");
        let mut again = times(&some_late);
        again.sort_unstable();
        assert_eq!(again, times(&in_order));
        arrive_late(&mut some_late, 0, HOUR_MS);
        assert_eq!(times(&some_late), times(&in_order), "an order can be made of any other");
    }

    #[test]
    fn a_line_is_found_again() {
        let points = [0.0, 0.01, 0.05, 0.2, 0.5].map(|x| (x, 100.0 + 150.0 * x));
        let (at_zero, slope) = line_through(&points);
        assert!((at_zero - 100.0).abs() < 1e-9 && (slope - 150.0).abs() < 1e-9);
    }
}
