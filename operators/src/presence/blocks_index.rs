//! Which blocks of fixes lie near a place: the inverted index that makes fence edits cheap.
//!
//! ```text
//!   cell -> [ (vehicle, base of a sealed block, parts of the cell) ... ]    an edit asks for its shapes' cells
//!   vehicle -> rectangle around its tail                       tails are too many to be moved about: a scan
//! ```
//!
//! Invariants:
//! 1. A sealed block is listed in every cell that one of its fixes is in, with the parts of it where they are,
//!    and, once a fence asks for crossings, in every cell that a leg to one of its fixes may meet.
//! 2. What is listed may be gone, or not be there any more: whoever asks looks at the block. Lists are swept
//!    as blocks go, so that at most about half of what is listed is stale.

use model::Coord;
use rustc_hash::FxHashMap;

use super::history::{Block, base_seconds};
use crate::spatial::{CellKey, CellParts, CellRange, Rect, cell_of, part_of, parts_met};

/// A leg is cut into so many pieces at most to find its cells.
const MAX_LEG_PIECES: i64 = 64;
const HALF_TURN: i64 = 1_800_000_000;

/// A sealed block: whose, and the seconds of its base time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    /// The vehicle's place on its worker.
    pub(crate) vehicle: u32,
    /// [`TAIL`] for the tail.
    pub(crate) base_s: u32,
}

/// Stands for a vehicle's tail; later than every base.
pub(crate) const TAIL: u32 = u32::MAX;

#[derive(Default)]
pub(crate) struct BlocksIndex {
    place_of: FxHashMap<CellKey, u32>,
    cells: Vec<(CellKey, Vec<Listed>)>,
    /// Around each vehicle's tail.
    tails: Vec<Bounds>,
    listed: usize,
    sweep_at: usize,
    scratch: Vec<(CellKey, CellParts)>,
}

/// A block in a cell, and in which parts of it.
#[derive(Clone, Copy, Debug)]
struct Listed {
    entry: Entry,
    parts: CellParts,
}

/// A closed rectangle of positions that grows; empty at first.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    low: Coord,
    high: Coord,
}

impl Bounds {
    const EMPTY: Bounds =
        Bounds { low: Coord { lon: i32::MAX, lat: i32::MAX }, high: Coord { lon: i32::MIN, lat: i32::MIN } };

    #[inline]
    fn include(&mut self, at: Coord) {
        self.low.lon = self.low.lon.min(at.lon);
        self.low.lat = self.low.lat.min(at.lat);
        self.high.lon = self.high.lon.max(at.lon);
        self.high.lat = self.high.lat.max(at.lat);
    }

    fn meets(&self, rect: &Rect) -> bool {
        i64::from(self.low.lon) <= rect.max_lon
            && i64::from(self.high.lon) >= rect.min_lon
            && i64::from(self.low.lat) <= rect.max_lat
            && i64::from(self.high.lat) >= rect.min_lat
    }
}

impl BlocksIndex {
    /// Makes room for a vehicle's tail.
    pub(crate) fn add_vehicle(&mut self) {
        self.tails.push(Bounds::EMPTY);
    }

    /// A tail begins anew with a position.
    pub(crate) fn begin_tail(&mut self, vehicle: u32, at: Coord) {
        let mut bounds = Bounds::EMPTY;
        bounds.include(at);
        self.tails[vehicle as usize] = bounds;
    }

    #[inline]
    pub(crate) fn widen_tail(&mut self, vehicle: u32, at: Coord) {
        self.tails[vehicle as usize].include(at);
    }

    /// Lists a block in the cells of its fixes.
    pub(crate) fn add_block(&mut self, vehicle: u32, block: Block<'_>) {
        let parts = block.positions().map(|at| (cell_of(at), part_of(at)));
        self.add_all(Entry { vehicle, base_s: base_seconds(block.base_time()) }, parts);
    }

    /// Lists a block at a position that it has now; it may be listed there already.
    pub(crate) fn add_position(&mut self, vehicle: u32, block: Block<'_>, at: Coord) {
        let place = |at| (cell_of(at), part_of(at));
        if block.positions().filter(|&other| place(other) == place(at)).nth(1).is_none() {
            let entry = Entry { vehicle, base_s: base_seconds(block.base_time()) };
            self.add(cell_of(at), Listed { entry, parts: part_of(at) });
        }
    }

    /// Lists a block, or widens a tail, along a leg to one of its fixes.
    pub(crate) fn add_leg(&mut self, entry: Entry, from: Coord, to: Coord) {
        if entry.base_s == TAIL {
            let bounds = &mut self.tails[entry.vehicle as usize];
            bounds.include(from);
            bounds.include(to);
            if (i64::from(from.lon) - i64::from(to.lon)).abs() > HALF_TURN {
                bounds.low.lon = -HALF_TURN as i32;
                bounds.high.lon = HALF_TURN as i32;
            }
            return;
        }
        let rects = leg_pieces(from, to).flatten();
        self.add_all(entry, rects.flat_map(CellRange::parts));
    }

    /// Lists an entry in parts of cells, each cell once.
    fn add_all(&mut self, entry: Entry, parts: impl Iterator<Item = (CellKey, CellParts)>) {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        for place in parts {
            // Who stands still is in one place.
            if scratch.last() != Some(&place) {
                scratch.push(place);
            }
        }
        scratch.sort_unstable();
        for of_cell in scratch.chunk_by(|a, b| a.0 == b.0) {
            let parts = of_cell.iter().fold(0, |all, (_, parts)| all | parts);
            self.add(of_cell[0].0, Listed { entry, parts });
        }
        self.scratch = scratch;
    }

