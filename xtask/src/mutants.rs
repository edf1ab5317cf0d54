//! `cargo xtask mutants`: plants faults in a copy of the operators, one at a time, and shows which test
//! catches each.

mod list;
mod page;
mod tree;
mod trial;

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, bail, ensure};

use list::Fault;
use tree::Tree;
use trial::{Trials, Verdict};

const LIST: &str = "operators/mutants.txt";
const PAGE: &str = "docs/mutants.md";
const WRITE_FLAG: &str = "--write";

pub fn run(root: &Path, words: &[&str]) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(root.join(LIST)).with_context(|| format!("cannot read {LIST}"))?;
    let all = list::parse(&text).with_context(|| LIST.to_owned())?;
    let is_written = words.contains(&WRITE_FLAG);
    let names: Vec<&str> = words.iter().copied().filter(|word| *word != WRITE_FLAG).collect();
    let chosen = chosen(&all, &names)?;

    let work = root.join("target/mutants");
    let tree = Tree::copy(root, work.join("tree"))?;
    check_all(&tree, &chosen)?;
    eprintln!("== mutants: without a fault");
    let trials = Trials::of_sound(tree.folder.clone(), work.join("target"))?;
    eprintln!("== mutants: {} faults", chosen.len());
    let mut tried = Vec::new();
    for fault in chosen {
        let begun = Instant::now();
        let verdict = tree.with_fault(fault, || trials.judge(fault))?;
        println!("{} {} in {:.0} s", fault.name, page::line(&verdict), begun.elapsed().as_secs_f64());
        tried.push((fault, verdict));
        if is_written {
            write_page(root, &all, &tried)?;
        }
    }
    println!("\n{}", page::summary(&tried));
    let not_caught = tried.iter().filter(|(_, verdict)| !matches!(verdict, Verdict::Caught(_))).count();
    ensure!(not_caught == 0, "{not_caught} of {} faults are not caught", tried.len());
    println!("all {} faults are caught", tried.len());
    Ok(())
}

/// A run takes long: the page is written after each fault, so that one that is broken off is not lost.
fn write_page(root: &Path, all: &[Fault], tried: &[(&Fault, Verdict)]) -> anyhow::Result<()> {
    let file = root.join(PAGE);
    let present = std::fs::read_to_string(&file).unwrap_or_default();
    std::fs::write(file, page::page(all, tried, &present)).with_context(|| format!("cannot write {PAGE}"))
}

/// The faults of those names; all where there are none.
fn chosen<'a>(all: &'a [Fault], names: &[&str]) -> anyhow::Result<Vec<&'a Fault>> {
    if let Some(unknown) = names.iter().find(|name| all.iter().all(|fault| fault.name != **name)) {
        bail!("no fault is named `{unknown}` in {LIST}");
    }
    Ok(all.iter().filter(|fault| names.is_empty() || names.contains(&fault.name.as_str())).collect())
}

/// Before anything runs: all texts are where the list says.
fn check_all(tree: &Tree, faults: &[&Fault]) -> anyhow::Result<()> {
    let wrong: Vec<String> =
        faults.iter().filter_map(|fault| tree.check(fault).err()).map(|error| format!("{error:#}")).collect();
    ensure!(wrong.is_empty(), "not all faults can be planted:\n{}", wrong.join("\n"));
    Ok(())
}
