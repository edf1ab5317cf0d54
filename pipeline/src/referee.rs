//! What a referee of the geometry is asked of a folder: where vehicles were, which fences there were, and in which of
//! them the kept presences say that each was.
//!
//! The journal is decoded as the service does at its start. Only the geometry is the referee's: which positions count,
//! and which version of a fence holds when, it is told.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use journal::{Changelog, Log, StoreError};
use model::{Coord, Fence, GraphSettings, RejectReason, Row, Shape, Table, TimeMs, Timeline};
use operators::Control;
use operators::fences::{Edit, FenceKey};
use xxhash_rust::xxh3::xxh3_64;

use crate::Intake;
use crate::backfill::{self, kept};

/// A version of a fence.
#[derive(Clone, Debug)]
pub struct RefereeShape {
    /// Of which fence.
    pub fence_id: Arc<str>,
    /// Where it is.
    pub shape: Shape,
    /// How far outside a vehicle must be to have left it, metres.
    pub exit_buffer_m: f64,
    fence: FenceKey,
}

/// A position that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefereeFix {
    /// Whose.
    pub vehicle_id: Arc<str>,
    /// When.
    pub time: TimeMs,
    /// Where.
    pub at: Coord,
}

/// What presence says of a position and a version of a fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// The vehicle was in the fence then.
    Inside,
    /// It was not.
    Outside,
    /// Another version held then, or none, or what came later could not correct that time any more.
    Nothing,
}

#[derive(Debug, Default)]
struct FenceTime {
    timeline: Timeline<usize>,
    /// Before this its last edit, or one of the settings, corrected nothing.
    edge: i64,
}

/// All of it, as of the changelog's last tick.
#[derive(Debug, Default)]
pub struct Evidence {
    /// That tick.
    pub tick: u64,
    /// All versions that there were.
    pub shapes: Vec<RefereeShape>,
    /// Sampled positions, ordered by vehicle and time.
    pub fixes: Vec<RefereeFix>,
    fences: HashMap<FenceKey, FenceTime>,
    keys: HashMap<Arc<str>, FenceKey>,
    /// By vehicle: from, to, and in which fence.
    presences: HashMap<Arc<str>, Vec<(i64, i64, FenceKey)>>,
}

impl Evidence {
    /// Reads it; `share` of the positions are taken, always the same ones. `progress` is told ticks done and all.
    pub fn gather(
        log: &dyn Log,
        changelog: &Changelog,
        share: f64,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Evidence, StoreError> {
        let rows = changelog.rows();
        let Some((tick, _)) = rows.last_tick() else { return Ok(Evidence::default()) };
        let mut not_used = HashSet::new();
        for row in rows.iter(Table::Rejects.code()) {
            if let Row::Reject(reject) = kept::row(Table::Rejects, &row?.1)?
                && reject.reason != RejectReason::BadValue
            {
                not_used.insert(reject.seq);
            }
        }
        let mut gathering = Gathering::new(share, not_used);
        let periods = backfill::periods(log, (1, tick), &|| true)?.unwrap_or_default();
        let mut intake =
            Intake::new(GraphSettings::default(), Default::default(), true).with_periods(periods);
        for read in log.read(1, tick) {
            let read = read?;
            for entry in &read.entries {
                intake.set_arrival(TimeMs(entry.received_ms));
                sources::decode(entry.source, &entry.context, &entry.payload, &mut intake);
            }
            gathering.take(&mut intake, TimeMs(read.instant_ms));
            progress(read.number, tick);
        }
        let mut evidence = gathering.finish(tick);
        for row in rows.iter(Table::Presences.code()) {
            if let Row::Presence(presence) = kept::row(Table::Presences, &row?.1)? {
                evidence.add_presence(
                    &presence.vehicle_id,
                    &presence.fence_id,
                    presence.entered,
                    presence.end.map(|(at, _)| at),
                );
            }
        }
        Ok(evidence)
    }
}

impl Evidence {
    fn add_presence(
        &mut self,
        vehicle_id: &Arc<str>,
        fence_id: &str,
        entered: TimeMs,
        exited: Option<TimeMs>,
    ) {
        let Some(&fence) = self.keys.get(fence_id) else { return };
        let stretch = (entered.0, exited.map_or(i64::MAX, |at| at.0), fence);
        self.presences.entry(vehicle_id.clone()).or_default().push(stretch);
    }

    /// The version that holds at a position's time, if presence has anything to say of it.
    fn version_at(&self, fence: FenceKey, time: TimeMs) -> Option<usize> {
        let of_fence = self.fences.get(&fence).filter(|of_fence| time.0 >= of_fence.edge)?;
        of_fence.timeline.at(time.0).map(|version| version.payload)
    }

