//! Scenario texts to inputs.

use std::iter::Peekable;
use std::slice::Iter;
use std::sync::Arc;

use model::{
    BadFields, Coord, Fence, FenceSettings, LocationEdit, LocationKind, Position, Ring, Schedule,
    SettingValue, Shape, TimeMs, TripEdit, TripPlan, TripStatus, VehicleEdit, ring_from_degrees, time_zone,
};

use super::kpis::is_filter;
use super::words::{Word, split};
use super::{DAY, NEXT_DAY, alerts};
use crate::oracle::Input;

/// A text that is no scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioError {
    /// Which line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

impl std::fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for ScenarioError {}

pub(super) type Words<'a> = Peekable<Iter<'a, Word>>;

/// Reads a scenario.
///
/// # Errors
/// When a line is none of a scenario, or a fence is refused.
pub fn parse(scenario: &str) -> Result<Vec<Input>, ScenarioError> {
    let mut inputs = Vec::new();
    for (line, text) in (1..).zip(scenario.lines()) {
        let is_expectation = text.trim_start().starts_with('>') || is_filter(text);
        let words = split(text).map_err(|what| ScenarioError { line, what })?;
        if !is_expectation && !words.is_empty() {
            inputs.push(input(&words).map_err(|what| ScenarioError { line, what })?);
        }
    }
    Ok(inputs)
}

/// The rows that a scenario's text expects, as lines.
#[must_use]
pub fn expected(scenario: &str) -> Vec<&str> {
    scenario.lines().filter_map(|line| line.trim_start().strip_prefix('>')).map(str::trim).collect()
}

fn input(words: &[Word]) -> Result<Input, String> {
    let (words, received) = match words.split_last() {
        Some((last, before)) if last.plain().starts_with('@') => (before, Some(time(&last.plain()[1..])?)),
        _ => (words, None),
    };
    let mut rest = words.iter().peekable();
    let first = rest.next().ok_or("nothing but a time of arrival")?;
    let input = match first.plain() {
        "fence" => Input::Fence { received, fence: Arc::new(fence(&mut rest)?) },
        "delete" => {
            let id = rest.next().ok_or("which fence is deleted?")?.text.clone();
            let at = match rest.next_if(|word| word.plain() == "at") {
                Some(_) => Some(time(value(&mut rest, "at")?)?),
                None => None,
            };
            Input::FenceDelete { received, id, at }
        }
        "trip" => {
            let id = text(&mut rest, "trip")?.to_owned();
            Input::Trip { received, id, edit: plan(&mut rest)? }
        }
        "status" => {
            let id = text(&mut rest, "status")?.to_owned();
            Input::Trip { received, id, edit: status(&mut rest)? }
        }
        "location" => {
            let id = text(&mut rest, "location")?.to_owned();
            Input::Location { received, id, edit: location(&mut rest)? }
        }
        "rule" => Input::Rule { received, rule: Arc::new(alerts::rule(&mut rest)?) },
        "provider" => Input::ProviderAlert { received, alert: Arc::new(alerts::provider(&mut rest)?) },
        "vehicle" => {
            let id = text(&mut rest, "vehicle")?.to_owned();
            Input::Vehicle { received, id, edit: vehicle(&mut rest)? }
        }
        "set" => Input::Settings { received, values: settings(&mut rest)? },
        "backfill" => {
            let from = time(value(&mut rest, "backfill")?)?;
            Input::Backfill { received, from, to: time(value(&mut rest, "its beginning")?)? }
        }
        "clock" => {
            let until = rest.next().map(|word| time(word.plain())).transpose()?;
            Input::Clock { received: until.or(received) }
        }
        "malformed" => Input::Malformed { received },
        "other" => Input::Other { received },
        _ => {
            let position = position(&mut rest)?;
            Input::Position { received, vehicle_id: first.text.clone(), position }
        }
    };
    match rest.next() {
        Some(word) => Err(format!("{:?} is one word too many", word.text)),
        None => Ok(input),
    }
}

fn position(words: &mut Words<'_>) -> Result<Position, String> {
    let event_time = time(value(words, "a vehicle")?)?;
    let (lon, lat) = point(value(words, "a time")?)?;
    let mut position = Position { event_time, lon, lat, ..Position::default() };
    while let Some(name) = words.next() {
        match name.plain() {
            "bad" => position.bad.add(BadFields::SPEED),
            "bad-heading" => position.bad.add(BadFields::HEADING),
            "bad-ignition" => position.bad.add(BadFields::IGNITION),
            "bad-accuracy" => position.bad.add(BadFields::ACCURACY),
            "bad-received" => position.bad.add(BadFields::RECEIVED_TIME),
            "exempt" => position.exempt = true,
            "speed" => position.speed_kmh = Some(number(value(words, "speed")?)?),
            "heading" => position.heading = Some(number(value(words, "heading")?)?),
            "accuracy" => position.accuracy_m = Some(number(value(words, "accuracy")?)?),
            "ignition" => {
                position.ignition = match value(words, "ignition")? {
                    "on" => Some(true),
                    "off" => Some(false),
                    other => return Err(format!("ignition is on or off, not {other:?}")),
                };
            }
            _ => return Err(format!("{:?} is nothing that a position has", name.text)),
        }
    }
    Ok(position)
}

