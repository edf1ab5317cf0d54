// Visits of a truck or at a place, each with what it was before it was corrected, and why.

import { badgeOf, reasonFor } from './feed.js';
import { get, getAll } from './net.js';
import { button, clock, duration, fullTime, make, ms } from './text.js';

const RELOAD_AFTER_MS = 300;
const KEEP_PLACES = 5000;
const KEEP_OF_PLACE = 40;
const KEEP_STORIES = 5000;
/** How many stories are asked for when a list is shown, the newest visits first, and how many at a time. */
const STORIES_OF_LIST = 40;
const STORIES_AT_A_TIME = 4;

const placeKey = (row) => `${row.vehicle_id}\u0000${row.fence_id}`;
const visitKey = (row) => `${placeKey(row)}\u0000${row.arrived}`;

/** Sets a key of a map that forgets what was set longest ago. */
function keep(map, key, value, most) {
  map.delete(key);
  map.set(key, value);
  if (map.size > most) map.delete(map.keys().next().value);
}

/** The last change of a visit that was not its going on, as its history tells; null where there was none. */
export function changeInHistory(id, events) {
  for (const event of events.filter((e) => e.id === id && e.new).reverse()) {
    const before = events.find((e) => e.tick === event.tick && e.successor === id);
    const old = event.old ?? before?.old ?? null;
    const change = reasonFor(event.cause, before != null || old?.departed != null);
    if (change.correction || change.reason) return { ...change, old, now: event.new, tick: event.tick, instant: Date.parse(event.instant) };
  }
  return null;
}

/** Which visits were changed otherwise than by going on: as the changes that came tell, else their histories. */
export class VisitChanges {
  constructor() {
    this.byPlace = new Map();
    this.ids = new Map();
    this.stories = new Map();
  }

  /** Takes items of the feed; the newest change of a visit is the one that is told. */
  take(items) {
    for (const item of items) {
      if (item.table !== 'visits' || !(item.correction || item.reason)) continue;
      const key = placeKey(item.now ?? item.old);
      const same = (a, b) => a != null && b != null && a.arrived === b.arrived;
      const kept = (this.byPlace.get(key) ?? []).filter((before) =>
        !same(before.now, item.old) && !same(before.now, item.now) && !same(before.now ? null : before.old, item.now));
      keep(this.byPlace, key, [...kept, item].slice(-KEEP_OF_PLACE), KEEP_PLACES);
    }
  }

  of(visit) {
    const came = this.byPlace.get(placeKey(visit))?.find(({ now }) => now?.arrived === visit.arrived);
    return came ?? this.stories.get(visitKey(visit)) ?? null;
  }

  /** A visit's id: changes do not name it, and of one that is gone only the list that had it can tell. */
  idOf(visit) {
    return visit.id ?? this.ids.get(visitKey(visit));
  }

  learnIds(visits) {
    for (const visit of visits) if (visit.id != null) keep(this.ids, visitKey(visit), visit.id, KEEP_STORIES);
  }

  /** Asks for the histories of visits of which no change came; true when one of them tells something. */
  async learnStories(visits) {
    const unknown = visits.filter((v) => v.id != null && !this.of(v) && !this.stories.has(visitKey(v)));
    let isNews = false;
    const work = async () => {
      for (let visit = unknown.shift(); visit; visit = unknown.shift()) {
        try {
          const { items } = await get(`/visits/${encodeURIComponent(visit.id)}/history?limit=1000`);
          const change = changeInHistory(visit.id, items);
          keep(this.stories, visitKey(visit), change, KEEP_STORIES);
          isNews ||= change != null;
        } catch (problem) {
          console.info('history:', problem.message);
        }
      }
    };
    await Promise.all(Array.from({ length: STORIES_AT_A_TIME }, work));
    return isNews;
  }

  /** Visits that were taken back, of those that `wanted` picks. */
  withdrawn(wanted) {
    return [...this.byPlace.values()].flat().filter(({ old, now }) => !now && wanted(old));
  }

  clear() {
    this.byPlace.clear();
    this.stories.clear();
  }
}

export class VisitList {
  /**
   * `on` has list and empty (elements), field (`vehicle_id` or `fence_id`), backMs, most, changes, today(),
   * nameOf(visit), choose(visit) where a name leads somewhere, and nothing (what to say of no visits).
   */
  constructor(on) {
    this.on = on;
    this.id = null;
    this.visits = [];
    this.timer = null;
  }

  /** Shows the visits of one truck or place, or of none. */
  show(id) {
    this.id = id;
    this.visits = [];
    this.on.list.replaceChildren();
    this.on.empty.hidden = true;
    return id == null ? null : this.load();
  }

