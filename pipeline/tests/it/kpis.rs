//! KPIs over days: fixes, trips and what corrects them around midnights, some of them when clocks are set.

use std::collections::{BTreeMap, BTreeSet};

use bench::oracle::scenario::parse;
use bench::oracle::{Input, recompute_kpis};
use model::{ClosedTick, GraphSettings, KpiMetric, KpiSpan, LiveStatus, Row, Table, TimeMs};
use pipeline::{BadLine, Driver, Follower, ReplayOptions, TICK_RECORDS, replay};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::generated::{cases, hold_by};
use crate::harness::{feed, kpi_disagreement};

/// Beginnings, each a Saturday at noon, so that a week ends within a day and a half. Clocks are set in the night after
/// it: forward in Berlin, back in Berlin, forward in St. John's at a minute past midnight; and nowhere.
const BEGINS: [(&str, &str); 4] = [
    ("2026-03-28T12:00:00Z", "Europe/Berlin"),
    ("2026-10-24T12:00:00Z", "Europe/Berlin"),
    ("2010-03-13T12:00:00Z", "America/St_Johns"),
    ("2026-01-10T12:00:00Z", "Africa/Lagos"),
];
/// Where there is something to drive to, and a road.
const PLACES: [&str; 4] = ["3.000,0", "3.010,0", "3.020,0", ROAD];
const ROAD: &str = "3.150,0";
const FENCES: &str =
    "fence depot circle 3.00,0 100 alert\nfence shop circle 3.01,0 100 alert\nfence lot circle 3.02,0 100";

/// Where trips are made of visits.
const SITES: &str =
    "location depot at depot terminal\nlocation shop at shop client\nlocation lot at lot client
                     set trips.auto true";

/// Something that arrives so many seconds after the beginning.
type Arrival = (i64, Line);

/// A line of a scenario in which times are seconds after the beginning.
#[derive(Clone, Debug)]
struct Line {
    before: String,
    /// Each with what is between it and the next one.
    times: Vec<(i64, String)>,
}

fn line(before: impl Into<String>) -> Line {
    Line { before: before.into(), times: Vec::new() }
}

impl Line {
    fn at(mut self, second: i64, then: impl Into<String>) -> Line {
        self.times.push((second, then.into()));
        self
    }

    fn text(&self, begins: TimeMs) -> String {
        let times =
            self.times.iter().map(|(second, then)| format!("{}{then}", begins.plus_ms(second * 1000)));
        std::iter::once(self.before.clone()).chain(times).collect()
    }
}

/// Within so many hours, often at a whole minute or 15 of them, else at any second.
fn seconds(hours: i64) -> impl Strategy<Value = i64> {
    prop_oneof![
        2 => (0..hours * 60).prop_map(|minute| minute * 60),
        1 => (0..hours * 4).prop_map(|quarter| quarter * 900),
        2 => 0..hours * 3600,
    ]
}

fn fix(time: i64, truck: u8, place: usize, is_on: Option<bool>) -> Line {
    let ignition = is_on.map_or("", |is_on| if is_on { " ignition on" } else { " ignition off" });
    let speed = if PLACES[place] == ROAD { "speed 70" } else { "speed 0" };
    line(format!("T{truck} ")).at(time, format!(" {}{ignition} {speed}", PLACES[place]))
}

/// How long after its time a fix arrives, and seldom before it.
fn delay() -> impl Strategy<Value = i64> {
    prop_oneof![8 => Just(0_i64), 3 => 0..1800_i64, 2 => 0..100_000_i64, 1 => -200..0_i64]
}

/// One fix at any time.
fn stray() -> impl Strategy<Value = Vec<Arrival>> {
    (seconds(60), 0..3_u8, 0..PLACES.len(), prop::option::of(any::<bool>()), delay()).prop_map(
        |(time, truck, place, is_on, delay)| vec![((time + delay).max(0), fix(time, truck, place, is_on))],
    )
}

/// A vehicle that goes from place to place.
fn drive() -> impl Strategy<Value = Vec<Arrival>> {
    let stop = (0..PLACES.len(), 1..5_i64, 1..1500_i64, any::<bool>(), delay());
    (seconds(50), 0..3_u8, prop::collection::vec(stop, 2..9)).prop_map(|(begins, truck, stops)| {
        let mut time = begins;
        let mut fixes = Vec::new();
        for (place, count, pause, is_on, delay) in stops {
            for _ in 0..count {
                fixes.push(((time + delay).max(0), fix(time, truck, place, Some(is_on))));
                time += pause;
            }
        }
        fixes
    })
}

