//! Segments against shapes: exactly, where small grids keep fractions small, and against dense samples.

use std::collections::BTreeSet;

use model::{Coord, Ring, Shape, geodesic_degrees_m, ring_from_degrees};
use proptest::prelude::*;

use super::{Aim, Grid, POLE, aims, brute, circles, coord, corridors, lines_on, marks, polygons};
use crate::spatial::metric::{FULL_TURN, HALF_TURN};
use crate::spatial::rect::Rect;
use crate::spatial::segment::Share;
use crate::spatial::{PreparedShape, segment_rects};

fn number(share: Share) -> f64 {
    share.part as f64 / share.whole as f64
}

/// The short way round, said once more.
fn step(from: Coord, to: Coord) -> (i64, i64) {
    let east = (i64::from(to.lon) - i64::from(from.lon)).rem_euclid(FULL_TURN);
    let lon = match east {
        HALF_TURN => i64::from(to.lon) - i64::from(from.lon),
        east if east > HALF_TURN => east - FULL_TURN,
        east => east,
    };
    (lon, i64::from(to.lat) - i64::from(from.lat))
}

/// Grids that reach the poles at most, and none whose ends are half a turn apart.
fn small_grids() -> impl Strategy<Value = Grid> {
    let meshes = prop::sample::select(&[1_i64, 7, 8_192, 5_000_000, 100_000_000][..]);
    let lons = prop_oneof![Just(33_792_000), Just(1_800_000_000), Just(-1_799_999_999)];
    (lons, meshes, -1_i64..=1).prop_map(|(lon, mesh, pole)| {
        let lat = if pole == 0 { 12_345_678 } else { pole * (POLE - 6 * mesh) };
        Grid { middle: (lon, lat), mesh }
    })
}

type GridCase = (Vec<Vec<Ring>>, Coord, Coord, i64);

/// A polygon and two positions, all on crossings of one grid.
fn grid_cases() -> impl Strategy<Value = GridCase> {
    let crossing = (-6_i64..=6, -6_i64..=6);
    (small_grids(), crossing.clone(), crossing).prop_flat_map(|(grid, from, to)| {
        let rings = lines_on(grid, true).prop_filter("few edges", |ring| ring.vertices.len() < 10);
        let parts = prop::collection::vec(prop::collection::vec(rings, 1..4), 1..3);
        parts.prop_map(move |parts| (parts, grid.position(from), grid.position(to), grid.mesh))
    })
}

/// Every share at which a segment on a grid can meet a ring on it has one of these wholes.
fn wholes(parts: &[Vec<Ring>], step: (i64, i64), mesh: i64) -> BTreeSet<i64> {
    let step = (step.0 / mesh, step.1 / mesh);
    let mut wholes = BTreeSet::from([1, step.0.abs().max(step.1.abs()).max(1)]);
    for ring in parts.iter().flatten() {
        for pair in ring.vertices.windows(2) {
            let edge = ((pair[1].0 - pair[0].0) / mesh, (pair[1].1 - pair[0].1) / mesh);
            wholes.insert((step.0 * edge.1 - step.1 * edge.0).abs().max(1));
        }
    }
    wholes
}

/// Half to even, of a fraction.
fn rounded(part: i128, whole: i128) -> i128 {
    let (below, twice_rest) = (part.div_euclid(whole), 2 * part.rem_euclid(whole));
    let is_odd = below.rem_euclid(2) == 1;
    below + i128::from(twice_rest > whole || (twice_rest == whole && is_odd))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_polygon_is_crossed_exactly_where_it_covers(
        (parts, from, to, mesh) in grid_cases(),
        from_ms in 1_000_000_000_000_i64..1_000_000_000_004,
        span_ms in prop_oneof![0_i64..5, 0_i64..300_000],
    ) {
        let step = step(from, to);
        let origin = (i64::from(from.lon), i64::from(from.lat));
        let mut covered: Vec<(i64, i64)> = wholes(&parts, step, mesh)
            .into_iter()
            .flat_map(|whole| (0..=whole).map(move |part| (part, whole)))
            .filter(|&share| brute::polygon_covers_share(&parts, (origin, step), share))
            .collect();
        covered.sort_by(|a, b| (a.0 * b.1).cmp(&(b.0 * a.1)));
        let expected = covered.first().copied().zip(covered.last().copied());
        let shape = PreparedShape::new(&Shape::Polygon { parts });
        let found = shape.shares_within(from, to);
        let is_same = |a: (i64, i64), part: i128, whole: i128| i128::from(a.0) * whole == part * i128::from(a.1);
        match (expected, found) {
            (None, None) => {}
            (Some((first, last)), Some(found)) => {
                prop_assert!(is_same(first, found.0.part, found.0.whole), "first {:?}, found {:?}", first, found.0);
                prop_assert!(is_same(last, found.1.part, found.1.whole), "last {:?}, found {:?}", last, found.1);
            }
            (expected, found) => prop_assert!(false, "expected {:?}, found {:?}", expected, found),
        }
        let time_ms = expected.map(|(first, last)| {
            let whole = i128::from(2 * first.1 * last.1);
            let part = i128::from(first.0 * last.1 + last.0 * first.1);
            rounded(i128::from(from_ms) * whole + i128::from(span_ms) * part, whole)
        });
        prop_assert_eq!(shape.crossed_at((from_ms, from), (from_ms + span_ms, to)).map(i128::from), time_ms);
    }
}

