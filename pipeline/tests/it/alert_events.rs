//! Alerts that follow from stays and trips: entries, exits and delays.

use std::sync::Arc;

use bench::oracle::{Input, recompute_rows};
use model::{AlertRow, Change, GraphSettings, Row, Table, Why};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::alerts::alerts;
use crate::generated::{cases, hold};
use crate::harness::changes;
use crate::steps::{at, inputs};
use crate::walks::{corrected_walks, scheduled_walks};

#[test]
fn they_equal_the_oracle_after_every_tick() {
    hold(600, cases(alerts(), 1_usize..=3));
}

/// Fences whose edits ask for alerts, and do not, in turn, while little of the past is kept; in some, all fixes are
/// minutes ahead of the instant.
fn told_walks() -> impl Strategy<Value = Vec<Input>> {
    let steps = prop_oneof![2 => corrected_walks().boxed(), 1 => scheduled_walks().boxed()];
    (steps, prop::bool::weighted(0.3)).prop_map(|(steps, are_ahead)| {
        let told = |(at, input)| if are_ahead { ahead(told(at, input)) } else { told(at, input) };
        inputs(&steps).into_iter().enumerate().map(told).collect()
    })
}

fn told(nth: usize, mut input: Input) -> Input {
    if let Input::Fence { fence, .. } = &mut input {
        Arc::make_mut(fence).settings.alert = !nth.is_multiple_of(4);
    }
    input
}

fn ahead(mut input: Input) -> Input {
    if let Input::Position { received, position, .. } = &mut input
        && (at(-1000)..at(1000)).contains(&position.event_time)
    {
        *received = Some(position.event_time.plus_ms(-270_000));
    }
    input
}

#[test]
fn what_is_told_of_fences_is_corrected_as_far_as_history_is_kept() {
    hold(600, cases(told_walks(), 1_usize..=2));
}

/// In many of the walks somebody enters and leaves what tells of it, and in some it makes a difference what is final.
#[test]
fn entries_and_exits_meet_the_edge() {
    let mut runner = TestRunner::deterministic();
    let strategy = told_walks();
    let (mut entries, mut exits, mut by_edge) = (0, 0, 0);
    for _ in 0..200 {
        let inputs = strategy.new_tree(&mut runner).unwrap().current();
        let alerts = recompute_rows(&inputs, &GraphSettings::default()).alerts;
        entries += alerts.iter().filter(|row| &*row.kind == "geofence_entry").count();
        exits += alerts.iter().filter(|row| &*row.kind == "geofence_exit").count();
        let all_time: Vec<Input> = inputs.into_iter().filter(|input| !keeps_less(input)).collect();
        by_edge += usize::from(alerts != recompute_rows(&all_time, &GraphSettings::default()).alerts);
    }
    assert!(entries > 60 && exits > 45 && by_edge > 30, "{entries} entries, {exits} exits, {by_edge}");
}

fn keeps_less(input: &Input) -> bool {
    matches!(input, Input::Settings { values, .. } if values.iter().any(|(name, _)| name == "history.keep_h"))
}

/// The alerts that went and came, with their causes and records, by tick and kind.
fn causes(lines: &str) -> Vec<String> {
    let of_alert = |(tick, change): (u64, Change)| {
        let Row::Alert(row) = change.row else { unreachable!("a row of alerts") };
        (tick, row.kind.clone(), change.diff, row, change.why)
    };
    let mut all: Vec<_> = changes(lines, 1, Table::Alerts).into_iter().map(of_alert).collect();
    all.sort_by(|a, b| (a.0, &a.1, a.2).cmp(&(b.0, &b.1, b.2)));
    let told = |(tick, kind, diff, row, Why { cause, seq }): (u64, Arc<str>, i8, AlertRow, Why)| {
        let sign = if diff > 0 { '+' } else { '-' };
        let how = if row.ended.is_some() { "ended" } else { "open" };
        format!("{tick} {sign} {kind} {} {how} {} {seq}", row.severity.as_str(), cause.as_str())
    };
    all.into_iter().map(told).collect()
}

const GATE: &str = "fence gate square 3.2991,6.3991 3.3009,6.4009 alert absence 120\nT1 08:00 3.3,6.4\n";

