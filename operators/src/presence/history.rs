//! The fixes of one vehicle in event-time order, in blocks of [`BLOCK_LEN`], and of up to [`MOST_FIXES`] where some
//! come late.
//!
//! ```text
//!   sealed: [ base | packed fixes ] [ base | packed fixes ] ...      tail: [ base | fix fix ]
//!           late ones: a block is packed anew                              in order: push here
//! ```
//!
//! A late fix moves one block, not a day. Within a block, times and sequence numbers are offsets from the
//! block's base; where an offset does not fit, the block is split. Invariants:
//! 1. Times go up strictly through all blocks; no sealed block is empty.
//! 2. A block's base time is at most its first fix's and later than all fixes of the block before, so that
//!    base times find blocks, and stand for them elsewhere.

use std::ops::Range;

use model::{Coord, Motion};

use super::fix::Fix;
pub(crate) use block::Block;
use packed::Packed;

mod block;
mod look;
mod packed;
mod words;

/// Fixes a block: few enough that little more is kept than must be, and that an edit looks at few in vain;
/// enough that what a block costs beside its fixes is little.
pub(crate) const BLOCK_LEN: usize = 32;
/// Fixes a sealed block that late ones have come to: splitting it costs as much as many of them, and most
/// blocks get few.
pub(crate) const MOST_FIXES: usize = 48;

const JUMP: u32 = 1 << 31;
const BAD_VALUE: u32 = 1 << 30;
const SEQ_OFFSETS: u64 = 1 << 30;
/// How far before its first fix the first block's base is put when a fix comes from before it.
const FRONT_SLACK_MS: i64 = 3_600_000;

/// A fix as the tail has it, 20 bytes.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
struct LooseFix {
    time_offset: u32,
    at: Coord,
    seq_and_flags: u32,
    /// As [`Motion::code`] has it.
    motion: u32,
}

/// The newest fixes of a vehicle.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Loose {
    base_time: i64,
    base_seq: u64,
    kept: Vec<LooseFix>,
}

/// Where a fix is. Good until a fix is inserted or dropped before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) block: usize,
    pub(crate) index: usize,
}

/// What an insertion touched.
#[derive(Debug)]
pub(crate) enum Touched {
    /// The tail alone.
    Tail,
    /// This sealed block holds one position more, or another one.
    Block(usize),
    /// These sealed blocks are new, and perhaps the tail is. `were_listed`: they hold what a sealed block held;
    /// `first_keeps_base`: the first goes on under that one's name.
    Blocks { anew: Range<usize>, were_listed: bool, first_keeps_base: bool },
}

/// All fixes of one vehicle.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct History {
    /// A copy of the newest fix: nearly every fix is compared with it, and the tail is elsewhere.
    newest: Option<Fix>,
    tail: Loose,
    sealed: Vec<Packed>,
}

impl Loose {
    /// Begins anew with a fix; the room for others stays.
    fn begin(&mut self, fix: &Fix, base_seq: u64) {
        (self.base_time, self.base_seq) = (fix.time, base_seq);
        self.kept.clear();
        self.kept.push(self.loose(fix));
    }

    fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether offsets can say where this fix is.
    fn fits(&self, fix: &Fix) -> bool {
        (0..=i64::from(u32::MAX)).contains(&(fix.time - self.base_time))
            && (self.base_seq..self.base_seq + SEQ_OFFSETS).contains(&fix.seq)
    }

    fn loose(&self, fix: &Fix) -> LooseFix {
        debug_assert!(self.fits(fix));
        let flags = if fix.is_jump { JUMP } else { 0 } | if fix.has_bad_value { BAD_VALUE } else { 0 };
        LooseFix {
            time_offset: (fix.time - self.base_time) as u32,
            at: fix.at,
            seq_and_flags: (fix.seq - self.base_seq) as u32 | flags,
            motion: fix.motion.code(),
        }
    }

    #[inline]
    fn fix(&self, index: usize) -> Fix {
        let kept = &self.kept[index];
        Fix {
            time: self.base_time + i64::from(kept.time_offset),
            seq: self.base_seq + u64::from(kept.seq_and_flags & !(JUMP | BAD_VALUE)),
            at: kept.at,
            motion: Motion::of_code(kept.motion),
            is_jump: kept.seq_and_flags & JUMP != 0,
            has_bad_value: kept.seq_and_flags & BAD_VALUE != 0,
        }
    }

