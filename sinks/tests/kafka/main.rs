//! The sink on Kafka against a real broker, which `WATCHTOWER_KAFKA_BROKERS` names (`cargo xtask services up` starts
//! one). Without it the tests are skipped with a word, except where `CI` is `true`: there they fail.
//!
//! Each test has topics of its own, which are deleted at its end.

#![allow(clippy::unwrap_used)]

mod kafka;
#[path = "../it/rows.rs"]
mod rows;
mod topics;
