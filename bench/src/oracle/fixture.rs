//! Scenarios as text: a few readable lines in, rows as readable lines out.
//!
//! ```text
//! T1 08:00 3.305,6.405              a position; with `bad`, an optional value was unreadable
//! fence yard square 3.30,6.40 3.31,6.41      two opposite corners
//! fence yard ring 3.3,6.4 3.4,6.4 3.4,6.5 hole 3.31,6.41 ...
//! fence yard circle 3.30,6.40 300
//! fence yard line 3.30,6.40 3.31,6.40 width 50
//!     followed by any of: from T, to T, buffer M, dwell S, absence S
//! delete yard at 08:30              without `at`: at the record's instant
//! set visits.min_dwell_s 60
//! clock 09:00
//! malformed
//! ```
//!
//! Times are of 2026-01-05, or of the next day with a plus (`+07:30`), or RFC 3339. Any line may end with
//! `@T`, its received time. `#` begins a comment.

use std::fmt::Write;
use std::iter::Peekable;
use std::sync::Arc;

use model::{
    BadFields, Coord, Fence, FenceSettings, GraphSettings, Position, Ring, SettingValue, Shape, TimeMs,
    ring_from_degrees,
};

use super::{Input, Rows, recompute_rows};

const DAY: &str = "2026-01-05T";
const NEXT_DAY: &str = "2026-01-06T";

/// Runs a scenario and compares; blank lines and indentation of what is expected do not matter.
#[track_caller]
pub(super) fn check(scenario: &str, expected: &str) {
    let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let got = print(&recompute_rows(&parse(scenario), &GraphSettings::default()));
    assert_eq!(got.lines().collect::<Vec<_>>(), expected, "\nscenario:\n{scenario}");
}

/// Reads a scenario.
pub(super) fn parse(scenario: &str) -> Vec<Input> {
    let lines = scenario.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).map(parse_line).collect()
}

fn parse_line(line: &str) -> Input {
    let mut words: Vec<&str> = line.split_whitespace().collect();
    let mut received = None;
    if let Some(at) = words.last().and_then(|word| word.strip_prefix('@')) {
        received = Some(time(at));
        words.pop();
    }
    match words.as_slice() {
        ["fence", id, kind, rest @ ..] => Input::Fence { received, fence: Arc::new(fence(id, kind, rest)) },
        ["delete", id] => Input::FenceDelete { received, id: (*id).to_owned(), at: None },
        ["delete", id, "at", at] => Input::FenceDelete { received, id: (*id).to_owned(), at: Some(time(at)) },
        ["set", pairs @ ..] => {
            let value = |text: &str| {
                text.parse().map_or_else(|_| SettingValue::Text(text.to_owned()), SettingValue::Number)
            };
            let values = pairs.chunks_exact(2).map(|pair| (pair[0].to_owned(), value(pair[1]))).collect();
            Input::Settings { received, values }
        }
        ["clock"] => Input::Clock { received },
        ["clock", at] => Input::Clock { received: Some(time(at)) },
        ["malformed"] => Input::Malformed { received },
        ["other"] => Input::Other { received },
        [vehicle_id, event_time, at, flags @ ..] => {
            let (lon, lat) = point(at);
            let bad = if flags.contains(&"bad") { BadFields::SPEED } else { BadFields::default() };
            let position = Position { event_time: time(event_time), lon, lat, bad, ..Position::default() };
            Input::Position { received, vehicle_id: (*vehicle_id).to_owned(), position }
        }
        other => panic!("not a line of a scenario: {other:?}"),
    }
}

