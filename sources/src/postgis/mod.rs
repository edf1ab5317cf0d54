//! Fences of a PostGIS table, as people edit them in a GIS.
//!
//! ```text
//!   row --check--> a fence record, or the reason why it is none     what was sent before is known by its hash
//! ```
//!
//! Reads: rows of a table with `id` and `geom` (SRID 4326; a point with `radius_m`, a line with `width_m`, polygons),
//! and the settings of a fence in columns that bear their names. A row becomes the record that a POST of the same
//! fence would be: an upsert; its removal becomes a delete.
//!
//! Refuses what a POST would have refused; geometries that are empty, of another reference system, or no fence; and
//! what is larger than a record may be. Z and M are left out.
//!
//! An entry of the journal is one such record. So the journal itself knows which fences are of this source, and what
//! was sent of each.

mod check;
#[cfg(feature = "postgis")]
mod client;
mod decode;
mod status;
mod table;
#[cfg(test)]
mod tests;

pub use check::{Refusal, Row, check, delete_record};
#[cfg(feature = "postgis")]
pub use client::{Client, ClientError, ClientOptions, Digest, Mark};
pub(crate) use decode::decode;
pub use decode::{Sent, sent, sent_hash};
pub use status::Status;
pub use table::{TableName, schema_sql};
