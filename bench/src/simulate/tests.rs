//! Holds the simulator to its promises: the same bytes again, margins, speeds, windows, and its truth against
//! a recomputation from the written records that knows nothing of the simulator.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path;

use model::{EndReason, GraphSettings, PresenceRow, Row, TimeMs, VisitRow, geodesic_degrees_m};
use proptest::prelude::*;
use serde_json::Value;

use super::life::TruckLife;
use super::plane::{Point, metres_per_degree};
use super::world::{MARGIN_M, World, WorldOptions};
use super::{DEFAULT_START, FleetOptions, Layout, Options, fleet, run};

fn options(dir: &Path) -> Options {
    Options {
        vehicles: 5,
        fences: 90,
        hours: 30.0,
        seed: 11,
        out: dir.to_owned(),
        late: 0.08,
        duplicates: 0.03,
        edits: 0.4,
        ..Options::default()
    }
}

fn files(dir: &Path) -> Vec<Vec<u8>> {
    ["positions.csv", "fences.geojson", "records.ndjson", "truth/presences.ndjson", "truth/visits.ndjson"]
        .iter()
        .chain(&["truth/trips.ndjson"])
        .map(|name| fs::read(dir.join(name)).unwrap())
        .collect()
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let (a, b, c) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = run(&options(a.path()), &|_, _| {}).unwrap();
    let second = run(&options(b.path()), &|_, _| {}).unwrap();
    run(&Options { seed: 12, ..options(c.path()) }, &|_, _| {}).unwrap();
    assert_eq!(files(a.path()), files(b.path()));
    assert_ne!(files(a.path())[0], files(c.path())[0]);
    assert_eq!(first.records, second.records);
    let lines = fs::read_to_string(a.path().join("records.ndjson")).unwrap().lines().count();
    assert_eq!(first.records, lines as u64);
    assert!(first.late > 0 && first.silent > 0 && first.repeats > 0 && first.edits > 0, "{first}");
}

#[test]
fn a_window_alone_is_the_same_as_within_a_longer_run() {
    let world = World::new(&WorldOptions { fences: 60, seed: 4, layout: Layout::Lagos, edits: None });
    for truck in 0..20 {
        let (from, to) =
            (DEFAULT_START.plus_ms(3 * 86_400_000 + 12_345_678), DEFAULT_START.plus_ms(5 * 86_400_000));
        let mut long = TruckLife::starting(&world, truck, DEFAULT_START);
        while long.next_before(&world, from).is_some() {}
        let mut alone = TruckLife::starting(&world, truck, from);
        let mut count = 0;
        while let Some(sample) = long.next_before(&world, to) {
            assert_eq!(alone.next_before(&world, to), Some(sample));
            count += 1;
        }
        assert_eq!(alone.next_before(&world, to), None);
        assert!(count > 300, "{count}");
    }
}

#[test]
fn trucks_do_move_and_keep_to_plausible_speeds() {
    let world = World::new(&WorldOptions { fences: 300, seed: 9, layout: Layout::Lagos, edits: None });
    let (mut moving, mut parked, mut fastest_kmh) = (0, 0, 0.0_f64);
    for truck in 0..30 {
        let mut life = TruckLife::starting(&world, truck, DEFAULT_START);
        let mut before: Option<(TimeMs, Point)> = None;
        while let Some(sample) = life.next_before(&world, DEFAULT_START.plus_ms(7 * 86_400_000)) {
            if sample.parked.is_some() {
                parked += 1;
            } else {
                moving += 1;
            }
            let Some((fix, seen)) = sample.observe(&world, false) else {
                continue;
            };
            assert!(fix.speed_tenths <= 700);
            if let Some((time, at)) = before {
                let elapsed_s = (sample.time.0 - time.0) as f64 / 1000.0;
                assert!(elapsed_s > 0.0);
                let moved_m = at.distance_m(seen);
                assert!(moved_m < 120.0 / 3.6 * elapsed_s, "{moved_m} m in {elapsed_s} s");
                fastest_kmh = fastest_kmh.max(moved_m / elapsed_s * 3.6);
            }
            before = Some((sample.time, seen));
        }
    }
    assert!(moving > parked && parked > 0, "{moving} moving, {parked} parked");
    assert!(fastest_kmh > 50.0);
}

