//! Writes work within one transaction; where rows are refused for what they hold, all but those.

use model::Table;
use sqlx::postgres::PgConnection;

use super::changes::{RowWrite, TableWork, Work};
use super::statements::Statement;
use crate::live::Written;

/// More gain nothing, and what is built for one statement stays small.
const ROWS_A_STATEMENT: usize = 10_000;

/// Whether an error is about what a row holds, so that the same row fails again.
pub(crate) fn is_about_data(error: &sqlx::Error) -> bool {
    let Some(code) = error.as_database_error().and_then(|error| error.code()) else { return false };
    // Data exceptions, integrity constraints, limits such as that of a key's size.
    ["22", "23", "54"].iter().any(|class| code.starts_with(class))
}

/// A transaction's writing.
pub(crate) struct Writer<'c> {
    connection: &'c mut PgConnection,
    /// Whether each statement can be taken back alone; else an error about data ends the transaction.
    is_careful: bool,
    /// Whether there may be dead letters of the rows that are written.
    has_dead_letters: bool,
    pub written: Written,
}

impl<'c> Writer<'c> {
    pub fn new(connection: &'c mut PgConnection, is_careful: bool, has_dead_letters: bool) -> Writer<'c> {
        Writer { connection, is_careful, has_dead_letters, written: Written::default() }
    }

    pub fn connection(&mut self) -> &mut PgConnection {
        self.connection
    }

    pub async fn write(&mut self, work: &Work<'_>) -> sqlx::Result<()> {
        for table in &work.tables {
            self.write_table(table).await?;
        }
        for rows in work.replaced.chunks(ROWS_A_STATEMENT) {
            self.run(Statement::Replaced(rows)).await?;
        }
        Ok(())
    }

    pub async fn write_table(&mut self, work: &TableWork<'_>) -> sqlx::Result<()> {
        if self.has_dead_letters {
            self.forget_dead_letters(work).await?;
        }
        for rows in work.deletes.chunks(ROWS_A_STATEMENT) {
            self.run(Statement::Delete(work.table, rows)).await?;
        }
        for rows in work.upserts.chunks(ROWS_A_STATEMENT) {
            self.run(Statement::Upsert(work.table, rows)).await?;
        }
        for unreadable in &work.unreadable {
            self.bury(work.table, &unreadable.row, &unreadable.reason).await?;
        }
        Ok(())
    }

    /// Adds rows of which none is there.
    pub async fn insert(&mut self, table: Table, rows: &[RowWrite<'_>]) -> sqlx::Result<()> {
        for rows in rows.chunks(ROWS_A_STATEMENT) {
            self.run(Statement::Insert(table, rows)).await?;
        }
        Ok(())
    }

    async fn run(&mut self, statement: Statement<'_, '_>) -> sqlx::Result<()> {
        if !self.is_careful {
            let rows = statement.run(self.connection).await?;
            self.count(rows, statement);
            return Ok(());
        }
        let mut waiting = vec![statement];
        while let Some(statement) = waiting.pop() {
            let Err(error) = self.try_run(statement).await? else { continue };
            match (statement.halves(), statement) {
                (Some([first, second]), _) => waiting.extend([second, first]),
                (None, Statement::Upsert(table, [row]) | Statement::Insert(table, [row])) => {
                    self.bury(table, row, &reason(&error)).await?;
                }
                // What is refused is not there to be removed, and is in the dead letters if it was a row.
                (None, _) => {}
            }
        }
        Ok(())
    }

    fn count(&mut self, rows: u64, statement: Statement<'_, '_>) {
        if !matches!(statement, Statement::Replaced(_)) {
            self.written.rows += rows;
        }
    }

    /// Runs a statement so that the transaction goes on if it fails for its data.
    async fn try_run(&mut self, statement: Statement<'_, '_>) -> sqlx::Result<Result<(), sqlx::Error>> {
        sqlx::query("SAVEPOINT careful").execute(&mut *self.connection).await?;
        match statement.run(self.connection).await {
            Ok(rows) => {
                self.count(rows, statement);
                sqlx::query("RELEASE SAVEPOINT careful").execute(&mut *self.connection).await?;
                Ok(Ok(()))
            }
            Err(error) if is_about_data(&error) => {
                sqlx::query("ROLLBACK TO SAVEPOINT careful").execute(&mut *self.connection).await?;
                Ok(Err(error))
            }
            Err(error) => Err(error),
        }
    }

    /// Puts a row among the dead letters, and takes what stood for its key out of the table: that is not true any
    /// more.
    async fn bury(&mut self, table: Table, row: &RowWrite<'_>, reason: &str) -> sqlx::Result<()> {
        let key = std::slice::from_ref(row);
        if !row.cells.is_empty() {
            // A key that can't be told is not in the table.
            _ = self.try_run(Statement::Delete(table, key)).await?;
        }
        sqlx::query(
            "INSERT INTO watchtower.dead_letters AS kept (table_name, row_key, row, reason, tick, cause, cause_seq) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (table_name, row_key) DO UPDATE SET \
             row = excluded.row, reason = excluded.reason, tick = excluded.tick, cause = excluded.cause, \
             cause_seq = excluded.cause_seq, refused_at = excluded.refused_at",
        )
        .bind(table.as_str())
        .bind(row.key)
        .bind(String::from_utf8_lossy(row.json).into_owned())
        .bind(reason.replace('\0', "\u{fffd}"))
        .bind(row.tick.cast_signed())
        .bind(row.cause)
        .bind(row.seq.map(u64::cast_signed))
        .execute(&mut *self.connection)
        .await?;
        self.written.dead_letters += 1;
        self.has_dead_letters = true;
        tracing::warn!(table = table.as_str(), tick = row.tick, reason, "PostgreSQL refused a row");
        Ok(())
    }

    /// The rows of these keys are judged anew.
    async fn forget_dead_letters(&mut self, work: &TableWork<'_>) -> sqlx::Result<()> {
        let keys: Vec<&[u8]> = work.upserts.iter().chain(&work.deletes).map(|row| row.key).collect();
        let sql = "DELETE FROM watchtower.dead_letters WHERE table_name = $1 AND row_key = ANY($2)";
        sqlx::query(sql).bind(work.table.as_str()).bind(keys).execute(&mut *self.connection).await?;
        Ok(())
    }
}

/// What the database said, with its code.
fn reason(error: &sqlx::Error) -> String {
    match error.as_database_error() {
        Some(said) => format!("{} ({})", said.message(), said.code().unwrap_or_default()),
        None => error.to_string(),
    }
}
