// What is shown of one truck, and of one place.

import { getAll } from './net.js';
import { $, button, clock, counted, duration, fullTime, make, ms } from './text.js';
import { VisitList } from './visits.js';

const TRACK_BACK_MS = 12 * 3_600_000;
const TRUCK_VISITS_BACK_MS = 14 * 86_400_000;
const FENCE_VISITS_BACK_MS = 86_400_000;

function showFacts(list, facts) {
  list.replaceChildren(...facts.flatMap(([name, value, title]) => {
    const detail = make('dd', '', value);
    if (title) detail.title = title;
    return [make('dt', '', name), detail];
  }));
}

export class TruckPanel {
  /** `on` has today(), truck(id), summary(truck), placeName(id), choosePlace(id), changes and setTrack(positions). */
  constructor(on) {
    this.on = on;
    this.id = null;
    this.visits = new VisitList({
      list: $('visits'), empty: $('visits-empty'), field: 'vehicle_id', backMs: TRUCK_VISITS_BACK_MS, most: 60,
      changes: on.changes, today: on.today, nameOf: (v) => on.placeName(v.fence_id), choose: (v) => on.choosePlace(v.fence_id),
      nothing: 'No visit in the last 14 days. A stay becomes a visit after 5 minutes, unless set otherwise.',
    });
  }

  show(id) {
    const isOther = id !== this.id;
    this.id = id;
    $('truck').hidden = id == null;
    if (!isOther) return;
    this.visits.show(id);
    if (id == null) return;
    this.update();
    this.loadTrack();
  }

  update() {
    if (this.id == null) return;
    const { on } = this;
    const truck = on.truck(this.id);
    const ago = (millis) => duration(on.today() - millis);
    $('truck-name').textContent = this.id;
    $('truck-state').replaceChildren(...(truck ? [make('i', `sign ${truck.state}`), ` ${on.summary(truck)}`] : ['no position is known of this truck']));
    showFacts($('truck-facts'), truck ? [
      ['Last position', `${clock(truck.last, on.today(), true)}, ${ago(truck.last)} ago`, fullTime(truck.last)],
      ['Speed', truck.speed_kmh == null ? 'unknown' : `${Math.round(truck.speed_kmh)} km/h`],
      ['Now in', truck.since.map((f) => `${on.placeName(f.fence_id)}, for ${ago(ms(f.entered))}`).join('; ') || 'no known place'],
      ['Where', `${truck.lat.toFixed(5)}, ${truck.lon.toFixed(5)}`],
      ['Line on the map', 'its last 12 hours'],
    ] : []);
    this.visits.tick();
  }

  async loadTrack() {
    const { id, on } = this;
    if (id == null) return;
    try {
      const since = new Date((on.truck(id)?.last ?? on.today()) - TRACK_BACK_MS).toISOString();
      const { items } = await getAll(`/trucks/${encodeURIComponent(id)}/track?from=${since}`);
      if (id === this.id) on.setTrack(items.filter((fix) => fix.flag == null).map((fix) => [fix.lon, fix.lat]));
    } catch (problem) {
      console.info('track:', problem.message);
    }
  }
}

/** What kind of shape a fence has, and how large it is. */
function shapeWords({ geometry, properties }) {
  const points = (rings) => rings.flat().length - rings.length;
  switch (geometry?.type) {
    case 'Point': return `circle, radius ${properties.radius_m} m`;
    case 'LineString': return `corridor, ${counted(geometry.coordinates.length, 'point')}, ${properties.width_m} m wide`;
    case 'Polygon': return `area, ${counted(points(geometry.coordinates), 'corner')}`;
    default: return `${counted(geometry?.coordinates.length, 'area')}, ${counted(points((geometry?.coordinates ?? []).flat()), 'corner')}`;
  }
}

export class FencePanel {
  /** `on` has today(), fence(id), trucksIn(id), chooseTruck(id), changes and edit(id). */
  constructor(on) {
    this.on = on;
    this.id = null;
    this.visits = new VisitList({
      list: $('fence-visits'), empty: $('fence-visits-empty'), field: 'fence_id', backMs: FENCE_VISITS_BACK_MS, most: 200,
      changes: on.changes, today: on.today, nameOf: (v) => v.vehicle_id, choose: (v) => on.chooseTruck(v.vehicle_id),
      nothing: 'No visit in the last 24 hours.',
    });
    $('fence-edit').onclick = () => on.edit(this.id);
  }

  show(id) {
    const isOther = id !== this.id;
    this.id = id;
    $('fence').hidden = id == null;
    if (!isOther) return;
    this.visits.show(id);
    this.update();
  }

  update() {
    if (this.id == null) return;
    const { on } = this;
    const fence = on.fence(this.id);
    $('fence-name').textContent = fence?.name ?? this.id;
    $('fence-edit').hidden = !fence;
    const trucks = on.trucksIn(this.id);
    const inside = make('span', 'names', ...trucks.slice(0, 30).map((id) => button('name', () => on.chooseTruck(id), id)));
    const properties = fence?.feature.properties ?? {};
    const setting = (name, label, unit) => (properties[name] == null ? [] : [[label, `${properties[name]} ${unit}`]]);
    const shown = fence ? [
      ['Shape', shapeWords(fence.feature)],
      ['In it now', trucks.length ? inside : 'no truck'],
      ...(properties.valid_from ? [['So since', clock(ms(properties.valid_from), on.today()), fullTime(ms(properties.valid_from))]] : []),
      ...setting('min_dwell_s', 'A visit after', 's'), ...setting('max_absence_s', 'Absence up to', 's'),
      ...setting('exit_buffer_m', 'Exit buffer', 'm'),
      ['Id', this.id],
    ] : [['State', 'not there any more']];
    // Trucks are polled: what has the focus stays where it is while nothing has changed.
    const text = JSON.stringify([shown.map(([name, value]) => [name, value.textContent ?? value]), trucks]);
    if (this.shown !== text) showFacts($('fence-facts'), shown);
    this.shown = text;
    this.visits.tick();
  }
}
