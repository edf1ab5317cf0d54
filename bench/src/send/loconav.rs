//! Positions in the form of LocoNav's live-location webhook.

use model::{Position, push_json_string};

/// Appends one live location. Speed, heading and ignition are left out where they are unknown.
pub(crate) fn push_location(out: &mut Vec<u8>, vehicle_number: &str, position: &Position) {
    out.extend_from_slice(b"{\"imei\":\"");
    out.extend_from_slice(imei(vehicle_number).as_bytes());
    out.push(b'"');
    if let Some(speed_kmh) = position.speed_kmh {
        push_number(out, "speed", speed_kmh);
    }
    out.extend_from_slice(b",\"gpstime\":\"");
    position.event_time.write(out);
    out.push(b'"');
    if let Some(ignition) = position.ignition {
        let value: &[u8] = if ignition { b",\"ignition\":\"1\"" } else { b",\"ignition\":\"0\"" };
        out.extend_from_slice(value);
    }
    push_number(out, "latitude", position.lat);
    push_number(out, "longitude", position.lon);
    out.extend_from_slice(b",\"sharpTurn\":\"0\"");
    if let Some(heading) = position.heading {
        push_number(out, "orientation", heading);
    }
    out.extend_from_slice(b",\"harshBraking\":\"0\",\"vehiclenumber\":");
    push_json_string(out, vehicle_number);
    out.extend_from_slice(b",\"rockBreakerPedal\":\"0\",\"harshAcceleration\":\"0\"}");
}

/// A device number that goes with the vehicle: fifteen digits, zeros kept.
fn imei(vehicle_number: &str) -> String {
    let hash = vehicle_number.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("086{:012}", hash % 1_000_000_000_000)
}

fn push_number(out: &mut Vec<u8>, name: &str, value: f64) {
    out.extend_from_slice(format!(",\"{name}\":{value}").as_bytes());
}

#[cfg(test)]
mod tests {
    use model::TimeMs;

    use super::*;

    #[test]
    fn a_location_is_loconavs() {
        let position = Position {
            event_time: TimeMs(1_772_614_627_000),
            lon: 3.3792,
            lat: 6.5244,
            speed_kmh: Some(42.0),
            ignition: Some(true),
            ..Position::default()
        };
        let mut out = Vec::new();
        push_location(&mut out, "T11985LA", &position);
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(value["gpstime"], "2026-03-04T08:57:07Z");
        assert_eq!(value["ignition"], "1");
        assert_eq!(value["latitude"], 6.5244);
        assert_eq!(value["vehiclenumber"], "T11985LA");
        assert_eq!(value["imei"].as_str().unwrap().len(), 15);
        assert!(value.get("orientation").is_none());
    }
}
