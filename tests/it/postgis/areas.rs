//! Polygons: inside or not, in whole numbers; and how far outside.

use std::path::PathBuf;

use bench::simulate::prng::Prng;
use model::{Coord, Shape};
use operators::spatial::PreparedShape;

use super::distance::{self, Apart, Question};
use super::exact::{self, Place};
use super::points;
use super::server::{self, Script, number, truth};
use super::shapes::{self, Area, degrees, whole};
use super::tally::Tally;
use crate::common::skip;

/// Reading decimals as doubles moves positions and ends of edges by at most half of the last place of 180,
/// 1.4e-14 degrees each way; what PostGIS then computes errs by less than that for edges of a few degrees.
/// So it can be wrong only this near to an edge: 1e-13 degrees, a hundred-thousandth of a millimetre.
const ROUNDING_UNITS: f64 = 1e-6;
/// Of two positions' coordinates PostGIS multiplies two differences: exact up to here.
const EXACT_IN_DOUBLES: i128 = 1 << 53;
const ON_EDGE: &str = "on an edge, outside to PostGIS by rounding";
const BESIDE_EDGE: &str = "within 1e-13 degrees of an edge, rounded over it by PostGIS";
const INVALID: &str = "areas not valid to PostGIS, left out";

struct Pair {
    area: usize,
    at: Coord,
}

#[test]
fn positions_are_inside_of_areas_where_postgis_says() {
    let Some(url) = server::find() else { return };
    let Some(areas) = areas(250, 1) else { return };
    let pairs = pairs(&areas, 2);
    let mut script = Script::new();
    let rows = areas
        .iter()
        .enumerate()
        .map(|(number, area)| format!("{number}\t{}\t{}", area.wkt(degrees), area.wkt(whole)));
    script.table("areas", "area int, degrees geometry, units geometry", rows);
    let rows = pairs.iter().enumerate().map(|(number, Pair { area, at })| {
        let [lon, lat] = [at.lon, at.lat].map(i64::from);
        format!("{area}\t{number}\t{}\t{}\t{lon}\t{lat}", degrees(lon), degrees(lat))
    });
    script.table("points", "area int, point int, lon float8, lat float8, x float8, y float8", rows);
    script.statement("SELECT 'valid', area, ST_IsValid(degrees), ST_IsValid(units) FROM areas ORDER BY area");
    // An area's points in a row, so that PostGIS prepares it once.
    script.statement(
        "SELECT 'covers', point,
             ST_Covers(degrees, ST_MakePoint(lon, lat)), ST_Covers(units, ST_MakePoint(x, y))
         FROM areas, LATERAL (SELECT * FROM points WHERE points.area = areas.area OFFSET 0) AS its_points",
    );
    let mut tally = Tally::new("ST_Covers(area, point)");
    let mut valid = vec![(false, false); areas.len()];
    let mut answers = vec![None; pairs.len()];
    for row in script.run(&url) {
        let place = number::<usize>(&row[1]);
        let both = (truth(&row[2]), truth(&row[3]));
        if row[0] == "valid" { valid[place] = both } else { answers[place] = Some(both) }
    }
    for (area, &(in_degrees, in_units)) in areas.iter().zip(&valid) {
        if in_degrees && in_units {
            tally.shape(area.family);
        } else {
            println!("not valid to PostGIS: {}, {}", area.family, area.name);
            tally.left_out(area.family, INVALID);
        }
    }

    let prepared: Vec<PreparedShape> = areas.iter().map(prepare).collect();
    let mut places = [0, 0, 0];
    for (pair, answer) in pairs.iter().zip(answers) {
        let (area, at) = (&areas[pair.area], pair.at);
        let (in_degrees, in_units) = answer.expect("an answer for each pair");
        if valid[pair.area] != (true, true) {
            continue;
        }
        let what = || format!("{} {} at {at:?}", area.family, area.name);
        let place = exact::place(area, at);
        places[place as usize] += 1;
        let ours = prepared[pair.area].covers(at);
        assert_eq!(ours, place != Place::Outside, "ours differs from the definition: {}", what());
        // Told the same in whole numbers, PostGIS has nothing to round.
        assert!(is_exact_in_doubles(area, at), "too large to be judged: {}", what());
        assert_eq!(ours, in_units, "PostGIS differs, in whole numbers: {}", what());
        if ours == in_degrees {
            tally.agreement(area.family);
            continue;
        }
        let units = exact::units_to_nearest_edge(area, at);
        assert!(units <= ROUNDING_UNITS, "PostGIS differs, {units} units from an edge: {}", what());
        tally.exception(area.family, if place == Place::Boundary { ON_EDGE } else { BESIDE_EDGE });
    }
    tally.print();
    println!("{} inside, {} on an edge, {} outside", places[0], places[1], places[2]);
    assert!(
        tally.pairs() > 200_000 && places.iter().all(|count| count * 10 > tally.pairs()),
        "a poor sample"
    );
    assert!(tally.exceptions(INVALID) * 20 < areas.len(), "too much is left out");
}

