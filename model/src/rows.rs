//! Derived rows: their keys, their order and their exact bytes as JSON.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::{AlertRow, EtaRow, KpiRow, RejectReason, TimeMs, TripRow, Why, push_json_string};

/// The tables of derived rows, in the order in which a tick's changes are listed (by name).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Table {
    Alerts,
    Crossings,
    Etas,
    Kpis,
    Presences,
    Rejects,
    Trips,
    Visits,
}

impl Table {
    /// All tables.
    pub const ALL: [Table; 8] = [
        Table::Alerts,
        Table::Crossings,
        Table::Etas,
        Table::Kpis,
        Table::Presences,
        Table::Rejects,
        Table::Trips,
        Table::Visits,
    ];

    /// The name in files, URLs, events and databases.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Table::Alerts => "alerts",
            Table::Crossings => "crossings",
            Table::Etas => "etas",
            Table::Kpis => "kpis",
            Table::Presences => "presences",
            Table::Rejects => "rejects",
            Table::Trips => "trips",
            Table::Visits => "visits",
        }
    }

    /// The table of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Table> {
        Table::ALL.into_iter().find(|t| t.as_str() == name)
    }

    /// A number that never changes for the table: it is part of keys on disk.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Table::Presences => 1,
            Table::Visits => 2,
            Table::Rejects => 3,
            Table::Crossings => 4,
            Table::Trips => 5,
            Table::Alerts => 6,
            Table::Kpis => 7,
            Table::Etas => 8,
        }
    }

    /// The inverse of [`Table::code`].
    #[must_use]
    pub fn from_code(code: u8) -> Option<Table> {
        Table::ALL.into_iter().find(|t| t.code() == code)
    }
}

/// Why a presence ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[allow(missing_docs)]
pub enum EndReason {
    Exit,
    FenceDeleted,
    FenceEnded,
}

impl EndReason {
    /// The name in rows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            EndReason::Exit => "exit",
            EndReason::FenceDeleted => "fence_deleted",
            EndReason::FenceEnded => "fence_ended",
        }
    }
}

/// One vehicle in one fence, `[entered, exited)`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PresenceRow {
    /// Key.
    pub vehicle_id: Arc<str>,
    /// Key.
    pub fence_id: Arc<str>,
    /// Key: event time of the first fix inside.
    pub entered: TimeMs,
    /// When it ended, and why; `None` while inside.
    pub end: Option<(TimeMs, EndReason)>,
}

/// A stay that was long enough.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct VisitRow {
    /// Key.
    pub vehicle_id: Arc<str>,
    /// Key.
    pub fence_id: Arc<str>,
    /// Key: start of the stay's first presence.
    pub arrived: TimeMs,
    /// End of its last presence; `None` while inside.
    pub departed: Option<TimeMs>,
    /// `arrived` and the dwell that makes a visit.
    pub confirmed_at: TimeMs,
    /// How many presences it joins.
    pub presences: u32,
}

/// A vehicle that passed through a fence between two fixes, neither of which saw it there.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CrossingRow {
    /// Key.
    pub vehicle_id: Arc<str>,
    /// Key.
    pub fence_id: Arc<str>,
    /// Key: event time of the fix before.
    pub from_time: TimeMs,
    /// Event time of the fix after.
    pub to_time: TimeMs,
    /// Interpolated at the middle between first entering and last leaving.
    pub at: TimeMs,
}

/// A record that is not used, or (`bad_value`) not in full.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RejectRow {
    /// Key: position of the record in the whole input, from 1.
    pub seq: u64,
    /// Whose and when; `None` where that could not be read.
    pub fix: Option<(Arc<str>, TimeMs)>,
    /// Why.
    pub reason: RejectReason,
}

/// A row of any table.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Row {
    Alert(AlertRow),
    Crossing(CrossingRow),
    Eta(EtaRow),
    Kpi(KpiRow),
    Presence(PresenceRow),
    Visit(VisitRow),
    Reject(RejectRow),
    Trip(TripRow),
}

/// A row that came (+1) or went (-1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// +1 or -1.
    pub diff: i8,
    /// The whole row.
    pub row: Row,
    /// Why.
    pub why: Why,
}

impl Change {
    /// The contract's order within a tick: table, key, -1 before +1.
    #[must_use]
    pub fn cmp_in_tick(&self, other: &Change) -> Ordering {
        self.row.cmp_key(&other.row).then(self.diff.cmp(&other.diff))
    }
}

impl Row {
    /// The row's table.
    #[must_use]
    pub fn table(&self) -> Table {
        match self {
            Row::Alert(_) => Table::Alerts,
            Row::Crossing(_) => Table::Crossings,
            Row::Eta(_) => Table::Etas,
            Row::Kpi(_) => Table::Kpis,
            Row::Presence(_) => Table::Presences,
            Row::Visit(_) => Table::Visits,
            Row::Reject(_) => Table::Rejects,
            Row::Trip(_) => Table::Trips,
        }
    }

