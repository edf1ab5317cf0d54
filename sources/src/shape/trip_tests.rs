//! Trips and locations: what is read, what is refused, and that everything comes back.

use std::sync::Arc;

use model::{LocationEdit, LocationKind, Record, TimeMs, TripEdit, TripPlan, TripStatus};

use super::{Origin, decode_record, ignored_plan};
use crate::encode_record;
use crate::testing::{Gather, Got};

const PLAN: &str = r#"{"type":"trip","op":"upsert","trip":{"id":"01/Apr/2025-T1-CA60","vehicle_id":"T1","pickup":"A","delivery":"B","client":"ACME","waypoints":["C","D"],"container_no":"MSKU 1","weight_t":2.50,"scheduled_departure":"2026-01-05T08:00:00+01:00","scheduled_arrival":"2026-01-05T12:00:00Z"},"sheet":{"row":7}}"#;

fn decode(line: &str) -> Result<Record, String> {
    decode_from(Origin::File, line)
}

fn decode_from(origin: Origin, line: &str) -> Result<Record, String> {
    let mut gather = Gather::default();
    decode_record(line, origin, &mut gather)?;
    match gather.got.remove(0) {
        Got::Record { record, .. } => Ok(record),
        Got::Position { .. } => Err("a position".to_owned()),
    }
}

