//! `watchtower migrate`: the schema of the database that derived tables are kept in.

use std::fmt::Write as _;

use anyhow::Context;
use sinks::postgres::{PostgresConfig, schema};

use crate::args::{MigrateCommand, load_config};
use crate::targets::Targets;
use crate::{Outcome, Usage, print};

pub fn run(command: &MigrateCommand) -> anyhow::Result<Outcome> {
    let (MigrateCommand::Up(at) | MigrateCommand::Down { config: at, .. } | MigrateCommand::Status(at)) =
        command;
    let config = load_config(at.config.as_deref(), &at.set)?;
    let Some(database) = Targets::new(&config)?.postgres else {
        let why = "no database is configured: set sinks.postgres.url, for example --set sinks.postgres.url=postgres://user@localhost/watchtower";
        return Err(Usage(why.to_owned()).into());
    };
    let context = || format!("the database {} could not be migrated", database.target());
    match command {
        MigrateCommand::Up(_) => told("up", &schema::migrate_to(&database, None).with_context(context)?),
        MigrateCommand::Down { to, .. } => {
            let to = match to {
                Some(to) => *to,
                None => applied(&database).with_context(context)?.saturating_sub(1),
            };
            let applied = applied(&database).with_context(context)?;
            if to > applied {
                return Err(
                    Usage(format!("the database is at migration {applied}, which is below {to}")).into()
                );
            }
            told("down", &schema::migrate_to(&database, Some(to)).with_context(context)?)
        }
        MigrateCommand::Status(_) => {
            let mut text = String::new();
            for migration in schema::status(&database).with_context(context)? {
                let state = if migration.is_applied { "applied" } else { "missing" };
                writeln!(text, "{} {state}", migration.name)?;
            }
            print(&text)
        }
    }
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
