//! Tags that change with the content: FNV-1a, which need not withstand an attacker.

use axum::http::header::HeaderValue;

/// A running hash of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Fingerprint(u64);

impl Fingerprint {
    pub const EMPTY: Fingerprint = Fingerprint(0xcbf2_9ce4_8422_2325);

    pub fn of(bytes: &[u8]) -> Fingerprint {
        Fingerprint::EMPTY.with(bytes)
    }

    /// Continues with more bytes.
    pub fn with(self, bytes: &[u8]) -> Fingerprint {
        let add = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        Fingerprint(bytes.iter().fold(self.0, add))
    }

    /// Continues with a number.
    pub fn with_number(self, number: i64) -> Fingerprint {
        self.with(&number.to_le_bytes())
    }

    /// Continues with what another one stands for.
    pub fn with_fingerprint(self, other: Fingerprint) -> Fingerprint {
        self.with(&other.0.to_le_bytes())
    }

    /// As the value of an `ETag` header.
    pub fn etag(self) -> HeaderValue {
        HeaderValue::from_str(&format!("\"{:016x}\"", self.0)).expect("hexadecimal digits are a header value")
    }
}
