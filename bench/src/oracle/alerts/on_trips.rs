//! What trips have to do with alerts: who is on one, who has left its corridor, and which one was current when.

use std::sync::Arc;

use model::{AlertId, AlertKind, AlertRow, TimeMs};

use super::episodes::{Run, Verdict, runs};
use super::{Evidence, alert};
use crate::oracle::admission::Fix;
use crate::oracle::timeline::version_at;
use crate::oracle::trips::Course;

const DEVIATION_MS: i64 = 5 * 60_000;

impl Evidence<'_> {
    /// A vehicle's trips in the order of their schedule.
    fn courses_of(&self, vehicle_id: &str) -> Vec<&Course> {
        let of_vehicle = self.courses.iter().filter(|course| &*course.row.vehicle_id == vehicle_id);
        let mut courses: Vec<&Course> = of_vehicle.collect();
        courses.sort_by_key(|course| (course.plan.scheduled_departure, course.row.trip_id.clone()));
        courses
    }

    /// The trip that a vehicle is on: from the departure, or the arrival where nobody saw that, to the offload.
    pub(super) fn on_trip_at(&self, vehicle_id: &str, time: TimeMs) -> Option<Arc<str>> {
        let is_on = |course: &&Course| {
            let begins = course.row.actual_departure.or(course.row.arrival);
            let ends = [course.row.offload, course.ended_at, course.failed_at].into_iter().flatten().min();
            begins.is_some_and(|begins| begins <= time) && ends.is_none_or(|ends| time < ends)
        };
        self.courses_of(vehicle_id).into_iter().find(is_on).map(|course| course.row.trip_id.clone())
    }

    /// The trip that has a fence for its pickup or delivery and is served or current at a time.
    pub(super) fn trip_at_fence(&self, vehicle_id: &str, fence_id: &str, time: TimeMs) -> Option<Arc<str>> {
        let courses = self.courses_of(vehicle_id);
        let mut served: Vec<&&Course> =
            courses.iter().filter(|course| course.row.arrival.is_some()).collect();
        served.sort_by_key(|course| (course.row.arrival, course.delivery_fence.clone()));
        let goes_there = |course: &Course| {
            [&course.pickup_fence, &course.delivery_fence].iter().any(|f| f.as_deref() == Some(fence_id))
        };
        let mut since: Option<TimeMs> = None;
        for course in served {
            let until = [course.row.offload, course.ended_at].into_iter().flatten().min();
            let is_then = course.opens <= time
                && since.is_none_or(|since| since <= time)
                && until.is_none_or(|until| time <= until);
            if is_then && goes_there(course) {
                return Some(course.row.trip_id.clone());
            }
            since = course.row.arrival;
        }
        if since.is_some_and(|since| time < since) {
            return None;
        }
        let is_current = |course: &&&Course| {
            course.row.arrival.is_none()
                && course.opens <= time
                && course.ended_at.is_none_or(|ended_at| time < ended_at)
                && course.failed_at.is_none_or(|failed_at| time <= failed_at)
        };
        let current = courses.iter().find(is_current).filter(|course| goes_there(course));
        current.map(|course| course.row.trip_id.clone())
    }

    /// A trip's vehicle is outside of its corridor while it is in transit.
    pub(super) fn deviations(&self, course: &Course) -> Vec<AlertRow> {
        let kind = AlertKind::RouteDeviation;
        let vehicle = self.vehicles.iter().find(|vehicle| vehicle.id == course.row.vehicle_id);
        let (Some(corridor), Some(departure), Some(vehicle)) =
            (&course.plan.corridor, course.row.actual_departure, vehicle)
        else {
            return Vec::new();
        };
        let arrives = course.row.arrival.or(course.failed_at);
        let is_outside = |fix: &Fix| {
            let is_in_transit = departure <= fix.time && arrives.is_none_or(|arrives| fix.time < arrives);
            let is_in_force = version_at(self.fences.at(corridor, fix.time), fix.time).is_some();
            let is_inside = vehicle.fences_at(fix.time).any(|fence_id| fence_id == corridor);
            let is_told = || self.ruling_there(kind, vehicle, fix.time).enabled;
            match is_in_transit && is_in_force && !is_inside && is_told() {
                true => Verdict::Holds(()),
                false => Verdict::Denies,
            }
        };
        let row = |run: Run<()>| {
            let ended = [run.ended, arrives].into_iter().flatten().min();
            let ruling = self.ruling_there(kind, vehicle, run.started);
            let duration_ms = ruling.duration_ms.unwrap_or(DEVIATION_MS);
            let row = AlertRow {
                alert_id: AlertId::of(kind.as_str(), &[&course.row.trip_id], run.started),
                fence_id: Some(corridor.clone()),
                trip_id: Some(course.row.trip_id.clone()),
                ..alert(kind, &vehicle.id, &ruling, (run.started, duration_ms, ended))
            };
            (self.lasted_ms(run.started, ended) >= duration_ms).then_some(row)
        };
        runs(&vehicle.good_fixes, is_outside).into_iter().filter_map(row).collect()
    }
}
