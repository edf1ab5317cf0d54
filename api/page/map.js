// The map as a thing to use: what is on it, where we look, and the hands that move it.

import { Painter } from './paint.js';
import { prepareFence, worldLine, worldX, worldY } from './shapes.js';

const MIN_SCALE = 2 ** 8;
const MAX_SCALE = 2 ** 29;
/** A truck that is chosen while out of sight is shown at least at this scale. */
const NEAR_SCALE = 2 ** 19;
const PICK_PX = { mouse: 14, touch: 24, pen: 18 };

export class FleetMap extends Painter {
  /** `on` has pick(vehicle id or null) and place(fence). */
  constructor(box, on) {
    super(box);
    this.on = on;
    this.still = matchMedia('(prefers-reduced-motion: reduce)');
    new ResizeObserver(() => {
      this.resize();
      if (this.fitWhenSized) this.fit(false);
    }).observe(box);
    this.resize();
    this.listen();
  }

  setFences(features) {
    this.fences = features.map(prepareFence).filter(Boolean);
    this.redraw(true);
  }

  /** Trucks as {id, lon, lat, heading, state}; they glide to their new places within `glideMs`. */
  setTrucks(list, glideMs) {
    const before = this.trucks;
    const start = performance.now();
    this.trucks = new Map();
    for (const { id, lon, lat, heading, state } of list) {
      const [x, y] = [worldX(lon), worldY(lat)];
      const truck = before.get(id) ?? { id, x, y, toX: x, toY: y };
      if (truck.toX !== x || truck.toY !== y) truck.course = (Math.atan2(x - truck.toX, truck.toY - y) * 180) / Math.PI;
      Object.assign(truck, { heading: heading ?? undefined, state, fromX: truck.x, fromY: truck.y, toX: x, toY: y, start, glide: glideMs });
      // A leap across half the visible map is shown as one, not as a flight.
      const leap = Math.hypot(x - truck.x, y - truck.y) * this.view.scale;
      const stays = leap === 0 || leap > this.width / 2 || this.still.matches || document.hidden;
      if (stays) Object.assign(truck, { x, y, glide: 0 });
      this.trucks.set(id, truck);
    }
    this.redraw();
  }

  setTrack(positions) {
    this.track = worldLine(positions);
    this.redraw();
  }

  select(id) {
    if (this.selected !== id) this.track = [];
    this.selected = id;
    const truck = this.trucks.get(id);
    if (truck) {
      const [px, py] = this.toScreen(truck.toX, truck.toY);
      const seen = px > 60 && py > 60 && px < this.width - 60 && py < this.height - 60;
      if (!seen) this.moveTo(truck.toX, truck.toY, Math.max(this.view.scale, NEAR_SCALE));
    }
    this.redraw();
  }

  /** Marks a fence, and shows it where it is out of sight. */
  selectFence(id) {
    this.selectedFence = id;
    const fence = this.fences.find((f) => f.id === id);
    if (fence && !this.seesWell(fence.box, 8)) this.showBox(fence.box);
    this.redraw(true);
  }

  // ---- where we look -------------------------------------------------------------------------------

  /** Shows all trucks, or all fences where there are no trucks. */
  fit(animate = true) {
    this.fitWhenSized = !this.width;
    const places = this.trucks.size ? [...this.trucks.values()].map((t) => [t.toX, t.toY]) : this.fences.map((f) => [f.x, f.y]);
    if (!places.length || !this.width) return;
    const box = { x0: Infinity, x1: -Infinity, y0: Infinity, y1: -Infinity };
    for (const [px, y] of places) {
      const x = px - Math.round(px - places[0][0]);
      box.x0 = Math.min(box.x0, x);
      box.x1 = Math.max(box.x1, x);
      box.y0 = Math.min(box.y0, y);
      box.y1 = Math.max(box.y1, y);
    }
    this.fitBox(box, 1e-5, animate);
  }

