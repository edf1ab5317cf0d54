//! The sink in PostgreSQL against a real server, which `WATCHTOWER_POSTGRES_URL` names (`cargo xtask services up`
//! starts one). Without it the tests are skipped with a word, except where `CI` is `true`: there they fail.
//!
//! Each test has a database of its own.

#![allow(clippy::unwrap_used)]

mod postgres;
mod retention;
mod rows;
mod server;
