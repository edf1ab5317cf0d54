// Says in words what each tick changed.
//
// A tick's rows come as +1 (now true) and -1 (no longer true). Closing an open row is the normal course
// of things; taking back a time that people were already told is a correction, and so is what an edit, a
// setting or the jump filter brings about. Every change that is not the normal course says what it came of.

import { button, causeWords, clock, duration, fullTime, make, ms } from './text.js';

const SPANS = { presences: ['entered', 'exited'], visits: ['arrived', 'departed'] };
const SAY_EVERY_MS = 6000;
const LATE_MS = 15 * 60_000;
/** Causes that change what was known, even where no time is taken back. */
const REWRITES = new Set(['settings', 'backfill', 'fence_edit', 'cleaning', 'superseded']);

const spanKey = (table, row) => [table, row.vehicle_id, row.fence_id, row[SPANS[table][0]]].join('\u0000');

/** What one tick changed, as feed items, oldest statement first. `nameOf` names a fence. */
export function describeTick(changes, nameOf) {
  const groups = new Map();
  const items = [];
  const crossings = new Map();
  for (const change of changes) {
    if (change.table === 'rejects') items.push(describeReject(change));
    if (change.table === 'crossings') pairCrossing(crossings, change);
    if (!SPANS[change.table]) continue;
    const place = `${change.row.vehicle_id}\u0000${change.row.fence_id}`;
    if (!groups.has(place)) groups.set(place, { presences: { gone: [], came: [] }, visits: { gone: [], came: [] } });
    groups.get(place)[change.table][change.diff > 0 ? 'came' : 'gone'].push(change);
  }
  for (const group of groups.values()) {
    const visits = compareSpans('visits', group.visits);
    const stated = new Set(visits.map((v) => v.shape));
    for (const presence of compareSpans('presences', group.presences)) {
      // A visit that says the same of the same span says it for its presence too.
      if (stated.has(presence.shape)) visits.find((v) => v.shape === presence.shape).also = presence;
      else items.push(describeSpan(presence, nameOf));
    }
    for (const visit of visits) items.push(describeSpan(visit, nameOf));
  }
  for (const pair of crossings.values()) items.push(describeCrossing(pair, nameOf));
  return items.sort((a, b) => a.at - b.at);
}

/** Pairs what went with what came: `opened`, `closed`, `whole`, `corrected` or `withdrawn`. */
function compareSpans(table, { gone, came }) {
  const [start, end] = SPANS[table];
  const found = [];
  const add = (kind, old, now) => {
    const shape = [kind, old?.row[start], old?.row[end], now?.row[start], now?.row[end]].join('|');
    found.push({ table, kind, old: old?.row, now: now?.row, shape, change: now ?? old });
  };
  const left = [...came];
  const take = (wanted) => (wanted < 0 ? null : left.splice(wanted, 1)[0]);
  const unpaired = gone.filter((old) => {
    const now = take(left.findIndex((c) => c.row[start] === old.row[start]));
    if (!now) return true;
    if (old.row[end] == null && now.row[end] != null) add('closed', old, now);
    else if (old.row[end] !== now.row[end]) add('corrected', old, now);
    return false;
  });
  for (const old of unpaired) {
    const distance = (c) => Math.abs(ms(c.row[start]) - ms(old.row[start]));
    let nearest = -1;
    left.forEach((c, i) => { if (nearest < 0 || distance(c) < distance(left[nearest])) nearest = i; });
    const now = take(nearest);
    add(now ? 'corrected' : 'withdrawn', old, now);
  }
  for (const now of left) add(now.row[end] == null ? 'opened' : 'whole', null, now);
  return found;
}

function describeSpan({ table, kind, old, now, also, change }, nameOf) {
  const [start, end] = SPANS[table];
  const row = now ?? old;
  const place = nameOf(row.fence_id);
  const today = ms(change.instant);
  const visit = table === 'visits';
  const time = (text) => clock(ms(text), today);
  const span = (r) => {
    const verb = visit ? 'visited' : 'was in';
    if (r[end] == null) return `${visit ? 'visiting' : 'in'} ${place} since ${time(r[start])}`;
    return `${verb} ${place} ${time(r[start])} – ${time(r[end])} (${duration(ms(r[end]) - ms(r[start]))})`;
  };
  const item = {
    kind, table, vehicle: row.vehicle_id, fence: row.fence_id, place, tick: change.tick, instant: today,
    at: ms(row[end] ?? row[start]), said: null, words: '', ...reasonOf(change, kind), strikes: [],
    about: kind === 'opened' ? 'start' : 'end', old: old ?? null, now: now ?? null,
  };
  const rows = [[table, old, now], ...(also ? [[also.table, also.old, also.now]] : [])];
  item.keys = rows.map(([t, o, n]) => spanKey(t, n ?? o));
  item.late = !item.correction && !item.reason && today - item.at > LATE_MS;
  switch (kind) {
    case 'opened':
      item.words = visit ? `visit confirmed at ${place}, there since ${time(row[start])}` : `entered ${place}`;
      break;
    case 'closed': {
      const spent = duration(ms(row[end]) - ms(row[start]));
      const reason = row.end_reason ?? also?.now.end_reason;
      if (reason === 'fence_deleted') item.words = `no longer in ${place}: fence deleted`;
      else if (reason === 'fence_ended') item.words = `no longer in ${place}: fence ended`;
      else item.words = `left ${place}${visit ? ', a visit of' : ' after'} ${spent}`;
      break;
    }
    case 'whole':
      item.words = span(row);
      break;
    case 'corrected':
      item.said = span(old);
      item.words = now[end] == null && old[end] != null ? `still ${span(now)}` : span(now);
      break;
    case 'withdrawn':
      item.said = span(old);
      item.words = visit ? 'was no visit after all' : 'was not there after all';
  }
  if (item.said) {
    const endOnly = !!now && old[start] === now[start];
    item.strikes = rows.map(([t, o]) => ({ key: spanKey(t, o), endOnly }));
  }
  return item;
}

