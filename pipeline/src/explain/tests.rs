//! Which fixes count, and how far they are.

use std::sync::Arc;

use model::{Fence, FenceSettings, Position, PositionRef, Record, RecordSink, SettingValue};

use super::*;

fn seen(seq: u64, time: i64, lon: f64) -> Seen {
    Seen { seq, time: TimeMs(time), received: TimeMs(time + 1), lon, lat: 6.5 }
}

#[test]
fn the_last_arrival_of_a_time_counts_and_the_others_say_why_not() {
    let positions = vec![
        seen(1, 10, 3.0),
        seen(2, 20, 3.1),
        seen(3, 10, 3.0),
        seen(4, 10, 3.2),
        seen(5, 30, 9.0),
        seen(6, 40, 3.3),
        seen(7, 40, 3.4),
    ];
    let rejected = BTreeMap::from([(5, RejectReason::Jump), (7, RejectReason::TooLate)]);
    let (good, unused) = judge(positions, &rejected);
    let used: Vec<u64> = good.values().map(|seen| seen.seq).collect();
    assert_eq!(used, [4, 2, 6], "by time; a repeat leaves the first, a refused one changes nothing");
    let why: Vec<(u64, UnusedReason)> = unused.iter().map(|(seen, reason)| (seen.seq, *reason)).collect();
    let expected = [
        (1, UnusedReason::SupersededBy(4)),
        (5, UnusedReason::Rejected(RejectReason::Jump)),
        (7, UnusedReason::Rejected(RejectReason::TooLate)),
    ];
    assert_eq!(why, expected);
}

#[test]
fn distances_are_those_of_the_exit_test() {
    let at = |lon, lat| Coord::from_degrees(lon, lat).unwrap();
    let circle = PreparedShape::new(&Shape::Circle { centre: at(3.4, 6.5), radius_m: 300.0 });
    assert_eq!(distance_m(&circle, at(3.4001, 6.5)), 0.0);
    for lon in [3.403, 3.41, 4.0, -120.0] {
        let expected = model::geodesic_m(at(3.4, 6.5), at(lon, 6.5)) - 300.0;
        let found = distance_m(&circle, at(lon, 6.5));
        assert!((found - expected).abs() < 0.01, "{lon}: {found}, not {expected}");
    }
}

const HOUR_MS: i64 = 3_600_000;

fn fence(radius_m: f64) -> Record {
    Record::FenceUpsert(Arc::new(Fence {
        id: "yard".into(),
        name: "yard".into(),
        shape: Shape::Circle { centre: Coord::from_degrees(3.4, 6.5).unwrap(), radius_m },
        settings: FenceSettings::default(),
        valid_from: None,
        valid_to: None,
        feature_json: "{}".into(),
    }))
}

fn setting(name: &str, value: f64) -> Record {
    Record::Settings(vec![(name.to_owned(), SettingValue::Number(value))])
}

/// From 10 to 11 on a day.
fn visit(day_ms: i64) -> VisitRow {
    VisitRow {
        vehicle_id: "T1".into(),
        fence_id: "yard".into(),
        arrived: TimeMs(day_ms + 10 * HOUR_MS),
        departed: Some(TimeMs(day_ms + 11 * HOUR_MS)),
        confirmed_at: TimeMs(day_ms + 10 * HOUR_MS + 300_000),
        presences: 1,
    }
}

