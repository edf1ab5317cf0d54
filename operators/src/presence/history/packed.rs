//! A sealed block: fixes that follow one another, in few bits.
//!
//! ```text
//!   words   [ base_seq | jumps | widths | lines | bad values ]   [ times | longitudes | latitudes | seqs | motions ]
//!                        a bit a fix              if any          columns of distances from the lines
//! ```
//!
//! Vehicles report evenly and drive on: each column lies near a straight line over its fixes, and keeps how far
//! it is above one, in as many bits as that takes. Any fix is read without those before it. Columns, because a
//! search looks at times only, and an edit at positions only. Where no fix says how its vehicle moves, there is
//! neither a line nor a column of that.

use model::{Coord, Motion};

use super::{Fix, MOST_FIXES, SEQ_OFFSETS};

const BASE_SEQ: usize = 0;
const JUMPS: usize = 1;
const WIDTHS: usize = 2;
/// Where the lines of the columns are.
const LINES: usize = 3;
/// How many columns every block has.
const ALWAYS_THERE: usize = 4;
const WORD_BITS: usize = u64::BITS as usize;
/// Where in the word of widths the flags are.
const FLAGS: usize = 48;

const TIME: usize = 0;
const LON: usize = 1;
const LAT: usize = 2;
const SEQ: usize = 3;
const MOTION: usize = 4;
const COLUMNS: usize = MOTION + 1;

/// How far above and below an inclined line values are is told in 32 bits, a sign among them, if they lie no
/// farther apart than this.
const WIDEST_INCLINED: u32 = 1 << 30;
/// Turns signed values into unsigned ones in the same order, and back.
const SIGN: u32 = 1 << 31;

// The flags of one kind are one word.
const _: () = assert!(MOST_FIXES <= WORD_BITS);

/// See the module.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Packed {
    base_time: i64,
    #[serde(with = "super::words")]
    words: Box<[u64]>,
}

/// How many fixes there are, and how wide the columns are; one word.
#[derive(Clone, Copy)]
struct Widths {
    len: usize,
    /// Times are whole seconds from the base.
    is_in_seconds: bool,
    has_bad_values: bool,
    has_motions: bool,
    bits: [usize; COLUMNS],
}

impl Widths {
    fn to_word(self) -> u64 {
        let widths = self.bits.iter().rev().fold(0, |word, bits| word << 8 | *bits as u64);
        let flags = u64::from(self.is_in_seconds)
            | u64::from(self.has_bad_values) << 1
            | u64::from(self.has_motions) << 2;
        widths << 8 | self.len as u64 | flags << FLAGS
    }

    #[inline]
    fn of_word(word: u64) -> Widths {
        let byte = |n: u32| (word >> (8 * n)) as usize & 0xff;
        Widths {
            len: byte(0),
            is_in_seconds: word >> FLAGS & 1 != 0,
            has_bad_values: word >> FLAGS & 2 != 0,
            has_motions: word >> FLAGS & 4 != 0,
            bits: [byte(1), byte(2), byte(3), byte(4), byte(5)],
        }
    }

    /// Where a column begins, in bits; the one behind the last ends them.
    #[inline]
    fn start(&self, column: usize) -> usize {
        self.len * self.bits[..column].iter().sum::<usize>()
    }

    /// How many columns there are.
    #[inline]
    fn count(&self) -> usize {
        ALWAYS_THERE + usize::from(self.has_motions)
    }

    /// The word of the bad values, or else that with which the columns begin.
    #[inline]
    fn behind_lines(&self) -> usize {
        LINES + self.count()
    }

    /// The word with which the columns begin.
    #[inline]
    fn columns(&self) -> usize {
        self.behind_lines() + usize::from(self.has_bad_values)
    }

    fn words(&self) -> usize {
        self.columns() + self.start(COLUMNS).div_ceil(WORD_BITS)
    }
}

/// A straight line below a column's values, which are 32 bits wide; sums wrap around.
#[derive(Clone, Copy)]
struct Line {
    start: u32,
    slope: u32,
}

