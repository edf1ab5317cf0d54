//! Tables of derived rows, summed from their changes.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::{Change, Row, Table};

/// The rows that stand, by table and key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    alerts: BTreeMap<Vec<u8>, Row>,
    crossings: BTreeMap<Vec<u8>, Row>,
    etas: BTreeMap<Vec<u8>, Row>,
    kpis: BTreeMap<Vec<u8>, Row>,
    presences: BTreeMap<Vec<u8>, Row>,
    visits: BTreeMap<Vec<u8>, Row>,
    rejects: BTreeMap<Vec<u8>, Row>,
    trips: BTreeMap<Vec<u8>, Row>,
}

/// A change that does not fit what stands: a retraction of what is not there, or a second row for a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a change by {diff} does not fit the {table} that stand: {row}", table = table.as_str())]
pub struct Unfit {
    /// +1 or -1.
    pub diff: i8,
    /// Which table.
    pub table: Table,
    /// The change's row, as JSON.
    pub row: String,
}

impl Tables {
    /// Applies a change. Within a tick, a key's -1 comes before its +1.
    pub fn apply(&mut self, change: &Change) -> Result<(), Unfit> {
        let unfit = || {
            let row = change.row.to_json();
            Err(Unfit { diff: change.diff, table: change.row.table(), row })
        };
        match self.table_mut(change.row.table()).entry(change.row.key_bytes()) {
            Entry::Vacant(place) if change.diff > 0 => {
                place.insert(change.row.clone());
            }
            Entry::Occupied(place) if change.diff < 0 && *place.get() == change.row => {
                place.remove();
            }
            _ => return unfit(),
        }
        Ok(())
    }

    /// The rows of a table by key.
    #[must_use]
    pub fn table(&self, table: Table) -> &BTreeMap<Vec<u8>, Row> {
        match table {
            Table::Alerts => &self.alerts,
            Table::Crossings => &self.crossings,
            Table::Etas => &self.etas,
            Table::Kpis => &self.kpis,
            Table::Presences => &self.presences,
            Table::Visits => &self.visits,
            Table::Rejects => &self.rejects,
            Table::Trips => &self.trips,
        }
    }

    fn table_mut(&mut self, table: Table) -> &mut BTreeMap<Vec<u8>, Row> {
        match table {
            Table::Alerts => &mut self.alerts,
            Table::Crossings => &mut self.crossings,
            Table::Etas => &mut self.etas,
            Table::Kpis => &mut self.kpis,
            Table::Presences => &mut self.presences,
            Table::Visits => &mut self.visits,
            Table::Rejects => &mut self.rejects,
            Table::Trips => &mut self.trips,
        }
    }

    /// The bytes of a table's file: one JSON object a line, sorted by key.
    #[must_use]
    pub fn file_bytes(&self, table: Table) -> Vec<u8> {
        let mut out = Vec::new();
        for row in self.table(table).values() {
            row.write_json(&mut out);
            out.push(b'\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RejectReason, RejectRow, Why};

    fn change(diff: i8, seq: u64, reason: RejectReason) -> Change {
        Change { diff, row: Row::Reject(RejectRow { seq, fix: None, reason }), why: Why::first(seq) }
    }

    #[test]
    fn changes_sum_to_rows_and_misfits_are_told() {
        let mut tables = Tables::default();
        tables.apply(&change(1, 2, RejectReason::Jump)).unwrap();
        tables.apply(&change(1, 1, RejectReason::Malformed)).unwrap();
        assert!(tables.apply(&change(1, 1, RejectReason::Malformed)).is_err());
        assert!(tables.apply(&change(-1, 2, RejectReason::Malformed)).is_err());
        tables.apply(&change(-1, 2, RejectReason::Jump)).unwrap();
        assert!(tables.apply(&change(-1, 2, RejectReason::Jump)).is_err());
        let file = String::from_utf8(tables.file_bytes(Table::Rejects)).unwrap();
        let row = r#"{"seq":1,"vehicle_id":null,"event_time":null,"reason":"malformed","used":false}"#;
        assert_eq!(file, format!("{row}\n"));
    }
}
