//! Positions a second through intake and graph, in memory: no files, no journal, no HTTP.

use std::sync::Arc;
use std::time::Instant;

use model::{GraphSettings, Record};
use pipeline::Computes;
use serde_json::json;

use super::Options;
use super::bare::{BareGraph, TICK};
use super::hauls::{Haul, hauls};
use super::late::arrive_late;
use super::report::{Figure, Report};
use crate::simulate::{DEFAULT_START, Fleet, FleetOptions, FleetPosition, Layout, fleet};

struct Case {
    figure: &'static str,
    vehicles: u32,
    fences: u32,
    layout: Layout,
    workers: usize,
    /// How many of a hundred fixes come late.
    late_percent: u64,
    computes: Computes,
    /// Positions a tick.
    tick: usize,
}

/// What a group of the journal holds that is committed a hundred times a second, at a million positions a second.
const LARGE_TICK: usize = 10_000;

/// Rows of KPIs move at multiples of this.
const HOP_MS: i64 = 10_000;

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
        computes: Computes::Visits,
        tick: TICK,
    };
    // The same with more and more to compute.
    let hauling = |figure, computes| Case { computes, ..case(figure, 1_000, 10_000, Layout::Scattered, 1) };
    let cases = [
        case("scattered", 10_000, 100, Layout::Scattered, 1),
        case("scattered", 10_000, 10_000, Layout::Scattered, 1),
        case("scattered", 10_000, 100_000, Layout::Scattered, 1),
        case("dense", 1_000, 10_000, Layout::Dense, 1),
        hauling("hauling, visits alone", Computes::Visits),
        hauling("hauling, with trips, ETAs and alerts", Computes::Alerts),
        hauling("hauling, with KPIs too", Computes::All),
        Case { tick: LARGE_TICK, ..hauling("hauling, all of it, large ticks", Computes::All) },
        case("scattered", 10_000, 10_000, Layout::Scattered, 2),
        Case { late_percent: 5, ..case("scattered, some late", 10_000, 10_000, Layout::Scattered, 1) },
    ];
    let (positions, runs) = if options.quick { (200_000, 1) } else { (4_000_000, 5) };
    let is_wanted = |case: &&Case| {
        options.fences.is_none_or(|only| case.fences == only)
            && options.only.as_ref().is_none_or(|only| case.figure.contains(only.as_str()))
    };
    for case in cases.iter().filter(is_wanted) {
        one(case, positions, runs, report)?;
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
    let fences: Vec<_> = source.fences()?.into_iter().map(Arc::new).collect();
    let mut fixes: Vec<FleetPosition> = source.by_ref().take(positions).collect();
    // A short input has shorter delays, or all late fixes would come at its end.
    let times = || fixes.iter().map(|fix| fix.position.event_time.0);
    let span_ms = times().max().zip(times().min()).map_or(0, |(last, first)| last - first);
    let latest_ms = LATEST_MS.min(span_ms / 2).max(1);
    arrive_late(&mut fixes, case.late_percent, latest_ms);
    let order = match case.late_percent {
        0 => "event-time order, none late".to_owned(),
        percent => format!("{percent} % late by up to {} s, the rest in event-time order", latest_ms / 1000),
    };
    let hauls = match case.computes {
        Computes::Visits => Vec::new(),
        Computes::Alerts | Computes::All => hauls(&fences, &ids, &fixes)?,
    };
    let mut rates = Vec::new();
    let (mut changes, mut kpi_changes) = (0, 0);
    for _ in 0..runs {
        let settings = GraphSettings::default();
        let mut graph = BareGraph::start_for(case.computes, settings, case.workers)?;
        for fence in &fences {
            graph.record(Record::FenceUpsert(fence.clone()));
        }
        graph.end_tick()?;
        graph.close_all()?;
        let changes_before = graph.changes();
        let started = Instant::now();
        feed(&mut graph, &ids, fixes.chunks(case.tick), &hauls)?;
        rates.push(fixes.len() as f64 / started.elapsed().as_secs_f64());
        kpi_changes = graph.kpi_changes();
        changes = graph.changes() - changes_before - kpi_changes;
    }
    let rounded = |value: f64| json!((value * 1000.0).round() / 1000.0);
    let mut params = vec![
        ("positions", json!(fixes.len())),
        ("vehicles", json!(case.vehicles)),
        ("fences", json!(case.fences)),
        ("workers", json!(case.workers)),
        ("tick", json!(case.tick)),
        ("order", json!(order)),
        ("changes_a_position", rounded(changes as f64 / fixes.len() as f64)),
    ];
    if case.computes != Computes::Visits {
        params.push(("trips", json!(hauls.len())));
    }
    if case.computes == Computes::All {
        let hops = (span_ms / HOP_MS).max(1);
        params.push(("hops", json!(hops)));
        params.push(("kpi_changes_a_hop", rounded(kpi_changes as f64 / hops as f64)));
    }
    report.add(&Figure { bench: "graph", figure: case.figure, unit: "positions/s", params, runs: rates });
    Ok(())
}

/// Gives the graph fixes in ticks, and trips when they are planned, and waits until all is computed.
fn feed(
    graph: &mut BareGraph,
    ids: &[Arc<str>],
    ticks: std::slice::Chunks<'_, FleetPosition>,
    hauls: &[Haul],
) -> anyhow::Result<()> {
    let mut hauls = hauls.iter().peekable();
    for chunk in ticks {
        let ends = chunk.last().map(|fix| fix.position.event_time);
        while let Some(haul) = hauls.next_if(|haul| Some(haul.planned) <= ends) {
            graph.record(haul.record.clone());
        }
        for fix in chunk {
            graph.position(&ids[fix.vehicle as usize], fix.position);
        }
        graph.end_tick()?;
    }
    graph.close_all()
}
