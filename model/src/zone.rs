//! Time zones by their IANA names.

use jiff::Timestamp;
use jiff::tz::{AmbiguousOffset, Offset, TimeZoneDatabase};

use crate::TimeMs;

pub use jiff::tz::TimeZone;

/// A name that is no zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an IANA time zone such as Africa/Lagos")]
pub struct UnknownZone;

/// The zone of an IANA name. The database is the one that is built in, so that results do not depend on the
/// machine.
pub fn time_zone(name: &str) -> Result<TimeZone, UnknownZone> {
    let found = TimeZoneDatabase::bundled().get(name).ok().filter(|zone| !zone.is_unknown());
    found.ok_or(UnknownZone)
}

/// Zones in what is kept, by their names.
pub mod by_name {
    use serde::de::Error as _;
    use serde::ser::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::{TimeZone, time_zone};

    /// Writes the name.
    pub fn serialize<S: Serializer>(zone: &TimeZone, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(zone.iana_name().ok_or_else(|| S::Error::custom("a zone without a name"))?)
    }

    /// Reads a name, and finds the zone.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<TimeZone, D::Error> {
        time_zone(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// As [`by_name`], where there may be none.
pub mod by_name_if_any {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::TimeZone;

    #[derive(Serialize, Deserialize)]
    struct Named(#[serde(with = "super::by_name")] TimeZone);

    /// Writes the name, if any.
    pub fn serialize<S: Serializer>(zone: &Option<TimeZone>, to: S) -> Result<S::Ok, S::Error> {
        zone.clone().map(Named).serialize(to)
    }

    /// Reads a name, if any, and finds the zone.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<TimeZone>, D::Error> {
        Ok(Option::<Named>::deserialize(from)?.map(|Named(zone)| zone))
    }
}

/// The first moment at which clocks in a zone show a time (in milliseconds, as if it were UTC) or a later one.
/// `None`: the calendar has no such time.
pub(crate) fn first_moment(zone: &TimeZone, clocks_show_ms: i64) -> Option<i64> {
    let civil = Offset::UTC.to_datetime(Timestamp::from_millisecond(clocks_show_ms).ok()?);
    match zone.to_ambiguous_timestamp(civil).offset() {
        AmbiguousOffset::Unambiguous { offset } => Some(clocks_show_ms - offset_ms(offset)),
        AmbiguousOffset::Fold { before, .. } => Some(clocks_show_ms - offset_ms(before)),
        AmbiguousOffset::Gap { after, .. } => {
            let before_it = Timestamp::from_millisecond(clocks_show_ms - offset_ms(after)).ok()?;
            let set_forward = zone.following(before_it).next()?;
            Some(set_forward.timestamp().as_millisecond())
        }
    }
}

/// How far clocks with an offset are ahead of UTC.
pub(crate) fn offset_ms(offset: Offset) -> i64 {
    i64::from(offset.seconds()) * 1000
}

/// The day of a time in a zone, as ids of trips have it: `01/Apr/2025`. `None` for times that no calendar has.
#[must_use]
pub fn day_text(time: TimeMs, zone: &TimeZone) -> Option<String> {
    let zoned = Timestamp::from_millisecond(time.0).ok()?.to_zoned(zone.clone());
    Some(zoned.strftime("%d/%b/%Y").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_zone() {
        let zone = time_zone("Africa/Lagos").unwrap();
        let late = TimeMs::parse_rfc3339("2025-03-31T23:30:00Z").unwrap();
        assert_eq!(day_text(late, &zone).as_deref(), Some("01/Apr/2025"));
        assert_eq!(day_text(late, &TimeZone::UTC).as_deref(), Some("31/Mar/2025"));
        assert_eq!(day_text(TimeMs(i64::MAX), &zone), None);
    }

    #[test]
    fn zones_are_known_by_their_names_only() {
        assert_eq!(time_zone("Africa/Lagos").unwrap().iana_name(), Some("Africa/Lagos"));
        assert_eq!(time_zone("utc").unwrap().iana_name(), Some("UTC"));
        for wrong in ["", "Mars/Base", "WAT", "+01:00", "../etc/passwd", "Etc/Unknown"] {
            assert_eq!(time_zone(wrong), Err(UnknownZone), "{wrong}");
        }
    }
}
