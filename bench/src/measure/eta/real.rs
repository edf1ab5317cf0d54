//! Real vehicles know no trips: they are made of their visits, from each area to the next one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use model::{Row, VisitRow};
use serde_json::json;

use super::{existing, follow};

/// When the second day of the data begins.
pub(super) const SECOND_DAY: &str = "2017-03-21T00:00:00Z";
const DAYS: [&str; 2] = ["2017-03-16", "2017-03-21"];
/// Who takes longer was not under way all the time.
const LONGEST_MS: i64 = 4 * 3_600_000;

/// The areas, a file of trips that is written to a folder, and the positions.
pub(super) fn with_trips(buses: &Path, out: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let positions = |day: &&str| existing(buses.join(format!("positions_{day}.csv.gz")));
    let positions = DAYS.iter().map(positions).collect::<anyhow::Result<Vec<_>>>()?;
    let areas = existing(buses.join("areas.geojson"))?;
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
