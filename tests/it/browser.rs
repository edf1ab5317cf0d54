//! The page at `/` as a person meets it: in a real browser, against a real service.

mod editing;

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

pub use crate::cdp::find_chromium;
use crate::cdp::{Browser, Page, lines};

pub use editing::{Editing, Fence};

const READY_LIMIT: Duration = Duration::from_secs(30);
const SOON: Duration = Duration::from_secs(15);

/// Walks through the page: the map with its trucks and fences, a truck and its visits by keyboard alone, the
/// feed as it grows, a correction that shows as one, a phone. Panics at the first thing that is not so.
///
/// The service must know a fence, a truck, and a visit. `cause_change` must lead to an entry or exit that the
/// feed did not have, `cause_correction` to a time already given out being taken back. `screenshot` is where
/// to put a picture, for documentation and for seeing what went wrong.
///
/// Without a browser this is skipped with a word, except where `CI` is set to `true`.
pub fn page_works(
    base_url: &str,
    screenshot: Option<&Path>,
    cause_change: impl FnOnce(),
    cause_correction: impl FnOnce(),
) {
    let Some(browser) = start() else { return };
    let base_url = base_url.trim_end_matches('/');
    let mut page = browser.open(&format!("{base_url}/"));
    page.viewport(1440, 900, false);

    state_is_shown(&mut page);
    map_answers_keys(&mut page);
    truck_opens_by_keyboard(&mut page);
    feed_says_the_right_words(&mut page);
    feed_grows(&mut page, cause_change);
    correction_is_shown(&mut page, cause_correction);
    if let Some(file) = screenshot {
        page.screenshot(file);
    }
    dark_is_dark(&mut page);
    phone_has_room(&mut page);
    reference_is_shown(&browser, base_url);

    nothing_is_wrong(&page, base_url);
}

/// A browser; without one a test is skipped with a word, except where `CI` is set to `true`.
pub fn start() -> Option<Browser> {
    let found = find_chromium();
    if found.is_none() {
        crate::common::skip("no chromium found: install it, or name it in CHROMIUM");
    }
    found.map(|executable| Browser::start(&executable))
}

/// Panics where the page asked other hosts, or the console shows errors.
pub fn nothing_is_wrong(page: &Page, base_url: &str) {
    let elsewhere = requests_elsewhere(page, base_url);
    assert!(elsewhere.is_empty(), "the page asked other hosts:\n{}", lines(&elsewhere));
    let errors = page.console_errors();
    assert!(errors.is_empty(), "the console shows errors:\n{}", lines(errors));
}

fn requests_elsewhere(page: &Page, base_url: &str) -> Vec<String> {
    let home = format!("{base_url}/");
    let at_home = |url: &str| url.starts_with(&home) || url.starts_with("data:") || url == "about:blank";
    page.requests().iter().filter(|url| !at_home(url)).cloned().collect()
}

fn count(page: &mut Page, name: &str) -> u64 {
    let text = page.evaluate(&format!("document.body.dataset.{name}"));
    text.as_str()
        .and_then(|t| t.parse().ok())
        .unwrap_or_else(|| panic!("data-{name} is {text}, not a number"))
}

fn state_is_shown(page: &mut Page) {
    page.wait_until(
        "the first state is drawn",
        "document.documentElement.dataset.ready === '1'",
        READY_LIMIT,
    );
    page.wait_until("trucks are counted", "Number(document.body.dataset.trucks) > 0", SOON);
    page.wait_until("fences are counted", "Number(document.body.dataset.fences) > 0", SOON);
    page.wait_until(
        "the page is live",
        "document.querySelector('#link').dataset.state === 'live'",
        READY_LIMIT,
    );
    page.wait_until(
        "as_of is a time",
        r"/\d\d:\d\d:\d\d/.test(document.querySelector('#as-of').textContent)",
        SOON,
    );
    let zone = page.evaluate("document.querySelector('#zone').textContent");
    assert_eq!(zone, "Africa/Lagos", "times are in the browser's zone, and the zone is named");
    let painted = page.evaluate(
        "(() => { const c = document.querySelector('#traffic'); const d = c.getContext('2d').getImageData(0, 0, \
         c.width, c.height).data; let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return n; })()",
    );
    assert!(painted.as_u64() > Some(50), "no truck is drawn on the map: {painted} pixels");
}

fn map_answers_keys(page: &mut Page) {
    page.evaluate("document.querySelector('#map').focus()");
    let ground = "document.querySelector('#ground').toDataURL()";
    let mut last = page.evaluate(ground);
    for key in ["ArrowLeft", "ArrowUp", "+", "-", "f"] {
        page.press(key);
        page.listen_for(Duration::from_millis(700));
        let now = page.evaluate(ground);
        assert!(now != last, "the key {key} does not move the map");
        last = now;
    }
}

