//! How far positions are from lines and borders, by PostGIS, and where ours ends.
//!
//! PostGIS takes edges of a `geography` for parts of great circles, ours are straight in degrees. So edges
//! are cut into stretches of [`STRETCH_DEGREES`] first, straight in degrees. Over a stretch of `s` metres at
//! a latitude of `phi` the two differ by `s² tan(phi) / 8R`; with `s = R cos(phi)` times the stretch that is
//! at most 0.1 mm ([`STRETCH_ERROR_M`]).
//!
//! PostGIS looks for the nearest point on a sphere, and then measures the geodesic to it on the ellipsoid. On
//! the sphere lengths differ by up to 0.67 % between directions. On one edge, the point that it finds is off
//! by up to half of that share of the distance `d`, which costs `d 0.0067² / 8` ([`FOOT_ERROR`]). Of several
//! edges it may take one that is not the nearest. And it mistakes where an edge ends: whether a point in the
//! edge's line is between the ends it tells by cosines of angles from its middle, and takes those for equal
//! that differ by 2e-16. The shorter the edge, the farther may the point be from where the end is: at most
//! 2e-8 (0.13 m) with exact cosines, and they are not. So it may say too little, for a point beyond the end,
//! or too much, for an end that is not the nearest point ([`END_ERROR_M`]).
//!
//! Where one of these may have happened PostGIS is asked again, for each edge: which point of it is nearest
//! in a plane with the scales of the position's latitude, and what is the geodesic to that. Where the scales
//! change by a share of `k = d tan(phi) / R` over the distance, that is too far by `d k² / 2` at most.

use std::collections::BTreeMap;

use model::Coord;

use super::server::{Script, number};
use super::shapes::degrees;
use super::tally::Tally;

const STRETCH_DEGREES: f64 = 0.000_9;
const STRETCH_ERROR_M: f64 = 1e-4;
const FOOT_ERROR: f64 = 5.7e-6;
/// The geodesic to the nearest point is promised to this up to [`PROMISED_M`]; beyond, ours too may look for
/// that point in a plane.
const OUR_ERROR_M: f64 = 0.01;
const PROMISED_M: f64 = 1_000.0;
/// Farther off nothing is compared.
const FARTHEST_M: f64 = 60_000.0;
const SMALLEST_RADIUS_M: f64 = 6_335_000.0;
/// How far from its end PostGIS may take an edge to end.
const END_ERROR_M: f64 = 0.2;
/// What a way on the sphere may seem longer than another of the same length, as a share.
const SPHERE_ERROR: f64 = 0.006_8;
const NOT_NEAREST: &str = "where PostGIS took a point that is not the nearest";
const BEYOND_END: &str = "where PostGIS took a point beyond the end of an edge";
const TOO_FAR: &str = "pairs beyond 60 km, left out";

/// A position outside of a shape.
#[derive(Clone, Copy)]
pub struct Apart {
    pub shape: usize,
    pub at: Coord,
}

pub struct Question<'a> {
    /// As WKT.
    pub shapes: Vec<String>,
    /// What gives the lines of a shape: a function of PostGIS, or nothing.
    pub edges_of: &'static str,
    pub pairs: &'a [Apart],
}

/// Compares; `is_within` says whether a position of ours is at most so far from a shape, where that can be
/// asked.
pub fn judge(
    url: &str,
    question: &Question<'_>,
    tally: &mut Tally,
    family: impl Fn(usize) -> &'static str,
    is_within: impl Fn(usize, Coord, f64) -> Option<bool>,
) {
    let all: Vec<usize> = (0..question.pairs.len()).collect();
    let mut at_first = BTreeMap::new();
    for (pair, metres) in whole_distances(url, question, &all) {
        let Apart { shape, at } = question.pairs[pair];
        let family = family(shape);
        if metres > FARTHEST_M {
            tally.left_out(family, TOO_FAR);
            continue;
        }
        let too_far_m = FOOT_ERROR * metres;
        match compare(metres, too_far_m, at, |limit_m| is_within(shape, at, limit_m)) {
            Verdict::Agree => tally.agreement(family),
            Verdict::Nearer | Verdict::Farther => _ = at_first.insert(pair, metres),
        }
    }
    let again: Vec<usize> = at_first.keys().copied().collect();
    for (pair, metres) in distances_edge_by_edge(url, question, &again) {
        let Apart { shape, at } = question.pairs[pair];
        let first_m = at_first[&pair];
        let too_far_m = plane_error_m(metres, at);
        let verdict = compare(metres, too_far_m, at, |limit_m| is_within(shape, at, limit_m));
        let why = if first_m > metres { NOT_NEAREST } else { BEYOND_END };
        let explained = metres - END_ERROR_M..=metres * (1.0 + SPHERE_ERROR) + END_ERROR_M;
        assert!(
            verdict == Verdict::Agree && explained.contains(&first_m),
            "{}, shape {shape}: {at:?} is {metres} m from the nearest edge to PostGIS, at first \
             {first_m} m; ours: {verdict:?}",
            family(shape)
        );
        tally.exception(family(shape), why);
    }
}

