//! The dataflow operators: spatial index, cleaning, presence, stays, visits, trips and KPIs.
//!
//! Everything here is a pure function of its inputs and of the instants of ticks: no clock, no I/O, no
//! randomness, no JSON, and no iteration over hash order reaches an output.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod spatial;

pub mod alerts;
mod control;
pub mod etas;
pub mod fences;
pub mod kpis;
pub mod presence;
mod rows;
pub mod state;
mod ticks;
pub mod trips;
pub mod visits;

pub use control::Control;
pub use rows::{Delta, Derived, Keyed, Visit, net};
