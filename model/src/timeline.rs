//! Fences over time: which version of a fence is valid when, and why it stops.
//!
//! A fence is a timeline of entries, each valid from its beginning to the next one's:
//!
//! ```text
//!   upsert without valid_from     |<-------- one version for all time -------->
//!   upsert valid_from B           |<------- A -------->|<------- B ----------->
//!   delete at D                   |<------- A -------->|<-- B -->|   nothing
//! ```
//!
//! A version with an active schedule covers a part of its time only, as if it ended and began again:
//!
//! ```text
//!   version with a schedule       |<---------------- A ---------------->|<------- B ----------->
//!   coverage                           |=======|       |================|=====================
//!   end_between                                ^ fence_ended            ^ nothing ends here
//! ```
//!
//! Schedules count once the timeline knows the fleet's zone ([`Timeline::in_zone`]). Without it, it tells
//! which version is valid when, active or not.
//!
//! Invariants: entries are ordered by `from`, no two have the same; a version ends at its own `valid_to`
//! or where the next entry begins, whichever is first; where validity stops there is one [`Version::end`].

use crate::{ActiveTimes, EndReason, Fence, FenceSettings, TimeMs, TimeZone};

/// The beginning of time, for versions without `valid_from`.
pub const ALWAYS: i64 = i64::MIN;
/// The end of time.
pub const NEVER: i64 = i64::MAX;

/// One version of a fence and the part of time that it holds for, `[from, to)`.
#[derive(Clone, Debug)]
pub struct Version<P> {
    /// First millisecond.
    pub from: i64,
    /// First millisecond that it does not hold for any more.
    pub to: i64,
    /// Why coverage stops at `to`; `None` where another version begins there, or `to` is [`NEVER`].
    pub end: Option<EndReason>,
    /// Settings that win over the fleet's.
    pub settings: FenceSettings,
    /// What the owner keeps for this version.
    pub payload: P,
    /// Its schedule; `None`: it has none, or the timeline knows no zone.
    active: Option<ActiveTimes>,
}

impl<P> Version<P> {
    fn is_active(&self, time: i64) -> bool {
        self.active.as_ref().is_none_or(|active| active.is_active(time))
    }
}

/// An entry of the timeline.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
struct TimelineEntry<P> {
    from: i64,
    /// `None`: deleted from here on.
    version: Option<(i64, FenceSettings, P)>,
}

/// The timeline of one fence. `P` is what its owner keeps beside each version, such as a prepared shape.
#[derive(Clone, Debug)]
pub struct Timeline<P> {
    entries: Vec<TimelineEntry<P>>,
    versions: Vec<Version<P>>,
    zone: Option<TimeZone>,
}

/// Entries and zone: all else follows from them.
#[derive(serde::Serialize, serde::Deserialize)]
struct Kept<E> {
    entries: E,
    #[serde(with = "crate::zone::by_name_if_any")]
    zone: Option<TimeZone>,
}

impl<P: serde::Serialize> serde::Serialize for Timeline<P> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        Kept { entries: &self.entries, zone: self.zone.clone() }.serialize(to)
    }
}

impl<'de, P: Clone + serde::Deserialize<'de>> serde::Deserialize<'de> for Timeline<P> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Kept { entries, zone } = serde::Deserialize::deserialize(from)?;
        let mut timeline = Timeline { entries, versions: Vec::new(), zone };
        timeline.rebuild();
        Ok(timeline)
    }
}

impl<P> Default for Timeline<P> {
    fn default() -> Self {
        Timeline { entries: Vec::new(), versions: Vec::new(), zone: None }
    }
}

impl<P: Clone> Timeline<P> {
    /// An empty timeline for which schedules count, in the fleet's zone where they have none of their own.
    #[must_use]
    pub fn in_zone(zone: TimeZone) -> Self {
        Timeline { zone: Some(zone), ..Timeline::default() }
    }

    /// Changes the fleet's zone; tells whether a schedule may mean other times now.
    pub fn set_zone(&mut self, zone: &TimeZone) -> bool {
        if self.zone.as_ref() == Some(zone) {
            return false;
        }
        let schedules_counted = self.zone.replace(zone.clone()).is_some();
        self.rebuild();
        let schedules = self.versions.iter().filter_map(|v| v.settings.active.as_ref());
        schedules.into_iter().any(|schedule| !schedules_counted || schedule.follows_fleet_zone())
    }

