// The page at `/`: keeps the state (trucks, fences, changes) and shows it. All text goes in as text.

import { Announcer, ChangeStream, clock, describeTick, duration, feedItem, fullTime, make, ms, strikeThrough } from './feed.js';
import { FleetMap } from './map.js';

const API = '/api/v1';
const POLL_MS = 2000;
const FENCES_EVERY_MS = 30_000;
const TRACK_EVERY_MS = 20_000;
const TRACK_BACK_MS = 12 * 3_600_000;
const SILENT_MS = 15 * 60_000;
const VISITS_BACK_MS = 14 * 86_400_000;
const MOVING_KMH = 5;
const ROW_PX = 52;
const KEEP_ITEMS = 250;
/** How many ticks of changes from before the page was opened are shown, and how many of them at most. */
const TICKS_BACK = 900;
const CHANGES_BACK = 4000;

const STATES = { moving: 'Moving', inside: 'In a place', stopped: 'Stopped', silent: 'Silent' };
const KINDS = {
  all: ['All', (i) => i.table !== 'rejects'], visits: ['Visits', (i) => i.table === 'visits'],
  corrections: ['Corrections', (i) => i.correction], rejects: ['Not used', (i) => i.table === 'rejects'],
};

const $ = (id) => document.getElementById(id);
const body = document.body.dataset;
const state = {
  trucks: [], byId: new Map(), fences: new Map(), asOf: Date.now(), tick: 0, selected: null,
  only: null, search: '', listed: [], active: -1, kind: 'all', items: [], feed: 0, corrections: 0,
  offlineSince: null, starting: false, stream: 'connecting', catchingUp: true,
};
const placeName = (id) => state.fences.get(id) ?? id;

// ---- fetching --------------------------------------------------------------------------------------

async function get(path) {
  const answer = await fetch(API + path, { headers: { Accept: 'application/json' }, signal: AbortSignal.timeout(15_000) });
  state.starting = answer.status === 503;
  if (!answer.ok) throw Object.assign(new Error(`${path}: ${answer.status}`), { status: answer.status });
  return answer.json();
}

/** All pages of a list, at most `most` of them. */
async function getAll(path, field = 'items', most = 40) {
  const found = [];
  let first = null;
  let cursor = '';
  for (let page = 0; page < most; page += 1) {
    const answer = await get(path + (cursor && `${path.includes('?') ? '&' : '?'}cursor=${encodeURIComponent(cursor)}`));
    first ??= answer;
    found.push(...(answer[field] ?? []));
    cursor = answer.next_cursor ?? '';
    if (!cursor) break;
  }
  return { ...first, [field]: found };
}

let poll = 0;
async function pollTrucks() {
  // Only the newest of several goes on: the page may come into sight while one waits for its answer.
  const mine = (poll += 1);
  const started = performance.now();
  try {
    const answer = await getAll('/trucks?limit=1000');
    state.asOf = ms(answer.as_of) ?? Date.now();
    state.tick = answer.tick ?? state.tick;
    state.offlineSince = null;
    takeTrucks(answer.items, performance.now() - started);
  } catch (problem) {
    state.offlineSince ??= Date.now();
    console.info('positions:', problem.message);
  }
  showLink();
  // A fleet that takes long to fetch is asked for less often, and not at all while nobody looks.
  setTimeout(() => mine === poll && !document.hidden && pollTrucks(), Math.max(POLL_MS, 4 * (performance.now() - started)));
}
document.addEventListener('visibilitychange', () => !document.hidden && pollTrucks());

function takeTrucks(items, took) {
  const before = state.byId;
  state.byId = new Map();
  state.trucks = items.filter((t) => Number.isFinite(t.lon) && Number.isFinite(t.lat)).map((t) => {
    const last = ms(t.event_time);
    const old = before.get(t.vehicle_id);
    const fences = t.fences.map((f) => f.fence_id);
    // Without a speed, a truck that was elsewhere at the last poll moves.
    const moved = old && (old.last === last ? old.moved : old.lon !== t.lon || old.lat !== t.lat);
    const moving = t.speed_kmh == null ? moved : t.speed_kmh >= MOVING_KMH;
    const standing = fences.length ? 'inside' : 'stopped';
    const now = state.asOf - last > SILENT_MS ? 'silent' : moving ? 'moving' : standing;
    const truck = { ...t, id: t.vehicle_id, last, fences, since: t.fences, moved, state: now };
    state.byId.set(truck.id, truck);
    return truck;
  }).sort((a, b) => (a.id < b.id ? -1 : 1));
  const first = !before.size && state.trucks.length;
  map.setTrucks(state.trucks, Math.max(POLL_MS, 4 * took) * 1.05);
  if (first) map.fit(false);
  body.trucks = state.trucks.length;
  $('map-empty').hidden = state.trucks.length > 0;
  showList();
  if (state.selected) showTruck();
}

