//! Arguments of all commands.

use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, Parser, Subcommand};
use model::{TimeMs, VisitId};
use pipeline::config::Config;

use crate::Usage;

/// A stream processor for fleets: positions in, geofence visits out that stay right.
#[derive(Parser)]
#[command(name = "watchtower", version, about)]
pub struct Args {
    /// What to do; without a command: run.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Where settings come from.
#[derive(ClapArgs, Clone, Default)]
pub struct ConfigArgs {
    /// A TOML file of settings (see `config example`).
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A setting, which wins over the file and the environment; may be repeated.
    #[arg(long, value_name = "NAME=VALUE")]
    pub set: Vec<String>,
}

/// All commands.
#[derive(Subcommand)]
pub enum Command {
    /// Run the service: webhooks, records, live map, query API (the default).
    Run(RunArgs),
    /// Send files through the same graph, without a service or a wall clock, and write what comes out.
    Replay(ReplayArgs),
    /// Look into the journal.
    #[command(subcommand)]
    Journal(JournalCommand),
    /// Put a period right: with what came too late for it, and with positions of files.
    Backfill(BackfillArgs),
    /// Recompute everything from the journal and compare it with what is kept, in configured sinks too.
    Verify(VerifyArgs),
    /// Tell why a derived row is as it is.
    #[command(subcommand)]
    Explain(ExplainCommand),
    /// Write a simulated fleet and what must come of it.
    Simulate(SimulateArgs),
    /// Post the records of a file to a running service.
    Send(SendArgs),
    /// Measure.
    Bench(BenchArgs),
    /// Write all that a data folder has to a file; of a folder in use its service does.
    Backup {
        /// The file, which must not be there yet.
        file: PathBuf,
        /// The data folder.
        #[arg(long, value_name = "DIR", default_value = "data")]
        data: PathBuf,
    },
    /// Make a data folder of a backup.
    Restore {
        /// The backup.
        file: PathBuf,
        /// The data folder, which must not be there yet.
        #[arg(long, value_name = "DIR", default_value = "data")]
        data: PathBuf,
    },
    /// Look after snapshots, which make starts short.
    #[command(subcommand)]
    Snapshots(SnapshotsCommand),
    /// Look after the journal's older days, which are files of Parquet.
    #[command(subcommand)]
    Archive(ArchiveCommand),
    /// Change the schema of the database that derived tables are kept in.
    #[cfg(feature = "postgres")]
    #[command(subcommand)]
    Migrate(MigrateCommand),
    /// Look after records that could not be used.
    #[command(subcommand, name = "dead-letters")]
    DeadLetters(DeadLettersCommand),
    /// Show and check settings.
    #[command(subcommand)]
    Config(ConfigCommand),
}

impl Default for Command {
    fn default() -> Self {
        Command::Run(RunArgs::default())
    }
}

/// `run`
#[derive(ClapArgs, Clone, Default)]
pub struct RunArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The data folder [default: ./data, with --demo ./data-demo].
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Address and port to serve on [default: 127.0.0.1:8090].
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Drive a simulated Lagos fleet into the service.
    #[arg(long)]
    pub demo: bool,
    /// Start although the machine's clock does not fit the journal's last instant.
    #[arg(long)]
    pub accept_clock: bool,
}

/// `replay`
#[derive(ClapArgs, Clone)]
pub struct ReplayArgs {
    /// CSV, NDJSON or GeoJSON files, also .gz and .zst; GeoJSON is read first.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub config: ConfigArgs,
    /// A last record: time has passed until then.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub clock: Option<TimeMs>,
    /// Threads of the graph.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: Option<u16>,
    /// Where the tables are written; without it only the summary is printed.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Write the changelog too.
    #[arg(long, requires = "out")]
    pub changes: bool,
    /// Stop at the first bad line.
    #[arg(long)]
    pub strict: bool,
}

/// `journal`
#[derive(Subcommand)]
pub enum JournalCommand {
    /// Print every accepted record as NDJSON, in order.
    Export {
        /// The data folder; one in use is read through its service.
        #[arg(long, value_name = "DIR", default_value = "data")]
        data: PathBuf,
    },
}