fn fence(id: &str, kind: &str, words: &[&str]) -> Fence {
    let mut words = words.iter().copied().peekable();
    let shape = match kind {
        "square" => {
            let ((west, south), (east, north)) = (point(words.next().unwrap()), point(words.next().unwrap()));
            let ring = [(west, south), (east, south), (east, north), (west, north), (west, south)];
            Shape::Polygon { parts: vec![vec![ring_from_degrees(&ring, true).unwrap()]] }
        }
        "ring" => {
            let mut rings = vec![closed(points(&mut words))];
            while words.next_if_eq(&"hole").is_some() {
                rings.push(closed(points(&mut words)));
            }
            Shape::Polygon { parts: vec![rings] }
        }
        "circle" => {
            let (lon, lat) = point(words.next().unwrap());
            let radius_m = words.next().unwrap().parse().unwrap();
            Shape::Circle { centre: Coord::from_degrees(lon, lat).unwrap(), radius_m }
        }
        "line" => {
            let line = ring_from_degrees(&points(&mut words), false).unwrap();
            assert_eq!(words.next(), Some("width"));
            Shape::Corridor { line, width_m: words.next().unwrap().parse().unwrap() }
        }
        other => panic!("not a shape: {other}"),
    };
    let mut settings = FenceSettings::default();
    let (mut valid_from, mut valid_to) = (None, None);
    while let Some(name) = words.next() {
        let value = words.next().unwrap();
        let number = || value.parse::<f64>().unwrap();
        match name {
            "from" => valid_from = Some(time(value)),
            "to" => valid_to = Some(time(value)),
            "buffer" => settings.exit_buffer_m = Some(number()),
            "dwell" => settings.min_dwell_ms = Some((number() * 1000.0) as i64),
            "absence" => settings.max_absence_ms = Some((number() * 1000.0) as i64),
            other => panic!("not a property of a fence: {other}"),
        }
    }
    let fence = Fence {
        id: id.into(),
        name: id.into(),
        shape,
        settings,
        valid_from,
        valid_to,
        feature_json: "{}".into(),
    };
    fence.check().unwrap();
    fence
}

fn points<'a>(words: &mut Peekable<impl Iterator<Item = &'a str>>) -> Vec<(f64, f64)> {
    std::iter::from_fn(|| words.next_if(|word| word.contains(','))).map(point).collect()
}

fn closed(mut points: Vec<(f64, f64)>) -> Ring {
    points.push(points[0]);
    ring_from_degrees(&points, true).unwrap()
}

fn point(text: &str) -> (f64, f64) {
    let (lon, lat) = text.split_once(',').unwrap_or_else(|| panic!("not lon,lat: {text}"));
    (lon.parse().unwrap(), lat.parse().unwrap())
}

fn time(text: &str) -> TimeMs {
    if text.contains('T') {
        return TimeMs::parse_rfc3339(text).unwrap();
    }
    let (day, clock) = text.strip_prefix('+').map_or((DAY, text), |next_day| (NEXT_DAY, next_day));
    let seconds = if clock.len() == 5 { ":00" } else { "" };
    TimeMs::parse_rfc3339(&format!("{day}{clock}{seconds}Z")).unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// The shortest spelling that [`time`] reads.
fn short(time: TimeMs) -> String {
    let full = time.to_string();
    let (sign, rest) = match (full.strip_prefix(DAY), full.strip_prefix(NEXT_DAY)) {
        (Some(rest), _) => ("", rest),
        (_, Some(rest)) => ("+", rest),
        _ => return full,
    };
    let clock = rest.trim_end_matches('Z');
    let clock = if clock.len() == 8 { clock.trim_end_matches(":00").to_owned() } else { clock.to_owned() };
    let minutes = if clock.len() == 2 { ":00" } else { "" };
    format!("{sign}{clock}{minutes}")
}

/// Rows as lines such as `T1 yard 08:00..08:34 exit`.
pub(super) fn print(rows: &Rows) -> String {
    let mut out = String::new();
    let end = |time: Option<TimeMs>| time.map(short).unwrap_or_default();
    for row in &rows.presences {
        let (vehicle, fence) = (&row.vehicle_id, &row.fence_id);
        let until = end(row.end.map(|e| e.0));
        let reason = row.end.map_or("", |e| e.1.as_str());
        let line = format!("{vehicle} {fence} {}..{until} {reason}", short(row.entered));
        writeln!(out, "{}", line.trim_end()).unwrap();
    }
    for row in &rows.visits {
        let (vehicle, fence) = (&row.vehicle_id, &row.fence_id);
        let (from, until, confirmed) = (short(row.arrived), end(row.departed), short(row.confirmed_at));
        let presences = row.presences;
        writeln!(out, "visit {vehicle} {fence} {from}..{until} confirmed {confirmed} of {presences}")
            .unwrap();
    }
    for row in &rows.rejects {
        let fix = row.fix.as_ref().map(|(vehicle, time)| format!(" {vehicle} {}", short(*time)));
        writeln!(out, "reject {}{} {}", row.seq, fix.unwrap_or_default(), row.reason.as_str()).unwrap();
    }
    out
}
