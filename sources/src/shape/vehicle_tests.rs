//! Vehicles, and the clients of trips: what is read, what is refused, and that everything comes back.

use model::{Record, TimeMs, TripEdit, VehicleEdit};

use super::{Origin, decode_record};
use crate::encode_record;
use crate::testing::{Gather, Got};

const DOORS: [Origin; 2] = [Origin::Posted, Origin::Backfill];
const KEPT: [Origin; 2] = [Origin::Journalled, Origin::File];
const ALL: [Origin; 4] = [Origin::Posted, Origin::Backfill, Origin::Journalled, Origin::File];

fn decode(origin: Origin, line: &str) -> Result<Record, String> {
    let mut gather = Gather::default();
    decode_record(line, origin, &mut gather)?;
    match gather.got.remove(0) {
        Got::Record { record, .. } => Ok(record),
        Got::Position { .. } => Err("a position".to_owned()),
    }
}

fn vehicle(members: &str) -> String {
    format!(r#"{{"type":"vehicle","op":"upsert","vehicle":{{"id":"T1"{members}}}}}"#)
}

fn is(line: &str, company: Option<&str>, is_operational: bool) -> Result<Record, String> {
    let edit = VehicleEdit::Upsert { company: company.map(Into::into), is_operational };
    Ok(Record::Vehicle { id: "T1".into(), edit, json: line.to_owned() })
}

#[test]
fn vehicles_are_read() {
    for (members, company, is_operational) in [
        ("", None, true),
        (
            r#","company":"VPC","status":"operational","brand":"MACK","trailer_size":"40FT""#,
            Some("VPC"),
            true,
        ),
        (r#","status":"maintenance""#, None, false),
        (r#","status":" Maintenance ""#, None, false),
        (r#","company":null,"status":null"#, None, true),
    ] {
        let line = vehicle(members);
        for origin in ALL {
            assert_eq!(decode(origin, &line), is(&line, company, is_operational));
        }
    }
    let line = r#"{"type":"vehicle","op":"delete","id":"T1"}"#;
    for origin in ALL {
        let gone = Record::Vehicle { id: "T1".into(), edit: VehicleEdit::Delete, json: line.to_owned() };
        assert_eq!(decode(origin, line), Ok(gone));
    }
}

#[test]
fn what_earlier_releases_accepted_is_refused_at_the_door_only() {
    for (members, words) in [
        (r#","company":7"#, "vehicle: company must be text"),
        (r#","company":"""#, "vehicle: company is empty"),
        (r#","status":true"#, "vehicle: status must be text"),
        (
            r#","status":"sold""#,
            "vehicle: status \"sold\" is not known; known are operational and maintenance",
        ),
    ] {
        let line = vehicle(members);
        for origin in DOORS {
            assert_eq!(decode(origin, &line), Err(words.to_owned()));
        }
        for origin in KEPT {
            assert_eq!(decode(origin, &line), is(&line, None, true));
        }
    }
}

#[test]
fn what_lacks_something_is_refused_by_its_name() {
    for (line, words) in [
        (r#"{"type":"vehicle","op":"upsert"}"#, "vehicle is missing"),
        (r#"{"type":"vehicle","op":"upsert","vehicle":[]}"#, "vehicle: not a JSON object"),
        (r#"{"type":"vehicle","op":"upsert","vehicle":{}}"#, "vehicle: id is missing"),
        (r#"{"type":"vehicle","op":"upsert","vehicle":{"id":7}}"#, "vehicle: id must be text"),
        (r#"{"type":"vehicle","op":"upsert","vehicle":{"id":"T1","status":"x","status":"y"}}"#, "twice"),
        (r#"{"type":"vehicle","op":"delete"}"#, "id is missing"),
        (r#"{"type":"vehicle","op":"sell","id":"T1"}"#, "upsert and delete are"),
        (r#"{"type":"vehicle","id":"T1"}"#, "op is missing"),
    ] {
        for origin in ALL {
            let reason = decode(origin, line).unwrap_err();
            assert!(reason.contains(words), "{line}: {reason}");
        }
    }
}

#[test]
fn clients_of_trips_are_texts() {
    let trip = |client: &str| {
        format!(
            r#"{{"type":"trip","op":"upsert","trip":{{"id":"t","vehicle_id":"T1","pickup":"A","delivery":"B","client":{client},"scheduled_departure":"2026-01-05T08:00:00Z"}}}}"#
        )
    };
    let client = |origin, line: &str| match decode(origin, line) {
        Ok(Record::Trip { edit: TripEdit::Plan(plan), .. }) => Ok(plan.client.clone()),
        Ok(other) => Err(format!("{other:?}")),
        Err(reason) => Err(reason),
    };
    for origin in ALL {
        assert_eq!(client(origin, &trip("\"ACME\"")), Ok(Some("ACME".into())));
        assert_eq!(client(origin, &trip("null")), Ok(None));
    }
    for (wrong, words) in [("7", "trip: client must be text"), ("\"\"", "trip: client is empty")] {
        for origin in DOORS {
            assert_eq!(client(origin, &trip(wrong)), Err(words.to_owned()));
        }
        for origin in KEPT {
            assert_eq!(client(origin, &trip(wrong)), Ok(None));
        }
    }
}

#[test]
fn everything_comes_back() {
    let received = TimeMs(1_772_614_991_001);
    for line in [
        vehicle(r#","company":"VPC","status":"Maintenance","uuid":[1,2.50]"#),
        r#"{"type":"vehicle","op":"delete","id":"T1","by":"ada"}"#.to_owned(),
    ] {
        let record = decode(Origin::File, &line).unwrap();
        let mut exported = Vec::new();
        encode_record(&mut exported, received, &record);
        let exported = String::from_utf8(exported).unwrap();
        assert_eq!(exported, format!("{{\"received_time\":\"{received}\",{}\n", &line[1..]));
        assert_eq!(decode(Origin::File, &exported), Ok(record));
    }
}