#[test]
fn a_benchmark_fleet_is_in_time_order_and_dense_is_dense() {
    let options = FleetOptions {
        vehicles: 300,
        fences: 10_000,
        seed: 1,
        layout: Layout::Dense,
        start: DEFAULT_START.plus_ms(5 * 3_600_000),
    };
    let fences = fleet(&options).fences().unwrap();
    assert_eq!(fences, super::fences(10_000, 1, Layout::Dense).unwrap());
    let world = World::new(&WorldOptions { fences: 10_000, seed: 1, layout: Layout::Dense, edits: None });
    let (mut inside, mut close) = (vec![HashSet::new(); 300], Vec::new());
    let (mut events, mut positions, mut last) = (0, 0, TimeMs(0));
    for next in fleet(&options).take(300 * 1_000) {
        assert!(next.position.event_time >= last);
        last = next.position.event_time;
        world.close_fences(Point::from_degrees(next.position.lon, next.position.lat), &mut close);
        let now: HashSet<u32> = close.iter().filter(|c| c.1 <= 0.0).map(|c| c.0).collect();
        let near: HashSet<u32> = close.iter().map(|c| c.0).collect();
        let inside = &mut inside[next.vehicle as usize];
        let before = inside.len();
        inside.retain(|fence| near.contains(fence));
        events += before - inside.len();
        let kept = inside.len();
        inside.extend(now);
        events += inside.len() - kept;
        positions += 1;
    }
    let rate = events as f64 / f64::from(positions);
    assert!((0.6..0.8).contains(&rate), "{rate} events a position");
}

#[test]
fn what_cannot_be_simulated_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |options: Options| run(&options, &|_, _| {}).unwrap_err().to_string();
    assert!(refused(Options { late: 1.5, ..options(dir.path()) }).contains("--late"));
    assert!(refused(Options { hours: f64::NAN, ..options(dir.path()) }).contains("--hours"));
    assert!(refused(Options { vehicles: 0, ..options(dir.path()) }).contains("--vehicles"));
}

#[test]
fn with_noise_there_are_spikes_and_fixes_at_borders_and_a_truth() {
    let dir = tempfile::tempdir().unwrap();
    let calm = tempfile::tempdir().unwrap();
    let noisy = Options { noise: true, edits: 0.0, vehicles: 20, ..options(dir.path()) };
    let with_noise = run(&noisy, &|_, _| {}).unwrap();
    let without = run(&Options { noise: false, out: calm.path().to_owned(), ..noisy }, &|_, _| {}).unwrap();
    assert!(with_noise.fixes > without.fixes && with_noise.visits > 0);
    let recomputed = recompute(dir.path(), &GraphSettings::default());
    assert!(recomputed.nearest_border_m < 1.0);
    let mut last: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    let mut jumps = 0;
    for line in fs::read_to_string(dir.path().join("positions.csv")).unwrap().lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let at = (fields[2].parse().unwrap(), fields[3].parse().unwrap());
        let before = last.insert(fields[0].to_owned(), at);
        jumps += u32::from(before.is_some_and(|before| geodesic_degrees_m(before, at) > 4_000.0));
    }
    assert!(jumps > 5, "{jumps}");
}

/// A fence as the records tell of it in the end.
struct Seen {
    geometry: Value,
    properties: Value,
    deleted_at: Option<TimeMs>,
}

impl Seen {
    fn term(&self, name: &str, default: f64) -> f64 {
        self.properties[name].as_f64().unwrap_or(default)
    }

