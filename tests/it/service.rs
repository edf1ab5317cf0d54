//! A running service: whatever way records take into it, it shows what a replay of its own export gives.

mod archives;
mod backups;
mod edits;
mod feeds;
mod starts;
mod stops;

use std::path::Path;

use crate::common::{
    NO_HEARTBEAT, Service, Tables, assert_same_lines, export, replay, skip, tick_of, verify,
};
use feeds::{Feed, Form, Way};

/// Nothing of the feeds is too late, and no correction is out of reach.
const LONG_HORIZON: [&str; 2] = ["--set", "cleaning.horizon_h=1000000"];

const fn way(form: Form, batch: usize, gzip: bool) -> Way {
    Way { batch, form, gzip }
}

/// Posts a feed to a service of its own and holds it against the export, in use and at rest, and over a
/// restart. Gives back what it shows.
fn shown_and_checked(feed: &Feed, way: Way, args: &[&str]) -> Tables {
    let what = format!("{} as {way:?}", feed.name);
    let dir = tempfile::tempdir().expect("a folder");
    let args = [&NO_HEARTBEAT[..], args].concat();
    let mut service = Service::start(dir.path(), &args);
    let tick = post(&mut service, feed, way);

    let shown = service.tables(tick);
    // The fences of these fleets do not ask for crossings.
    for table in ["presences", "visits", "rejects"] {
        assert!(!shown.table(table).is_empty(), "{what} has {table}");
    }
    let exported = export(dir.path());
    assert_ends_with_tick(&mut service, tick, &exported);
    shown.assert_same(&what, &replay(&exported), "the replay of its export");
    verify(dir.path());

    service.stop();
    verify(dir.path());
    assert!(export(dir.path()) == exported, "{what}: the export is the same after the stop");
    let mut again = Service::start(dir.path(), &args);
    again.tables(tick).assert_same(&format!("{what}, started again"), &shown, "before the restart");
    again.stop();
    shown
}

/// Posts all of a feed, one body after the other; tells the tick of the last.
fn post(service: &mut Service, feed: &Feed, way: Way) -> u64 {
    let mut client = service.client();
    let mut tick = 0;
    for (path, count, body) in feed.bodies(way) {
        let answer = if way.gzip { client.post_gzip(path, &body) } else { client.post(path, &body) };
        let of_body = tick_of(&answer.expect("an answer"), count);
        assert!(of_body > tick, "a later record has a later tick");
        tick = of_body;
    }
    tick
}

/// The export ends with a `clock` record of the instant that the API shows.
fn assert_ends_with_tick(service: &mut Service, tick: u64, exported: &[u8]) {
    let answer = service.client().get("/readyz").expect("an answer").json();
    assert_eq!(answer["tick"], tick);
    let as_of = answer["as_of"].as_str().expect("a time");
    let last = format!(r#"{{"type":"clock","received_time":"{as_of}"}}"#);
    let text = std::str::from_utf8(exported).expect("an export is UTF-8");
    assert_eq!(text.lines().last(), Some(last.as_str()));
}

/// Every way in must give the same rows.
fn assert_all_ways_alike(feed: &Feed, ways: &[Way], args: &[&str]) -> Tables {
    let first = shown_and_checked(feed, ways[0], args);
    for way in &ways[1..] {
        let shown = shown_and_checked(feed, *way, args);
        shown.assert_same(&format!("{way:?}"), &first, &format!("{:?}", ways[0]));
    }
    first
}

#[test]
fn a_simulated_fleet_shows_what_its_export_gives_whatever_way_it_came() {
    let dir = tempfile::tempdir().expect("a folder");
    let (feed, truth) = feeds::simulated(dir.path());
    let ways = [
        way(Form::Ndjson, 1, false),
        way(Form::Array, 7, false),
        way(Form::Ndjson, 100, true),
        way(Form::Array, 5000, true),
        way(Form::Loconav, 1, false),
        way(Form::Loconav, 100, true),
    ];
    let shown = assert_all_ways_alike(&feed, &ways, &LONG_HORIZON);
    // Beyond the end of the simulation nothing happens but that time passes: the last stays become visits.
    for table in ["presences", "visits"] {
        assert_same_lines("what is shown", shown.table(table), "the truth", &truth_of(&truth, table));
    }
}

fn truth_of(folder: &Path, table: &str) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join(format!("{table}.ndjson"))).expect("the truth");
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_real_fleet_shows_what_its_export_gives_whatever_way_it_came() {
    let Some(feed) = feeds::real() else {
        return skip("set WATCHTOWER_DATA to the folder of real data");
    };
    let ways = [
        way(Form::Array, 5000, false),
        way(Form::Ndjson, 100, true),
        way(Form::Array, 7, false),
        way(Form::Loconav, 1, false),
        way(Form::Loconav, 5000, false),
    ];
    assert_all_ways_alike(&feed, &ways, &LONG_HORIZON);
}

#[test]
fn a_real_fleet_with_the_default_horizon_shows_what_its_export_gives() {
    let Some(feed) = feeds::real() else {
        return skip("set WATCHTOWER_DATA to the folder of real data");
    };
    // Several trucks stood still for months: what comes of them now is too late.
    let shown = shown_and_checked(&feed, way(Form::Ndjson, 1000, false), &[]);
    let too_late = shown.table("rejects").iter().filter(|row| row.contains(r#""reason":"too_late""#));
    assert!(too_late.count() > 10);
}
