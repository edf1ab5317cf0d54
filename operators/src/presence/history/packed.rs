//! A sealed block: fixes that follow one another, in few bits.
//!
//! ```text
//!   words   [ base_seq | jumps, bad values | widths | 4 lines ]   [ times | longitudes | latitudes | seqs ]
//!                        a bit a fix                               columns of distances from the lines
//! ```
//!
//! Vehicles report evenly and drive on: each column lies near a straight line over its fixes, and keeps how far
//! it is above one, in as many bits as that takes. Any fix is read without those before it. Columns, because a
//! search looks at times only, and an edit at positions only.

use model::Coord;

use super::{BLOCK_LEN, Fix, SEQ_OFFSETS};

const BASE_SEQ: usize = 0;
const FLAGS: usize = 1;
const WIDTHS: usize = 2;
/// Where the lines of the columns are.
const LINES: usize = 3;
/// Where the columns begin.
const COLUMNS: usize = LINES + 4;
const WORD_BITS: usize = u64::BITS as usize;

const TIME: usize = 0;
const LON: usize = 1;
const LAT: usize = 2;
const SEQ: usize = 3;

// The flags of a block are one word.
const _: () = assert!(BLOCK_LEN <= 32);

/// See the module.
#[derive(Debug)]
pub(crate) struct Packed {
    base_time: i64,
    words: Box<[u64]>,
}

/// How many fixes there are, and how wide the columns are; one word.
#[derive(Clone, Copy)]
struct Widths {
    len: usize,
    /// Times are whole seconds from the base.
    is_in_seconds: bool,
    bits: [usize; 4],
}

impl Widths {
    fn to_word(self) -> u64 {
        let widths = self.bits.iter().rev().fold(0, |word, bits| word << 8 | *bits as u64);
        widths << 8 | self.len as u64 | u64::from(self.is_in_seconds) << 40
    }

    #[inline]
    fn of_word(word: u64) -> Widths {
        let byte = |n: u32| (word >> (8 * n)) as usize & 0xff;
        Widths { len: byte(0), is_in_seconds: byte(5) != 0, bits: [byte(1), byte(2), byte(3), byte(4)] }
    }

    /// Where a column begins, in bits; the one behind the last ends them.
    #[inline]
    fn start(&self, column: usize) -> usize {
        self.len * self.bits[..column].iter().sum::<usize>()
    }

    fn words(&self) -> usize {
        COLUMNS + self.start(4).div_ceil(WORD_BITS)
    }
}

/// A straight line below a column's values, which are 32 bits wide; sums wrap around.
#[derive(Clone, Copy)]
struct Line {
    start: u32,
    slope: u32,
}

impl Line {
    /// The line from which values are told in the fewest bits, of that from the first to the last and a level
    /// one; and how many bits those are. The values span less than 32 bits.
    fn below(values: &[i64]) -> (Line, usize) {
        let steps = values.len().saturating_sub(1).max(1) as i64;
        let rise = values.last().zip(values.first()).map_or(0, |(last, first)| last - first);
        let line = |slope: i64| {
            let above = (0..).zip(values).map(|(n, value)| value - slope * n);
            let (lowest, highest) =
                above.fold((i64::MAX, i64::MIN), |(low, high), value| (low.min(value), high.max(value)));
            (Line { start: lowest as u32, slope: slope as u32 }, bits_for((highest - lowest) as u64))
        };
        let (level, inclined) = (line(0), line(rise / steps));
        if inclined.1 < level.1 { inclined } else { level }
    }

    fn of_word(word: u64) -> Line {
        Line { start: (word >> 32) as u32, slope: word as u32 }
    }

    fn to_word(self) -> u64 {
        u64::from(self.start) << 32 | u64::from(self.slope)
    }

    #[inline]
    fn at(self, index: usize) -> u32 {
        self.start.wrapping_add(self.slope.wrapping_mul(index as u32))
    }
}

/// How many bits it takes to tell all numbers up to one.
fn bits_for(highest: u64) -> usize {
    (u64::BITS - highest.leading_zeros()) as usize
}

impl Packed {
    /// Whether a block of this base can hold fixes of these times and sequence numbers.
    pub(crate) fn can_hold(base_time: i64, fixes: &[Fix]) -> bool {
        let fits = |fix: &Fix| (0..=i64::from(u32::MAX)).contains(&(fix.time - base_time));
        let seqs = || fixes.iter().map(|fix| fix.seq);
        let span = seqs().max().unwrap_or(0) - seqs().min().unwrap_or(0);
        fixes.len() <= BLOCK_LEN && span < SEQ_OFFSETS && fixes.iter().all(fits)
    }

