use std::sync::Arc;

use model::{
    BadFields, Coord, Fence, FenceSettings, Position, PositionRef, Record, Schedule, Shape, TimeMs, time_zone,
};
use proptest::prelude::*;

use super::{BadSchedule, Origin, decode_record};
use crate::testing::{Gather, Got};
use crate::{encode_position, encode_record};

fn decode(line: &str) -> Result<Got, String> {
    let mut gather = Gather::default();
    let result = decode_record(line, Origin::File, &mut gather);
    assert_eq!(gather.got.len(), usize::from(result.is_ok()), "{line}");
    result.map(|()| gather.got.remove(0))
}

fn fence_of_feature(text: &str) -> Result<Fence, String> {
    super::fence_of_feature(text, BadSchedule::Refused)
}

/// A position with some more members.
fn position(more: &str) -> Result<Position, String> {
    let line = format!(
        r#"{{"type":"position","vehicle_id":"T1","event_time":"2026-03-04T06:12:09Z","lon":3.3,"lat":6.4{more}}}"#
    );
    match decode(&line)? {
        Got::Position { position, .. } => Ok(position),
        other => panic!("{other:?}"),
    }
}

#[test]
fn reads_a_position() {
    let more = r#","speed_kmh":42.5,"heading":360,"ignition":"ON","accuracy_m":3,"received_time":"2026-03-04T06:12:10+01:00""#;
    let got = position(more).unwrap();
    assert_eq!((got.lon, got.lat, got.event_time.to_string().as_str()), (3.3, 6.4, "2026-03-04T06:12:09Z"));
    assert_eq!((got.speed_kmh, got.heading), (Some(42.5), Some(360.0)));
    assert_eq!((got.ignition, got.accuracy_m, got.bad), (Some(true), Some(3.0), BadFields::default()));
    let nothing_known =
        r#","speed_kmh":null,"heading":null,"ignition":null,"accuracy_m":null,"note":{"a":[1]}"#;
    assert_eq!(position(nothing_known).unwrap(), position("").unwrap());
}

