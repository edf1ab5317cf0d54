//! Lines as words, some of them in quotes.

/// First words that make a line something else than a position.
const KEYWORDS: [&str; 13] = [
    "fence",
    "delete",
    "trip",
    "status",
    "location",
    "rule",
    "provider",
    "vehicle",
    "set",
    "backfill",
    "clock",
    "malformed",
    "other",
];
/// What a word may hold, beside letters and digits, without standing in quotes.
const PUNCTUATION: &str = "-_./:";

/// A word of a line. What stood in quotes is never a keyword, a number or a time of arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub text: String,
    pub is_quoted: bool,
}

impl Word {
    /// The text, unless it stood in quotes.
    pub fn plain(&self) -> &str {
        if self.is_quoted { "" } else { &self.text }
    }
}

/// The words of a line, without its comment.
pub(super) fn split(line: &str) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() && !rest.starts_with('#') {
        let length = if rest.starts_with('"') {
            quoted_length(rest).ok_or_else(|| format!("the quotes of {rest} are not closed"))?
        } else {
            rest.find(|c: char| c.is_whitespace() || c == '#').unwrap_or(rest.len())
        };
        let (word, later) = rest.split_at(length);
        let is_quoted = word.starts_with('"');
        let text = if is_quoted {
            serde_json::from_str(word).map_err(|e| format!("{word} is no JSON text: {e}"))?
        } else {
            word.to_owned()
        };
        words.push(Word { text, is_quoted });
        rest = later.trim_start();
    }
    Ok(words)
}

/// How long a JSON text at the beginning is, quotes included.
fn quoted_length(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !is_escaped => return Some(at + 1),
            '\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    None
}

/// A text as one word that [`split`] reads again.
pub(super) fn word(text: &str) -> String {
    let is_plain = !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || PUNCTUATION.contains(c));
    if is_plain { text.to_owned() } else { quoted(text) }
}

/// [`word`] at the beginning of a line, where keywords mean something else.
pub(super) fn first_word(text: &str) -> String {
    if KEYWORDS.contains(&text) { quoted(text) } else { word(text) }
}

/// A text as a word that is nothing but a text.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
