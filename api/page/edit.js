// Editing a fence's shape, from the first handle to the tick that holds it.
//
// An edit is kept whatever happens around it: a refusal, a lost connection, another person's edit. It ends by
// being saved and shown, or by being cancelled.

import { Handles } from './handles.js';
import { get, getFence, putFence } from './net.js';
import { Outline } from './outline.js';
import { $, clock, counted, ms } from './text.js';

const CHANGED = 'Somebody else changed this fence since you began. Nothing of yours is lost, and nothing is saved yet. '
  + 'The pale shape is the fence as it is now: save to put yours in its place, or cancel.';
const DELETED = 'This fence was deleted meanwhile. Nothing of your shape is lost. Save it from now on to have it back, or cancel.';
const TOUCH_HINT = 'Drag the points. Touch a small one to add a point there.';
const HINT = 'Drag the points. Keys: arrows move a point, with Shift farther; Page Down and Page Up go to the next and the last; '
  + 'A adds one, Delete removes it, Enter saves, Escape cancels.';

/** A feature as text that does not depend on the order of its members. */
const sorted = (feature) => JSON.stringify(feature, (_, value) =>
  (value && typeof value === 'object' && !Array.isArray(value) ? Object.fromEntries(Object.entries(value).sort()) : value));

export class FenceEditor {
  /** `on` has today(), and done() when the fence may have another shape, or none is edited any more. */
  constructor(map, on) {
    Object.assign(this, { map, on, id: null, isSaving: false, pending: null, counts: new Map(), reachedTick: 0 });
    $('edit-save').onclick = () => this.ask();
    $('edit-cancel').onclick = () => this.cancel();
    $('edit-undo').onclick = () => this.undo();
    $('edit-add').onclick = () => this.handles.addAfter(this.handles.chosen);
    $('edit-remove').onclick = () => this.handles.removeChosen();
    $('edit-close').onclick = () => this.hide();
    $('save-past').onclick = () => this.save(false);
    $('save-from-now').onclick = () => this.save(true);
    $('save-cancel').onclick = () => $('save').close();
    addEventListener('beforeunload', (event) => this.isActive && this.outline.isChanged && event.preventDefault());
  }

  /** Whether a shape is in the hands of somebody. */
  get isActive() {
    return this.handles != null;
  }

  async begin(id) {
    if (this.id != null) return this.tell(`Save or cancel the shape of ${this.name ?? this.id} first.`);
    this.id = id;
    this.name = null;
    this.tell('Reading the fence …');
    this.showTools();
    try {
      const { feature, tag } = await getFence(id);
      if (this.id !== id) return;
      this.take(feature, tag);
    } catch (problem) {
      this.id = null;
      this.tell(`The fence can’t be edited: ${problem.message}`, 'bad');
      this.showTools();
    }
    return undefined;
  }

  take(feature, tag) {
    this.outline = new Outline(feature);
    this.base = JSON.stringify(feature);
    this.tag = tag;
    this.name = String(feature.properties?.name ?? feature.id);
    this.map.showBox(this.outline.prepared().box);
    this.map.overlay = this;
    this.handles = new Handles(this.map, this.outline, { changed: () => this.changed(), said: (words) => this.tell(words) });
    this.tell(matchMedia('(pointer: coarse)').matches ? TOUCH_HINT : HINT);
    this.changed();
    this.handles.choose(this.handles.chosen);
  }

  // ---- what the map asks ---------------------------------------------------------------------------

  paint(pen, map) {
    map.paintOutline(pen, this.shape);
  }

  drawn() {
    this.handles?.draw();
  }

  changed() {
    this.shape = this.outline.prepared();
    this.map.redraw();
    this.showTools();
  }

  undo() {
    if (!this.isActive || !this.outline.isChanged) return;
    this.outline.undo();
    // The chosen point may be one that is not there any more.
    if (!this.outline.at(this.handles.chosen)) this.handles.choose({ ring: 0, index: 0 });
    this.changed();
  }

  // ---- the end of it -------------------------------------------------------------------------------

  cancel() {
    if (!this.isActive || this.isSaving) return;
    this.tell('');
    this.finish();
    this.on.done();
  }

  finish() {
    this.handles?.remove();
    Object.assign(this, { id: null, handles: null, outline: null, pending: null, sent: null, isSaving: false });
    this.map.overlay = null;
    this.map.redraw(true);
    this.showTools();
    // Who works by keys goes on where the edit began.
    if (document.activeElement === document.body) $('fence-edit').focus({ preventScroll: true });
  }

