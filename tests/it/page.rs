//! The live map in a browser, over a service that real posts change and correct.

mod desk;
mod fleet;
mod picture;
mod shapes;

use std::time::Duration;

use fleet::{Fleet, SHRINKS, SOUTH_WEST, STAYS, VANISHES, YARD as MAIN_YARD, points, yard};
use serde_json::{Value, json};

use crate::browser::{self, Editing};
use crate::common::{Client, Service, circle, fence_record, fix, now_ms, tick_of};

const YARD: (f64, f64) = (3.40, 6.50);
const DEPOT: (f64, f64) = (3.41, 6.50);
const MINUTE: i64 = 60_000;
const SOON: Duration = Duration::from_secs(15);

#[test]
fn the_page_shows_what_happens_and_what_is_corrected() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut service = Service::start(dir.path(), &[]);
    let address = service.address();
    let post = |records: &[String]| {
        let mut client = Client::connect(address).expect("the service takes connections");
        let answer = client.post("/api/v1/records", records.join("\n").as_bytes()).expect("an answer");
        tick_of(&answer, records.len());
    };
    let start = now_ms() - 40 * MINUTE;
    let at = |vehicle: &str, minute: i64, place: (f64, f64)| {
        fix(vehicle, start + minute * MINUTE, place.0, place.1)
    };
    let fences =
        [("yard", YARD), ("depot", DEPOT)].map(|(id, (lon, lat))| fence_record(&circle(id, lon, lat, 200.0)));
    post(&fences);
    // One truck visited the yard and was next seen ten minutes later at the depot; another stands between.
    let mut fixes: Vec<String> = (0..=10).map(|minute| at("KJA-101XA", minute, YARD)).collect();
    fixes.push(at("KJA-101XA", 20, DEPOT));
    fixes.push(at("KJA-202XB", 20, (3.405, 6.503)));
    post(&fixes);

    // The other drives into the yard. Then a fix comes late: the first one had left the yard minutes earlier.
    let entry = [at("KJA-202XB", 30, YARD)];
    let correction = [at("KJA-101XA", 13, (3.405, 6.5))];
    browser::page_works(&format!("http://{address}"), None, || post(&entry), || post(&correction));
    service.stop();
}

/// The visits of the day, in minutes: arrival and departure.
fn visits(expected: &[(&str, i64, i64)]) -> Vec<(String, i64, Option<i64>)> {
    expected.iter().map(|(vehicle, from, to)| ((*vehicle).to_owned(), *from, Some(*to))).collect()
}

