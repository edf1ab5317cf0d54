//! Active schedules of fences: a part of OpenStreetMap's `opening_hours` that people can read.
//!
//! ```text
//!   schedule = rule { ";" rule }             a later rule replaces earlier ones on its days
//!   rule     = "24/7" | [ days ] times       without days: every day
//!   days     = day [ "-" day ] { "," ... }   Mo Tu We Th Fr Sa Su; ranges may run over Sunday
//!   times    = "off" | span { "," span }
//!   span     = HH:MM "-" HH:MM               an end that is not after the beginning is on the next day
//! ```
//!
//! A span over midnight belongs to the day on which it begins. Spans that overlap or touch are one.

use std::sync::Arc;

use crate::{ActiveTimes, TimeZone};

pub(crate) const MINUTES_PER_WEEK: u16 = 7 * MINUTES_PER_DAY;
const MINUTES_PER_DAY: u16 = 24 * 60;
const DAYS: [&str; 7] = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"];
const EVERY_DAY: [bool; 7] = [true; 7];
/// More than anybody writes. What a longer one costs to read would be the sender's choice.
const MAX_TEXT_BYTES: usize = 1000;
/// How much of a wrong word is shown.
const MAX_SHOWN_CHARS: usize = 20;

/// When in a week a fence is in force, in the local time of its zone.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Schedule {
    text: Arc<str>,
    /// In order, with time between each and the next, unless one holds the whole week.
    spans: Arc<[WeekSpan]>,
    #[serde(with = "crate::zone::by_name_if_any")]
    zone: Option<TimeZone>,
}

/// `[start, end)` in minutes of a week that begins on Monday at 00:00; `end` may be in the next week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct WeekSpan {
    pub(crate) start_min: u16,
    pub(crate) end_min: u16,
}

impl WeekSpan {
    pub(crate) const WHOLE_WEEK: WeekSpan = WeekSpan { start_min: 0, end_min: MINUTES_PER_WEEK };

    fn of_next_week(self) -> WeekSpan {
        WeekSpan { start_min: self.start_min + MINUTES_PER_WEEK, end_min: self.end_min + MINUTES_PER_WEEK }
    }

    /// Takes in a span that begins no earlier, where the two overlap or touch.
    fn join(&mut self, later: WeekSpan) -> bool {
        let meet = later.start_min <= self.end_min;
        if meet {
            self.end_min = self.end_min.max(later.end_min);
        }
        meet
    }
}

/// Why a text is no schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} (character {at}); write it like \"Mo-Fr 06:00-18:00; Sa 08:00-12:00\" or \"22:00-05:00\"")]
pub struct ScheduleError {
    what: String,
    /// From 1.
    at: usize,
}

impl Schedule {
    /// Reads a schedule.
    pub fn parse(text: &str) -> Result<Schedule, ScheduleError> {
        if text.len() > MAX_TEXT_BYTES {
            let what = format!("the schedule has {} bytes; at most {MAX_TEXT_BYTES} are read", text.len());
            return Err(ScheduleError { what, at: 1 });
        }
        let mut reader = Reader { text, at: 0 };
        let mut spans_of_days: [Vec<(u16, u16)>; 7] = Default::default();
        loop {
            let rule = reader.rule()?;
            for (spans, _) in spans_of_days.iter_mut().zip(rule.days).filter(|(_, is_meant)| *is_meant) {
                spans.clone_from(&rule.spans);
            }
            if !reader.eat(';') || reader.rest().is_empty() {
                break;
            }
        }
        if !reader.rest().is_empty() {
            return Err(reader.error(|found| format!("{found} is not expected here")));
        }
        let spans = maximal_spans(&spans_of_days);
        if spans.is_empty() {
            let what = "the schedule is never active; delete the fence instead".to_owned();
            return Err(ScheduleError { what, at: 1 });
        }
        Ok(Schedule { text: text.into(), spans: spans.into(), zone: None })
    }