    /// Metres to the border, negative inside: geodesics for circles, planes around the position for polygons.
    fn signed_distance_m(&self, (lon, lat): (f64, f64)) -> f64 {
        let pair = |p: &Value| (p[0].as_f64().unwrap(), p[1].as_f64().unwrap());
        let coordinates = &self.geometry["coordinates"];
        let parts: Vec<&Value> = match self.geometry["type"].as_str().unwrap() {
            "Point" => {
                return geodesic_degrees_m((lon, lat), pair(coordinates)) - self.term("radius_m", -1.0);
            }
            "Polygon" => vec![coordinates],
            "MultiPolygon" => coordinates.as_array().unwrap().iter().collect(),
            other => panic!("{other}"),
        };
        let (east, north) = metres_per_degree(lat);
        let (mut inside, mut nearest) = (false, f64::INFINITY);
        for part in parts {
            let mut odd = false;
            for ring in part.as_array().unwrap() {
                let ring: Vec<(f64, f64)> = ring
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|p| ((pair(p).0 - lon) * east, (pair(p).1 - lat) * north))
                    .collect();
                assert_eq!(ring.first(), ring.last());
                for edge in ring.windows(2) {
                    let ((ax, ay), (bx, by)) = (edge[0], edge[1]);
                    odd ^= (ay > 0.0) != (by > 0.0) && ax + ay / (ay - by) * (bx - ax) > 0.0;
                    let (dx, dy) = (bx - ax, by - ay);
                    let along = (-(ax * dx + ay * dy) / (dx * dx + dy * dy)).clamp(0.0, 1.0);
                    nearest = nearest.min((ax + along * dx).hypot(ay + along * dy));
                }
            }
            inside |= odd;
        }
        if inside { -nearest } else { nearest }
    }
}

struct Recomputed {
    presences: String,
    visits: String,
    nearest_border_m: f64,
}

/// Reads `records.ndjson` and derives what the definitions say, as plainly as can be.
fn recompute(dir: &Path, settings: &GraphSettings) -> Recomputed {
    let time = |value: &Value| TimeMs::parse_rfc3339(value.as_str().unwrap()).unwrap();
    let mut fences: BTreeMap<String, Seen> = BTreeMap::new();
    let mut replaced: Vec<Seen> = Vec::new();
    let mut tracks: BTreeMap<String, BTreeMap<TimeMs, (f64, f64)>> = BTreeMap::new();
    let mut instant = TimeMs(i64::MIN);
    for line in fs::read_to_string(dir.join("records.ndjson")).unwrap().lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let received = time(&record["received_time"]);
        assert!(received >= instant, "records are in the order of arrival");
        instant = received;
        if record["type"] == "position" {
            let event = time(&record["event_time"]);
            assert!(event.0 <= instant.0 && event.0 >= instant.0 - settings.horizon_ms, "{line}");
            let at = (record["lon"].as_f64().unwrap(), record["lat"].as_f64().unwrap());
            let track = tracks.entry(record["vehicle_id"].as_str().unwrap().to_owned()).or_default();
            assert!(track.insert(event, at).is_none_or(|before| before == at));
        } else if record["type"] != "fence" {
            assert!(record["type"] == "trip" || record["type"] == "location", "{line}");
        } else if record["op"] == "upsert" {
            let feature = &record["feature"];
            let seen = Seen {
                geometry: feature["geometry"].clone(),
                properties: feature["properties"].clone(),
                deleted_at: None,
            };
            replaced.extend(fences.insert(feature["id"].as_str().unwrap().to_owned(), seen));
        } else {
            let at = time(&record["at"]);
            assert!(at <= instant);
            fences.get_mut(record["id"].as_str().unwrap()).unwrap().deleted_at = Some(at);
        }
    }
    let mut nearest_border_m = f64::INFINITY;
    let (mut presences, mut visits) = (Vec::new(), Vec::new());
    for (fence, at) in
        replaced.iter().flat_map(|fence| tracks.values().flatten().map(move |fix| (fence, *fix.1)))
    {
        let buffer_m = fence.term("exit_buffer_m", settings.exit_buffer_m);
        let distance_m = fence.signed_distance_m(at);
        nearest_border_m = nearest_border_m.min(distance_m.abs()).min((distance_m - buffer_m).abs());
    }
    for (vehicle, track) in &tracks {
        for (id, fence) in &fences {
            let buffer_m = fence.term("exit_buffer_m", settings.exit_buffer_m);
            let mut spells: Vec<(TimeMs, Option<(TimeMs, EndReason)>)> = Vec::new();
            let is_open =
                |spells: &[(TimeMs, Option<_>)]| spells.last().is_some_and(|spell| spell.1.is_none());
            for (&now, &at) in track {
                let distance_m = fence.signed_distance_m(at);
                nearest_border_m = nearest_border_m.min(distance_m.abs()).min((distance_m - buffer_m).abs());
                if fence.deleted_at.is_some_and(|deleted| now >= deleted) {
                    continue;
                }
                if is_open(&spells) && distance_m > buffer_m {
                    spells.last_mut().unwrap().1 = Some((now, EndReason::Exit));
                } else if !is_open(&spells) && distance_m <= 0.0 {
                    spells.push((now, None));
                }
            }
            if let (true, Some(deleted)) = (is_open(&spells), fence.deleted_at) {
                spells.last_mut().unwrap().1 = Some((deleted, EndReason::FenceDeleted));
            }
            let max_absence_ms =
                fence.term("max_absence_s", settings.max_absence_ms as f64 / 1000.0) as i64 * 1000;
            let min_dwell_ms = fence.term("min_dwell_s", settings.min_dwell_ms as f64 / 1000.0) as i64 * 1000;
            let mut stays: Vec<(TimeMs, Option<TimeMs>, u32)> = Vec::new();
            for &(entered, end) in &spells {
                presences.push(Row::Presence(PresenceRow {
                    vehicle_id: vehicle.as_str().into(),
                    fence_id: id.as_str().into(),
                    entered,
                    end,
                }));
                match stays.last_mut() {
                    Some((_, Some(departed), count)) if entered.0 - departed.0 <= max_absence_ms => {
                        *count += 1;
                        stays.last_mut().unwrap().1 = end.map(|e| e.0);
                    }
                    _ => stays.push((entered, end.map(|e| e.0), 1)),
                }
            }
            for (arrived, departed, count) in stays {
                if departed.unwrap_or(instant).0 - arrived.0 >= min_dwell_ms {
                    visits.push(Row::Visit(VisitRow {
                        vehicle_id: vehicle.as_str().into(),
                        fence_id: id.as_str().into(),
                        arrived,
                        departed,
                        confirmed_at: arrived.plus_ms(min_dwell_ms),
                        presences: count,
                    }));
                }
            }
        }
    }
    let text = |mut rows: Vec<Row>| {
        rows.sort_by(Row::cmp_key);
        rows.iter().map(|row| row.to_json() + "\n").collect::<String>()
    };
    Recomputed { presences: text(presences), visits: text(visits), nearest_border_m }
}

