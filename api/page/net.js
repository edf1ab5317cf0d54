// Asking the service, and telling it. What it refuses becomes an error whose message is the answer's words.

const API = '/api/v1';
const READ_LIMIT_MS = 15_000;
/** An edit waits for the disk, and for what is durable to be shown. */
const WRITE_LIMIT_MS = 45_000;

async function call(path, options, limitMs) {
  const headers = { Accept: 'application/json', ...options.headers };
  const answer = await fetch(API + path, { ...options, headers, signal: AbortSignal.timeout(limitMs) });
  if (answer.ok) return answer;
  throw Object.assign(new Error(await refusal(answer)), { status: answer.status });
}

/** What a refusal says: the first record's own reason, else the problem's detail. */
async function refusal(answer) {
  const problem = await answer.json().catch(() => ({}));
  const reasons = (problem.errors ?? []).map((error) => error.reason).filter(Boolean);
  return reasons[0] ?? problem.detail ?? problem.title ?? `the service answered ${answer.status}`;
}

export async function get(path) {
  return (await call(path, {}, READ_LIMIT_MS)).json();
}

/** All pages of a list, at most `most` of them. */
export async function getAll(path, field = 'items', most = 40) {
  const found = [];
  let first = null;
  let cursor = '';
  for (let page = 0; page < most; page += 1) {
    const answer = await get(path + (cursor && `${path.includes('?') ? '&' : '?'}cursor=${encodeURIComponent(cursor)}`));
    first ??= answer;
    found.push(...(answer[field] ?? []));
    cursor = answer.next_cursor ?? '';
    if (!cursor) break;
  }
  return { ...first, [field]: found };
}

const fencePath = (id) => `/fences/${encodeURIComponent(id)}`;

/** One fence as {feature, tag, asOf}: the tag names the state that an edit is made of. */
export async function getFence(id) {
  const answer = await call(fencePath(id), {}, READ_LIMIT_MS);
  const { as_of: asOf, tick, ...feature } = await answer.json();
  return { feature, tag: answer.headers.get('etag'), asOf, tick };
}

/** Puts a fence, unless it has changed since `tag`; gives the receipt. */
export async function putFence(feature, tag) {
  const headers = { 'Content-Type': 'application/json', ...(tag && { 'If-Match': tag }) };
  const answer = await call(fencePath(feature.id), { method: 'PUT', headers, body: JSON.stringify(feature) }, WRITE_LIMIT_MS);
  return answer.json();
}

/** Posts JSON; gives the answer. */
export async function post(path, body) {
  const options = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) };
  return (await call(path, options, WRITE_LIMIT_MS)).json();
}