fn plan(words: &mut Words<'_>) -> Result<TripEdit, String> {
    let mut plan = TripPlan {
        vehicle_id: text(words, "a trip")?.into(),
        pickup: text(words, "a vehicle")?.into(),
        delivery: text(words, "a pickup")?.into(),
        client: None,
        waypoints: Vec::new(),
        corridor: None,
        scheduled_departure: time(value(words, "a delivery")?)?,
        scheduled_arrival: None,
    };
    while let Some(name) = words.next() {
        match name.plain() {
            "arrives" => plan.scheduled_arrival = Some(time(value(words, "arrives")?)?),
            "along" => plan.corridor = Some(text(words, "along")?.into()),
            "for" => plan.client = Some(text(words, "for")?.into()),
            "via" => plan.waypoints.push(text(words, "via")?.into()),
            _ => return Err(format!("{:?} is nothing that a trip has", name.text)),
        }
    }
    Ok(TripEdit::Plan(Arc::new(plan)))
}

fn status(words: &mut Words<'_>) -> Result<TripEdit, String> {
    let status = match value(words, "a trip")? {
        "inferred" => None,
        name => Some(TripStatus::from_name(name).ok_or_else(|| format!("{name:?} is no status"))?),
    };
    match value(words, "a status")? {
        "by" => Ok(TripEdit::SetStatus { status, by: text(words, "by")?.into() }),
        other => Err(format!("a status is set by somebody, not {other:?}")),
    }
}

fn location(words: &mut Words<'_>) -> Result<LocationEdit, String> {
    match value(words, "a location")? {
        "at" => {
            let fence_id = Some(text(words, "at")?.into());
            Ok(LocationEdit::Upsert { fence_id, kind: location_kind(words)? })
        }
        "nowhere" => Ok(LocationEdit::Upsert { fence_id: None, kind: location_kind(words)? }),
        "deleted" => Ok(LocationEdit::Delete),
        other => Err(format!("a location is at a fence, nowhere or deleted, not {other:?}")),
    }
}

fn location_kind(words: &mut Words<'_>) -> Result<Option<LocationKind>, String> {
    let Some(word) = words.next() else { return Ok(None) };
    let kind = LocationKind::from_name(word.plain());
    kind.map(Some).ok_or_else(|| format!("{:?} is no type of a location", word.text))
}

fn vehicle(words: &mut Words<'_>) -> Result<VehicleEdit, String> {
    let is_operational = match value(words, "a vehicle")? {
        "operational" => true,
        "maintenance" => false,
        "deleted" => return Ok(VehicleEdit::Delete),
        other => return Err(format!("a vehicle is operational, in maintenance or deleted, not {other:?}")),
    };
    let company = match words.next_if(|word| word.plain() == "of") {
        Some(_) => Some(text(words, "of")?.into()),
        None => None,
    };
    Ok(VehicleEdit::Upsert { company, is_operational })
}

fn settings(words: &mut Words<'_>) -> Result<Vec<(String, SettingValue)>, String> {
    let mut values = Vec::new();
    while let Some(name) = words.next() {
        let word = words.next().ok_or_else(|| format!("setting {} has no value", name.text))?;
        let value = match (word.plain(), word.plain().parse()) {
            ("true", _) => SettingValue::Bool(true),
            ("false", _) => SettingValue::Bool(false),
            (_, Ok(number)) => SettingValue::Number(number),
            (_, Err(_)) => SettingValue::Text(word.text.clone()),
        };
        values.push((name.text.clone(), value));
    }
    Ok(values)
}