  /** Shows a part of the world, no less than `least` wide and high. */
  fitBox(box, least, animate = true, most = 90) {
    const margin = 2 * Math.min(most, this.width / 6, this.height / 6);
    const across = (this.width - margin) / Math.max(box.x1 - box.x0, least);
    const down = (this.height - margin) / Math.max(box.y1 - box.y0, least);
    const scale = Math.max(MIN_SCALE, Math.min(MAX_SCALE, across, down));
    this.moveTo((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2, scale, animate);
  }

  /** Whether all of a box is in sight, and at least so many pixels large. */
  seesWell(box, pixels) {
    const [left, top] = this.toScreen(box.x0, box.y0);
    const [right, bottom] = this.toScreen(box.x1, box.y1);
    const isInSight = left >= 0 && top >= 0 && right <= this.width && bottom <= this.height && left <= right;
    return isInSight && Math.max(right - left, bottom - top) >= pixels;
  }

  /** Goes to a shape that is to be worked on, unless it is well in sight. */
  showBox(box) {
    if (this.width && !this.seesWell(box, 120)) this.fitBox(box, 1e-8, true, 140);
  }

  moveTo(x, y, scale, animate = true) {
    const to = { x, y, scale };
    const flies = animate && !this.still.matches;
    this.flight = flies ? { from: { ...this.view }, to, start: performance.now() } : null;
    if (!flies) this.view = to;
    this.redraw(true);
  }

  pan(dx, dy) {
    const { view } = this;
    this.flight = null;
    const x = view.x - dx / view.scale;
    view.x = x - Math.floor(x);
    view.y = Math.max(0, Math.min(1, view.y - dy / view.scale));
    this.redraw(true);
  }

  /** Zooms by a factor, keeping the place under (px, py) where it is. */
  zoom(factor, px = this.width / 2, py = this.height / 2) {
    const { view } = this;
    this.flight = null;
    const scale = Math.max(MIN_SCALE, Math.min(MAX_SCALE, view.scale * factor));
    const gain = 1 / view.scale - 1 / scale;
    view.x += (px - this.width / 2) * gain;
    view.y += (py - this.height / 2) * gain;
    view.scale = scale;
    this.redraw(true);
  }

  // ---- hands ---------------------------------------------------------------------------------------

  listen() {
    const { box } = this;
    const fingers = new Map();
    let travelled = 0;
    const at = (e) => {
      const edge = box.getBoundingClientRect();
      return [e.clientX - edge.left, e.clientY - edge.top];
    };
    box.onpointerdown = (e) => {
      if (e.button > 0) return;
      box.setPointerCapture(e.pointerId);
      if (!fingers.size) travelled = 0;
      fingers.set(e.pointerId, at(e));
    };
    box.onpointermove = (e) => {
      const here = at(e);
      const last = fingers.get(e.pointerId);
      if (!last) return this.hover(...here);
      fingers.set(e.pointerId, here);
      const [dx, dy] = [here[0] - last[0], here[1] - last[1]];
      travelled += Math.hypot(dx, dy);
      const other = [...fingers].find(([id]) => id !== e.pointerId)?.[1];
      if (other) {
        const span = (p) => Math.max(10, Math.hypot(p[0] - other[0], p[1] - other[1]));
        this.pan(dx / 2, dy / 2);
        this.zoom(span(here) / span(last), (here[0] + other[0]) / 2, (here[1] + other[1]) / 2);
      } else if (travelled > 4) {
        this.pan(dx, dy);
      }
    };
    box.onpointerup = box.onpointercancel = (e) => {
      const known = fingers.delete(e.pointerId);
      if (known && e.type === 'pointerup' && !fingers.size && travelled <= 6) this.click(...at(e), PICK_PX[e.pointerType] ?? 14);
    };
    box.onpointerleave = () => this.hover(-99, -99);
    box.ondblclick = (e) => this.zoom(2, ...at(e));
    box.addEventListener('wheel', (e) => {
      e.preventDefault();
      const turned = Math.max(-240, Math.min(240, e.deltaY * (e.deltaMode === 1 ? 24 : 1)));
      // A pinch on a touchpad comes as a wheel with the control key, in smaller steps.
      this.zoom(Math.exp(-turned * (e.ctrlKey ? 0.01 : 0.0022)), ...at(e));
    }, { passive: false });
    const keys = {
      ArrowLeft: () => this.pan(70, 0), ArrowRight: () => this.pan(-70, 0), ArrowUp: () => this.pan(0, 70),
      ArrowDown: () => this.pan(0, -70), '+': () => this.zoom(1.5), '=': () => this.zoom(1.5), '-': () => this.zoom(1 / 1.5),
    };
    box.onkeydown = (e) => {
      if (e.ctrlKey || e.metaKey || e.altKey || !keys[e.key]) return;
      e.preventDefault();
      keys[e.key]();
    };
  }

  nearest(px, py, radius) {
    let best = null;
    let least = radius;
    for (const truck of this.trucks.values()) {
      const distance = Math.hypot(truck.px - px, truck.py - py);
      if (distance <= least) [best, least] = [truck, distance];
    }
    return best;
  }

  hover(px, py) {
    const id = this.nearest(px, py, PICK_PX.mouse)?.id;
    if (id === this.hovered) return;
    this.hovered = id;
    this.box.classList.toggle('over', id != null);
    this.redraw();
  }

  click(px, py, radius) {
    // While a shape is edited, a touch beside its points means nothing.
    if (this.overlay) return;
    const truck = this.nearest(px, py, radius);
    if (truck) return this.on.pick(truck.id);
    const near = this.fences.filter((f) => f.seen && Math.abs(px - f.px) <= f.wide + 4 && Math.abs(py - f.py) <= f.high + 4);
    const fence = near.filter((f) => this.holds(f, px, py)).sort((a, b) => a.wide * a.high - b.wide * b.high)[0];
    if (fence) this.on.place(fence);
    else this.on.pick(null);
  }

  /** Whether a place on the screen is in a fence as it is drawn. */
  holds(fence, px, py) {
    if (Math.max(fence.wide, fence.high) < 8) return true;
    const path = new Path2D();
    if (fence.circle) path.ellipse(fence.px, fence.py, fence.wide, fence.high, 0, 0, 7);
    else for (const ring of fence.rings) this.trace(path, ring, !fence.corridor);
    const pen = this.ground.getContext('2d');
    pen.save();
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.lineWidth = fence.corridor ? Math.max(2 * fence.pad.x * this.view.scale, 10) : 6;
    const isOnIt = pen.isPointInStroke(path, px, py) || (!fence.corridor && pen.isPointInPath(path, px, py, 'evenodd'));
    pen.restore();
    return isOnIt;
  }
}
