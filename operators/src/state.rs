//! What operators keep from tick to tick: a snapshot of a worker is all of it, in the order in which the operators were
//! put together.
//!
//! Invariants:
//! 1. Between two ticks, when all inputs have been worked off, what is kept is all there is: what is loaded goes on as
//!    if nothing had happened.
//! 2. No order of hashing is in what comes of it: a map that is loaded may be walked in another order, as it may after
//!    it has grown.
//! 3. It is read for the same number of workers.

use std::cell::RefCell;
use std::rc::Rc;

use model::state::{FramesIn, FramesOut, Loader, Saver, State, StateError};

/// The states of a worker's operators. Cheap to clone: all clones are one.
#[derive(Clone, Default)]
pub struct States(Rc<RefCell<Vec<Named>>>);

/// The name of an operator, and what it keeps.
type Named = (&'static str, Rc<RefCell<dyn State>>);

impl States {
    /// Adds that of an operator, which shares it.
    pub(crate) fn add<S: State + 'static>(&self, name: &'static str, state: S) -> Rc<RefCell<S>> {
        let state = Rc::new(RefCell::new(state));
        self.0.borrow_mut().push((name, state.clone()));
        state
    }

    /// Saves all. No tick may be under way.
    pub fn save(&self, out: &mut dyn FramesOut) -> Result<(), StateError> {
        for (name, state) in self.0.borrow().iter() {
            let mut saver = Saver::new(name, &mut *out);
            saver.put(name)?;
            state.borrow().save(&mut saver)?;
        }
        Ok(())
    }

    /// Loads all. No tick may have been worked on.
    pub fn load(&self, from: &mut dyn FramesIn) -> Result<(), StateError> {
        for &(name, ref state) in self.0.borrow().iter() {
            let mut loader = Loader::new(name, &mut *from);
            let found: String = loader.take()?;
            if found != name {
                return Err(StateError::OtherOperator { wanted: name, found });
            }
            state.borrow_mut().load(&mut loader)?;
        }
        Ok(())
    }
}

/// The state of a type, field by field: those that are kept, as a whole or item by item, and those that are not, since
/// they are empty between ticks, or come of how the worker was made. A field that is in no list does not compile.
macro_rules! state {
    ($of:ty { $($kept:ident),* $(,)? } each { $($many:ident),* } without { $($passing:ident),* $(,)? }) => {
        impl model::state::State for $of {
            fn save(&self, to: &mut model::state::Saver<'_>) -> Result<(), model::state::StateError> {
                let Self { $($kept,)* $($many,)* $($passing: _,)* } = self;
                $(to.put($kept)?;)*
                $(to.put_all($many)?;)*
                Ok(())
            }

            fn load(
                &mut self,
                from: &mut model::state::Loader<'_>,
            ) -> Result<(), model::state::StateError> {
                $(self.$kept = from.take()?;)*
                $(self.$many = from.take_all()?;)*
                Ok(())
            }
        }
    };
}
pub(crate) use state;
