//! A small client of the Chrome DevTools Protocol: starts a headless browser, drives one page as a person
//! would (keys, clicks), and keeps what the page complained about and what it asked the network for.
//!
//! Everything has a time limit. What fails panics with what was asked, since a test has no other use for it.

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tungstenite::{Message, WebSocket};

const START_LIMIT: Duration = Duration::from_secs(40);
const CALL_LIMIT: Duration = Duration::from_secs(30);
/// How long a read of the socket blocks before the time limit is looked at again.
const READ_SLICE: Duration = Duration::from_millis(50);
const POLL: Duration = Duration::from_millis(100);

/// The browser to test with: `$CHROMIUM`, else the first of the usual names on the path.
pub fn find_chromium() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("CHROMIUM").filter(|v| !v.is_empty()) {
        return Some(PathBuf::from(named));
    }
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|candidate| candidate.is_file())
}

/// A running browser with a profile of its own; dropping it ends it.
pub struct Browser {
    process: Child,
    profile: TempDir,
    port: u16,
    browser_path: String,
}

impl Browser {
    /// Starts `executable` without a window, in the time zone of the fleet.
    pub fn start(executable: &Path) -> Browser {
        let profile = tempfile::tempdir().expect("a folder for the browser's profile");
        let mut process = Command::new(executable)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--disable-dev-shm-usage",
                "--disable-extensions",
                "--no-first-run",
                "--no-default-browser-check",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--mute-audio",
                "--remote-debugging-port=0",
                "--window-size=1280,800",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .env("TZ", "Africa/Lagos")
            // What it leaves behind when it is ended goes away with the profile.
            .env("TMPDIR", profile.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| panic!("can't start {}: {e}", executable.display()));
        let Some((port, browser_path)) = wait_for_port(profile.path(), &mut process) else {
            // Not yet a `Browser` whose drop would end it.
            let _ = process.kill();
            let _ = process.wait();
            panic!("{} opened no debugging port within {START_LIMIT:?}", executable.display());
        };
        Browser { process, profile, port, browser_path }
    }

    /// Opens `url` in a new page; its console and its requests are recorded from the first byte on.
    pub fn open(&self, url: &str) -> Page {
        let mut control = self.connect(&self.browser_path);
        let made = control.call("Target.createTarget", json!({"url": "about:blank"}));
        let target = made["targetId"].as_str().expect("the browser names its new page").to_owned();
        let mut page = self.connect(&format!("/devtools/page/{target}"));
        for domain in ["Page", "Runtime", "Log", "Network"] {
            page.call(&format!("{domain}.enable"), json!({}));
        }
        page.call("Page.navigate", json!({"url": url}));
        page
    }

    fn connect(&self, path: &str) -> Page {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the browser's debugging port");
        stream.set_read_timeout(Some(CALL_LIMIT)).expect("a read timeout");
        let url = format!("ws://127.0.0.1:{}{path}", self.port);
        let (socket, _) = tungstenite::client(url, stream).expect("a web socket to the browser");
        socket.get_ref().set_read_timeout(Some(READ_SLICE)).expect("a read timeout");
        Page { socket, calls: 0, console_errors: Vec::new(), requests: Vec::new() }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        // The browser's helpers may still write for a moment after it is gone.
        for _ in 0..20 {
            if std::fs::remove_dir_all(self.profile.path()).is_ok() {
                return;
            }
            std::thread::sleep(POLL);
        }
    }
}

/// The port and the path of the browser's own socket, as it writes them into its profile.
fn wait_for_port(profile: &Path, process: &mut Child) -> Option<(u16, String)> {
    let started = Instant::now();
    while started.elapsed() < START_LIMIT {
        let written = std::fs::read_to_string(profile.join("DevToolsActivePort")).unwrap_or_default();
        if let Some((port, path)) = written.split_once('\n')
            && let Ok(port) = port.trim().parse()
            && !path.trim().is_empty()
        {
            return Some((port, path.trim().to_owned()));
        }
        if matches!(process.try_wait(), Ok(Some(_)) | Err(_)) {
            return None;
        }
        std::thread::sleep(POLL);
    }
    None
}

/// One page of a [`Browser`].
pub struct Page {
    socket: WebSocket<TcpStream>,
    calls: u64,
    console_errors: Vec<String>,
    requests: Vec<String>,
}

