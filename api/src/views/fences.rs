//! Fences as they are now: the version that is valid at the instant.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use model::{FenceEdit, TimeMs, Timeline};

use super::pages::Page;
use crate::fingerprint::Fingerprint;

/// A page of fences ends when their texts are this long together: shapes may be large.
const MAX_PAGE_BYTES: usize = 8 << 20;

/// A fence as a reader gets it.
#[derive(Clone, Debug)]
pub(crate) struct FenceView {
    pub id: Arc<str>,
    /// The feature as it was received.
    pub feature_json: Arc<str>,
}

/// What is kept of a version.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
struct Kept {
    feature_json: Arc<str>,
    fingerprint: Fingerprint,
}

/// All fences over time, by id. The timelines are the graph's own, with texts where it keeps shapes.
#[derive(Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Fences {
    timelines: BTreeMap<Arc<str>, Timeline<Kept>>,
}

impl Fences {
    pub fn apply(&mut self, edit: &FenceEdit) {
        match edit {
            FenceEdit::Upsert(fence) => {
                let timeline = self.timelines.entry(fence.id.clone()).or_default();
                let feature_json = fence.feature_json.clone();
                let fingerprint = Fingerprint::of(feature_json.as_bytes());
                timeline.upsert(fence, Kept { feature_json, fingerprint });
            }
            FenceEdit::Delete { id, at } => {
                if let Some(timeline) = self.timelines.get_mut(id) {
                    timeline.delete(*at);
                }
            }
        }
    }

    /// The fence with that id, where one is valid at the instant.
    pub fn get(&self, id: &str, instant: TimeMs) -> Option<FenceView> {
        let (id, timeline) = self.timelines.get_key_value(id)?;
        Some(FenceView { id: id.clone(), feature_json: timeline.at(instant.0)?.payload.feature_json.clone() })
    }

    /// What changes whenever the fence does, where one is valid at the instant. All versions count: an edit
    /// without `valid_from` would take those of the past and the future away, too.
    pub fn fingerprint(&self, id: &str, instant: TimeMs) -> Option<Fingerprint> {
        let timeline = self.timelines.get(id)?;
        let now = Fingerprint::EMPTY.with_number(timeline.at(instant.0)?.from);
        Some(timeline.versions().iter().fold(now, |all, version| {
            let times = all.with_number(version.from).with_number(version.to);
            times.with_fingerprint(version.payload.fingerprint)
        }))
    }

    /// How many ids are known, those of deleted fences included.
    pub fn known(&self) -> usize {
        self.timelines.len()
    }

    /// Whether that id is known, valid now or not.
    pub fn is_known(&self, id: &str) -> bool {
        self.timelines.contains_key(id)
    }

    /// Whether that id is deleted at the instant. A deletion that is yet to come is none, nor is one that
    /// another version has followed.
    pub fn is_deleted(&self, id: &str, instant: TimeMs) -> bool {
        self.timelines.get(id).is_some_and(|timeline| timeline.is_deleted_at(instant.0))
    }

