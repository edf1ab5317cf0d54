//! The store: a folder with the changelog and the dead letters, and its journal, which is in the folder or on Kafka.

use std::path::Path;
use std::sync::Arc;

use crossbeam_channel::Receiver;

use crate::archive::{self, Archive, LogReader};
use crate::clock::wall_clock_ms;
use crate::embedded::{self, EmbeddedLog, Recovered, StoreInner};
use crate::format::TickRecord;
#[cfg(feature = "kafka")]
use crate::kafka::{self, KafkaLog};
use crate::queue::Queue;
use crate::{
    AppendError, ArchivedDay, ArchivedFile, Changelog, DeadLetters, JournalKind, Log, Options, StoreError,
    Tick, Ticket,
};

/// There where the journal is on Kafka: which one, and where.
const KAFKA_CELL: &str = "journal.kafka";
const NOTE_CELLS: &str = "note.";

/// A folder with a changelog and dead letters, and its journal. Cheap to clone; closed when the last handle is gone.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<StoreInner>,
    log: StoreLog,
    changelog: Changelog,
    dead_letters: DeadLetters,
}

impl Store {
    /// Opens the folder, creating it if it is new. One that lost acknowledged ticks is refused.
    pub fn open(dir: &Path, options: Options) -> Result<Store, StoreError> {
        let Recovered { lock, db, last_tick, mark } = embedded::open(dir)?;
        let remembered =
            db.meta.get(KAFKA_CELL).map_err(StoreError::database("read where its journal is"))?;
        let archive = Arc::new(Archive::open(dir, &db)?);
        let inner = Arc::new(StoreInner::new(db, options, lock));
        let changelog = Changelog::open(Arc::clone(&inner))?;
        let dead_letters = DeadLetters::open(Arc::clone(&inner))?;
        let derived_tick = changelog.last_tick().map_or(0, |(tick, _)| tick);
        let log = match (&inner.options.journal, remembered) {
            (JournalKind::Embedded, Some(_)) => {
                let what = format!(
                    "the journal of {} is on Kafka; set journal.kind = \"kafka\", or choose another folder",
                    dir.display()
                );
                return Err(StoreError::Refused(what));
            }
            (JournalKind::Embedded | JournalKind::AsTheFolderSays, None) => {
                Place::Embedded(EmbeddedLog::new(Arc::clone(&inner), last_tick, mark))
            }
            (JournalKind::Kafka(_), _) if last_tick.is_some() => {
                let what = format!(
                    "the journal of {} is in the folder; set journal.kind = \"embedded\", or choose another folder",
                    dir.display()
                );
                return Err(StoreError::Refused(what));
            }
            (JournalKind::Kafka(_) | JournalKind::AsTheFolderSays, remembered) => {
                on_kafka(&inner, remembered.as_deref(), derived_tick)?
            }
        };
        let log = StoreLog { place: log, archive };
        let logged_tick = log.last_tick().map_or(0, |(tick, _)| tick);
        if derived_tick > logged_tick {
            let what = format!(
                "the changelog ends with tick {derived_tick}, but the journal with tick {logged_tick}"
            );
            return Err(StoreError::damaged(what));
        }
        Ok(Store { inner, log, changelog, dead_letters })
    }

    /// The log of this store.
    #[must_use]
    pub fn log(&self) -> StoreLog {
        self.log.clone()
    }

    /// The changelog of this store.
    #[must_use]
    pub fn changelog(&self) -> Changelog {
        self.changelog.clone()
    }

    /// The dead letters of this store.
    #[must_use]
    pub fn dead_letters(&self) -> DeadLetters {
        self.dead_letters.clone()
    }

    /// Notes a value under a name, without waiting for the disk: a power cut may take it back to an older one.
    pub fn note(&self, name: &str, value: &[u8]) -> Result<(), StoreError> {
        let noted = self.inner.db.meta.insert(format!("{NOTE_CELLS}{name}"), value);
        noted.map_err(StoreError::database("note a value"))
    }

    /// The value that was noted last under a name.
    pub fn noted(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let noted = self.inner.db.meta.get(format!("{NOTE_CELLS}{name}"));
        Ok(noted.map_err(StoreError::database("read a noted value"))?.map(|value| value.to_vec()))
    }

    /// Moves the ticks of whole days of UTC before an instant, in milliseconds since 1970, to the archive, or only tells
    /// what it would move. `goes_on` is told after which tick it is, and may end it. The last tick stays.
    pub fn archive(
        &self,
        before_ms: i64,
        is_rehearsal: bool,
        goes_on: &mut dyn FnMut(u64) -> bool,
    ) -> Result<Vec<ArchivedDay>, StoreError> {
        let db = &self.inner.db;
        let in_database = matches!(self.log.place, Place::Embedded(_));
        let trim = |to_tick, next_offset| {
            if in_database { embedded::trim(db, to_tick, next_offset) } else { Ok(()) }
        };
        if !is_rehearsal {
            // What a crash left.
            let (to_tick, next_offset) = archive::end_in(db)?;
            trim(to_tick, next_offset)?;
        }
        let wanted = archive::Wanted { before_ms, is_rehearsal };
        let moved = &mut |file: &ArchivedFile| trim(file.to_tick, file.next_offset());
        archive::run(&self.log.archive, db, &self.log, &wanted, goes_on, moved)
    }

