//! A fleet all over a country: towns of very different sizes, roads between them, and trucks that park, deliver
//! in town or drive from town to town. It is made as time passes, so that hundreds of millions of fixes need
//! not be held.
//!
//! Everything is drawn from keys: the same options give the same fixes.

use std::sync::Arc;

use model::{Coord, Fence, FenceSettings, Position, Shape, TimeMs};

use super::truck::{Reports, Truck};
use crate::simulate::DEFAULT_START;
use crate::simulate::prng::{Prng, key};

/// South-west corner, in degrees, and sides of the country: about that of Nigeria.
const CORNER_DEGREES: (f64, f64) = (3.0, 5.0);
const WIDTH_M: f64 = 1_100_000.0;
const HEIGHT_M: f64 = 850_000.0;
/// At 9 degrees north; nearer and farther a metre is up to 2 % off, which moves nothing here.
const METRES_A_DEGREE_OF_LONGITUDE: f64 = 109_960.0;
const METRES_A_DEGREE_OF_LATITUDE: f64 = 110_600.0;

/// The n-th largest town has 1/n of the largest one's trucks, and area.
const TOWNS: usize = 600;
const SMALLEST_RADIUS_M: f64 = 600.0;
/// Where trucks stop, in all towns together, and in each at least.
const PLACES: f64 = 25_000.0;
const FEWEST_PLACES: f64 = 3.0;
/// Streets run along both axes at this distance.
const BLOCK_M: f64 = 200.0;
/// Of roads between towns; a curve is made of such pieces.
const PIECE_M: f64 = 5_000.0;

const TOWN_KEY: u64 = 0x7077;
const PLACE_KEY: u64 = 0x91ac;
const ROAD_KEY: u64 = 0x60ad;
const TRUCK_KEY: u64 = 0x7261;
const FENCE_KEY: u64 = 0xfe9c;

/// Metres east and north of the country's corner.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Point {
    pub x_m: f64,
    pub y_m: f64,
}

impl Point {
    pub fn distance_m(self, other: Point) -> f64 {
        (other.x_m - self.x_m).hypot(other.y_m - self.y_m)
    }

    pub fn moved(self, x_m: f64, y_m: f64) -> Point {
        Point { x_m: self.x_m + x_m, y_m: self.y_m + y_m }
    }

    pub fn towards(self, other: Point, part: f64) -> Point {
        self.moved((other.x_m - self.x_m) * part, (other.y_m - self.y_m) * part)
    }

    /// The crossing of streets that is nearest.
    pub fn crossing(self) -> Point {
        let snapped = |metres: f64| (metres / BLOCK_M).round() * BLOCK_M;
        Point { x_m: snapped(self.x_m), y_m: snapped(self.y_m) }
    }

    /// Longitude and latitude.
    pub fn degrees(self) -> (f64, f64) {
        let lon = CORNER_DEGREES.0 + self.x_m / METRES_A_DEGREE_OF_LONGITUDE;
        let lat = CORNER_DEGREES.1 + self.y_m / METRES_A_DEGREE_OF_LATITUDE;
        (lon, lat)
    }
}

struct Town {
    centre: Point,
    radius_m: f64,
    /// How much of all towns, by trucks, comes before this one and with it.
    share_until: f64,
    places: u32,
    neighbours: Vec<u16>,
}

/// Towns, their places and the roads between them.
pub(super) struct Country {
    seed: u64,
    towns: Vec<Town>,
}

impl Country {
    pub fn new(seed: u64) -> Country {
        let weights: Vec<f64> = (1..=TOWNS).map(|rank| 1.0 / rank as f64).collect();
        let all: f64 = weights.iter().sum();
        let mut share_until = 0.0;
        let mut towns: Vec<Town> = Vec::with_capacity(TOWNS);
        for (number, weight) in weights.iter().enumerate() {
            let radius_m = SMALLEST_RADIUS_M * (weight * TOWNS as f64).sqrt();
            let mut random = Prng::new(key(key(seed, TOWN_KEY), number as u64));
            let mut centre = place_in_country(&mut random);
            let is_free = |centre: Point| {
                towns.iter().all(|town| town.centre.distance_m(centre) > (town.radius_m + radius_m) * 1.5)
            };
            while !is_free(centre) {
                centre = place_in_country(&mut random);
            }
            share_until += weight / all;
            let places = (PLACES * weight / all).max(FEWEST_PLACES) as u32;
            towns.push(Town { centre, radius_m, share_until, places, neighbours: Vec::new() });
        }
        for (from, to) in roads(&towns) {
            towns[from].neighbours.push(to as u16);
            towns[to].neighbours.push(from as u16);
        }
        Country { seed, towns }
    }

