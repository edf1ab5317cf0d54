// Words, times and elements: what every part of the page says things with. All text goes in as text.

export const ms = (text) => (text == null ? null : Date.parse(text));

/** A duration in words, with blanks that do not break. */
export function duration(millis) {
  const seconds = Math.max(0, Math.round(millis / 1000));
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (seconds < 60) return `${seconds}\u00a0s`;
  if (minutes < 60) return `${minutes}\u00a0min`;
  if (hours < 48) return `${hours}\u00a0h\u00a0${String(minutes % 60).padStart(2, '0')}\u00a0min`;
  return `${Math.floor(hours / 24)}\u00a0d\u00a0${hours % 24}\u00a0h`;
}

const clockFormat = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const secondsFormat = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const dayFormat = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });
const fullFormat = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'long' });

/** The time of day in the browser's zone, with the date where it is not that of `today`. */
export function clock(millis, today, seconds = false) {
  const time = (seconds ? secondsFormat : clockFormat).format(millis);
  const day = dayFormat.format(millis);
  return day === dayFormat.format(today) ? time : `${day}, ${time}`;
}
export const fullTime = (millis) => fullFormat.format(millis);

/** `3 visits`, `1 visit`, `no visit`. */
export const counted = (count, noun) => `${count || 'no'} ${noun}${count > 1 ? 's' : ''}`;

/** What a change came of, as its badge says it. `first` is the normal course of things, and says nothing. */
const CAUSES = {
  settings: 'settings', backfill: 'backfill', fence_end: 'fence ended', fence_edit: 'fence edited',
  cleaning: 'jump filter', superseded: 'fix replaced', late_fix: 'late fix',
};
/** A cause in words; null for the normal course, and where none is told. A cause yet unknown is said as it is. */
export const causeWords = (cause) => (cause == null || cause === 'first' ? null : CAUSES[cause] ?? String(cause));

/** An element with children; what is null or empty is left out. */
export const make = (tag, className, ...children) => {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children.filter((c) => c));
  return element;
};

/** A button that does not submit anything. */
export const button = (className, onclick, ...children) => {
  const made = make('button', className, ...children);
  made.type = 'button';
  made.onclick = onclick;
  return made;
};

export const $ = (id) => document.getElementById(id);
