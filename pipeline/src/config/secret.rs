//! Secrets in the configuration: `env:NAME`, `file:PATH`, or the secret itself (with a warning).

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// A secret, or where it is. Never printed.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

/// Why a secret could not be read; says where it should be, not what it is.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum SecretError {
    #[error("the environment variable {0} is not set")]
    NoVariable(String),
    #[error("the secret's file {path} cannot be read: {error}")]
    NoFile { path: String, error: std::io::Error },
    #[error("a secret is empty")]
    Empty,
}

impl Secret {
    /// The secret's bytes.
    pub fn read(&self) -> Result<Vec<u8>, SecretError> {
        let text = if let Some(name) = self.0.strip_prefix("env:") {
            std::env::var(name).map_err(|_| SecretError::NoVariable(name.to_owned()))?
        } else if let Some(path) = self.0.strip_prefix("file:") {
            let text = std::fs::read_to_string(path)
                .map_err(|error| SecretError::NoFile { path: path.to_owned(), error })?;
            text.trim_end_matches(['\n', '\r']).to_owned()
        } else {
            self.0.clone()
        };
        if text.is_empty() {
            return Err(SecretError::Empty);
        }
        Ok(text.into_bytes())
    }

    /// Whether the secret stands in the configuration itself.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        !self.0.starts_with("env:") && !self.0.starts_with("file:")
    }

    fn shown(&self) -> &str {
        if self.is_literal() { "********" } else { &self.0 }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shown())
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.shown())
    }
}
