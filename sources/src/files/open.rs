//! Opens files by their suffixes and reads them through one door.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::csv::{CsvReader, HeaderError};
use super::geojson::{FeatureReader, ScanError};
use super::lines::buffered;
use super::ndjson::NdjsonReader;
use super::{FileError, FileSink};

const FILE_BUFFER_BYTES: usize = 128 * 1024;

/// A file of records, open.
pub struct FileInput {
    path: PathBuf,
    size_bytes: u64,
    bytes_read: Arc<AtomicU64>,
    is_compressed: bool,
    reader: Reader,
}

enum Reader {
    Csv(CsvReader),
    Ndjson(NdjsonReader),
    GeoJson(FeatureReader),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Csv,
    Ndjson,
    GeoJson,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Compression {
    None,
    Gzip,
    Zstd,
}

impl FileInput {
    /// Opens a file, decides by its suffix what it is, and reads its beginning (a CSV's header, a
    /// FeatureCollection up to its features).
    pub fn open(path: &Path) -> Result<FileInput, FileError> {
        let unusable = |reason: String| FileError::Unusable { path: path.to_owned(), reason };
        let Some((format, compression)) = kind_of(path) else {
            let known = ".csv, .ndjson, .jsonl, .geojson and .json, with or without .gz or .zst";
            return Err(unusable(format!("its suffix does not say what it is; read are {known}")));
        };
        let failed = |error| FileError::Open { path: path.to_owned(), error };
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Err(unusable("it is a folder; name the files in it".to_owned()));
        }
        let bytes_read = Arc::new(AtomicU64::new(0));
        let counted = Counted { file, bytes_read: Arc::clone(&bytes_read) };
        let packed = BufReader::with_capacity(FILE_BUFFER_BYTES, counted);
        let stream: Box<dyn Read + Send> = match compression {
            Compression::None => Box::new(packed.into_inner()),
            Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(packed)),
            Compression::Zstd => {
                let decoder = zstd::stream::read::Decoder::with_buffer(packed);
                Box::new(decoder.map_err(|error| unusable(format!("it can't be read as zstd: {error}")))?)
            }
        };
        let is_compressed = compression != Compression::None;
        let input = buffered(stream);
        let failed_read = |error: io::Error| match error.kind() {
            _ if !is_compressed => failed(error),
            ErrorKind::UnexpectedEof if metadata.len() > 0 => {
                FileError::CutShort { path: path.to_owned(), line: 0 }
            }
            _ => unusable(format!("its compressed data can't be read: {error}")),
        };
        let reader = match format {
            Format::Csv => Reader::Csv(CsvReader::new(input).map_err(|error| match error {
                HeaderError::Io(error) => failed_read(error),
                HeaderError::Unusable(reason) => unusable(reason),
            })?),
            Format::Ndjson => Reader::Ndjson(NdjsonReader::new(input)),
            Format::GeoJson => Reader::GeoJson(FeatureReader::new(input).map_err(|error| match error {
                ScanError::Io(error) => failed_read(error),
                ScanError::Broken(reason) => unusable(reason),
            })?),
        };
        Ok(FileInput { path: path.to_owned(), size_bytes: metadata.len(), bytes_read, is_compressed, reader })
    }

    /// Whether it holds fences, which are read before all other files.
    #[must_use]
    pub fn is_geojson(&self) -> bool {
        matches!(self.reader, Reader::GeoJson(_))
    }

    /// The file's size on disk.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// How much of it was read, in bytes on disk.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    /// The path that it was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The last line that was read, from 1.
    #[must_use]
    pub fn line(&self) -> u64 {
        match &self.reader {
            Reader::Csv(reader) => reader.line(),
            Reader::Ndjson(reader) => reader.line(),
            Reader::GeoJson(reader) => reader.line(),
        }
    }

    /// Passes on up to `max` records, bad ones included; `false` at the end of the file. Before an error,
    /// everything that could be read was passed on.
    pub fn read(&mut self, max: usize, sink: &mut dyn FileSink) -> Result<bool, FileError> {
        for _ in 0..max {
            let step = match &mut self.reader {
                Reader::Csv(reader) => reader.step(sink).map_err(ScanError::Io),
                Reader::Ndjson(reader) => reader.step(sink).map_err(ScanError::Io),
                Reader::GeoJson(reader) => reader.step(sink),
            };
            match step {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(error) => return Err(self.failed(error)),
            }
        }
        Ok(true)
    }

    fn failed(&self, error: ScanError) -> FileError {
        let (path, line) = (self.path.clone(), self.line());
        match error {
            ScanError::Io(error) if self.is_compressed && error.kind() == ErrorKind::UnexpectedEof => {
                FileError::CutShort { path, line }
            }
            ScanError::Io(error) => FileError::Damaged { path, line, reason: error.to_string() },
            ScanError::Broken(reason) => FileError::Damaged { path, line, reason },
        }
    }
}

impl std::fmt::Debug for FileInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileInput")
            .field("path", &self.path)
            .field("line", &self.line())
            .finish_non_exhaustive()
    }
}

fn kind_of(path: &Path) -> Option<(Format, Compression)> {
    let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
    let (stem, compression) = match name.rsplit_once('.')? {
        (stem, "gz") => (stem, Compression::Gzip),
        (stem, "zst") => (stem, Compression::Zstd),
        _ => (name.as_str(), Compression::None),
    };
    let format = match stem.rsplit_once('.')?.1 {
        "csv" => Format::Csv,
        "ndjson" | "jsonl" => Format::Ndjson,
        "geojson" | "json" => Format::GeoJson,
        _ => return None,
    };
    Some((format, compression))
}

/// Counts what is read from disk.
struct Counted {
    file: File,
    bytes_read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.bytes_read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
