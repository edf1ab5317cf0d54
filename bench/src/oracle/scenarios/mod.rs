//! The definitions as small scenarios whose rows were worked out by hand.
//!
//! About the places: `yard` is a square of 0.01 degrees (1.1 km); 0.0001 degrees of longitude there are
//! 11.06 m. `IN` is its middle, `NEAR` 22 m east of it, `OUT` 221 m east of it.

use model::{
    AlertMark, GraphSettings, LocationEdit, Position, PositionRef, Record, RecordSink, SettingValue, TimeMs,
    TripEdit, VehicleEdit,
};

use super::scenario::{self, print_rows};
use super::{Collector, Input, recompute, recompute_prefix, recompute_rows};

mod admission;
mod alerts;
mod backfill;
mod crossings;
mod ends_of_fences;
mod etas;
mod instants;
mod jumps;
mod kpis;
mod presences_and_visits;
mod reach;
mod schedules;
mod trips;
mod versions_of_fences;

fn parse(text: &str) -> Vec<Input> {
    scenario::parse(text).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

/// Runs a scenario and compares; blank lines and indentation of what is expected do not matter.
#[track_caller]
fn check(scenario: &str, expected: &str) {
    let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let got = print_rows(&recompute_rows(&parse(scenario), &GraphSettings::default()));
    assert_eq!(got.lines().collect::<Vec<_>>(), expected, "\nscenario:\n{scenario}");
}

/// Spells out the places that most scenarios share.
#[track_caller]
fn check_yard(scenario: &str, expected: &str) {
    check(&with_places(&format!("fence yard square 3.30,6.40 3.31,6.41\n{scenario}")), expected);
}

fn with_places(scenario: &str) -> String {
    scenario.replace("IN", "3.305,6.405").replace("NEAR", "3.3102,6.405").replace("OUT", "3.312,6.405")
}

#[test]
fn the_tables_are_bytes_sorted_by_key() {
    let input = parse(&with_places(
        "fence b square 3.30,6.40 3.31,6.41
         fence B square 3.30,6.40 3.31,6.41 dwell 0
         T2 08:00 IN
         T1 08:00:00.500 IN bad
         T1 08:05 OUT
         malformed",
    ));
    let tables = recompute(&input, &GraphSettings::default());
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    assert_eq!(
        text(&tables.presences),
        r#"{"vehicle_id":"T1","fence_id":"B","entered":"2026-01-05T08:00:00.500Z","exited":"2026-01-05T08:05:00Z","end_reason":"exit"}
{"vehicle_id":"T1","fence_id":"b","entered":"2026-01-05T08:00:00.500Z","exited":"2026-01-05T08:05:00Z","end_reason":"exit"}
{"vehicle_id":"T2","fence_id":"B","entered":"2026-01-05T08:00:00Z","exited":null,"end_reason":null}
{"vehicle_id":"T2","fence_id":"b","entered":"2026-01-05T08:00:00Z","exited":null,"end_reason":null}
"#
    );
    assert_eq!(
        text(&tables.visits),
        r#"{"vehicle_id":"T1","fence_id":"B","arrived":"2026-01-05T08:00:00.500Z","departed":"2026-01-05T08:05:00Z","confirmed_at":"2026-01-05T08:00:00.500Z","presences":1}
{"vehicle_id":"T2","fence_id":"B","arrived":"2026-01-05T08:00:00Z","departed":null,"confirmed_at":"2026-01-05T08:00:00Z","presences":1}
{"vehicle_id":"T2","fence_id":"b","arrived":"2026-01-05T08:00:00Z","departed":null,"confirmed_at":"2026-01-05T08:05:00Z","presences":1}
"#
    );
    assert_eq!(
        text(&tables.rejects),
        r#"{"seq":4,"vehicle_id":"T1","event_time":"2026-01-05T08:00:00.500Z","reason":"bad_value","used":true}
{"seq":6,"vehicle_id":null,"event_time":null,"reason":"malformed","used":false}
"#
    );
}

#[test]
fn a_prefix_is_the_state_at_its_last_record() {
    let input =
        parse(&with_places("fence y square 3.30,6.40 3.31,6.41\nT1 08:00 IN\nclock 08:05\nT1 08:06 OUT"));
    let defaults = GraphSettings::default();
    for count in 0..=input.len() {
        assert_eq!(recompute_prefix(&input, count, &defaults), recompute(&input[..count], &defaults));
    }
    let after = |count| recompute_rows(&input[..count], &defaults);
    assert_eq!((after(1).presences.len(), after(2).presences.len(), after(2).visits.len()), (0, 1, 0));
    assert_eq!((after(3).visits.len(), after(3).presences[0].end), (1, None));
    assert!(after(4).presences[0].end.is_some());
    assert_eq!(recompute_prefix(&input, 99, &defaults), recompute(&input, &defaults));
}

#[test]
fn rows_do_not_depend_on_the_order_of_arrival() {
    // All within the horizon, one record a vehicle and time, dated edits: then any order gives the same
    // presences and visits, as of the same instant.
    let mut records = parse(&with_places(
        "T1 08:00 OUT
         T1 08:01 IN
         T1 08:02 4.3,6.4
         T1 08:05 NEAR
         T1 08:06 OUT
         T1 08:07 IN
         T1 08:20 IN
         T2 08:00 IN
         T2 08:01 5.3,6.4
         T2 08:02 5.3,6.4
         T2 08:03 5.3,6.4
         T2 08:50 IN
         fence yard square 3.30,6.40 3.31,6.41 to 08:15
         fence all square 3.0,6.0 4.0,7.0 dwell 1200
         fence road line 3.30,6.405 3.31,6.405 width 40 from 08:03",
    ));
    let end = parse("clock 09:00");
    let rows = |records: &[Input]| recompute_rows(&[records, &end].concat(), &GraphSettings::default());
    let expected = rows(&records);
    assert_eq!(
        print_rows(&expected).lines().collect::<Vec<_>>(),
        [
            "T1 all 08:00..",
            "T1 road 08:07..",
            "T1 yard 08:01..08:06 exit",
            "T1 yard 08:07..08:15 fence_ended",
            "T2 all 08:00..08:03 exit",
            "T2 all 08:50..",
            "T2 road 08:50..",
            "T2 yard 08:00..08:03 exit",
            "visit T1 all 08:00.. confirmed 08:20 of 1",
            "visit T1 road 08:07.. confirmed 08:12 of 1",
            "visit T1 yard 08:01..08:15 confirmed 08:06 of 2",
            "visit T2 road 08:50.. confirmed 08:55 of 1",
            "reject 3 T1 08:02 jump",
            "reject 9 T2 08:01 jump",
            "reject 10 T2 08:02 jump",
        ]
    );
    for step in [1, 2, 4, 7, 8, 11, 13, 14] {
        // 15 records; steps that share no factor with it visit them all.
        if step == 1 {
            records.reverse();
        }
        let shuffled: Vec<Input> = (0..15).map(|i| records[i * step % 15].clone()).collect();
        let got = rows(&shuffled);
        assert_eq!((&got.presences, &got.visits), (&expected.presences, &expected.visits), "step {step}");
        assert_eq!(got.rejects.len(), 3);
    }
}

#[test]
fn the_collector_takes_whatever_decoders_find() {
    let mut collector = Collector::default();
    let position = Position { event_time: TimeMs(5), lon: 1.0, lat: 2.0, ..Position::default() };
    collector.position(Some(TimeMs(7)), PositionRef { vehicle_id: "T1", spelling: Some("t1"), position });
    collector.record(None, Record::Undecodable { reason: "x".to_owned() });
    collector.record(None, Record::FenceDelete { id: "y".into(), at: Some(TimeMs(1)) });
    let values = vec![("zone".to_owned(), SettingValue::Text("UTC".to_owned()))];
    collector.record(None, Record::Settings(values.clone()));
    collector.record(Some(TimeMs(9)), Record::Clock);
    collector.record(None, Record::Other { kind: "driver", json: "{}".to_owned() });
    let edit = TripEdit::SetStatus { status: None, by: "ada".into() };
    collector.record(None, Record::Trip { id: "t".into(), edit: edit.clone(), json: "{}".to_owned() });
    let gone = LocationEdit::Delete;
    collector.record(None, Record::Location { id: "l".into(), edit: gone.clone(), json: "{}".to_owned() });
    let (alert_id, by) = ("a".into(), "ada".into());
    collector
        .record(None, Record::AlertMark { alert_id, mark: AlertMark::Resolve, by, json: "{}".to_owned() });
    let of_alerts = parse("rule idle fleet off\nprovider T1 crash");
    for input in &of_alerts {
        let json = "{}".to_owned();
        match input.clone() {
            Input::Rule { rule, .. } => collector.record(None, Record::Rule { rule, json }),
            Input::ProviderAlert { alert, .. } => {
                collector.record(None, Record::ProviderAlert { alert, json });
            }
            _ => {}
        }
    }
    assert_eq!(collector.0.split_off(8), [vec![Input::Other { received: None }], of_alerts].concat());
    let sold = VehicleEdit::Delete;
    collector.record(None, Record::Vehicle { id: "T1".into(), edit: sold.clone(), json: "{}".to_owned() });
    assert_eq!(
        collector.0,
        [
            Input::Position { received: Some(TimeMs(7)), vehicle_id: "T1".to_owned(), position },
            Input::Malformed { received: None },
            Input::FenceDelete { received: None, id: "y".to_owned(), at: Some(TimeMs(1)) },
            Input::Settings { received: None, values },
            Input::Clock { received: Some(TimeMs(9)) },
            Input::Other { received: None },
            Input::Trip { received: None, id: "t".to_owned(), edit },
            Input::Location { received: None, id: "l".to_owned(), edit: gone },
            Input::Vehicle { received: None, id: "T1".to_owned(), edit: sold },
        ]
    );
}
