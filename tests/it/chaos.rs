//! A campaign against everything that a service stands on: watchtower, Kafka and PostgreSQL are killed, the disk is
//! full or slow, networks are cut, clocks jump, old services wake up. What was acknowledged is there, once; PostgreSQL,
//! the changelog and a replay of the export have the same rows; who follows the changes misses and sees twice nothing.
//!
//! Faults come of a seed, which is printed. `cargo xtask chaos` runs long campaigns; here are short ones. As root on
//! Linux the campaign runs in namespaces of its own, with which its processes, networks and mounts go; elsewhere the
//! disk cannot be filled and networks not be cut, and those faults are left out with a word.

mod campaign;
mod check;
mod load;
mod machine;
mod plan;
mod servers;
mod traffic;
mod zombie;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use campaign::Campaign;
use load::Scene;
use machine::Machine;
use plan::Setup;
use traffic::Traffic;

use crate::common::{Client, Random, now_ms};

const FAULTS_VARIABLE: &str = "WATCHTOWER_CHAOS_FAULTS";
const SEED_VARIABLE: &str = "WATCHTOWER_CHAOS_SEED";
/// Set where namespaces of the campaign's own have been entered.
const APART_VARIABLE: &str = "WATCHTOWER_CHAOS_APART";
/// With it, few faults are of many kinds, and the broker is killed once.
const SHORT_SEED: u64 = 187;
/// Between two checks.
const FAULTS_A_CHECK: usize = 14;
const SENDERS: usize = 3;

#[test]
fn faults_cost_nothing_with_the_journal_in_the_folder() {
    run_apart(Setup::Embedded, "chaos::faults_cost_nothing_with_the_journal_in_the_folder");
}

#[test]
fn faults_cost_nothing_with_the_journal_on_kafka() {
    run_apart(Setup::Kafka, "chaos::faults_cost_nothing_with_the_journal_on_kafka");
}

fn number(variable: &str) -> Option<u64> {
    let given = std::env::var(variable).ok().filter(|given| !given.is_empty());
    given.map(|given| {
        given.parse().unwrap_or_else(|_| panic!("{variable} is `{given}`; it has to be a number"))
    })
}

/// Runs a campaign in namespaces of its own where that may be had: the test anew, in a process of its own.
fn run_apart(setup: Setup, test: &str) {
    let unshare = || {
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]);
        unshare
    };
    if std::env::var_os(APART_VARIABLE).is_some() {
        return run(setup, true);
    }
    if !unshare().arg("true").output().is_ok_and(|answer| answer.status.success()) {
        println!("no namespaces here: the disk is not filled, and networks are not cut");
        return run(setup, false);
    }
    let this = std::env::current_exe().expect("this program");
    let mut again = unshare();
    // What it says on either way is read here, in its order.
    again.args(["sh", "-c", r#"exec "$0" "$@" 2>&1"#]).arg(this).args(["--exact", test, "--nocapture"]);
    again.env(APART_VARIABLE, "1").stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = again.spawn().expect("the campaign can be started");
    for line in BufReader::new(child.stdout.take().expect("a pipe")).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).into_owned();
        // A word of a test that skips itself is looked for at the beginning of a line.
        if line.starts_with("skipped:") { println!("{line}") } else { println!("| {line}") }
    }
    let status = child.wait().expect("the campaign is a child");
    assert!(status.success(), "the campaign failed, {status}: see above");
}

/// How many faults there are where nobody says: a broker takes some seconds for each of its starts.
fn short(setup: Setup) -> usize {
    match setup {
        Setup::Embedded => 9,
        Setup::Kafka => 6,
    }
}

fn run(setup: Setup, is_apart: bool) {
    let faults = number(FAULTS_VARIABLE);
    // A short campaign is the same each time; a long one another one, unless it is told which.
    let other = || if faults.is_some() { now_ms().cast_unsigned() } else { SHORT_SEED };
    let seed = number(SEED_VARIABLE).unwrap_or_else(other);
    let faults = faults.map_or_else(|| short(setup), |faults| faults as usize);
    println!("{SEED_VARIABLE}={seed} {FAULTS_VARIABLE}={faults}, {}", setup.name());
    let begun = Instant::now();
    let steps = plan::plan(setup, seed, faults);
    let scene = Scene::default();
    let Some(machine) = Machine::make(is_apart) else { return };
    let Some(campaign) = Campaign::start(setup, &scene, &machine, is_apart) else { return };
    let mut traffic: Vec<Traffic> =
        (0..SENDERS as u64).map(|sender| Traffic::new(sender, seed, now_ms())).collect();
    let address = scene.address().expect("the service is ready");
    let first = scene.post(&mut Client::connect(address).expect("a connection"), &traffic[0].first());
    assert!(first.expect("an answer"), "what all follows from is acknowledged");

    let campaign = std::thread::scope(|scope| {
        let _ends = EndsWhenDropped(&scene);
        // Dropped with its service before the threads are waited for: who follows changes ends with those.
        let mut campaign = campaign;
        let mut threads = vec![scope.spawn(|| scene.follow())];
        for (sender, traffic) in traffic.into_iter().enumerate() {
            let (scene, random) = (&scene, Random::from_seed(seed ^ (sender as u64 + 7) << 20));
            threads.push(scope.spawn(move || scene.send(traffic, random)));
        }
        for (at, step) in steps.into_iter().enumerate() {
            campaign.take(at + 1, step);
            assert!(!threads.iter().any(|thread| thread.is_finished()), "a sender or the follower gave up");
            if (at + 1) % FAULTS_A_CHECK == 0 && at + 1 < faults {
                campaign.check(SENDERS);
            }
        }
        campaign.check(SENDERS);
        campaign.stop();
        campaign
    });
    let books = scene.books();
    let acknowledged = books.values().map(|book| u64::from(book.acknowledged)).sum::<u64>();
    println!(
        "{}: {} faults in {:.0} s, {acknowledged} records acknowledged, seed {seed}",
        setup.name(),
        campaign.done.values().sum::<usize>(),
        begun.elapsed().as_secs_f64()
    );
    campaign.done.iter().for_each(|(kind, count)| println!("  {count:4}  {kind}"));
    campaign.left_out.iter().for_each(|(kind, count)| println!("  {count:4}  {kind}: left out"));
}

/// Threads end whether all went well or not.
struct EndsWhenDropped<'a>(&'a Scene);

impl Drop for EndsWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.end();
        self.0.go_on();
    }
}
