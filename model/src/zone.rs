//! Time zones by their IANA names.

use jiff::tz::TimeZoneDatabase;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_known_by_their_names_only() {
        assert_eq!(time_zone("Africa/Lagos").unwrap().iana_name(), Some("Africa/Lagos"));
        assert_eq!(time_zone("utc").unwrap().iana_name(), Some("UTC"));
        for wrong in ["", "Mars/Base", "WAT", "+01:00", "../etc/passwd", "Etc/Unknown"] {
            assert_eq!(time_zone(wrong), Err(UnknownZone), "{wrong}");
        }
    }
}
