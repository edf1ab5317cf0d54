//! Every command in the README's code blocks exists, with the flags that it is shown with.
//!
//! A block is read when it is for a shell (`sh`, `bash`, `shell`, `console`, or no language): where it has
//! lines with a prompt (`$ `), those; else all. Judged are `watchtower ...`, by whatever path it is called,
//! `cargo run ... -- ...` and `cargo xtask ...`.

use std::path::Path;
use std::process::Command;

use super::Problem;
use crate::WORDS;
use crate::steps::output_of;

const RULE: &str = "readme";
const README: &str = "README.md";

pub fn check(root: &Path, binary: &Path) -> anyhow::Result<Vec<Problem>> {
    let Ok(markdown) = std::fs::read_to_string(root.join(README)) else {
        return Ok(vec![Problem { rule: RULE, what: format!("there is no {README}"), advice: "write one" }]);
    };
    let help = |words: &[&str]| output_of(Command::new(binary).args(words).arg("--help"));
    let mut problems = Vec::new();
    let commands = commands_in(&markdown);
    if commands.is_empty() {
        let what = format!("{README} shows no command of ours");
        problems.push(Problem { rule: RULE, what, advice: "show how the product is used, in a ```sh block" });
    }
    for command in commands {
        if let Some(missing) = what_is_missing(&command, &help)? {
            problems.push(Problem {
                rule: RULE,
                what: format!("{README}:{}: {missing} ({})", command.line, binary.display()),
                advice: "mend the README, or build that binary anew if it is older than the code",
            });
        }
    }
    Ok(problems)
}

/// A command of ours as the README shows it.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    line: usize,
    program: Program,
    arguments: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Program {
    Watchtower,
    Xtask,
}

fn commands_in(markdown: &str) -> Vec<Shown> {
    let mut commands = Vec::new();
    for block in shell_blocks(markdown) {
        let has_prompts = block.iter().any(|(_, line)| line.starts_with("$ "));
        let mut pending: Option<(usize, String)> = None;
        for (number, line) in block {
            let (number, start) = match pending.take() {
                Some(pending) => pending,
                None if has_prompts && !line.starts_with("$ ") => continue,
                None => (number, String::new()),
            };
            let whole = format!("{start}{}", line.trim_start_matches("$ "));
            match whole.strip_suffix('\\') {
                Some(unfinished) => pending = Some((number, unfinished.to_owned())),
                None => commands.extend(commands_of_line(number, &whole)),
            }
        }
    }
    commands
}

/// The lines of each block for a shell, with their numbers.
fn shell_blocks(markdown: &str) -> Vec<Vec<(usize, &str)>> {
    let mut blocks = Vec::new();
    let mut open: Option<(bool, Vec<(usize, &str)>)> = None;
    for (index, line) in markdown.lines().map(str::trim).enumerate() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(language), None) => {
                let is_shell = ["", "sh", "bash", "shell", "console"].contains(&language.trim());
                open = Some((is_shell, Vec::new()));
            }
            (Some(_), Some(_)) => {
                blocks.extend(open.take().filter(|(is_shell, _)| *is_shell).map(|(_, lines)| lines));
            }
            (None, Some((_, lines))) => lines.push((index + 1, line)),
            (None, None) => {}
        }
    }
    blocks
}

fn commands_of_line(line: usize, text: &str) -> Vec<Shown> {
    let mut commands = Vec::new();
    // A comment ends the line; `;`, `|` and `&` begin another command.
    let text = text.split(" #").next().unwrap_or_default();
    for part in text.split([';', '|', '&']) {
        let words = part.split_whitespace().skip_while(|word| is_assignment(word) || *word == "sudo");
        let words: Vec<&str> = words.take_while(|word| !word.contains(['>', '<'])).collect();
        let Some((program, arguments)) = our_program(&words) else { continue };
        let arguments = arguments.iter().map(|word| (*word).to_owned()).collect();
        commands.push(Shown { line, program, arguments });
    }
    commands
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
}