  ask() {
    if (!this.isActive || this.isSaving) return;
    if (!this.outline.isChanged) return this.tell('Nothing has changed yet. Move a point, or cancel.');
    const since = this.outline.feature.properties?.valid_from;
    $('save-name').textContent = this.name;
    $('save-since').textContent = since ? `Its shapes before ${clock(ms(since), this.on.today())} are replaced, too.` : '';
    return $('save').showModal();
  }

  async save(isFromNow) {
    $('save').close();
    if (!this.isActive || this.isSaving) return;
    this.isSaving = true;
    this.counts.clear();
    this.tell('Saving …');
    this.showTools();
    try {
      const feature = this.outline.toFeature();
      const { valid_from: _, ...properties } = feature.properties ?? {};
      // The service's own instant: the clock of this machine has no say in what is past.
      if (isFromNow) properties.valid_from = (await get('/trucks?limit=1')).as_of;
      this.sent = { ...feature, properties };
      const { tick } = await putFence(this.sent, this.tag);
      this.saved(tick);
    } catch (problem) {
      this.isSaving = false;
      await this.refused(problem);
      this.showTools();
    }
  }

  async refused({ status, message }) {
    if (status === 412) return this.rebase();
    const words = status ? `Not saved: ${message}` : 'The service did not answer, so nobody knows whether it is saved';
    return this.tell(`${words}. Your shape is kept; you can save it again.`, 'bad');
  }

  /** Somebody else was first: the edit goes on, on top of what they made. */
  async rebase() {
    try {
      const { feature, tag, tick } = await getFence(this.id);
      // It was this page whose answer had been lost.
      if (this.sent && sorted(feature) === sorted(this.sent)) return this.end(`Saved; tick ${tick} shows it.`);
      this.outline.rebase(feature);
      Object.assign(this, { tag, base: JSON.stringify(feature) });
      this.tell(CHANGED, 'bad');
    } catch (problem) {
      if (problem.status === 404) Object.assign(this, { tag: null, base: null });
      this.tell(problem.status === 404 ? DELETED : `Somebody else changed this fence, and it can’t be read: ${problem.message}`, 'bad');
    }
    return this.on.done();
  }

  /** The fence as it was just read with all others; null where it is not there any more. */
  check(feature) {
    if (!this.isActive || this.isSaving || this.base == null) return;
    if (feature == null || JSON.stringify(feature) !== this.base) this.rebase();
  }

  saved(tick) {
    this.pending = tick;
    this.handles.remove();
    this.handles = null;
    this.tell(`Saved as tick ${tick}. Waiting until it is shown …`);
    this.showTools();
    this.reached(this.reachedTick);
  }

  /** What a tick changed; it may come before the answer that names the tick. */
  took(items, tick) {
    if (!this.isSaving) return;
    const visits = items.filter((item) => item.table === 'visits' && item.fence === this.id).length;
    this.counts.set(tick, (this.counts.get(tick) ?? 0) + visits);
  }

  /** Everything up to a tick has come. */
  reached(tick) {
    this.reachedTick = tick;
    if (this.pending == null || tick < this.pending) return;
    const visits = this.counts.get(this.pending) ?? 0;
    this.end(`Tick ${this.pending}: ${counted(visits, 'visit')} changed.`);
  }

  end(words) {
    this.tell(words, 'good');
    this.finish();
    this.on.done();
  }

  // ---- what is shown -------------------------------------------------------------------------------

  tell(words, kind = '') {
    const status = $('edit-status');
    if (status.textContent !== words) status.textContent = words;
    status.className = kind;
  }

  hide() {
    this.tell('');
    this.showTools();
  }

  showTools() {
    const isBusy = !this.isActive || this.isSaving;
    // A small screen gives the map all its room meanwhile.
    document.body.toggleAttribute('data-editing', this.id != null);
    $('edit').hidden = this.id == null && !$('edit-status').textContent;
    $('edit-tools').hidden = this.id == null;
    $('edit-close').hidden = this.id != null;
    $('edit-name').textContent = this.id == null ? '' : `Shape of ${this.name ?? this.id}`;
    for (const tool of $('edit-tools').querySelectorAll('button')) tool.disabled = isBusy;
    if (isBusy) return;
    $('edit-undo').disabled = !this.outline.isChanged;
    $('edit-add').disabled = !this.outline.hasEdge(this.handles.chosen);
    $('edit-remove').disabled = !this.outline.canRemove(this.handles.chosen);
  }
}
