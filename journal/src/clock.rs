//! The clock that stamps entries: monotonic, anchored to the wall clock when minting begins.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::StoreError;

/// How far before the journal's last instant the wall clock may be at a start.
const MAX_BEHIND_MS: i64 = 60 * 1000;
/// How far after the journal's last instant the wall clock may be at a start.
const MAX_AHEAD_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// The wall clock, in milliseconds since 1970.
pub(crate) fn wall_clock_ms() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
    }
}

/// Refuses a start with a wall clock that is far from the journal's last instant.
pub(crate) fn check(wall_ms: i64, last_ms: Option<i64>, accept: bool) -> Result<(), StoreError> {
    let Some(last_ms) = last_ms else { return Ok(()) };
    let too_early = wall_ms < last_ms.saturating_sub(MAX_BEHIND_MS);
    let too_late = wall_ms > last_ms.saturating_add(MAX_AHEAD_MS);
    if (too_early || too_late) && !accept {
        return Err(StoreError::Clock { now_ms: wall_ms, last_ms });
    }
    Ok(())
}

/// Gives instants that never go back.
pub(crate) struct Clock {
    started: Instant,
    anchor_ms: i64,
    last_ms: i64,
}

impl Clock {
    /// A clock that shows `wall_ms` now. A wall clock a little behind the journal's last instant stands at
    /// that instant until the time has come; one that is far behind (and was accepted) goes on from there,
    /// because standing still would stop every timer.
    pub(crate) fn anchored(wall_ms: i64, last_ms: Option<i64>) -> Clock {
        let last_ms = last_ms.unwrap_or(i64::MIN);
        let far_behind = wall_ms < last_ms.saturating_sub(MAX_BEHIND_MS);
        Clock { started: Instant::now(), anchor_ms: if far_behind { last_ms } else { wall_ms }, last_ms }
    }

    pub(crate) fn now_ms(&mut self) -> i64 {
        let elapsed_ms = i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.last_ms = self.last_ms.max(self.anchor_ms.saturating_add(elapsed_ms));
        self.last_ms
    }
}

/// A time for people: RFC 3339 in UTC, with milliseconds.
pub(crate) fn rfc3339(ms: i64) -> String {
    let (days, ms_of_day) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    let (hour, minute) = (ms_of_day / 3_600_000, ms_of_day / 60_000 % 60);
    let (second, millis) = (ms_of_day / 1000 % 60, ms_of_day % 1000);
    // Civil date from days since 1970-01-01, in eras of 400 years that begin on 1 March.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAST: i64 = 1_700_000_000_000;

    #[test]
    fn a_clock_far_away_is_refused_unless_accepted() {
        assert!(check(LAST - 60_000, Some(LAST), false).is_ok());
        assert!(check(LAST - 60_001, Some(LAST), false).is_err());
        assert!(check(LAST - 60_001, Some(LAST), true).is_ok());
        assert!(check(LAST + MAX_AHEAD_MS, Some(LAST), false).is_ok());
        let refused = check(LAST + MAX_AHEAD_MS + 1, Some(LAST), false).unwrap_err().to_string();
        assert!(refused.contains("2023-11-14T22:13:20.000Z"), "{refused}");
        assert!(refused.contains("2023-11-21T22:13:20.001Z"), "{refused}");
        assert!(refused.contains("--accept-clock"), "{refused}");
        assert!(check(0, None, false).is_ok());
    }

    #[test]
    fn a_clock_never_shows_less_than_the_last_instant() {
        let mut a_little_behind = Clock::anchored(LAST - 30_000, Some(LAST));
        assert_eq!(a_little_behind.now_ms(), LAST);
        let mut far_behind = Clock::anchored(LAST - 1_000_000_000, Some(LAST));
        std::thread::sleep(std::time::Duration::from_millis(5));
        assert!(far_behind.now_ms() > LAST, "it goes on instead of standing still");
        let mut ahead = Clock::anchored(LAST + 500, Some(LAST));
        let first = ahead.now_ms();
        assert!(first >= LAST + 500);
        assert!(ahead.now_ms() >= first);
    }

    #[test]
    fn times_read_as_people_write_them() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(951_782_400_001), "2000-02-29T00:00:00.001Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59.999Z");
    }
}
