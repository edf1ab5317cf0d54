//! What leaves the graph when a tick closes.

use std::sync::Arc;

use crate::{AlertMark, Change, Coord, Fence, LocationEdit, Position, TimeMs, TripEdit, VehicleEdit};

/// An admitted position of one vehicle.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Fix {
    /// The vehicle's identity.
    pub vehicle_id: Arc<str>,
    /// The spelling received, where it is another one than the identity.
    pub spelling: Option<Arc<str>>,
    /// Position of the record in the whole input, from 1.
    pub seq: u64,
    /// Rounded coordinate.
    pub at: Coord,
    /// The numbers as received.
    pub position: Position,
    /// The instant at arrival.
    pub received: TimeMs,
}

/// A fence edit that took effect in a tick.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum FenceEdit {
    /// Created or replaced.
    Upsert(Arc<Fence>),
    /// Deleted from a time on.
    Delete {
        /// Which fence.
        id: Arc<str>,
        /// From when on it is gone.
        at: TimeMs,
    },
}

/// A trip's record that took effect in a tick.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct TripRecord {
    /// Which trip.
    pub id: Arc<str>,
    /// What happens to it.
    pub edit: TripEdit,
    /// The whole record as compact JSON without `received_time`.
    pub json: String,
}

/// A location's record that took effect in a tick.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct LocationRecord {
    /// Which location.
    pub id: Arc<str>,
    /// What happens to it.
    pub edit: LocationEdit,
    /// The whole record as compact JSON without `received_time`.
    pub json: String,
}

/// A record of other master data that took effect in a tick.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum EntityRecord {
    /// Of a vehicle.
    Vehicle {
        /// Which vehicle.
        id: Arc<str>,
        /// What happens to it.
        edit: VehicleEdit,
        /// The whole record as compact JSON without `received_time`.
        json: String,
    },
    /// Of what the graph has no use for: a driver, an organization, an assignment.
    Other {
        /// The contract's `type`.
        kind: &'static str,
        /// The whole record as compact JSON without `received_time`.
        json: String,
    },
}

/// What somebody said of an alert in a tick. The graph has no use for it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AlertMarkRecord {
    /// Which alert, as it was named.
    pub alert_id: Arc<str>,
    /// What is said of it.
    pub mark: AlertMark,
    /// Who.
    pub by: Arc<str>,
}

/// Everything that became true when a tick closed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClosedTick {
    /// The tick's number, from 1, without gaps.
    pub tick: u64,
    /// The instant that the state after this tick is exact for.
    pub instant: TimeMs,
    /// How many records the input had up to and with this tick.
    pub records: u64,
    /// Changes of derived rows, ordered by table, key, -1 before +1.
    pub changes: Vec<Change>,
    /// Positions admitted in this tick, in order of arrival.
    pub fixes: Vec<Fix>,
    /// Fence edits of this tick, in order of arrival.
    pub fence_edits: Vec<FenceEdit>,
    /// Records of trips of this tick, in order of arrival.
    pub trip_records: Vec<TripRecord>,
    /// Records of locations of this tick, in order of arrival.
    pub location_records: Vec<LocationRecord>,
    /// Records of vehicles, drivers, organizations and assignments of this tick, in order, where they are shown.
    pub entity_records: Vec<EntityRecord>,
}
