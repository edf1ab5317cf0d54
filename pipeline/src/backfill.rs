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

mod kept;

use std::collections::BTreeMap;

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

/// Runs a driver that has seen nothing over all ticks of a journal up to one, and begins again where a
/// backfill record comes up that it was not told of. Gives the rows that stand then; `None` when `goes_on`,
/// which is told of each tick that closes, says to stop.
pub(crate) fn recompute<E>(
    driver: &mut Driver,
    log: &dyn Log,
    to_tick: u64,
    goes_on: &mut dyn FnMut(u64) -> bool,
) -> Result<Option<Tables>, E>
where
    E: From<StoreError> + From<GraphError> + From<Unfit>,
{
    'from_the_beginning: loop {
        let mut rows = Tables::default();
        for tick in log.read(1, to_tick) {
            let tick = tick?;
            if let Some(closed) = driver.submit_journal_tick(&tick)? {
                apply(&mut rows, &closed)?;
                if !goes_on(closed.tick) {
                    return Ok(None);
                }
            }
            if driver.backfill_due().is_some() {
                let periods = all_periods(driver, log, tick.number, to_tick)?;
                *driver = driver.start_again(periods)?;
                continue 'from_the_beginning;
            }
        }
        while let Some(closed) = driver.close_next()? {
            apply(&mut rows, &closed)?;
            if !goes_on(closed.tick) {
                return Ok(None);
            }
        }
        return Ok(Some(rows));
    }
}

/// What a driver knows of periods after a tick, and those that `watchtower backfill` wrote after it: so that
/// all of them take one pass, where only the end matters.
pub(crate) fn all_periods(
    driver: &Driver,
    log: &dyn Log,
    tick: u64,
    to_tick: u64,
) -> Result<Vec<Period>, StoreError> {
    let mut later = Later(driver.intake.periods().to_vec());
    if to_tick <= tick {
        return Ok(later.0);
    }
    for tick in log.read(tick + 1, to_tick) {
        for entry in tick?.entries.iter().filter(|entry| entry.source == sources::code::BACKFILL) {
            sources::decode(entry.source, &entry.context, &entry.payload, &mut later);
        }
    }
    Ok(later.0)
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

struct Later(Vec<Period>);

impl RecordSink for Later {
    fn position(&mut self, _: Option<TimeMs>, _: PositionRef<'_>) {}

    fn record(&mut self, _: Option<TimeMs>, record: Record) {
        if let Record::Backfill { from, to } = record {
            self.0.push(Period { from, to });
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
                while let Some((_, row)) = new.next_if(|(new_key, _)| *new_key < key) {
                    self.push(1, row.clone());
                }
                let same_key = new.next_if(|(new_key, _)| *new_key == key);
                if same_key.is_some_and(|(_, row)| row == old) {
                    continue;
                }
                self.push(-1, old.clone());
                self.extend(same_key.map(|(_, row)| row));
            }
            self.extend(new.map(|(_, row)| row));
        }
        self.sorted()
    }

    /// From kept rows.
    pub fn kept_to(mut self, before: &RowsSnapshot, after: &Tables) -> Result<Vec<Change>, StoreError> {
        for table in Table::ALL {
            let mut new = after.table(table).iter().peekable();
            for kept in before.iter(table.code()) {
                let (key, old) = kept?;
                while let Some((_, row)) = new.next_if(|(new_key, _)| **new_key < key) {
                    self.push(1, row.clone());
                }
                let same_key = new.next_if(|(new_key, _)| **new_key == key);
                if same_key.is_some_and(|(_, row)| row.to_json().as_bytes() == old) {
                    continue;
                }
                self.push(-1, kept::row(table, &old)?);
                self.extend(same_key.map(|(_, row)| row));
            }
            self.extend(new.map(|(_, row)| row));
        }
        Ok(self.sorted())
    }

    fn extend<'b>(&mut self, rows: impl IntoIterator<Item = &'b Row>) {
        for row in rows {
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
