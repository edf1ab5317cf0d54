//! The provider's own alerts: the halves of each are put together.

use std::collections::BTreeMap;

use model::{AlertKind, Severity, Why};
use rustc_hash::FxHashMap;

use crate::alerts::control::{KindKey, ProviderIn, TextKey, kind_key};
use crate::alerts::rows::{AlertFacts, Details, Subject};
use crate::alerts::rules::RuleBook;
use crate::presence::VehicleKey;
use crate::rows::Delta;

/// An own alert this near to one of the provider's is of the same thing.
pub(super) const SAME_WITHIN_MS: i64 = 5_000;

/// What the halves of an alert have in common, besides vehicle and kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
enum Common {
    Id(TextKey),
    /// Without an id: when it began; when it ended, where only that is known; else when it arrived.
    Time(i64),
}

/// What the halves of one alert say.
#[derive(Clone, Copy, serde::Serialize, serde::Deserialize)]
struct Halves {
    /// Those of the first.
    severity: Severity,
    is_instant: bool,
    arrived: i64,
    started: Option<i64>,
    /// The first and the last end that was told.
    ended: Option<(i64, i64)>,
    /// What was received last.
    received: Option<TextKey>,
    /// The row that is out.
    told: Option<AlertFacts>,
}

impl Halves {
    fn take(&mut self, half: &ProviderIn) {
        self.started = [self.started, half.started].into_iter().flatten().min();
        let ends = [self.ended, half.ended.map(|ended| (ended, ended))];
        self.ended = ends.into_iter().flatten().reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        self.received = half.received.or(self.received);
    }

    fn started(&self) -> i64 {
        self.started.or(self.ended.map(|(first, _)| first)).unwrap_or(self.arrived)
    }

    fn ended(&self) -> Option<i64> {
        let started = self.started();
        if self.is_instant { Some(started) } else { self.ended.map(|(_, last)| last.max(started)) }
    }
}

/// What the provider told of a worker's vehicles.
#[derive(Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Providers {
    vehicles: FxHashMap<VehicleKey, BTreeMap<(KindKey, Common), Halves>>,
    changed: BTreeMap<VehicleKey, Why>,
}

impl Providers {
    pub fn take(&mut self, half: &ProviderIn, instant: i64, why: Why) {
        let common = match half.provider_id {
            Some(id) => Common::Id(id),
            None => Common::Time(half.started.or(half.ended).unwrap_or(instant)),
        };
        let of_vehicle = self.vehicles.entry(half.vehicle).or_default();
        let halves = of_vehicle.entry((half.kind, common)).or_insert(Halves {
            severity: half.severity,
            is_instant: half.is_instant,
            arrived: instant,
            started: None,
            ended: None,
            received: None,
            told: None,
        });
        halves.take(half);
        self.note(half.vehicle, why);
    }

    /// A vehicle's own alerts of harsh driving changed, or the rules for it.
    pub fn note(&mut self, vehicle: VehicleKey, why: Why) {
        if self.vehicles.contains_key(&vehicle) {
            let known = self.changed.entry(vehicle).or_insert(why);
            *known = known.stronger(why);
        }
    }

    /// A rule for a kind changed.
    pub fn note_rule(&mut self, kind: KindKey, why: Why) {
        let Providers { vehicles, changed } = self;
        let has_some = |of: &BTreeMap<(KindKey, Common), Halves>| of.keys().any(|(of, _)| *of == kind);
        for (&vehicle, _) in vehicles.iter().filter(|(_, of)| has_some(of)) {
            let known = changed.entry(vehicle).or_insert(why);
            *known = known.stronger(why);
        }
    }

    /// Tells what came and went. `is_own` says whether an own alert of a kind is near a time.
    pub fn judge(
        &mut self,
        book: &RuleBook,
        is_own: impl Fn(VehicleKey, AlertKind, i64) -> bool,
        emit: &mut impl FnMut(Delta<AlertFacts>),
    ) {
        for (vehicle, why) in std::mem::take(&mut self.changed) {
            let Some(of_vehicle) = self.vehicles.get_mut(&vehicle) else { continue };
            for (&(kind, common), halves) in of_vehicle {
                let started = halves.started();
                let ruling = book.ruling(kind, vehicle, None, started);
                let harsh = [AlertKind::HarshBraking, AlertKind::HarshAcceleration];
                let own = harsh.into_iter().find(|own| kind_key(*own) == kind);
                let is_told = ruling.enabled && !own.is_some_and(|own| is_own(vehicle, own, started));
                let provider_id = match common {
                    Common::Id(id) => Some(id),
                    Common::Time(_) => None,
                };
                let row = is_told.then(|| AlertFacts {
                    subject: Subject::Provider(kind, provider_id),
                    vehicle,
                    started,
                    due_at: started,
                    ended: halves.ended(),
                    severity: ruling.severity.unwrap_or(halves.severity),
                    fence: None,
                    trip: None,
                    details: Details::Provider { received: halves.received },
                });
                if row == halves.told {
                    continue;
                }
                halves.told.iter().for_each(|&row| emit(Delta { row, diff: -1, why }));
                row.iter().for_each(|&row| emit(Delta { row, diff: 1, why }));
                halves.told = row;
            }
        }
    }
}
