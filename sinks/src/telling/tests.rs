use std::collections::BTreeMap;

use model::{AlertDetails, Severity};
use proptest::prelude::*;

use super::*;

const MINUTE: i64 = 60_000;

/// An alert of T1, times in minutes.
fn alert(kind: &str, started: i64, ended: Option<i64>) -> AlertRow {
    AlertRow {
        alert_id: AlertId::of(kind, &["T1"], TimeMs(started * MINUTE)),
        kind: kind.into(),
        severity: Severity::Warning,
        vehicle_id: "T1".into(),
        fence_id: None,
        trip_id: None,
        started: TimeMs(started * MINUTE),
        due_at: TimeMs(started * MINUTE),
        ended: ended.map(|minute| TimeMs(minute * MINUTE)),
        details: AlertDetails::None.to_json().into(),
    }
}

fn idle(started: i64, ended: Option<i64>) -> AlertRow {
    alert("idle", started, ended)
}

/// Holds ticks and the rows that stand.
#[derive(Default)]
struct Desk {
    telling: Telling,
    tick: u64,
    rows: BTreeMap<AlertId, AlertRow>,
}

impl Desk {
    /// A tick at a minute, after which these rows stand.
    fn at(&mut self, minute: i64, rows: &[AlertRow]) -> Vec<Act> {
        self.at_for(minute, rows, Cause::First, &[])
    }

    fn at_for(
        &mut self,
        minute: i64,
        rows: &[AlertRow],
        cause: Cause,
        marks: &[AlertMarkRecord],
    ) -> Vec<Act> {
        self.tick += 1;
        let rows: BTreeMap<AlertId, AlertRow> = rows.iter().map(|row| (row.alert_id, row.clone())).collect();
        let why = Why { cause, seq: self.tick };
        let mut changes = Vec::new();
        for (before, after, diff) in [(&self.rows, &rows, -1), (&rows, &self.rows, 1)] {
            let differs = before.iter().filter(|(id, row)| after.get(id) != Some(row));
            changes.extend(differs.map(|(_, row)| Change { diff, row: Row::Alert(row.clone()), why }));
        }
        changes.sort_by(Change::cmp_in_tick);
        self.rows = rows;
        let instant = TimeMs(minute * MINUTE);
        let closed = ClosedTick { tick: self.tick, instant, changes, ..ClosedTick::default() };
        self.telling.apply(&closed, marks)
    }

    fn mark(&mut self, minute: i64, row: &AlertRow, mark: AlertMark, by: &str) -> Vec<Act> {
        let rows: Vec<AlertRow> = self.rows.values().cloned().collect();
        let alert_id = row.alert_id.to_string().into();
        self.at_for(minute, &rows, Cause::First, &[AlertMarkRecord { alert_id, mark, by: by.into() }])
    }

    fn of(&self, row: &AlertRow) -> Told<'_> {
        self.telling.get(row.alert_id).unwrap()
    }
}

/// What was done, in short: the act, the message, and from when to when the alerts are that it shows.
fn short(acts: &[Act]) -> Vec<String> {
    let times = |message: &Message| {
        let end = |row: &AlertRow| row.ended.map_or(String::new(), |end| (end.0 / MINUTE).to_string());
        let times = message.alerts.iter().map(|row| format!("{}-{}", row.started.0 / MINUTE, end(row)));
        format!("{} #{}", times.collect::<Vec<_>>().join(" "), message.revision)
    };
    let in_short = |act: &Act| match act {
        Act::Tell(message) => format!("tell {}", times(message)),
        Act::Edit(message) => format!("edit {}", times(message)),
        Act::Retract(message) => format!("retract {}", times(message)),
        Act::Merge { .. } => "merge".to_owned(),
    };
    acts.iter().map(in_short).collect()
}

#[test]
fn an_episode_is_told_once_and_edited_after() {
    let mut desk = Desk::default();
    assert_eq!(short(&desk.at(10, &[idle(5, None)])), ["tell 5- #1"]);
    assert!(desk.at(11, &[idle(5, None)]).is_empty());
    assert_eq!(short(&desk.at(12, &[idle(5, Some(12))])), ["edit 5-12 #2"]);
    assert_eq!(short(&desk.at(30, &[idle(5, Some(12)), idle(20, None)])), ["tell 20- #1"], "another one");
    assert_eq!(desk.telling.len(), 2);
    let second = desk.of(&idle(20, None));
    assert_eq!((second.alert.learned_at, second.alert.revision), (TimeMs(30 * MINUTE), 1));
    assert_eq!(desk.of(&idle(5, None)).alert.revision, 2);
}

