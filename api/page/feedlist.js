// The list of changes: what was said, newest first, and struck through where it has been taken back.

import { Announcer, describeTick, feedItem, strikeThrough } from './feed.js';
import { $ } from './text.js';

const KEEP_ITEMS = 250;

export const KINDS = {
  all: ['All', (i) => i.table !== 'rejects'], visits: ['Visits', (i) => i.table === 'visits'],
  corrections: ['Corrections', (i) => i.correction], rejects: ['Not used', (i) => i.table === 'rejects'],
};

export class FeedList {
  /** `on` has nameOf(fence), today(), and select(vehicle, focus). */
  constructor(on) {
    this.on = on;
    this.entries = [];
    this.waiting = [];
    this.kind = 'all';
    this.said = 0;
    this.corrections = 0;
    this.announcer = new Announcer($('say'));
    this.showCounts();
  }

  /** Takes what one tick changed, and gives it back in words. */
  take(changes) {
    const items = describeTick(changes, this.on.nameOf);
    this.said += items.length;
    this.waiting.push(...items);
    if (items.length && this.waiting.length === items.length) setTimeout(() => this.show(), 100);
    return items;
  }

  /** Forgets what was said: it can't be told any more what of it still holds. */
  clear() {
    for (const { element } of this.entries) element.remove();
    this.entries = [];
  }

  choose(kind) {
    this.kind = kind;
    const wanted = this.entries.filter(({ item }) => KINDS[kind][1](item));
    $('feed').replaceChildren(...wanted.map(({ element }) => element).reverse());
    this.showCounts();
  }

  show() {
    const fresh = [];
    for (const [i, item] of this.waiting.entries()) {
      this.corrections += item.correction;
      for (const strike of item.strikes) this.strikeOut(strike);
      // Of a flood only what will stay in the feed is made into elements.
      if (i < this.waiting.length - KEEP_ITEMS && !item.correction) continue;
      const entry = { item, element: feedItem(item, this.on.today(), this.on.select) };
      fresh.push(entry);
      this.entries.push(entry);
    }
    this.waiting = [];
    this.forgetOldest();
    const wanted = KINDS[this.kind][1];
    const shown = fresh.filter(({ item }) => wanted(item)).slice(-2 * KEEP_ITEMS);
    $('feed').prepend(...shown.map(({ element }) => element).reverse());
    this.showCounts();
    this.announcer.say(fresh.map(({ item }) => item).filter((i) => i.table !== 'rejects'));
  }

  /** Corrections are rare and matter longest: they outlive the rest. */
  forgetOldest() {
    if (this.entries.length <= 2 * KEEP_ITEMS) return;
    const edge = this.entries.length - KEEP_ITEMS;
    const kept = this.entries.filter(({ item }, i) => i >= edge || item.correction).slice(-1.5 * KEEP_ITEMS);
    const keep = new Set(kept);
    for (const entry of this.entries) if (!keep.has(entry)) entry.element.remove();
    this.entries = kept;
  }

  /** What was said earlier of a row that has been taken back is struck through where it stands. */
  strikeOut({ key, endOnly }) {
    for (const { item, element } of this.entries) {
      const isTakenBack = !item.said && item.kind !== 'withdrawn' && item.keys.includes(key);
      if (isTakenBack && !(endOnly && item.about === 'start')) strikeThrough(element);
    }
  }

  showCounts() {
    document.body.dataset.feed = this.said;
    document.body.dataset.corrections = this.corrections;
    $('feed-empty').hidden = $('feed').children.length > 0;
    if (this.entries.length) $('feed-empty').textContent = 'Nothing of this kind yet. Choose All to see the rest.';
    $('feed-count').textContent = this.corrections ? `${this.corrections} corrected` : '';
    const count = `${this.corrections || 'no'} correction${this.corrections === 1 ? '' : 's'}`;
    if ($('corrections').textContent !== count) $('corrections').textContent = count;
  }
}
