//! The files' bytes: positions as CSV and as records, fences as features and as records.

use model::TimeMs;

use super::life::Fix;

/// The first line of `positions.csv`.
pub(crate) const CSV_HEADER: &[u8] =
    b"vehicle_id,event_time,lon,lat,speed_kmh,heading,ignition,received_time\n";

/// Spells fixes; keeps the parts that both files share.
#[derive(Default)]
pub(crate) struct FixWriter {
    event_time: Vec<u8>,
    received_time: Vec<u8>,
    lon: Vec<u8>,
    lat: Vec<u8>,
    speed_kmh: Vec<u8>,
    heading: Vec<u8>,
}

impl FixWriter {
    /// Appends one line to each file.
    pub(crate) fn write(
        &mut self,
        vehicle_id: &str,
        fix: &Fix,
        received: TimeMs,
        csv: &mut Vec<u8>,
        records: &mut Vec<u8>,
    ) {
        for part in [&mut self.event_time, &mut self.received_time, &mut self.lon, &mut self.lat] {
            part.clear();
        }
        self.speed_kmh.clear();
        self.heading.clear();
        fix.time.write(&mut self.event_time);
        received.write(&mut self.received_time);
        push_coordinate(&mut self.lon, fix.at.lon);
        push_coordinate(&mut self.lat, fix.at.lat);
        push_tenths(&mut self.speed_kmh, fix.speed_tenths);
        push_integer(&mut self.heading, u32::from(fix.heading));
        let ignition: &[u8] = if fix.ignition { b"true" } else { b"false" };
        let mut separator = None;
        for part in [
            vehicle_id.as_bytes(),
            &self.event_time,
            &self.lon,
            &self.lat,
            &self.speed_kmh,
            &self.heading,
            ignition,
            &self.received_time,
        ] {
            csv.extend(separator);
            csv.extend_from_slice(part);
            separator = Some(b',');
        }
        csv.push(b'\n');
        for (before, part) in [
            (&b"{\"type\":\"position\",\"received_time\":\""[..], &self.received_time[..]),
            (b"\",\"vehicle_id\":\"", vehicle_id.as_bytes()),
            (b"\",\"event_time\":\"", &self.event_time),
            (b"\",\"lon\":", &self.lon),
            (b",\"lat\":", &self.lat),
            (b",\"speed_kmh\":", &self.speed_kmh),
            (b",\"heading\":", &self.heading),
            (b",\"ignition\":", ignition),
        ] {
            records.extend_from_slice(before);
            records.extend_from_slice(part);
        }
        records.extend_from_slice(b"}\n");
    }
}

/// Appends a record that creates or corrects a fence.
pub(crate) fn push_fence_upsert(records: &mut Vec<u8>, received: Option<TimeMs>, feature: &[u8]) {
    push_fence_head(records, received, b"upsert");
    records.extend_from_slice(b",\"feature\":");
    records.extend_from_slice(feature);
    records.extend_from_slice(b"}\n");
}

/// Appends a record that deletes a fence from `at` on.
pub(crate) fn push_fence_delete(records: &mut Vec<u8>, received: TimeMs, id: &str, at: TimeMs) {
    push_fence_head(records, Some(received), b"delete");
    records.extend_from_slice(b",\"id\":");
    model::push_json_string(records, id);
    records.extend_from_slice(b",\"at\":\"");
    at.write(records);
    records.extend_from_slice(b"\"}\n");
}

fn push_fence_head(records: &mut Vec<u8>, received: Option<TimeMs>, op: &[u8]) {
    records.extend_from_slice(b"{\"type\":\"fence\"");
    if let Some(received) = received {
        records.extend_from_slice(b",\"received_time\":\"");
        received.write(records);
        records.push(b'"');
    }
    records.extend_from_slice(b",\"op\":\"");
    records.extend_from_slice(op);
    records.push(b'"');
}

/// Degrees with all seven digits.
fn push_coordinate(out: &mut Vec<u8>, units: i32) {
    if units < 0 {
        out.push(b'-');
    }
    let units = units.unsigned_abs();
    push_integer(out, units / 10_000_000);
    out.push(b'.');
    let mut digits = [b'0'; 7];
    let mut left = units % 10_000_000;
    for digit in digits.iter_mut().rev() {
        *digit += (left % 10) as u8;
        left /= 10;
    }
    out.extend_from_slice(&digits);
}

fn push_tenths(out: &mut Vec<u8>, tenths: u16) {
    push_integer(out, u32::from(tenths / 10));
    out.extend_from_slice(&[b'.', b'0' + (tenths % 10) as u8]);
}

fn push_integer(out: &mut Vec<u8>, value: u32) {
    let mut digits = [0_u8; 10];
    let mut first = digits.len();
    let mut left = value;
    loop {
        first -= 1;
        digits[first] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[first..]);
}

#[cfg(test)]
mod tests {
    use model::Coord;

    use super::*;

    #[test]
    fn lines_are_spelled_as_the_formats_want() {
        let fix = Fix {
            time: TimeMs(1_767_571_200_000),
            at: Coord { lon: 33_480_001, lat: -64_000_000 },
            speed_tenths: 405,
            heading: 7,
            ignition: true,
        };
        let (mut csv, mut records) = (Vec::new(), Vec::new());
        let mut writer = FixWriter::default();
        writer.write("T1", &fix, TimeMs(1_767_571_200_900), &mut csv, &mut records);
        assert_eq!(
            String::from_utf8(csv).unwrap(),
            "T1,2026-01-05T00:00:00Z,3.3480001,-6.4000000,40.5,7,true,2026-01-05T00:00:00.900Z\n"
        );
        let record: serde_json::Value = serde_json::from_slice(&records).unwrap();
        assert_eq!(record["received_time"], "2026-01-05T00:00:00.900Z");
        assert_eq!(record["lon"], 3.348_000_1);
        assert_eq!(record["heading"], 7);
    }

    #[test]
    fn fence_records_are_json() {
        let mut records = Vec::new();
        push_fence_upsert(&mut records, None, b"{}");
        push_fence_delete(&mut records, TimeMs(0), "a\"b", TimeMs(500));
        let lines: Vec<serde_json::Value> = String::from_utf8(records)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines[0]["op"], "upsert");
        assert_eq!(lines[1]["id"], "a\"b");
        assert_eq!(lines[1]["at"], "1970-01-01T00:00:00.500Z");
    }
}
