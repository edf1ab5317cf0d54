// The inbox at `/alerts`: what nobody cares for yet comes first, the worst before all.

import { LivePage, choice } from './live.js';
import { getAll, post } from './net.js';
import { $, button, clock, counted, duration, fullTime, make, ms } from './text.js';

const DAY_MS = 86_400_000;
/** What was acknowledged or resolved is shown as long as it did not end longer ago. */
const BACK_MS = 7 * DAY_MS;

const KINDS = {
  device_offline: 'No position', geofence_entry: 'Entered a place', geofence_exit: 'Left a place',
  harsh_acceleration: 'Harsh acceleration', harsh_braking: 'Harsh braking', idle: 'Engine idles',
  overspeed: 'Too fast', route_deviation: 'Off its route', trip_delay: 'Trip is late', crash: 'Crash',
  sos: 'SOS', device_removed: 'Device removed', fuel_theft: 'Fuel theft', anti_theft: 'Theft alarm',
  low_battery: 'Battery low', provider_overspeed: 'Too fast, says the provider',
  provider_idle: 'Engine idles, says the provider',
};
const RANK = { critical: 0, warning: 1, info: 2 };
const STATES = [['open', 'Open'], ['acknowledged', 'Acknowledged'], ['resolved', 'Resolved']];
const NAME_KEY = 'watchtower.by';

const state = { alerts: [], shown: 'open', search: '', minTick: 0, sending: new Set(), asOf: Date.now() };

/** A kind that has no words here is said by its name. */
function kindWords(alert) {
  const name = alert.kind.replaceAll('_', ' ');
  return KINDS[alert.kind] ?? name.charAt(0).toUpperCase() + name.slice(1);
}

/** What is particular to it. */
function detailWords({ details }) {
  if (details.max_speed_kmh != null) return `${details.max_speed_kmh} km/h where ${details.limit_kmh} are allowed`;
  if (details.from_kmh != null) return `from ${details.from_kmh} to ${details.to_kmh} km/h`;
  if (details.of != null) return `its ${details.of} is overdue`;
  return '';
}

function since(alert) {
  const [started, ended] = [ms(alert.started), ms(alert.ended)];
  const begin = clock(started, state.asOf);
  if (ended == null) return `since ${begin}, for ${duration(state.asOf - started)}`;
  return ended > started ? `${begin}, for ${duration(ended - started)}` : `at ${begin}`;
}

function matches(alert) {
  const texts = [alert.vehicle_id, alert.kind, kindWords(alert), alert.fence_id, alert.trip_id];
  return !state.search || texts.some((text) => String(text ?? '').toLowerCase().includes(state.search));
}

const order = (a, b) => RANK[a.severity] - RANK[b.severity] || ms(b.due_at) - ms(a.due_at) || (a.alert_id < b.alert_id ? -1 : 1);

function item(alert) {
  const mark = (verb, words) => {
    const made = button('', () => send(alert, verb), words);
    made.disabled = state.sending.has(alert.alert_id);
    made.dataset.act = verb;
    return made;
  };
  const heading = make('h2', '', make('span', 'severity', alert.severity), kindWords(alert), alert.late && make('em', 'badge late', 'learned late'));
  const trip = alert.trip_id && make('a', '', alert.trip_id);
  if (trip) trip.href = `/trips#${encodeURIComponent(alert.trip_id)}`;
  const where = make('p', '', make('b', '', alert.vehicle_id), alert.fence_id && ` at ${alert.fence_id}`, trip && ', trip ', trip);
  const what = make('p', '', since(alert), detailWords(alert) && `; ${detailWords(alert)}`);
  const said = alert.resolved ? ['resolved', alert.resolved] : alert.acknowledged ? ['acknowledged', alert.acknowledged] : null;
  if (said) what.append(`; ${said[0]} by ${said[1].by} ${clock(ms(said[1].at), state.asOf)}`);
  const acts = make('div', 'acts', alert.state === 'open' && mark('acknowledge', 'Acknowledge'), alert.state !== 'resolved' && mark('resolve', 'Resolve'));
  const made = make('li', `alert ${alert.severity} ${alert.state}`, heading, where, what, alert.state !== 'resolved' && acts);
  made.tabIndex = 0;
  made.title = `Due ${fullTime(ms(alert.due_at))}, learned ${fullTime(ms(alert.learned_at))}`;
  made.dataset.alert = alert.alert_id;
  return made;
}

const items = () => [...$('list').children];

