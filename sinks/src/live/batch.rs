//! Whole ticks of the changelog after a cursor.

use journal::{Changelog, Cursor, ReadError, StoredChange};

use super::AsOf;

/// Changes are read so many at a time, so that the limit of bytes is not far overrun.
const CHANGES_A_READ: usize = 2_000;

/// How much one batch, and what of it is in memory, may be.
#[derive(Clone, Copy, Debug)]
pub struct BatchLimits {
    /// Changes.
    pub changes: usize,
    /// Bytes of their rows.
    pub bytes: usize,
}

impl Default for BatchLimits {
    fn default() -> BatchLimits {
        BatchLimits { changes: 20_000, bytes: 16 << 20 }
    }
}

/// The changes of whole ticks. One tick that is over the limits is a batch of several chunks.
pub struct Batch {
    changelog: Changelog,
    limits: BatchLimits,
    /// The tick that the rows are exact for after it.
    pub to: AsOf,
    first: Vec<StoredChange>,
    /// Whether more of the last tick is behind the first chunk.
    has_more: bool,
    /// A limit ended it: there was more to read.
    is_full: bool,
}

impl Batch {
    /// What comes after `tick`; `None` where nothing does.
    pub fn after(changelog: &Changelog, tick: u64, limits: BatchLimits) -> Result<Option<Batch>, ReadError> {
        // Asked first: of ticks up to this one all changes are there.
        let changelog = changelog.clone();
        let Some((last_tick, instant_ms)) = changelog.last_tick().filter(|(last, _)| *last > tick) else {
            return Ok(None);
        };
        let mut first = read_chunk(&changelog, Cursor { tick, index: u32::MAX }, limits)?;
        let is_all = !first.is_full;
        let behind = |change: &StoredChange| change.cursor.tick > last_tick;
        let reaches_behind = first.changes.last().is_some_and(behind);
        if is_all || reaches_behind {
            first.changes.retain(|change| !behind(change));
            let to = AsOf { tick: last_tick, instant_ms };
            return Ok(Some(Batch {
                changelog,
                limits,
                to,
                first: first.changes,
                has_more: false,
                is_full: false,
            }));
        }
        // The last tick of a full chunk may have more changes.
        let Some(last) = first.changes.last().map(|change| change.cursor.tick) else { return Ok(None) };
        let whole = first.changes.partition_point(|change| change.cursor.tick < last);
        let has_more = whole == 0;
        if !has_more {
            first.changes.truncate(whole);
        }
        let to = first.changes.last().map_or(AsOf::default(), |change| AsOf {
            tick: change.cursor.tick,
            instant_ms: change.instant_ms,
        });
        Ok(Some(Batch { changelog, limits, to, first: first.changes, has_more, is_full: true }))
    }

    /// Its changes, in order; those of one key may be in two chunks. They may be asked for again.
    pub fn for_each_chunk<E: From<ReadError>>(
        &self,
        mut take: impl FnMut(&[StoredChange]) -> Result<(), E>,
    ) -> Result<(), E> {
        take(&self.first)?;
        let mut after = self.first.last().map(|change| change.cursor).filter(|_| self.has_more);
        while let Some(cursor) = after {
            let mut chunk = read_chunk(&self.changelog, cursor, self.limits)?.changes;
            let read = chunk.len();
            chunk.retain(|change| change.cursor.tick == self.to.tick);
            after = chunk.last().map(|change| change.cursor).filter(|_| chunk.len() == read);
            if !chunk.is_empty() {
                take(&chunk)?;
            }
        }
        Ok(())
    }

    /// Whether there was more to read than its limits allow.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// The changelog that it is of.
    #[must_use]
    pub fn identity(&self) -> &str {
        self.changelog.identity()
    }
}

struct Chunk {
    changes: Vec<StoredChange>,
    /// A limit ended it.
    is_full: bool,
}

fn read_chunk(changelog: &Changelog, after: Cursor, limits: BatchLimits) -> Result<Chunk, ReadError> {
    let mut chunk = Chunk { changes: Vec::new(), is_full: false };
    let (mut cursor, mut bytes) = (after, 0);
    loop {
        let wanted = CHANGES_A_READ.min(limits.changes.saturating_sub(chunk.changes.len())).max(1);
        let read = changelog.after(cursor, wanted)?;
        let is_last = read.len() < wanted;
        bytes += read.iter().map(|change| change.change.row.len()).sum::<usize>();
        chunk.changes.extend(read);
        let Some(last) = chunk.changes.last().filter(|_| !is_last) else { return Ok(chunk) };
        cursor = last.cursor;
        if chunk.changes.len() >= limits.changes || bytes >= limits.bytes {
            chunk.is_full = true;
            return Ok(chunk);
        }
    }
}
