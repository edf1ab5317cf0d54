//! Pages of key-ordered tables, and cursors: opaque texts that hold the key of the last row of a page.
//!
//! The next page begins after that key, whatever happened between: rows that did not change are neither
//! missed nor doubled.

/// How many entries of a table a page may look at. A page of a narrow filter over a long table may so hold
/// fewer rows than asked for, and still have a successor.
pub(crate) const MAX_STEPS: usize = 10_000;

/// Some rows in key order.
#[derive(Debug)]
pub(crate) struct Page<R, K> {
    pub rows: Vec<R>,
    /// The key after which the next page begins; `None` at the end.
    pub next: Option<K>,
}

/// A text that is no cursor of this list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadCursor;

/// Writes the fields of a key into a cursor.
pub(crate) struct CursorWriter {
    bytes: Vec<u8>,
}

impl CursorWriter {
    /// `list` is a letter that tells the cursors of one list from those of others.
    pub fn new(list: u8) -> CursorWriter {
        CursorWriter { bytes: vec![list] }
    }

    pub fn number(mut self, value: u64) -> CursorWriter {
        self.bytes.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub fn text(mut self, value: &str) -> CursorWriter {
        let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
        self.bytes.extend_from_slice(&length.to_be_bytes());
        self.bytes.extend_from_slice(value.as_bytes());
        self
    }

    pub fn finish(self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        self.bytes
            .iter()
            .flat_map(|byte| [byte >> 4, byte & 15])
            .map(|nibble| char::from(DIGITS[usize::from(nibble)]))
            .collect()
    }
}

/// Reads what [`CursorWriter`] wrote.
pub(crate) struct CursorReader {
    bytes: Vec<u8>,
    at: usize,
}

impl CursorReader {
    pub fn new(list: u8, cursor: &str) -> Result<CursorReader, BadCursor> {
        let digit = |c: u8| char::from(c).to_digit(16).ok_or(BadCursor);
        let (pairs, odd) = cursor.as_bytes().as_chunks::<2>();
        if !odd.is_empty() {
            return Err(BadCursor);
        }
        let bytes: Vec<u8> = pairs
            .iter()
            .map(|&[high, low]| Ok(((digit(high)? << 4) | digit(low)?) as u8))
            .collect::<Result<_, BadCursor>>()?;
        if bytes.first() != Some(&list) {
            return Err(BadCursor);
        }
        Ok(CursorReader { bytes, at: 1 })
    }

    fn take(&mut self, length: usize) -> Result<&[u8], BadCursor> {
        let end = self.at.checked_add(length).ok_or(BadCursor)?;
        let taken = self.bytes.get(self.at..end).ok_or(BadCursor)?;
        self.at = end;
        Ok(taken)
    }

    pub fn number(&mut self) -> Result<u64, BadCursor> {
        let bytes: [u8; 8] = self.take(8)?.try_into().map_err(|_| BadCursor)?;
        Ok(u64::from_be_bytes(bytes))
    }

    pub fn text(&mut self) -> Result<String, BadCursor> {
        let length: [u8; 4] = self.take(4)?.try_into().map_err(|_| BadCursor)?;
        let bytes = self.take(u32::from_be_bytes(length) as usize)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| BadCursor)
    }

    /// Nothing may follow the fields of a key.
    pub fn finish(self) -> Result<(), BadCursor> {
        if self.at == self.bytes.len() { Ok(()) } else { Err(BadCursor) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let text = CursorWriter::new(b'v').text("T1").number(u64::MAX - 1).text("").finish();
        let mut reader = CursorReader::new(b'v', &text).unwrap();
        assert_eq!(reader.text().unwrap(), "T1");
        assert_eq!(reader.number().unwrap(), u64::MAX - 1);
        assert_eq!(reader.text().unwrap(), "");
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn anything_else_is_refused() {
        let good = CursorWriter::new(b'v').text("T1").finish();
        assert!(CursorReader::new(b'p', &good).is_err(), "another list's");
        assert!(CursorReader::new(b'v', &good[1..]).is_err(), "cut");
        assert!(CursorReader::new(b'v', "zz").is_err());
        assert!(CursorReader::new(b'v', "é").is_err());
        assert!(CursorReader::new(b'v', "").is_err());
        let mut longer = CursorReader::new(b'v', &format!("{good}00")).unwrap();
        longer.text().unwrap();
        assert_eq!(longer.finish(), Err(BadCursor));
        let mut huge = CursorReader::new(b'v', "76ffffffff41").unwrap();
        assert_eq!(huge.text(), Err(BadCursor));
    }
}
