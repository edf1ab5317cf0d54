//! The inbox of alerts and the figures in a browser, over a service that has counted a day.

use std::time::Duration;

use super::fleet::Fleet;
use crate::browser;
use crate::cdp::Page;

const SOON: Duration = Duration::from_secs(30);

fn is_ready(page: &mut Page, what: &str) {
    page.wait_until(what, "document.documentElement.dataset.ready === '1'", SOON);
}

fn is_live(page: &mut Page) {
    page.wait_until("the page follows", "document.querySelector('#link').dataset.state === 'live'", SOON);
}

fn fits_a_phone(page: &mut Page) {
    page.viewport(360, 740, true);
    page.listen_for(Duration::from_millis(300));
    let over = page.evaluate("document.scrollingElement.scrollWidth - document.documentElement.clientWidth");
    assert_eq!(over, 0, "the page scrolls sideways on a phone");
}

#[test]
fn figures_are_shown_and_chosen() {
    let Some(browser) = browser::start() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let mut fleet = Fleet::start(dir.path());
    let url = fleet.url();
    let mut page = browser.open(&format!("{url}/kpis"));
    page.viewport(1280, 860, false);
    is_ready(&mut page, "the figures are drawn");
    // Figures of now are brought up to date every ten seconds, all others are slower.
    let tile = "document.querySelector('[data-metric=\"trucks:offline\"] b')?.textContent === '3'";
    page.wait_until("the trucks that are silent are counted", tile, SOON);
    is_live(&mut page);
    page.click_on("#spans button:nth-child(4)");
    let chosen = "document.querySelector('#spans [aria-pressed=true]').textContent.includes('week')";
    page.wait_until("the week is chosen", chosen, SOON);
    page.wait_until("the figures of now stay", tile, SOON);
    fits_a_phone(&mut page);
    browser::nothing_is_wrong(&page, &url);
}

#[test]
fn an_inbox_without_alerts_says_so() {
    let Some(browser) = browser::start() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let mut fleet = Fleet::start(dir.path());
    let url = fleet.url();
    let mut page = browser.open(&format!("{url}/"));
    is_ready(&mut page, "the map is drawn");
    page.click_on(".places a[href=alerts]");
    is_ready(&mut page, "the inbox is drawn");
    is_live(&mut page);
    page.press("/");
    page.wait_until("the search has the focus", "document.activeElement.id === 'search'", SOON);
    page.press("Tab");
    page.wait_until("the name is next", "document.activeElement.id === 'by'", SOON);
    let empty = page.evaluate("document.querySelector('#empty').hidden");
    let shown = page.evaluate("document.body.dataset.alerts");
    assert_eq!(empty.as_bool(), Some(shown != "0"), "an inbox with {shown} alerts");
    fits_a_phone(&mut page);
    browser::nothing_is_wrong(&page, &url);
}
