//! The four spellings of times, two of them without a zone.

use std::cell::RefCell;

use jiff::Timestamp;
use jiff::tz::Offset;
use model::{TimeError, TimeMs, TimeZone};

use crate::json;
use crate::shape::in_printable_years;

/// Reads `2024-02-05T12:30:45Z`, `2022-08-09T14:47:44.000+05:30`, `2024-02-10T14:30:00` or
/// `17-12-2021 09:57:07`; the last two are taken in the zone of that name.
pub(super) fn parse(field: &str, text: &str, naive_timezone: &str) -> Result<TimeMs, String> {
    let bad = |why: &dyn std::fmt::Display| format!("{field} {}: {why}", json::quoted(text));
    let as_if_utc = match TimeMs::parse_rfc3339(text) {
        Ok(time) => return in_printable_years(field, time),
        Err(TimeError::NoZone) => TimeMs::parse_lenient(text, 0).map_err(|error| bad(&error))?,
        Err(TimeError::Shape) => match day_first(text) {
            Some(time) => time.ok_or_else(|| bad(&TimeError::Range))?,
            None => return Err(bad(&"not a time such as 2024-02-05T12:30:45Z or 17-12-2021 09:57:07")),
        },
        Err(error) => return Err(bad(&error)),
    };
    let time = in_zone(as_if_utc, naive_timezone).map_err(|why| bad(&why))?;
    in_printable_years(field, time)
}

/// `DD-MM-YYYY HH:MM:SS`, read as if it were UTC. The outer `None`: it has another shape; the inner one:
/// there is no such moment.
fn day_first(text: &str) -> Option<Option<TimeMs>> {
    let &[d1, d2, b'-', m1, m2, b'-', y1, y2, y3, y4, b' ' | b'T', h1, h2, b':', n1, n2, b':', s1, s2] =
        text.as_bytes()
    else {
        return None;
    };
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0_i64, |value, &digit| {
            digit.is_ascii_digit().then(|| value * 10 + i64::from(digit - b'0'))
        })
    };
    let date = (number(&[y1, y2, y3, y4])?, number(&[m1, m2])?, number(&[d1, d2])?);
    let second = number(&[s1, s2])?;
    let clock = (number(&[h1, h2])?, number(&[n1, n2])?, if second == 60 { 59 } else { second });
    Some(TimeMs::from_civil(date, clock))
}

/// The moment at which clocks in the zone show what `as_if_utc` shows in UTC: the earlier of two, and where
/// there is none, as if the clocks had not been set forward yet.
fn in_zone(as_if_utc: TimeMs, name: &str) -> Result<TimeMs, String> {
    const BEYOND: &str = "the time is too far from now for its zone";
    let civil = Timestamp::from_millisecond(as_if_utc.0).map_err(|_| BEYOND)?;
    let civil = Offset::UTC.to_datetime(civil);
    with_zone(name, |zone| {
        let moment = zone.to_ambiguous_timestamp(civil).compatible().map_err(|_| BEYOND)?;
        Ok(TimeMs(moment.as_millisecond()))
    })
}

/// The zone of an IANA name.
pub(super) fn zone(name: &str) -> Result<TimeZone, String> {
    model::time_zone(name).map_err(|error| format!("{} is {error}", json::quoted(name)))
}

/// Uses a zone; the last one used is at hand, since an account has but one.
fn with_zone<T>(name: &str, with: impl FnOnce(&TimeZone) -> Result<T, String>) -> Result<T, String> {
    thread_local! {
        static LAST: RefCell<Option<(String, TimeZone)>> = const { RefCell::new(None) };
    }
    LAST.with_borrow_mut(|last| match last {
        Some((known, zone)) if known == name => with(zone),
        _ => {
            let (_, zone) = last.insert((name.to_owned(), zone(name)?));
            with(zone)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, zone: &str) -> String {
        parse("gpstime", text, zone).map_or_else(|reason| reason, |time| time.to_string())
    }

    #[test]
    fn four_spellings() {
        assert_eq!(at("2024-02-05T12:30:45Z", "Asia/Kolkata"), "2024-02-05T12:30:45Z");
        assert_eq!(at("2022-08-09T14:47:44.000+05:30", "Africa/Lagos"), "2022-08-09T09:17:44Z");
        assert_eq!(at("2024-02-10T14:30:00", "Asia/Kolkata"), "2024-02-10T09:00:00Z");
        assert_eq!(at("2024-02-10T14:30:00.250", "Africa/Lagos"), "2024-02-10T13:30:00.250Z");
        assert_eq!(at("17-12-2021 09:57:07", "Asia/Kolkata"), "2021-12-17T04:27:07Z");
        assert_eq!(at("17-12-2021 09:57:60", "Africa/Lagos"), "2021-12-17T08:57:59Z");
    }

    #[test]
    fn clocks_set_back_and_forward() {
        assert_eq!(at("29-10-2023 02:30:00", "Europe/Berlin"), "2023-10-29T00:30:00Z", "the earlier of two");
        assert_eq!(at("26-03-2023 02:30:00", "Europe/Berlin"), "2023-03-26T01:30:00Z", "there is none");
        assert_eq!(at("26-03-2023 03:00:00", "Europe/Berlin"), "2023-03-26T01:00:00Z");
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, zone, word) in [
            ("31-02-2021 09:57:07", "Asia/Kolkata", "no such date"),
            ("17-12-2021 24:57:07", "Asia/Kolkata", "no such date"),
            ("17-13-2021 09:57:07", "Asia/Kolkata", "no such date"),
            ("17/12/2021 09:57:07", "Asia/Kolkata", "not a time"),
            ("1772614991", "Asia/Kolkata", "not a time"),
            ("", "Asia/Kolkata", "not a time"),
            ("17-12-2021 09:57:07", "Mars/Base", "IANA"),
            ("17-12-2021 09:57:07", "", "IANA"),
            ("31-12-9999 23:59:59", "America/New_York", "time"),
            ("9999-12-31T23:59:59-01:00", "Asia/Kolkata", "years"),
        ] {
            assert!(at(text, zone).contains(word), "{text} {zone}: {}", at(text, zone));
        }
        assert_eq!(at("01-01-0001 00:00:00", "UTC"), "0001-01-01T00:00:00Z");
    }
}
