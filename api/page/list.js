// The list of trucks, or of places: searched, filtered, and walked through by keyboard.

import { $, button, make } from './text.js';

const ROW_PX = 52;

/** Buttons of which one is pressed; the first one is, to begin with. */
export function chips(box, entries, choose) {
  for (const [name, label, sign] of entries) {
    const chip = button('', () => {
      for (const other of box.children) other.ariaPressed = String(other === chip);
      choose(name);
    }, sign && make('i', `sign ${sign}`), `${label} `, make('b'));
    chip.dataset.name = name;
    chip.ariaPressed = String(!box.children.length);
    box.append(chip);
  }
}

export class List {
  /** `on` has describe(thing) as {kind, sign, title, text, small}, matches(thing, search), open(thing) and searched(). */
  constructor(on) {
    this.on = on;
    this.shown = [];
    this.active = -1;
    this.search = '';
    const [list, search] = [$('list'), $('search')];
    search.oninput = () => this.find(search.value);
    search.onkeydown = list.onkeydown = (event) => this.keys(event);
    list.onscroll = () => this.showRows();
    $('rows').onclick = (event) => {
      const row = event.target.closest('.row');
      if (row) this.on.open(this.shown[Number(row.dataset.index)]);
    };
    new ResizeObserver(() => this.showRows()).observe(list);
  }

  find(text) {
    this.search = text.trim().toLowerCase();
    this.active = -1;
    this.on.searched();
  }

  /** Shows what matches of these things, each with an id; the one that is chosen stays so. */
  show(things) {
    const chosen = this.shown[this.active]?.id;
    this.shown = things.filter((thing) => !this.search || this.on.matches(thing, this.search));
    this.active = chosen == null ? -1 : this.shown.findIndex((thing) => thing.id === chosen);
    this.showRows();
  }

  /** Only the rows in sight are in the document, so that 5,000 trucks cost what 20 do. */
  showRows() {
    const { shown, active } = this;
    const list = $('list');
    const first = Math.max(0, Math.floor(list.scrollTop / ROW_PX) - 4);
    const last = Math.min(shown.length, first + Math.ceil(list.clientHeight / ROW_PX) + 9);
    $('rows').style.height = `${shown.length * ROW_PX}px`;
    const rows = $('rows').children;
    while (rows.length > Math.max(0, last - first)) rows[rows.length - 1].remove();
    while (rows.length < last - first) {
      const row = make('div', 'row', make('i'), make('b'), make('span'), make('small'));
      row.role = 'option';
      $('rows').append(row);
    }
    for (let i = first; i < last; i += 1) this.showRow(rows[i - first], i);
    if (active >= 0) list.setAttribute('aria-activedescendant', `row-${active}`);
    else list.removeAttribute('aria-activedescendant');
  }

  showRow(row, index) {
    const thing = this.shown[index];
    const { kind, sign, title, text, small } = this.on.describe(thing);
    row.id = `row-${index}`;
    row.dataset.index = index;
    row.dataset.kind = kind;
    row.dataset.thing = thing.id;
    row.style.top = `${index * ROW_PX}px`;
    row.ariaSetSize = this.shown.length;
    row.ariaPosInSet = index + 1;
    row.ariaSelected = String(index === this.active);
    row.children[0].className = `sign ${sign}`;
    [title, text, small].forEach((words, n) => { if (row.children[n + 1].textContent !== words) row.children[n + 1].textContent = words; });
  }

  activate(index) {
    const list = $('list');
    this.active = Math.max(0, Math.min(this.shown.length - 1, index));
    const top = this.active * ROW_PX;
    if (top < list.scrollTop) list.scrollTop = top;
    if (top + ROW_PX > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW_PX - list.clientHeight;
    this.showRows();
  }

  keys(event) {
    const page = Math.max(1, Math.floor($('list').clientHeight / ROW_PX) - 1);
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -1e9, End: 1e9 }[event.key];
    const inSearch = event.target === $('search');
    if (event.key === 'Enter' || (event.key === ' ' && !inSearch)) {
      const thing = this.shown[Math.max(0, this.active)];
      if (thing) this.on.open(thing);
    } else if (step && !(inSearch && Math.abs(step) > page)) {
      this.activate(this.active < 0 && Math.abs(step) === 1 ? 0 : this.active + step);
      $('list').focus();
    } else {
      return;
    }
    event.preventDefault();
  }
}
