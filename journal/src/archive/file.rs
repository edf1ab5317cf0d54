//! A file of an archive: ticks with their entries as Parquet, which other tools read too.
//!
//! ```text
//!   tick | instant | offset? | source? | received? | context? | payload?        a row an entry, in their order
//! ```
//!
//! A tick without entries is one row that has a tick and an instant alone. A row group has whole ticks.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::column::reader::{ColumnReader, get_typed_column_reader};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;
use xxhash_rust::xxh3::Xxh3Default;

use crate::{Entry, StoreError, Tick};

const SCHEMA: &str = "message journal {
    required int64 tick (INTEGER(64, false));
    required int64 instant (TIMESTAMP(MILLIS, true));
    optional int64 offset (INTEGER(64, false));
    optional int32 source;
    optional int64 received (TIMESTAMP(MILLIS, true));
    optional binary context (UTF8);
    optional binary payload;
}";
/// What bodies are packed well by.
const ZSTD_LEVEL: i32 = 6;
/// A group of rows is written when it has so many, or so many bytes of bodies: both sides hold one in memory.
const GROUP_ROWS: usize = 64 * 1024;
const GROUP_BYTES: usize = 16 * 1024 * 1024;

/// What a file must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FileSum {
    pub bytes: u64,
    pub xxh3: u64,
}

impl FileSum {
    /// Of a file as it is.
    pub fn of(path: &Path) -> Result<FileSum, StoreError> {
        let mut file = File::open(path).map_err(StoreError::io(path))?;
        let mut hash = Xxh3Default::new();
        let mut bytes = 0;
        let mut buffer = vec![0; 256 * 1024];
        loop {
            let read = file.read(&mut buffer).map_err(StoreError::io(path))?;
            if read == 0 {
                return Ok(FileSum { bytes, xxh3: hash.digest() });
            }
            hash.update(&buffer[..read]);
            bytes += read as u64;
        }
    }
}

/// The rows of a group, column by column: those of entries have as many values as there are entries.
#[derive(Default)]
struct Columns {
    ticks: Vec<i64>,
    instants: Vec<i64>,
    /// 1 where a row has an entry.
    has_entry: Vec<i16>,
    offsets: Vec<i64>,
    sources: Vec<i32>,
    received: Vec<i64>,
    contexts: Vec<ByteArray>,
    payloads: Vec<ByteArray>,
}

impl Columns {
    fn add(&mut self, tick: Tick) {
        let mut row = |has_entry| {
            self.ticks.push(tick.number.cast_signed());
            self.instants.push(tick.instant_ms);
            self.has_entry.push(has_entry);
        };
        if tick.entries.is_empty() {
            row(0);
        }
        for entry in tick.entries {
            row(1);
            self.offsets.push(entry.offset.cast_signed());
            self.sources.push(entry.source.into());
            self.received.push(entry.received_ms);
            self.contexts.push(ByteArray::from(String::from(entry.context).into_bytes()));
            self.payloads.push(ByteArray::from(entry.payload));
        }
    }
}

/// Writes a file.
pub(crate) struct FileWriter {
    path: PathBuf,
    to: SerializedFileWriter<File>,
    group: Columns,
    group_bytes: usize,
}

impl FileWriter {
    pub fn create(path: PathBuf) -> Result<FileWriter, StoreError> {
        let made = File::create_new(&path).map_err(StoreError::io(&path))?;
        let schema = parse_message_type(SCHEMA).map_err(failed(&path))?;
        let to = SerializedFileWriter::new(made, Arc::new(schema), Arc::new(properties(&path)?));
        Ok(FileWriter { to: to.map_err(failed(&path))?, path, group: Columns::default(), group_bytes: 0 })
    }

    /// Adds the next tick.
    pub fn put(&mut self, tick: Tick) -> Result<(), StoreError> {
        self.group_bytes += tick.entries.iter().map(|entry| entry.payload.len()).sum::<usize>();
        self.group.add(tick);
        if self.group.ticks.len() >= GROUP_ROWS || self.group_bytes >= GROUP_BYTES {
            self.end_group()?;
        }
        Ok(())
    }

