//! What waits for its commit: bounded in count and bytes, never blocking whoever appends.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender};

use crate::clock;
use crate::format::TickRecord;
use crate::log::Acknowledge;
use crate::{AppendError, Options, StoreError, Ticket};

/// What an entry costs in memory beside its bytes.
const ENTRY_OVERHEAD_BYTES: usize = 128;
/// The longest context.
const MAX_CONTEXT_BYTES: usize = 4096;
/// When it is worth trying again where the journal can't be reached.
const UNAVAILABLE_RETRY_S: u32 = 5;
/// The longest wait that is ever advised.
const MAX_RETRY_AFTER_S: u64 = 30;

/// An entry that waits for its commit.
pub(crate) struct Pending {
    pub source: u8,
    pub context: Box<str>,
    pub payload: Vec<u8>,
    pub acknowledge: Acknowledge,
    queued: Instant,
}

impl Pending {
    fn cost_bytes(&self) -> usize {
        cost_bytes(&self.context, &self.payload)
    }
}

fn cost_bytes(context: &str, payload: &[u8]) -> usize {
    context.len() + payload.len() + ENTRY_OVERHEAD_BYTES
}

/// What the writer does next.
pub(crate) enum Work {
    Commit(Vec<Pending>),
    Heartbeat,
    Stop,
}

#[derive(Clone, PartialEq, Eq)]
enum Phase {
    /// Not started: entries may wait already.
    Idle,
    Running,
    /// The writer commits what still waits.
    Stopping,
    Ended,
    Failed(String),
}

struct State {
    waiting: VecDeque<Pending>,
    bytes: usize,
    phase: Phase,
    last_tick: Option<TickRecord>,
    /// Why nothing was committed for long, although the writer goes on trying.
    unavailable: Option<String>,
    /// Dropped by a stop, so that a writer that is blocked by its reader wakes up.
    stop_signal: Option<Sender<()>>,
}

/// The queue between those who append and the writer.
pub(crate) struct Queue {
    state: Mutex<State>,
    wake_writer: Condvar,
    phase_changed: Condvar,
    stopped: Receiver<()>,
    max_entries: usize,
    max_bytes: usize,
    max_entry_bytes: usize,
    max_group_entries: usize,
    max_group_bytes: usize,
    accept_clock: bool,
}

