// The change feed: reads /api/v1/changes, and says in words what each tick changed.
//
// A tick's rows come as +1 (now true) and -1 (no longer true). Closing an open row is the normal course
// of things; taking back a time that people were already told is a correction, and is said to be one.

const SPANS = { presences: ['entered', 'exited'], visits: ['arrived', 'departed'] };
const SAY_EVERY_MS = 6000;
const LATE_MS = 15 * 60_000;
const FETCH_LIMIT_MS = 15_000;
const SILENCE_LIMIT_MS = 60_000;
/** A tick is taken to be complete when nothing more of it came for so long. */
const TICK_QUIET_MS = 150;
/** The cursor's index that means "after all of that tick". */
const END_OF_TICK = 4294967295;

export const ms = (text) => (text == null ? null : Date.parse(text));

/** A duration in words, with blanks that do not break. */
export function duration(millis) {
  const seconds = Math.max(0, Math.round(millis / 1000));
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (seconds < 60) return `${seconds}\u00a0s`;
  if (minutes < 60) return `${minutes}\u00a0min`;
  if (hours < 48) return `${hours}\u00a0h\u00a0${String(minutes % 60).padStart(2, '0')}\u00a0min`;
  return `${Math.floor(hours / 24)}\u00a0d\u00a0${hours % 24}\u00a0h`;
}

const clockFormat = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const secondsFormat = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const dayFormat = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });
const fullFormat = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'long' });

/** The time of day in the browser's zone, with the date where it is not that of `today`. */
export function clock(millis, today, seconds = false) {
  const time = (seconds ? secondsFormat : clockFormat).format(millis);
  const day = dayFormat.format(millis);
  return day === dayFormat.format(today) ? time : `${day}, ${time}`;
}
export const fullTime = (millis) => fullFormat.format(millis);

const spanKey = (table, row) => [table, row.vehicle_id, row.fence_id, row[SPANS[table][0]]].join('\u0000');

/** What one tick changed, as feed items, oldest statement first. `nameOf` names a fence. */
export function describeTick(changes, nameOf) {
  const groups = new Map();
  const items = [];
  for (const change of changes) {
    if (change.table === 'rejects') items.push(describeReject(change));
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
    at: ms(row[end] ?? row[start]), said: null, words: '', cause: change.cause ?? null,
    correction: kind === 'corrected' || kind === 'withdrawn', strikes: [],
    about: kind === 'opened' ? 'start' : 'end',
  };
  const rows = [[table, old, now], ...(also ? [[also.table, also.old, also.now]] : [])];
  item.keys = rows.map(([t, o, n]) => spanKey(t, n ?? o));
  item.late = !item.correction && today - item.at > LATE_MS;
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
  if (item.correction) {
    const endOnly = !!now && old[start] === now[start];
    item.strikes = rows.map(([t, o]) => ({ key: spanKey(t, o), endOnly }));
  }
  return item;
}

const REASONS = {
  jump: 'too far from the fix before', future: 'its time lies ahead', too_late: 'it came too late',
  null_island: 'it lies at 0, 0', out_of_range: 'it is out of range', malformed: 'it can’t be read',
  bad_value: 'a value in it can’t be read',
};

function describeReject({ row, diff, tick, instant, cause }) {
  const at = ms(row.event_time) ?? ms(instant);
  const fix = 'position';
  const refused = row.used ? `${fix} used in part: ${REASONS[row.reason] ?? row.reason}` : `${fix} not used: ${REASONS[row.reason] ?? row.reason}`;
  const gone = diff < 0;
  const key = `rejects\u0000${row.seq}`;
  return {
    kind: gone ? 'withdrawn' : 'reject', table: 'rejects', vehicle: row.vehicle_id ?? '', fence: null, place: '',
    tick, instant: ms(instant), at, said: gone ? refused : null, words: gone ? `${fix} counts after all` : refused,
    correction: gone, late: false, keys: [key], about: 'end', cause: cause ?? null,
    strikes: gone ? [{ key, endOnly: false }] : [],
  };
}

// ---- what is said, as elements ---------------------------------------------------------------------

/** An element with children; text goes in as text. */
export const make = (tag, className, ...children) => {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children.filter((c) => c));
  return element;
};

