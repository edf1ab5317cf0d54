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
//! Invariants: entries are ordered by `from`, no two have the same; a version ends at its own `valid_to`
//! or where the next entry begins, whichever is first; where coverage stops there is one [`Version::end`].

use crate::{EndReason, Fence, FenceSettings, TimeMs};

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
}

/// An entry of the timeline.
#[derive(Clone, Debug)]
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
}

impl<P> Default for Timeline<P> {
    fn default() -> Self {
        Timeline { entries: Vec::new(), versions: Vec::new() }
    }
}

impl<P: Clone> Timeline<P> {
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
            self.versions.push(Version {
                from: entry.from,
                to,
                end,
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

    /// Whether the last thing in the order of validity is a deletion.
    #[must_use]
    pub fn ends_deleted(&self) -> bool {
        self.entries.last().is_some_and(|e| e.version.is_none())
    }

    /// The version that holds at a time.
    #[must_use]
    pub fn at(&self, time: i64) -> Option<&Version<P>> {
        let after = self.versions.partition_point(|v| v.from <= time);
        let version = self.versions.get(after.checked_sub(1)?)?;
        (time < version.to).then_some(version)
    }

    /// The first end of coverage in `(after, until]`.
    #[must_use]
    pub fn end_between(&self, after: i64, until: i64) -> Option<(i64, EndReason)> {
        let first = self.versions.partition_point(|v| v.to <= after);
        self.versions[first..]
            .iter()
            .take_while(|v| v.to <= until)
            .find_map(|v| v.end.map(|reason| (v.to, reason)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Coord, Shape};

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
}