fn truck_opens_by_keyboard(page: &mut Page) {
    let visit =
        page.evaluate("fetch('/api/v1/visits?limit=1').then(r => r.json()).then(a => a.items[0] ?? null)");
    let vehicle = visit["vehicle_id"].as_str().expect("the service must know a visit").to_owned();
    page.press("/");
    page.wait_until("the key / leads to the search", "document.activeElement.id === 'search'", SOON);
    page.type_text(&vehicle);
    page.press("ArrowDown");
    page.wait_until("the list has the focus", "document.activeElement.id === 'list'", SOON);
    let active = page.evaluate(
        "document.getElementById(document.activeElement.getAttribute('aria-activedescendant'))?.dataset.thing",
    );
    assert_eq!(active, vehicle.as_str(), "the arrow key chooses the truck that was searched for");
    page.press("Enter");
    let shown = format!("document.querySelector('#truck-name').textContent === {}", json!(vehicle));
    page.wait_until(
        "the truck is shown",
        &format!("!document.querySelector('#truck').hidden && {shown}"),
        SOON,
    );
    page.wait_until("its visits are shown", "document.querySelectorAll('#visits li').length > 0", SOON);
    let dwell = page.evaluate("document.querySelector('#visits li b').textContent");
    let has_unit = |d: &str| ["\u{a0}s", "\u{a0}min", "\u{a0}h"].iter().any(|unit| d.contains(unit));
    assert!(dwell.as_str().is_some_and(has_unit), "the dwell is shown as {dwell}");
    page.press("Escape");
    page.wait_until("the list is back", "document.querySelector('#truck').hidden", SOON);
    page.evaluate(
        "(() => { const s = document.querySelector('#search'); s.value = ''; s.oninput({target: s}); })()",
    );
}

/// What the feed says of made-up ticks: only a time that is taken back is a correction.
fn feed_says_the_right_words(page: &mut Page) {
    let presence = |entered: &str, exited: Value| {
        let reason = if exited.is_null() { Value::Null } else { json!("exit") };
        json!({"vehicle_id": "T1", "fence_id": "yard", "entered": entered, "exited": exited, "end_reason": reason})
    };
    let visit = |arrived: &str, departed: Value| {
        json!({"vehicle_id": "T1", "fence_id": "yard", "arrived": arrived, "departed": departed,
            "confirmed_at": arrived, "presences": 1})
    };
    let (eight, ten_past, nine) = ("2026-01-05T08:00:00Z", "2026-01-05T08:10:00Z", "2026-01-05T09:00:00Z");
    let open = Value::Null;
    type Case = (&'static str, Vec<(&'static str, i8, Value)>, &'static [(&'static str, bool, &'static str)]);
    let cases: Vec<Case> = vec![
        (
            "entry",
            vec![("presences", 1, presence(eight, open.clone()))],
            &[("opened", false, "entered The Yard")],
        ),
        (
            "exit",
            vec![
                ("presences", -1, presence(eight, open.clone())),
                ("presences", 1, presence(eight, json!(nine))),
            ],
            &[("closed", false, "left The Yard")],
        ),
        (
            "visit",
            vec![("visits", 1, visit(eight, open.clone()))],
            &[("opened", false, "visit confirmed at The Yard")],
        ),
        (
            "exit and end of visit are one thing",
            vec![
                ("presences", -1, presence(eight, open.clone())),
                ("presences", 1, presence(eight, json!(nine))),
                ("visits", -1, visit(eight, open.clone())),
                ("visits", 1, visit(eight, json!(nine))),
            ],
            &[("closed", false, "a visit of 1\u{a0}h\u{a0}00\u{a0}min")],
        ),
        (
            "another time of leaving",
            vec![("visits", -1, visit(eight, json!(nine))), ("visits", 1, visit(eight, json!(ten_past)))],
            &[("corrected", true, "(10\u{a0}min)")],
        ),
        (
            "another time of entering is another key",
            vec![
                ("presences", -1, presence(eight, open.clone())),
                ("presences", 1, presence(ten_past, open.clone())),
            ],
            &[("corrected", true, "since 09:10")],
        ),
        (
            "back before the stay was over",
            vec![("visits", -1, visit(eight, json!(nine))), ("visits", 1, visit(eight, open.clone()))],
            &[("corrected", true, "still visiting")],
        ),
        (
            "never there",
            vec![("presences", -1, presence(eight, open))],
            &[("withdrawn", true, "not there after all")],
        ),
    ];
    for (name, changes, expected) in cases {
        let changes: Vec<Value> = changes
            .into_iter()
            .map(|(table, diff, row)| {
                json!({"tick": 7, "instant": nine, "table": table, "diff": diff, "row": row})
            })
            .collect();
        let items = page.evaluate(&format!(
            "import('/feed.js').then(m => m.describeTick({}, () => 'The Yard'))",
            Value::from(changes)
        ));
        let items = items.as_array().unwrap_or_else(|| panic!("{name}: no list of items: {items}"));
        assert_eq!(items.len(), expected.len(), "{name}: {items:?}");
        for (item, (kind, correction, words)) in items.iter().zip(expected) {
            assert_eq!(item["kind"], *kind, "{name}: {item}");
            assert_eq!(item["correction"], *correction, "{name}: {item}");
            assert!(item["words"].as_str().is_some_and(|w| w.contains(words)), "{name}: {item}");
        }
    }
}

