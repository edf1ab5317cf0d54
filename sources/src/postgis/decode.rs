//! Entries back to records, and to what they say of the table.

use std::fmt::Write as _;

use model::RecordSink;
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::json;
use crate::records::{self, Backfill, lines};

/// Of a SHA-256, what is kept.
const HASH_BYTES: usize = 16;

/// Decodes one journal entry.
pub(crate) fn decode(payload: &[u8], sink: &mut dyn RecordSink) {
    records::decode(payload, Backfill::Refused, sink);
}

/// What an entry of this source said of a fence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is as the record says whose hash this is.
    Upsert {
        /// The fence.
        id: String,
        /// [`sent_hash`] of the record.
        hash: String,
    },
    /// It is no more.
    Delete {
        /// The fence.
        id: String,
    },
}

/// What tells one record from another.
#[must_use]
pub fn sent_hash(record: &[u8]) -> String {
    let digest = Sha256::digest(record);
    let mut hash = String::with_capacity(2 * HASH_BYTES);
    for byte in &digest[..HASH_BYTES] {
        write!(hash, "{byte:02x}").expect("writing to a string can't fail");
    }
    hash
}

/// What an entry of this source said, in order.
pub fn sent(payload: &[u8]) -> impl Iterator<Item = Sent> + '_ {
    lines(payload).filter_map(|(_, line)| one_sent(line))
}

fn one_sent(line: &[u8]) -> Option<Sent> {
    #[derive(Deserialize)]
    struct Edit<'a> {
        #[serde(borrow)]
        id: Option<&'a RawValue>,
        #[serde(borrow)]
        feature: Option<Feature<'a>>,
    }
    #[derive(Deserialize)]
    struct Feature<'a> {
        #[serde(borrow)]
        id: &'a RawValue,
    }
    let edit: Edit<'_> = serde_json::from_slice(line).ok()?;
    let id = |raw: &RawValue| json::text(raw).map(|text| text.into_owned());
    match (edit.feature, edit.id) {
        (Some(feature), _) => Some(Sent::Upsert { id: id(feature.id)?, hash: sent_hash(line) }),
        (None, Some(raw)) => Some(Sent::Delete { id: id(raw)? }),
        (None, None) => None,
    }
}