    /// Up to `limit` fences that are valid at the instant, in order of id.
    pub fn page(&self, instant: TimeMs, after: Option<&str>, limit: usize) -> Page<FenceView, Arc<str>> {
        let mut rows: Vec<FenceView> = Vec::new();
        let mut bytes = 0;
        let first = after.map_or(Bound::Unbounded, Bound::Excluded);
        for (id, timeline) in self.timelines.range::<str, _>((first, Bound::Unbounded)) {
            let Some(version) = timeline.at(instant.0) else { continue };
            let feature_json = &version.payload.feature_json;
            bytes += feature_json.len();
            let page_is_full = rows.len() == limit || (bytes > MAX_PAGE_BYTES && !rows.is_empty());
            if page_is_full {
                let next = rows.last().map(|last| last.id.clone());
                return Page { rows, next };
            }
            rows.push(FenceView { id: id.clone(), feature_json: feature_json.clone() });
        }
        Page { rows, next: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Coord, Fence, FenceSettings, Shape};

    fn upsert(id: &str, text: &str, from: Option<i64>, to: Option<i64>) -> FenceEdit {
        FenceEdit::Upsert(Arc::new(Fence {
            id: id.into(),
            name: id.into(),
            shape: Shape::Circle { centre: Coord { lon: 0, lat: 0 }, radius_m: 100.0 },
            settings: FenceSettings::default(),
            valid_from: from.map(TimeMs),
            valid_to: to.map(TimeMs),
            feature_json: text.into(),
        }))
    }

    fn shown(fences: &Fences, instant: i64) -> Option<String> {
        fences.get("a", TimeMs(instant)).map(|fence| fence.feature_json.to_string())
    }

    #[test]
    fn the_version_valid_at_the_instant_is_shown() {
        let mut fences = Fences::default();
        fences.apply(&FenceEdit::Delete { id: "a".into(), at: TimeMs(5) });
        assert!(!fences.is_known("a"), "deleting what is unknown does nothing");
        fences.apply(&upsert("a", "one", None, None));
        fences.apply(&upsert("a", "two", Some(100), Some(150)));
        assert_eq!(shown(&fences, 99).as_deref(), Some("one"));
        assert_eq!(shown(&fences, 100).as_deref(), Some("two"));
        assert_eq!(shown(&fences, 150), None, "valid_to is not included");
        fences.apply(&FenceEdit::Delete { id: "a".into(), at: TimeMs(50) });
        assert_eq!(shown(&fences, 49).as_deref(), Some("one"));
        assert_eq!(shown(&fences, 100), None, "a delete drops what begins after it");
        assert!(!fences.is_deleted("a", TimeMs(49)), "a deletion that is yet to come is none");
        assert!(fences.is_deleted("a", TimeMs(50)));
        fences.apply(&upsert("a", "three", Some(200), None));
        assert!(fences.is_deleted("a", TimeMs(199)), "what comes later does not undo it");
        assert!(!fences.is_deleted("a", TimeMs(200)));
        assert_eq!(shown(&fences, 199), None);
        assert_eq!(shown(&fences, 200).as_deref(), Some("three"));
        fences.apply(&upsert("a", "four", None, None));
        assert_eq!(shown(&fences, 0).as_deref(), Some("four"), "a correction holds for all time");
    }

    #[test]
    fn a_fingerprint_changes_with_every_edit_and_with_the_version_that_is_valid() {
        let mut fences = Fences::default();
        assert_eq!(fences.fingerprint("a", TimeMs(0)), None);
        let edits = [
            upsert("a", "one", None, None),
            upsert("a", "two", Some(100), None),
            upsert("a", "two", Some(101), None),
            upsert("a", "two", Some(101), Some(200)),
            FenceEdit::Delete { id: "a".into(), at: TimeMs(150) },
            upsert("a", "three", None, None),
        ];
        let mut seen = Vec::new();
        for edit in &edits {
            fences.apply(edit);
            let fingerprint = fences.fingerprint("a", TimeMs(50)).unwrap();
            assert!(!seen.contains(&fingerprint), "{edit:?}");
            assert_eq!(fences.fingerprint("a", TimeMs(60)), Some(fingerprint), "time alone changes nothing");
            seen.push(fingerprint);
        }
        fences.apply(&edits[0]);
        assert_eq!(fences.fingerprint("a", TimeMs(50)), Some(seen[0]), "the same again is the same");
        fences.apply(&edits[1]);
        assert_ne!(fences.fingerprint("a", TimeMs(99)), fences.fingerprint("a", TimeMs(100)));
        fences.apply(&FenceEdit::Delete { id: "a".into(), at: TimeMs(0) });
        assert_eq!(fences.fingerprint("a", TimeMs(50)), None);
    }

    #[test]
    fn pages_end_by_count_and_by_size() {
        let mut fences = Fences::default();
        for i in 0..5 {
            fences.apply(&upsert(&format!("f{i}"), "x", None, None));
        }
        fences.apply(&FenceEdit::Delete { id: "f2".into(), at: TimeMs(0) });
        let ids =
            |page: &Page<FenceView, Arc<str>>| page.rows.iter().map(|f| f.id.to_string()).collect::<Vec<_>>();
        let first = fences.page(TimeMs(1), None, 2);
        assert_eq!(ids(&first), ["f0", "f1"]);
        let second = fences.page(TimeMs(1), first.next.as_deref(), 2);
        assert_eq!((ids(&second), second.next), (vec!["f3".to_owned(), "f4".to_owned()], None));
        let large = "x".repeat(MAX_PAGE_BYTES / 2 + 1);
        fences.apply(&upsert("f0", &large, None, None));
        fences.apply(&upsert("f1", &large, None, None));
        assert_eq!(ids(&fences.page(TimeMs(1), None, 100)), ["f0"]);
        assert_eq!(fences.known(), 5);
    }
}
