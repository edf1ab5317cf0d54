//! Where the journal of a test is.

use std::path::Path;

use journal::{JournalKind, Options, Store, StoreError};
#[cfg(feature = "kafka")]
use rdkafka::{
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
};
use tempfile::TempDir;

/// A folder, and a journal in it or on Kafka.
pub struct Place {
    dir: TempDir,
    journal: JournalKind,
}

impl Place {
    /// All of it in a folder.
    pub fn folder() -> Place {
        Place { dir: tempfile::tempdir().unwrap(), journal: JournalKind::Embedded }
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn open(&self, options: Options) -> Store {
        self.try_open(options).unwrap()
    }

    pub fn try_open(&self, options: Options) -> Result<Store, StoreError> {
        Store::open(self.dir(), Options { journal: self.journal.clone(), ..options })
    }
}

#[cfg(feature = "kafka")]
impl Place {
    /// Topics of its own on a broker; without one the test is skipped with a word, and fails where CI=true.
    pub fn kafka(test: &str) -> Option<Place> {
        let Ok(brokers) = std::env::var("WATCHTOWER_KAFKA_BROKERS") else {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "WATCHTOWER_KAFKA_BROKERS is not set");
            eprintln!("skipped: WATCHTOWER_KAFKA_BROKERS names no broker; `cargo xtask test` starts one");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        // Topics stay behind, so names must not come back with the numbers of processes.
        let unique = dir.path().file_name().unwrap().to_string_lossy().replace('.', "");
        let since = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
        let topic_prefix = format!("{test}-{since}-{unique}");
        let options = journal::KafkaOptions { brokers, topic_prefix, partitions: 3, ..Default::default() };
        Some(Place { dir, journal: JournalKind::Kafka(options) })
    }

    /// The same journal from another folder.
    pub fn in_another_folder(&self) -> Place {
        Place { dir: tempfile::tempdir().unwrap(), journal: self.journal.clone() }
    }

    pub fn kafka_options(&mut self) -> &mut journal::KafkaOptions {
        match &mut self.journal {
            JournalKind::Kafka(options) => options,
            _ => panic!("the journal is in a folder"),
        }
    }

    pub fn journal(&self) -> &JournalKind {
        &self.journal
    }

    /// A broker that serves many tests is not to keep their topics. Where it can't be asked, they stay.
    pub fn delete_topics(&self) {
        let JournalKind::Kafka(options) = &self.journal else { return };
        let names = ["raw", "ticks"].map(|topic| format!("{}.{topic}", options.topic_prefix));
        let names = names.each_ref().map(String::as_str);
        let limits = AdminOptions::new().request_timeout(Some(std::time::Duration::from_secs(5)));
        let _ = block_on(admin(options).delete_topics(&names, &limits));
    }
}

#[cfg(feature = "kafka")]
impl Drop for Place {
    fn drop(&mut self) {
        self.delete_topics();
    }
}

#[cfg(feature = "kafka")]
pub type Admin = AdminClient<DefaultClientContext>;

#[cfg(feature = "kafka")]
pub fn admin(options: &journal::KafkaOptions) -> Admin {
    rdkafka::ClientConfig::new().set("bootstrap.servers", &options.brokers).create().unwrap()
}

#[cfg(feature = "kafka")]
pub fn block_on<T>(answer: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(answer)
}
