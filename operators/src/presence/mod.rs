//! Presence: which vehicle is in which fence, from when to when.
//!
//! ```text
//!   fixes ----exchange by vehicle----+
//!                                    v
//!   controls (every worker) --> [ history per vehicle | fences, index, instant ] --> presence rows ±
//!   instants, edits, settings                                                   \--> reject rows ±
//! ```
//!
//! Frontiers: a tick is worked on when both inputs have passed it, all of it at once, in this order: the
//! instant, edits and settings, fixes, ends of coverage that the instant has reached (where there are edits or
//! settings, before the first of them: these may make it final). The output's frontier follows the inputs';
//! nothing is emitted for a tick after that.
//!
//! Invariants:
//! 1. After a tick the presences of a vehicle are a function of its admitted fixes, the fences' timelines,
//!    the settings and the instant; the order of arrival does not matter, except where two records are
//!    about the same fix or fence.
//! 2. What is emitted for a tick is the difference between the state before and after, up to pairs that
//!    cancel; every retraction names a row that was emitted before.
//! 3. Each vehicle's fixes are strictly ordered by event time, its presences by (`entered`, fence).
//! 4. A late fix costs a search, a few steps until the state is what it was, and the rows in between.

mod blocks_index;
mod fix;
mod history;
mod jumps;
mod kept;
mod near;
mod odometer;
mod operator;
mod output;
mod refence;
mod sets;
mod tracks;
mod vehicle;
mod walk;
mod world;

pub use fix::{FixIn, VehicleKey};
pub use operator::{PresenceWork, presence};
pub use output::{Crossing, Interval};
pub(crate) use tracks::{OFFLINE_AFTER_MS, is_moving};
pub use tracks::{Step, StepEnd, Tracks};
