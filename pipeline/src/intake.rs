//! The graph's door: gives every record its sequence number and its instant, and refuses what cannot be
//! used. The only place where the order of arrival matters.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{
    AlertKind, AlertRule, Coord, EntityRecord, FenceEdit, Fix, GraphSettings, LocationEdit, LocationRecord,
    Motion, Position, PositionRef, ProviderAlert, Record, RecordSink, RejectReason, RejectRow, RuleScope,
    TimeMs, TripEdit, TripRecord, VehicleEdit, admit, range_ok,
};
use operators::Control;
use operators::alerts::{AlertControl, ProviderIn, ScopeKey};
use operators::fences::{ALWAYS, Edit};
use operators::presence::FixIn;
use operators::trips::{Place, Plan, TripControl};
use rustc_hash::FxHashSet;

use crate::names::{AllNames, Interner};
use crate::periods::{Period, Periods};

const DAY_MS: i64 = 24 * 3_600_000;

/// What a tick brings to the graph and past it.
#[derive(Default)]
pub struct TickInput {
    /// The instant of the tick's last record.
    pub instant: TimeMs,
    /// How many records there were up to and with this tick.
    pub records: u64,
    pub(crate) fixes: Vec<FixIn>,
    pub(crate) controls: Vec<Control>,
    pub(crate) trip_controls: Vec<TripControl>,
    pub(crate) alert_controls: Vec<AlertControl>,
    pub(crate) rejects: Vec<RejectRow>,
    pub(crate) view_fixes: Vec<Fix>,
    pub(crate) fence_edits: Vec<FenceEdit>,
    pub(crate) trip_records: Vec<TripRecord>,
    pub(crate) location_records: Vec<LocationRecord>,
    pub(crate) entity_records: Vec<EntityRecord>,
}

/// Turns decoded records into ticks of the graph. Between ticks, what is kept of it is all there is.
#[derive(serde::Serialize, serde::Deserialize)]
pub struct Intake {
    vehicles: Interner,
    /// Of fences and locations: where a trip names a place, it may be either.
    fences: Interner,
    /// Fences that there are or were.
    drawn: FxHashSet<u32>,
    trips: Interner,
    people: Interner,
    clients: Interner,
    companies: Interner,
    /// Of alerts: ours are numbered first.
    kinds: Interner,
    texts: Interner,
    settings: GraphSettings,
    pinned: BTreeSet<String>,
    #[serde(skip)]
    arrival: Option<TimeMs>,
    records: u64,
    instant: i64,
    largest_seen: i64,
    /// The edge of Reach: rows that ended before it are out of every correction's reach. Never goes back.
    edge: i64,
    periods: Periods,
    /// Whether anything came that KPIs count. From then on days and weeks stay those of the zone that held then.
    has_begun: bool,
    /// The last position that came too late and is exempt: it waits for its backfill.
    last_waiting: u64,
    keep_for_views: bool,
    #[serde(skip)]
    warnings: Vec<(u64, String)>,
    #[serde(skip)]
    tick: TickInput,
}

impl Intake {
    /// An intake that has seen nothing. Settings named in `pinned` are not changed by settings records.
    /// `keep_for_views` keeps for views what only they need: the admitted positions, and master data.
    #[must_use]
    pub fn new(settings: GraphSettings, pinned: BTreeSet<String>, keep_for_views: bool) -> Intake {
        let mut kinds = Interner::default();
        for kind in AlertKind::ALL {
            kinds.number(kind.as_str());
        }
        Intake {
            vehicles: Interner::default(),
            fences: Interner::default(),
            drawn: FxHashSet::default(),
            trips: Interner::default(),
            people: Interner::default(),
            clients: Interner::default(),
            companies: Interner::default(),
            kinds,
            texts: Interner::default(),
            settings,
            pinned,
            arrival: None,
            records: 0,
            instant: 0,
            largest_seen: 0,
            edge: ALWAYS,
            periods: Periods::default(),
            has_begun: false,
            last_waiting: 0,
            keep_for_views,
            warnings: Vec::new(),
            tick: TickInput::default(),
        }
    }

    /// Tells beforehand what the first backfill records of the input open: until each of them comes, its
    /// period is never too late and in the reach of every correction.
    #[must_use]
    pub fn with_periods(mut self, periods: Vec<Period>) -> Intake {
        self.periods = Periods::known(periods);
        self
    }

    /// The periods of all backfill records that came, and of those that were told beforehand.
    #[must_use]
    pub fn periods(&self) -> &[Period] {
        self.periods.all()
    }

    /// The last backfill record that came and was not told beforehand: what it opens was closed so far.
    #[must_use]
    pub fn unopened(&self) -> Option<u64> {
        self.periods.unopened()
    }

