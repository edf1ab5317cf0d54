// The shape of a fence while it is edited: its points are moved, added and removed, the rest of the feature
// stays as it is. Points are kept in degrees as they came, so that what is not touched does not change.

import { latOf, metre, prepareFence, worldLine, worldX, worldY } from './shapes.js';

const LEAST_POINTS = { polygon: 3, line: 2 };
const LEAST_RADIUS_M = 1;
const MAX_LATITUDE = 85;

const round = (value, digits) => Math.round(value * 10 ** digits) / 10 ** digits;
const isSame = (a, b) => a[0] === b[0] && a[1] === b[1];
/** The first point comes once more at the end of a ring in GeoJSON, and once only here. */
const opened = (ring) => (ring.length > 1 && isSame(ring[0], ring.at(-1)) ? ring.slice(0, -1) : [...ring]);

/** A world position as degrees, in the steps that the service keeps. */
const degrees = (x, y) => {
  const lat = Math.max(-MAX_LATITUDE, Math.min(MAX_LATITUDE, latOf(y)));
  return [round((x - Math.floor(x)) * 360 - 180, 7), round(lat, 7)];
};

export class Outline {
  constructor(feature) {
    this.feature = feature;
    const { type, coordinates } = feature.geometry;
    this.kind = { Point: 'circle', LineString: 'line' }[type] ?? 'polygon';
    this.radius = feature.properties?.radius_m;
    // How many rings each part has, to put them together again.
    const parts = { Point: [[[coordinates]]], LineString: [[coordinates]], Polygon: [coordinates] }[type] ?? coordinates;
    this.parts = parts.map((rings) => rings.length);
    this.rings = parts.flat().map((ring) => (this.kind === 'polygon' ? opened(ring) : [...ring]));
    this.past = [];
    this.place();
  }

  /** World positions of all points, unwrapped along each ring. */
  place() {
    this.world = this.rings.map(worldLine);
    const [lon, lat] = this.rings[0][0];
    const unit = metre(lat);
    this.ends = this.kind === 'circle' ? [[worldX(lon), worldY(lat)], [worldX(lon) + unit.x * this.radius, worldY(lat)]] : null;
  }

  get isChanged() {
    return this.past.length > 0;
  }

  /** Remembers how the shape is, for `undo`; called before what counts as one edit. */
  remember() {
    this.past.push({ rings: this.rings.map((ring) => [...ring]), radius: this.radius });
    if (this.past.length > 100) this.past.splice(1, 1);
  }

  undo() {
    Object.assign(this, this.past.pop() ?? {});
    this.place();
  }

  /** Takes another state of the same fence as what the edited shape replaces. */
  rebase(feature) {
    this.feature = feature;
  }

  /** Moves a point to a world position. The second point of a circle gives its radius. */
  move({ ring, index }, x, y) {
    if (this.kind === 'circle' && index === 1) {
      const unit = metre(this.rings[0][0][1]);
      const [[cx, cy]] = this.ends;
      this.radius = Math.max(LEAST_RADIUS_M, round(Math.hypot((x - cx) / unit.x, (y - cy) / unit.y), 1));
    } else {
      this.rings[ring][index] = degrees(x, y);
    }
    this.place();
  }

  /** Adds a point in the middle of the edge that begins at a point, and gives the new one's place. */
  add({ ring, index }) {
    const [x, y] = this.middle({ ring, index });
    this.rings[ring].splice(index + 1, 0, degrees(x, y));
    this.place();
    return { ring, index: index + 1 };
  }

  hasEdge({ ring, index }) {
    return this.kind === 'polygon' || (this.kind === 'line' && index + 1 < this.rings[ring].length);
  }

  middle({ ring, index }) {
    const points = this.world[ring];
    const [[x0, y0], [x1, y1]] = [points[index], points[(index + 1) % points.length]];
    const across = x1 - x0 - Math.round(x1 - x0);
    return [x0 + across / 2, (y0 + y1) / 2];
  }

  /** Whether the shape is still one without a point of this ring. */
  canRemove({ ring }) {
    return this.kind !== 'circle' && this.rings[ring].length > LEAST_POINTS[this.kind];
  }

  remove({ ring, index }) {
    this.rings[ring].splice(index, 1);
    this.place();
    return { ring, index: Math.min(index, this.rings[ring].length - 1) };
  }

  /** The points of a ring that can be moved, as world positions. */
  points(ring) {
    return this.ends ?? this.world[ring];
  }

  at({ ring, index }) {
    return this.points(ring)[index];
  }

  get count() {
    return this.ends ? 2 : this.world.reduce((sum, ring) => sum + ring.length, 0);
  }

  /** The point that comes `by` places after another one, round all rings. */
  after({ ring, index }, by) {
    let [r, i] = [ring, index + by];
    while (i < 0) i += this.points((r = (r + this.rings.length - 1) % this.rings.length)).length;
    while (i >= this.points(r).length) [i, r] = [i - this.points(r).length, (r + 1) % this.rings.length];
    return { ring: r, index: i };
  }

  /** What a point is called, for people who hear the page. */
  name({ ring, index }) {
    if (this.kind === 'circle') return index ? `radius, ${this.radius} m` : `centre, ${this.rings[0][0].slice(0, 2).join(', ')}`;
    const of = this.rings.length > 1 ? ` of ring ${ring + 1}` : '';
    return `point ${index + 1} of ${this.rings[ring].length}${of}, ${this.rings[ring][index].slice(0, 2).join(', ')}`;
  }

  /** The feature with this shape; everything else in it as it was. */
  toFeature() {
    const { properties, geometry } = this.feature;
    if (this.kind === 'circle') {
      return { ...this.feature, properties: { ...properties, radius_m: this.radius }, geometry: { type: 'Point', coordinates: this.rings[0][0] } };
    }
    if (this.kind === 'line') return { ...this.feature, geometry: { type: 'LineString', coordinates: this.rings[0] } };
    let next = 0;
    const parts = this.parts.map((count) => this.rings.slice(next, (next += count)).map((ring) => [...ring, ring[0]]));
    const type = parts.length > 1 || geometry.type === 'MultiPolygon' ? 'MultiPolygon' : 'Polygon';
    return { ...this.feature, geometry: { type, coordinates: type === 'Polygon' ? parts[0] : parts } };
  }

  /** The shape as something to draw. */
  prepared() {
    return prepareFence(this.toFeature());
  }
}
