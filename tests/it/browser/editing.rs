//! The page as somebody meets it who edits fences: by mouse, by keyboard alone, by touch.

use std::time::Duration;

use serde_json::{Value, json};

use super::{READY_LIMIT, SOON};
use crate::cdp::{Browser, Page, lines};

/// A page on which fences are edited.
pub struct Editing {
    pub page: Page,
    base_url: String,
}

/// A fence as the lists of the page name it.
#[derive(Clone, Copy)]
pub struct Fence {
    pub id: &'static str,
    pub name: &'static str,
}

impl Editing {
    /// Opens the page on a screen of that size, and waits until it is live.
    pub fn open(browser: &Browser, base_url: &str, (width, height): (u32, u32), phone: bool) -> Editing {
        let mut page = browser.open("about:blank");
        page.viewport(width, height, phone);
        page.call("Page.navigate", json!({"url": format!("{base_url}/")}));
        page.wait_until("the state is drawn", "document.documentElement.dataset.ready === '1'", READY_LIMIT);
        page.wait_until(
            "the page is live",
            "document.querySelector('#link').dataset.state === 'live'",
            READY_LIMIT,
        );
        Editing { page, base_url: base_url.to_owned() }
    }

    /// Chooses a fence in the list of places, by mouse.
    pub fn choose_in_list(&mut self, fence: Fence) {
        self.page.click_on("#states [data-name=places]");
        let row = self.row_of(fence);
        self.page.click_on(&row);
        self.is_chosen(fence);
    }

    /// Chooses a fence in the list of places, by finger.
    pub fn tap_in_list(&mut self, fence: Fence) {
        self.page.tap_on("#states [data-name=places]");
        let row = self.row_of(fence);
        self.page.tap_on(&row);
        self.is_chosen(fence);
    }

    fn row_of(&mut self, fence: Fence) -> String {
        let row = format!("#rows [data-thing='{}']", fence.id);
        let is_there = format!("document.querySelector({}) != null", json!(row));
        self.page.wait_until(&format!("the list has {}", fence.name), &is_there, SOON);
        row
    }

    /// Chooses a fence with keys alone: from the search on to the places, and down the list.
    pub fn choose_by_keys(&mut self, fence: Fence) {
        self.page.press("/");
        self.page.type_text(fence.name);
        self.tab_to("states", Some("places"));
        self.page.press("Enter");
        self.tab_to("list", None);
        self.page.press("ArrowDown");
        self.page.press("Enter");
        self.is_chosen(fence);
    }

    /// Presses the Tab key until the focus is there: on an element, or on the one with a name within it.
    fn tab_to(&mut self, id: &str, name: Option<&str>) {
        let has_focus = match name {
            None => format!("document.activeElement.id === {}", json!(id)),
            Some(name) => format!(
                "document.activeElement.closest('#{id}') && document.activeElement.dataset.name === {}",
                json!(name)
            ),
        };
        for _ in 0..30 {
            if self.page.evaluate(&format!("Boolean({has_focus})")) == true {
                return;
            }
            self.page.press("Tab");
        }
        panic!("the Tab key does not lead to {id} {name:?}");
    }

    pub fn is_chosen(&mut self, fence: Fence) {
        let shown = format!(
            "!document.querySelector('#fence').hidden && document.querySelector('#fence-name').textContent === {}",
            json!(fence.name)
        );
        self.page.wait_until(&format!("{} is shown", fence.name), &shown, SOON);
    }

    /// Waits until handles are there, after an edit was begun.
    pub fn has_begun(&mut self) {
        self.page.wait_until("the shape has handles", "document.querySelector('.handle.chosen')", SOON);
        // The map may still fly to the fence.
        self.page.listen_for(Duration::from_millis(600));
    }

    /// Where the handle of a point is, in the first ring.
    pub fn handle(&mut self, index: usize) -> (f64, f64) {
        self.place_of((0, index))
    }

