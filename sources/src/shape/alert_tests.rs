//! Rules, the provider's alerts and marks: what is read, what is refused, and that everything comes back.

use model::{AlertMark, AlertRule, ProviderAlert, Record, RuleScope, Severity, TimeMs};

use super::{Origin, decode_record, ignored_rule};
use crate::encode_record;
use crate::testing::{Gather, Got};

const ORIGINS: [Origin; 4] = [Origin::Posted, Origin::Journalled, Origin::Backfill, Origin::File];

fn decode_from(origin: Origin, line: &str) -> Result<Record, String> {
    let mut gather = Gather::default();
    decode_record(line, origin, &mut gather)?;
    match gather.got.remove(0) {
        Got::Record { record, .. } => Ok(record),
        Got::Position { .. } => Err("a position".to_owned()),
    }
}

fn rule(members: &str) -> AlertRule {
    let line = format!(r#"{{"type":"rule",{members}}}"#);
    match decode_from(Origin::Posted, &line) {
        Ok(Record::Rule { rule, json }) => {
            assert_eq!(json, line);
            AlertRule::clone(&rule)
        }
        other => panic!("{line}: {other:?}"),
    }
}

fn provider(members: &str) -> ProviderAlert {
    let line = format!(r#"{{"type":"provider_alert","vehicle_id":"T1",{members}}}"#);
    match decode_from(Origin::Posted, &line) {
        Ok(Record::ProviderAlert { alert, json }) => {
            assert_eq!(json, line);
            ProviderAlert::clone(&alert)
        }
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn what_a_rule_says_is_read() {
    let expected = AlertRule {
        kind: "overspeed".into(),
        scope: RuleScope::Fleet,
        threshold_milli: Some(60_000),
        duration_ms: Some(30_000),
        severity: Some(Severity::Warning),
        enabled: true,
        correct_history: false,
    };
    let members = r#""kind":"overspeed","scope":"fleet","threshold":60,"duration_s":30,"severity":"warning","enabled":true"#;
    assert_eq!(rule(members), expected);
    let open = AlertRule { threshold_milli: None, duration_ms: None, severity: None, ..expected.clone() };
    // What is left open is inherited, and a rule that is there holds.
    assert_eq!(rule(r#""kind":"overspeed","scope":"fleet""#), open);
    assert_eq!(rule(r#""kind":"overspeed","scope":"fleet","threshold":null,"enabled":null"#), open);
    for (name, scope) in [
        ("company", RuleScope::Company("x".into())),
        ("vehicle", RuleScope::Vehicle("x".into())),
        ("fence", RuleScope::Fence("x".into())),
    ] {
        let members = format!(r#""kind":"moon","scope":"{name}","scope_id":"x","correct_history":true"#);
        let kind = "moon".into();
        assert_eq!(rule(&members), AlertRule { kind, scope, correct_history: true, ..open.clone() });
    }
    let off = rule(
        r#""kind":"harsh_braking","scope":"fleet","threshold":-8.0005,"duration_s":0.0004,"enabled":false"#,
    );
    assert_eq!((off.threshold_milli, off.duration_ms, off.enabled), (Some(-8001), Some(0), false));
}

#[test]
fn a_rule_that_is_not_understood_is_refused_at_the_door_and_says_nothing_behind_it() {
    let long = "k".repeat(257);
    for (members, words) in [
        (r#""kind":"idle","scope":"vehicle""#, "scope_id is missing"),
        (r#""kind":"idle","scope":"fence","scope_id":7"#, "scope_id must be text"),
        (r#""kind":"idle","scope":"company","scope_id":"""#, "scope_id is empty"),
        (r#""kind":"idle","scope":"fleet","scope_id":"x""#, "there is one fleet"),
        (r#""kind":"idle","scope":"fleet","duration_s":-1"#, "duration_s must be a number from 0 to"),
        (r#""kind":"idle","scope":"fleet","threshold":1e7"#, "threshold must be a number from -1000000 to"),
        (
            r#""kind":"idle","scope":"fleet","severity":"bad""#,
            "severity \"bad\" is not known; known are info",
        ),
        (r#""kind":"idle","scope":"fleet","correct_history":1"#, "correct_history must be true or false"),
        (&format!(r#""kind":"{long}","scope":"fleet""#), "kind has 257 bytes"),
    ] {
        let line = format!(r#"{{"type":"rule",{members}}}"#);
        for origin in [Origin::Posted, Origin::Backfill] {
            let reason = decode_from(origin, &line).unwrap_err();
            assert!(reason.contains(words), "{line}: {reason}");
        }
        for origin in [Origin::Journalled, Origin::File] {
            let record = decode_from(origin, &line).unwrap();
            assert_eq!(record, Record::Other { kind: "rule", json: line.clone() });
            let warning = ignored_rule(&record).unwrap();
            assert!(warning.contains("no effect") && warning.contains(words), "{warning}");
        }
    }
    let good = decode_from(Origin::File, r#"{"type":"rule","kind":"idle","scope":"fleet"}"#).unwrap();
    assert_eq!((ignored_rule(&good), ignored_rule(&Record::Clock)), (None, None));
}

#[test]
fn a_file_is_read_with_a_warning_about_such_a_rule() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rules.ndjson");
    std::fs::write(&path, "{\"type\":\"rule\",\"kind\":\"idle\",\"scope\":\"vehicle\"}\n").unwrap();
    let mut gather = Gather::default();
    let mut file = crate::files::FileInput::open(&path).unwrap();
    while file.read(10, &mut gather).unwrap() {}
    assert!(gather.warnings[0].contains("scope_id is missing"), "{:?}", gather.warnings);
    assert_eq!((gather.warnings.len(), gather.got.len(), gather.bad.len()), (1, 1, 0));
}

#[test]
fn what_lacks_something_is_refused_everywhere() {
    for (line, words) in [
        (r#"{"type":"rule","scope":"fleet"}"#, "kind is missing"),
        (r#"{"type":"rule","kind":"idle"}"#, "scope is missing"),
        (r#"{"type":"rule","kind":"idle","scope":"moon"}"#, "scope \"moon\" is not known; known are fleet"),
        (r#"{"type":"rule","kind":"idle","scope":"fleet","threshold":"60"}"#, "threshold must be a number"),
        (r#"{"type":"rule","kind":"idle","scope":"fleet","severity":3}"#, "severity must be text"),
        (r#"{"type":"rule","kind":"idle","scope":"fleet","enabled":1}"#, "enabled must be true or false"),
        (r#"{"type":"provider_alert","kind":"crash"}"#, "vehicle_id is missing"),
        (r#"{"type":"provider_alert","vehicle_id":"T1"}"#, "kind is missing"),
        (r#"{"type":"provider_alert","vehicle_id":"T1","kind":"crash","started":"now"}"#, "started \"now\""),
        (r#"{"type":"provider_alert","vehicle_id":"T1","kind":"crash","ended":7}"#, "ended must be text"),
        (
            r#"{"type":"provider_alert","vehicle_id":"T1","kind":"crash","provider_id":[]}"#,
            "provider_id must be",
        ),
        (r#"{"type":"provider_alert","vehicle_id":"T1","kind":"crash","details":[]}"#, "details must be"),
        (r#"{"type":"acknowledge","by":"ada"}"#, "alert_id is missing"),
        (r#"{"type":"acknowledge","alert_id":"a"}"#, "by is missing"),
        (r#"{"type":"resolve","alert_id":"","by":"ada"}"#, "alert_id is empty"),
    ] {
        for origin in ORIGINS {
            let reason = decode_from(origin, line).unwrap_err();
            assert!(reason.contains(words), "{line}: {reason}");
        }
    }
}

#[test]
fn what_the_provider_tells_is_read() {
    let expected = ProviderAlert {
        vehicle_id: "T1".into(),
        kind: "crash".into(),
        severity: Severity::Critical,
        is_instant: true,
        provider_id: Some("7".into()),
        started: Some(TimeMs(1_767_225_600_000)),
        ended: None,
        details: Some(r#"{"speed":25.0}"#.into()),
    };
    let members =
        r#""kind":"CrashAlert","provider_id":7,"started":"2026-01-01T00:00:00Z","details":{"speed":25.0}"#;
    assert_eq!(provider(members), expected);
    let bare = ProviderAlert {
        kind: "Moon".into(),
        severity: Severity::Warning,
        is_instant: false,
        provider_id: None,
        started: None,
        details: None,
        ..expected
    };
    assert_eq!(provider(r#""kind":"Moon","provider_id":"""#), bare);
    assert_eq!(provider(r#""kind":"Moon","provider_id":null,"started":null,"details":null"#), bare);
    let ended = provider(r#""kind":"Moon","ended":"2026-01-01T00:00:00Z""#);
    assert_eq!((ended.started, ended.ended), (None, Some(TimeMs(1_767_225_600_000))));
    let exit = provider(r#""kind":"GeofenceAlert","details":{"event_key":"geofence_exit"}"#);
    assert_eq!(&*exit.kind, "provider_geofence_exit");
}

#[test]
fn long_details_stay_in_the_record() {
    let details = |length: usize| {
        let members = format!(r#""kind":"dtc","details":{{"x":"{}"}}"#, "x".repeat(length));
        provider(&members).details
    };
    let longest = ProviderAlert::MAX_DETAILS_BYTES - r#"{"x":""}"#.len();
    assert!(details(longest).is_some() && details(longest + 1).is_none());
}

#[test]
fn marks_are_read() {
    for (name, mark) in [("acknowledge", AlertMark::Acknowledge), ("resolve", AlertMark::Resolve)] {
        let line = format!(r#"{{"type":"{name}","alert_id":"00c0ffee00c0ffee","by":"ada","why":"seen"}}"#);
        let (alert_id, by) = ("00c0ffee00c0ffee".into(), "ada".into());
        let expected = Record::AlertMark { alert_id, mark, by, json: line.clone() };
        for origin in ORIGINS {
            assert_eq!(decode_from(origin, &line), Ok(expected.clone()));
        }
    }
}

#[test]
fn everything_comes_back() {
    let received = TimeMs(1_772_614_991_001);
    for line in [
        r#"{"type":"rule","kind":"overspeed","scope":"vehicle","scope_id":"T1","threshold":60.50,"by":"ada"}"#,
        r#"{"type":"rule","kind":"overspeed","scope":"vehicle"}"#,
        r#"{"type":"provider_alert","vehicle_id":"T1","kind":"DtcAlert","provider_id":62,"details":{"a":[1.0]}}"#,
        r#"{"type":"acknowledge","alert_id":"a","by":"ada","note":{"x":null}}"#,
    ] {
        let spread =
            line.replace("\":", "\" :\t").replacen('{', r#"{"received_time":"2026-01-03T00:00:00Z", "#, 1);
        let record = decode_from(Origin::File, &spread).unwrap();
        let mut exported = Vec::new();
        encode_record(&mut exported, received, &record);
        let exported = String::from_utf8(exported).unwrap();
        let members = line.strip_prefix('{').unwrap();
        assert_eq!(exported, format!("{{\"received_time\":\"{received}\",{members}\n"));
        assert_eq!(decode_from(Origin::File, &exported), Ok(record));
    }
}
