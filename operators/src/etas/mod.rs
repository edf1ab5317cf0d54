//! ETAs: when trips that are in transit are expected at their delivery.
//!
//! ```text
//!   trips ± ---+-------------------------> [ trips in transit | how long trips took, by places ] --> ETAs ±
//!              \--what took how long----->    ^
//!                 to every worker             | where vehicles are, and how fast they were of late
//!   trip controls: instants                   tracks of presence
//! ```
//!
//! Frontiers: as for trips. A trip is on the worker of its vehicle; how long trips took is known to every worker.
//!
//! Invariants:
//! 1. After a tick the rows are a function of the rows of trips, the vehicles' good fixes, the fences and the mark: the
//!    last multiple of `HOP_MS` that the instant has reached. So are they whatever the order of arrival.
//! 2. All are computed anew when the mark moves; between marks only those whose evidence changed.
//! 3. Where enough trips between the same places took longer than this one has taken yet, its row depends on them
//!    alone, and not on any fix.

mod history;
mod operator;
mod pace;

pub use operator::{EtaFacts, etas};

/// ETAs move by so much, and so often.
pub(crate) const HOP_MS: i64 = 300_000;
