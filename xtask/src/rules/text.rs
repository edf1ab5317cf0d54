//! What may not stand in a file, and how long it may be.
//!
//! The words are put together from halves, since this file is held against its own rules.

use super::Problem;

const MAX_LINES: usize = 600;
const MAX_TEST_LINES: usize = 900;

/// What may not stand in Rust code, with what to do instead.
const UNFINISHED: [(&str, &str); 4] = [
    (concat!("todo", "!"), "do it, or return an error that says what is missing"),
    (concat!("unimplemented", "!"), "do it, or return an error that says what is missing"),
    (concat!("dbg", "!"), "remove it, or log with tracing"),
    (concat!("#[", "ignore"), "make the test pass, or skip at run time with a word and fail in CI"),
];

/// What may not stand anywhere: paths of one machine, and how the work is organised.
const FOREIGN: [&str; 4] =
    [concat!("/wo", "rk/"), concat!("../sha", "red"), concat!("sit", "ting"), concat!("helper ", "agent")];
/// Where the place of the test data may be guessed.
const MAY_GUESS_PLACES: &str = ".ci/run";

pub fn check(path: &str, content: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    if path.ends_with(".rs") {
        problems.extend(too_long(path, content));
        for (word, advice) in UNFINISHED {
            problems.extend(places(path, content, word, "unfinished", advice));
        }
    }
    if path != MAY_GUESS_PLACES {
        for word in FOREIGN {
            let advice = "say it so that it is true in any clone of the repository";
            problems.extend(places(path, content, word, "foreign words", advice));
        }
    }
    problems
}

fn too_long(path: &str, content: &str) -> Option<Problem> {
    let limit = if is_test(path) { MAX_TEST_LINES } else { MAX_LINES };
    let lines = content.lines().count();
    (lines > limit).then(|| Problem {
        rule: "file length",
        what: format!("{path} has {lines} lines, more than {limit}"),
        advice: "find the two ideas in it and give each a file",
    })
}

fn is_test(path: &str) -> bool {
    path.split('/').any(|part| part == "tests") || path.ends_with("tests.rs")
}

fn places(path: &str, content: &str, word: &str, rule: &'static str, advice: &'static str) -> Vec<Problem> {
    let lines = content.lines().enumerate().filter(|(_, line)| has_word(&line.to_lowercase(), word));
    lines
        .map(|(index, _)| Problem { rule, what: format!("{path}:{}: `{word}`", index + 1), advice })
        .collect()
}

/// Whether `word` stands in `line` on its own: what is part of a longer word, or of a longer path, does not.
fn has_word(line: &str, word: &str) -> bool {
    let begins_with_letter = word.starts_with(char::is_alphanumeric);
    let ends_with_letter = word.ends_with(char::is_alphanumeric);
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let joins = |c: char| c.is_alphanumeric() || c == '_';
        // `src` before `/x/`, as in `src/x/`, makes it another path; before `#[` nothing can be joined.
        let is_path = word.starts_with('/');
        let starts_alone = !before.is_some_and(|c| (begins_with_letter || is_path) && joins(c));
        let ends_alone = !after.is_some_and(|c| ends_with_letter && joins(c));
        starts_alone && ends_alone
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules_broken(path: &str, content: &str) -> Vec<String> {
        check(path, content)
            .into_iter()
            .map(|problem| format!("{}: {}", problem.rule, problem.what))
            .collect()
    }

    #[test]
    fn unfinished_code_is_named_with_its_line() {
        for (word, _) in UNFINISHED {
            let code = format!("fn f() {{\n    {word}(\"later\")]\n}}\n");
            assert_eq!(
                rules_broken("model/src/lib.rs", &code),
                [format!("unfinished: model/src/lib.rs:2: `{word}`")]
            );
            assert_eq!(rules_broken("docs/style.md", &code), [""; 0], "prose may speak of it");
        }
    }

    #[test]
    fn what_only_contains_the_word_passes() {
        let macros =
            UNFINISHED[..3].iter().map(|(word, _)| format!("my_{word}()")).collect::<Vec<_>>().join("\n");
        assert_eq!(rules_broken("a.rs", &macros), [""; 0]);
        let longer = format!("be{} src{}x", FOREIGN[2], FOREIGN[0]);
        assert_eq!(rules_broken("a.md", &longer), [""; 0]);
    }

    #[test]
    fn foreign_words_are_found_in_any_file_and_case() {
        for word in FOREIGN {
            let text = format!("# See\n({})\n", word.to_uppercase());
            assert_eq!(rules_broken("README.md", &text), [format!("foreign words: README.md:2: `{word}`")]);
        }
        let data = format!("{}/data", FOREIGN[1]);
        assert_eq!(rules_broken(MAY_GUESS_PLACES, &data), [""; 0]);
        assert_eq!(rules_broken("tests/it/main.rs", &data).len(), 1);
    }

    #[test]
    fn long_files_are_found_and_tests_may_be_longer() {
        let lines = |count| "//\n".repeat(count);
        assert_eq!(rules_broken("a/src/b.rs", &lines(600)), [""; 0]);
        assert_eq!(
            rules_broken("a/src/b.rs", &lines(601)),
            ["file length: a/src/b.rs has 601 lines, more than 600"]
        );
        for test in ["a/tests/it/b.rs", "a/src/b/tests.rs", "a/src/b_tests.rs"] {
            assert_eq!(rules_broken(test, &lines(900)), [""; 0]);
            assert_eq!(rules_broken(test, &lines(901)).len(), 1);
        }
        assert_eq!(rules_broken("api/page/coast.js", &lines(5000)), [""; 0], "data is as long as it is");
    }
}
