//! Records as tests write them, and as an export holds them.

use std::collections::BTreeMap;

use model::TimeMs;
use serde::Deserialize;

/// A position record.
pub fn fix(vehicle: &str, time_ms: i64, lon: f64, lat: f64) -> String {
    let time = TimeMs(time_ms);
    format!(
        r#"{{"type":"position","vehicle_id":"{vehicle}","event_time":"{time}","lon":{lon:.7},"lat":{lat:.7}}}"#
    )
}

/// A round fence as a GeoJSON feature.
pub fn circle(id: &str, lon: f64, lat: f64, radius_m: f64) -> String {
    format!(
        r#"{{"type":"Feature","id":"{id}","properties":{{"name":"{id}","radius_m":{radius_m}}},"geometry":{{"type":"Point","coordinates":[{lon},{lat}]}}}}"#
    )
}

/// A record that creates a fence.
pub fn fence_record(feature: &str) -> String {
    format!(r#"{{"type":"fence","op":"upsert","feature":{feature}}}"#)
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    vehicle_id: Option<String>,
    event_time: Option<&'a str>,
}

/// The positions of an export by vehicle and event time, and how often each is there.
pub fn positions_in(export: &[u8]) -> BTreeMap<(String, i64), usize> {
    let mut counts = BTreeMap::new();
    for line in std::str::from_utf8(export).expect("an export is UTF-8").lines() {
        let line: Line<'_> = serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"));
        let (Some(vehicle), Some(time)) = (line.vehicle_id, line.event_time) else { continue };
        assert_eq!(line.kind, "position");
        let time = TimeMs::parse_rfc3339(time).expect("a time");
        *counts.entry((vehicle, time.0)).or_default() += 1;
    }
    counts
}