    pub fn town_centre(&self, town: u16) -> Point {
        self.towns[usize::from(town)].centre.crossing()
    }

    pub fn neighbours(&self, town: u16) -> &[u16] {
        &self.towns[usize::from(town)].neighbours
    }

    /// A town: the more trucks it has, the likelier.
    pub fn any_town(&self, random: &mut Prng) -> u16 {
        let share = random.unit();
        let town = self.towns.partition_point(|town| town.share_until <= share);
        town.min(self.towns.len() - 1) as u16
    }

    /// Where one may stop in a town; some places are visited much more than others.
    pub fn any_place(&self, town: u16, random: &mut Prng) -> Point {
        let likely_low = random.unit() * random.unit();
        let places = self.towns[usize::from(town)].places;
        self.place(town, (f64::from(places) * likely_low) as u32)
    }

    /// Beside a street, denser towards the centre.
    fn place(&self, town: u16, number: u32) -> Point {
        let id = (u64::from(town) << 32) | u64::from(number);
        let mut random = Prng::new(key(key(self.seed, PLACE_KEY), id));
        let Town { centre, radius_m, .. } = self.towns[usize::from(town)];
        let (angle, out_m) = (random.unit() * std::f64::consts::TAU, random.unit() * radius_m);
        let off_street_m = random.between(15.0, 60.0);
        centre.moved(angle.cos() * out_m, angle.sin() * out_m).crossing().moved(off_street_m, off_street_m)
    }

    /// A point on the road between two towns, and how many pieces that road has.
    pub fn on_road(&self, from: u16, to: u16, piece: u32) -> (Point, u32) {
        let (low, high) = (from.min(to), from.max(to));
        let (a, b) = (self.town_centre(low), self.town_centre(high));
        let length_m = a.distance_m(b);
        let pieces = (length_m / PIECE_M).ceil().max(1.0);
        let part = f64::from(piece) / pieces;
        let part = if from == low { part } else { 1.0 - part };
        let id = (u64::from(low) << 16) | u64::from(high);
        let bend = Prng::new(key(key(self.seed, ROAD_KEY), id)).between(-0.08, 0.08);
        let off = bend * 4.0 * part * (1.0 - part);
        let point = a.towards(b, part).moved(-(b.y_m - a.y_m) * off, (b.x_m - a.x_m) * off);
        (point, pieces as u32)
    }

    /// Fences of 100 to 300 m around places where trucks stop.
    pub fn fences(&self, count: u32) -> anyhow::Result<Vec<Arc<Fence>>> {
        (0..count)
            .map(|number| {
                let mut random = Prng::new(key(key(self.seed, FENCE_KEY), u64::from(number)));
                let town = self.any_town(&mut random);
                let (lon, lat) = self.any_place(town, &mut random).degrees();
                circle(&format!("place-{number}"), lon, lat, random.between(100.0, 300.0))
            })
            .collect()
    }
}

/// A round fence that holds for all time.
pub(super) fn circle(id: &str, lon: f64, lat: f64, radius_m: f64) -> anyhow::Result<Arc<Fence>> {
    let id: Arc<str> = id.into();
    Ok(Arc::new(Fence {
        name: id.clone(),
        id,
        shape: Shape::Circle { centre: Coord::from_degrees(lon, lat)?, radius_m },
        settings: FenceSettings::default(),
        valid_from: None,
        valid_to: None,
        feature_json: "{}".into(),
    }))
}

fn place_in_country(random: &mut Prng) -> Point {
    Point { x_m: random.unit() * WIDTH_M, y_m: random.unit() * HEIGHT_M }
}

/// Each town has a road to the nearest larger one, so that all can be reached, and to its nearest two.
fn roads(towns: &[Town]) -> Vec<(usize, usize)> {
    let mut roads = Vec::new();
    for (town, here) in towns.iter().enumerate() {
        let distance_m = |other: &usize| here.centre.distance_m(towns[*other].centre);
        let mut others: Vec<usize> = (0..towns.len()).filter(|other| *other != town).collect();
        others.sort_by(|a, b| distance_m(a).total_cmp(&distance_m(b)));
        let nearest_larger = others.iter().find(|other| **other < town);
        roads.extend(others.iter().take(2).chain(nearest_larger).map(|&to| (town.min(to), town.max(to))));
    }
    roads.sort_unstable();
    roads.dedup();
    roads
}

