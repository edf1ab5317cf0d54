//! Scenarios as text: what arrives, tick by tick, and after each tick the rows that came and went.
//!
//! ```text
//! fence yard circle 0,0 300                  places are metres east and north of a point in Lagos
//! fence yard square -50,-50 50,50            two opposite corners
//!     followed by any of: from T, to T, buffer M, dwell S, absence S, crossed yes
//! delete yard at 09:00
//! set visits.min_dwell_s 60
//! T1 08:00 0,0                               a fix; with `bad`, an optional value was unreadable
//! tick                                       closes the tick at the latest time so far, or `tick 09:00`
//! + presence T1 yard 08:00..                 rows that came with the tick, still open
//! - presence T1 yard 08:00..                 and rows that went
//! + presence T1 yard 08:00..08:34 exit
//! + visit T1 yard 08:00..08:34 confirmed 08:05 of 1
//! + crossing T1 yard 08:00..08:01 at 08:00:30
//! + reject 4 T1 08:10 jump                   the number counts the records, from 1
//! ```
//!
//! A scenario one of whose rows ends with `because late_fix` tells the cause of each.
//!
//! Times are of one day. `#` begins a comment. The order of the expected rows of a tick does not matter.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use model::{
    Coord, EndReason, Fence, FenceSettings, GraphSettings, Motion, SettingValue, Shape, TimeMs,
    ring_from_degrees,
};
use operators::fences::{ALWAYS, Edit};
use operators::presence::{FixIn, PresenceWork};
use operators::visits::{Judged, VisitsWork};
use operators::{Control, Delta, Derived, net};

/// What a tick brings and what must come of it.
#[derive(Default)]
struct Tick {
    instant: i64,
    last_seq: u64,
    edge: i64,
    controls: Vec<Control>,
    fixes: Vec<FixIn>,
    expected: Vec<String>,
}

/// A scenario, read.
#[derive(Default)]
struct Scenario {
    ticks: Vec<Tick>,
    names: Names,
}

#[derive(Default)]
struct Names {
    vehicles: Vec<String>,
    fences: Vec<String>,
}

/// Runs a scenario as it is written, and in one tick with its fixes in either order.
pub fn check(text: &str) {
    let scenario = parse(text);
    let mut machine = Machine::new();
    for (i, tick) in scenario.ticks.iter().enumerate() {
        let got = machine.tick(tick, &tick.controls, tick.fixes.iter().copied());
        let because = text.contains(" because ");
        let show = |delta: &Delta| match scenario.names.show(&delta.row, delta.diff) {
            row if because => format!("{row} because {}", delta.why.cause.as_str()),
            row => row,
        };
        let mut got: Vec<String> = got.iter().map(show).collect();
        got.sort();
        let mut expected = tick.expected.clone();
        expected.sort();
        assert_eq!(got, expected, "tick {} of the scenario:\n{text}", i + 1);
    }
    if scenario.ticks.iter().any(|tick| tick.edge != ALWAYS) {
        // What is out of reach depends on when it came.
        return;
    }
    let all_at_once = |backwards: bool| {
        let mut fixes: Vec<FixIn> = scenario.ticks.iter().flat_map(|t| t.fixes.iter().copied()).collect();
        if backwards {
            fixes.reverse();
        }
        let controls: Vec<Control> = scenario.ticks.iter().flat_map(|t| t.controls.clone()).collect();
        let mut machine = Machine::new();
        machine.tick(scenario.ticks.last().expect("a tick"), &controls, fixes.into_iter());
        machine.rows
    };
    assert_eq!(all_at_once(false), machine.rows, "all in one tick:\n{text}");
    // Which of two equal fixes a reject names depends on which came first.
    let without_rejects = |mut rows: BTreeMap<Derived, isize>| {
        rows.retain(|row, _| !matches!(row, Derived::Reject { .. }));
        rows
    };
    assert_eq!(without_rejects(all_at_once(true)), without_rejects(machine.rows), "backwards:\n{text}");
}

/// Both operators, and the rows that are out.
struct Machine {
    presence: PresenceWork,
    visits: VisitsWork,
    rows: BTreeMap<Derived, isize>,
}

impl Machine {
    fn new() -> Machine {
        let settings = GraphSettings::default();
        Machine {
            presence: PresenceWork::new(settings.clone(), 0, 1),
            visits: VisitsWork::new(settings),
            rows: BTreeMap::new(),
        }
    }