    /// The files that the archive has, the oldest first.
    #[must_use]
    pub fn archived(&self) -> Vec<Arc<ArchivedFile>> {
        self.log.archive.files()
    }

    /// How many bytes the store has on disk, without its archive.
    pub fn disk_bytes(&self) -> Result<u64, StoreError> {
        self.inner.db.database.disk_space().map_err(StoreError::database("measure its files"))
    }
}

#[cfg(feature = "kafka")]
fn on_kafka(
    inner: &Arc<StoreInner>,
    remembered: Option<&[u8]>,
    derived_tick: u64,
) -> Result<Place, StoreError> {
    use crate::KafkaOptions;
    use crate::kafka::Remembered;

    let remembered = remembered.map(Remembered::decode).transpose();
    let remembered = remembered
        .map_err(|flaw| StoreError::damaged(format!("what the folder knows of its journal: {flaw}")))?;
    let options = match (&inner.options.journal, &remembered) {
        (JournalKind::Kafka(options), _) => options.clone(),
        (_, Some(remembered)) => KafkaOptions {
            brokers: remembered.brokers.clone(),
            topic_prefix: remembered.topic_prefix.clone(),
            ..KafkaOptions::default()
        },
        (_, None) => KafkaOptions::default(),
    };
    let store = Arc::clone(inner);
    let remember = move |remembered: &Remembered| {
        let db = &store.db;
        let mut batch = db.database.batch().durability(Some(fjall::PersistMode::SyncAll));
        batch.insert(&db.meta, KAFKA_CELL, remembered.encode());
        batch.commit().map_err(StoreError::database("note where its journal is"))
    };
    let folder = kafka::Folder { remembered, derived_tick, remember: Box::new(remember) };
    KafkaLog::open(options, &inner.options, folder).map(Place::Kafka)
}

#[cfg(not(feature = "kafka"))]
fn on_kafka(_: &Arc<StoreInner>, _: Option<&[u8]>, _: u64) -> Result<Place, StoreError> {
    let what = "the journal is on Kafka, and this program was built without it (cargo feature kafka)";
    Err(StoreError::Refused(what.to_string()))
}

/// The log of a store, wherever it is. When its last handle is dropped, it stops.
#[derive(Clone)]
pub struct StoreLog {
    place: Place,
    /// Its older part.
    archive: Arc<Archive>,
}

/// Where the ticks are that are not archived.
#[derive(Clone)]
enum Place {
    Embedded(EmbeddedLog),
    #[cfg(feature = "kafka")]
    Kafka(KafkaLog),
}

impl Place {
    fn as_log(&self) -> &dyn Log {
        match self {
            Place::Embedded(log) => log,
            #[cfg(feature = "kafka")]
            Place::Kafka(log) => log,
        }
    }
}

impl StoreLog {
    fn queue(&self) -> &Queue {
        match &self.place {
            Place::Embedded(log) => log.queue(),
            #[cfg(feature = "kafka")]
            Place::Kafka(log) => log.queue(),
        }
    }

    fn as_log(&self) -> &dyn Log {
        self.place.as_log()
    }

    /// How many entries are durable.
    #[must_use]
    pub fn entry_count(&self) -> u64 {
        self.queue().last_tick().map_or(0, |tick: TickRecord| tick.next_offset() - 1)
    }

    /// Refuses a wall clock that is far from the journal's last instant. [`Log::start`] asks this too; a
    /// service that replays first asks it before.
    pub fn check_clock(&self) -> Result<(), StoreError> {
        self.queue().check_clock(wall_clock_ms())
    }

    #[cfg(test)]
    pub(crate) fn embedded(&self) -> &EmbeddedLog {
        match &self.place {
            Place::Embedded(log) => log,
            #[cfg(feature = "kafka")]
            Place::Kafka(_) => panic!("the journal is on Kafka"),
        }
    }
}

impl Log for StoreLog {
    fn append(&self, source: u8, context: &str, payload: Vec<u8>) -> Result<Ticket, AppendError> {
        self.as_log().append(source, context, payload)
    }

    fn last_tick(&self) -> Option<(u64, i64)> {
        self.as_log().last_tick()
    }

    fn read(
        &self,
        from_tick: u64,
        to_tick: u64,
    ) -> Box<dyn Iterator<Item = Result<Tick, StoreError>> + Send> {
        let last_tick = self.last_tick().map_or(0, |(tick, _)| tick);
        let ticks = (from_tick.max(1), to_tick.min(last_tick));
        let place = self.place.clone();
        let behind = move |from, to| place.as_log().read(from, to);
        Box::new(LogReader::new(Arc::clone(&self.archive), ticks, behind))
    }

    fn start(&self) -> Result<Receiver<Arc<Tick>>, StoreError> {
        self.as_log().start()
    }

    fn failure(&self) -> Option<String> {
        self.as_log().failure()
    }

    fn unavailable(&self) -> Option<String> {
        self.as_log().unavailable()
    }

    fn is_stopped(&self) -> bool {
        self.as_log().is_stopped()
    }

    fn stop(&self) {
        self.as_log().stop();
    }
}
