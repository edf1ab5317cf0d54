//! Vehicles: what is said of them, as far as the arithmetic needs it.

use std::sync::Arc;

/// What a record does to a vehicle.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum VehicleEdit {
    /// It is created, or replaced.
    Upsert {
        /// Whose it is, where that is known.
        company: Option<Arc<str>>,
        /// Whether it can drive; else it is in maintenance.
        is_operational: bool,
    },
    /// It is gone, as of the record's instant.
    Delete,
}
