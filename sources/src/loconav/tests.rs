use model::{BadFields, Record};
use proptest::prelude::*;

use super::{Config, Endpoint, check};
use crate::testing::{Got, decoded};
use crate::{BodyError, Checked, code};

const LOCATION: &str = r#"{"imei":"0864281048734728","speed":42.0,"gpstime":"04-03-2026 09:57:07","ignition":"1","latitude":6.5244,"longitude":3.3792,
 "sharpTurn":"0","orientation":201.0,"harshBraking":"0","vehiclenumber":"T11985LA","rockBreakerPedal":"0","harshAcceleration":"0"}"#;

/// Pushes as LocoNav documents them.
const ALERTS: &str = include_str!("alerts.ndjson");

fn config() -> Config {
    Config::new("Asia/Kolkata").unwrap()
}

fn accept(endpoint: Endpoint, body: &str) -> Checked {
    check(endpoint, body.as_bytes(), &config()).unwrap()
}

fn decode_accepted(checked: &Checked) -> Vec<Got> {
    decoded(code::LOCONAV, &checked.context, checked.payload.as_deref().unwrap_or_default())
}

/// The location with one thing changed.
fn changed(from: &str, to: &str) -> Result<Got, String> {
    assert!(LOCATION.contains(from), "{from}");
    let mut checked = accept(Endpoint::Any, &LOCATION.replace(from, to));
    match checked.refused.pop() {
        Some(refused) => Err(refused.reason),
        None => Ok(decode_accepted(&checked).remove(0)),
    }
}

