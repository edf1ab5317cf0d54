//! Days and weeks of the calendar in a zone, as moments.
//!
//! ```text
//!   clocks set forward   00:00 --- 01:00|03:00 ----------- 24:00     a day of 23 hours
//!   set back             00:00 --- 02:00|01:00 ----------- 24:00     one of 25
//! ```
//!
//! A day begins at the first moment at which clocks show its midnight or a later time, and ends where the next
//! one begins. A week is seven of them, from Monday on.
//!
//! Invariant: windows of one kind lie side by side, without gaps; each time is in exactly one.

use jiff::Timestamp;

use crate::zone::{first_moment, offset_ms};
use crate::{TimeMs, TimeZone};

const DAY_MS: i64 = 86_400_000;
/// 1970-01-05 was a Monday.
const FIRST_MONDAY: i64 = 4;

/// Some time, `[start, end)`, never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    /// First millisecond.
    pub start: TimeMs,
    /// First millisecond that is not part of it any more.
    pub end: TimeMs,
}

/// The day that holds a time; `None` where the calendar has none, which begins with the year -9999 and ends with
/// 9999.
#[must_use]
pub fn day_of(time: TimeMs, zone: &TimeZone) -> Option<Window> {
    window_from(day_shown(time, zone)?, 1, time, zone)
}

/// The week that holds a time; `None` where the calendar has none.
#[must_use]
pub fn week_of(time: TimeMs, zone: &TimeZone) -> Option<Window> {
    let day = day_shown(time, zone)?;
    let monday = day - (day - FIRST_MONDAY).rem_euclid(7);
    window_from(monday, 7, time, zone)
}

/// The day, counted from 1970-01-01, that clocks show at a time.
fn day_shown(time: TimeMs, zone: &TimeZone) -> Option<i64> {
    let offset = zone.to_offset(Timestamp::from_millisecond(time.0).ok()?);
    Some((time.0 + offset_ms(offset)).div_euclid(DAY_MS))
}

