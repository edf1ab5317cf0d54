//! Edits of fences over all that is kept, in memory: how long until what an edit changes is closed, and what
//! edits do to positions that come in beside them.
//!
//! A fleet all over a country is fed first; see [`super::country`]. Centres of edited fences are drawn from its
//! fixes, so that fences lie where trucks are. Where they are densest, an edit concerns most: those edits are
//! a figure of their own.

mod beside;
mod crowds;
mod edits;

use std::time::{Duration, Instant};

use model::{GraphSettings, Record};
use pipeline::Computes;
use serde_json::{Value, json};

use super::Options;
use super::bare::{BareGraph, TICK};
use super::country::{CountryFleet, Seen};
use super::quantiles::Quantiles;
use super::report::{Figure, Report};
use super::truck::Reports;
use beside::Beside;
use crowds::{CELL_DEGREES, Centres, Crowds, HOT_CELLS_PERCENT};
use edits::Edits;

const SEED: u64 = 7;
/// About a day and a night of a truck.
const FIXES_A_TRUCK: u64 = 1000;
const FEWEST_TRUCKS: u64 = 1000;
const REPORTS: Reports = Reports { driving_ms: 40_000, parked_ms: 300_000 };
/// Fences around places where trucks stop, that nobody edits.
const STANDING_FENCES: u32 = 10_000;
const DAY_MS: i64 = 24 * 3_600_000;

const RADIUS_M: f64 = 300.0;
const EDITS: usize = 1000;
const DISTRICT_RADIUS_M: f64 = 10_000.0;
const DISTRICT_EDITS: usize = 20;
/// Drawing centres ends here even if nearly all of them are where fixes are densest.
const MOST_DRAWS: usize = 20 * EDITS;

pub(super) fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let fixes = options.fixes.unwrap_or(if options.quick { 2_000_000 } else { 100_000_000 });
    let trucks = (fixes / FIXES_A_TRUCK).max(FEWEST_TRUCKS);
    let passes = if options.quick { 1 } else { 3 };
    report.note(&format!("edit: feeding {fixes} fixes of {trucks} trucks"));
    let mut fleet = CountryFleet::new(u32::try_from(trucks)?, REPORTS, SEED);
    // All that is fed stays, and an edit reaches all of it.
    let settings = GraphSettings { horizon_ms: 365 * DAY_MS, keep_ms: None, ..GraphSettings::default() };
    let mut graph = BareGraph::start_for(Computes::Visits, settings, 1)?;
    for fence in fleet.country().fences(STANDING_FENCES)? {
        graph.record(Record::FenceUpsert(fence));
    }
    graph.end_tick()?;
    let centres = feed(&mut graph, &mut fleet, fixes)?;
    report.note(&format!(
        "edit: hotspots are the {HOT_CELLS_PERCENT} % of cells of {CELL_DEGREES} degrees with most fixes: \
         more than {} fixes each, {:.0} % of all fixes; of the others, half share their cell with {} or more",
        centres.densest_ordinary_cell(),
        centres.hot_share() * 100.0,
        centres.typical_cell()
    ));
    let mut figures = Figures {
        report,
        params: vec![
            ("fixes", json!(fixes)),
            ("vehicles", json!(trucks)),
            ("standing_fences", json!(STANDING_FENCES)),
            ("workers", json!(1)),
            ("fixes_in_a_typical_cell", json!(centres.typical_cell())),
            ("hot_cells_percent", json!(HOT_CELLS_PERCENT)),
            ("hot_cell_degrees", json!(CELL_DEGREES)),
            ("hot_share_of_fixes", json!((centres.hot_share() * 1000.0).round() / 1000.0)),
        ],
    };
    let mut edits = Edits::new("edited", RADIUS_M, SEED);
    one_by_one(&mut graph, &mut edits, &centres, passes, &mut figures)?;
    districts(&mut graph, &centres, passes, &mut figures)?;
    bursts(&mut graph, &mut edits, &centres, passes, &mut figures)?;
    let seconds = if options.quick { 2 } else { 10 };
    beside::measure(
        &mut Beside { graph: &mut graph, fleet: &mut fleet, edits: &mut edits, centres: &centres },
        seconds,
        passes,
        &mut figures,
    )
}

/// Prints figures of this benchmark.
struct Figures<'a> {
    report: &'a mut Report,
    params: Vec<(&'static str, Value)>,
}