    fn end_group(&mut self) -> Result<(), StoreError> {
        let group = std::mem::take(&mut self.group);
        self.group_bytes = 0;
        let mut write = || -> Result<(), ParquetError> {
            let mut to = self.to.next_row_group()?;
            put_column::<Int64Type>(&mut to, &group.ticks, None)?;
            put_column::<Int64Type>(&mut to, &group.instants, None)?;
            let has_entry = Some(group.has_entry.as_slice());
            put_column::<Int64Type>(&mut to, &group.offsets, has_entry)?;
            put_column::<Int32Type>(&mut to, &group.sources, has_entry)?;
            put_column::<Int64Type>(&mut to, &group.received, has_entry)?;
            put_column::<ByteArrayType>(&mut to, &group.contexts, has_entry)?;
            put_column::<ByteArrayType>(&mut to, &group.payloads, has_entry)?;
            to.close().map(drop)
        };
        write().map_err(failed(&self.path))
    }

    /// Returns when all of it is durable.
    pub fn finish(mut self) -> Result<FileSum, StoreError> {
        if !self.group.ticks.is_empty() {
            self.end_group()?;
        }
        let file = self.to.into_inner().map_err(failed(&self.path))?;
        file.sync_all().map_err(StoreError::io(&self.path))?;
        FileSum::of(&self.path)
    }
}

fn properties(path: &Path) -> Result<WriterProperties, StoreError> {
    let level = ZstdLevel::try_new(ZSTD_LEVEL).map_err(failed(path))?;
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("watchtower ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(level));
    for name in ["tick", "instant", "offset", "received"] {
        let column = ColumnPath::from(name);
        properties = properties
            .set_column_dictionary_enabled(column.clone(), false)
            .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED);
    }
    // Bodies are all different, and nobody looks for one by its first bytes.
    let payload = ColumnPath::from("payload");
    properties = properties
        .set_column_dictionary_enabled(payload.clone(), false)
        .set_column_statistics_enabled(payload, EnabledStatistics::None);
    Ok(properties.build())
}

fn put_column<T: DataType>(
    to: &mut SerializedRowGroupWriter<'_, File>,
    values: &[T::T],
    has_value: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let mut column = to.next_column()?.ok_or_else(|| ParquetError::General("a column is missing".into()))?;
    column.typed::<T>().write_batch(values, has_value, None)?;
    column.close()
}

fn failed(path: &Path) -> impl FnOnce(ParquetError) -> StoreError {
    let path = path.to_path_buf();
    move |error| StoreError::Io { path, source: std::io::Error::other(error) }
}

/// Reads the ticks of a file that is as it was written.
pub(crate) struct FileTicks {
    path: PathBuf,
    from: SerializedFileReader<File>,
    next_group: usize,
    group: std::vec::IntoIter<Tick>,
}

impl FileTicks {
    pub fn open(path: PathBuf, sum: FileSum) -> Result<FileTicks, StoreError> {
        if FileSum::of(&path)? != sum {
            return Err(StoreError::damaged(format!("{} is not as it was written", path.display())));
        }
        let file = File::open(&path).map_err(StoreError::io(&path))?;
        let from = SerializedFileReader::new(file).map_err(unreadable(&path))?;
        Ok(FileTicks { path, from, next_group: 0, group: Vec::new().into_iter() })
    }

    /// The next one; `None` behind the last.
    pub fn next(&mut self) -> Result<Option<Tick>, StoreError> {
        loop {
            if let Some(tick) = self.group.next() {
                return Ok(Some(tick));
            }
            if self.next_group == self.from.num_row_groups() {
                return Ok(None);
            }
            let ticks = self.read_group(self.next_group).map_err(unreadable(&self.path))?;
            self.group = ticks.into_iter();
            self.next_group += 1;
        }
    }

