//! Who is told what of alerts: a pure state machine over the changes of their rows.
//!
//! ```text
//!   changes of rows --> [ alerts ] --> [ episodes ] --> acts: tell, edit, retract, merge
//!   marks of people ----------------------^
//! ```
//!
//! People are told of **episodes**. Alerts of one kind and subject whose times meet are of one episode, whether they
//! stand together or one after the other: a correction that moves a beginning makes another alert of the same
//! episode. A row that stands has the time `[started, ended)`, without an end all time from `started` on. One that
//! was shown without an end and changes keeps the time until the last tick that showed it so: that is what people
//! were told of, whatever it is corrected to.
//!
//! Invariants:
//! 1. An episode is told at most once; all else of it is an edit of that message, or takes it back.
//! 2. Times of two episodes of one kind and subject do not meet: an alert that meets both makes them one, which
//!    speaks through the message that was told first.
//! 3. What people said of an alert holds for its episode, and so for every alert that takes its place.
//! 4. What was learned more than [`LATE_MS`] after it was due is never told; nor are entries and exits that come of
//!    an edit and not of a vehicle ([`is_of_an_edit`]), nor what takes their place.
//! 5. What ended more than [`KEPT_MS`] before the instant is forgotten. What goes on is kept, however old.

mod episode;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{
    AlertId, AlertKind, AlertMark, AlertMarkRecord, AlertRow, Cause, Change, ClosedTick, Row, TimeMs, Why,
};

use episode::Times;
pub use episode::{Alert, AlertState, Episode, Marked};

/// What is learned longer after it was due is late.
pub const LATE_MS: i64 = 15 * 60_000;
/// How long alerts are kept after their end.
pub const KEPT_MS: i64 = 90 * 86_400_000;

/// Something to be told. A message has the id of the first alert of its episode, which never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// A new message.
    Tell(Message),
    /// The message as it is now: rows changed, or somebody said something of it.
    Edit(Message),
    /// Nothing of it is true any more, and nothing took its place.
    Retract(Message),
    /// The message's episode proved to be part of another one, whose message says all from now on.
    Merge {
        /// Which message.
        message: AlertId,
        /// Which one says it now.
        into: AlertId,
    },
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Which message.
    pub id: AlertId,
    /// The alerts that stand, by `started`; of a message that is taken back those that went last.
    pub alerts: Vec<AlertRow>,
    /// What people said of it.
    pub state: AlertState,
    /// How often it was sent, this time included.
    pub revision: u32,
}

/// An alert and its episode.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// Which alert.
    pub id: AlertId,
    /// The alert.
    pub alert: &'a Alert,
    /// Its episode.
    pub episode: &'a Episode,
}

/// All alerts that are kept, with what is known beside their rows.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Telling {
    /// Of the last tick.
    instant: TimeMs,
    alerts: BTreeMap<AlertId, Alert>,
    /// By the id of their first alert.
    episodes: BTreeMap<AlertId, Episode>,
    /// Episodes by what they are about and when they begin.
    of_subject: BTreeMap<Arc<[u8]>, BTreeMap<TimeMs, AlertId>>,
    /// Alerts that stand, by `due_at`.
    by_due: BTreeSet<(TimeMs, AlertId)>,
    /// Episodes that do not go on, by their end.
    by_end: BTreeSet<(TimeMs, AlertId)>,
    /// How many episodes there were.
    begun: u64,
}

/// What happened to one alert in a tick.
#[derive(Default)]
struct Changed<'a> {
    old: Option<&'a AlertRow>,
    new: Option<(&'a AlertRow, Why)>,
}

/// Episodes that a tick touches, and what they were before it.
type Touched = BTreeMap<AlertId, Before>;

#[derive(Clone, Copy)]
struct Before {
    is_told: bool,
    stands: bool,
}