fn truth_agrees(options: &Options) -> (u64, u64) {
    let summary = run(options, &|_, _| {}).unwrap();
    let recomputed = recompute(&options.out, &GraphSettings::default());
    let read = |name: &str| fs::read_to_string(options.out.join("truth").join(name)).unwrap();
    assert_eq!(read("presences.ndjson"), recomputed.presences);
    assert_eq!(read("visits.ndjson"), recomputed.visits);
    // Before and after edits; the decimetre is for the seventh digit and the planes' scales.
    assert!(recomputed.nearest_border_m > MARGIN_M - 0.1, "{}", recomputed.nearest_border_m);
    (summary.presences, summary.visits)
}

#[test]
fn truth_is_what_the_records_say() {
    let dir = tempfile::tempdir().unwrap();
    let (presences, visits) = truth_agrees(&options(dir.path()));
    assert!(presences > visits && visits > 10, "{presences} presences, {visits} visits");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn truth_is_what_the_records_say_for_any_fleet(
        seed in 0_u64..1_000_000,
        vehicles in 1_u32..4,
        fences in prop_oneof![0_u32..70, 200_u32..400],
        hours in 1.0..40.0_f64,
        shares in (0.0..0.5_f64, 0.0..0.2_f64, prop_oneof![Just(0.0), 0.1..1.0_f64]),
    ) {
        let dir = tempfile::tempdir().unwrap();
        truth_agrees(&Options {
            vehicles,
            fences,
            hours,
            seed,
            out: dir.path().to_owned(),
            late: shares.0,
            duplicates: shares.1,
            edits: shares.2,
            ..Options::default()
        });
    }
}
