//! Rows go for their age, and nothing else does.

use model::{AlertId, AlertRow, Cause, KpiSpan, Row, Severity, Table, TimeMs, TripPhase};
use sinks::live::LiveSink;
use sinks::postgres::{PostgresConfig, PostgresSink, compare, old_rows};

use crate::postgres::{apply_all, config, json_lines, limits, sorted_by_text};
use crate::rows::{Fleet, change, instant_ms, lines};
use crate::server::Database;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

fn keeping_a_day(database: &Database) -> PostgresConfig {
    let tables = [Table::Alerts, Table::Trips, Table::Kpis];
    tables.into_iter().fold(config(&database.url()), |config, table| config.keeping_rows_for_days(table, 1))
}

/// When what a row tells was over, by the table in the documentation.
fn over(row: &Row) -> Option<TimeMs> {
    match row {
        Row::Alert(alert) => alert.ended,
        Row::Trip(trip)
            if [TripPhase::Done, TripPhase::Cancelled, TripPhase::Failed].contains(&trip.phase) =>
        {
            [trip.pickup_arrival, trip.actual_departure, trip.arrival, trip.offload]
                .into_iter()
                .flatten()
                .max()
        }
        Row::Kpi(kpi) if [KpiSpan::Day, KpiSpan::Week].contains(&kpi.span) => kpi.start,
        _ => None,
    }
}

#[test]
fn rows_that_were_over_too_long_ago_are_not_there_whatever_comes() {
    let Some(database) = Database::new() else { return };
    let mut fleet = Fleet::new(11);
    let mut writer = PostgresSink::new(keeping_a_day(&database)).unwrap();
    for round in 0..30 {
        fleet.ahead_ms += 2 * HOUR_MS;
        fleet.grow(40);
        if round % 5 == 4 {
            writer.position().unwrap();
            writer.resync(fleet.changelog.identity(), &fleet.changelog.rows()).unwrap();
            fleet.ahead_ms += 2 * HOUR_MS;
            fleet.grow(1);
        }
        apply_all(&mut writer, &fleet, limits(if round % 2 == 0 { 7 } else { 100_000 })).unwrap();
        let cut = TimeMs(instant_ms(fleet.tick) + fleet.ahead_ms - DAY_MS);
        let mut kept = fleet.rows.clone();
        kept.retain(|_, row| over(row).is_none_or(|over| over >= cut));
        assert!(kept.len() < fleet.rows.len() || round < 14, "nothing was old in round {round}");
        assert_eq!(json_lines(&mut database.session()), sorted_by_text(lines(&kept)), "round {round}");
        let comparison = compare(&config(&database.url()), &fleet.changelog).unwrap();
        assert_eq!((comparison.differences, comparison.rows), (vec![], kept.len() as u64));
        if round % 3 == 0 {
            writer = PostgresSink::new(keeping_a_day(&database)).unwrap();
        }
    }
    // Whoever keeps more from now on does not get back what went.
    let mut writer = PostgresSink::new(config(&database.url())).unwrap();
    let before = json_lines(&mut database.session());
    fleet.ahead_ms += 5 * DAY_MS;
    fleet.append(&[]);
    apply_all(&mut writer, &fleet, limits(7)).unwrap();
    writer.resync(fleet.changelog.identity(), &fleet.changelog.rows()).unwrap();
    assert_eq!(json_lines(&mut database.session()), before);
}

#[test]
fn what_was_removed_of_another_journal_is_not_removed_of_this_one() {
    let Some(database) = Database::new() else { return };
    let mut fleet = Fleet::new(13);
    fleet.ahead_ms = 400 * DAY_MS;
    fleet.grow(60);
    let mut writer = PostgresSink::new(keeping_a_day(&database)).unwrap();
    apply_all(&mut writer, &fleet, limits(100_000)).unwrap();
    let mut session = database.session();
    assert_eq!(session.number("SELECT count(*) FROM watchtower.retention"), 3);
    let mut other = Fleet::new(14);
    other.grow(60);
    let mut writer = PostgresSink::new(keeping_a_day(&database)).unwrap();
    writer.position().unwrap();
    writer.resync(other.changelog.identity(), &other.changelog.rows()).unwrap();
    assert_eq!(json_lines(&mut session), sorted_by_text(lines(&other.rows)));
}

#[test]
fn many_old_rows_go_some_at_a_time() {
    let Some(database) = Database::new() else { return };
    let mut fleet = Fleet::new(12);
    let alert = |number: u64| {
        Row::Alert(AlertRow {
            alert_id: AlertId(number),
            kind: "idle".into(),
            severity: Severity::Warning,
            vehicle_id: "T1".into(),
            fence_id: None,
            trip_id: None,
            started: TimeMs(0),
            due_at: TimeMs(0),
            // Those of one instant go together.
            ended: Some(TimeMs(instant_ms(0) + (number / 100).cast_signed())),
            details: "{}".into(),
        })
    };
    let rows: Vec<_> = (0..30_000).map(|number| change(1, &alert(number), Cause::First, 1)).collect();
    fleet.append(&rows);
    let mut writer = PostgresSink::new(keeping_a_day(&database)).unwrap();
    apply_all(&mut writer, &fleet, limits(100_000)).unwrap();
    let mut session = database.session();
    let mut left = || session.number("SELECT count(*) FROM watchtower.alerts");
    assert_eq!(left(), 30_000);
    fleet.ahead_ms = 3 * DAY_MS;
    fleet.append(&[]);
    // As a service would find the tables that keeps them from now on.
    let mut keeping_all = PostgresSink::new(config(&database.url())).unwrap();
    apply_all(&mut keeping_all, &fleet, limits(100_000)).unwrap();
    let mut writer = PostgresSink::new(keeping_a_day(&database)).unwrap();
    let (now, old) = old_rows(&keeping_a_day(&database)).unwrap();
    let alerts = old.iter().find(|old| old.table == "alerts").unwrap();
    assert_eq!((alerts.rows, alerts.before), (30_000, TimeMs(now.0 - DAY_MS)));
    assert_eq!(left(), 30_000, "counting removes nothing");
    for expected in [9_900, 0] {
        fleet.append(&[]);
        apply_all(&mut writer, &fleet, limits(100_000)).unwrap();
        assert_eq!(left(), expected);
        assert_eq!(compare(&config(&database.url()), &fleet.changelog).unwrap().differences, []);
    }
}
