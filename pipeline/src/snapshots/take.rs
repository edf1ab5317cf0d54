//! Taking a snapshot beside a service, or of a folder that nobody uses.

use journal::{Changelog, Log, RowsSnapshot, StoreError};
use model::{ClosedTick, Table, Tables};

use super::{Begun, Manifest, SnapshotError, Snapshots, Trust, begin};
use crate::backfill::apply;
use crate::drive::Driver;
use crate::service::Observer;

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// There is a new one.
    New(Manifest),
    /// The last one is of the last tick.
    UpToDate {
        /// That tick.
        tick: u64,
    },
    /// There is nothing yet that could be kept.
    Nothing,
    /// It was to stop before it was done.
    Stopped,
}

/// Takes one of the last tick that the changelog has, going on from the newest that there is. `observer` is the
/// beginning of views: what they come to is kept, too. Who takes snapshots of one folder at a time is the caller's to
/// see to.
pub fn take(
    snapshots: &Snapshots,
    (log, changelog): (&dyn Log, &Changelog),
    workers: usize,
    observer: &mut dyn Observer,
    goes_on: &dyn Fn() -> bool,
) -> Result<Taken, SnapshotError> {
    let rows = changelog.rows();
    let Some((to_tick, instant_ms)) = rows.last_tick() else { return Ok(Taken::Nothing) };
    let begun = begin(Some(snapshots), (log, changelog), to_tick, workers, observer, goes_on)?;
    let Some(Begun { driver, tick, trust }) = begun else { return Ok(Taken::Stopped) };
    if tick == to_tick {
        return Ok(Taken::UpToDate { tick });
    }
    // What was begun at the beginning is compared with the rows of the last tick, for lack of all changes.
    let rebuilt = trust.is_none().then(|| (Tables::default(), rows));
    let mut following = Following { driver, rebuilt, trust, observer };
    for next in log.read(tick + 1, to_tick) {
        if !goes_on() {
            return Ok(Taken::Stopped);
        }
        if let Some(closed) = following.driver.submit_journal_tick(&next?)? {
            following.take(&closed)?;
        }
    }
    while let Some(closed) = following.driver.close_next()? {
        following.take(&closed)?;
    }
    let Following { mut driver, rebuilt, observer, .. } = following;
    if let Some((rebuilt, kept)) = rebuilt
        && !are_kept(&rebuilt, &kept)?
    {
        return Err(SnapshotError::Differs { tick: to_tick });
    }
    save(snapshots, &mut driver, observer, (to_tick, instant_ms)).map(Taken::New)
}

/// Saves what a graph and its observer have come to after a tick. Nothing may be under way.
pub fn save(
    snapshots: &Snapshots,
    driver: &mut Driver,
    observer: &dyn Observer,
    at: (u64, i64),
) -> Result<Manifest, SnapshotError> {
    let mut draft = snapshots.begin(at.0)?;
    let workers = driver.save(&mut draft)?;
    draft.write("views", |to| observer.save(to))?;
    draft.finish(at, driver.intake.records(), workers)
}

struct Following<'a> {
    driver: Driver,
    rebuilt: Option<(Tables, RowsSnapshot)>,
    trust: Option<Trust>,
    observer: &'a mut dyn Observer,
}

impl Following<'_> {
    fn take(&mut self, closed: &ClosedTick) -> Result<(), SnapshotError> {
        if let Some(trust) = &mut self.trust
            && !trust.agrees(closed)?
        {
            trust.snapshot.discard();
            return Err(SnapshotError::Differs { tick: closed.tick });
        }
        if let Some((rebuilt, _)) = &mut self.rebuilt {
            apply(rebuilt, closed)?;
        }
        let marks = self.driver.take_marks(closed.tick);
        if !marks.is_empty() {
            self.observer.marked(closed.tick, marks);
        }
        self.observer.closed(closed, true);
        Ok(())
    }
}

/// Whether rows are those that are kept.
fn are_kept(rows: &Tables, kept: &RowsSnapshot) -> Result<bool, StoreError> {
    for table in Table::ALL {
        let mut now = rows.table(table).iter();
        for row in kept.iter(table.code()) {
            let (key, json) = row?;
            if now.next().is_none_or(|(now_key, now)| *now_key != key || now.to_json().as_bytes() != json) {
                return Ok(false);
            }
        }
        if now.next().is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}
