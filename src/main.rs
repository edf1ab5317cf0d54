//! `watchtower`: the command line. Parses arguments and hands over to the crates that do the work.

mod args;
mod control;
mod folder;
mod load;
mod logging;
mod progress;
mod replay;
mod run;
mod work;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command, ConfigCommand, DeadLettersCommand, JournalCommand};
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
        Err(error) => {
            eprintln!("watchtower: {error:#}");
            ExitCode::from(if error.is::<Usage>() { 2 } else { 1 })
        }
    }
}

fn dispatch(args: Args) -> anyhow::Result<Outcome> {
    match args.command.unwrap_or_default() {
        Command::Replay(options) => replay::run(&options),
        Command::Config(ConfigCommand::Example) => {
            print!("{}", pipeline::config::EXAMPLE);
            Ok(Outcome::Done)
        }
        Command::Config(ConfigCommand::Check { file }) => {
            args::load_config(Some(&file), &[])?;
            println!("{} is good", file.display());
            Ok(Outcome::Done)
        }
        Command::Config(ConfigCommand::Show(options)) => {
            let config = args::load_config(options.config.as_deref(), &options.set)?;
            print!("{}", config.to_masked_toml());
            Ok(Outcome::Done)
        }
        Command::Run(options) => run::run(&options),
        Command::Journal(JournalCommand::Export { data }) => folder::ask(&data, &Request::Export),
        Command::Verify(options) => {
            let workers = options.workers.map_or(1, usize::from);
            folder::ask(&options.data, &Request::Verify { workers })
        }
        Command::Simulate(options) => load::simulate(&options),
        Command::Send(options) => load::send(&options),
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
                program: std::env::current_exe()?,
            })?;
            Ok(Outcome::Done)
        }
    }
}