fn our_program<'a>(words: &'a [&'a str]) -> Option<(Program, &'a [&'a str])> {
    match words {
        ["cargo", "xtask", rest @ ..] => Some((Program::Xtask, rest)),
        ["cargo", "run", rest @ ..] if !rest.contains(&"xtask") => {
            let after = rest.iter().position(|word| *word == "--").map_or(rest.len(), |at| at + 1);
            Some((Program::Watchtower, &rest[after..]))
        }
        [program, rest @ ..] if program.rsplit('/').next() == Some("watchtower") => {
            Some((Program::Watchtower, rest))
        }
        _ => None,
    }
}

/// What a command names that does not exist; `help` gives the help page of a subcommand.
fn what_is_missing(
    shown: &Shown,
    help: &dyn Fn(&[&str]) -> anyhow::Result<String>,
) -> anyhow::Result<Option<String>> {
    let arguments: Vec<&str> = shown.arguments.iter().map(String::as_str).collect();
    if shown.program == Program::Xtask {
        let word = arguments.first().copied().unwrap_or("--help");
        let is_known = word == "--help" || WORDS.iter().any(|(known, _)| *known == word);
        return Ok((!is_known).then(|| format!("`cargo xtask {word}` does not exist")));
    }
    let mut depth = 0;
    loop {
        let page = help(&arguments[..depth])?;
        let subcommands = subcommands(&page);
        let next = arguments.get(depth).filter(|word| !word.starts_with('-'));
        let (false, Some(next)) = (subcommands.is_empty(), next) else {
            let name =
                ["watchtower"].iter().chain(&arguments[..depth]).copied().collect::<Vec<_>>().join(" ");
            let flags = arguments[depth..].iter().filter(|word| word.starts_with("--") && word.len() > 2);
            let mut names = flags.map(|flag| flag.split('=').next().unwrap_or(flag));
            let unknown = names.find(|flag| !has_flag(&page, flag));
            return Ok(unknown.map(|flag| format!("`{name}` has no `{flag}`")));
        };
        if !subcommands.contains(next) {
            let parent =
                ["watchtower"].iter().chain(&arguments[..depth]).copied().collect::<Vec<_>>().join(" ");
            return Ok(Some(format!("`{parent} {next}` does not exist")));
        }
        depth += 1;
    }
}

/// The names under `Commands:` of a help page.
fn subcommands(page: &str) -> Vec<&str> {
    let listed = page.lines().skip_while(|line| *line != "Commands:").skip(1);
    listed.take_while(|line| !line.is_empty()).filter_map(|line| line.split_whitespace().next()).collect()
}

fn has_flag(page: &str, flag: &str) -> bool {
    page.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).any(|word| word == flag)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A product with `run --demo` and `journal export --data DIR`.
    fn help(words: &[&str]) -> anyhow::Result<String> {
        let page = match words {
            [] => "Commands:\n  run      Run\n  journal  Look\n\nOptions:\n  -h, --help  Print help\n",
            ["journal"] => "Commands:\n  export  Print\n  help    Print\n\nOptions:\n  -h, --help\n",
            ["run"] => "Usage: watchtower run [OPTIONS]\n\nOptions:\n      --demo  Drive\n  -h, --help\n",
            ["journal", "export"] => "Options:\n      --data <DIR>  The folder\n",
            _ => anyhow::bail!("no such command: {words:?}"),
        };
        Ok(page.to_owned())
    }

    fn missing_in(block: &str) -> Vec<String> {
        let markdown = format!("# Product\n\n```sh\n{block}\n```\n");
        let commands = commands_in(&markdown);
        assert!(!commands.is_empty(), "nothing of ours was found in {block:?}");
        commands
            .iter()
            .filter_map(|shown| what_is_missing(shown, &help).expect("the help is there"))
            .collect()
    }

    #[test]
    fn commands_that_exist_pass() {
        for block in [
            "watchtower",
            "watchtower run --demo",
            "./target/release/watchtower journal export --data=x > out.ndjson",
            "A_B=1 watchtower journal export \\\n  --data x | head",
            "cargo run --release -- run --demo   # then open the page",
            "cargo xtask test && cargo xtask lint",
        ] {
            assert_eq!(missing_in(block), [""; 0], "{block}");
        }
    }

    #[test]
    fn commands_that_do_not_exist_are_named() {
        for (block, said) in [
            ("watchtower fly", "`watchtower fly` does not exist"),
            ("watchtower journal import", "`watchtower journal import` does not exist"),
            ("cargo run -- run --dem", "`watchtower run` has no `--dem`"),
            (
                "true && bin/watchtower journal export \\\n --out x",
                "`watchtower journal export` has no `--out`",
            ),
            ("cargo xtask fly", "`cargo xtask fly` does not exist"),
        ] {
            assert_eq!(missing_in(block), [said], "{block}");
        }
    }

    #[test]
    fn output_and_other_languages_are_no_commands() {
        let markdown = "```console\n$ watchtower run\nwatchtower is here\n```\n```toml\nwatchtower fly\n```\nwatchtower fly\n";
        let found = commands_in(markdown);
        let run = Shown { line: 2, program: Program::Watchtower, arguments: vec!["run".to_owned()] };
        assert_eq!(found, [run]);
    }
}
