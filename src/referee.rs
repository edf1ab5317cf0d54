//! `watchtower verify --postgis`: presences held against what PostGIS says of the same positions and fences.
//!
//! Inside of the fence a vehicle has to be present, and beyond its exit buffer not; in between it depends on what was
//! before, which is not for PostGIS to say.

use std::collections::HashSet;
use std::io::Write;

use anyhow::bail;
use journal::Store;
use model::Shape;
use pipeline::{Evidence, RefereeFix, Said};
use sinks::postgres::PostgresConfig;
use sinks::postgres::referee::{Answer, Question, ask};

use crate::Outcome;
use crate::progress;

/// Circles agree to this; whether a position is in a polygon too, but for rounding in doubles.
const CIRCLE_TOLERANCE_M: f64 = 0.001;
/// Where PostGIS looks for the nearest point of a line or border, it may take one that is off by this
/// (docs/decisions/0019-postgis-as-a-referee.md).
const LINE_TOLERANCE_M: f64 = 0.25;
/// Disagreements are printed one by one up to this many; all are counted.
const MAX_PRINTED: usize = 100;

/// What was compared.
#[derive(Default)]
struct Tally {
    pairs: u64,
    /// Between fence and exit buffer, of another time, or beyond what corrections reach.
    undecided: u64,
    /// Disagreements that are within what both sides promise.
    within_tolerance: u64,
    beyond: u64,
}

/// Compares a share of the positions of a folder.
pub fn verify(
    store: &Store,
    database: Option<&PostgresConfig>,
    share: f64,
    out: &mut dyn Write,
) -> anyhow::Result<Outcome> {
    let Some(database) = database else {
        bail!("no PostGIS is configured: set sources.postgis.url or sinks.postgres.url");
    };
    let bar = progress::bar(0, progress::COUNT);
    let evidence = Evidence::gather(&store.log(), &store.changelog(), share, &mut |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    let questions: Vec<Question<'_>> = evidence
        .shapes
        .iter()
        .map(|of| Question { shape: &of.shape, reach_m: of.exit_buffer_m + LINE_TOLERANCE_M })
        .collect();
    let positions: Vec<_> = evidence.fixes.iter().map(|fix| fix.at).collect();
    let bar = progress::bar(positions.len() as u64, progress::COUNT);
    let mut tally = Tally::default();
    let mut told = Vec::new();
    let mut near = HashSet::new();
    let is_judged = ask(
        database,
        &questions,
        &positions,
        &mut |answer| {
            near.insert((answer.fix, answer.shape));
            let line = judge(&evidence, answer, &mut tally);
            told.extend(line.filter(|_| tally.beyond <= MAX_PRINTED as u64));
        },
        &mut |done| bar.set_position(done as u64),
    )?;
    bar.finish_and_clear();
    // Of what is far apart there is no answer.
    for (number, fix) in evidence.fixes.iter().enumerate() {
        for shape in evidence.inside_of(fix).filter(|shape| is_judged[*shape]) {
            if !near.contains(&(number, shape)) {
                tally.pairs += 1;
                tally.beyond += 1;
                told.push(line(&evidence, fix, shape, "present, and far away by PostGIS"));
            }
        }
    }
    for line in told.iter().take(MAX_PRINTED) {
        writeln!(out, "{line}")?;
    }
    let left_out = is_judged.iter().filter(|is_judged| !**is_judged).count();
    writeln!(
        out,
        "{} differences to PostGIS: {} positions and {} fence versions asked about up to tick {}, {} pairs near each \
         other, {} undecided, {} within tolerance; {left_out} versions have no referee",
        tally.beyond,
        evidence.fixes.len(),
        evidence.shapes.len(),
        evidence.tick,
        tally.pairs,
        tally.undecided,
        tally.within_tolerance,
    )?;
    Ok(if tally.beyond == 0 { Outcome::Done } else { Outcome::Failed })
}

/// Counts an answer, and tells of it where it is another one than presence gives.
fn judge(evidence: &Evidence, answer: Answer, tally: &mut Tally) -> Option<String> {
    let (fix, of) = (&evidence.fixes[answer.fix], &evidence.shapes[answer.shape]);
    tally.pairs += 1;
    let is_circle = matches!(of.shape, Shape::Circle { .. });
    let is_line = matches!(of.shape, Shape::Corridor { .. });
    let buffer_tolerance_m = if is_circle { CIRCLE_TOLERANCE_M } else { LINE_TOLERANCE_M };
    let inside_tolerance_m = if is_line { LINE_TOLERANCE_M } else { CIRCLE_TOLERANCE_M };
    let beyond_buffer_m = answer.from_border_m - of.exit_buffer_m;
    let disagreement = match evidence.said(fix, answer.shape) {
        Said::Outside if answer.is_inside => {
            Some(("not present, and inside by PostGIS", answer.from_border_m <= inside_tolerance_m))
        }
        Said::Inside if !answer.is_inside && beyond_buffer_m > 0.0 => {
            Some(("present, and beyond the exit buffer by PostGIS", beyond_buffer_m <= buffer_tolerance_m))
        }
        Said::Nothing => {
            tally.undecided += 1;
            None
        }
        Said::Inside | Said::Outside => {
            if !answer.is_inside && beyond_buffer_m <= 0.0 {
                tally.undecided += 1;
            }
            None
        }
    };
    let (what, is_tolerated) = disagreement?;
    if is_tolerated {
        tally.within_tolerance += 1;
        return None;
    }
    tally.beyond += 1;
    let what = format!("{what}, {:.3} m from the border", answer.from_border_m);
    Some(line(evidence, fix, answer.shape, &what))
}

fn line(evidence: &Evidence, fix: &RefereeFix, shape: usize, what: &str) -> String {
    let (lon, lat) = (fix.at.lon_degrees(), fix.at.lat_degrees());
    let fence_id = &evidence.shapes[shape].fence_id;
    format!("vehicle {:?}, fence {fence_id:?}, {} at {lon:.7}, {lat:.7}: {what}", fix.vehicle_id, fix.time)
}
