//! Prints how many rows a second are decoded: CSV and NDJSON files, and single LocoNav locations.
//!
//! `cargo run --release -p watchtower-sources --example decode_speed`

use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use model::{PositionRef, Record, RecordSink, TimeMs};
use sources::files::{FileInput, FileSink};
use sources::loconav::{self, Config, Endpoint};

const ROWS: u64 = 2_000_000;
const RUNS: usize = 3;

#[derive(Default)]
struct Count {
    positions: u64,
}

impl RecordSink for Count {
    fn position(&mut self, _received_time: Option<TimeMs>, position: PositionRef<'_>) {
        black_box(position);
        self.positions += 1;
    }

    fn record(&mut self, _received_time: Option<TimeMs>, record: Record) {
        black_box(record);
    }
}

impl FileSink for Count {
    fn bad(&mut self, line: u64, reason: String, _bytes: &[u8]) {
        panic!("line {line}: {reason}");
    }

    fn warning(&mut self, _line: u64, _text: String) {}
}

fn main() -> std::io::Result<()> {
    let folder = tempfile::tempdir()?;
    let csv = folder.path().join("positions.csv");
    let ndjson = folder.path().join("positions.ndjson");
    write_files(&csv, &ndjson)?;
    for run in 1..=RUNS {
        report(run, "csv", || read_file(&csv));
        report(run, "ndjson", || read_file(&ndjson));
        report(run, "loconav, check and decode", read_webhooks);
    }
    Ok(())
}

fn report(run: usize, name: &str, read: impl FnOnce() -> u64) {
    let started = Instant::now();
    let rows = read();
    let seconds = started.elapsed().as_secs_f64();
    assert_eq!(rows, ROWS);
    println!("run {run}: {name}: {:.2} M rows/s", rows as f64 / seconds / 1e6);
}

fn read_file(path: &Path) -> u64 {
    let mut count = Count::default();
    let mut input = FileInput::open(path).expect("the file was just written");
    while input.read(1000, &mut count).expect("the file was just written") {}
    count.positions
}

fn read_webhooks() -> u64 {
    let config = Config::default();
    let body = br#"{"imei":"0864281048734728","speed":42.0,"gpstime":"04-03-2026 09:57:07","ignition":"1","latitude":6.5244,"longitude":3.3792,"sharpTurn":"0","orientation":201.0,"harshBraking":"0","vehiclenumber":"T11985LA","rockBreakerPedal":"0","harshAcceleration":"0"}"#;
    let mut count = Count::default();
    for _ in 0..ROWS {
        let checked = loconav::check(Endpoint::Location, black_box(body), &config).expect("a good body");
        let payload = checked.payload.unwrap_or_default();
        sources::decode(sources::code::LOCONAV, &checked.context, &payload, &mut count);
    }
    count.positions
}

fn write_files(csv: &Path, ndjson: &Path) -> std::io::Result<()> {
    let create = |path| std::fs::File::create(path).map(std::io::BufWriter::new);
    let (mut csv, mut ndjson) = (create(csv)?, create(ndjson)?);
    writeln!(csv, "vehicle_id,event_time,lon,lat,speed_kmh,heading,ignition")?;
    for i in 0..ROWS {
        let (minute, second) = (i / 60 % 60, i % 60);
        let (lon, lat) = (3.0 + (i % 99_991) as f64 * 1e-6, 6.0 + (i % 99_989) as f64 * 1e-6);
        let (truck, speed, heading) = (i % 5000, i % 90, i % 360);
        writeln!(
            csv,
            "T{truck:05}LA,2026-01-05T07:{minute:02}:{second:02}Z,{lon:.6},{lat:.6},{speed}.5,{heading},1"
        )?;
        writeln!(
            ndjson,
            r#"{{"type":"position","vehicle_id":"T{truck:05}LA","event_time":"2026-01-05T07:{minute:02}:{second:02}Z","lon":{lon:.6},"lat":{lat:.6},"speed_kmh":{speed}.5,"heading":{heading},"ignition":true}}"#
        )?;
    }
    csv.flush()?;
    ndjson.flush()
}
