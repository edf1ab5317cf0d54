//! What stays between hops, alerts, and what holds for any input.

use std::collections::BTreeMap;

use model::{GraphSettings, KpiMetric, KpiRow, KpiSliceKind, KpiSpan, TimeMs};
use proptest::prelude::*;

use super::{
    DueAlert, Facts, recompute_kpis, recompute_kpis_after, recompute_kpis_after_each, rows_of, sorted,
    spans_and_kinds, walk,
};
use crate::oracle::Input;
use crate::oracle::scenario::{kpi_filters, parse, print_kpis};

fn defaults() -> GraphSettings {
    GraphSettings { zone: model::time_zone("UTC").unwrap(), ..GraphSettings::default() }
}

fn shown(rows: &[KpiRow], filters: &str) -> Vec<String> {
    let filters = kpi_filters(filters).unwrap();
    print_kpis(rows, &filters).lines().map(str::to_owned).collect()
}

#[test]
fn rows_stay_until_a_tick_reaches_the_next_multiple() {
    let input = parse(
        "T1 08:00 3,0
         T1 08:10 3,0
         clock 08:10:20
         T1 08:05 3.1,0
         clock 08:10:40
         clock 08:11",
    )
    .unwrap();
    let after = |ticks: &[usize]| {
        let rows = recompute_kpis_after(&input, ticks, &defaults());
        shown(&rows, "? 15m fleet moving_s\n? 1h fleet moving_s")
    };
    // The late fix is in the next row of 15 minutes, and in that of the hour only a minute later.
    assert_eq!(after(&[1, 3]), ["kpi 15m 07:55:20 fleet moving_s 0", "kpi 1h 07:10 fleet moving_s 0"]);
    assert_eq!(after(&[1, 3, 4]), after(&[1, 3]));
    assert_eq!(after(&[1, 3, 5]), ["kpi 15m 07:55:40 fleet moving_s 600", "kpi 1h 07:10 fleet moving_s 0"]);
    assert_eq!(after(&[1, 3, 5, 6]), ["kpi 15m 07:56 fleet moving_s 600", "kpi 1h 07:11 fleet moving_s 600"]);
    // At its end a replay brings everything up to date.
    assert_eq!(after(&[5]), ["kpi 15m 07:55:40 fleet moving_s 600", "kpi 1h 07:10 fleet moving_s 600"]);
    assert_eq!(after(&[6]), after(&[1, 3, 5, 6]));
    let ticks = [1, 3, 4, 5, 6];
    let each = recompute_kpis_after_each(&input, &ticks, &defaults());
    for (count, rows) in (1..).zip(each) {
        assert_eq!(rows, recompute_kpis_after(&input, &ticks[..count], &defaults()));
    }
    assert_eq!(recompute_kpis_after(&input, &[], &defaults()), []);
    assert_eq!(recompute_kpis(&input, &defaults()), recompute_kpis_after(&input, &[6], &defaults()));
}

#[test]
fn alerts_count_when_they_are_due() {
    let input = parse(
        "location gate at yard
         clock 09:00:30",
    )
    .unwrap();
    let at = |time: &str| TimeMs::parse_rfc3339(&format!("2026-01-05T{time}Z")).unwrap();
    let alert = |kind: &str, vehicle_id: &str, fence_id: Option<&str>, due_at| DueAlert {
        kind: kind.into(),
        vehicle_id: vehicle_id.into(),
        fence_id: fence_id.map(Into::into),
        due_at,
    };
    let alerts = vec![
        alert("overspeed", "T1", None, at("08:00:00")),
        alert("overspeed", "T2", None, at("07:59:59.999")),
        alert("geofence_exit", "T1", Some("yard"), at("08:59:59.999")),
        alert("geofence_exit", "T1", Some("mall"), at("08:30:00")),
        alert("idle", "T1", None, at("09:00:00")),
    ];
    let mut rows = Vec::new();
    walk(&input, &[input.len()], Vec::new(), &defaults(), |_, log| {
        let facts = Facts { alerts: alerts.clone(), ..log.facts() };
        rows = sorted(spans_and_kinds().flat_map(|(span, kind)| rows_of(&facts, span, kind)).collect());
    });
    assert_eq!(
        shown(&rows, "? 1h\n? day"),
        [
            "kpi 1h 08:00 fleet alerts:geofence_exit 2",
            "kpi 1h 08:00 fleet alerts:overspeed 1",
            "kpi 1h 08:00 location gate alerts:geofence_exit 1",
            "kpi 1h 08:00 location mall alerts:geofence_exit 1",
            "kpi day 00:00 fleet alerts:geofence_exit 2",
            "kpi day 00:00 fleet alerts:overspeed 2",
            "kpi day 00:00 location gate alerts:geofence_exit 1",
            "kpi day 00:00 location mall alerts:geofence_exit 1",
            "kpi day 00:00 truck T1 alerts:geofence_exit 2",
            "kpi day 00:00 truck T1 alerts:overspeed 1",
            "kpi day 00:00 truck T2 alerts:overspeed 1",
        ]
    );
}

