//! The schema's migrations: numbered, each with a way back, one transaction each.

use anyhow::{Context, bail};
use sqlx::Connection;
use sqlx::postgres::PgConnection;

/// A step of the schema.
struct Migration {
    name: &'static str,
    up: &'static str,
    down: &'static str,
}

macro_rules! migration {
    ($name:literal) => {
        Migration {
            name: $name,
            up: include_str!(concat!("migrations/", $name, ".up.sql")),
            down: include_str!(concat!("migrations/", $name, ".down.sql")),
        }
    };
}

/// In order; a version is the place in it, from 1. What was released never changes.
const MIGRATIONS: &[Migration] = &[
    migration!("0001_derived_tables"),
    migration!("0002_metrics"),
    migration!("0003_roles"),
    migration!("0004_journal"),
    migration!("0005_retention"),
];

/// Held while the schema is looked at and changed: "watchtow" in ASCII.
const LOCK: i64 = 0x7761_7463_6874_6f77;

/// The newest version that this release knows.
#[must_use]
pub fn newest_version() -> u32 {
    MIGRATIONS.len() as u32
}

/// A migration and whether the database has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MigrationStatus {
    /// Its number.
    pub version: u32,
    /// Its name.
    pub name: &'static str,
    /// Whether the database has it.
    pub is_applied: bool,
}

/// The database was migrated by a newer release.
#[derive(Debug, thiserror::Error)]
#[error(
    "the database has migration {found}, this release knows {known}: use the newer release, or go back with it \
     (`watchtower migrate down --to {known}`)"
)]
pub struct NewerSchema {
    found: u32,
    known: u32,
}

/// What the database has and has not.
pub async fn status(connection: &mut PgConnection) -> anyhow::Result<Vec<MigrationStatus>> {
    let applied = applied_version(connection).await?;
    let all = (1..).zip(MIGRATIONS);
    Ok(all
        .map(|(version, migration)| MigrationStatus {
            version,
            name: migration.name,
            is_applied: version <= applied,
        })
        .collect())
}

/// Brings the schema to a version, and gives the names of the migrations that were run.
pub async fn migrate_to(connection: &mut PgConnection, version: u32) -> anyhow::Result<Vec<&'static str>> {
    if version > newest_version() {
        bail!("there is no migration {version}; the newest one is {}", newest_version());
    }
    sqlx::query("SELECT pg_advisory_lock($1)").bind(LOCK).execute(&mut *connection).await?;
    let ran = migrate_locked(connection, version).await;
    sqlx::query("SELECT pg_advisory_unlock($1)").bind(LOCK).execute(&mut *connection).await?;
    ran
}

/// Brings the schema to this release's version.
pub async fn migrate_up(connection: &mut PgConnection) -> anyhow::Result<Vec<&'static str>> {
    migrate_to(connection, newest_version()).await
}

/// The version that the database has; 0 where it has none.
pub async fn applied_version(connection: &mut PgConnection) -> anyhow::Result<u32> {
    let sql = "SELECT to_regclass('watchtower.migrations') IS NOT NULL";
    let has_table: bool = sqlx::query_scalar(sql).fetch_one(&mut *connection).await?;
    if !has_table {
        return Ok(0);
    }
    let sql = "SELECT coalesce(max(version), 0) FROM watchtower.migrations";
    let version: i32 = sqlx::query_scalar(sql).fetch_one(&mut *connection).await?;
    let found = version.unsigned_abs();
    if found > newest_version() {
        return Err(NewerSchema { found, known: newest_version() }.into());
    }
    Ok(found)
}

async fn migrate_locked(connection: &mut PgConnection, to: u32) -> anyhow::Result<Vec<&'static str>> {
    let mut ran = Vec::new();
    let mut applied = applied_version(connection).await?;
    if applied == 0 && to > 0 {
        make_register(connection).await.context("the schema watchtower could not be made")?;
    }
    while applied != to {
        let is_up = applied < to;
        let version = if is_up { applied + 1 } else { applied };
        let Some(migration) = MIGRATIONS.get(version as usize - 1) else { break };
        let direction = if is_up { "up" } else { "down" };
        run(connection, version, migration, is_up)
            .await
            .with_context(|| format!("migration {} {direction} failed", migration.name))?;
        ran.push(migration.name);
        applied = if is_up { version } else { version - 1 };
    }
    Ok(ran)
}

async fn make_register(connection: &mut PgConnection) -> sqlx::Result<()> {
    // Asked of whoever may make none too: an administrator may have made it.
    let sql = "SELECT to_regnamespace('watchtower') IS NOT NULL";
    let has_schema: bool = sqlx::query_scalar(sql).fetch_one(&mut *connection).await?;
    if !has_schema {
        sqlx::query("CREATE SCHEMA watchtower").execute(&mut *connection).await?;
    }
    let sql = "CREATE TABLE IF NOT EXISTS watchtower.migrations (
        version integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())";
    sqlx::query(sql).execute(connection).await?;
    Ok(())
}

async fn run(
    connection: &mut PgConnection,
    version: u32,
    migration: &Migration,
    is_up: bool,
) -> sqlx::Result<()> {
    let mut transaction = connection.begin().await?;
    let script = if is_up { migration.up } else { migration.down };
    sqlx::raw_sql(script).execute(&mut *transaction).await?;
    let register = if is_up {
        sqlx::query("INSERT INTO watchtower.migrations (version, name) VALUES ($1, $2)")
            .bind(version.cast_signed())
            .bind(migration.name)
    } else {
        sqlx::query("DELETE FROM watchtower.migrations WHERE version = $1").bind(version.cast_signed())
    };
    register.execute(&mut *transaction).await?;
    transaction.commit().await
}
