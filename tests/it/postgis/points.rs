//! The positions that shapes are asked about: where answers are most likely to be wrong, and elsewhere.

use bench::simulate::prng::Prng;
use model::{Coord, Ring};

use super::shapes::Area;

/// Of latitude, nearly.
const METRES_PER_UNIT: f64 = 0.011_1;
const TURN: i64 = 3_600_000_000;

/// On vertices, on edges, as near to edges as can be, a unit beside them, a centimetre to kilometres away,
/// within the box around the area and those around its holes: about 350.
pub fn about_area(area: &Area, random: &mut Prng) -> Vec<Coord> {
    let edges: Vec<_> = area.edges().collect();
    let mut found = Vec::new();
    for _ in 0..30 {
        found.push(pick(&edges, random).0);
    }
    for _ in 0..50 {
        found.push(on_edge(pick(&edges, random), random));
    }
    for _ in 0..40 {
        found.extend(least_beside(pick(&edges, random), random));
    }
    for _ in 0..60 {
        let (lon, lat) = *pick(&found, random);
        let step = |random: &mut Prng| i64::from(random.below(0, 3)) - 1;
        found.push((lon + step(random), lat + step(random)));
    }
    for _ in 0..100 {
        let middle = on_edge(pick(&edges, random), random);
        found.push(beside(middle, log_between(0.01, 5_000.0, random), random));
    }
    for rings in &area.parts {
        let parts = area.parts.len() as u32;
        found.extend((0..60 / parts).map(|_| in_box_of(&rings[0], random)));
        for hole in &rings[1..] {
            found.extend((0..20).map(|_| in_box_of(hole, random)));
        }
    }
    found.into_iter().filter_map(wrapped).collect()
}

/// A position on the globe, unless it is beyond a pole.
pub fn wrapped((lon, lat): (i64, i64)) -> Option<Coord> {
    let lon = (lon + TURN / 2).rem_euclid(TURN) - TURN / 2;
    let coord = Coord { lon: i32::try_from(lon).ok()?, lat: i32::try_from(lat).ok()? };
    (coord.lat.abs() <= 900_000_000).then_some(coord)
}

/// Evenly by magnitude.
pub fn log_between(least: f64, most: f64, random: &mut Prng) -> f64 {
    random.between(least.ln(), most.ln()).exp()
}

/// A position about so many metres away, in any direction.
pub fn beside((lon, lat): (i64, i64), metres: f64, random: &mut Prng) -> (i64, i64) {
    let angle = random.between(0.0, std::f64::consts::TAU);
    let shrink = (lat as f64 / 1e7).to_radians().cos().max(1e-6);
    let units = metres / METRES_PER_UNIT;
    let east = (units * angle.cos() / shrink).clamp(-1.7e9, 1.7e9);
    (lon + east.round() as i64, lat + (units * angle.sin()).round() as i64)
}

/// A vertex of a line, or a position on it, within half a unit.
pub fn on_line(line: &Ring, random: &mut Prng) -> (i64, i64) {
    let legs: Vec<_> = line.vertices.windows(2).map(|pair| (pair[0], pair[1])).collect();
    on_edge(pick(&legs, random), random)
}

/// A position on the edge where one of the grid is, else the nearest of the grid to any.
fn on_edge(&(from, to): &((i64, i64), (i64, i64)), random: &mut Prng) -> (i64, i64) {
    let (lon_step, lat_step) = (to.0 - from.0, to.1 - from.1);
    let divisor = greatest_common_divisor(lon_step.unsigned_abs(), lat_step.unsigned_abs());
    if divisor > 1 {
        let share = (random.unit() * (divisor + 1) as f64) as i64;
        let divisor = divisor as i64;
        return (from.0 + lon_step / divisor * share, from.1 + lat_step / divisor * share);
    }
    let share = random.unit();
    let at = |from: i64, step: i64| from + (share * step as f64).round() as i64;
    (at(from.0, lon_step), at(from.1, lat_step))
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// Of the positions that are not on the edge, one that is nearest to it, on either side: for an edge of 10 km
/// a millionth of a unit away.
fn least_beside(&(from, to): &((i64, i64), (i64, i64)), random: &mut Prng) -> Option<(i64, i64)> {
    let (lon_step, lat_step) = (to.0 - from.0, to.1 - from.1);
    // lon_step * y - lat_step * x = the divisor: no product that is not zero is smaller.
    let (divisor, y, x) = bezout(lon_step, -lat_step);
    if divisor == 0 {
        return None;
    }
    // As good, and on the way, are the positions that are whole steps of the edge's lattice further on.
    let (lon_step, lat_step) = (lon_step / divisor, lat_step / divisor);
    let along = (x * lon_step + y * lat_step).div_euclid(lon_step.pow(2) + lat_step.pow(2));
    let on_the_way = (x - along * lon_step, y - along * lat_step);
    let is_left = random.chance(0.5);
    Some(if is_left {
        (from.0 + on_the_way.0, from.1 + on_the_way.1)
    } else {
        (to.0 - on_the_way.0, to.1 - on_the_way.1)
    })
}

/// The greatest common divisor of two numbers, or its opposite, and what to multiply them with to get it.
fn bezout(a: i64, b: i64) -> (i64, i64, i64) {
    if b == 0 {
        return (a, 1, 0);
    }
    let (divisor, x, y) = bezout(b, a % b);
    (divisor, y, x - a / b * y)
}

fn in_box_of(ring: &Ring, random: &mut Prng) -> (i64, i64) {
    let mut between = |values: Vec<i64>| {
        let (least, most) = (values.iter().min().copied(), values.iter().max().copied());
        let (least, most) = (least.expect("a vertex") as f64, most.expect("a vertex") as f64);
        let rim = 0.05 * (most - least);
        random.between(least - rim, most + rim).round() as i64
    };
    let lon = between(ring.vertices.iter().map(|vertex| vertex.0).collect());
    (lon, between(ring.vertices.iter().map(|vertex| vertex.1).collect()))
}

fn pick<'a, T>(from: &'a [T], random: &mut Prng) -> &'a T {
    &from[random.below(0, from.len() as u32) as usize]
}

/// Two positions a unit or so apart on the way from one to the other, where `is_inside` changes.
pub fn border_between(
    mut inside: (i64, i64),
    mut outside: (i64, i64),
    is_inside: impl Fn(Coord) -> bool,
) -> [(i64, i64); 2] {
    while (outside.0 - inside.0).abs() > 1 || (outside.1 - inside.1).abs() > 1 {
        let middle = ((inside.0 + outside.0).div_euclid(2), (inside.1 + outside.1).div_euclid(2));
        if wrapped(middle).is_some_and(&is_inside) {
            inside = middle;
        } else {
            outside = middle;
        }
    }
    [inside, outside]
}