fn place() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["depot", "shop", "yard", "mall"])
}

fn trip() -> impl Strategy<Value = Vec<Arrival>> {
    let arrives = prop::option::of(600..40_000_i64);
    let client = prop::option::of(0..2_u8);
    (seconds(60), (0..4_u8, 0..4_u8), place(), place(), seconds(50), arrives, client).prop_map(
        |(comes, (id, truck), pickup, delivery, departs, arrives, client)| {
            let client = client.map_or(String::new(), |client| format!(" for c{client}"));
            let plan = line(format!("trip t{id} T{truck} {pickup} {delivery} "));
            let plan = match arrives {
                Some(lasts) => plan.at(departs, " arrives ").at(departs + lasts, client),
                None => plan.at(departs, client),
            };
            vec![(comes, plan)]
        },
    )
}

/// A trip that is driven: from one place over the road to another, some of it offline.
fn haul() -> impl Strategy<Value = Vec<Arrival>> {
    let ends =
        prop::sample::select(vec![(0, "depot", 1, "shop"), (1, "shop", 2, "lot"), (2, "yard", 0, "depot")]);
    let pauses = prop::collection::vec(60..1200_i64, 7);
    let lateness = (prop_oneof![2 => -1800..1800_i64, 1 => -9000..9000_i64], prop::option::of(0..6000_i64));
    (seconds(50), (0..4_u8, 0..3_u8), ends, pauses, lateness, prop::option::of(0..2_u8), delay()).prop_map(
        |(begins, (id, truck), (from, pickup, to, delivery), pauses, (late, lasts), client, delay)| {
            let departs = begins + 900 - late;
            let plan = line(format!("trip t{id} T{truck} {pickup} {delivery} "));
            let client = client.map_or(String::new(), |client| format!(" for c{client}"));
            let plan = match lasts {
                Some(lasts) => plan.at(departs, " arrives ").at(departs + lasts, client),
                None => plan.at(departs, client),
            };
            let mut arrivals = vec![((begins + delay).max(0), plan)];
            let mut time = begins;
            for (pause, place) in pauses.into_iter().zip([from, from, 3, 3, to, to, 3]) {
                arrivals.push((time, fix(time, truck, place, Some(true))));
                time += pause;
            }
            arrivals
        },
    )
}

fn other() -> impl Strategy<Value = Vec<Arrival>> {
    let status = prop::sample::select(vec!["completed", "failed", "cancelled", "delayed", "inferred"]);
    let vehicle = prop::sample::select(vec!["operational", "maintenance", "deleted"]);
    let location = prop::sample::select(vec![
        "yard at depot",
        "yard at shop",
        "yard at lot",
        "mall at lot",
        "yard deleted",
        "shop at depot",
        "shop deleted",
        "yard nowhere",
        "mall at depot terminal",
        "yard at lot client",
        "shop at lot client",
    ]);
    let setting = prop::sample::select(vec![
        "cleaning.horizon_h 0",
        "cleaning.horizon_h 3",
        "cleaning.horizon_h 40",
        "zone UTC",
        "zone Asia/Kathmandu",
        "visits.min_dwell_s 0",
        "visits.min_dwell_s 900",
        "trips.no_show_h 5",
        "trips.no_arrival_h 2",
        "trips.auto true",
        "trips.auto false",
        "cleaning.max_speed_kmh 90",
    ]);
    let fence = prop::sample::select(vec![
        "delete depot",
        "fence depot circle 3.00,0 100",
        "fence shop circle 3.02,0 300",
        "fence lot circle 3.02,0 100 alert",
    ]);
    let rule = prop::sample::select(vec![
        "idle fleet for 60 always",
        "idle vehicle T1 off",
        "device_offline fleet for 60 always",
        "geofence_entry fence depot off always",
        "geofence_exit fleet off always",
        "dtc fleet off always",
        "dtc fleet",
    ]);
    let text = prop_oneof![
        3 => (0..4_u8, status).prop_map(|(id, status)| format!("status t{id} {status} by ada")),
        3 => (0..4_u8, vehicle).prop_map(|(id, state)| format!("vehicle T{id} {state}")),
        2 => location.prop_map(|text| format!("location {text}")),
        2 => setting.prop_map(|text| format!("set {text}")),
        1 => fence.prop_map(str::to_owned),
        1 => rule.prop_map(|text| format!("rule {text}")),
        3 => Just("clock".to_owned()),
    ];
    (seconds(50), text).prop_map(|(comes, text)| vec![(comes, line(text))])
}

