//! [`PreparedShape`] against brute force, and what it claims of rectangles against sampled positions.

use model::{Coord, Ring, Shape, geodesic_m, ring_from_degrees};
use proptest::prelude::*;

use super::{Aim, aims, brute, circles, coord, corridors, marks, polygons, shapes};
use crate::spatial::rect::Rect;
use crate::spatial::{Overlap, PreparedShape};

/// By how much a distance may be misjudged: 1 cm up to 1 km, and in proportion beyond. That of a corridor is
/// the distance to its line.
fn tolerance_m(shape: &Shape, metres: f64) -> f64 {
    let within_m = if let Shape::Corridor { width_m, .. } = shape { width_m / 2.0 } else { 0.0 };
    0.01 * ((metres.abs() + within_m) / 1_000.0).max(1.0)
}

fn square(west: f64, south: f64, east: f64, north: f64) -> Ring {
    let corners = [(west, south), (east, south), (east, north), (west, north), (west, south)];
    ring_from_degrees(&corners, true).unwrap()
}

fn polygon(rings: Vec<Ring>) -> PreparedShape {
    PreparedShape::new(&Shape::Polygon { parts: vec![rings] })
}

fn at(lon: f64, lat: f64) -> Coord {
    Coord::from_degrees(lon, lat).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn a_polygon_covers_what_its_winding_says(shape in polygons(), aims in aims(40)) {
        let Shape::Polygon { parts } = &shape else { unreachable!() };
        let (prepared, marks) = (PreparedShape::new(&shape), marks(&shape));
        for position in aims.iter().map(|aim| aim.at(&marks)) {
            prop_assert_eq!(prepared.covers(position), brute::polygon_covers(parts, position), "{:?}", position);
        }
    }

    #[test]
    fn a_circle_covers_what_the_geodesic_says(shape in circles(), aims in aims(40), buffer_m in 0.0..500.0) {
        let Shape::Circle { centre, radius_m } = shape else { unreachable!() };
        let (prepared, marks) = (PreparedShape::new(&shape), marks(&shape));
        for position in aims.iter().map(|aim| aim.at(&marks)) {
            let metres = geodesic_m(centre, position);
            prop_assert_eq!(prepared.covers(position), metres <= radius_m, "{:?}", position);
            prop_assert_eq!(prepared.covers_or_within(position, buffer_m), metres <= radius_m + buffer_m);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn distances_are_those_of_dense_samples(
        shape in prop_oneof![polygons().boxed(), corridors().boxed()],
        aims in aims(6),
        factor in prop_oneof![Just(0.999), Just(1.001), 0.2..2.0_f64],
    ) {
        let (prepared, marks) = (PreparedShape::new(&shape), marks(&shape));
        for position in aims.iter().map(|aim| aim.at(&marks)) {
            let metres = brute::distance_m(&shape, position);
            if metres.abs() > tolerance_m(&shape, metres) {
                prop_assert_eq!(prepared.covers(position), metres <= 0.0, "{:?}, {} m away", position, metres);
            }
            // A buffer just short of the distance, just beyond it, or about as large.
            let buffer_m = (metres * factor).clamp(0.0, 2_000_000.0);
            if (metres - buffer_m).abs() > tolerance_m(&shape, metres) {
                prop_assert_eq!(
                    prepared.covers_or_within(position, buffer_m), metres <= buffer_m,
                    "{:?}, {} m away, buffer {} m", position, metres, buffer_m,
                );
            }
        }
    }
}

/// A rectangle with a corner at an aimed position, cut like the cells of the cover or freely, and a smaller
/// one within it.
fn rects(aim: &Aim, marks: &[(i64, i64)], bits: (u32, u32)) -> (Rect, Rect) {
    let position = aim.at(marks);
    let aligned = |bits: u32| {
        let floor = |units: i32| (i64::from(units) >> bits) << bits;
        let (lon, lat, side) = (floor(position.lon), floor(position.lat), (1_i64 << bits) - 1);
        Rect { min_lon: lon, max_lon: lon + side, min_lat: lat, max_lat: lat + side }
    };
    (aligned(bits.0 + bits.1), aligned(bits.0))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn what_is_claimed_of_a_rectangle_holds_at_its_positions(
        shape in shapes(), aims in aims(6), bits in (0_u32..18, 0_u32..10), shares in prop::collection::vec((0.0..1.0, 0.0..1.0), 12),
    ) {
        let (prepared, marks) = (PreparedShape::new(&shape), marks(&shape));
        for aim in &aims {
            let (outer, inner) = rects(aim, &marks, bits);
            let edges = prepared.edges_meeting(&outer);
            for rect in [outer, inner] {
                let expected = match prepared.overlap(&rect.place_within(rect.widest_metres_per_unit()), &edges) {
                    Overlap::Mixed => continue,
                    Overlap::Inside => true,
                    Overlap::Outside => false,
                };
                let corners = [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)];
                for (east, north) in corners.into_iter().chain(shares.iter().copied()) {
                    let lon = rect.min_lon + (east * (rect.max_lon - rect.min_lon) as f64) as i64;
                    let lat = rect.min_lat + (north * (rect.max_lat - rect.min_lat) as f64) as i64;
                    let position = coord(lon, lat);
                    prop_assert_eq!(prepared.covers(position), expected, "{:?} of {:?}", position, rect);
                }
            }
        }
    }

    #[test]
    fn bounds_hold_the_shape(shape in shapes(), aims in aims(30)) {
        let (prepared, marks) = (PreparedShape::new(&shape), marks(&shape));
        for position in aims.iter().map(|aim| aim.at(&marks)).filter(|position| prepared.covers(*position)) {
            let (lon, lat) = (i64::from(position.lon), i64::from(position.lat));
            let own = Rect { min_lon: lon, max_lon: lon, min_lat: lat, max_lat: lat };
            prop_assert!(prepared.bounds().iter().any(|bounds| bounds.meets(&own)), "{:?}", position);
        }
    }
}

#[test]
fn the_boundary_of_a_hole_belongs_to_the_fence() {
    let shape = polygon(vec![square(3.0, 6.0, 4.0, 7.0), square(3.4, 6.4, 3.6, 6.6)]);
    assert!(shape.covers(at(3.0, 6.0)) && shape.covers(at(3.4, 6.5)) && shape.covers(at(3.6, 6.6)));
    assert!(!shape.covers(at(3.5, 6.5)) && !shape.covers(at(3.4000001, 6.5)));
    assert!(shape.covers(at(3.3999999, 6.5)) && !shape.covers(at(4.0000001, 6.5)));
}

#[test]
fn a_horizontal_edge_through_the_position_counts_once() {
    // Steps whose horizontal edges and vertices lie on the scan line of the positions asked for.
    let steps =
        [(0.0, 0.0), (6.0, 0.0), (6.0, 2.0), (4.0, 2.0), (4.0, 1.0), (2.0, 1.0), (2.0, 2.0), (0.0, 2.0)];
    let closed: Vec<(f64, f64)> = steps.iter().copied().chain([steps[0]]).collect();
    let shape = polygon(vec![ring_from_degrees(&closed, true).unwrap()]);
    for lon in [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0] {
        assert!(shape.covers(at(lon, 1.0)), "longitude {lon}");
    }
    for (lon, lat) in [(-1.0, 1.0), (7.0, 1.0), (3.0, 1.5), (3.0, 2.0), (-1.0, 2.0), (-1.0, 0.0), (7.0, 0.0)]
    {
        assert!(!shape.covers(at(lon, lat)), "{lon}, {lat}");
    }
    assert!(shape.covers(at(1.0, 2.0)) && shape.covers(at(3.0, 0.0)));
}

#[test]
fn a_hemisphere_is_a_fence() {
    let corners = [-90.0, -30.0, 30.0, 90.0].map(|lon| (lon, -80.0));
    let back = [90.0, 30.0, -30.0, -90.0].map(|lon| (lon, 80.0));
    let closed: Vec<(f64, f64)> = corners.into_iter().chain(back).chain([corners[0]]).collect();
    let shape = polygon(vec![ring_from_degrees(&closed, true).unwrap()]);
    for (lon, lat, inside) in [
        (0.0, 0.0, true),
        (90.0, 0.0, true),
        (90.0000001, 0.0, false),
        (180.0, 0.0, false),
        (0.0, 80.0, true),
    ] {
        assert_eq!(shape.covers(at(lon, lat)), inside, "{lon}, {lat}");
    }
}

#[test]
fn the_antimeridian_is_no_border() {
    let shape = polygon(vec![square(179.0, -1.0, -179.0, 1.0)]);
    for lon in [179.0, 179.5, 180.0, -180.0, -179.5, -179.0] {
        assert!(shape.covers(at(lon, 0.0)), "longitude {lon}");
    }
    for lon in [178.9, -178.9, 0.0] {
        assert!(!shape.covers(at(lon, 0.0)), "longitude {lon}");
    }
    // 1e-4 degrees of longitude are about 11 m at the equator.
    assert!(shape.covers_or_within(at(-178.9999, 0.0), 12.0));
    assert!(!shape.covers_or_within(at(-178.9999, 0.0), 11.0));
}

#[test]
fn a_corridor_over_a_pole_has_no_gap() {
    for pole in [90.0, -90.0_f64] {
        let line = ring_from_degrees(&[(10.0, pole * 0.99), (10.0, pole)], false).unwrap();
        let shape = PreparedShape::new(&Shape::Corridor { line, width_m: 20_000.0 });
        // 0.05 degrees of latitude are 5.6 km.
        for (lon, lat, inside) in
            [(10.0, 0.0, true), (-170.0, 0.05, true), (100.0, 0.05, true), (-170.0, 0.1, false)]
        {
            assert_eq!(shape.covers(at(lon, pole - lat * pole.signum())), inside, "{lon}, {lat} from {pole}");
        }
    }
}