impl Line {
    /// The line from which values are told in the fewest bits, of a level one and that from the first to the
    /// last; and how many bits those are. If they lie far apart, the level one.
    fn below(values: &[u32]) -> (Line, usize) {
        let (mut lowest, mut highest) = (u32::MAX, 0);
        for &value in values {
            lowest = lowest.min(value);
            highest = highest.max(value);
        }
        let level = (Line { start: lowest, slope: 0 }, bits_for(highest - lowest));
        if highest - lowest > WIDEST_INCLINED {
            return level;
        }
        let (first, last) = (values[0], values[values.len() - 1]);
        let steps = (values.len() - 1).max(1) as i32;
        let slope = last.wrapping_sub(first).cast_signed() / steps;
        let (mut lowest, mut highest) = (i32::MAX, i32::MIN);
        for (n, value) in (0..).zip(values) {
            let above = value.wrapping_sub(first).cast_signed() - slope * n;
            lowest = lowest.min(above);
            highest = highest.max(above);
        }
        let line = Line { start: first.wrapping_add_signed(lowest), slope: slope.cast_unsigned() };
        let inclined = (line, bits_for(highest.wrapping_sub(lowest).cast_unsigned()));
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
fn bits_for(highest: u32) -> usize {
    (u32::BITS - highest.leading_zeros()) as usize
}

/// The fixes of a block, unpacked.
struct Columns {
    base_time: i64,
    base_seq: u64,
    /// Times are whole seconds from the base.
    is_in_seconds: bool,
    len: usize,
    /// Longitudes and latitudes begin with [`SIGN`].
    values: [[u32; MOST_FIXES]; COLUMNS],
    jumps: u64,
    bad_values: u64,
}

impl Columns {
    fn empty(base_time: i64, base_seq: u64, is_in_seconds: bool) -> Columns {
        let values = [[0; MOST_FIXES]; COLUMNS];
        Columns { base_time, base_seq, is_in_seconds, len: 0, values, jumps: 0, bad_values: 0 }
    }

    #[inline]
    fn set(&mut self, index: usize, fix: &Fix) {
        let unit_ms = if self.is_in_seconds { 1000 } else { 1 };
        self.values[TIME][index] = ((fix.time - self.base_time) / unit_ms) as u32;
        self.values[LON][index] = fix.at.lon.cast_unsigned() ^ SIGN;
        self.values[LAT][index] = fix.at.lat.cast_unsigned() ^ SIGN;
        self.values[SEQ][index] = (fix.seq - self.base_seq) as u32;
        self.values[MOTION][index] = fix.motion.code();
        set_flag(&mut self.jumps, index, fix.is_jump);
        set_flag(&mut self.bad_values, index, fix.has_bad_value);
    }

    /// See [`Packed::put`].
    fn put(&mut self, found: Result<usize, usize>, fix: &Fix) {
        if self.is_in_seconds && (fix.time - self.base_time) % 1000 != 0 {
            self.is_in_seconds = false;
            self.values[TIME].iter_mut().for_each(|offset| *offset *= 1000);
        }
        let (Ok(index) | Err(index)) = found;
        if found.is_err() {
            for values in &mut self.values {
                values.copy_within(index..self.len, index + 1);
            }
            let before = (1 << index) - 1;
            for flags in [&mut self.jumps, &mut self.bad_values] {
                *flags = *flags & before | (*flags & !before) << 1;
            }
            self.len += 1;
        }
        self.set(index, fix);
    }

    fn pack(&self) -> Packed {
        let mut lines = [Line { start: 0, slope: 0 }; COLUMNS];
        let has_bad_values = self.bad_values != 0;
        let mut widths = Widths {
            len: self.len,
            is_in_seconds: self.is_in_seconds,
            has_bad_values,
            has_motions: self.values[MOTION][..self.len].iter().any(|&code| code != 0),
            bits: [0; COLUMNS],
        };
        for (column, values) in self.values.iter().enumerate().take(widths.count()) {
            let (line, bits) = Line::below(&values[..self.len]);
            lines[column] = Line { start: line.start ^ sign_of(column), ..line };
            widths.bits[column] = bits;
        }
        let mut words = vec![0; widths.words()].into_boxed_slice();
        words[BASE_SEQ] = self.base_seq;
        words[JUMPS] = self.jumps;
        words[WIDTHS] = widths.to_word();
        if has_bad_values {
            words[widths.behind_lines()] = self.bad_values;
        }
        for (column, line) in lines.iter().enumerate().take(widths.count()) {
            words[LINES + column] = line.to_word();
            let sign = sign_of(column);
            let mut above = [0; MOST_FIXES];
            for (index, (above, value)) in above.iter_mut().zip(&self.values[column]).enumerate() {
                *above = (value ^ sign).wrapping_sub(line.at(index));
            }
            let (start, bits) = (widths.start(column), widths.bits[column]);
            put_column(&mut words[widths.columns()..], start, bits, &above[..self.len]);
        }
        Packed { base_time: self.base_time, words }
    }
}

/// What the values of a column begin with when they are unpacked.
fn sign_of(column: usize) -> u32 {
    if column == LON || column == LAT { SIGN } else { 0 }
}

fn set_flag(flags: &mut u64, bit: usize, on: bool) {
    *flags = *flags & !(1 << bit) | u64::from(on) << bit;
}

impl Packed {
    /// Whether a block of this base can hold fixes of these times and sequence numbers.
    pub(crate) fn can_hold(base_time: i64, fixes: &[Fix]) -> bool {
        let fits = |fix: &Fix| (0..=i64::from(u32::MAX)).contains(&(fix.time - base_time));
        let seqs = || fixes.iter().map(|fix| fix.seq);
        let span = seqs().max().unwrap_or(0) - seqs().min().unwrap_or(0);
        fixes.len() <= MOST_FIXES && span < SEQ_OFFSETS && fixes.iter().all(fits)
    }

    /// Fixes in their order; the block [can hold](Packed::can_hold) them.
    pub(crate) fn new(base_time: i64, fixes: &[Fix]) -> Packed {
        debug_assert!(Packed::can_hold(base_time, fixes));
        let base_seq = fixes.iter().map(|fix| fix.seq).min().unwrap_or(0);
        let is_in_seconds = fixes.iter().all(|fix| (fix.time - base_time) % 1000 == 0);
        let mut columns = Columns::empty(base_time, base_seq, is_in_seconds);
        columns.len = fixes.len();
        for (index, fix) in fixes.iter().enumerate() {
            columns.set(index, fix);
        }
        columns.pack()
    }

    /// Puts a fix where a search for its time has led to: before another one, or in its place. Tells whether it
    /// did; where it did not, nothing has changed, and the block must be looked at as a whole.
    pub(crate) fn put(&mut self, found: Result<usize, usize>, fix: &Fix) -> bool {
        let widths = self.widths();
        let base_seq = self.words[BASE_SEQ];
        let fits = (0..=i64::from(u32::MAX)).contains(&(fix.time - self.base_time))
            && (base_seq..base_seq + SEQ_OFFSETS).contains(&fix.seq)
            && (found.is_ok() || widths.len < MOST_FIXES);
        if fits {
            let mut columns = self.columns(widths);
            columns.put(found, fix);
            *self = columns.pack();
        }
        fits
    }

    fn columns(&self, widths: Widths) -> Columns {
        let base_seq = self.words[BASE_SEQ];
        let mut columns = Columns::empty(self.base_time, base_seq, widths.is_in_seconds);
        columns.len = widths.len;
        columns.jumps = self.words[JUMPS];
        columns.bad_values = self.bad_values(widths);
        for (column, values) in columns.values.iter_mut().enumerate().take(widths.count()) {
            let value = self.column(widths, column);
            let sign = sign_of(column);
            values[..widths.len].iter_mut().enumerate().for_each(|(index, to)| *to = value(index) ^ sign);
        }
        columns
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

    #[inline]
    fn bad_values(&self, widths: Widths) -> u64 {
        if widths.has_bad_values { self.words[widths.behind_lines()] } else { 0 }
    }

    /// Touches all memory of the fixes.
    #[inline]
    pub(crate) fn touch(&self) -> u32 {
        const WORDS_A_LINE: usize = 8;
        self.words.iter().step_by(WORDS_A_LINE).fold(0, |sum: u32, word| sum.wrapping_add(*word as u32))
    }

    /// The values of a column by index.
    #[inline]
    fn column(&self, widths: Widths, column: usize) -> impl Fn(usize) -> u32 {
        let line = Line::of_word(self.words[LINES + column]);
        let (start, bits) = (widths.start(column), widths.bits[column]);
        let words = &self.words[widths.columns()..];
        move |index| {
            let above = bits_at(words, start + index * bits, bits);
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

    /// How vehicles move, by index.
    #[inline]
    fn motions(&self, widths: Widths) -> impl Fn(usize) -> Motion {
        let code = widths.has_motions.then(|| self.column(widths, MOTION));
        move |index| code.as_ref().map_or(Motion::default(), |code| Motion::of_code(code(index)))
    }

    /// The fixes by index.
    #[inline]
    fn by_index(&self) -> impl Fn(usize) -> Fix {
        let widths = self.widths();
        let (times, places, seqs) = (self.times(widths), self.places(widths), self.column(widths, SEQ));
        let motions = self.motions(widths);
        let (base_seq, jumps, bad_values) =
            (self.words[BASE_SEQ], self.words[JUMPS], self.bad_values(widths));
        move |index| Fix {
            time: times(index),
            seq: base_seq + u64::from(seqs(index)),
            at: places(index),
            motion: motions(index),
            is_jump: jumps >> index & 1 == 1,
            has_bad_value: bad_values >> index & 1 == 1,
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

    /// Calls `each` with the index and the longitude of every fix.
    #[inline]
    pub(crate) fn for_each_lon(&self, mut each: impl FnMut(usize, i32)) {
        let widths = self.widths();
        let lon = self.column(widths, LON);
        for index in 0..widths.len {
            each(index, lon(index).cast_signed());
        }
    }

    /// The position of a fix by its index.
    #[inline]
    pub(crate) fn position(&self, index: usize) -> Coord {
        self.places(self.widths())(index)
    }

    pub(crate) fn set_jump(&mut self, index: usize, is_jump: bool) {
        set_flag(&mut self.words[JUMPS], index, is_jump);
    }
}

/// Some bits out of a row of words; at most 32.
#[inline]
fn bits_at(words: &[u64], at: usize, bits: usize) -> u64 {
    let (word, shift) = (at / WORD_BITS, at % WORD_BITS);
    // Without a branch on whether they go on in the next word: that is hard to foretell.
    let word_at = |word: usize| words.get(word).copied().unwrap_or(0);
    let value = word_at(word) >> shift | word_at(word + 1) << 1 << (WORD_BITS - 1 - shift);
    value & ((1 << bits) - 1)
}

/// Writes values one behind the other into words that are all 0 from there on.
fn put_column(words: &mut [u64], start: usize, bits: usize, values: &[u32]) {
    if bits == 0 {
        return;
    }
    let (mut word, mut shift) = (start / WORD_BITS, start % WORD_BITS);
    // What belongs into the present word, so far.
    let mut gathered = 0;
    // Two at a time: whether a word is full is hard to foretell.
    for pair in values.chunks(2) {
        let value = pair.iter().rev().fold(0, |value, of_pair| value << bits | u64::from(*of_pair));
        gathered |= value << shift;
        let left = WORD_BITS - shift;
        shift += bits * pair.len();
        if shift >= WORD_BITS {
            words[word] |= gathered;
            word += 1;
            shift -= WORD_BITS;
            gathered = value >> 1 >> (left - 1);
        }
    }
    if shift > 0 {
        words[word] |= gathered;
    }
}
