use model::{Coord, Shape, geodesic_m, ring_from_degrees};

use super::*;

fn at(lon: f64, lat: f64) -> Coord {
    Coord::from_degrees(lon, lat).unwrap()
}

/// A polygon of one part from rings in degrees; rings are closed here.
fn polygon(rings: &[&[Point]]) -> Geometry {
    let close = |ring: &&[Point]| {
        let mut ring = ring.to_vec();
        ring.push(ring[0]);
        ring_from_degrees(&ring, true).unwrap()
    };
    Geometry::new(&Shape::Polygon { parts: vec![rings.iter().map(close).collect()] })
}

fn square(low: f64, high: f64) -> [Point; 4] {
    [(low, low), (high, low), (high, high), (low, high)]
}

#[test]
fn boundary_is_inside_to_the_last_unit() {
    let fence = polygon(&[&[(1.0, 1.0), (2.0, 1.0), (2.0, 2.0), (1.0, 2.0)]]);
    for (lon, lat) in [(1.0, 1.0), (1.5, 1.0), (2.0, 1.3), (2.0, 2.0), (1.0, 1.7)] {
        assert!(fence.covers(at(lon, lat)), "{lon},{lat}");
    }
    let unit = 1e-7;
    for (lon, lat) in [(1.0 - unit, 1.5), (2.0 + unit, 1.5), (1.5, 1.0 - unit), (1.5, 2.0 + unit)] {
        assert!(!fence.covers(at(lon, lat)), "{lon},{lat}");
    }
    // A slanted edge from (0,0) to (3,1): only positions that are exactly on it, or below, are inside.
    let slanted = polygon(&[&[(10.0, 10.0), (13.0, 10.0), (13.0, 11.0)]]);
    assert!(slanted.covers(at(11.5, 10.5)));
    assert!(!slanted.covers(at(11.5, 10.500_000_1)));
    assert!(!slanted.covers(at(11.499_999_9, 10.5)));
    assert!(slanted.covers(at(11.500_000_1, 10.5)));
}

#[test]
fn a_ray_through_vertices_counts_them_once() {
    // A zigzag with vertices at the latitude of the tested positions, and a flat edge there too.
    let zigzag = polygon(&[&[
        (10.0, 10.0),
        (16.0, 10.0),
        (16.0, 12.0),
        (15.0, 11.0),
        (14.0, 12.0),
        (13.0, 11.0),
        (12.0, 11.0),
        (11.0, 12.0),
        (10.0, 11.0),
    ]]);
    for (lon, inside) in [(9.0, false), (10.0, true), (10.5, true), (12.5, true), (15.5, true), (16.5, false)]
    {
        assert_eq!(zigzag.covers(at(lon, 11.0)), inside, "{lon}");
    }
    let diamond = polygon(&[&[(10.0, 10.0), (11.0, 9.0), (12.0, 10.0), (11.0, 11.0)]]);
    for (lon, inside) in [(9.0, false), (10.5, true), (11.0, true), (12.5, false)] {
        assert_eq!(diamond.covers(at(lon, 10.0)), inside, "{lon}");
    }
    assert!(!zigzag.covers(at(12.5, 11.000_000_1)));
    assert!(zigzag.covers(at(11.0, 12.0)) && !zigzag.covers(at(10.5, 12.0)));
}

#[test]
fn holes_are_outside_and_their_border_is_inside() {
    let ring = polygon(&[&square(10.0, 20.0), &square(14.0, 16.0)]);
    assert!(ring.covers(at(12.0, 15.0)));
    assert!(!ring.covers(at(15.0, 15.0)));
    assert!(ring.covers(at(14.0, 15.0)) && ring.covers(at(16.0, 16.0)));
    // In the hole the border of the hole is the nearest point.
    let nearest = geodesic_m(at(15.999, 15.0), at(16.0, 15.0));
    assert!((ring.distance_m(at(15.999, 15.0)) - nearest).abs() < 1e-3);
    // Winding does not matter.
    let mut turned = square(14.0, 16.0);
    turned.reverse();
    assert!(!polygon(&[&square(10.0, 20.0), &turned]).covers(at(15.0, 15.0)));
}

#[test]
fn parts_are_united_and_a_bow_tie_is_even_odd() {
    let part = |low: f64, high: f64| {
        let mut ring = square(low, high).to_vec();
        ring.push(ring[0]);
        vec![ring_from_degrees(&ring, true).unwrap()]
    };
    let parts = Geometry::new(&Shape::Polygon { parts: vec![part(10.0, 20.0), part(15.0, 30.0)] });
    assert!(parts.covers(at(17.0, 17.0)) && parts.covers(at(25.0, 25.0)) && !parts.covers(at(12.0, 25.0)));
    let bow_tie = polygon(&[&[(10.0, 10.0), (12.0, 12.0), (12.0, 10.0), (10.0, 12.0)]]);
    assert!(
        bow_tie.covers(at(10.2, 11.0)) && bow_tie.covers(at(11.8, 11.0)) && bow_tie.covers(at(11.0, 11.0))
    );
    assert!(!bow_tie.covers(at(11.0, 11.5)));
    // A pentagram: its middle is wound twice, so it is outside.
    let star = polygon(&[&[(10.0, 13.0), (11.8, 7.5), (7.1, 10.9), (12.9, 10.9), (8.2, 7.5)]]);
    assert!(!star.covers(at(10.0, 10.0)) && star.covers(at(10.0, 12.0)));
}

