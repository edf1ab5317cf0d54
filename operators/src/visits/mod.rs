//! Stays and visits: presences of one vehicle and fence, joined over short absences, that last.
//!
//! ```text
//!   presence rows ± ------> [ presences per fence and vehicle | timers by instant ] --> visit rows ±
//!   controls --------------/  instants, visit rules of fences, settings             \-> stays ±, for alerts
//! ```
//!
//! Frontiers: as for presence; a tick is worked on at once when both inputs have passed it. Rows are on
//! the worker of their vehicle already, so nothing is exchanged.
//!
//! Invariants:
//! 1. The presences of a key are ordered and do not overlap; only the last may be open.
//! 2. Stays are cut greedily from the left: a presence joins the stay before it when the absence is at most
//!    `max_absence` of the version that holds at the stay's start. So a change leaves the stays before
//!    the one that it falls into alone, and those after the first later boundary that did not move.
//! 3. A visit row is out exactly if its stay lasts `min_dwell` at the instant; a timer waits for the others
//!    that are open.

mod operator;
mod stays;

pub use operator::{Judged, StayFacts, VisitsWork, visits};
