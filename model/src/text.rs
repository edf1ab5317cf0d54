//! Text that leaves or enters the product: JSON strings and identifiers.

/// The longest identifier (vehicle, fence, ...) that is accepted, in UTF-8 bytes.
pub const MAX_ID_BYTES: usize = 256;

/// Appends `text` as a JSON string; nothing is escaped that need not be.
pub fn push_json_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut plain_from = 0;
    for (i, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[plain_from..i]);
        plain_from = i + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            other => out.extend_from_slice(format!("\\u{other:04x}").as_bytes()),
        }
    }
    out.extend_from_slice(&bytes[plain_from..]);
    out.push(b'"');
}

/// A LocoNav vehicle number as an identity: upper case, without blanks and trailing hyphens.
#[must_use]
pub fn normalise_vehicle_number(received: &str) -> String {
    let compact: String = received.chars().filter(|c| !c.is_whitespace()).collect();
    compact.trim_end_matches('-').to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_only_what_must_be() {
        let mut out = Vec::new();
        push_json_string(&mut out, "a\"b\\c\n\u{1}é/\u{7f}");
        assert_eq!(String::from_utf8(out).unwrap(), "\"a\\\"b\\\\c\\n\\u0001é/\u{7f}\"");
    }

    #[test]
    fn vehicle_numbers_are_one_spelling() {
        assert_eq!(normalise_vehicle_number(" vehicle 03-- "), "VEHICLE03");
        assert_eq!(normalise_vehicle_number("T11985la"), "T11985LA");
    }
}
