//! What is kept from tick to tick, as bytes, by whoever keeps something: a snapshot.
//!
//! Values go out in frames, each of which is decoded by itself, so that neither side needs room for all at once. Only
//! the same release reads them: whoever keeps them says which that is.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// So many values are in a frame of many, at most.
const PER_FRAME: usize = 1024;
/// A frame that is so large takes no more of them.
const FRAME_BYTES: usize = 1 << 20;

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

/// Frames in memory.
impl FramesOut for VecDeque<Vec<u8>> {
    fn put_frame(&mut self, frame: &[u8]) -> Result<(), String> {
        self.push_back(frame.to_vec());
        Ok(())
    }
}

impl FramesIn for VecDeque<Vec<u8>> {
    fn take_frame(&mut self, frame: &mut Vec<u8>) -> Result<(), String> {
        *frame = self.pop_front().ok_or("there are no more frames")?;
        Ok(())
    }
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
        self.put_each(values.len(), values.iter())
    }

    /// Saves `count` values, each after the other: a frame is how many there are in it, and they.
    fn put_each<T: Serialize>(
        &mut self,
        count: usize,
        values: impl Iterator<Item = T>,
    ) -> Result<(), StateError> {
        self.put(&count)?;
        let mut bytes = Vec::new();
        let mut in_frame = 0_usize;
        let mut left = count;
        for value in values {
            bytes =
                postcard::to_extend(&value, bytes).map_err(|error| StateError::Damaged(self.of, error))?;
            in_frame += 1;
            left = left.saturating_sub(1);
            if in_frame == PER_FRAME || bytes.len() >= FRAME_BYTES || left == 0 {
                self.frame.clear();
                let head = postcard::to_extend(&in_frame, std::mem::take(&mut self.frame));
                self.frame = head.map_err(|error| StateError::Damaged(self.of, error))?;
                self.frame.extend_from_slice(&bytes);
                self.out.put_frame(&self.frame).map_err(StateError::Frames)?;
                bytes.clear();
                in_frame = 0;
            }
        }
        Ok(())
    }

    /// Saves a map, some entries at a time.
    pub fn put_map<K: Serialize, V: Serialize>(&mut self, map: &BTreeMap<K, V>) -> Result<(), StateError> {
        self.put_each(map.len(), map.iter())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_values_are_in_frames_of_bounded_size_and_come_back() {
        let small: Vec<u32> = (0..5000).collect();
        let large: Vec<Vec<u8>> = (0..30).map(|n| vec![n; 300_000]).collect();
        let map: BTreeMap<u32, String> = small.iter().map(|n| (*n, n.to_string())).collect();
        let mut frames = VecDeque::new();
        let mut saver = Saver::new("test", &mut frames);
        saver.put_all(&small).unwrap();
        saver.put_all(&large).unwrap();
        saver.put_map(&map).unwrap();
        saver.put_all::<u8>(&[]).unwrap();
        assert!(frames.iter().all(|frame| frame.len() < 2 * FRAME_BYTES));
        assert_eq!(frames.len(), (1 + 5) + (1 + 8) + (1 + 5) + 1);
        let mut loader = Loader::new("test", &mut frames);
        assert_eq!(loader.take_all::<u32>().unwrap(), small);
        assert_eq!(loader.take_all::<Vec<u8>>().unwrap(), large);
        assert_eq!(loader.take_map::<u32, String>().unwrap(), map);
        assert_eq!(loader.take_all::<u8>().unwrap(), []);
        assert!(loader.take::<u8>().is_err());
    }

    #[test]
    fn what_is_not_as_it_was_saved_is_an_error() {
        let mut frames = VecDeque::new();
        Saver::new("test", &mut frames).put_all(&[1_u64, 2, 3]).unwrap();
        let whole = frames;
        let load = |mut frames: VecDeque<Vec<u8>>| Loader::new("test", &mut frames).take_all::<u64>();
        assert!(load(whole.iter().take(1).cloned().collect()).is_err());
        let mut longer = whole.clone();
        longer[1].push(0);
        assert!(matches!(load(longer), Err(StateError::Damaged("test", _))));
        let mut none = whole;
        none[1] = vec![0];
        assert!(load(none).is_err());
    }
}
