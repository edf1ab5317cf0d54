//! What was compared, as a table.

use std::collections::BTreeMap;

/// Counts by family of shapes.
pub struct Tally {
    title: &'static str,
    families: BTreeMap<&'static str, Family>,
}

#[derive(Default)]
struct Family {
    shapes: usize,
    pairs: usize,
    exceptions: BTreeMap<&'static str, usize>,
}

impl Tally {
    pub fn new(title: &'static str) -> Tally {
        Tally { title, families: BTreeMap::new() }
    }

    pub fn shape(&mut self, family: &'static str) {
        self.families.entry(family).or_default().shapes += 1;
    }

    pub fn agreement(&mut self, family: &'static str) {
        self.families.entry(family).or_default().pairs += 1;
    }

    /// A pair where the two do not agree, and why that is no fault of ours.
    pub fn exception(&mut self, family: &'static str, why: &'static str) {
        let family = self.families.entry(family).or_default();
        family.pairs += 1;
        *family.exceptions.entry(why).or_default() += 1;
    }

    /// What was left out, and is in no pair.
    pub fn left_out(&mut self, family: &'static str, why: &'static str) {
        *self.families.entry(family).or_default().exceptions.entry(why).or_default() += 1;
    }

    pub fn pairs(&self) -> usize {
        self.families.values().map(|family| family.pairs).sum()
    }

    pub fn exceptions(&self, why: &str) -> usize {
        self.families.values().filter_map(|family| family.exceptions.get(why)).sum()
    }

    pub fn print(&self) {
        println!("\n{:34} {:>7} {:>9}  exceptions", self.title, "shapes", "pairs");
        for (name, family) in &self.families {
            let kinds: Vec<String> = family.exceptions.iter().map(|(why, n)| format!("{n} {why}")).collect();
            let kinds = if kinds.is_empty() { "none".to_owned() } else { kinds.join("; ") };
            println!("{name:34} {:7} {:9}  {kinds}", family.shapes, family.pairs);
        }
    }
}
