//! What may not stand in Rust code, and how long a file may be.
//!
//! The words are put together from halves, since this file is held against its own rules.

use super::Problem;

const MAX_LINES: usize = 500;
const MAX_TEST_LINES: usize = 900;

/// What may not stand in Rust code, with what to do instead.
const UNFINISHED: [(&str, &str); 4] = [
    (concat!("todo", "!"), "do it, or return an error that says what is missing"),
    (concat!("unimplemented", "!"), "do it, or return an error that says what is missing"),
    (concat!("dbg", "!"), "remove it, or log with tracing"),
    (concat!("#[", "ignore"), "make the test pass, or skip at run time with a word and fail in CI"),
];

pub fn check(path: &str, content: &str) -> Vec<Problem> {
    if !path.ends_with(".rs") {
        return Vec::new();
    }
    let unfinished = UNFINISHED.into_iter().flat_map(|(word, advice)| places(path, content, word, advice));
    too_long(path, content).into_iter().chain(unfinished).collect()
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

fn places(path: &str, content: &str, word: &str, advice: &'static str) -> Vec<Problem> {
    let lines = content.lines().enumerate().filter(|(_, line)| has_word(line, word));
    let problem = |index: usize| Problem {
        rule: "unfinished",
        what: format!("{path}:{}: `{word}`", index + 1),
        advice,
    };
    lines.map(|(index, _)| problem(index)).collect()
}

/// Whether `word` stands in `line` on its own: the end of a longer name is another word.
fn has_word(line: &str, word: &str) -> bool {
    let begins_with_letter = word.starts_with(char::is_alphanumeric);
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        // Before `#[` nothing can be joined.
        !(begins_with_letter && before.is_some_and(|c| c.is_alphanumeric() || c == '_'))
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
    }

    #[test]
    fn long_files_are_found_and_tests_may_be_longer() {
        let lines = |count| "//\n".repeat(count);
        assert_eq!(rules_broken("a/src/b.rs", &lines(500)), [""; 0]);
        assert_eq!(
            rules_broken("a/src/b.rs", &lines(501)),
            ["file length: a/src/b.rs has 501 lines, more than 500"]
        );
        for test in ["a/tests/it/b.rs", "a/src/b/tests.rs", "a/src/b_tests.rs"] {
            assert_eq!(rules_broken(test, &lines(900)), [""; 0]);
            assert_eq!(rules_broken(test, &lines(901)).len(), 1);
        }
        assert_eq!(rules_broken("api/page/coast.js", &lines(5000)), [""; 0], "data is as long as it is");
    }
}
