//! Signed requests: `sha256=<hex of HMAC-SHA256(secret, timestamp + "." + body)>`.
//!
//! Operators' writes have their method and path in it: `timestamp + "." + METHOD + " " + path and query + "."
//! + body`. Many of them have no body, and the signature of one must not be good for another.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// How far the sender's clock may be from ours, in seconds.
const TOLERANCE_S: u64 = 300;
const PREFIX: &str = "sha256=";
const MAC_BYTES: usize = 32;

/// Checks the values of `X-Watchtower-Timestamp` and `X-Watchtower-Signature`. The comparison takes the same
/// time wherever the first wrong byte is.
pub fn verify(
    secret: &[u8],
    timestamp: Option<&str>,
    signature: Option<&str>,
    body: &[u8],
    now_unix_s: i64,
) -> Result<(), String> {
    verify_parts(secret, timestamp, signature, &[body], now_unix_s)
}

/// An operator's write.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    /// In capitals.
    pub method: &'a str,
    /// As sent, percent signs and all.
    pub path_and_query: &'a str,
    /// As sent.
    pub body: &'a [u8],
}

impl<'a> Write<'a> {
    fn parts(self) -> [&'a [u8]; 5] {
        [self.method.as_bytes(), b" ", self.path_and_query.as_bytes(), b".", self.body]
    }
}

/// [`verify`] for an operator's write.
pub fn verify_write(
    secret: &[u8],
    timestamp: Option<&str>,
    signature: Option<&str>,
    write: Write<'_>,
    now_unix_s: i64,
) -> Result<(), String> {
    verify_parts(secret, timestamp, signature, &write.parts(), now_unix_s)
}

fn verify_parts(
    secret: &[u8],
    timestamp: Option<&str>,
    signature: Option<&str>,
    parts: &[&[u8]],
    now_unix_s: i64,
) -> Result<(), String> {
    let timestamp = timestamp.ok_or("the header X-Watchtower-Timestamp is missing")?;
    let signature = signature.ok_or("the header X-Watchtower-Signature is missing")?;
    let is_number = !timestamp.is_empty() && timestamp.bytes().all(|byte| byte.is_ascii_digit());
    let sent_unix_s: i64 = match timestamp.parse() {
        Ok(seconds) if is_number => seconds,
        _ => return Err("X-Watchtower-Timestamp must be in Unix seconds".to_owned()),
    };
    let expected = signature
        .strip_prefix(PREFIX)
        .and_then(bytes_of_hex)
        .ok_or("X-Watchtower-Signature must be sha256= and 64 hexadecimal digits")?;
    if sent_unix_s.abs_diff(now_unix_s) > TOLERANCE_S {
        return Err(format!("X-Watchtower-Timestamp is more than {TOLERANCE_S} s from the server's clock"));
    }
    mac(secret, timestamp, parts)
        .verify_slice(&expected)
        .map_err(|_| "the signature does not fit the request; check the secret on both sides".to_owned())
}

/// The value of `X-Watchtower-Signature` for a body sent at `unix_s`.
#[must_use]
pub fn sign(secret: &[u8], unix_s: i64, body: &[u8]) -> String {
    sign_parts(secret, unix_s, &[body])
}

/// The value of `X-Watchtower-Signature` for an operator's write sent at `unix_s`.
#[must_use]
pub fn sign_write(secret: &[u8], unix_s: i64, method: &str, path_and_query: &str, body: &[u8]) -> String {
    sign_parts(secret, unix_s, &Write { method, path_and_query, body }.parts())
}

