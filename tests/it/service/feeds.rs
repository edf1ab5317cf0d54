//! Records to post: a simulated fleet, and a real one moved to the present.

use std::io::Read;
use std::path::{Path, PathBuf};

use model::TimeMs;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::common::{now_ms, succeed, watchtower};

/// Records in order of arrival, each in the product's own form.
pub struct Feed {
    pub name: &'static str,
    pub records: Vec<String>,
}

/// How a feed is posted.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    pub batch: usize,
    pub form: Form,
    pub gzip: bool,
}

/// The shape of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Ndjson,
    Array,
    /// Positions as LocoNav's webhook sends them: an object where it is one, else an array.
    Loconav,
}

impl Feed {
    /// Bodies in order: the endpoint, how many records, the bytes.
    pub fn bodies(&self, way: Way) -> Vec<(&'static str, usize, Vec<u8>)> {
        let mut bodies = Vec::new();
        // What is no position has no form of LocoNav's, and goes in its place as a record.
        let is_record = |line: &str| way.form != Form::Loconav || !line.contains(r#""type":"position""#);
        for run in self.records.chunk_by(|a, b| is_record(a) == is_record(b)) {
            for batch in run.chunks(way.batch) {
                bodies.push(if !is_record(&batch[0]) {
                    ("/webhooks/loconav/location", batch.len(), loconav(batch))
                } else if way.form == Form::Array {
                    ("/api/v1/records", batch.len(), format!("[{}]", batch.join(",")).into_bytes())
                } else {
                    ("/api/v1/records", batch.len(), batch.join("\n").into_bytes())
                });
            }
        }
        bodies
    }

    /// Appends one record for each reason of a reject, in a form that LocoNav has too.
    fn add_rejects(&mut self) {
        let odd = |id: &str, time: &str, lon: &str, lat: &str, speed: &str| {
            format!(
                r#"{{"type":"position","vehicle_id":"{id}","event_time":"{time}","lon":{lon},"lat":{lat},"speed_kmh":{speed}}}"#
            )
        };
        let now = TimeMs(now_ms() - 600_000).to_string();
        self.records.extend([
            odd("ODD1", &now, "0", "0.00001", "10"),
            odd("ODD2", &now, "180.5", "6", "10"),
            odd("ODD3", "2090-01-01T00:00:00Z", "3.3", "6.5", "10"),
            odd("ODD4", &now, "3.3", "6.5", "1234"),
            odd("ODD5", "1999-12-31T23:59:59Z", "3.3", "6.5", "10"),
        ]);
    }
}

/// A position's values as they were written.
#[derive(Deserialize)]
struct Written<'a> {
    #[serde(borrow)]
    vehicle_id: &'a RawValue,
    event_time: &'a RawValue,
    lon: &'a RawValue,
    lat: &'a RawValue,
    #[serde(default)]
    speed_kmh: Option<&'a RawValue>,
}

fn loconav(batch: &[String]) -> Vec<u8> {
    let objects: Vec<String> = batch
        .iter()
        .map(|line| {
            let w: Written<'_> = serde_json::from_str(line).expect("a position");
            let speed = w.speed_kmh.map_or("null", RawValue::get);
            // However a number is spelled, it is the same vehicle.
            let number = w.vehicle_id.get().to_lowercase();
            format!(
                r#"{{"imei":"0864281048734728","speed":{speed},"gpstime":{},"latitude":{},"longitude":{},"vehiclenumber":{number}}}"#,
                w.event_time, w.lat, w.lon
            )
        })
        .collect();
    if let [one] = &objects[..] {
        one.clone().into_bytes()
    } else {
        format!("[{}]", objects.join(",")).into()
    }
}

/// A fleet of `watchtower simulate`, always the same, with late and repeated fixes and edits of fences; and
/// the folder that holds the truth about it.
pub fn simulated(dir: &Path) -> (Feed, PathBuf) {
    let out = dir.join("simulated");
    let size = ["--vehicles", "12", "--fences", "12", "--hours", "12", "--seed", "3"];
    let disorder = ["--late", "0.05", "--duplicates", "0.02", "--edits", "0.2"];
    let start = ["--start", "2025-01-06T05:00:00Z"];
    succeed(watchtower().arg("simulate").args(size).args(disorder).args(start).arg("--out").arg(&out));
    let text = std::fs::read_to_string(out.join("records.ndjson")).expect("simulated records");
    let mut feed = Feed { name: "simulated fleet", records: text.lines().map(str::to_owned).collect() };
    feed.add_rejects();
    (feed, out.join("truth"))
}

/// A day of a city's trucks and the places around, moved so that the last fix is ten minutes old. `None`
/// where there are no real data.
pub fn real() -> Option<Feed> {
    let folder = PathBuf::from(std::env::var_os("WATCHTOWER_DATA")?).join("jersey_city_trucks");
    let open = |name: &str| std::fs::File::open(folder.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    let places: Value = serde_json::from_reader(open("areas_census_places.geojson")).expect("GeoJSON");
    let features = places["features"].as_array().expect("features");
    let mut records: Vec<String> = features
        .iter()
        .map(|feature| json!({"type": "fence", "op": "upsert", "feature": feature}).to_string())
        .collect();
    let mut csv = String::new();
    let unpacked = flate2::read::GzDecoder::new(open("positions.csv.gz")).read_to_string(&mut csv);
    unpacked.expect("a gzip of text");
    let rows: Vec<(&str, TimeMs, &str, &str)> = csv.lines().skip(1).map(position_row).collect();
    let newest = rows.iter().map(|row| row.1.0).max().expect("a position");
    let shift_ms = now_ms() - 600_000 - newest;
    for (vehicle, time, lon, lat) in rows {
        let (vehicle, time) = (model::normalise_vehicle_number(vehicle), TimeMs(time.0 + shift_ms));
        records.push(format!(
            r#"{{"type":"position","vehicle_id":"{vehicle}","event_time":"{time}","lon":{lon},"lat":{lat}}}"#
        ));
    }
    let mut feed = Feed { name: "real fleet", records };
    feed.add_rejects();
    Some(feed)
}

/// A row of `vehicle_id,event_time,lon,lat,...`; no column of these data is quoted.
fn position_row(line: &str) -> (&str, TimeMs, &str, &str) {
    let mut columns = line.split(',');
    let mut column = || columns.next().unwrap_or_else(|| panic!("too few columns: {line}"));
    let (vehicle, time, lon, lat) = (column(), column(), column(), column());
    (vehicle, TimeMs::parse_rfc3339(time).unwrap_or_else(|e| panic!("{line}: {e}")), lon, lat)
}