#[test]
fn what_goes_is_taken_back_and_what_comes_in_its_place_is_no_news() {
    let mut desk = Desk::default();
    desk.at(10, &[idle(5, None)]);
    assert_eq!(short(&desk.at(11, &[])), ["retract 5- #2"]);
    assert!(!desk.of(&idle(5, None)).alert.stands && desk.telling.is_empty());
    assert_eq!(
        short(&desk.at(12, &[idle(7, None)])),
        ["edit 7- #3"],
        "it was shown until 10, and meets that"
    );
    let told = desk.of(&idle(7, None));
    assert_eq!(desk.telling.superseded_by(told), [idle(5, None).alert_id]);
    assert_eq!(desk.of(&idle(5, None)).alert.superseded_by, Some(idle(7, None).alert_id));
    assert_eq!(told.episode.told_at, Some(TimeMs(10 * MINUTE)));
    assert_eq!(short(&desk.at(13, &[idle(4, None)])), ["edit 4- #4"], "in one tick nothing is taken back");
    let superseded_by = |started| desk.of(&idle(started, None)).alert.superseded_by;
    assert_eq!(superseded_by(7), Some(idle(4, None).alert_id));
    assert_eq!(superseded_by(5), Some(idle(7, None).alert_id), "each by the one that came after it");
    assert_eq!(short(&desk.at(14, &[idle(5, None)])), ["edit 5- #5"], "the first one is back");
    assert_eq!(desk.of(&idle(5, None)).alert.superseded_by, None);
}

#[test]
fn an_end_that_is_learned_later_does_not_hide_the_next_episode() {
    let mut desk = Desk::default();
    desk.at(10, &[idle(5, None)]);
    // A long tick: the vehicle was silent, and idle twice.
    let acts = desk.at(60, &[idle(5, Some(20)), idle(50, None)]);
    assert_eq!(short(&acts), ["edit 5-20 #2", "tell 50- #1"]);
}

#[test]
fn halves_of_what_was_told_are_not_told_anew() {
    let mut desk = Desk::default();
    desk.at(10, &[idle(5, None)]);
    desk.at(29, &[idle(5, None)]);
    let acts = desk.at(30, &[idle(5, Some(15)), idle(20, None)]);
    assert_eq!(short(&acts), ["edit 5-15 20- #2"], "it was shown until 29");
    assert_eq!(desk.of(&idle(20, None)).alert.episode, idle(5, None).alert_id);
    assert_eq!(short(&desk.at(31, &[idle(5, Some(15))])), ["edit 5-15 #3"]);
}

#[test]
fn two_that_prove_to_be_one_speak_through_the_first() {
    let mut desk = Desk::default();
    desk.at(10, &[idle(5, Some(8))]);
    let acts = desk.at(20, &[idle(5, Some(8)), idle(15, None)]);
    assert_eq!(short(&acts), ["tell 15- #1"]);
    let acts = desk.at(22, &[idle(5, None)]);
    assert_eq!(short(&acts), ["merge", "edit 5- #2"]);
    assert_eq!(acts[0], Act::Merge { message: idle(15, None).alert_id, into: idle(5, None).alert_id });
    assert_eq!(desk.of(&idle(15, None)).alert.superseded_by, Some(idle(5, None).alert_id));
}

#[test]
fn what_is_late_is_kept_and_not_told() {
    let mut desk = Desk::default();
    assert!(desk.at(21, &[idle(5, Some(7))]).is_empty(), "16 minutes");
    assert!(desk.of(&idle(5, None)).alert.is_late);
    assert_eq!(short(&desk.at(22, &[idle(5, Some(7)), idle(7, None)])), ["tell 7- #1"], "15 minutes");
    assert!(!desk.of(&idle(7, None)).alert.is_late);
    assert!(desk.at(23, &[idle(5, Some(6)), idle(7, None)]).is_empty(), "an edit of what was not told");
    assert_eq!(short(&desk.at(24, &[idle(7, None)])), [""; 0]);
}

#[test]
fn what_was_learned_late_stays_so_when_it_becomes_due_later() {
    let mut desk = Desk::default();
    assert!(desk.at(30, &[idle(5, None)]).is_empty());
    let of_another_rule = AlertRow { due_at: TimeMs(25 * MINUTE), ..idle(5, None) };
    assert!(desk.at(31, &[of_another_rule]).is_empty());
    assert!(desk.of(&idle(5, None)).alert.is_late);
}

#[test]
fn what_proves_to_be_of_another_message_before_it_is_sent_is_no_message() {
    let mut desk = Desk::default();
    let first = idle(19, Some(30));
    assert_eq!(short(&desk.at(30, std::slice::from_ref(&first))), ["tell 19-30 #1"]);
    let acts = desk.at(31, &[idle(16, Some(18)), idle(17, Some(25)), first]);
    assert_eq!(short(&acts), ["edit 16-18 17-25 19-30 #2"]);
}

