//! The HTTP interface from outside: a real listener, a real store, ticks fed by hand.

#![allow(clippy::unwrap_used)]

mod alerts;
mod changes;
mod entities;
mod fences;
mod harness;
mod ingest;
mod kpis;
mod operation;
mod reading;
mod rejects;
mod tracking;
mod trips;
mod visits;
