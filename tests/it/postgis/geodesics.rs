//! What geodesics decide: circles, corridors, and which vehicle is nearest.

use bench::simulate::prng::Prng;
use model::{Coord, Ring, Shape, geodesic_m};
use operators::spatial::PreparedShape;

use super::distance::{self, Apart, Question};
use super::points::{beside, border_between, log_between, on_line, wrapped};
use super::server::{self, Script, number, truth};
use super::shapes::{degrees, line_wkt};
use super::tally::Tally;

/// Geodesics are exact to this.
const GEODESIC_ERROR_M: f64 = 0.001;
const ON_CIRCLE: &str = "within 1 mm of the circle, decided otherwise";
const POLE: f64 = 9e8;
const HALF_TURN: f64 = 1.8e9;

#[test]
fn positions_are_inside_of_circles_where_postgis_says() {
    let Some(url) = server::find() else { return };
    let mut random = Prng::new(5);
    let mut tally = Tally::new("ST_DWithin(centre, point, radius)");
    let mut asked = Vec::new();
    let mut rows = Vec::new();
    for number in 0..800 {
        // Every eighth is at a pole or on the antimeridian.
        let centre = match number % 16 {
            0 => (random.between(-HALF_TURN, HALF_TURN), POLE - random.between(0.0, 5e6)),
            8 => (HALF_TURN - random.between(0.0, 1e4), random.between(-POLE, POLE)),
            _ => (random.between(-HALF_TURN, HALF_TURN), random.between(-POLE, POLE)),
        };
        let centre = wrapped((centre.0 as i64, centre.1 as i64)).expect("on the globe");
        let radius_m = log_between(1.0, 50_000.0, &mut random);
        let circle = PreparedShape::new(&Shape::Circle { centre, radius_m });
        let buffer_m = (number % 2 == 1).then(|| log_between(1.0, 1_000.0, &mut random));
        let family = if buffer_m.is_some() { "circles and buffers" } else { "circles" };
        let limit_m = radius_m + buffer_m.unwrap_or(0.0);
        tally.shape(family);
        for at in about_circle(centre, limit_m, &mut random) {
            let is_inside = match buffer_m {
                Some(buffer_m) => circle.covers_or_within(at, buffer_m),
                None => circle.covers(at),
            };
            rows.push(format!("{}\t{}\t{}\t{limit_m}", asked.len(), position(centre), position(at)));
            asked.push((family, is_inside, limit_m));
        }
    }
    let mut script = Script::new();
    script.table("pairs", "pair int, centre geography, at geography, limit_m float8", rows);
    script.statement(
        "SELECT pair, ST_DWithin(centre, at, limit_m), ST_Distance(centre, at) FROM pairs ORDER BY pair",
    );
    let answers = script.run(&url);
    assert_eq!(answers.len(), asked.len(), "an answer for each pair");
    let mut insides = 0;
    for (row, (family, is_inside, limit_m)) in answers.iter().zip(asked) {
        insides += usize::from(is_inside);
        if truth(&row[1]) == is_inside {
            tally.agreement(family);
            continue;
        }
        let metres: f64 = number(&row[2]);
        let off_m = (metres - limit_m).abs();
        assert!(off_m <= GEODESIC_ERROR_M, "{family}: {row:?} is {off_m} m from the circle of {limit_m} m");
        tally.exception(family, ON_CIRCLE);
    }
    tally.print();
    assert!(
        insides * 4 > tally.pairs() && insides * 4 < tally.pairs() * 3,
        "a poor sample: {insides} inside"
    );
}

/// On both sides of the circle, a unit apart, and at random: 50.
fn about_circle(centre: Coord, radius_m: f64, random: &mut Prng) -> Vec<Coord> {
    let middle = (i64::from(centre.lon), i64::from(centre.lat));
    let is_inside = |at: Coord| geodesic_m(centre, at) <= radius_m;
    let mut found = Vec::new();
    for _ in 0..15 {
        let outside = beside(middle, 2.5 * radius_m, random);
        found.extend(border_between(middle, outside, is_inside));
    }
    for _ in 0..20 {
        let metres = radius_m * random.between(0.0, 2.0);
        found.push(beside(middle, metres, random));
    }
    found.into_iter().filter_map(wrapped).collect()
}

struct Corridor {
    family: &'static str,
    line: Ring,
    half_width_m: f64,
    prepared: PreparedShape,
}

