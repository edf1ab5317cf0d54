//! The picture of the live map in the documentation, drawn anew where the environment asks for it:
//! `WATCHTOWER_PICTURE=docs/live-map.png cargo test --test it picture`. A tool, not a test.

use std::path::Path;
use std::time::Duration;

use crate::cdp::{Browser, find_chromium};
use crate::common::Service;

/// The demo's past is filled in by then, and some things have happened since.
const PATIENCE: Duration = Duration::from_secs(600);
const FLEET: u32 = 84;

#[test]
fn picture_of_the_demo() {
    let Some(picture) = std::env::var_os("WATCHTOWER_PICTURE") else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let mut service = Service::start(&dir.path().join("demo"), &["--demo"]);
    let browser = Browser::start(&find_chromium().expect("a browser"));
    let mut page = browser.open(&format!("http://{}/", service.address()));
    page.viewport(1400, 900, false);
    page.colour_scheme("light");
    page.wait_until(
        "the whole fleet is there",
        &format!("Number(document.body.dataset.trucks) === {FLEET}"),
        PATIENCE,
    );
    crate::common::wait_until("the past is filled in", PATIENCE, || {
        service.said().contains("drives in real time")
    });
    // The past came newest day first, and so with many corrections: what happens now is to be seen too.
    page.wait_until(
        "things happen",
        "[...document.querySelectorAll('#feed li')].slice(0, 6).filter(li => !li.querySelector('.badge')).length >= 5",
        PATIENCE,
    );

    // A truck on its way with something to tell.
    let vehicle = page.evaluate(
        "(async () => {
            const visits = await (await fetch('/api/v1/visits?limit=1000')).json();
            const count = {};
            for (const v of visits.items) count[v.vehicle_id] = (count[v.vehicle_id] ?? 0) + 1;
            const trucks = await (await fetch('/api/v1/trucks?limit=1000')).json();
            const moving = trucks.items.filter(t => (t.speed_kmh ?? 0) > 20);
            moving.sort((a, b) => (count[b.vehicle_id] ?? 0) - (count[a.vehicle_id] ?? 0));
            return moving[0]?.vehicle_id ?? null;
        })()",
    );
    let vehicle = vehicle.as_str().expect("a truck is moving").to_owned();
    page.press("/");
    page.type_text(&vehicle);
    page.press("ArrowDown");
    page.press("Enter");
    page.wait_until("its visits are shown", "document.querySelectorAll('#visits li').length > 0", PATIENCE);
    page.evaluate("document.activeElement.blur()");
    page.listen_for(Duration::from_secs(3));
    page.screenshot(&Path::new(env!("CARGO_MANIFEST_DIR")).join(picture));
    service.stop();
}
