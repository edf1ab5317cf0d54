//! Reads what test programs print: counts, and finds the tests that skipped themselves.

/// How a test that cannot run begins what it says.
const SKIPPED: &str = "skipped:";

/// What was read so far.
#[derive(Default)]
pub struct TestOutput {
    /// Tests that passed, those that skipped themselves included.
    pub passed: usize,
    /// Tests that failed.
    pub failed: usize,
    /// Tests that were left out by their names.
    pub filtered: usize,
    /// Who skipped itself, and why.
    pub skipped: Vec<String>,
    /// Inside of what passing tests have printed, and of which.
    success: Option<String>,
}

impl TestOutput {
    /// Takes one line; gives it back where people should see it: what passing tests print is left out.
    pub fn filter<'a>(&mut self, line: &'a str) -> Option<&'a str> {
        if let Some(test) = &mut self.success {
            if let Some(named) = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----"))
            {
                *test = named.to_owned();
            } else if let Some(reason) = line.strip_prefix(SKIPPED) {
                self.skipped.push(format!("{test}: {}", reason.trim()));
            }
            let is_over = line == "failures:" || line.starts_with("test result: ");
            if !is_over {
                return None;
            }
            self.success = None;
        } else if line == "successes:" {
            self.success = Some(String::new());
            return None;
        }
        self.count(line);
        Some(line)
    }

    fn count(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else { return };
        // `ok. 3 passed; 0 failed; ...`
        let words: Vec<&str> = result.split_whitespace().collect();
        for pair in words.windows(2) {
            let count: usize = pair[0].parse().unwrap_or(0);
            match pair[1] {
                "passed;" => self.passed += count,
                "failed;" => self.failed += count,
                "filtered" => self.filtered += count,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "\
running 3 tests
test a::fine ... ok
test b::needs_data ... ok
test c::broken ... FAILED

successes:

---- a::fine stdout ----
chatter

---- b::needs_data stdout ----
skipped: WATCHTOWER_DATA is not set


successes:
    a::fine
    b::needs_data

failures:

---- c::broken stdout ----
skipped: is no reason to fail

failures:
    c::broken

test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 4 filtered out; finished in 0.00s
";

    #[test]
    fn skipped_tests_are_told_of_and_chatter_is_not() {
        let mut output = TestOutput::default();
        let shown: Vec<&str> = PRINTED.lines().filter_map(|line| output.filter(line)).collect();

        assert_eq!(output.skipped, ["b::needs_data: WATCHTOWER_DATA is not set"]);
        assert_eq!((output.passed, output.failed, output.filtered), (7, 1, 4));
        assert!(
            shown.contains(&"test c::broken ... FAILED") && shown.contains(&"---- c::broken stdout ----")
        );
        assert!(!shown.iter().any(|line| line.contains("chatter") || line.contains("---- a::fine")));
    }
}