#[test]
fn corridors_and_their_buffers_end_where_postgis_says() {
    let Some(url) = server::find() else { return };
    let mut random = Prng::new(6);
    let corridors: Vec<Corridor> = (0..400).map(|_| corridor(&mut random)).collect();
    let mut pairs = Vec::new();
    for (shape, corridor) in corridors.iter().enumerate() {
        let about = about_corridor(corridor, &mut random);
        pairs.extend(about.into_iter().map(|at| Apart { shape, at }));
    }
    let question = Question {
        shapes: corridors.iter().map(|corridor| line_wkt(&corridor.line)).collect(),
        edges_of: "",
        pairs: &pairs,
    };
    let mut tally = Tally::new("ST_Distance(line, point)");
    corridors.iter().for_each(|corridor| tally.shape(corridor.family));
    // To be inside is to be within half of the width; within more than that is the buffer's question.
    let is_within = |shape: usize, at: Coord, limit_m: f64| {
        let Corridor { line, half_width_m, prepared, .. } = &corridors[shape];
        if limit_m > *half_width_m {
            return Some(prepared.covers_or_within(at, limit_m - half_width_m));
        }
        let narrower = Shape::Corridor { line: line.clone(), width_m: 2.0 * limit_m };
        (limit_m > 0.0).then(|| PreparedShape::new(&narrower).covers(at))
    };
    distance::judge(&url, &question, &mut tally, |shape| corridors[shape].family, is_within);
    tally.print();
    let insides = pairs.iter().filter(|pair| corridors[pair.shape].prepared.covers(pair.at)).count();
    assert!(insides * 5 > pairs.len() && insides * 5 < pairs.len() * 4, "a poor sample: {insides} inside");
}

/// A line of up to 30 legs, of metres or of kilometres, at any latitude but the poles.
fn corridor(random: &mut Prng) -> Corridor {
    let half_width_m = log_between(0.5, 25_000.0, random);
    let leg_m = log_between(5.0, 20_000.0, random);
    let mut at = (random.between(-1.7e9, 1.7e9) as i64, random.between(-8.7e8, 8.7e8) as i64);
    let mut vertices = vec![at];
    for _ in 0..=random.below(0, 30) {
        let next = beside(at, leg_m * random.between(0.2, 1.0), random);
        // A longitude is soon passed near a pole; so is the pole.
        if next != at && next.0.abs() < 1_790_000_000 && next.1.abs() < 880_000_000 {
            vertices.push(next);
            at = next;
        }
    }
    if vertices.len() == 1 {
        vertices.push((at.0, at.1 + 1_000));
    }
    let line = Ring { vertices };
    let family = match half_width_m {
        ..100.0 => "corridors up to 200 m wide",
        100.0..1_000.0 => "corridors up to 2 km wide",
        _ => "corridors up to 50 km wide",
    };
    let shape = Shape::Corridor { line: line.clone(), width_m: 2.0 * half_width_m };
    Corridor { family, line, half_width_m, prepared: PreparedShape::new(&shape) }
}

/// On the line, at both sides of its border, and around: 80.
fn about_corridor(corridor: &Corridor, random: &mut Prng) -> Vec<Coord> {
    let Corridor { line, half_width_m, prepared, .. } = corridor;
    let mut found = Vec::new();
    for _ in 0..10 {
        found.push(on_line(line, random));
        let middle = on_line(line, random);
        found.push(beside(middle, log_between(0.01, 5_000.0, random), random));
    }
    for _ in 0..15 {
        let middle = on_line(line, random);
        let outside = beside(middle, half_width_m * 2.5, random);
        if wrapped(outside).is_some_and(|at| !prepared.covers(at)) {
            found.extend(border_between(middle, outside, |at| prepared.covers(at)));
        }
    }
    for _ in 0..30 {
        let middle = on_line(line, random);
        found.push(beside(middle, half_width_m * random.between(0.0, 3.0), random));
    }
    found.into_iter().filter_map(wrapped).collect()
}

