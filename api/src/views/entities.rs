//! Master data: what was last said of vehicles, drivers, organizations and locations, and who drives what, and when.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use model::{EntityRecord, TimeMs, VehicleEdit};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::pages::{MAX_STEPS, Page};

/// A page of entities ends when they are this long together: they may have any fields.
const MAX_PAGE_BYTES: usize = 8 << 20;

/// What has an id, and fields that people gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntityKind {
    Vehicle,
    Driver,
    Organization,
    Location,
}

impl EntityKind {
    const ALL: [EntityKind; 4] =
        [EntityKind::Vehicle, EntityKind::Driver, EntityKind::Organization, EntityKind::Location];

    /// The `type` of its records, and the member that holds it there.
    fn name(self) -> &'static str {
        match self {
            EntityKind::Vehicle => "vehicle",
            EntityKind::Driver => "driver",
            EntityKind::Organization => "organization",
            EntityKind::Location => "location",
        }
    }
}

/// What records say of an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing.
    Unknown,
    /// It is there.
    Kept,
    /// It was there.
    Deleted,
}

/// Whose assignment it is, by vehicle, beginning and driver: of two of one key the last one counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub(crate) struct AssignmentKey {
    pub vehicle_id: Arc<str>,
    pub from: TimeMs,
    pub driver_id: Arc<str>,
}

/// A driver is to drive a vehicle from a time on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AssignmentView {
    pub key: AssignmentKey,
    /// Not any more then; without it for as long as nothing else is said.
    pub to: Option<TimeMs>,
}

/// Which assignments are wanted; all that is given must hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct AssignmentFilter {
    pub vehicle_id: Option<Arc<str>>,
    pub driver_id: Option<Arc<str>>,
    /// Those that hold then.
    pub at: Option<TimeMs>,
}

/// By id, all fields as a compact JSON object; `None` where it was deleted.
type ById = BTreeMap<Arc<str>, Option<Arc<str>>>;

/// All master data.
#[derive(Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Entities {
    by_kind: [ById; EntityKind::ALL.len()],
    /// Vehicles that cannot drive.
    in_maintenance: BTreeSet<Arc<str>>,
    assignments: BTreeMap<AssignmentKey, Option<TimeMs>>,
}

#[derive(Deserialize)]
struct WithId<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Assignment<'a> {
    #[serde(borrow)]
    vehicle_id: Cow<'a, str>,
    #[serde(borrow)]
    driver_id: Cow<'a, str>,
    #[serde(borrow)]
    from_time: Cow<'a, str>,
    #[serde(borrow)]
    to_time: Option<Cow<'a, str>>,
}

impl Entities {
    /// Takes a record in. What it says was checked at the door.
    pub fn take(&mut self, record: &EntityRecord) {
        match record {
            EntityRecord::Vehicle { id, edit, json } => {
                self.in_maintenance.remove(id);
                if let VehicleEdit::Upsert { is_operational: false, .. } = edit {
                    self.in_maintenance.insert(id.clone());
                }
                self.edit(EntityKind::Vehicle, json);
            }
            EntityRecord::Other { kind: "assignment", json } => self.assign(json),
            EntityRecord::Other { kind, json } => {
                if let Some(kind) = EntityKind::ALL.into_iter().find(|known| known.name() == *kind) {
                    self.edit(kind, json);
                }
            }
        }
    }

    /// Takes the record of an entity in.
    pub fn edit(&mut self, kind: EntityKind, json: &str) {
        let Ok(members) = serde_json::from_str::<BTreeMap<Cow<'_, str>, &RawValue>>(json) else { return };
        let by_id = &mut self.by_kind[kind as usize];
        let is_deleted = members.get("op").is_some_and(|op| op.get() == "\"delete\"");
        let holder = if is_deleted { Some(json) } else { members.get(kind.name()).map(|raw| raw.get()) };
        let Some((fields, WithId { id })) = holder.and_then(|of| Some((of, serde_json::from_str(of).ok()?)))
        else {
            return;
        };
        if is_deleted {
            // Deleting what is unknown does nothing.
            by_id.entry(id.into()).and_modify(|fields| *fields = None);
        } else {
            by_id.insert(id.into(), Some(fields.into()));
        }
    }

    fn assign(&mut self, json: &str) {
        let Ok(said) = serde_json::from_str::<Assignment<'_>>(json) else { return };
        let time = |text: Cow<'_, str>| TimeMs::parse_rfc3339(&text).ok();
        let (vehicle_id, driver_id) = (said.vehicle_id.into(), said.driver_id.into());
        if let Some(from) = time(said.from_time) {
            let key = AssignmentKey { vehicle_id, from, driver_id };
            self.assignments.insert(key, said.to_time.and_then(time));
        }
    }