    /// Where the handle of a ring's point is.
    pub fn place_of(&mut self, (ring, index): (usize, usize)) -> (f64, f64) {
        let handle =
            format!(".handle[data-ring='{ring}'][data-index='{index}'][data-middle='']:not([hidden])");
        self.page.middle_of(&handle)
    }

    /// Drags a point by mouse, and waits until the shape has changed.
    pub fn drag_somewhere(&mut self, index: usize, to: (f64, f64)) {
        let from = self.handle(index);
        self.page.drag(from, to);
        self.page.wait_until("the shape has changed", "!document.querySelector('#edit-undo').disabled", SOON);
    }

    /// Presses a button of the question by keys alone.
    pub fn press_button(&mut self, id: &str) {
        self.tab_to(id, None);
        self.page.press("Enter");
    }

    /// What is said of the edit.
    pub fn status(&mut self) -> String {
        let text = self.page.evaluate("document.querySelector('#edit-status').textContent");
        text.as_str().expect("a text").to_owned()
    }

    /// Waits until the status begins so; tells all of it.
    pub fn wait_for_status(&mut self, beginning: &str) -> String {
        let begins =
            format!("document.querySelector('#edit-status').textContent.startsWith({})", json!(beginning));
        self.page.wait_until(&format!("the status is {beginning:?}"), &begins, READY_LIMIT);
        self.status()
    }

    /// Waits until the question is asked, from when on the shape holds.
    pub fn is_asked(&mut self) {
        self.page.wait_until("the question is asked", "document.querySelector('#save').open", SOON);
        let words = self.page.evaluate("document.querySelector('#save').innerText");
        let words = words.as_str().expect("a text");
        for part in ["always so", "from now on", "may change, vanish or appear", "stay as they are"] {
            assert!(words.contains(part), "the question does not say {part:?}: {words}");
        }
    }

    /// Waits for the tick of an edit that was saved; tells how many visits it changed, in words.
    pub fn wait_until_shown(&mut self) -> String {
        let said = self.wait_for_status("Tick ");
        let gone = "document.querySelectorAll('.handle').length === 0 && document.querySelector('#edit-tools').hidden";
        self.page.wait_until("the edit is over", gone, SOON);
        let (_, words) = said.split_once(": ").unwrap_or_else(|| panic!("{said:?} tells no tick"));
        words.to_owned()
    }

    /// The visits that a list shows, one object each, as far as a selector picks them.
    pub fn visits(&mut self, selector: &str) -> Vec<Value> {
        let visits = self.page.evaluate(&format!(
            "[...document.querySelectorAll({})].map(li => ({{vehicle: li.dataset.vehicle, cause: li.dataset.cause ?? null, \
             badge: li.querySelector('.badge')?.textContent ?? null, was: li.querySelector('s')?.textContent ?? null, \
             now: li.querySelector('.now')?.textContent ?? null, correction: li.classList.contains('correction')}}))",
            json!(selector)
        ));
        visits.as_array().expect("a list").clone()
    }

    /// Takes the network from the page, or gives it back.
    pub fn offline(&mut self, is_offline: bool) {
        let conditions =
            json!({"offline": is_offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1});
        self.page.call("Network.emulateNetworkConditions", conditions);
    }

    /// Panics where the console shows errors without any of the expected words, or other hosts were asked.
    pub fn close(self, expected: &[&str]) {
        let is_expected = |error: &&String| expected.iter().any(|words| error.contains(words));
        let errors: Vec<String> =
            self.page.console_errors().iter().filter(|error| !is_expected(error)).cloned().collect();
        assert!(errors.is_empty(), "the console shows errors:\n{}", lines(&errors));
        let elsewhere = super::requests_elsewhere(&self.page, &self.base_url);
        assert!(elsewhere.is_empty(), "the page asked other hosts:\n{}", lines(&elsewhere));
    }
}
