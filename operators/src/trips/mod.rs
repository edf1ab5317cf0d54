//! Trips: which visit served which, and where the others are.
//!
//! ```text
//!   visit rows ± ---------> [ trips and visits per vehicle | timers by instant ] --> trip rows ±, planned and not
//!   trip controls -------/    ^
//!   plans, statuses, places,  | how far it went
//!   instants, settings        tracks of presence
//! ```
//!
//! Frontiers: as for visits; a tick is worked on at once when both inputs have passed it. A vehicle's visits,
//! fixes and trips are on one worker. What is said of trips and places goes to all workers: a trip may change
//! its vehicle.
//!
//! Invariants:
//! 1. After a tick the rows of a vehicle's trips are a function of their plans, statuses, places, the settings,
//!    the vehicle's visits and good fixes, and the instant.
//! 2. Visits to deliveries serve trips in their order, and what one serves does not depend on later ones. So a
//!    change at a time leaves what was served before it alone.
//! 3. What is not served is judged by the instant, after each change and when a timer says that the instant
//!    makes a difference.
//! 4. Trips that nobody planned are made last of all: they depend on what plans account for, and no plan depends on
//!    them.

mod auto;
mod control;
mod detail;
mod operator;
mod plans;
mod rows;
mod serve;
mod sites;
mod vehicle;

pub use control::{ClientKey, PersonKey, Place, Plan, TripControl, TripKey};
pub use detail::{Moments, TripDetail};
pub use operator::{Trips, TripsWork, trips};
pub use rows::{AutoTrip, Times, Told, TripDelta, TripFacts, TripOut};
