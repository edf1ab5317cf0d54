// The page at `/trips`: the trips of these days by their phases, the late ones first; each with its story.

import { badgeOf, reasonFor } from './feed.js';
import { get, getAll, post } from './net.js';
import { ChangeStream } from './stream.js';
import { $, button, clock, counted, duration, fullTime, make, ms } from './text.js';

const HOUR_MS = 3_600_000;
/** Trips that are scheduled so far back and ahead are on the board: a trip may take three days, and fail then. */
const BACK_MS = 96 * HOUR_MS;
const AHEAD_MS = 48 * HOUR_MS;
/** Changes say which rows are others; the whole list is read again so often at most, and now and then without any. */
const RELOAD_AFTER_MS = 400;
const RELOAD_EVERY_MS = 30_000;
const RETRY_MS = 3000;
const END_OF_TICK = 4294967295;

const COLUMNS = [
  ['planned', 'Planned'], ['at_pickup', 'At pickup'], ['in_transit', 'In transit'], ['at_delivery', 'At delivery'],
  ['over', 'Done and failed today'],
];
const OVER = new Set(['done', 'cancelled', 'failed', 'completed']);
const TIMES = {
  pickup_arrival: 'at the pickup', actual_departure: 'departed', arrival: 'arrived', offload: 'offloaded',
};

const state = { trips: new Map(), asOf: Date.now(), tick: 0, open: null, search: '', stream: 'connecting', failed: null };
const words = (name) => String(name).replaceAll('_', ' ');
const isOver = (trip) => OVER.has(trip.phase) || OVER.has(trip.status);
const isLate = (trip) => !isOver(trip) && (trip.status === 'delayed' || trip.inferred_status === 'delayed');
/** Of a trip that nobody planned there is no plan, and its row says from where to where it went. */
const placesOf = (trip) => trip.plan ?? trip;
const departure = (trip) => ms(trip.plan ? trip.plan.scheduled_departure : trip.actual_departure);

/** How much too late it is by now; null where its times do not say. */
function lateness(trip) {
  const due = trip.actual_departure || trip.arrival ? ms(trip.plan?.scheduled_arrival) : departure(trip);
  return due == null || due > state.asOf ? null : state.asOf - due;
}

/** Rows do not say when a trip failed or was cancelled: those scheduled since yesterday are of today. */
function isOfToday(trip) {
  const midnight = new Date(state.asOf).setHours(0, 0, 0, 0);
  return trip.offload ? ms(trip.offload) >= midnight : departure(trip) >= midnight - 24 * HOUR_MS;
}

const columnOf = (trip) => (!isOver(trip) ? trip.phase : isOfToday(trip) ? 'over' : null);

function matches(trip) {
  const { pickup, delivery, container_no: container, client } = placesOf(trip);
  const texts = [trip.trip_id, trip.vehicle_id, pickup, delivery, container, client, !trip.plan && 'unplanned'];
  return !state.search || texts.some((text) => String(text || '').toLowerCase().includes(state.search));
}

// ---- the board -------------------------------------------------------------------------------------

const columns = new Map(COLUMNS.map(([name, title]) => {
  const column = { title, count: make('b'), list: make('ol'), none: make('p', '', 'none') };
  column.box = make('section', 'column', make('h2', '', title, column.count), column.list, column.none);
  column.box.ariaLabel = title;
  column.box.dataset.column = name;
  $('board').append(column.box);
  return [name, column];
}));

/** What a card says, in words, and whether it is marked. */
function summary(trip) {
  const by = lateness(trip);
  if (isLate(trip)) return by == null ? 'late' : `late by ${duration(by)}`;
  if (trip.phase === 'in_transit') return `on the road for ${duration(state.asOf - ms(trip.actual_departure))}`;
  if (trip.phase === 'at_delivery' && !isOver(trip)) return `there for ${duration(state.asOf - ms(trip.arrival))}`;
  if (trip.phase === 'at_pickup') return `there for ${duration(state.asOf - ms(trip.pickup_arrival))}`;
  if (isOver(trip)) return trip.tat_s == null ? words(trip.status) : `${words(trip.status)}, ${duration(trip.tat_s * 1000)} in all`;
  return words(trip.status);
}

