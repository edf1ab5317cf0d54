//! Progress bars on a terminal; nothing elsewhere.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar over a number of `unit`s, on standard error if that is a terminal.
pub fn bar(all: u64, template: &str) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr_with_hz(10)
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(Some(all), target);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// The look of a bar over bytes.
pub const BYTES: &str = "{bar:40} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left";
/// The look of a bar over counted things.
pub const COUNT: &str = "{bar:40} {human_pos}/{human_len} {per_sec}, {eta} left";
