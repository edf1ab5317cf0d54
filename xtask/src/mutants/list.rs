//! The list of faults: a text that people read and add to.
//!
//! ```text
//! # A comment.
//! name_of_the_fault
//! breaks: What goes wrong, in a sentence.
//! file: presence/jumps.rs
//! lib: history                  of the unit tests only these; without this line none
//! - the text as it stands, exactly once in the file
//! + what is planted in its place
//! ```
//!
//! Faults are apart by an empty line. Both texts may have several lines; a lone `+` plants nothing.

use std::collections::BTreeSet;

use anyhow::{Context, bail, ensure};

/// A fault to be planted.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Fault {
    pub name: String,
    /// What it breaks, in a sentence.
    pub breaks: String,
    /// Within `operators/src`.
    pub file: String,
    /// What the names of the unit tests have in them that are worth running; `None`: none are.
    pub lib_filter: Option<String>,
    /// The text that is there.
    pub find: String,
    /// And the one in its place.
    pub plant: String,
}

impl Fault {
    /// The file's content with the fault in it.
    pub fn planted_in(&self, content: &str) -> anyhow::Result<String> {
        match content.matches(&self.find).count() {
            1 => Ok(content.replacen(&self.find, &self.plant, 1)),
            0 => bail!("{}: `{}` is not in {}: mend the list", self.name, self.find, self.file),
            count => {
                bail!("{}: `{}` is {count} times in {}: say more of it", self.name, self.find, self.file)
            }
        }
    }
}

/// Reads the list.
pub fn parse(text: &str) -> anyhow::Result<Vec<Fault>> {
    let mut faults: Vec<Fault> = Vec::new();
    let mut names = BTreeSet::new();
    let numbered: Vec<(usize, &str)> =
        (1..).zip(text.lines()).filter(|(_, line)| !line.starts_with('#')).collect();
    for block in numbered.split(|(_, line)| line.trim().is_empty()).filter(|block| !block.is_empty()) {
        let fault = fault(block).with_context(|| format!("the fault in line {}", block[0].0))?;
        ensure!(names.insert(fault.name.clone()), "two faults are named {}", fault.name);
        faults.push(fault);
    }
    Ok(faults)
}

fn fault(block: &[(usize, &str)]) -> anyhow::Result<Fault> {
    let name = block[0].1;
    let is_name = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    ensure!(is_name, "`{name}` is no name: small letters, digits and `_`");
    let mut fault = Fault { name: name.to_owned(), ..Fault::default() };
    let (mut find, mut plant) = (Vec::new(), Vec::new());
    for &(number, line) in &block[1..] {
        if let Some(found) = after_sign(line, '-') {
            find.push(found);
        } else if let Some(planted) = after_sign(line, '+') {
            plant.push(planted);
        } else {
            match line
                .split_once(": ")
                .with_context(|| format!("line {number}: `{line}` is not `key: value`"))?
            {
                ("breaks", value) => fault.breaks = value.to_owned(),
                ("file", value) => fault.file = value.to_owned(),
                ("lib", value) => fault.lib_filter = Some(value.to_owned()),
                (key, _) => bail!("line {number}: `{key}` is none of breaks, file and lib"),
            }
        }
    }
    ensure!(!fault.breaks.is_empty(), "{name} does not say what it breaks");
    ensure!(!fault.file.is_empty(), "{name} does not say in which file it is");
    ensure!(!plant.is_empty(), "{name} plants nothing: a lone `+` takes the text away");
    (fault.find, fault.plant) = (find.join("\n"), plant.join("\n"));
    ensure!(!fault.find.is_empty(), "{name} does not say where it is planted");
    ensure!(fault.find != fault.plant, "{name} changes nothing");
    Ok(fault)
}

/// What follows a sign and a blank.
fn after_sign(line: &str, sign: char) -> Option<&str> {
    let rest = line.strip_prefix(sign)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix(' ') }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "\
# Of the filter.
first
breaks: A jump is no jump.
file: presence/jumps.rs
lib: jumps
- a < b
+ a <= b

second
breaks: Nothing is said of it.
file: rows.rs
- one
-     two
+
";

    fn reason(text: &str) -> String {
        format!("{:#}", parse(text).expect_err("the list is wrong"))
    }

    #[test]
    fn a_list_is_read() {
        let faults = parse(TWO).expect("the list is right");
        let first = Fault {
            name: "first".to_owned(),
            breaks: "A jump is no jump.".to_owned(),
            file: "presence/jumps.rs".to_owned(),
            lib_filter: Some("jumps".to_owned()),
            find: "a < b".to_owned(),
            plant: "a <= b".to_owned(),
        };
        assert_eq!((faults.len(), &faults[0]), (2, &first));
        assert_eq!((faults[1].find.as_str(), faults[1].plant.as_str()), ("one\n    two", ""));
        assert_eq!(faults[1].lib_filter, None);
    }

    #[test]
    fn what_is_wrong_with_a_list_is_told_with_its_line() {
        let with = |from: &str, to: &str| reason(&TWO.replacen(from, to, 1));
        assert_eq!(with("second", "first"), "two faults are named first");
        assert_eq!(
            with("file: rows.rs\n", ""),
            "the fault in line 9: second does not say in which file it is"
        );
        assert_eq!(
            with("lib: jumps", "lab: jumps"),
            "the fault in line 2: line 5: `lab` is none of breaks, file and lib"
        );
        assert_eq!(with("+ a <= b", "+ a < b"), "the fault in line 2: first changes nothing");
        assert_eq!(with("- a < b\n", ""), "the fault in line 2: first does not say where it is planted");
        assert_eq!(
            with("+ a <= b\n", ""),
            "the fault in line 2: first plants nothing: a lone `+` takes the text away"
        );
    }

    #[test]
    fn a_fault_is_planted_where_its_text_is_once() {
        let faults = parse(TWO).expect("the list is right");
        assert_eq!(faults[0].planted_in("if a < b {}").ok().as_deref(), Some("if a <= b {}"));
        let said = |content: &str| faults[0].planted_in(content).expect_err("cannot be planted").to_string();
        assert_eq!(said("a > b"), "first: `a < b` is not in presence/jumps.rs: mend the list");
        assert_eq!(said("a < b || a < b"), "first: `a < b` is 2 times in presence/jumps.rs: say more of it");
    }
}