/// Where a segment starts and ends near a shape: at aims, or as far beyond a mark as it began before it.
fn ends(aims: &[Aim], through: bool, marks: &[(i64, i64)]) -> (Coord, Coord) {
    let (from, other) = (aims[0].at(marks), aims[1].at(marks));
    if !through {
        return (from, other);
    }
    let (east, north) = step(from, other);
    (from, coord(i64::from(from.lon) + 2 * east, i64::from(from.lat) + 2 * north))
}

/// By how much a distance may be misjudged: 1 cm up to 1 km and in proportion beyond, and by how much a
/// position may be off that is rounded.
fn tolerance_m(shape: &Shape) -> f64 {
    let extent_m = match shape {
        Shape::Circle { radius_m, .. } => *radius_m,
        Shape::Corridor { width_m, .. } => width_m / 2.0,
        Shape::Polygon { .. } => 0.0,
    };
    0.01 * (extent_m / 1_000.0).max(1.0) + 0.01
}

/// Shares of a segment in parts of 2^20: evenly spread, and the denser the nearer to an end of a range.
fn samples(range: Option<(Share, Share)>, count: i64) -> Vec<i64> {
    let mut samples: Vec<i64> = (0..=count).map(|i| (i * WHOLE) / count).collect();
    if let Some((first, last)) = range {
        let (first, last) = (number(first) * WHOLE as f64, number(last) * WHOLE as f64);
        let (first, last) = (first.floor() as i64, last.ceil() as i64);
        samples.extend((0..20).flat_map(|i| [first - (1 << i), last + (1 << i)]));
    }
    samples.retain(|sample| (0..=WHOLE).contains(sample));
    samples
}

const WHOLE: i64 = 1 << 20;

