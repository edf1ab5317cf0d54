// Shows /api/v1/openapi.json as a page to read and search. All text goes in as text.

const METHODS = ['get', 'post', 'put', 'patch', 'delete'];
const MAX_DEPTH = 6;

const $ = (id) => document.getElementById(id);
const make = (tag, className, ...children) => {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children.filter((c) => c != null && c !== ''));
  return element;
};

let description = {};
const resolve = (node) => {
  let found = node;
  // References to references are followed, but not in circles.
  for (let hops = 0; found?.$ref && hops < 10; hops += 1) {
    found = found.$ref.slice(2).split('/').reduce((at, key) => at?.[key.replaceAll('~1', '/').replaceAll('~0', '~')], description);
  }
  return found ?? {};
};

function typeName(schema) {
  const s = resolve(schema);
  const choices = s.oneOf ?? s.anyOf ?? s.allOf;
  if (choices) return choices.map(typeName).join(s.allOf ? ' & ' : ' | ');
  if (s.enum) return s.enum.map((v) => JSON.stringify(v)).join(' | ');
  const type = [s.type ?? (s.properties ? 'object' : 'any')].flat().join(' | ');
  const name = schema?.$ref?.split('/').at(-1);
  if (s.items) return `list of ${typeName(s.items)}`;
  return type === 'object' && name ? name : type + (s.format ? ` (${s.format})` : '');
}

/** A schema's fields as nested lists; each schema is opened once on the way down. */
function fields(schema, seen = []) {
  const s = resolve(schema);
  if (s.items) return fields(s.items, seen);
  const parts = [s, ...(s.allOf ?? []), ...(s.oneOf ?? []), ...(s.anyOf ?? [])].map(resolve);
  const entries = parts.flatMap((p) => Object.entries(p.properties ?? {}).map(([k, v]) => [k, v, p.required?.includes(k)]));
  if (!entries.length || seen.includes(s) || seen.length > MAX_DEPTH) return null;
  return make('ul', 'fields', ...entries.map(([name, value, required]) => make('li', '',
    make('code', '', name), ` ${typeName(value)}`, required ? null : make('small', '', ' optional'),
    make('span', 'quiet', resolve(value).description ? ` – ${resolve(value).description}` : ''), fields(value, [...seen, s]))));
}

function content(of) {
  return Object.entries(of?.content ?? {}).map(([kind, { schema }]) =>
    make('div', '', make('p', '', make('code', '', kind), schema ? ` ${typeName(schema)}` : ''), schema ? fields(schema) : null));
}

function operation(method, path, op, shared) {
  const parameters = [...(shared ?? []), ...(op.parameters ?? [])].map(resolve);
  const section = (title, ...children) => (children.length ? make('section', '', make('h3', '', title), ...children) : null);
  const box = make('details', '',
    make('summary', '', make('b', `method ${method}`, method.toUpperCase()), make('code', '', path), make('span', '', op.summary ?? '')),
    op.description ? make('p', '', op.description) : null,
    section('Parameters', ...(parameters.length ? [make('ul', 'fields', ...parameters.map((p) => make('li', '',
      make('code', '', p.name), ` ${typeName(p.schema)}, in ${p.in}`, p.required ? make('b', '', ' required') : null,
      make('span', 'quiet', p.description ? ` – ${p.description}` : ''))))] : [])),
    section('Body', ...content(resolve(op.requestBody))),
    section('Answers', ...Object.entries(op.responses ?? {}).map(([status, answer]) => make('div', 'answer',
      make('p', '', make('b', '', status), ` ${resolve(answer).description ?? ''}`), ...content(resolve(answer))))));
  return { box, text: [method, path, ...(op.tags ?? []), box.textContent].join(' ').toLowerCase() };
}

async function start() {
  const answer = await fetch('/api/v1/openapi.json');
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  description = await answer.json();
  const { title = 'API', version = '', description: about = '' } = description.info ?? {};
  $('title').textContent = `${title} API ${version}`;
  $('about').textContent = about;
  const all = Object.entries(description.paths ?? {}).flatMap(([path, item]) =>
    METHODS.filter((m) => item[m]).map((m) => operation(m, path, item[m], item.parameters)));
  $('operations').replaceChildren(...all.map((o) => o.box));
  const search = () => {
    const words = $('search').value.toLowerCase().split(/\s+/);
    for (const o of all) o.box.hidden = !words.every((w) => o.text.includes(w));
    const shown = all.filter((o) => !o.box.hidden);
    $('count').textContent = shown.length ? `${shown.length} of ${all.length} operations` : 'Nothing matches. Try fewer words.';
    if (shown.length === 1) shown[0].box.open = true;
  };
  $('search').oninput = search;
  search();
  document.documentElement.dataset.ready = '1';
}

start().catch((problem) => {
  $('count').textContent = `The description could not be read (${problem.message}). Is the service running? Reload the page to try again.`;
});
