//! Alerts that follow from a vehicle's fixes: speed, idling, silence, harsh driving and trips that leave their
//! corridor; and the provider's, of which some are of the same things.

mod changes;
mod operator;
mod provider;
mod runs;
mod terms;
mod vehicle;

pub use operator::{MotionWork, motion_alerts};