#[test]
fn the_page_corrects_the_past_of_a_fence_and_changes_it_from_now_on() {
    let Some(browser) = browser::start() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let mut fleet = Fleet::start(dir.path());
    let before = [(STAYS, 0, 20), (VANISHES, 0, 20), (SHRINKS, 0, 20)];
    assert_eq!(fleet.visits(), visits(&before), "the day as it begins");

    let mut editing = Editing::open(&browser, &fleet.url(), (1440, 900), false);
    editing.choose_in_list(MAIN_YARD);
    let listed = "document.querySelectorAll('#fence-visits li').length === 3";
    editing.page.wait_until("the place lists its visits of the day", listed, SOON);
    assert!(editing.visits("#fence-visits li.correction").is_empty(), "nothing is corrected yet");
    editing.page.click_on("#fence-edit");
    editing.has_begun();
    // A cancelled edit leaves nothing, and a click into the shape chooses the fence.
    let (south_west, north_east) = (editing.handle(0), editing.handle(2));
    let middle = ((south_west.0 + north_east.0) / 2.0, (south_west.1 + north_east.1) / 2.0);
    editing.drag_somewhere(2, middle);
    editing.page.press("Escape");
    editing.page.wait_until("the edit is over", "document.querySelector('#edit').hidden", SOON);
    editing.page.press("Escape");
    editing.page.wait_until("the list is back", "document.querySelector('#fence').hidden", SOON);
    editing.page.click(middle.0, middle.1);
    editing.is_chosen(MAIN_YARD);

    // The north-east was never part of it: one visit vanishes, another one shrinks.
    editing.page.press("e");
    editing.has_begun();
    editing.drag_somewhere(2, middle);
    editing.page.click_on("#edit-save");
    editing.is_asked();
    editing.page.click_on("#save-past");
    assert_eq!(editing.wait_until_shown(), "2 visits changed.");
    assert_eq!(fleet.visits(), visits(&[(STAYS, 0, 20), (SHRINKS, 0, 10)]));
    let corrected = fleet.fence();
    assert_eq!(corrected["properties"], yard()["properties"], "all else is as it was");
    let (old, new) = (points(&yard()), points(&corrected));
    assert_eq!((new.len(), new[0], new[1], new[3]), (4, old[0], old[1], old[3]), "only one point moved");
    assert!((new[2].0 - 3.4).abs() < 2e-4 && (new[2].1 - 6.5).abs() < 2e-4, "it moved to {:?}", new[2]);

    // At once it is seen what changed, from what to what, and why.
    let is_marked = "document.querySelectorAll('#fence-visits li.correction').length === 2";
    editing.page.wait_until("two visits are marked", is_marked, SOON);
    let shown = editing.visits("#fence-visits li");
    assert_eq!(shown.len(), 3, "{shown:?}");
    for visit in &shown {
        let is_corrected = visit["vehicle"] != STAYS;
        assert_eq!(visit["correction"], is_corrected, "{visit}");
        if is_corrected {
            assert_eq!(
                (&visit["cause"], &visit["badge"]),
                (&json!("fence_edit"), &json!("corrected: fence edited"))
            );
            assert!(visit["was"].as_str().is_some_and(|was| was.contains("20\u{a0}min")), "{visit}");
        }
    }
    let now_of =
        |vehicle: &str| shown.iter().find(|v| v["vehicle"] == vehicle).expect("a visit")["now"].clone();
    assert_eq!(now_of(VANISHES), "no visit after all");
    assert_ne!(now_of(SHRINKS), Value::Null);
    let in_feed = "[...document.querySelectorAll('#feed li.correction .badge')].map(b => b.textContent)";
    let badges = editing.page.evaluate(in_feed);
    assert!(badges.as_array().is_some_and(|all| all.contains(&json!("corrected: fence edited"))), "{badges}");
    editing.page.wait_until(
        "the whole story is a link away",
        "document.querySelector('#fence-visits .why a')",
        SOON,
    );
    let told = editing.page.evaluate(
        "(async () => {
            const { changeInHistory } = await import('/visits.js');
            const stories = {};
            for (const li of document.querySelectorAll('#fence-visits li')) {
                const { items } = await (await fetch('/api/v1/visits?fence_id=yard%2F1')).json();
                const id = items.find(v => v.vehicle_id === li.dataset.vehicle)?.id;
                const link = li.querySelector('.why a')?.href;
                const events = await (await fetch(link ?? `/api/v1/visits/${id}/history`)).json();
                const change = id && changeInHistory(id, events.items);
                stories[li.dataset.vehicle] = [events.items.length, change?.cause ?? null, change?.old?.departed != null];
            }
            return stories;
        })()",
    );
    // Who opens the page later than the changes were made sees them as marked: histories tell the same.
    let expected =
        json!({STAYS: [1, null, false], SHRINKS: [2, "fence_edit", true], VANISHES: [2, null, false]});
    assert_eq!(told, expected, "events, cause, and whether something else was told before");
    // The same of the truck.
    editing.page.click_on(&format!("#fence-visits li[data-vehicle='{SHRINKS}'] .name"));
    let of_truck = "document.querySelector('#visits li.correction[data-cause=fence_edit] s')";
    editing.page.wait_until("the truck's visit is marked, too", of_truck, SOON);

    // From now on it is smaller still. The past stays, and new positions are judged by the new shape.
    editing.page.click_on("#visits li .name");
    editing.is_chosen(MAIN_YARD);
    editing.page.click_on("#fence-edit");
    editing.has_begun();
    let handle = editing.handle(0);
    let inner = (handle.0 + (middle.0 - handle.0) * 0.8, handle.1 + (middle.1 - handle.1) * 0.8);
    editing.drag_somewhere(0, inner);
    editing.page.click_on("#edit-save");
    editing.is_asked();
    editing.page.click_on("#save-from-now");
    assert_eq!(editing.wait_until_shown(), "no visit changed.");
    assert_eq!(fleet.visits(), visits(&[(STAYS, 0, 20), (SHRINKS, 0, 10)]), "the past stays");
    let changed = fleet.fence();
    let from = changed["properties"]["valid_from"].as_str().expect("it holds from some time on").to_owned();
    let from = model::TimeMs::parse_rfc3339(&from).expect("a time").0;
    assert!((now_ms() - from).abs() < MINUTE, "from now on");
    assert_ne!(points(&changed)[0], points(&corrected)[0]);
    let tick = fleet.post(&[
        fix("EARLIER", from - 1, SOUTH_WEST.0, SOUTH_WEST.1),
        fix("LATER", from, SOUTH_WEST.0, SOUTH_WEST.1),
    ]);
    for (vehicle, presences) in [("EARLIER", 1), ("LATER", 0)] {
        let path = format!("/api/v1/presences?vehicle_id={vehicle}&min_tick={tick}");
        let items = fleet.client().get(&path).expect("an answer").json()["items"].clone();
        assert_eq!(items.as_array().map(Vec::len), Some(presences), "{vehicle}: {items}");
    }

    // And if that was always so after all, it holds for all time again.
    editing.page.press("e");
    editing.has_begun();
    let handle = editing.handle(0);
    editing.drag_somewhere(0, (handle.0 - 20.0, handle.1));
    editing.page.click_on("#edit-save");
    editing.is_asked();
    let since = editing.page.evaluate("document.querySelector('#save-since').textContent");
    assert!(since.as_str().is_some_and(|words| words.starts_with("Its shapes before")), "{since}");
    editing.page.click_on("#save-past");
    editing.wait_until_shown();
    assert_eq!(fleet.fence()["properties"], yard()["properties"]);
    assert_eq!(fleet.visits(), visits(&[]), "the south-west is outside of it, too");
    editing.close(&[]);
    fleet.service.stop();
}

