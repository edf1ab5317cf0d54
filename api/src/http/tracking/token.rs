//! Tokens of tracking links: the trip and the expiry, signed. Nothing of them is kept.
//!
//! ```text
//!   base64url( 1 | expiry, Unix seconds, 8 bytes big-endian | trip id, UTF-8 | HMAC-SHA256, 32 bytes )
//! ```
//!
//! The MAC is over a name of its own and what is before it, so that no other signature by the same key is one.

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const VERSION: u8 = 1;
const MAC_BYTES: usize = 32;
const HEAD_BYTES: usize = 9;
const PURPOSE: &[u8] = b"watchtower tracking link\n";
/// A trip's id has at most 256 bytes; longer tokens are none, and cost nothing.
const MAX_TOKEN_BYTES: usize = 512;

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub trip_id: String,
    /// From when on it is good for nothing.
    pub expires_unix_s: u64,
}

/// The token of a link.
pub(super) fn sign(key: &[u8], link: &Link) -> String {
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(&link.expires_unix_s.to_be_bytes());
    bytes.extend_from_slice(link.trip_id.as_bytes());
    let mac = mac(key, &bytes).finalize().into_bytes();
    bytes.extend_from_slice(&mac);
    BASE64URL_NOPAD.encode(&bytes)
}

/// The link of a token that this key signed, expired or not. The MAC is compared in constant time, before anything
/// of the token is believed.
pub(super) fn verify(key: &[u8], token: &str) -> Option<Link> {
    if token.len() > MAX_TOKEN_BYTES {
        return None;
    }
    let bytes = BASE64URL_NOPAD.decode(token.as_bytes()).ok()?;
    let (signed, tag) = bytes.split_last_chunk::<MAC_BYTES>()?;
    mac(key, signed).verify_slice(tag).ok()?;
    let (head, trip_id) = signed.split_first_chunk::<HEAD_BYTES>()?;
    let [VERSION, expiry @ ..] = *head else { return None };
    let trip_id = std::str::from_utf8(trip_id).ok()?.to_owned();
    Some(Link { trip_id, expires_unix_s: u64::from_be_bytes(expiry) })
}

fn mac(key: &[u8], signed: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(PURPOSE);
    mac.update(signed);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &str =
        "AQAAAABpp_VPMDEvQXByLzIwMjUtVDExOTg1TEEtQ0E2MFJ9phKIHlXj2hlYuxyBrqxqampzW_UTEViLR0KQ7Wbh";

    fn link() -> Link {
        Link { trip_id: "01/Apr/2025-T11985LA-CA60".to_owned(), expires_unix_s: 1_772_614_991 }
    }

    #[test]
    fn what_was_signed_is_read() {
        let token = sign(b"key", &link());
        assert_eq!(verify(b"key", &token), Some(link()));
        assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{token}");
        // Computed apart, with Python's hmac and base64.
        assert_eq!(token, KNOWN);
    }

    #[test]
    fn whatever_is_changed_is_no_token() {
        let token = sign(b"key", &link());
        assert_eq!(verify(b"other", &token), None);
        for at in 0..token.len() {
            let mut forged = token.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(verify(b"key", std::str::from_utf8(&forged).unwrap()), None, "character {at}");
        }
        for cut in 0..token.len() {
            assert_eq!(verify(b"key", &token[..cut]), None, "{cut} characters");
        }
        for wrong in ["", "=", "é", &format!("{token}="), &format!("{token}A"), &"A".repeat(10_000)] {
            assert_eq!(verify(b"key", wrong), None);
        }
    }

    #[test]
    fn a_signature_for_something_else_is_no_token() {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&u64::MAX.to_be_bytes());
        bytes.extend_from_slice(b"trip");
        let mut other = Hmac::<Sha256>::new_from_slice(b"key").unwrap();
        other.update(&bytes);
        let tag = other.finalize().into_bytes();
        bytes.extend_from_slice(&tag);
        assert_eq!(verify(b"key", &BASE64URL_NOPAD.encode(&bytes)), None);
    }
}