/// The window of so many days that clocks show at a time; or the next one, where clocks were set back over
/// midnight, and show again what is over.
fn window_from(first_day: i64, days: i64, time: TimeMs, zone: &TimeZone) -> Option<Window> {
    let mut day = first_day;
    loop {
        let start = TimeMs(first_moment(zone, day * DAY_MS)?);
        let end = TimeMs(first_moment(zone, (day + days) * DAY_MS)?);
        if end > time {
            return Some(Window { start, end });
        }
        day += days;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time_zone;

    fn at(time: &str) -> TimeMs {
        TimeMs::parse_rfc3339(time).unwrap()
    }

    fn shown(window: Option<Window>) -> String {
        window.map_or("none".to_owned(), |window| {
            let hours = (window.end.0 - window.start.0) / 3_600_000;
            format!("{} {} {hours} h", window.start, window.end)
        })
    }

    fn day(zone: &str, time: &str) -> String {
        shown(day_of(at(time), &time_zone(zone).unwrap()))
    }

    fn week(zone: &str, time: &str) -> String {
        shown(week_of(at(time), &time_zone(zone).unwrap()))
    }

    /// What is counted is summed in quarters of an hour, and none may be in two days.
    #[test]
    fn days_begin_at_quarters_of_an_hour_in_every_zone_since_2000() {
        let until = at("2040-01-01T00:00:00Z");
        let since = Timestamp::from_millisecond(TimeMs::EARLIEST_EVENT.0).unwrap();
        let mut days = 0;
        for name in jiff::tz::TimeZoneDatabase::bundled().available() {
            let zone = time_zone(name.as_str()).unwrap();
            let set = zone.following(since).map(|set| TimeMs(set.timestamp().as_millisecond()));
            let set = set.take_while(|time| *time < until).flat_map(|time| [time, time.plus_ms(-1)]);
            for time in [TimeMs::EARLIEST_EVENT, until].into_iter().chain(set) {
                for window in [day_of(time, &zone), week_of(time, &zone)].into_iter().flatten() {
                    let are_whole = [window.start, window.end].map(|time| time.0.rem_euclid(900_000) == 0);
                    assert_eq!(are_whole, [true; 2], "{} {window:?}", name.as_str());
                    days += 1;
                }
            }
        }
        assert!(days > 10_000, "{days}");
    }

    #[test]
    fn ordinary_days_and_weeks() {
        let lagos = "Africa/Lagos";
        let monday = "2026-01-04T23:00:00Z 2026-01-05T23:00:00Z 24 h";
        assert_eq!(day(lagos, "2026-01-04T23:00:00Z"), monday);
        assert_eq!(day(lagos, "2026-01-05T22:59:59.999Z"), monday);
        assert_eq!(day(lagos, "2026-01-05T23:00:00Z"), "2026-01-05T23:00:00Z 2026-01-06T23:00:00Z 24 h");
        let whole = "2026-01-04T23:00:00Z 2026-01-11T23:00:00Z 168 h";
        assert_eq!(week(lagos, "2026-01-04T23:00:00Z"), whole);
        assert_eq!(week(lagos, "2026-01-11T22:59:59.999Z"), whole);
        // A week may belong to two years.
        assert_eq!(week("UTC", "2026-01-01T12:00:00Z"), "2025-12-29T00:00:00Z 2026-01-05T00:00:00Z 168 h");
        assert_eq!(week("UTC", "1970-01-01T00:00:00Z"), "1969-12-29T00:00:00Z 1970-01-05T00:00:00Z 168 h");
    }

    #[test]
    fn clocks_that_are_set_make_days_of_23_and_25_hours() {
        let london = "Europe/London";
        let spring = "2026-03-29T00:00:00Z 2026-03-29T23:00:00Z 23 h";
        assert_eq!(day(london, "2026-03-29T00:00:00Z"), spring);
        assert_eq!(day(london, "2026-03-29T22:59:59Z"), spring);
        assert_eq!(day(london, "2026-03-29T23:00:00Z"), "2026-03-29T23:00:00Z 2026-03-30T23:00:00Z 24 h");
        assert_eq!(day(london, "2026-10-25T12:00:00Z"), "2026-10-24T23:00:00Z 2026-10-26T00:00:00Z 25 h");
        assert_eq!(week(london, "2026-03-29T12:00:00Z"), "2026-03-23T00:00:00Z 2026-03-29T23:00:00Z 167 h");
        assert_eq!(week(london, "2026-10-25T12:00:00Z"), "2026-10-18T23:00:00Z 2026-10-26T00:00:00Z 169 h");
    }

    #[test]
    fn days_whose_midnight_is_skipped_or_shown_twice() {
        // From 00:00 to 01:00: the day begins at 01:00.
        assert_eq!(
            day("America/Sao_Paulo", "2018-11-04T12:00:00Z"),
            "2018-11-04T03:00:00Z 2018-11-05T02:00:00Z 23 h"
        );
        // From 01:00 to 00:00: the day begins with the first midnight.
        assert_eq!(
            day("America/Havana", "2026-11-01T04:30:00Z"),
            "2026-11-01T04:00:00Z 2026-11-02T05:00:00Z 25 h"
        );
        assert_eq!(
            day("America/Havana", "2026-11-01T05:30:00Z"),
            day("America/Havana", "2026-11-01T04:30:00Z")
        );
        // From 00:01 to 23:01 of the day before: that is over.
        let day_before = "2010-11-06T02:30:00Z 2010-11-07T02:30:00Z 24 h";
        assert_eq!(day("America/St_Johns", "2010-11-07T02:29:59Z"), day_before);
        let shown_as_day_before = day("America/St_Johns", "2010-11-07T02:45:00Z");
        assert_eq!(shown_as_day_before, "2010-11-07T02:30:00Z 2010-11-08T03:30:00Z 25 h");
        // A day that never was, the 30th.
        let eve = "2011-12-29T10:00:00Z 2011-12-30T10:00:00Z 24 h";
        assert_eq!(day("Pacific/Apia", "2011-12-30T09:59:59Z"), eve);
        assert_eq!(
            day("Pacific/Apia", "2011-12-30T10:00:00Z"),
            "2011-12-30T10:00:00Z 2011-12-31T10:00:00Z 24 h"
        );
        assert_eq!(
            week("Pacific/Apia", "2011-12-30T10:00:00Z"),
            "2011-12-26T10:00:00Z 2012-01-01T10:00:00Z 144 h"
        );
    }

    #[test]
    fn at_the_ends_of_time() {
        let utc = time_zone("UTC").unwrap();
        for time in [TimeMs(i64::MIN), TimeMs(i64::MAX)] {
            assert_eq!((day_of(time, &utc), week_of(time, &utc)), (None, None));
        }
    }

    proptest! {
        #[test]
        fn windows_lie_side_by_side(
            zone in prop::sample::select(vec![
                "Africa/Lagos", "Europe/London", "America/Havana", "America/St_Johns", "Pacific/Apia",
                "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Kathmandu",
            ]),
            ms in 946_684_800_000..4_102_444_800_000_i64,
            near in prop::option::of(prop::sample::select(vec!["2010-11-07T02:31:00Z", "2011-12-30T10:00:00Z"])),
            off_ms in -200_000_000..200_000_000_i64,
        ) {
            let zone = time_zone(zone).unwrap();
            let time = near.map_or(TimeMs(ms), |near| at(near).plus_ms(off_ms));
            for of in [day_of, week_of] {
                let window = of(time, &zone).unwrap();
                prop_assert!(window.start <= time && time < window.end);
                prop_assert_eq!(of(window.start, &zone), Some(window));
                prop_assert_eq!(of(window.end.plus_ms(-1), &zone), Some(window));
                prop_assert_eq!(of(window.end, &zone).map(|next| next.start), Some(window.end));
            }
        }
    }
}
