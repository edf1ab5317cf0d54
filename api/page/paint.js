// How the map is drawn: two canvases, the ground (sea, grid, fences) and the traffic above it (trucks, the
// chosen truck's track, labels), so that moving trucks do not draw the fences anew.

import { latOf, metre, sea, worldX, worldY } from './shapes.js';

const MAX_LABELS = 260;
const HEADINGS = 48;
const SIGN_PX = 26;
const FLIGHT_MS = 350;
const COLOURS = ['land', 'sea', 'coast', 'grid', 'grid-text', 'fence', 'fence-fill', 'fence-text', 'text', 'halo',
  'moving', 'inside', 'stopped', 'silent', 'track', 'edit', 'edit-fill'];
const GRID_STEPS = [30, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001];

export class Painter {
  constructor(box) {
    this.box = box;
    [this.ground, this.traffic] = box.querySelectorAll('canvas');
    this.view = { x: worldX(3.35), y: worldY(6.5), scale: 2 ** 17 };
    this.trucks = new Map();
    this.fences = [];
    this.track = [];
    this.sprites = new Map();
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.readTheme());
    this.readTheme();
  }

  readTheme() {
    const style = getComputedStyle(document.documentElement);
    this.theme = Object.fromEntries(COLOURS.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
    this.sprites.clear();
    this.redraw(true);
  }

  resize() {
    this.width = this.box.clientWidth;
    this.height = this.box.clientHeight;
    this.ratio = Math.min(devicePixelRatio || 1, 3);
    this.sprites.clear();
    for (const canvas of [this.ground, this.traffic]) {
      canvas.width = Math.round(this.width * this.ratio);
      canvas.height = Math.round(this.height * this.ratio);
    }
    this.redraw(true);
  }

  toScreen(x, y) {
    const { view } = this;
    const dx = x - view.x;
    return [(dx - Math.round(dx)) * view.scale + this.width / 2, (y - view.y) * view.scale + this.height / 2];
  }

  toWorld(px, py) {
    const { view } = this;
    return [view.x + (px - this.width / 2) / view.scale, view.y + (py - this.height / 2) / view.scale];
  }

  /** World positions of one line on the screen, in one piece. */
  screenLine(points) {
    const [x0, y0] = points[0];
    const [px, py] = this.toScreen(x0, y0);
    return points.map(([x, y]) => [px + (x - x0) * this.view.scale, py + (y - y0) * this.view.scale]);
  }

  redraw(ground = false) {
    this.groundDirty ||= ground;
    this.frame ??= requestAnimationFrame((now) => this.draw(now));
  }

  draw(now) {
    this.frame = null;
    if (!this.width || !this.height) return;
    if (this.flight) this.fly(now);
    if (this.groundDirty) this.drawGround();
    this.groundDirty = false;
    const gliding = this.drawTraffic(now);
    if (this.flight || gliding) this.redraw();
    this.overlay?.drawn();
    this.onDrawn?.();
  }

  fly(now) {
    const { from, to, start } = this.flight;
    const part = Math.min(1, Math.max(0, now - start) / FLIGHT_MS);
    const ease = 1 - (1 - part) ** 3;
    for (const axis of ['x', 'y']) this.view[axis] = from[axis] + (to[axis] - from[axis]) * ease;
    this.view.scale = from.scale * (to.scale / from.scale) ** ease;
    if (part === 1) this.flight = null;
    this.groundDirty = true;
  }

  begin(canvas) {
    const pen = canvas.getContext('2d');
    pen.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    pen.clearRect(0, 0, this.width, this.height);
    pen.lineJoin = pen.lineCap = 'round';
    return pen;
  }

  trace(pen, points, close) {
    const [x0, y0] = points[0];
    const [px, py] = this.toScreen(x0, y0);
    pen.moveTo(px, py);
    for (const [x, y] of points) pen.lineTo(px + (x - x0) * this.view.scale, py + (y - y0) * this.view.scale);
    if (close) pen.closePath();
  }

  line(pen, x0, y0, x1, y1) {
    pen.moveTo(x0, y0);
    pen.lineTo(x1, y1);
  }

  // ---- the ground ----------------------------------------------------------------------------------

  drawGround() {
    const { theme } = this;
    const pen = this.begin(this.ground);
    const degreesWide = (this.width / this.view.scale) * 360;
    pen.fillStyle = theme.land;
    pen.fillRect(0, 0, this.width, this.height);
    // The coast is known around Lagos only: it fades before its ends would come into view.
    pen.globalAlpha = Math.max(0, Math.min(1, (6 - degreesWide) / 3));
    pen.beginPath();
    this.trace(pen, sea, true);
    pen.fillStyle = theme.sea;
    pen.fill();
    pen.lineWidth = 1;
    pen.strokeStyle = theme.coast;
    pen.stroke();
    pen.globalAlpha = 1;
    this.drawGrid(pen, degreesWide);
    for (const fence of this.fences) this.drawFence(pen, fence);
    this.drawScale(pen);
  }

  drawGrid(pen, degreesWide) {
    const { view, theme, width, height } = this;
    const step = GRID_STEPS.find((s) => degreesWide / s >= 4) ?? GRID_STEPS.at(-1);
    const name = (value, [plus, minus]) => `${Math.abs(value).toFixed(Math.max(0, Math.ceil(-Math.log10(step))))}°${value < 0 ? minus : plus}`;
    pen.strokeStyle = theme.grid;
    pen.fillStyle = theme['grid-text'];
    pen.font = '10px system-ui, sans-serif';
    pen.lineWidth = 1;
    pen.beginPath();
    const west = (view.x - width / 2 / view.scale) * 360 - 180;
    for (let lon = Math.ceil(west / step) * step; lon < west + degreesWide; lon += step) {
      const x = Math.round((worldX(lon) - view.x) * view.scale + width / 2) + 0.5;
      this.line(pen, x, 0, x, height);
      pen.fillText(name(lon - 360 * Math.round(lon / 360), 'EW'), x + 3, height - 5);
    }
    const [north, south] = [-height, height].map((h) => latOf(view.y + h / 2 / view.scale));
    for (let lat = Math.ceil(south / step) * step; lat < north; lat += step) {
      const y = Math.round((worldY(lat) - view.y) * view.scale + height / 2) + 0.5;
      this.line(pen, 0, y, width, y);
      if (y < height - 48) pen.fillText(name(lat, 'NS'), 4, y - 3);
    }
    pen.stroke();
  }

  drawFence(pen, fence) {
    const { theme, view } = this;
    const [px, py] = this.toScreen(fence.x, fence.y);
    const wide = ((fence.box.x1 - fence.box.x0) / 2) * view.scale;
    const high = ((fence.box.y1 - fence.box.y0) / 2) * view.scale;
    const seen = px + wide > 0 && px - wide < this.width && py + high > 0 && py - high < this.height;
    Object.assign(fence, { seen, px, py, wide, high });
    if (!seen) return;
    const isChosen = fence.id === this.selectedFence;
    this.paintFence(pen, fence, theme.fence, theme['fence-fill'], isChosen ? 3 : 1.5);
  }

  /** A shape that is edited, above the fence as it is. */
  paintOutline(pen, shape) {
    const [px, py] = this.toScreen(shape.x, shape.y);
    const { view } = this;
    const wide = ((shape.box.x1 - shape.box.x0) / 2) * view.scale;
    const high = ((shape.box.y1 - shape.box.y0) / 2) * view.scale;
    this.paintFence(pen, { ...shape, px, py, wide, high }, this.theme.edit, this.theme['edit-fill'], 2.5);
  }

  paintFence(pen, fence, colour, fill, width) {
    const { px, py, wide, high } = fence;
    pen.lineWidth = width;
    pen.fillStyle = fill;
    pen.strokeStyle = colour;
    pen.beginPath();
    if (Math.max(wide, high) < 3) pen.rect(px - 2.5, py - 2.5, 5, 5);
    else if (fence.circle) pen.ellipse(px, py, wide, high, 0, 0, 7);
    else for (const ring of fence.rings) this.trace(pen, ring, !fence.corridor);
    if (fence.corridor) {
      pen.lineWidth = Math.max(2 * fence.pad.x * this.view.scale, 2);
      pen.strokeStyle = fill;
      pen.stroke();
      pen.lineWidth = width - 0.5;
      pen.strokeStyle = colour;
      pen.setLineDash([6, 5]);
    } else {
      pen.fill('evenodd');
    }
    pen.stroke();
    pen.setLineDash([]);
  }

  drawScale(pen) {
    const perMetre = metre(latOf(this.view.y)).x * this.view.scale;
    const longest = 110 / perMetre;
    const power = 10 ** Math.floor(Math.log10(longest));
    const metres = [5, 2, 1].find((f) => f * power <= longest) * power;
    const [x, y, end] = [12, this.height - 24, 12 + metres * perMetre];
    pen.beginPath();
    [[x, y - 5], [x, y], [end, y], [end, y - 5]].forEach((p) => pen.lineTo(...p));
    pen.lineWidth = 1.5;
    pen.strokeStyle = this.theme.text;
    pen.stroke();
    this.label(pen, metres >= 1000 ? `${metres / 1000} km` : `${metres} m`, x + 5, y - 5, this.theme.text, 500);
  }

  // ---- the traffic ---------------------------------------------------------------------------------

  /** Draws the trucks where they are at `now`; true while any of them is still on its way. */
  drawTraffic(now) {
    const pen = this.begin(this.traffic);
    const shown = [];
    let gliding = false;
    for (const truck of this.trucks.values()) {
      if (truck.glide) {
        const part = Math.min(1, Math.max(0, now - truck.start) / truck.glide);
        truck.x = truck.fromX + (truck.toX - truck.fromX) * part;
        truck.y = truck.fromY + (truck.toY - truck.fromY) * part;
        if (part === 1) truck.glide = 0;
        gliding ||= part < 1;
      }
      [truck.px, truck.py] = this.toScreen(truck.x, truck.y);
      if (truck.px > -20 && truck.py > -20 && truck.px < this.width + 20 && truck.py < this.height + 20) shown.push(truck);
    }
    const chosen = this.trucks.get(this.selected);
    if (chosen) this.drawTrack(pen, chosen);
    for (const truck of shown) if (truck !== chosen) this.drawTruck(pen, truck);
    if (chosen) {
      pen.beginPath();
      pen.arc(chosen.px, chosen.py, 15, 0, 7);
      pen.stroke();
      this.drawTruck(pen, chosen);
    }
    this.overlay?.paint(pen, this);
    this.drawLabels(pen, shown, chosen);
    return gliding;
  }

  drawTrack(pen, truck) {
    pen.beginPath();
    if (this.track.length) this.trace(pen, [...this.track, [truck.x - Math.round(truck.x - this.track.at(-1)[0]), truck.y]], false);
    for (const [width, colour] of [[6, this.theme.halo], [3, this.theme.track]]) {
      pen.lineWidth = width;
      pen.strokeStyle = colour;
      pen.stroke();
    }
  }

  drawTruck(pen, { state, heading, course = 0, px, py }) {
    const turn = state === 'moving' ? (heading ?? course) / 360 : 0;
    const bucket = Math.round((turn - Math.floor(turn)) * HEADINGS) % HEADINGS;
    pen.drawImage(this.sprite(state, bucket), px - SIGN_PX / 2, py - SIGN_PX / 2, SIGN_PX, SIGN_PX);
  }

  /** A truck's sign, drawn once for each state and heading. Its shape tells the state, as its colour does. */
  sprite(state, bucket) {
    const key = state + bucket;
    if (this.sprites.has(key)) return this.sprites.get(key);
    const canvas = document.createElement('canvas');
    canvas.width = canvas.height = Math.ceil(SIGN_PX * this.ratio);
    const pen = canvas.getContext('2d');
    pen.scale(canvas.width / SIGN_PX, canvas.width / SIGN_PX);
    pen.translate(SIGN_PX / 2, SIGN_PX / 2);
    pen.rotate((bucket * 2 * Math.PI) / HEADINGS);
    pen.lineJoin = 'round';
    if (state === 'moving') [[0, -10], [7, 8], [0, 4.5], [-7, 8]].forEach((p) => pen.lineTo(...p));
    else if (state === 'stopped') pen.rect(-5, -5, 10, 10);
    else pen.arc(0, 0, state === 'silent' ? 5 : 6, 0, 7);
    pen.closePath();
    const hollow = state === 'silent';
    pen.lineWidth = hollow ? 6 : 4;
    pen.strokeStyle = this.theme.halo;
    pen.stroke();
    pen.fillStyle = hollow ? this.theme.halo : this.theme[state];
    pen.fill();
    if (hollow) {
      pen.lineWidth = 2.5;
      pen.strokeStyle = this.theme.silent;
      pen.stroke();
    }
    this.sprites.set(key, canvas);
    return canvas;
  }

  label(pen, text, x, y, colour, weight) {
    pen.font = `${weight} 12px system-ui, sans-serif`;
    pen.lineWidth = 3;
    pen.strokeStyle = this.theme.halo;
    pen.strokeText(text, x, y);
    pen.fillStyle = colour;
    pen.fillText(text, x, y);
  }

  /** Labels where there is room: the chosen and the hovered truck always, then fences, then trucks. */
  drawLabels(pen, shown, chosen) {
    const { theme } = this;
    const taken = new Map();
    let count = 0;
    // What is taken is kept by cells of 64 pixels, so that a label is compared with its neighbours only.
    const claim = (x, y, w, h) => {
      const cells = [];
      for (let i = x >> 6; i <= (x + w) >> 6; i += 1) for (let j = y >> 6; j <= (y + h) >> 6; j += 1) cells.push(i * 4096 + j);
      const meets = (r) => r[0] < x + w && r[0] + r[2] > x && r[1] < y + h && r[1] + r[3] > y;
      if (cells.some((c) => taken.get(c)?.some(meets))) return false;
      for (const c of cells) taken.set(c, [...(taken.get(c) ?? []), [x, y, w, h]]);
      return true;
    };
    const measured = (thing, text) => {
      pen.font = '600 12px system-ui, sans-serif';
      return (thing.textWidth ??= pen.measureText(text).width);
    };
    const name = (truck, always) => {
      const width = measured(truck, truck.id);
      const x = truck.px + 13 + width > this.width ? truck.px - 13 - width : truck.px + 13;
      if (!claim(x - 2, truck.py - 8, width + 4, 16) && !always) return;
      count += 1;
      this.label(pen, truck.id, x, truck.py + 4, theme.text, always ? 700 : 500);
    };
    claim(0, this.height - 44, 140, 44);
    const first = new Set([chosen, this.trucks.get(this.hovered)]);
    first.delete(undefined);
    for (const truck of first) name(truck, true);
    if (shown.length <= 400) for (const t of shown) claim(t.px - 6, t.py - 6, 12, 12);
    for (const fence of this.fences) {
      if (!fence.seen || fence.wide < 4 || count > MAX_LABELS) continue;
      const width = measured(fence, fence.name);
      const x = Math.max(4, Math.min(this.width - width - 4, fence.px - width / 2));
      const y = fence.corridor ? fence.py : fence.py + fence.high + 14;
      if (!claim(x - 2, y - 11, width + 4, 15)) continue;
      count += 1;
      this.label(pen, fence.name, x, y, theme['fence-text'], 600);
    }
    for (const truck of shown) if (count <= MAX_LABELS && !first.has(truck)) name(truck, false);
  }
}