    /// Orders by table, then by key fields: times as times, text by its bytes.
    #[must_use]
    pub fn cmp_key(&self, other: &Row) -> Ordering {
        match (self, other) {
            (Row::Alert(a), Row::Alert(b)) => a.alert_id.cmp(&b.alert_id),
            (Row::Crossing(a), Row::Crossing(b)) => {
                (&*a.vehicle_id, &*a.fence_id, a.from_time).cmp(&(&*b.vehicle_id, &*b.fence_id, b.from_time))
            }
            (Row::Eta(a), Row::Eta(b)) => a.trip_id.cmp(&b.trip_id),
            (Row::Kpi(a), Row::Kpi(b)) => a.cmp_key(b),
            (Row::Presence(a), Row::Presence(b)) => {
                (&*a.vehicle_id, &*a.fence_id, a.entered).cmp(&(&*b.vehicle_id, &*b.fence_id, b.entered))
            }
            (Row::Visit(a), Row::Visit(b)) => {
                (&*a.vehicle_id, &*a.fence_id, a.arrived).cmp(&(&*b.vehicle_id, &*b.fence_id, b.arrived))
            }
            (Row::Reject(a), Row::Reject(b)) => a.seq.cmp(&b.seq),
            (Row::Trip(a), Row::Trip(b)) => a.trip_id.cmp(&b.trip_id),
            _ => self.table().cmp(&other.table()),
        }
    }

    /// The key as bytes that sort as [`Row::cmp_key`] does within one table.
    #[must_use]
    pub fn key_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(48);
        match self {
            Row::Alert(r) => out.extend_from_slice(&r.alert_id.0.to_be_bytes()),
            Row::Crossing(r) => {
                push_ordered_text(&mut out, &r.vehicle_id);
                push_ordered_text(&mut out, &r.fence_id);
                push_ordered_time(&mut out, r.from_time);
            }
            Row::Presence(r) => {
                push_ordered_text(&mut out, &r.vehicle_id);
                push_ordered_text(&mut out, &r.fence_id);
                push_ordered_time(&mut out, r.entered);
            }
            Row::Visit(r) => {
                push_ordered_text(&mut out, &r.vehicle_id);
                push_ordered_text(&mut out, &r.fence_id);
                push_ordered_time(&mut out, r.arrived);
            }
            Row::Eta(r) => push_ordered_text(&mut out, &r.trip_id),
            Row::Kpi(r) => r.push_key(&mut out),
            Row::Reject(r) => out.extend_from_slice(&r.seq.to_be_bytes()),
            Row::Trip(r) => push_ordered_text(&mut out, &r.trip_id),
        }
        out
    }

    /// Appends the row as one compact JSON object, fields in the contract's order, no line end.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        match self {
            Row::Alert(r) => r.write_fields(out),
            Row::Crossing(r) => {
                text_field(out, b"{\"vehicle_id\":", &r.vehicle_id);
                text_field(out, b",\"fence_id\":", &r.fence_id);
                time_field(out, b",\"from_time\":", Some(r.from_time));
                time_field(out, b",\"to_time\":", Some(r.to_time));
                time_field(out, b",\"at\":", Some(r.at));
            }
            Row::Presence(r) => {
                text_field(out, b"{\"vehicle_id\":", &r.vehicle_id);
                text_field(out, b",\"fence_id\":", &r.fence_id);
                time_field(out, b",\"entered\":", Some(r.entered));
                time_field(out, b",\"exited\":", r.end.map(|e| e.0));
                match r.end {
                    Some((_, reason)) => text_field(out, b",\"end_reason\":", reason.as_str()),
                    None => out.extend_from_slice(b",\"end_reason\":null"),
                }
            }
            Row::Visit(r) => {
                text_field(out, b"{\"vehicle_id\":", &r.vehicle_id);
                text_field(out, b",\"fence_id\":", &r.fence_id);
                time_field(out, b",\"arrived\":", Some(r.arrived));
                time_field(out, b",\"departed\":", r.departed);
                time_field(out, b",\"confirmed_at\":", Some(r.confirmed_at));
                out.extend_from_slice(format!(",\"presences\":{}", r.presences).as_bytes());
            }
            Row::Reject(r) => {
                out.extend_from_slice(format!("{{\"seq\":{}", r.seq).as_bytes());
                match &r.fix {
                    Some((vehicle_id, _)) => text_field(out, b",\"vehicle_id\":", vehicle_id),
                    None => out.extend_from_slice(b",\"vehicle_id\":null"),
                }
                time_field(out, b",\"event_time\":", r.fix.as_ref().map(|f| f.1));
                text_field(out, b",\"reason\":", r.reason.as_str());
                let used: &[u8] =
                    if r.reason == RejectReason::BadValue { b",\"used\":true" } else { b",\"used\":false" };
                out.extend_from_slice(used);
            }
            Row::Eta(r) => r.write_fields(out),
            Row::Kpi(r) => r.write_fields(out),
            Row::Trip(r) => r.write_fields(out),
        }
        out.push(b'}');
    }

    /// The row as a JSON text.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = Vec::with_capacity(160);
        self.write_json(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }
}