fn position(got: Result<Got, String>) -> model::Position {
    match got {
        Ok(Got::Position { position, .. }) => position,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_live_location_becomes_a_position() {
    let checked = accept(Endpoint::Location, LOCATION);
    assert_eq!(checked.payload.as_deref(), Some(LOCATION.as_bytes()));
    assert_eq!(checked.context, "tz=Asia/Kolkata;endpoint=location");
    let [Got::Position { received: None, vehicle_id, spelling: None, position }] =
        &decode_accepted(&checked)[..]
    else {
        panic!("no position")
    };
    assert_eq!(vehicle_id, "T11985LA");
    assert_eq!(position.event_time.to_string(), "2026-03-04T04:27:07Z");
    assert_eq!((position.lon, position.lat), (3.3792, 6.5244));
    assert_eq!(
        (position.speed_kmh, position.heading, position.ignition),
        (Some(42.0), Some(201.0), Some(true))
    );
    assert_eq!((position.accuracy_m, position.bad), (None, BadFields::default()));
}

#[test]
fn vehicle_numbers_have_one_identity_and_keep_their_spelling() {
    for (received, id) in
        [("\"vehicle 03-\"", "VEHICLE03"), ("508", "508"), ("\"508\"", "508"), ("\"t-1--\"", "T-1")]
    {
        let Ok(Got::Position { vehicle_id, spelling, .. }) = changed("\"T11985LA\"", received) else {
            panic!("{received}")
        };
        assert_eq!(vehicle_id, id);
        let received = received.trim_matches('"');
        assert_eq!(spelling.as_deref(), Some(received).filter(|received| *received != id));
    }
    for received in [
        "\"\"",
        "null",
        "\" -- \"",
        "[]",
        &format!("\"{}\"", "x".repeat(257)),
        &format!("\"{}\"", "ß".repeat(128) + " "),
    ] {
        assert!(changed("\"T11985LA\"", received).unwrap_err().contains("vehicle number"), "{received}");
    }
}

#[test]
fn names_come_in_any_casing() {
    let expected = changed("imei", "imei");
    for (from, to) in [
        ("vehiclenumber", "vehicle_number"),
        ("vehiclenumber", "vehicleNumber"),
        ("gpstime", "gps_time"),
        ("gpstime", "gpsTime"),
        ("latitude", "Latitude"),
        ("ignition", "IGNITION"),
        ("\"imei\"", "\"vehicle_number\":null,\"imei\""),
        ("\"imei\"", "\"vehicle_number\":\"OTHER\",\"imei\""),
        ("\"imei\"", "\"a_name_that_is_longer_than_any_known_one\""),
    ] {
        assert_eq!(changed(from, to), expected, "{from} {to}");
    }
}

#[test]
fn values_come_in_many_forms() {
    assert_eq!(position(changed("6.5244", "\"6.5244\"")).lat, 6.5244);
    assert_eq!(position(changed("42.0", "\"42\"")).speed_kmh, Some(42.0));
    for unknown in ["null", "\"\"", "\"N/A\""] {
        let got = position(changed("42.0", unknown));
        assert_eq!((got.speed_kmh, got.bad), (None, BadFields::default()), "{unknown}");
        assert!(changed("6.5244", unknown).unwrap_err().contains("latitude is missing"));
    }
    for (from, to, bad) in [
        ("42.0", "301", BadFields::SPEED),
        ("42.0", "\"fast\"", BadFields::SPEED),
        ("201.0", "-1", BadFields::HEADING),
        ("\"ignition\":\"1\"", "\"ignition\":\"starting\"", BadFields::IGNITION),
    ] {
        assert_eq!(position(changed(from, to)).bad, bad, "{to}");
    }
    for (value, on) in [("\"0\"", false), ("true", true), ("1", true), ("\"ON\"", true), ("\"false\"", false)]
    {
        let got = position(changed("\"ignition\":\"1\"", &format!("\"ignition\":{value}")));
        assert_eq!(got.ignition, Some(on), "{value}");
    }
    for lat in ["\"north\"", "1e999", "\"NaN\"", "\"inf\"", "{}"] {
        assert!(changed("6.5244", lat).unwrap_err().contains("latitude"), "{lat}");
    }
}

#[test]
fn times_come_in_four_spellings() {
    for (spelled, utc) in [
        ("17-12-2021 09:57:07", "2021-12-17T04:27:07Z"),
        ("2024-02-05T12:30:45Z", "2024-02-05T12:30:45Z"),
        ("2024-02-10T14:30:00", "2024-02-10T09:00:00Z"),
        ("2022-08-09T14:47:44.000+05:30", "2022-08-09T09:17:44Z"),
    ] {
        assert_eq!(position(changed("04-03-2026 09:57:07", spelled)).event_time.to_string(), utc);
    }
    assert!(changed("04-03-2026 09:57:07", "noon").unwrap_err().contains("gpstime"));
    assert!(changed("\"04-03-2026 09:57:07\"", "1772614991").unwrap_err().contains("gpstime"));
    // The zone is the entry's, whatever the configuration says by now.
    let lagos = check(Endpoint::Any, LOCATION.as_bytes(), &Config::new("Africa/Lagos").unwrap()).unwrap();
    assert_eq!(
        position(Ok(decode_accepted(&lagos).remove(0))).event_time.to_string(),
        "2026-03-04T08:57:07Z"
    );
    assert!(Config::new("Lagos").is_err());
}

#[test]
fn documented_alerts_are_kept_whole() {
    let array = format!("[{}]", ALERTS.trim_end().replace('\n', ","));
    let checked = accept(Endpoint::Any, &array);
    assert_eq!((checked.accepted, checked.refused_count), (11, 0));
    let got = decode_accepted(&checked);
    for (got, line) in got.iter().zip(ALERTS.lines()) {
        let Got::Record { record: Record::ProviderAlert { alert, json }, .. } = got else {
            panic!("{got:?}")
        };
        let record: serde_json::Value = serde_json::from_str(json).unwrap();
        let received: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(record["details"], received);
        assert_eq!(record["kind"], received["kind"]);
        assert_eq!(record["provider_id"], received["id"].to_string());
        assert_eq!(record["vehicle_id"], received["vehicle_number"]);
        assert!(record["started"].is_string(), "{json}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(alert.details.as_deref().unwrap()).unwrap(),
            received
        );
        // It is a record of the product's own format too, which an export relies on.
        let mut exported = Vec::new();
        crate::encode_record(
            &mut exported,
            model::TimeMs(0),
            &Record::ProviderAlert { alert: alert.clone(), json: json.clone() },
        );
        assert_eq!(decoded(code::RECORDS, "", &exported), std::slice::from_ref(got));
    }
    let times = |i: usize| match &got[i] {
        Got::Record { record: Record::ProviderAlert { json, .. }, .. } => {
            let record: serde_json::Value = serde_json::from_str(json).unwrap();
            (record["started"].clone(), record["ended"].clone())
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(times(0), ("2026-03-04T06:12:09Z".into(), serde_json::Value::Null));
    assert_eq!(times(2), ("2026-03-04T09:03:00Z".into(), "2026-03-04T09:04:35Z".into()));
    assert_eq!(times(7), ("2026-03-03T20:30:00Z".into(), serde_json::Value::Null));
    assert_eq!(times(8), ("2026-03-04T14:17:44Z".into(), serde_json::Value::Null));
    let kinds: Vec<&str> = got
        .iter()
        .map(|got| match got {
            Got::Record { record: Record::ProviderAlert { alert, .. }, .. } => &*alert.kind,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        kinds,
        [
            "provider_geofence_entry",
            "provider_geofence_exit",
            "provider_overspeed",
            "harsh_braking",
            "harsh_acceleration",
            "provider_idle",
            "ignition",
            "provider_device_offline",
            "crash",
            "fuel_theft",
            "dtc",
        ]
    );
}

fn started_and_ended(times: &str) -> (String, String) {
    let body = format!(r#"{{"id":"x-1","kind":"NeverHeardOf","vehicle_number":"t1"{times}}}"#);
    let got = decode_accepted(&accept(Endpoint::Alert, &body));
    let [Got::Record { record: Record::ProviderAlert { json, .. }, .. }] = &got[..] else {
        panic!("{got:?}")
    };
    let record: serde_json::Value = serde_json::from_str(json).unwrap();
    assert_eq!((&record["vehicle_id"], &record["spelling"]), (&"T1".into(), &"t1".into()));
    (record["started"].to_string(), record["ended"].to_string())
}

#[test]
fn bad_times_do_not_fail_an_alert() {
    let at = |text: &str| format!("\"{text}\"");
    assert_eq!(started_and_ended(""), ("null".to_owned(), "null".to_owned()));
    let fallback = r#","active_event_time":"soon","created_at":"2026-03-04T10:00:00Z""#;
    assert_eq!(started_and_ended(fallback).0, at("2026-03-04T10:00:00Z"));
    let fatigue = r#","start_time":"2026-03-04T09:00:00Z","created_at":"2026-03-04T10:00:00Z""#;
    assert_eq!(started_and_ended(fatigue).0, at("2026-03-04T09:00:00Z"));
    let end_only = r#","active_event_time":null,"inactive_event_time":"2026-03-04T10:00:00","created_at":"2026-03-04T10:00:00Z""#;
    assert_eq!(started_and_ended(end_only), ("null".to_owned(), at("2026-03-04T04:30:00Z")));
}

#[test]
fn alerts_make_no_positions() {
    let body = r#"{"id":5511,"event_time":"2026-03-04T10:00:01Z","latitude":6.49,"longitude":3.35,"vehicle_number":"T1","kind":"SuddenBrakingAlert"}"#;
    assert!(matches!(&decode_accepted(&accept(Endpoint::Any, body))[..], [Got::Record { .. }]));
}

#[test]
fn each_endpoint_takes_its_own() {
    let alert = ALERTS.lines().next().unwrap();
    let both = format!("[{LOCATION},{alert}]");
    assert_eq!(accept(Endpoint::Any, &both).accepted, 2);
    let locations = accept(Endpoint::Location, &both);
    assert_eq!((locations.accepted, locations.refused[0].line), (1, 2));
    assert!(locations.refused[0].reason.contains("GeofenceAlert"));
    let alerts = accept(Endpoint::Alert, &both);
    assert_eq!((alerts.accepted, alerts.refused[0].line), (1, 1));
    assert_eq!(decode_accepted(&alerts).len(), 1);
    assert_eq!(alerts.payload.as_deref(), Some(format!("{alert}\n").as_bytes()));
    for alert in [
        r#"{"kind":7,"vehicle_number":"T1"}"#,
        r#"{"kind":"","vehicle_number":"T1"}"#,
        r#"{"kind":"SosAlert"}"#,
    ] {
        assert_eq!(accept(Endpoint::Any, alert).accepted, 0, "{alert}");
    }
}

#[test]
fn parts_of_an_array_become_lines() {
    let body = format!("[{LOCATION}, 7, {{}}, {LOCATION}]");
    let checked = accept(Endpoint::Any, &body);
    assert_eq!((checked.accepted, checked.refused_count), (2, 2));
    let payload = checked.payload.clone().unwrap();
    assert_eq!(payload.iter().filter(|&&byte| byte == b'\n').count(), 2);
    assert_eq!(decode_accepted(&checked).len(), 2);
    let single = accept(Endpoint::Any, &format!("[{LOCATION}]"));
    assert_eq!(
        decode_accepted(&single),
        decode_accepted(&accept(Endpoint::Any, &format!("\u{feff} {LOCATION}\n")))
    );
}

#[test]
fn what_is_no_body_is_refused_as_a_whole() {
    for body in ["", "hello", "7", "null", "[1", "{", "{}x", &format!("{LOCATION}\n{LOCATION}"), "\"{}\""] {
        let result = check(Endpoint::Any, body.as_bytes(), &config());
        assert!(matches!(result, Err(BodyError::NotABody(_))), "{body}: {result:?}");
    }
    assert!(check(Endpoint::Any, b"{\"a\":\"\xff\"}", &config()).is_err());
    assert_eq!(accept(Endpoint::Any, "[]").payload, None);
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(accept(Endpoint::Any, &deep).accepted, 0);
    assert_eq!(
        accept(Endpoint::Any, &format!(r#"{{"kind":"a","vehicle_number":"T","x":{deep}}}"#)).accepted,
        0
    );
}

#[test]
fn a_context_of_another_release_still_decodes() {
    for context in ["", "tz=Asia/Kolkata;endpoint=sideways;new=1", "tz=Mars/Base"] {
        let got = decoded(code::LOCONAV, context, LOCATION.as_bytes());
        assert_eq!(got.len(), 1, "{context}");
        assert_eq!(matches!(got[0], Got::Position { .. }), context.contains("Asia/Kolkata"));
    }
}

#[test]
fn the_largest_alert_can_be_exported_and_read_again() {
    let hard_to_write = |length: usize| "\\u0001".repeat(length);
    let body = |filler: usize| {
        let (kind, id, filler) = (hard_to_write(256), hard_to_write(256), "x".repeat(filler));
        format!(
            r#"{{"kind":"{kind}","id":"{id}","vehicle_number":"t{}","x":"{filler}"}}"#,
            hard_to_write(255)
        )
    };
    let largest = body(crate::MAX_RECORD_BYTES - body(0).len());
    let got = decode_accepted(&accept(Endpoint::Any, &largest));
    let Got::Record { record, .. } = &got[0] else { panic!("no record") };
    let mut line = Vec::new();
    crate::encode_record(&mut line, model::TimeMs(1), record);
    assert!(line.len() <= crate::files::MAX_LINE_BYTES, "{}", line.len());
    assert_eq!(decoded(code::RECORDS, "", &line), got);
    assert_eq!(accept(Endpoint::Any, &(largest.replacen('t', "tt", 1))).accepted, 0);
}

#[test]
fn a_large_array_is_fine() {
    let body = format!("[{}{LOCATION}]", format!("{},", LOCATION.replace('\n', "")).repeat(2_000));
    let checked = accept(Endpoint::Any, &body);
    assert_eq!((checked.accepted, decode_accepted(&checked).len()), (2_001, 2_001));
}

fn fragment() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => Just(LOCATION.as_bytes().to_vec()),
        2 => prop::sample::select(ALERTS.lines().collect::<Vec<_>>()).prop_map(|line| line.as_bytes().to_vec()),
        2 => prop::sample::select(vec!["[", "]", ",", "\n", "{}", "null", "\u{feff}", "\"", "{", "\\", "[]"])
            .prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..12),
    ]
}

/// A push that is known to be good, with a vehicle of its own, or bad in some way.
fn part() -> impl Strategy<Value = Result<u16, &'static str>> {
    let bad = vec!["{}", "1", "null", r#"{"vehiclenumber":"T1"}"#, r#"{"kind":"x"}"#];
    prop_oneof![3 => any::<u16>().prop_map(Ok), 1 => prop::sample::select(bad).prop_map(Err)]
}

fn good(id: u16) -> String {
    LOCATION.replace("T11985LA", &format!("T{id}LA"))
}

proptest! {
    #[test]
    fn the_good_pushes_of_a_body_are_journalled_in_order(parts in prop::collection::vec(part(), 0..8)) {
        let texts: Vec<String> =
            parts.iter().map(|part| part.map_or_else(str::to_owned, good)).collect();
        let checked = accept(Endpoint::Any, &format!("[{}]", texts.join(",")));
        let each_alone =
            parts.iter().flatten().flat_map(|id| decode_accepted(&accept(Endpoint::Any, &good(*id))));
        prop_assert_eq!(decode_accepted(&checked), each_alone.collect::<Vec<_>>());
        let bad = parts.iter().enumerate().filter(|(_, part)| part.is_err());
        let refused: Vec<usize> = checked.refused.iter().map(|refused| refused.line).collect();
        prop_assert_eq!(refused, bad.map(|(at, _)| at + 1).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_accepted_decodes(
        parts in prop::collection::vec(fragment(), 0..8),
        as_array in any::<bool>(),
        endpoint in prop::sample::select(Endpoint::ALL.to_vec()),
        context in "\\PC{0,20}",
    ) {
        let mut body = parts.join(&b","[..]);
        if as_array {
            body.insert(0, b'[');
            body.push(b']');
        }
        let _ = decoded(code::LOCONAV, &context, &body);
        if let Ok(checked) = check(endpoint, &body, &config()) {
            let got = decode_accepted(&checked);
            prop_assert_eq!(got.len(), checked.accepted);
            let bad = |got: &&Got| matches!(got, Got::Record { record: Record::Undecodable { .. }, .. });
            prop_assert_eq!(got.iter().filter(bad).count(), 0);
        }
    }

    #[test]
    fn mangled_pushes_never_panic(from in 0_usize..400, length in 0_usize..10, patch in "[\\[\\]{}\",:0-9a-z\\\\-]{0,6}") {
        for text in [LOCATION, ALERTS.lines().nth(8).unwrap()] {
            let from = from.min(text.len());
            let to = (from + length).min(text.len());
            let mangled = [&text[..from], &patch, &text[to..]].concat();
            if let Ok(checked) = check(Endpoint::Any, mangled.as_bytes(), &config()) {
                prop_assert_eq!(decode_accepted(&checked).len(), checked.accepted);
            }
        }
    }
}
