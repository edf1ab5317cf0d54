//! Real fleets and real areas in many orders of arrival, on 1 to 4 workers: in mid-stream and at the end byte
//! for byte the oracle's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bench::oracle::{Collector, Input, Rows, Tables, recompute, recompute_prefix, recompute_rows};
use bench::simulate::{DEFAULT_START, FleetOptions, Layout, fleet};
use model::{
    Coord, Fence, FenceSettings, GraphSettings, PositionRef, PresenceRow, Record, RecordSink, Shape, TimeMs,
    TripEdit, TripPlan, VisitRow, ring_from_degrees,
};
use sources::files::{FileInput, FileSink};

use crate::harness::{difference, run};
use crate::real_orders::{shuffled, sorted, with_moves, with_repeats, without_moves};

const HOUR_MS: i64 = 3_600_000;
const SHUFFLES: u64 = 20;
/// Trips that are planned for a fleet.
const PLANS: usize = 60;
/// Longer than any of the data go back.
const UNLIMITED_HORIZON_MS: i64 = 100 * 365 * 24 * HOUR_MS;
/// Shorter than a day of the data: shuffled, most of them come too late.
const SHORT_HORIZON_MS: i64 = 2 * HOUR_MS;

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

/// The fences of several files. Every third tells of vehicles that pass through between two fixes.
fn read_fences(dir: &Path, files: &[&str]) -> Vec<Input> {
    let mut fences: Vec<Input> = files.iter().flat_map(|file| read(&dir.join(file))).collect();
    for input in fences.iter_mut().step_by(3) {
        if let Input::Fence { fence, .. } = input {
            let settings = FenceSettings { crossed: true, ..fence.settings.clone() };
            *fence = Arc::new(Fence { settings, ..Fence::clone(fence) });
        }
    }
    fences
}

/// What the files do not have: a circle around the yard where most trucks of Jersey City stand, and a corridor
/// along the way there.
fn jersey_city_yard_and_road() -> [Input; 2] {
    let centre = Coord::from_degrees(-74.09, 40.69).expect("on land");
    let line =
        ring_from_degrees(&[(-74.12, 40.67), (-74.09, 40.69), (-74.05, 40.73)], false).expect("a line");
    let fence = |id: &str, shape| {
        let id: Arc<str> = id.into();
        let fence = Fence {
            id: id.clone(),
            name: id,
            shape,
            settings: FenceSettings { crossed: true, ..FenceSettings::default() },
            valid_from: None,
            valid_to: None,
            feature_json: "{}".into(),
        };
        Input::Fence { received: None, fence: fence.into() }
    };
    [
        fence("yard", Shape::Circle { centre, radius_m: 400.0 }),
        fence("road", Shape::Corridor { line, width_m: 300.0 }),
    ]
}

/// An order of arrival, and how the graph is to take it.
struct Order {
    name: String,
    /// Positions, and edits of fences in mid-stream.
    records: Vec<Input>,
    horizon_ms: i64,
    workers: &'static [usize],
    tick_sizes: &'static [usize],
}

const EVERY_1000: &[usize] = &[1000];
const UNEVEN: &[usize] = &[1, 700, 13, 1000, 290];

/// As given and sorted, both also disturbed, on several numbers of workers; and shuffled under several
/// horizons, all but the first few disturbed. Disturbed is with repeats and moved fences.
fn orders(positions: &[Input], moves: &Moves) -> Vec<Order> {
    let disturbed = |records: &[Input], seed: u64| {
        with_moves(&with_repeats(records, seed), &moves.candidates, moves.count, seed)
    };
    let in_time = |name: &str, records: Vec<Input>, tick_sizes| Order {
        name: name.to_owned(),
        records,
        horizon_ms: GraphSettings::default().horizon_ms,
        workers: &[1, 2, 4],
        tick_sizes,
    };
    let in_event_time = sorted(positions);
    let mut orders = vec![
        in_time("as given, disturbed", disturbed(positions, 1000), UNEVEN),
        in_time("sorted, disturbed", disturbed(&in_event_time, 1001), EVERY_1000),
        in_time("as given", positions.to_vec(), EVERY_1000),
        in_time("sorted", in_event_time, UNEVEN),
    ];
    for seed in 0..SHUFFLES {
        let shuffled = shuffled(positions, seed);
        let (records, how) =
            if seed < 3 { (shuffled, "") } else { (disturbed(&shuffled, seed), ", disturbed") };
        let horizons_ms = [UNLIMITED_HORIZON_MS, GraphSettings::default().horizon_ms, SHORT_HORIZON_MS];
        let horizon_ms = horizons_ms[seed as usize % horizons_ms.len()];
        let workers: [&[usize]; 4] = [&[1], &[2], &[3], &[1]];
        orders.push(Order {
            name: format!("shuffle {seed}{how}, a horizon of {} h", horizon_ms / HOUR_MS),
            records,
            horizon_ms,
            workers: workers[seed as usize % workers.len()],
            tick_sizes: if seed % 2 == 0 { EVERY_1000 } else { UNEVEN },
        });
    }
    orders
}

