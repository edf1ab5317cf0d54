use std::collections::BTreeMap;

use super::*;
use crate::testing::decoded;
use crate::{Checked, code};

const GOOD: &str =
    r#"{"type":"position","vehicle_id":"T1","event_time":"2026-03-04T06:12:09Z","lon":3.3,"lat":6.4}"#;

fn place() -> Place {
    Place { topic: "fleet".to_owned(), partition: 3, offset: 17 }
}

fn mapping(time: TimeFormat) -> Mapping {
    let fields = [("vehicle_id", "device.id"), ("event_time", "t"), ("lon", "at.x"), ("lat", "at.y")];
    let fields = fields.iter().chain(&[("speed_kmh", "v")]).map(|(a, b)| ((*a).to_owned(), (*b).to_owned()));
    Mapping::new(fields.collect(), time).unwrap()
}

fn decode_accepted(checked: &Checked) -> Vec<crate::testing::Got> {
    decoded(code::KAFKA, &checked.context, checked.payload.as_deref().unwrap())
}

#[test]
fn own_records_are_journalled_as_received_with_their_place() {
    for body in [GOOD.to_owned(), format!("{GOOD}\n{GOOD}\n"), format!("[{GOOD},{GOOD}]")] {
        let checked = check(body.as_bytes(), &place(), None);
        assert_eq!(checked.payload.as_deref(), Some(body.as_bytes()));
        assert_eq!(checked.context, r#"{"topic":"fleet","partition":3,"offset":17}"#);
        assert_eq!(Place::of_context(&checked.context), Some(place()));
        assert_eq!(decode_accepted(&checked), decoded(code::RECORDS, "", body.as_bytes()));
    }
}

#[test]
fn what_is_bad_is_refused_and_its_place_is_kept() {
    let half = check(format!("{GOOD}\nrubbish\n").as_bytes(), &place(), None);
    assert_eq!((half.accepted, half.refused_count, half.refused[0].line), (1, 1, 2));
    assert_eq!(decode_accepted(&half).len(), 1);
    let mapped = mapping(TimeFormat::Ms);
    for (body, mapping) in [
        ("rubbish", None),
        ("\"x\"", None),
        ("", None),
        ("[1", Some(&mapped)),
        ("7", Some(&mapped)),
        ("", Some(&mapped)),
    ] {
        let checked = check(body.as_bytes(), &place(), mapping);
        assert_eq!((checked.accepted, checked.refused_count), (0, 1), "{body:?}");
        assert_eq!(checked.payload.as_deref(), Some(&b""[..]));
        assert_eq!(Place::of_context(&checked.context), Some(place()));
        assert_eq!(decode_accepted(&checked), [], "an entry without bytes has no records");
    }
    let missing = check_missing(&place(), None);
    assert_eq!((missing.refused_count, missing.payload.as_deref()), (1, Some(&b""[..])));
}

#[test]
fn mapped_objects_are_positions() {
    let own = |v: &str| GOOD.replace("\"T1\"", v).replace('}', ",\"speed_kmh\":40.5}");
    let expected = decoded(code::RECORDS, "", own("\"42\"").as_bytes());
    for (time, value) in [
        (TimeFormat::Rfc3339, "\"2026-03-04T06:12:09Z\""),
        (TimeFormat::S, "1772604729"),
        (TimeFormat::Ms, "1772604729000"),
    ] {
        let body = format!(
            r#"{{"x":null,"device":{{"id":42,"y":[1]}},"t":{value},"at":{{"x":3.3,"y":6.4}},"v":40.5}}"#
        );
        let checked = check(body.as_bytes(), &place(), Some(&mapping(time)));
        assert_eq!((checked.accepted, &checked.refused), (1, &vec![]), "{body}");
        assert_eq!(checked.payload.as_deref(), Some(body.as_bytes()), "as it came");
        assert_eq!(decode_accepted(&checked), expected);
        let two = check(format!("[{body},{body}, 5]").as_bytes(), &place(), Some(&mapping(time)));
        assert_eq!((two.accepted, two.refused_count), (2, 1));
        assert_eq!(decode_accepted(&two).len(), 2);
    }
    let no_time = r#"{"device":{"id":"T1"},"t":true,"at":{"x":3.3,"y":6.4}}"#;
    let refused = check(no_time.as_bytes(), &place(), Some(&mapping(TimeFormat::S)));
    assert!(refused.refused[0].reason.contains("event_time"), "{:?}", refused.refused);
}

#[test]
fn mappings_that_make_no_position_are_refused() {
    let of = |fields: &[(&str, &str)]| {
        let fields = fields.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned()));
        Mapping::new(fields.collect::<BTreeMap<_, _>>(), TimeFormat::default()).unwrap_err()
    };
    assert!(of(&[("vehicle", "v")]).contains("vehicle_id"));
    assert!(of(&[("vehicle_id", "v"), ("event_time", "t"), ("lon", "x")]).contains("lat is missing"));
    let empty = of(&[("vehicle_id", "v"), ("event_time", "t"), ("lon", "x"), ("lat", "a..b")]);
    assert!(empty.contains("a..b"), "{empty}");
}