    /// The same schedule in a zone of its own.
    #[must_use]
    pub fn in_zone(mut self, zone: TimeZone) -> Schedule {
        self.zone = Some(zone);
        self
    }

    /// As it was written, without its zone.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its own zone; `None`: its times are those of the fleet's.
    #[must_use]
    pub fn zone(&self) -> Option<&TimeZone> {
        self.zone.as_ref()
    }

    /// Whether its times are those of the fleet's zone.
    #[must_use]
    pub fn follows_fleet_zone(&self) -> bool {
        self.zone.is_none()
    }

    /// The schedule as moments: in its own zone, else in the fleet's.
    #[must_use]
    pub fn resolve(&self, fleet_zone: &TimeZone) -> ActiveTimes {
        ActiveTimes::new(self.spans.clone(), self.zone.as_ref().unwrap_or(fleet_zone).clone())
    }
}

/// The days of a week as one round: what overlaps or touches becomes one span.
fn maximal_spans(spans_of_days: &[Vec<(u16, u16)>; 7]) -> Vec<WeekSpan> {
    let midnights = (0..MINUTES_PER_WEEK).step_by(MINUTES_PER_DAY.into());
    let of_day = |(midnight, spans): (u16, &Vec<(u16, u16)>)| {
        let of_week = |&(start, end)| WeekSpan { start_min: midnight + start, end_min: midnight + end };
        spans.iter().map(of_week).collect::<Vec<_>>()
    };
    let mut spans: Vec<WeekSpan> = midnights.zip(spans_of_days).flat_map(of_day).collect();
    spans.sort_unstable_by_key(|span| span.start_min);
    spans.dedup_by(|next, span| span.join(*next));
    // What runs over the week's end goes on at its beginning.
    while let [first, .., last] = spans.as_mut_slice()
        && last.join(first.of_next_week())
    {
        spans.remove(0);
    }
    match spans.first() {
        Some(span) if span.end_min - span.start_min >= MINUTES_PER_WEEK => vec![WeekSpan::WHOLE_WEEK],
        _ => spans,
    }
}

/// One rule: which days it is about, and the minutes of each, counted from its midnight.
struct Rule {
    days: [bool; 7],
    spans: Vec<(u16, u16)>,
}