/// Where a truck was seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Seen {
    pub truck: u32,
    pub time: TimeMs,
    pub lon: f64,
    pub lat: f64,
}

impl Seen {
    pub fn position(&self) -> Position {
        Position { event_time: self.time, lon: self.lon, lat: self.lat, ..Position::default() }
    }
}

/// The trucks of a country under way.
pub(super) struct CountryFleet {
    country: Country,
    reports: Reports,
    ids: Vec<Arc<str>>,
    trucks: Vec<Truck>,
    slice_end: TimeMs,
}

impl CountryFleet {
    pub fn new(trucks: u32, reports: Reports, seed: u64) -> CountryFleet {
        let country = Country::new(seed);
        let truck = |number: u32| {
            let random = Prng::new(key(key(seed, TRUCK_KEY), u64::from(number)));
            Truck::parked(&country, reports, random, DEFAULT_START)
        };
        CountryFleet {
            trucks: (0..trucks).map(truck).collect(),
            ids: (0..trucks).map(|number| format!("C{number:06}").into()).collect(),
            country,
            reports,
            slice_end: DEFAULT_START,
        }
    }

    pub fn country(&self) -> &Country {
        &self.country
    }

    pub fn id(&self, truck: u32) -> &str {
        &self.ids[truck as usize]
    }

    /// What was seen in the next seconds: in order of time for each truck, and truck by truck.
    pub fn next_slice(&mut self, slice: &mut Vec<Seen>) {
        slice.clear();
        self.slice_end = self.slice_end.plus_ms(self.reports.driving_ms);
        for (number, truck) in (0..).zip(&mut self.trucks) {
            while let Some((time, at)) = truck.next_before(&self.country, self.reports, self.slice_end) {
                let (lon, lat) = at.degrees();
                slice.push(Seen { truck: number, time, lon, lat });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_town_can_be_reached() {
        let country = Country::new(3);
        let mut reached = vec![false; TOWNS];
        let mut ahead = vec![0_u16];
        while let Some(town) = ahead.pop() {
            if !std::mem::replace(&mut reached[usize::from(town)], true) {
                ahead.extend(country.neighbours(town));
            }
        }
        assert!(reached.iter().all(|reached| *reached));
    }

    #[test]
    fn a_road_is_one_road_both_ways() {
        let country = Country::new(3);
        let (from, to) = (0, country.neighbours(0)[0]);
        let (_, pieces) = country.on_road(from, to, 0);
        for piece in 0..=pieces {
            let (there, _) = country.on_road(from, to, piece);
            let (back, _) = country.on_road(to, from, pieces - piece);
            assert!(there.distance_m(back) < 1.0, "{there:?} {back:?}");
        }
        assert!(country.on_road(from, to, 0).0.distance_m(country.town_centre(from)) < 1e-6);
    }

    #[test]
    fn trucks_are_plausible_and_everywhere() {
        let reports = Reports { driving_ms: 40_000, parked_ms: 300_000 };
        let mut fleet = CountryFleet::new(300, reports, 5);
        let mut last: Vec<Option<Seen>> = vec![None; 300];
        let mut slice = Vec::new();
        let (mut fixes, mut fast, mut still) = (0, 0, 0);
        let mut cells = std::collections::BTreeSet::new();
        for _ in 0..12 * 90 {
            fleet.next_slice(&mut slice);
            for seen in &slice {
                fixes += 1;
                cells.insert(((seen.lon * 5.0).floor() as i64, (seen.lat * 5.0).floor() as i64));
                let Some(before) = last[seen.truck as usize].replace(*seen) else { continue };
                let elapsed_s = (seen.time.0 - before.time.0) as f64 / 1000.0;
                assert!(elapsed_s > 0.0, "a truck's fixes are in order of time");
                let coord = |seen: &Seen| Coord::from_degrees(seen.lon, seen.lat).unwrap();
                let kmh = model::geodesic_m(coord(&before), coord(seen)) / elapsed_s * 3.6;
                assert!(kmh < 110.0, "{kmh} km/h");
                fast += usize::from(kmh > 50.0);
                still += usize::from(kmh < 2.0);
            }
        }
        let a_truck_and_hour = fixes / (300 * 12);
        assert!((25..=80).contains(&a_truck_and_hour), "{a_truck_and_hour} fixes");
        assert!(fast * 10 > fixes && still * 10 > fixes, "{fast} fast and {still} still of {fixes}");
        assert!(cells.len() > 150, "{} of cells of 22 km", cells.len());
    }
}
