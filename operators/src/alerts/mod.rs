//! Alerts: what is worth telling, from fixes, fences, trips and the provider.
//!
//! ```text
//!   presence rows ± --+
//!   trip rows ± ------+--> [ runs of fixes per vehicle | rules, fences, trips | timers by instant ] --> alerts ±
//!   controls ---------+      ^
//!   rules, fences, settings, | which good fixes came and went, and what they are
//!   the provider's           tracks of presence
//!
//!   stays ± ----------+
//!   trip rows ± ------+--> [ stays and trips per vehicle | rules, fences, trips | timers by instant ] --> alerts ±
//!   controls ---------+
//! ```
//!
//! Frontiers: as for visits; a tick is worked on at once when all inputs have passed it. A vehicle's rows and fixes
//! are on one worker; what is said of rules, fences and trips goes to all.
//!
//! Invariants:
//! 1. After a tick the alerts of a vehicle are a function of its good fixes, presences and trips, of the rules and
//!    fences as far as corrections reach, of what the provider told, and of the instant.
//! 2. A maximal run of fixes is known whether it is an alert or not, so what holds just before any time is known
//!    without the fixes before it. A change at a time is judged from there on, until all is as it was.
//! 3. A timer is set for no later than the next instant that makes a difference.

mod companies;
mod control;
mod delays;
mod entries;
mod events;
mod fences;
mod motion;
mod rows;
mod rules;
mod trips;

pub use control::{AlertControl, CompanyKey, KindKey, ProviderIn, ScopeKey, TextKey, kind_key};
pub use events::event_alerts;
pub use motion::{MotionWork, motion_alerts};
pub use rows::{AlertFacts, Details, Subject};