#[test]
fn the_page_edits_a_fence_by_keyboard_alone_while_somebody_else_does() {
    let Some(browser) = browser::start() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let mut fleet = Fleet::start(dir.path());
    let mut editing = Editing::open(&browser, &fleet.url(), (1280, 800), false);
    editing.choose_by_keys(MAIN_YARD);
    editing.page.press("e");
    editing.has_begun();
    let label = "document.activeElement.ariaLabel";
    assert!(editing.page.evaluate(label).as_str().is_some_and(|l| l.starts_with("point 1 of 4")));
    // A point more in the middle of the south side, and away with it again.
    editing.page.press("a");
    assert!(editing.page.evaluate(label).as_str().is_some_and(|l| l.starts_with("point 2 of 5")));
    editing.page.press("Delete");
    assert!(editing.page.evaluate(label).as_str().is_some_and(|l| l.starts_with("point 2 of 4")));
    // North-east, and from there to the south-west, past the middle.
    editing.page.press("PageDown");
    let steps = editing.page.evaluate(
        "(() => { const at = (i) => { const r = document.querySelector(`.handle[data-index='${i}'][data-middle='']`)\
         .getBoundingClientRect(); return r.x; }; return Math.ceil((at(2) - at(0)) / 2 / 10); })()",
    );
    for _ in 0..steps.as_u64().expect("some steps") {
        editing.page.press_shifted("ArrowLeft");
        editing.page.press_shifted("ArrowDown");
    }
    editing.page.press("ArrowLeft");

    // Meanwhile somebody else gives the yard another name.
    let mut renamed = yard();
    renamed["properties"]["name"] = "Old yard".into();
    fleet.put(&renamed);
    editing.page.press("Enter");
    editing.is_asked();
    editing.press_button("save-past");
    editing.wait_for_status("Somebody else changed this fence");
    assert_eq!(fleet.fence(), renamed, "nothing of theirs is lost");

    // Nor of ours, even when the service is out of reach for a while: the shape is ours then, the name theirs.
    editing.offline(true);
    editing.page.press("Enter");
    editing.is_asked();
    editing.press_button("save-past");
    editing.wait_for_status("The service did not answer");
    let lost = "document.querySelector('#link').dataset.state === 'reconnecting'";
    editing.page.wait_until("the page has lost the service", lost, SOON);
    editing.offline(false);
    let found = "document.querySelector('#link').dataset.state === 'live'";
    editing.page.wait_until("the page is live again", found, SOON);
    editing.page.press("Enter");
    editing.is_asked();
    editing.press_button("save-past");
    assert_eq!(editing.wait_until_shown(), "2 visits changed.");
    let focus = "document.activeElement.id === 'fence-edit'";
    editing.page.wait_until("the focus is where the edit began", focus, SOON);
    let saved = fleet.fence();
    assert_eq!(saved["properties"], renamed["properties"]);
    assert_ne!(points(&saved)[2], points(&yard())[2]);
    assert_eq!(fleet.visits(), visits(&[(STAYS, 0, 20), (SHRINKS, 0, 10)]));
    editing.close(&["a status of 412", "ERR_INTERNET_DISCONNECTED"]);
    fleet.service.stop();
}