impl Queue {
    /// `max_entry_bytes`: what the journal can write as one entry, its context and overhead included.
    pub(crate) fn new(options: &Options, last_tick: Option<TickRecord>, max_entry_bytes: usize) -> Queue {
        let (stop_signal, stopped) = crossbeam_channel::bounded(0);
        let state = State {
            waiting: VecDeque::new(),
            bytes: 0,
            phase: Phase::Idle,
            last_tick,
            unavailable: None,
            stop_signal: Some(stop_signal),
        };
        Queue {
            state: Mutex::new(state),
            wake_writer: Condvar::new(),
            phase_changed: Condvar::new(),
            stopped,
            max_entries: options.max_queued_entries.max(1),
            max_bytes: options.max_queued_bytes,
            max_entry_bytes: options.max_queued_bytes.min(max_entry_bytes),
            max_group_entries: options.max_group_entries.max(1),
            max_group_bytes: options.max_group_bytes,
            accept_clock: options.accept_clock,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock halfway through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, source: u8, context: &str, payload: Vec<u8>) -> Result<Ticket, AppendError> {
        if context.len() > MAX_CONTEXT_BYTES {
            return Err(AppendError::TooLarge { bytes: context.len(), limit: MAX_CONTEXT_BYTES });
        }
        let bytes = cost_bytes(context, &payload);
        if bytes > self.max_entry_bytes {
            let limit = self.max_entry_bytes.saturating_sub(context.len() + ENTRY_OVERHEAD_BYTES);
            return Err(AppendError::TooLarge { bytes: payload.len(), limit });
        }
        let (acknowledge, ticket) = Ticket::new();
        let pending =
            Pending { source, context: context.into(), payload, acknowledge, queued: Instant::now() };
        let mut state = self.state();
        match &state.phase {
            Phase::Idle | Phase::Running => {}
            Phase::Stopping | Phase::Ended => return Err(AppendError::Stopped),
            Phase::Failed(why) => return Err(AppendError::Failed(why.clone())),
        }
        if let Some(why) = &state.unavailable {
            return Err(AppendError::Unavailable { why: why.clone(), retry_after_s: UNAVAILABLE_RETRY_S });
        }
        if state.waiting.len() >= self.max_entries || state.bytes + bytes > self.max_bytes {
            return Err(AppendError::Full { retry_after_s: retry_after_s(&state.waiting) });
        }
        state.bytes += bytes;
        state.waiting.push_back(pending);
        let was_empty = state.waiting.len() == 1;
        drop(state);
        if was_empty {
            self.wake_writer.notify_one();
        }
        Ok(ticket)
    }

    /// Waits for entries until `deadline`; takes as many as one group may have.
    pub(crate) fn take(&self, deadline: Instant) -> Work {
        let mut state = self.state();
        loop {
            if !state.waiting.is_empty() {
                return Work::Commit(self.take_group(&mut state));
            }
            if state.phase != Phase::Running {
                return Work::Stop;
            }
            let patience = deadline.saturating_duration_since(Instant::now());
            if patience.is_zero() {
                return Work::Heartbeat;
            }
            let woken = self.wake_writer.wait_timeout(state, patience);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn take_group(&self, state: &mut State) -> Vec<Pending> {
        let mut group = Vec::with_capacity(state.waiting.len().min(self.max_group_entries));
        let mut group_bytes = 0;
        while group.len() < self.max_group_entries {
            let Some(cost) = state.waiting.front().map(Pending::cost_bytes) else { break };
            if !group.is_empty() && group_bytes + cost > self.max_group_bytes {
                break;
            }
            group_bytes += cost;
            group.extend(state.waiting.pop_front());
        }
        state.bytes -= group_bytes;
        group
    }

    pub(crate) fn last_tick(&self) -> Option<TickRecord> {
        self.state().last_tick
    }

    /// Refuses a wall clock that is far from the last tick's instant.
    pub(crate) fn check_clock(&self, wall_ms: i64) -> Result<(), StoreError> {
        clock::check(wall_ms, self.last_tick().map(|tick| tick.instant_ms), self.accept_clock)
    }

    pub(crate) fn set_last_tick(&self, record: TickRecord) {
        self.state().last_tick = Some(record);
    }

    /// Why appends are refused for now.
    #[cfg(feature = "kafka")]
    pub(crate) fn unavailable(&self) -> Option<String> {
        self.state().unavailable.clone()
    }

    /// Refuses appends until commits succeed again (`None`).
    #[cfg(feature = "kafka")]
    pub(crate) fn set_unavailable(&self, why: Option<String>) {
        self.state().unavailable = why;
    }

    /// Why the writer ended, if not by a stop.
    pub(crate) fn failure(&self) -> Option<String> {
        match &self.state().phase {
            Phase::Failed(why) => Some(why.clone()),
            _ => None,
        }
    }

    /// Whether a stop was asked for.
    pub(crate) fn is_stopped(&self) -> bool {
        matches!(self.state().phase, Phase::Stopping | Phase::Ended)
    }

    /// How many bytes may wait on each side of the writer.
    pub(crate) fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// Disconnected once a stop was asked for.
    pub(crate) fn stopped(&self) -> &Receiver<()> {
        &self.stopped
    }

    /// Runs the writer on a thread of its own, unless the queue was stopped before.
    pub(crate) fn begin(self: &Arc<Self>, run: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        let mut state = self.state();
        if state.phase != Phase::Idle {
            return Ok(());
        }
        std::thread::Builder::new().name("journal-writer".to_string()).spawn(run)?;
        state.phase = Phase::Running;
        Ok(())
    }

    /// Has what waits committed, and waits until it is durable.
    pub(crate) fn stop(&self) {
        let mut state = self.state();
        state.stop_signal = None;
        if state.phase == Phase::Idle {
            self.end_with(&mut state, Phase::Ended, &AppendError::Stopped);
        } else if state.phase == Phase::Running {
            state.phase = Phase::Stopping;
            self.wake_writer.notify_one();
        }
        while state.phase == Phase::Stopping {
            state = self.phase_changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The writer has committed everything and let go of the database.
    pub(crate) fn end(&self) {
        self.end_with(&mut self.state(), Phase::Ended, &AppendError::Stopped);
    }

    /// The writer can't go on: nothing that waits is ever acknowledged.
    pub(crate) fn fail(&self, why: &str) {
        let error = AppendError::Failed(why.to_string());
        self.end_with(&mut self.state(), Phase::Failed(why.to_string()), &error);
    }

    fn end_with(&self, state: &mut State, phase: Phase, error: &AppendError) {
        state.phase = phase;
        state.bytes = 0;
        for pending in state.waiting.drain(..) {
            // Whoever gave up waiting does not want to know.
            let _ = pending.acknowledge.send(Err(error.clone()));
        }
        self.phase_changed.notify_all();
    }
}

/// A new entry would wait about as long as the oldest one has waited.
fn retry_after_s(waiting: &VecDeque<Pending>) -> u32 {
    let waited_s = waiting.front().map_or(0, |oldest| oldest.queued.elapsed().as_secs());
    u32::try_from((waited_s + 1).min(MAX_RETRY_AFTER_S)).unwrap_or(1)
}