fn sign_parts(secret: &[u8], unix_s: i64, parts: &[&[u8]]) -> String {
    let digest = mac(secret, &unix_s.to_string(), parts).finalize().into_bytes();
    digest.iter().fold(PREFIX.to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

fn mac(secret: &[u8], timestamp: &str, parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    for part in parts {
        mac.update(part);
    }
    mac
}

fn bytes_of_hex(text: &str) -> Option<[u8; MAC_BYTES]> {
    if text.len() != 2 * MAC_BYTES {
        return None;
    }
    let mut bytes = [0; MAC_BYTES];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digit = |hex: u8| char::from(hex).to_digit(16).and_then(|value| u8::try_from(value).ok());
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_772_614_991;

    #[test]
    fn known_value() {
        // From: printf '1772614991.{}' | openssl dgst -sha256 -hmac secret
        let signature = sign(b"secret", NOW, b"{}");
        assert_eq!(signature, KNOWN);
        assert_eq!(verify(b"secret", Some("1772614991"), Some(&signature), b"{}", NOW), Ok(()));
        let shouted = signature.replace("sha256=", "").to_uppercase();
        assert_eq!(
            verify(b"secret", Some("1772614991"), Some(&format!("sha256={shouted}")), b"{}", NOW),
            Ok(())
        );
    }

    const KNOWN: &str = "sha256=b1796e49cea21de9bcc7349eabd55c07cb39ea0336f16665887a27bf830fc943";

    #[test]
    fn the_signature_of_a_write_is_good_for_nothing_else() {
        let signature = sign_write(b"secret", NOW, "DELETE", "/api/v1/fences/a?at=x", b"{}");
        // From: printf '1772614991.DELETE /api/v1/fences/a?at=x.{}' | openssl dgst -sha256 -hmac secret
        assert_eq!(signature, KNOWN_WRITE);
        let check = |method, path_and_query, body| {
            let write = Write { method, path_and_query, body };
            verify_write(b"secret", Some("1772614991"), Some(&signature), write, NOW)
        };
        assert_eq!(check("DELETE", "/api/v1/fences/a?at=x", b"{}"), Ok(()));
        assert!(check("PUT", "/api/v1/fences/a?at=x", b"{}").is_err());
        assert!(check("DELETE", "/api/v1/fences/b?at=x", b"{}").is_err());
        assert!(check("DELETE", "/api/v1/fences/a", b"{}").is_err());
        assert!(check("DELETE", "/api/v1/fences/a?at=x", b"").is_err());
        assert!(verify(b"secret", Some("1772614991"), Some(&signature), b"{}", NOW).is_err());
    }

    const KNOWN_WRITE: &str = "sha256=b7b05a77f9c1e6a051af8937f799aabc3451fea0eeff4d6c614cc161b7fcb557";

    #[test]
    fn refuses_what_is_wrong_old_or_missing() {
        let good = sign(b"secret", NOW, b"body");
        let at = NOW.to_string();
        let check = |timestamp: Option<&str>, signature: Option<&str>, body: &[u8], now: i64| {
            verify(b"secret", timestamp, signature, body, now)
        };
        assert!(check(Some(&at), Some(&good), b"body", NOW + 300).is_ok());
        assert!(check(Some(&at), Some(&good), b"body", NOW - 300).is_ok());
        assert!(check(Some(&at), Some(&good), b"body", NOW + 301).is_err());
        assert!(check(Some(&at), Some(&good), b"body", NOW - 301).is_err());
        assert!(check(Some(&at), Some(&good), b"bodY", NOW).is_err());
        assert!(check(Some(&(NOW + 1).to_string()), Some(&good), b"body", NOW).is_err());
        assert!(check(None, Some(&good), b"body", NOW).is_err());
        assert!(check(Some(&at), None, b"body", NOW).is_err());
        for timestamp in ["", "+1772614991", " 1772614991", "1e9", "99999999999999999999", "-1"] {
            assert!(check(Some(timestamp), Some(&good), b"body", NOW).is_err(), "{timestamp:?}");
        }
        let hex = &good["sha256=".len()..];
        for signature in
            [hex, "sha256=", &format!("sha1={hex}"), &good[..good.len() - 1], &format!("{good}0"), "sha256=é"]
        {
            assert!(check(Some(&at), Some(signature), b"body", NOW).is_err(), "{signature:?}");
        }
        let other_key = verify(b"other", Some(&at), Some(&good), b"body", NOW).unwrap_err();
        assert!(!other_key.contains(hex));
        assert!(verify(b"", Some(&at), Some(&sign(b"", NOW, b"body")), b"body", NOW).is_ok());
    }
}