#[test]
fn optional_values_are_tolerated() {
    for (more, bad) in [
        (r#","speed_kmh":300.1"#, BadFields::SPEED),
        (r#","speed_kmh":-0.1"#, BadFields::SPEED),
        (r#","speed_kmh":1e999"#, BadFields::SPEED),
        (r#","speed_kmh":"fast""#, BadFields::SPEED),
        (r#","speed_kmh":"42""#, BadFields::SPEED),
        (r#","speed_kmh":[1]"#, BadFields::SPEED),
        (r#","heading":361"#, BadFields::HEADING),
        (r#","heading":-1"#, BadFields::HEADING),
        (r#","ignition":2"#, BadFields::IGNITION),
        (r#","ignition":"maybe""#, BadFields::IGNITION),
        (r#","ignition":"""#, BadFields::IGNITION),
        (r#","accuracy_m":-3"#, BadFields::ACCURACY),
        (r#","received_time":"yesterday""#, BadFields::RECEIVED_TIME),
    ] {
        let expected = Position { bad, ..position("").unwrap() };
        assert_eq!(position(more).unwrap(), expected, "{more}");
    }
    for (value, on) in [("true", true), ("false", false), ("0", false), ("1", true), ("1.0", true)] {
        assert_eq!(position(&format!(r#","ignition":{value}"#)).unwrap().ignition, Some(on), "{value}");
        if value != "1.0" {
            assert_eq!(position(&format!(r#","ignition":"{value}""#)).unwrap().ignition, Some(on), "{value}");
        }
    }
    assert_eq!(position(r#","speed_kmh":300,"heading":0"#).unwrap().bad, BadFields::default());
    for unclear in ["1", "\"true\"", "{}"] {
        assert!(position(&format!(r#","exempt":{unclear}"#)).unwrap_err().contains("exempt"), "{unclear}");
    }
    assert!(!position(r#","exempt":null"#).unwrap().exempt);
}

#[test]
fn malformed_records_are_refused_with_a_reason() {
    let long_id = "x".repeat(257);
    let cases = [
        ("", "not a JSON object"),
        ("[]", "not a JSON object"),
        (r#"["position","2026-03-04T06:12:09Z"]"#, "not a JSON object"),
        ("null", "not a JSON object"),
        ("{", "not a readable"),
        ("{} {}", "not a readable"),
        ("{}", "type is missing"),
        (r#"{"type":null}"#, "type is missing"),
        (r#"{"type":1}"#, "type must be text"),
        (r#"{"type":"posture"}"#, "\"posture\" is not known"),
        (r#"{"type":"position"}"#, "vehicle_id is missing"),
        (r#"{"type":"position","type":"position"}"#, "duplicate field"),
        (
            r#"{"type":"position","vehicle_id":508,"event_time":"2026-03-04T06:12:09Z","lon":3,"lat":6}"#,
            "must be text",
        ),
        (
            r#"{"type":"position","vehicle_id":"","event_time":"2026-03-04T06:12:09Z","lon":3,"lat":6}"#,
            "is empty",
        ),
        (
            r#"{"type":"position","vehicle_id":"\ud800","event_time":"2026-03-04T06:12:09Z","lon":3,"lat":6}"#,
            "must be text",
        ),
        (&format!(r#"{{"type":"position","vehicle_id":"{long_id}"}}"#), "257 bytes"),
        (r#"{"type":"position","vehicle_id":"T1"}"#, "event_time is missing"),
        (r#"{"type":"position","vehicle_id":"T1","event_time":1772614991}"#, "event_time must be text"),
        (r#"{"type":"position","vehicle_id":"T1","event_time":"2026-03-04T06:12:09"}"#, "no zone"),
        (r#"{"type":"position","vehicle_id":"T1","event_time":"2026-02-30T06:12:09Z"}"#, "no such date"),
        (r#"{"type":"position","vehicle_id":"T1","event_time":"9999-12-31T23:59:59-01:00"}"#, "years"),
        (r#"{"type":"position","vehicle_id":"T1","event_time":"2026-03-04T06:12:09Z"}"#, "lon is missing"),
        (r#"{"type":"clock"}"#, "received_time"),
        (r#"{"type":"clock","received_time":"soon"}"#, "received_time"),
        (r#"{"type":"undecodable"}"#, "reason is missing"),
        (r#"{"type":"settings"}"#, "values is missing"),
        (r#"{"type":"settings","values":{"cleaning.speed":1}}"#, "unknown setting"),
        (r#"{"type":"fence"}"#, "op is missing"),
        (r#"{"type":"fence","op":"remove"}"#, "\"remove\""),
        (r#"{"type":"fence","op":"delete"}"#, "id is missing"),
        (r#"{"type":"fence","op":"delete","id":"F","at":"noon"}"#, "at \"noon\""),
        (r#"{"type":"fence","op":"upsert"}"#, "feature is missing"),
    ];
    for (line, word) in cases {
        let reason = decode(line).unwrap_err();
        assert!(reason.contains(word), "{line}: {reason}");
        assert!(reason.len() < 300, "{reason}");
    }
    let coordinate = |lon: &str| {
        decode(&format!(
            r#"{{"type":"position","vehicle_id":"T1","event_time":"2026-03-04T06:12:09Z","lat":6,"lon":{lon}}}"#
        ))
    };
    for lon in ["1e999", "-1e400", "\"3.3\"", "null", "true", "[3.3]", "NaN", "Infinity", "03", ".5"] {
        assert!(coordinate(lon).is_err(), "{lon}");
    }
    assert!(matches!(coordinate("1e308"), Ok(Got::Position { position, .. }) if position.lon == 1e308));
    let year_1 =
        r#"{"type":"position","vehicle_id":"T1","event_time":"0001-01-01T00:00:00Z","lon":3,"lat":6}"#;
    assert!(decode(year_1).is_ok());
    assert!(decode(&year_1.replace("0001", "9999")).is_ok());
}

#[test]
fn depth_is_no_danger() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = open.repeat(200_000) + "1" + &close.repeat(200_000);
        assert!(decode(&deep).is_err());
        assert!(decode(&format!(r#"{{"type":"acknowledge","alert_id":"a","by":"me","x":{deep}}}"#)).is_err());
        let feature =
            format!(r#"{{"type":"Feature","id":1,"geometry":{{"type":"Polygon","coordinates":{deep}}}}}"#);
        assert!(fence_of_feature(&feature).is_err());
        let _ = position(&format!(r#","x":{deep}"#));
    }
}

fn feature(geometry: &str, properties: &str) -> String {
    format!(r#"{{"type":"Feature","id":"F","geometry":{geometry},"properties":{{{properties}}}}}"#)
}

const POINT: &str = r#"{"type":"Point","coordinates":[3.3,6.4]}"#;
const LINE: &str = r#"{"type":"LineString","coordinates":[[3.3,6.4],[3.4,6.5,12]]}"#;
const SQUARE: &str = r#"{"type":"Polygon","coordinates":[[[0,0],[1,0,7.5],[1,1],[0,1],[0,0]]]}"#;

#[test]
fn reads_fences_of_all_shapes() {
    let circle = fence_of_feature(&feature(POINT, r#""radius_m":300,"name":"Ibeshe""#)).unwrap();
    assert_eq!((circle.id.as_ref(), circle.name.as_ref()), ("F", "Ibeshe"));
    let centre = Coord { lon: 33_000_000, lat: 64_000_000 };
    assert_eq!(circle.shape, Shape::Circle { centre, radius_m: 300.0 });
    assert_eq!(circle.settings, FenceSettings::default());

    let corridor = fence_of_feature(&feature(LINE, r#""width_m":50.5"#)).unwrap();
    assert!(matches!(corridor.shape, Shape::Corridor { width_m: 50.5, line } if line.vertices.len() == 2));

    let with_all = r#""exit_buffer_m":0,"min_dwell_s":1.5,"max_absence_s":0,"alert":true,"crossed":true,
        "valid_from":"2026-01-01T00:00:00Z","valid_to":"2026-01-02T00:00:00Z","speed_limit_kmh":30,"other":[1, 2]"#;
    let square = fence_of_feature(&feature(SQUARE, with_all)).unwrap();
    assert!(
        matches!(&square.shape, Shape::Polygon { parts } if parts.len() == 1 && parts[0][0].vertices.len() == 5)
    );
    let settings = FenceSettings {
        exit_buffer_m: Some(0.0),
        min_dwell_ms: Some(1500),
        max_absence_ms: Some(0),
        alert: true,
        crossed: true,
        speed_limit_kmh: Some(30.0),
        active: None,
    };
    assert_eq!((square.settings, square.name.as_ref()), (settings, "F"));
    assert_eq!(square.valid_from.unwrap().to_string(), "2026-01-01T00:00:00Z");
    assert!(
        square.feature_json.ends_with(r#""speed_limit_kmh":30,"other":[1,2]}}"#),
        "{}",
        square.feature_json
    );

    let multi = r#"{"type":"MultiPolygon","coordinates":[[[[0,0],[1,0],[1,1],[0,0]]],[[[5,5],[6,5],[6,6],[5,5]],[[5.5,5.2],[5.6,5.2],[5.6,5.3],[5.5,5.2]]]]}"#;
    let multi = fence_of_feature(&feature(multi, "")).unwrap();
    assert!(matches!(&multi.shape, Shape::Polygon { parts } if parts.len() == 2 && parts[1].len() == 2));
}

#[test]
fn schedules_of_fences_are_read_and_kept() {
    let fence = |properties: &str| fence_of_feature(&feature(SQUARE, properties)).unwrap();
    let hours = fence(r#""active":"Mo-Fr 06:00-18:00; Sa 08:00-12:00""#);
    let expected = Schedule::parse("Mo-Fr 06:00-18:00; Sa 08:00-12:00").unwrap();
    assert_eq!(hours.settings.active.as_deref(), Some(&expected));
    assert!(hours.feature_json.contains(r#""active":"Mo-Fr 06:00-18:00; Sa 08:00-12:00""#));
    let nights = fence(r#""active":"22:00-05:00","active_zone":"Africa/Accra""#);
    let expected = Schedule::parse("22:00-05:00").unwrap().in_zone(time_zone("Africa/Accra").unwrap());
    assert_eq!(nights.settings.active.as_deref(), Some(&expected));
    for nothing in ["", r#""active":null"#, r#""active_zone":"Africa/Accra""#] {
        assert_eq!(fence(nothing).settings.active, None, "{nothing}");
    }
}

#[test]
fn fence_ids_come_from_two_places() {
    let id = |ids: &str, properties: &str| {
        fence_of_feature(&format!(
            r#"{{"type":"Feature"{ids},"geometry":{SQUARE},"properties":{properties}}}"#
        ))
        .map(|fence| fence.id.to_string())
    };
    assert_eq!(id(r#","id":7"#, "null").as_deref(), Ok("7"));
    assert_eq!(id(r#","id":"a","x":1"#, r#"{"id":"b"}"#).as_deref(), Ok("a"));
    assert_eq!(id(r#","id":null"#, r#"{"id":677446}"#).as_deref(), Ok("677446"));
    for (ids, properties) in
        [("", "{}"), (r#","id":"""#, "{}"), (r#","id":true"#, "{}"), (r#","id":"a""#, "[]")]
    {
        assert!(id(ids, properties).is_err(), "{ids} {properties}");
    }
    let long = format!(r#","id":"{}""#, "x".repeat(257));
    assert!(id(&long, "{}").is_err());
}

#[test]
fn unreadable_fences_are_refused_with_the_reason() {
    let empty_polygon = r#"{"type":"Polygon","coordinates":[]}"#;
    for (geometry, properties, word) in [
        (POINT, "", "radius_m"),
        (POINT, r#""radius_m":0"#, "radius_m"),
        (POINT, r#""radius_m":-5"#, "radius_m"),
        (POINT, r#""radius_m":"300""#, "radius_m"),
        (POINT, r#""radius_m":1e999"#, "radius_m"),
        (POINT, r#""radius_m":1e8"#, "radius_m"),
        (LINE, r#""radius_m":300"#, "width_m"),
        (LINE, r#""width_m":0"#, "width_m"),
        (SQUARE, r#""exit_buffer_m":1001"#, "exit_buffer_m"),
        (SQUARE, r#""exit_buffer_m":-1"#, "exit_buffer_m"),
        (SQUARE, r#""min_dwell_s":"5 min""#, "min_dwell_s"),
        (SQUARE, r#""max_absence_s":true"#, "max_absence_s"),
        (SQUARE, r#""alert":"yes""#, "alert"),
        (SQUARE, r#""crossed":1"#, "crossed"),
        (SQUARE, r#""speed_limit_kmh":[]"#, "speed_limit_kmh"),
        (SQUARE, r#""active":"Mon-Fri 06:00-18:00""#, "\"Mon\" is no day"),
        (SQUARE, r#""active":"off""#, "never active"),
        (SQUARE, r#""active":true"#, "active must be text"),
        (SQUARE, r#""active":"24/7","active_zone":"Lagos""#, "active_zone"),
        (SQUARE, r#""active_zone":1"#, "active_zone"),
        (SQUARE, r#""valid_from":"monday""#, "valid_from"),
        (SQUARE, r#""valid_to":0"#, "valid_to"),
        (SQUARE, r#""valid_from":"2026-01-02T00:00:00Z","valid_to":"2026-01-02T00:00:00Z""#, "valid_to"),
        (SQUARE, r#""alert":true,"alert":false"#, "duplicate"),
        ("null", "", "geometry is missing"),
        (r#"{"type":"Polygon"}"#, "", "coordinates"),
        (r#"{"type":"GeometryCollection","geometries":[]}"#, "", "GeometryCollection"),
        (r#"{"type":"Point","coordinates":[3.3]}"#, r#""radius_m":1"#, "position"),
        (r#"{"type":"Point","coordinates":[3.3,null]}"#, r#""radius_m":1"#, "coordinates"),
        (r#"{"type":"Point","coordinates":[181,0]}"#, r#""radius_m":1"#, "out of range"),
        (r#"{"type":"Point","coordinates":[1e999,0]}"#, r#""radius_m":1"#, "coordinates"),
        (r#"{"type":"LineString","coordinates":[[1,1],[1,1]]}"#, r#""width_m":1"#, "line"),
        (r#"{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1]]]}"#, "", "not closed"),
        (r#"{"type":"Polygon","coordinates":[[[0,0],[1,0],[0,0]]]}"#, "", "3 different"),
        (r#"{"type":"Polygon","coordinates":[[]]}"#, "", "3 different"),
        (r#"{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,0]],[[0,0]]]}"#, "", "ring 2"),
        (empty_polygon, "", "without rings"),
    ] {
        let reason = fence_of_feature(&feature(geometry, properties)).unwrap_err();
        assert!(
            reason.contains(word) && reason.contains("\"F\"") || word == "duplicate",
            "{geometry} {properties}: {reason}"
        );
    }
    assert!(fence_of_feature(SQUARE).unwrap_err().contains("Feature"));
}

#[test]
fn entities_are_checked_and_kept_as_they_are() {
    for line in [
        r#"{"type":"driver","op":"delete","id":"D1"}"#,
        r#"{"type":"organization","op":"upsert","organization":{"id":"O1"}}"#,
        r#"{"type":"assignment","driver_id":"D1","vehicle_id":"T1","from_time":"2026-01-01T00:00:00Z"}"#,
    ] {
        let dated = line.replacen('{', r#"{ "received_time" : "2026-01-03T00:00:00Z", "#, 1);
        let Got::Record { received, record: Record::Other { kind, json } } = decode(&dated).unwrap() else {
            panic!("{line}")
        };
        assert_eq!((json.as_str(), received.is_some()), (line, true));
        assert!(line.contains(&format!("\"type\":\"{kind}\"")));
    }
}

#[test]
fn entities_that_lack_something_are_refused() {
    for (line, word) in [
        (r#"{"type":"vehicle","op":"upsert"}"#, "vehicle is missing"),
        (r#"{"type":"vehicle","op":"upsert","vehicle":[]}"#, "vehicle"),
        (r#"{"type":"vehicle","op":"upsert","vehicle":{"id":7}}"#, "id must be text"),
        (r#"{"type":"vehicle","op":"delete"}"#, "id is missing"),
        (r#"{"type":"vehicle","id":"T1"}"#, "op is missing"),
        (
            r#"{"type":"assignment","driver_id":"D","vehicle_id":"T","from_time":"2026-01-01T00:00:00Z","to_time":"2026-01-01T00:00:00Z"}"#,
            "to_time",
        ),
        (r#"{"type":"backfill","to_time":"2026-01-01T00:00:00Z"}"#, "from_time is missing"),
        (r#"{"type":"backfill","from_time":"2026-01-01T00:00:00Z"}"#, "to_time is missing"),
        (r#"{"type":"backfill","from_time":"2026-01-01T00:00:00Z","to_time":null}"#, "to_time is missing"),
        (
            r#"{"type":"backfill","from_time":"2026-01-01T00:00:00Z","to_time":"2026-01-01T01:00:00+01:00"}"#,
            "to_time is not after from_time",
        ),
        (r#"{"type":"backfill","from_time":"now","to_time":"2026-01-01T00:00:00Z"}"#, "from_time \"now\""),
        (r#"{"type":"resolve","alert_id":"a","by":"ada","by":"eve"}"#, "twice"),
    ] {
        let reason = decode(line).unwrap_err();
        assert!(reason.contains(word), "{line}: {reason}");
    }
}

#[test]
fn a_post_does_not_say_when_it_arrived() {
    let posted = |line: &str| {
        let mut gather = Gather::default();
        decode_record(line, Origin::Posted, &mut gather).map(|()| gather.got.remove(0))
    };
    let line = r#"{"type":"fence","op":"delete","id":5,"received_time":"nonsense"}"#;
    let record = Record::FenceDelete { id: "5".into(), at: None };
    assert_eq!(posted(line), Ok(Got::Record { received: None, record }));
    assert!(decode(line).is_err());
    let dated = r#"{"type":"position","vehicle_id":"T1","event_time":"2026-03-04T06:12:09Z","lon":3,"lat":6,"received_time":1}"#;
    assert!(
        matches!(posted(dated), Ok(Got::Position { received: None, position, .. }) if !position.bad.any())
    );
    assert!(
        posted(r#"{"type":"clock","received_time":"2026-03-04T06:12:09Z"}"#).unwrap_err().contains("posted")
    );
    assert!(posted(r#"{"type":"undecodable","reason":"x"}"#).unwrap_err().contains("posted"));
}

#[test]
fn a_schedule_that_is_not_understood_is_none_behind_the_door() {
    let plain = fence_of_feature(&feature(SQUARE, "")).unwrap();
    for properties in [
        r#""active":true"#,
        r#""active":"yes""#,
        r#""active":"off""#,
        r#""active":{"days":[1]},"active_zone":3"#,
        r#""active":"24/7","active_zone":"Lagos""#,
        r#""active_zone":"""#,
    ] {
        let odd = feature(SQUARE, properties);
        let line = format!(r#"{{"type":"fence","op":"upsert","feature":{odd}}}"#);
        let by = |origin| {
            let mut gather = Gather::default();
            decode_record(&line, origin, &mut gather).map(|()| gather.got.remove(0))
        };
        assert!(by(Origin::Posted).unwrap_err().contains("active"), "{properties}");
        let record =
            Record::FenceUpsert(Arc::new(Fence { feature_json: odd.as_str().into(), ..plain.clone() }));
        assert_eq!(by(Origin::Journalled), Ok(Got::Record { received: None, record: record.clone() }));
        // An export is read as that, with a word.
        let mut exported = Vec::new();
        encode_record(&mut exported, TimeMs(0), &record);
        let Record::FenceUpsert(fence) = &record else { unreachable!() };
        assert!(super::ignored_schedule(fence).unwrap().contains("always active"));
        let exported = decode(std::str::from_utf8(&exported).unwrap());
        assert_eq!(exported, Ok(Got::Record { received: Some(TimeMs(0)), record }));
    }
    let nights = fence_of_feature(&feature(SQUARE, r#""active":"Mo-Su 22:00-05:00""#)).unwrap();
    assert_eq!((super::ignored_schedule(&nights), super::ignored_schedule(&plain)), (None, None));
}

#[test]
fn other_records_come_back_as_they_were() {
    let fence =
        fence_of_feature(&feature(LINE, r#""width_m":50.5,"valid_from":"2026-01-01T00:00:00.5Z""#)).unwrap();
    let nights = r#""active":"Mo-Su 22:00-05:00","active_zone":"Africa/Accra""#;
    let nights = fence_of_feature(&feature(SQUARE, nights)).unwrap();
    let records = [
        Record::FenceUpsert(Arc::new(fence)),
        Record::FenceUpsert(Arc::new(nights)),
        Record::Backfill { from: TimeMs(-1), to: TimeMs(0) },
        Record::FenceDelete { id: "F \"1\"".into(), at: Some(TimeMs(1)) },
        Record::FenceDelete { id: "F".into(), at: None },
        Record::Settings(
            model::GraphSettings::default().values().into_iter().map(|(n, v)| (n.to_owned(), v)).collect(),
        ),
        Record::Settings(Vec::new()),
        Record::Clock,
        Record::Other { kind: "driver", json: r#"{"type":"driver","op":"delete","id":"D"}"#.to_owned() },
        Record::Undecodable { reason: "line\n\"2\"".to_owned() },
    ];
    let received = TimeMs(1_772_614_991_001);
    for record in records {
        let mut line = Vec::new();
        encode_record(&mut line, received, &record);
        let line = String::from_utf8(line).unwrap();
        assert_eq!(line.matches('\n').count(), 1);
        assert_eq!(decode(&line), Ok(Got::Record { received: Some(received), record }), "{line}");
    }
}

fn optional(values: impl Strategy<Value = f64>) -> impl Strategy<Value = Option<f64>> {
    proptest::option::of(values)
}

prop_compose! {
    fn any_position()(
        ms in -62_167_219_200_000_i64..253_402_300_800_000,
        lon in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL | proptest::num::f64::ZERO,
        lat in prop_oneof![-90.0..90.0_f64, Just(1e308), Just(-0.0), Just(1e16), Just(123_456_789_012_345_680.0)],
        speed_kmh in optional(0.0..=300.0),
        heading in optional(0.0..=360.0),
        accuracy_m in optional(prop_oneof![0.0..1e9, Just(f64::MAX), Just(f64::MIN_POSITIVE)]),
        ignition in proptest::option::of(any::<bool>()),
        bad in 0_u8..16,
        exempt in any::<bool>(),
    ) -> Position {
        let bad = BadFields(bad);
        let unless = |flag, value: Option<f64>| if bad.has(flag) { None } else { value };
        Position {
            event_time: TimeMs(ms),
            lon,
            lat,
            speed_kmh: unless(BadFields::SPEED, speed_kmh),
            heading: unless(BadFields::HEADING, heading),
            ignition: if bad.has(BadFields::IGNITION) { None } else { ignition },
            accuracy_m: unless(BadFields::ACCURACY, accuracy_m),
            bad,
            exempt,
        }
    }
}

proptest! {
    #[test]
    fn positions_come_back_to_the_last_bit(
        position in any_position(),
        vehicle_id in "\\PC{1,20}|[\u{0}-\u{ff}]{1,20}",
        spelling in proptest::option::of("\\PC{1,20}"),
        received in -62_167_219_200_000_i64..253_402_300_800_000,
    ) {
        let spelling = spelling.filter(|spelling| *spelling != vehicle_id);
        let (id, written_as) = (vehicle_id.as_str(), spelling.as_deref());
        let mut line = Vec::new();
        encode_position(&mut line, TimeMs(received), &PositionRef { vehicle_id: id, spelling: written_as, position });
        let line = String::from_utf8(line).unwrap();
        let got = decode(&line);
        let bits = |got: &Result<Got, String>| match got {
            Ok(Got::Position { position, .. }) => (position.lon.to_bits(), position.lat.to_bits()),
            _ => (0, 0),
        };
        prop_assert_eq!(bits(&got), (position.lon.to_bits(), position.lat.to_bits()), "{}", line);
        prop_assert_eq!(got, Ok(Got::Position { received: Some(TimeMs(received)), vehicle_id, spelling, position }), "{}", line);
    }

    #[test]
    fn numbers_in_json_read_as_the_standard_parser_reads_them(digits in "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,25})?(e-?[0-9]{1,3})?") {
        let expected: f64 = digits.parse().unwrap();
        let line = format!(r#"{{"type":"Feature","id":1,"geometry":{{"type":"Point","coordinates":[{digits},0]}},"properties":{{"radius_m":1}}}}"#);
        let got = fence_of_feature(&line).map(|fence| fence.shape);
        let centre = Coord::from_degrees(expected, 0.0);
        prop_assert_eq!(got.ok(), centre.ok().map(|centre| Shape::Circle { centre, radius_m: 1.0 }));
    }

    #[test]
    fn mangled_records_never_panic(
        line in prop_oneof![
            Just(r#"{"type":"position","vehicle_id":"T1","event_time":"2026-03-04T06:12:09Z","lon":3.3,"lat":6.4,"ignition":"on"}"#),
            Just(r#"{"type":"fence","op":"upsert","feature":{"type":"Feature","id":1,"geometry":{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,0]]]},"properties":{"alert":true}}}"#),
            Just(r#"{"type":"trip","op":"upsert","trip":{"id":"t","vehicle_id":"T1","pickup":"A","delivery":"B","scheduled_departure":"2026-01-01T00:00:00Z"}}"#),
            Just(r#"{"type":"trip","op":"set_status","id":"t","status":null,"by":"ada"}"#),
            Just(r#"{"type":"location","op":"upsert","location":{"id":"L1","fence_id":"F"}}"#),
            Just(r#"{"type":"rule","kind":"idle","scope":"fence","scope_id":"F","threshold":5,"severity":"info"}"#),
            Just(r#"{"type":"provider_alert","vehicle_id":"T1","kind":"Sos","details":{"event_key":"x"}}"#),
        ],
        from in 0_usize..200, length in 0_usize..20, patch in "[\\[\\]{}\",:0-9eE.a-z\\\\-]{0,6}",
    ) {
        let from = from.min(line.len());
        let to = (from + length).min(line.len());
        let mangled = [&line[..from], &patch, &line[to..]].concat();
        let _ = decode(&mangled);
    }
}
