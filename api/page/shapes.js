// Places on the map. World positions are Web Mercator, 0..1 in both axes, y to the south.

import { COAST } from './coast.js';

const WGS84_A = 6_378_137;
const WGS84_E2 = 0.00669437999014;
const RADIANS = Math.PI / 180;

export const worldX = (lon) => (lon + 180) / 360;
export const worldY = (lat) => {
  const sin = Math.sin(Math.max(-85, Math.min(85, lat)) * RADIANS);
  return 0.5 - Math.log((1 + sin) / (1 - sin)) / (4 * Math.PI);
};
export const latOf = (y) => Math.atan(Math.sinh(Math.PI * (1 - 2 * y))) / RADIANS;

/** World units of one metre to the east and to the north at a latitude, on the ellipsoid. */
export function metre(lat) {
  const curve = 1 - WGS84_E2 * Math.sin(lat * RADIANS) ** 2;
  const unit = Math.sqrt(curve) / (2 * Math.PI * Math.cos(lat * RADIANS) * WGS84_A);
  return { x: unit, y: (unit * curve) / (1 - WGS84_E2) };
}

/** Positions in degrees as world positions, the short way round from each to the next. */
export function worldLine(positions) {
  let last = null;
  return positions.map(([lon, lat]) => {
    const x = worldX(lon);
    last = last == null ? x : x - Math.round(x - last);
    return [last, worldY(lat)];
  });
}

/** A GeoJSON feature as something to draw, or null where there is nothing in it to draw. */
export function prepareFence({ id, properties, geometry }) {
  const name = String(properties?.name ?? id ?? '');
  const places = geometry?.coordinates;
  let rings;
  let pad = { x: 0, y: 0 };
  const around = (lat, metres) => {
    const unit = metre(lat);
    pad = { x: unit.x * metres, y: unit.y * metres };
  };
  switch (geometry?.type) {
    case 'Point':
      around(places[1], properties.radius_m);
      rings = [worldLine([places])];
      break;
    case 'LineString':
      around(places[places.length >> 1][1], properties.width_m / 2);
      rings = [worldLine(places)];
      break;
    case 'Polygon':
      rings = places.map(worldLine);
      break;
    case 'MultiPolygon':
      rings = places.flat().map(worldLine);
      break;
    default:
      return null;
  }
  const box = { x0: Infinity, x1: -Infinity, y0: Infinity, y1: -Infinity };
  for (const [x, y] of rings.flat()) {
    box.x0 = Math.min(box.x0, x - pad.x);
    box.x1 = Math.max(box.x1, x + pad.x);
    box.y0 = Math.min(box.y0, y - pad.y);
    box.y1 = Math.max(box.y1, y + pad.y);
  }
  if (!Number.isFinite(box.x0 + box.x1 + box.y0 + box.y1)) return null;
  const [x, y] = [(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2];
  return { id, name, rings, pad, box, x, y, circle: geometry.type === 'Point', corridor: geometry.type === 'LineString' };
}

/** The sea as a ring: the coast, closed far to the south. */
export const sea = (() => {
  let [lon, lat] = [0, 0];
  const coast = worldLine(COAST.split(' ').map((step) => {
    const [east, north] = step.split(',').map(Number);
    return [(lon += east) / 1000, (lat += north) / 1000];
  }));
  return [...coast, [coast.at(-1)[0], worldY(1)], [coast[0][0], worldY(1)]];
})();