  /** Reads the visits anew when something of them has changed. */
  changed(items) {
    if (!items.some((item) => item.table === 'visits' && (item.now ?? item.old)[this.on.field] === this.id)) return;
    // Changes that come one upon the other must not put it off for ever.
    this.timer ??= setTimeout(() => {
      this.timer = null;
      this.load();
    }, RELOAD_AFTER_MS);
  }

  async load() {
    const { id, on } = this;
    if (id == null) return;
    const from = on.today() - on.backMs;
    try {
      const query = `${on.field}=${encodeURIComponent(id)}&from=${new Date(from).toISOString()}`;
      const { items } = await getAll(`/visits?${query}&limit=500`, 'items', 4);
      if (id !== this.id) return;
      this.visits = items;
      on.changes.learnIds(items);
      on.empty.textContent = on.nothing;
    } catch (problem) {
      if (id !== this.id) return;
      on.empty.textContent = `The visits could not be read: ${problem.message}. They are asked for again with the next change.`;
    }
    this.draw(from);
    const newest = [...this.visits].sort((a, b) => ms(b.arrived) - ms(a.arrived)).slice(0, STORIES_OF_LIST);
    if ((await on.changes.learnStories(newest)) && id === this.id) this.draw(from);
  }

  draw(from) {
    const { on, id } = this;
    const inSight = (old) => old[on.field] === id && (old.departed == null || ms(old.departed) > from);
    const rows = this.visits.map((visit) => ({ visit, change: on.changes.of(visit) }));
    rows.push(...on.changes.withdrawn(inSight).map((change) => ({ visit: change.old, change, isGone: true })));
    rows.sort((a, b) => ms(b.visit.arrived) - ms(a.visit.arrived));
    on.list.replaceChildren(...rows.slice(0, on.most).map((row) => this.entry(row)));
    on.empty.hidden = rows.length > 0;
  }

  entry({ visit, change, isGone }) {
    const { on } = this;
    const name = on.choose ? button('name', () => on.choose(visit), on.nameOf(visit)) : make('span', '', on.nameOf(visit));
    const dwell = make('b', '', this.dwell(visit));
    if (!visit.departed && !isGone) dwell.dataset.since = ms(visit.arrived);
    // What the row says already must not be struck through as if it were another time.
    const isOther = change?.old && (change.old.arrived !== visit.arrived || change.old.departed !== visit.departed);
    const old = isGone || isOther ? change.old : null;
    const seconds = isOther && this.times(old) === this.times(visit);
    const was = old && make('s', '', `${this.times(old, seconds)} (${this.dwell(old)})`);
    const now = isGone ? make('span', 'now', 'no visit after all') : make('span', was ? 'now' : '', this.times(visit, seconds));
    const times = make('small', '', was, was && make('span', 'sr', ' corrected: '), now);
    const entry = make('li', '', name, isGone ? make('b', 'quiet', '–') : dwell, times, change && this.why(visit, change));
    if (!visit.departed && !isGone) entry.classList.add('open');
    if (change?.correction) entry.classList.add('correction');
    Object.assign(entry.dataset, { arrived: visit.arrived, vehicle: visit.vehicle_id, fence: visit.fence_id });
    if (change) entry.dataset.cause = change.cause ?? '';
    return entry;
  }

  /** The reason of a change, and where the whole story of the visit is told. */
  why(visit, change) {
    const id = this.on.changes.idOf(visit);
    const line = make('p', 'why', badgeOf(change), ` tick ${change.tick} `);
    line.title = `learned ${fullTime(change.instant)}`;
    if (id != null) {
      const link = make('a', '', 'why?');
      link.href = `/api/v1/visits/${encodeURIComponent(id)}/history`;
      link.target = '_blank';
      link.rel = 'noopener';
      line.append(link);
    }
    return line;
  }

  times(visit, seconds = false) {
    const arrived = ms(visit.arrived);
    const until = visit.departed ? clock(ms(visit.departed), arrived, seconds) : 'now';
    return `${clock(arrived, this.on.today(), seconds)} – ${until}`;
  }

  dwell(visit) {
    const until = visit.departed ? ms(visit.departed) : this.on.today();
    return duration(until - ms(visit.arrived)) + (visit.departed ? '' : ' so far');
  }

  /** Lets the visits that go on grow longer. */
  tick() {
    for (const open of this.on.list.querySelectorAll('[data-since]')) {
      open.textContent = `${duration(this.on.today() - Number(open.dataset.since))} so far`;
    }
  }
}