/// No sample outside of the range is within the shape, and its ends are.
fn check_against_samples(shape: &Shape, from: Coord, to: Coord, count: i64) -> Result<(), TestCaseError> {
    let origin = (i64::from(from.lon), i64::from(from.lat));
    let step = step(from, to);
    let position = |share: f64| {
        let along = |step: i64| (share * step as f64).round() as i64;
        coord(origin.0 + along(step.0), origin.1 + along(step.1))
    };
    let tolerance_m = tolerance_m(shape);
    let prepared = PreparedShape::new(shape);
    let found = prepared.shares_within(from, to);
    if let Some((first, last)) = found {
        prop_assert!(Share::START <= first && first <= last && last <= Share::END, "{:?}", found);
        for end in [first, last].map(number) {
            let is_within = match shape {
                Shape::Polygon { .. } => prepared.covers_or_within(position(end), tolerance_m),
                _ => brute::distance_m(shape, position(end)) <= tolerance_m,
            };
            prop_assert!(is_within, "at {} it is outside", end);
        }
    }
    for sample in samples(found, count) {
        let share = Share { part: sample.into(), whole: WHOLE.into() };
        if found.is_some_and(|(first, last)| (first..=last).contains(&share)) {
            continue;
        }
        let is_inside = match shape {
            Shape::Polygon { parts } => brute::polygon_covers_share(parts, (origin, step), (sample, WHOLE)),
            _ => brute::distance_m(shape, position(number(share))) < -tolerance_m,
        };
        prop_assert!(!is_inside, "{:?} is inside, and {:?} does not hold it", share, found);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_polygon_of_any_size_is_crossed_where_samples_say(
        shape in polygons(), aims in aims(2), through in any::<bool>(),
    ) {
        let (from, to) = ends(&aims, through, &marks(&shape));
        check_against_samples(&shape, from, to, 100)?;
    }

    #[test]
    fn a_circle_is_crossed_where_samples_say(shape in circles(), aims in aims(2), through in any::<bool>()) {
        let (from, to) = ends(&aims, through, &marks(&shape));
        check_against_samples(&shape, from, to, 300)?;
        let Shape::Circle { centre, radius_m } = shape else { unreachable!() };
        let step = step(from, to);
        let Some(range) = PreparedShape::new(&shape).shares_within(from, to) else { return Ok(()) };
        let (first, last) = (number(range.0), number(range.1));
        let metres = |share: f64| {
            let lon = (f64::from(from.lon) + share * step.0 as f64) / 1e7;
            let lat = (f64::from(from.lat) + share * step.1 as f64) / 1e7;
            geodesic_degrees_m((centre.lon_degrees(), centre.lat_degrees()), (lon, lat))
        };
        for (share, is_end) in [(first, first == 0.0), (last, last == 1.0)] {
            let off_m = metres(share) - radius_m;
            // 1e-10 of 20,000 km.
            prop_assert!(off_m < 0.002 && (is_end || off_m > -0.002), "{} m off at {}", off_m, share);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_corridor_is_crossed_where_samples_say(shape in corridors(), aims in aims(2), through in any::<bool>()) {
        let (from, to) = ends(&aims, through, &marks(&shape));
        check_against_samples(&shape, from, to, 100)?;
    }
}

proptest! {
    #[test]
    fn rectangles_hold_the_segment(
        lons in (-1_800_000_000_i32..=1_800_000_000, -1_800_000_000_i32..=1_800_000_000),
        lats in (-900_000_000_i32..=900_000_000, -900_000_000_i32..=900_000_000),
        share in 0.0..=1.0_f64,
    ) {
        let (from, to) = (Coord { lon: lons.0, lat: lats.0 }, Coord { lon: lons.1, lat: lats.1 });
        let rects = segment_rects(from, to);
        let step = step(from, to);
        let at = coord(
            i64::from(from.lon) + (share * step.0 as f64).round() as i64,
            i64::from(from.lat) + (share * step.1 as f64).round() as i64,
        );
        let (lon, lat) = (i64::from(at.lon), i64::from(at.lat));
        let own = Rect { min_lon: lon, max_lon: lon, min_lat: lat, max_lat: lat };
        prop_assert!(rects.iter().any(|rect| rect.meets(&own)), "{:?} in {:?}", at, rects);
        let width: i64 = rects.iter().map(|rect| rect.max_lon - rect.min_lon).sum();
        prop_assert_eq!(width, step.0.abs());
        prop_assert!(rects.iter().all(|rect| rect.min_lon >= -HALF_TURN && rect.max_lon <= HALF_TURN));
    }
}

fn at(lon: f64, lat: f64) -> Coord {
    Coord::from_degrees(lon, lat).unwrap()
}

fn polygon(rings: &[&[(f64, f64)]]) -> PreparedShape {
    let closed = |ring: &&[(f64, f64)]| {
        let positions: Vec<(f64, f64)> = ring.iter().chain(ring.first()).copied().collect();
        ring_from_degrees(&positions, true).unwrap()
    };
    PreparedShape::new(&Shape::Polygon { parts: vec![rings.iter().map(closed).collect()] })
}

fn corridor(line: &[(f64, f64)], width_m: f64) -> PreparedShape {
    PreparedShape::new(&Shape::Corridor { line: ring_from_degrees(line, false).unwrap(), width_m })
}

/// Crossed between 0 and 60 s.
fn crossed(shape: &PreparedShape, from: (f64, f64), to: (f64, f64)) -> Option<i64> {
    let there = shape.crossed_at((0, at(from.0, from.1)), (60_000, at(to.0, to.1)));
    let back = shape.crossed_at((0, at(to.0, to.1)), (60_000, at(from.0, from.1)));
    let in_sum = there.zip(back).map(|(there, back)| there + back);
    assert!(
        in_sum.is_none_or(|sum| sum == 60_000) && there.is_some() == back.is_some(),
        "{there:?}, {back:?}"
    );
    there
}

const SQUARE: &[(f64, f64)] = &[(1.0, 1.0), (3.0, 1.0), (3.0, 3.0), (1.0, 3.0)];
const INNER: &[(f64, f64)] = &[(1.5, 1.5), (2.5, 1.5), (2.5, 2.5), (1.5, 2.5)];

#[test]
fn a_point_is_enough() {
    let square = polygon(&[SQUARE]);
    assert_eq!(crossed(&square, (0.0, 2.0), (2.0, 0.0)), Some(30_000), "through a corner");
    assert_eq!(crossed(&square, (0.0, 2.0), (2.0, -0.000_000_1)), None, "past a corner");
    assert_eq!(crossed(&square, (0.0, 3.0), (6.0, 3.0)), Some(20_000), "along an edge");
    assert_eq!(crossed(&square, (0.0, 3.000_000_1), (6.0, 3.000_000_1)), None, "beside an edge");
    assert_eq!(crossed(&square, (4.0, 3.0), (6.0, 3.0)), None, "on an edge's line, beyond it");
    assert_eq!(crossed(&square, (0.0, 2.0), (6.0, 2.0)), Some(20_000), "through the middle");
    assert_eq!(crossed(&square, (0.0, 2.0), (1.0, 2.0)), Some(60_000), "up to an edge");
    assert_eq!(crossed(&square, (2.0, 2.0), (2.0, 2.0)), Some(30_000), "standing inside");
    assert_eq!(crossed(&square, (1.0, 0.5), (1.0, 0.5)), None, "standing on an edge's line");
}

#[test]
fn a_spike_along_the_segment_counts() {
    let spiked = [(1.0, 1.0), (3.0, 1.0), (3.0, 2.0), (4.0, 2.0), (3.0, 2.0), (3.0, 3.0), (1.0, 3.0)];
    assert_eq!(crossed(&polygon(&[&spiked]), (0.0, 2.0), (6.0, 2.0)), Some(25_000), "1 to 4 of 6");
}

#[test]
fn within_a_hole_is_outside() {
    let frame = polygon(&[SQUARE, INNER]);
    assert_eq!(crossed(&frame, (1.6, 2.0), (2.4, 2.1)), None, "within the hole");
    assert_eq!(crossed(&frame, (1.6, 2.0), (2.5, 2.0)), Some(60_000), "up to the hole's border");
    // From the hole: 0.4 to its border, 0.5 through the frame, 0.1 beyond.
    assert_eq!(crossed(&frame, (2.1, 2.0), (3.1, 2.0)), Some(39_000), "out of the hole");
    // A hole that swallows the edge along which the segment runs, but for its second half.
    let bitten = polygon(&[SQUARE, &[(0.0, 2.0), (2.0, 2.0), (2.0, 4.0), (0.0, 4.0)]]);
    assert_eq!(crossed(&bitten, (0.5, 3.0), (4.5, 3.0)), Some(30_000), "2.0 to 3.0 of 0.5 to 4.5");
}

#[test]
fn a_ring_that_crosses_itself_is_even_odd() {
    // Two squares' worth of turns around the middle leave it outside.
    let twice = [(0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0), (0.0, 0.0), (1.0, 1.0)];
    let inner = [(3.0, 1.0), (3.0, 3.0), (1.0, 3.0), (1.0, 1.0), (0.0, 0.0)];
    let ring: Vec<(f64, f64)> = twice.into_iter().chain(inner).collect();
    let shape = polygon(&[&ring]);
    assert_eq!(crossed(&shape, (1.5, 2.0), (2.5, 2.0)), None, "wound twice");
    assert_eq!(crossed(&shape, (2.0, 2.0), (5.0, 2.0)), Some(30_000), "1 to 2 of 3");
}

#[test]
fn the_antimeridian_and_the_poles_are_no_borders() {
    let over = polygon(&[&[(179.0, -1.0), (-179.0, -1.0), (-179.0, 1.0), (179.0, 1.0)]]);
    assert_eq!(crossed(&over, (178.0, 0.0), (-178.0, 0.0)), Some(30_000));
    assert_eq!(crossed(&over, (-178.0, 0.0), (178.0, 0.5)), Some(30_000));
    assert_eq!(crossed(&over, (178.0, 0.0), (-178.0, 4.0)), Some(15_000));
    let touching = polygon(&[&[(170.0, -1.0), (180.0, -1.0), (180.0, 1.0), (170.0, 1.0)]]);
    assert_eq!(crossed(&touching, (-180.0, 0.0), (-178.0, 0.0)), Some(0), "-180 is 180");
    assert_eq!(crossed(&touching, (-179.999_999_9, 0.0), (-178.0, 0.0)), None);
    let circle = PreparedShape::new(&Shape::Circle { centre: at(180.0, 10.0), radius_m: 1_000.0 });
    assert_eq!(crossed(&circle, (179.9, 10.0), (-179.9, 10.0)), Some(30_000));
    let line = corridor(&[(179.9, 10.0), (-179.9, 10.0)], 100.0);
    assert_eq!(crossed(&line, (-179.95, 9.9), (-179.95, 10.1)), Some(30_000));
    // All but 20 degrees of the way round: the segment over the gap begins and ends in it.
    let most = [(10.0, 0.0), (130.0, 0.0), (-110.0, 0.0), (-10.0, 0.0)];
    let back = [(-10.0, 5.0), (-110.0, 5.0), (130.0, 5.0), (10.0, 5.0)];
    let around: Vec<(f64, f64)> = most.into_iter().chain(back).collect();
    assert_eq!(crossed(&polygon(&[&around]), (-15.0, 1.0), (15.0, 1.0)), Some(30_000));
    // A segment to the pole passes a circle that lies beyond it on no meridian of its own.
    let polar = PreparedShape::new(&Shape::Circle { centre: at(100.0, 89.99), radius_m: 2_000.0 });
    assert!(polar.crossed_at((0, at(-80.0, 89.0)), (60_000, at(-80.0, 90.0))).is_some_and(|at| at > 59_000));
}

#[test]
fn halves_go_to_the_even_millisecond() {
    let square = polygon(&[SQUARE]);
    let crossed = |from_ms, to_ms| square.crossed_at((from_ms, at(0.0, 2.0)), (to_ms, at(4.0, 2.0)));
    for (from_ms, to_ms, middle_ms) in [(0, 1, 0), (1, 2, 2), (0, 3, 2), (2, 3, 2), (-1, 0, 0), (-2, -1, -2)]
    {
        assert_eq!(crossed(from_ms, to_ms), Some(middle_ms), "{from_ms} to {to_ms}");
    }
}

#[test]
fn a_long_way_finds_a_small_circle() {
    // A 10 m circle on the parallel, 10,000 km from either end, and one that is just missed.
    let on = PreparedShape::new(&Shape::Circle { centre: at(0.0, 45.0), radius_m: 10.0 });
    assert_eq!(crossed(&on, (-89.0, 45.0), (89.0, 45.0)), Some(30_000));
    let beside = PreparedShape::new(&Shape::Circle { centre: at(0.0, 45.000_1), radius_m: 11.11 });
    // 1e-4 degrees of latitude are 11.113 m here.
    assert_eq!(crossed(&beside, (-89.0, 45.0), (89.0, 45.0)), None);
}

#[test]
fn the_first_and_the_last_of_several_stretches_count() {
    // A horseshoe of a road, passed through both arms: from the west edge of one to the east edge of the other.
    let horseshoe = corridor(&[(3.0, 6.0), (3.0, 6.02), (3.01, 6.02), (3.01, 6.0)], 200.0);
    assert_eq!(crossed(&horseshoe, (2.995, 6.005), (3.015, 6.005)), Some(30_000));
    let one_arm = crossed(&horseshoe, (2.995, 6.005), (3.005, 6.005));
    assert_eq!(one_arm, Some(30_000));
    assert_eq!(crossed(&horseshoe, (3.005, 6.0), (3.005, 6.015)), None, "between the arms");
}

#[test]
fn beside_a_road_is_not_across_it() {
    // 5 mm of latitude or so beside the border of a 100 m wide road, for 20 km.
    let road = corridor(&[(3.0, 6.0), (3.2, 6.0)], 100.0);
    // 4.522e-4 degrees of latitude are 50.003 m here, 4.521e-4 are 49.992 m.
    assert_eq!(crossed(&road, (3.01, 6.000_452_2), (3.19, 6.000_452_2)), None);
    assert_eq!(crossed(&road, (3.01, 6.000_452_1), (3.19, 6.000_452_1)), Some(30_000));
}
