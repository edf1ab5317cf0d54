//! The graph against the naive oracle: generated inputs at every tick, real fleets in many
//! orders, and the service's loop over a journal on disk.

#![allow(clippy::unwrap_used)]

mod generated;
mod harness;
mod real_data;
mod service;
mod vectors;
