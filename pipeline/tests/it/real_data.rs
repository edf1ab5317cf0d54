//! Real fleets in the order given, sorted and shuffled, on 1, 2 and 4 workers: byte for byte the oracle's.

use std::path::{Path, PathBuf};

use bench::oracle::{Collector, Input, recompute};
use bench::simulate::prng::Prng;
use model::{GraphSettings, PositionRef, Record, RecordSink, TimeMs};
use sources::files::{FileInput, FileSink};

use crate::harness::{difference, run};

/// The folder of real data; without it the test is skipped with a word, and fails where CI=true.
fn data() -> Option<PathBuf> {
    let dir = std::env::var_os("WATCHTOWER_DATA").map(PathBuf::from);
    if dir.is_none() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "WATCHTOWER_DATA must be set in CI");
        eprintln!("skipped: WATCHTOWER_DATA does not say where the real data are");
    }
    dir
}

struct Reading(Collector);

impl RecordSink for Reading {
    fn position(&mut self, received: Option<TimeMs>, position: PositionRef<'_>) {
        self.0.position(received, position);
    }
    fn record(&mut self, received: Option<TimeMs>, record: Record) {
        self.0.record(received, record);
    }
}

impl FileSink for Reading {
    fn bad(&mut self, line: u64, reason: String, _: &[u8]) {
        panic!("line {line}: {reason}");
    }
    fn warning(&mut self, _: u64, _: String) {}
}

fn read(path: &Path) -> Vec<Input> {
    let mut reading = Reading(Collector(Vec::new()));
    let mut file = FileInput::open(path).expect("the file is there");
    while file.read(10_000, &mut reading).expect("the file is whole") {}
    reading.0.0
}

fn event_time(input: &Input) -> TimeMs {
    match input {
        Input::Position { position, .. } => position.event_time,
        _ => TimeMs(i64::MIN),
    }
}

fn shuffle(inputs: &mut [Input], seed: u8) {
    let mut random = Prng::new(u64::from(seed));
    for i in (1..inputs.len()).rev() {
        let length = u32::try_from(i + 1).unwrap();
        inputs.swap(i, random.below(0, length) as usize);
    }
}

/// A fleet in several orders; each order is judged by the oracle for itself, since arrival decides what is
/// too late and which of two fixes at one time counts.
fn check(positions: &str, areas: &str, shuffles: u8) {
    let Some(dir) = data() else { return };
    let fences = read(&dir.join(areas));
    let given = read(&dir.join(positions));
    let mut sorted = given.clone();
    sorted.sort_by_key(event_time);
    let mut orders = vec![("given".to_owned(), given.clone()), ("sorted".to_owned(), sorted)];
    for seed in 0..shuffles {
        let mut shuffled = given.clone();
        shuffle(&mut shuffled, seed);
        orders.push((format!("shuffle {seed}"), shuffled));
    }
    let settings = GraphSettings::default();
    for (name, order) in orders {
        let inputs: Vec<Input> = fences.iter().cloned().chain(order).collect();
        let truth = recompute(&inputs, &settings);
        assert!(truth.presences.len() > 10_000, "the data touch the areas");
        let workers: &[usize] = if name == "given" { &[1, 2, 4] } else { &[1] };
        for &workers in workers {
            let tables = run(&inputs, &[1000], workers, &settings, |_, _| {});
            if let Some(text) = difference(&tables, &truth) {
                panic!("{positions}, order {name}, {workers} workers: {text}");
            }
        }
    }
}

#[test]
fn jersey_city_positions() {
    check("jersey_city_trucks/positions.csv.gz", "jersey_city_trucks/areas_census_places.geojson", 3);
}

#[test]
fn jersey_city_feed_as_it_arrived() {
    check("jersey_city_trucks/feed_raw.csv.gz", "jersey_city_trucks/areas_census_places.geojson", 1);
}

#[test]
fn austin_buses_of_the_16th() {
    check("austin_capmetro_buses/positions_2017-03-16.csv.gz", "austin_capmetro_buses/areas.geojson", 3);
}

#[test]
fn austin_buses_of_the_21st() {
    check("austin_capmetro_buses/positions_2017-03-21.csv.gz", "austin_capmetro_buses/areas.geojson", 3);
}
