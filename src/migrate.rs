//! `watchtower migrate`: the schema of the database that derived tables are kept in.

use std::fmt::Write as _;

use anyhow::Context;
use pipeline::config::Config;
use sinks::postgres::{OldRows, PostgresConfig, old_rows, schema};

use crate::args::{MigrateCommand, load_config};
use crate::targets::Targets;
use crate::{Outcome, Usage, postgis_input, print};

pub fn run(command: &MigrateCommand) -> anyhow::Result<Outcome> {
    let (MigrateCommand::Up(at)
    | MigrateCommand::Down { config: at, .. }
    | MigrateCommand::Status(at)
    | MigrateCommand::Old(at)
    | MigrateCommand::Fences(at)) = command;
    let config = load_config(at.config.as_deref(), &at.set)?;
    match command {
        MigrateCommand::Up(_) => {
            let database = database(&config)?;
            told("up", &schema::migrate_to(&database, None).with_context(|| failed(&database))?)
        }
        MigrateCommand::Down { to, .. } => down(&database(&config)?, *to),
        MigrateCommand::Status(_) => {
            let database = database(&config)?;
            let mut text = String::new();
            for migration in schema::status(&database).with_context(|| failed(&database))? {
                let state = if migration.is_applied { "applied" } else { "missing" };
                writeln!(text, "{} {state}", migration.name)?;
            }
            print(&text)
        }
        MigrateCommand::Old(_) => {
            let (now, old) = old_rows(&database(&config)?)?;
            let mut text = format!("as of {now}\n");
            for OldRows { table, before, rows } in old {
                writeln!(text, "{table}: {rows} rows from before {before} are there, and go")?;
            }
            print(&text)
        }
        MigrateCommand::Fences(_) => print(&postgis_input::schema(&config)?),
    }
}

fn database(config: &Config) -> anyhow::Result<PostgresConfig> {
    Targets::new(config)?.postgres.ok_or_else(|| {
        let why = "no database is configured: set sinks.postgres.url, for example --set sinks.postgres.url=postgres://user@localhost/watchtower";
        Usage(why.to_owned()).into()
    })
}

fn failed(database: &PostgresConfig) -> String {
    format!("the database {} could not be migrated", database.target())
}

fn down(database: &PostgresConfig, to: Option<u32>) -> anyhow::Result<Outcome> {
    let applied = applied(database).with_context(|| failed(database))?;
    let to = to.unwrap_or(applied.saturating_sub(1));
    if to > applied {
        return Err(Usage(format!("the database is at migration {applied}, which is below {to}")).into());
    }
    told("down", &schema::migrate_to(database, Some(to)).with_context(|| failed(database))?)
}

fn applied(database: &PostgresConfig) -> anyhow::Result<u32> {
    let all = schema::status(database)?;
    Ok(all
        .iter()
        .filter(|migration| migration.is_applied)
        .map(|migration| migration.version)
        .max()
        .unwrap_or(0))
}

fn told(direction: &str, ran: &[&str]) -> anyhow::Result<Outcome> {
    if ran.is_empty() {
        return print("nothing to migrate\n");
    }
    print(&ran.iter().map(|name| format!("{name} {direction}\n")).collect::<String>())
}
