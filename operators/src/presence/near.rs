//! Which fixes are near an edit: of the blocks that the index lists, those that have one, and which.
//!
//! ```text
//!   entries   (vehicle, base)      (vehicle, base)      what the index lists; it may be gone
//!   near      [..oo..o.]           -                    (vehicle, block, a bit a fix)
//! ```
//!
//! What is looked at is far apart in memory, and one look at a time waits for each. So each step is for many
//! entries: all vehicles are looked at, then blocks are searched for, then all are looked into, and then what
//! judging will need is touched.

use model::Coord;

use super::blocks_index::{Entry, TAIL};
use super::history::{Block, MOST_FIXES, base_seconds};
use super::sets::SetTable;
use super::vehicle::Vehicle;
use super::world::Edited;
use crate::spatial::Rect;

// The fixes of a block are bits of a word.
const _: () = assert!(MOST_FIXES <= u64::BITS as usize);

/// A block of a vehicle that an edit concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Near {
    /// The vehicle's place on its worker.
    pub(crate) vehicle: u32,
    pub(crate) block: u32,
    /// Those of its fixes that are near, a bit each; none of them where there may be a leg only.
    pub(crate) fixes: u64,
}

/// Entries in chunks of about so many, none of which ends within a vehicle.
pub(crate) fn chunks_of_vehicles(mut entries: &[Entry], about: usize) -> impl Iterator<Item = &[Entry]> {
    std::iter::from_fn(move || {
        let first_of_last = entries.get(about - 1).or(entries.last())?;
        let end = entries.partition_point(|entry| entry.vehicle <= first_of_last.vehicle);
        let (chunk, rest) = entries.split_at(end);
        entries = rest;
        Some(chunk)
    })
}

/// Looks for what is near an edit; what it found last, and reused buffers.
#[derive(Default)]
pub(crate) struct Search {
    /// How many blocks of the entry's vehicle are known to be before the one that it names.
    before: Vec<u32>,
    near: Vec<Near>,
}

impl Search {
    /// The blocks that entries name and that have a fix near the edit, or may have a leg, by vehicle and in
    /// order.
    pub(crate) fn find(
        &mut self,
        entries: &[Entry],
        vehicles: &[Vehicle],
        edited: &Edited,
        sets: &SetTable,
    ) -> &[Near] {
        self.find_blocks(entries, vehicles);
        let block_of = |near: &Near| vehicles[near.vehicle as usize].history.block(near.block as usize);
        std::hint::black_box(self.near.iter().fold(0, |sum, near| sum ^ block_of(near).touch()));
        let hull =
            Rect::around(edited.rects.iter().flat_map(|r| [(r.min_lon, r.min_lat), (r.max_lon, r.max_lat)]));
        self.near.retain_mut(|near| {
            near.fixes = near_fixes(block_of(near), &edited.rects, &hull);
            edited.crossed || near.fixes != 0
        });
        let of_vehicles = || self.near.chunk_by(|a, b| a.vehicle == b.vehicle);
        let near_vehicles = || of_vehicles().map(|of_vehicle| &vehicles[of_vehicle[0].vehicle as usize]);
        let touched = near_vehicles().map(|vehicle| vehicle.touch_rows() ^ sets.touch(vehicle.last_set));
        std::hint::black_box(touched.fold(0, |sum, touched| sum ^ touched));
        let members = near_vehicles().filter_map(|vehicle| sets.members(vehicle.last_set).first());
        std::hint::black_box(members.fold(0, |sum, fence| sum ^ fence));
        &self.near
    }

    /// The blocks that entries name.
    fn find_blocks(&mut self, entries: &[Entry], vehicles: &[Vehicle]) {
        let of = |entry: &Entry| &vehicles[entry.vehicle as usize].history;
        let Search { before, near } = self;
        let most_blocks = entries.iter().map(|entry| of(entry).sealed_count()).max().unwrap_or(0);
        before.clear();
        before.resize(entries.len(), 0);
        let mut step = (most_blocks + 1).next_power_of_two() / 2;
        while step > 0 {
            for (entry, before) in entries.iter().zip(&mut *before) {
                let history = of(entry);
                let next = *before as usize + step;
                let is_before = next <= history.sealed_count()
                    && base_seconds(history.block(next - 1).base_time()) < entry.base_s;
                *before = if is_before { next as u32 } else { *before };
            }
            step /= 2;
        }
        near.clear();
        for (entry, &first) in entries.iter().zip(&*before) {
            let history = of(entry);
            let count = history.sealed_count() as u32;
            let is_named = |block: &u32| match entry.base_s {
                TAIL => *block == count,
                base_s => {
                    *block < count && base_seconds(history.block(*block as usize).base_time()) == base_s
                }
            };
            let named = (first..).take_while(is_named);
            near.extend(named.map(|block| Near { vehicle: entry.vehicle, block, fixes: 0 }));
        }
        near.dedup();
    }
}

/// Most are told apart by their longitudes: latitudes are looked at where those of the hull do not.
fn near_fixes(block: Block<'_>, rects: &[Rect], hull: &Rect) -> u64 {
    let width = hull.max_lon.abs_diff(hull.min_lon);
    let mut maybe_near = 0;
    block.for_each_lon(|index, lon| {
        let is_within = (i64::from(lon).wrapping_sub(hull.min_lon)).cast_unsigned() <= width;
        maybe_near |= u64::from(is_within) << index;
    });
    let mut near = 0;
    while maybe_near != 0 {
        let index = maybe_near.trailing_zeros();
        near |= u64::from(is_near(block.position(index as usize), rects)) << index;
        maybe_near &= maybe_near - 1;
    }
    near
}

fn is_near(at: Coord, rects: &[Rect]) -> bool {
    let (lon, lat) = (i64::from(at.lon), i64::from(at.lat));
    rects.iter().any(|rect| rect.holds(lon, lat))
}
