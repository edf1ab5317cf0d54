// The page of a tracking link: one trip, for whoever waits for it. Its token is the last part of the path.

import { $, clock, duration, make, ms } from './text.js';

const EVERY_MS = 15_000;
const LIMIT_MS = 15_000;
const [WIDTH, HEIGHT, MARGIN] = [320, 240, 18];

const PHASES = {
  planned: 'Not on its way yet', at_pickup: 'Being loaded', in_transit: 'On its way', at_delivery: 'Arrived, being unloaded',
  done: 'Delivered', cancelled: 'Cancelled', failed: 'Not delivered',
};
const STATUSES = { completed: 'Delivered', cancelled: 'Cancelled', failed: 'Not delivered' };

function say(text, isLate = false) {
  const status = $('status');
  if (status.textContent !== text) status.textContent = text;
  status.className = isLate ? 'late' : '';
}

function show(trip) {
  const asOf = ms(trip.as_of);
  const at = (text) => (text == null ? null : clock(ms(text), asOf));
  const isOver = trip.status in STATUSES;
  const isLate = !isOver && (trip.status === 'delayed' || trip.inferred_status === 'delayed');
  $('trip').textContent = trip.trip_id;
  say(`${STATUSES[trip.status] ?? PHASES[trip.phase] ?? trip.phase}${isLate ? ', late' : ''}`, isLate);
  const [from, to] = [trip.pickup_name, trip.delivery_name];
  const route = from && to ? `${from} → ${to}` : from ? `From ${from}` : to ? `To ${to}` : '';
  $('route').textContent = route;
  $('route').hidden = !route;
  const facts = [
    ['To leave', at(trip.scheduled_departure)], ['To be there', at(trip.scheduled_arrival)], ['Departed', at(trip.actual_departure)],
    ['Arrived', at(trip.arrival)], ['Unloaded', at(trip.offload)],
  ].filter(([, value]) => value != null);
  $('times').replaceChildren(...facts.flatMap(([name, value]) => [make('dt', '', name), make('dd', '', value)]));
  showTrack(trip.track);
  const { position } = trip;
  $('position').hidden = position == null;
  if (position) {
    const speed = position.speed_kmh == null ? '' : `, ${Math.round(position.speed_kmh)} km/h`;
    $('position').textContent = `Seen ${duration(asOf - ms(position.event_time))} ago at ${position.lat.toFixed(4)}, ${position.lon.toFixed(4)}${speed}`;
  }
  $('fresh').textContent = `As of ${clock(asOf, Date.now(), true)}. This link is good until ${clock(ms(trip.expires_at), asOf)}.`;
}

/** Draws the way so far, as large as it fits: north is up. */
function showTrack(track) {
  // An SVG has the attribute, and no property of that name.
  $('track').toggleAttribute('hidden', track.length < 2);
  if (track.length < 2) return;
  const origin = track[0];
  const shrink = Math.cos((origin.lat * Math.PI) / 180);
  const points = track.map(({ lon, lat }) => [(((lon - origin.lon + 540) % 360) - 180) * shrink, -lat]);
  const bounds = [0, 1].map((axis) => [Math.min(...points.map((p) => p[axis])), Math.max(...points.map((p) => p[axis]))]);
  const [wide, high] = bounds.map(([from, to]) => Math.max(to - from, 1e-6));
  const scale = Math.min((WIDTH - 2 * MARGIN) / wide, (HEIGHT - 2 * MARGIN) / high);
  const place = (p) => [0, 1].map((axis) => (axis ? HEIGHT : WIDTH) / 2 + (p[axis] - (bounds[axis][0] + bounds[axis][1]) / 2) * scale);
  const drawn = points.map(place);
  $('way').setAttribute('points', drawn.map((p) => p.map((n) => n.toFixed(1)).join(',')).join(' '));
  for (const [id, [x, y]] of [['begin', drawn[0]], ['here', drawn.at(-1)]]) {
    $(id).setAttribute('cx', x.toFixed(1));
    $(id).setAttribute('cy', y.toFixed(1));
  }
}

async function load() {
  const token = location.pathname.split('/').pop();
  try {
    const answer = await fetch(`/api/v1/track/${token}`, { cache: 'no-store', signal: AbortSignal.timeout(LIMIT_MS) });
    if (answer.ok) {
      show(await answer.json());
      document.documentElement.dataset.ready = '1';
    } else if (answer.status === 404 || answer.status === 410) {
      for (const id of ['route', 'track', 'position']) $(id).toggleAttribute('hidden', true);
      $('times').replaceChildren();
      $('fresh').textContent = '';
      say(answer.status === 410 ? 'This link has expired. Ask who gave it for another one.' : 'This is no link of ours. Check that all of it was copied.');
      document.documentElement.dataset.ready = '1';
      return;
    } else {
      $('fresh').textContent = 'Can’t be asked just now; trying again by itself.';
    }
  } catch {
    $('fresh').textContent = 'Can’t be asked just now; trying again by itself.';
  }
  setTimeout(load, EVERY_MS);
}
load();
