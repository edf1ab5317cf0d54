//! `watchtower run`: journal, graph, views and HTTP in one process.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::Context;
use api::{Api, ApiConfig, DriverRule};
use journal::{Log, Store};
use model::state::{Loader, Saver, StateError};
use model::{AlertMarkRecord, ClosedTick, TimeMs};
use pipeline::config::{Config, Secret};
use pipeline::{Observer, Service};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::args::{RunArgs, load_config};
use crate::snapshots::{Follower, Keeper};
use crate::targets::{self, Targets};
use crate::work::Running;
use crate::{
    Outcome, Usage, archive, control, explain, journal_of, kafka_input, logging, postgis_input, progress,
};

const MINUTE_MS: i64 = 60_000;
const MIB: usize = 1 << 20;
/// The horizon of the demo: its last 8 days come newest day first.
const DEMO_HORIZON: &str = "cleaning.horizon_h=192";
/// A file that marks a folder as the demo's own.
const DEMO_MARK: &str = "demo";
/// The file with the key of tracking links.
const TRACKING_KEY: &str = "tracking.key";
/// A shorter secret can be guessed.
const MIN_SECRET_BYTES: usize = 16;

pub fn run(args: &RunArgs) -> anyhow::Result<Outcome> {
    let mut sets = args.config.set.clone();
    if args.demo {
        sets.insert(0, DEMO_HORIZON.to_owned());
    }
    let config = load_config(args.config.config.as_deref(), &sets)?;
    logging::start(&config.log)?;
    let (address, mut api_config) = judged(args, &config)?;
    let targets = Targets::new(&config)?;
    let data = data_folder(args, &config);
    api_config.tracking_key_file = Some(data.join(TRACKING_KEY));
    if args.demo {
        claim_demo_folder(&data)?;
    }
    let store = Store::open(&data, journal_of::options(&config, args.accept_clock)?)?;
    store.log().check_clock()?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the async runtime could not be started")?
        .block_on(serve(args, &config, &data, store, api_config, (address, targets)))
}

/// Refuses what a start with this configuration would refuse.
pub fn check(config: &Config) -> anyhow::Result<()> {
    judged(&RunArgs::default(), config)?;
    Targets::new(config).map(drop)
}

fn judged(args: &RunArgs, config: &Config) -> anyhow::Result<(SocketAddr, ApiConfig)> {
    let address = listen_address(args, config)?;
    journal_of::options(config, args.accept_clock)?;
    kafka_input::check(config)?;
    postgis_input::check(config)?;
    Ok((address, api_config(config, address)?))
}

