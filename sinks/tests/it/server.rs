//! A database of a test's own, and ways to look into it.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection, Row};
use tokio::runtime::Runtime;

const URL_VARIABLE: &str = "WATCHTOWER_POSTGRES_URL";
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// Dropped with its database.
pub struct Database {
    server: String,
    name: String,
}

impl Database {
    /// `None`, after a word, where there is no server.
    pub fn new() -> Option<Database> {
        let Some(server) = std::env::var(URL_VARIABLE).ok().filter(|url| !url.is_empty()) else {
            let why = format!(
                "set {URL_VARIABLE} to a PostgreSQL with PostGIS: cargo xtask services up starts one"
            );
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}");
            eprintln!("skipped: {why}");
            return None;
        };
        let number = DATABASES.fetch_add(1, Ordering::Relaxed);
        let name = format!("watchtower_test_{}_{number}", std::process::id());
        psql(&server, &format!("CREATE DATABASE {name}"));
        Some(Database { server, name })
    }

    pub fn url(&self) -> String {
        self.url_at(None)
    }

    /// The same database at another address.
    pub fn url_at(&self, address: Option<std::net::SocketAddr>) -> String {
        let (head, query) = self.server.split_once('?').map_or((&*self.server, None), |(h, q)| (h, Some(q)));
        let (scheme, rest) = head.split_once("://").expect("a URL");
        let authority = rest.split('/').next().unwrap_or(rest);
        let authority = match (address, authority.rsplit_once('@')) {
            (Some(address), Some((user, _))) => format!("{user}@{address}"),
            (Some(address), None) => address.to_string(),
            (None, _) => authority.to_owned(),
        };
        let query = query.map_or(String::new(), |query| format!("?{query}"));
        format!("{scheme}://{authority}/{}{query}", self.name)
    }

    /// Where the server is.
    pub fn address(&self) -> String {
        let options: PgConnectOptions = self.server.parse().expect("a URL");
        format!("{}:{}", options.get_host(), options.get_port())
    }

    pub fn session(&self) -> Session {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let url = self.url();
        let connection = runtime.block_on(PgConnection::connect(&url)).expect("a connection");
        Session { connection, runtime }
    }

    /// Ends all other sessions of the database, and says how many.
    pub fn kill_sessions(&self) -> usize {
        psql(
            &self.server,
            &format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE datname = '{}' AND application_name = 'watchtower'",
                self.name
            ),
        )
        .lines()
        .filter(|line| *line == "t")
        .count()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        if std::thread::panicking() {
            _ = Command::new("psql").args(["--quiet", "--command", &drop, &self.server]).output();
        } else {
            psql(&self.server, &drop);
        }
    }
}

fn psql(url: &str, sql: &str) -> String {
    let mut command = Command::new("psql");
    command.args(["--no-psqlrc", "--no-password", "--quiet", "--tuples-only", "--no-align"]);
    let output = command.args(["--command", sql, url]).output().expect("psql can be started");
    assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("psql prints UTF-8")
}

/// A connection of the test's own.
pub struct Session {
    connection: PgConnection,
    runtime: Runtime,
}

impl Session {
    /// Runs statements.
    pub fn run(&mut self, sql: &str) {
        let ran = self.runtime.block_on(sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.connection));
        ran.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// The first column of all rows as text; nulls are empty.
    pub fn texts(&mut self, sql: &str) -> Vec<String> {
        let rows = self.runtime.block_on(sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut self.connection));
        let rows = rows.unwrap_or_else(|error| panic!("{sql}: {error}"));
        rows.iter().map(|row| row.get::<Option<String>, _>(0).unwrap_or_default()).collect()
    }

    /// One number.
    pub fn number(&mut self, sql: &str) -> i64 {
        let sql = format!("SELECT ({sql})::bigint");
        let row = self.runtime.block_on(sqlx::query(AssertSqlSafe(&*sql)).fetch_one(&mut self.connection));
        row.unwrap_or_else(|error| panic!("{sql}: {error}")).get(0)
    }
}
