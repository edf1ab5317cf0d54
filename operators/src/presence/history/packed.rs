//! A sealed block: fixes that follow one another, in few bits.
//!
//! ```text
//!   words   [ base_seq | lon, lat | jumps, bad values | shape ]  [ times | longitudes | latitudes | seqs ]
//!             the least of each     a bit a fix                    columns of offsets, each as wide as it must be
//! ```
//!
//! A truck on the road takes about 9 bytes a fix, one that is parked about 5, where a loose fix takes 16. Columns,
//! because a search looks at times only, and an edit at positions only.

use model::Coord;

use super::{BLOCK_LEN, Fix, SEQ_OFFSETS};

const BASE_SEQ: usize = 0;
const LOWEST: usize = 1;
const FLAGS: usize = 2;
const SHAPE: usize = 3;
/// Where the columns begin.
const COLUMNS: usize = 4;
const WORD_BITS: usize = u64::BITS as usize;

// The flags of a block are one word.
const _: () = assert!(BLOCK_LEN <= 32);

/// See the module.
#[derive(Debug)]
pub(crate) struct Packed {
    base_time: i64,
    words: Box<[u64]>,
}

/// What a block's columns are like; one word.
#[derive(Clone, Copy)]
struct Shape {
    len: usize,
    /// Times are whole seconds from the base.
    is_in_seconds: bool,
    time_bits: usize,
    lon_bits: usize,
    lat_bits: usize,
    seq_bits: usize,
}

impl Shape {
    fn to_word(self) -> u64 {
        let bytes = [self.len, self.time_bits, self.lon_bits, self.lat_bits, self.seq_bits];
        let widths = bytes.iter().rev().fold(0, |word, byte| word << 8 | *byte as u64);
        widths | u64::from(self.is_in_seconds) << 40
    }

    #[inline]
    fn of_word(word: u64) -> Shape {
        let byte = |n: u32| (word >> (8 * n)) as usize & 0xff;
        Shape {
            len: byte(0),
            time_bits: byte(1),
            lon_bits: byte(2),
            lat_bits: byte(3),
            seq_bits: byte(4),
            is_in_seconds: byte(5) != 0,
        }
    }

    fn lon_at(&self) -> usize {
        self.len * self.time_bits
    }

    fn lat_at(&self) -> usize {
        self.lon_at() + self.len * self.lon_bits
    }

    fn seq_at(&self) -> usize {
        self.lat_at() + self.len * self.lat_bits
    }

    fn words(&self) -> usize {
        COLUMNS + (self.seq_at() + self.len * self.seq_bits).div_ceil(WORD_BITS)
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
        let lowest = Coord {
            lon: fixes.iter().map(|fix| fix.at.lon).min().unwrap_or(0),
            lat: fixes.iter().map(|fix| fix.at.lat).min().unwrap_or(0),
        };
        let is_in_seconds = fixes.iter().all(|fix| (fix.time - base_time) % 1000 == 0);
        let unit_ms = if is_in_seconds { 1000 } else { 1 };
        let time = |fix: &Fix| ((fix.time - base_time) / unit_ms) as u64;
        let lon = |fix: &Fix| u64::from(fix.at.lon.abs_diff(lowest.lon));
        let lat = |fix: &Fix| u64::from(fix.at.lat.abs_diff(lowest.lat));
        let seq = |fix: &Fix| fix.seq - base_seq;
        let width = |of: &dyn Fn(&Fix) -> u64| bits_for(fixes.iter().map(of).max().unwrap_or(0));
        let shape = Shape {
            len: fixes.len(),
            is_in_seconds,
            time_bits: width(&time),
            lon_bits: width(&lon),
            lat_bits: width(&lat),
            seq_bits: width(&seq),
        };
        let mut words = vec![0; shape.words()].into_boxed_slice();
        words[BASE_SEQ] = base_seq;
        words[LOWEST] = u64::from(lowest.lon.cast_unsigned()) << 32 | u64::from(lowest.lat.cast_unsigned());
        words[SHAPE] = shape.to_word();
        let columns = &mut words[COLUMNS..];
        put_column(columns, 0, shape.time_bits, fixes.iter().map(time));
        put_column(columns, shape.lon_at(), shape.lon_bits, fixes.iter().map(lon));
        put_column(columns, shape.lat_at(), shape.lat_bits, fixes.iter().map(lat));
        put_column(columns, shape.seq_at(), shape.seq_bits, fixes.iter().map(seq));
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
        self.shape().len
    }

    #[inline]
    fn shape(&self) -> Shape {
        Shape::of_word(self.words[SHAPE])
    }

    #[inline]
    fn column(&self, start: usize, bits: usize, index: usize) -> u64 {
        bits_at(&self.words[COLUMNS..], start + index * bits, bits)
    }

    #[inline]
    fn lowest(&self) -> (i32, i32) {
        let word = self.words[LOWEST];
        (((word >> 32) as u32).cast_signed(), (word as u32).cast_signed())
    }

    #[inline]
    fn time(&self, shape: &Shape, index: usize) -> i64 {
        let unit_ms = if shape.is_in_seconds { 1000 } else { 1 };
        self.base_time + self.column(0, shape.time_bits, index) as i64 * unit_ms
    }

    #[inline]
    fn at(&self, shape: &Shape, index: usize) -> Coord {
        let (lon, lat) = self.lowest();
        Coord {
            lon: lon.wrapping_add_unsigned(self.column(shape.lon_at(), shape.lon_bits, index) as u32),
            lat: lat.wrapping_add_unsigned(self.column(shape.lat_at(), shape.lat_bits, index) as u32),
        }
    }

    pub(crate) fn fix(&self, index: usize) -> Fix {
        let shape = self.shape();
        debug_assert!(index < shape.len);
        Fix {
            time: self.time(&shape, index),
            seq: self.words[BASE_SEQ] + self.column(shape.seq_at(), shape.seq_bits, index),
            at: self.at(&shape, index),
            is_jump: self.flag(index),
            has_bad_value: self.flag(32 + index),
        }
    }

    /// All fixes in their order.
    pub(crate) fn fixes(&self) -> impl Iterator<Item = Fix> {
        (0..self.len()).map(|index| self.fix(index))
    }

    /// Where a time is, or would be.
    pub(crate) fn search(&self, time: i64) -> Result<usize, usize> {
        let shape = self.shape();
        let (mut low, mut high) = (0, shape.len);
        while low < high {
            let middle = low.midpoint(high);
            match self.time(&shape, middle).cmp(&time) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Ok(middle),
            }
        }
        Err(low)
    }

    /// The positions of all fixes.
    pub(crate) fn positions(&self) -> impl Iterator<Item = Coord> {
        let shape = self.shape();
        (0..shape.len).map(move |index| self.at(&shape, index))
    }

    fn flag(&self, bit: usize) -> bool {
        self.words[FLAGS] >> bit & 1 == 1
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