#[test]
fn what_was_late_and_proves_to_be_of_an_edit_is_not_told() {
    let mut desk = Desk::default();
    let entry = |started, ended| alert("geofence_entry", started, ended);
    assert!(desk.at(21, &[entry(5, Some(6))]).is_empty(), "late");
    let both = [entry(5, Some(6)), entry(10, Some(12))];
    assert!(desk.at_for(22, &both, Cause::FenceEdit, &[]).is_empty());
    assert!(desk.at(23, &[entry(5, Some(30)), entry(10, Some(12))]).is_empty());
    assert!(desk.at(24, &[entry(12, Some(30))]).is_empty());
}

#[test]
fn entries_that_come_of_edits_are_never_told() {
    for cause in Cause::ALL {
        let is_edit = matches!(cause, Cause::Settings | Cause::Backfill | Cause::FenceEnd | Cause::FenceEdit);
        for (kind, is_told) in [("geofence_entry", !is_edit), ("geofence_exit", !is_edit), ("idle", true)] {
            let row = |started| alert(kind, started, None);
            let mut desk = Desk::default();
            let acts = desk.at_for(10, &[row(5)], cause, &[]);
            assert_eq!(acts.len(), usize::from(is_told), "{kind} {cause:?}");
            let later = desk.at(11, &[row(4)]);
            assert_eq!(later.len(), usize::from(is_told), "{kind} {cause:?}: nor is what takes its place");
        }
    }
}

#[test]
fn other_kinds_and_subjects_are_other_episodes() {
    let mut desk = Desk::default();
    let entry = |fence: &str| AlertRow {
        alert_id: AlertId::of("geofence_entry", &["T1", fence], TimeMs(5 * MINUTE)),
        fence_id: Some(fence.into()),
        ..alert("geofence_entry", 5, None)
    };
    let acts = desk.at(6, &[idle(5, None), alert("overspeed", 5, None), entry("a"), entry("b")]);
    assert_eq!(acts.len(), 4);
}

#[test]
fn what_people_say_carries_over() {
    let mut desk = Desk::default();
    desk.at(10, &[idle(5, None)]);
    let acts = desk.mark(11, &idle(5, None), AlertMark::Acknowledge, "ada");
    assert_eq!(short(&acts), ["edit 5- #2"]);
    assert!(matches!(&acts[0], Act::Edit(message) if message.state == AlertState::Acknowledged));
    desk.mark(12, &idle(5, None), AlertMark::Acknowledge, "ben");
    desk.at(13, &[idle(4, None)]);
    let ada = Marked { by: "ada".into(), at: TimeMs(11 * MINUTE) };
    assert_eq!(desk.of(&idle(4, None)).episode.acknowledged, Some(ada), "the first one cares for it");
    desk.mark(14, &idle(5, None), AlertMark::Resolve, "ben");
    assert_eq!(desk.of(&idle(4, None)).episode.state(), AlertState::Resolved, "by an id that went, too");
    assert!(desk.mark(15, &idle(99, None), AlertMark::Resolve, "ben").is_empty(), "of no alert");
}

#[test]
fn what_ended_long_ago_is_forgotten() {
    let mut desk = Desk::default();
    let (day, rows) = (24 * 60, [idle(0, Some(1)), alert("overspeed", 0, None)]);
    desk.at(1, &rows);
    desk.at(90 * day + 1, &rows);
    assert_eq!(desk.telling.len(), 2, "to the millisecond");
    desk.at(90 * day + 2, &rows);
    assert_eq!(desk.telling.len(), 1, "what goes on stays");
    assert!(desk.telling.get(rows[0].alert_id).is_none());
    assert_eq!(desk.at(91 * day, &[]).len(), 1, "what is forgotten goes without a word");
    desk.at(182 * day, &[]);
    let Telling { alerts, episodes, of_subject, by_due, by_end, .. } = &desk.telling;
    let held = [alerts.len(), episodes.len(), of_subject.len(), by_due.len(), by_end.len()];
    assert_eq!(held, [0; 5], "nothing is left");
}

#[test]
fn an_episode_remembers_a_bounded_number_of_alerts() {
    let mut desk = Desk::default();
    let mut acts = Vec::new();
    for step in 0..300 {
        acts.extend(desk.at(1000 + step, &[idle(999 - step, None)]));
    }
    let last = desk.of(&idle(700, None));
    assert_eq!(last.episode.alerts.len(), 64);
    assert_eq!(desk.telling.alerts.len(), 64);
    assert!(acts.iter().skip(1).all(|act| matches!(act, Act::Edit(_))));
}

