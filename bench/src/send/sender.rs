//! One connection: sends batches when they are due, and again while the service asks for that.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::bail;
use bytes::Bytes;
use hyper::{Method, StatusCode};
use tokio::sync::{Mutex, mpsc};
use tokio::time::Instant;

use super::batches::Batch;
use super::client::{Answer, Client};
use super::histogram::Histogram;

/// A request is tried again so often after its connection broke or the service failed.
const MAX_FAILURES: u32 = 8;
const FIRST_BACK_OFF: Duration = Duration::from_millis(100);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(5);
/// How long a busy service is asked again.
const BUSY_PATIENCE: Duration = Duration::from_secs(600);
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);

/// A batch and when it should be sent; at once where there is no rate.
pub(super) struct Due {
    pub(super) batch: Batch,
    pub(super) at: Option<Instant>,
}

/// What one connection counted.
pub(super) struct Tally {
    pub(super) sent: u64,
    pub(super) acknowledged: u64,
    pub(super) refused: u64,
    pub(super) retried: u64,
    pub(super) first_refusal: Option<String>,
    pub(super) latencies: Histogram,
}

impl Tally {
    pub(super) fn new() -> Tally {
        Tally {
            sent: 0,
            acknowledged: 0,
            refused: 0,
            retried: 0,
            first_refusal: None,
            latencies: Histogram::new(),
        }
    }

    pub(super) fn merge(&mut self, other: Tally) {
        self.sent += other.sent;
        self.acknowledged += other.acknowledged;
        self.refused += other.refused;
        self.retried += other.retried;
        self.first_refusal = self.first_refusal.take().or(other.first_refusal);
        self.latencies.merge(&other.latencies);
    }
}

/// One connection.
pub(super) struct Sender {
    pub(super) client: Client,
    pub(super) path: String,
    pub(super) secret: Option<Vec<u8>>,
    pub(super) tally: Tally,
}

impl Sender {
    pub(super) async fn run(
        mut self,
        batches: Arc<Mutex<mpsc::Receiver<Due>>>,
    ) -> (Tally, Option<anyhow::Error>) {
        loop {
            let next = batches.lock().await.recv().await;
            let Some(Due { batch, at }) = next else {
                return (self.tally, None);
            };
            if let Some(at) = at {
                tokio::time::sleep_until(at).await;
            }
            let due = at.unwrap_or_else(Instant::now);
            match self.deliver(&batch).await {
                Ok(answer) => self.count(&batch, &answer, due.elapsed()),
                Err(error) => return (self.tally, Some(error)),
            }
        }
    }

    /// Sends a batch until it is answered for good.
    async fn deliver(&mut self, batch: &Batch) -> anyhow::Result<Answer> {
        let mut failures = 0;
        let mut busy_since = None;
        loop {
            let headers = signature_headers(self.secret.as_deref(), &batch.body);
            let sent = self.client.request(Method::POST, &self.path, &headers, batch.body.clone()).await;
            let pause = match sent {
                Ok(answer) if answer.status.is_success() => return Ok(answer),
                Ok(answer) if answer.status == StatusCode::UNPROCESSABLE_ENTITY => return Ok(answer),
                Ok(answer) if is_busy(&answer) => {
                    let since = *busy_since.get_or_insert_with(Instant::now);
                    if since.elapsed() > BUSY_PATIENCE {
                        bail!("the service has been busy for {BUSY_PATIENCE:?}: {}", answer.summary());
                    }
                    retry_pause(&answer)
                }
                Ok(answer) if answer.status.is_server_error() => {
                    failures += 1;
                    if failures > MAX_FAILURES {
                        bail!("the service fails: {}", answer.summary());
                    }
                    back_off(failures)
                }
                Ok(answer) => {
                    bail!("the service refuses {}: {}{}", self.path, answer.summary(), advice(&answer))
                }
                Err(error) => {
                    failures += 1;
                    if failures > MAX_FAILURES {
                        return Err(error);
                    }
                    back_off(failures)
                }
            };
            self.tally.retried += 1;
            tokio::time::sleep(pause).await;
        }
    }

    fn count(&mut self, batch: &Batch, answer: &Answer, latency: Duration) {
        let receipt = Receipt::read(answer, batch.records);
        self.tally.sent += batch.records;
        self.tally.acknowledged += receipt.accepted;
        self.tally.refused += receipt.refused;
        if self.tally.first_refusal.is_none() {
            self.tally.first_refusal = receipt.first_refusal;
        }
        if receipt.accepted > 0 {
            self.tally.latencies.add(latency, receipt.accepted);
        }
    }
}

/// The headers of a signed request; none without a secret.
fn signature_headers(secret: Option<&[u8]>, body: &Bytes) -> Vec<(&'static str, String)> {
    let Some(secret) = secret else {
        return Vec::new();
    };
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let unix_s = i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX);
    vec![
        ("x-watchtower-timestamp", unix_s.to_string()),
        ("x-watchtower-signature", sources::signature::sign(secret, unix_s, body)),
    ]
}

/// Whether the service asks to be asked again later.
pub(crate) fn is_busy(answer: &Answer) -> bool {
    answer.status == StatusCode::TOO_MANY_REQUESTS
        || (answer.status == StatusCode::SERVICE_UNAVAILABLE && answer.retry_after.is_some())
}

/// How long it asks to be left alone.
pub(crate) fn retry_pause(answer: &Answer) -> Duration {
    answer.retry_after.unwrap_or(Duration::from_secs(1)).min(LONGEST_RETRY_AFTER)
}

/// How long to wait after so many failures in a row.
pub(crate) fn back_off(failures: u32) -> Duration {
    let doubled = FIRST_BACK_OFF.saturating_mul(1_u32 << failures.saturating_sub(1).min(16));
    doubled.min(LONGEST_BACK_OFF)
}

fn advice(answer: &Answer) -> &'static str {
    match answer.status {
        StatusCode::UNAUTHORIZED => "; give the secret that the service is configured with",
        StatusCode::PAYLOAD_TOO_LARGE => "; send smaller batches with --batch",
        StatusCode::NOT_FOUND => "; check the address and the path",
        _ => "",
    }
}

/// How many records of a request the service took.
struct Receipt {
    accepted: u64,
    refused: u64,
    first_refusal: Option<String>,
}

impl Receipt {
    /// `{"accepted":n,"refused":n,"errors":[{"reason":...}]}`; an answer without numbers speaks by its status.
    fn read(answer: &Answer, records: u64) -> Receipt {
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let is_taken = answer.status.is_success();
        let refused = body["refused"].as_u64().unwrap_or(if is_taken { 0 } else { records }).min(records);
        let accepted = body["accepted"].as_u64().unwrap_or(if is_taken { records - refused } else { 0 });
        let reason = body["errors"][0]["reason"].as_str().map(str::to_owned);
        let first_refusal = (refused > 0).then(|| reason.unwrap_or_else(|| answer.summary()));
        Receipt { accepted: accepted.min(records), refused, first_refusal }
    }
}