/// Which fences are moved in mid-stream: 1 % of all, but at least 3, of those that somebody was in.
struct Moves {
    candidates: Vec<Arc<Fence>>,
    count: usize,
}

impl Moves {
    fn among(fences: &[Input], presences: &[PresenceRow]) -> Moves {
        let met: BTreeSet<&str> = presences.iter().map(|row| &*row.fence_id).collect();
        let candidates = fences.iter().filter_map(|input| match input {
            Input::Fence { fence, .. } if met.contains(&*fence.id) => Some(fence.clone()),
            _ => None,
        });
        Moves { candidates: candidates.collect(), count: fences.len().div_ceil(100).max(3) }
    }
}

/// Trips between areas that vehicles went between, the busiest ways first.
fn plans(mut visits: Vec<VisitRow>) -> Vec<Input> {
    visits.sort_by(|a, b| {
        (&a.vehicle_id, a.arrived, &a.fence_id).cmp(&(&b.vehicle_id, b.arrived, &b.fence_id))
    });
    let ways = visits.windows(2).filter_map(|pair| {
        let [from, to] = pair else { return None };
        let departed = from.departed.filter(|&departed| departed < to.arrived)?;
        let is_way = from.vehicle_id == to.vehicle_id && from.fence_id != to.fence_id;
        is_way.then_some((from, to, departed))
    });
    let mut ways: Vec<(&VisitRow, &VisitRow, TimeMs)> = ways.collect();
    let places =
        |(from, to, _): &(&VisitRow, &VisitRow, TimeMs)| (from.fence_id.clone(), to.fence_id.clone());
    let mut drives: BTreeMap<_, usize> = BTreeMap::new();
    ways.iter().for_each(|way| *drives.entry(places(way)).or_default() += 1);
    ways.sort_by_key(|way| (std::cmp::Reverse(drives[&places(way)]), places(way)));
    let plan = |(number, (from, to, departed)): (usize, (&VisitRow, &VisitRow, TimeMs))| {
        let plan = TripPlan {
            vehicle_id: from.vehicle_id.clone(),
            pickup: from.fence_id.clone(),
            delivery: to.fence_id.clone(),
            client: None,
            waypoints: Vec::new(),
            corridor: None,
            scheduled_departure: departed.plus_ms(-10 * 60_000),
            scheduled_arrival: (number % 2 == 0).then_some(to.arrived),
        };
        Input::Trip { received: None, id: format!("trip {number}"), edit: TripEdit::Plan(plan.into()) }
    };
    ways.into_iter().take(PLANS).enumerate().map(plan).collect()
}

/// Every other plan is there from the beginning; the rest come in mid-stream.
fn with_plans(records: Vec<Input>, plans: &[Input]) -> Vec<Input> {
    let (early, later): (Vec<_>, Vec<_>) = plans.iter().cloned().enumerate().partition(|(i, _)| i % 2 == 0);
    let every = records.len() / (later.len() + 1);
    let mut later = later.into_iter().map(|(_, plan)| plan);
    let mut all: Vec<Input> = early.into_iter().map(|(_, plan)| plan).collect();
    for (i, record) in records.into_iter().enumerate() {
        all.push(record);
        if i % every == every - 1 {
            all.extend(later.next());
        }
    }
    all.extend(later);
    all
}

/// A fleet in many orders; each order is judged by the oracle for itself, since arrival decides what is too
/// late and which of two fixes at one time counts.
fn check(fleet: &str, positions: &[Input], fences: &[Input]) {
    let (mut too_late, mut crossings, mut disturbed, mut felt) = (0, 0, 0, 0);
    let inputs: Vec<Input> = fences.iter().chain(positions).cloned().collect();
    let Rows { presences, visits, .. } = recompute_rows(&inputs, &GraphSettings::default());
    let plans = plans(visits);
    let mut served = 0;
    for mut order in orders(positions, &Moves::among(fences, &presences)) {
        order.records = with_plans(order.records, &plans);
        let Checked { truth, feels_moves } = check_order(fleet, &order, fences);
        let meets_areas = match order.horizon_ms {
            SHORT_HORIZON_MS => !truth.presences.is_empty(),
            _ => truth.presences.len() > 1000 && !truth.visits.is_empty(),
        };
        assert!(meets_areas, "{fleet}, {}: the fleet meets no areas", order.name);
        too_late += std::str::from_utf8(&truth.rejects).unwrap().matches("\"too_late\"").count();
        crossings += usize::from(!truth.crossings.is_empty());
        served += std::str::from_utf8(&truth.trips).unwrap().matches("\"phase\":\"done\"").count();
        disturbed += usize::from(feels_moves.is_some());
        felt += usize::from(feels_moves == Some(true));
    }
    assert!(too_late > 1000, "{fleet}: only {too_late} records come too late");
    assert!(served > 100, "{fleet}: only {served} of {} trips are served in all orders", plans.len());
    assert!(crossings > 10, "{fleet}: fences are passed through in {crossings} orders only");
    assert!(felt * 4 >= disturbed * 3, "{fleet}: moved fences are felt in {felt} of {disturbed} orders");
}

