//! A service of its own under load: this program, started as one.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};

use super::wire::{Answers, SECRET};

/// How often a service that starts is asked whether it is ready.
const ASKED_EVERY: Duration = Duration::from_millis(20);

/// Killed when it is dropped.
pub(super) struct Service {
    process: Child,
    pub address: String,
}

impl Drop for Service {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl Service {
    /// Starts one on a data folder, and waits until it listens.
    pub fn start(program: &Path, data: &Path) -> anyhow::Result<Service> {
        let mut process = Command::new(program)
            .args(["run", "--listen", "127.0.0.1:0", "--set"])
            .arg(format!("sources.loconav.hmac_secret={SECRET}"))
            .arg("--data")
            .arg(data)
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let stderr = process.stderr.take().context("no standard error")?;
        // From here on it ends with this, whatever fails.
        let mut service = Service { process, address: String::new() };
        let mut lines = BufReader::new(stderr).lines();
        service.address = loop {
            let line = lines.next().context("the service ended before it listened")??;
            if let Some((_, rest)) = line.split_once("http://") {
                break rest.split('/').next().unwrap_or_default().to_owned();
            }
        };
        // What it says later must be read, or it would wait for its own log.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(service)
    }

    /// Waits until it has replayed its journal.
    pub fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let mut stream = TcpStream::connect(&self.address)?;
        let mut answers = Answers::of(&stream)?;
        loop {
            stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
            if answers.next()?.0 == 200 {
                return Ok(());
            }
            ensure!(self.process.try_wait()?.is_none(), "the service ended before it was ready");
            std::thread::sleep(ASKED_EVERY);
        }
    }

    /// The processor time that it has used, all its threads together.
    pub fn processor_seconds(&self) -> anyhow::Result<f64> {
        let path = format!("/proc/{}/stat", self.process.id());
        let stat = std::fs::read_to_string(&path)
            .with_context(|| format!("processor time is measured through {path}, which only Linux has"))?;
        processor_seconds_in(&stat).with_context(|| format!("{path} does not tell the processor time"))
    }

    /// What the kernel knows it by.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }
}

/// Linux counts for programs in hundredths of a second.
const TICKS_A_SECOND: f64 = 100.0;

/// The 14th and 15th word are the times in the program and in the kernel. The second, a name in parentheses, may have
/// blanks.
fn processor_seconds_in(stat: &str) -> Option<f64> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let times: Vec<u64> = behind_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|word| word.parse().ok())
        .collect::<Option<_>>()?;
    (times.len() == 2).then(|| times.iter().sum::<u64>() as f64 / TICKS_A_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_line_is_read() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 100 0 0 0 1234 66 0 0 20 0 9 0 5 6 7";
        assert_eq!(processor_seconds_in(stat), Some(13.0));
        assert_eq!(processor_seconds_in("7 (a) S 1"), None);
    }
}