#[test]
fn distances_are_those_of_postgis() {
    let Some(url) = server::find() else { return };
    let mut random = Prng::new(7);
    let pairs: Vec<(Coord, Coord)> =
        (0..60_000).filter_map(|number| two_positions(number, &mut random)).collect();
    let rows = pairs
        .iter()
        .enumerate()
        .map(|(number, (one, other))| format!("{number}\t{}\t{}", position(*one), position(*other)));
    let mut script = Script::new();
    script.table("pairs", "pair int, one geography, other geography", rows);
    script.statement("SELECT pair, ST_Distance(one, other) FROM pairs ORDER BY pair");
    let mut tally = Tally::new("ST_Distance(point, point)");
    let mut worst_m: f64 = 0.0;
    let answers = script.run(&url);
    assert_eq!(answers.len(), pairs.len(), "an answer for each pair");
    for (row, (one, other)) in answers.iter().zip(&pairs) {
        let off_m = (number::<f64>(&row[1]) - geodesic_m(*one, *other)).abs();
        assert!(off_m <= GEODESIC_ERROR_M, "{one:?} to {other:?} is {} m to PostGIS, {off_m} m off", row[1]);
        worst_m = worst_m.max(off_m);
        tally.agreement("pairs of positions");
    }
    tally.print();
    println!("largest difference: {worst_m:e} m");
    assert!(tally.pairs() > 50_000, "a poor sample");
}

/// A third is anywhere, antipodes among them; the others are up to a metre, or up to 100 km apart.
fn two_positions(number: u32, random: &mut Prng) -> Option<(Coord, Coord)> {
    let anywhere = |random: &mut Prng| {
        (random.between(-HALF_TURN, HALF_TURN) as i64, random.between(-POLE, POLE) as i64)
    };
    let one = anywhere(random);
    let other = match number % 3 {
        0 if number.is_multiple_of(30) => {
            beside((one.0 + HALF_TURN as i64, -one.1), log_between(0.01, 1e5, random), random)
        }
        0 => anywhere(random),
        1 => beside(one, log_between(0.01, 1.0, random), random),
        _ => beside(one, log_between(1.0, 1e5, random), random),
    };
    Some((wrapped(one)?, wrapped(other)?))
}

#[test]
fn the_nearest_vehicles_are_those_of_postgis() {
    const NEAREST: usize = 20;
    let Some(url) = server::find() else { return };
    let mut random = Prng::new(8);
    let mut tally = Tally::new("ORDER BY ST_Distance");
    let mut rows = Vec::new();
    let mut ours = Vec::new();
    for question in 0..200 {
        let lat = random.between(-8.9e8, 8.9e8);
        // A city's fleet, whose members are often equally far.
        let place = (random.between(-HALF_TURN, HALF_TURN) as i64, lat as i64);
        let from = wrapped(place).expect("on the globe");
        let fleet: Vec<Coord> = (0..500)
            .filter_map(|_| {
                let metres = random.between(0.0, 20_000.0);
                wrapped(beside(place, metres, &mut random))
            })
            .collect();
        let mut by_distance: Vec<(f64, usize)> =
            fleet.iter().enumerate().map(|(vehicle, at)| (geodesic_m(from, *at), vehicle)).collect();
        by_distance.sort_by(|a, b| a.0.total_cmp(&b.0));
        by_distance.truncate(NEAREST);
        ours.push(by_distance);
        rows.extend(
            fleet
                .iter()
                .enumerate()
                .map(|(vehicle, at)| format!("{question}\t{vehicle}\t{}\t{}", position(from), position(*at))),
        );
    }
    let mut script = Script::new();
    script.table("fleet", "question int, vehicle int, place geography, at geography", rows);
    script.statement(&format!(
        "SELECT question, vehicle, metres FROM (
             SELECT *, row_number() OVER (PARTITION BY question ORDER BY metres) AS rank
             FROM (SELECT question, vehicle, ST_Distance(place, at) AS metres FROM fleet) AS measured
         ) AS ranked WHERE rank <= {NEAREST} ORDER BY question, rank"
    ));
    let answers = script.run(&url);
    assert_eq!(answers.len(), ours.len() * NEAREST, "an answer for each rank");
    for (row, (metres, vehicle)) in answers.iter().zip(ours.iter().flatten()) {
        let theirs_m: f64 = number(&row[2]);
        assert!((theirs_m - metres).abs() <= GEODESIC_ERROR_M, "{row:?}: {metres} m to us");
        if number::<usize>(&row[1]) == *vehicle {
            tally.agreement("nearest 20 of 500");
        } else {
            // Both have a vehicle of this rank, equally far.
            tally.exception("nearest 20 of 500", "within 1 mm, in the other order");
        }
    }
    tally.print();
}

fn position(at: Coord) -> String {
    let [lon, lat] = [at.lon, at.lat].map(|units| degrees(i64::from(units)));
    format!("POINT({lon} {lat})")
}
