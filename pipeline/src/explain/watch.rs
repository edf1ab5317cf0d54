//! The journal read again for one visit: which records of its vehicle and its fence had to do with it.
//!
//! Corrections reach so far and no further: an edit or a setting that came when the visit was final already says
//! nothing about it, unless a backfill opened the visit's time again.

use std::collections::BTreeMap;
use std::sync::Arc;

use journal::Log;
use model::{Fence, GraphSettings, PositionRef, Record, RecordSink, TimeMs, Timeline, VisitRow};
use operators::Control;
use operators::fences::Edit;

use super::ExplainError;
use crate::intake::Intake;

/// A position of the vehicle, as it came.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Seen {
    /// Position of the record in the whole input.
    pub seq: u64,
    pub time: TimeMs,
    /// The instant at its arrival.
    pub received: TimeMs,
    pub lon: f64,
    pub lat: f64,
}

/// An upsert of the fence.
#[derive(Clone, Debug)]
pub(super) struct SeenUpsert {
    /// Position of the record in the whole input.
    pub seq: u64,
    /// The instant at its arrival.
    pub received: TimeMs,
    pub fence: Arc<Fence>,
}

/// What is looked for, and what was found.
pub(super) struct Watch<'a> {
    intake: Intake,
    visit: &'a VisitRow,
    /// Positions with event times within are kept, both ends included.
    from: TimeMs,
    to: TimeMs,
    /// Of the tick that is read: edits of the fence, and when they came.
    edits: BTreeMap<u64, TimeMs>,
    /// Whether the tick that is read opens the visit's time again.
    is_opened: bool,
    /// Corrections that came when the visit was final, and when they came.
    out_of_reach: Vec<(Control, TimeMs)>,
    /// Those of the vehicle that came for a backfill which is still to come.
    waiting: Vec<Seen>,
    /// Positions of the vehicle, in order of arrival.
    pub positions: Vec<Seen>,
    /// The fence as the visit knows it.
    pub fence: Timeline<SeenUpsert>,
    /// The settings as the visit knows them.
    pub settings: GraphSettings,
}

impl<'a> Watch<'a> {
    /// Nothing is read yet; positions are kept from so long before the arrival to so long after the departure.
    pub fn new(visit: &'a VisitRow, around_ms: i64) -> Watch<'a> {
        let end = visit.departed.map_or(i64::MAX, |time| time.0);
        let settings = GraphSettings::default();
        Watch {
            intake: Intake::new(settings.clone(), Default::default(), false),
            visit,
            from: TimeMs(visit.arrived.0.saturating_sub(around_ms)),
            to: TimeMs(end.saturating_add(around_ms)),
            edits: BTreeMap::new(),
            is_opened: false,
            out_of_reach: Vec::new(),
            waiting: Vec::new(),
            positions: Vec::new(),
            fence: Timeline::default(),
            settings,
        }
    }

    /// Reads all ticks up to and with one, as long as it may.
    pub fn read(
        &mut self,
        log: &dyn Log,
        to_tick: u64,
        may_go_on: &dyn Fn() -> bool,
    ) -> Result<(), ExplainError> {
        for tick in log.read(1, to_tick) {
            if !may_go_on() {
                return Err(ExplainError::GaveUp);
            }
            let tick = tick?;
            for entry in &tick.entries {
                self.intake.set_arrival(TimeMs(entry.received_ms));
                sources::decode(entry.source, &entry.context, &entry.payload, self);
            }
            self.end_tick(TimeMs(tick.instant_ms));
        }
        Ok(())
    }

    /// Applies the tick's corrections, as far as they reach.
    pub(super) fn end_tick(&mut self, instant: TimeMs) {
        let controls = self.intake.finish_tick(Some(instant)).controls;
        let edits = std::mem::take(&mut self.edits);
        for control in controls {
            let (edge, received) = match &control {
                Control::Settings { edge, .. } => (*edge, instant),
                Control::Fence { seq, edge, .. } => match edits.get(seq) {
                    Some(received) => (*edge, *received),
                    None => continue,
                },
                _ => continue,
            };
            if self.visit.departed.is_some_and(|departed| departed.0 < edge) {
                self.out_of_reach.push((control, received));
            } else {
                self.correct(control, received);
            }
        }
        if std::mem::take(&mut self.is_opened) {
            for (control, received) in std::mem::take(&mut self.out_of_reach) {
                self.correct(control, received);
            }
        }
    }

    fn correct(&mut self, control: Control, received: TimeMs) {
        match control {
            Control::Settings { settings, .. } => self.settings = GraphSettings::clone(&settings),
            Control::Fence { seq, edit: Edit::Upsert(fence), .. } => {
                self.fence.upsert(&fence, SeenUpsert { seq, received, fence: fence.clone() });
            }
            Control::Fence { edit: Edit::Delete(at), .. } => self.fence.delete(at),
            _ => {}
        }
    }
}

impl RecordSink for Watch<'_> {
    fn position(&mut self, received: Option<TimeMs>, decoded: PositionRef<'_>) {
        self.intake.position(received, decoded);
        let time = decoded.position.event_time;
        if *decoded.vehicle_id == *self.visit.vehicle_id && (self.from..=self.to).contains(&time) {
            let seen = Seen {
                seq: self.intake.records(),
                time,
                received: self.intake.instant(),
                lon: decoded.position.lon,
                lat: decoded.position.lat,
            };
            let place = if self.intake.is_last_waiting() { &mut self.waiting } else { &mut self.positions };
            place.push(seen);
        }
    }

    fn record(&mut self, received: Option<TimeMs>, record: Record) {
        let is_edit = match &record {
            Record::FenceUpsert(fence) => *fence.id == *self.visit.fence_id,
            Record::FenceDelete { id, .. } => **id == *self.visit.fence_id,
            Record::Backfill { from, to } => {
                let ends_before = self.visit.departed.is_some_and(|departed| departed < *from);
                self.is_opened |= self.visit.arrived < *to && !ends_before;
                let (let_in, waiting) = std::mem::take(&mut self.waiting)
                    .into_iter()
                    .partition(|seen| (*from..*to).contains(&seen.time));
                self.waiting = waiting;
                self.positions.extend::<Vec<Seen>>(let_in);
                self.positions.sort_by_key(|seen| seen.seq);
                false
            }
            _ => false,
        };
        self.intake.record(received, record);
        if is_edit {
            self.edits.insert(self.intake.records(), self.intake.instant());
        }
    }
}
