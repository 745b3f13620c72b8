// What both pages do alike: elements, requests, jobs with step names, messages, themes, keys, downloads.

// Elements

/** el("button.primary", {onclick: f, title: "..."}, "text", otherElement) */
export function el(what, attributes = {}, ...children) {
  const [tag, ...classes] = what.split(".");
  const made = document.createElement(tag || "div");
  if (classes.length) made.className = classes.join(" ");
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(made.style, value);
    else if (name in made && typeof value !== "string") made[name] = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter(child => child !== null && child !== undefined && child !== false));
  return made;
}

export const $ = (selector, root = document) => root.querySelector(selector);

/** Put children in place of what an element holds. */
export const fill = (element, ...children) => { element.replaceChildren(...children.flat(Infinity).filter(c => c !== null && c !== undefined && c !== false)); return element; };

// Numbers as people read them

/** A number with thousands parted, about `digits` significant digits, and a true minus. */
export function number(value, digits = 4) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  const decimals = size === 0 || size >= 10 ** (digits - 1) ? 0 : Math.min(Math.max(digits - 1 - Math.floor(Math.log10(size)), 0), 6);
  const text = value.toLocaleString("en-US", {maximumFractionDigits: decimals});
  return text === "-0" ? "0" : text.replace("-", "−");
}

/** MW as MW, GW where that reads better. */
export const power = mw => Math.abs(mw) >= 10000 ? `${number(mw / 1000, 4)} GW` : `${number(mw, 4)} MW`;

// Requests. A tab has an id of its own, so that the server tells two tabs apart.

const letters = bytes => btoa(String.fromCharCode(...bytes)).replace(/[+/=]/g, "-");
export const tab = letters(crypto.getRandomValues(new Uint8Array(18)));

export class Refusal extends Error {}

async function asked(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, {...options, headers: {"X-Tab": tab, ...(options.headers ?? {})}});
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal("The server does not answer: is it still running in its terminal?");
  }
  if (answer.ok) return answer;
  let said = `the server answered ${answer.status}`;
  try { said = (await answer.json()).error ?? said; } catch { /* no JSON: the status says it */ }
  throw new Refusal(said);
}

/** A path with parameters, and the tab's id for what the browser asks for by itself (pictures, tiles, links). */
export function address(path, parameters = {}) {
  const given = Object.entries({...parameters, tab}).filter(([, value]) => value !== undefined && value !== null);
  return `${path}?${new URLSearchParams(given)}`;
}

const query = (path, parameters) => parameters ? `${path}?${new URLSearchParams(Object.entries(parameters).filter(([, v]) => v !== undefined && v !== null))}` : path;

export const api = {
  get: async (path, parameters, options) => (await asked(query(path, parameters), options)).json(),
  bytes: async (path, parameters, options) => (await asked(query(path, parameters), options)).arrayBuffer(),
  blob: async (path, parameters, options) => (await asked(query(path, parameters), options)).blob(),
  post: async (path, data, options) => (await asked(path, {method: "POST", body: JSON.stringify(data ?? {}), ...options,
    headers: {"Content-Type": "application/json"}})).json(),
  /** Send a file as it is; says(fraction) is called on the way. */
  upload: (path, file, parameters = {}, says = () => {}) => new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", query(path, parameters));
    request.setRequestHeader("X-Tab", tab);
    request.setRequestHeader("Content-Type", file.type || "application/octet-stream");
    request.upload.onprogress = event => event.lengthComputable && says(event.loaded / event.total);
    request.onerror = () => reject(new Refusal("The file did not get through: it may be larger than the server takes."));
    request.onload = () => {
      let data = {};
      try { data = JSON.parse(request.responseText); } catch { /* the status says it */ }
      if (request.status < 300) resolve(data);
      else reject(new Refusal(data.error ?? `the server answered ${request.status}`));
    };
    request.send(file);
  }),
};

/** Binary tables of the server (cupages.wire): {head, columns: {name: typed array}}. */
export function unpackTable(buffer) {
  const size = new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, size)));
  const kinds = {f4: Float32Array, i4: Int32Array, i2: Int16Array, u1: Uint8Array, f8: Float64Array};
  const columns = {};
  for (const {name, kind, count, offset} of head.columns) columns[name] = new kinds[kind](buffer, offset, count);
  return {head, columns};
}

// Long work