/// Some trucks on a road for two days and a bit, their trips, and what is said of both; then time passes.
fn inputs() -> impl Strategy<Value = Vec<Input>> {
    let minutes = || 0..3000_i64;
    let time = |minute: i64| TimeMs::parse_rfc3339("2026-01-10T12:00:00Z").unwrap().plus_ms(minute * 60_000);
    let place = || prop::sample::select(vec!["depot", "shop", "yard", "road"]);
    let fix =
        (1..4_u8, minutes(), 0..4_u8, prop::bool::ANY).prop_map(move |(truck, minute, place, is_on)| {
            let ignition = if is_on { "on" } else { "off" };
            format!("T{truck} {} 3.0{place},0 ignition {ignition}", time(minute))
        });
    let trip = (0..5_u8, 1..4_u8, place(), place(), minutes(), prop::option::of(0..2_u8)).prop_map(
        move |(id, truck, pickup, delivery, minute, client)| {
            let client = client.map_or(String::new(), |client| format!(" for c{client}"));
            let (departs, arrives) = (time(minute), time(minute + 90));
            format!("trip t{id} T{truck} {pickup} {delivery} {departs} arrives {arrives}{client}")
        },
    );
    let arrives = (minutes(), prop_oneof![8 => fix, 2 => trip]);
    (prop::collection::vec(arrives, 1..60), minutes()).prop_map(move |(mut lines, until)| {
        lines.sort_by_key(|(minute, _)| *minute);
        let before =
            "set cleaning.max_speed_kmh 0 cleaning.horizon_h 1000 trips.no_show_h 5 trips.no_arrival_h 5
                      fence depot circle 3.00,0 100\nfence shop circle 3.01,0 100\nfence lot circle 3.02,0 100
                      location yard at lot";
        let last = time(6000 + until);
        let lines: Vec<String> =
            lines.into_iter().map(|(minute, line)| format!("{line} @{}", time(minute + 3000))).collect();
        parse(&format!("{before}\n{}\nclock {last}", lines.join("\n"))).unwrap()
    })
}

/// Values by window, slice and metric.
fn values(rows: &[KpiRow], span: KpiSpan, kind: KpiSliceKind) -> BTreeMap<(TimeMs, KpiMetric), i64> {
    let mut sums = BTreeMap::new();
    for row in rows.iter().filter(|row| row.span == span && row.slice.kind == kind) {
        *sums.entry((row.start.unwrap(), row.metric.clone())).or_default() += row.value;
    }
    sums
}