    /// Works on a tick; gives what is left of its differences.
    fn tick(&mut self, tick: &Tick, controls: &[Control], fixes: impl Iterator<Item = FixIn>) -> Vec<Delta> {
        let of_tick = Control::Tick { instant: tick.instant, last_seq: tick.last_seq, edge: tick.edge };
        let controls: Vec<Control> = std::iter::once(of_tick).chain(controls.iter().cloned()).collect();
        let mut presences = Vec::new();
        self.presence.tick(&controls, &fixes.collect::<Vec<_>>(), |delta| presences.push(delta));
        let mut deltas = presences.clone();
        self.visits.tick(&controls, presences.into_iter(), |judged| match judged {
            Judged::Visit(delta) => deltas.push(delta),
            Judged::Stay(_) => {}
        });
        net(&mut deltas);
        for Delta { row, diff, .. } in &deltas {
            let count = self.rows.entry(*row).or_default();
            *count += isize::from(*diff);
            assert!((0..=1).contains(count), "{row:?} is out {count} times: what goes must have come");
        }
        self.rows.retain(|_, count| *count != 0);
        let mut keys: Vec<_> = self.rows.keys().map(key).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), self.rows.len(), "a key has two rows: {:?}", self.rows);
        deltas
    }
}

fn key(row: &Derived) -> (u8, u64, u32, i64) {
    match *row {
        Derived::Presence { vehicle, fence, entered, .. } => (0, vehicle.into(), fence, entered),
        Derived::Visit { vehicle, fence, visit } => (1, vehicle.into(), fence, visit.arrived),
        Derived::Reject { seq, .. } => (2, seq, 0, 0),
        Derived::Crossing { vehicle, fence, from, .. } => (3, vehicle.into(), fence, from),
    }
}

impl Names {
    fn show(&self, row: &Derived, diff: i8) -> String {
        let mut text = match diff {
            1 => "+".to_owned(),
            -1 => "-".to_owned(),
            other => panic!("{row:?} comes {other} times"),
        };
        let vehicle = |number: u32| &self.vehicles[number as usize];
        let fence = |number: u32| &self.fences[number as usize];
        let written = match *row {
            Derived::Presence { vehicle: v, fence: f, entered, end } => {
                let end = end.map_or(String::new(), |(time, reason)| {
                    let reason = match reason {
                        EndReason::Exit => "exit",
                        EndReason::FenceDeleted => "deleted",
                        EndReason::FenceEnded => "ended",
                    };
                    format!("{} {reason}", show_time(time))
                });
                write!(text, " presence {} {} {}..{end}", vehicle(v), fence(f), show_time(entered))
            }
            Derived::Crossing { vehicle: v, fence: f, from, to, at } => write!(
                text,
                " crossing {} {} {}..{} at {}",
                vehicle(v),
                fence(f),
                show_time(from),
                show_time(to),
                show_time(at),
            ),
            Derived::Visit { vehicle: v, fence: f, visit } => write!(
                text,
                " visit {} {} {}..{} confirmed {} of {}",
                vehicle(v),
                fence(f),
                show_time(visit.arrived),
                visit.departed.map_or(String::new(), show_time),
                show_time(visit.confirmed_at),
                visit.presences,
            ),
            Derived::Reject { seq, vehicle: v, time, reason } => {
                write!(text, " reject {seq} {} {} {}", vehicle(v), show_time(time), reason.as_str())
            }
        };
        written.unwrap();
        text
    }
}

/// A time of the scenarios' day.
fn time(text: &str) -> i64 {
    let seconds = if text.len() == 5 { ":00" } else { "" };
    TimeMs::parse_rfc3339(&format!("2026-01-05T{text}{seconds}Z")).unwrap_or_else(|e| panic!("{text}: {e}")).0
}

fn show_time(ms: i64) -> String {
    let text = TimeMs(ms).to_string();
    let of_day = text.trim_start_matches("2026-01-05T").trim_end_matches('Z');
    of_day.strip_suffix(":00").filter(|rest| rest.len() == 5).unwrap_or(of_day).to_owned()
}

/// Degrees of a place in metres.
fn degrees(text: &str) -> (f64, f64) {
    let (east, north) = text.split_once(',').unwrap_or_else(|| panic!("{text} is no place"));
    let metres = |text: &str| text.parse::<f64>().unwrap();
    (3.4 + metres(east) / 110_600.0, 6.5 + metres(north) / 110_600.0)
}

