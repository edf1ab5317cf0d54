//! What sources hand over: records of the input, after decoding.

use std::sync::Arc;

use crate::{
    AlertMark, AlertRule, Fence, LocationEdit, ProviderAlert, SettingValue, TimeMs, TripEdit, VehicleEdit,
};

/// Which optional values of a position could not be read; such a position counts, without them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BadFields(pub u8);

impl BadFields {
    /// `speed_kmh`.
    pub const SPEED: BadFields = BadFields(1);
    /// `heading`.
    pub const HEADING: BadFields = BadFields(2);
    /// `ignition`.
    pub const IGNITION: BadFields = BadFields(4);
    /// `accuracy_m`.
    pub const ACCURACY: BadFields = BadFields(8);
    /// `received_time`, of a record in a file.
    pub const RECEIVED_TIME: BadFields = BadFields(16);

    /// Whether any value was bad.
    #[must_use]
    pub fn any(self) -> bool {
        self.0 != 0
    }

    /// Whether this field was bad.
    #[must_use]
    pub fn has(self, field: BadFields) -> bool {
        self.0 & field.0 != 0
    }

    /// Adds a field.
    pub fn add(&mut self, field: BadFields) {
        self.0 |= field.0;
    }
}

/// The numbers of a position, as received: nothing is rounded or judged yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Position {
    /// When the vehicle was there.
    pub event_time: TimeMs,
    /// Longitude, degrees; finite, but perhaps out of range.
    pub lon: f64,
    /// Latitude, degrees; finite, but perhaps out of range.
    pub lat: f64,
    /// Speed, km/h.
    pub speed_kmh: Option<f64>,
    /// Degrees clockwise from north.
    pub heading: Option<f64>,
    /// Whether the engine was on.
    pub ignition: Option<bool>,
    /// Accuracy, metres.
    pub accuracy_m: Option<f64>,
    /// Optional values that could not be read.
    pub bad: BadFields,
    /// It belongs to a backfill: it is never too late.
    pub exempt: bool,
}

/// A position and whose it is, borrowed from the bytes that it was decoded from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PositionRef<'a> {
    /// The vehicle's identity.
    pub vehicle_id: &'a str,
    /// The spelling received, where it is another one than the identity.
    pub spelling: Option<&'a str>,
    /// The numbers.
    pub position: Position,
}

/// Every kind of record but positions.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// A fence is created or replaced.
    FenceUpsert(Arc<Fence>),
    /// A fence ends, at `at` or at the record's instant.
    FenceDelete {
        /// Which fence.
        id: Arc<str>,
        /// From when on it is gone.
        at: Option<TimeMs>,
    },
    /// Settings of the arithmetic change, for all of the kept past.
    Settings(Vec<(String, SettingValue)>),
    /// Corrections reach all of `[from, to)` again, and positions of it are not too late: those that are
    /// marked [`exempt`](Position::exempt) came before this record.
    Backfill {
        /// First millisecond.
        from: TimeMs,
        /// First millisecond that is not part of it any more; after `from`.
        to: TimeMs,
    },
    /// A trip is planned, or its status is set by hand.
    Trip {
        /// Which trip.
        id: Arc<str>,
        /// What happens to it.
        edit: TripEdit,
        /// The whole record as compact JSON without `received_time`: trips have more fields than the
        /// arithmetic needs.
        json: String,
    },
    /// A location is created, replaced or deleted.
    Location {
        /// Which location.
        id: Arc<str>,
        /// What happens to it.
        edit: LocationEdit,
        /// The whole record as compact JSON without `received_time`.
        json: String,
    },
    /// When alerts of a kind are raised changes.
    Rule {
        /// The rule.
        rule: Arc<AlertRule>,
        /// The whole record as compact JSON without `received_time`.
        json: String,
    },
    /// The tracking provider tells of something.
    ProviderAlert {
        /// What it tells.
        alert: Arc<ProviderAlert>,
        /// The whole record as compact JSON without `received_time`.
        json: String,
    },
    /// Somebody acknowledges or resolves an alert.
    AlertMark {
        /// Which alert.
        alert_id: Arc<str>,
        /// What is said of it.
        mark: AlertMark,
        /// Who.
        by: Arc<str>,
        /// The whole record as compact JSON without `received_time`.
        json: String,
    },
    /// A vehicle is created, replaced or deleted.
    Vehicle {
        /// Which vehicle.
        id: Arc<str>,
        /// What happens to it.
        edit: VehicleEdit,
        /// The whole record as compact JSON without `received_time`.
        json: String,
    },
    /// Time has passed.
    Clock,
    /// A record of a known type that the graph has no use for yet; kept as compact JSON without
    /// `received_time`.
    Other {
        /// The contract's `type`.
        kind: &'static str,
        /// The whole object.
        json: String,
    },
    /// What could not be decoded, and why. Counts as malformed.
    Undecodable {
        /// Why.
        reason: String,
    },
}

/// Where decoders put what they find, in order. Positions are passed borrowed because there are many.
pub trait RecordSink {
    /// A position. `received_time` is what the record itself says of its arrival, if anything.
    fn position(&mut self, received_time: Option<TimeMs>, position: PositionRef<'_>);
    /// Any other record.
    fn record(&mut self, received_time: Option<TimeMs>, record: Record);
}