function show(asOf = state.asOf) {
  state.asOf = asOf;
  const found = state.alerts.filter(matches);
  for (const [name] of STATES) count(name, found.filter((alert) => alert.state === name).length);
  const shown = found.filter((alert) => alert.state === state.shown).sort(order);
  // What has the focus keeps it, though it is made anew; what went gives it to what stands in its place.
  const focused = document.activeElement?.closest?.('.alert');
  const [id, at, act] = [focused?.dataset.alert, items().indexOf(focused), document.activeElement?.dataset?.act];
  $('list').replaceChildren(...shown.map(item));
  if (focused) {
    const same = items().find((element) => element.dataset.alert === id);
    const next = same ?? items()[Math.min(at, items().length - 1)];
    ((same && act && same.querySelector(`[data-act=${act}]`)) || next)?.focus();
  }
  document.body.dataset.alerts = shown.length;
  $('empty').hidden = shown.length > 0 || !live.tick;
  $('empty').textContent = state.search ? 'No alert matches. Clear the search.' : `There is no alert that is ${state.shown}.`;
}

const count = choice($('states'), STATES, state.shown, (value) => {
  state.shown = value;
  show();
});

async function send(alert, verb) {
  const by = $('by').value.trim();
  if (!by) return refuse('Say who you are first: it is kept with what you do.', $('by'));
  try {
    localStorage.setItem(NAME_KEY, by);
  } catch {
    // Without storage the name is asked for each time.
  }
  state.sending.add(alert.alert_id);
  show();
  try {
    const { tick } = await post(`/alerts/${alert.alert_id}/${verb}`, { by });
    state.minTick = Math.max(state.minTick, tick);
    $('refused').hidden = true;
    $('say').textContent = `${kindWords(alert)}, ${alert.vehicle_id}: ${verb}d`;
  } catch (problem) {
    refuse(`${alert.vehicle_id}: ${problem.message}`);
  }
  state.sending.delete(alert.alert_id);
  live.load();
}

function refuse(text, field) {
  $('refused').textContent = text;
  $('refused').hidden = false;
  field?.focus();
}

const live = new LivePage({
  tables: 'alerts',
  reloadMs: 500,
  async load() {
    const minTick = state.minTick ? `&min_tick=${state.minTick}` : '';
    const from = new Date((live.tick ? state.asOf : Date.now()) - BACK_MS).toISOString();
    const path = (name) => `/alerts?state=${name}&limit=1000${name === 'open' ? '' : `&from=${from}`}${minTick}`;
    const lists = await Promise.all(STATES.map(([name]) => getAll(path(name), 'items', 5)));
    // One that was marked between the answers is in two of them: the later tick says what it is.
    const found = new Map();
    for (const list of lists.sort((a, b) => a.tick - b.tick)) for (const alert of list.items) found.set(alert.alert_id, alert);
    state.alerts = [...found.values()];
    return lists.reduce((a, b) => (a.tick < b.tick ? a : b));
  },
  show,
  changed(changes) {
    const came = changes.filter((change) => change.diff > 0 && change.row.ended == null);
    const gone = new Set(changes.filter((change) => change.diff < 0).map((change) => change.row.alert_id));
    const fresh = came.map((change) => change.row).filter((row) => !gone.has(row.alert_id));
    if (fresh.length === 1) $('say').textContent = `${kindWords(fresh[0])}, ${fresh[0].vehicle_id}`;
    else if (fresh.length) $('say').textContent = `${counted(fresh.length, 'new alert')}`;
  },
});

$('inbox').onkeydown = (event) => {
  const from = event.target.closest?.('.alert');
  if (!from || event.ctrlKey || event.metaKey || event.altKey) return;
  const at = items().indexOf(from);
  const to = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: items().length - 1 }[event.key];
  const act = { a: 'acknowledge', r: 'resolve' }[event.key];
  if (to == null && !act) return;
  if (act) from.querySelector(`[data-act=${act}]`)?.click();
  else items()[to]?.focus();
  event.preventDefault();
};
$('search').oninput = () => {
  state.search = $('search').value.trim().toLowerCase();
  show();
};
document.addEventListener('keydown', (event) => {
  if (event.key !== '/' || event.target.closest?.('input')) return;
  $('search').focus();
  event.preventDefault();
});
try {
  $('by').value = localStorage.getItem(NAME_KEY) ?? '';
} catch {
  // Without storage it stays empty.
}
live.load();
