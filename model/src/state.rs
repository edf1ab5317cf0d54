//! What is kept from tick to tick, as bytes, by whoever keeps something: a snapshot.
//!
//! Values go out in frames, each of which is decoded by itself, so that neither side needs room for all at once. Only
//! the same release reads them: whoever keeps them says which that is.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// So many values are in a frame of many.
const PER_FRAME: usize = 1024;

/// Why state could not be saved or loaded.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Writing or reading frames failed.
    #[error("{0}")]
    Frames(String),
    /// The bytes are not those of such a value.
    #[error("the state of {0} cannot be read: {1}")]
    Damaged(&'static str, postcard::Error),
    /// It is not what this program, as it is configured, can go on from.
    #[error("{0}")]
    Unfit(String),
    /// There is another operator in its place.
    #[error("the state is that of {found:?}, and not that of {wanted:?}")]
    OtherOperator {
        /// Who is to load it.
        wanted: &'static str,
        /// Whose it is.
        found: String,
    },
}

/// Takes frames.
pub trait FramesOut {
    /// Takes one.
    fn put_frame(&mut self, frame: &[u8]) -> Result<(), String>;
}

/// Gives frames, in the order in which they were put.
pub trait FramesIn {
    /// Puts the next into `frame`, in the place of what is there.
    fn take_frame(&mut self, frame: &mut Vec<u8>) -> Result<(), String>;
}

/// Where state goes.
pub struct Saver<'a> {
    out: &'a mut dyn FramesOut,
    of: &'static str,
    frame: Vec<u8>,
}

impl<'a> Saver<'a> {
    /// Of `of`, to `out`.
    pub fn new(of: &'static str, out: &'a mut dyn FramesOut) -> Saver<'a> {
        Saver { out, of, frame: Vec::new() }
    }

    /// Saves a value.
    pub fn put<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), StateError> {
        self.frame.clear();
        let frame = postcard::to_extend(value, std::mem::take(&mut self.frame));
        self.frame = frame.map_err(|error| StateError::Damaged(self.of, error))?;
        self.out.put_frame(&self.frame).map_err(StateError::Frames)
    }

    /// Saves many values of one sort, some at a time.
    pub fn put_all<T: Serialize>(&mut self, values: &[T]) -> Result<(), StateError> {
        self.put(&values.len())?;
        values.chunks(PER_FRAME).try_for_each(|some| self.put(some))
    }

    /// Saves a map, some entries at a time.
    pub fn put_map<K: Serialize, V: Serialize>(&mut self, map: &BTreeMap<K, V>) -> Result<(), StateError> {
        self.put(&map.len())?;
        let mut entries = map.iter().peekable();
        while entries.peek().is_some() {
            let some: Vec<(&K, &V)> = entries.by_ref().take(PER_FRAME).collect();
            self.put(&some)?;
        }
        Ok(())
    }
}

/// Where state comes from.
pub struct Loader<'a> {
    from: &'a mut dyn FramesIn,
    of: &'static str,
    frame: Vec<u8>,
}

impl<'a> Loader<'a> {
    /// For `of`, from `from`.
    pub fn new(of: &'static str, from: &'a mut dyn FramesIn) -> Loader<'a> {
        Loader { from, of, frame: Vec::new() }
    }

    /// Loads the value that was saved next.
    pub fn take<T: DeserializeOwned>(&mut self) -> Result<T, StateError> {
        self.from.take_frame(&mut self.frame).map_err(StateError::Frames)?;
        let (value, rest) =
            postcard::take_from_bytes(&self.frame).map_err(|error| StateError::Damaged(self.of, error))?;
        if rest.is_empty() {
            Ok(value)
        } else {
            Err(StateError::Damaged(self.of, postcard::Error::DeserializeBadEncoding))
        }
    }

    /// Loads what [`Saver::put_all`] saved.
    pub fn take_all<T: DeserializeOwned>(&mut self) -> Result<Vec<T>, StateError> {
        let count: usize = self.take()?;
        let mut values = Vec::new();
        while values.len() < count {
            let some: Vec<T> = self.take()?;
            if some.is_empty() {
                return Err(StateError::Damaged(self.of, postcard::Error::DeserializeUnexpectedEnd));
            }
            // What a frame says of how many there are is not believed before they are there.
            if values.is_empty() {
                values.reserve_exact(count.min(some.len().saturating_mul(count.div_ceil(PER_FRAME))));
            }
            values.extend(some);
        }
        Ok(values)
    }

    /// Loads what [`Saver::put_map`] saved.
    pub fn take_map<K: DeserializeOwned + Ord, V: DeserializeOwned>(
        &mut self,
    ) -> Result<BTreeMap<K, V>, StateError> {
        Ok(self.take_all()?.into_iter().collect())
    }
}

/// What somebody keeps.
pub trait State {
    /// Saves all of it.
    fn save(&self, to: &mut Saver<'_>) -> Result<(), StateError>;
    /// Puts what was saved in the place of what is there.
    fn load(&mut self, from: &mut Loader<'_>) -> Result<(), StateError>;
}
