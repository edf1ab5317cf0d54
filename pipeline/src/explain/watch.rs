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

/// An edit of the fence, or a settings record.
struct Correction {
    /// Position of the record in the whole input.
    seq: u64,
    /// The instant at its arrival.
    received: TimeMs,
    control: Control,
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
    /// The last record of the tick that is read which opens the visit's time again.
    opened_by: Option<u64>,
    /// Corrections that came when the visit was final.
    out_of_reach: Vec<Correction>,
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
            opened_by: None,
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
            let (seq, edge, received) = match &control {
                Control::Settings { seq, edge, .. } => (*seq, *edge, instant),
                Control::Fence { seq, edge, .. } => match edits.get(seq) {
                    Some(received) => (*seq, *edge, *received),
                    None => continue,
                },
                _ => continue,
            };
            let correction = Correction { seq, received, control };
            if self.visit.departed.is_some_and(|departed| departed.0 < edge) {
                self.out_of_reach.push(correction);
            } else {
                self.correct(correction);
            }
        }
        if let Some(opened_by) = self.opened_by.take() {
            // In the order of the records, since the edge never goes back: what is out of reach came after what
            // was in reach.
            let came_later = self.out_of_reach.partition_point(|correction| correction.seq < opened_by);
            let later = self.out_of_reach.split_off(came_later);
            for correction in std::mem::replace(&mut self.out_of_reach, later) {
                self.correct(correction);
            }
        }
    }

    fn correct(&mut self, Correction { received, control, .. }: Correction) {
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
        let (mut is_edit, mut is_opened) = (false, false);
        match &record {
            Record::FenceUpsert(fence) => is_edit = *fence.id == *self.visit.fence_id,
            Record::FenceDelete { id, .. } => is_edit = **id == *self.visit.fence_id,
            Record::Backfill { from, to } => {
                // From there on everything is in reach, after the period too.
                is_opened = self.visit.departed.is_none_or(|departed| departed >= *from);
                let (let_in, waiting) = std::mem::take(&mut self.waiting)
                    .into_iter()
                    .partition(|seen| (*from..*to).contains(&seen.time));
                self.waiting = waiting;
                self.positions.extend::<Vec<Seen>>(let_in);
                self.positions.sort_by_key(|seen| seen.seq);
            }
            _ => {}
        }
        self.intake.record(received, record);
        if is_edit {
            self.edits.insert(self.intake.records(), self.intake.instant());
        }
        if is_opened {
            self.opened_by = Some(self.intake.records());
        }
    }
}
