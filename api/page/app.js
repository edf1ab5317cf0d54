// The page at `/`: keeps the state (trucks, fences, changes) and brings its parts together.

import { FenceEditor } from './edit.js';
import { FeedList, KINDS } from './feedlist.js';
import { chips, List } from './list.js';
import { FleetMap } from './map.js';
import { get, getAll } from './net.js';
import { FencePanel, TruckPanel } from './panels.js';
import { ChangeStream } from './stream.js';
import { $, clock, counted, duration, ms } from './text.js';
import { VisitChanges } from './visits.js';

const POLL_MS = 2000;
const FENCES_EVERY_MS = 30_000;
const TRACK_EVERY_MS = 20_000;
const SILENT_MS = 15 * 60_000;
const MOVING_KMH = 5;
/** How many ticks of changes from before the page was opened are shown, and how many of them at most. */
const TICKS_BACK = 900;
const CHANGES_BACK = 4000;

const STATES = { moving: 'Moving', inside: 'In a place', stopped: 'Stopped', silent: 'Silent' };
/** The list shows trucks, of one state or of all, or the places. */
const PLACES = 'places';

const body = document.body.dataset;
const state = {
  trucks: [], byId: new Map(), fences: new Map(), asOf: Date.now(), tick: 0, truck: null, fence: null, only: null,
  offlineSince: null, starting: false, stream: 'connecting', catchingUp: true,
};
const today = () => state.asOf;
const placeName = (id) => state.fences.get(id)?.name ?? id;
const trucksIn = (id) => state.trucks.filter((truck) => truck.fences.includes(id)).map((truck) => truck.id);

// ---- what is asked for again and again -------------------------------------------------------------