    /// Whether the last record is a position that waits for a backfill.
    pub(crate) fn is_last_waiting(&self) -> bool {
        self.last_waiting == self.records
    }

    /// From now on records arrive at this time, whatever they say themselves.
    pub fn set_arrival(&mut self, arrival: TimeMs) {
        self.arrival = Some(arrival);
    }

    /// How many records came in.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records
    }

    /// The instant of the last record.
    #[must_use]
    pub fn instant(&self) -> TimeMs {
        TimeMs(self.instant)
    }

    /// The settings as the records left them.
    #[must_use]
    pub fn settings(&self) -> &GraphSettings {
        &self.settings
    }

    /// Takes what deserves a word: (sequence number of the record, text).
    pub fn take_warnings(&mut self) -> Vec<(u64, String)> {
        std::mem::take(&mut self.warnings)
    }

    /// A record that could not be decoded; it counts, and does not move the instant by itself.
    pub fn malformed(&mut self) {
        self.begin(None, None);
        self.refuse(None, RejectReason::Malformed);
    }

    /// Ends a tick. Time may have passed without a record: the instant is at least `at_least`.
    pub fn finish_tick(&mut self, at_least: Option<TimeMs>) -> TickInput {
        self.finish(at_least, false)
    }

    /// Ends the tick behind which no record comes any more.
    pub fn finish_last_tick(&mut self) -> TickInput {
        self.finish(None, true)
    }

    fn finish(&mut self, at_least: Option<TimeMs>, is_last: bool) -> TickInput {
        if let Some(time) = at_least {
            self.instant = self.instant.max(time.0);
            self.largest_seen = self.largest_seen.max(time.0);
            self.move_edge();
        }
        let mut tick = std::mem::take(&mut self.tick);
        tick.fixes.shrink_to_fit();
        tick.instant = TimeMs(self.instant);
        tick.records = self.records;
        let of_tick = Control::Tick { instant: self.instant, last_seq: self.records, edge: self.reach() };
        tick.controls.insert(0, of_tick);
        let (instant, last_seq, edge) = (self.instant, self.records, self.edge);
        tick.trip_controls.insert(0, TripControl::Tick { instant, last_seq, edge, is_last });
        let edge = self.reach();
        tick.alert_controls.insert(0, AlertControl::Tick { instant, last_seq, edge });
        tick
    }

    pub(crate) fn names(&self) -> AllNames {
        AllNames {
            vehicles: self.vehicles.names(),
            fences: self.fences.names(),
            trips: self.trips.names(),
            people: self.people.names(),
            clients: self.clients.names(),
            kinds: self.kinds.names(),
            texts: self.texts.names(),
        }
    }

    /// Counts a record and moves the instant: to its own arrival, else to the largest time seen.
    fn begin(&mut self, received: Option<TimeMs>, event_time: Option<TimeMs>) {
        self.records += 1;
        let time = match self.arrival.or(received) {
            Some(received) => received.0,
            None => event_time.map_or(self.largest_seen, |t| t.0.max(self.largest_seen)),
        };
        self.largest_seen = self.largest_seen.max(time);
        let leap_ms = time - self.instant;
        if self.instant != 0 && leap_ms > DAY_MS {
            let hours = leap_ms / 3_600_000;
            let text = format!("time leaps {hours} h ahead, from {} to {}", self.instant(), TimeMs(time));
            self.warnings.push((self.records, text));
        }
        self.instant = self.instant.max(time);
        self.move_edge();
    }

    /// History is never kept for less than fixes may be late.
    fn move_edge(&mut self) {
        if let Some(keep_ms) = self.settings.keep_ms {
            self.edge = self.edge.max(self.instant - keep_ms.max(self.settings.horizon_ms));
        }
    }

    /// The edge of Reach for the present record: of periods that a backfill opens later it is kept out.
    fn reach(&self) -> i64 {
        self.periods.reach(self.edge)
    }

    /// Where an admitted position is, and whether only a backfill lets it in.
    fn judge(&self, position: &Position) -> Result<(Coord, bool), RejectReason> {
        let Position { lon, lat, event_time, .. } = *position;
        match admit(lon, lat, event_time, self.instant(), &self.settings) {
            Ok(at) if event_time.0 >= self.edge => Ok((at, false)),
            Ok(at) if event_time.0 >= self.reach() => Ok((at, true)),
            // Where the horizon has grown, history does not go back as far as it does yet.
            Ok(_) => Err(RejectReason::TooLate),
            Err(RejectReason::TooLate) if self.periods.open(event_time) => {
                let at = Coord::from_degrees(lon, lat).map_err(|_| RejectReason::OutOfRange)?;
                Ok((at, true))
            }
            Err(reason) => Err(reason),
        }
    }

    fn refuse(&mut self, fix: Option<(Arc<str>, TimeMs)>, reason: RejectReason) {
        self.tick.rejects.push(RejectRow { seq: self.records, fix, reason });
    }

    fn edit_fence(&mut self, fence: u32, edit: Edit) {
        let (seq, edge) = (self.records, self.reach());
        self.tick.alert_controls.push(AlertControl::Fence { seq, edge, fence, edit: edit.clone() });
        self.tick.controls.push(Control::Fence { seq, edge, fence, edit });
    }

    fn place(&mut self, id: &str) -> Place {
        let (key, id) = self.fences.number_and_text(id);
        Place { key, id }
    }

    fn edit_trip(&mut self, id: &str, edit: &TripEdit) {
        let seq = self.records;
        self.has_begun = true;
        let (trip, id) = self.trips.number_and_text(id);
        let control = match edit {
            TripEdit::Plan(plan) => {
                let plan = Plan {
                    id,
                    vehicle: self.vehicles.number(&plan.vehicle_id),
                    pickup: self.place(&plan.pickup),
                    delivery: self.place(&plan.delivery),
                    client: plan.client.as_deref().map(|client| self.clients.number(client)),
                    corridor: plan.corridor.as_deref().map(|fence| self.fences.number(fence)),
                    schedule: plan.schedule(),
                };
                TripControl::Plan { seq, trip, plan: plan.into() }
            }
            TripEdit::SetStatus { status, by } => {
                let by = self.people.number(by);
                TripControl::Status { seq, instant: self.instant, trip, status: *status, by }
            }
        };
        self.tick.trip_controls.push(control);
    }

    fn edit_location(&mut self, id: &str, edit: &LocationEdit) {
        let location = self.place(id);
        let (fence, kind) = match edit {
            LocationEdit::Upsert { fence_id, kind } => {
                (Some(fence_id.as_ref().map(|id| self.place(id))), *kind)
            }
            LocationEdit::Delete => (None, None),
        };
        let control = TripControl::Location { seq: self.records, location, fence, kind };
        self.tick.trip_controls.push(control);
    }

    fn edit_vehicle(&mut self, id: &str, edit: &VehicleEdit) {
        let (is_operational, company) = match edit {
            VehicleEdit::Upsert { company, is_operational } => (Some(*is_operational), company.as_deref()),
            VehicleEdit::Delete => (None, None),
        };
        let company = company.map(|company| self.companies.number(company));
        self.has_begun = true;
        let (seq, instant, vehicle) = (self.records, self.instant, self.vehicles.number(id));
        let edge = self.reach();
        self.tick.alert_controls.push(AlertControl::Company { seq, edge, vehicle, company });
        self.tick.trip_controls.push(TripControl::Vehicle { seq, instant, vehicle, is_operational });
    }

    /// The graph has no use for it; views have.
    fn show(&mut self, record: EntityRecord) {
        if self.keep_for_views {
            self.tick.entity_records.push(record);
        }
    }

    fn take_rule(&mut self, rule: Arc<AlertRule>) {
        let scope = match &rule.scope {
            RuleScope::Fence(id) => ScopeKey::Fence(self.fences.number(id)),
            RuleScope::Vehicle(id) => ScopeKey::Vehicle(self.vehicles.number(id)),
            RuleScope::Fleet => ScopeKey::Fleet,
            RuleScope::Company(id) => ScopeKey::Company(self.companies.number(id)),
        };
        let from = if rule.correct_history { self.reach() } else { self.instant };
        let (seq, kind) = (self.records, self.kinds.number(&rule.kind));
        self.tick.alert_controls.push(AlertControl::Rule { seq, from, kind, scope, rule });
    }

    fn take_providers_alert(&mut self, alert: &ProviderAlert) {
        self.has_begun = true;
        let mut text = |text: &Option<Arc<str>>| text.as_deref().map(|text| self.texts.number(text));
        let (provider_id, received) = (text(&alert.provider_id), text(&alert.details));
        let alert = ProviderIn {
            vehicle: self.vehicles.number(&alert.vehicle_id),
            kind: self.kinds.number(&alert.kind),
            severity: alert.severity,
            is_instant: alert.is_instant,
            provider_id,
            started: alert.started.map(|time| time.0),
            ended: alert.ended.map(|time| time.0),
            received,
        };
        let (seq, instant) = (self.records, self.instant);
        self.tick.alert_controls.push(AlertControl::Provider { seq, instant, alert });
    }

    fn apply_settings(&mut self, values: &[(String, model::SettingValue)]) -> bool {
        let mut changed = self.settings.clone();
        for (name, value) in values {
            if !self.pinned.contains(name) && changed.apply(name, value).is_err() {
                return false;
            }
        }
        if changed != self.settings {
            if self.has_begun && changed.zone != self.settings.zone {
                let text = "the zone changes for schedules only: days and weeks of KPIs stay as they began";
                self.warnings.push((self.records, text.to_owned()));
            }
            self.settings = changed;
            self.move_edge();
            let (seq, edge) = (self.records, self.reach());
            let settings = Arc::new(self.settings.clone());
            let is_first = !self.has_begun;
            let of_trips = TripControl::Settings { seq, settings: settings.clone(), is_first };
            self.tick.trip_controls.push(of_trips);
            let of_alerts = AlertControl::Settings { seq, edge, settings: settings.clone() };
            self.tick.alert_controls.push(of_alerts);
            self.tick.controls.push(Control::Settings { seq, edge, settings });
        }
        true
    }
}

