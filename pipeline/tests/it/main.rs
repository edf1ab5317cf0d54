//! The graph against the naive oracle: generated inputs at every tick, real fleets in many
//! orders, and the service's loop over a journal on disk.

#![allow(clippy::unwrap_used)]

mod alert_events;
mod alerts;
mod backfill;
mod days;
mod etas;
mod generated;
mod harness;
mod kept;
mod kpis;
mod real_data;
mod real_orders;
mod service;
mod steps;
mod telling;
mod trips;
mod vectors;
mod walks;