    /// Applies an upsert, keeping `payload` beside the new version.
    pub fn upsert(&mut self, fence: &Fence, payload: P) {
        let to = fence.valid_to.map_or(NEVER, |t| t.0);
        let version = Some((to, fence.settings.clone(), payload));
        match fence.valid_from {
            None => self.entries = vec![TimelineEntry { from: ALWAYS, version }],
            Some(from) => {
                let entry = TimelineEntry { from: from.0, version };
                match self.entries.binary_search_by_key(&from.0, |e| e.from) {
                    Ok(at) => self.entries[at] = entry,
                    Err(at) => self.entries.insert(at, entry),
                }
            }
        }
        self.rebuild();
    }

    /// Applies a delete; one that leaves nothing to delete changes nothing.
    pub fn delete(&mut self, at: TimeMs) {
        let something_ends = self.versions.iter().any(|v| v.to >= at.0);
        if !something_ends {
            return;
        }
        self.entries.retain(|e| e.from < at.0 || e.version.is_none());
        let place = self.entries.partition_point(|e| e.from < at.0);
        if self.entries.get(place).is_none_or(|e| e.from != at.0) {
            self.entries.insert(place, TimelineEntry { from: at.0, version: None });
        }
        self.rebuild();
    }

    fn rebuild(&mut self) {
        self.versions.clear();
        for (i, entry) in self.entries.iter().enumerate() {
            let Some((valid_to, settings, payload)) = &entry.version else { continue };
            let next = self.entries.get(i + 1);
            let next_from = next.map_or(NEVER, |n| n.from);
            let to = (*valid_to).min(next_from);
            let end = match next {
                _ if to == NEVER => None,
                Some(n) if to == n.from && n.version.is_some() => None,
                Some(n) if to == n.from => Some(EndReason::FenceDeleted),
                _ => Some(EndReason::FenceEnded),
            };
            let active = self.zone.as_ref().zip(settings.active.as_ref());
            let active = active.map(|(zone, schedule)| schedule.resolve(zone));
            self.versions.push(Version {
                from: entry.from,
                to,
                end,
                active,
                settings: settings.clone(),
                payload: payload.clone(),
            });
        }
    }

    /// Lets the owner change what it keeps beside each version; tells the part of time it holds for.
    pub fn for_each_payload(&mut self, mut change: impl FnMut(&mut P, i64, i64)) {
        let mut versions = self.versions.iter_mut();
        for entry in &mut self.entries {
            let Some((_, _, payload)) = &mut entry.version else { continue };
            let Some(version) = versions.next() else { break };
            change(payload, version.from, version.to);
            version.payload = payload.clone();
        }
    }

    /// All versions in order; their parts of time do not overlap.
    #[must_use]
    pub fn versions(&self) -> &[Version<P>] {
        &self.versions
    }

    /// Whether what is in force at a time is a deletion.
    #[must_use]
    pub fn is_deleted_at(&self, time: i64) -> bool {
        let after = self.entries.partition_point(|e| e.from <= time);
        after.checked_sub(1).and_then(|at| self.entries.get(at)).is_some_and(|e| e.version.is_none())
    }

    /// The version that holds at a time, and is active then.
    #[must_use]
    pub fn at(&self, time: i64) -> Option<&Version<P>> {
        self.valid_at(time).filter(|version| version.is_active(time))
    }

    /// The version that holds at a time, active or not.
    #[must_use]
    pub fn valid_at(&self, time: i64) -> Option<&Version<P>> {
        let after = self.versions.partition_point(|v| v.from <= time);
        let version = self.versions.get(after.checked_sub(1)?)?;
        (time < version.to).then_some(version)
    }

    /// The first end of coverage in `(after, until]`: where a version stops and none follows at once, or an
    /// active stretch ends.
    #[must_use]
    pub fn end_between(&self, after: i64, until: i64) -> Option<(i64, EndReason)> {
        let first = self.versions.partition_point(|v| v.to <= after);
        let begun = self.versions.partition_point(|v| v.from < until);
        (first..begun).find_map(|version| self.end_within(version, after)).filter(|(end, _)| *end <= until)
    }

