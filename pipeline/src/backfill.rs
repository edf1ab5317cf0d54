//! A backfill: everything once more from the beginning, with a period opened that was closed.
//!
//! ```text
//!   first pass    ticks 1 .. T, the backfill record is in T:  rows as if it were not there     \
//!   second pass   ticks 1 .. T again, the period is known beforehand: rows as they are now      > tick T's changes
//!   then          ticks T+1 ...  through the graph of the second pass                          /
//! ```
//!
//! What the record opens is behind the edge of what the graph keeps, and so it cannot be corrected in place.
//! All of it is a function of the records: who meets them again, at a start, in a verification or a replay,
//! comes to the same rows and the same changes.

pub(crate) mod kept;

use std::collections::BTreeMap;
use std::iter::Peekable;

use journal::{Log, RowsSnapshot, StoreError};
use model::{
    Cause, Change, ClosedTick, PositionRef, Record, RecordSink, Row, Table, Tables, TimeMs, Unfit, Why,
};

use crate::drive::Driver;
use crate::graph::GraphError;
use crate::periods::Period;

/// Applies what a tick changed.
pub(crate) fn apply(rows: &mut Tables, closed: &ClosedTick) -> Result<(), Unfit> {
    closed.changes.iter().try_for_each(|change| rows.apply(change))
}

/// The periods of the backfill records of a journal from one tick to another, both included, as `watchtower backfill` wrote them:
/// where only the rows of that tick matter, one pass that knows all of them is enough. `None` when `goes_on` says to
/// stop.
pub(crate) fn periods(
    log: &dyn Log,
    (from_tick, to_tick): (u64, u64),
    goes_on: &dyn Fn() -> bool,
) -> Result<Option<Vec<Period>>, StoreError> {
    let mut found = Found(Vec::new());
    for tick in log.read(from_tick, to_tick) {
        if !goes_on() {
            return Ok(None);
        }
        for entry in tick?.entries.iter().filter(|entry| entry.source == sources::code::BACKFILL) {
            sources::decode(entry.source, &entry.context, &entry.payload, &mut found);
        }
    }
    Ok(Some(found.0))
}

struct Found(Vec<Period>);

impl RecordSink for Found {
    fn position(&mut self, _: Option<TimeMs>, _: PositionRef<'_>) {}

    fn record(&mut self, _: Option<TimeMs>, record: Record) {
        if let Record::Backfill { from, to } = record {
            self.0.push(Period { from, to });
        }
    }
}

/// Runs a driver that has seen nothing, and knows all periods, over all ticks of a journal up to one. Gives the
/// rows that stand then; `None` when `goes_on`, which is told at each step how many ticks are done, says to stop.
pub(crate) fn recompute<E>(
    driver: &mut Driver,
    log: &dyn Log,
    to_tick: u64,
    goes_on: &mut dyn FnMut(u64) -> bool,
) -> Result<Option<Tables>, E>
where
    E: From<StoreError> + From<GraphError> + From<Unfit>,
{
    let mut rows = Tables::default();
    let mut done_ticks = 0;
    for tick in log.read(1, to_tick) {
        if !goes_on(done_ticks) {
            return Ok(None);
        }
        if let Some(closed) = driver.submit_journal_tick(&tick?)? {
            apply(&mut rows, &closed)?;
            done_ticks = closed.tick;
        }
    }
    debug_assert_eq!(driver.backfill_due(), None, "all periods were told beforehand");
    while let Some(closed) = driver.close_next()? {
        apply(&mut rows, &closed)?;
        if !goes_on(closed.tick) {
            return Ok(None);
        }
    }
    Ok(Some(rows))
}

/// How far a pass is, in the program's log: some lines, however long it takes.
pub(crate) struct Progress {
    all_ticks: u64,
    next_tenth: u64,
}

impl Progress {
    pub fn new(all_ticks: u64) -> Progress {
        Progress { all_ticks, next_tenth: 1 }
    }

    /// So many ticks are done.
    pub fn tell(&mut self, done_ticks: u64) {
        let tenth = done_ticks.saturating_mul(10) / self.all_ticks.max(1);
        if tenth >= self.next_tenth && done_ticks < self.all_ticks {
            tracing::info!(done_ticks, all_ticks = self.all_ticks, "a backfill is computed");
            self.next_tenth = tenth + 1;
        }
    }
}

/// The changes of a tick with a backfill: from the rows that stood before it to those that stand after it.
///
/// What the tick would have changed anyhow is told as that; all else came of the backfill.
pub(crate) struct Difference<'a> {
    ordinary: BTreeMap<(u8, Vec<u8>, i8), &'a Change>,
    backfill: Why,
    changes: Vec<Change>,
}

