//! Keys of messages: the key fields of a row as a JSON array, and as the changelog has them.

use std::collections::BTreeMap;

use model::{AlertId, Table, TimeMs, push_ordered_text, push_ordered_time};
use serde_json::value::RawValue;

/// The key fields of a table. `start` is one of KPIs over days and weeks only.
fn key_fields(table: Table) -> &'static [&'static str] {
    match table {
        Table::Alerts => &["alert_id"],
        Table::Crossings => &["vehicle_id", "fence_id", "from_time"],
        Table::Etas | Table::Trips => &["trip_id"],
        Table::Kpis => &["span", "start", "slice", "slice_id", "metric"],
        Table::Presences => &["vehicle_id", "fence_id", "entered"],
        Table::Rejects => &["seq"],
        Table::Visits => &["vehicle_id", "fence_id", "arrived"],
    }
}

fn is_time(field: &str) -> bool {
    matches!(field, "from_time" | "start" | "entered" | "arrived")
}

fn is_calendar(span: &str) -> bool {
    matches!(span, "day" | "week")
}

/// The key of a row, as a JSON array of its key fields in their order; `None` of what is no row of the table.
#[must_use]
pub fn key_json(table: Table, row: &[u8]) -> Option<Vec<u8>> {
    let fields: BTreeMap<&str, &RawValue> = serde_json::from_slice(row).ok()?;
    let span = fields.get("span").map_or("", |span| span.get().trim_matches('"'));
    let has_start = is_calendar(span);
    let mut key = Vec::with_capacity(64);
    for field in key_fields(table) {
        if *field == "start" && !has_start {
            continue;
        }
        key.push(if key.is_empty() { b'[' } else { b',' });
        key.extend_from_slice(fields.get(field)?.get().as_bytes());
    }
    key.push(b']');
    Some(key)
}

/// The key as the changelog has it ([`model::Row::key_bytes`]); `None` of what no key of ours can be.
#[must_use]
pub fn key_bytes(table: Table, key: &[u8]) -> Option<Vec<u8>> {
    let values: Vec<serde_json::Value> = serde_json::from_slice(key).ok()?;
    let has_start = values.first()?.as_str().is_some_and(is_calendar);
    let fields = key_fields(table).iter().filter(|field| **field != "start" || has_start);
    let mut out = Vec::with_capacity(48);
    let mut values = values.iter();
    for field in fields {
        let value = values.next()?;
        match *field {
            "alert_id" => out.extend_from_slice(&value.as_str()?.parse::<AlertId>().ok()?.0.to_be_bytes()),
            "seq" => out.extend_from_slice(&value.as_u64()?.to_be_bytes()),
            time if is_time(time) => {
                push_ordered_time(&mut out, TimeMs::parse_rfc3339(value.as_str()?).ok()?)
            }
            _ => push_ordered_text(&mut out, value.as_str()?),
        }
    }
    values.next().is_none().then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_array_of_the_key_fields() {
        let told = |table, row: &str| String::from_utf8(key_json(table, row.as_bytes()).unwrap()).unwrap();
        let visit =
            r#"{"vehicle_id":"T \"1\"","fence_id":"é","arrived":"1970-01-01T00:00:00Z","departed":null}"#;
        assert_eq!(told(Table::Visits, visit), r#"["T \"1\"","é","1970-01-01T00:00:00Z"]"#);
        let kpi = |span: &str| {
            format!(
                r#"{{"span":"{span}","start":"1970-01-01T00:00:00Z","slice":"fleet","slice_id":"all","metric":"visits","value":1}}"#
            )
        };
        assert_eq!(
            told(Table::Kpis, &kpi("day")),
            r#"["day","1970-01-01T00:00:00Z","fleet","all","visits"]"#
        );
        assert_eq!(told(Table::Kpis, &kpi("15m")), r#"["15m","fleet","all","visits"]"#);
        assert_eq!(told(Table::Rejects, r#"{"seq":7,"vehicle_id":"a"}"#), "[7]");
        assert_eq!(key_json(Table::Visits, br#"{"vehicle_id":"a"}"#), None);
    }

    #[test]
    fn what_is_no_key_of_the_table_is_none() {
        for key in ["", "{}", "[]", "[1]", r#"["a","b"]"#, r#"["a","b","then"]"#, r#"["a","b","c","d"]"#] {
            assert_eq!(key_bytes(Table::Visits, key.as_bytes()), None, "{key}");
        }
        assert!(key_bytes(Table::Visits, br#"["a","b","1970-01-01T00:00:00Z"]"#).is_some());
    }
}