    fn add(&mut self, key: CellKey, listed: Listed) {
        let place = *self.place_of.entry(key).or_insert_with(|| {
            self.cells.push((key, Vec::new()));
            self.cells.len() as u32 - 1
        });
        let (_, list) = &mut self.cells[place as usize];
        match list.last_mut().filter(|last| last.entry == listed.entry) {
            Some(last) => last.parts |= listed.parts,
            None => {
                list.push(listed);
                self.listed += 1;
            }
        }
    }

    /// What may have a fix, or a leg, in one of the rectangles (within ±180°): by vehicle, then by time.
    pub(crate) fn near(&self, rects: &[Rect], found: &mut Vec<Entry>) {
        found.clear();
        for rect in rects {
            let range = CellRange::of(rect);
            let mut look = |(key, list): &(CellKey, Vec<Listed>)| {
                let parts = parts_met(rect, *key);
                found.extend(list.iter().filter(|listed| listed.parts & parts != 0).map(|l| l.entry));
            };
            if range.len() > self.cells.len() {
                self.cells.iter().filter(|(key, _)| range.contains(*key)).for_each(look);
            } else {
                let met = range.iter().filter_map(|key| self.place_of.get(&key));
                met.for_each(|&place| look(&self.cells[place as usize]));
            }
            let tails = self.tails.iter().zip(0..).filter(|(tail, _)| tail.meets(rect));
            found.extend(tails.map(|(_, vehicle)| Entry { vehicle, base_s: TAIL }));
        }
        found.sort_unstable();
        found.dedup();
    }

    /// Drops stale entries and repeats of some cells, about twice as many as a block that went was listed in.
    pub(crate) fn sweep(&mut self, is_there: impl Fn(Entry) -> bool) {
        const ENTRIES: usize = 256;
        const CELLS: usize = 64;
        let mut looked_at = 0;
        for _ in 0..CELLS.min(self.cells.len()) {
            self.sweep_at = (self.sweep_at + 1) % self.cells.len();
            let (_, list) = &mut self.cells[self.sweep_at];
            let before = list.len();
            list.sort_unstable_by_key(|listed| listed.entry);
            list.dedup_by(|later, kept| {
                let is_same = later.entry == kept.entry;
                kept.parts |= if is_same { later.parts } else { 0 };
                is_same
            });
            list.retain(|listed| is_there(listed.entry));
            if list.len() < list.capacity() / 4 {
                list.shrink_to(list.len() * 2);
            }
            self.listed -= before - list.len();
            looked_at += before;
            if looked_at > ENTRIES {
                return;
            }
        }
    }

    /// How many entries there are.
    pub(crate) fn listed(&self) -> usize {
        self.listed
    }
}

/// The rectangles within ±180° that hold a leg, the short way round.
pub(crate) fn leg_rects(from: Coord, to: Coord) -> impl Iterator<Item = Rect> {
    let (west, east) = (i64::from(from.lon.min(to.lon)), i64::from(from.lon.max(to.lon)));
    let (min_lat, max_lat) = (i64::from(from.lat.min(to.lat)), i64::from(from.lat.max(to.lat)));
    let rect = move |min_lon, max_lon| Rect { min_lon, max_lon, min_lat, max_lat };
    let rects = if east - west > HALF_TURN {
        [Some(rect(east, HALF_TURN)), Some(rect(-HALF_TURN, west))]
    } else {
        [Some(rect(west, east)), None]
    };
    rects.into_iter().flatten()
}

/// A leg in pieces of no more than about a cell, each as its rectangles, so that few cells beside it are met.
fn leg_pieces(from: Coord, to: Coord) -> impl Iterator<Item = impl Iterator<Item = Rect>> {
    const CELL: i64 = 1 << 17;
    let dlon = {
        let plain = i64::from(to.lon) - i64::from(from.lon);
        if plain > HALF_TURN {
            plain - 2 * HALF_TURN
        } else if plain < -HALF_TURN {
            plain + 2 * HALF_TURN
        } else {
            plain
        }
    };
    let dlat = i64::from(to.lat) - i64::from(from.lat);
    let pieces = (dlon.abs().max(dlat.abs()) / CELL + 1).min(MAX_LEG_PIECES);
    let point = move |n: i64| {
        let lon = i64::from(from.lon) + (dlon * n).div_euclid(pieces);
        let lon = if lon > HALF_TURN { lon - 2 * HALF_TURN } else { lon };
        let lon = if lon < -HALF_TURN { lon + 2 * HALF_TURN } else { lon };
        Coord { lon: lon as i32, lat: from.lat + (dlat * n).div_euclid(pieces) as i32 }
    };
    (0..pieces).map(move |n| {
        // Points are rounded down to whole units: the leg is at most one beside them.
        leg_rects(point(n), point(n + 1)).map(|r| Rect {
            min_lon: (r.min_lon - 1).max(-HALF_TURN),
            max_lon: (r.max_lon + 1).min(HALF_TURN),
            min_lat: (r.min_lat - 1).max(-HALF_TURN / 2),
            max_lat: (r.max_lat + 1).min(HALF_TURN / 2),
        })
    })
}