struct Checked {
    /// What must stand at the end.
    truth: Tables,
    /// Whether presences in mid-stream are others than without the moves; `None` where nothing is moved.
    feels_moves: Option<bool>,
}

/// One order, with each number of workers.
fn check_order(fleet: &str, order: &Order, fences: &[Input]) -> Checked {
    let settings = GraphSettings { horizon_ms: order.horizon_ms, ..GraphSettings::default() };
    let inputs: Vec<Input> = fences.iter().chain(&order.records).cloned().collect();
    let truth = recompute(&inputs, &settings);
    let middle = fences.len() + order.records.len() / 2;
    // The end of the tick that passes the middle, and what must stand there: moved fences are elsewhere.
    let mut in_the_middle: Option<(usize, Tables)> = None;
    for &workers in order.workers {
        let told = format!("{fleet}, {}, {workers} workers", order.name);
        let mut is_past_the_middle = false;
        let tables = run(&inputs, order.tick_sizes, workers, &settings, |end, tables| {
            if is_past_the_middle || end < middle {
                return;
            }
            is_past_the_middle = true;
            let (known_end, truth) =
                in_the_middle.get_or_insert_with(|| (end, recompute_prefix(&inputs, end, &settings)));
            assert_eq!(*known_end, end, "ticks end where they ended with other workers");
            if let Some(text) = difference(tables, truth) {
                panic!("{told}, after {end} records: {text}");
            }
        });
        if let Some(text) = difference(&tables, &truth) {
            panic!("{told}: {text}");
        }
    }
    let (end, in_the_middle) = in_the_middle.expect("a run has a middle");
    let so_far = &order.records[..end - fences.len()];
    let unmoved = without_moves(so_far);
    let feels_moves = (unmoved.len() < so_far.len()).then(|| {
        let unmoved: Vec<Input> = fences.iter().cloned().chain(unmoved).collect();
        recompute(&unmoved, &settings).presences != in_the_middle.presences
    });
    Checked { truth, feels_moves }
}

fn check_files(positions: &str, areas: &[&str], more_fences: &[Input]) {
    let Some(dir) = data() else { return };
    let mut fences = read_fences(&dir, areas);
    fences.extend_from_slice(more_fences);
    check(positions, &read(&dir.join(positions)), &fences);
}

/// The five ports are in both files of ports: what comes twice is the same fence again.
const AROUND_JERSEY_CITY: [&str; 3] = [
    "jersey_city_trucks/areas_census_places.geojson",
    "jersey_city_trucks/areas_osm_ports_nynj.geojson",
    "us_ports_osm/areas.geojson",
];

#[test]
fn jersey_city_positions() {
    check_files("jersey_city_trucks/positions.csv.gz", &AROUND_JERSEY_CITY, &jersey_city_yard_and_road());
}

#[test]
fn jersey_city_feed_as_it_arrived() {
    check_files("jersey_city_trucks/feed_raw.csv.gz", &AROUND_JERSEY_CITY, &jersey_city_yard_and_road());
}

#[test]
fn austin_buses_of_the_16th() {
    let areas = ["austin_capmetro_buses/areas.geojson"];
    check_files("austin_capmetro_buses/positions_2017-03-16.csv.gz", &areas, &[]);
}

#[test]
fn austin_buses_of_the_21st() {
    let areas = ["austin_capmetro_buses/areas.geojson"];
    check_files("austin_capmetro_buses/positions_2017-03-21.csv.gz", &areas, &[]);
}

/// No real fleet is known in Nigeria: simulated trucks among its real areas, which overlap, repeat each other
/// and cross themselves.
#[test]
fn simulated_trucks_in_areas_of_lagos() {
    let Some(dir) = data() else { return };
    let trucks = fleet(&FleetOptions {
        vehicles: 60,
        fences: 60,
        seed: 11,
        layout: Layout::Lagos,
        start: DEFAULT_START.plus_ms(5 * HOUR_MS),
    });
    let names = trucks.vehicle_ids().to_vec();
    let as_input = |sample: bench::simulate::FleetPosition| Input::Position {
        received: None,
        vehicle_id: names[sample.vehicle as usize].to_string(),
        position: sample.position,
    };
    let positions: Vec<Input> = trucks.take(40_000).map(as_input).collect();
    check("simulated trucks", &positions, &read_fences(&dir, &["nigeria_areas/areas_lagos.geojson"]));
}
