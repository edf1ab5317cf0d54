//! The connection: what the table has, what changed, and what is written back.

use std::str::FromStr as _;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Row as _};

use super::Row;
use super::table::{CHANNEL, Statements, TRIGGER, TableName, table_sql, trigger_sql};

/// How long the database may take for an answer.
const PATIENCE: Duration = Duration::from_secs(90);
/// The most rows that a table may have.
const MAX_ROWS: usize = 500_000;

/// Where the table is.
#[derive(Clone)]
pub struct ClientOptions {
    connect: PgConnectOptions,
    /// Its name.
    pub table: TableName,
    /// Whether it is made where there is none.
    pub may_create: bool,
}

impl ClientOptions {
    /// From a URL such as `postgres://user:password@host:5432/database`. What is wrong with one is told without it.
    pub fn new(url: &str, table: TableName, may_create: bool) -> Result<ClientOptions, String> {
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err("it must begin with postgres:// or postgresql://".to_owned());
        }
        let connect = PgConnectOptions::from_str(url).map_err(|_| "it is not a URL of a database")?;
        // Whoever edits a row keeps its lock; it is marked later then.
        let limits = [("lock_timeout", "3s"), ("statement_timeout", "80s")];
        let connect = connect.application_name("watchtower-fences").options(limits);
        Ok(ClientOptions { connect: connect.disable_statement_logging(), table, may_create })
    }

    /// Host, port and database, for the log.
    #[must_use]
    pub fn target(&self) -> String {
        let of = &self.connect;
        format!("{}:{}/{}", of.get_host(), of.get_port(), of.get_database().unwrap_or(of.get_username()))
    }
}

/// Why the table could not be read or marked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// What the database said.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// It said nothing.
    #[error("the database did not answer within {} s", PATIENCE.as_secs())]
    Silent,
    /// The table is not as it must be.
    #[error("{0}")]
    Table(String),
}

impl ClientError {
    /// Whether it is about what rows hold, so that the same rows fail again and the connection is as good as before.
    #[must_use]
    pub fn is_about_data(&self) -> bool {
        // By XX000 PostGIS tells of geometries that it can't work with.
        self.has_code(&["22", "23", "54", "XX000"])
    }

    /// Whether somebody else holds rows, so that it is to be tried again later.
    #[must_use]
    pub fn is_about_locks(&self) -> bool {
        self.has_code(&["55P03", "40P01", "40001", "57014"])
    }

    /// Whether nobody allowed what was asked.
    #[must_use]
    pub fn is_about_privilege(&self) -> bool {
        self.has_code(&["42501"])
    }

    /// Whether it is something else than a table, so that no trigger can be made.
    fn is_about_kind(&self) -> bool {
        self.has_code(&["42809", "0A000"])
    }

    fn has_code(&self, classes: &[&str]) -> bool {
        let ClientError::Database(error) = self else { return false };
        let Some(code) = error.as_database_error().and_then(|error| error.code()) else { return false };
        classes.iter().any(|class| code.starts_with(class))
    }
}

/// What tells one state of a row from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// The row.
    pub id: String,
    /// Another one where anything of it is another.
    pub digest: i64,
    /// The size of its geometry.
    pub bytes: u64,
}

/// What is written into a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The row.
    pub id: String,
    /// Why it is refused, if it is.
    pub error: Option<String>,
    /// The tick in which it was accepted last.
    pub tick: Option<u64>,
}

/// A connection to the table.
pub struct Client {
    listener: PgListener,
    statements: Statements,
}

async fn answered<T>(work: impl Future<Output = sqlx::Result<T>>) -> Result<T, ClientError> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(ClientError::Silent),
    }
}

impl Client {
    /// Connects, makes what is missing where it may, and listens.
    pub async fn connect(options: &ClientOptions) -> Result<Client, ClientError> {
        let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(Duration::from_secs(30));
        let pool = pool.connect_lazy_with(options.connect.clone());
        let mut listener = answered(PgListener::connect_with(&pool)).await?;
        listener.eager_reconnect(false);
        answered(listener.listen(CHANNEL)).await?;
        let columns = prepare(&mut listener, options).await?;
        let statements = Statements::new(&options.table, &columns, MAX_ROWS).map_err(ClientError::Table)?;
        if statements.mark.is_none() {
            tracing::info!(
                table = %options.table,
                "the table has no columns watchtower_error, watchtower_tick, watchtower_accepted_at: nothing is written to it"
            );
        }
        Ok(Client { listener, statements })
    }

    /// All rows of the table as of one moment, by id.
    pub async fn digests(&mut self) -> Result<Vec<Digest>, ClientError> {
        let query = sqlx::query(AssertSqlSafe(self.statements.digests.as_str()));
        let rows = answered(query.fetch_all(&mut self.listener)).await?;
        if rows.len() > MAX_ROWS {
            return Err(ClientError::Table(format!("the table has more than {MAX_ROWS} rows")));
        }
        let digest = |row: &PgRow| {
            let bytes = row.try_get::<i64, _>(2)?.unsigned_abs();
            Ok(Digest { id: row.try_get(0)?, digest: row.try_get(1)?, bytes })
        };
        let mut digests: Vec<Digest> = rows.iter().map(digest).collect::<sqlx::Result<_>>()?;
        digests.sort_by(|a, b| a.id.cmp(&b.id));
        match digests.windows(2).find(|pair| pair[0].id == pair[1].id) {
            Some(pair) => {
                Err(ClientError::Table(format!("two rows of the table have the id {:?}", pair[0].id)))
            }
            None => Ok(digests),
        }
    }

