//! A campaign: one step of the plan after the other, each of which is taken back when its time has come, while a load
//! goes on; now and then all is mended, and what should be the same is compared.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::load::Scene;
use super::machine::Machine;
use super::plan::{Fault, Server, Setup, Step};
use super::servers::{Network, Postgres};
use super::zombie::Zombie;
use crate::common::{Client, NO_HEARTBEAT, Service, watchtower};
use crate::kafka::broker::Broker;

/// How often the conductor looks around.
const LOOK: Duration = Duration::from_millis(10);
/// After an end that was not asked for, before the next start.
const RESTART_PAUSE: Duration = Duration::from_millis(300);
/// After everything is mended, all must be well by then, on a busy machine.
pub const MENDED_LIMIT: Duration = Duration::from_secs(240);
/// How long after a cause is gone a service may still end of it: brokers take a while until they lead again.
const AFTERMATH: Duration = Duration::from_secs(120);
/// What a service says that had no room to write.
const NO_ROOM: [&str; 2] = ["No space left on device", "Poisoned"];
const SETTINGS: [&str; 5] = [
    "visits.min_dwell_s=60",
    "visits.max_absence_s=40",
    "snapshots.every_min=1",
    "changes.keep_days=30",
    "cleaning.horizon_h=480",
];

/// What has to be taken back, and how.
#[derive(Clone, Copy, Debug)]
pub enum Remedy {
    Start(Server),
    EmptyDisk,
    FastDisk,
    Mend { server: Server, silent: bool },
    RightClock,
    Wake,
}

/// A service that may be killed, and what is known of it.
pub struct Node {
    pub service: Service,
    pub has_heartbeat: bool,
    pub was_ready: bool,
    pub is_paused: bool,
}

pub struct Campaign<'a> {
    pub scene: &'a Scene,
    machine: &'a Machine,
    networks: Vec<(Server, Network)>,
    pub postgres: Postgres,
    kafka: Option<Broker>,
    pub node: Option<Node>,
    pub zombie: Option<Zombie>,
    /// The data folder of the service.
    pub folder: usize,
    /// When the next start is due, where none runs.
    pub restart_at: Instant,
    pub remedies: Vec<(Instant, Remedy)>,
    /// When the disk was last full, and a server of the journal last out of reach.
    disk_was_full: Option<Instant>,
    kafka_was_away: Option<Instant>,
    clock_was_wrong: bool,
    accepts_clock: bool,
    /// The next start has no heartbeat, so that ticks come to rest.
    is_to_rest: bool,
    starts: usize,
    /// How many services have ended, and left a log.
    logs: usize,
    began: Instant,
    pub done: BTreeMap<&'static str, usize>,
    pub left_out: BTreeMap<&'static str, usize>,
}

