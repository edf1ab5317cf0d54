//! The engine's crates are pinned to one exact version: an update may change the order of work inside them,
//! and belongs into a commit of its own, with all oracles run.

use super::Problem;
use super::metadata::Metadata;

const PINNED: [&str; 2] = ["timely", "differential-dataflow"];

pub fn check(metadata: &Metadata) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (_, package) in metadata.ours() {
        for (name, requirement) in &package.requirements {
            if PINNED.contains(&name.as_str()) && !requirement.starts_with('=') {
                problems.push(Problem {
                    rule: "pins",
                    what: format!("{} takes {name} {requirement}, not one exact version", package.name),
                    advice: "write \"=X.Y.Z\" in [workspace.dependencies] and take it from there",
                });
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::super::metadata::fabricated::metadata;
    use super::*;

    #[test]
    fn an_open_requirement_is_named() {
        let mut metadata = metadata(&[
            ("watchtower-operators", true, &[("timely", ""), ("rustc-hash", "")]),
            ("timely", false, &[]),
            ("rustc-hash", false, &[]),
        ]);
        assert_eq!(check(&metadata), []);

        let operators = metadata.packages.get_mut("watchtower-operators").expect("it was just made");
        operators.requirements = vec![("timely".into(), "^0.31".into()), ("rustc-hash".into(), "^2".into())];
        let problems = check(&metadata);
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].what, "watchtower-operators takes timely ^0.31, not one exact version");
    }
}