fn fence(words: &mut Words<'_>) -> Result<Fence, String> {
    let id: Arc<str> = words.next().ok_or("a fence needs an id")?.text.as_str().into();
    let shape = shape(words)?;
    let mut fence = Fence {
        name: id.clone(),
        id,
        shape,
        settings: FenceSettings::default(),
        valid_from: None,
        valid_to: None,
        feature_json: "{}".into(),
    };
    let ms = |seconds: f64| (seconds * 1000.0).round() as i64;
    let (mut active, mut zone) = (None, None);
    while let Some(name) = words.next() {
        let settings = &mut fence.settings;
        match name.plain() {
            "from" => fence.valid_from = Some(time(value(words, "from")?)?),
            "to" => fence.valid_to = Some(time(value(words, "to")?)?),
            "buffer" => settings.exit_buffer_m = Some(number(value(words, "buffer")?)?),
            "dwell" => settings.min_dwell_ms = Some(ms(number(value(words, "dwell")?)?)),
            "absence" => settings.max_absence_ms = Some(ms(number(value(words, "absence")?)?)),
            "limit" => settings.speed_limit_kmh = Some(number(value(words, "limit")?)?),
            "crossed" => settings.crossed = true,
            "alert" => settings.alert = true,
            "active" => {
                let text = &words.next().ok_or("active needs a text")?.text;
                active = Some(Schedule::parse(text).map_err(|e| e.to_string())?);
            }
            "zone" => {
                let name = value(words, "zone")?;
                zone = Some(time_zone(name).map_err(|e| format!("{name:?} is {e}"))?);
            }
            "name" => fence.name = words.next().ok_or("name needs a text")?.text.as_str().into(),
            "json" => fence.feature_json = words.next().ok_or("json needs a text")?.text.as_str().into(),
            _ => return Err(format!("{:?} is nothing that a fence has", name.text)),
        }
    }
    if zone.is_some() && active.is_none() {
        return Err("a zone without active times means nothing".to_owned());
    }
    let in_its_zone = |schedule: Schedule| match zone {
        Some(zone) => schedule.in_zone(zone),
        None => schedule,
    };
    fence.settings.active = active.map(in_its_zone).map(Arc::new);
    fence.check().map_err(|e| e.to_string())?;
    Ok(fence)
}

fn shape(words: &mut Words<'_>) -> Result<Shape, String> {
    match value(words, "a fence's id")? {
        "square" => {
            let (west, south) = point(value(words, "square")?)?;
            let (east, north) = point(value(words, "a corner")?)?;
            let ring = closed(vec![(west, south), (east, south), (east, north), (west, north)])?;
            Ok(Shape::Polygon { parts: vec![vec![ring]] })
        }
        "ring" => {
            let mut parts = vec![vec![closed(points(words)?)?]];
            while let Some(word) = words.next_if(|word| matches!(word.plain(), "hole" | "part")) {
                let ring = closed(points(words)?)?;
                match parts.last_mut() {
                    Some(part) if word.plain() == "hole" => part.push(ring),
                    _ => parts.push(vec![ring]),
                }
            }
            Ok(Shape::Polygon { parts })
        }
        "circle" => {
            let (lon, lat) = point(value(words, "circle")?)?;
            let centre = Coord::from_degrees(lon, lat).map_err(|e| e.to_string())?;
            Ok(Shape::Circle { centre, radius_m: number(value(words, "the centre")?)? })
        }
        "line" => {
            let line = ring_from_degrees(&points(words)?, false).map_err(|e| e.to_string())?;
            if words.next_if(|word| word.plain() == "width").is_none() {
                return Err("a line needs a width".to_owned());
            }
            Ok(Shape::Corridor { line, width_m: number(value(words, "width")?)? })
        }
        other => Err(format!("{other:?} is no shape: square, ring, circle or line")),
    }
}

fn points(words: &mut Words<'_>) -> Result<Vec<(f64, f64)>, String> {
    let mut points = Vec::new();
    while let Some(word) = words.next_if(|word| word.plain().contains(',')) {
        points.push(point(word.plain())?);
    }
    Ok(points)
}

fn closed(mut points: Vec<(f64, f64)>) -> Result<Ring, String> {
    points.extend(points.first().copied());
    ring_from_degrees(&points, true).map_err(|e| e.to_string())
}

/// The text that must follow, be it in quotes or not.
pub(super) fn text<'a>(words: &mut Words<'a>, after: &str) -> Result<&'a str, String> {
    words.next().map(|word| word.text.as_str()).ok_or_else(|| format!("something is missing after {after}"))
}

/// The word that must follow.
pub(super) fn value<'a>(words: &mut Words<'a>, after: &str) -> Result<&'a str, String> {
    words.next().map(Word::plain).ok_or_else(|| format!("something is missing after {after}"))
}

pub(super) fn number(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| format!("{text:?} is no number"))
}

fn point(text: &str) -> Result<(f64, f64), String> {
    let (lon, lat) = text.split_once(',').ok_or_else(|| format!("{text:?} is not lon,lat"))?;
    Ok((number(lon)?, number(lat)?))
}

pub(super) fn time(text: &str) -> Result<TimeMs, String> {
    let full = if text.contains('T') {
        text.to_owned()
    } else {
        let (day, clock) = text.strip_prefix('+').map_or((DAY, text), |next_day| (NEXT_DAY, next_day));
        let seconds = if clock.len() == 5 { ":00" } else { "" };
        format!("{day}{clock}{seconds}Z")
    };
    TimeMs::parse_rfc3339(&full).map_err(|e| format!("{text:?}: {e}"))
}
