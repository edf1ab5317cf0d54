// The figures at `/kpis`: each with what it was, how it was a week before, and whether it was corrected.

import { LivePage, choice } from './live.js';
import { getAll } from './net.js';
import { $, clock, duration, fullTime, make, ms } from './text.js';

const DAY_MS = 86_400_000;
const SPANS = [['day', 'Today'], ['24h', '24 hours'], ['7d', '7 days'], ['week', 'This week'], ['1h', 'Last hour']];
/** How far back curves go; those of other spans go as far as the service holds them. */
const BACK_MS = { day: 31 * DAY_MS, week: 27 * 7 * DAY_MS };
const SVG = 'http://www.w3.org/2000/svg';

const GROUPS = [
  ['Trips', ['trips_started', 'trips_completed', 'trips_delayed', 'trips_failed', 'trips_cancelled', 'on_time_departure_bp', 'on_time_arrival_bp', 'tat_mean_s', 'tat_p50_s', 'tat_p90_s']],
  ['Places', ['visits', 'dwell_mean_s', 'dwell_p90_s', 'trucks_at']],
  ['Trucks', ['distance_m', 'utilization_bp', 'moving_s', 'idle_s', 'stopped_s', 'offline_s', 'freshness_p50_s', 'freshness_p99_s']],
];
const WORDS = {
  trips_started: 'Trips started', trips_completed: 'Trips completed', trips_delayed: 'Trips delayed', trips_failed: 'Trips failed',
  trips_cancelled: 'Trips cancelled', on_time_departure_bp: 'Departures on time', on_time_arrival_bp: 'Arrivals on time',
  tat_mean_s: 'Turnaround, mean', tat_p50_s: 'Turnaround, median', tat_p90_s: 'Turnaround, 9 of 10 within', visits: 'Visits',
  dwell_mean_s: 'Dwell, mean', dwell_p90_s: 'Dwell, 9 of 10 within', trucks_at: 'Trucks there now', distance_m: 'Driven',
  utilization_bp: 'Time on trips', moving_s: 'Moving', idle_s: 'Idling', stopped_s: 'Stopped', offline_s: 'Without positions',
  freshness_p50_s: 'Age of positions, median', freshness_p99_s: 'Age of positions, 99 of 100 within',
};
const WITHIN = { alerts: 'Alerts', trucks: 'Trucks' };

const state = { span: 'day', slice: 'fleet all', figures: [], present: [], history: new Map(), slices: '' };

/** `alerts:harsh_braking` is `Alerts: harsh braking`. */
function metricWords(metric) {
  const [head, tail] = metric.split(':');
  return WORDS[metric] ?? (tail == null ? metric : `${WITHIN[head] ?? head}: ${tail}`).replaceAll('_', ' ');
}

const number = new Intl.NumberFormat('en-GB', { maximumFractionDigits: 1 });

/** A value with its unit, which its name ends with. */
function valueWords(metric, value) {
  if (metric.endsWith('_s')) return duration(value * 1000);
  if (metric.endsWith('_m')) return `${number.format(value / 1000)}\u00a0km`;
  if (metric.endsWith('_bp')) return `${number.format(value / 100)}\u00a0%`;
  return number.format(value);
}

function changeWords({ metric, span, week_before: before }) {
  if (!before) return '';
  const than = span === 'week' ? 'than last week' : span === 'day' ? 'than that day last week' : 'than the week before';
  if (before.change === 0) return `as much as ${than.replace('than ', '')}`;
  const sign = before.change > 0 ? 'more' : 'less';
  // Shares are compared by their difference, in points.
  if (metric.endsWith('_bp')) {
    const points = Math.abs(before.change) / 100;
    return `${number.format(points)} ${points === 1 ? 'point' : 'points'} ${sign} ${than}`;
  }
  const by = before.change_bp == null ? valueWords(metric, Math.abs(before.change)) : `${number.format(Math.abs(before.change_bp) / 100)} %`;
  return `${by} ${sign} ${than}`;
}

/** A curve of values over time; what was corrected is dotted. */
function spark(figure, points) {
  if (points.length < 2) return null;
  const at = (point) => ms(figure.start == null ? point.shown_at : point.start);
  const [first, last] = [at(points[0]), at(points.at(-1))];
  const values = points.map((point) => point.value);
  const [low, high] = [Math.min(...values, 0), Math.max(...values)];
  const x = (point) => (100 * (at(point) - first)) / Math.max(1, last - first);
  const y = (point) => 34 - (30 * (point.value - low)) / Math.max(1, high - low);
  const place = (point) => `${x(point).toFixed(2)} ${y(point).toFixed(2)}`;
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('class', 'spark');
  svg.setAttribute('viewBox', '0 0 100 38');
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('role', 'img');
  const words = (point) => valueWords(figure.metric, point.value);
  svg.setAttribute('aria-label', `${points.length} values, from ${words(points[0])} to ${words(points.at(-1))}`);
  const draw = (name, d) => {
    const path = document.createElementNS(SVG, 'path');
    if (name) path.setAttribute('class', name);
    path.setAttribute('d', d);
    svg.append(path);
  };
  draw('', `M${points.map(place).join('L')}`);
  // Lines without a length: their round ends keep their shape, however the picture is stretched.
  for (const point of points.filter((p) => p.corrected)) draw('fixed', `M${place(point)}h0`);
  draw('last', `M${place(points.at(-1))}h0`);
  return svg;
}

