//! Lines of a stream, borrowed from its buffer where they fit in.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};

use memchr::memchr;

use super::MAX_LINE_BYTES;

const BUFFER_BYTES: usize = 256 * 1024;
/// How much is kept of a line that is too long.
const KEPT_BYTES: usize = 4 * 1024;

/// The stream that files are read from, decompressed.
pub(super) type Input = BufReader<Box<dyn Read + Send>>;

/// Buffers a decompressed stream.
pub(super) fn buffered(stream: Box<dyn Read + Send>) -> Input {
    BufReader::with_capacity(BUFFER_BYTES, stream)
}

/// The buffered bytes, empty at the end.
pub(super) fn fill(input: &mut Input) -> io::Result<&[u8]> {
    loop {
        match input.fill_buf() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
            // Asked again, it answers from its buffer (or that the stream has ended).
            Ok(_) => return input.fill_buf(),
        }
    }
}

/// A line without its end.
pub(super) enum Line<'a> {
    /// All of it.
    Whole(&'a [u8]),
    /// The beginning of one that is longer than [`MAX_LINE_BYTES`].
    TooLong(&'a [u8]),
}

/// Reads lines.
pub(super) struct Lines {
    input: Input,
    number: u64,
    /// The beginning of a line that did not fit into the buffer.
    spill: Vec<u8>,
    /// How long that line is.
    spilt: usize,
}

impl Lines {
    pub(super) fn new(input: Input) -> Lines {
        Lines { input, number: 0, spill: Vec::new(), spilt: 0 }
    }

    /// The number of the last line that was passed on, from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Passes the next line and its number on; `None` at the end. After an error, the line that was being
    /// read is lost, since it may not be whole.
    pub(super) fn next<T>(&mut self, use_line: impl FnOnce(u64, Line<'_>) -> T) -> io::Result<Option<T>> {
        loop {
            let chunk = fill(&mut self.input)?;
            let at_end = chunk.is_empty();
            if at_end && self.spilt == 0 {
                return Ok(None);
            }
            let line_end = if at_end { Some(0) } else { memchr(b'\n', chunk) };
            if let (Some(end), 0) = (line_end, self.spilt) {
                self.number += 1;
                let result = use_line(self.number, line(&chunk[..end], end, self.number));
                self.input.consume(end + 1);
                return Ok(Some(result));
            }
            let length = line_end.unwrap_or(chunk.len());
            let room = (MAX_LINE_BYTES + 2).saturating_sub(self.spill.len());
            self.spill.extend_from_slice(&chunk[..length.min(room)]);
            self.spilt += length;
            let newline = usize::from(line_end.is_some() && !at_end);
            self.input.consume(length + newline);
            if line_end.is_some() {
                self.number += 1;
                let result = use_line(self.number, line(&self.spill, self.spilt, self.number));
                self.spill.clear();
                self.spill.shrink_to(BUFFER_BYTES);
                self.spilt = 0;
                return Ok(Some(result));
            }
        }
    }
}

/// A line from its bytes, of which only the first may be kept.
fn line(kept: &[u8], length: usize, number: u64) -> Line<'_> {
    let mut bytes = kept.strip_suffix(b"\r").filter(|_| kept.len() == length).unwrap_or(kept);
    let cut = length - (kept.len() - bytes.len());
    if number == 1 {
        bytes = crate::json::without_bom(bytes);
    }
    if cut > MAX_LINE_BYTES {
        return Line::TooLong(&bytes[..bytes.len().min(KEPT_BYTES)]);
    }
    Line::Whole(bytes)
}

/// The reason for a line that is too long.
pub(super) fn too_long() -> String {
    format!("the line is longer than {MAX_LINE_BYTES} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &'static [u8], buffer: usize) -> Vec<(u64, Result<String, String>)> {
        let mut lines = Lines::new(BufReader::with_capacity(buffer, Box::new(bytes)));
        let mut got = Vec::new();
        let own = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        while let Some(line) = lines
            .next(|number, line| match line {
                Line::Whole(bytes) => (number, Ok(own(bytes))),
                Line::TooLong(bytes) => (number, Err(own(bytes))),
            })
            .unwrap()
        {
            got.push(line);
        }
        got
    }

    #[test]
    fn lines_of_any_length_in_any_buffer() {
        for buffer in [1, 2, 3, 5, 100] {
            let got = read(b"\xef\xbb\xbfone\r\n\ntwo two\nthree", buffer);
            let texts: Vec<(u64, &str)> =
                got.iter().map(|(number, line)| (*number, line.as_deref().unwrap())).collect();
            assert_eq!(texts, [(1, "one"), (2, ""), (3, "two two"), (4, "three")], "buffer of {buffer}");
        }
        assert!(read(b"", 8).is_empty());
        assert_eq!(read(b"\n", 8), [(1, Ok(String::new()))]);
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_passed_over() {
        let mut text = vec![b'x'; MAX_LINE_BYTES];
        text.extend(b"\r\n");
        text.extend(vec![b'y'; 40 * MAX_LINE_BYTES]);
        text.extend(b"\nlast");
        let text: &'static [u8] = text.leak();
        for buffer in [4096, 64 * MAX_LINE_BYTES] {
            let got = read(text, buffer);
            assert_eq!(got[0].1.as_ref().unwrap().len(), MAX_LINE_BYTES);
            assert_eq!(got[1], (2, Err("y".repeat(KEPT_BYTES))));
            assert_eq!(got[2], (3, Ok("last".to_owned())));
            assert_eq!(got.len(), 3);
        }
    }
}
