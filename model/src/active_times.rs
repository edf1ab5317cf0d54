//! Schedules as moments: when a fence with an active schedule is in force.
//!
//! ```text
//!   local week    Mo 06:00 |-----| 18:00   Tu 06:00 |-----| 18:00   ...     spans, the same every week
//!                     v         v               v         v
//!   moments       ----|=========|---------------|=========|-----------      stretches
//! ```
//!
//! A span begins, and ends, at the first moment at which clocks in the zone show that time or a later one. So
//! a time that is shown twice, because clocks are set back, is its first showing; one that is never shown,
//! because they are set forward, is the moment at which they are set.
//!
//! Invariants: a later local time is never an earlier moment; stretches are not empty and do not touch.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::schedule::{MINUTES_PER_WEEK, WeekSpan};
use crate::zone::{first_moment, offset_ms};
use crate::{ALWAYS, NEVER};

const MS_PER_MINUTE: i64 = 60_000;
const MS_PER_WEEK: i64 = MINUTES_PER_WEEK as i64 * MS_PER_MINUTE;
/// 1970-01-05, a Monday, at 00:00, as clocks show it.
const FIRST_MONDAY_MS: i64 = 4 * 86_400_000;
/// 0001-01-01 in UTC: for earlier times the calendar begins here.
const CALENDAR_BEGINS_MS: i64 = -62_135_596_800_000;

/// When a fence with a schedule is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActiveTimes {
    spans: Arc<[WeekSpan]>,
    zone: TimeZone,
}

/// Active time without interruption, `[start_ms, end_ms)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// First millisecond; [`ALWAYS`] for a schedule that is never off.
    pub start_ms: i64,
    /// First millisecond that is not active any more; [`NEVER`] for a schedule that is never off.
    pub end_ms: i64,
}

impl ActiveTimes {
    pub(crate) fn new(spans: Arc<[WeekSpan]>, zone: TimeZone) -> ActiveTimes {
        ActiveTimes { spans, zone }
    }

    /// Whether the schedule is active at a time.
    #[must_use]
    pub fn is_active(&self, time_ms: i64) -> bool {
        if self.is_never_off() {
            return true;
        }
        self.occurrence_from(time_ms).is_some_and(|(_, stretch)| stretch.start_ms <= time_ms)
    }

    /// The stretch that holds a time, else the next one; `None` when the calendar ends before, which it does
    /// with the year 9999.
    #[must_use]
    pub fn stretch_from(&self, time_ms: i64) -> Option<Stretch> {
        if self.is_never_off() {
            return Some(Stretch { start_ms: ALWAYS, end_ms: NEVER });
        }
        let (mut number, mut stretch) = self.occurrence_from(time_ms)?;
        // Local time between two spans may be skipped as clocks are set forward.
        while let Some(next) = self.moments(number + 1).filter(|next| next.start_ms <= stretch.end_ms) {
            stretch.end_ms = next.end_ms;
            number += 1;
        }
        Some(stretch)
    }

    fn is_never_off(&self) -> bool {
        *self.spans == [WeekSpan::WHOLE_WEEK]
    }

    /// The first occurrence of a span that is not over at a time, and its number.
    fn occurrence_from(&self, time_ms: i64) -> Option<(i64, Stretch)> {
        let time_ms = time_ms.max(CALENDAR_BEGINS_MS);
        let offset = self.zone.to_offset(Timestamp::from_millisecond(time_ms).ok()?);
        let since_monday_ms = time_ms + offset_ms(offset) - FIRST_MONDAY_MS;
        let week = since_monday_ms.div_euclid(MS_PER_WEEK);
        let in_week_ms = since_monday_ms.rem_euclid(MS_PER_WEEK);
        let begun = self.spans.partition_point(|s| i64::from(s.start_min) * MS_PER_MINUTE <= in_week_ms);
        // Those before the last one that has begun are over. It may be over, too, and the next one may have
        // begun before clocks were set back; spans that clocks skip never take place.
        let mut number = week * self.spans.len() as i64 + begun as i64 - 1;
        loop {
            let stretch = self.moments(number)?;
            if stretch.end_ms > time_ms && stretch.start_ms < stretch.end_ms {
                return Some((number, stretch));
            }
            number += 1;
        }
    }

