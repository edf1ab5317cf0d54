//! Where generated fences lie.

use super::lagos::{Form, PLACES};
use super::plane::{Area, Outline, Point};
use super::prng::{Prng, key};
use super::roads::Roads;
use super::shapes::outline;

/// How fences are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// The map's places, then further client sites along its roads.
    Lagos,
    /// Anywhere in a region of about 200 x 200 km, rarely overlapping.
    Scattered,
    /// Along the roads, and so many that driving trucks are always entering or leaving one:
    /// about 0.7 events a position.
    Dense,
}

/// South-west corner and side of the region of [`Layout::Scattered`].
const REGION: (f64, f64) = (2.7, 6.4);
const REGION_SIDE_M: f64 = 200_000.0;
/// Generated sites keep this far from places of the map, metres.
const MAP_DISTANCE_M: f64 = 300.0;
/// Generated sites rather keep this far from each other, metres.
const SITE_DISTANCE_M: f64 = 170.0;
const ATTEMPTS: u32 = 40;

/// The radius of dense fences, metres, and how many of them a road point lies in.
const DENSE_RADIUS_M: f64 = 300.0;
const DENSE_DEPTH: f64 = 0.73;

/// Areas of so many generated fences.
pub(crate) fn generated(layout: Layout, count: u32, fence_key: u64, roads: &Roads) -> Vec<Area> {
    match layout {
        Layout::Lagos => along_roads(count, fence_key, roads),
        Layout::Scattered => scattered(count, fence_key),
        Layout::Dense => dense(count, fence_key, roads),
    }
}

fn along_roads(count: u32, fence_key: u64, roads: &Roads) -> Vec<Area> {
    let length_m = roads.length_m();
    let mut taken = Taken::new();
    let mut areas = Vec::with_capacity(count as usize);
    for number in 0..count {
        let mut prng = Prng::new(key(fence_key, 1_000 + u64::from(number)));
        let (form, size_m) = form_and_size(&mut prng);
        let outline = outline(form, size_m, &mut prng);
        let mut place = |attempt: u32| {
            let spread_m = 3_000.0 * (1.0 + f64::from(attempt) / 3.0);
            let off_m = (prng.unit() + prng.unit() - 1.0) * spread_m;
            Area::new(roads.beside(prng.between(0.0, length_m), off_m), outline.clone())
        };
        let mut best = place(0);
        for attempt in 1..ATTEMPTS {
            if taken.is_free(&best) {
                break;
            }
            let next = place(attempt);
            // A site that overlaps another site will do where there is no room, but not one on the map.
            if Taken::is_off_the_map(&next) {
                best = next;
            }
        }
        taken.add(&best);
        areas.push(best);
    }
    areas
}

fn form_and_size(prng: &mut Prng) -> (Form, f64) {
    match prng.below(0, 100) {
        0..50 => (Form::Circle, prng.between(110.0, 260.0)),
        50..75 => (Form::Yard, prng.between(145.0, 280.0)),
        75..92 => (Form::Site, prng.between(140.0, 300.0)),
        92..97 => (Form::Holed, prng.between(400.0, 560.0)),
        _ => (Form::Split, prng.between(340.0, 480.0)),
    }
}

fn scattered(count: u32, fence_key: u64) -> Vec<Area> {
    let cells_a_side = f64::from(count).sqrt().ceil().max(1.0) as u32;
    let cell_m = REGION_SIDE_M / f64::from(cells_a_side);
    let corner = Point::from_degrees(REGION.0, REGION.1);
    let largest_m = (cell_m * 0.3).min(300.0);
    (0..count)
        .map(|number| {
            let mut prng = Prng::new(key(fence_key, u64::from(number)));
            let size_m = largest_m * prng.between(0.5, 1.0);
            let form = match prng.below(0, 10) {
                0..5 => Form::Circle,
                5..7 => Form::Yard,
                _ => Form::Site,
            };
            let outline = outline(form, size_m.max(1.0), &mut prng);
            let room_m = cell_m / 2.0 - size_m;
            let (column, row) = (f64::from(number % cells_a_side), f64::from(number / cells_a_side));
            let centre = corner.moved(
                (column + 0.5) * cell_m + room_m * prng.between(-1.0, 1.0),
                (row + 0.5) * cell_m + room_m * prng.between(-1.0, 1.0),
            );
            Area::new(centre, outline)
        })
        .collect()
}

