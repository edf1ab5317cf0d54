//! The demo: 84 simulated trucks around Lagos, driven into a running service through its own webhook.
//!
//! ```text
//! fences and locations, if no fence is known
//!   -> trips planned so far -> the last 8 days, newest day first -> real time, until stopped
//! ```
//!
//! A truck's life is a function of its number and the day, as are its trips, so a restart goes on where the
//! service's records end: only what should have arrived since then is sent. A first fill that was broken off is
//! not gone back to.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::bail;
use bytes::Bytes;
use hyper::{Method, StatusCode};
use model::TimeMs;
use tokio::time::sleep;

use crate::send::client::{Answer, Client, Target};
use crate::send::loconav::push_location;
use crate::send::{back_off, is_busy, retry_pause};
use crate::simulate::{
    ArrivalRules, Arrivals, Arrived, Layout, TripAct, World, WorldOptions, day_start, feature_json,
    local_day, push_fence_upsert, push_location_upsert, push_trip_act, truck_name,
};
use plans::Plans;

/// The demo's fleet, always the same.
const TRUCKS: u32 = 84;
const FENCES: u32 = 58;
const SEED: u64 = 2026;
/// The trucks drive over 60 km/h where roads let them, and would fill the inbox by the usual rule. By this one there
/// are some alerts a day.
const SPEED_RULE: &str = concat!(
    r#"{"type":"rule","kind":"overspeed","scope":"fleet","threshold":68,"duration_s":180,"correct_history":true}"#,
    "\n"
);

const FENCES_PATH: &str = "/api/v1/fences?limit=1000";
const RECORDS_PATH: &str = "/api/v1/records";
const LOCATION_PATH: &str = "/webhooks/loconav/location";
/// Positions a request.
const BATCH: usize = 2_000;
/// Records of trips a request.
const TRIPS_BATCH: usize = 500;
/// How often it is looked for fixes whose time has come.
const CHECK_EVERY: Duration = Duration::from_millis(250);
/// How far back the demo goes. The quarter of an hour is for filling the oldest day before it is too late.
const PAST_MS: i64 = 8 * 86_400_000 - 15 * 60_000;
/// No fix is longer under way than a dead zone.
const LONGEST_SILENCE_MS: i64 = 70 * 60_000;

/// The demo's fences as GeoJSON features.
#[must_use]
pub fn fences() -> Vec<String> {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    world().fences.iter().map(|fence| text(feature_json(&fence.label, &fence.first))).collect()
}

fn world() -> World {
    World::new(&WorldOptions { fences: FENCES, seed: SEED, layout: Layout::Lagos, edits: None })
}

/// Drives the demo's fleet into the service at `base_url` (`http://host:port`) until `stop`.
///
/// `last_known` is the newest event time that the service has: only what arrived after it is filled in. An
/// error means that the service does not want this (its URL is none, or it asks for a signature); whatever
/// may pass is waited for.
pub async fn drive(
    base_url: String,
    now: impl Fn() -> TimeMs,
    last_known: Option<TimeMs>,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let mut driver =
        Driver { client: Client::new(Target::parse(&base_url)?), world: world(), names: names() };
    tokio::select! {
        result = driver.run(&now, last_known) => result,
        () = stop => Ok(()),
    }
}

fn names() -> Vec<String> {
    (0..TRUCKS).map(truck_name).collect()
}

struct Driver {
    client: Client,
    world: World,
    names: Vec<String>,
}

impl Driver {
    async fn run(&mut self, now: &impl Fn() -> TimeMs, last_known: Option<TimeMs>) -> anyhow::Result<()> {
        self.post_fences().await?;
        let live_from = now();
        let oldest = live_from.plus_ms(-PAST_MS);
        let (mut plans, made) = Plans::until(&self.world, oldest, live_from, last_known);
        // Before the positions: whatever a position is known of, its trips are known of as well.
        self.post_trips(&made).await?;
        let mut waiting = self.fill(live_from, last_known).await?;
        waiting.sort_unstable_by(|a, b| b.cmp(a));
        tracing::info!(trucks = TRUCKS, "the demo fleet drives in real time");
        let mut arrivals = Arrivals::new(&self.world, TRUCKS, live_from, ArrivalRules::default());
        let mut done = live_from;
        let mut due = Vec::new();
        loop {
            let until = now();
            if until > done {
                done = until;
                self.post_trips(&plans.next_until(&self.world, until)).await?;
                while let Some(next) = waiting.pop_if(|next| next.received < until) {
                    due.push(next);
                }
                arrivals.until(&self.world, until, &mut due);
                due.sort_unstable();
                self.post_positions(&due).await?;
                due.clear();
            }
            sleep(CHECK_EVERY).await;
        }
    }

