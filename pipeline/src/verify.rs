//! Recomputes everything from the journal and compares it with what is kept.

use std::collections::{BTreeMap, BTreeSet};

use journal::{Changelog, Cursor, Log, ReadError, StoreError};
use model::{Table, Tables, Unfit};

use crate::backfill;
use crate::drive::Driver;
use crate::graph::GraphError;

/// Changes are read this many at a time.
const CHANGES_A_READ: usize = 10_000;

/// A row that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which table.
    pub table: Table,
    /// What holds the wrong row: `kept rows`, `sum of the changelog`, or `changelog` for a change that does
    /// not fit the rows that stood.
    pub place: &'static str,
    /// What is kept, as JSON.
    pub kept: Option<String>,
    /// What a recomputation gives, as JSON.
    pub recomputed: Option<String>,
}

/// What a verification found.
#[derive(Debug, Default)]
pub struct VerifyReport {
    /// The closed tick that was compared.
    pub tick: u64,
    /// Records recomputed from.
    pub records: u64,
    /// Rows compared.
    pub rows: u64,
    /// Whether the changelog goes back to its beginning, so that its sum was compared too.
    pub changelog_summed: bool,
    /// What differs.
    pub differences: Vec<Difference>,
}

/// Why nothing could be compared.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum VerifyError {
    #[error(transparent)]
    Journal(#[from] StoreError),
    #[error(transparent)]
    Changes(#[from] ReadError),
    #[error(transparent)]
    Graph(#[from] GraphError),
    #[error("the recomputation contradicts itself: {0}")]
    Unfit(#[from] Unfit),
}

/// Recomputes as of the changelog's last closed tick and compares; `progress` is told ticks done and all.
pub fn verify(
    log: &dyn Log,
    changelog: &Changelog,
    workers: usize,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<VerifyReport, VerifyError> {
    let kept = changelog.rows();
    let Some((last_tick, _)) = kept.last_tick() else { return Ok(VerifyReport::default()) };
    let (tables, records) = recompute(log, last_tick, workers, progress)?;
    let mut report = VerifyReport { tick: last_tick, records, ..VerifyReport::default() };
    let summed = sum_changes(changelog, last_tick, &mut report.differences)?;
    report.changelog_summed = summed.is_some();
    for table in Table::ALL {
        let mut kept_rows = BTreeMap::new();
        for row in kept.iter(table.code()) {
            let (key, json) = row?;
            kept_rows.insert(key, json);
        }
        let truth: BTreeMap<Vec<u8>, Vec<u8>> =
            tables.table(table).iter().map(|(key, row)| (key.clone(), row.to_json().into_bytes())).collect();
        report.rows += truth.len() as u64;
        compare(table, "kept rows", &kept_rows, &truth, &mut report.differences);
        if let Some(summed) = &summed {
            let empty = BTreeMap::new();
            let summed_rows = summed.get(&table.code()).unwrap_or(&empty);
            compare(table, "sum of the changelog", summed_rows, &truth, &mut report.differences);
        }
    }
    Ok(report)
}

fn recompute(
    log: &dyn Log,
    last_tick: u64,
    workers: usize,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(Tables, u64), VerifyError> {
    let periods = backfill::periods(log, (1, last_tick), &|| true)?.unwrap_or_default();
    let mut driver = Driver::of_journal(periods, false, workers)?;
    let rows = backfill::recompute::<VerifyError>(&mut driver, log, last_tick, &mut |done| {
        progress(done, last_tick);
        true
    })?;
    Ok((rows.unwrap_or_default(), driver.intake.records()))
}

type RowsByTable = BTreeMap<u8, BTreeMap<Vec<u8>, Vec<u8>>>;

/// The sum of all changes up to a tick; `None` where the beginning is not kept any more.
fn sum_changes(
    changelog: &Changelog,
    last_tick: u64,
    misfits: &mut Vec<Difference>,
) -> Result<Option<RowsByTable>, VerifyError> {
    let mut rows: RowsByTable = BTreeMap::new();
    let mut cursor = Cursor { tick: 0, index: 0 };
    loop {
        let changes = match changelog.after(cursor, CHANGES_A_READ) {
            Ok(changes) => changes,
            Err(ReadError::Gone { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let Some(last) = changes.last() else { return Ok(Some(rows)) };
        cursor = last.cursor;
        for stored in changes {
            if stored.cursor.tick > last_tick {
                return Ok(Some(rows));
            }
            let table = rows.entry(stored.change.table).or_default();
            let (key, row) = (stored.change.key, stored.change.row);
            // A retraction names the row that stands, and a row comes where none stands.
            let (fits, before) = if stored.change.diff > 0 {
                let before = table.insert(key, row.clone());
                (before.is_none(), before)
            } else {
                let before = table.remove(&key);
                (before.as_ref() == Some(&row), before)
            };
            if !fits && let Some(table) = Table::from_code(stored.change.table) {
                let text = |json: &[u8]| Some(String::from_utf8_lossy(json).into_owned());
                misfits.push(Difference {
                    table,
                    place: "changelog",
                    kept: text(&row),
                    recomputed: before.and_then(|before| text(&before)),
                });
            }
        }
    }
}

fn compare(
    table: Table,
    place: &'static str,
    kept: &BTreeMap<Vec<u8>, Vec<u8>>,
    truth: &BTreeMap<Vec<u8>, Vec<u8>>,
    differences: &mut Vec<Difference>,
) {
    let text = |json: Option<&Vec<u8>>| json.map(|j| String::from_utf8_lossy(j).into_owned());
    let keys: BTreeSet<&Vec<u8>> = kept.keys().chain(truth.keys()).collect();
    for key in keys {
        let (is, should_be) = (kept.get(key), truth.get(key));
        if is != should_be {
            differences.push(Difference { table, place, kept: text(is), recomputed: text(should_be) });
        }
    }
}
