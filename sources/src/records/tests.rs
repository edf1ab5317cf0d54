use proptest::prelude::*;

use super::Backfill;
use crate::testing::{Got, decoded};
use crate::{BodyError, Checked, MAX_RECORD_BYTES, code};

const GOOD: &str =
    r#"{"type":"position","vehicle_id":"T1","event_time":"2026-03-04T06:12:09Z","lon":3.3,"lat":6.4}"#;

fn check(body: &[u8]) -> Result<Checked, BodyError> {
    super::check(body, Backfill::Refused)
}

fn decode_accepted(checked: &Checked) -> Vec<Got> {
    decoded(code::RECORDS, &checked.context, checked.payload.as_deref().unwrap_or_default())
}

#[test]
fn what_is_good_is_journalled_as_received() {
    for (body, count) in [
        (GOOD.to_owned(), 1),
        (format!("\u{feff}\r\n{GOOD}\r\n\r\n  {GOOD}  \n"), 2),
        (format!("[{GOOD},\n{GOOD}\n]"), 2),
        (format!(" \n[ {GOOD} ]\n"), 1),
    ] {
        let checked = check(body.as_bytes()).unwrap();
        assert_eq!((checked.accepted, checked.refused_count), (count, 0), "{body}");
        assert_eq!(checked.payload.as_deref(), Some(body.as_bytes()));
        assert_eq!(decode_accepted(&checked).len(), count);
    }
}

#[test]
fn what_is_bad_is_refused_one_by_one() {
    let bad_text = b"{\"type\":\"position\",\"vehicle_id\":\"\xff\"}";
    let too_long = format!("{{\"x\":\"{}\"}}", "x".repeat(MAX_RECORD_BYTES));
    let clock = r#"{"type":"clock","received_time":"2026-03-04T06:12:09Z"}"#;
    let body = [
        b"\n",
        GOOD.as_bytes(),
        b"\nrubbish\n",
        bad_text,
        b"\n",
        too_long.as_bytes(),
        b"\n",
        clock.as_bytes(),
        b"\n",
        GOOD.as_bytes(),
    ]
    .concat();
    let checked = check(&body).unwrap();
    assert_eq!(checked.accepted, 2);
    let refused: Vec<(usize, &str)> = checked.refused.iter().map(|r| (r.line, r.reason.as_str())).collect();
    assert_eq!(refused.iter().map(|r| r.0).collect::<Vec<_>>(), [3, 4, 5, 6]);
    for (i, word) in ["not a JSON object", "UTF-8", "bytes", "posted"].into_iter().enumerate() {
        assert!(refused[i].1.contains(word), "{refused:?}");
    }
    assert_eq!(checked.refused[1].bytes, bad_text);
    assert_eq!(checked.payload.as_deref(), Some(format!("{GOOD}\n{GOOD}\n").as_bytes()));
    assert_eq!(decode_accepted(&checked).len(), 2);
}

#[test]
fn parts_of_an_array_become_lines() {
    let spread = GOOD.replace(',', ",\r\n ");
    let body = format!("[1, {spread}, {{\"type\":\"clock\"}}, [{GOOD}]]");
    let checked = check(body.as_bytes()).unwrap();
    assert_eq!((checked.accepted, checked.refused_count), (1, 3));
    assert_eq!(checked.refused.iter().map(|r| r.line).collect::<Vec<_>>(), [1, 3, 4]);
    assert_eq!(checked.payload.as_ref().unwrap().iter().filter(|&&b| b == b'\n').count(), 1);
    assert_eq!(decode_accepted(&checked), decoded(code::RECORDS, "", GOOD.as_bytes()));
}