impl Telling {
    /// Takes a closed tick in, and what people said in it. Ticks come in order.
    pub fn apply(&mut self, closed: &ClosedTick, marks: &[AlertMarkRecord]) -> Vec<Act> {
        let before = std::mem::replace(&mut self.instant, closed.instant);
        let changed = changes_by_alert(&closed.changes);
        let mut touched = Touched::new();
        let mut acts = Vec::new();
        for (id, change) in &changed {
            if change.old.is_some() {
                self.end_version(*id, before, change.new.is_none(), &mut touched);
            }
        }
        let mut came: Vec<(&AlertRow, Why)> = changed.values().filter_map(|change| change.new).collect();
        came.sort_by_key(|(row, _)| (row.started, row.alert_id));
        for (row, why) in came {
            self.begin_version(row, why, &mut touched, &mut acts);
        }
        for mark in marks {
            self.mark(mark, &mut touched);
        }
        let mut touched: Vec<(AlertId, Before)> = touched.into_iter().collect();
        // A backfill touches very many: each is looked up once.
        touched.sort_by_cached_key(|(id, _)| self.episodes.get(id).map(|episode| episode.number));
        for (id, before) in touched {
            self.settle(id, before, &mut acts);
        }
        self.forget();
        acts
    }

    /// The row of an alert does not stand any more as it was shown until `last_shown`.
    fn end_version(&mut self, id: AlertId, last_shown: TimeMs, is_gone: bool, touched: &mut Touched) {
        let Some(alert) = self.alerts.get(&id) else { return };
        self.touch(alert.episode, touched);
        let Some(alert) = self.alerts.get_mut(&id) else { return };
        self.by_due.remove(&(alert.row.due_at, id));
        let times = Times::shown(&alert.row, last_shown);
        alert.shown = alert.shown.map_or(Some(times), |shown| Some(shown.with(times)));
        alert.stands = false;
        if is_gone {
            alert.revision += 1;
        }
        let episode_id = alert.episode;
        self.widen(episode_id, times);
    }

    /// A row stands from now on.
    fn begin_version(&mut self, row: &AlertRow, why: Why, touched: &mut Touched, acts: &mut Vec<Act>) {
        let id = row.alert_id;
        let times = Times::of(row);
        let subject: Arc<[u8]> = row.subject_bytes().into();
        let known = self.alerts.get(&id).map(|alert| alert.episode);
        let met = self.episodes_at(&subject, times);
        let mut others: BTreeSet<AlertId> = met.into_iter().chain(known).collect();
        let first = others.iter().copied().min_by_key(|id| self.seniority(*id));
        let episode_id = match first {
            Some(first) => first,
            None => self.begin_episode(id, &subject, times, is_of_an_edit(&row.kind, why.cause)),
        };
        others.remove(&episode_id);
        self.touch(episode_id, touched);
        for other in others {
            self.merge(other, episode_id, touched, acts);
        }
        let is_late = self.instant.0.saturating_sub(row.due_at.0) > LATE_MS;
        let instant = self.instant;
        let alert = self.alerts.entry(id).or_insert_with(|| Alert::new(row, instant, is_late, episode_id));
        alert.begin_version(row);
        let is_new = alert.revision == 1;
        self.by_due.insert((row.due_at, id));
        self.widen(episode_id, Times { to: times.from.plus_ms(1), ..times });
        let Some(episode) = self.episodes.get_mut(&episode_id) else { return };
        if !episode.alerts.contains(&id) {
            episode.alerts.push(id);
        }
        let is_tellable = is_new && !is_late && !is_of_an_edit(&row.kind, why.cause) && !episode.is_muted;
        if episode.told_at.is_none() && is_tellable {
            episode.told_at = Some(instant);
        }
        episode::supersede(&mut self.alerts, &episode.alerts, id, times);
        episode::shorten(&mut self.alerts, &mut episode.alerts);
    }

    /// The episodes of a subject whose times meet others. As they do not meet each other, an earlier one cannot
    /// reach farther than a later one.
    fn episodes_at(&self, subject: &Arc<[u8]>, times: Times) -> Vec<AlertId> {
        let of_subject = self.of_subject.get(subject).into_iter();
        let latest_first = of_subject.flat_map(|by_begin| by_begin.range(..times.to).rev());
        let meets =
            |id: &&AlertId| self.episodes.get(id).is_some_and(|episode| self.times_of(episode).meet(times));
        latest_first.map(|(_, id)| id).take_while(meets).copied().collect()
    }

