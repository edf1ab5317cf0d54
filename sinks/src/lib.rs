//! Sinks: where derived rows go. Each is a folder with the same files: `mod`, `config`, `sink`, `tests`.
//!
//! A sink is given closed ticks in order, owns its cursor, and never delays another one.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod files;
pub mod telling;

use model::ClosedTick;

/// What every sink does.
pub trait Sink {
    /// The name in logs and metrics.
    fn name(&self) -> &'static str;
    /// Takes in a closed tick; ticks come in order, each once.
    fn apply(&mut self, closed: &ClosedTick) -> anyhow::Result<()>;
    /// No more ticks come: everything taken in must be where it belongs when this returns.
    fn finish(&mut self) -> anyhow::Result<()>;
}