let fencesText = '';
async function pollFences() {
  try {
    const { features } = await getAll('/fences?limit=1000', 'features');
    const text = JSON.stringify(features);
    if (text !== fencesText) {
      fencesText = text;
      state.fences = new Map(features.map((f) => [String(f.id ?? f.properties?.id), String(f.properties?.name ?? f.id)]));
      map.setFences(features);
      if (!state.trucks.length) map.fit(false);
      body.fences = features.length;
      showList();
    }
  } catch (problem) {
    console.info('fences:', problem.message);
  }
  setTimeout(pollFences, FENCES_EVERY_MS);
}

// ---- the head: how fresh, how connected ------------------------------------------------------------

function showLink() {
  const offline = state.offlineSince != null;
  const [name, words] = state.starting ? ['catching-up', 'catching up']
    : offline || state.stream === 'reconnecting' ? ['reconnecting', 'reconnecting']
    : state.catchingUp && state.tick ? ['catching-up', 'catching up'] : ['live', 'live'];
  if ($('link').dataset.state !== name) {
    $('link').dataset.state = name;
    $('link-text').textContent = words;
  }
  const today = Date.now();
  $('as-of').textContent = state.tick ? clock(state.asOf, today, true) : '…';
  $('as-of').dateTime = new Date(state.asOf).toISOString();
  const notice = $('notice');
  notice.hidden = !(offline && today - state.offlineSince > 3000);
  if (notice.hidden) return;
  const kept = state.tick ? `Showing what was known at ${clock(state.asOf, today, true)}.` : 'Nothing was received yet.';
  const why = state.starting ? 'The service is starting.' : 'The service can’t be reached.';
  const text = `${why} ${kept} Trying again by itself.`;
  // Written only when it is another text: it is read aloud.
  if (notice.textContent !== text) notice.textContent = text;
}

// ---- the list of trucks ----------------------------------------------------------------------------

const matches = (truck) => !state.search || truck.id.toLowerCase().includes(state.search)
  || truck.fences.some((f) => placeName(f).toLowerCase().includes(state.search));

const summary = (truck) => {
  if (truck.state === 'silent') return `silent for ${duration(state.asOf - truck.last)}`;
  const speed = truck.speed_kmh == null ? '' : ` ${Math.round(truck.speed_kmh)} km/h`;
  const where = truck.fences.map(placeName).join(', ');
  if (truck.state === 'moving') return `moving${speed}${where && `, in ${where}`}`;
  return where ? `in ${where}` : 'stopped on the way';
};

function showList() {
  const counts = Object.fromEntries(Object.keys(STATES).map((s) => [s, 0]));
  for (const truck of state.trucks) counts[truck.state] += 1;
  for (const chip of $('states').children) chip.lastChild.textContent = counts[chip.dataset.name] ?? state.trucks.length;
  const chosen = state.listed[state.active]?.id;
  state.listed = state.trucks.filter((t) => (!state.only || t.state === state.only) && matches(t));
  state.active = chosen == null ? -1 : state.listed.findIndex((t) => t.id === chosen);
  $('trucks-count').textContent = state.trucks.length || '';
  const empty = $('list-empty');
  empty.hidden = state.listed.length > 0;
  empty.textContent = state.trucks.length ? 'No truck matches. Clear the search, or choose All.' : 'Trucks appear here with their first position.';
  showRows();
}

