//! Scenarios that are kept as text, each about one thing that is easy to get wrong: what is expected of its end,
//! and the graph against the oracle after every tick. And how a new one is written down.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use bench::oracle::scenario::{expected, parse, print_inputs, print_rows};
use bench::oracle::{Input, recompute_rows};
use model::GraphSettings;

use crate::harness::disagreement;

const FOLDER: &str = "tests/scenarios";

#[test]
fn kept_scenarios_give_what_they_expect_at_every_tick() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER);
    let files: BTreeSet<PathBuf> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 12, "{} has {} files", folder.display(), files.len());
    let wrong: Vec<String> = files.iter().filter_map(|file| wrong_with(file)).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn wrong_with(file: &Path) -> Option<String> {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let text = std::fs::read_to_string(file).unwrap();
    let inputs = match parse(&text) {
        Ok(inputs) => inputs,
        Err(e) => return Some(format!("{name}: {e}")),
    };
    let settings = GraphSettings::default();
    let rows = print_rows(&recompute_rows(&inputs, &settings));
    if rows.lines().collect::<Vec<_>>() != expected(&text) {
        return Some(format!("{name} expects other rows than the oracle's:\n{rows}"));
    }
    let runs = [(1, 1), (3, 1), (inputs.len().max(1), 1), (1, 2)];
    runs.iter().find_map(|&(size, workers)| {
        let wrong = disagreement(&inputs, &[size], workers, &settings)?;
        Some(format!("{name}, ticks of {size}, {workers} workers, {wrong}"))
    })
}

/// Writes an input as a scenario; the text, where it is, and what to do with it.
pub fn write_down(inputs: &[Input], how: &str, wrong: &str) -> String {
    let rows = print_rows(&recompute_rows(inputs, &GraphSettings::default()));
    let comments: String = wrong.lines().map(|line| format!("# {line}\n")).collect();
    let expectations: String = rows.lines().map(|line| format!("> {line}\n")).collect();
    let text = format!("# {how}\n{comments}{}{expectations}", print_inputs(inputs));
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("scenarios");
    let file = folder.join(format!("{:016x}.txt", hasher.finish()));
    let written = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&file, &text));
    match written {
        Ok(()) => format!(
            "{text}\nThis is {}. Once the cause is found, say in its comment what it is about, check what it \
             expects, and keep it in pipeline/{FOLDER}.",
            file.display()
        ),
        Err(e) => format!("{text}\nThis could not be written to {}: {e}", file.display()),
    }
}

#[test]
fn what_is_written_down_is_a_scenario_with_its_rows() {
    let inputs = parse("fence gate square 3.30,6.40 3.31,6.41\nT1 08:00 3.305,6.405").unwrap();
    let told = write_down(&inputs, "ticks of [1] records", "a\nb");
    let file = told.split("This is ").nth(1).and_then(|rest| rest.split(". Once").next()).unwrap();
    let text = std::fs::read_to_string(file).unwrap();
    assert!(told.starts_with(&text) && text.starts_with("# ticks of [1] records\n# a\n# b\n"), "{told}");
    assert_eq!((parse(&text).unwrap(), expected(&text)), (inputs, vec!["T1 gate 08:00.."]));
    std::fs::remove_file(file).unwrap();
}
