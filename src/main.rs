//! `watchtower`: the command line. Parses arguments and hands over to the crates that do the work.

mod archive;
mod args;
mod backfill;
mod backup;
mod control;
mod explain;
mod folder;
mod journal_of;
mod kafka_input;
mod load;
mod logging;
#[cfg(feature = "postgres")]
mod migrate;
mod postgis_input;
mod progress;
#[cfg(feature = "postgres")]
mod referee;
mod replay;
mod run;
mod snapshots;
mod targets;
mod work;

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use args::{
    ArchiveCommand, Args, Command, ConfigCommand, DeadLettersCommand, ExplainCommand, JournalCommand,
    SnapshotsCommand,
};
use control::Request;

/// Small rows and batches come and go all the time; the system's allocator was a quarter of the graph's time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How a command ends: the contract's exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Done.
    Done,
    /// Failed, a difference found, input cut short, or a bad line with `--strict`.
    Failed,
}

/// An error that is the user's to mend: wrong usage, or a file that cannot be used at all.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

fn main() -> ExitCode {
    let args = Args::parse();
    match dispatch(args) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => ExitCode::from(1),
        // Whoever reads our output has had enough: `journal export | head`.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("watchtower: {}", told_once(&error));
            ExitCode::from(if error.is::<Usage>() { 2 } else { 1 })
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let is = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
    };
    error.chain().any(is)
}

/// An error with its causes, but those that it tells already.
fn told_once(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Writes to standard output; a full disk is an error, not a panic.
fn print(text: &str) -> anyhow::Result<Outcome> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("standard output cannot be written")?;
    Ok(Outcome::Done)
}

fn dispatch(args: Args) -> anyhow::Result<Outcome> {
    match args.command.unwrap_or_default() {
        Command::Replay(options) => replay::run(&options),
        Command::Config(ConfigCommand::Example) => print(pipeline::config::EXAMPLE),
        Command::Config(ConfigCommand::Check { file }) => {
            run::check(&args::load_config(Some(&file), &[])?)?;
            print(&format!("{} is good\n", file.display()))
        }
        Command::Config(ConfigCommand::Show(options)) => {
            let config = args::load_config(options.config.as_deref(), &options.set)?;
            print(&config.to_masked_toml())
        }
        Command::Run(options) => run::run(&options),
        Command::Journal(JournalCommand::Export { data }) => folder::ask(&data, &Request::Export),
        Command::Backfill(options) => backfill::run(&options),
        Command::Verify(options) => {
            let workers = options.workers.map_or(1, usize::from);
            let config = args::load_config(options.config.config.as_deref(), &options.config.set)?;
            let targets = Box::new(targets::Targets::new(&config)?);
            let request = if options.postgis {
                Request::Referee { share: options.sample.unwrap_or(1.0), targets }
            } else {
                Request::Verify { workers, targets }
            };
            folder::ask(&options.data, &request)
        }
        Command::Explain(ExplainCommand::Visit { id, data, json }) => {
            folder::ask(&data, &Request::ExplainVisit { id: id.0, json })
        }
        #[cfg(feature = "postgres")]
        Command::Migrate(command) => migrate::run(&command),
        Command::Simulate(options) => load::simulate(&options),
        Command::Send(options) => load::send(&options),
        Command::Backup { file, data } => backup::backup(&data, &file),
        Command::Restore { file, data } => backup::restore(&file, &data),
        Command::Snapshots(SnapshotsCommand::List { data, workers }) => snapshots::list(&data, workers),
        Command::Snapshots(SnapshotsCommand::Take { data, config }) => snapshots::take(&data, &config),
        Command::Archive(ArchiveCommand::List { data }) => folder::ask(&data, &Request::ListArchive),
        Command::Archive(ArchiveCommand::Take { data, after_days, dry_run }) => {
            folder::ask(&data, &Request::Archive { after_days, is_rehearsal: dry_run })
        }
        Command::DeadLetters(DeadLettersCommand::List { data }) => {
            folder::ask(&data, &Request::ListDeadLetters)
        }
        Command::DeadLetters(DeadLettersCommand::Show { id, data }) => {
            folder::ask(&data, &Request::ShowDeadLetter { id })
        }
        Command::DeadLetters(DeadLettersCommand::Replay { ids, data }) => {
            folder::ask(&data, &Request::ReplayDeadLetters { ids })
        }
        Command::Bench(options) => {
            let unknown = options.names.iter().find(|name| !bench::measure::NAMES.contains(&name.as_str()));
            if let Some(unknown) = unknown {
                let known = bench::measure::NAMES.join(", ");
                return Err(Usage(format!("there is no benchmark {unknown:?}; known are {known}")).into());
            }
            bench::measure::run(&bench::measure::Options {
                names: options.names,
                json: options.json,
                quick: options.quick,
                fences: options.fences,
                only: options.only,
                fixes: options.fixes,
                days: options.days,
                program: std::env::current_exe()?,
            })?;
            Ok(Outcome::Done)
        }
    }
}
