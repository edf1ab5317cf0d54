//! Numbers for text ids: rows inside the graph carry numbers, text comes back where they leave it.

use std::sync::{Arc, RwLock, RwLockReadGuard};

use rustc_hash::FxHashMap;

/// Gives numbers out; one owner, where records enter.
#[derive(Default)]
pub(crate) struct Interner {
    numbers: FxHashMap<Arc<str>, u32>,
    texts: Vec<Arc<str>>,
    shared: Names,
}

/// Reads names back, where rows leave the graph.
#[derive(Clone, Default)]
pub(crate) struct Names(Arc<RwLock<Vec<Arc<str>>>>);

impl Interner {
    /// The number of a text, given out at its first sight.
    pub(crate) fn number(&mut self, text: &str) -> u32 {
        if let Some(&number) = self.numbers.get(text) {
            return number;
        }
        let number = self.texts.len() as u32;
        let text: Arc<str> = text.into();
        self.numbers.insert(text.clone(), number);
        self.texts.push(text.clone());
        self.shared.0.write().unwrap_or_else(std::sync::PoisonError::into_inner).push(text);
        number
    }

    /// The number of a text that was seen before.
    pub(crate) fn known(&self, text: &str) -> Option<u32> {
        self.numbers.get(text).copied()
    }

    /// The text of a number that was given out.
    pub(crate) fn text(&self, number: u32) -> &Arc<str> {
        &self.texts[number as usize]
    }

    pub(crate) fn names(&self) -> Names {
        self.shared.clone()
    }
}

impl Names {
    /// All texts by number, for as long as the guard lives; numbers are given out only after.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Vec<Arc<str>>> {
        self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