function tile(figure) {
  const points = state.history.get(figure.metric) ?? [];
  const was = figure.corrected && `corrected, was ${valueWords(figure.metric, figure.corrected.was)}`;
  const earlier = points.filter((point) => point.corrected && point.start !== figure.start);
  const note = was ?? (earlier.length ? `${earlier.length} earlier corrected` : null);
  const made = make(
    'li', `tile${figure.corrected ? ' corrected' : ''}`, make('h3', '', metricWords(figure.metric)),
    make('b', '', valueWords(figure.metric, figure.value)), spark(figure, points), make('small', '', changeWords(figure)),
    note && make('em', was ? 'badge' : 'badge late', note),
  );
  made.dataset.metric = figure.metric;
  const told = earlier.map((p) => `${clock(ms(p.start), 0)}: was ${valueWords(p.metric, p.corrected.was)}, is ${valueWords(p.metric, p.value)}`);
  made.title = [figure.start ? `From ${fullTime(ms(figure.start))}` : 'Now', figure.final ? 'final' : 'may still change', ...told].join('\n');
  return made;
}

function show() {
  const left = new Map([...state.present, ...state.figures].map((figure) => [figure.metric, figure]));
  const take = (metrics) => metrics.flatMap((metric) => {
    const figure = left.get(metric);
    left.delete(metric);
    return figure ?? [];
  });
  const named = (head) => [...left.keys()].filter((metric) => metric.startsWith(`${head}:`)).sort();
  const groups = [['Now', take(named('trucks'))], ...GROUPS.map(([name, metrics]) => [name, take(metrics)]), ['Alerts', take(named('alerts'))]];
  groups.push(['More', [...left.values()]]);
  const sections = groups.filter(([, figures]) => figures.length).map(([name, figures]) => make('section', '', make('h2', '', name), make('ul', 'tiles', ...figures.map(tile))));
  $('figures').replaceChildren(...sections);
  document.body.dataset.figures = $('figures').querySelectorAll('.tile').length;
  $('empty').hidden = sections.length > 0 || !live.tick;
  $('empty').textContent = 'There is nothing to count here yet.';
}

/** Offers the slices that there are figures of. */
function offerSlices(figures) {
  const found = new Set(['fleet all', state.slice, ...figures.map((figure) => `${figure.slice} ${figure.slice_id}`)]);
  const all = [...found].sort((a, b) => (a === 'fleet all' ? -1 : b === 'fleet all' ? 1 : a < b ? -1 : 1));
  if (all.join('\n') === state.slices) return;
  state.slices = all.join('\n');
  const options = all.map((value) => {
    const made = make('option', '', value === 'fleet all' ? 'the whole fleet' : value);
    made.value = value;
    return made;
  });
  $('slice').replaceChildren(...options);
  $('slice').value = state.slice;
}

function byMetric(points) {
  const found = new Map();
  for (const point of points) {
    if (!found.has(point.metric)) found.set(point.metric, []);
    found.get(point.metric).push(point);
  }
  return found;
}

const live = new LivePage({
  tables: 'kpis',
  reloadMs: 4000,
  async load() {
    const { span, slice } = state;
    const blank = slice.indexOf(' ');
    const of = `slice=${slice.slice(0, blank)}&slice_id=${encodeURIComponent(slice.slice(blank + 1))}&limit=1000`;
    const [figures, present, slices] = await Promise.all([
      getAll(`/kpis?span=${span}&${of}`), getAll(`/kpis?span=now&${of}`), getAll('/kpis?span=day&limit=1000'),
    ]);
    // Back from the service's time, which is not that of the browser where old records are looked at.
    const from = BACK_MS[span] ? `&from=${new Date(ms(figures.as_of) - BACK_MS[span]).toISOString()}` : '';
    const history = await getAll(`/kpis/history?span=${span}&${of}${from}`);
    // What was asked for before another choice is not shown any more.
    if (span === state.span && slice === state.slice) {
      Object.assign(state, { figures: figures.items, present: present.items, history: byMetric(history.items) });
    }
    offerSlices(slices.items);
    return figures;
  },
  show,
});

choice($('spans'), SPANS, state.span, (value) => {
  state.span = value;
  live.load();
});
$('slice').onchange = () => {
  state.slice = $('slice').value;
  live.load();
};
live.load();
