//! What goes wrong and when, made from a seed alone: the same seed gives the same plan.

use std::fmt;

use crate::common::Random;

/// What is put together, and whose faults a campaign has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    /// The journal in the data folder.
    Embedded,
    /// The journal on Kafka.
    Kafka,
}

impl Setup {
    pub const ALL: [Setup; 2] = [Setup::Embedded, Setup::Kafka];

    pub fn name(self) -> &'static str {
        match self {
            Setup::Embedded => "embedded",
            Setup::Kafka => "kafka",
        }
    }

    pub fn has_kafka(self) -> bool {
        self == Setup::Kafka
    }
}

/// What Watch Tower talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    Postgres,
    Kafka,
}

impl Server {
    pub fn name(self) -> &'static str {
        match self {
            Server::Postgres => "postgres",
            Server::Kafka => "kafka",
        }
    }
}

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL, perhaps while a snapshot is taken.
    KillService { down_ms: u64, snapshot_ms: Option<u64> },
    /// SIGKILL of all of its processes.
    KillServer { server: Server, down_ms: u64 },
    /// No byte is left where the data folder is.
    DiskFull { lasts_ms: u64 },
    /// Each sync of a file takes that much longer.
    SlowDisk { sync_ms: u64, lasts_ms: u64 },
    /// Packets are lost in silence, or the link is down.
    Partition { server: Server, silent: bool, lasts_ms: u64 },
    /// The wall clock is wrong, and the service is killed and started with it.
    ClockJump { shift_s: i64, lasts_ms: u64 },
    /// The service is paused, another start on its folder is tried, and it goes on.
    Pause { lasts_ms: u64 },
    /// The service is paused, another one takes its journal over from another folder, and the old one goes on.
    Takeover { lasts_ms: u64 },
}

impl Fault {
    /// What it is counted as.
    pub fn kind(self) -> &'static str {
        match self {
            Fault::KillService { snapshot_ms: None, .. } => "kill of watchtower",
            Fault::KillService { snapshot_ms: Some(_), .. } => "kill of watchtower near a snapshot",
            Fault::KillServer { server: Server::Postgres, .. } => "kill of postgres",
            Fault::KillServer { server: Server::Kafka, .. } => "kill of kafka",
            Fault::DiskFull { .. } => "disk full",
            Fault::SlowDisk { .. } => "slow disk",
            Fault::Partition { server: Server::Postgres, .. } => "partition from postgres",
            Fault::Partition { server: Server::Kafka, .. } => "partition from kafka",
            Fault::ClockJump { .. } => "clock jump",
            Fault::Pause { .. } => "pause",
            Fault::Takeover { .. } => "zombie",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())?;
        match self {
            Fault::KillService { down_ms, snapshot_ms: None } => write!(f, ", down for {down_ms} ms"),
            Fault::KillService { down_ms, snapshot_ms: Some(after_ms) } => {
                write!(f, ", {after_ms} ms after it was asked for, down for {down_ms} ms")
            }
            Fault::KillServer { down_ms, .. } => write!(f, ", down for {down_ms} ms"),
            Fault::SlowDisk { sync_ms, lasts_ms } => {
                write!(f, ", {sync_ms} ms more a sync, for {lasts_ms} ms")
            }
            Fault::Partition { silent, lasts_ms, .. } => {
                write!(f, ", {}, for {lasts_ms} ms", if *silent { "in silence" } else { "link down" })
            }
            Fault::ClockJump { shift_s, lasts_ms } => write!(f, " of {shift_s} s, for {lasts_ms} ms"),
            Fault::DiskFull { lasts_ms } | Fault::Pause { lasts_ms } | Fault::Takeover { lasts_ms } => {
                write!(f, ", for {lasts_ms} ms")
            }
        }
    }
}

/// A fault, and how long after the one before it begins, which may still last then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub pause_ms: u64,
    pub fault: Fault,
}

/// Kinds are dealt like cards: each hand has every kind, so that no campaign lacks one for long.
pub fn plan(setup: Setup, seed: u64, faults: usize) -> Vec<Step> {
    let mut random = Random::from_seed(seed);
    let mut hand: Vec<Fault> = Vec::new();
    let mut steps = Vec::with_capacity(faults);
    while steps.len() < faults {
        if hand.is_empty() {
            hand = deal(setup, &mut random);
        }
        let card = random.below(hand.len() as u64);
        let fault = hand.swap_remove(card as usize);
        // Now and then at once, so that starts are met, too; these take longer with a broker.
        let longest_ms = if setup.has_kafka() { 5000 } else { 2500 };
        let pause_ms = if random.percent(30) { random.below(300) } else { random.between(300, longest_ms) };
        steps.push(Step { pause_ms, fault });
    }
    steps
}

/// One hand.
fn deal(setup: Setup, random: &mut Random) -> Vec<Fault> {
    let down_ms = |random: &mut Random| if random.percent(50) { 0 } else { random.between(50, 2000) };
    let lasts_ms = |random: &mut Random| random.between(500, 4000);
    let silent = |random: &mut Random| random.percent(50);
    let shift_s = if random.percent(60) {
        random.between(3600, 5 * 3600).cast_signed()
    } else {
        -random.between(120, 1800).cast_signed()
    };
    let mut hand = vec![
        Fault::KillService { down_ms: down_ms(random), snapshot_ms: None },
        Fault::KillService { down_ms: 0, snapshot_ms: Some(random.below(400)) },
        Fault::KillServer { server: Server::Postgres, down_ms: random.between(0, 3000) },
        Fault::DiskFull { lasts_ms: lasts_ms(random) },
        Fault::SlowDisk { sync_ms: random.between(20, 400), lasts_ms: lasts_ms(random) },
        Fault::Partition { server: Server::Postgres, silent: silent(random), lasts_ms: lasts_ms(random) },
        Fault::ClockJump { shift_s, lasts_ms: lasts_ms(random) },
    ];
    match setup {
        Setup::Embedded => {
            hand.push(Fault::KillService { down_ms: down_ms(random), snapshot_ms: None });
            hand.push(Fault::Pause { lasts_ms: lasts_ms(random) });
        }
        Setup::Kafka => {
            hand.push(Fault::KillServer { server: Server::Kafka, down_ms: random.between(0, 3000) });
            hand.push(Fault::KillServer { server: Server::Kafka, down_ms: 0 });
            let partition = Fault::Partition {
                server: Server::Kafka,
                silent: silent(random),
                lasts_ms: lasts_ms(random),
            };
            hand.push(partition);
            hand.push(Fault::Takeover { lasts_ms: lasts_ms(random) });
            hand.push(Fault::Takeover { lasts_ms: random.between(0, 500) });
        }
    }
    hand
}

#[test]
fn a_seed_gives_one_plan_with_every_kind() {
    for setup in Setup::ALL {
        let steps = plan(setup, 7, 40);
        assert_eq!(steps, plan(setup, 7, 40));
        assert_ne!(steps, plan(setup, 8, 40));
        let kinds: std::collections::BTreeSet<_> = steps[..12].iter().map(|step| step.fault.kind()).collect();
        assert!(kinds.len() >= 8, "{kinds:?}");
    }
}
