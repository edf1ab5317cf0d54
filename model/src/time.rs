//! Event times and instants: milliseconds since 1970-01-01T00:00:00Z.

use std::fmt;

/// A point in time, in milliseconds since the Unix epoch, UTC.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct TimeMs(pub i64);

/// Why a text is not a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// The text is not `YYYY-MM-DDTHH:MM:SS[.fff](Z|+HH:MM)`.
    #[error("not an RFC 3339 time such as 2017-03-16T05:00:34Z")]
    Shape,
    /// A field of the text is out of its range (month 13, 31 February, hour 24, ...).
    #[error("no such date or time of day")]
    Range,
    /// Date and time of day are there, but no zone.
    #[error("the time has no zone; write Z or an offset such as +01:00")]
    NoZone,
}

/// A date and time of day without a zone, and whatever text follows it.
struct Parts<'a> {
    ms: i64,
    rest: &'a [u8],
}

impl TimeMs {
    /// The earliest event time that a fix may have: 2000-01-01T00:00:00Z.
    pub const EARLIEST_EVENT: TimeMs = TimeMs(946_684_800_000);
    /// The first instant that no fix may have any more: 2100-01-01T00:00:00Z.
    pub const LATEST_EVENT: TimeMs = TimeMs(4_102_444_800_000);

    /// Reads an RFC 3339 time with any offset; digits below the millisecond are cut off, and a leap
    /// second reads as `:59`.
    pub fn parse_rfc3339(text: &str) -> Result<TimeMs, TimeError> {
        let parts = parse_date_time(text.as_bytes())?;
        let offset_ms = match parts.rest {
            b"Z" | b"z" => 0,
            [] => return Err(TimeError::NoZone),
            [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
                let (hours, minutes) = (two(*h1, *h2)?, two(*m1, *m2)?);
                if hours > 23 || minutes > 59 {
                    return Err(TimeError::Range);
                }
                let ms = (hours * 60 + minutes) * 60_000;
                if *sign == b'-' { -ms } else { ms }
            }
            _ => return Err(TimeError::Shape),
        };
        Ok(TimeMs(parts.ms - offset_ms))
    }

    /// Reads a time whose zone may be missing; then `naive_offset_ms` (east positive) is taken.
    pub fn parse_lenient(text: &str, naive_offset_ms: i64) -> Result<TimeMs, TimeError> {
        match TimeMs::parse_rfc3339(text) {
            Err(TimeError::NoZone) => {
                let parts = parse_date_time(text.as_bytes())?;
                Ok(TimeMs(parts.ms - naive_offset_ms))
            }
            other => other,
        }
    }

    /// The time of a civil date and time of day in UTC; `None` where there is no such moment.
    pub fn from_civil(date: (i64, i64, i64), time_of_day: (i64, i64, i64)) -> Option<TimeMs> {
        civil_ms(date, time_of_day).map(TimeMs)
    }

    /// Appends the contract's spelling: UTC, `.mmm` only when it is not zero.
    pub fn write(self, out: &mut Vec<u8>) {
        let (days, ms_of_day) = (self.0.div_euclid(86_400_000), self.0.rem_euclid(86_400_000));
        let (year, month, day) = civil_from_days(days);
        let (seconds, millis) = (ms_of_day / 1000, ms_of_day % 1000);
        if (0..=9999).contains(&year) {
            push_digits(out, year, 4);
        } else {
            out.extend_from_slice(year.to_string().as_bytes());
        }
        for (sep, value) in [
            (b'-', month),
            (b'-', day),
            (b'T', seconds / 3600),
            (b':', seconds / 60 % 60),
            (b':', seconds % 60),
        ] {
            out.push(sep);
            push_digits(out, value, 2);
        }
        if millis != 0 {
            out.push(b'.');
            push_digits(out, millis, 3);
        }
        out.push(b'Z');
    }

    /// `self` moved by `ms`, kept within what an `i64` holds.
    #[must_use]
    pub fn plus_ms(self, ms: i64) -> TimeMs {
        TimeMs(self.0.saturating_add(ms))
    }
}

impl fmt::Display for TimeMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Vec::with_capacity(24);
        self.write(&mut out);
        f.write_str(&String::from_utf8_lossy(&out))
    }
}