    /// Rows in full, as far as they are still there. One that the database can't tell is told as such.
    pub async fn rows(&mut self, ids: &[&str]) -> Result<Vec<Row>, ClientError> {
        match self.read(ids).await {
            Err(error) if error.is_about_data() && ids.len() > 1 => {}
            Err(error) if error.is_about_data() => return Ok(vec![unreadable(ids[0], &error)]),
            other => return other,
        }
        let mut rows = Vec::with_capacity(ids.len());
        for id in ids {
            match self.read(&[id]).await {
                Ok(one) => rows.extend(one),
                Err(error) if error.is_about_data() => rows.push(unreadable(id, &error)),
                Err(error) => return Err(error),
            }
        }
        Ok(rows)
    }

    async fn read(&mut self, ids: &[&str]) -> Result<Vec<Row>, ClientError> {
        let query = sqlx::query(AssertSqlSafe(self.statements.rows.as_str())).bind(ids);
        let rows = answered(query.fetch_all(&mut self.listener)).await?;
        Ok(rows.iter().map(row).collect::<sqlx::Result<_>>()?)
    }

    /// Writes into rows why they are refused, or when they were accepted.
    pub async fn mark(&mut self, marks: &[Mark]) -> Result<(), ClientError> {
        let Some(sql) = &self.statements.mark else { return Ok(()) };
        let ids: Vec<&str> = marks.iter().map(|mark| mark.id.as_str()).collect();
        let errors: Vec<Option<&str>> = marks.iter().map(|mark| mark.error.as_deref()).collect();
        let ticks: Vec<Option<i64>> = marks.iter().map(|mark| mark.tick.map(u64::cast_signed)).collect();
        let query = sqlx::query(AssertSqlSafe(sql.as_str())).bind(ids).bind(errors).bind(ticks);
        answered(query.execute(&mut self.listener)).await?;
        Ok(())
    }

    /// Waits until somebody tells of a change.
    pub async fn changed(&mut self) -> Result<(), ClientError> {
        match self.listener.try_recv().await? {
            Some(_) => {
                while self.listener.next_buffered().is_some() {}
                Ok(())
            }
            None => Err(ClientError::Table("the connection was lost".to_owned())),
        }
    }
}

/// Makes the table and its trigger where they are missing and may be made, and gives the table's columns.
async fn prepare(listener: &mut PgListener, options: &ClientOptions) -> Result<Vec<String>, ClientError> {
    let name = &options.table;
    let mut columns = columns(listener, name).await?;
    if columns.is_empty() {
        if !options.may_create {
            let why = format!("there is no table {name}; `watchtower migrate fences` prints what makes one");
            return Err(ClientError::Table(why));
        }
        answered(sqlx::raw_sql(AssertSqlSafe(table_sql(name))).execute(&mut *listener)).await?;
        tracing::info!(table = %name, "made the table of fences");
        columns = self::columns(listener, name).await?;
    }
    let sql = "SELECT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = to_regclass($1) AND tgname = $2)";
    let has_trigger = sqlx::query_scalar(sql).bind(name.quoted()).bind(TRIGGER);
    let has_trigger: bool = answered(has_trigger.fetch_one(&mut *listener)).await?;
    if has_trigger || !options.may_create {
        return Ok(columns);
    }
    match answered(sqlx::raw_sql(AssertSqlSafe(trigger_sql(name, &columns))).execute(listener)).await {
        Ok(_) => Ok(columns),
        Err(error) if error.is_about_privilege() || error.is_about_kind() => {
            tracing::info!(table = %name, "the table has no trigger that tells of changes: they are found by sweeps");
            Ok(columns)
        }
        Err(error) => Err(error),
    }
}

/// The columns of the table; none where there is no such table.
async fn columns(listener: &mut PgListener, name: &TableName) -> Result<Vec<String>, ClientError> {
    let sql = "SELECT attname::text FROM pg_attribute \
               WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped";
    let columns = sqlx::query_scalar(sql).bind(name.quoted());
    answered(columns.fetch_all(listener)).await
}

fn row(row: &PgRow) -> sqlx::Result<Row> {
    Ok(Row {
        id: row.try_get(0)?,
        kind: row.try_get(1)?,
        srid: row.try_get(2)?,
        is_empty: row.try_get(3)?,
        points: row.try_get(4)?,
        geometry: row.try_get(5)?,
        properties: row.try_get(6)?,
        unreadable: None,
        noted_error: row.try_get(7)?,
        noted_tick: row.try_get(8)?,
        digest: row.try_get(9)?,
    })
}

fn unreadable(id: &str, error: &ClientError) -> Row {
    Row {
        id: id.to_owned(),
        unreadable: Some(error.to_string()),
        properties: "{}".to_owned(),
        ..Row::default()
    }
}