fn feed_grows(page: &mut Page, cause_change: impl FnOnce()) {
    let before = count(page, "feed");
    cause_change();
    page.wait_until(
        &format!("the feed grows from {before} items"),
        &format!("Number(document.body.dataset.feed) > {before}"),
        READY_LIMIT,
    );
    page.wait_until("the feed shows it", "document.querySelectorAll('#feed li').length > 0", SOON);
    let (vehicle, words) = ("#feed li button b", "#feed li .words");
    for part in [vehicle, words] {
        let text = page.evaluate(&format!("document.querySelector('{part}').textContent"));
        assert!(text.as_str().is_some_and(|t| !t.is_empty()), "{part} of the newest item is empty");
    }
    let named = page.evaluate(&format!("document.querySelector('{vehicle}').textContent"));
    page.click_on("#feed li button");
    page.wait_until(
        "a click on an item opens its truck",
        &format!("document.querySelector('#truck-name').textContent === {named}"),
        SOON,
    );
    page.press("Escape");
}

fn correction_is_shown(page: &mut Page, cause_correction: impl FnOnce()) {
    let before = count(page, "corrections");
    cause_correction();
    page.wait_until(
        &format!("a correction is counted beside the {before} before"),
        &format!("Number(document.body.dataset.corrections) > {before}"),
        READY_LIMIT,
    );
    let newest = "document.querySelector('#feed li.correction')";
    page.wait_until("the feed shows the correction", newest, SOON);
    let badge = page.evaluate(&format!("{newest}.querySelector('.badge').textContent"));
    assert_eq!(badge, "corrected: late fix", "a correction tells what it came of");
    for (part, what) in [("s", "what was said is struck through"), (".now", "what is true is shown")] {
        let text = page.evaluate(&format!("{newest}.querySelector('.words {part}')?.textContent ?? ''"));
        assert!(text.as_str().is_some_and(|t| !t.is_empty()), "{what}");
    }
}

fn dark_is_dark(page: &mut Page) {
    let mut ground = |scheme: &str| {
        page.colour_scheme(scheme);
        page.listen_for(Duration::from_millis(500));
        page.evaluate("[...document.querySelector('#ground').getContext('2d').getImageData(1, 1, 1, 1).data]")
    };
    let (light, dark) = (ground("light"), ground("dark"));
    assert!(light[0].as_u64() > Some(150) && dark[0].as_u64() < Some(100), "light {light}, dark {dark}");
}

fn phone_has_room(page: &mut Page) {
    page.viewport(360, 740, true);
    page.listen_for(Duration::from_millis(500));
    for (tab, panel) in [("#tab-feed", "#panel-feed"), ("#tab-trucks", "#panel-trucks")] {
        page.click_on(tab);
        let shown = format!("document.querySelector('{panel}').offsetHeight > 200");
        page.wait_until(&format!("the tab {tab} shows {panel}"), &shown, SOON);
        let over =
            page.evaluate("document.scrollingElement.scrollWidth - document.documentElement.clientWidth");
        assert_eq!(over, 0, "the page scrolls sideways on a phone, with {panel}");
    }
    let map = page.evaluate("document.querySelector('#map').offsetHeight");
    assert!(map.as_u64() > Some(200), "the map is {map} pixels high on a phone");
}

fn reference_is_shown(browser: &Browser, base_url: &str) {
    let mut page = browser.open(&format!("{base_url}/api.html"));
    page.wait_until("the reference is drawn", "document.documentElement.dataset.ready === '1'", READY_LIMIT);
    let operations = page.evaluate("document.querySelectorAll('#operations details').length");
    assert!(operations.as_u64() > Some(0), "no operation is listed");
    page.evaluate("document.querySelector('#search').focus()");
    page.type_text("/api/v1/trucks");
    page.wait_until("the search finds the trucks", "document.querySelector('details:not([hidden])')", SOON);
    nothing_is_wrong(&page, base_url);
}