    /// Adds to the time that an episode takes.
    fn widen(&mut self, id: AlertId, times: Times) {
        let Some(episode) = self.episodes.get_mut(&id) else { return };
        let before = episode.times.from;
        episode.times = episode.times.with(times);
        let (from, subject) = (episode.times.from, &episode.subject);
        if from != before
            && let Some(by_begin) = self.of_subject.get_mut(subject)
        {
            by_begin.remove(&before);
            by_begin.insert(from, id);
        }
    }

    /// All time that an episode takes: what goes on takes all that comes.
    fn times_of(&self, episode: &Episode) -> Times {
        let standing =
            episode.alerts.iter().filter_map(|id| self.alerts.get(id)).filter(|alert| alert.stands);
        standing.fold(episode.times, |times, alert| times.with(Times::of(&alert.row)))
    }

    fn begin_episode(&mut self, id: AlertId, subject: &Arc<[u8]>, times: Times, is_muted: bool) -> AlertId {
        self.begun += 1;
        self.episodes.insert(id, Episode::new(self.begun, subject.clone(), times, is_muted));
        self.of_subject.entry(subject.clone()).or_default().insert(times.from, id);
        id
    }

    /// The episode that was told first goes before all, then the one that began first.
    fn seniority(&self, id: AlertId) -> (bool, TimeMs, u64) {
        let episode = self.episodes.get(&id);
        let told_at = episode.and_then(|episode| episode.told_at);
        (told_at.is_none(), told_at.unwrap_or_default(), episode.map_or(0, |episode| episode.number))
    }

    fn merge(&mut self, from: AlertId, into: AlertId, touched: &mut Touched, acts: &mut Vec<Act>) {
        let Some(merged) = self.take_episode(from) else { return };
        let was_told = touched.remove(&from).is_none_or(|before| before.is_told);
        if merged.told_at.is_some() && was_told {
            acts.push(Act::Merge { message: from, into });
        }
        for id in &merged.alerts {
            if let Some(alert) = self.alerts.get_mut(id) {
                alert.episode = into;
            }
        }
        self.widen(into, merged.times);
        if let Some(episode) = self.episodes.get_mut(&into) {
            episode.take_in(merged);
        }
    }

    fn mark(&mut self, record: &AlertMarkRecord, touched: &mut Touched) {
        let Ok(id) = record.alert_id.parse::<AlertId>() else { return };
        let Some(alert) = self.alerts.get(&id) else { return };
        let episode_id = alert.episode;
        self.touch(episode_id, touched);
        let marked = Marked { by: record.by.clone(), at: self.instant };
        let Some(episode) = self.episodes.get_mut(&episode_id) else { return };
        let place = match record.mark {
            AlertMark::Acknowledge => &mut episode.acknowledged,
            AlertMark::Resolve => &mut episode.resolved,
        };
        // Who said it first is who cares for it.
        place.get_or_insert(marked);
    }

    fn touch(&self, id: AlertId, touched: &mut Touched) {
        if touched.contains_key(&id) {
            return;
        }
        if let Some(episode) = self.episodes.get(&id) {
            let (is_told, stands) = (episode.told_at.is_some(), self.standing(episode).next().is_some());
            touched.insert(id, Before { is_told, stands });
        }
    }

    fn standing<'a>(&'a self, episode: &'a Episode) -> impl Iterator<Item = &'a Alert> {
        episode.alerts.iter().filter_map(|id| self.alerts.get(id)).filter(|alert| alert.stands)
    }

