//! Holds the topics against the changelog's rows, for `verify`.

use anyhow::Context;
use journal::Changelog;
use kafka_client::{BrokerError, Reader, partition_count};
use model::Table;
use rdkafka::message::Message as _;

use super::KafkaConfig;
use super::cursor::{CursorRecord, look};
use super::keys::key_bytes;
use super::partition::partition_of;
use super::read::read_topic;
use super::topics::full_name;
use crate::live::{AsOf, Comparison, Rows, rows_at};

/// Compares the last message of each key with the row that stood at the cursor's tick.
pub fn compare(config: &KafkaConfig, changelog: &Changelog) -> anyhow::Result<Comparison> {
    config.check().map_err(anyhow::Error::msg)?;
    let whose = format!("the topics {}", config.target());
    let (as_of, present) = read_all(config, changelog.identity(), &whose)
        .with_context(|| format!("{whose} could not be compared"))?;
    let must_be = rows_at(changelog, as_of.tick, &whose)?;
    Ok(Comparison::of(as_of, present, must_be))
}

fn read_all(config: &KafkaConfig, identity: &str, whose: &str) -> anyhow::Result<(AsOf, Rows)> {
    let reader = config.cluster.reader(&config.reader_name(), 0)?;
    let topic = full_name(config, "cursor");
    let seen = if partition_count(&reader, &topic)? == 0 { None } else { look(&reader, &topic, None)? };
    let Some(cursor) = seen.and_then(|seen| seen.cursor) else {
        return Ok((AsOf::default(), Rows::new()));
    };
    anyhow::ensure!(cursor.journal == identity, "{whose} are of another journal");
    let as_of = cursor.as_of().context("the cursor's instant is no time")?;
    let mut rows = Rows::new();
    for table in Table::ALL {
        read_table(config, &reader, &cursor, table, &mut rows)?;
    }
    Ok((as_of, rows))
}

fn read_table(
    config: &KafkaConfig,
    reader: &Reader,
    cursor: &CursorRecord,
    table: Table,
    rows: &mut Rows,
) -> Result<(), BrokerError> {
    let topic = full_name(config, table.as_str());
    let (Some(ends), count) = (cursor.ends.get(table.as_str()), partition_count(reader, &topic)?) else {
        return Ok(());
    };
    read_topic(reader, &topic, count, Some(ends), |message| {
        let (key, partition) = (message.key().unwrap_or_default(), message.partition());
        // A key that is none of ours, or not where it belongs, is told beside the row that stands.
        let key = key_bytes(table, key)
            .filter(|_| partition == partition_of(key, count))
            .unwrap_or_else(|| [&partition.to_be_bytes()[..], key].concat());
        match message.payload() {
            Some(value) => rows.insert((table, key), value.to_vec()),
            None => rows.remove(&(table, key)),
        };
        Ok(())
    })
}