/** Only the rows in sight are in the document, so that 5,000 trucks cost what 20 do. */
function showRows() {
  const { listed, active } = state;
  const list = $('list');
  const first = Math.max(0, Math.floor(list.scrollTop / ROW_PX) - 4);
  const last = Math.min(listed.length, first + Math.ceil(list.clientHeight / ROW_PX) + 9);
  $('rows').style.height = `${listed.length * ROW_PX}px`;
  const rows = $('rows').children;
  while (rows.length > last - first) rows[rows.length - 1].remove();
  while (rows.length < last - first) {
    const row = make('div', 'row', make('i'), make('b'), make('span'), make('small'));
    row.role = 'option';
    $('rows').append(row);
  }
  for (let i = first; i < last; i += 1) {
    const truck = listed[i];
    const row = rows[i - first];
    row.id = `row-${i}`;
    row.dataset.vehicle = truck.id;
    row.style.top = `${i * ROW_PX}px`;
    row.ariaSetSize = listed.length;
    row.ariaPosInSet = i + 1;
    row.ariaSelected = String(i === active);
    row.children[0].className = `sign ${truck.state}`;
    const texts = [truck.id, summary(truck), truck.state === 'silent' ? '' : duration(state.asOf - truck.last)];
    texts.forEach((text, n) => { if (row.children[n + 1].textContent !== text) row.children[n + 1].textContent = text; });
  }
  if (active >= 0) list.setAttribute('aria-activedescendant', `row-${active}`);
  else list.removeAttribute('aria-activedescendant');
}

function activate(index) {
  const list = $('list');
  state.active = Math.max(0, Math.min(state.listed.length - 1, index));
  const top = state.active * ROW_PX;
  if (top < list.scrollTop) list.scrollTop = top;
  if (top + ROW_PX > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW_PX - list.clientHeight;
  showRows();
}

function listKeys(event) {
  const page = Math.max(1, Math.floor($('list').clientHeight / ROW_PX) - 1);
  const step = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -1e9, End: 1e9 }[event.key];
  const inSearch = event.target === $('search');
  if (event.key === 'Enter' || (event.key === ' ' && !inSearch)) {
    const truck = state.listed[Math.max(0, state.active)];
    if (truck) select(truck.id, true);
  } else if (step && !(inSearch && Math.abs(step) > page)) {
    activate(state.active < 0 && Math.abs(step) === 1 ? 0 : state.active + step);
    $('list').focus();
  } else {
    return;
  }
  event.preventDefault();
}

function chips(box, entries, choose) {
  for (const [name, label, sign] of entries) {
    const chip = make('button', '', sign && make('i', `sign ${sign}`), `${label} `, make('b'));
    chip.type = 'button';
    chip.dataset.name = name;
    chip.ariaPressed = String(!box.children.length);
    chip.onclick = () => {
      for (const other of box.children) other.ariaPressed = String(other === chip);
      choose(name);
    };
    box.append(chip);
  }
}

// ---- one truck -------------------------------------------------------------------------------------

function select(id, focus = false) {
  const changed = state.selected !== id;
  state.selected = id;
  map.select(id);
  $('truck').hidden = id == null;
  $('browse').hidden = id != null;
  if (id == null) {
    showList();
    if (focus) $('list').focus();
    return;
  }
  showView('trucks');
  if (changed) {
    $('visits').replaceChildren();
    $('visits-empty').hidden = true;
    loadVisits();
    loadTrack();
  }
  showTruck();
  if (focus) $('truck-name').focus({ preventScroll: true });
}

function showTruck() {
  const truck = state.byId.get(state.selected);
  $('truck-name').textContent = state.selected;
  $('truck-state').replaceChildren(...(truck ? [make('i', `sign ${truck.state}`), ` ${summary(truck)}`] : ['no position is known of this truck']));
  const facts = truck ? [
    ['Last position', `${clock(truck.last, state.asOf, true)}, ${duration(state.asOf - truck.last)} ago`, fullTime(truck.last)],
    ['Speed', truck.speed_kmh == null ? 'unknown' : `${Math.round(truck.speed_kmh)} km/h`],
    ['Now in', truck.since.map((f) => `${placeName(f.fence_id)}, for ${duration(state.asOf - ms(f.entered))}`).join('; ') || 'no known place'],
    ['Where', `${truck.lat.toFixed(5)}, ${truck.lon.toFixed(5)}`],
    ['Line on the map', 'its last 12 hours'],
  ] : [];
  $('truck-facts').replaceChildren(...facts.flatMap(([name, value, title]) => {
    const detail = make('dd', '', value);
    if (title) detail.title = title;
    return [make('dt', '', name), detail];
  }));
  for (const open of document.querySelectorAll('#visits [data-since]')) {
    open.textContent = `${duration(state.asOf - Number(open.dataset.since))} so far`;
  }
}

