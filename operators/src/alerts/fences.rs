//! What alerts have to know of fences: their versions, as they were where corrections did not reach.

use std::sync::Arc;

use model::{FenceSettings, GraphSettings, TimeZone};

use crate::fences::{ALWAYS, Edit, FenceKey, Timeline};

/// The fences of all time.
#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct FenceBook {
    fences: Vec<OfFence>,
    #[serde(with = "model::zone_by_name")]
    zone: TimeZone,
    /// The fleet's, for versions that have none of their own.
    max_absence_ms: i64,
}

#[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
struct OfFence {
    /// Empty as long as it was never drawn.
    id: Arc<str>,
    now: Known,
    /// What was known before corrections, each with its edge, in order: it holds for times before that.
    before: Vec<(i64, Known)>,
    /// Whether a version names a limit, or one did so once.
    has_limits: bool,
}

#[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
struct Known {
    timeline: Timeline<()>,
    max_absence_ms: i64,
}

impl OfFence {
    fn at(&self, time: i64) -> &Known {
        let out_of_reach = self.before.iter().find(|(edge, _)| time < *edge).map(|(_, known)| known);
        out_of_reach.unwrap_or(&self.now)
    }

    /// Corrections from here on do not reach what is older than the edge.
    fn draw_edge(&mut self, edge: i64) {
        if edge > self.before.last().map_or(ALWAYS, |(edge, _)| *edge) {
            self.before.push((edge, self.now.clone()));
        }
    }
}

impl FenceBook {
    pub fn new(settings: &GraphSettings) -> FenceBook {
        let (zone, max_absence_ms) = (settings.zone.clone(), settings.max_absence_ms);
        FenceBook { fences: Vec::new(), zone, max_absence_ms }
    }

    pub fn edit(&mut self, fence: FenceKey, edit: &Edit, edge: i64) {
        if self.fences.len() <= fence as usize {
            self.fences.resize_with(fence as usize + 1, OfFence::default);
        }
        let of_fence = &mut self.fences[fence as usize];
        if of_fence.id.is_empty() {
            of_fence.now.timeline = Timeline::in_zone(self.zone.clone());
            of_fence.now.max_absence_ms = self.max_absence_ms;
        }
        of_fence.draw_edge(edge);
        match edit {
            Edit::Upsert(upsert) => {
                of_fence.id = upsert.id.clone();
                of_fence.has_limits |= upsert.settings.speed_limit_kmh.is_some();
                of_fence.now.timeline.upsert(upsert, ());
            }
            Edit::Delete(at) => of_fence.now.timeline.delete(*at),
        }
    }

    /// Settings change; tells whether schedules may mean other times now.
    pub fn change_settings(&mut self, settings: &GraphSettings, edge: i64) -> bool {
        let changes_zone = self.zone != settings.zone;
        if !changes_zone && self.max_absence_ms == settings.max_absence_ms {
            return false;
        }
        (self.zone, self.max_absence_ms) = (settings.zone.clone(), settings.max_absence_ms);
        for of_fence in self.fences.iter_mut().filter(|of_fence| !of_fence.id.is_empty()) {
            of_fence.draw_edge(edge);
            of_fence.now.timeline.set_zone(&settings.zone);
            of_fence.now.max_absence_ms = settings.max_absence_ms;
        }
        changes_zone
    }

    fn known(&self, fence: FenceKey, time: i64) -> Option<&Known> {
        self.fences.get(fence as usize).map(|of_fence| of_fence.at(time))
    }

    /// The settings of the version that is valid at a time, active or not.
    pub fn valid(&self, fence: FenceKey, time: i64) -> Option<&FenceSettings> {
        self.known(fence, time)?.timeline.valid_at(time).map(|version| &version.settings)
    }

    /// How long a stay that begins then may be interrupted.
    pub fn max_absence_ms(&self, fence: FenceKey, time: i64) -> i64 {
        let Some(known) = self.known(fence, time) else { return self.max_absence_ms };
        match known.timeline.valid_at(time) {
            Some(version) => version.settings.max_absence_ms.unwrap_or(known.max_absence_ms),
            None => self.max_absence_ms,
        }
    }

    /// Whether a version is valid and active.
    pub fn is_in_force(&self, fence: FenceKey, time: i64) -> bool {
        self.known(fence, time).is_some_and(|known| known.timeline.at(time).is_some())
    }

    pub fn has_limits(&self, fence: FenceKey) -> bool {
        self.fences.get(fence as usize).is_some_and(|of_fence| of_fence.has_limits)
    }

    /// The first time after one at which another version may be valid.
    pub fn next_version_after(&self, fence: FenceKey, time: i64) -> Option<i64> {
        let of_fence = self.fences.get(fence as usize)?;
        let edges = of_fence.before.iter().map(|(edge, _)| *edge);
        let known = of_fence.before.iter().map(|(_, known)| known).chain([&of_fence.now]);
        let versions = known.flat_map(|known| known.timeline.versions()).flat_map(|v| [v.from, v.to]);
        edges.chain(versions).filter(|&at| at > time).min()
    }

    /// The id, by which fences are ordered.
    pub fn id(&self, fence: FenceKey) -> &str {
        self.fences.get(fence as usize).map_or("", |of_fence| &of_fence.id)
    }
}
