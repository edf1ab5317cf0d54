//! Where a graph begins: after the newest snapshot that can be used, or at the journal's beginning.

use std::collections::VecDeque;

use journal::{Changelog, Cursor, Log, ReadError, StoreError, StoredChange};
use model::ClosedTick;

use super::{Snapshot, SnapshotError, Snapshots};
use crate::backfill;
use crate::drive::Driver;
use crate::service::{Observer, change_bytes};

/// So many kept changes are read at once.
const READ_AT_ONCE: usize = 4096;

/// A graph that has begun.
pub(crate) struct Begun {
    pub driver: Driver,
    /// The last tick that it has seen.
    pub tick: u64,
    /// What it is to be compared with, and the snapshot that is wrong if the two differ.
    pub trust: Option<Trust>,
}

/// A snapshot that is trusted as long as its graph says what is kept.
pub(crate) struct Trust {
    pub snapshot: Snapshot,
    kept: KeptChanges,
}

impl Trust {
    /// Whether what a tick changed is what is kept of it. Ticks come in order, each once, until those that the
    /// changelog has are through.
    pub fn agrees(&mut self, closed: &ClosedTick) -> Result<bool, StoreError> {
        self.kept.are_those_of(closed)
    }
}

/// Begins with all that the ticks up to `to_tick`, which the changelog has, say of backfills. `observer` is brought to
/// where the graph is. `None` when `goes_on` says to stop.
pub(crate) fn begin(
    snapshots: Option<&Snapshots>,
    (log, changelog): (&dyn Log, &Changelog),
    to_tick: u64,
    workers: usize,
    observer: &mut dyn Observer,
    goes_on: &dyn Fn() -> bool,
) -> Result<Option<Begun>, SnapshotError> {
    let workers = workers.max(1);
    for snapshot in snapshots.map_or_else(Vec::new, |snapshots| usable(snapshots, workers)) {
        let tick = snapshot.manifest.tick;
        let of_journal = log.read(tick, tick).next().transpose()?.map(|tick| tick.instant_ms);
        if of_journal.is_some_and(|instant_ms| instant_ms != snapshot.manifest.instant_ms) {
            tracing::warn!(tick, "a snapshot is removed: it is of another journal");
            snapshot.discard();
            continue;
        }
        if tick > to_tick || changelog.oldest() > (Cursor { tick, index: u32::MAX }) {
            tracing::info!(tick, "a snapshot is left out: the changelog does not go from there on");
            continue;
        }
        let Some(periods) = backfill::periods(log, (tick + 1, to_tick), goes_on)? else { return Ok(None) };
        if !periods.is_empty() {
            tracing::info!(tick, "snapshots are left out: a backfill came after them");
            break;
        }
        match Driver::load(&snapshot, workers, observer) {
            Ok(driver) => {
                let kept = KeptChanges::after(changelog, tick);
                return Ok(Some(Begun { driver, tick, trust: Some(Trust { snapshot, kept }) }));
            }
            Err(error) => {
                tracing::warn!(tick, %error, "a snapshot is left out: it cannot be loaded");
                observer.forget();
            }
        }
    }
    // Of the ticks whose changes are kept only the last one's rows matter: one pass gives them that knows all
    // backfills until then. A later one changes rows at its tick, and those before it are told without it.
    let Some(periods) = backfill::periods(log, (1, to_tick), goes_on)? else { return Ok(None) };
    let driver = Driver::of_journal(periods, true, workers)?;
    Ok(Some(Begun { driver, tick: 0, trust: None }))
}

/// A cache that cannot be read keeps nobody from starting without it.
fn usable(snapshots: &Snapshots, workers: usize) -> Vec<Snapshot> {
    snapshots.usable(workers).unwrap_or_else(|error| {
        tracing::warn!(%error, "no snapshot is used");
        Vec::new()
    })
}

/// The changes that are kept, from a tick on.
struct KeptChanges {
    changelog: Changelog,
    read_to: Cursor,
    next: VecDeque<StoredChange>,
    /// They were trimmed meanwhile: nothing can be compared any more.
    are_gone: bool,
}

impl KeptChanges {
    fn after(changelog: &Changelog, tick: u64) -> KeptChanges {
        let read_to = Cursor { tick, index: u32::MAX };
        KeptChanges { changelog: changelog.clone(), read_to, next: VecDeque::new(), are_gone: false }
    }

    fn next(&mut self) -> Result<Option<&StoredChange>, StoreError> {
        if self.next.is_empty() {
            match self.changelog.after(self.read_to, READ_AT_ONCE) {
                Ok(changes) => self.next = changes.into(),
                Err(ReadError::Gone { .. }) => self.are_gone = true,
                Err(ReadError::Store(error)) => return Err(error),
            }
            self.read_to = self.next.back().map_or(self.read_to, |last| last.cursor);
        }
        Ok(self.next.front())
    }

    fn are_those_of(&mut self, closed: &ClosedTick) -> Result<bool, StoreError> {
        for change in &closed.changes {
            let kept = self.next()?.filter(|kept| kept.cursor.tick == closed.tick).cloned();
            let Some(kept) = kept else { return Ok(self.are_gone) };
            let (kept, now) = (&kept.change, change_bytes(change));
            let is_same = (kept.table, kept.diff, kept.cause, kept.seq)
                == (now.table, now.diff, now.cause, now.seq)
                && (&kept.key, &kept.row) == (&now.key, &now.row);
            if !is_same {
                return Ok(false);
            }
            self.next.pop_front();
        }
        Ok(self.next()?.is_none_or(|kept| kept.cursor.tick > closed.tick))
    }
}