async fn serve(
    args: &RunArgs,
    config: &Config,
    data: &Path,
    store: Store,
    api_config: ApiConfig,
    (address, targets): (SocketAddr, Targets),
) -> anyhow::Result<Outcome> {
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; choose another with --listen"))?;
    let address = listener.local_addr()?;
    let keeper = Arc::new(Keeper::new(data, config, &store)?);
    let views = keeper.views();
    let newest_event = Arc::new(AtomicI64::new(i64::MIN));
    let (ready_tx, ready) = watch::channel(false);
    let (stop_tx, stop) = watch::channel(false);
    let sinks = targets.start(&store)?;
    let shown = Shown {
        follower: Follower::new(views.clone()),
        newest_event: newest_event.clone(),
        ready: ready_tx,
        bar: progress::bar(0, progress::COUNT),
        keeper: keeper.clone(),
        archive_after_days: config.archive.after_days,
        store: store.clone(),
        bells: sinks.iter().map(|sink| Box::new(sink.bell()) as Box<dyn Fn() + Send>).collect(),
    };
    let engine = start_engine(config, &store, shown, stop_tx.clone())?;
    let secret = api_config.hmac_secret.as_deref().map(Into::into);
    let running = Running { address: reachable(address), secret, ready: ready.clone(), keeper, targets };
    let _control = control::serve(data, store.clone(), running)
        .inspect_err(|error| {
            let error = format!("{error:#}");
            tracing::warn!(
                error,
                "no control socket: commands cannot ask about this folder while it is in use"
            );
        })
        .ok();
    let postgis_input = postgis_input::start(config, &store, ready.clone(), stop.clone())?;
    let kafka_status = kafka_input::status(config);
    let api = Api {
        log: Arc::new(store.log()),
        changelog: store.changelog(),
        dead_letters: store.dead_letters(),
        views,
        explain: Some(explain::over_http(&store)),
        sinks: sinks.iter().map(|sink| sink.status()).collect(),
        postgis: postgis_input.as_ref().map(|input| Arc::clone(&input.status)),
        kafka_input: kafka_status.clone(),
        config: api_config,
    };
    let kafka_input = kafka_input::start(config, &store, ready.clone(), stop.clone(), kafka_status)?;
    // Whoever reads that the service is there may ask it to stop at once.
    let signals = tokio::spawn(stop_on_signal(stop_signals()?, stop_tx.clone()));
    eprintln!("watchtower is at http://{address}/ with its data in {}", data.display());
    let demo = args.demo.then(|| tokio::spawn(drive_demo(address, newest_event, ready, stop.clone())));
    api::serve(listener, api, stopped(stop)).await.context("the HTTP server failed")?;
    stop_tx.send_replace(true);
    signals.abort();
    if let Some(demo) = demo {
        demo.await.ok();
    }
    tracing::info!("stopping: what was acknowledged is being worked off");
    let log = store.log();
    tokio::task::spawn_blocking(move || log.stop()).await?;
    if let Some(input) = kafka_input {
        // What it waits for is settled by the stop.
        let ended = tokio::task::spawn_blocking(move || input.join()).await?;
        ended.map_err(|_| anyhow::anyhow!("the reader of Kafka's topics panicked; the log says why"))?;
    }
    if let Some(input) = postgis_input {
        let ended = tokio::task::spawn_blocking(move || input.thread.join()).await?;
        ended.map_err(|_| anyhow::anyhow!("the reader of PostGIS's fences panicked; the log says why"))?;
    }
    let ended = tokio::task::spawn_blocking(move || engine.join()).await?;
    tokio::task::spawn_blocking(move || targets::stop(sinks)).await?;
    let ended = ended.map_err(|_| anyhow::anyhow!("the service's loop panicked; the log says why"))?;
    ended?;
    tracing::info!("stopped");
    Ok(Outcome::Done)
}

/// Starts the loop from the journal to the views; when it ends by itself, everything stops.
fn start_engine(
    config: &Config,
    store: &Store,
    mut shown: Shown,
    stop: watch::Sender<bool>,
) -> anyhow::Result<std::thread::JoinHandle<anyhow::Result<()>>> {
    let settings = config.service_settings()?;
    let workers = config.workers.unwrap_or(1);
    let store = store.clone();
    let run = move || {
        // However this ends, by a panic too: nobody is to post into a service that works nothing off.
        let _stop = StopOnDrop(stop);
        let (log, changelog) = (store.log(), store.changelog());
        let snapshots = shown.keeper.snapshots.clone();
        let service = Service { log: &log, changelog: &changelog, settings, workers, snapshots };
        let ended = service.run(&mut shown).context("the service's loop failed");
        if let Err(error) = &ended {
            tracing::error!(error = %format!("{error:#}"), "stopping; acknowledged records are in the journal");
        }
        ended
    };
    Ok(std::thread::Builder::new().name("engine".to_owned()).spawn(run)?)
}