/// `backfill`
#[derive(ClapArgs, Clone)]
pub struct BackfillArgs {
    /// Where the period begins.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub from: TimeMs,
    /// Where it ends: the first moment that is not part of it.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub to: TimeMs,
    /// The data folder; one in use is corrected through its service.
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub data: PathBuf,
    /// CSV or NDJSON files of positions, also .gz and .zst; without any, what is in the journal is used.
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// `verify`
#[derive(ClapArgs, Clone)]
pub struct VerifyArgs {
    /// The data folder; one in use is verified through its service.
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub data: PathBuf,
    /// Threads of the graph.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: Option<u16>,
    /// Hold presences against what PostGIS says of the same positions and fences, instead; in the database of
    /// sources.postgis.url or sinks.postgres.url, of which nothing is touched.
    #[arg(long)]
    pub postgis: bool,
    /// Which share of the positions, from 0 to 1 [default: all].
    #[arg(long, value_name = "P", requires = "postgis", value_parser = share)]
    pub sample: Option<f64>,
    // The sinks that it names are compared too; a service that has the folder open compares its own.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// `migrate`
#[cfg(feature = "postgres")]
#[derive(Subcommand)]
pub enum MigrateCommand {
    /// Bring it to this release; a service does so when it starts.
    Up(ConfigArgs),
    /// Take migrations back, and what is in their tables with them.
    Down {
        /// The last migration that is left; 0 for none [default: one less than there are].
        #[arg(long, value_name = "N")]
        to: Option<u32>,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// List the migrations, and whether the database has them.
    Status(ConfigArgs),
    /// Tell how many rows are old enough to be removed, and remove none.
    Old(ConfigArgs),
    /// Print what makes the table of fences that `sources.postgis` reads, for whoever may make it.
    Fences(ConfigArgs),
}

/// `explain`
#[derive(Subcommand)]
pub enum ExplainCommand {
    /// A visit: the fixes, the fence and the settings behind it, and what it was before.
    Visit {
        /// Its id: 16 hexadecimal digits, as `GET /api/v1/visits` gives it.
        id: VisitId,
        /// The data folder; one in use is read through its service.
        #[arg(long, value_name = "DIR", default_value = "data")]
        data: PathBuf,
        /// As one JSON object.
        #[arg(long)]
        json: bool,
    },
}

/// `simulate`
#[derive(ClapArgs, Clone)]
pub struct SimulateArgs {
    /// How many vehicles.
    #[arg(long, value_name = "N")]
    pub vehicles: u32,
    /// How many fences.
    #[arg(long, value_name = "N")]
    pub fences: u32,
    /// How many hours.
    #[arg(long, value_name = "H")]
    pub hours: f64,
    /// The same seed gives the same files.
    #[arg(long, value_name = "S")]
    pub seed: u64,
    /// Where the files go.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// The first instant.
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "2026-01-05T00:00:00Z")]
    pub start: TimeMs,
    /// Share of fixes that come late, 0 to 1.
    #[arg(long, value_name = "P", default_value_t = 0.0)]
    pub late: f64,
    /// Share of fixes that come twice, 0 to 1.
    #[arg(long, value_name = "P", default_value_t = 0.0)]
    pub duplicates: f64,
    /// Share of fences that are edited on the way, 0 to 1.
    #[arg(long, value_name = "P", default_value_t = 0.0)]
    pub edits: f64,
    /// Noise, spikes and fixes near borders; truth is then what a perfect observer saw.
    #[arg(long)]
    pub noise: bool,
}

/// `send`
#[derive(ClapArgs, Clone)]
pub struct SendArgs {
    /// A file of positions or records.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The service, for example http://127.0.0.1:8090.
    #[arg(long, value_name = "URL")]
    pub to: String,
    /// Records a second; as fast as it goes without.
    #[arg(long, value_name = "N")]
    pub rate: Option<f64>,
    /// Records a request.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub batch: usize,
    /// Connections.
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub connections: usize,
    /// Where to post: /api/v1/records or /webhooks/loconav.
    #[arg(long, value_name = "PATH", default_value = "/api/v1/records")]
    pub path: String,
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// `bench`
#[derive(ClapArgs, Clone)]
pub struct BenchArgs {
    /// Which: graph, late, edit, memory, ingest, query, replay, recovery, backfill, trips, eta, oracle, sinks.
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,
    /// One JSON object a figure.
    #[arg(long)]
    pub json: bool,
    /// Fewer and smaller runs, to see that it works.
    #[arg(long)]
    pub quick: bool,
    /// Only the cases with this many fences (graph).
    #[arg(long, value_name = "N")]
    pub fences: Option<u32>,
    /// Only the cases whose name contains this (graph).
    #[arg(long, value_name = "TEXT")]
    pub only: Option<String>,
    /// How many fixes are kept while fences are edited (edit); only the case with so many a vehicle (memory).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub fixes: Option<u64>,
    /// How many days are put right (backfill).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=366))]
    pub days: Option<u32>,
}

/// `snapshots`
#[derive(Subcommand)]
pub enum SnapshotsCommand {
    /// List them, the newest first, and say which of them a start would not use.
    List {
        /// The data folder.
        #[arg(long, value_name = "DIR", default_value = "data")]
        data: PathBuf,
        /// Threads of the graph that is to start.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
        workers: Option<u16>,
    },
    /// Take one now; of a folder in use its service does.
    Take {
        /// The data folder.
        #[arg(long, value_name = "DIR", default_value = "data")]
        data: PathBuf,
        #[command(flatten)]
        config: ConfigArgs,
    },
}

/// `archive`
#[derive(Subcommand)]
pub enum ArchiveCommand {
    /// List its files, the oldest first.
    List {
        /// The data folder; one in use is read through its service.
        #[arg(long, value_name = "DIR", default_value = "data")]
        data: PathBuf,
    },
    /// Move days there now, which stay part of the journal; of a folder in use its service does.
    Take {
        /// The data folder.
        #[arg(long, value_name = "DIR", default_value = "data")]
        data: PathBuf,
        /// Whole days (UTC) that ended so many days before the journal's last instant.
        #[arg(long, value_name = "N", default_value_t = 7)]
        after_days: u32,
        /// Tell what would be moved, and move nothing.
        #[arg(long)]
        dry_run: bool,
    },
}

/// `dead-letters`
#[derive(Subcommand)]
pub enum DeadLettersCommand {
    /// List them, oldest first.
    List {
        /// The data folder; one in use is read through its service.
        #[arg(long, value_name = "DIR", default_value = "data")]
        data: PathBuf,
    },
    /// Print one as it was received.
    Show {
        /// Its id.
        id: u64,
        /// The data folder.
        #[arg(long, value_name = "DIR", default_value = "data")]
        data: PathBuf,
    },
    /// Submit some again to the running service; those that are taken are removed.
    Replay {
        /// Their ids.
        #[arg(required = true)]
        ids: Vec<u64>,
        /// The data folder of the running service.
        #[arg(long, value_name = "DIR", default_value = "data")]
        data: PathBuf,
    },
}

/// `config`
#[derive(Subcommand)]
pub enum ConfigCommand {
    /// Print a full commented example.
    Example,
    /// Check a file; names the key and the line of what is wrong.
    Check {
        /// The file.
        file: PathBuf,
    },
    /// Print the settings in force, secrets masked.
    Show(ConfigArgs),
}

/// Reads the configuration; what is wrong with it is wrong usage.
pub fn load_config(file: Option<&Path>, sets: &[String]) -> anyhow::Result<Config> {
    Config::load(file, std::env::vars(), sets).map_err(|error| Usage(error.to_string()).into())
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "it must be a number from 0 to 1".to_owned())
}

fn time(text: &str) -> Result<TimeMs, String> {
    TimeMs::parse_rfc3339(text).map_err(|error| error.to_string())
}