#[test]
fn what_is_no_body_is_refused_as_a_whole() {
    for body in [
        "",
        " \n",
        "hello",
        "7",
        "\"{}\"",
        "null",
        "[",
        "[1",
        &format!("[{GOOD}"),
        &format!("[{GOOD}]]"),
        "a,b\n1,2",
    ] {
        assert!(matches!(check(body.as_bytes()), Err(BodyError::NotABody(_))), "{body}");
    }
    assert!(matches!(check(b"[\"\xff\"]"), Err(BodyError::NotABody(_))));
    for body in ["[]", "{}", "{\n", "[1]"] {
        let checked = check(body.as_bytes()).unwrap();
        assert_eq!((checked.accepted, checked.payload), (0, None), "{body}");
    }
}

#[test]
fn odd_fences_are_accepted_with_a_warning() {
    let line = r#"{"type":"fence","op":"upsert","feature":{"type":"Feature","id":"tie","geometry":{"type":"Polygon","coordinates":[[[0,0],[1,1],[1,0],[0,1],[0,0]]]}}}"#;
    let checked = check(line.as_bytes()).unwrap();
    assert_eq!((checked.accepted, checked.warnings.len()), (1, 1));
    assert!(checked.warnings[0].contains("tie"));
}

#[test]
fn broken_entries_do_not_hide_what_came_before() {
    let got = decoded(code::RECORDS, "", format!("[{GOOD},{GOOD},").as_bytes());
    assert_eq!(got.len(), 3);
    assert_eq!(decoded(code::RECORDS, "", format!("{GOOD}\n\u{1}\n{GOOD}").as_bytes()).len(), 3);
    assert_eq!(decoded(99, "", b"x").len(), 1);
}

