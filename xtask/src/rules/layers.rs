//! What each crate never knows: the table that keeps I/O out of the graph and the graph out of the rest.
//!
//! Judged is what a crate links, through others too; what it uses in tests only is its own affair. Not held
//! against a crate is what timely and differential-dataflow bring along (pinned to the version, so it does not
//! change unseen), what the client of Kafka brings (it reads its own statistics as JSON), what the HTTP client brings (a client needs no server, and hyper is both), what a
//! procedural macro uses (it runs in the compiler), and build scripts.

use super::Problem;
use super::metadata::Metadata;

const RULE: &str = "layers";
/// What they bring is not held against who uses them.
const OPAQUE: [&str; 4] = ["timely", "differential-dataflow", "rdkafka", "reqwest"];
/// Nothing may depend on these, in tests neither.
const OUTERMOST: [&str; 2] = ["watchtower", "xtask"];

const ENGINE: &[&str] = &["timely", "differential-dataflow"];
const GRAPH: &[&str] = &["watchtower-operators", "watchtower-pipeline"];
const RUNTIME: &[&str] = &["tokio", "async-std", "smol"];
const HTTP_IN: &[&str] = &["axum", "hyper"];
const HTTP_OUT: &[&str] = &["reqwest", "ureq", "curl"];
const STORES: &[&str] = &["fjall", "rdkafka", "sqlx", "postgres", "tokio-postgres"];
const JSON: &[&str] = &["serde_json", "sonic-rs", "simd-json"];
const CHANCE: &[&str] = &["rand", "fastrand", "getrandom", "uuid", "ahash"];
const LOGS: &[&str] = &["tracing", "log"];
const VENDORS: &[&str] =
    &["slack-morphism", "google-sheets4", "google-apis-common", "yup-oauth2", "gcp_auth", "async-openai"];

/// A crate and all that it never knows. Those that may know everything stand here with nothing, so that a
/// new crate has to say what it is.
const NEVER_KNOWS: &[(&str, &[&[&str]])] = &[
    ("watchtower-model", &[RUNTIME, ENGINE, STORES, HTTP_IN, HTTP_OUT, CHANCE, LOGS]),
    ("watchtower-kafka", &[&["watchtower-model"], JSON, ENGINE, HTTP_IN, HTTP_OUT, CHANCE]),
    ("watchtower-journal", &[&["watchtower-model"], JSON, ENGINE, &["axum"]]),
    ("watchtower-operators", &[RUNTIME, JSON, CHANCE, STORES, HTTP_IN, HTTP_OUT, LOGS]),
    ("watchtower-sources", &[ENGINE, GRAPH]),
    ("watchtower-sinks", &[ENGINE, GRAPH, HTTP_IN]),
    ("watchtower-api", &[ENGINE, GRAPH]),
    ("watchtower-pipeline", &[HTTP_IN, HTTP_OUT, VENDORS]),
    ("watchtower-bench", &[]),
    ("watchtower", &[]),
    ("xtask", &[]),
];

/// What a crate links through others, and never calls itself, in tests neither: the oracle is worth nothing
/// where it shares the logic of what it judges.
const NEVER_CALLS: &[(&str, &str)] = &[("watchtower-bench", "watchtower-operators")];

pub fn check(metadata: &Metadata) -> Vec<Problem> {
    let mut problems = forbidden(metadata);
    problems.extend(called(metadata));
    problems.extend(upside_down(metadata));
    problems.extend(table_gaps(metadata));
    problems
}

fn forbidden(metadata: &Metadata) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (id, package) in metadata.ours() {
        let Some((_, never)) = NEVER_KNOWS.iter().find(|(name, _)| *name == package.name) else { continue };
        for way in metadata.linked(id, |name| OPAQUE.contains(&name)) {
            let Some(last) = way.last() else { continue };
            if never.iter().any(|group| group.contains(last)) {
                problems.push(Problem {
                    rule: RULE,
                    what: format!("{} must never know {last}: {}", package.name, way.join(" -> ")),
                    advice: "drop the dependency, or move what needs it into the crate whose work it is",
                });
            }
        }
    }
    problems
}

fn called(metadata: &Metadata) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (_, package) in metadata.ours() {
        for (_, never) in NEVER_CALLS.iter().filter(|(name, _)| *name == package.name) {
            if package.any.iter().any(|id| metadata.name(id) == *never) {
                problems.push(Problem {
                    rule: RULE,
                    what: format!("{} must never call {never}, and depends on it", package.name),
                    advice: "drop the dependency; what both need belongs into watchtower-model",
                });
            }
        }
    }
    problems
}

fn upside_down(metadata: &Metadata) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (_, package) in metadata.ours() {
        for outer in package.any.iter().map(|id| metadata.name(id)).filter(|name| OUTERMOST.contains(name)) {
            problems.push(Problem {
                rule: RULE,
                what: format!("{} depends on {outer}, on which nothing may depend", package.name),
                advice: "move what both need into a library crate",
            });
        }
    }
    problems
}

