use model::{Coord, Shape, TimeMs, geodesic_m, ring_from_degrees};
use proptest::prelude::*;

use super::super::Geometry;

fn at(lon: f64, lat: f64) -> Coord {
    Coord::from_degrees(lon, lat).unwrap()
}

/// A polygon of one part from rings in degrees; rings are closed here.
fn polygon(rings: &[&[(f64, f64)]]) -> Geometry {
    let close = |ring: &&[(f64, f64)]| {
        let mut ring = ring.to_vec();
        ring.push(ring[0]);
        ring_from_degrees(&ring, true).unwrap()
    };
    Geometry::new(&Shape::Polygon { parts: vec![rings.iter().map(close).collect()] })
}

/// How many milliseconds after the beginning; the way takes `lasts_ms`.
fn crossed_after(geometry: &Geometry, from: Coord, to: Coord, lasts_ms: i64) -> Option<i64> {
    geometry.crossed_at((TimeMs(0), from), (TimeMs(lasts_ms), to)).map(|at| at.0)
}

#[test]
fn a_polygon_is_crossed_at_the_middle_of_first_and_last() {
    let fence = polygon(&[&[(10.0, 10.0), (11.0, 10.0), (11.0, 11.0), (10.0, 11.0)]]);
    let crossed =
        |from: (f64, f64), to: (f64, f64)| crossed_after(&fence, at(from.0, from.1), at(to.0, to.1), 1000);
    assert_eq!(crossed((9.0, 10.5), (12.0, 10.5)), Some(500));
    assert_eq!(crossed((8.0, 10.5), (12.0, 10.5)), Some(625));
    assert_eq!(crossed((9.0, 10.5), (9.9, 10.5)), None);
    // Ends inside count as entering and leaving.
    assert_eq!(crossed((10.5, 10.5), (12.0, 10.5)), Some(167));
    assert_eq!(crossed((10.5, 10.5), (10.6, 10.5)), Some(500));
    // Nobody goes anywhere.
    assert_eq!((crossed((9.0, 9.0), (9.0, 9.0)), crossed((10.5, 10.5), (10.5, 10.5))), (None, Some(500)));
}

#[test]
fn touching_a_corner_or_running_along_an_edge_is_enough() {
    let fence = polygon(&[&[(10.0, 10.0), (11.0, 10.0), (11.0, 11.0), (10.0, 11.0)]]);
    assert_eq!(crossed_after(&fence, at(9.0, 11.0), at(11.0, 9.0), 1000), Some(500));
    assert_eq!(crossed_after(&fence, at(9.0, 10.999_999_9), at(11.0, 8.999_999_9), 1000), None);
    assert_eq!(crossed_after(&fence, at(9.0, 11.0), at(13.0, 11.0), 1000), Some(375));
    assert_eq!(crossed_after(&fence, at(9.0, 11.000_000_1), at(13.0, 11.000_000_1), 1000), None);
}

#[test]
fn first_and_last_count_over_gaps_holes_and_parts() {
    // A U from west to east: in 10..11, out, in 13..14.
    let cup = polygon(&[&[
        (10.0, 10.0),
        (14.0, 10.0),
        (14.0, 12.0),
        (13.0, 12.0),
        (13.0, 11.0),
        (11.0, 11.0),
        (11.0, 12.0),
        (10.0, 12.0),
    ]]);
    assert_eq!(crossed_after(&cup, at(9.0, 11.5), at(19.0, 11.5), 1000), Some(300));
    // Within the hole nothing is met, but its rim is.
    let holed = polygon(&[
        &[(10.0, 10.0), (20.0, 10.0), (20.0, 20.0), (10.0, 20.0)],
        &[(12.0, 12.0), (18.0, 12.0), (18.0, 18.0), (12.0, 18.0)],
    ]);
    assert_eq!(crossed_after(&holed, at(13.0, 13.0), at(17.0, 17.0), 1000), None);
    assert_eq!(crossed_after(&holed, at(13.0, 16.0), at(17.0, 20.0), 1000), Some(750));
    assert_eq!(crossed_after(&holed, at(14.0, 13.0), at(13.0, 11.0), 1000), Some(750));
    assert_eq!(crossed_after(&holed, at(14.0, 11.5), at(10.0, 15.5), 1000), Some(500));
    let ring = |low: f64, high: f64| {
        ring_from_degrees(&[(low, 0.0), (high, 0.0), (high, 1.0), (low, 1.0), (low, 0.0)], true).unwrap()
    };
    let parts = Shape::Polygon { parts: vec![vec![ring(7.0, 8.0)], vec![ring(2.0, 3.0)]] };
    assert_eq!(crossed_after(&Geometry::new(&parts), at(0.0, 0.5), at(10.0, 0.5), 1000), Some(500));
}