/// What is left of a text.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    /// What follows, without leading blanks.
    fn rest(&mut self) -> &'a str {
        let rest = self.text[self.at..].trim_start();
        self.at = self.text.len() - rest.len();
        rest
    }

    fn eat(&mut self, separator: char) -> bool {
        let found = self.rest().starts_with(separator);
        self.at += if found { separator.len_utf8() } else { 0 };
        found
    }

    /// What follows of one kind of characters, not consumed.
    fn run(&mut self, is_part: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())]
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let found = self.run(|c| c.is_ascii_alphabetic()).eq_ignore_ascii_case(word);
        self.at += if found { word.len() } else { 0 };
        found
    }

    fn is_at_letter(&mut self) -> bool {
        self.rest().starts_with(char::is_alphabetic)
    }

    /// An error at what follows, which is shown up to its next blank or separator.
    fn error(&mut self, what: impl FnOnce(String) -> String) -> ScheduleError {
        let rest = self.rest();
        let ends = |c: char| c.is_whitespace() || matches!(c, ';' | ',' | '-');
        let (first, others) = rest.split_at(rest.chars().next().map_or(0, char::len_utf8));
        let length = first.len() + others.find(ends).unwrap_or(others.len());
        let shown: String = rest[..length].chars().take(MAX_SHOWN_CHARS).collect();
        let found = if shown.is_empty() { "the end".to_owned() } else { format!("{shown:?}") };
        ScheduleError { what: what(found), at: self.text[..self.at].chars().count() + 1 }
    }

    fn rule(&mut self) -> Result<Rule, ScheduleError> {
        if self.rest().starts_with("24/7") {
            self.at += "24/7".len();
            return Ok(Rule { days: EVERY_DAY, spans: vec![(0, MINUTES_PER_DAY)] });
        }
        let has_days = self.is_at_letter() && !self.run(char::is_alphabetic).eq_ignore_ascii_case("off");
        let days = if has_days { self.days()? } else { EVERY_DAY };
        if self.eat_word("off") {
            return Ok(Rule { days, spans: Vec::new() });
        }
        let mut spans = vec![self.span()?];
        while self.eat(',') {
            if self.is_at_letter() {
                return Err(self.error(|found| {
                    format!("{found} follows a comma; a semicolon separates days with times of their own")
                }));
            }
            spans.push(self.span()?);
        }
        Ok(Rule { days, spans })
    }

    fn days(&mut self) -> Result<[bool; 7], ScheduleError> {
        let mut days = [false; 7];
        loop {
            let first = self.day()?;
            let last = if self.eat('-') { self.day()? } else { first };
            let count = (last + 7 - first) % 7 + 1;
            (first..first + count).for_each(|day| days[day % 7] = true);
            if !self.eat(',') {
                return Ok(days);
            }
        }
    }

    fn day(&mut self) -> Result<usize, ScheduleError> {
        let day = DAYS.into_iter().position(|name| self.eat_word(name));
        day.ok_or_else(|| self.error(|found| format!("{found} is no day; days are {}", DAYS.join(", "))))
    }

    fn span(&mut self) -> Result<(u16, u16), ScheduleError> {
        let started_at = self.at;
        let start = self.time_of_day()?;
        if start == MINUTES_PER_DAY {
            self.at = started_at;
            return Err(self.error(|_| "a span can't begin at 24:00; write 00:00 of the next day".to_owned()));
        }
        if !self.eat('-') {
            return Err(self.error(|found| format!("{found} stands where \"-\" and an end are expected")));
        }
        let end = self.time_of_day()?;
        if end == start {
            self.at = started_at;
            return Err(self.error(|_| {
                "a span begins and ends at one time; a whole day is 00:00-24:00, all days are 24/7".to_owned()
            }));
        }
        Ok((start, if end > start { end } else { end + MINUTES_PER_DAY }))
    }

    /// Minutes since midnight.
    fn time_of_day(&mut self) -> Result<u16, ScheduleError> {
        let written = self.run(|c| c.is_ascii_digit() || c == ':');
        let time = written.split_once(':').and_then(|(hour, minute)| {
            let is_short = (1..=2).contains(&hour.len()) && minute.len() == 2;
            let (hour, minute) =
                is_short.then_some((hour.parse::<u16>().ok()?, minute.parse::<u16>().ok()?))?;
            let minutes = hour * 60 + minute;
            (minute < 60 && minutes <= MINUTES_PER_DAY).then_some(minutes)
        });
        let Some(time) = time else {
            return Err(
                self.error(|found| format!("{found} stands where a time from 00:00 to 24:00 is expected"))
            );
        };
        self.at += written.len();
        Ok(time)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::time_zone;
    use proptest::prelude::*;

    /// The spans as read, for example `Mo 06:00-Mo 18:00`.
    fn shown(text: &str) -> String {
        let minute = |minute: u16| {
            let day = DAYS[usize::from(minute / MINUTES_PER_DAY) % 7];
            format!("{day} {:02}:{:02}", minute % MINUTES_PER_DAY / 60, minute % 60)
        };
        let span = |span: &WeekSpan| format!("{}-{}", minute(span.start_min), minute(span.end_min));
        match Schedule::parse(text) {
            Ok(schedule) => schedule.spans.iter().map(span).collect::<Vec<_>>().join(", "),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn reads_days_spans_and_rules() {
        assert_eq!(shown("Sa 08:00-12:00"), "Sa 08:00-Sa 12:00");
        assert_eq!(
            shown("Mo-We,Fr 06:00-12:00,13:00-18:00; Sa 08:00-12:00;"),
            "Mo 06:00-Mo 12:00, Mo 13:00-Mo 18:00, Tu 06:00-Tu 12:00, Tu 13:00-Tu 18:00, \
             We 06:00-We 12:00, We 13:00-We 18:00, Fr 06:00-Fr 12:00, Fr 13:00-Fr 18:00, Sa 08:00-Sa 12:00"
        );
        assert_eq!(
            shown(" sa - MO , we 6:30 - 7:00 ; Mo OFF"),
            "We 06:30-We 07:00, Sa 06:30-Sa 07:00, Su 06:30-Su 07:00"
        );
        assert_eq!(shown("Fr-Fr 00:00-24:00"), "Fr 00:00-Sa 00:00");
    }

    #[test]
    fn spans_over_midnight_belong_to_the_day_they_begin_on() {
        assert_eq!(shown("Su 22:00-05:00"), "Su 22:00-Mo 05:00");
        assert_eq!(shown("Fr,Sa 18:00-00:00"), "Fr 18:00-Sa 00:00, Sa 18:00-Su 00:00");
        assert_eq!(shown("Fr 22:00-05:00; Sa off"), "Fr 22:00-Sa 05:00", "Friday's night is not Saturday's");
    }

    #[test]
    fn what_touches_is_one_span() {
        assert_eq!(shown("Mo 08:00-12:00,12:00-14:00,13:00-15:00"), "Mo 08:00-Mo 15:00");
        assert_eq!(shown("Sa 20:00-24:00; Su 00:00-24:00; Mo 00:00-04:00"), "Sa 20:00-Mo 04:00");
        for always in
            ["24/7", "00:00-24:00", "Mo-Su 00:00-24:00", "00:00-12:00,12:00-00:00", "06:00-05:00,05:00-06:00"]
        {
            assert_eq!(*Schedule::parse(always).unwrap().spans, [WeekSpan::WHOLE_WEEK], "{always}");
        }
        assert_eq!(shown("24/7; We off"), "Th 00:00-We 00:00");
    }

    #[test]
    fn later_rules_replace_earlier_ones_on_their_days() {
        assert_eq!(shown("Mo-Tu 06:00-18:00; Tu 06:00-12:00"), "Mo 06:00-Mo 18:00, Tu 06:00-Tu 12:00");
        assert_eq!(shown("off; We 10:00-11:00"), "We 10:00-We 11:00");
    }

    #[test]
    fn reads_what_the_documentation_shows() {
        let semantics = include_str!("../../docs/semantics.md");
        let (_, chapter) = semantics.split_once("## Active schedules").unwrap();
        let (chapter, _) = chapter.split_once("\n## ").unwrap();
        let rows = chapter.lines().filter_map(|line| line.strip_prefix("| `"));
        let examples: Vec<&str> = rows.filter_map(|row| Some(row.split_once('`')?.0)).collect();
        assert!(examples.len() >= 5, "{chapter}");
        for example in examples {
            assert!(Schedule::parse(example).is_ok(), "{example}");
        }
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        for (text, words) in [
            ("", "the end stands where a time from 00:00 to 24:00 is expected (character 1)"),
            ("Mo-Fr", "the end stands where a time from 00:00 to 24:00 is expected (character 6)"),
            ("Mo-Fr 6-18", "\"6\" stands where a time"),
            ("Mo-Fr 06:00", "the end stands where \"-\" and an end are expected (character 12)"),
            (
                "Mo-Fr 06:00-25:00",
                "\"25:00\" stands where a time from 00:00 to 24:00 is expected (character 13)",
            ),
            ("06:00-24:01", "(character 7)"),
            ("06:60-07:00", "\"06:60\" stands"),
            ("006:00-07:00", "\"006:00\" stands"),
            ("06:0-07:00", "stands"),
            ("99999999:00-07:00", "stands"),
            ("65000:00-07:00", "stands"),
            ("06:65000-07:00", "stands"),
            ("6:00:00-07:00", "stands"),
            ("Mon-Fri 06:00-18:00", "\"Mon\" is no day; days are Mo, Tu, We, Th, Fr, Sa, Su (character 1)"),
            ("Mo-Fr, PH 06:00-18:00", "\"PH\" is no day"),
            ("Mo–Fr 06:00-18:00", "\"–Fr\" stands where a time"),
            ("Mo 06:00-18:00, Tu 07:00-18:00", "\"Tu\" follows a comma; a semicolon"),
            ("06:00-18:00 Mo", "\"Mo\" is not expected here (character 13)"),
            ("24/7 24/7", "is not expected here"),
            ("24:00-25:00", "can't begin at 24:00"),
            ("Mo 08:00-08:00", "one time; a whole day is 00:00-24:00, all days are 24/7 (character 4)"),
            ("off", "never active"),
            ("Mo-Fr 06:00-18:00; off", "never active"),
            (";", "\";\" stands"),
            (&"06:00-18:00,".repeat(100), "1200 bytes; at most 1000"),
            ("06:00-18:00;;", "\";\" stands"),
            ("日曜 06:00-18:00", "\"日曜\" is no day"),
        ] {
            let said = Schedule::parse(text).unwrap_err().to_string();
            assert!(said.contains(words), "{text}: {said}");
            assert!(said.contains("Mo-Fr 06:00-18:00; Sa 08:00-12:00"), "{text}: {said}");
        }
    }

    #[test]
    fn a_zone_of_its_own_wins() {
        let schedule = Schedule::parse("06:00-18:00").unwrap();
        let (lagos, accra) = (time_zone("Africa/Lagos").unwrap(), time_zone("Africa/Accra").unwrap());
        let six_in_lagos_ms = 5 * 3_600_000;
        assert!(schedule.follows_fleet_zone() && schedule.resolve(&lagos).is_active(six_in_lagos_ms));
        let schedule = schedule.in_zone(accra);
        assert!(!schedule.follows_fleet_zone() && !schedule.resolve(&lagos).is_active(six_in_lagos_ms));
    }

    /// The minutes of a week in which any of the spans holds.
    fn minutes(spans: impl IntoIterator<Item = (u16, u16)>) -> BTreeSet<u16> {
        spans
            .into_iter()
            .flat_map(|(start, end)| start..end)
            .map(|minute| minute % MINUTES_PER_WEEK)
            .collect()
    }

    proptest! {
        #[test]
        fn spans_are_those_minutes_and_no_two_meet(
            days in prop::array::uniform7(prop::collection::vec((0..24_u16, 1..=24_u16), 0..3)),
        ) {
            // Whole hours, so that much overlaps and touches.
            let days = days.map(|spans| {
                spans.into_iter().map(|(start, hours)| (start * 60, (start + hours) * 60)).collect::<Vec<_>>()
            });
            let spans = maximal_spans(&days);
            let of_day = |(midnight, spans): (u16, &Vec<(u16, u16)>)| {
                spans.iter().map(|(start, end)| (midnight + start, midnight + end)).collect::<Vec<_>>()
            };
            let midnights = (0..MINUTES_PER_WEEK).step_by(MINUTES_PER_DAY.into());
            let expected = minutes(midnights.zip(&days).flat_map(of_day));
            prop_assert_eq!(minutes(spans.iter().map(|span| (span.start_min, span.end_min))), expected);
            prop_assert!(spans.iter().all(|span| span.start_min < MINUTES_PER_WEEK));
            let next_ones = spans.iter().skip(1).copied().chain(spans.first().map(|span| span.of_next_week()));
            for (span, next) in spans.iter().zip(next_ones) {
                let is_apart = span.end_min < next.start_min || *span == WeekSpan::WHOLE_WEEK;
                prop_assert!(span.start_min < span.end_min && is_apart, "{span:?} {next:?}");
            }
        }

        #[test]
        fn any_text_is_read_or_refused(
            text in "([MTWFS]?[oeuhra]|[0-9]{1,6}|[:;, -]|off|24/7|24:00|é){0,12}|\\PC{0,20}",
        ) {
            if let Err(error) = Schedule::parse(&text) {
                prop_assert!(error.at <= text.chars().count() + 1);
            }
        }
    }
}