/// Asks everything to stop when it goes.
struct StopOnDrop(watch::Sender<bool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

/// Shows closed ticks.
struct Shown {
    follower: Follower,
    newest_event: Arc<AtomicI64>,
    ready: watch::Sender<bool>,
    bar: indicatif::ProgressBar,
    /// Begins its work when this is ready.
    keeper: Arc<Keeper>,
    /// Has days moved to its archive, unless this is 0.
    archive_after_days: u32,
    store: Store,
    /// What tells the sinks that a tick has closed.
    bells: Vec<Box<dyn Fn() + Send>>,
}

impl Observer for Shown {
    fn closed(&mut self, closed: &ClosedTick, replayed: bool) {
        self.follower.closed(closed, replayed);
        let newest = closed.fixes.iter().map(|fix| fix.position.event_time.0).max();
        if let Some(newest) = newest {
            self.newest_event.fetch_max(newest, Ordering::Relaxed);
        }
        self.bells.iter().for_each(|ring| ring());
    }

    fn marked(&mut self, tick: u64, marks: Vec<AlertMarkRecord>) {
        self.follower.marked(tick, marks);
    }

    fn save(&self, to: &mut Saver<'_>) -> Result<(), StateError> {
        self.follower.save(to)
    }

    fn load(&mut self, from: &mut Loader<'_>) -> Result<(), StateError> {
        self.follower.load(from)?;
        if let Some(newest) = self.follower.views.newest_event() {
            self.newest_event.fetch_max(newest.0, Ordering::Relaxed);
        }
        Ok(())
    }

    fn forget(&mut self) {
        self.follower.forget();
        self.newest_event.store(i64::MIN, Ordering::Relaxed);
    }

    fn replayed(&mut self, done: u64, all: u64) {
        self.bar.set_length(all);
        self.bar.set_position(done);
    }

    fn ready(&mut self) {
        self.bar.finish_and_clear();
        self.follower.views.set_ready();
        self.ready.send_replace(true);
        if self.keeper.snapshots.is_some() {
            let keeper = self.keeper.clone();
            beside("snapshots", move || keeper.run());
        }
        if self.archive_after_days > 0 {
            let (store, after_days) = (self.store.clone(), self.archive_after_days);
            beside("archive", move || archive::run(&store, after_days));
        }
    }
}

/// Does what the service can do without, on a thread of its own.
fn beside(name: &'static str, chore: impl FnOnce() + Send + 'static) {
    if let Err(error) = std::thread::Builder::new().name(name.to_owned()).spawn(chore) {
        tracing::warn!(%error, name, "a thread could not be started; it is left undone while this runs");
    }
}

async fn drive_demo(
    address: SocketAddr,
    newest_event: Arc<AtomicI64>,
    mut ready: watch::Receiver<bool>,
    stop: watch::Receiver<bool>,
) {
    if ready.wait_for(|ready| *ready).await.is_err() {
        return;
    }
    let known = newest_event.load(Ordering::Relaxed);
    let last_known = (known != i64::MIN).then_some(TimeMs(known));
    let base_url = format!("http://{}", reachable(address));
    if let Err(error) = bench::demo::drive(base_url, wall_clock, last_known, stopped(stop)).await {
        tracing::error!(error = %format!("{error:#}"), "the demo's fleet stands still");
    }
}

/// An address that this machine can connect to.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() {
            Ipv4Addr::LOCALHOST.into()
        } else {
            Ipv6Addr::LOCALHOST.into()
        });
    }
    address
}

pub fn wall_clock() -> TimeMs {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    TimeMs(since_epoch.map_or(0, |d| d.as_millis() as i64))
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    stop.wait_for(|stop| *stop).await.ok();
}

/// The two signals that ask to stop. They are awaited from here on, whenever the rest gets its turn.
fn stop_signals() -> anyhow::Result<[Signal; 2]> {
    let of = |kind| signal(kind).context("cannot listen for the signals that ask to stop");
    Ok([of(SignalKind::terminate())?, of(SignalKind::interrupt())?])
}

async fn stop_on_signal([mut terminate, mut interrupt]: [Signal; 2], stop: watch::Sender<bool>) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    stop.send_replace(true);
    // A second signal does not wait for the work that is left.
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    std::process::exit(130);
}

