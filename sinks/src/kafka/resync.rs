//! Makes the topics those of a snapshot by writing what differs, whatever they hold.
//!
//! Each topic is read from its beginning; of each key the last message counts. Of a row that stands 16 bytes are kept
//! meanwhile, of one that does not its key; tables come one after another.

use std::collections::{BTreeSet, HashSet};

use journal::RowsSnapshot;
use kafka_client::Reader;
use model::Table;
use rdkafka::message::Message as _;

use super::changes::Origin;
use super::keys::{key_bytes, key_json};
use super::outbox::{Failed, Outbox, fingerprint};
use super::partition::partition_of;
use super::read::read_topic;
use super::topics::Topics;

/// The cause of rows that were written by a comparison.
const CAUSE: &str = "resync";

/// What a topic holds, beside what stands.
#[derive(Default)]
struct Found {
    /// Keys whose row is in the topic, as [`fingerprint`]s.
    standing: HashSet<u128>,
    /// Partitions and keys of what does not stand.
    wrong: BTreeSet<(i32, Vec<u8>)>,
}

/// Runs within a transaction.
pub(crate) fn run(
    reader: &Reader,
    topics: &Topics,
    outbox: &mut Outbox<'_>,
    rows: &RowsSnapshot,
) -> Result<(), Failed> {
    outbox.forget_letters()?;
    let tick = rows.last_tick().map_or(0, |(tick, _)| tick);
    for table in Table::ALL {
        let found = compare_topic(reader, topics, rows, table)?;
        for (partition, key) in &found.wrong {
            let origin = Origin { tick, cause: Some(CAUSE), seq: None };
            outbox.remove(table, Some(*partition), key, origin)?;
        }
        let (index, _) = topics.of(table);
        for row in rows.iter(table.code()) {
            let (_, json) = row?;
            let is_there = key_json(table, &json)
                .is_some_and(|key| found.standing.contains(&fingerprint(index, &key, None)));
            if !is_there {
                outbox.change(table, &json, true, Origin { tick, cause: Some(CAUSE), seq: None })?;
            }
        }
    }
    Ok(())
}

fn compare_topic(
    reader: &Reader,
    topics: &Topics,
    rows: &RowsSnapshot,
    table: Table,
) -> Result<Found, Failed> {
    let (index, topic) = topics.of(table);
    let mut found = Found::default();
    read_topic(reader, &topic.name, topic.partitions, None, |message| {
        // Without a key it is nobody's row, and no tombstone could take it back.
        let Some(key) = message.key() else { return Ok(()) };
        let partition = message.partition();
        let is_at_home = partition == partition_of(key, topic.partitions);
        let what = fingerprint(index, key, None);
        let mut stands = false;
        if let Some(value) = message.payload().filter(|_| is_at_home)
            && let Some(key) = key_bytes(table, key)
        {
            stands = rows.get(table.code(), &key)?.as_deref() == Some(value);
        }
        if is_at_home {
            if stands {
                found.standing.insert(what)
            } else {
                found.standing.remove(&what)
            };
        }
        let place = (partition, key.to_vec());
        let is_wrong = message.payload().is_some() && !stands;
        if is_wrong {
            found.wrong.insert(place)
        } else {
            found.wrong.remove(&place)
        };
        Ok::<(), Failed>(())
    })?;
    Ok(found)
}
