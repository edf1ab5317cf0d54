//! Positions a second through intake and graph, in memory: no files, no journal, no HTTP.

use std::collections::BTreeSet;
use std::time::Instant;

use model::{GraphSettings, PositionRef, Record, RecordSink};
use pipeline::Driver;
use serde_json::json;

use super::Options;
use super::report::{Figure, Report};
use crate::simulate::{DEFAULT_START, Fleet, FleetOptions, FleetPosition, Layout, fleet};

const TICK: usize = 1000;

struct Case {
    figure: &'static str,
    vehicles: u32,
    fences: u32,
    layout: Layout,
    workers: usize,
}

pub(super) fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let case = |figure, vehicles, fences, layout, workers| Case { figure, vehicles, fences, layout, workers };
    let cases = [
        case("scattered", 10_000, 100, Layout::Scattered, 1),
        case("scattered", 10_000, 10_000, Layout::Scattered, 1),
        case("scattered", 10_000, 100_000, Layout::Scattered, 1),
        case("dense", 1_000, 10_000, Layout::Dense, 1),
        case("scattered", 10_000, 10_000, Layout::Scattered, 2),
    ];
    let (positions, runs) = if options.quick { (200_000, 1) } else { (4_000_000, 5) };
    for case in cases {
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
    let fixes: Vec<FleetPosition> = source.by_ref().take(positions).collect();
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
            ("changes_a_position", json!((changes as f64 / fixes.len() as f64 * 1000.0).round() / 1000.0)),
        ],
        runs: rates,
    });
    Ok(())
}