#[test]
fn the_short_way_round_and_whole_turns() {
    let fiji = polygon(&[&[(179.0, -17.0), (-179.0, -17.0), (-179.0, -16.0), (179.0, -16.0)]]);
    for (from, to, after) in
        [(178.0, -178.0, 500), (-178.0, 178.0, 500), (170.0, -178.0, 833), (178.0, 178.5, -1)]
    {
        let crossed = crossed_after(&fiji, at(from, -16.5), at(to, -16.5), 1000);
        assert_eq!(crossed, (after >= 0).then_some(after), "{from} to {to}");
    }
    // The hole was drawn from the other side.
    let holed = polygon(&[
        &[(178.0, -17.0), (-178.0, -17.0), (-178.0, -15.0), (178.0, -15.0)],
        &[(-179.0, -16.5), (179.0, -16.5), (179.0, -15.5), (-179.0, -15.5)],
    ]);
    assert_eq!(crossed_after(&holed, at(179.5, -16.0), at(-179.5, -16.0), 1000), None);
    assert_eq!(crossed_after(&holed, at(-179.5, -16.0), at(179.5, -14.0), 1000), Some(375));
    let circle = Geometry::new(&Shape::Circle { centre: at(180.0, 0.0), radius_m: 1000.0 });
    assert_eq!(crossed_after(&circle, at(179.9, 0.0), at(-179.9, 0.0), 1001), Some(500));
    let line = ring_from_degrees(&[(-179.99, 0.0), (179.99, 0.0)], false).unwrap();
    let road = Geometry::new(&Shape::Corridor { line, width_m: 20.0 });
    assert_eq!(crossed_after(&road, at(-179.995, 0.1), at(-179.995, -0.1), 1001), Some(500));
}

#[test]
fn milliseconds_are_rounded_half_to_even_without_error() {
    // Entering at a third and leaving there too: a corner is touched.
    let corner = polygon(&[&[(1.0, 1.0), (2.0, 1.0), (2.0, 2.0)]]);
    let touch = |from: i64, lasts_ms: i64| {
        let (a, b) = ((TimeMs(from), at(0.0, 0.0)), (TimeMs(from + lasts_ms), at(3.0, 3.0)));
        corner.crossed_at(a, b).map(|at| at.0)
    };
    // From a third to two thirds, along the slanted edge: the middle is a half.
    assert_eq!(
        (touch(0, 1), touch(0, 3), touch(1, 1), touch(1, 3), touch(-3, 1)),
        (Some(0), Some(2), Some(2), Some(2), Some(-2))
    );
    // 1 unit beside the half is rounded to its side, at the largest sizes there are.
    let side = |east: f64| polygon(&[&[(east, -80.0), (east, 80.0), (east + 20.0, 0.0)]]);
    let world = |geometry: &Geometry, latitude: f64| {
        crossed_after(geometry, at(-89.0, -latitude), at(90.0, latitude), 299_999)
    };
    // Entering at 0.5, leaving at 109.5 of 179 degrees.
    assert_eq!(world(&side(0.5), 0.0), Some((299_999.0_f64 * (89.5 + 109.5) / 2.0 / 179.0).round() as i64));
    assert!(world(&side(0.5), 90.0).is_some());
}

#[test]
fn circles_and_corridors_by_the_distance() {
    // On the equator degrees of longitude are even: the circle is met from 0.99 to 1.01 of 3 degrees.
    let radius_m = geodesic_m(at(1.0, 0.0), at(1.01, 0.0));
    let circle = Geometry::new(&Shape::Circle { centre: at(1.0, 0.0), radius_m });
    assert_eq!(crossed_after(&circle, at(0.0, 0.0), at(3.0, 0.0), 300_000), Some(100_000));
    let beside = geodesic_m(at(1.0, 0.0), at(1.0, 0.01));
    let touched = |metres: f64| {
        let circle = Geometry::new(&Shape::Circle { centre: at(1.0, 0.0), radius_m: beside + metres });
        crossed_after(&circle, at(0.0, 0.01), at(3.0, 0.01), 300_000)
    };
    assert_eq!((touched(-1e-6), touched(1e-6)), (None, Some(100_000)));
    // Two legs far apart: first one, then the other.
    let points = [(1.0, -0.5), (1.0, 0.5), (2.0, 0.5), (2.0, -0.5)];
    let line = ring_from_degrees(&points, false).unwrap();
    let road = Geometry::new(&Shape::Corridor { line, width_m: 100.0 });
    assert_eq!(crossed_after(&road, at(0.5, 0.0), at(3.0, 0.0), 250_000), Some(100_000));
    assert_eq!(crossed_after(&road, at(1.1, 0.0), at(1.9, 0.0), 250_000), None);
    // Around the round end of a leg, and just not.
    let end = |lat: f64| crossed_after(&road, at(0.5, lat), at(1.5, lat), 1000);
    assert!(end(0.5004).is_some());
    assert_eq!(end(0.5005), None);
}

