//! When a fence with a schedule is in force, straight from what the schedule says of each day.
//!
//! ```text
//!   text     "Mo-Fr 22:00-05:00; Fr off"       what each day of the week has
//!   day      Mo 2026-01-05  22:00-29:00        what clocks there show, from that day's midnight
//!   moments  21:00Z..04:00Z                    the first at which they show as much or more
//! ```

use std::array;

use jiff::Timestamp;
use model::{TimeMs, TimeZone};

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
const DAYS: [&str; 7] = ["mo", "tu", "we", "th", "fr", "sa", "su"];
/// How far what clocks show may be from UTC, with a date line that moves.
const FARTHEST_FROM_UTC_MS: i64 = 2 * DAY_MS;
/// So many days show whether a schedule, which is the same every week, is ever active or inactive: clocks may skip
/// that time in one week.
const DAYS_THAT_SHOW_ALL: i64 = 30;

/// A schedule in its zone.
pub(super) struct Schedule {
    /// From Monday on: `[begin, end)` in minutes from the day's midnight.
    spans_of_days: [Vec<(i64, i64)>; 7],
    zone: TimeZone,
}

impl Schedule {
    /// Reads a schedule that is well-formed.
    pub fn new(schedule: &model::Schedule, fleet_zone: &TimeZone) -> Schedule {
        let mut text = schedule.text().to_ascii_lowercase();
        text.retain(|c| !c.is_whitespace());
        let mut spans_of_days: [Vec<(i64, i64)>; 7] = Default::default();
        for rule in text.split(';').filter(|rule| !rule.is_empty()) {
            let times_from = rule.find("off").or_else(|| rule.find(|c: char| c.is_ascii_digit()));
            let (days, times) = rule.split_at(times_from.unwrap_or(rule.len()));
            let is_meant = days_of(days);
            for (spans, _) in spans_of_days.iter_mut().zip(is_meant).filter(|(_, is_meant)| *is_meant) {
                *spans = spans_of(times);
            }
        }
        Schedule { spans_of_days, zone: schedule.zone().unwrap_or(fleet_zone).clone() }
    }

    pub fn is_active(&self, time: TimeMs) -> bool {
        self.active_until(time).is_some()
    }

    /// The first time at which it is not active, after one at which it is; `None` where that never ends.
    pub fn end_of_stretch(&self, time: TimeMs) -> Option<TimeMs> {
        let mut end = time;
        while let Some(later) = self.active_until(end) {
            end = later;
            if end.0 - time.0 > DAYS_THAT_SHOW_ALL * DAY_MS {
                return None;
            }
        }
        Some(end)
    }

    /// Whether it is active at any time in `[from, until)`.
    pub fn is_ever_active(&self, from: TimeMs, until: TimeMs) -> bool {
        let last_day = self.day_shown(until);
        (last_day - DAYS_THAT_SHOW_ALL..=last_day)
            .flat_map(|day| self.moments_of_day(day))
            .any(|(begin, end)| begin < end && begin < until && end > from)
    }

    /// Until when a span that holds a time lasts.
    fn active_until(&self, time: TimeMs) -> Option<TimeMs> {
        // A span may be of the day before, and a day may be missing from the calendar between the two.
        let day = self.day_shown(time);
        let spans = (day - 2..=day + 1).flat_map(|day| self.moments_of_day(day));
        spans.filter(|&(begin, end)| begin <= time && time < end).map(|(_, end)| end).max()
    }

    /// The day, counted from 1970-01-01, that clocks show at a time.
    fn day_shown(&self, time: TimeMs) -> i64 {
        (time.0 + self.ahead_of_utc_ms(time.0)).div_euclid(DAY_MS)
    }

    /// Beginnings and ends of the spans of one day.
    fn moments_of_day(&self, day: i64) -> impl Iterator<Item = (TimeMs, TimeMs)> {
        // The first day of 1970 was a Thursday.
        let spans = &self.spans_of_days[(day + 3).rem_euclid(7) as usize];
        let moment = move |minute: i64| self.first_moment(day * DAY_MS + minute * MINUTE_MS);
        spans.iter().map(move |&(begin, end)| (moment(begin), moment(end)))
    }

    /// The first moment at which clocks show a time (in milliseconds, as if it were UTC) or a later one.
    fn first_moment(&self, shown_ms: i64) -> TimeMs {
        let mut since_ms = shown_ms - FARTHEST_FROM_UTC_MS;
        let changes =
            self.zone.following(timestamp(since_ms)).map(|change| change.timestamp().as_millisecond());
        // Between two changes clocks run evenly.
        for change_ms in changes {
            let moment_ms = since_ms.max(shown_ms - self.ahead_of_utc_ms(since_ms));
            if moment_ms < change_ms {
                return TimeMs(moment_ms);
            }
            since_ms = change_ms;
        }
        TimeMs(since_ms.max(shown_ms - self.ahead_of_utc_ms(since_ms)))
    }