#[test]
fn a_fence_may_cross_the_antimeridian() {
    let fence = polygon(&[&[(179.0, -1.0), (-179.0, -1.0), (-179.0, 1.0), (179.0, 1.0)]]);
    for lon in [179.5, 180.0, -180.0, -179.5, 179.0, -179.0] {
        assert!(fence.covers(at(lon, 0.5)), "{lon}");
    }
    assert!(
        !fence.covers(at(0.5, 0.5)) && !fence.covers(at(178.999, 0.5)) && !fence.covers(at(-178.999, 0.5))
    );
    // A hundredth of a degree at the equator is 1113.19 m, to either side.
    assert!((fence.distance_m(at(-178.99, 0.0)) - 1113.195).abs() < 0.01);
    assert!((fence.distance_m(at(178.99, 0.0)) - 1113.195).abs() < 0.01);
    // Up to the antimeridian only: 180 and -180 are the same place.
    let west = polygon(&[&[(-180.0, -1.0), (-179.0, -1.0), (-179.0, 1.0), (-180.0, 1.0)]]);
    assert!(west.covers(at(180.0, 0.0)) && west.covers(at(-180.0, 0.0)));
    assert!(!west.covers(at(179.999, 0.0)) && (west.distance_m(at(179.99, 0.0)) - 1113.195).abs() < 0.01);
    // A hole whose ring begins on the other side of the antimeridian than the outer one.
    let holed = polygon(&[
        &[(179.0, -1.0), (-179.0, -1.0), (-179.0, 1.0), (179.0, 1.0)],
        &[(-179.5, 0.0), (-179.5, 0.5), (179.5, 0.5), (179.5, 0.0)],
    ]);
    assert!(
        !holed.covers(at(180.0, 0.25)) && !holed.covers(at(-179.75, 0.25)) && holed.covers(at(179.25, 0.25))
    );
    let to_south = geodesic_m(at(180.0, 0.001), at(180.0, 0.0));
    assert!((holed.distance_m(at(180.0, 0.001)) - to_south).abs() < 1e-3);
}

#[test]
fn circles_are_geodesic_to_a_millimetre() {
    for (centre, position) in [
        (at(3.3, 6.4), at(3.3012, 6.4021)),
        (at(24.0, 60.0), at(24.7, 60.4)),
        (at(179.999, -17.0), at(-179.99, -17.01)),
        (at(0.0, 89.99), at(180.0, 89.99)),
    ] {
        let exactly = geodesic_m(centre, position);
        let circle = |radius_m: f64| Geometry::new(&Shape::Circle { centre, radius_m });
        assert!(circle(exactly).covers(position));
        assert!(circle(exactly + 0.001).covers(position));
        assert!(!circle(exactly - 0.001).covers(position));
        assert!(circle(exactly - 30.0).is_farther_than(position, 29.999));
        assert!(!circle(exactly - 30.0).is_farther_than(position, 30.001));
    }
}

#[test]
fn corridors_have_round_ends() {
    let line = ring_from_degrees(&[(3.30, 6.40), (3.31, 6.40), (3.31, 6.41)], false).unwrap();
    let corridor = Geometry::new(&Shape::Corridor { line, width_m: 100.0 });
    // Beyond the end, beside the first leg, at the bend.
    for (from, position) in [
        (at(3.30, 6.40), at(3.2997, 6.3997)),
        (at(3.305, 6.40), at(3.305, 6.4004)),
        (at(3.31, 6.40), at(3.3103, 6.3997)),
    ] {
        let distance = geodesic_m(from, position);
        assert!((40.0..50.0).contains(&distance), "{distance}");
        assert!(corridor.covers(position));
    }
    assert!(!corridor.covers(at(3.2996, 6.3997)));
    let outside = at(3.305, 6.4006);
    let expected = geodesic_m(at(3.305, 6.40), outside) - 50.0;
    assert!((corridor.distance_m(outside) - expected).abs() < 1e-3);
    assert!(corridor.is_farther_than(outside, expected - 0.01));
    assert!(!corridor.is_farther_than(outside, expected + 0.01));
    let over = ring_from_degrees(&[(179.99, 10.0), (-179.99, 10.0)], false).unwrap();
    let over = Geometry::new(&Shape::Corridor { line: over, width_m: 100.0 });
    assert!(
        over.covers(at(180.0, 10.0004)) && over.covers(at(-179.995, 10.0)) && !over.covers(at(179.0, 10.0))
    );
}

