// The admin API: one function a way of asking. Every failure is a Problem with a status, words and, for a bad
// configuration, its problems by key.

const BASE = "/api/v1";

/** What went wrong (RFC 9457). `status` 0 means that no answer came. */
export class Problem extends Error {
  constructor(status, body, headers) {
    super(body?.detail || body?.title || `The server answered ${status}.`);
    this.status = status;
    this.title = body?.title || "";
    this.problems = body?.problems ?? [];
    this.rehearsal = body?.rehearsal ?? null;
    this.retryAfter = Number(headers?.get("Retry-After")) || null;
  }
}

const hooks = { signIn: null, reachable: () => {} };

/** `signIn()` asks the user to sign in again and resolves when that is done; `reachable(bool)` hears of each answer. */
export function onApi(changes) {
  Object.assign(hooks, changes);
}

/** Sends one request and reads its answer: `{ body, etag, status }`. */
export async function call(method, path, options = {}) {
  const response = await send(method, path, options);
  const type = response.headers.get("Content-Type") ?? "";
  const body = response.status === 204 ? null : type.includes("json") ? await response.json() : await response.text();
  return { body, etag: response.headers.get("ETag"), status: response.status };
}

export async function read(path, signal) {
  return (await call("GET", path, { signal })).body;
}

/** Reads an answer of JSON lines as they come. */
export async function stream(path, body, onLine, signal) {
  const response = await send("POST", path, { body, signal });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    rest += value ?? "";
    const lines = rest.split("\n");
    rest = lines.pop();
    for (const line of lines) if (line.trim()) onLine(JSON.parse(line));
    if (done) break;
  }
  if (rest.trim()) onLine(JSON.parse(rest));
}

async function send(method, path, options) {
  for (;;) {
    const response = await attempt(method, path, options);
    if (response.ok) return response;
    if (response.status === 401 && hooks.signIn && !options.anonymous) {
      await hooks.signIn();
      continue;
    }
    throw new Problem(response.status, await problemOf(response), response.headers);
  }
}

async function attempt(method, path, { body, text, ifMatch, signal }) {
  const headers = { Accept: "application/json, application/x-ndjson, text/plain, application/problem+json" };
  if (body !== undefined) headers["Content-Type"] = method === "PATCH" ? "application/merge-patch+json" : "application/json";
  if (text !== undefined) headers["Content-Type"] = "application/toml";
  if (ifMatch) headers["If-Match"] = ifMatch;
  try {
    const payload = body !== undefined ? JSON.stringify(body) : text;
    const response = await fetch(BASE + path, { method, headers, body: payload, signal, credentials: "same-origin", cache: "no-store" });
    hooks.reachable(true);
    return response;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    hooks.reachable(false);
    throw new Problem(0, { title: "No answer", detail: "Millpond did not answer. Is it running, and can this browser reach it?" });
  }
}

async function problemOf(response) {
  try {
    return JSON.parse(await response.text());
  } catch {
    return { title: response.statusText };
  }
}

/** A path below the base with its variable parts escaped: path`/sites/${name}`. */
export function path(parts, ...values) {
  return parts.reduce((whole, part, index) => whole + encodeURIComponent(values[index - 1]) + part);
}

/** `?a=1&b=2` of what is set. */
export function query(values) {
  const set = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return set.length ? `?${new URLSearchParams(set)}` : "";
}