function card(trip) {
  const when = make('time', 'quiet', clock(departure(trip), state.asOf));
  const { pickup, delivery } = placesOf(trip);
  const route = make('span', '', `${pickup} → ${delivery}`);
  const expected = trip.eta && ` · expected ${clock(ms(trip.eta), state.asOf)}`;
  const what = make('small', '', isLate(trip) && make('em', 'badge', summary(trip)), !isLate(trip) && `${trip.plan ? '' : 'unplanned, '}${summary(trip)}`, expected);
  const made = button('card', () => openTrip(trip.trip_id), make('b', '', trip.vehicle_id), when, route, what);
  made.title = trip.trip_id;
  made.dataset.trip = trip.trip_id;
  return make('li', isLate(trip) ? 'late' : '', made);
}

function show() {
  const shown = new Map(COLUMNS.map(([name]) => [name, []]));
  for (const trip of state.trips.values()) if (matches(trip)) shown.get(columnOf(trip))?.push(trip);
  // What has the focus keeps it, though its card is made anew, and in another column.
  const focused = document.activeElement?.dataset?.trip;
  for (const [name, trips] of shown) {
    const { list, count, none } = columns.get(name);
    const order = (trip) => [isLate(trip) ? 0 : 1, (name === 'over' ? -1 : 1) * departure(trip)];
    trips.sort((a, b) => order(a)[0] - order(b)[0] || order(a)[1] - order(b)[1] || (a.trip_id < b.trip_id ? -1 : 1));
    const late = trips.filter(isLate).length;
    list.replaceChildren(...trips.map(card));
    count.textContent = late ? `${trips.length}, ${late} late` : trips.length;
    count.className = late ? 'late' : '';
    none.hidden = trips.length > 0;
  }
  if (focused != null) cards().find((element) => element.dataset.trip === focused)?.focus();
  $('empty').hidden = state.trips.size > 0 || !state.tick;
  document.body.dataset.trips = state.trips.size;
  $('as-of').textContent = state.tick ? clock(state.asOf, Date.now(), true) : '…';
  $('as-of').dateTime = new Date(state.asOf).toISOString();
  if (state.tick) document.documentElement.dataset.ready = '1';
}

const cards = (within = $('board')) => [...within.querySelectorAll('.card')];

$('board').onkeydown = (event) => {
  const from = event.target.closest?.('.card');
  if (!from) return;
  const boxes = [...columns.values()].map(({ box }) => box).filter((box) => cards(box).length);
  const at = boxes.findIndex((box) => box.contains(from));
  const row = cards(boxes[at]).indexOf(from);
  const aside = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const along = { ArrowUp: row - 1, ArrowDown: row + 1, Home: 0, End: cards(boxes[at]).length - 1 }[event.key];
  const next = aside ? cards(boxes[at + aside] ?? make('i')).slice(0, row + 1).at(-1) : cards(boxes[at])[along];
  if (!aside && along == null) return;
  next?.focus();
  event.preventDefault();
};
$('search').oninput = () => {
  state.search = $('search').value.trim().toLowerCase();
  show();
};

// ---- one trip --------------------------------------------------------------------------------------

function openTrip(id) {
  state.open = id;
  $('share-url').hidden = true;
  $('share-status').textContent = '';
  $('story').replaceChildren();
  showTrip(state.trips.get(id));
  if (!$('trip').open) $('trip').showModal();
  loadTrip();
}

/** A link such as `/trips#01/Apr/2025-T11985LA-CA60` opens that trip, where it is on the board. */
function openNamed() {
  let id;
  try {
    id = decodeURIComponent(location.hash.slice(1));
  } catch {
    // An address by hand, with a % that is meant.
    id = location.hash.slice(1);
  }
  if (id !== state.open && state.trips.has(id)) openTrip(id);
}
window.addEventListener('hashchange', openNamed);

const factsOf = (pairs) => pairs.filter(([, value]) => value != null && value !== '').flatMap(([name, value, title]) => {
  const detail = make('dd', '', String(value));
  if (title) detail.title = title;
  return [make('dt', '', name), detail];
});
const at = (text) => (text == null ? null : clock(ms(text), state.asOf));