#[test]
fn buffer_0_is_the_plain_geometry() {
    let fence = polygon(&[&[(10.0, 10.0), (13.0, 10.0), (13.0, 11.0)]]);
    let by_a_hair = at(11.5, 10.500_000_1);
    assert!(fence.distance_m(by_a_hair) < 0.02);
    assert!(fence.is_farther_than(by_a_hair, 0.0));
    assert!(!fence.is_farther_than(by_a_hair, 1.0));
    assert!(!fence.is_farther_than(at(11.5, 10.5), 0.0));
    // Three nanometres off a slanted edge.
    let fence = polygon(&[&[(10.0, 10.0), (10.300_000_1, 10.0), (10.300_000_1, 10.1)]]);
    assert!(fence.is_farther_than(at(10.000_000_3, 10.000_000_1), 0.0));
}

/// Pseudo-random numbers in [0, 1), the same in every run.
fn numbers(mut state: u64) -> impl FnMut() -> f64 {
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[test]
fn the_nearest_point_of_an_edge_is_found() {
    let mut next = numbers(7);
    for round in 0..300 {
        let (lon, lat) = (next() * 360.0 - 180.0, next() * 176.0 - 88.0);
        // From metres to several hundred kilometres.
        let reach = 10_f64.powf(-4.0 + 5.0 * next());
        let mut near = || (lon + (next() - 0.5) * reach, (lat + (next() - 0.5) * reach).clamp(-90.0, 90.0));
        let (a, b, position) = (near(), near(), (lon, lat));
        let found = distance_to_edge_m(position, (a, b));
        // Two passes of a plain scan: 2,000 points, and 2,000 more about the best of them.
        let distance = |t: f64| geodesic_degrees_m(position, (a.0 + (b.0 - a.0) * t, a.1 + (b.1 - a.1) * t));
        let scan = |from: f64, to: f64| {
            (0..=2000)
                .map(|i| (from + (to - from) * f64::from(i) / 2000.0).clamp(0.0, 1.0))
                .map(|t| (distance(t), t))
                .fold((f64::INFINITY, 0.0), |best, this| if this.0 < best.0 { this } else { best })
        };
        let (_, about) = scan(0.0, 1.0);
        let (expected, _) = scan(about - 0.0005, about + 0.0005);
        assert!(
            (found - expected).abs() < 0.01,
            "round {round}: {found} instead of {expected} from {position:?} to {a:?} {b:?}"
        );
    }
}

#[test]
fn bounds_never_hide_what_is_near() {
    let mut next = numbers(11);
    for _ in 0..2000 {
        let centre = at(next() * 360.0 - 180.0, next() * 179.8 - 89.9);
        let metres = 10_f64.powf(next() * 6.0);
        let bounds = Bounds::of(&[degrees(centre)]).grown(metres);
        let step = metres / 110_000.0;
        let position = at(
            (centre.lon_degrees() + (next() - 0.5) * 4.0 * step).clamp(-180.0, 180.0),
            (centre.lat_degrees() + (next() - 0.5) * 2.0 * step).clamp(-90.0, 90.0),
        );
        if geodesic_m(centre, position) <= metres {
            assert!(bounds.contain(degrees(position)), "{centre:?} {position:?} {metres}");
        }
    }
}

#[test]
fn what_a_hole_cuts_away_is_not_near() {
    // The hole reaches out of the fence to the east: the fence is what is left, a C open to the east.
    let fence = polygon(&[
        &[(3.30, 6.40), (3.31, 6.40), (3.31, 6.41), (3.30, 6.41)],
        &[(3.305, 6.404), (3.32, 6.404), (3.32, 6.406), (3.305, 6.406)],
    ]);
    assert!(!fence.covers(at(3.308, 6.405)) && fence.covers(at(3.308, 6.404)));
    // Beside the hole's far edge at 3.32, and in the gap of the outer edge: the nearest point of the fence
    // is a corner at 3.31.
    let gap = at(3.3101, 6.405);
    for position in [at(3.3201, 6.4049), gap] {
        let corner = geodesic_m(position, at(3.31, 6.404)).min(geodesic_m(position, at(3.31, 6.406)));
        assert!((fence.distance_m(position) - corner).abs() < 1e-3, "{}", fence.distance_m(position));
    }
    // A hole along the outer edge: the shared piece belongs to the fence, since borders do.
    let notched = polygon(&[
        &[(3.30, 6.40), (3.31, 6.40), (3.31, 6.41), (3.30, 6.41)],
        &[(3.305, 6.404), (3.31, 6.404), (3.31, 6.406), (3.305, 6.406)],
    ]);
    assert!(notched.covers(at(3.31, 6.405)) && !notched.covers(at(3.309, 6.405)));
    let beside = geodesic_m(gap, at(3.31, 6.405));
    assert!((notched.distance_m(gap) - beside).abs() < 1e-3);
}