/// What the provider tells, before it begins or after.
fn provider_alert() -> impl Strategy<Value = Vec<Arrival>> {
    let kind = prop::sample::select(vec!["dtc", "crash", "harsh_braking"]);
    (seconds(60), 0..4_u8, kind, seconds(60), 0..3_u8).prop_map(|(comes, truck, kind, started, id)| {
        let told = line(format!("provider T{truck} {kind} started ")).at(started, format!(" id {id}"));
        vec![(comes, told)]
    })
}

/// Two days and a half of a few trucks, and time that passes after them.
fn kpi_days() -> impl Strategy<Value = Vec<Input>> {
    let arrivals = prop::collection::vec(
        prop_oneof![
            4 => drive(),
            4 => stray(),
            4 => haul(),
            2 => trip(),
            3 => other(),
            2 => provider_alert(),
        ],
        1..14,
    );
    let lasts = prop::option::weighted(0.4, seconds(300));
    let zone_comes_first = prop::bool::weighted(0.8);
    // Some end in the middle of it.
    let cut = prop::option::weighted(0.5, any::<prop::sample::Index>());
    let sites = prop_oneof![2 => Just(""), 1 => Just(SITES)];
    (0..BEGINS.len(), arrivals, lasts, (zone_comes_first, sites), cut).prop_map(
        |(begins, arrivals, lasts, (zone_comes_first, sites), cut)| {
            let (begins, zone) = BEGINS[begins];
            let begins = TimeMs::parse_rfc3339(begins).unwrap();
            let mut arrivals: Vec<Arrival> = arrivals.into_iter().flatten().collect();
            arrivals.sort_by_key(|(comes, _)| *comes);
            arrivals.truncate(cut.map_or(arrivals.len(), |cut| cut.index(arrivals.len()) + 1));
            arrivals.extend(lasts.map(|second| (second, line("clock"))));
            let zone = format!(
                "set cleaning.max_speed_kmh 0\n{}",
                if zone_comes_first { format!("set zone {zone}") } else { String::new() }
            );
            let lines = arrivals.into_iter().map(|(comes, line)| {
                let arrival = begins.plus_ms(comes * 1000);
                // A clock's own time is its arrival.
                let text = line.text(begins);
                if text == "clock" { format!("clock {arrival}") } else { format!("{text} @{arrival}") }
            });
            let lines: Vec<String> = lines.collect();
            parse(&format!("{zone}\n{FENCES}\n{sites}\n{}", lines.join("\n"))).unwrap()
        },
    )
}

#[test]
fn kpis_equal_the_oracle_after_every_tick() {
    hold_by(kpi_disagreement, 400, cases(kpi_days(), 1_usize..=3));
}

/// All figures, spans and kinds of slices come up.
#[test]
fn kpis_of_all_sorts_come_up() {
    let mut runner = TestRunner::deterministic();
    let strategy = kpi_days();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..500 {
        let inputs = strategy.new_tree(&mut runner).unwrap().current();
        let rows = recompute_kpis(&inputs, &GraphSettings::default());
        let mut names: BTreeSet<String> = BTreeSet::new();
        for row in rows.iter().filter(|row| row.value != 0) {
            names.insert(format!("{} of {}", row.span.as_str(), row.slice.kind.as_str()));
            names.insert(row.metric.name().into_owned());
            if let KpiMetric::Alerts(_) = row.metric {
                names.insert(format!("alerts of {}", row.slice.kind.as_str()));
            }
            names.extend(row.is_final.then(|| "final".to_owned()));
        }
        names.into_iter().for_each(|name| *counts.entry(name).or_default() += 1);
    }
    let metrics = KpiMetric::NAMED.into_iter().chain(LiveStatus::ALL.map(KpiMetric::Trucks));
    let spans = KpiSpan::ALL.map(|span| format!("{} of location", span.as_str()));
    let trucks =
        ["day of truck", "week of truck", "day of client", "24h of client", "final"].map(str::to_owned);
    let alerts = ["fleet", "truck", "location"].map(|slice| format!("alerts of {slice}"));
    let kinds =
        ["crash", "device_offline", "dtc", "geofence_entry", "geofence_exit", "harsh_braking", "idle"]
            .map(|kind| format!("alerts:{kind}"));
    let metrics = metrics.map(|metric| metric.name().into_owned());
    for name in metrics.chain(spans).chain(trucks).chain(alerts).chain(kinds) {
        assert!(counts.get(&name).is_some_and(|&count| count >= 3), "{name} in {counts:?}");
    }
}

