//! A file of a snapshot: frames, packed, with a checksum that the manifest keeps.
//!
//! ```text
//!   zstd( length u32 LE | frame | length | frame | ... | END u32 )
//! ```

use std::fs::File;
use std::io::{self, BufWriter, Cursor, Read, Write};
use std::path::PathBuf;

use model::state::{FramesIn, FramesOut};
use xxhash_rust::xxh3::{Xxh3Default, xxh3_64};

use super::SnapshotError;

/// Stands where a length would be.
const END: u32 = u32::MAX;
/// The least that is worth it: what is kept is packed where it is large.
const LEVEL: i32 = 1;

/// What a file must be.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FileSum {
    /// Its length.
    pub bytes: u64,
    /// XXH3 of it, in hexadecimal.
    pub xxh3: String,
}

/// Counts and hashes what goes by.
struct Hashing<W> {
    to: W,
    hash: Xxh3Default,
    bytes: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.to.write(buffer)?;
        self.hash.update(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Writes a file.
pub(crate) struct FileWriter {
    path: PathBuf,
    to: zstd::Encoder<'static, Hashing<BufWriter<File>>>,
}

impl FileWriter {
    pub fn create(path: PathBuf) -> Result<FileWriter, SnapshotError> {
        let made = File::create_new(&path).and_then(|file| {
            let to = BufWriter::with_capacity(1 << 20, file);
            zstd::Encoder::new(Hashing { to, hash: Xxh3Default::new(), bytes: 0 }, LEVEL)
        });
        match made {
            Ok(to) => Ok(FileWriter { path, to }),
            Err(error) => Err(SnapshotError::io("written", path, error)),
        }
    }

    /// Returns when it is durable.
    pub fn finish(self) -> Result<FileSum, SnapshotError> {
        let FileWriter { path, mut to } = self;
        let finished = to.write_all(&END.to_le_bytes()).and_then(|()| to.finish()).and_then(|hashing| {
            let Hashing { to, hash, bytes } = hashing;
            to.into_inner()?.sync_all()?;
            Ok(FileSum { bytes, xxh3: format!("{:016x}", hash.digest()) })
        });
        finished.map_err(|error| SnapshotError::io("written", path, error))
    }
}

impl FramesOut for FileWriter {
    fn put_frame(&mut self, frame: &[u8]) -> Result<(), String> {
        let length = u32::try_from(frame.len()).ok().filter(|length| *length != END);
        let length = length.ok_or_else(|| format!("a frame of {} bytes is too long", frame.len()))?;
        let written = self.to.write_all(&length.to_le_bytes()).and_then(|()| self.to.write_all(frame));
        written.map_err(|error| format!("{} cannot be written: {error}", self.path.display()))
    }
}

/// Reads a file whose checksum is right.
pub(crate) struct FileReader {
    path: PathBuf,
    from: zstd::Decoder<'static, io::BufReader<Cursor<Vec<u8>>>>,
}

impl FileReader {
    pub fn open(path: PathBuf, sum: &FileSum) -> Result<FileReader, SnapshotError> {
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) => return Err(SnapshotError::io("read", path, error)),
        };
        let found = FileSum { bytes: bytes.len() as u64, xxh3: format!("{:016x}", xxh3_64(&bytes)) };
        if found != *sum {
            return Err(SnapshotError::Damaged(format!("{} is not what was written", path.display())));
        }
        match zstd::Decoder::new(Cursor::new(bytes)) {
            Ok(from) => Ok(FileReader { path, from }),
            Err(error) => Err(SnapshotError::io("read", path, error)),
        }
    }

    /// After the last frame.
    pub fn finish(mut self) -> Result<(), SnapshotError> {
        match self.next_length() {
            Ok(END) => Ok(()),
            Ok(_) => Err(SnapshotError::Damaged(format!("{} has more than is read", self.path.display()))),
            Err(error) => Err(SnapshotError::Damaged(error)),
        }
    }

    fn next_length(&mut self) -> Result<u32, String> {
        let mut length = [0; 4];
        self.from
            .read_exact(&mut length)
            .map_err(|error| format!("{} ends too early: {error}", self.path.display()))?;
        Ok(u32::from_le_bytes(length))
    }
}

impl FramesIn for FileReader {
    fn take_frame(&mut self, frame: &mut Vec<u8>) -> Result<(), String> {
        let length = self.next_length()?;
        frame.clear();
        let read = self.from.by_ref().take(length.into()).read_to_end(frame);
        match read {
            Ok(read) if read as u64 == u64::from(length) && length != END => Ok(()),
            Ok(_) => Err(format!("{} ends too early", self.path.display())),
            Err(error) => Err(format!("{} cannot be read: {error}", self.path.display())),
        }
    }
}
