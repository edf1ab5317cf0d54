// What keeps a page fresh that shows a list: it is read, and read again when something of it changed.

import { ChangeStream } from './stream.js';
import { $, clock, ms } from './text.js';

const RELOAD_EVERY_MS = 30_000;
const RETRY_MS = 3000;
const END_OF_TICK = 4294967295;

/**
 * Reads with `page.load()`, which gives {as_of, tick} of what it read, and shows with `page.show(asOf)`. Changes of
 * `page.tables` are given to `page.changed(rows)`, and read again at most every `page.reloadMs`.
 */
export class LivePage {
  constructor(page) {
    this.page = page;
    this.asOf = Date.now();
    this.tick = 0;
    this.streamState = 'connecting';
    this.failed = null;
    this.timer = 0;
    this.loading = false;
    this.stream = new ChangeStream(`/api/v1/changes?tables=${page.tables}`, {
      tick: (changes) => this.#take(changes),
      reached() {},
      state: (name) => {
        this.streamState = name;
        this.#showLink();
      },
      gone: () => {
        this.tick = 0;
        this.load();
      },
    });
    document.addEventListener('visibilitychange', () => !document.hidden && this.load());
  }

  /** Reads everything again, now; while that is going on, once more after it. */
  async load() {
    clearTimeout(this.timer);
    if (this.loading) {
      this.again = true;
      return;
    }
    this.loading = true;
    let next = RELOAD_EVERY_MS;
    try {
      const { as_of: asOf, tick } = await this.page.load();
      const isFirst = !this.tick;
      Object.assign(this, { asOf: ms(asOf), tick, failed: null });
      if (isFirst) this.stream.start(`${tick}-${END_OF_TICK}`);
    } catch (problem) {
      this.failed = problem.message;
      next = RETRY_MS;
    }
    this.loading = false;
    this.#showLink();
    this.page.show(this.asOf);
    if (this.tick) document.documentElement.dataset.ready = '1';
    if (this.again) next = 0;
    this.again = false;
    this.timer = setTimeout(() => this.load(), next);
  }

  #take(changes) {
    this.page.changed?.(changes);
    clearTimeout(this.timer);
    // Changes that keep coming must not put it off for ever.
    this.due = Math.min(this.due ?? Infinity, Date.now() + this.page.reloadMs);
    this.timer = setTimeout(() => {
      this.due = null;
      this.load();
    }, Math.max(0, this.due - Date.now()));
  }

  #showLink() {
    const isLive = this.failed == null && this.streamState === 'open';
    $('link').dataset.state = isLive ? 'live' : this.tick ? 'reconnecting' : 'connecting';
    $('link-text').textContent = $('link').dataset.state;
    $('as-of').textContent = this.tick ? clock(this.asOf, Date.now(), true) : '…';
    $('as-of').dateTime = new Date(this.asOf).toISOString();
    $('notice').hidden = this.failed == null;
    const kept = this.tick ? ` What is shown is as of ${clock(this.asOf, Date.now(), true)}.` : '';
    const text = `It can’t be read: ${this.failed}.${kept} Trying again by itself.`;
    // Written only when it is another text: it is read aloud.
    if (this.failed != null && $('notice').textContent !== text) $('notice').textContent = text;
  }
}

/** Buttons of which one is chosen, as [value, words]; gives a function that says what stands behind the words. */
export function choice(box, options, chosen, choose) {
  const counts = new Map();
  for (const [value, words] of options) {
    const made = document.createElement('button');
    const count = document.createElement('b');
    made.type = 'button';
    made.append(`${words} `, count);
    made.ariaPressed = value === chosen;
    made.onclick = () => {
      for (const other of box.children) other.ariaPressed = other === made;
      choose(value);
    };
    counts.set(value, count);
    box.append(made);
  }
  return (value, count) => (counts.get(value).textContent = count);
}