impl RecordSink for Intake {
    fn position(&mut self, received: Option<TimeMs>, decoded: PositionRef<'_>) {
        let position = decoded.position;
        let in_range = range_ok(position.lon, position.lat, position.event_time);
        let known_time = in_range.is_ok().then_some(position.event_time);
        self.begin(received, known_time);
        let (at, is_let_in) = match self.judge(&position) {
            Ok(admitted) => admitted,
            Err(RejectReason::Malformed) => return self.refuse(None, RejectReason::Malformed),
            Err(RejectReason::TooLate) if position.exempt => {
                self.last_waiting = self.records;
                return;
            }
            Err(reason) => {
                return self.refuse(Some((decoded.vehicle_id.into(), position.event_time)), reason);
            }
        };
        self.largest_seen = self.largest_seen.max(position.event_time.0);
        self.has_begun = true;
        // What a backfill lets in is nothing of the present: views do not show it on any pass.
        let (vehicle, shown_as) = if self.keep_for_views && !is_let_in {
            let (vehicle, vehicle_id) = self.vehicles.number_and_text(decoded.vehicle_id);
            (vehicle, Some(vehicle_id))
        } else {
            (self.vehicles.number(decoded.vehicle_id), None)
        };
        self.tick.fixes.push(FixIn {
            vehicle,
            bad_value: position.bad.any(),
            at,
            motion: Motion::of(&position),
            time: position.event_time.0,
            seq: self.records,
        });
        if let Some(vehicle_id) = shown_as {
            self.tick.view_fixes.push(Fix {
                vehicle_id,
                spelling: decoded.spelling.map(Into::into),
                seq: self.records,
                at,
                position,
                received: TimeMs(self.instant),
            });
        }
    }