fn plan(line: &str) -> TripPlan {
    match decode(line) {
        Ok(Record::Trip { edit: TripEdit::Plan(plan), .. }) => TripPlan::clone(&plan),
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn what_is_planned_is_read() {
    let expected = TripPlan {
        vehicle_id: "T1".into(),
        pickup: "A".into(),
        delivery: "B".into(),
        client: Some("ACME".into()),
        waypoints: vec!["C".into(), "D".into()],
        corridor: None,
        scheduled_departure: TimeMs::parse_rfc3339("2026-01-05T07:00:00Z").unwrap(),
        scheduled_arrival: Some(TimeMs::parse_rfc3339("2026-01-05T12:00:00Z").unwrap()),
    };
    let Ok(Record::Trip { id, edit, json }) = decode(PLAN) else { panic!("it is a trip") };
    assert_eq!((&*id, edit), ("01/Apr/2025-T1-CA60", TripEdit::Plan(Arc::new(expected))));
    assert_eq!(json, PLAN);
    for (absent, null) in [
        (r#""client":"ACME","#, r#""client":null,"#),
        (r#""waypoints":["C","D"],"#, r#""waypoints":null,"#),
        (r#","scheduled_arrival":"2026-01-05T12:00:00Z""#, r#","scheduled_arrival":null"#),
    ] {
        let without = plan(&PLAN.replace(absent, ""));
        assert_eq!(plan(&PLAN.replace(absent, null)), without);
        assert_ne!(without, plan(PLAN));
    }
    // There and back again is a trip.
    assert_eq!(&*plan(&PLAN.replace("\"B\"", "\"A\"")).delivery, "A");
}

#[test]
fn statuses_are_read() {
    for (line, expected) in [
        (r#"{"type":"trip","op":"set_status","id":"t","status":null,"by":"ada"}"#, None),
        (
            r#"{"type":"trip","op":"set_status","id":"t","status":"delayed","by":"ada"}"#,
            Some(TripStatus::Delayed),
        ),
        (r#"{"type":"trip","op":"cancel","id":"t","by":"ada"}"#, Some(TripStatus::Cancelled)),
    ] {
        let edit = TripEdit::SetStatus { status: expected, by: "ada".into() };
        assert_eq!(decode(line), Ok(Record::Trip { id: "t".into(), edit, json: line.to_owned() }));
    }
    for status in TripStatus::ALL {
        let line = format!(
            r#"{{"type":"trip","op":"set_status","id":"t","status":"{}","by":"ada"}}"#,
            status.as_str()
        );
        let edit = TripEdit::SetStatus { status: Some(status), by: "ada".into() };
        assert!(matches!(decode(&line), Ok(Record::Trip { edit: got, .. }) if got == edit), "{line}");
    }
}

#[test]
fn locations_are_read() {
    let location =
        |members: &str| format!(r#"{{"type":"location","op":"upsert","location":{{"id":"L1"{members}}}}}"#);
    for (members, expected) in [
        (r#","fence_id":"F","city":"Lagos""#, Some("F")),
        // Features with numbers for ids become fences with texts for ids.
        (r#","fence_id":17"#, Some("17")),
        (r#","fence_id":null"#, None),
        ("", None),
    ] {
        let line = location(members);
        let edit = LocationEdit::Upsert { fence_id: expected.map(Into::into), kind: None };
        assert_eq!(decode(&line), Ok(Record::Location { id: "L1".into(), edit, json: line.clone() }));
    }
    let line = r#"{"type":"location","op":"delete","id":"L1"}"#;
    let edit = LocationEdit::Delete;
    assert_eq!(decode(line), Ok(Record::Location { id: "L1".into(), edit, json: line.to_owned() }));
}

#[test]
fn a_fence_that_can_have_no_id_is_refused_at_the_door_and_none_behind_it() {
    let location = |fence_id: &str| {
        format!(r#"{{"type":"location","op":"upsert","location":{{"id":"L1","fence_id":{fence_id}}}}}"#)
    };
    let located = |json: String, fence_id: Option<&str>| {
        let edit = LocationEdit::Upsert { fence_id: fence_id.map(Into::into), kind: None };
        Ok(Record::Location { id: "L1".into(), edit, json })
    };
    for (fence_id, word) in [
        ("[]", "fence_id must be text or a number"),
        ("true", "fence_id must be"),
        ("\"\"", "fence_id is empty"),
    ] {
        let line = location(fence_id);
        for origin in [Origin::Posted, Origin::Backfill] {
            let reason = decode_from(origin, &line).unwrap_err();
            assert!(reason.starts_with("location: ") && reason.contains(word), "{reason}");
        }
        for origin in [Origin::Journalled, Origin::File] {
            assert_eq!(decode_from(origin, &line), located(line.clone(), None));
        }
    }
    for origin in [Origin::Posted, Origin::Journalled, Origin::Backfill, Origin::File] {
        for (fence_id, expected) in [("null", None), ("\"F\"", Some("F")), ("7", Some("7"))] {
            let line = location(fence_id);
            assert_eq!(decode_from(origin, &line), located(line.clone(), expected));
        }
        let line = r#"{"type":"location","op":"delete","id":"L1"}"#;
        let deleted = Record::Location { id: "L1".into(), edit: LocationEdit::Delete, json: line.to_owned() };
        assert_eq!(decode_from(origin, line), Ok(deleted));
    }
}

#[test]
fn a_location_may_say_what_it_is_for() {
    let with = |kind: &str| {
        format!(
            r#"{{"type":"location","op":"upsert","location":{{"id":"L1","fence_id":"F","type":{kind}}}}}"#
        )
    };
    let kind = |origin, value: &str| match decode_from(origin, &with(value)) {
        Ok(Record::Location { edit: LocationEdit::Upsert { kind, .. }, .. }) => Ok(kind),
        Ok(other) => panic!("{other:?}"),
        Err(reason) => Err(reason),
    };
    for origin in [Origin::Posted, Origin::Journalled, Origin::Backfill, Origin::File] {
        for known in LocationKind::ALL {
            assert_eq!(kind(origin, &format!("{:?}", known.as_str())), Ok(Some(known)));
        }
        assert_eq!(kind(origin, "\" Terminal\""), Ok(Some(LocationKind::Terminal)));
        assert_eq!(kind(origin, "null"), Ok(None));
        let is_at_door = matches!(origin, Origin::Posted | Origin::Backfill);
        for value in ["7", "\"\"", "\"port\""] {
            match kind(origin, value) {
                Err(reason) => assert!(is_at_door && reason.starts_with("location: type"), "{reason}"),
                Ok(kind) => assert_eq!((is_at_door, kind), (false, None)),
            }
        }
    }
}

#[test]
fn ids_of_trips_that_nobody_planned_are_for_no_plan() {
    let line = PLAN.replace("01/Apr/2025-T1-CA60", "auto:T1:5");
    for origin in [Origin::Posted, Origin::Backfill] {
        let reason = decode_from(origin, &line).unwrap_err();
        assert!(reason.contains("\"auto:T1:5\"") && reason.contains("nobody planned"), "{reason}");
    }
    for origin in [Origin::Journalled, Origin::File] {
        let record = decode_from(origin, &line).unwrap();
        assert_eq!(record, Record::Other { kind: "trip", json: line.clone() });
        let warning = ignored_plan(&record).unwrap();
        assert!(warning.starts_with("the plan has no effect: trip: id \"auto:T1:5\""), "{warning}");
    }
    assert_eq!(ignored_plan(&decode(PLAN).unwrap()), None);
    // Nothing comes of a status without a plan.
    let status = r#"{"type":"trip","op":"cancel","id":"auto:T1:5","by":"ada"}"#;
    assert!(matches!(decode_from(Origin::Posted, status), Ok(Record::Trip { .. })));
}

#[test]
fn a_corridor_that_can_have_no_id_is_refused_at_the_door_and_none_behind_it() {
    let with = |corridor: &str| PLAN.replace("\"container_no\"", &format!("\"corridor\":{corridor},\"x\""));
    let corridor = |origin, value: &str| match decode_from(origin, &with(value)) {
        Ok(Record::Trip { edit: TripEdit::Plan(plan), .. }) => Ok(plan.corridor.clone()),
        Ok(other) => panic!("{other:?}"),
        Err(reason) => Err(reason),
    };
    for origin in [Origin::Posted, Origin::Journalled, Origin::Backfill, Origin::File] {
        for (value, expected) in [("null", None), ("\"road\"", Some("road")), ("7", Some("7"))] {
            assert_eq!(corridor(origin, value), Ok(expected.map(Into::into)));
        }
        let is_at_door = matches!(origin, Origin::Posted | Origin::Backfill);
        for value in ["[]", "\"\"", "true"] {
            match corridor(origin, value) {
                Err(reason) => assert!(is_at_door && reason.starts_with("trip: corridor"), "{reason}"),
                Ok(corridor) => assert_eq!((is_at_door, corridor), (false, None)),
            }
        }
    }
}

#[test]
fn what_lacks_something_is_refused_by_its_name() {
    let without = |member: &str| PLAN.replace(member, "\"other\":");
    let long = format!("\"vehicle_id\":\"{}\"", "v".repeat(257));
    for (line, words) in [
        (without("\"id\":"), "trip: id is missing"),
        (without("\"vehicle_id\":"), "trip: vehicle_id is missing"),
        (without("\"pickup\":"), "trip: pickup is missing"),
        (without("\"delivery\":"), "trip: delivery is missing"),
        (without("\"scheduled_departure\":"), "trip: scheduled_departure is missing"),
        (PLAN.replace("\"A\"", "\"\""), "trip: pickup is empty"),
        (PLAN.replace("\"B\"", "7"), "trip: delivery must be text"),
        (PLAN.replace("\"vehicle_id\":\"T1\"", &long), "trip: vehicle_id has 257 bytes"),
        (PLAN.replace("08:00:00+01:00", "08:00"), "trip: scheduled_departure \"2026-01-05T08:00\""),
        (PLAN.replace("\"2026-01-05T12:00:00Z\"", "12"), "trip: scheduled_arrival must be text"),
        (PLAN.replace("[\"C\",\"D\"]", "\"C\""), "trip: waypoints must be an array of location ids"),
        (PLAN.replace("\"C\"", "1"), "trip: waypoints must be"),
        (PLAN.replace("\"C\"", "\"\""), "trip: a waypoint is empty"),
        (PLAN.replace("\"waypoints\"", "\"pickup\""), "twice"),
        (r#"{"type":"trip","op":"upsert"}"#.to_owned(), "trip is missing"),
        (r#"{"type":"trip","op":"upsert","trip":[]}"#.to_owned(), "trip: not a JSON object"),
        (r#"{"type":"trip","id":"t"}"#.to_owned(), "op is missing"),
        (r#"{"type":"trip","op":"delete","id":"t"}"#.to_owned(), "upsert, set_status and cancel are"),
        (r#"{"type":"trip","op":"cancel","by":"ada"}"#.to_owned(), "id is missing"),
        (r#"{"type":"trip","op":"cancel","id":"t"}"#.to_owned(), "by is missing"),
        (r#"{"type":"trip","op":"set_status","id":"t","by":"ada"}"#.to_owned(), "status is missing"),
        (
            r#"{"type":"trip","op":"set_status","id":"t","status":"lost","by":"ada"}"#.to_owned(),
            "status \"lost\" is not known; known are scheduled",
        ),
        (
            r#"{"type":"trip","op":"set_status","id":"t","status":1,"by":"ada"}"#.to_owned(),
            "status must be text",
        ),
        (r#"{"type":"trip","op":"set_status","id":"t","status":null}"#.to_owned(), "by is missing"),
        (r#"{"type":"trip","op":"set_status","id":"t","status":null,"by":""}"#.to_owned(), "by is empty"),
        (r#"{"type":"location","op":"upsert"}"#.to_owned(), "location is missing"),
        (
            r#"{"type":"location","op":"upsert","location":{"fence_id":"F"}}"#.to_owned(),
            "location: id is missing",
        ),
        (r#"{"type":"location","op":"delete"}"#.to_owned(), "id is missing"),
        (r#"{"type":"location","op":"move","id":"L1"}"#.to_owned(), "upsert and delete are"),
    ] {
        for origin in [Origin::Posted, Origin::Journalled, Origin::Backfill, Origin::File] {
            let reason = decode_from(origin, &line).unwrap_err();
            assert!(reason.contains(words), "{line}: {reason}");
        }
    }
}

#[test]
fn everything_comes_back() {
    let received = TimeMs(1_772_614_991_001);
    for line in [
        PLAN,
        r#"{"type":"trip","op":"cancel","id":"t","by":"ada","why":"no load"}"#,
        r#"{"type":"trip","op":"set_status","id":"t","status":null,"by":"ada"}"#,
        r#"{"type":"location","op":"upsert","location":{"id":"L1","name":"ESSLIBRA Ibeshe","fence_id":[]},"by":7}"#,
        r#"{"type":"location","op":"delete","id":"L1"}"#,
    ] {
        let spread =
            line.replace("\":", "\" :\t").replacen('{', r#"{"received_time":"2026-01-03T00:00:00Z", "#, 1);
        let record = decode(&spread).unwrap();
        let mut exported = Vec::new();
        encode_record(&mut exported, received, &record);
        let exported = String::from_utf8(exported).unwrap();
        let members = line.strip_prefix('{').unwrap();
        assert_eq!(exported, format!("{{\"received_time\":\"{received}\",{members}\n"));
        assert_eq!(decode(&exported), Ok(record));
    }
}