    /// Says what becomes of a touched episode's message, and notes when it can be forgotten.
    fn settle(&mut self, id: AlertId, before: Before, acts: &mut Vec<Act>) {
        let Some(episode) = self.episodes.get(&id) else { return };
        let goes_on = self.standing(episode).any(|alert| alert.row.ended.is_none());
        let end = (!goes_on).then(|| self.times_of(episode).to);
        let mut alerts: Vec<AlertRow> = self.standing(episode).map(|alert| alert.row.clone()).collect();
        let stands = !alerts.is_empty();
        if !stands {
            let kept = episode.alerts.iter().filter_map(|id| self.alerts.get(id));
            alerts = kept.filter(|alert| alert.superseded_by.is_none()).map(|a| a.row.clone()).collect();
        }
        alerts.sort_by_key(|row| (row.started, row.alert_id));
        let Some(episode) = self.episodes.get_mut(&id) else { return };
        if let Some(end) = std::mem::replace(&mut episode.end, end) {
            self.by_end.remove(&(end, id));
        }
        if let Some(end) = end {
            self.by_end.insert((end, id));
        }
        if episode.told_at.is_none() || !(stands || before.stands) {
            return;
        }
        episode.revision += 1;
        let message = Message { id, alerts, state: episode.state(), revision: episode.revision };
        acts.push(match (before.is_told, stands) {
            (false, _) => Act::Tell(message),
            (true, true) => Act::Edit(message),
            (true, false) => Act::Retract(message),
        });
    }

    fn forget(&mut self) {
        let oldest = self.instant.plus_ms(-KEPT_MS);
        while let Some((end, id)) = self.by_end.first().copied().filter(|(end, _)| *end < oldest) {
            self.by_end.remove(&(end, id));
            let Some(episode) = self.take_episode(id) else { continue };
            for id in episode.alerts {
                if let Some(alert) = self.alerts.remove(&id) {
                    self.by_due.remove(&(alert.row.due_at, id));
                }
            }
        }
    }

    /// Takes an episode out of all that names it but its alerts.
    fn take_episode(&mut self, id: AlertId) -> Option<Episode> {
        let episode = self.episodes.remove(&id)?;
        if let Some(end) = episode.end {
            self.by_end.remove(&(end, id));
        }
        if let Some(of_subject) = self.of_subject.get_mut(&episode.subject) {
            of_subject.remove(&episode.times.from);
            if of_subject.is_empty() {
                self.of_subject.remove(&episode.subject);
            }
        }
        Some(episode)
    }

    /// An alert that is kept, be it that it went.
    #[must_use]
    pub fn get(&self, id: AlertId) -> Option<Told<'_>> {
        let alert = self.alerts.get(&id)?;
        Some(Told { id, alert, episode: self.episodes.get(&alert.episode)? })
    }

    /// The alerts that stand, the newest `due_at` first, after a place in that order.
    pub fn newest(&self, after: Option<(TimeMs, AlertId)>) -> impl Iterator<Item = Told<'_>> {
        let end = after.unwrap_or((TimeMs(i64::MAX), AlertId(u64::MAX)));
        self.by_due.range(..end).rev().filter_map(|(_, id)| self.get(*id))
    }

    /// The alerts whose place one has taken.
    pub fn superseded_by(&self, told: Told<'_>) -> Vec<AlertId> {
        let is_superseded =
            |id: &&AlertId| self.alerts.get(id).is_some_and(|alert| alert.superseded_by == Some(told.id));
        told.episode.alerts.iter().filter(is_superseded).copied().collect()
    }

    /// How many alerts stand.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_due.len()
    }

    /// Whether none stands.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_due.is_empty()
    }
}

/// Whether it is an entry or exit that comes of what people changed, and not of where a vehicle is.
#[must_use]
pub fn is_of_an_edit(kind: &str, cause: Cause) -> bool {
    let is_of_a_fence =
        matches!(AlertKind::from_name(kind), Some(AlertKind::GeofenceEntry | AlertKind::GeofenceExit));
    let is_edit = matches!(cause, Cause::FenceEdit | Cause::FenceEnd | Cause::Settings | Cause::Backfill);
    is_of_a_fence && is_edit
}

fn changes_by_alert(changes: &[Change]) -> BTreeMap<AlertId, Changed<'_>> {
    let mut by_alert: BTreeMap<AlertId, Changed<'_>> = BTreeMap::new();
    for change in changes {
        let Row::Alert(row) = &change.row else { continue };
        let of_alert = by_alert.entry(row.alert_id).or_default();
        if change.diff > 0 {
            of_alert.new = Some((row, change.why));
        } else {
            of_alert.old = Some(row);
        }
    }
    by_alert
}