    fn stretches<'a>(&'a self, fix: &RefereeFix) -> impl Iterator<Item = FenceKey> + use<'a> {
        let time = fix.time.0;
        let of_vehicle = self.presences.get(&fix.vehicle_id).map_or(&[][..], Vec::as_slice);
        of_vehicle
            .iter()
            .filter(move |(from, to, _)| (*from..*to).contains(&time))
            .map(|(_, _, fence)| *fence)
    }

    /// What presence says of a position and a version.
    #[must_use]
    pub fn said(&self, fix: &RefereeFix, shape: usize) -> Said {
        let fence = self.shapes[shape].fence;
        if self.version_at(fence, fix.time) != Some(shape) {
            return Said::Nothing;
        }
        if self.stretches(fix).any(|of| of == fence) { Said::Inside } else { Said::Outside }
    }

    /// The versions in which presence has a position.
    pub fn inside_of<'a>(&'a self, fix: &'a RefereeFix) -> impl Iterator<Item = usize> + 'a {
        self.stretches(fix).filter_map(|fence| self.version_at(fence, fix.time))
    }
}

/// What is read of the journal.
struct Gathering {
    share: f64,
    not_used: HashSet<u64>,
    settings: GraphSettings,
    versions: Vec<(FenceKey, Arc<Fence>)>,
    fences: HashMap<FenceKey, FenceTime>,
    fixes: BTreeMap<(Arc<str>, TimeMs), Coord>,
    settings_edge: i64,
}

impl Gathering {
    fn new(share: f64, not_used: HashSet<u64>) -> Gathering {
        Gathering {
            share,
            not_used,
            settings: GraphSettings::default(),
            versions: Vec::new(),
            fences: HashMap::new(),
            fixes: BTreeMap::new(),
            settings_edge: i64::MIN,
        }
    }

    fn take(&mut self, intake: &mut Intake, instant: TimeMs) {
        let input = intake.finish_tick(Some(instant));
        for control in input.controls {
            match control {
                Control::Fence { edge, fence, edit, .. } => self.edit(fence, edge, &edit),
                Control::Settings { edge, settings, .. } => {
                    self.settings = GraphSettings::clone(&settings);
                    self.settings_edge = edge;
                }
                Control::Tick { .. } => {}
            }
        }
        for fix in input.view_fixes {
            let key = (fix.vehicle_id, fix.position.event_time);
            // Of one time the position counts that arrived last, if it counts at all.
            if self.not_used.contains(&fix.seq) {
                self.fixes.remove(&key);
            } else if is_sampled(&key.0, key.1, self.share) {
                self.fixes.insert(key, fix.at);
            }
        }
    }

    fn edit(&mut self, fence: FenceKey, edge: i64, edit: &Edit) {
        let of_fence = self.fences.entry(fence).or_default();
        of_fence.edge = edge;
        match edit {
            Edit::Upsert(of) => {
                of_fence.timeline.upsert(of, self.versions.len());
                self.versions.push((fence, of.clone()));
            }
            Edit::Delete(at) => of_fence.timeline.delete(*at),
        }
    }

    fn finish(mut self, tick: u64) -> Evidence {
        for of_fence in self.fences.values_mut() {
            of_fence.timeline.set_zone(&self.settings.zone);
            of_fence.edge = of_fence.edge.max(self.settings_edge);
        }
        let shape = |(fence, of): (FenceKey, Arc<Fence>)| RefereeShape {
            fence_id: of.id.clone(),
            shape: of.shape.clone(),
            exit_buffer_m: of.settings.exit_buffer_m.unwrap_or(self.settings.exit_buffer_m),
            fence,
        };
        let fix = |((vehicle_id, time), at)| RefereeFix { vehicle_id, time, at };
        Evidence {
            tick,
            keys: self.versions.iter().map(|(fence, of)| (of.id.clone(), *fence)).collect(),
            shapes: self.versions.into_iter().map(shape).collect(),
            fixes: self.fixes.into_iter().map(fix).collect(),
            fences: self.fences,
            presences: HashMap::new(),
        }
    }
}

/// Whether a position is in a sample of this share: the same one each time, and all that are of one time together.
fn is_sampled(vehicle_id: &str, time: TimeMs, share: f64) -> bool {
    let hash = xxh3_64(&[vehicle_id.as_bytes(), &time.0.to_le_bytes()].concat());
    (hash as f64) < share * u64::MAX as f64 || share >= 1.0
}