impl Page {
    /// Sends one command and waits for its answer, recording the events that come before it.
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        self.try_call(method, params, CALL_LIMIT).unwrap_or_else(|e| panic!("{method}: {e}"))
    }

    fn try_call(&mut self, method: &str, params: Value, limit: Duration) -> Result<Value, String> {
        self.calls += 1;
        let id = self.calls;
        let text = json!({"id": id, "method": method, "params": params}).to_string();
        self.socket.send(Message::text(text)).map_err(|e| format!("can't reach the browser: {e}"))?;
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            let Some(mut message) = self.receive()? else { continue };
            if message["id"].as_u64() != Some(id) {
                continue;
            }
            if let Some(error) = message.get("error") {
                return Err(error.to_string());
            }
            return Ok(message["result"].take());
        }
        Err(format!("no answer within {limit:?}"))
    }

    /// One message, if there is one now.
    fn receive(&mut self) -> Result<Option<Value>, String> {
        match self.socket.read() {
            Ok(Message::Text(text)) => {
                let message: Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
                self.record(&message);
                Ok(Some(message))
            }
            Ok(_) => Ok(None),
            Err(tungstenite::Error::Io(e))
                if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
            {
                Ok(None)
            }
            Err(e) => Err(format!("the browser hung up: {e}")),
        }
    }

    fn record(&mut self, message: &Value) {
        let params = &message["params"];
        match message["method"].as_str() {
            Some("Runtime.consoleAPICalled") if params["type"] == "error" => {
                self.console_errors.push(params["args"].to_string());
            }
            Some("Runtime.exceptionThrown") => {
                self.console_errors.push(params["exceptionDetails"].to_string())
            }
            Some("Log.entryAdded") if params["entry"]["level"] == "error" => {
                self.console_errors.push(params["entry"].to_string());
            }
            Some("Network.requestWillBeSent") => {
                self.requests.push(params["request"]["url"].as_str().unwrap_or_default().to_owned());
            }
            _ => {}
        }
    }

    /// The value of a JavaScript expression; a promise is awaited.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        self.evaluate_within(expression, CALL_LIMIT)
    }

    /// [`Page::evaluate`] with a time limit of its own.
    pub fn evaluate_within(&mut self, expression: &str, limit: Duration) -> Value {
        self.try_evaluate(expression, limit).unwrap_or_else(|e| panic!("evaluating {expression}: {e}"))
    }

    fn try_evaluate(&mut self, expression: &str, limit: Duration) -> Result<Value, String> {
        let params = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let mut answer = self.try_call("Runtime.evaluate", params, limit)?;
        match answer.get("exceptionDetails") {
            Some(thrown) => Err(thrown.to_string()),
            None => Ok(answer["result"]["value"].take()),
        }
    }

    /// Waits until an expression is true; `what` is said where it never becomes so. One that throws is not
    /// true yet: a page that is only just being loaded has not even a document.
    pub fn wait_until(&mut self, what: &str, expression: &str, limit: Duration) {
        let deadline = Instant::now() + limit;
        loop {
            let value = self.try_evaluate(&format!("Boolean({expression})"), CALL_LIMIT);
            if value == Ok(Value::Bool(true)) {
                return;
            }
            if Instant::now() >= deadline {
                let shown = self.try_evaluate("document.body.innerText.slice(0, 2000)", CALL_LIMIT);
                let console = lines(&self.console_errors);
                panic!(
                    "not within {limit:?}: {what} ({value:?})\nconsole:\n{console}the page shows: {shown:?}"
                );
            }
            self.listen_for(POLL);
        }
    }

    /// Reads events for a while.
    pub fn listen_for(&mut self, time: Duration) {
        let deadline = Instant::now() + time;
        while Instant::now() < deadline {
            self.receive().unwrap_or_else(|e| panic!("waiting for events: {e}"));
        }
    }

    /// Presses and releases a key, named as in `KeyboardEvent.key`.
    pub fn press(&mut self, key: &str) {
        self.press_holding(0, key);
    }

    /// Presses and releases a key while the Shift key is held.
    pub fn press_shifted(&mut self, key: &str) {
        self.press_holding(8, key);
    }

    fn press_holding(&mut self, modifiers: u8, key: &str) {
        let (code, text) = match key {
            "Enter" => (13, "\r"),
            "Tab" => (9, ""),
            "Escape" => (27, ""),
            "ArrowLeft" => (37, ""),
            "ArrowUp" => (38, ""),
            "ArrowRight" => (39, ""),
            "ArrowDown" => (40, ""),
            "Home" => (36, ""),
            "End" => (35, ""),
            "PageUp" => (33, ""),
            "PageDown" => (34, ""),
            "Delete" => (46, ""),
            one if one.chars().count() == 1 => (0, one),
            other => panic!("no key is called {other}"),
        };
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code,
                "modifiers": modifiers});
            if kind == "keyDown" && !text.is_empty() {
                event["text"] = json!(text);
            }
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    /// Types text into what has the focus.
    pub fn type_text(&mut self, text: &str) {
        self.call("Input.insertText", json!({"text": text}));
    }

    /// Clicks with the left button at a place of the viewport, in CSS pixels.
    pub fn click(&mut self, x: f64, y: f64) {
        for kind in ["mouseMoved", "mousePressed", "mouseReleased"] {
            let button = if kind == "mouseMoved" { "none" } else { "left" };
            let event = json!({"type": kind, "x": x, "y": y, "button": button, "clickCount": 1});
            self.call("Input.dispatchMouseEvent", event);
        }
    }

    /// Drags with the left button from one place to another, in steps as a hand does.
    pub fn drag(&mut self, from: (f64, f64), to: (f64, f64)) {
        let mut mouse = |kind: &str, (x, y): (f64, f64), buttons: u8| {
            let button = if kind == "mouseMoved" && buttons == 0 { "none" } else { "left" };
            let event = json!({"type": kind, "x": x, "y": y, "button": button, "buttons": buttons,
                "clickCount": u8::from(kind != "mouseMoved")});
            self.call("Input.dispatchMouseEvent", event);
        };
        mouse("mouseMoved", from, 0);
        mouse("mousePressed", from, 1);
        for place in steps(from, to) {
            mouse("mouseMoved", place, 1);
        }
        mouse("mouseReleased", to, 0);
    }

    /// Touches a place and takes the finger away again.
    pub fn tap(&mut self, (x, y): (f64, f64)) {
        self.call(
            "Input.dispatchTouchEvent",
            json!({"type": "touchStart", "touchPoints": [{"x": x, "y": y}]}),
        );
        self.call("Input.dispatchTouchEvent", json!({"type": "touchEnd", "touchPoints": []}));
    }

    /// Taps on the first element that a CSS selector finds.
    pub fn tap_on(&mut self, selector: &str) {
        let place = self.middle_of(selector);
        self.tap(place);
    }

    /// Drags with a finger.
    pub fn touch_drag(&mut self, from: (f64, f64), to: (f64, f64)) {
        let mut touch = |kind: &str, (x, y): (f64, f64)| {
            self.call("Input.dispatchTouchEvent", json!({"type": kind, "touchPoints": [{"x": x, "y": y}]}));
        };
        touch("touchStart", from);
        for place in steps(from, to) {
            touch("touchMove", place);
        }
        self.call("Input.dispatchTouchEvent", json!({"type": "touchEnd", "touchPoints": []}));
    }

    /// Clicks in the middle of the first element that a CSS selector finds.
    pub fn click_on(&mut self, selector: &str) {
        let (x, y) = self.middle_of(selector);
        self.click(x, y);
    }

    /// The middle of the first element that a CSS selector finds, scrolled into sight.
    pub fn middle_of(&mut self, selector: &str) -> (f64, f64) {
        let quoted = json!(selector);
        let place = self.evaluate(&format!(
            "(() => {{ const e = document.querySelector({quoted}); if (!e) return null; e.scrollIntoView({{block: \
             'nearest'}}); const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; }})()"
        ));
        let (Some(x), Some(y)) = (place[0].as_f64(), place[1].as_f64()) else {
            panic!("there is nothing at {selector}");
        };
        (x, y)
    }

    /// Makes the page as large as a screen of that size; a phone also has a touch screen.
    pub fn viewport(&mut self, width: u32, height: u32, phone: bool) {
        let scale = if phone { 2 } else { 1 };
        self.call(
            "Emulation.setDeviceMetricsOverride",
            json!({"width": width, "height": height, "deviceScaleFactor": scale, "mobile": phone}),
        );
        self.call("Emulation.setTouchEmulationEnabled", json!({"enabled": phone}));
    }

    /// Shows the page as somebody sees it who prefers `dark` or `light`.
    pub fn colour_scheme(&mut self, scheme: &str) {
        self.call(
            "Emulation.setEmulatedMedia",
            json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]}),
        );
    }

    /// Writes what the page shows into a PNG file.
    pub fn screenshot(&mut self, file: &Path) {
        let answer = self.call("Page.captureScreenshot", json!({"format": "png"}));
        let encoded = answer["data"].as_str().expect("a screenshot is text");
        std::fs::write(file, from_base64(encoded))
            .unwrap_or_else(|e| panic!("writing {}: {e}", file.display()));
    }

    /// What the console showed as errors so far, uncaught exceptions and failed loads included.
    pub fn console_errors(&self) -> &[String] {
        &self.console_errors
    }

    /// The URLs that the page asked for so far.
    pub fn requests(&self) -> &[String] {
        &self.requests
    }
}

/// Places on the way from one to another, the last one included.
fn steps(from: (f64, f64), to: (f64, f64)) -> impl Iterator<Item = (f64, f64)> {
    (1..=8).map(move |step| {
        let part = f64::from(step) / 8.0;
        (from.0 + (to.0 - from.0) * part, from.1 + (to.1 - from.1) * part)
    })
}

fn from_base64(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0);
    for byte in text.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => continue,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push(u8::try_from(bits >> count & 0xff).expect("eight bits"));
        }
    }
    out
}

/// A list as lines, for messages.
pub fn lines(items: &[String]) -> String {
    items.iter().fold(String::new(), |mut text, item| {
        let _ = writeln!(text, "  {item}");
        text
    })
}

#[test]
fn base64_of_a_screenshot_reads_back() {
    assert_eq!(from_base64("iVBORw0KGgo="), b"\x89PNG\r\n\x1a\n");
    assert_eq!(from_base64("YQ=="), b"a");
    assert_eq!(from_base64("++//"), [0xfb, 0xef, 0xff]);
}