/// The causes and records of changes of the rows of days, tick by tick, each line of `lines` being one.
fn causes(lines: &str, slice: &str) -> Vec<String> {
    let inputs = parse(lines).unwrap();
    let mut driver = Driver::start(GraphSettings::default(), BTreeSet::new(), false, 1).unwrap();
    let mut told = BTreeSet::new();
    for (tick, input) in (1..).zip(&inputs) {
        feed(&mut driver.intake, input);
        let input = driver.intake.finish_tick(None);
        driver.submit(tick, input).unwrap();
        while let Some(closed) = driver.close_next().unwrap() {
            for change in closed.changes {
                let Row::Kpi(row) = &change.row else { continue };
                if row.span == KpiSpan::Day && row.slice.kind.as_str() == slice && change.diff > 0 {
                    told.insert((tick, change.why.cause.as_str(), change.why.seq));
                }
            }
        }
    }
    told.into_iter().map(|(tick, cause, seq)| format!("{tick} {cause} {seq}")).collect()
}

/// A row says the strongest reason of all that came since it moved last, whichever tick it moves at.
#[test]
fn rows_move_for_the_strongest_reason_since_they_did_last() {
    let lines = "set visits.min_dwell_s 0
                 T1 08:00 3,0
                 T1 08:14:50 3,0
                 T1 08:05 3.1,0 @08:15:05
                 T1 08:15:10 3,0
                 T1 08:16 3,0
                 clock 08:31
                 set cleaning.horizon_h 200
                 clock 08:47
                 trip t T1 depot shop 06:00 @08:48
                 clock 09:01
                 set cleaning.horizon_h 0
                 clock +00:20
                 set cleaning.horizon_h 100
                 clock +00:40";
    assert_eq!(
        causes(lines, "fleet"),
        ["3 first 3", "4 late_fix 4", "6 first 6", "10 first 10", "13 settings 12", "15 settings 14"]
    );
    assert_eq!(
        causes(lines, "truck"),
        ["4 late_fix 4", "7 first 6", "11 first 10", "13 settings 12", "15 settings 14"]
    );
}

/// What stands of KPIs when a replay has ended.
#[derive(Default)]
struct Standing(BTreeMap<Vec<u8>, String>);

impl Follower for Standing {
    fn closed(&mut self, closed: &ClosedTick) -> anyhow::Result<()> {
        for change in closed.changes.iter().filter(|change| change.row.table() == Table::Kpis) {
            match change.diff {
                1 => drop(self.0.insert(change.row.key_bytes(), change.row.to_json())),
                _ => drop(self.0.remove(&change.row.key_bytes())),
            }
        }
        Ok(())
    }

    fn bad_line(&mut self, bad: &BadLine) {
        panic!("{bad:?}");
    }

    fn warning(&mut self, _: String) {}

    fn progress(&mut self, _: u64, _: u64) {}
}

/// All of it arrives at once, and fills one tick and a half: what the first tick has, the second one must not keep from
/// being shown.
#[test]
fn a_replay_ends_with_kpis_of_all_records_however_they_are_split() {
    let begin = TimeMs::parse_rfc3339("2026-01-05T08:00:00Z").unwrap();
    let fix = |second: i64| {
        let (at, received) = (begin.plus_ms(second * 1000), begin.plus_ms(3_600_000));
        let lon = 3.0 + second as f64 / 10_000.0;
        format!(
            r#"{{"type":"position","vehicle_id":"T1","event_time":"{at}","received_time":"{received}","lon":{lon:.7},"lat":6.5}}"#
        ) + "\n"
    };
    let count = TICK_RECORDS as i64 * 3 / 2;
    let orders = [(0..count).collect::<Vec<_>>(), (count / 2..count).chain(0..count / 2).collect()];
    let dir = tempfile::tempdir().unwrap();
    let [one, other] = orders.map(|order| {
        let file = dir.path().join(format!("{}.ndjson", order[0]));
        std::fs::write(&file, order.into_iter().map(fix).collect::<String>()).unwrap();
        let options = ReplayOptions {
            files: vec![file],
            settings: GraphSettings::default(),
            pinned: BTreeSet::new(),
            clock: None,
            workers: 1,
            strict: true,
        };
        let mut standing = Standing::default();
        replay(&options, &mut standing).unwrap();
        standing.0
    });
    assert!(one.values().any(|row| row.contains("distance_m")), "{one:?}");
    assert_eq!(one, other);
}
