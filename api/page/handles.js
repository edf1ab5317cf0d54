// The hands on a shape: a handle for each point in sight, moved by mouse, touch or keys.
//
// Handles are elements, so that they can have the focus and be named. Of a shape with thousands of points
// only some have one: those in sight, and of points that would lie on each other the first; closer in there
// are more. The chosen point always has one while it is in sight.

import { $, make } from './text.js';

const MOST_HANDLES = 160;
/** Handles keep this distance from each other, and middles want twice as much room; a finger wants more. */
const SPACING_PX = { fine: 18, coarse: 34 };
const EDGE_PX = 30;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const COARSE_STEP_PX = 10;
const STEPS = { PageDown: 1, PageUp: -1 };

export class Handles {
  /** `on` has changed() after each edit, and said(words) for what is to be read aloud. */
  constructor(map, outline, on) {
    Object.assign(this, { map, outline, on, chosen: { ring: 0, index: 0 }, pool: [] });
    this.spacing = SPACING_PX[matchMedia('(pointer: coarse)').matches ? 'coarse' : 'fine'];
    this.box = $('handles');
    this.box.hidden = false;
    this.box.replaceChildren();
    this.box.onpointerdown = (event) => this.grab(event);
    this.box.onkeydown = (event) => this.key(event);
    this.box.onfocusin = (event) => this.focused(event.target);
    // A double click on a point must not zoom the map.
    this.box.ondblclick = (event) => event.stopPropagation();
  }

  remove() {
    this.box.replaceChildren();
    this.box.hidden = true;
  }

  /** Which points and middles get a handle, as {ring, index, isMiddle, px, py}. */
  wanted() {
    const { map, outline, chosen, spacing: room } = this;
    const taken = new Set();
    const found = [];
    const inSight = ([px, py]) => px > -EDGE_PX && py > -EDGE_PX && px < map.width + EDGE_PX && py < map.height + EDGE_PX;
    const claim = ([px, py], spacing) => {
      const cell = `${spacing}:${Math.floor(px / spacing)}:${Math.floor(py / spacing)}`;
      return !taken.has(cell) && taken.add(cell);
    };
    const add = (place, [px, py]) => found.push({ ...place, px, py });
    const spots = outline.rings.map((_, ring) => map.screenLine(outline.points(ring)));
    const chosenSpot = spots[chosen.ring]?.[chosen.index];
    if (chosenSpot && inSight(chosenSpot)) {
      claim(chosenSpot, room);
      add(chosen, chosenSpot);
    }
    for (const [ring, line] of spots.entries()) {
      for (let index = 0; index < line.length && found.length < MOST_HANDLES; index += 1) {
        const isChosen = ring === chosen.ring && index === chosen.index;
        if (!isChosen && inSight(line[index]) && claim(line[index], room)) add({ ring, index }, line[index]);
      }
    }
    for (const { ring, index } of [...found]) {
      if (!outline.hasEdge({ ring, index })) continue;
      const [from, to] = [spots[ring][index], spots[ring][(index + 1) % spots[ring].length]];
      const middle = [(from[0] + to[0]) / 2, (from[1] + to[1]) / 2];
      const hasRoom = Math.hypot(to[0] - from[0], to[1] - from[1]) > 3 * room;
      if (hasRoom && inSight(middle) && claim(middle, 2 * room)) add({ ring, index, isMiddle: true }, middle);
    }
    return found;
  }

  /** Puts the handles where the map shows their points. */
  draw() {
    const places = this.wanted();
    const hasFocus = this.wantsFocus || this.box.contains(document.activeElement);
    while (this.pool.length < places.length) {
      const handle = make('div', 'handle');
      handle.role = 'button';
      this.pool.push(handle);
    }
    // Not moved in the document, only shown and hidden: what has the focus would lose it.
    if (this.box.children.length < this.pool.length) this.box.append(...this.pool.slice(this.box.children.length));
    let focus = null;
    this.pool.forEach((handle, i) => {
      const place = places[i];
      handle.hidden = !place;
      handle.place = place;
      if (!place) return;
      const isChosen = !place.isMiddle && place.ring === this.chosen.ring && place.index === this.chosen.index;
      handle.className = `handle${place.isMiddle ? ' middle' : ''}${isChosen ? ' chosen' : ''}`;
      handle.style.transform = `translate(${place.px}px, ${place.py}px)`;
      // One stop for the Tab key; the other points are reached from there.
      handle.tabIndex = isChosen ? 0 : -1;
      const name = place.isMiddle ? `add a point after point ${place.index + 1}` : this.outline.name(place);
      if (handle.ariaLabel !== name) handle.ariaLabel = name;
      Object.assign(handle.dataset, { ring: place.ring, index: place.index, middle: place.isMiddle ? '1' : '' });
      if (isChosen) focus = handle;
    });
    if (hasFocus && focus && document.activeElement !== focus) focus.focus({ preventScroll: true });
    if (focus) this.wantsFocus = false;
  }

