// Follows /api/v1/changes for ever, and hands on one tick's changes at a time.

const FETCH_LIMIT_MS = 15_000;
const SILENCE_LIMIT_MS = 60_000;
/** A tick is taken to be complete when nothing more of it came for so long. */
const TICK_QUIET_MS = 150;
/** The cursor's index that means "after all of that tick". */
const END_OF_TICK = 4294967295;

/**
 * Follows the changes for ever. Fetch, not EventSource: the cursor can be chosen, kept over a refused
 * connection, and the answer's status (410: that far back is gone) can be seen.
 */
export class ChangeStream {
  /** `on` has tick(changes), reached(tick), state(name) and gone(). */
  constructor(url, on) {
    this.url = url;
    this.on = on;
    this.cursor = null;
    this.pending = [];
    this.retryMs = 1000;
    this.events = 0;
  }

  start(cursor) {
    this.cursor = cursor;
    this.#run(this.generation = (this.generation ?? 0) + 1);
  }

  /** Drops what is behind, and goes on after all of `tick`. */
  skipTo(tick) {
    this.flush();
    this.abort?.abort();
    this.events = 0;
    this.start(`${tick}-${END_OF_TICK}`);
  }

  async #run(generation) {
    let failures = 0;
    while (generation === this.generation) {
      this.on.state(failures ? 'reconnecting' : 'connecting');
      let gone = false;
      try {
        const opened = Date.now();
        const status = await this.#read(generation);
        gone = status === 410;
        // An id that the server can't read must not be sent for ever.
        if (status === 400 || gone) this.cursor = null;
        failures = status === 200 && Date.now() - opened > 5000 ? 0 : failures + 1;
      } catch {
        failures += 1;
      }
      if (generation !== this.generation) return;
      this.flush();
      if (gone) return this.on.gone();
      if (failures) this.on.state('reconnecting');
      await new Promise((done) => setTimeout(done, Math.min(this.retryMs * 2 ** Math.min(failures, 4), 15_000)));
    }
  }

  async #read(generation) {
    const abort = (this.abort = new AbortController());
    let watchdog = setTimeout(() => abort.abort(), FETCH_LIMIT_MS);
    const headers = { Accept: 'text/event-stream' };
    if (this.cursor) headers['Last-Event-ID'] = this.cursor;
    try {
      const answer = await fetch(this.url, { headers, cache: 'no-store', signal: abort.signal });
      if (!answer.ok) return answer.status;
      this.on.state('open');
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = '';
      for (;;) {
        clearTimeout(watchdog);
        watchdog = setTimeout(() => abort.abort(), SILENCE_LIMIT_MS);
        const { value, done } = await reader.read();
        if (done || generation !== this.generation) return answer.status;
        const blocks = (rest + value).split(/\r?\n\r?\n/);
        rest = blocks.pop();
        blocks.forEach((block) => this.#event(block));
      }
    } finally {
      clearTimeout(watchdog);
      abort.abort();
    }
  }

  #event(block) {
    const field = { event: '', data: '', id: null };
    for (const line of block.split(/\r?\n/)) {
      const colon = line.indexOf(':');
      if (colon < 1) continue;
      const name = line.slice(0, colon);
      const value = line.slice(colon + 1).replace(/^ /, '');
      if (name === 'data') field.data += (field.data && '\n') + value;
      else if (name === 'retry') this.retryMs = Number(value) || this.retryMs;
      else field[name] = value;
    }
    if (field.id) this.cursor = field.id;
    if (!field.data) return;
    const change = JSON.parse(field.data);
    if (field.event === 'tick') {
      // The server's word that everything up to here was sent.
      this.flush();
      this.on.reached(change.tick);
    }
    if (!change.row) return;
    this.events += 1;
    if (this.pending.length && this.pending[0].tick !== change.tick) this.flush();
    this.pending.push(change);
    clearTimeout(this.quiet);
    this.quiet = setTimeout(() => this.flush(), TICK_QUIET_MS);
  }

  flush() {
    clearTimeout(this.quiet);
    const changes = this.pending;
    this.pending = [];
    if (changes.length) this.on.tick(changes);
  }
}
