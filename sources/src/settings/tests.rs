use model::{GraphSettings, Record, SettingValue};

use crate::code;
use crate::testing::{Got, decoded};

fn only(payload: &[u8]) -> Record {
    let mut got = decoded(code::SETTINGS, "", payload);
    assert_eq!(got.len(), 1);
    match got.remove(0) {
        Got::Record { received: None, record } => record,
        other => panic!("{other:?}"),
    }
}

#[test]
fn all_settings_come_back() {
    let values = GraphSettings { max_speed_kmh: 0.1 + 0.2, ..GraphSettings::default() }.values();
    let payload = super::encode(&values);
    let expected = values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    assert_eq!(only(&payload), Record::Settings(expected));
}

#[test]
fn refuses_as_a_whole() {
    for (payload, word) in [
        (r#"{"cleaning.speed":1}"#, "cleaning.speed"),
        (r#"{"cleaning.horizon_h":48,"visits.min_dwell_s":-1}"#, "visits.min_dwell_s"),
        (r#"{"cleaning.horizon_h":48,"cleaning.horizon_h":24}"#, "twice"),
        (r#"{"zone":"Mars/Base"}"#, "IANA"),
        (r#"{"zone":null}"#, "zone"),
        (r#"{"cleaning.horizon_h":1e999}"#, "cleaning.horizon_h"),
        (r#"["zone"]"#, "object"),
        ("", "object"),
        ("\u{0}", "object"),
    ] {
        match only(payload.as_bytes()) {
            Record::Undecodable { reason } => assert!(reason.contains(word), "{payload}: {reason}"),
            other => panic!("{payload}: {other:?}"),
        }
    }
    assert!(matches!(only(b"\xff"), Record::Undecodable { .. }));
    assert!(matches!(only(b"{}"), Record::Settings(values) if values.is_empty()));
    let text = SettingValue::Text("unlimited".to_owned());
    assert_eq!(
        only(br#"{"history.keep_h":"unlimited"}"#),
        Record::Settings(vec![("history.keep_h".to_owned(), text)])
    );
}