/// Steps so that each tenth of the way is on the grid, and can be asked exactly.
fn ways() -> impl Strategy<Value = (Coord, (i32, i32))> {
    let place = prop_oneof![Just((1_799_999_000, 0)), Just((33_000_000, 64_000_000)), Just((0, 899_000_000))];
    (place, -30..30_i32, -30..30_i32, -8..8_i32, -8..8_i32).prop_map(|((lon, lat), x, y, dx, dy)| {
        (wrapped(lon + x * 1000, lat + y * 1000), (dx * 1000, dy * 1000))
    })
}

fn wrapped(lon: i32, lat: i32) -> Coord {
    let lon = i64::from(lon);
    let lon = if lon > 1_800_000_000 { lon - 3_600_000_000 } else { lon };
    Coord { lon: lon as i32, lat: lat.min(900_000_000) }
}

/// Shapes of up to 300 m around the places of [`ways`].
fn shapes() -> impl Strategy<Value = Shape> {
    let place = prop_oneof![Just((179.9999, 0.0)), Just((3.3, 6.4)), Just((0.0, 89.9))];
    let offsets = prop::collection::vec((-25..25_i32, -25..25_i32), 3..7);
    (place, offsets, 0..3_u8, 1..30_u8).prop_filter_map("a ring", |((lon, lat), offsets, kind, size)| {
        let degrees = |&(x, y): &(i32, i32)| {
            let lon = lon + f64::from(x) * 1e-4;
            (if lon > 180.0 { lon - 360.0 } else { lon }, lat + f64::from(y) * 1e-4)
        };
        let mut points: Vec<(f64, f64)> = offsets.iter().map(degrees).collect();
        match kind {
            0 => {
                points.push(points[0]);
                Some(Shape::Polygon { parts: vec![vec![ring_from_degrees(&points, true).ok()?]] })
            }
            1 => {
                let line = ring_from_degrees(&points, false).ok()?;
                Some(Shape::Corridor { line, width_m: f64::from(size) * 3.3 })
            }
            _ => Some(Shape::Circle {
                centre: Coord::from_degrees(points[0].0, points[0].1).ok()?,
                radius_m: f64::from(size) * 7.7,
            }),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Asked at each tenth of the way: who is seen inside has crossed, from the first sample inside or before it to
    /// the last one or after it; of a circle, no more than a tenth before or after.
    #[test]
    fn what_samples_see_is_crossed((from, step) in ways(), shape in shapes()) {
        let geometry = Geometry::new(&shape);
        let sample = |i: i32| wrapped(from.lon + step.0 * i, from.lat + step.1 * i);
        let inside: Vec<i64> = (0..=10).filter(|&i| geometry.covers(sample(i))).map(i64::from).collect();
        // The latitude of the pole stops a way short.
        prop_assume!(from.lat + step.1 * 10 <= 900_000_000);
        let crossed = crossed_after(&geometry, sample(0), sample(10), 200_000);
        if let (Some(first), Some(last)) = (inside.first(), inside.last()) {
            let Some(at) = crossed else {
                return Err(TestCaseError::fail(format!("inside at {inside:?}, and not crossed")));
            };
            let further = if matches!(shape, Shape::Circle { .. }) { 1 } else { 10 };
            let (earliest, latest) = ((first - further).max(0), (last + further).min(10));
            let (low, high) = ((earliest + last) * 10_000, (first + latest) * 10_000);
            prop_assert!(low <= at && at <= high, "{inside:?}: {at}");
            if *first == 0 && *last == 10 {
                prop_assert_eq!(at, 100_000);
            }
        }
    }

    /// And nobody has crossed who is nowhere near, by fine steps along the way.
    #[test]
    fn what_is_crossed_is_near((from, step) in ways(), shape in shapes()) {
        let geometry = Geometry::new(&shape);
        prop_assume!(from.lat + step.1 * 10 <= 900_000_000);
        let steps = 200;
        let sample = |i: i32| wrapped(from.lon + step.0 / 20 * i, from.lat + step.1 / 20 * i);
        let crossed = crossed_after(&geometry, sample(0), sample(steps), 200_000);
        let nearest = (0..=steps).map(|i| geometry.distance_m(sample(i))).fold(f64::INFINITY, f64::min);
        let step_m = geodesic_m(sample(0), sample(1));
        match crossed {
            Some(_) => prop_assert!(nearest <= step_m, "crossed, but {nearest} m away"),
            None => prop_assert!(nearest > 0.0),
        }
    }
}
