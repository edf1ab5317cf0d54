//! A database of a test's own, by way of `psql`.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use super::succeed;

static DATABASES: AtomicU32 = AtomicU32::new(0);

/// A database of a test's own; dropped with this.
pub struct Database {
    server: String,
    name: String,
}

impl Database {
    pub fn new() -> Option<Database> {
        let server = crate::postgis::server::find()?;
        let number = DATABASES.fetch_add(1, Ordering::Relaxed);
        let name = format!("watchtower_it_{}_{number}", std::process::id());
        psql(&server, &format!("CREATE DATABASE {name}"));
        Some(Database { server, name })
    }

    pub fn url(&self) -> String {
        let (head, _) = self.server.rsplit_once('/').expect("a URL with a database");
        format!("{head}/{}", self.name)
    }

    /// The setting that has tables kept in it.
    pub fn sink_setting(&self) -> String {
        format!("sinks.postgres.url={}", self.url())
    }

    /// What `psql` prints: rows as lines, without titles.
    pub fn ask(&self, sql: &str) -> String {
        psql(&self.url(), sql)
    }

    /// The same of the database that tests were given, from which others can be closed.
    pub fn ask_server(&self, sql: &str) -> String {
        psql(&self.server, sql)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        _ = Command::new("psql").args(["--no-psqlrc", "--quiet", "--command", &sql, &self.server]).output();
    }
}

fn psql(url: &str, sql: &str) -> String {
    let mut psql = Command::new("psql");
    psql.args([
        "--no-psqlrc",
        "--no-password",
        "--quiet",
        "--tuples-only",
        "--no-align",
        "--command",
        sql,
        url,
    ]);
    let said = String::from_utf8(succeed(&mut psql).stdout).expect("psql prints UTF-8");
    said.trim_end().to_owned()
}