function showTrip(trip, more = {}) {
  if (!trip) return;
  const plan = trip.plan ?? {};
  const { pickup, delivery } = placesOf(trip);
  const hand = trip.status_by === 'inferred' ? null : `set by ${trip.status_by}; by what is seen: ${words(trip.inferred_status)}`;
  const metres = trip.distance_m ?? trip.distance_so_far_m;
  const rest = Object.entries(plan).filter(([name]) => !['id', 'vehicle_id', 'pickup', 'delivery', 'scheduled_departure', 'scheduled_arrival'].includes(name));
  $('trip-name').textContent = trip.trip_id;
  $('trip-state').replaceChildren(make('b', '', `${words(trip.phase)}, ${words(trip.status)} `), isLate(trip) ? make('em', 'badge', summary(trip)) : '');
  $('trip-facts').replaceChildren(...factsOf([
    ['Truck', trip.vehicle_id], ['From', more.pickup_name ?? pickup], ['To', more.delivery_name ?? delivery],
    ['Status', hand], ['Plan', trip.plan ? null : 'none: it is made of what was seen'],
    ['To leave', at(plan.scheduled_departure), fullTime(departure(trip))], ['To be there', at(plan.scheduled_arrival)],
    ['At the pickup', at(trip.pickup_arrival)],
    ['Departed', trip.departure_unobserved ? 'nobody saw it' : at(trip.actual_departure)],
    ['Expected', trip.eta && `${at(trip.eta)} (${at(trip.eta_low)} to ${at(trip.eta_high)})`, trip.eta && fullTime(ms(trip.eta))],
    ['Arrived', at(trip.arrival)], ['Offloaded', at(trip.offload)],
    ['Turnaround', trip.tat_s == null ? null : duration(trip.tat_s * 1000)],
    ['Driven', metres == null ? null : `${(metres / 1000).toFixed(1)} km`],
    ['Last position', more.position && `${at(more.position.event_time)}, ${more.position.lat.toFixed(4)}, ${more.position.lon.toFixed(4)}`],
    ...rest.map(([name, value]) => [words(name), typeof value === 'object' ? JSON.stringify(value) : value]),
  ]));
}

async function loadTrip() {
  const id = state.open;
  if (id == null) return;
  const path = `/trips/${encodeURIComponent(id)}`;
  try {
    const [trip, tracking, story] = await Promise.all([get(path), get(`${path}/tracking`), getAll(`${path}/history?limit=1000`, 'items', 4)]);
    if (id !== state.open) return;
    showTrip(trip, tracking);
    $('story').replaceChildren(...story.items.map(storyEntry).filter(Boolean).reverse());
    $('story-empty').textContent = story.complete ? '' : 'What was said before is not kept any more.';
    $('story-empty').hidden = story.complete;
  } catch (problem) {
    if (id !== state.open) return;
    $('story-empty').textContent = `The story could not be read: ${problem.message}.`;
    $('story-empty').hidden = false;
  }
}

/** One change of a trip: what is new, and struck through what was said before and no longer holds. */
function storyEntry(event) {
  const { old, new: now } = event;
  const lines = [];
  const said = (before, after) => lines.push([before, after]);
  const changed = (name) => now && old?.[name] !== now[name];
  if (!now) said(null, 'taken back');
  if (now && !old) said(null, now.source === 'auto' ? `seen of ${now.vehicle_id}` : `planned for ${now.vehicle_id}`);
  else if (changed('vehicle_id')) said(old.vehicle_id, `now ${now.vehicle_id} drives it`);
  let isTakenBack = !now;
  for (const [name, verb] of Object.entries(TIMES)) {
    if (!changed(name) || (old == null && now[name] == null)) continue;
    const before = old?.[name] == null ? null : `${verb} ${at(old[name])}`;
    isTakenBack ||= before != null;
    said(before, now[name] == null ? `not ${verb} after all` : `${verb} ${at(now[name])}`);
  }
  if (changed('phase')) said(null, words(now.phase));
  if (changed('status') || changed('status_by')) said(null, now.status_by === 'inferred' ? words(now.status) : `${words(now.status)}, set by ${now.status_by}`);
  if (!lines.length) return null;
  const change = reasonFor(event.cause, isTakenBack);
  const what = lines.flatMap(([before, after], n) => [
    n > 0 && ', ', before && make('s', '', before), before && make('span', 'sr', ' corrected: '), before && ' ', make('span', before ? 'now' : '', after),
  ]).filter(Boolean);
  const entry = make('li', change.correction ? 'correction' : '', make('span', '', ...what), make('small', '', clock(ms(event.instant), state.asOf), ' ', badgeOf(change)));
  entry.title = `tick ${event.tick}, record ${event.seq}`;
  entry.dataset.cause = event.cause;
  return entry;
}