#[test]
fn backfills_come_from_their_command_only() {
    let exempt = GOOD.replace('}', r#","exempt":true}"#);
    let period = r#"{"type":"backfill","from_time":"2026-03-01T00:00:00Z","to_time":"2026-03-08T00:00:00Z"}"#;
    let not_exempt = GOOD.replace('}', r#","exempt":false}"#);
    let body = format!("{GOOD}\n{exempt}\n{period}\n{not_exempt}\n");
    let posted = check(body.as_bytes()).unwrap();
    assert_eq!((posted.accepted, posted.refused_count), (2, 2));
    for (refused, line) in posted.refused.iter().zip([2, 3]) {
        assert_eq!(refused.line, line);
        assert!(refused.reason.contains("`watchtower backfill`"), "{}", refused.reason);
    }
    assert_eq!(decode_accepted(&posted).len(), 2);

    let sent = super::check(body.as_bytes(), Backfill::Allowed).unwrap();
    assert_eq!((sent.accepted, sent.refused_count, sent.payload.as_deref()), (4, 0, Some(body.as_bytes())));
    let got = decoded(code::BACKFILL, &sent.context, sent.payload.as_deref().unwrap());
    let exempt: Vec<bool> = got.iter().filter_map(|got| Some(got.position()?.exempt)).collect();
    assert_eq!(exempt, [false, true, false]);
    assert!(matches!(got[2], Got::Record { record: model::Record::Backfill { .. }, .. }));
}

#[test]
fn a_location_of_no_fence_is_refused_but_was_not_always() {
    let location = r#"{"type":"location","op":"upsert","location":{"id":"L","fence_id":[1]}}"#;
    for backfill in [Backfill::Refused, Backfill::Allowed] {
        let checked = super::check(format!("{location}\n{GOOD}").as_bytes(), backfill).unwrap();
        assert_eq!((checked.accepted, checked.refused_count, checked.refused[0].line), (1, 1, 1));
        assert!(checked.refused[0].reason.contains("fence_id"), "{}", checked.refused[0].reason);
    }
    let got = decoded(code::RECORDS, "", location.as_bytes());
    assert!(matches!(&got[..], [Got::Record { record: model::Record::Location { .. }, .. }]), "{got:?}");
}

#[test]
fn what_an_earlier_release_accepted_and_ignored_is_ignored() {
    let plain = decoded(code::RECORDS, "", GOOD.as_bytes());
    for exempt in ["true", "1", "\"yes\"", "null", "{}"] {
        let line = GOOD.replace('}', &format!(r#","exempt":{exempt}}}"#));
        assert_eq!(decoded(code::RECORDS, "", line.as_bytes()), plain, "{line}");
        assert_eq!(decoded(code::RECORDS, "", format!("[{line}]").as_bytes()), plain, "{line}");
    }
    let period = r#"{"type":"backfill","from_time":"2026-03-01T00:00:00Z","to_time":"2026-03-08T00:00:00Z"}"#;
    let nothing_new = [Got::Record { received: None, record: model::Record::Clock }];
    assert_eq!(decoded(code::RECORDS, "", period.as_bytes()), nothing_new);
    // The command writes none of this.
    let unclear = GOOD.replace('}', r#","exempt":1}"#);
    let is_bad = |got: &Got| matches!(got, Got::Record { record: model::Record::Undecodable { .. }, .. });
    assert!(decoded(code::BACKFILL, "", unclear.as_bytes()).iter().all(is_bad));
    assert_eq!(check(unclear.as_bytes()).unwrap().accepted, 0);
}

/// Lines and fragments that make bodies of every sort.
fn fragment() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => Just(GOOD.as_bytes().to_vec()),
        1 => Just(br#"{"type":"fence","op":"delete","id":"F"}"#.to_vec()),
        2 => prop::sample::select(vec!["[", "]", ",", "\n", "{}", "null", "\r\n", " ", "\u{feff}", "\"", "{", "\\"])
            .prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..12),
    ]
}

/// A record that is known to be good, with an id of its own, or bad in some way.
fn part() -> impl Strategy<Value = Result<u16, &'static str>> {
    let bad = vec!["{}", "1", "null", r#"{"type":"position"}"#, r#"{"type":"nothing","vehicle_id":"T1"}"#];
    prop_oneof![3 => any::<u16>().prop_map(Ok), 1 => prop::sample::select(bad).prop_map(Err)]
}

fn good(id: u16) -> String {
    GOOD.replace("T1", &format!("T{id}"))
}

proptest! {
    #[test]
    fn the_good_records_of_a_body_are_journalled_in_order(
        parts in prop::collection::vec(part(), 1..12),
        as_array in any::<bool>(),
    ) {
        let texts: Vec<String> =
            parts.iter().map(|part| part.map_or_else(str::to_owned, good)).collect();
        let body = if as_array { format!("[{}]", texts.join(",")) } else { texts.join("\n") };
        prop_assume!(as_array || body.contains('{'));
        let each_alone = parts.iter().flatten().flat_map(|id| decoded(code::RECORDS, "", good(*id).as_bytes()));
        let checked = check(body.as_bytes()).unwrap();
        prop_assert_eq!(decode_accepted(&checked), each_alone.collect::<Vec<_>>());
        let bad = parts.iter().enumerate().filter(|(_, part)| part.is_err());
        let refused: Vec<usize> = checked.refused.iter().map(|refused| refused.line).collect();
        prop_assert_eq!(refused, bad.map(|(at, _)| at + 1).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_accepted_decodes(
        parts in prop::collection::vec(fragment(), 0..12),
        separator in prop::sample::select(vec!["\n", ",", ""]),
        as_array in any::<bool>(),
    ) {
        let mut body = parts.join(separator.as_bytes());
        if as_array {
            body.insert(0, b'[');
            body.push(b']');
        }
        // Whatever a journal holds, reading it never panics.
        let _ = decoded(code::RECORDS, "", &body);
        if let Ok(checked) = check(&body) {
            let got = decode_accepted(&checked);
            prop_assert_eq!(got.len(), checked.accepted);
            let bad = |got: &&Got| matches!(got, Got::Record { record: model::Record::Undecodable { .. }, .. });
            prop_assert_eq!(got.iter().filter(bad).count(), 0);
            prop_assert_eq!(checked.refused.len(), checked.refused_count);
            prop_assert_eq!(checked.payload.is_some(), checked.accepted > 0);
        }
    }
}
