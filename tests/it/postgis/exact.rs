//! Who is right, where two disagree: positions and areas by the definition, in whole numbers, edge by edge.

use model::Coord;

use super::shapes::Area;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Inside,
    Boundary,
    Outside,
}

/// Where a position is. A part is its first ring without the interiors of its holes; parts are united. In the
/// united area the boundary of one part may be within another: inside is what counts.
pub fn place(area: &Area, at: Coord) -> Place {
    let at = (i128::from(at.lon), i128::from(at.lat));
    let mut place = Place::Outside;
    for rings in &area.parts {
        let mut crossings = 0;
        let mut on_edge = false;
        for pair in rings.iter().flat_map(|ring| ring.vertices.windows(2)) {
            let [from, to] = [pair[0], pair[1]].map(|(lon, lat)| (i128::from(lon), i128::from(lat)));
            on_edge |= is_on(at, from, to);
            crossings += usize::from(is_left_of(at, from, to));
        }
        match (on_edge, crossings % 2 == 1) {
            (true, _) if place == Place::Outside => place = Place::Boundary,
            (false, true) => place = Place::Inside,
            _ => {}
        }
    }
    place
}

type Point = (i128, i128);

fn is_on(at: Point, from: Point, to: Point) -> bool {
    cross(at, from, to) == 0
        && (from.0.min(to.0)..=from.0.max(to.0)).contains(&at.0)
        && (from.1.min(to.1)..=from.1.max(to.1)).contains(&at.1)
}

/// Whether the ray from the position to the east meets the edge; of its ends the northern one does not count.
fn is_left_of(at: Point, from: Point, to: Point) -> bool {
    let (south, north) = if from.1 <= to.1 { (from, to) } else { (to, from) };
    south.1 <= at.1 && at.1 < north.1 && cross(at, south, north) > 0
}

/// Twice the area of the triangle, positive where `at` is to the left of the way.
fn cross(at: Point, from: Point, to: Point) -> i128 {
    (to.0 - from.0) * (at.1 - from.1) - (at.0 - from.0) * (to.1 - from.1)
}

/// How far the position is from the nearest edge of those whose latitudes it shares, in units; what can be
/// told from it is only whether that is far less than a unit.
pub fn units_to_nearest_edge(area: &Area, at: Coord) -> f64 {
    let at = (i128::from(at.lon), i128::from(at.lat));
    let distances = area.edges().filter_map(|(from, to)| {
        let [from, to] = [from, to].map(|(lon, lat)| (i128::from(lon), i128::from(lat)));
        let (low, high) = (from.1.min(to.1), from.1.max(to.1));
        let length = ((to.0 - from.0) as f64).hypot((to.1 - from.1) as f64);
        ((low..=high).contains(&at.1) && length > 0.0)
            .then(|| cross(at, from, to).unsigned_abs() as f64 / length)
    });
    distances.fold(f64::INFINITY, f64::min)
}
