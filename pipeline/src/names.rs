//! Numbers for text ids: rows inside the graph carry numbers, text comes back where they leave it.

use std::sync::{Arc, RwLock};

use rustc_hash::FxHashMap;

/// Gives numbers out; one owner, where records enter.
#[derive(Default)]
pub(crate) struct Interner {
    numbers: FxHashMap<Arc<str>, u32>,
    shared: Names,
}

/// Reads names back, from any thread.
#[derive(Clone, Default)]
pub(crate) struct Names(Arc<RwLock<Vec<Arc<str>>>>);

impl Interner {
    /// The number of a text, given out at its first sight.
    pub(crate) fn number(&mut self, text: &str) -> u32 {
        if let Some(&number) = self.numbers.get(text) {
            return number;
        }
        let number = self.numbers.len() as u32;
        let text: Arc<str> = text.into();
        self.numbers.insert(text.clone(), number);
        self.shared.0.write().unwrap_or_else(std::sync::PoisonError::into_inner).push(text);
        number
    }

    /// The number of a text that was seen before.
    pub(crate) fn known(&self, text: &str) -> Option<u32> {
        self.numbers.get(text).copied()
    }

    pub(crate) fn names(&self) -> Names {
        self.shared.clone()
    }
}

impl Names {
    /// The text of a number that was given out.
    pub(crate) fn text(&self, number: u32) -> Arc<str> {
        let names = self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        names.get(number as usize).cloned().unwrap_or_else(|| Arc::from(""))
    }
}