#[test]
fn exit_buffers_of_areas_end_where_postgis_says() {
    let Some(url) = server::find() else { return };
    let Some(areas) = areas(150, 3) else { return };
    let prepared: Vec<PreparedShape> = areas.iter().map(prepare).collect();
    let pairs = pairs(&areas, 4);
    let outside = pairs.iter().filter(|pair| !prepared[pair.area].covers(pair.at));
    let apart: Vec<Apart> = outside.map(|pair| Apart { shape: pair.area, at: pair.at }).collect();
    let question = Question {
        shapes: areas.iter().map(|area| area.wkt(degrees)).collect(),
        edges_of: "ST_Boundary",
        pairs: &apart,
    };
    let mut tally = Tally::new("ST_Distance(area, point)");
    areas.iter().for_each(|area| tally.shape(area.family));
    distance::judge(
        &url,
        &question,
        &mut tally,
        |shape| areas[shape].family,
        |shape, at, limit_m| Some(prepared[shape].covers_or_within(at, limit_m)),
    );
    tally.print();
    assert!(tally.pairs() > 50_000, "a poor sample");
}

/// The recorded areas and some random ones; `None`, after a word, where there are no real data.
fn areas(random_count: usize, seed: u64) -> Option<Vec<Area>> {
    let Some(folder) = std::env::var_os("WATCHTOWER_DATA") else {
        skip("set WATCHTOWER_DATA to the folder of real data");
        return None;
    };
    let mut areas = shapes::recorded(&PathBuf::from(folder));
    areas.extend(shapes::random(random_count, &mut Prng::new(seed)));
    Some(areas)
}

fn pairs(areas: &[Area], seed: u64) -> Vec<Pair> {
    let mut random = Prng::new(seed);
    let numbered = areas.iter().enumerate();
    numbered
        .flat_map(|(number, area)| {
            let points = points::about_area(area, &mut random);
            points.into_iter().map(move |at| Pair { area: number, at })
        })
        .collect()
}

fn prepare(area: &Area) -> PreparedShape {
    PreparedShape::new(&Shape::Polygon { parts: area.parts.clone() })
}

/// Whether no product of two differences is beyond the whole numbers that doubles hold.
fn is_exact_in_doubles(area: &Area, at: Coord) -> bool {
    let (x, y) = (i128::from(at.lon), i128::from(at.lat));
    area.edges().all(|((from_x, from_y), (to_x, to_y))| {
        let [from_x, from_y, to_x, to_y] = [from_x, from_y, to_x, to_y].map(i128::from);
        let products = [(to_x - from_x) * (y - from_y), (x - from_x) * (to_y - from_y)];
        products.iter().all(|product| product.abs() < EXACT_IN_DOUBLES / 2)
    })
}