    fn fixes(&self) -> impl Iterator<Item = Fix> {
        (0..self.len()).map(|index| self.fix(index))
    }

    fn search(&self, time: i64) -> Result<usize, usize> {
        match u32::try_from(time.saturating_sub(self.base_time)) {
            Ok(offset) => self.kept.binary_search_by_key(&offset, |kept| kept.time_offset),
            Err(_) if time < self.base_time => Err(0),
            Err(_) => Err(self.kept.len()),
        }
    }

    fn set_jump(&mut self, index: usize, is_jump: bool) {
        let flags = &mut self.kept[index].seq_and_flags;
        *flags = *flags & !JUMP | if is_jump { JUMP } else { 0 };
    }
}

impl History {
    #[cfg(test)]
    fn len(&self) -> usize {
        self.sealed.iter().map(Packed::len).sum::<usize>() + self.tail.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tail.kept.is_empty() && self.sealed.is_empty()
    }

    pub(crate) fn sealed_count(&self) -> usize {
        self.sealed.len()
    }

    #[inline]
    pub(crate) fn block(&self, block: usize) -> Block<'_> {
        match self.sealed.get(block) {
            Some(packed) => Block::Sealed(packed),
            None => Block::Tail(&self.tail),
        }
    }

    #[inline]
    pub(crate) fn get(&self, place: Place) -> Fix {
        self.block(place.block).fix(place.index)
    }

    pub(crate) fn first(&self) -> Option<Place> {
        let place = Place { block: 0, index: 0 };
        (!self.is_empty()).then_some(place)
    }

    /// Touches the memory of the history itself.
    #[inline]
    pub(crate) fn touch(&self) -> u32 {
        let newest = self.newest.map_or(0, |newest| newest.time as u32);
        newest.wrapping_add((self.tail.len() + self.sealed.len()) as u32)
    }

    /// Touches the memory where [`History::push`] will write.
    #[inline]
    pub(crate) fn touch_tail(&self) -> u32 {
        self.tail.kept.last().map_or(0, |kept| kept.time_offset)
    }

    /// The newest fix itself.
    #[inline]
    pub(crate) fn newest(&self) -> Option<Fix> {
        self.newest
    }

    /// Where the newest fix is.
    #[inline]
    pub(crate) fn last(&self) -> Option<Place> {
        if let Some(index) = self.tail.len().checked_sub(1) {
            return Some(Place { block: self.sealed.len(), index });
        }
        let block = self.sealed.len().checked_sub(1)?;
        Some(Place { block, index: self.sealed[block].len() - 1 })
    }

    #[inline]
    pub(crate) fn next(&self, place: Place) -> Option<Place> {
        if place.index + 1 < self.block(place.block).len() {
            return Some(Place { index: place.index + 1, ..place });
        }
        self.begin_of(place.block + 1)
    }

    /// The first fix of a block, unless there is none.
    pub(crate) fn begin_of(&self, block: usize) -> Option<Place> {
        (block <= self.sealed.len() && self.block(block).len() > 0).then_some(Place { block, index: 0 })
    }

    #[inline]
    pub(crate) fn prev(&self, place: Place) -> Option<Place> {
        if place.index > 0 {
            return Some(Place { index: place.index - 1, ..place });
        }
        let block = place.block.checked_sub(1)?;
        Some(Place { block, index: self.sealed[block].len() - 1 })
    }

    /// The last good fix before a place.
    #[inline]
    pub(crate) fn good_before(&self, place: Place) -> Option<Place> {
        let mut at = self.prev(place)?;
        while self.get(at).is_jump {
            at = self.prev(at)?;
        }
        Some(at)
    }

    /// The newest good fix.
    #[inline]
    pub(crate) fn last_good(&self) -> Option<Place> {
        let last = self.last()?;
        if self.get(last).is_jump { self.good_before(last) } else { Some(last) }
    }

    /// The first fix at or after a time.
    pub(crate) fn at_or_after(&self, time: i64) -> Option<Place> {
        match self.find(time) {
            Ok(place) => Some(place),
            Err(place) if place.index < self.block(place.block).len() => Some(place),
            Err(place) => self.begin_of(place.block + 1),
        }
    }

    /// The fix at a time, or the place where one would be inserted: perhaps just behind a block's last.
    pub(crate) fn find(&self, time: i64) -> Result<Place, Place> {
        let block = self.block_of(time);
        let at = |index| Place { block, index };
        self.block(block).search(time).map(at).map_err(at)
    }

    /// The block where a time is, or would be.
    pub(crate) fn block_of(&self, time: i64) -> usize {
        if self.tail.len() > 0 && self.tail.base_time <= time {
            self.sealed.len()
        } else {
            self.first_sealed(time.saturating_add(1), Packed::base_time).saturating_sub(1)
        }
    }

    /// The sealed blocks of that base time, to the second: one, none where it is gone, seldom more.
    pub(crate) fn blocks_at(&self, base_s: u32) -> Range<usize> {
        let of = |block: &Packed| i64::from(base_seconds(block.base_time()));
        let first = self.first_sealed(base_s.into(), of);
        let same = self.sealed[first..].iter().take_while(|block| of(block) == i64::from(base_s));
        first..first + same.count()
    }

    /// The first sealed block that has at least this base, as `of` tells it. Vehicles report evenly, mostly: so it
    /// is looked for where it would be if all blocks were as long, which touches less memory than halving does.
    fn first_sealed(&self, base: i64, of: impl Fn(&Packed) -> i64) -> usize {
        let Some(last) = self.sealed.len().checked_sub(1) else { return 0 };
        let at = |block: usize| of(&self.sealed[block]);
        let (first_base, last_base) = (at(0), at(last));
        if base <= first_base {
            return 0;
        }
        if base > last_base {
            return last + 1;
        }
        let guess = ((base - first_base) * last as i64 / (last_base - first_base)) as usize;
        let mut step = 1;
        // What is looked for is behind `low`, and not behind `high`.
        let (low, high) = if at(guess) < base {
            let mut low = guess;
            while low + step < last && at(low + step) < base {
                low += step;
                step *= 2;
            }
            (low, last.min(low + step))
        } else {
            let mut high = guess;
            while high > step && at(high - step) >= base {
                high -= step;
                step *= 2;
            }
            (high.saturating_sub(step), high)
        };
        low + 1 + self.sealed[low + 1..high].partition_point(|block| of(block) < base)
    }

    /// Adds the newest fix; tells whether the tail was sealed for it.
    #[inline]
    pub(crate) fn push(&mut self, fix: &Fix) -> (Place, bool) {
        let sealed = self.tail.len() == BLOCK_LEN || (self.tail.len() > 0 && !self.tail.fits(fix));
        if sealed {
            self.seal();
        }
        if sealed || self.tail.len() == 0 {
            self.tail.begin(fix, fix.seq);
        } else {
            let loose = self.tail.loose(fix);
            self.tail.kept.push(loose);
        }
        self.newest = Some(*fix);
        (Place { block: self.sealed.len(), index: self.tail.len() - 1 }, sealed)
    }

    /// The tail is packed, and may begin anew.
    fn seal(&mut self) {
        let fixes: Vec<Fix> = self.tail.fixes().collect();
        if self.sealed.len() == self.sealed.capacity() {
            // Doubling would leave room for twice as many blocks.
            self.sealed.reserve_exact(1 + self.sealed.len() / 8);
        }
        self.sealed.push(Packed::new(self.tail.base_time, &fixes));
    }

    /// Inserts a fix at a place that [`History::find`] gave, or puts it in the place of the one of its time.
    pub(crate) fn insert(&mut self, found: Result<Place, Place>, fix: &Fix) -> (Place, Touched) {
        let inserted = self.insert_in_block(found, fix);
        self.newest = self.last().map(|place| self.get(place));
        inserted
    }

    fn insert_in_block(&mut self, found: Result<Place, Place>, fix: &Fix) -> (Place, Touched) {
        let (Ok(place) | Err(place)) = found;
        let put = |fixes: &mut Vec<Fix>| match found {
            Ok(_) => fixes[place.index] = *fix,
            Err(_) => fixes.insert(place.index, *fix),
        };
        let mut fixes: Vec<Fix>;
        if let Some(sealed) = self.sealed.get_mut(place.block) {
            let index = |place: Place| place.index;
            if sealed.put(found.map(index).map_err(index), fix) {
                return (place, Touched::Block(place.block));
            }
            fixes = sealed.fixes().collect();
            put(&mut fixes);
            if Packed::can_hold(sealed.base_time(), &fixes) {
                *sealed = Packed::new(sealed.base_time(), &fixes);
                return (place, Touched::Block(place.block));
            }
        } else {
            let tail = &mut self.tail;
            if tail.fits(fix) && (found.is_ok() || tail.len() < BLOCK_LEN) {
                let loose = tail.loose(fix);
                match found {
                    Ok(_) => tail.kept[place.index] = loose,
                    Err(_) => tail.kept.insert(place.index, loose),
                }
                return (place, Touched::Tail);
            }
            fixes = tail.fixes().collect();
            put(&mut fixes);
        }
        let touched = self.repack(place.block, &fixes);
        let (Ok(place) | Err(place)) = self.find(fix.time);
        (place, touched)
    }

    /// Puts fixes in the place of a block's, in as many blocks as it takes.
    fn repack(&mut self, block: usize, fixes: &[Fix]) -> Touched {
        let is_tail = block >= self.sealed.len();
        let most = if is_tail { BLOCK_LEN } else { MOST_FIXES };
        let most = if fixes.len() > most { fixes.len().div_ceil(2) } else { most };
        let mut parts: Vec<&[Fix]> = Vec::new();
        let mut rest = fixes;
        while let Some(first) = rest.first() {
            let mut len = most.min(rest.len());
            while !Packed::can_hold(first.time, &rest[..len]) {
                len -= 1;
            }
            let (part, later) = rest.split_at(len);
            parts.push(part);
            rest = later;
        }
        let end = if is_tail {
            let newest = parts.pop().unwrap_or_default();
            self.tail.kept.clear();
            if let Some(first) = newest.first() {
                let base_seq = newest.iter().map(|fix| fix.seq).min().unwrap_or(first.seq);
                self.tail.begin(first, base_seq);
                let later: Vec<LooseFix> = newest[1..].iter().map(|fix| self.tail.loose(fix)).collect();
                self.tail.kept.extend(later);
            }
            block
        } else {
            block + 1
        };
        let anew = block..block + parts.len();
        let base_before = self.sealed.get(block).map(Packed::base_time);
        let mut first_keeps_base = false;
        let packed = parts.iter().enumerate().map(|(n, part)| {
            if let Some(base) = base_before.filter(|&base| n == 0 && Packed::can_hold(base, part)) {
                first_keeps_base = true;
                return Packed::new(base, part);
            }
            // More may come from before all: it finds a base that is early enough.
            let slack_ms = if block + n == 0 && !is_tail { front_slack_ms(part) } else { 0 };
            Packed::new(part[0].time - slack_ms, part)
        });
        let packed: Vec<Packed> = packed.collect();
        self.sealed.splice(block..end, packed);
        Touched::Blocks { anew, were_listed: !is_tail, first_keeps_base }
    }

    #[inline]
    pub(crate) fn set_jump(&mut self, place: Place, is_jump: bool) {
        match self.sealed.get_mut(place.block) {
            Some(packed) => packed.set_jump(place.index, is_jump),
            None => self.tail.set_jump(place.index, is_jump),
        }
        if Some(place) == self.last()
            && let Some(newest) = &mut self.newest
        {
            newest.is_jump = is_jump;
        }
    }

    /// Drops whole blocks before the place, and gives them to `gone`.
    pub(crate) fn drop_blocks_before(&mut self, place: Place, gone: impl FnMut(Packed)) {
        let count = place.block.min(self.sealed.len());
        self.sealed.drain(..count).for_each(gone);
        if self.sealed.len() < self.sealed.capacity() / 4 {
            self.sealed.shrink_to(self.sealed.len() * 2);
        }
    }
}

/// How much earlier than its first fix the base of the first block may be.
fn front_slack_ms(fixes: &[Fix]) -> i64 {
    let span_ms = fixes.last().zip(fixes.first()).map_or(0, |(last, first)| last.time - first.time);
    FRONT_SLACK_MS.min(i64::from(u32::MAX) - span_ms)
}

/// Seconds since 2000, which no event time precedes: a base time in 32 bits.
pub(crate) fn base_seconds(base_time: i64) -> u32 {
    const YEAR_2000_MS: i64 = 946_684_800_000;
    u32::try_from((base_time - YEAR_2000_MS).max(0) / 1000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
