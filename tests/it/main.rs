//! The real binary, from outside: its commands, its service over HTTP, crashes, durability, the page; and the
//! geometry, held against PostGIS.
//!
//! One binary for all of it, so that it is linked once. Tests that need real data find them through
//! `WATCHTOWER_DATA`, PostgreSQL with PostGIS through `WATCHTOWER_POSTGRES_URL`, Kafka through
//! `WATCHTOWER_KAFKA_BROKERS`, what servers of their own are made with through `WATCHTOWER_POSTGRES_PROGRAMS` and
//! `WATCHTOWER_KAFKA_HOME`; what a machine lacks (those, a C compiler, a browser) skips a test with a word, except
//! where `CI` is `true`: there it fails.

mod backfill;
mod browser;
mod cdp;
#[cfg(all(feature = "kafka", feature = "postgres"))]
mod chaos;
mod cli;
mod common;
mod crash;
mod durability;
mod explain;
mod hostile;
#[cfg(feature = "kafka")]
mod kafka;
mod page;
mod postgis;
#[cfg(all(feature = "postgis", feature = "postgres"))]
mod postgis_input;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "postgres")]
mod postgres_journal;
#[cfg(feature = "postgres")]
mod referee;
mod service;
mod trips;
mod upgrade;