impl Figures<'_> {
    fn add(
        &mut self,
        figure: &'static str,
        unit: &'static str,
        more: &[(&'static str, Value)],
        runs: Vec<f64>,
    ) {
        let params = self.params.iter().chain(more).cloned().collect();
        self.report.add(&Figure { bench: "edit", figure, unit, params, runs });
    }

    /// One figure a quantile; a run is what was measured in one pass.
    fn add_quantiles(
        &mut self,
        figure: &'static str,
        more: &[(&'static str, Value)],
        passes: Vec<Vec<Duration>>,
    ) {
        let passes: Vec<Quantiles> =
            passes.into_iter().filter(|pass| !pass.is_empty()).map(Quantiles::of).collect();
        let Some(count) = passes.iter().map(Quantiles::count).min() else { return };
        for (what, share) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0)] {
            let mut more = more.to_vec();
            more.extend([("what", json!(what)), ("measured_a_run", json!(count))]);
            self.add(figure, "ms", &more, passes.iter().map(|pass| pass.ms(share)).collect());
        }
    }
}

/// Feeds so many fixes and tells where centres of fences can be drawn from.
fn feed(graph: &mut BareGraph, fleet: &mut CountryFleet, fixes: u64) -> anyhow::Result<Centres> {
    let mut crowds = Crowds::new(fixes);
    let mut slice: Vec<Seen> = Vec::new();
    let mut fed = 0;
    while fed < fixes {
        fleet.next_slice(&mut slice);
        slice.truncate(usize::try_from(fixes - fed)?);
        for chunk in slice.chunks(TICK) {
            for seen in chunk {
                crowds.add(seen);
                graph.position(fleet.id(seen.truck), seen.position());
            }
            graph.end_tick()?;
        }
        fed += slice.len() as u64;
    }
    graph.close_all()?;
    Ok(crowds.into_centres())
}

/// Applies edits in one tick; the time until that tick is closed.
fn apply(graph: &mut BareGraph, edits: Vec<Record>) -> anyhow::Result<Duration> {
    let started = Instant::now();
    for edit in edits {
        graph.record(edit);
    }
    graph.end_tick()?;
    graph.close_all()?;
    Ok(started.elapsed())
}

/// One edit a tick, until so many were not at hotspots.
fn one_by_one(
    graph: &mut BareGraph,
    edits: &mut Edits,
    centres: &Centres,
    passes: usize,
    figures: &mut Figures<'_>,
) -> anyhow::Result<()> {
    figures.report.note("edit: one edit a tick");
    let (mut ordinary, mut hot) = (Vec::new(), Vec::new());
    let changes_before = graph.changes();
    let mut draws = 0;
    for _ in 0..passes {
        let (mut ordinary_times, mut hot_times) = (Vec::new(), Vec::new());
        while ordinary_times.len() < EDITS && ordinary_times.len() + hot_times.len() < MOST_DRAWS {
            let edit = edits.draw(centres)?;
            draws += 1;
            let times = if edit.is_hot { &mut hot_times } else { &mut ordinary_times };
            times.push(apply(graph, vec![edit.record])?);
        }
        ordinary.push(ordinary_times);
        hot.push(hot_times);
    }
    let rows_an_edit = (graph.changes() - changes_before) as f64 / f64::from(draws);
    let more = [("radius_m", json!(RADIUS_M)), ("changes_an_edit_of_all", json!(rows_an_edit.round()))];
    figures.add_quantiles("one edit", &more, ordinary);
    figures.add_quantiles("one edit at a hotspot", &more, hot);
    Ok(())
}

/// The same with fences as large as a city.
fn districts(
    graph: &mut BareGraph,
    centres: &Centres,
    passes: usize,
    figures: &mut Figures<'_>,
) -> anyhow::Result<()> {
    figures.report.note("edit: districts");
    let mut edits = Edits::new("district", DISTRICT_RADIUS_M, SEED + 1);
    let mut all_times = Vec::new();
    let changes_before = graph.changes();
    for _ in 0..passes {
        let mut times = Vec::new();
        for _ in 0..DISTRICT_EDITS {
            times.push(apply(graph, vec![edits.draw(centres)?.record])?);
        }
        all_times.push(times);
    }
    let changes_an_edit = (graph.changes() - changes_before) / (passes * DISTRICT_EDITS);
    // They are no part of what is measured next.
    apply(graph, edits.delete_all())?;
    let more = [("radius_m", json!(DISTRICT_RADIUS_M)), ("changes_an_edit", json!(changes_an_edit))];
    figures.add_quantiles("one district", &more, all_times);
    Ok(())
}

/// Many edits that arrive together, wherever they are.
fn bursts(
    graph: &mut BareGraph,
    edits: &mut Edits,
    centres: &Centres,
    passes: usize,
    figures: &mut Figures<'_>,
) -> anyhow::Result<()> {
    figures.report.note("edit: bursts");
    let mut runs = Vec::new();
    for _ in 0..passes {
        let burst: Vec<Record> =
            (0..EDITS).map(|_| Ok(edits.draw(centres)?.record)).collect::<anyhow::Result<_>>()?;
        runs.push(apply(graph, burst)?.as_secs_f64() * 1000.0);
    }
    let more = [("radius_m", json!(RADIUS_M)), ("edits_a_tick", json!(EDITS))];
    figures.add("a burst of edits", "ms", &more, runs);
    Ok(())
}
