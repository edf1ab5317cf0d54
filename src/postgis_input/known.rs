//! What is known of the table's fences: what was sent of each, and what was refused.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use journal::{Log, Store};
use serde::{Deserialize, Serialize};
use sources::code;
use sources::postgis::{Digest, Sent, sent};

/// Under which name it is noted what was sent.
const NOTE: &str = "postgis_input";
const NOTE_EVERY: Duration = Duration::from_secs(300);
/// Of fewer fences than this any part may go at once, but not all.
const FEW_FENCES: usize = 10;

/// What the journal has of a fence last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentFence {
    /// What tells its record from others.
    pub hash: String,
    /// The tick that the record is in.
    pub tick: u64,
}

/// What is known, as of a tick.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Noted {
    /// All ticks up to it are accounted for.
    tick: u64,
    sent: BTreeMap<String, SentFence>,
    refused: BTreeMap<String, String>,
}

/// What was sent of each fence, and what of its row was looked at.
#[derive(Debug, Default)]
pub struct Known {
    noted: Noted,
    /// What rows were when they were dealt with; those of an earlier run are looked at anew.
    judged: HashMap<String, i64>,
    noted_at: Option<Instant>,
}

/// What of the table differs from what is known.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// Rows to look at.
    pub changed: Vec<Digest>,
    /// Fences whose rows are gone.
    pub gone: Vec<String>,
    /// Whether so many went at once that somebody should confirm it.
    pub is_mass_delete: bool,
}

impl Known {
    /// What was noted, and what the journal has besides.
    pub fn of_journal(store: &Store) -> anyhow::Result<Known> {
        let noted = store.noted(NOTE)?;
        let noted: Noted = noted.and_then(|noted| serde_json::from_slice(&noted).ok()).unwrap_or_default();
        let last_tick = store.log().last_tick().map_or(0, |(tick, _)| tick);
        let noted = if noted.tick <= last_tick { noted } else { Noted::default() };
        let mut known = Known { noted, ..Known::default() };
        for tick in store.log().read(known.noted.tick + 1, last_tick) {
            let tick = tick?;
            anyhow::ensure!(!store.log().is_stopped(), "the service stops");
            for entry in tick.entries.iter().filter(|entry| entry.source == code::POSTGIS) {
                sent(&entry.payload).for_each(|sent| known.was_sent(sent, tick.number));
            }
        }
        known.noted.tick = last_tick;
        Ok(known)
    }

    /// Notes all of it now and then, as of a tick up to which nothing is on its way: it spares a start a look at the
    /// journal, and is as large as the table.
    pub fn note_if_due(&mut self, store: &Store, tick: u64) -> anyhow::Result<()> {
        if self.noted_at.is_some_and(|noted_at| noted_at.elapsed() < NOTE_EVERY) {
            return Ok(());
        }
        self.noted.tick = tick;
        store.note(NOTE, &serde_json::to_vec(&self.noted)?)?;
        self.noted_at = Some(Instant::now());
        Ok(())
    }

    /// A record is durable in a tick.
    pub fn was_sent(&mut self, what: Sent, tick: u64) {
        match what {
            Sent::Upsert { id, hash } => _ = self.noted.sent.insert(id, SentFence { hash, tick }),
            Sent::Delete { id } => _ = self.noted.sent.remove(&id),
        }
    }

    /// What the journal has of a fence last.
    pub fn sent(&self, id: &str) -> Option<&SentFence> {
        self.noted.sent.get(id)
    }

    /// A row was refused; `false` if the very same was before.
    pub fn was_refused(&mut self, id: &str, hash: String) -> bool {
        let is_new = self.noted.refused.insert(id.to_owned(), hash.clone()) != Some(hash);
        if is_new {
            // The journal does not know of it.
            self.noted_at = None;
        }
        is_new
    }

    /// A row is good.
    pub fn is_good(&mut self, id: &str) {
        self.noted.refused.remove(id);
    }

    /// A row was dealt with in this state.
    pub fn judged(&mut self, id: String, digest: i64) {
        self.judged.insert(id, digest);
    }

    /// How many fences are of this source, and how many rows are refused.
    pub fn counts(&self) -> (usize, usize) {
        (self.noted.sent.len(), self.noted.refused.len())
    }

    /// Compares the table, sorted by id, with what is known, and forgets what is known of rows that are gone.
    pub fn compare(&mut self, table: Vec<Digest>) -> Differences {
        let is_there = |id: &String| table.binary_search_by(|row| row.id.cmp(id)).is_ok();
        self.judged.retain(|id, _| is_there(id));
        self.noted.refused.retain(|id, _| is_there(id));
        let gone: Vec<String> = self.noted.sent.keys().filter(|id| !is_there(id)).cloned().collect();
        let sent = self.noted.sent.len();
        let is_emptied = table.is_empty() && sent > 0;
        let is_mass_delete = is_emptied || (sent > FEW_FENCES && gone.len() * 2 > sent);
        let is_changed = |row: &Digest| self.judged.get(&row.id) != Some(&row.digest);
        Differences { changed: table.into_iter().filter(is_changed).collect(), gone, is_mass_delete }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, digest: i64) -> Digest {
        Digest { id: id.to_owned(), digest, bytes: 0 }
    }

    fn of_fences(count: usize) -> Known {
        let mut known = Known::default();
        for i in 0..count {
            known.was_sent(Sent::Upsert { id: format!("F{i:02}"), hash: String::new() }, 1);
        }
        known
    }

    fn rows(range: std::ops::Range<usize>) -> Vec<Digest> {
        range.map(|i| row(&format!("F{i:02}"), 0)).collect()
    }

    #[test]
    fn rows_are_looked_at_again_when_they_are_others() {
        let mut known = Known::default();
        let changed = |known: &mut Known, table| known.compare(table).changed;
        assert_eq!(changed(&mut known, vec![row("a", 1), row("b", 1)]).len(), 2);
        known.judged("a".to_owned(), 1);
        assert_eq!(changed(&mut known, vec![row("a", 1), row("b", 1)]), [row("b", 1)]);
        assert_eq!(changed(&mut known, vec![row("a", 2)]), [row("a", 2)]);
        // A row that went and came back is looked at.
        assert!(changed(&mut known, Vec::new()).is_empty());
        assert_eq!(changed(&mut known, vec![row("a", 1)]), [row("a", 1)]);
    }

    #[test]
    fn what_goes_is_deleted_unless_most_of_it_goes_at_once() {
        let judged = |sent, left: std::ops::Range<usize>| {
            let found = of_fences(sent).compare(rows(left));
            (found.gone.len(), found.is_mass_delete)
        };
        assert_eq!(judged(3, 0..1), (2, false), "of a few, any part");
        assert_eq!(judged(1, 0..0), (1, true), "but not all");
        assert_eq!(judged(10, 0..1), (9, false));
        assert_eq!(judged(11, 0..5), (6, true), "of more, not more than half");
        assert_eq!(judged(12, 0..6), (6, false));
        assert_eq!(judged(0, 0..0), (0, false));
        // Rows that were never accepted keep nobody's fence.
        let mut known = of_fences(20);
        assert!(known.compare(vec![row("x", 1)]).is_mass_delete);
        // Fences of others are not known here, and so do not go.
        assert_eq!(of_fences(0).compare(vec![row("x", 1)]).gone, Vec::<String>::new());
    }
}
