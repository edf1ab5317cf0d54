//! What is refused of positions before anything else looks at them, and the names of the reasons.

use crate::{Coord, GraphSettings, TimeMs};

/// How far a fix may be ahead of the instant at its arrival.
const FUTURE_TOLERANCE_MS: i64 = 5 * 60_000;
/// Positions with both |lon| and |lat| below this many degrees are the null island.
const NULL_ISLAND_DEGREES: f64 = 1e-4;

/// Why a record is not used, or (for `BadValue`) used in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[allow(missing_docs)]
pub enum RejectReason {
    Malformed,
    OutOfRange,
    NullIsland,
    Future,
    TooLate,
    Jump,
    BadValue,
}

impl RejectReason {
    /// All reasons, in the order in which they are tested.
    pub const ALL: [RejectReason; 7] = [
        RejectReason::Malformed,
        RejectReason::OutOfRange,
        RejectReason::NullIsland,
        RejectReason::Future,
        RejectReason::TooLate,
        RejectReason::Jump,
        RejectReason::BadValue,
    ];

    /// The name in rows and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            RejectReason::Malformed => "malformed",
            RejectReason::OutOfRange => "out_of_range",
            RejectReason::NullIsland => "null_island",
            RejectReason::Future => "future",
            RejectReason::TooLate => "too_late",
            RejectReason::Jump => "jump",
            RejectReason::BadValue => "bad_value",
        }
    }
}

/// Tests a well-formed position in the contract's order; `Ok` is the rounded coordinate.
///
/// `instant` is the record's own instant. The range tests come before the instant is moved by the
/// record, which is why [`range_ok`] exists apart.
pub fn admit(
    lon: f64,
    lat: f64,
    event_time: TimeMs,
    instant: TimeMs,
    settings: &GraphSettings,
) -> Result<Coord, RejectReason> {
    range_ok(lon, lat, event_time)?;
    if event_time.0 > instant.0.saturating_add(FUTURE_TOLERANCE_MS) {
        return Err(RejectReason::Future);
    }
    if event_time.0 < instant.0.saturating_sub(settings.horizon_ms) {
        return Err(RejectReason::TooLate);
    }
    Coord::from_degrees(lon, lat).map_err(|_| RejectReason::OutOfRange)
}

/// The part of [`admit`] that needs no instant: a record that fails it does not move the instant.
pub fn range_ok(lon: f64, lat: f64, event_time: TimeMs) -> Result<(), RejectReason> {
    if !lon.is_finite() || !lat.is_finite() {
        return Err(RejectReason::Malformed);
    }
    let time_ok = event_time >= TimeMs::EARLIEST_EVENT && event_time < TimeMs::LATEST_EVENT;
    if lon.abs() > 180.0 || lat.abs() > 90.0 || !time_ok {
        return Err(RejectReason::OutOfRange);
    }
    if lon.abs() < NULL_ISLAND_DEGREES && lat.abs() < NULL_ISLAND_DEGREES {
        return Err(RejectReason::NullIsland);
    }
    Ok(())
}