    fn ahead_of_utc_ms(&self, time_ms: i64) -> i64 {
        i64::from(self.zone.to_offset(timestamp(time_ms)).seconds()) * 1000
    }
}

/// The nearest time that the calendar has.
fn timestamp(time_ms: i64) -> Timestamp {
    let beyond = if time_ms < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_millisecond(time_ms).unwrap_or(beyond)
}

/// Which days a rule is about; all where it names none.
fn days_of(text: &str) -> [bool; 7] {
    if text.is_empty() {
        return [true; 7];
    }
    let number = |name: &str| DAYS.iter().position(|day| *day == name).unwrap_or_default();
    let ranges: Vec<(usize, usize)> = text
        .split(',')
        .map(|days| days.split_once('-').unwrap_or((days, days)))
        .map(|(first, last)| (number(first), number(last)))
        .collect();
    let is_in = |day: usize, (first, last): (usize, usize)| match first <= last {
        true => first <= day && day <= last,
        false => first <= day || day <= last,
    };
    array::from_fn(|day| ranges.iter().any(|&range| is_in(day, range)))
}

/// The spans of one day, in minutes.
fn spans_of(text: &str) -> Vec<(i64, i64)> {
    let minute = |time: &str| {
        let (hours, minutes) = time.split_once(':')?;
        Some(hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?)
    };
    let span = |text: &str| {
        let (begin, end) = text.split_once('-')?;
        let (begin, end) = (minute(begin)?, minute(end)?);
        Some((begin, if end > begin { end } else { end + 24 * 60 }))
    };
    match text {
        "24/7" => vec![(0, 24 * 60)],
        "off" => Vec::new(),
        _ => text.split(',').filter_map(span).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::time_zone;
    use proptest::prelude::*;

    /// Zones and times at which clocks there are set: an hour forward and back, half an hour, a day forward.
    const CHANGES: [(&str, &str); 6] = [
        ("Europe/London", "2026-03-29T01:00:00Z"),
        ("Europe/London", "2026-10-25T01:00:00Z"),
        ("America/Sao_Paulo", "2018-11-04T03:00:00Z"),
        ("Australia/Lord_Howe", "2026-04-04T15:00:00Z"),
        ("Australia/Lord_Howe", "2026-10-03T15:30:00Z"),
        ("Pacific/Apia", "2011-12-30T10:00:00Z"),
    ];

    /// Texts with spans that begin and end around midnight and the small hours, where clocks are set.
    fn texts() -> impl Strategy<Value = String> {
        let time = || (prop_oneof![3 => 0..4_u8, 1 => 0..24_u8], prop_oneof![Just(0_u8), 0..60_u8]);
        let span =
            (time(), time()).prop_map(|((h1, m1), (h2, m2))| format!("{h1:02}:{m1:02}-{h2:02}:{m2:02}"));
        let times = prop_oneof![
            8 => prop::collection::vec(span, 1..4).prop_map(|spans| spans.join(", ")),
            1 => Just("off".to_owned()),
            1 => Just("00:00-24:00".to_owned()),
        ];
        let day = || prop::sample::select(vec!["Mo", "tu", "We", "Th", "Fr", "Sa", "SU"]);
        let days = prop_oneof![
            Just(String::new()),
            (day(), day()).prop_map(|(first, last)| format!("{first}-{last} ")),
            prop::collection::vec(day(), 1..3).prop_map(|days| format!("{} ", days.join(","))),
        ];
        let rule = (days, times).prop_map(|(days, times)| format!("{days}{times}"));
        (prop::option::weighted(0.1, Just("24/7; ")), prop::collection::vec(rule, 1..4))
            .prop_map(|(first, rules)| format!("{}{}", first.unwrap_or_default(), rules.join("; ")))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        /// Two readings of the same definitions: where they differ, one is wrong.
        #[test]
        fn schedules_mean_what_the_model_makes_of_them(
            text in texts(), change in 0..CHANGES.len(), minutes in prop::collection::vec(-6000..6000_i64, 30),
        ) {
            let Ok(schedule) = model::Schedule::parse(&text) else { return Ok(()) };
            let (zone, at) = CHANGES[change];
            let zone = time_zone(zone).unwrap();
            let (ours, theirs) = (Schedule::new(&schedule, &zone), schedule.resolve(&zone));
            let at = TimeMs::parse_rfc3339(at).unwrap();
            for minute in minutes.into_iter().chain(-65..65) {
                let time = at.plus_ms(minute * MINUTE_MS);
                prop_assert_eq!(ours.is_active(time), theirs.is_active(time.0), "{} at {}", text, time);
                if ours.is_active(time) {
                    let end = theirs.stretch_from(time.0).map(|stretch| stretch.end_ms);
                    let never = model::NEVER;
                    let our_end = ours.end_of_stretch(time).map_or(never, |end| end.0);
                    prop_assert_eq!(Some(our_end), end, "{} at {}", text, time);
                }
            }
        }
    }
}