const COUNTS: [KpiMetric; 5] = [
    KpiMetric::TripsStarted,
    KpiMetric::TripsCompleted,
    KpiMetric::TripsDelayed,
    KpiMetric::TripsFailed,
    KpiMetric::Visits,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn parts_sum_to_the_whole(inputs in inputs()) {
        let rows = recompute_kpis(&inputs, &defaults());
        let days = values(&rows, KpiSpan::Day, KpiSliceKind::Fleet);
        let weeks = values(&rows, KpiSpan::Week, KpiSliceKind::Fleet);
        for metric in COUNTS {
            let of_metric = |rows: &BTreeMap<(TimeMs, KpiMetric), i64>| -> i64 {
                rows.iter().filter(|((_, of), _)| *of == metric).map(|(_, value)| value).sum()
            };
            prop_assert_eq!(of_metric(&days), of_metric(&weeks), "{:?}", metric);
            let locations = values(&rows, KpiSpan::Week, KpiSliceKind::Location);
            prop_assert_eq!(of_metric(&locations), of_metric(&weeks), "{:?}", metric);
        }
        for row in rows.iter().filter(|row| row.metric == KpiMetric::UtilizationBp) {
            prop_assert!((0..=10_000).contains(&row.value), "{:?}", row);
        }
    }

    #[test]
    fn where_hops_meet_trucks_sum_to_the_fleet(inputs in inputs(), hours in 0..50_i64) {
        let mut inputs = inputs;
        let mut last = TimeMs(0);
        walk(&inputs, &[inputs.len()], Vec::new(), &defaults(), |_, log| last = log.instant());
        let whole_hour = last.plus_ms(hours * 3_600_000 - last.0.rem_euclid(3_600_000) + 3_600_000);
        inputs.push(Input::Clock { received: Some(whole_hour) });
        let rows = recompute_kpis(&inputs, &defaults());
        let fleet = values(&rows, KpiSpan::Day, KpiSliceKind::Fleet);
        let trucks = values(&rows, KpiSpan::Day, KpiSliceKind::Truck);
        let times = [KpiMetric::MovingS, KpiMetric::IdleS, KpiMetric::StoppedS, KpiMetric::OfflineS];
        // Fixes are at whole minutes.
        for metric in times.into_iter().chain([KpiMetric::TripsStarted, KpiMetric::TripsCompleted]) {
            let without_zeros = |rows: &BTreeMap<(TimeMs, KpiMetric), i64>| -> Vec<(TimeMs, i64)> {
                let of_metric = rows.iter().filter(|((_, of), value)| *of == metric && **value > 0);
                of_metric.map(|((start, _), value)| (*start, *value)).collect()
            };
            prop_assert_eq!(without_zeros(&fleet), without_zeros(&trucks), "{:?}", metric);
        }
    }

    #[test]
    fn the_order_of_arrival_does_not_matter(inputs in inputs(), seed in any::<prop::sample::Index>()) {
        let is_fix = |input: &Input| matches!(input, Input::Position { .. });
        let expected = recompute_kpis(&inputs, &defaults());
        let (mut fixes, others): (Vec<Input>, Vec<Input>) = inputs.into_iter().partition(is_fix);
        // One fix a vehicle and time, so that none takes the place of another.
        let key = |input: &Input| match input {
            Input::Position { vehicle_id, position, .. } => (vehicle_id.clone(), position.event_time),
            _ => (String::new(), TimeMs(0)),
        };
        fixes.sort_by_key(key);
        prop_assume!(fixes.windows(2).all(|two| key(&two[0]) != key(&two[1])));
        if !fixes.is_empty() {
            let middle = seed.index(fixes.len());
            fixes.rotate_left(middle);
        }
        let at_the_end = others.last().and_then(Input::received);
        for fix in &mut fixes {
            if let Input::Position { received, .. } = fix {
                *received = at_the_end;
            }
        }
        let (last, first) = others.split_last().unwrap();
        let again = [first, &fixes, std::slice::from_ref(last)].concat();
        prop_assert_eq!(recompute_kpis(&again, &defaults()), expected);
    }
}

#[test]
fn keys_are_there_once() {
    let input = parse("T1 08:00 3,0\nT2 08:00 3,0\nT1 08:10 3,0\nclock 09:00").unwrap();
    let rows = recompute_kpis(&input, &defaults());
    assert!(!rows.is_empty());
    let keys: std::collections::BTreeSet<Vec<u8>> =
        rows.iter().map(|row| model::Row::Kpi(row.clone()).key_bytes()).collect();
    assert_eq!(keys.len(), rows.len());
}