#[test]
fn the_page_edits_a_fence_on_a_phone() {
    let Some(browser) = browser::start() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let mut fleet = Fleet::start(dir.path());
    let mut editing = Editing::open(&browser, &fleet.url(), (390, 740), true);
    editing.tap_in_list(MAIN_YARD);
    editing.page.tap_on("#fence-edit");
    editing.has_begun();
    let (south_west, north_east) = (editing.handle(0), editing.handle(2));
    let to = ((south_west.0 + north_east.0) / 2.0, (south_west.1 + north_east.1) / 2.0);
    editing.page.touch_drag(north_east, to);
    let moved = "!document.querySelector('#edit-undo').disabled";
    editing.page.wait_until("the finger moves the point", moved, SOON);
    // A point more than needed: added by a touch between two, removed by the button.
    let between = editing.page.middle_of(".handle.middle[data-index='0']:not([hidden])");
    editing.page.tap(between);
    let count = "document.querySelector('.handle.chosen').ariaLabel";
    editing.page.wait_until("a point is added", &format!("{count}.startsWith('point 2 of 5')"), SOON);
    editing.page.tap_on("#edit-remove");
    editing.page.wait_until("the point is removed", &format!("{count}.includes('of 4')"), SOON);
    let over =
        editing.page.evaluate("document.scrollingElement.scrollWidth - document.documentElement.clientWidth");
    assert_eq!(over, 0, "the page scrolls sideways on a phone");
    editing.page.tap_on("#edit-save");
    editing.is_asked();
    editing.page.tap_on("#save-past");
    assert_eq!(editing.wait_until_shown(), "2 visits changed.");
    assert_eq!(fleet.visits(), visits(&[(STAYS, 0, 20), (SHRINKS, 0, 10)]));
    let is_marked = "document.querySelectorAll('#fence-visits li.correction').length === 2";
    editing.page.wait_until("the list is back, and marks two visits", is_marked, SOON);
    editing.close(&[]);
    fleet.service.stop();
}

#[test]
fn the_page_edits_shapes_of_every_kind() {
    let Some(browser) = browser::start() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let mut service = Service::start(dir.path(), &[]);
    let address = service.address();
    let shapes = shapes::all();
    let records: Vec<String> = shapes.iter().map(|shape| fence_record(&shape.feature.to_string())).collect();
    let mut client = service.client();
    let posted = client.post("/api/v1/records", records.join("\n").as_bytes()).expect("an answer");
    tick_of(&posted, records.len());

    let mut editing = Editing::open(&browser, &format!("http://{address}"), (1440, 900), false);
    for shape in &shapes {
        editing.choose_in_list(shape.fence);
        editing.page.click_on("#fence-edit");
        editing.has_begun();
        let handles = editing.page.evaluate("document.querySelectorAll('.handle:not([hidden])').length");
        assert!(handles.as_u64().is_some_and(|n| (2..=320).contains(&n)), "{}: {handles}", shape.fence.id);
        let (x, y) = editing.place_of(shape.moved);
        editing.page.drag((x, y), (x + 40.0, y));
        editing.page.click_on("#edit-save");
        editing.is_asked();
        editing.page.click_on("#save-past");
        assert_eq!(editing.wait_until_shown(), "no visit changed.");
        let path = format!("/api/v1/fences/{}", shape.fence.id);
        let saved = client.get(&path).expect("an answer").json();
        let changed = shapes::differences(&shape.feature, &saved);
        assert_eq!(changed, shape.changes, "{}: {saved}", shape.fence.id);
        editing.page.click_on("#fence-back");
    }
    editing.close(&[]);
    service.stop();
}