/** What a change came of, in words, and whether that makes it a correction. */
export function reasonFor(cause, isTakenBack) {
  return { cause: cause ?? null, reason: causeWords(cause), correction: isTakenBack || REWRITES.has(cause) };
}
const reasonOf = ({ cause }, kind) => reasonFor(cause, kind === 'corrected' || kind === 'withdrawn');

function pairCrossing(pairs, change) {
  const key = [change.row.vehicle_id, change.row.fence_id, change.row.from_time].join('\u0000');
  if (!pairs.has(key)) pairs.set(key, {});
  pairs.get(key)[change.diff > 0 ? 'came' : 'gone'] = change;
}

function describeCrossing({ gone, came }, nameOf) {
  const change = came ?? gone;
  const { row, tick } = change;
  const [place, instant] = [nameOf(row.fence_id), ms(change.instant)];
  const passage = (r) => `crossed ${place} ${clock(ms(r.at), instant)} without a stop`;
  const kind = !gone ? 'crossed' : came ? 'corrected' : 'withdrawn';
  const key = ['crossings', row.vehicle_id, row.fence_id, row.from_time].join('\u0000');
  return {
    kind, table: 'crossings', vehicle: row.vehicle_id, fence: row.fence_id, place, tick, instant, at: ms(row.at),
    said: gone ? passage(gone.row) : null, words: came ? passage(row) : 'did not cross after all',
    ...reasonOf(change, kind), late: !gone && !causeWords(change.cause) && instant - ms(row.at) > LATE_MS,
    keys: [key], about: 'end', strikes: gone ? [{ key, endOnly: false }] : [], old: gone?.row ?? null, now: came?.row ?? null,
  };
}

const REASONS = {
  jump: 'too far from the fix before', future: 'its time lies ahead', too_late: 'it came too late',
  null_island: 'it lies at 0, 0', out_of_range: 'it is out of range', malformed: 'it can’t be read',
  bad_value: 'a value in it can’t be read',
};

function describeReject(change) {
  const { row, diff, tick, instant } = change;
  const at = ms(row.event_time) ?? ms(instant);
  const fix = 'position';
  const refused = row.used ? `${fix} used in part: ${REASONS[row.reason] ?? row.reason}` : `${fix} not used: ${REASONS[row.reason] ?? row.reason}`;
  const gone = diff < 0;
  const key = `rejects\u0000${row.seq}`;
  return {
    kind: gone ? 'withdrawn' : 'reject', table: 'rejects', vehicle: row.vehicle_id ?? '', fence: null, place: '',
    tick, instant: ms(instant), at, said: gone ? refused : null, words: gone ? `${fix} counts after all` : refused,
    ...reasonOf(change, gone ? 'withdrawn' : 'reject'), late: false, keys: [key], about: 'end', old: null, now: null,
    strikes: gone ? [{ key, endOnly: false }] : [],
  };
}

// ---- what is said, as elements ---------------------------------------------------------------------

/** What marks a change that is not the normal course of things: in words, and in colour. */
export function badgeOf({ correction, reason, late }) {
  if (correction) return make('em', 'badge', reason ? `corrected: ${reason}` : 'corrected');
  return reason || late ? make('em', 'badge late', reason ?? 'late') : null;
}

export function feedItem(item, today, select) {
  const said = item.said && [make('s', '', item.said), make('span', 'sr', ' corrected: ')];
  const words = make('span', 'words', ...(said || []), make('span', said ? 'now' : '', item.words));
  const choose = () => item.vehicle && select(item.vehicle, true);
  const entry = button('', choose, make('time', '', clock(item.at, today)), make('b', '', item.vehicle || 'A record'), badgeOf(item), words);
  entry.title = `${fullTime(item.at)}; learned ${fullTime(item.instant)}, tick ${item.tick}`;
  return make('li', item.correction ? 'correction' : item.kind, entry);
}

export function strikeThrough(element) {
  if (element.dataset.struck) return;
  element.dataset.struck = '1';
  const words = element.querySelector('.words');
  words.replaceChildren(make('s', '', ...words.childNodes), make('span', 'sr', ' (corrected since)'));
}

/** Speaks of new items, at most once in a while; a correction goes before a plain change. */
export class Announcer {
  constructor(region) {
    this.region = region;
    this.waiting = [];
  }

  say(items) {
    if (items.length && !this.waiting.length) setTimeout(() => this.speak(), SAY_EVERY_MS);
    this.waiting.push(...items);
  }

  speak() {
    const item = this.waiting.findLast((i) => i.correction) ?? this.waiting.at(-1);
    const more = this.waiting.length > 1 ? ` And ${this.waiting.length - 1} more changes.` : '';
    const why = item.reason ? ` (${item.reason})` : '';
    this.region.textContent = `${item.vehicle} ${item.said ? `corrected: ${item.said}; now: ` : ''}${item.words}${why}.${more}`;
    this.waiting = [];
  }
}