fn dense(count: u32, fence_key: u64, roads: &Roads) -> Vec<Area> {
    let length_m = roads.length_m();
    // A band around the roads that is so wide that each of its points lies in DENSE_DEPTH fences.
    let area_of_all = f64::from(count) * std::f64::consts::PI * DENSE_RADIUS_M * DENSE_RADIUS_M;
    let half_width_m = area_of_all / (DENSE_DEPTH * 2.0 * length_m);
    (0..count)
        .map(|number| {
            let mut prng = Prng::new(key(fence_key, u64::from(number)));
            let off_m = prng.between(-1.0, 1.0) * half_width_m;
            let centre = roads.beside(prng.between(0.0, length_m), off_m);
            Area::new(centre, Outline::Circle((DENSE_RADIUS_M * prng.between(0.8, 1.2)).round()))
        })
        .collect()
}

/// The sites so far, on a coarse grid.
struct Taken {
    cells: Vec<Vec<(Point, f64)>>,
}

const TAKEN_CELL_M: f64 = 2_000.0;
const TAKEN_CELLS_A_SIDE: i64 = 200;

impl Taken {
    fn new() -> Taken {
        Taken { cells: vec![Vec::new(); (TAKEN_CELLS_A_SIDE * TAKEN_CELLS_A_SIDE) as usize] }
    }

    fn cell(point: Point) -> (i64, i64) {
        let along = |metres: f64| {
            ((metres / TAKEN_CELL_M).floor() as i64 + TAKEN_CELLS_A_SIDE / 2).clamp(1, TAKEN_CELLS_A_SIDE - 2)
        };
        (along(point.x_m), along(point.y_m))
    }

    fn add(&mut self, area: &Area) {
        let (column, row) = Taken::cell(area.centre);
        self.cells[(row * TAKEN_CELLS_A_SIDE + column) as usize].push((area.centre, area.reach_m));
    }

    fn is_free(&self, area: &Area) -> bool {
        let (column, row) = Taken::cell(area.centre);
        let is_apart = |&(centre, reach_m): &(Point, f64)| {
            area.centre.distance_m(centre) > area.reach_m + reach_m + SITE_DISTANCE_M
        };
        Taken::is_off_the_map(area)
            && (row - 1..=row + 1).all(|row| {
                (column - 1..=column + 1).all(|column| {
                    self.cells[(row * TAKEN_CELLS_A_SIDE + column) as usize].iter().all(is_apart)
                })
            })
    }

    fn is_off_the_map(area: &Area) -> bool {
        PLACES.iter().all(|place| {
            let centre = Point::from_degrees(place.lon, place.lat);
            area.centre.distance_m(centre) > area.reach_m + 1.3 * place.size_m + MAP_DISTANCE_M
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scattered_fences_rarely_overlap() {
        let roads = Roads::new();
        for count in [100, 10_000] {
            let areas = generated(Layout::Scattered, count, 5, &roads);
            let overlapping = areas
                .windows(2)
                .filter(|pair| pair[0].centre.distance_m(pair[1].centre) < pair[0].reach_m + pair[1].reach_m)
                .count();
            assert!(overlapping * 100 <= count as usize, "{overlapping} of {count}");
        }
    }

    #[test]
    fn sites_along_roads_stay_off_the_map() {
        let areas = generated(Layout::Lagos, 2_000, 5, &Roads::new());
        assert!(areas.iter().all(Taken::is_off_the_map));
        assert_eq!(areas.len(), 2_000);
    }
}
