//! Lists of what may be gone, and how they are cleared of it in turn.

/// So many items of a list are looked at before others have their turn: a list may be long.
const WINDOW: usize = 64;
/// A full list has room made by joining repeats if they are one in so many items.
const ITEMS_A_REPEAT: usize = 8;

/// Items of which some are stale, or repeats of others.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct List<T> {
    items: Vec<T>,
    /// So many items may be repeats, beside those that sweeping finds.
    repeats: u32,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        List { items: Vec::new(), repeats: 0 }
    }
}

/// What stands in a list.
pub(super) trait Item: Copy + Ord {
    /// Takes in an item that says of the same thing, if it does.
    fn joins(&mut self, other: &Self) -> bool;
}

impl<T: Item> List<T> {
    pub(super) fn items(&self) -> &[T] {
        &self.items
    }

    /// Adds an item; tells whether it was not joined to the last.
    #[inline]
    pub(super) fn add(&mut self, item: T) -> bool {
        if let Some(last) = self.items.last_mut()
            && last.joins(&item)
        {
            return false;
        }
        if self.items.len() == self.items.capacity() {
            // Doubling would leave room for as many again.
            self.items.reserve_exact((self.items.len() / 4).max(2));
        }
        self.items.push(item);
        true
    }

    /// Notes that what was added last may repeat an item.
    pub(super) fn note_repeat(&mut self) {
        self.repeats += 1;
    }

    /// Whether there is no room for one more, but would be if repeats were joined.
    #[inline]
    pub(super) fn is_full_of_repeats(&self) -> bool {
        self.items.len() == self.items.capacity() && self.repeats as usize * ITEMS_A_REPEAT > self.items.len()
    }

    /// Joins all repeats. Tells where the item is now that was at a place.
    pub(super) fn join_all(&mut self, place: usize) -> usize {
        let at_place = self.items.get(place).copied();
        self.items.sort();
        self.items.dedup_by(|later, kept| kept.joins(later));
        self.repeats = 0;
        at_place.map_or(self.items.len(), |item| self.items.partition_point(|other| *other < item))
    }

    /// About those items that are looked at, from one on.
    pub(super) fn window(&self, from: usize) -> &[T] {
        &self.items[from..(from + WINDOW).min(self.items.len())]
    }

    /// Looks at some items, from one on: drops those that are not there, and joins repeats. Tells where to go
    /// on. At the beginning the list is put in order.
    pub(super) fn sweep_from(&mut self, from: usize, is_there: impl Fn(&T) -> bool) -> usize {
        if from == 0 {
            // Mostly in order already, which this sort makes use of.
            self.items.sort();
        }
        let end = (from + WINDOW).min(self.items.len());
        let mut kept = from;
        for at in from..end {
            let item = self.items[at];
            let is_repeat = kept > 0 && self.items[kept - 1].joins(&item);
            if !is_repeat && is_there(&item) {
                self.items[kept] = item;
                kept += 1;
            }
        }
        self.items.drain(kept..end);
        if kept == self.items.len() && kept < self.items.capacity() / 2 {
            self.items.shrink_to(kept + kept / 4);
        }
        kept
    }
}