    /// Creates the demo's fences and locations unless the service knows any of the fences.
    async fn post_fences(&mut self) -> anyhow::Result<()> {
        let Some(answer) = self.ask(Method::GET, FENCES_PATH, Bytes::new()).await? else {
            return Ok(());
        };
        let known = known_ids(&answer);
        if self.world.fences.iter().any(|fence| known.contains(&*fence.label.id)) {
            return Ok(());
        }
        let mut records = Vec::new();
        for fence in &self.world.fences {
            push_fence_upsert(&mut records, None, &feature_json(&fence.label, &fence.first));
        }
        for place in 0..self.world.places.len() as u32 {
            push_location_upsert(&mut records, &self.world, place, None);
        }
        records.extend_from_slice(SPEED_RULE.as_bytes());
        if self.ask(Method::POST, RECORDS_PATH, records.into()).await?.is_some() {
            tracing::info!(fences = FENCES, "the demo's fences are created");
        }
        Ok(())
    }

    /// Sends what arrived before `live_from`, newest day first; returns what is still under way then.
    async fn fill(&mut self, live_from: TimeMs, last_known: Option<TimeMs>) -> anyhow::Result<Vec<Arrived>> {
        let oldest = live_from.plus_ms(-PAST_MS);
        // What happened before the newest known fix and arrived after it was not sent either.
        let from = last_known.map_or(oldest, |known| oldest.max(known.plus_ms(-LONGEST_SILENCE_MS)));
        let mut under_way = Vec::new();
        if from >= live_from {
            return Ok(under_way);
        }
        for day in (local_day(from)..=local_day(live_from)).rev() {
            let (day_from, day_to) = (day_start(day).max(from), day_start(day + 1).min(live_from));
            let mut arrivals = Arrivals::new(&self.world, TRUCKS, day_from, ArrivalRules::default());
            let mut positions = Vec::new();
            arrivals.until(&self.world, day_to, &mut positions);
            arrivals.rest(&mut positions);
            under_way.extend(positions.extract_if(.., |next| next.received >= live_from));
            positions.retain(|next| last_known.is_none_or(|known| next.received > known));
            self.post_positions(&positions).await?;
            tracing::info!(day = %date(day), positions = positions.len(), "the demo fleet's past is filled in");
        }
        Ok(under_way)
    }

    async fn post_trips(&mut self, acts: &[TripAct]) -> anyhow::Result<()> {
        for batch in acts.chunks(TRIPS_BATCH) {
            let mut records = Vec::with_capacity(batch.len() * 512);
            for act in batch {
                push_trip_act(&mut records, &self.world, act, None);
            }
            self.ask(Method::POST, RECORDS_PATH, records.into()).await?;
        }
        Ok(())
    }

    async fn post_positions(&mut self, arrived: &[Arrived]) -> anyhow::Result<()> {
        for batch in arrived.chunks(BATCH) {
            let mut body = Vec::with_capacity(batch.len() * 256);
            for (index, next) in batch.iter().enumerate() {
                body.push(if index == 0 { b'[' } else { b',' });
                push_location(&mut body, &self.names[next.truck as usize], &next.fix.position());
            }
            body.push(b']');
            self.ask(Method::POST, LOCATION_PATH, body.into()).await?;
        }
        Ok(())
    }

    /// Asks until there is an answer; `None` is one that says no to this request alone.
    async fn ask(&mut self, method: Method, path: &str, body: Bytes) -> anyhow::Result<Option<Answer>> {
        let mut failures = 0;
        loop {
            let pause = match self.client.request(method.clone(), path, &[], body.clone()).await {
                Ok(answer) if answer.status.is_success() => return Ok(Some(answer)),
                Ok(answer) if is_busy(&answer) => retry_pause(&answer),
                Ok(answer) if matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                    bail!("the demo cannot send to a service that wants credentials: {}", answer.summary());
                }
                Ok(answer) if answer.status.is_client_error() => {
                    tracing::warn!(path, answer = answer.summary(), "a request of the demo is refused");
                    return Ok(None);
                }
                Ok(answer) => {
                    failures += 1;
                    tracing::warn!(path, failures, answer = answer.summary(), "the demo will try again");
                    back_off(failures)
                }
                Err(error) => {
                    failures += 1;
                    // The service may still be starting.
                    if failures > 3 {
                        tracing::warn!(
                            path,
                            failures,
                            error = format!("{error:#}"),
                            "the demo will try again"
                        );
                    }
                    back_off(failures)
                }
            };
            sleep(pause).await;
        }
    }
}

/// The ids in an answer that lists fences.
fn known_ids(answer: &Answer) -> HashSet<String> {
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let listed = body["features"].as_array().or_else(|| body["items"].as_array());
    listed.into_iter().flatten().filter_map(|feature| feature["id"].as_str().map(str::to_owned)).collect()
}

/// A local day as `2026-01-05`.
fn date(day: i64) -> String {
    TimeMs(day * 86_400_000).to_string().chars().take(10).collect()
}

mod plans;

#[cfg(test)]
mod tests;
