//! What the changes of a batch come to: for each key the row that stands after it, or that none does.

use journal::StoredChange;
use model::{Cause, Table, TimeMs};

use super::cells::{Cell, read_row};

/// A row, as it is written.
#[derive(Clone, Debug)]
pub(crate) struct RowWrite<'a> {
    pub cells: Vec<Cell<'a>>,
    pub tick: u64,
    /// `None` where that is not known.
    pub cause: Option<&'static str>,
    pub seq: Option<u64>,
    /// The row's key and JSON, for the case that it is refused.
    pub key: &'a [u8],
    pub json: &'a [u8],
}

/// What a corrected row was.
#[derive(Clone, Debug)]
pub(crate) struct Replaced<'a> {
    pub table: Table,
    pub json: &'a [u8],
    pub tick: u64,
    pub instant: TimeMs,
    pub cause: &'static str,
    pub seq: Option<u64>,
}

/// A row that is not of its table's shape.
#[derive(Clone, Debug)]
pub(crate) struct Unreadable<'a> {
    pub row: RowWrite<'a>,
    pub reason: String,
}

/// What is to be written to one table.
#[derive(Debug)]
pub(crate) struct TableWork<'a> {
    pub table: Table,
    pub upserts: Vec<RowWrite<'a>>,
    pub deletes: Vec<RowWrite<'a>>,
    pub unreadable: Vec<Unreadable<'a>>,
}

impl TableWork<'_> {
    pub fn new(table: Table) -> TableWork<'static> {
        TableWork { table, upserts: Vec::new(), deletes: Vec::new(), unreadable: Vec::new() }
    }
}

/// What a chunk of changes comes to.
#[derive(Debug)]
pub(crate) struct Work<'a> {
    pub tables: Vec<TableWork<'a>>,
    pub replaced: Vec<Replaced<'a>>,
}

/// The net effect of changes that are in order.
pub(crate) fn net_effect(changes: &[StoredChange]) -> Work<'_> {
    let mut order: Vec<&StoredChange> = changes.iter().collect();
    // Stable: the changes of one key stay in their order.
    order.sort_by(|a, b| (a.change.table, &a.change.key).cmp(&(b.change.table, &b.change.key)));
    let mut tables: Vec<TableWork<'_>> = Vec::new();
    for of_key in order.chunk_by(|a, b| a.change.table == b.change.table && a.change.key == b.change.key) {
        let (Some(first), Some(last)) = (of_key.first(), of_key.last()) else { continue };
        let Some(table) = Table::from_code(first.change.table) else { continue };
        let comes = last.change.diff > 0;
        if !comes && first.change.diff > 0 {
            // It came and went: nobody has seen it.
            continue;
        }
        if tables.last().is_none_or(|work| work.table != table) {
            tables.push(TableWork::new(table));
        }
        let Some(work) = tables.last_mut() else { continue };
        match (read(table, last), comes) {
            (Ok(row), true) => work.upserts.push(row),
            (Ok(row), false) => work.deletes.push(row),
            (Err(unreadable), _) => {
                // What stood is not true any more.
                work.deletes.extend(read(table, first).ok().filter(|_| first.change.diff < 0));
                work.unreadable.push(unreadable);
            }
        }
    }
    Work { tables, replaced: changes.iter().filter_map(replaced).collect() }
}

fn read(table: Table, stored: &StoredChange) -> Result<RowWrite<'_>, Unreadable<'_>> {
    let change = &stored.change;
    let (cells, flaw) = match read_row(table, &change.row) {
        Ok(cells) => (cells, None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    let row = RowWrite {
        cells,
        tick: stored.cursor.tick,
        cause: Cause::from_code(change.cause).map(Cause::as_str),
        seq: (change.seq > 0).then_some(change.seq),
        key: &change.key,
        json: &change.row,
    };
    match flaw {
        None => Ok(row),
        Some(reason) => Err(Unreadable { row, reason }),
    }
}

/// A correction: what went, and not because of something new.
fn replaced(stored: &StoredChange) -> Option<Replaced<'_>> {
    let change = &stored.change;
    let cause = Cause::from_code(change.cause).filter(|cause| *cause != Cause::First)?;
    (change.diff < 0).then_some(())?;
    Some(Replaced {
        table: Table::from_code(change.table)?,
        json: &change.row,
        tick: stored.cursor.tick,
        instant: TimeMs(stored.instant_ms),
        cause: cause.as_str(),
        seq: (change.seq > 0).then_some(change.seq),
    })
}