let poll = 0;
async function pollTrucks() {
  // Only the newest of several goes on: the page may come into sight while one waits for its answer.
  const mine = (poll += 1);
  const started = performance.now();
  try {
    const answer = await getAll('/trucks?limit=1000');
    state.asOf = ms(answer.as_of) ?? Date.now();
    state.tick = answer.tick ?? state.tick;
    Object.assign(state, { offlineSince: null, starting: false });
    takeTrucks(answer.items, performance.now() - started);
  } catch (problem) {
    state.starting = problem.status === 503;
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
  truckPanel.update();
  fencePanel.update();
}

let fencesTimer = 0;
let fencesText = '';
async function pollFences() {
  clearTimeout(fencesTimer);
  try {
    const { features } = await getAll('/fences?limit=1000', 'features');
    const text = JSON.stringify(features);
    if (text !== fencesText) takeFences(features);
    fencesText = text;
  } catch (problem) {
    console.info('fences:', problem.message);
  }
  clearTimeout(fencesTimer);
  fencesTimer = setTimeout(pollFences, FENCES_EVERY_MS);
}

function takeFences(features) {
  const named = features.map((feature) => ({ id: feature.id, name: String(feature.properties?.name ?? feature.id), feature }));
  state.fences = new Map(named.map((fence) => [fence.id, fence]));
  map.setFences(features);
  if (!state.trucks.length) map.fit(false);
  body.fences = features.length;
  editor.check(state.fences.get(editor.id)?.feature);
  showList();
  fencePanel.update();
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
  const now = Date.now();
  $('as-of').textContent = state.tick ? clock(state.asOf, now, true) : '…';
  $('as-of').dateTime = new Date(state.asOf).toISOString();
  const notice = $('notice');
  notice.hidden = !(offline && now - state.offlineSince > 3000);
  if (notice.hidden) return;
  const kept = state.tick ? `Showing what was known at ${clock(state.asOf, now, true)}.` : 'Nothing was received yet.';
  const why = state.starting ? 'The service is starting.' : 'The service can’t be reached.';
  const text = `${why} ${kept} Trying again by itself.`;
  // Written only when it is another text: it is read aloud.
  if (notice.textContent !== text) notice.textContent = text;
}

// ---- the list --------------------------------------------------------------------------------------

const summary = (truck) => {
  if (truck.state === 'silent') return `silent for ${duration(state.asOf - truck.last)}`;
  const speed = truck.speed_kmh == null ? '' : ` ${Math.round(truck.speed_kmh)} km/h`;
  const where = truck.fences.map(placeName).join(', ');
  if (truck.state === 'moving') return `moving${speed}${where && `, in ${where}`}`;
  return where ? `in ${where}` : 'stopped on the way';
};

const list = new List({
  describe: (thing) => (thing.feature
    ? { kind: 'fence', sign: 'place', title: thing.name, text: `${counted(trucksIn(thing.id).length, 'truck')} in it`, small: '' }
    : { kind: 'truck', sign: thing.state, title: thing.id, text: summary(thing), small: thing.state === 'silent' ? '' : duration(state.asOf - thing.last) }),
  matches: (thing, search) => [thing.id, ...(thing.feature ? [thing.name] : thing.fences.map(placeName))].some((text) => text.toLowerCase().includes(search)),
  open: (thing) => (thing.feature ? selectFence(thing.id, true) : selectTruck(thing.id, true)),
  searched: () => showList(),
});

function showList() {
  const counts = { all: state.trucks.length, [PLACES]: state.fences.size };
  for (const name of Object.keys(STATES)) counts[name] = 0;
  for (const truck of state.trucks) counts[truck.state] += 1;
  for (const chip of $('states').children) chip.lastChild.textContent = counts[chip.dataset.name];
  const isPlaces = state.only === PLACES;
  const things = isPlaces ? [...state.fences.values()] : state.trucks.filter((t) => !state.only || t.state === state.only);
  list.show(things);
  $('trucks-count').textContent = state.trucks.length || '';
  const empty = $('list-empty');
  empty.hidden = list.shown.length > 0;
  const [what, none] = isPlaces ? ['place', 'There are no fences yet.'] : ['truck', 'Trucks appear here with their first position.'];
  empty.textContent = things.length || state.trucks.length ? `No ${what} matches. Clear the search, or choose All.` : none;
}

// ---- one truck, one place --------------------------------------------------------------------------

const changes = new VisitChanges();
const truckPanel = new TruckPanel({
  today, changes, placeName, summary, truck: (id) => state.byId.get(id), choosePlace: (id) => selectFence(id, true),
  setTrack: (positions) => map.setTrack(positions),
});
const fencePanel = new FencePanel({
  today, changes, trucksIn, fence: (id) => state.fences.get(id), chooseTruck: (id) => selectTruck(id, true),
  edit: (id) => editor.begin(id),
});

/** Shows a truck, a place, or (of neither) the list. */
function select(truck, fence, heading, focus) {
  Object.assign(state, { truck, fence });
  $('browse').hidden = truck != null || fence != null;
  map.select(truck);
  map.selectFence(fence);
  truckPanel.show(truck);
  fencePanel.show(fence);
  if (heading) showView('trucks');
  else showList();
  if (focus) (heading ?? $('list')).focus({ preventScroll: true });
}
const selectTruck = (id, focus) => select(id, null, $('truck-name'), focus);
const selectFence = (id, focus) => select(null, id, $('fence-name'), focus);
const selectNothing = (focus) => select(null, null, null, focus);

// ---- the changes -----------------------------------------------------------------------------------

const feed = new FeedList({ nameOf: placeName, today, select: selectTruck });

function takeTick(tickChanges) {
  const items = feed.take(tickChanges);
  changes.take(items);
  editor.took(items, tickChanges[0].tick);
  truckPanel.visits.changed(items);
  fencePanel.visits.changed(items);
}

const stream = new ChangeStream('/api/v1/changes?tables=crossings,presences,rejects,visits', {
  tick(tickChanges) {
    // A backlog too long to be of use is skipped.
    if (state.catchingUp && stream.events > CHANGES_BACK && tickChanges[0].tick < state.tick) stream.skipTo(state.tick);
    takeTick(tickChanges);
  },
  reached(tick) {
    state.catchingUp = false;
    editor.reached(tick);
    showLink();
  },
  state(name) {
    if (name !== 'open' && state.stream === 'open') state.catchingUp = true;
    state.stream = name;
    showLink();
  },
  gone() {
    // So far back that the changes are not kept any more: forget what was said, and begin from the state.
    feed.clear();
    changes.clear();
    state.catchingUp = true;
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
  if (name === 'trucks') list.showRows();
}

const map = new FleetMap($('map'), {
  pick: (id) => (id == null ? selectNothing() : selectTruck(id)),
  place: (fence) => selectFence(fence.id),
});
map.onDrawn = () => {
  if (body.trucks != null && body.fences != null) document.documentElement.dataset.ready = '1';
};
const editor = new FenceEditor(map, { today, done: pollFences });

chips($('states'), [['all', 'All'], ...Object.entries(STATES).map(([name, label]) => [name, label, name]), [PLACES, 'Places', 'place']], (name) => {
  state.only = name === 'all' ? null : name;
  showList();
});
chips($('kinds'), Object.entries(KINDS).map(([name, [label]]) => [name, label]), (name) => feed.choose(name));
$('back').onclick = $('fence-back').onclick = () => selectNothing(true);
$('zoom-in').onclick = () => map.zoom(1.6);
$('zoom-out').onclick = () => map.zoom(1 / 1.6);
$('fit').onclick = () => map.fit();
$('tab-trucks').onclick = () => showView('trucks');
$('tab-feed').onclick = () => showView('feed');

document.addEventListener('keydown', (event) => {
  // A dialog has its own keys.
  if ($('save').open) return;
  const isText = /^(input|textarea)$/i.test(event.target.tagName);
  if ((event.ctrlKey || event.metaKey) && event.key === 'z' && !isText) editor.undo();
  else if (event.ctrlKey || event.metaKey || event.altKey) return;
  else if (event.key === 'Escape' && editor.isActive) editor.cancel();
  else if (event.key === 'Escape' && (state.truck ?? state.fence) != null) selectNothing(true);
  else if (isText) return;
  else if (event.key === 'Enter' && editor.isActive && !event.repeat && $('map').contains(event.target)) editor.ask();
  else if (event.key === 'e' && state.fence != null) editor.begin(state.fence);
  else if (event.key === 'f') map.fit();
  else if (event.key === '/') $('search').focus();
  else return;
  event.preventDefault();
});
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
$('zone').textContent = zone;
$('zone').title = `All times are shown in ${zone}, the zone of this browser`;
setInterval(() => { if (!document.hidden) truckPanel.loadTrack(); }, TRACK_EVERY_MS);
pollFences();
pollTrucks();
openStream(TICKS_BACK);