fn listen_address(args: &RunArgs, config: &Config) -> anyhow::Result<SocketAddr> {
    let text = args.listen.as_ref().unwrap_or(&config.listen.address);
    let address = text.to_socket_addrs().ok().and_then(|mut all| all.next()).ok_or_else(|| {
        Usage(format!("{text:?} is no address to listen on; write for example 127.0.0.1:8090"))
    })?;
    if !address.ip().is_loopback() && !config.listen.allow_unauthenticated {
        let text = format!(
            "{address} can be reached from other machines, and nobody would be asked who they are: put a \
             proxy that authenticates in front and set listen.allow_unauthenticated = true"
        );
        return Err(Usage(text).into());
    }
    Ok(address)
}

fn data_folder(args: &RunArgs, config: &Config) -> PathBuf {
    let default = if args.demo { "data-demo" } else { "data" };
    args.data.clone().or_else(|| config.data.clone()).unwrap_or_else(|| PathBuf::from(default))
}

/// The demo writes only into a folder of its own.
fn claim_demo_folder(data: &Path) -> anyhow::Result<()> {
    let mark = data.join(DEMO_MARK);
    if data.join("db").exists() && !mark.exists() {
        let text = format!("{} has other records; give the demo a folder of its own", data.display());
        return Err(Usage(text).into());
    }
    std::fs::create_dir_all(data).with_context(|| format!("cannot make {}", data.display()))?;
    std::fs::write(&mark, "The records here are simulated by `watchtower run --demo`.\n")
        .with_context(|| format!("cannot write {}", mark.display()))
}

fn api_config(config: &Config, address: SocketAddr) -> anyhow::Result<ApiConfig> {
    let loconav = &config.sources.loconav;
    let zone = sources::loconav::Config::new(&loconav.naive_timezone)
        .map_err(|error| Usage(format!("sources.loconav.naive_timezone: {error}")))?;
    let hmac_secret = secret_bytes("sources.loconav.hmac_secret", loconav.hmac_secret.as_ref())?;
    let tracking_secret = secret_bytes("tracking.secret", config.tracking.secret.as_ref())?;
    if tracking_secret.as_ref().is_some_and(|secret| secret.len() < MIN_SECRET_BYTES) {
        let why =
            format!("tracking.secret must have {MIN_SECRET_BYTES} bytes or more: links are signed with it");
        return Err(Usage(why).into());
    }
    if let Some(base_url) = &config.tracking.base_url
        && !["http://", "https://"].iter().any(|scheme| base_url.starts_with(scheme))
    {
        let why = format!("tracking.base_url must begin with http:// or https://, and is {base_url:?}");
        return Err(Usage(why).into());
    }
    let mut allowed_hosts = config.listen.allowed_hosts.clone();
    if !address.ip().is_unspecified() {
        allowed_hosts.push(address.ip().to_string());
    }
    Ok(ApiConfig {
        max_body_bytes: config.limits.max_body_mib * MIB,
        max_inflated_bytes: config.limits.max_inflated_mib * MIB,
        loconav: zone,
        hmac_secret,
        sign_all_writes: None,
        allowed_hosts,
        trip_min_notice_ms: config.trip_min_notice_min()? * MINUTE_MS,
        trip_driver: DriverRule::from_name(config.trip_needs_driver()?).unwrap_or_default(),
        zone: config.graph_settings()?.zone,
        tracking_secret,
        tracking_base_url: config.tracking.base_url.clone(),
        kafka_mapping: kafka_input::mapping(config)?,
        ..ApiConfig::default()
    })
}

fn secret_bytes(name: &str, secret: Option<&Secret>) -> anyhow::Result<Option<Vec<u8>>> {
    let Some(secret) = secret else { return Ok(None) };
    if secret.is_literal() {
        tracing::warn!("{name} stands in the configuration; env: or file: is safer");
    }
    Ok(Some(secret.read().map_err(|e| Usage(format!("{name}: {e}")))?))
}