    fn record(&mut self, received: Option<TimeMs>, record: Record) {
        if let Record::Undecodable { .. } = record {
            self.begin(received, None);
            return self.refuse(None, RejectReason::Malformed);
        }
        self.begin(received, None);
        match record {
            Record::FenceUpsert(fence) => {
                let key = self.fences.number(&fence.id);
                self.drawn.insert(key);
                self.edit_fence(key, Edit::Upsert(fence.clone()));
                self.tick.fence_edits.push(FenceEdit::Upsert(fence));
            }
            Record::FenceDelete { id, at } => {
                let at = at.unwrap_or(TimeMs(self.instant));
                if let Some(key) = self.fences.known(&id).filter(|key| self.drawn.contains(key)) {
                    self.edit_fence(key, Edit::Delete(at));
                    self.tick.fence_edits.push(FenceEdit::Delete { id, at });
                }
            }
            Record::Settings(values) => {
                if !self.apply_settings(&values) {
                    self.refuse(None, RejectReason::Malformed);
                }
            }
            Record::Backfill { from, to } => self.periods.meet(Period { from, to }, self.records),
            Record::Trip { id, edit, json } => {
                self.edit_trip(&id, &edit);
                self.tick.trip_records.push(TripRecord { id, edit, json });
            }
            Record::Location { id, edit, json } => {
                self.edit_location(&id, &edit);
                self.tick.location_records.push(LocationRecord { id, edit, json });
            }
            Record::Vehicle { id, edit, json } => {
                self.edit_vehicle(&id, &edit);
                self.show(EntityRecord::Vehicle { id, edit, json });
            }
            Record::Other { kind, json } => self.show(EntityRecord::Other { kind, json }),
            Record::Rule { rule, .. } => self.take_rule(rule),
            Record::ProviderAlert { alert, .. } => self.take_providers_alert(&alert),
            Record::AlertMark { .. } | Record::Clock | Record::Undecodable { .. } => {}
        }
    }
}