fn push_digits(out: &mut Vec<u8>, value: i64, width: u32) {
    for place in (0..width).rev() {
        out.push(b'0' + u8::try_from(value / 10_i64.pow(place) % 10).unwrap_or(0));
    }
}

fn digit(byte: u8) -> Result<i64, TimeError> {
    if byte.is_ascii_digit() { Ok(i64::from(byte - b'0')) } else { Err(TimeError::Shape) }
}

fn two(tens: u8, ones: u8) -> Result<i64, TimeError> {
    Ok(digit(tens)? * 10 + digit(ones)?)
}

fn parse_date_time(b: &[u8]) -> Result<Parts<'_>, TimeError> {
    if b.len() < 19 {
        return Err(TimeError::Shape);
    }
    let separators =
        b[4] == b'-' && b[7] == b'-' && matches!(b[10], b'T' | b't' | b' ') && b[13] == b':' && b[16] == b':';
    if !separators {
        return Err(TimeError::Shape);
    }
    let year = two(b[0], b[1])? * 100 + two(b[2], b[3])?;
    let date = (year, two(b[5], b[6])?, two(b[8], b[9])?);
    let second = two(b[17], b[18])?;
    let clock = (two(b[11], b[12])?, two(b[14], b[15])?, if second == 60 { 59 } else { second });
    let mut ms = civil_ms(date, clock).ok_or(TimeError::Range)?;
    let mut rest = &b[19..];
    if let [b'.', fraction @ ..] = rest {
        let digits = fraction.iter().take_while(|c| c.is_ascii_digit()).count();
        if digits == 0 {
            return Err(TimeError::Shape);
        }
        for (place, weight) in [100, 10, 1].into_iter().enumerate() {
            if place < digits {
                ms += i64::from(fraction[place] - b'0') * weight;
            }
        }
        rest = &fraction[digits..];
    }
    Ok(Parts { ms, rest })
}

fn civil_ms((y, m, d): (i64, i64, i64), (hh, mm, ss): (i64, i64, i64)) -> Option<i64> {
    let in_range = (0..=9999).contains(&y)
        && (1..=12).contains(&m)
        && d >= 1
        && d <= days_in_month(y, m)
        && (0..24).contains(&hh)
        && (0..60).contains(&mm)
        && (0..60).contains(&ss);
    in_range.then(|| days_from_civil(y, m, d) * 86_400_000 + ((hh * 60 + mm) * 60 + ss) * 1000)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a proleptic Gregorian date (Hinnant's `days_from_civil`).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let shifted_month = (month + 9) % 12;
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_offsets_fractions_and_leap_seconds() {
        let at = |s: &str| TimeMs::parse_rfc3339(s).unwrap().to_string();
        assert_eq!(at("2017-03-16T05:00:34Z"), "2017-03-16T05:00:34Z");
        assert_eq!(at("2017-03-16T05:00:34.1239999+05:30"), "2017-03-15T23:30:34.123Z");
        assert_eq!(at("2016-12-31T23:59:60Z"), "2016-12-31T23:59:59Z");
        assert_eq!(at("0001-01-01T00:00:00Z"), "0001-01-01T00:00:00Z");
        assert_eq!(at("9999-12-31T23:59:59.999Z"), "9999-12-31T23:59:59.999Z");
        assert_eq!(TimeMs::parse_rfc3339("1970-01-01T00:00:00Z"), Ok(TimeMs(0)));
    }

    #[test]
    fn says_what_is_wrong() {
        let err = |s: &str| TimeMs::parse_rfc3339(s).unwrap_err();
        assert_eq!(err("2017-03-16T05:00:34"), TimeError::NoZone);
        assert_eq!(err("2017-02-29T05:00:34Z"), TimeError::Range);
        assert_eq!(err("2017-02-28T24:00:00Z"), TimeError::Range);
        assert_eq!(err("16-03-2017 05:00:34"), TimeError::Shape);
        assert_eq!(err("2017-03-16T05:00:34+25:00"), TimeError::Range);
        assert_eq!(err("2017-03-16T05:00:34.Z"), TimeError::Shape);
        assert_eq!(err(""), TimeError::Shape);
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(ms in -62_135_596_800_000_i64..253_402_300_800_000) {
            prop_assert_eq!(TimeMs::parse_rfc3339(&TimeMs(ms).to_string()), Ok(TimeMs(ms)));
        }
    }
}