$('close').onclick = () => $('trip').close();
$('trip').onclose = () => {
  // The card that it was opened from may have been made anew meanwhile.
  const id = state.open;
  state.open = null;
  cards().find((element) => element.dataset.trip === id)?.focus();
};
$('share').onclick = async () => {
  const id = state.open;
  try {
    const { url } = await post(`/trips/${encodeURIComponent(id)}/tracking-link`, {});
    if (id !== state.open) return;
    const field = $('share-url');
    field.value = new URL(url, location.href).href;
    field.hidden = false;
    field.select();
    $('share-status').textContent = 'Whoever has it sees this trip for a day.';
  } catch (problem) {
    $('share-status').textContent = `No link: ${problem.message}`;
  }
};

// ---- fresh -----------------------------------------------------------------------------------------

let timer = 0;
let loading = false;

async function load() {
  clearTimeout(timer);
  if (loading) return;
  loading = true;
  let again = RELOAD_EVERY_MS;
  try {
    const now = Date.now();
    const span = `from=${new Date(now - BACK_MS).toISOString()}&to=${new Date(now + AHEAD_MS).toISOString()}`;
    const { items, as_of: asOf, tick } = await getAll(`/trips?${span}&limit=500`);
    Object.assign(state, { trips: new Map(items.map((trip) => [trip.trip_id, trip])), asOf: ms(asOf), failed: null });
    const isFirst = !state.tick;
    state.tick = tick;
    if (isFirst) {
      stream.start(`${tick}-${END_OF_TICK}`);
      openNamed();
    }
  } catch (problem) {
    state.failed = problem.message;
    again = RETRY_MS;
  }
  loading = false;
  showLink();
  show();
  timer = setTimeout(load, again);
}

function reloadSoon() {
  clearTimeout(timer);
  timer = setTimeout(load, RELOAD_AFTER_MS);
}

/** ETAs move every few minutes: they change what is shown, and nothing has to be read again. */
function takeEta({ diff, row: { trip_id: id, eta, eta_low, eta_high } }) {
  const known = state.trips.get(id);
  if (known) state.trips.set(id, { ...known, ...(diff > 0 ? { eta, eta_low, eta_high } : { eta: null, eta_low: null, eta_high: null }) });
}

function take(changes) {
  const etas = changes.filter((change) => change.table === 'etas');
  etas.forEach(takeEta);
  const ofTrips = changes.filter((change) => change.table === 'trips');
  if (!ofTrips.length && !etas.length) return;
  const rows = ofTrips.filter((change) => change.diff > 0).map((change) => change.row);
  state.asOf = Math.max(state.asOf, ms(changes[0].instant));
  // What nobody planned is not kept as a plan is: it goes when it turns out otherwise.
  const stands = new Set(rows.map((row) => row.trip_id));
  for (const { row } of ofTrips) if (!stands.has(row.trip_id)) state.trips.delete(row.trip_id);
  for (const row of rows) {
    const known = state.trips.get(row.trip_id);
    if (!known) continue;
    if (known.phase !== row.phase) $('say').textContent = `${row.vehicle_id}: ${words(row.phase)}`;
    state.trips.set(row.trip_id, { ...known, ...row });
  }
  show();
  if (!ofTrips.length) return;
  if (ofTrips.some(({ row }) => row.trip_id === state.open)) loadTrip();
  reloadSoon();
}

function showLink() {
  const isLive = state.failed == null && state.stream === 'open';
  $('link').dataset.state = isLive ? 'live' : state.tick ? 'reconnecting' : 'connecting';
  $('link-text').textContent = $('link').dataset.state;
  $('notice').hidden = state.failed == null;
  const kept = state.tick ? `Showing ${counted(state.trips.size, 'trip')} as of ${clock(state.asOf, Date.now(), true)}.` : '';
  const text = `The trips can’t be read: ${state.failed}. ${kept} Trying again by itself.`;
  // Written only when it is another text: it is read aloud.
  if (state.failed != null && $('notice').textContent !== text) $('notice').textContent = text;
}

const stream = new ChangeStream('/api/v1/changes?tables=trips,etas', {
  tick: take,
  reached() {},
  state(name) {
    state.stream = name;
    showLink();
  },
  gone() {
    state.tick = 0;
    load();
  },
});
document.addEventListener('visibilitychange', () => !document.hidden && load());
document.addEventListener('keydown', (event) => {
  if (event.key !== '/' || event.target === $('search') || $('trip').open) return;
  $('search').focus();
  event.preventDefault();
});
load();
