//! Fences, master data and positions in PostgreSQL: what the journal says and the changelog does not.
//!
//! ```text
//!   ticks of the journal after the cursor -> decode -> positions by day, edits in their order
//!        -> one transaction with journal_as_of, for some thousand positions at a time
//!   changes of rejects -> flags of positions
//! ```
//!
//! 1. It follows closed ticks as the sink of derived rows does, on a thread and a connection of its own, and so holds up
//!    nobody.
//! 2. Positions whose event time is not within what is kept, or more than a day after their arrival, are not here: what
//!    somebody sends makes no more partitions than there are days to keep.

mod edits;
mod records;
mod sink;

pub use sink::{Decode, JournalSink};
