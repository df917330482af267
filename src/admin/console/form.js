// A draft of settings: what was read, what was typed since, and the merge patch (RFC 7396) between the two.

/** Reads a dotted path. */
export function at(tree, path) {
  return path.split(".").reduce((value, key) => (value === null || value === undefined ? undefined : value[key]), tree);
}

/** Writes a dotted path; an absent value removes the key, and a table that has no key left goes with it. */
export function put(tree, path, value, isListKept = false) {
  const [key, ...rest] = path.split(".");
  if (rest.length === 0) {
    if (isAbsent(value) && !(isListKept && Array.isArray(value))) delete tree[key];
    else tree[key] = value;
    return;
  }
  if (typeof tree[key] !== "object" || tree[key] === null) tree[key] = {};
  put(tree[key], rest.join("."), value, isListKept);
  if (Object.keys(tree[key]).length === 0) delete tree[key];
}

function isAbsent(value) {
  return value === undefined || value === null || value === "" || (Array.isArray(value) && value.length === 0);
}

/** What a merge patch must say to make `before` into `after`. */
export function mergePatch(before, after) {
  const patch = {};
  for (const key of new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])) {
    const [old, now] = [before?.[key], after?.[key]];
    if (same(old, now)) continue;
    if (now === undefined) patch[key] = null;
    else if (isTable(old) && isTable(now)) patch[key] = mergePatch(old, now);
    else patch[key] = now;
  }
  return patch;
}

function isTable(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function same(one, other) {
  return canonical(one) === canonical(other);
}

function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (!isTable(value)) return JSON.stringify(value) ?? "absent";
  return `{${Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join()}}`;
}

/** How many settings differ. */
function leaves(patch) {
  return Object.values(patch).reduce((sum, value) => sum + (isTable(value) ? Math.max(1, leaves(value)) : 1), 0);
}

/** The draft of one site, shared by the sections of its page. */
export class Draft {
  constructor(settings, effective = {}) {
    this.effective = effective;
    this.fields = new Map();
    this.listeners = new Set();
    this.reset(settings);
  }

  reset(settings) {
    this.before = structuredClone(settings ?? {});
    this.now = structuredClone(settings ?? {});
  }

  read(path) {
    return at(this.now, path);
  }

  /** What holds where the key is absent. */
  fallback(path) {
    return at(this.effective, path);
  }

  write(path, value) {
    put(this.now, path, value);
    this.told(path);
  }

  /** Writes a list that means something while it is empty, too. */
  writeList(path, items) {
    put(this.now, path, items, true);
    this.told(path);
  }

  told(path) {
    this.fields.get(path)?.clear();
    this.notify();
  }

  /** How many of these paths have a value. */
  countSet(paths) {
    return paths.reduce((sum, path) => {
      const value = this.read(path);
      return sum + (isTable(value) ? leaves(value) : value === undefined || value === null ? 0 : 1);
    }, 0);
  }

  notify() {
    for (const listener of this.listeners) listener();
  }

  patch() {
    return mergePatch(this.before, this.now);
  }

  changes() {
    return leaves(this.patch());
  }

  /** Shows problems at their fields; returns those that no field of the page is about. */
  show(problems) {
    for (const field of this.fields.values()) field.clear();
    const rest = problems.filter((problem) => {
      const key = keyOf(problem);
      const paths = [...this.fields.keys()];
      const own = paths.filter((path) => key === path || key.startsWith(`${path}.`)).sort((a, b) => b.length - a.length)[0];
      const path = own ?? paths.find((path) => path.startsWith(`${key}.`));
      if (path) this.fields.get(path).fail({ ...problem, within: own ? key.slice(own.length + 1).split(".").filter(Boolean) : [] });
      return !path;
    });
    [...this.fields.values()].find((field) => field.failed())?.focus();
    return rest;
  }
}

/** The path of the setting that a problem is about: `site[1].rule[2].ttl` is `rule.2.ttl`. */
function keyOf({ key, what }) {
  const path = (key ?? "").replace(/^site\[\d+\]\.?/, "").replace(/\[(\d+)\]/g, ".$1");
  const missing = /^`(\w+)` is missing/.exec(what);
  return missing ? [path, missing[1]].filter(Boolean).join(".") : path;
}
