//! What a sink has, held against the changelog's rows, for `verify`.

use std::collections::BTreeMap;

use anyhow::bail;
use journal::{Changelog, Cursor};
use model::Table;

use super::AsOf;

/// Changes are read this many at a time.
const CHANGES_A_READ: usize = 10_000;

/// Rows as JSON, by table and key.
pub type Rows = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

/// A row of a sink that is not the changelog's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowDifference {
    /// Which table.
    pub table: Table,
    /// What the sink has, as JSON.
    pub is: Option<String>,
    /// What it must have.
    pub must_be: Option<String>,
}

/// What a comparison found.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// What the sink's rows are exact for.
    pub as_of: AsOf,
    /// Rows that must be there.
    pub rows: u64,
    /// What differs.
    pub differences: Vec<RowDifference>,
}

impl Comparison {
    /// Compares what is there with what must be.
    #[must_use]
    pub fn of(as_of: AsOf, present: Rows, mut must_be: Rows) -> Comparison {
        let mut comparison = Comparison { as_of, rows: must_be.len() as u64, differences: Vec::new() };
        let text = |json: Vec<u8>| String::from_utf8_lossy(&json).into_owned();
        for ((table, key), is) in present {
            let wanted = must_be.remove(&(table, key));
            if wanted.as_ref() != Some(&is) {
                let difference = RowDifference { table, is: Some(text(is)), must_be: wanted.map(text) };
                comparison.differences.push(difference);
            }
        }
        let missing = must_be.into_iter().map(|((table, _), json)| RowDifference {
            table,
            is: None,
            must_be: Some(text(json)),
        });
        comparison.differences.extend(missing);
        comparison
    }
}

/// The rows that stood after a tick: those that stand now, and what later ticks changed undone. `whose` rows they are
/// compared with is for the error.
pub fn rows_at(changelog: &Changelog, tick: u64, whose: &str) -> anyhow::Result<Rows> {
    let kept = changelog.rows();
    let last = kept.last_tick().map_or(0, |(last, _)| last);
    if last < tick {
        bail!("{whose} are at tick {tick}, the changelog at {last}; wait for the service to catch up");
    }
    let mut rows = Rows::new();
    for table in Table::ALL {
        for row in kept.iter(table.code()) {
            let (key, json) = row?;
            rows.insert((table, key), json);
        }
    }
    // Of each key the first later change tells what stood before it.
    let mut before: BTreeMap<(Table, Vec<u8>), Option<Vec<u8>>> = BTreeMap::new();
    let mut cursor = Cursor { tick, index: u32::MAX };
    loop {
        let changes = changelog.after(cursor, CHANGES_A_READ)?;
        let Some(newest) = changes.last().map(|change| change.cursor) else { break };
        cursor = newest;
        for stored in changes.into_iter().filter(|stored| stored.cursor.tick <= last) {
            let change = stored.change;
            let Some(table) = Table::from_code(change.table) else { continue };
            before.entry((table, change.key)).or_insert((change.diff < 0).then_some(change.row));
        }
    }
    for (key, row) in before {
        match row {
            Some(row) => rows.insert(key, row),
            None => rows.remove(&key),
        };
    }
    Ok(rows)
}