/// Some disjoint alerts, by their ends; the last may go on.
fn rows(points: &[i64], goes_on: bool) -> Vec<AlertRow> {
    let mut sorted = points.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let mut rows: Vec<AlertRow> =
        sorted.chunks(2).filter(|pair| pair.len() == 2).map(|pair| idle(pair[0], Some(pair[1]))).collect();
    if let Some(last) = rows.last_mut().filter(|_| goes_on) {
        last.ended = None;
    }
    rows
}

/// Versions of rows, each with whether it came on time, joined where their times meet.
fn chains(versions: &[(Times, bool)]) -> Vec<(Times, bool)> {
    let mut sorted = versions.to_vec();
    sorted.sort_by_key(|(times, _)| times.from);
    let mut chains: Vec<(Times, bool)> = Vec::new();
    for (times, on_time) in sorted {
        match chains.last_mut().filter(|(last, _)| last.meet(times)) {
            Some((last, any_on_time)) => {
                *last = last.with(times);
                *any_on_time |= on_time;
            }
            None => chains.push((times, on_time)),
        }
    }
    chains
}

proptest! {
    #[test]
    fn messages_say_what_stands_and_each_chain_is_told_once(
        ticks in prop::collection::vec((1..12_i64, prop::collection::vec(0..60_i64, 0..7), any::<bool>()), 1..14)
    ) {
        let mut desk = Desk::default();
        let mut outbox: BTreeMap<AlertId, Option<Message>> = BTreeMap::new();
        let mut open: BTreeMap<AlertId, AlertRow> = BTreeMap::new();
        let (mut versions, mut tells, mut merges) = (Vec::new(), Vec::new(), Vec::new());
        let mut minute = 0;
        for (step, points, goes_on) in &ticks {
            let before = minute;
            minute += step;
            // Nothing is known of times to come.
            let points: Vec<i64> = points.iter().copied().filter(|point| *point <= minute).collect();
            let rows = rows(&points, *goes_on);
            for (id, row) in &open {
                if !rows.contains(row) {
                    versions.push((Times::shown(row, TimeMs(before * MINUTE)), false));
                    prop_assert!(desk.telling.get(*id).is_some());
                }
            }
            for row in &rows {
                let is_new = desk.telling.get(row.alert_id).is_none();
                let on_time = minute * MINUTE - row.due_at.0 <= LATE_MS;
                versions.push((Times { from: row.started, to: row.started.plus_ms(1) }, is_new && on_time));
            }
            open = rows.iter().map(|row| (row.alert_id, row.clone())).collect();
            for act in desk.at(minute, &rows) {
                match act {
                    Act::Tell(message) => {
                        prop_assert_eq!(message.revision, 1);
                        tells.push(message.alerts[0].started);
                        prop_assert!(outbox.insert(message.id, Some(message)).is_none(), "told twice");
                    }
                    Act::Edit(message) | Act::Retract(message) => {
                        let sent = outbox.get_mut(&message.id).unwrap().as_mut().unwrap();
                        prop_assert_eq!(message.revision, sent.revision + 1);
                        *sent = message;
                    }
                    Act::Merge { message, into } => {
                        let merged = outbox.get_mut(&message).unwrap().take().unwrap();
                        merges.push(merged.alerts[0].started);
                        prop_assert!(outbox[&into].is_some());
                    }
                }
            }
            let said: BTreeMap<AlertId, &AlertRow> = outbox.values().flatten()
                .filter(|message| message.alerts.iter().all(|row| open.contains_key(&row.alert_id)))
                .flat_map(|message| &message.alerts).map(|row| (row.alert_id, row)).collect();
            for row in &rows {
                let told = desk.telling.get(row.alert_id).unwrap();
                prop_assert!(told.alert.stands);
                let expected = told.episode.told_at.map(|_| row);
                prop_assert_eq!(said.get(&row.alert_id).copied(), expected);
            }
            prop_assert_eq!(desk.telling.len(), rows.len());
        }
        versions.extend(open.values().map(|row| (Times::of(row), false)));
        for (chain, any_on_time) in chains(&versions) {
            let within = |time: &&TimeMs| chain.from <= **time && **time < chain.to;
            let told = tells.iter().filter(within).count() - merges.iter().filter(within).count();
            prop_assert_eq!(told, usize::from(any_on_time), "{:?} of {:?}", chain, versions);
        }
        let newest: Vec<TimeMs> = desk.telling.newest(None).map(|told| told.alert.row.due_at).collect();
        prop_assert!(newest.is_sorted_by(|a, b| a >= b));
    }
}
