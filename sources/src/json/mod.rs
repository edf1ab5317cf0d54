//! JSON at the level of raw text: values are kept as slices of the input until somebody needs them, so that
//! nothing is copied, numbers keep their digits, and depth can't overflow the stack.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// How deep arrays and objects may be nested in what is kept; every JSON reader takes that much.
const MAX_DEPTH: usize = 100;
/// How much of a received text is shown in a reason.
const MAX_SHOWN_CHARS: usize = 60;

/// Received text for a reason: in quotes, escaped, cut.
pub(crate) fn quoted(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN_CHARS) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// The reason for bytes that are not text.
pub(crate) fn not_utf8(error: &std::str::Utf8Error) -> String {
    format!("not UTF-8 text at byte {}", error.valid_up_to() + 1)
}

/// Text without the byte order mark that some programs write first.
pub(crate) fn without_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// Parses a JSON object into a struct. (Derived structs also read arrays, which are no records.)
pub(crate) fn object<'a, T: serde::Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    if !text.trim_ascii_start().starts_with('{') {
        return Err(format!("not a JSON object: {}", quoted(text)));
    }
    serde_json::from_str(text).map_err(|error| format!("not a readable JSON object: {error}"))
}

/// The text of a JSON string; `None` for any other value.
pub(crate) fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    let inner = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str::<String>(raw.get()).ok().map(Cow::Owned)
}

/// The value of a JSON number that a double can hold; `None` for any other value.
pub(crate) fn number(raw: &RawValue) -> Option<f64> {
    is_number(raw).then(|| raw.get().parse::<f64>().ok()).flatten().filter(|value| value.is_finite())
}

/// Whether the value is a JSON number.
pub(crate) fn is_number(raw: &RawValue) -> bool {
    matches!(raw.get().as_bytes().first(), Some(b'-' | b'0'..=b'9'))
}

/// A value that is `true` or `false`, absent the latter; the reason names it.
pub(crate) fn flag(name: &str, raw: Option<&RawValue>) -> Result<bool, String> {
    match raw.map(RawValue::get) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(format!("{name} must be true or false, and is {}", quoted(other))),
    }
}

/// Whether the value is `null`.
pub(crate) fn is_null(raw: &RawValue) -> bool {
    raw.get() == "null"
}

/// Appends well-formed JSON without the blanks between its tokens; everything else stays as received.
pub(crate) fn push_compact(out: &mut String, json: &str) -> Result<(), String> {
    out.reserve(json.len());
    let bytes = json.as_bytes();
    let (mut depth, mut in_string, mut escaped, mut kept_from) = (0_usize, false, false, 0);
    for (i, &byte) in bytes.iter().enumerate() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(format!("nested deeper than {MAX_DEPTH} levels"));
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b' ' | b'\t' | b'\n' | b'\r' => {
                out.push_str(&json[kept_from..i]);
                kept_from = i + 1;
            }
            _ => {}
        }
    }
    out.push_str(&json[kept_from..]);
    Ok(())
}

/// Appends a JSON string.
pub(crate) fn push_text(out: &mut String, text: &str) {
    let mut bytes = std::mem::take(out).into_bytes();
    model::push_json_string(&mut bytes, text);
    *out = String::from_utf8(bytes).expect("text was appended to text, with ASCII escapes");
}

/// Calls `each` with every element of a JSON array and its number, from 1. On an error, the elements before
/// it have been seen.
pub(crate) fn for_each_element<'a>(
    array: &'a str,
    each: &mut dyn FnMut(usize, &'a RawValue),
) -> Result<(), serde_json::Error> {
    struct Elements<'f, 'de>(&'f mut dyn FnMut(usize, &'de RawValue));
    impl<'de> Visitor<'de> for Elements<'_, 'de> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a JSON array")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
            let mut number = 0;
            while let Some(element) = elements.next_element::<&'de RawValue>()? {
                number += 1;
                (self.0)(number, element);
            }
            Ok(())
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(array);
    deserializer.deserialize_seq(Elements(each))?;
    deserializer.end()
}

/// The members of an object in the order received; a name that comes twice is refused.
#[derive(Debug)]
pub(crate) struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    pub(crate) fn parse(json: &'a str) -> Result<Members<'a>, String> {
        let members: Members<'a> = object(json)?;
        let mut names = HashSet::with_capacity(members.0.len());
        match members.0.iter().find(|(name, _)| !names.insert(name.as_str())) {
            Some((twice, _)) => Err(format!("{} comes twice", quoted(twice))),
            None => Ok(members),
        }
    }

    /// The member of that name, `null` included.
    pub(crate) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(member, _)| member == name).map(|&(_, value)| value)
    }

    /// The member of that name, unless it is absent or `null`.
    pub(crate) fn value(&self, name: &str) -> Option<&'a RawValue> {
        self.get(name).filter(|value| !is_null(value))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }

    /// The object as compact JSON without one of its members.
    pub(crate) fn compact_without(&self, left_out: &str) -> Result<String, String> {
        let mut out = String::from("{");
        for (name, value) in self.iter().filter(|(name, _)| *name != left_out) {
            if out.len() > 1 {
                out.push(',');
            }
            push_text(&mut out, name);
            out.push(':');
            push_compact(&mut out, value.get())?;
        }
        out.push('}');
        Ok(out)
    }
}

impl<'de: 'a, 'a> serde::Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry::<String, &'de RawValue>()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(MembersVisitor).map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn compact(json: &str) -> String {
        let mut out = String::new();
        push_compact(&mut out, json).unwrap();
        out
    }

    #[test]
    fn compacts_only_between_tokens() {
        assert_eq!(
            compact("{ \"a b\" : [ 1 ,\n 2.50 ] , \"c\\\" \":\t\" \\\\\" }"),
            r#"{"a b":[1,2.50],"c\" ":" \\"}"#
        );
        let deep = "[".repeat(101) + &"]".repeat(101);
        assert!(push_compact(&mut String::new(), &deep).is_err());
    }

    #[test]
    fn reads_single_values() {
        let raw = |json: &str| RawValue::from_string(json.to_owned()).unwrap();
        assert_eq!(text(&raw(r#""a\u00e9\n""#)).unwrap(), "aé\n");
        assert_eq!(text(&raw("\"\"")).unwrap(), "");
        assert!(text(&raw(r#""\ud800""#)).is_none());
        assert!(text(&raw("1")).is_none());
        assert_eq!(number(&raw("-1.5e3")), Some(-1500.0));
        assert_eq!(number(&raw("1e999")), None);
        assert_eq!(number(&raw("\"1\"")), None);
    }

    #[test]
    fn members_keep_order_and_refuse_twins() {
        let members = Members::parse("{ \"b\":1, \"a\\u0041\": {\"x\": [ ] }, \"gone\":null}").unwrap();
        assert_eq!(members.compact_without("gone").unwrap(), r#"{"b":1,"aA":{"x":[]}}"#);
        assert!(members.value("gone").is_none() && members.get("gone").is_some());
        assert!(Members::parse(r#"{"a":1,"\u0061":2}"#).unwrap_err().contains("twice"));
        assert!(Members::parse("[1]").is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_text_is_read_without_panic(text in "\\PC*") {
            let _ = Members::parse(&text);
            let _ = push_compact(&mut String::new(), &text);
            let _ = for_each_element(&text, &mut |_, _| {});
            prop_assert!(quoted(&text).chars().count() < 12 * MAX_SHOWN_CHARS);
        }
    }
}