async function loadVisits() {
  const id = state.selected;
  const since = new Date(state.asOf - VISITS_BACK_MS).toISOString();
  try {
    const { items } = await getAll(`/visits?vehicle_id=${encodeURIComponent(id)}&from=${since}&limit=500`, 'items', 4);
    if (id !== state.selected) return;
    const newest = items.sort((a, b) => ms(b.arrived) - ms(a.arrived)).slice(0, 60);
    $('visits').replaceChildren(...newest.map((v) => {
      const dwell = make('b', '', v.departed ? duration(ms(v.departed) - ms(v.arrived)) : `${duration(state.asOf - ms(v.arrived))} so far`);
      if (!v.departed) dwell.dataset.since = ms(v.arrived);
      const until = v.departed ? clock(ms(v.departed), ms(v.arrived)) : 'now';
      return make('li', v.departed ? '' : 'open', make('span', '', placeName(v.fence_id)), dwell,
        make('small', '', `${clock(ms(v.arrived), state.asOf)} – ${until}`));
    }));
    $('visits-empty').textContent = 'No visit in the last 14 days. A stay becomes a visit after 5 minutes, unless set otherwise.';
  } catch {
    if (id !== state.selected) return;
    $('visits-empty').textContent = 'The visits could not be read. They are asked for again with the next change.';
  }
  $('visits-empty').hidden = $('visits').children.length > 0;
}

async function loadTrack() {
  const id = state.selected;
  try {
    const since = new Date((state.byId.get(id)?.last ?? state.asOf) - TRACK_BACK_MS).toISOString();
    const { items } = await getAll(`/trucks/${encodeURIComponent(id)}/track?from=${since}`);
    if (id === state.selected) map.setTrack(items.filter((fix) => fix.flag == null).map((fix) => [fix.lon, fix.lat]));
  } catch (problem) {
    console.info('track:', problem.message);
  }
}

// ---- the feed --------------------------------------------------------------------------------------

let waiting = [];
function takeTick(changes) {
  const items = describeTick(changes, placeName);
  state.feed += items.length;
  waiting.push(...items);
  if (waiting.length === items.length) setTimeout(showFeed, 100);
  if (!changes.some((c) => c.row.vehicle_id === state.selected && c.table === 'visits')) return;
  clearTimeout(visitsTimer);
  visitsTimer = setTimeout(loadVisits, 300);
}
let visitsTimer = 0;

function showFeed() {
  const fresh = [];
  for (const [i, item] of waiting.entries()) {
    state.corrections += item.correction;
    for (const strike of item.strikes) strikeOut(strike);
    // Of a flood only what will stay in the feed is made into elements.
    if (i < waiting.length - KEEP_ITEMS && !item.correction) continue;
    const entry = { item, element: feedItem(item, state.asOf, select) };
    fresh.push(entry);
    state.items.push(entry);
  }
  waiting = [];
  // Corrections are rare and matter longest: they outlive the rest.
  if (state.items.length > 2 * KEEP_ITEMS) {
    const edge = state.items.length - KEEP_ITEMS;
    const kept = state.items.filter(({ item }, i) => i >= edge || item.correction).slice(-1.5 * KEEP_ITEMS);
    const keep = new Set(kept);
    for (const entry of state.items) if (!keep.has(entry)) entry.element.remove();
    state.items = kept;
  }
  const wanted = KINDS[state.kind][1];
  $('feed').prepend(...fresh.filter(({ item }) => wanted(item)).slice(-2 * KEEP_ITEMS).map(({ element }) => element).reverse());
  showFeedCounts();
  announcer.say(fresh.map(({ item }) => item).filter((i) => i.table !== 'rejects'));
}