    /// What records say of an entity.
    pub fn standing(&self, kind: EntityKind, id: &str) -> Standing {
        match self.by_kind[kind as usize].get(id) {
            None => Standing::Unknown,
            Some(Some(_)) => Standing::Kept,
            Some(None) => Standing::Deleted,
        }
    }

    /// Whether the record of a vehicle says that it cannot drive.
    pub fn is_in_maintenance(&self, vehicle_id: &str) -> bool {
        self.in_maintenance.contains(vehicle_id)
    }

    /// Whether anybody was ever assigned to any vehicle.
    pub fn has_assignments(&self) -> bool {
        !self.assignments.is_empty()
    }

    /// Whether a driver who was not deleted is assigned to a vehicle at a time.
    pub fn is_driven_at(&self, vehicle_id: &Arc<str>, time: TimeMs) -> bool {
        let of_vehicle = self.assignments_of(Some(vehicle_id), None);
        let begun = of_vehicle.take_while(|(key, _)| key.from <= time);
        let mut there = begun.filter(|(_, to)| to.is_none_or(|to| time < to));
        there.any(|(key, _)| self.standing(EntityKind::Driver, &key.driver_id) != Standing::Deleted)
    }

    /// Those of a vehicle, or all, after a key, in order.
    fn assignments_of<'a>(
        &'a self,
        vehicle_id: Option<&'a Arc<str>>,
        after: Option<&AssignmentKey>,
    ) -> impl Iterator<Item = (&'a AssignmentKey, Option<TimeMs>)> {
        let first = vehicle_id.map(|vehicle_id| AssignmentKey {
            vehicle_id: vehicle_id.clone(),
            from: TimeMs(i64::MIN),
            driver_id: "".into(),
        });
        let begin = match after {
            Some(after) if first.as_ref().is_none_or(|first| first <= after) => {
                Bound::Excluded(after.clone())
            }
            _ => first.map_or(Bound::Unbounded, Bound::Included),
        };
        let from_there = self.assignments.range((begin, Bound::Unbounded)).map(|(key, to)| (key, *to));
        from_there.take_while(move |(key, _)| vehicle_id.is_none_or(|wanted| *wanted == key.vehicle_id))
    }

    /// Up to `limit` assignments that meet the filter, after a key, in order.
    pub fn assignment_page(
        &self,
        filter: &AssignmentFilter,
        after: Option<&AssignmentKey>,
        limit: usize,
    ) -> Page<AssignmentView, AssignmentKey> {
        let is_wanted = |key: &AssignmentKey, to: Option<TimeMs>| {
            filter.driver_id.as_ref().is_none_or(|wanted| *wanted == key.driver_id)
                && filter.at.is_none_or(|at| key.from <= at && to.is_none_or(|to| at < to))
        };
        let mut page = Page { rows: Vec::new(), next: None };
        let mut last_seen = None;
        for (step, (key, to)) in self.assignments_of(filter.vehicle_id.as_ref(), after).enumerate() {
            let wanted = is_wanted(key, to);
            if step == MAX_STEPS || (wanted && page.rows.len() == limit) {
                page.next = last_seen;
                break;
            }
            if wanted {
                page.rows.push(AssignmentView { key: key.clone(), to });
            }
            last_seen = Some(key.clone());
        }
        page
    }

    /// Up to `limit` entities of a kind after an id, in order of ids; each as all of its fields.
    pub fn page(&self, kind: EntityKind, after: Option<&str>, limit: usize) -> Page<Arc<str>, Arc<str>> {
        let first = after.map_or(Bound::Unbounded, Bound::Excluded);
        let by_id = self.by_kind[kind as usize].range::<str, _>((first, Bound::Unbounded));
        let mut page = Page { rows: Vec::new(), next: None };
        let (mut bytes, mut last_seen) = (0, None);
        for (step, (id, fields)) in by_id.enumerate() {
            bytes += fields.as_ref().map_or(0, |fields| fields.len());
            let is_full = fields.is_some() && page.rows.len() == limit;
            if step == MAX_STEPS || is_full || (bytes > MAX_PAGE_BYTES && !page.rows.is_empty()) {
                page.next = last_seen;
                break;
            }
            page.rows.extend(fields.clone());
            last_seen = Some(id.clone());
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn other(kind: &'static str, json: &str) -> EntityRecord {
        EntityRecord::Other { kind, json: json.to_owned() }
    }

    fn assignment(driver: &str, vehicle: &str, from: &str, to: &str) -> EntityRecord {
        let times = format!(r#""from_time":"2026-01-05T{from}Z","to_time":{to}"#);
        other("assignment", &format!(r#"{{"driver_id":"{driver}","vehicle_id":"{vehicle}",{times}}}"#))
    }

    fn at(text: &str) -> TimeMs {
        TimeMs::parse_rfc3339(&format!("2026-01-05T{text}Z")).unwrap()
    }

    #[test]
    fn a_vehicle_is_what_its_last_record_says() {
        let mut entities = Entities::default();
        let mut take = |edit: VehicleEdit, json: &str| {
            entities.take(&EntityRecord::Vehicle { id: "T1".into(), edit, json: json.to_owned() });
            (entities.standing(EntityKind::Vehicle, "T1"), entities.is_in_maintenance("T1"))
        };
        let upsert = |is_operational| VehicleEdit::Upsert { company: None, is_operational };
        let (delete, one) = (r#"{"op":"delete","id":"T1"}"#, r#"{"op":"upsert","vehicle":{"id":"T1"}}"#);
        assert_eq!(take(VehicleEdit::Delete, delete), (Standing::Unknown, false), "it never was");
        assert_eq!(take(upsert(false), one), (Standing::Kept, true));
        assert_eq!(take(upsert(true), one), (Standing::Kept, false));
        assert_eq!(take(upsert(false), one), (Standing::Kept, true));
        assert_eq!(take(VehicleEdit::Delete, delete), (Standing::Deleted, false));
        assert_eq!(take(upsert(true), one), (Standing::Kept, false));
    }

    #[test]
    fn a_vehicle_is_driven_from_the_beginning_of_an_assignment_up_to_its_end() {
        let mut entities = Entities::default();
        assert!(!entities.has_assignments());
        entities.take(&assignment("ada", "T1", "08:00:00", "\"2026-01-05T12:00:00Z\""));
        entities.take(&assignment("ben", "T2", "00:00:00", "null"));
        let is_driven = |entities: &Entities, time: &str| entities.is_driven_at(&"T1".into(), at(time));
        for (time, expected) in
            [("07:59:59.999", false), ("08:00:00", true), ("11:59:59.999", true), ("12:00:00", false)]
        {
            assert_eq!(is_driven(&entities, time), expected, "{time}");
        }
        // Another end of the same one; then somebody else, who is let go.
        entities.take(&assignment("ada", "T1", "08:00:00", "\"2026-01-05T09:00:00Z\""));
        assert!(!is_driven(&entities, "10:00:00"));
        entities.take(&other("driver", r#"{"op":"upsert","driver":{"id":"cleo","phone":"0803"}}"#));
        entities.take(&assignment("cleo", "T1", "09:00:00", "null"));
        assert!(is_driven(&entities, "10:00:00"));
        entities.take(&other("driver", r#"{"op":"delete","id":"cleo"}"#));
        assert!(!is_driven(&entities, "10:00:00"));
    }

    #[test]
    fn pages_go_over_all_that_is_wanted() {
        let mut entities = Entities::default();
        for n in 0..5 {
            entities.take(&other("driver", &format!(r#"{{"op":"upsert","driver":{{"id":"d{n}"}}}}"#)));
            let vehicle = if n % 2 == 0 { "T1" } else { "T2" };
            entities.take(&assignment(&format!("d{n}"), vehicle, "08:00:00", "null"));
        }
        entities.take(&other("driver", r#"{"op":"delete","id":"d1"}"#));
        let first = entities.page(EntityKind::Driver, None, 2);
        assert_eq!(
            first.rows.iter().map(|fields| &**fields).collect::<Vec<_>>(),
            [r#"{"id":"d0"}"#, r#"{"id":"d2"}"#]
        );
        let rest = entities.page(EntityKind::Driver, first.next.as_deref(), 2);
        assert_eq!((rest.rows.len(), rest.next), (2, None));
        let read_all = |filter: &AssignmentFilter| {
            let (mut drivers, mut after) = (Vec::new(), None);
            loop {
                let page = entities.assignment_page(filter, after.as_ref(), 1);
                drivers.extend(page.rows.into_iter().map(|row| row.key.driver_id.to_string()));
                after = page.next;
                if after.is_none() {
                    return drivers;
                }
            }
        };
        let of = |vehicle_id: Option<&str>, driver_id: Option<&str>, at| AssignmentFilter {
            vehicle_id: vehicle_id.map(Arc::from),
            driver_id: driver_id.map(Arc::from),
            at,
        };
        assert_eq!(read_all(&of(None, None, None)), ["d0", "d2", "d4", "d1", "d3"]);
        assert_eq!(read_all(&of(Some("T2"), None, None)), ["d1", "d3"]);
        assert_eq!(read_all(&of(None, Some("d3"), Some(at("08:00:00")))), ["d3"]);
        assert_eq!(read_all(&of(None, Some("d3"), Some(at("07:00:00")))), [""; 0]);
    }
}