    /// Fixes in their order; the block [can hold](Packed::can_hold) them.
    pub(crate) fn new(base_time: i64, fixes: &[Fix]) -> Packed {
        debug_assert!(Packed::can_hold(base_time, fixes));
        let base_seq = fixes.iter().map(|fix| fix.seq).min().unwrap_or(0);
        let is_in_seconds = fixes.iter().all(|fix| (fix.time - base_time) % 1000 == 0);
        let unit_ms = if is_in_seconds { 1000 } else { 1 };
        let value = |column: usize, fix: &Fix| match column {
            TIME => (fix.time - base_time) / unit_ms,
            LON => fix.at.lon.into(),
            LAT => fix.at.lat.into(),
            _ => (fix.seq - base_seq) as i64,
        };
        let mut buffer = [0; BLOCK_LEN];
        let values = &mut buffer[..fixes.len()];
        let mut lines = [Line { start: 0, slope: 0 }; 4];
        let mut widths = Widths { len: fixes.len(), is_in_seconds, bits: [0; 4] };
        for (column, line) in lines.iter_mut().enumerate() {
            values.iter_mut().zip(fixes).for_each(|(to, fix)| *to = value(column, fix));
            (*line, widths.bits[column]) = Line::below(values);
        }
        let mut words = vec![0; widths.words()].into_boxed_slice();
        words[BASE_SEQ] = base_seq;
        words[WIDTHS] = widths.to_word();
        for (column, line) in lines.iter().enumerate() {
            words[LINES + column] = line.to_word();
            let above = (0..)
                .zip(fixes)
                .map(|(index, fix)| u64::from((value(column, fix) as u32).wrapping_sub(line.at(index))));
            put_column(&mut words[COLUMNS..], widths.start(column), widths.bits[column], above);
        }
        let mut packed = Packed { base_time, words };
        for (index, fix) in fixes.iter().enumerate() {
            packed.set_flag(index, fix.is_jump);
            packed.set_flag(32 + index, fix.has_bad_value);
        }
        packed
    }

    pub(crate) fn base_time(&self) -> i64 {
        self.base_time
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.widths().len
    }

    #[inline]
    fn widths(&self) -> Widths {
        Widths::of_word(self.words[WIDTHS])
    }

    /// The values of a column by index.
    #[inline]
    fn column(&self, widths: Widths, column: usize) -> impl Fn(usize) -> u32 {
        let line = Line::of_word(self.words[LINES + column]);
        let (start, bits) = (widths.start(column), widths.bits[column]);
        move |index| {
            let above = bits_at(&self.words[COLUMNS..], start + index * bits, bits);
            line.at(index).wrapping_add(above as u32)
        }
    }

    /// The times of fixes by index.
    #[inline]
    fn times(&self, widths: Widths) -> impl Fn(usize) -> i64 {
        let unit_ms = if widths.is_in_seconds { 1000 } else { 1 };
        let offset = self.column(widths, TIME);
        move |index| self.base_time + i64::from(offset(index)) * unit_ms
    }

    /// The positions of fixes by index.
    #[inline]
    fn places(&self, widths: Widths) -> impl Fn(usize) -> Coord {
        let (lon, lat) = (self.column(widths, LON), self.column(widths, LAT));
        move |index| Coord { lon: lon(index).cast_signed(), lat: lat(index).cast_signed() }
    }

    /// The fixes by index.
    #[inline]
    fn by_index(&self) -> impl Fn(usize) -> Fix {
        let widths = self.widths();
        let (times, places, seqs) = (self.times(widths), self.places(widths), self.column(widths, SEQ));
        let (base_seq, flags) = (self.words[BASE_SEQ], self.words[FLAGS]);
        move |index| Fix {
            time: times(index),
            seq: base_seq + u64::from(seqs(index)),
            at: places(index),
            is_jump: flags >> index & 1 == 1,
            has_bad_value: flags >> (32 + index) & 1 == 1,
        }
    }

    pub(crate) fn fix(&self, index: usize) -> Fix {
        debug_assert!(index < self.len());
        self.by_index()(index)
    }

    /// All fixes in their order.
    pub(crate) fn fixes(&self) -> impl Iterator<Item = Fix> {
        (0..self.len()).map(self.by_index())
    }

    /// Where a time is, or would be.
    pub(crate) fn search(&self, time: i64) -> Result<usize, usize> {
        let widths = self.widths();
        let times = self.times(widths);
        let (mut low, mut high) = (0, widths.len);
        while low < high {
            let middle = low.midpoint(high);
            match times(middle).cmp(&time) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Ok(middle),
            }
        }
        Err(low)
    }

    /// The positions of all fixes.
    pub(crate) fn positions(&self) -> impl Iterator<Item = Coord> {
        let widths = self.widths();
        (0..widths.len).map(self.places(widths))
    }

    fn set_flag(&mut self, bit: usize, on: bool) {
        let flags = &mut self.words[FLAGS];
        *flags = *flags & !(1 << bit) | u64::from(on) << bit;
    }

    pub(crate) fn set_jump(&mut self, index: usize, is_jump: bool) {
        self.set_flag(index, is_jump);
    }
}

/// Some bits out of a row of words; at most 32.
#[inline]
fn bits_at(words: &[u64], at: usize, bits: usize) -> u64 {
    if bits == 0 {
        return 0;
    }
    let (word, shift) = (at / WORD_BITS, at % WORD_BITS);
    let mut value = words[word] >> shift;
    if shift + bits > WORD_BITS {
        value |= words[word + 1] << (WORD_BITS - shift);
    }
    value & ((1 << bits) - 1)
}

fn put_column(words: &mut [u64], start: usize, bits: usize, values: impl Iterator<Item = u64>) {
    if bits == 0 {
        return;
    }
    let mut at = start;
    for value in values {
        let (word, shift) = (at / WORD_BITS, at % WORD_BITS);
        words[word] |= value << shift;
        if shift + bits > WORD_BITS {
            words[word + 1] |= value >> (WORD_BITS - shift);
        }
        at += bits;
    }
}
