//! Numbers for text ids: rows inside the graph carry numbers, text comes back where they leave it.

use std::sync::{Arc, RwLock, RwLockReadGuard};

use rustc_hash::FxHashMap;

/// Gives numbers out; one owner, where records enter.
#[derive(Default)]
pub(crate) struct Interner {
    numbers: FxHashMap<Arc<str>, u32>,
    shared: Names,
}

impl serde::Serialize for Interner {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        serde::Serialize::serialize(&*self.shared.read(), to)
    }
}

impl<'de> serde::Deserialize<'de> for Interner {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let texts: Vec<Arc<str>> = serde::Deserialize::deserialize(from)?;
        let numbers = texts.iter().cloned().zip(0..).collect();
        Ok(Interner { numbers, shared: Names(Arc::new(RwLock::new(texts))) })
    }
}

/// Reads names back, where rows leave the graph.
#[derive(Clone, Default)]
pub(crate) struct Names(Arc<RwLock<Vec<Arc<str>>>>);

/// The names of everything that rows name.
#[derive(Clone, Default)]
pub(crate) struct AllNames {
    pub(crate) vehicles: Names,
    /// Of fences and locations.
    pub(crate) fences: Names,
    pub(crate) trips: Names,
    /// Who sets statuses.
    pub(crate) people: Names,
    pub(crate) clients: Names,
    /// Of alerts.
    pub(crate) kinds: Names,
    /// The provider's ids of alerts, and what it told of them.
    pub(crate) texts: Names,
}

/// All texts by number.
pub(crate) struct Guards<'a> {
    pub(crate) vehicles: RwLockReadGuard<'a, Vec<Arc<str>>>,
    pub(crate) fences: RwLockReadGuard<'a, Vec<Arc<str>>>,
    pub(crate) trips: RwLockReadGuard<'a, Vec<Arc<str>>>,
    pub(crate) people: RwLockReadGuard<'a, Vec<Arc<str>>>,
    pub(crate) clients: RwLockReadGuard<'a, Vec<Arc<str>>>,
    pub(crate) kinds: RwLockReadGuard<'a, Vec<Arc<str>>>,
    pub(crate) texts: RwLockReadGuard<'a, Vec<Arc<str>>>,
}

impl AllNames {
    /// For as long as the guards live, numbers are not given out.
    pub(crate) fn read(&self) -> Guards<'_> {
        Guards {
            vehicles: self.vehicles.read(),
            fences: self.fences.read(),
            trips: self.trips.read(),
            people: self.people.read(),
            clients: self.clients.read(),
            kinds: self.kinds.read(),
            texts: self.texts.read(),
        }
    }
}

impl Interner {
    /// The number of a text, given out at its first sight.
    pub(crate) fn number(&mut self, text: &str) -> u32 {
        self.known(text).unwrap_or_else(|| self.give_out(text.into()))
    }

    /// The number of a text, and the one copy of it that all share.
    pub(crate) fn number_and_text(&mut self, text: &str) -> (u32, Arc<str>) {
        if let Some((text, &number)) = self.numbers.get_key_value(text) {
            return (number, text.clone());
        }
        let text: Arc<str> = text.into();
        (self.give_out(text.clone()), text)
    }

    fn give_out(&mut self, text: Arc<str>) -> u32 {
        let number = self.numbers.len() as u32;
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
    /// All texts by number, for as long as the guard lives; numbers are given out only after.
    fn read(&self) -> RwLockReadGuard<'_, Vec<Arc<str>>> {
        self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_one_number_and_one_copy() {
        let mut interner = Interner::default();
        let names = interner.names();
        let (first, text) = interner.number_and_text("T1");
        assert_eq!((first, interner.number("T2"), interner.number("T1")), (0, 1, 0));
        let (second, of_second) = interner.number_and_text("T2");
        assert_eq!((second, interner.known("T2"), interner.known("T3")), (1, Some(1), None));
        assert!(Arc::ptr_eq(&interner.number_and_text("T1").1, &text));
        assert!(Arc::ptr_eq(&names.read()[0], &text) && Arc::ptr_eq(&names.read()[1], &of_second));
    }
}