function showFeedCounts() {
  body.feed = state.feed;
  body.corrections = state.corrections;
  $('feed-empty').hidden = $('feed').children.length > 0;
  if (state.items.length) $('feed-empty').textContent = 'Nothing of this kind yet. Choose All to see the rest.';
  $('feed-count').textContent = state.corrections ? `${state.corrections} corrected` : '';
  const count = `${state.corrections || 'no'} correction${state.corrections === 1 ? '' : 's'}`;
  if ($('corrections').textContent !== count) $('corrections').textContent = count;
}

/** What was said earlier of a row that has been taken back is struck through where it stands. */
function strikeOut({ key, endOnly }) {
  for (const { item, element } of state.items) {
    if (!item.correction && item.keys.includes(key) && !(endOnly && item.about === 'start')) strikeThrough(element);
  }
}

const announcer = new Announcer($('say'));
const stream = new ChangeStream(`${API}/changes`, {
  tick(changes) {
    // A backlog too long to be of use is skipped.
    if (state.catchingUp && stream.events > CHANGES_BACK && changes[0].tick < state.tick) stream.skipTo(state.tick);
    takeTick(changes);
  },
  caughtUp() {
    state.catchingUp = false;
    showLink();
  },
  state(name) {
    if (name !== 'open' && state.stream === 'open') state.catchingUp = true;
    state.stream = name;
    showLink();
  },
  gone() {
    // So far back that the changes are not kept any more: forget what was said, and begin from the state.
    for (const { element } of state.items) element.remove();
    Object.assign(state, { items: [], catchingUp: true });
    openStream(0);
  },
});

async function openStream(back) {
  try {
    state.tick = (await get('/trucks?limit=1')).tick ?? state.tick;
    stream.start(`${Math.max(0, state.tick - back)}-${back ? 0 : 4294967295}`);
  } catch {
    setTimeout(openStream, POLL_MS, back);
  }
}

// ---- putting it together ---------------------------------------------------------------------------

function showView(name) {
  body.view = name;
  $('tab-trucks').ariaPressed = String(name === 'trucks');
  $('tab-feed').ariaPressed = String(name === 'feed');
  if (name === 'trucks') showRows();
}

const map = new FleetMap($('map'), {
  pick: (id) => select(id),
  place(fence) {
    select(null);
    showView('trucks');
    $('search').value = fence.name;
    $('search').dispatchEvent(new Event('input'));
  },
});
map.onDrawn = () => {
  if (body.trucks != null && body.fences != null) document.documentElement.dataset.ready = '1';
};

chips($('states'), [['all', 'All'], ...Object.entries(STATES).map(([name, label]) => [name, label, name])], (name) => {
  state.only = name === 'all' ? null : name;
  showList();
});
chips($('kinds'), Object.entries(KINDS).map(([name, [label]]) => [name, label]), (name) => {
  state.kind = name;
  $('feed').replaceChildren(...state.items.filter(({ item }) => KINDS[name][1](item)).map(({ element }) => element).reverse());
  showFeedCounts();
});
$('search').oninput = (event) => {
  state.search = event.target.value.trim().toLowerCase();
  state.active = -1;
  showList();
};
$('search').onkeydown = listKeys;
$('list').onkeydown = listKeys;
$('list').onscroll = showRows;
$('rows').onclick = (event) => {
  const id = event.target.closest('[data-vehicle]')?.dataset.vehicle;
  if (id != null) select(id, true);
};
$('back').onclick = () => select(null, true);
$('zoom-in').onclick = () => map.zoom(1.6);
$('zoom-out').onclick = () => map.zoom(1 / 1.6);
$('fit').onclick = () => map.fit();
$('tab-trucks').onclick = () => showView('trucks');
$('tab-feed').onclick = () => showView('feed');
document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === 'Escape' && state.selected) return select(null, true);
  if (/^(input|textarea)$/i.test(event.target.tagName)) return;
  if (event.key === 'f') map.fit();
  else if (event.key === '/') $('search').focus();
  else return;
  event.preventDefault();
});
new ResizeObserver(showRows).observe($('list'));
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
$('zone').textContent = zone;
$('zone').title = `All times are shown in ${zone}, the zone of this browser`;
body.feed = body.corrections = '0';
setInterval(() => { if (state.selected && !document.hidden) loadTrack(); }, TRACK_EVERY_MS);
pollFences();
pollTrucks();
openStream(TICKS_BACK);
