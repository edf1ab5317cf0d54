//! The shapes that are judged: recorded areas and random ones, and how PostGIS is told of them.

use std::f64::consts::TAU;
use std::path::Path;

use bench::simulate::prng::Prng;
use model::{Ring, ring_from_degrees};
use serde_json::Value;

/// The recorded areas, in the folder of real data.
const RECORDED: [(&str, &str); 5] = [
    ("Lagos areas", "nigeria_areas/areas_lagos.geojson"),
    ("Austin neighbourhoods", "austin_capmetro_buses/areas.geojson"),
    ("Jersey City census places", "jersey_city_trucks/areas_census_places.geojson"),
    ("New York's ports", "jersey_city_trucks/areas_osm_ports_nynj.geojson"),
    ("US ports", "us_ports_osm/areas.geojson"),
];
const RANDOM: &str = "random polygons";
const RANDOM_ON_LATTICE: &str = "random, on a lattice";

/// An area: parts, each an outer ring followed by holes.
pub struct Area {
    /// Which of the table's lines it belongs to.
    pub family: &'static str,
    pub name: String,
    pub parts: Vec<Vec<Ring>>,
}

impl Area {
    pub fn rings(&self) -> impl Iterator<Item = &Ring> {
        self.parts.iter().flatten()
    }

    pub fn edges(&self) -> impl Iterator<Item = ((i64, i64), (i64, i64))> {
        self.rings().flat_map(|ring| ring.vertices.windows(2).map(|pair| (pair[0], pair[1])))
    }

    /// As PostGIS reads it, each coordinate written by `write`.
    pub fn wkt(&self, write: fn(i64) -> String) -> String {
        let part = |rings: &Vec<Ring>| {
            let rings: Vec<String> = rings.iter().map(|ring| positions(&ring.vertices, write)).collect();
            format!("({})", rings.join(","))
        };
        let parts: Vec<String> = self.parts.iter().map(part).collect();
        format!("MULTIPOLYGON({})", parts.join(","))
    }
}

/// A line as PostGIS reads it.
pub fn line_wkt(line: &Ring) -> String {
    format!("LINESTRING{}", positions(&line.vertices, degrees))
}

fn positions(vertices: &[(i64, i64)], write: fn(i64) -> String) -> String {
    let positions: Vec<String> =
        vertices.iter().map(|&(lon, lat)| format!("{} {}", write(lon), write(lat))).collect();
    format!("({})", positions.join(","))
}

/// The decimal number itself, all seven places of it.
pub fn degrees(units: i64) -> String {
    let sign = if units < 0 { "-" } else { "" };
    let units = units.unsigned_abs();
    format!("{sign}{}.{:07}", units / 10_000_000, units % 10_000_000)
}

/// A whole number, which a double holds exactly.
pub fn whole(units: i64) -> String {
    units.to_string()
}

/// All areas in the folder of real data; none of them crosses the antimeridian.
pub fn recorded(folder: &Path) -> Vec<Area> {
    let mut areas = Vec::new();
    for (family, file) in RECORDED {
        let path = folder.join(file);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let collection: Value = serde_json::from_str(&text).expect("the areas are JSON");
        let before = areas.len();
        for feature in list(&collection["features"]) {
            let coordinates = &feature["geometry"]["coordinates"];
            let parts = match feature["geometry"]["type"].as_str() {
                Some("Polygon") => vec![rings(coordinates)],
                Some("MultiPolygon") => list(coordinates).iter().map(rings).collect(),
                other => panic!("{}: {other:?} is not an area", path.display()),
            };
            areas.push(Area { family, name: feature["properties"]["name"].to_string(), parts });
        }
        assert!(areas.len() > before, "{} has no areas", path.display());
    }
    let longitudes = areas.iter().flat_map(Area::edges).map(|((lon, _), _)| lon);
    assert!(longitudes.map(i64::abs).max() <= Some(1_800_000_000), "an area crosses the antimeridian");
    areas
}

fn rings(part: &Value) -> Vec<Ring> {
    let ring = |ring: &Value| {
        let positions: Vec<(f64, f64)> = list(ring)
            .iter()
            .map(|position| {
                (position[0].as_f64().expect("a number"), position[1].as_f64().expect("a number"))
            })
            .collect();
        ring_from_degrees(&positions, true).expect("a ring that the product takes")
    };
    list(part).iter().map(ring).collect()
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().expect("a list")
}

/// Valid polygons of 11 m to 220 km anywhere but at the poles and the antimeridian: up to three holes, up to
/// two parts. Every other one has its vertices on a coarse lattice, so that many positions are on its edges.
pub fn random(count: usize, random: &mut Prng) -> Vec<Area> {
    (0..count)
        .map(|number| {
            let on_lattice = number % 2 == 0;
            let step = if on_lattice { 64 } else { 1 };
            let least: f64 = if on_lattice { 1e4 } else { 1e3 };
            let radius = random.between(least.ln(), 2e7_f64.ln()).exp();
            let centre = (random.between(-1.7e9, 1.7e9), random.between(-8.5e8, 8.5e8));
            let mut parts = vec![part(centre, radius, step, random)];
            if random.chance(0.3) {
                parts.push(part((centre.0 + 3.0 * radius, centre.1), radius, step, random));
            }
            let family = if on_lattice { RANDOM_ON_LATTICE } else { RANDOM };
            Area { family, name: format!("number {number}"), parts }
        })
        .collect()
}

fn part(centre: (f64, f64), radius: f64, step: i64, random: &mut Prng) -> Vec<Ring> {
    // With eight corners and more an edge keeps 0.36 of the radius from the centre; holes reach to 0.3.
    let finest = (radius / step as f64 / 20.0).clamp(8.0, 80.0) as u32;
    let mut rings = vec![star(centre, (0.4 * radius, radius), random.below(8, finest + 1), step, random)];
    for hole in 0..random.below(0, 4) {
        let angle = f64::from(hole) * TAU / 3.0;
        let middle = (centre.0 + 0.2 * radius * angle.cos(), centre.1 + 0.2 * radius * angle.sin());
        rings.push(star(middle, (0.04 * radius, 0.1 * radius), random.below(3, 9), step, random));
    }
    rings
}

/// A ring around a place, whose corners go once around it, each within the range of radii.
fn star(
    (lon, lat): (f64, f64),
    (least, most): (f64, f64),
    corners: u32,
    step: i64,
    random: &mut Prng,
) -> Ring {
    let on_step = |units: f64| (units / step as f64).round() as i64 * step;
    let corner = |number: u32| {
        let angle = TAU * f64::from(number) / f64::from(corners);
        let radius = random.between(least, most);
        (on_step(lon + radius * angle.cos()), on_step(lat + radius * angle.sin()))
    };
    let mut vertices: Vec<(i64, i64)> = (0..corners).map(corner).collect();
    vertices.push(vertices[0]);
    Ring { vertices }
}
