//! Vehicles that are driven too fast, stand with the engine on and fall silent; the rules for it, and what the
//! provider tells.

use std::collections::{BTreeMap, BTreeSet};

use bench::oracle::{Collector, Input, Rows, recompute_rows};
use model::{
    AlertDetails, AlertId, AlertKind, AlertRow, AlertRule, GraphSettings, ProviderAlert, RuleScope,
    SettingValue, Severity, TripEdit, TripPlan,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::backfill::records::{line, stamped};
use crate::generated::{cases, hold};
use crate::steps::at;
use crate::trips::{Arrival, COMPANIES, TIMES, VEHICLES, text, trips, trips_with, vehicle};

/// Kinds that the provider has, under our names, and whether they have no length.
const OF_PROVIDER: [(&str, bool); 4] =
    [("crash", true), ("dtc", false), ("harsh_braking", true), ("provider_idle", false)];

/// Rules of all kinds and scopes whose thresholds and durations decide something.
fn rule() -> impl Strategy<Value = Arrival> {
    let scope = prop_oneof![
        2 => Just(RuleScope::Fleet),
        1 => company(),
        2 => (0..VEHICLES).prop_map(|n| RuleScope::Vehicle(text('T', n).into())),
        3 => (0..4_u8).prop_map(|n| RuleScope::Fence(text('f', n).into())),
    ];
    rule_for(scope)
}

fn company() -> impl Strategy<Value = RuleScope> {
    prop::sample::select(COMPANIES.to_vec()).prop_map(|id| RuleScope::Company(id.into()))
}

fn rule_for(scope: impl Strategy<Value = RuleScope>) -> impl Strategy<Value = Arrival> {
    let own = AlertKind::ALL.map(AlertKind::as_str);
    let kinds: Vec<&str> = own.into_iter().chain(OF_PROVIDER.map(|(kind, _)| kind)).collect();
    let says = (
        prop::option::weighted(0.6, 0..12_i64),
        prop::option::weighted(0.6, 0..20_i64),
        prop::option::weighted(0.3, prop::sample::select(Severity::ALL.to_vec())),
        prop::bool::weighted(0.85),
        prop::bool::weighted(0.4),
        any::<bool>(),
    );
    (TIMES, prop::sample::select(kinds), scope, says).prop_map(
        |(arrives, kind, scope, (tens, half_minutes, severity, enabled, correct_history, is_dated))| {
            let rule = AlertRule {
                kind: kind.into(),
                scope,
                threshold_milli: tens.map(|tens| tens * 10_000),
                duration_ms: half_minutes.map(|half_minutes| half_minutes * 30_000),
                severity,
                enabled,
                correct_history,
            };
            let received = is_dated.then(|| at(arrives));
            (arrives, Input::Rule { received, rule: rule.into() })
        },
    )
}

/// Halves of alerts, of which some have an id, and some no times.
fn provider_alert() -> impl Strategy<Value = Arrival> {
    let times = (prop::option::weighted(0.8, TIMES), prop::option::weighted(0.5, TIMES));
    let says = (prop::option::weighted(0.7, 0..3_u8), prop::option::weighted(0.4, 0..9_u8), any::<bool>());
    (TIMES, prop::sample::select(OF_PROVIDER.to_vec()), 0..VEHICLES, times, says).prop_map(
        |(arrives, (kind, is_instant), vehicle, (started, ended), (id, code, is_dated))| {
            let critical = kind == "crash";
            let alert = ProviderAlert {
                vehicle_id: text('T', vehicle).into(),
                kind: kind.into(),
                severity: if critical { Severity::Critical } else { Severity::Warning },
                is_instant,
                provider_id: id.map(|id| id.to_string().into()),
                started: started.map(at),
                ended: ended.map(at),
                details: code.map(|code| format!("{{\"code\":{code}}}").into()),
            };
            let received = is_dated.then(|| at(arrives));
            (arrives, Input::ProviderAlert { received, alert: alert.into() })
        },
    )
}

/// How long a vehicle may be away and has not left.
fn absence() -> impl Strategy<Value = Arrival> {
    (TIMES, 0..6_u8).prop_map(|(arrives, half_minutes)| {
        let absence_s = SettingValue::Number(f64::from(half_minutes) * 30.0);
        let values = vec![("visits.max_absence_s".to_owned(), absence_s)];
        (arrives, Input::Settings { received: None, values })
    })
}

/// Speeds and ignitions, one for each of the fixes in turn; and fixes a few seconds after them, braking or not.
type Motions = Vec<(Option<u16>, Option<bool>, Option<(u8, u16)>)>;

fn motions() -> impl Strategy<Value = Motions> {
    let speed =
        || prop_oneof![3 => Just(0_u16), 2 => 0..1000_u16, 1 => prop::sample::select(vec![49, 50, 600, 601])];
    let soon_after = prop::option::weighted(0.2, (1..8_u8, speed()));
    let motion = (
        prop::option::weighted(0.9, speed()),
        prop::option::weighted(0.8, prop::bool::weighted(0.7)),
        soon_after,
    );
    prop::collection::vec(motion, 24)
}

/// The trips of [`trips`] on the move: fixes with speeds, fences with limits, plans with corridors, rules, and what the
/// provider tells.
pub fn alerts() -> impl Strategy<Value = Vec<Input>> {
    alerts_of(trips(), said())
}

/// What is said of rules, absences and vehicles.
fn said() -> impl Strategy<Value = Vec<Arrival>> {
    prop::collection::vec(prop_oneof![5 => rule(), 1 => absence(), 1 => vehicle()], 0..7)
}

/// Rules of which most are for companies, and vehicles that change hands.
fn said_of_companies() -> impl Strategy<Value = Vec<Arrival>> {
    let said = prop_oneof![5 => rule_for(company()), 1 => rule(), 5 => vehicle()];
    prop::collection::vec(said, 4..16)
}

fn long_trips() -> impl Strategy<Value = Vec<Input>> {
    trips_with(30..60, (1..3_u8).prop_map(Some))
}

fn alerts_of(
    trips: impl Strategy<Value = Vec<Input>>,
    said: impl Strategy<Value = Vec<Arrival>>,
) -> impl Strategy<Value = Vec<Input>> {
    // Hours later what is late is critical, if it has not failed.
    let late = prop::option::weighted(0.4, TIMES.end..9 * TIMES.end);
    let others = (said, prop::collection::vec(provider_alert(), 0..5), late);
    (trips, motions(), others).prop_map(|(trips, motions, (rules, of_provider, late))| {
        let mut moving = Vec::new();
        for (i, input) in trips.into_iter().enumerate() {
            let (speed_dkmh, ignition, soon_after) = motions[i % motions.len()];
            moving.extend(set_in_motion(input, i, speed_dkmh, ignition, soon_after));
        }
        // Others come at their place among all records, by their share of the time.
        for (arrives, input) in rules.into_iter().chain(of_provider) {
            let place = moving.len() * arrives as usize / TIMES.end as usize;
            moving.insert(place, input);
        }
        if let Some(late) = late {
            let hours = |name: &str| (name.to_owned(), SettingValue::Number(24.0));
            let values = vec![hours("trips.no_show_h"), hours("trips.no_arrival_h")];
            moving.push(Input::Settings { received: Some(at(late)), values });
        }
        moving
    })
}

fn set_in_motion(
    input: Input,
    i: usize,
    speed_dkmh: Option<u16>,
    ignition: Option<bool>,
    soon_after: Option<(u8, u16)>,
) -> Vec<Input> {
    match input {
        Input::Position { received, vehicle_id, mut position } => {
            let speed_kmh = |dkmh: u16| f64::from(dkmh) / 10.0;
            (position.speed_kmh, position.ignition) = (speed_dkmh.map(speed_kmh), ignition);
            let mut after = position;
            let first = Input::Position { received, vehicle_id: vehicle_id.clone(), position };
            let Some((seconds, then_dkmh)) = soon_after else { return vec![first] };
            after.event_time = after.event_time.plus_ms(i64::from(seconds) * 1000);
            after.speed_kmh = Some(speed_kmh(then_dkmh));
            vec![first, Input::Position { received, vehicle_id, position: after }]
        }
        Input::Fence { received, mut fence } => {
            let settings = &mut std::sync::Arc::make_mut(&mut fence).settings;
            settings.alert = i.is_multiple_of(3);
            settings.speed_limit_kmh = i.is_multiple_of(2).then(|| 5.0 * (1 + i % 9) as f64);
            vec![Input::Fence { received, fence }]
        }
        Input::Trip { received, id, edit: TripEdit::Plan(plan) } => {
            // One of the places, or a fence that may come later.
            let corridor = (i % 5 < 4).then(|| text('f', (i % 5) as u8).into());
            let plan = TripPlan { corridor, ..TripPlan::clone(&plan) };
            vec![Input::Trip { received, id, edit: TripEdit::Plan(plan.into()) }]
        }
        other => vec![other],
    }
}

fn rows(inputs: &[Input]) -> Rows {
    recompute_rows(inputs, &GraphSettings::default())
}

#[test]
fn alerts_equal_the_oracles_after_every_tick() {
    hold(400, cases(alerts(), 1_usize..=3));
}

/// Whole blocks of fixes are forgotten, and what they said is not.
#[test]
fn alerts_outlast_the_fixes_that_they_follow_from() {
    hold(100, cases(alerts_of(long_trips(), said()), 1_usize..=2));
}

#[test]
fn vehicles_that_change_hands_are_under_the_rules_of_their_companies() {
    hold(400, cases(alerts_of(trips(), said_of_companies()), 1_usize..=3));
    hold(100, cases(alerts_of(long_trips(), said_of_companies()), 1_usize..=2));
}

/// In many cases it makes a difference whose a vehicle is, and in some when that became known.
#[test]
fn companies_make_a_difference() {
    let mut runner = TestRunner::deterministic();
    let all = alerts_of(trips(), said_of_companies());
    let with_edge = alerts_of(long_trips(), said_of_companies());
    let is_vehicle = |input: &Input| matches!(input, Input::Vehicle { .. });
    let (mut by_company, mut by_time) = (0, 0);
    for _ in 0..300 {
        let inputs = all.new_tree(&mut runner).unwrap().current();
        let others: Vec<Input> = inputs.iter().filter(|input| !is_vehicle(input)).cloned().collect();
        by_company += usize::from(rows(&inputs).alerts != rows(&others).alerts);
    }
    for _ in 0..300 {
        let inputs = with_edge.new_tree(&mut runner).unwrap().current();
        let (vehicles, others): (Vec<Input>, Vec<Input>) = inputs.iter().cloned().partition(is_vehicle);
        by_time += usize::from(rows(&inputs).alerts != rows(&[vehicles, others].concat()).alerts);
    }
    assert!(by_company >= 40 && by_time >= 20, "{by_company}, {by_time}");
}

/// As lines of a journal they read as they were generated.
#[test]
fn records_of_alerts_come_back_from_their_lines() {
    let mut runner = TestRunner::deterministic();
    let strategy = alerts();
    let of_alerts = |inputs: Vec<Input>| -> Vec<Input> {
        let without_time = |input| match input {
            Input::Rule { rule, .. } => Some(Input::Rule { received: None, rule }),
            Input::ProviderAlert { alert, .. } => Some(Input::ProviderAlert { received: None, alert }),
            Input::Trip { id, edit, .. } => Some(Input::Trip { received: None, id, edit }),
            _ => None,
        };
        inputs.into_iter().filter_map(without_time).collect()
    };
    let mut count = 0;
    for _ in 0..50 {
        let inputs = strategy.new_tree(&mut runner).unwrap().current();
        let mut got = Collector::default();
        for input in &stamped(&inputs) {
            sources::decode(sources::code::RECORDS, "", &line(input), &mut got);
        }
        let expected = of_alerts(inputs);
        count += expected.len();
        assert_eq!(of_alerts(got.0), expected);
    }
    assert!(count > 200, "{count}");
}

/// All kinds come up, open and ended, with all severities, and so do the provider's halves.
#[test]
fn alerts_of_all_sorts_come_up() {
    let mut runner = TestRunner::deterministic();
    let strategy = alerts();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..400 {
        let inputs = strategy.new_tree(&mut runner).unwrap().current();
        let rows = rows(&inputs);
        let different: BTreeSet<AlertId> = rows.alerts.iter().map(|row| row.alert_id).collect();
        assert_eq!(different.len(), rows.alerts.len(), "an id is that of one alert");
        for row in &rows.alerts {
            assert_consistent(row);
            let how = if row.ended.is_some() { "ended" } else { "open" };
            let mut names =
                vec![format!("{how} {}", row.kind), format!("{} {}", row.severity.as_str(), row.kind)];
            names.extend(row.fence_id.is_some().then(|| format!("fence {}", row.kind)));
            names.extend(row.trip_id.is_some().then(|| format!("trip {}", row.kind)));
            names.into_iter().for_each(|name| *counts.entry(name).or_default() += 1);
        }
    }
    let open = AlertKind::ALL.map(|kind| kind.as_str()).into_iter().filter(|kind| !kind.starts_with("harsh"));
    let ended = AlertKind::ALL.map(|kind| kind.as_str()).into_iter().chain(OF_PROVIDER.map(|(kind, _)| kind));
    let others =
        ["fence overspeed", "trip device_offline", "trip geofence_entry", "critical trip_delay", "open dtc"];
    let names = open.map(|kind| format!("open {kind}")).chain(ended.map(|kind| format!("ended {kind}")));
    for name in names.chain(others.map(str::to_owned)) {
        assert!(counts.get(&name).is_some_and(|&count| count >= 10), "{name} in {counts:#?}");
    }
}

fn assert_consistent(row: &AlertRow) {
    assert!(row.due_at >= row.started, "{row:?}");
    assert!(row.ended.is_none_or(|ended| ended >= row.started), "{row:?}");
    let is_about_fence = ["geofence_entry", "geofence_exit", "route_deviation"].contains(&&*row.kind);
    assert!(row.fence_id.is_some() || !is_about_fence, "{row:?}");
    let is_about_trip = ["trip_delay", "route_deviation"].contains(&&*row.kind);
    assert!(row.trip_id.is_some() || !is_about_trip, "{row:?}");
    let has_details = *row.details != *AlertDetails::None.to_json();
    let may_have_none = AlertKind::from_name(&row.kind).is_some();
    assert!(has_details || may_have_none, "{row:?}");
}

/// Alerts are of what there is, not of when it came: plans, places and what the provider tells, first or last. What
/// is dated by its arrival comes in its order.
#[test]
fn it_does_not_matter_when_plans_and_the_providers_alerts_come() {
    order_makes_nothing(alerts(), is_timeless);
}

/// Nor whose vehicles are, where all history is kept.
#[test]
fn it_does_not_matter_when_it_is_told_whose_a_vehicle_is() {
    let all_kept = trips_with(3..12, Just(None));
    order_makes_nothing(alerts_of(all_kept, said_of_companies()), |input| {
        is_timeless(input) || matches!(input, Input::Vehicle { .. })
    });
}

fn is_timeless(input: &Input) -> bool {
    let is_plan = matches!(input, Input::Trip { edit: TripEdit::Plan(_), .. });
    is_plan || matches!(input, Input::Location { .. } | Input::ProviderAlert { .. })
}

fn order_makes_nothing(strategy: impl Strategy<Value = Vec<Input>>, is_timeless: fn(&Input) -> bool) {
    let mut runner = TestRunner::deterministic();
    for _ in 0..150 {
        let mut inputs = strategy.new_tree(&mut runner).unwrap().current();
        // What says no time is dated by its arrival, and an instant of its own would move that of all behind it.
        let is_dated = |input: &Input| matches!(input, Input::ProviderAlert { alert, .. } if alert.started.or(alert.ended).is_none());
        inputs.retain(|input| !is_dated(input));
        for input in &mut inputs {
            if let Input::ProviderAlert { received, .. } = input {
                *received = None;
            }
        }
        let expected = rows(&inputs).alerts;
        let (timeless, others): (Vec<Input>, Vec<Input>) = inputs.into_iter().partition(is_timeless);
        assert_eq!(rows(&[timeless.clone(), others.clone()].concat()).alerts, expected);
        assert_eq!(rows(&[others, timeless].concat()).alerts, expected);
    }
}
