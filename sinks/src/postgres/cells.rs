//! A row's JSON as the values of its columns, and back to the very same bytes.

use std::borrow::Cow;
use std::fmt;

use model::{AlertId, Table, TimeMs, push_json_string, push_ordered_text, push_ordered_time};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::tables::{Column, Kind, columns};

/// The value of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cell<'a> {
    Null,
    Text(Cow<'a, str>),
    Time(TimeMs),
    Integer(i64),
    Bool(bool),
}

impl Cell<'_> {
    pub fn as_text(&self) -> Option<&str> {
        if let Cell::Text(text) = self { Some(text) } else { None }
    }

    pub fn as_time(&self) -> Option<TimeMs> {
        if let Cell::Time(time) = self { Some(*time) } else { None }
    }

    pub fn as_integer(&self) -> Option<i64> {
        if let Cell::Integer(number) = self { Some(*number) } else { None }
    }

    pub fn as_bool(&self) -> Option<bool> {
        if let Cell::Bool(truth) = self { Some(*truth) } else { None }
    }
}

/// The values of all columns of a row, in their order.
pub(crate) fn read_row(table: Table, json: &[u8]) -> Result<Vec<Cell<'_>>, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let cells = RowSeed(columns(table)).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(cells)
}

/// The row as the contract's JSON.
pub(crate) fn write_row(table: Table, cells: &[Cell<'_>], out: &mut Vec<u8>) {
    let mut before = b'{';
    for (column, cell) in columns(table).iter().zip(cells) {
        if column.is_optional && *cell == Cell::Null {
            continue;
        }
        out.push(before);
        before = b',';
        push_json_string(out, column.field);
        out.push(b':');
        match cell {
            Cell::Null => out.extend_from_slice(b"null"),
            Cell::Text(text) if column.kind == Kind::Json => out.extend_from_slice(text.as_bytes()),
            Cell::Text(text) => push_json_string(out, text),
            Cell::Time(time) => {
                out.push(b'"');
                time.write(out);
                out.push(b'"');
            }
            Cell::Integer(number) => out.extend_from_slice(number.to_string().as_bytes()),
            Cell::Bool(truth) => out.extend_from_slice(truth.to_string().as_bytes()),
        }
    }
    out.push(b'}');
}

/// The row's key as the changelog has it ([`model::Row::key_bytes`]); `None` of what no row of ours can be.
pub(crate) fn key_bytes(table: Table, cells: &[Cell<'_>]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(48);
    let mut is_calendar = false;
    for (column, cell) in columns(table).iter().zip(cells) {
        match (table, column.field, cell) {
            (Table::Alerts, "alert_id", Cell::Text(id)) => {
                out.extend_from_slice(&id.parse::<AlertId>().ok()?.0.to_be_bytes());
            }
            (Table::Kpis, "span", Cell::Text(span)) => {
                is_calendar = matches!(&**span, "day" | "week");
                push_ordered_text(&mut out, span);
            }
            (Table::Kpis, "start", Cell::Time(start)) if is_calendar => push_ordered_time(&mut out, *start),
            (_, _, _) if !column.is_key => {}
            (_, _, Cell::Text(text)) => push_ordered_text(&mut out, text),
            (_, _, Cell::Time(time)) => push_ordered_time(&mut out, *time),
            (_, _, Cell::Integer(number)) => {
                out.extend_from_slice(&u64::try_from(*number).ok()?.to_be_bytes());
            }
            (_, _, Cell::Null | Cell::Bool(_)) => return None,
        }
    }
    Some(out)
}

struct RowSeed(&'static [Column]);

impl<'de> DeserializeSeed<'de> for RowSeed {
    type Value = Vec<Cell<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RowSeed {
    type Value = Vec<Cell<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row with its fields in order")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut cells = Vec::with_capacity(self.0.len());
        let mut columns = self.0.iter();
        while let Some(field) = map.next_key::<&str>()? {
            let column = loop {
                match columns.next() {
                    Some(column) if column.field == field => break column,
                    Some(column) if column.is_optional => cells.push(Cell::Null),
                    _ => return Err(A::Error::custom(format_args!("the field {field} was not expected"))),
                }
            };
            cells.push(map.next_value_seed(CellSeed(column.kind))?);
        }
        for column in columns {
            if !column.is_optional {
                return Err(A::Error::custom(format_args!("the field {} is missing", column.field)));
            }
            cells.push(Cell::Null);
        }
        Ok(cells)
    }
}

/// Text that is borrowed where nothing in it is escaped.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

struct CellSeed(Kind);

impl<'de> DeserializeSeed<'de> for CellSeed {
    type Value = Cell<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cell<'de>, D::Error> {
        let text = |text: Option<Text<'de>>| text.map(|Text(text)| text);
        Ok(match self.0 {
            Kind::Text => text(Option::deserialize(deserializer)?).map_or(Cell::Null, Cell::Text),
            Kind::Time => match text(Option::deserialize(deserializer)?) {
                Some(time) => Cell::Time(TimeMs::parse_rfc3339(&time).map_err(D::Error::custom)?),
                None => Cell::Null,
            },
            Kind::Integer => Option::deserialize(deserializer)?.map_or(Cell::Null, Cell::Integer),
            Kind::Bool => Option::deserialize(deserializer)?.map_or(Cell::Null, Cell::Bool),
            Kind::Json => Cell::Text(Cow::Borrowed(<&RawValue>::deserialize(deserializer)?.get())),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_read_and_write_as_the_same_bytes() {
        let rows = [
            (
                Table::Presences,
                r#"{"vehicle_id":"T \"1\"\n","fence_id":"é","entered":"2026-01-01T00:00:00Z","exited":null,"end_reason":null}"#,
            ),
            (
                Table::Visits,
                r#"{"vehicle_id":"T1","fence_id":"yard","arrived":"1970-01-01T00:00:00Z","departed":"1970-01-01T00:00:01.500Z","confirmed_at":"1970-01-01T00:05:00Z","presences":2}"#,
            ),
            (
                Table::Alerts,
                r#"{"alert_id":"00000000000000ff","kind":"idle","severity":"warning","vehicle_id":"T1","fence_id":null,"trip_id":null,"started":"1970-01-01T00:00:00Z","due_at":"1970-01-01T00:20:00Z","ended":null,"details":{"b":1.50,"a":[1e3]}}"#,
            ),
            (
                Table::Trips,
                r#"{"trip_id":"1","vehicle_id":"T1","phase":"planned","status":"delayed","status_by":"inferred","pickup_arrival":null,"actual_departure":null,"arrival":null,"offload":null,"tat_s":null,"distance_m":-1,"departure_unobserved":false}"#,
            ),
            (
                Table::Trips,
                r#"{"trip_id":"1","vehicle_id":"T1","phase":"planned","status":"delayed","status_by":"inferred","pickup_arrival":null,"actual_departure":null,"arrival":null,"offload":null,"tat_s":7,"distance_m":null,"departure_unobserved":true,"source":"auto","pickup":"a","delivery":"b"}"#,
            ),
        ];
        for (table, json) in rows {
            let cells = read_row(table, json.as_bytes()).unwrap();
            let mut out = Vec::new();
            write_row(table, &cells, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), json);
        }
    }

    #[test]
    fn what_is_no_row_of_the_table_is_refused() {
        let told = |json: &str| read_row(Table::Etas, json.as_bytes()).unwrap_err().to_string();
        assert!(told(r#"{"trip_id":"t","eta_low":null}"#).starts_with("the field eta_low was not expected"));
        assert!(told(r#"{"trip_id":"t"}"#).starts_with("the field eta is missing"));
        assert!(
            told(r#"{"trip_id":"t","eta":"then"}"#).contains("time"),
            "{}",
            told(r#"{"trip_id":"t","eta":"then"}"#)
        );
        let far = r#"{"seq":9223372036854775808,"vehicle_id":null}"#;
        assert!(read_row(Table::Rejects, far.as_bytes()).is_err());
    }
}