/** Follow a job to its end. says(told) on every look; the promise gives the job's result. */
export async function follow(job, says = () => {}) {
  for (let wait = 100; ; wait = Math.min(wait * 1.3, 600)) {
    const told = await api.get(`/api/jobs/${job}`);
    says(told);
    if (told.state === "done") return told.result;
    if (told.state !== "running") throw Object.assign(new Refusal(told.error), {cancelled: told.state === "cancelled"});
    await new Promise(done => setTimeout(done, wait));
  }
}

/** A job in a panel: its name, the step it is at, how far, a button that cancels it. Gives the job's result. */
export async function showJob(panel, job, {after = 0} = {}) {
  const step = el("span.step", {"aria-live": "polite"}, "starting"), bar = el("progress"), time = el("span.time");
  const box = el("div.job", {role: "status"}, el("div.row", {}, step, time), bar,
    el("button.quiet", {type: "button", onclick: () => api.post(`/api/jobs/${job}/cancel`).catch(() => {})}, "Cancel"));
  box.hidden = after > 0;
  const shown = setTimeout(() => { box.hidden = false; }, after);
  panel.append(box);
  try {
    return await follow(job, told => {
      step.textContent = told.steps.at(-1)?.step ?? "starting";
      time.textContent = `${Math.round(told.seconds)} s`;
      if (told.fraction === null) bar.removeAttribute("value"); else bar.value = told.fraction;
    });
  } finally {
    clearTimeout(shown);
    box.remove();
  }
}

// Messages

/** Show a sentence for a while; kind "error" and "work" stay until they are closed. */
export function say(sentence, kind = "note") {
  let shelf = $("#messages");
  if (!shelf) document.body.append(shelf = el("div", {id: "messages", role: "log", "aria-live": "polite"}));
  const text = String(sentence);
  const message = el(`div.message.${kind}`, {role: kind === "error" ? "alert" : "status"},
    el("span", {}, text.charAt(0).toUpperCase() + text.slice(1)), el("button.quiet", {type: "button", "aria-label": "Close", onclick: () => message.remove()}, "×"));
  shelf.append(message);
  if (kind !== "error" && kind !== "work") setTimeout(() => message.remove(), 6000);
  return message;
}

/** Run something a person asked for; what goes wrong becomes a sentence. */
export async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    if (error.name === "AbortError") return undefined;
    if (error.cancelled) { say("Cancelled."); return undefined; }
    say(error.message, "error");
    if (!(error instanceof Refusal)) console.error(error);
    return undefined;
  }
}

// Light and dark: what the system says, until the person chooses

const remembered = (() => { try { return window.localStorage; } catch { return null; } })();

export const dark = () => (document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
const themed = new Set();
/** Call `f` whenever the theme changes. */
export const onTheme = f => { themed.add(f); };
export function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  try { remembered?.setItem("theme", theme); } catch { /* a private window forgets */ }
  themed.forEach(f => f());
}
export function themeButton() {
  return el("button.quiet", {type: "button", title: "Light or dark (d)", "aria-label": "Light or dark", onclick: () => setTheme(dark() ? "light" : "dark")}, "◐");
}
try {
  const theme = remembered?.getItem("theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch { /* a private window has nothing to say */ }
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => themed.forEach(f => f()));

/** A colour of the style sheet by name: colour("--ink"). */
export const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// Keys

/** keys({"d": ["Light or dark", f], "ArrowLeft": [...]}): not while someone types; ? shows the list. */
export function keys(map) {
  const all = {...map, "?": ["This list", () => help(all)]};
  document.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.closest?.("input:not([type=range]):not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]");
    if (event.key === "Escape" && typing) { event.target.blur(); return; }
    if (typing || (event.key.startsWith("Arrow") && event.target.closest?.("input[type=range], .maplibregl-canvas"))) return;
    if (event.key === " " && event.target.closest?.("button, input, a, summary")) return;
    const found = all[event.key];
    if (found) { event.preventDefault(); found[1](); }
  });
  return () => help(all);
}

const NAMES = {" ": "Space", ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Escape: "Esc"};
function help(all) {
  const dialog = el("dialog.help", {onclose: () => dialog.remove(), onclick: event => event.target === dialog && dialog.close()},
    el("h2", {}, "Keys"), el("dl", {}, Object.entries(all).map(([key, [what]]) => [el("dt", {}, el("kbd", {}, NAMES[key] ?? key)), el("dd", {}, what)])),
    el("button", {type: "button", onclick: () => dialog.close()}, "Close"));
  document.body.append(dialog);
  dialog.showModal();
}

// Downloads

/** Give a blob, or text, to the person as a file. */
export function download(name, content, type = "text/plain") {
  const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], {type}));
  const link = el("a", {href: url, download: name});
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
