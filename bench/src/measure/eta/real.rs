//! Real vehicles know no trips: they are made of their visits, from each area to the next one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use model::{PositionRef, Record, RecordSink, Row, TimeMs, VisitRow};
use serde_json::json;
use sources::files::{FileInput, FileSink};

use super::follow;
use crate::oracle::{Collector, Input};

/// When the second day of the data begins.
pub(super) const SECOND_DAY: &str = "2017-03-21T00:00:00Z";
const DAYS: [&str; 2] = ["2017-03-16", "2017-03-21"];
/// Who takes longer was not under way all the time.
const LONGEST_MS: i64 = 4 * 3_600_000;

/// The areas, a file of trips that is written to a folder, and the positions.
pub(super) fn with_trips(buses: &Path, out: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let in_order = |day: &&str| in_event_time(&buses.join(format!("positions_{day}.csv.gz")), out);
    let positions = DAYS.iter().map(in_order).collect::<anyhow::Result<Vec<_>>>()?;
    let areas = buses.join("areas.geojson");
    let mut visits: BTreeMap<(Arc<str>, Arc<str>, i64), VisitRow> = BTreeMap::new();
    let files: Vec<PathBuf> = std::iter::once(areas.clone()).chain(positions.clone()).collect();
    follow(&files, |closed| {
        for change in &closed.changes {
            let Row::Visit(row) = &change.row else { continue };
            let key = (row.vehicle_id.clone(), row.fence_id.clone(), row.arrived.0);
            if change.diff > 0 {
                visits.insert(key, row.clone());
            } else {
                visits.remove(&key);
            }
        }
    })?;
    let trips = out.join("trips.ndjson");
    fs::write(&trips, lines(visits.into_values().collect())).context("cannot write trips")?;
    Ok([areas, trips].into_iter().chain(positions).collect())
}

/// The positions of a file in the order of their times, as if they had come then: the data are by vehicle.
fn in_event_time(file: &Path, out: &Path) -> anyhow::Result<PathBuf> {
    let mut read = Read(Collector::default());
    let mut input = FileInput::open(file)?;
    while input.read(10_000, &mut read)? {}
    let mut lines: Vec<(TimeMs, String)> = Vec::new();
    for record in read.0.0 {
        let Input::Position { vehicle_id, position, .. } = record else { continue };
        let time = position.event_time;
        lines.push((time, format!("{vehicle_id},{time},{},{}\n", position.lon, position.lat)));
    }
    lines.sort();
    let text: String = lines.into_iter().map(|(_, line)| line).collect();
    let name = file.file_stem().context("a file has a name")?;
    let sorted = out.join(name);
    fs::write(&sorted, format!("vehicle_id,event_time,lon,lat\n{text}")).context("cannot write positions")?;
    Ok(sorted)
}

/// Lines of a file as they are; what cannot be read is left out.
struct Read(Collector);

impl RecordSink for Read {
    fn position(&mut self, received: Option<TimeMs>, position: PositionRef<'_>) {
        self.0.position(received, position);
    }

    fn record(&mut self, received: Option<TimeMs>, record: Record) {
        self.0.record(received, record);
    }
}

impl FileSink for Read {
    fn bad(&mut self, _: u64, _: String, _: &[u8]) {}

    fn warning(&mut self, _: u64, _: String) {}
}

/// A trip for each two visits of a vehicle that follow one another.
fn lines(mut visits: Vec<VisitRow>) -> String {
    visits.sort_by(|a, b| {
        (&a.vehicle_id, a.arrived, &a.fence_id).cmp(&(&b.vehicle_id, b.arrived, &b.fence_id))
    });
    let trip = |(number, pair): (usize, &[VisitRow])| {
        let [from, to] = pair else { return None };
        let departed =
            from.departed.filter(|_| from.vehicle_id == to.vehicle_id && from.fence_id != to.fence_id)?;
        let took_ms = to.arrived.0 - departed.0;
        (0 < took_ms && took_ms <= LONGEST_MS).then(|| {
            let trip = json!({
                "id": format!("{number}"), "vehicle_id": &*from.vehicle_id, "pickup": &*from.fence_id,
                "delivery": &*to.fence_id, "scheduled_departure": departed.to_string(),
            });
            format!("{}\n", json!({"type": "trip", "op": "upsert", "trip": trip}))
        })
    };
    visits.windows(2).enumerate().filter_map(trip).collect()
}