    /// Beginning and end of the occurrence with that number; spans of all weeks are numbered in their order.
    fn moments(&self, number: i64) -> Option<Stretch> {
        let spans_per_week = self.spans.len() as i64;
        let monday_ms = FIRST_MONDAY_MS + number.div_euclid(spans_per_week) * MS_PER_WEEK;
        let span = self.spans.get(usize::try_from(number.rem_euclid(spans_per_week)).ok()?)?;
        let moment = |minute: u16| first_moment(&self.zone, monday_ms + i64::from(minute) * MS_PER_MINUTE);
        Some(Stretch { start_ms: moment(span.start_min)?, end_ms: moment(span.end_min)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Schedule, TimeMs, time_zone};
    use jiff::tz::Offset;
    use proptest::prelude::*;

    const MINUTES_PER_DAY: usize = 1440;

    fn ms(time: &str) -> i64 {
        TimeMs::parse_rfc3339(time).unwrap().0
    }

    fn active(schedule: &str, zone: &str) -> ActiveTimes {
        Schedule::parse(schedule).unwrap().resolve(&time_zone(zone).unwrap())
    }

    /// The stretch from a time on, as `start end` in UTC.
    fn stretch(schedule: &str, zone: &str, from: &str) -> String {
        let stretch = active(schedule, zone).stretch_from(ms(from)).unwrap();
        format!("{} {}", TimeMs(stretch.start_ms), TimeMs(stretch.end_ms))
    }

    #[test]
    fn stretches_of_an_ordinary_week() {
        let (hours, lagos) = ("Mo-Fr 06:00-18:00; Sa 08:00-12:00", "Africa/Lagos");
        let friday = "2026-01-09T05:00:00Z 2026-01-09T17:00:00Z";
        assert_eq!(stretch(hours, lagos, "2026-01-09T04:59:59.999Z"), friday);
        assert_eq!(stretch(hours, lagos, "2026-01-09T05:00:00Z"), friday);
        assert_eq!(stretch(hours, lagos, "2026-01-09T16:59:59.999Z"), friday);
        let saturday = "2026-01-10T07:00:00Z 2026-01-10T11:00:00Z";
        assert_eq!(stretch(hours, lagos, "2026-01-09T17:00:00Z"), saturday);
        let monday = "2026-01-12T05:00:00Z 2026-01-12T17:00:00Z";
        assert_eq!(stretch(hours, lagos, "2026-01-10T11:00:00Z"), monday);
        assert_eq!(
            stretch("Su 22:00-05:00", lagos, "2026-01-12T03:00:00Z"),
            "2026-01-11T21:00:00Z 2026-01-12T04:00:00Z"
        );
        let weekend = "2026-01-10T07:00:00Z 2026-01-12T03:00:00Z";
        assert_eq!(
            stretch("Sa 08:00-24:00; Su 00:00-24:00; Mo 00:00-04:00", lagos, "2026-01-10T07:00:00Z"),
            weekend
        );
    }

    #[test]
    fn a_time_shown_twice_is_its_first_showing() {
        // In London clocks go from 02:00 to 01:00 at 2026-10-25T01:00:00Z.
        let on = |schedule| stretch(schedule, "Europe/London", "2026-10-24T22:00:00Z");
        assert_eq!(on("Su 00:30-01:30"), "2026-10-24T23:30:00Z 2026-10-25T00:30:00Z", "not again at 01:00");
        assert_eq!(on("Su 01:30-03:00"), "2026-10-25T00:30:00Z 2026-10-25T03:00:00Z", "without a break");
        assert_eq!(on("Su 00:30-02:00"), "2026-10-24T23:30:00Z 2026-10-25T02:00:00Z");
        assert!(!active("Su 00:30-01:30", "Europe/London").is_active(ms("2026-10-25T01:15:00Z")));
    }

    #[test]
    fn a_time_never_shown_is_the_moment_that_clocks_are_set() {
        // In London clocks go from 01:00 to 02:00 at 2026-03-29T01:00:00Z.
        let on = |schedule| stretch(schedule, "Europe/London", "2026-03-28T22:00:00Z");
        assert_eq!(on("Su 00:30-01:30"), "2026-03-29T00:30:00Z 2026-03-29T01:00:00Z");
        assert_eq!(on("Su 01:30-02:30"), "2026-03-29T01:00:00Z 2026-03-29T01:30:00Z");
        assert_eq!(
            on("Su 00:30-01:10,01:50-02:30"),
            "2026-03-29T00:30:00Z 2026-03-29T01:30:00Z",
            "no break is left"
        );
        assert_eq!(on("Su 01:10-01:50"), "2026-04-05T00:10:00Z 2026-04-05T00:50:00Z", "not on that day");
    }

    #[test]
    fn at_the_ends_of_time() {
        let day = active("06:00-18:00", "Africa/Lagos");
        assert!(!day.is_active(ALWAYS) && !day.is_active(NEVER) && day.stretch_from(NEVER).is_none());
        assert!(day.stretch_from(ALWAYS).unwrap().start_ms >= CALENDAR_BEGINS_MS - MS_PER_WEEK);
        let always = active("24/7", "Europe/London");
        assert!(always.is_active(ALWAYS) && always.is_active(NEVER));
        assert_eq!(always.stretch_from(0), Some(Stretch { start_ms: ALWAYS, end_ms: NEVER }));
    }

    /// Spans of each day as (first minute, how many), as they were drawn.
    type DrawnWeek = Vec<Vec<(usize, usize)>>;

    fn drawn_week() -> impl Strategy<Value = DrawnWeek> {
        let minute = prop_oneof![0..MINUTES_PER_DAY, (0..48_usize).prop_map(|half_hour| half_hour * 30)];
        let length = prop_oneof![1..MINUTES_PER_DAY, (1..12_usize).prop_map(|five| five * 5)];
        let days = prop::collection::vec(prop::collection::vec((minute, length), 0..4), 7);
        days.prop_filter("never active", |days| days.iter().any(|day| !day.is_empty()))
    }

    fn text_of(week: &DrawnWeek) -> String {
        let clock = |minute: usize| format!("{:02}:{:02}", minute / 60 % 24, minute % 60);
        let span = |&(start, length): &(usize, usize)| format!("{}-{}", clock(start), clock(start + length));
        let spans = |day: &Vec<(usize, usize)>| day.iter().map(span).collect::<Vec<_>>().join(",");
        let days = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"].into_iter().zip(week);
        let rules =
            days.filter(|(_, spans)| !spans.is_empty()).map(|(day, own)| format!("{day} {}", spans(own)));
        rules.collect::<Vec<_>>().join("; ")
    }

    /// What must be active, minute by minute: a clock that stands still while clocks that were set back catch
    /// up, read against a table of the week's minutes.
    fn by_walking(week: &DrawnWeek, zone: &TimeZone, from_ms: i64, minutes: usize) -> Vec<bool> {
        let mut table = vec![false; 7 * MINUTES_PER_DAY];
        for (day, spans) in week.iter().enumerate() {
            for minute in spans.iter().flat_map(|&(start, length)| start..start + length) {
                table[(day * MINUTES_PER_DAY + minute) % (7 * MINUTES_PER_DAY)] = true;
            }
        }
        let mut latest_shown_ms = i64::MIN;
        let mut walk = Vec::with_capacity(minutes);
        for minute in 0..minutes as i64 {
            let time_ms = from_ms + minute * MS_PER_MINUTE;
            let shown = zone.to_datetime(Timestamp::from_millisecond(time_ms).unwrap());
            let shown_ms = Offset::UTC.to_timestamp(shown).unwrap().as_millisecond();
            latest_shown_ms = latest_shown_ms.max(shown_ms);
            let in_week = (latest_shown_ms - FIRST_MONDAY_MS).rem_euclid(MS_PER_WEEK) / MS_PER_MINUTE;
            walk.push(table[in_week as usize]);
        }
        walk
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn agrees_with_a_clock_that_is_read_every_minute(
            week in drawn_week(),
            (zone, from) in prop::sample::select(vec![
                ("Africa/Lagos", "2026-03-20T00:00:00Z"),
                ("Europe/London", "2026-03-20T00:00:00Z"),
                ("Europe/London", "2026-10-16T00:00:00Z"),
                ("America/New_York", "2026-02-28T00:00:00Z"),
                ("America/New_York", "2045-10-28T00:00:00Z"),
                ("America/Sao_Paulo", "2018-10-27T00:00:00Z"), // set forward at midnight
                ("Australia/Lord_Howe", "2026-04-01T00:00:00Z"), // by half an hour
                ("Pacific/Apia", "2011-12-25T00:00:00Z"), // a day that never was
            ]),
        ) {
            const MINUTES: usize = 17 * MINUTES_PER_DAY;
            let zone = time_zone(zone).unwrap();
            let text = text_of(&week);
            let times = Schedule::parse(&text).unwrap().resolve(&zone);
            let walk = by_walking(&week, &zone, ms(from), MINUTES);
            let at = |minute: usize| ms(from) + minute as i64 * MS_PER_MINUTE;
            let next = |from: usize, state: bool| walk[from..].iter().position(|s| *s == state).map(|n| from + n);
            for (minute, &is_active) in walk.iter().enumerate() {
                for time_ms in [at(minute), at(minute) + MS_PER_MINUTE - 1] {
                    prop_assert_eq!(times.is_active(time_ms), is_active, "{} at {}", text, TimeMs(time_ms));
                }
                // What is cut by the end of the walk is not known.
                let Some(start) = next(minute, true) else { continue };
                let Some(end) = next(start, false) else { continue };
                let got = times.stretch_from(at(minute)).unwrap();
                prop_assert_eq!(got.end_ms, at(end), "{} at {}", text, TimeMs(at(minute)));
                if start > minute {
                    prop_assert_eq!(got.start_ms, at(start), "{} at {}", text, TimeMs(at(minute)));
                } else {
                    prop_assert!(got.start_ms <= at(minute));
                }
            }
        }
    }
}