    fn read_group(&self, index: usize) -> Result<Vec<Tick>, ParquetError> {
        let group = self.from.get_row_group(index)?;
        let rows = usize::try_from(group.metadata().num_rows())?;
        let column = |at| group.get_column_reader(at);
        let (ticks, _) = take_column::<Int64Type>(column(0)?, rows)?;
        let (instants, _) = take_column::<Int64Type>(column(1)?, rows)?;
        let (offsets, has_entry) = take_column::<Int64Type>(column(2)?, rows)?;
        let (sources, _) = take_column::<Int32Type>(column(3)?, rows)?;
        let (received, _) = take_column::<Int64Type>(column(4)?, rows)?;
        let (contexts, _) = take_column::<ByteArrayType>(column(5)?, rows)?;
        let (payloads, _) = take_column::<ByteArrayType>(column(6)?, rows)?;

        let mut entries =
            offsets.into_iter().zip(sources).zip(received).zip(contexts.into_iter().zip(payloads));
        let mut read: Vec<Tick> = Vec::new();
        for ((number, instant_ms), has_entry) in ticks.into_iter().zip(instants).zip(has_entry) {
            let number = number.cast_unsigned();
            if read.last().is_none_or(|last| last.number != number) {
                read.push(Tick { number, instant_ms, entries: Vec::new() });
            }
            let (Some(tick), true) = (read.last_mut(), has_entry == 1) else { continue };
            let missing = || ParquetError::General("an entry is missing".to_owned());
            let (((offset, source), received_ms), (context, payload)) = entries.next().ok_or_else(missing)?;
            tick.entries.push(Entry {
                offset: offset.cast_unsigned(),
                source: u8::try_from(source)?,
                received_ms,
                context: context.as_utf8()?.into(),
                payload: payload.data().to_vec(),
            });
        }
        Ok(read)
    }
}

/// The values of a column, and where a row has one.
fn take_column<T: DataType>(
    column: ColumnReader,
    rows: usize,
) -> Result<(Vec<T::T>, Vec<i16>), ParquetError> {
    let mut column = get_typed_column_reader::<T>(column);
    let (mut values, mut has_value) = (Vec::new(), Vec::new());
    let mut read = 0;
    while read < rows {
        let (records, _, _) = column.read_records(rows - read, Some(&mut has_value), None, &mut values)?;
        if records == 0 {
            return Err(ParquetError::General("rows are missing".to_owned()));
        }
        read += records;
    }
    Ok((values, has_value))
}

fn unreadable(path: &Path) -> impl FnOnce(ParquetError) -> StoreError {
    let path = path.to_path_buf();
    move |error| StoreError::damaged(format!("{} can't be read ({error})", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(offset: u64, payload: &[u8]) -> Entry {
        Entry { offset, source: 3, received_ms: 7, context: "ü".into(), payload: payload.to_vec() }
    }

    #[test]
    fn ticks_come_back_as_they_were() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.parquet");
        let mut ticks = vec![
            Tick { number: 4, instant_ms: -5, entries: vec![] },
            Tick { number: 5, instant_ms: 9, entries: vec![entry(8, b"\xff\x00"), entry(9, b"")] },
            Tick { number: 6, instant_ms: 9, entries: vec![] },
        ];
        let large = vec![7; GROUP_BYTES];
        ticks.push(Tick { number: 7, instant_ms: i64::MAX, entries: vec![entry(10, &large)] });
        ticks.push(Tick { number: 8, instant_ms: i64::MAX, entries: vec![entry(11, b"last")] });
        let mut writer = FileWriter::create(path.clone()).unwrap();
        ticks.iter().for_each(|tick| writer.put(tick.clone()).unwrap());
        let sum = writer.finish().unwrap();

        let mut reader = FileTicks::open(path.clone(), sum).unwrap();
        assert_eq!(reader.from.num_row_groups(), 2);
        let mut read = Vec::new();
        while let Some(tick) = reader.next().unwrap() {
            read.push(tick);
        }
        assert!(read == ticks);

        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert!(FileTicks::open(path, sum).is_err());
    }
}