fn number(names: &mut Vec<String>, name: &str) -> u32 {
    let at = names.iter().position(|known| known == name).unwrap_or_else(|| {
        names.push(name.to_owned());
        names.len() - 1
    });
    at as u32
}

fn parse(text: &str) -> Scenario {
    let mut scenario = Scenario::default();
    let mut settings = GraphSettings::default();
    let (mut seq, mut latest, mut edge) = (0, 0, ALWAYS);
    let mut open = Tick::default();
    let moved = |edge: i64, instant: i64, settings: &GraphSettings| {
        settings.keep_ms.map_or(edge, |keep_ms| edge.max(instant - keep_ms.max(settings.horizon_ms)))
    };
    for line in text.lines().map(|line| line.split('#').next().unwrap().trim()).filter(|l| !l.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if !matches!(words[0], "+" | "-" | "tick") {
            seq += 1;
        }
        match words.as_slice() {
            ["+" | "-", ..] => {
                scenario.ticks.last_mut().expect("a tick comes first").expected.push(words.join(" "));
            }
            ["tick", at @ ..] => {
                latest = at.first().map_or(latest, |at| time(at)).max(latest);
                edge = moved(edge, latest, &settings);
                (open.instant, open.last_seq, open.edge) = (latest, seq, edge);
                scenario.ticks.push(std::mem::take(&mut open));
            }
            ["fence", id, rest @ ..] => {
                let key = number(&mut scenario.names.fences, id);
                let edit = Edit::Upsert(Arc::new(fence(id, rest)));
                open.controls.push(Control::Fence { seq, edge, fence: key, edit });
            }
            ["delete", id, "at", at] => {
                let key = number(&mut scenario.names.fences, id);
                let edit = Edit::Delete(TimeMs(time(at)));
                open.controls.push(Control::Fence { seq, edge, fence: key, edit });
            }
            ["set", name, value] => {
                settings.apply(name, &SettingValue::Number(value.parse().unwrap())).unwrap();
                edge = moved(edge, latest, &settings);
                open.controls.push(Control::Settings { seq, edge, settings: Arc::new(settings.clone()) });
            }
            [vehicle, at, place, flags @ ..] => {
                let (lon, lat) = degrees(place);
                let fix = FixIn {
                    vehicle: number(&mut scenario.names.vehicles, vehicle),
                    bad_value: flags == ["bad"],
                    at: Coord::from_degrees(lon, lat).unwrap(),
                    motion: Motion::default(),
                    time: time(at),
                    seq,
                };
                latest = latest.max(fix.time);
                edge = moved(edge, latest, &settings);
                open.fixes.push(fix);
            }
            other => panic!("not a line of a scenario: {other:?}"),
        }
    }
    assert!(open.controls.is_empty() && open.fixes.is_empty(), "a scenario ends with a tick:\n{text}");
    scenario
}

fn fence(id: &str, words: &[&str]) -> Fence {
    let (shape, options) = match words {
        ["circle", centre, radius, options @ ..] => {
            let (lon, lat) = degrees(centre);
            let centre = Coord::from_degrees(lon, lat).unwrap();
            (Shape::Circle { centre, radius_m: radius.parse().unwrap() }, options)
        }
        ["square", low, high, options @ ..] => {
            let ((west, south), (east, north)) = (degrees(low), degrees(high));
            let corners = [(west, south), (east, south), (east, north), (west, north), (west, south)];
            let ring = ring_from_degrees(&corners, true).unwrap();
            (Shape::Polygon { parts: vec![vec![ring]] }, options)
        }
        other => panic!("no such fence: {other:?}"),
    };
    let mut fence = Fence {
        id: id.into(),
        name: id.into(),
        shape,
        settings: FenceSettings::default(),
        valid_from: None,
        valid_to: None,
        feature_json: "{}".into(),
    };
    for option in options.chunks(2) {
        let seconds = |text: &str| Some(text.parse::<i64>().unwrap() * 1000);
        match option {
            ["from", at] => fence.valid_from = Some(TimeMs(time(at))),
            ["to", at] => fence.valid_to = Some(TimeMs(time(at))),
            ["buffer", metres] => fence.settings.exit_buffer_m = Some(metres.parse().unwrap()),
            ["dwell", text] => fence.settings.min_dwell_ms = seconds(text),
            ["absence", text] => fence.settings.max_absence_ms = seconds(text),
            ["crossed", "yes"] => fence.settings.crossed = true,
            other => panic!("no such option of a fence: {other:?}"),
        }
    }
    fence.check().unwrap();
    fence
}