impl<'a> Difference<'a> {
    /// `ordinary` are the changes of the first pass, `seq` is the backfill's record.
    pub fn new(ordinary: &'a [Change], seq: u64) -> Difference<'a> {
        let by_place =
            |change: &'a Change| ((change.row.table().code(), change.row.key_bytes(), change.diff), change);
        Difference {
            ordinary: ordinary.iter().map(by_place).collect(),
            backfill: Why { cause: Cause::Backfill, seq },
            changes: Vec::new(),
        }
    }

    /// Between rows.
    pub fn between(mut self, before: &Tables, after: &Tables) -> Vec<Change> {
        for table in Table::ALL {
            let mut new = after.table(table).iter().peekable();
            for (key, old) in before.table(table) {
                if self.is_gone(key, |row| row == old, &mut new) {
                    self.push(-1, old.clone());
                }
            }
            self.came(new);
        }
        self.sorted()
    }

    /// From kept rows; `at_each` is called at each of them.
    pub fn kept_to(
        mut self,
        before: &RowsSnapshot,
        after: &Tables,
        at_each: &mut dyn FnMut(),
    ) -> Result<Vec<Change>, StoreError> {
        for table in Table::ALL {
            let mut new = after.table(table).iter().peekable();
            for kept in before.iter(table.code()) {
                at_each();
                let (key, old) = kept?;
                if self.is_gone(&key, |row| row.to_json().as_bytes() == old, &mut new) {
                    self.push(-1, kept::row(table, &old)?);
                }
            }
            self.came(new);
        }
        Ok(self.sorted())
    }

    /// Whether a row that stood before stands no more; what is new up to its key came.
    fn is_gone<'r>(
        &mut self,
        key: &[u8],
        is_old: impl FnOnce(&Row) -> bool,
        new: &mut Peekable<impl Iterator<Item = (&'r Vec<u8>, &'r Row)>>,
    ) -> bool {
        while let Some(earlier) = new.next_if(|(new_key, _)| new_key.as_slice() < key) {
            self.came([earlier]);
        }
        let same_key = new.next_if(|(new_key, _)| new_key.as_slice() == key);
        if same_key.is_some_and(|(_, row)| is_old(row)) {
            return false;
        }
        self.came(same_key);
        true
    }

    fn came<'r>(&mut self, rows: impl IntoIterator<Item = (&'r Vec<u8>, &'r Row)>) {
        for (_, row) in rows {
            self.push(1, row.clone());
        }
    }

    fn push(&mut self, diff: i8, row: Row) {
        let ordinary = self.ordinary.get(&(row.table().code(), row.key_bytes(), diff));
        let why = ordinary.filter(|change| change.row == row).map_or(self.backfill, |change| change.why);
        self.changes.push(Change { diff, row, why });
    }

    fn sorted(mut self) -> Vec<Change> {
        self.changes.sort_by(Change::cmp_in_tick);
        self.changes
    }
}

#[cfg(test)]
mod tests {
    use journal::{ChangeBytes, Options, Store};
    use model::{CrossingRow, VisitRow};

    use super::*;

    fn visit(vehicle_id: &str, presences: u32) -> Row {
        let (arrived, confirmed_at) = (TimeMs(0), TimeMs(300_000));
        let (vehicle_id, fence_id) = (vehicle_id.into(), "yard".into());
        Row::Visit(VisitRow { vehicle_id, fence_id, arrived, departed: None, confirmed_at, presences })
    }

    fn crossing(vehicle_id: &str) -> Row {
        let (from_time, to_time, at) = (TimeMs(0), TimeMs(2), TimeMs(1));
        let (vehicle_id, fence_id) = (vehicle_id.into(), "gate".into());
        Row::Crossing(CrossingRow { vehicle_id, fence_id, from_time, to_time, at })
    }

    fn change(diff: i8, row: Row, why: Why) -> Change {
        Change { diff, row, why }
    }

    fn tables(rows: &[Row]) -> Tables {
        let mut tables = Tables::default();
        rows.iter().for_each(|row| tables.apply(&change(1, row.clone(), Why::first(1))).unwrap());
        tables
    }

    fn keep(rows: &[Row], store: &Store) -> RowsSnapshot {
        let bytes = |row: &Row| ChangeBytes {
            table: row.table().code(),
            key: row.key_bytes(),
            diff: 1,
            row: row.to_json().into_bytes(),
            ..ChangeBytes::default()
        };
        let changes: Vec<ChangeBytes> = rows.iter().map(bytes).collect();
        store.changelog().append(1, 0, &changes).unwrap();
        store.changelog().rows()
    }

    #[test]
    fn rows_that_are_kept_and_rows_in_memory_differ_alike_with_a_stop_at_each() {
        let before = [visit("B", 1), visit("C", 1), visit("D", 1), crossing("A"), crossing("B")];
        let after = [visit("A", 1), visit("C", 2), visit("D", 1), crossing("B"), crossing("C")];
        let ordinary = [change(1, visit("A", 1), Why::first(7))];
        let of_backfill = Why { cause: Cause::Backfill, seq: 8 };
        let mut expected = vec![
            change(-1, crossing("A"), of_backfill),
            change(1, crossing("C"), of_backfill),
            change(1, visit("A", 1), Why::first(7)),
            change(-1, visit("B", 1), of_backfill),
            change(-1, visit("C", 1), of_backfill),
            change(1, visit("C", 2), of_backfill),
        ];
        expected.sort_by(Change::cmp_in_tick);
        let (before_tables, after_tables) = (tables(&before), tables(&after));
        assert_eq!(Difference::new(&ordinary, 8).between(&before_tables, &after_tables), expected);

        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), Options::default()).unwrap();
        let kept = keep(&before, &store);
        let mut stops = 0;
        let found = Difference::new(&ordinary, 8).kept_to(&kept, &after_tables, &mut || stops += 1).unwrap();
        assert_eq!((found, stops), (expected, before.len()));
    }
}
