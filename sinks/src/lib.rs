//! Sinks: where derived rows go. Each is a folder with the same files: `mod`, `config`, `sink`, `tests`.
//!
//! A sink of a replay is given closed ticks in order ([`Sink`]). One of a service follows the changelog at its own
//! pace, with a cursor of its own ([`live::LiveSink`]), and never delays another one.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod files;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod live;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod telling;

use model::ClosedTick;

/// What a sink of a replay does.
pub trait Sink {
    /// The name in logs and metrics.
    fn name(&self) -> &'static str;
    /// Takes in a closed tick; ticks come in order, each once.
    fn apply(&mut self, closed: &ClosedTick) -> anyhow::Result<()>;
    /// No more ticks come: everything taken in must be where it belongs when this returns.
    fn finish(&mut self) -> anyhow::Result<()>;
}
