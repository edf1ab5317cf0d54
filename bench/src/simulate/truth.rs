//! What is true by construction: presences, stays and visits of one truck, from its life and the final fences.
//!
//! Nothing here is incremental and nothing is shared with the code that it checks: one walk over the fixes in
//! event-time order, with the simulator's own geometry, then one pass over the presences.

use std::sync::Arc;

use model::{EndReason, PresenceRow, TimeMs, VisitRow};

use super::life::{Fix, TruckLife};
use super::plane::Point;
use super::world::World;

/// Farther than this from a fence, a truck is not in it, wherever its device thinks it is.
const FAR_M: f64 = 200.0;

/// The period that truth is told of, and how well it was observed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Observation {
    pub from: TimeMs,
    pub to: TimeMs,
    /// When the last record arrived.
    pub instant: TimeMs,
    /// With noise the observer is perfect: it sees where trucks really are, borders included.
    pub noise: bool,
}

/// The rows of one truck, each table in key order, and what they rest on.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TruckTruth {
    pub presences: Vec<PresenceRow>,
    pub visits: Vec<VisitRow>,
    /// In the order of fences' ids, of one fence in that of time.
    pub stays: Vec<Stay>,
    /// What the device reported, in order.
    pub fixes: Vec<Fix>,
}

/// A truck was in a fence, long enough for a visit or not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stay {
    pub fence: u32,
    pub arrived: TimeMs,
    pub departed: Option<TimeMs>,
    presences: u32,
}

/// The fence's number and when the truck entered it.
type Open = (u32, TimeMs);
/// The same, and when and why that ended.
type Spell = (u32, TimeMs, Option<(TimeMs, EndReason)>);

/// Tells the truth of one truck.
pub(crate) fn of_truck(world: &World, truck: u32, name: &Arc<str>, seen: &Observation) -> TruckTruth {
    let mut fixes = Vec::new();
    let spells = spells(world, truck, seen, None, &mut |fix| fixes.push(fix));
    let stays = stays(world, &spells);
    let visits = visits(world, name, &stays, seen.instant);
    let presences = spells
        .into_iter()
        .map(|(fence, entered, end)| PresenceRow {
            vehicle_id: name.clone(),
            fence_id: world.fences[fence as usize].label.id.clone(),
            entered,
            end,
        })
        .collect();
    TruckTruth { presences, visits, stays, fixes }
}

/// One truck's visits to some fences, the same that [`of_truck`] tells of.
pub(crate) fn visits_among(
    world: &World,
    truck: u32,
    name: &Arc<str>,
    seen: &Observation,
    among: &[u32],
) -> Vec<VisitRow> {
    let spells = spells(world, truck, seen, Some(among), &mut |_| {});
    visits(world, name, &stays(world, &spells), seen.instant)
}

/// One truck's presences in key order: in all fences, or in some. `reported` is told what the device reported, where
/// it matters.
fn spells(
    world: &World,
    truck: u32,
    seen: &Observation,
    among: Option<&[u32]>,
    reported: &mut dyn FnMut(Fix),
) -> Vec<Spell> {
    let mut life = TruckLife::starting(world, truck, seen.from);
    let mut closed: Vec<Spell> = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    let mut close = Vec::new();
    let mut measured_at = None;
    while let Some(sample) = life.next_before(world, seen.to) {
        if open.is_empty() && among.is_some_and(|among| is_far_from(world, among, sample.at)) {
            measured_at = None;
            continue;
        }
        let Some((fix, reported_at)) = sample.observe(world, seen.noise) else {
            continue;
        };
        reported(fix);
        let is_where_it_was = sample.parked.is_some_and(|place| {
            measured_at == Some(place) && (seen.noise || world.places[place as usize].is_clear)
        });
        if !is_where_it_was {
            let at = if seen.noise { sample.at } else { reported_at };
            match among {
                Some(among) => world.close_among(among, at, &mut close),
                None => world.close_fences(at, &mut close),
            }
        }
        measured_at = sample.parked;
        let now = sample.time;
        open.retain(|&(fence, entered)| {
            let end = match world.fences[fence as usize].deleted_at() {
                Some(deleted) if deleted <= now => (deleted, EndReason::FenceDeleted),
                _ if close.iter().any(|&(near, _)| near == fence) => return true,
                _ => (now, EndReason::Exit),
            };
            closed.push((fence, entered, Some(end)));
            false
        });
        for &(fence, distance_m) in &close {
            let is_there = world.fences[fence as usize].deleted_at().is_none_or(|deleted| now < deleted);
            if is_there && distance_m <= 0.0 && open.iter().all(|&(known, _)| known != fence) {
                open.push((fence, now));
            }
        }
    }
    for (fence, entered) in open {
        let deleted = world.fences[fence as usize].deleted_at().filter(|&deleted| deleted <= seen.instant);
        closed.push((fence, entered, deleted.map(|deleted| (deleted, EndReason::FenceDeleted))));
    }
    closed.sort_unstable_by(|a, b| {
        let id = |fence: u32| &world.fences[fence as usize].label.id;
        (id(a.0), a.1).cmp(&(id(b.0), b.1))
    });
    closed
}

/// Whether nothing that a device makes of this place is in any of these fences.
fn is_far_from(world: &World, among: &[u32], at: Point) -> bool {
    let mut areas = among.iter().flat_map(|&fence| world.fences[fence as usize].areas());
    areas.all(|area| area.centre.distance_m(at) > area.reach_m * 1.01 + FAR_M)
}

/// Joins presences, in key order, to stays.
fn stays(world: &World, presences: &[Spell]) -> Vec<Stay> {
    let mut stays: Vec<Stay> = Vec::new();
    for &(fence, entered, end) in presences {
        let max_absence_ms = world.fences[fence as usize].label.terms.max_absence_ms();
        let departed = end.map(|(exited, _)| exited);
        let is_back = |stay: &Stay| {
            stay.fence == fence && stay.departed.is_some_and(|left| entered.0 - left.0 <= max_absence_ms)
        };
        match stays.last_mut() {
            Some(stay) if is_back(stay) => {
                (stay.departed, stay.presences) = (departed, stay.presences + 1);
            }
            _ => stays.push(Stay { fence, arrived: entered, departed, presences: 1 }),
        }
    }
    stays
}

/// The stays that are long enough.
fn visits(world: &World, name: &Arc<str>, stays: &[Stay], instant: TimeMs) -> Vec<VisitRow> {
    let visit = |stay: &Stay| {
        let label = &world.fences[stay.fence as usize].label;
        let min_dwell_ms = label.terms.min_dwell_ms();
        let is_long = stay.departed.unwrap_or(instant).0 - stay.arrived.0 >= min_dwell_ms;
        is_long.then(|| VisitRow {
            vehicle_id: name.clone(),
            fence_id: label.id.clone(),
            arrived: stay.arrived,
            departed: stay.departed,
            confirmed_at: stay.arrived.plus_ms(min_dwell_ms),
            presences: stay.presences,
        })
    };
    stays.iter().filter_map(visit).collect()
}
