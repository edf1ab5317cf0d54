use model::{Record, Shape};
use proptest::prelude::*;

use super::{Row, Sent, TableName, check, delete_record, schema_sql, sent, sent_hash};
use crate::code;
use crate::testing::{Got, decoded};

fn point(id: &str) -> Row {
    Row {
        id: id.to_owned(),
        kind: Some("ST_Point".to_owned()),
        srid: 4326,
        points: 1,
        geometry: Some(r#"{"type":"Point","coordinates":[3.4,6.5]}"#.to_owned()),
        properties: r#"{"name": "Yard", "radius_m": 150, "min_dwell_s": 60}"#.to_owned(),
        ..Row::default()
    }
}

fn reason(row: &Row) -> String {
    check(row).expect_err("a refusal").reason
}

#[test]
fn a_row_is_the_record_that_a_post_would_be() {
    let (record, warnings) = check(&point("yard")).unwrap();
    assert!(warnings.is_empty());
    let got = decoded(code::POSTGIS, "", record.as_bytes());
    let [Got::Record { record: Record::FenceUpsert(fence), .. }] = &got[..] else { panic!("{got:?}") };
    assert_eq!((&*fence.id, &*fence.name, fence.settings.min_dwell_ms), ("yard", "Yard", Some(60_000)));
    assert!(matches!(fence.shape, Shape::Circle { radius_m: 150.0, .. }));
    let got = decoded(code::POSTGIS, "", delete_record("yard").as_bytes());
    let [Got::Record { record: Record::FenceDelete { id, at: None }, .. }] = &got[..] else {
        panic!("{got:?}")
    };
    assert_eq!(&**id, "yard");
}

#[test]
fn what_is_no_fence_is_told_why() {
    let with = |change: &dyn Fn(&mut Row)| {
        let mut row = point("yard");
        change(&mut row);
        reason(&row)
    };
    assert_eq!(with(&|row| (row.kind, row.geometry) = (None, None)), "geom is null");
    assert!(with(&|row| row.srid = 3857).contains("SRID 3857; it must be 4326"));
    assert_eq!(with(&|row| row.is_empty = true), "geom is empty");
    let curve = with(&|row| (row.kind, row.geometry) = (Some("ST_CurvePolygon".to_owned()), None));
    assert!(curve.contains("a ST_CurvePolygon"), "{curve}");
    let large = with(&|row| (row.geometry, row.points) = (None, 300_000));
    assert!(large.contains("300000 positions"), "{large}");
    let nan = r#"{"type":"Point","coordinates":[NaN,6.5]}"#;
    assert!(with(&|row| row.geometry = Some(nan.to_owned())).contains("finite"));
    let far = r#"{"type":"Point","coordinates":[300,6.5]}"#;
    assert!(with(&|row| row.geometry = Some(far.to_owned())).contains("yard"));
    assert!(with(&|row| row.properties = "{}".to_owned()).contains("radius_m"));
    assert!(with(&|row| row.properties = r#"{"radius_m": "NaN"}"#.to_owned()).contains("radius_m"));
    assert!(
        with(&|row| row.properties = r#"{"radius_m": 5, "valid_from": "infinity"}"#.to_owned())
            .contains("valid_from")
    );
    assert!(with(&|row| row.id = String::new()).contains("id"));
    assert!(with(&|row| row.unreadable = Some("said so".to_owned())).contains("said so"));
    let refusal = check(&Row { srid: 0, ..point("yard") }).unwrap_err();
    assert!(String::from_utf8(refusal.bytes).unwrap().contains("\"yard\""), "what was judged is kept");
}

#[test]
fn names_of_tables_are_names() {
    for name in ["fences", "watchtower_gis.fences", "Gis.Zonen 2026", "gis.Zäune"] {
        assert_eq!(TableName::parse(name).unwrap().to_string(), name);
    }
    for name in ["", ".", "a.", ".a", "a.b.c", "a\"b", " a", "a.b ", &"x".repeat(64)] {
        assert!(TableName::parse(name).is_err(), "{name}");
    }
    let sql = schema_sql(&TableName::parse("Gis.Zonen").unwrap());
    assert!(sql.contains("CREATE TABLE IF NOT EXISTS \"Gis\".\"Zonen\" (") && !sql.contains('{'), "{sql}");
    // What is written by the service must not tell the service of a change.
    let watched = sql.split("UPDATE OF").nth(1).unwrap().split("ON \"Gis\"").next().unwrap();
    assert!(watched.contains("geom") && !watched.contains("watchtower"), "{watched}");
}

proptest! {
    #[test]
    fn the_journal_knows_what_was_sent(id in "\\PC{1,40}") {
        // Ids of blanks and the like are refused, and then nothing is sent.
        if let Ok((record, _)) = check(&point(&id)) {
            let bytes = record.as_bytes();
            let hash = sent_hash(bytes);
            prop_assert_eq!(sent(bytes).collect::<Vec<_>>(), [Sent::Upsert { id: id.clone(), hash }]);
            let delete = delete_record(&id);
            prop_assert_eq!(sent(delete.as_bytes()).collect::<Vec<_>>(), [Sent::Delete { id }]);
        }
    }
}
