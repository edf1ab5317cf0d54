//! NDJSON files of derived rows: one file a table as of the end, and the changelog where asked for.

mod config;
mod sink;
#[cfg(test)]
mod tests;

pub use config::FilesConfig;
pub use sink::FilesSink;
