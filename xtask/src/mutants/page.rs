//! What became of the faults, as text.

use std::fmt::Write;

use super::list::Fault;
use super::trial::Verdict;

const INTRODUCTION: &str = "\
# Planted faults

Are the tests able to fail? `cargo xtask mutants` plants each fault of `operators/mutants.txt`, one at a time,
in a copy of the sources under `target/mutants`, and runs, until something fails: the scenarios of `operators`,
its unit tests where the list names some, then the kept scenarios, the generated inputs, trips, alerts, KPIs and
days of `pipeline`, which are held against the oracle. It ends with an error when a fault is not caught, or does not
compile. Inputs are generated from a fixed seed. `cargo xtask mutants NAME...` tries some of the faults; with
`--write` it brings this page up to date.

To add a fault, append it to the list: a name, what it breaks, the file, the text that is there once, and the
text in its place. One with which nothing is different is no fault. For any other that survives, a scenario is
missing.
";

/// The page of the documentation: a row a fault of the list. Those that were not tried now keep the row that they
/// have in the page as it is.
pub fn page(all: &[Fault], tried: &[(&Fault, Verdict)], present: &str) -> String {
    let mut text = INTRODUCTION.to_owned();
    let _ = writeln!(text, "\n| fault | in | what it breaks | caught by |\n|---|---|---|---|");
    for fault in all {
        let Fault { name, file, breaks, .. } = fault;
        let begin = format!("| `{name}` | `{file}` | {breaks} | ");
        let _ = match tried.iter().find(|(other, _)| *other == fault) {
            Some((_, verdict)) => writeln!(text, "{begin}{} |", caught_by(verdict)),
            None => match present.lines().find(|line| line.starts_with(&begin)) {
                Some(row) => writeln!(text, "{row}"),
                None => writeln!(text, "{begin}not tried |"),
            },
        };
    }
    text
}

fn caught_by(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Caught(test) => test.replacen(": ", ": `", 1) + "`",
        Verdict::Survived => "**nothing**".to_owned(),
        Verdict::DoesNotBuild(error) => format!("does not build: {error}"),
    }
}

/// The table for the terminal.
pub fn summary(tried: &[(&Fault, Verdict)]) -> String {
    let width = tried.iter().map(|(fault, _)| fault.name.len()).max().unwrap_or(0);
    tried.iter().fold(String::new(), |mut text, (fault, verdict)| {
        let _ = writeln!(text, "{:width$}  {}", fault.name, line(verdict));
        text
    })
}

/// A verdict in a line.
pub fn line(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Caught(test) => format!("CAUGHT by {test}"),
        Verdict::Survived => "SURVIVED".to_owned(),
        Verdict::DoesNotBuild(error) => format!("DOES NOT BUILD: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(name: &str) -> Fault {
        Fault {
            name: name.to_owned(),
            breaks: "All of it.".to_owned(),
            file: "rows.rs".to_owned(),
            ..Fault::default()
        }
    }

    #[test]
    fn what_was_not_tried_keeps_its_row() {
        let all = ["first", "second", "third"].map(fault);
        let caught = |test: &str| Verdict::Caught(test.to_owned());
        let before = page(&all, &[(&all[0], caught("lib: a::b")), (&all[1], caught("kept: c.txt"))], "");
        let after = page(&all, &[(&all[1], Verdict::Survived)], &before);
        let rows: Vec<&str> = after.lines().filter(|line| line.starts_with("| `")).collect();
        let expected = [
            "| `first` | `rows.rs` | All of it. | lib: `a::b` |",
            "| `second` | `rows.rs` | All of it. | **nothing** |",
            "| `third` | `rows.rs` | All of it. | not tried |",
        ];
        assert_eq!(rows, expected);
    }
}