#[test]
fn positions_that_wait_for_a_backfill_are_none_until_it_comes() {
    let day_ms = TimeMs::EARLIEST_EVENT.0;
    let visit = visit(day_ms);
    let mut watch = Watch::new(&visit, 0);
    let at = |hour: i64| TimeMs(day_ms + hour * HOUR_MS);
    let position = |watch: &mut Watch<'_>, arrival: i64, event: TimeMs, exempt: bool| {
        let position = Position { event_time: event, lon: 3.4, lat: 6.5, exempt, ..Position::default() };
        watch.position(Some(at(arrival)), PositionRef { vehicle_id: "T1", spelling: None, position });
        watch.positions.iter().map(|seen| seen.seq).collect::<Vec<_>>()
    };
    assert_eq!(position(&mut watch, 12, at(10), true), [1], "it is not too late");
    assert_eq!(position(&mut watch, 90, at(10), true), [1]);
    assert_eq!(position(&mut watch, 90, at(11), true), [1]);
    assert_eq!(position(&mut watch, 90, at(11), false), [1, 4], "a reject, as its row says");
    watch.record(Some(at(91)), Record::Backfill { from: at(11), to: at(12) });
    assert_eq!(watch.positions.iter().map(|seen| seen.seq).collect::<Vec<_>>(), [1, 3, 4]);
    watch.record(Some(at(91)), Record::Backfill { from: at(0), to: at(12) });
    assert_eq!(watch.positions.iter().map(|seen| seen.seq).collect::<Vec<_>>(), [1, 2, 3, 4]);
}

#[test]
fn corrections_that_came_when_the_visit_was_final_say_nothing_about_it() {
    let visit = visit(0);
    let mut watch = Watch::new(&visit, 0);
    let at = |watch: &mut Watch<'_>, hour: i64, records: Vec<Record>| {
        let instant = TimeMs(hour * HOUR_MS);
        records.into_iter().for_each(|record| watch.record(Some(instant), record));
        watch.end_tick(instant);
        let version = watch.fence.at(visit.arrived.0).map(|version| version.payload.seq);
        (version, watch.settings.min_dwell_ms / 1000)
    };
    assert_eq!(at(&mut watch, 9, vec![fence(300.0), setting("history.keep_h", 24.0)]), (Some(1), 300));
    assert_eq!(at(&mut watch, 34, vec![fence(310.0), setting("visits.min_dwell_s", 240.0)]), (Some(3), 240));
    assert_eq!(at(&mut watch, 36, vec![fence(320.0), setting("visits.min_dwell_s", 60.0)]), (Some(3), 240));
    let elsewhere = Record::Backfill { from: TimeMs(12 * HOUR_MS), to: TimeMs(20 * HOUR_MS) };
    assert_eq!(at(&mut watch, 37, vec![elsewhere]), (Some(3), 240));
    let there = Record::Backfill { from: TimeMs(0), to: TimeMs(20 * HOUR_MS) };
    assert_eq!(at(&mut watch, 38, vec![there]), (Some(5), 60), "what was out of reach counts");
}

#[test]
fn a_backfill_opens_what_came_after_its_period_for_the_corrections_before_its_record() {
    let visit = visit(0);
    let mut watch = Watch::new(&visit, 0);
    let at = |watch: &mut Watch<'_>, hour: i64, records: Vec<Record>| {
        let instant = TimeMs(hour * HOUR_MS);
        records.into_iter().for_each(|record| watch.record(Some(instant), record));
        watch.end_tick(instant);
        let version = watch.fence.at(visit.arrived.0).map(|version| version.payload.seq);
        (version, watch.settings.min_dwell_ms / 1000)
    };
    assert_eq!(at(&mut watch, 9, vec![fence(300.0), setting("history.keep_h", 24.0)]), (Some(1), 300));
    assert_eq!(at(&mut watch, 36, vec![fence(320.0), setting("visits.min_dwell_s", 60.0)]), (Some(1), 300));
    let of_the_day_before = || Record::Backfill { from: TimeMs(2 * HOUR_MS), to: TimeMs(5 * HOUR_MS) };
    let around = vec![fence(330.0), of_the_day_before(), fence(340.0), setting("visits.min_dwell_s", 30.0)];
    assert_eq!(at(&mut watch, 37, around), (Some(5), 60), "what comes after the record is too late for it");
    assert_eq!(at(&mut watch, 38, vec![of_the_day_before()]), (Some(7), 30));
}
