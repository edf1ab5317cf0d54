//! Prints how many entries a second the journal makes durable:
//! `cargo run --release --example commit_rate -- [bytes [brokers]]`. With brokers it is on Kafka.

use std::time::{Duration, Instant};

use journal::{AppendError, JournalKind, KafkaOptions, Log, Options, Store};

const MEASURE_FOR: Duration = Duration::from_secs(3);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let entry_bytes: usize = std::env::args().nth(1).map_or(Ok(200), |text| text.parse())?;
    let brokers = std::env::args().nth(2);
    for in_flight in [1, 64, 1024, 8192] {
        let dir = tempfile::tempdir_in(".")?;
        let journal = match &brokers {
            Some(brokers) => {
                let topic_prefix = format!("commit-rate-{}-{in_flight}", std::process::id());
                JournalKind::Kafka(KafkaOptions {
                    brokers: brokers.clone(),
                    topic_prefix,
                    ..Default::default()
                })
            }
            None => JournalKind::Embedded,
        };
        let store = Store::open(dir.path(), Options { journal, ..Options::default() })?;
        let log = store.log();
        let live = log.start()?;
        let reader = std::thread::spawn(move || live.iter().count());
        let started = Instant::now();
        let mut acknowledged = 0;
        let mut slowest = Duration::ZERO;
        let mut waiting = std::collections::VecDeque::new();
        while started.elapsed() < MEASURE_FOR {
            while waiting.len() < in_flight {
                match log.append(1, "", vec![b'x'; entry_bytes]) {
                    Ok(ticket) => waiting.push_back((Instant::now(), ticket)),
                    Err(AppendError::Full { .. }) => break,
                    Err(other) => return Err(other.into()),
                }
            }
            if let Some((appended, ticket)) = waiting.pop_front() {
                ticket.wait_blocking()?;
                slowest = slowest.max(appended.elapsed());
                acknowledged += 1;
            }
        }
        let elapsed_s = started.elapsed().as_secs_f64();
        log.stop();
        let ticks = reader.join().map_err(|_| "the reader panicked")?;
        println!(
            "{in_flight:>5} in flight: {:>9.0} entries/s, {:>7.0} ticks/s, slowest {:.1} ms",
            f64::from(acknowledged) / elapsed_s,
            ticks as f64 / elapsed_s,
            slowest.as_secs_f64() * 1000.0
        );
    }
    Ok(())
}