/// Crates that the table does not know, and lines of the table that hold for no crate.
fn table_gaps(metadata: &Metadata) -> Vec<Problem> {
    let ours: Vec<&str> = metadata.ours().map(|(_, package)| package.name.as_str()).collect();
    let known: Vec<&str> = NEVER_KNOWS.iter().map(|(name, _)| *name).collect();
    let unknown = ours.iter().filter(|name| !known.contains(name));
    let vanished = known.iter().filter(|name| !ours.contains(name));
    let problem =
        |what| Problem { rule: RULE, what, advice: "mend NEVER_KNOWS in xtask/src/rules/layers.rs" };
    unknown
        .map(|name| problem(format!("{name} is not in the table of what a crate never knows")))
        .chain(vanished.map(|name| problem(format!("{name} is in the table and not in the workspace"))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::metadata::fabricated::{Fabricated, metadata};
    use super::*;

    /// What is found wrong when `changed` replaces or extends a workspace that is in order.
    fn found(changed: &[Fabricated]) -> Vec<String> {
        let ours = NEVER_KNOWS.iter().map(|(name, _)| (*name, true, [].as_slice()));
        let theirs =
            ["tokio", "timely", "serde_json", "axum", "proptest"].map(|name| (name, false, [].as_slice()));
        let mut packages: Vec<Fabricated> = ours.chain(theirs).collect();
        packages.retain(|(name, ..)| changed.iter().all(|(other, ..)| other != name));
        packages.extend(changed);
        check(&metadata(&packages)).into_iter().map(|problem| problem.what).collect()
    }

    #[test]
    fn a_workspace_in_order_passes() {
        assert_eq!(found(&[]), [""; 0]);
    }

    #[test]
    fn a_wrong_dependency_is_named() {
        let wrong = [("watchtower-operators", true, [("tokio", "")].as_slice())];
        assert_eq!(
            found(&wrong),
            ["watchtower-operators must never know tokio: watchtower-operators -> tokio"]
        );
    }

    #[test]
    fn a_wrong_dependency_through_others_is_named_with_the_way() {
        let wrong: [Fabricated; 2] = [
            ("watchtower-journal", true, &[("storage", "")]),
            ("storage", false, &[("serde_json", ""), ("axum", "build")]),
        ];
        assert_eq!(
            found(&wrong),
            ["watchtower-journal must never know serde_json: watchtower-journal -> storage -> serde_json"]
        );
    }

    #[test]
    fn our_own_crates_are_dependencies_like_others() {
        let wrong: [Fabricated; 2] = [
            ("watchtower-sinks", true, &[("watchtower-pipeline", "")]),
            ("watchtower-pipeline", true, &[("timely", ""), ("axum", "")]),
        ];
        let mut found = found(&wrong);
        found.sort();
        assert_eq!(
            found,
            [
                "watchtower-pipeline must never know axum: watchtower-pipeline -> axum",
                "watchtower-sinks must never know axum: watchtower-sinks -> watchtower-pipeline -> axum",
                "watchtower-sinks must never know timely: watchtower-sinks -> watchtower-pipeline -> timely",
                "watchtower-sinks must never know watchtower-pipeline: watchtower-sinks -> watchtower-pipeline",
            ]
        );
    }

    #[test]
    fn tests_the_engine_and_macros_may_bring_what_they_like() {
        let fine: [Fabricated; 6] = [
            (
                "watchtower-operators",
                true,
                &[("timely", ""), ("some_derive", ""), ("tokio", "dev"), ("proptest", "dev")],
            ),
            ("timely", false, &[("tokio", "")]),
            ("some_derive", false, &[("serde_json", "")]),
            ("watchtower-sinks", true, &[("reqwest", "")]),
            ("reqwest", false, &[("axum", "")]),
            ("proptest", false, &[("serde_json", "")]),
        ];
        assert_eq!(found(&fine), [""; 0]);
    }

    #[test]
    fn nothing_depends_on_the_outermost() {
        let wrong = [("watchtower-bench", true, [("watchtower", "dev")].as_slice())];
        assert_eq!(found(&wrong), ["watchtower-bench depends on watchtower, on which nothing may depend"]);
    }

    #[test]
    fn the_oracle_does_not_call_what_it_judges() {
        let through_others: [Fabricated; 2] = [
            ("watchtower-bench", true, &[("watchtower-pipeline", "")]),
            ("watchtower-pipeline", true, &[("watchtower-operators", "")]),
        ];
        assert_eq!(found(&through_others), [""; 0]);
        for kind in ["", "dev"] {
            let dependencies = [("watchtower-operators", kind)];
            let wrong = [("watchtower-bench", true, dependencies.as_slice())];
            let said = "watchtower-bench must never call watchtower-operators, and depends on it";
            assert_eq!(found(&wrong), [said]);
        }
    }

    #[test]
    fn a_new_crate_must_say_what_it_never_knows() {
        let new = [("watchtower-astrology", true, [].as_slice())];
        assert_eq!(found(&new), ["watchtower-astrology is not in the table of what a crate never knows"]);
    }
}