/// How ours is to theirs.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Agree,
    Nearer,
    Farther,
}

/// Compares with what PostGIS says, which may be too far by that much.
fn compare(metres: f64, too_far_m: f64, at: Coord, is_within: impl Fn(f64) -> Option<bool>) -> Verdict {
    let beyond_promise_m = if metres > PROMISED_M { plane_error_m(metres, at) } else { 0.0 };
    let error_m = STRETCH_ERROR_M + OUR_ERROR_M.max(beyond_promise_m);
    let near = metres - error_m - too_far_m;
    if near >= 0.0 && is_within(near) == Some(true) {
        return Verdict::Nearer;
    }
    if is_within(metres + error_m) == Some(false) { Verdict::Farther } else { Verdict::Agree }
}

/// What it may cost to look for the nearest point in a plane with the scales of a position's latitude.
fn plane_error_m(metres: f64, at: Coord) -> f64 {
    let change = metres * at.lat_degrees().to_radians().tan() / SMALLEST_RADIUS_M;
    metres * change * change / 2.0
}

fn whole_distances(url: &str, question: &Question<'_>, which: &[usize]) -> Vec<(usize, f64)> {
    let mut script = tables(question, which);
    script.statement(&format!(
        "CREATE TEMP TABLE lines AS
         SELECT shape, ST_Segmentize({}(degrees), {STRETCH_DEGREES})::geography AS line FROM shapes",
        question.edges_of
    ));
    script.statement(
        "SELECT pair, ST_Distance(line, at) FROM lines,
         LATERAL (SELECT * FROM points WHERE points.shape = lines.shape OFFSET 0) AS its_points",
    );
    answers(&script, url, which)
}

fn distances_edge_by_edge(url: &str, question: &Question<'_>, which: &[usize]) -> Vec<(usize, f64)> {
    let mut script = tables(question, which);
    // East by north, in metres a degree.
    script.statement(
        "CREATE TEMP TABLE places AS
         SELECT shape, pair, at, place,
             cosd(ST_Y(place)) * (1 - 0.00669438 * sind(ST_Y(place)) ^ 2) / (1 - 0.00669438) AS scale
         FROM (SELECT *, at::geometry AS place FROM points) AS planar",
    );
    script.statement(&format!(
        "CREATE TEMP TABLE edges AS
         SELECT shape, ST_SetSRID(edge.geom, 4326) AS edge
         FROM shapes, LATERAL ST_DumpSegments({}(degrees)) AS edge
         WHERE shape IN (SELECT shape FROM points)",
        question.edges_of
    ));
    script.statement(
        "SELECT pair, min(ST_Distance(at, ST_Scale(
             ST_ClosestPoint(ST_Scale(edge, scale, 1), ST_Scale(place, scale, 1)), 1 / scale, 1)::geography))
         FROM edges JOIN places USING (shape) GROUP BY pair",
    );
    answers(&script, url, which)
}

fn tables(question: &Question<'_>, which: &[usize]) -> Script {
    let mut script = Script::new();
    let shapes = question.shapes.iter().enumerate().map(|(shape, wkt)| format!("{shape}\t{wkt}"));
    script.table("shapes", "shape int, degrees geometry", shapes);
    let points = which.iter().map(|&pair| {
        let Apart { shape, at } = question.pairs[pair];
        let [lon, lat] = [at.lon, at.lat].map(|units| degrees(i64::from(units)));
        format!("{shape}\t{pair}\tPOINT({lon} {lat})")
    });
    script.table("points", "shape int, pair int, at geography", points);
    script
}

fn answers(script: &Script, url: &str, which: &[usize]) -> Vec<(usize, f64)> {
    let rows = script.run(url);
    assert_eq!(rows.len(), which.len(), "an answer for each pair");
    rows.iter().map(|row| (number(&row[0]), number(&row[1]))).collect()
}
