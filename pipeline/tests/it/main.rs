//! The graph against the naive oracle: generated inputs at every tick, and real fleets in many orders.

#![allow(clippy::unwrap_used)]

mod generated;
mod harness;
mod real_data;