impl<'a> Campaign<'a> {
    /// Starts the servers and the service; `None`, after a word, where something is not to be had.
    pub fn start(
        setup: Setup,
        scene: &'a Scene,
        machine: &'a Machine,
        is_apart: bool,
    ) -> Option<Campaign<'a>> {
        let servers =
            if setup.has_kafka() { &[Server::Postgres, Server::Kafka][..] } else { &[Server::Postgres] };
        let networks: Vec<(Server, Network)> = if is_apart {
            Network::prepare();
            servers.iter().map(|server| (*server, Network::lay(*server))).collect()
        } else {
            Vec::new()
        };
        let to = |server: Server| networks.iter().find(|(of, _)| *of == server).map(|(_, network)| network);
        let mut postgres = Postgres::make(machine.folder(), to(Server::Postgres))?;
        postgres.launch();
        let kafka = match (setup.has_kafka(), to(Server::Kafka)) {
            (false, _) => None,
            (true, None) => Some(Broker::start()?),
            (true, Some(network)) => Some(Broker::start_at(&network.far(), network.enter())?),
        };
        postgres.wait_until_ready();
        let now = Instant::now();
        let mut campaign = Campaign {
            scene,
            machine,
            networks,
            postgres,
            kafka,
            node: None,
            zombie: None,
            folder: 0,
            restart_at: now,
            remedies: Vec::new(),
            disk_was_full: None,
            // Of topics that were just made nobody may know the leader yet.
            kafka_was_away: Some(now),
            clock_was_wrong: false,
            accepts_clock: false,
            is_to_rest: false,
            starts: 0,
            logs: 0,
            began: now,
            done: BTreeMap::new(),
            left_out: BTreeMap::new(),
        };
        campaign.mend();
        Some(campaign)
    }

    pub fn say(&self, what: &str) {
        println!("{:9.3} s  {what}", self.began.elapsed().as_secs_f64());
    }

    pub fn has_kafka(&self) -> bool {
        self.kafka.is_some()
    }

    fn settings(&self, has_heartbeat: bool) -> Vec<String> {
        let mut settings: Vec<String> = SETTINGS.map(str::to_owned).to_vec();
        settings.push(format!("sinks.postgres.url={}", self.postgres.url()));
        if let Some(broker) = &self.kafka {
            settings.push("journal.kind=kafka".to_owned());
            settings.push(format!("kafka.brokers={}", broker.address));
            settings.push("sinks.kafka.topic_prefix=rows".to_owned());
        }
        let mut args: Vec<String> =
            settings.into_iter().flat_map(|setting| ["--set".to_owned(), setting]).collect();
        if !has_heartbeat {
            args.extend(NO_HEARTBEAT.map(str::to_owned));
        }
        if self.accepts_clock {
            args.push("--accept-clock".to_owned());
        }
        args
    }

    /// Starts a service, and waits for nothing.
    fn launch(&mut self) -> Node {
        // One start in three has ticks of its own.
        let has_heartbeat = !self.is_to_rest && self.starts % 3 == 1;
        let args = self.settings(has_heartbeat);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let environment = self.machine.environment();
        let environment = environment.each_ref().map(|(name, value)| (*name, value.as_path()));
        let service = Service::launch(&self.machine.data(self.folder), &args, &environment);
        self.starts += 1;
        // A wrong clock is accepted once, when it has been refused.
        self.accepts_clock = false;
        Node { service, has_heartbeat, was_ready: false, is_paused: false }
    }

    /// Until then remedies are applied when they are due, and the service is kept up.
    fn go_on_until(&mut self, until: Instant) {
        loop {
            self.look_around();
            if Instant::now() >= until {
                return;
            }
            std::thread::sleep(LOOK);
        }
    }

    pub fn look_around(&mut self) {
        let now = Instant::now();
        while let Some(at) = self.remedies.iter().position(|(due, _)| *due <= now) {
            let (_, remedy) = self.remedies.swap_remove(at);
            self.apply(remedy);
        }
        self.postgres.keep_up();
        self.look_after_zombie();
        match &mut self.node {
            None if now >= self.restart_at => {
                self.node = Some(self.launch());
            }
            None => {}
            Some(node) => {
                if node.service.ended().is_some() {
                    let node = self.node.take().expect("it is there");
                    self.judge_end(node);
                } else if !node.was_ready && !node.is_paused {
                    // Requests come from the first moment on, while the journal is still replayed.
                    let address = node.service.address_so_far();
                    self.scene.set_address(address);
                    let asked = address.and_then(|address| Client::connect(address).ok());
                    node.was_ready = asked
                        .and_then(|mut client| client.get("/readyz").ok())
                        .is_some_and(|answer| answer.status == 200);
                }
            }
        }
    }

    fn apply(&mut self, remedy: Remedy) {
        if !matches!(remedy, Remedy::Wake) {
            self.say(&format!("      over: {remedy:?}"));
        }
        match remedy {
            Remedy::Start(Server::Postgres) => self.postgres.launch(),
            Remedy::Start(Server::Kafka) => {
                self.kafka_was_away = Some(Instant::now());
                self.kafka.as_mut().expect("a broker").launch();
            }
            Remedy::EmptyDisk => {
                self.machine.empty_disk();
                self.disk_was_full = Some(Instant::now());
            }
            Remedy::FastDisk => self.machine.slow_syncs(0),
            Remedy::Mend { server, silent } => {
                if server == Server::Kafka {
                    self.kafka_was_away = Some(Instant::now());
                }
                self.network(server).expect("it was cut").mend(silent);
            }
            Remedy::RightClock => self.machine.shift_clock(0),
            Remedy::Wake => self.wake(),
        }
    }

    fn network(&self, server: Server) -> Option<&Network> {
        self.networks.iter().find(|(of, _)| *of == server).map(|(_, network)| network)
    }

    /// One step of the plan.
    pub fn take(&mut self, number: usize, step: Step) {
        self.go_on_until(Instant::now() + Duration::from_millis(step.pause_ms));
        let kind = step.fault.kind();
        if self.is_possible(step.fault) {
            self.say(&format!("{number:4}  {}", step.fault));
            self.inject(step.fault);
            *self.done.entry(kind).or_default() += 1;
        } else {
            self.say(&format!("{number:4}  left out, not possible on this machine: {}", step.fault));
            *self.left_out.entry(kind).or_default() += 1;
        }
    }

    fn is_possible(&self, fault: Fault) -> bool {
        match fault {
            Fault::DiskFull { .. } => self.machine.has_disk(),
            Fault::Partition { server, .. } => self.network(server).is_some(),
            _ => true,
        }
    }

    fn inject(&mut self, fault: Fault) {
        match fault {
            Fault::KillService { down_ms, snapshot_ms } => {
                let mut taking = snapshot_ms.map(|_| self.take_snapshot());
                self.go_on_until(Instant::now() + Duration::from_millis(snapshot_ms.unwrap_or(0)));
                self.kill_service(down_ms);
                if let Some(taking) = &mut taking {
                    taking.wait().expect("the command ends with its service");
                }
            }
            Fault::KillServer { server, down_ms } => {
                self.end_early(|remedy| matches!(remedy, Remedy::Start(of) if of == server));
                match (server, &mut self.kafka) {
                    (Server::Postgres, _) => self.postgres.kill(),
                    (Server::Kafka, Some(broker)) => broker.kill(),
                    (Server::Kafka, None) => unreachable!("a plan without Kafka kills none"),
                }
                self.later(down_ms, Remedy::Start(server));
            }
            Fault::DiskFull { lasts_ms } => {
                self.end_early(|remedy| matches!(remedy, Remedy::EmptyDisk));
                self.disk_was_full = Some(Instant::now() + Duration::from_millis(lasts_ms));
                self.machine.fill_disk();
                self.later(lasts_ms, Remedy::EmptyDisk);
            }
            Fault::SlowDisk { sync_ms, lasts_ms } => {
                self.end_early(|remedy| matches!(remedy, Remedy::FastDisk));
                self.machine.slow_syncs(sync_ms);
                self.later(lasts_ms, Remedy::FastDisk);
            }
            Fault::Partition { server, silent, lasts_ms } => {
                self.end_early(|remedy| matches!(remedy, Remedy::Mend { server: of, .. } if of == server));
                self.network(server).expect("judged before").cut(silent);
                self.later(lasts_ms, Remedy::Mend { server, silent });
            }
            Fault::ClockJump { shift_s, lasts_ms } => {
                self.end_early(|remedy| matches!(remedy, Remedy::RightClock));
                self.clock_was_wrong = true;
                self.machine.shift_clock(shift_s);
                self.kill_service(0);
                self.later(lasts_ms, Remedy::RightClock);
            }
            Fault::Pause { lasts_ms } => self.pause_service(lasts_ms),
            Fault::Takeover { lasts_ms } => self.take_over(lasts_ms),
        }
    }

    pub fn later(&mut self, after_ms: u64, remedy: Remedy) {
        self.remedies.push((Instant::now() + Duration::from_millis(after_ms), remedy));
    }

    /// What is of the same kind as the next fault is over first.
    pub fn end_early(&mut self, is_meant: impl Fn(Remedy) -> bool) {
        let meant: Vec<Remedy> =
            self.remedies.extract_if(.., |(_, remedy)| is_meant(*remedy)).map(|(_, remedy)| remedy).collect();
        for remedy in meant {
            self.apply(remedy);
        }
    }

    fn take_snapshot(&self) -> Child {
        let mut take = watchtower();
        take.args(["snapshots", "take", "--data"]).arg(self.machine.data(self.folder));
        take.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the command can be started")
    }

    fn kill_service(&mut self, down_ms: u64) {
        // Nobody may reach for the port of a dead service, which may be given to another process.
        self.scene.set_address(None);
        self.end_early(|remedy| matches!(remedy, Remedy::Wake));
        if let Some(node) = self.node.take() {
            let said = node.service.kill();
            self.keep_log(&said);
        }
        self.restart_at = Instant::now() + Duration::from_millis(down_ms);
    }

    pub fn keep_log(&mut self, said: &str) {
        self.machine.keep_log(self.logs, said);
        self.logs += 1;
        assert!(!said.contains("panicked"), "{said}");
    }

    /// An end that nobody asked for: there must be a reason.
    fn judge_end(&mut self, mut node: Node) {
        self.scene.set_address(None);
        let (status, said) = (node.service.ended(), node.service.said());
        self.keep_log(&said);
        let lately = |when: Option<Instant>| when.is_some_and(|when| when.elapsed() < AFTERMATH);
        let reason = if said.contains("--accept-clock") {
            assert!(self.clock_was_wrong && !node.was_ready, "the clock was right:\n{said}");
            self.accepts_clock = true;
            "its clock is not that of the journal"
        } else if !node.was_ready && said.contains("Kafka failed") && lately(self.kafka_was_away) {
            "no broker at its start"
        } else if !node.was_ready && said.contains("its end is lost") && lately(self.kafka_was_away) {
            // A start later on must see it: else the service is never ready, and the campaign fails.
            "a broker that is back does not show yet what it promised"
        } else if NO_ROOM.iter().any(|word| said.contains(word)) && lately(self.disk_was_full) {
            "the disk was full"
        } else {
            panic!("the service ended by itself, {status:?}:\n{said}");
        };
        let last = said.lines().last().unwrap_or_default();
        self.say(&format!("    watchtower ended, {reason}: {last}"));
        self.restart_at = Instant::now() + RESTART_PAUSE;
    }

    /// Mends everything, and waits until the service is ready.
    pub fn mend(&mut self) {
        let now = Instant::now();
        self.remedies.iter_mut().for_each(|(due, _)| *due = now);
        loop {
            self.look_around();
            let is_ready = self.node.as_ref().is_some_and(|node| node.was_ready);
            if is_ready && self.remedies.is_empty() && self.zombie.is_none() {
                break;
            }
            if now.elapsed() > MENDED_LIMIT {
                let said = self.node.as_ref().map(|node| node.service.said()).unwrap_or_default();
                panic!("not well {MENDED_LIMIT:?} after all was mended; the service said:\n{said}");
            }
            std::thread::sleep(LOOK);
        }
        self.postgres.wait_until_ready();
    }

    /// The service that runs, whose ticks come to rest when nothing is posted.
    pub fn at_rest(&mut self) -> &mut Service {
        if self.node.as_ref().is_none_or(|node| node.has_heartbeat) {
            let node = self.node.take().expect("a service");
            self.scene.set_address(None);
            let said = node.service.stop();
            self.keep_log(&said);
            self.restart_at = Instant::now();
            self.is_to_rest = true;
            self.mend();
            self.is_to_rest = false;
        }
        &mut self.node.as_mut().expect("a service").service
    }

    pub fn data(&self) -> PathBuf {
        self.machine.data(self.folder)
    }

    /// What the service has said, where one runs.
    pub fn said(&self) -> Option<String> {
        self.node.as_ref().map(|node| node.service.said())
    }

    /// The end of the campaign's service, which was asked to stop.
    pub fn stop(&mut self) {
        self.scene.set_address(None);
        let node = self.node.take().expect("a service");
        let said = node.service.stop();
        self.keep_log(&said);
    }
}