    /// The first end of coverage after a time.
    #[must_use]
    pub fn next_end_after(&self, time: i64) -> Option<(i64, EndReason)> {
        self.end_between(time, NEVER)
    }

    /// Why nothing covers a time: the reason of the last end of coverage up to it. `None` where something
    /// does, or nothing did before.
    #[must_use]
    pub fn last_end(&self, time: i64) -> Option<EndReason> {
        if self.at(time).is_some() {
            return None;
        }
        let begun = self.versions.partition_point(|v| v.from <= time);
        self.versions[..begun].iter().rev().find_map(|version| {
            let Some(active) = &version.active else {
                return Some(version.end.unwrap_or(EndReason::FenceEnded));
            };
            let covered_to_the_end = version.to <= time && active.is_active(version.to - 1);
            let reason = version.end.filter(|_| covered_to_the_end).unwrap_or(EndReason::FenceEnded);
            let was_active = active.stretch_from(version.from)?.start_ms < version.to.min(time);
            was_active.then_some(reason)
        })
    }

    /// The first end after a time of what one version covers; none where the next version covers on.
    fn end_within(&self, version: usize, after: i64) -> Option<(i64, EndReason)> {
        let next = self.versions.get(version + 1);
        let version = self.versions.get(version)?;
        if let Some(active) = &version.active {
            let stretch = active.stretch_from(after.max(version.from))?;
            if stretch.end_ms < version.to {
                return Some((stretch.end_ms, EndReason::FenceEnded));
            }
            let covers_to_the_end = stretch.start_ms < version.to;
            if !covers_to_the_end {
                return None;
            }
        }
        let goes_on =
            version.to == NEVER || next.is_some_and(|n| n.from == version.to && n.is_active(n.from));
        let reason = version.end.unwrap_or(EndReason::FenceEnded);
        (!goes_on).then_some((version.to, reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Coord, Schedule, Shape, time_zone};
    use proptest::prelude::*;

    const HOUR_MS: i64 = 3_600_000;

    fn scheduled(active: Option<&str>, from: Option<i64>, to: Option<i64>) -> Fence {
        let mut fence = fence(from.map(|hour| hour * HOUR_MS), to.map(|hour| hour * HOUR_MS));
        fence.settings.active = active.map(|text| Schedule::parse(text).unwrap().into());
        fence
    }

    /// The ends of coverage in the first hours of 1970, a Thursday.
    fn ends(timeline: &Timeline<char>, hours: i64) -> Vec<(i64, EndReason)> {
        let next = |&(after, _): &(i64, EndReason)| timeline.end_between(after, hours * HOUR_MS);
        let in_hours = |(end, reason)| (end / HOUR_MS, reason);
        std::iter::successors(timeline.end_between(0, hours * HOUR_MS), next).map(in_hours).collect()
    }

    fn fence(from: Option<i64>, to: Option<i64>) -> Fence {
        Fence {
            id: "yard".into(),
            name: "yard".into(),
            shape: Shape::Circle { centre: Coord { lon: 0, lat: 0 }, radius_m: 1.0 },
            settings: FenceSettings::default(),
            valid_from: from.map(TimeMs),
            valid_to: to.map(TimeMs),
            feature_json: "".into(),
        }
    }

    /// The versions as `[from,to)` with payload and end, for example `-..10:a 10..20:b!deleted`.
    fn shown(timeline: &Timeline<char>) -> String {
        let time = |t: i64| match t {
            ALWAYS | NEVER => "-".to_owned(),
            t => t.to_string(),
        };
        let end = |e: Option<EndReason>| match e {
            Some(EndReason::FenceDeleted) => "!deleted",
            Some(EndReason::FenceEnded) => "!ended",
            _ => "",
        };
        let each =
            |v: &Version<char>| format!("{}..{}:{}{}", time(v.from), time(v.to), v.payload, end(v.end));
        timeline.versions().iter().map(each).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn changes_and_corrections_make_a_timeline() {
        let mut t = Timeline::default();
        t.upsert(&fence(None, None), 'a');
        assert_eq!(shown(&t), "-..-:a");
        t.upsert(&fence(Some(20), None), 'c');
        t.upsert(&fence(Some(10), None), 'b');
        assert_eq!(shown(&t), "-..10:a 10..20:b 20..-:c");
        t.upsert(&fence(Some(10), Some(15)), 'd');
        assert_eq!(shown(&t), "-..10:a 10..15:d!ended 20..-:c");
        t.delete(TimeMs(18));
        assert_eq!(shown(&t), "-..10:a 10..15:d!ended 20..-:c".replace(" 20..-:c", ""));
        t.upsert(&fence(None, None), 'e');
        assert_eq!(shown(&t), "-..-:e");
    }

    #[test]
    fn deletes_end_what_is_valid_and_drop_what_begins_later() {
        let mut t = Timeline::default();
        t.delete(TimeMs(5));
        assert_eq!(shown(&t), "");
        t.upsert(&fence(None, Some(30)), 'a');
        t.delete(TimeMs(30));
        assert_eq!(shown(&t), "-..30:a!deleted", "of both at one time the delete names the reason");
        t.delete(TimeMs(12));
        assert_eq!(shown(&t), "-..12:a!deleted");
        t.delete(TimeMs(20));
        assert_eq!(shown(&t), "-..12:a!deleted");
        t.upsert(&fence(Some(14), None), 'b');
        assert_eq!(shown(&t), "-..12:a!deleted 14..30:b!deleted", "the delete at 30 stays");
        t.upsert(&fence(Some(12), None), 'c');
        assert_eq!(shown(&t), "-..12:a 12..14:c 14..30:b!deleted");
    }

    #[test]
    fn ends_are_found_in_half_open_intervals() {
        let mut t = Timeline::default();
        t.upsert(&fence(Some(0), Some(10)), 'a');
        t.upsert(&fence(Some(20), Some(30)), 'b');
        assert_eq!(t.end_between(-5, 9), None);
        assert_eq!(t.end_between(9, 10), Some((10, EndReason::FenceEnded)));
        assert_eq!(t.end_between(10, 29), None);
        assert_eq!(t.end_between(10, 99), Some((30, EndReason::FenceEnded)));
        assert_eq!(t.at(9).map(|v| v.payload), Some('a'));
        assert_eq!(t.at(10).map(|v| v.payload), None);
        assert_eq!(t.at(20).map(|v| v.payload), Some('b'));
    }

    #[test]
    fn active_stretches_end_like_fences() {
        let mut t = Timeline::in_zone(time_zone("UTC").unwrap());
        t.upsert(&scheduled(Some("06:00-18:00"), None, Some(36)), 'a');
        let ended = EndReason::FenceEnded;
        assert_eq!(ends(&t, 100), [(18, ended), (36, ended)], "both end at 36 hours, and that is one end");
        assert_eq!(t.end_between(17 * HOUR_MS, 18 * HOUR_MS - 1), None);
        assert_eq!(t.next_end_after(18 * HOUR_MS), Some((36 * HOUR_MS, ended)));
        assert_eq!(t.at(6 * HOUR_MS).map(|v| v.payload), Some('a'));
        assert!(t.at(6 * HOUR_MS - 1).is_none() && t.at(18 * HOUR_MS).is_none());
        t.delete(TimeMs(18 * HOUR_MS));
        assert_eq!(ends(&t, 100), [(18, EndReason::FenceDeleted)], "of both at one time the delete names it");
    }

    #[test]
    fn where_one_version_covers_on_nothing_ends() {
        let mut t = Timeline::in_zone(time_zone("UTC").unwrap());
        t.upsert(&scheduled(Some("00:00-18:00"), None, None), 'a');
        t.upsert(&scheduled(Some("18:00-21:00"), Some(18), None), 'b');
        assert_eq!(ends(&t, 40), [(21, EndReason::FenceEnded)]);
        t.upsert(&scheduled(Some("20:00-21:00"), Some(18), None), 'b');
        assert_eq!(ends(&t, 40), [(18, EndReason::FenceEnded), (21, EndReason::FenceEnded)]);
        t.upsert(&scheduled(None, Some(12), None), 'c');
        t.delete(TimeMs(18 * HOUR_MS));
        assert_eq!(ends(&t, 40), [(18, EndReason::FenceDeleted)]);
        t.upsert(&scheduled(Some("00:00-12:00"), Some(14), None), 'd');
        assert_eq!(ends(&t, 40), [(14, EndReason::FenceEnded)], "the next version begins, but is not active");
    }

    #[test]
    fn schedules_count_in_the_zone_that_is_told() {
        let mut t = Timeline::default();
        t.upsert(&scheduled(Some("06:00-18:00"), None, None), 'a');
        assert!(
            t.at(0).is_some() && t.next_end_after(0).is_none(),
            "without a zone it is valid at all times"
        );
        let zone = |name| time_zone(name).unwrap();
        assert!(t.set_zone(&zone("Africa/Lagos")));
        assert_eq!(ends(&t, 24), [(17, EndReason::FenceEnded)]);
        assert!(!t.set_zone(&zone("Africa/Lagos")), "nothing changed");
        assert!(t.set_zone(&zone("Africa/Accra")));
        assert_eq!(ends(&t, 24), [(18, EndReason::FenceEnded)]);
        let mut own = scheduled(None, None, None);
        let schedule = Schedule::parse("06:00-18:00").unwrap().in_zone(zone("Africa/Nairobi"));
        own.settings.active = Some(schedule.into());
        t.upsert(&own, 'b');
        let mut untold = Timeline::default();
        untold.upsert(&own, 'b');
        assert!(untold.set_zone(&zone("UTC")), "from now on it counts");
        assert!(!t.set_zone(&zone("UTC")), "it has a zone of its own");
        assert_eq!(ends(&t, 24), [(15, EndReason::FenceEnded)]);
    }

    const SCHEDULES: [Option<&str>; 6] = [
        None,
        Some("06:00-18:00"),
        Some("22:00-05:00"),
        Some("24/7"),
        Some("00:00-06:00,12:00-13:00,15:00-16:00"),
        Some("Fr 00:00-24:00"),
    ];

    proptest! {
        #[test]
        fn ends_are_where_coverage_stops(
            edits in prop::collection::vec(
                (0..8_usize, prop::option::of(0..60_i64), prop::option::of(1..30_i64)), 1..6,
            ),
        ) {
            const HOURS: i64 = 100;
            const WEEK_AND_MORE: i64 = 200;
            let (mut active, mut valid) = (Timeline::in_zone(time_zone("UTC").unwrap()), Timeline::default());
            for (kind, from, length) in edits {
                match SCHEDULES.get(kind) {
                    Some(schedule) => {
                        let to = length.map(|length| from.unwrap_or(0) + length);
                        active.upsert(&scheduled(*schedule, from, to), kind);
                        valid.upsert(&scheduled(*schedule, from, to), kind);
                    }
                    None => {
                        let at = TimeMs(from.unwrap_or(0) * HOUR_MS);
                        active.delete(at);
                        valid.delete(at);
                    }
                }
            }
            let zone = time_zone("UTC").unwrap();
            let schedules = SCHEDULES.map(|text| text.map(|t| Schedule::parse(t).unwrap().resolve(&zone)));
            let covering = |time: i64| {
                let kind = valid.at(time)?.payload;
                schedules[kind].as_ref().is_none_or(|s| s.is_active(time)).then_some(kind)
            };
            let reason = |end: i64| {
                let version = valid.versions().iter().find(|v| v.to == end);
                version.and_then(|v| v.end).unwrap_or(EndReason::FenceEnded)
            };
            for hour in 0..HOURS {
                let time = hour * HOUR_MS;
                prop_assert_eq!(active.at(time).map(|v| v.payload), covering(time));
                let stops = |hour: &i64| covering(hour * HOUR_MS - 1).is_some() && covering(hour * HOUR_MS).is_none();
                let expected = (hour + 1..=HOURS).find(stops).map(|hour| (hour * HOUR_MS, reason(hour * HOUR_MS)));
                prop_assert_eq!(active.end_between(time, HOURS * HOUR_MS), expected);
                let stopped = (-WEEK_AND_MORE..=hour).rev().find(stops).filter(|_| covering(time).is_none());
                let was_covered = (-WEEK_AND_MORE..hour).any(|hour| covering(hour * HOUR_MS).is_some());
                prop_assert_eq!(stopped.is_some(), was_covered && covering(time).is_none());
                prop_assert_eq!(active.last_end(time), stopped.map(|hour| reason(hour * HOUR_MS)));
                prop_assert_eq!(active.next_end_after(time).filter(|e| e.0 <= HOURS * HOUR_MS), expected);
            }
        }
    }
}