  choose(place) {
    this.chosen = place;
    // It may come into sight only when the map has arrived there.
    this.wantsFocus = true;
    this.show(place);
    this.draw();
    this.on.changed();
  }

  /** Brings a point into sight. */
  show(place) {
    const { map } = this;
    if (map.flight) return;
    const [px, py] = map.toScreen(...this.outline.at(place));
    const isSeen = px > EDGE_PX && py > EDGE_PX && px < map.width - EDGE_PX && py < map.height - EDGE_PX;
    if (!isSeen) map.pan(map.width / 2 - px, map.height / 2 - py);
  }

  focused(handle) {
    const place = handle.place;
    if (!place || place.isMiddle) return;
    const { ring, index } = place;
    if (ring === this.chosen.ring && index === this.chosen.index) return;
    this.chosen = { ring, index };
    this.map.redraw();
  }

  // ---- by hand -------------------------------------------------------------------------------------

  grab(event) {
    const handle = event.target.closest('.handle');
    if (!handle || event.button > 0) return;
    // The map would take it for a drag of its own.
    event.stopPropagation();
    event.preventDefault();
    let place = handle.place;
    const start = [event.clientX, event.clientY];
    const from = [place.px, place.py];
    let isMoved = false;
    const move = (e) => {
      const [dx, dy] = [e.clientX - start[0], e.clientY - start[1]];
      if (!isMoved && Math.hypot(dx, dy) < 3) return;
      if (!isMoved) {
        isMoved = true;
        this.outline.remember();
        if (place.isMiddle) place = this.outline.add(place);
        this.chosen = { ring: place.ring, index: place.index };
      }
      this.outline.move(place, ...this.map.toWorld(from[0] + dx, from[1] + dy));
      this.on.changed();
    };
    const end = () => {
      this.box.onpointermove = this.box.onpointerup = this.box.onpointercancel = null;
      // A middle that is only touched becomes a point, too: that is how one is added without dragging.
      if (!isMoved && place.isMiddle) this.addAfter(place);
      else this.choose({ ring: place.ring, index: place.index });
    };
    this.box.setPointerCapture(event.pointerId);
    this.box.onpointermove = (e) => e.pointerId === event.pointerId && move(e);
    this.box.onpointerup = this.box.onpointercancel = (e) => e.pointerId === event.pointerId && end();
  }

  // ---- by keys -------------------------------------------------------------------------------------

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { outline, chosen } = this;
    const arrow = ARROWS[event.key];
    if (arrow) this.nudge(arrow, event.shiftKey ? COARSE_STEP_PX : 1, event.repeat);
    else if (STEPS[event.key]) this.choose(outline.after(chosen, STEPS[event.key]));
    else if (event.key === 'Home') this.choose({ ring: 0, index: 0 });
    else if (event.key === 'End') this.choose(outline.after({ ring: 0, index: 0 }, -1));
    else if (event.key === 'Delete' || event.key === 'Backspace') this.removeChosen();
    else if (event.key === 'Insert' || event.key === 'a') this.addAfter(chosen);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  nudge([dx, dy], step, isRepeat) {
    const { outline, chosen, map } = this;
    // A key that is held down is one edit.
    if (!isRepeat) outline.remember();
    const [px, py] = map.toScreen(...outline.at(chosen));
    const isRadius = outline.kind === 'circle' && chosen.index === 1;
    // Up makes a circle larger, as right does.
    const [moveX, moveY] = isRadius ? [(dx - dy) * step, 0] : [dx * step, dy * step];
    outline.move(chosen, ...map.toWorld(px + moveX, py + moveY));
    this.show(chosen);
    this.on.changed();
  }

  addAfter(place) {
    if (!this.outline.hasEdge(place)) return this.on.said(this.outline.kind === 'circle' ? 'A circle has a centre and a radius only.' : 'There is nothing after the last point.');
    this.outline.remember();
    this.choose(this.outline.add(place));
    return this.on.said('Point added.');
  }

  removeChosen() {
    if (!this.outline.canRemove(this.chosen)) return this.on.said('This point can’t be removed: the shape needs it.');
    this.outline.remember();
    this.choose(this.outline.remove(this.chosen));
    return this.on.said('Point removed.');
  }
}
