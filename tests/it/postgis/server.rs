//! The server, by way of `psql`: rows in bulk, questions, and rows back.

use std::fmt::Write as _;
use std::process::Command;

use crate::common::{skip, succeed};

/// Where the server is. `cargo xtask test` starts one and sets it.
const URL_VARIABLE: &str = "WATCHTOWER_POSTGRES_URL";

/// The URL; `None`, after a word, where there is none.
pub fn find() -> Option<String> {
    let url = std::env::var(URL_VARIABLE).ok().filter(|url| !url.is_empty());
    if url.is_none() {
        skip(&format!("set {URL_VARIABLE} to a PostgreSQL with PostGIS: cargo xtask services up starts one"));
    }
    url
}

/// What is asked in one session; its tables are temporary, so that nothing remains and many may run at once.
pub struct Script {
    sql: String,
}

impl Script {
    pub fn new() -> Script {
        Script { sql: "SET client_min_messages = warning;\nSET jit = off;\n".to_owned() }
    }

    /// Makes a table with a key in its first column, and fills it; fields of a row are divided by tabs.
    pub fn table(&mut self, name: &str, columns: &str, rows: impl IntoIterator<Item = String>) {
        let key = columns.split(' ').next().expect("a column");
        writeln!(self.sql, "CREATE TEMP TABLE {name} ({columns});\nCOPY {name} FROM STDIN;").expect("memory");
        for row in rows {
            self.sql.push_str(&row);
            self.sql.push('\n');
        }
        writeln!(self.sql, "\\.\nCREATE INDEX ON {name} ({key});\nANALYZE {name};").expect("memory");
    }

    pub fn statement(&mut self, sql: &str) {
        self.sql.push_str(sql);
        self.sql.push_str(";\n");
    }

    /// Runs it; the rows of its queries, one after the other.
    pub fn run(&self, url: &str) -> Vec<Vec<String>> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("script.sql");
        std::fs::write(&file, &self.sql).expect("the script can be kept");
        let mut psql = Command::new("psql");
        psql.args(["--no-psqlrc", "--no-password", "--quiet", "--set", "ON_ERROR_STOP=1"]);
        psql.args(["--tuples-only", "--no-align", "--field-separator", " ", "--file"]).arg(&file).arg(url);
        let rows = String::from_utf8(succeed(&mut psql).stdout).expect("psql prints UTF-8");
        rows.lines().map(|row| row.split(' ').map(str::to_owned).collect()).collect()
    }
}

/// A field of a row.
pub fn number<T: std::str::FromStr>(field: &str) -> T {
    field.parse().unwrap_or_else(|_| panic!("{field:?} is not the number that was asked for"))
}

/// A field of a row.
pub fn truth(field: &str) -> bool {
    match field {
        "t" => true,
        "f" => false,
        other => panic!("{other:?} is neither true nor false"),
    }
}
