//! Fences as the graph's workers know them: numbered, with their edits and the settings of visits over time.

use std::sync::Arc;

use model::{Cause, Fence, GraphSettings, TimeMs};

pub use model::{ALWAYS, NEVER, Timeline, Version};

/// A fence's number; text ids are given numbers where records enter the graph.
pub type FenceKey = u32;

/// An edit of one fence.
#[derive(Clone, Debug)]
pub enum Edit {
    /// Created or replaced, from `valid_from` on or for all time.
    Upsert(Arc<Fence>),
    /// Gone from a time on.
    Delete(TimeMs),
}

impl Edit {
    /// The cause of what it changes.
    #[must_use]
    pub fn cause(&self) -> Cause {
        match self {
            Edit::Upsert(_) => Cause::FenceEdit,
            Edit::Delete(_) => Cause::FenceEnd,
        }
    }
}

/// Settings of visits by fence and time: the timelines without shapes.
#[derive(Default, serde::Serialize, serde::Deserialize)]
pub struct SettingsBook {
    /// By fence.
    timelines: Vec<Timeline<()>>,
}

impl SettingsBook {
    /// Applies an edit.
    pub fn apply(&mut self, fence: FenceKey, edit: &Edit) {
        if self.timelines.len() <= fence as usize {
            self.timelines.resize_with(fence as usize + 1, Timeline::default);
        }
        let timeline = &mut self.timelines[fence as usize];
        match edit {
            Edit::Upsert(upsert) => timeline.upsert(upsert, ()),
            Edit::Delete(at) => timeline.delete(*at),
        }
    }

    /// (`min_dwell_ms`, `max_absence_ms`) for a stay in a fence that starts at a time.
    #[must_use]
    pub fn visit_rules(&self, fence: FenceKey, start: i64, defaults: &GraphSettings) -> (i64, i64) {
        let timeline = self.timelines.get(fence as usize);
        let own = timeline.and_then(|t| t.at(start)).map(|v| &v.settings);
        (
            own.and_then(|s| s.min_dwell_ms).unwrap_or(defaults.min_dwell_ms),
            own.and_then(|s| s.max_absence_ms).unwrap_or(defaults.max_absence_ms),
        )
    }
}
