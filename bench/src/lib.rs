//! Load and truth: a simulated fleet whose derived rows are known by construction, a sender that measures, the
//! demo that drives a fleet into a running service, and benchmarks.
//!
//! The simulator knows nothing of the operators: what it calls true is computed with its own plain geometry.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod demo;
pub mod measure;
pub mod oracle;
pub mod send;
pub mod simulate;
pub mod vectors;
