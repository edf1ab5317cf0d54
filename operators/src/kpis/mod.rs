//! KPIs: what happened in windows of time, by slice.
//!
//! ```text
//!   visits, trips, alerts ±-> [ parts: what, of whom, when ] --exchange by slice--> [ windows ] ---------> rows ±
//!   steps of presence ------> [ sums of a tick by bucket   ] /                                            |
//!   controls (every worker)    \--parts of trucks--> [ days and weeks of this worker's trucks ] ----------/
//!                                  steps of presence -/
//! ```
//!
//! Frontiers: as for visits; a tick is worked on at once when the inputs have passed it, first here and then, with
//! the parts of all workers, where the slice is. Rows move at ticks whose instant reaches a multiple of a hop.
//!
//! Invariants:
//! 1. Parts and sums of steps add up: what stands in a window is the sum of all of its time, in whatever order they
//!    came.
//! 2. What goes on from one time to another is told by its two ends, so a window needs the sums at its own two ends
//!    only, and a fix that goes on as before changes nothing but the end.
//! 3. Rows count what happened before the mark, from all records up to the tick that reached it.
//! 4. All windows begin and end at multiples of 10 seconds, those of trucks at multiples of 15 minutes: no bucket is
//!    in two windows.

mod board;
mod calendar;
mod gather;
mod operator;
mod parts;
mod places;
mod present;
mod samples;
mod shown;
mod steps;
mod tally;
#[cfg(test)]
mod tests;
mod trucks;
mod windows;

pub use board::KpiFacts;
pub use operator::kpis;
pub use parts::SliceKey;
pub use tally::MetricKey;