#[test]
fn an_exit_has_the_cause_by_which_the_vehicle_left() {
    let entered = "2 + geofence_entry info open first 2";
    assert_eq!(
        causes(&format!("{GATE}T1 08:03 3.3,6.41\nclock 08:05")),
        [
            entered,
            "4 - geofence_entry info open first 4",
            "4 + geofence_entry info ended first 4",
            "4 + geofence_exit info open first 4",
        ]
    );
    // Nobody left: the fence did, and the exit of it shows when time has passed.
    assert_eq!(
        causes(&format!("{GATE}delete gate at 08:10\nclock 08:11\nclock 08:12")),
        [
            entered,
            "5 - geofence_entry info open fence_end 5",
            "5 + geofence_entry info ended fence_end 5",
            "5 + geofence_exit info open fence_end 5",
        ]
    );
    assert_eq!(
        causes(&format!(
            "{GATE}T1 08:01 3.3,6.4005\nfence gate square 3.2991,6.3991 3.3009,6.4002 alert absence 120 buffer 0\nclock 08:04"
        )),
        [
            entered,
            "5 - geofence_entry info open fence_edit 5",
            "5 + geofence_entry info ended fence_edit 5",
            "5 + geofence_exit info open fence_edit 5",
        ]
    );
}

#[test]
fn what_is_said_changes_what_is_told() {
    // A fence that tells, a rule, another absence, and a trip.
    assert_eq!(
        causes(&format!(
            "{GATE}T1 08:03 3.3,6.41\nclock 08:06\nrule geofence_exit fleet severity critical always\nset visits.max_absence_s 60
             fence gate square 3.2991,6.3991 3.3009,6.4009\nset visits.max_absence_s 240\ntrip t T1 gate gate 09:00"
        ))
        .split_off(4),
        [
            "5 - geofence_exit info open first 5",
            "5 + geofence_exit critical open first 5",
            "7 - geofence_entry info ended fence_edit 7",
            "7 - geofence_exit critical open fence_edit 7",
            // It is not over yet with so long an absence.
            "9 + geofence_entry info open first 9",
        ]
    );
}

#[test]
fn whose_a_vehicle_is_changes_what_is_told() {
    // An entry, a delay and what the provider tells: nothing of it waits for a fix.
    assert_eq!(
        causes(&format!(
            "rule geofence_entry company VPC severity warning\nrule trip_delay company VPC off\nrule dtc company VPC severity info
             {GATE}provider T1 dtc started 08:00 severity warning\ntrip t T1 depot shop 06:00\nvehicle T1 operational of VPC
             vehicle T1 maintenance of VPC\nvehicle T1 maintenance of FM"
        ))
        .split_off(3),
        [
            "8 - dtc warning open first 8",
            "8 + dtc info open first 8",
            "8 - geofence_entry info open first 8",
            "8 + geofence_entry warning open first 8",
            "8 - trip_delay warning open first 8",
            "10 - dtc info open first 10",
            "10 + dtc warning open first 10",
            "10 - geofence_entry warning open first 10",
            "10 + geofence_entry info open first 10",
            "10 + trip_delay warning open first 10",
        ]
    );
}

#[test]
fn a_delay_becomes_critical_by_time() {
    assert_eq!(
        causes(
            "set trips.no_show_h 24\ntrip t T1 depot shop 08:00\nclock 10:00\nclock 11:59:59\nclock 12:00\nT1 12:01 3.3,6.4\nrule trip_delay fleet off always"
        ),
        [
            "3 + trip_delay warning open first 3",
            "5 - trip_delay warning open first 5",
            "5 + trip_delay critical open first 5",
            "7 - trip_delay critical open first 7",
        ]
    );
}

#[test]
fn who_departs_when_it_would_be_late_is_not() {
    let delays = |left: &str| {
        let lines = format!(
            "set visits.min_dwell_s 0 visits.max_absence_s 0
             fence depot square 3.2991,6.3991 3.3009,6.4009\ntrip t T1 depot shop 08:00
             T1 09:50 3.3,6.4\nT1 {left} 3.3,6.41\nclock 10:30"
        );
        causes(&lines).into_iter().filter(|line| line.contains("trip_delay")).collect::<Vec<_>>()
    };
    assert_eq!(delays("10:00"), [""; 0]);
    assert_eq!(delays("10:00:00.001"), ["5 + trip_delay warning ended first 5"]);
}