export function feedItem(item, today, select) {
  const badge = item.correction ? make('em', 'badge', 'corrected') : item.late && make('em', 'badge late', 'late');
  const said = item.said && [make('s', '', item.said), make('span', 'sr', ' corrected: ')];
  const words = make('span', 'words', ...(said || []), make('span', said ? 'now' : '', item.words));
  const button = make('button', '', make('time', '', clock(item.at, today)), make('b', '', item.vehicle || 'A record'), badge, words);
  button.type = 'button';
  button.title = `${fullTime(item.at)}; learned ${fullTime(item.instant)}${item.cause ? `; cause: ${item.cause}` : ''}`;
  if (item.vehicle) button.onclick = () => select(item.vehicle, true);
  return make('li', item.correction ? 'correction' : item.kind, button);
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
    this.region.textContent = `${item.vehicle} ${item.said ? `corrected: ${item.said}; now: ` : ''}${item.words}.${more}`;
    this.waiting = [];
  }
}

// ---- where it comes from ---------------------------------------------------------------------------

/**
 * Follows the changes for ever. Fetch, not EventSource: the cursor can be chosen, kept over a refused
 * connection, and the answer's status (410: that far back is gone) can be seen.
 */
export class ChangeStream {
  /** `on` has tick(changes), caughtUp(), state(name) and gone(). */
  constructor(url, on) {
    this.url = url;
    this.on = on;
    this.cursor = null;
    this.pending = [];
    this.retryMs = 1000;
    this.events = 0;
  }

  start(cursor) {
    this.cursor = cursor;
    this.#run(this.generation = (this.generation ?? 0) + 1);
  }

  /** Drops what is behind, and goes on after all of `tick`. */
  skipTo(tick) {
    this.flush();
    this.abort?.abort();
    this.events = 0;
    this.start(`${tick}-${END_OF_TICK}`);
  }

  async #run(generation) {
    let failures = 0;
    while (generation === this.generation) {
      this.on.state(failures ? 'reconnecting' : 'connecting');
      let gone = false;
      try {
        const opened = Date.now();
        const status = await this.#read(generation);
        gone = status === 410;
        // An id that the server can't read must not be sent for ever.
        if (status === 400 || gone) this.cursor = null;
        failures = status === 200 && Date.now() - opened > 5000 ? 0 : failures + 1;
      } catch {
        failures += 1;
      }
      if (generation !== this.generation) return;
      this.flush();
      if (gone) return this.on.gone();
      if (failures) this.on.state('reconnecting');
      await new Promise((done) => setTimeout(done, Math.min(this.retryMs * 2 ** Math.min(failures, 4), 15_000)));
    }
  }

  async #read(generation) {
    const abort = (this.abort = new AbortController());
    let watchdog = setTimeout(() => abort.abort(), FETCH_LIMIT_MS);
    const headers = { Accept: 'text/event-stream' };
    if (this.cursor) headers['Last-Event-ID'] = this.cursor;
    try {
      const answer = await fetch(this.url, { headers, cache: 'no-store', signal: abort.signal });
      if (!answer.ok) return answer.status;
      this.on.state('open');
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = '';
      for (;;) {
        clearTimeout(watchdog);
        watchdog = setTimeout(() => abort.abort(), SILENCE_LIMIT_MS);
        const { value, done } = await reader.read();
        if (done || generation !== this.generation) return answer.status;
        const blocks = (rest + value).split(/\r?\n\r?\n/);
        rest = blocks.pop();
        blocks.forEach((block) => this.#event(block));
      }
    } finally {
      clearTimeout(watchdog);
      abort.abort();
    }
  }

  #event(block) {
    const field = { event: '', data: '', id: null };
    for (const line of block.split(/\r?\n/)) {
      const colon = line.indexOf(':');
      if (colon < 1) continue;
      const name = line.slice(0, colon);
      const value = line.slice(colon + 1).replace(/^ /, '');
      if (name === 'data') field.data += (field.data && '\n') + value;
      else if (name === 'retry') this.retryMs = Number(value) || this.retryMs;
      else field[name] = value;
    }
    if (field.id) this.cursor = field.id;
    if (!field.data) return;
    const change = JSON.parse(field.data);
    if (field.event === 'tick') {
      // The server's word that everything up to here was sent.
      this.flush();
      this.on.caughtUp();
    }
    if (!change.row) return;
    this.events += 1;
    if (this.pending.length && this.pending[0].tick !== change.tick) this.flush();
    this.pending.push(change);
    clearTimeout(this.quiet);
    this.quiet = setTimeout(() => this.flush(), TICK_QUIET_MS);
  }

  flush() {
    clearTimeout(this.quiet);
    const changes = this.pending;
    this.pending = [];
    if (changes.length) this.on.tick(changes);
  }
}