/// Appends a line of `changes.ndjson`, line end included.
pub fn write_change_line(out: &mut Vec<u8>, tick: u64, instant: TimeMs, change: &Change) {
    out.extend_from_slice(format!("{{\"tick\":{tick},\"instant\":\"").as_bytes());
    instant.write(out);
    let head = format!("\",\"table\":\"{}\",\"diff\":{},\"row\":", change.row.table().as_str(), change.diff);
    out.extend_from_slice(head.as_bytes());
    change.row.write_json(out);
    out.extend_from_slice(b"}\n");
}

pub(crate) fn text_field(out: &mut Vec<u8>, name: &[u8], value: &str) {
    out.extend_from_slice(name);
    push_json_string(out, value);
}

pub(crate) fn time_field(out: &mut Vec<u8>, name: &[u8], value: Option<TimeMs>) {
    out.extend_from_slice(name);
    match value {
        Some(time) => {
            out.push(b'"');
            time.write(out);
            out.push(b'"');
        }
        None => out.extend_from_slice(b"null"),
    }
}

/// Text whose encoding sorts by its bytes whatever follows: 0 becomes 0 255, the end is 0 1.
pub fn push_ordered_text(out: &mut Vec<u8>, text: &str) {
    for &byte in text.as_bytes() {
        out.push(byte);
        if byte == 0 {
            out.push(0xff);
        }
    }
    out.extend_from_slice(&[0, 1]);
}

/// A time whose encoding sorts as the time does.
pub fn push_ordered_time(out: &mut Vec<u8>, time: TimeMs) {
    let flipped = (time.0 as u64) ^ (1 << 63);
    out.extend_from_slice(&flipped.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn presence(vehicle: &str, fence: &str, entered: i64) -> Row {
        Row::Presence(PresenceRow {
            vehicle_id: vehicle.into(),
            fence_id: fence.into(),
            entered: TimeMs(entered),
            end: None,
        })
    }

    #[test]
    fn rows_are_the_contracts_bytes() {
        assert_eq!(
            presence("T1", "yard", 0).to_json(),
            r#"{"vehicle_id":"T1","fence_id":"yard","entered":"1970-01-01T00:00:00Z","exited":null,"end_reason":null}"#
        );
        let visit = Row::Visit(VisitRow {
            vehicle_id: "T1".into(),
            fence_id: "yard".into(),
            arrived: TimeMs(0),
            departed: Some(TimeMs(1500)),
            confirmed_at: TimeMs(300_000),
            presences: 2,
        });
        assert_eq!(
            visit.to_json(),
            r#"{"vehicle_id":"T1","fence_id":"yard","arrived":"1970-01-01T00:00:00Z","departed":"1970-01-01T00:00:01.500Z","confirmed_at":"1970-01-01T00:05:00Z","presences":2}"#
        );
        let crossing = Row::Crossing(CrossingRow {
            vehicle_id: "T1".into(),
            fence_id: "gate".into(),
            from_time: TimeMs(0),
            to_time: TimeMs(30_000),
            at: TimeMs(12_345),
        });
        assert_eq!(
            crossing.to_json(),
            r#"{"vehicle_id":"T1","fence_id":"gate","from_time":"1970-01-01T00:00:00Z","to_time":"1970-01-01T00:00:30Z","at":"1970-01-01T00:00:12.345Z"}"#
        );
        let reject = Row::Reject(RejectRow { seq: 7, fix: None, reason: RejectReason::Malformed });
        assert_eq!(
            reject.to_json(),
            r#"{"seq":7,"vehicle_id":null,"event_time":null,"reason":"malformed","used":false}"#
        );
    }

    #[test]
    fn tables_are_ordered_by_name_and_keep_their_codes() {
        assert!(Table::ALL.map(Table::as_str).is_sorted());
        assert_eq!(Table::ALL.map(Table::code), [6, 4, 8, 7, 1, 3, 5, 2]);
        for table in Table::ALL {
            assert_eq!(Table::from_name(table.as_str()), Some(table));
            assert_eq!(Table::from_code(table.code()), Some(table));
        }
    }

    proptest! {
        #[test]
        fn key_bytes_sort_as_keys(
            a in ("[a\u{0}\u{1}b]{0,3}", "[a\u{0}b]{0,2}", -2_i64..2),
            b in ("[a\u{0}\u{1}b]{0,3}", "[a\u{0}b]{0,2}", -2_i64..2),
        ) {
            let (a, b) = (presence(&a.0, &a.1, a.2), presence(&b.0, &b.1, b.2));
            prop_assert_eq!(a.key_bytes().cmp(&b.key_bytes()), a.cmp_key(&b));
        }
    }
}
