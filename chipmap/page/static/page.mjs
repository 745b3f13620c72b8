// The page of `chipmap serve`: what is open, what is going on, and who is told when something changes.
import {$, api, attempt, el, fill, keys, onTheme, say, setTheme, dark, showJob, themeButton} from "/shared/common.mjs";
import {Viewer, together} from "/page/viewer.mjs";
import {makeShown} from "/page/shown.mjs";
import {makeNames} from "/page/names.mjs";
import {makeFound} from "/page/found.mjs";
import {makePhysics} from "/page/physics.mjs";
import {makeProfile} from "/page/profile.mjs";
import {makeTools} from "/page/tools.mjs";

const PICTURES = /\.(png|tiff?|jpe?g)$/i;

/** What every module shares. `current` is the document that is worked on, `other` the one beside it. */
const page = {
  shelf: null, documents: [], current: null, other: null, viewer: null, second: null, busy: false, listeners: [],
  /** Be told of every change: f(document). */
  changed(f) { this.listeners.push(f); },
  tell() { this.listeners.forEach(f => f(this.current)); },
  path(rest) { return `/api/documents/${this.current.id}${rest}`; },
  /** Ask for a job that changes the current document; gives its result, or undefined after a sentence or a cancel. */
  async job(path, data, {take = told => told} = {}) {
    if (this.busy) { say("One change at a time: wait for this one, or cancel it."); return undefined; }
    this.busy = true;
    const id = this.current.id;
    try {
      return await attempt(async () => {
        const started = await api.post(`/api/documents/${id}${path}`, data);
        const result = await showJob($("#jobs"), started.id);
        const told = take(result);
        if (told?.id === id) await replaceDocument(told);
        return result;
      });
    } finally { this.busy = false; }
  },
};
globalThis.page = page;     // for the console, and for tests

async function replaceDocument(told) {
  page.documents = page.documents.map(d => d.id === told.id ? told : d);
  if (page.current?.id === told.id) { page.current = told; await page.viewer.show(told); }
  if (page.other?.id === told.id) { page.other = told; await page.second.show(told); }
  listPictures();
  page.tell();
}

async function choose(told) {
  page.current = told;
  document.body.classList.remove("empty");
  page.viewer.map.resize();
  await page.viewer.show(told);
  listPictures();
  page.tell();
}

async function opened(told, others) {
  page.documents.push(told);
  if (page.current && others) { listPictures(); return; }
  await choose(told);
  if (!told.analysis) await firstLook(told);
}

/** Phases and objects of a picture just opened, unless it is too big to be analysed whole without being asked. */
async function firstLook(told) {
  if (told.rows * told.columns > page.shelf.most_pixels) {
    say(`This picture is big: zoom to the part that matters, then "Analyse view".`);
    return;
  }
  await page.job("/analyse", {});
}

async function openFiles(files) {
  const pictures = [...files].filter(file => PICTURES.test(file.name) || file.type.startsWith("image/"));
  if (!pictures.length) { say("No picture among these: PNG, TIFF and JPEG are read.", "error"); return; }
  pictures.sort((a, b) => a.name.localeCompare(b.name, "en", {numeric: true}));
  for (const [number, file] of pictures.entries()) {
    await attempt(async () => {
      if (file.size > page.shelf.largest_upload) throw new Error(`${file.name} is larger than ${page.shelf.largest_upload / 2 ** 30} GB, which is the most that is taken.`);
      const note = el("div.job", {role: "status"}, el("div.row", {}, el("span.step", {}, `sending ${file.name}`)), el("progress"));
      $("#jobs").append(note);
      let job;
      try { job = await api.upload("/api/upload", file, {name: file.name}, share => { $("progress", note).value = share; }); } finally { note.remove(); }
      await opened(await showJob($("#jobs"), job.id), number > 0);
    });
  }
}

async function openItem(item) {
  await attempt(async () => opened(await showJob($("#jobs"), (await api.post("/api/open", {item})).id)));
}

function listPictures() {
  fill($("#pictures"), page.documents.map(told => el("span", {}, el("button.quiet", {type: "button", "aria-pressed": String(told.id === page.current?.id), title: told.name,
    onclick: () => choose(told).then(() => told.analysis ?? firstLook(told))}, el("span", {}, told.name)),
  el("button.quiet.close", {type: "button", title: `Close ${told.name}`, "aria-label": `Close ${told.name}`, onclick: () => close(told)}, "×"))));
}

async function close(told) {
  if (page.busy && told.id === page.current.id) { say("Wait for what is going on, or cancel it, then close."); return; }
  await attempt(async () => {
    await api.post(`/api/documents/${told.id}/close`, {});
    page.documents = page.documents.filter(d => d.id !== told.id);
    if (apart && page.other?.id === told.id) await compare();
    if (page.current.id !== told.id) { listPictures(); return; }
    if (page.documents.length) { await choose(page.documents[0]); return; }
    if (apart) await compare();
    page.current = null;
    document.body.classList.add("empty");
    listPictures();
    page.tell();
  });
}

function chosen(input) {
  const files = [...input.files];
  input.value = "";       // so that the same file can be chosen again
  openFiles(files);
}

function welcome() {
  const input = el("input", {type: "file", multiple: true, accept: ".png,.tif,.tiff,.jpg,.jpeg", hidden: true, id: "file", onchange: event => chosen(event.target)});
  const folder = el("input", {type: "file", webkitdirectory: true, hidden: true, onchange: event => chosen(event.target)});
  const items = page.shelf.items;
  fill($("#welcome"), el("div.drop-zone", {}, el("img", {src: "/page/icon.svg", width: 56, height: 56, alt: ""}),
    el("h1", {}, "Drop a microscope picture"), el("p.soft", {}, "PNG, TIFF or JPEG, or a folder of them. Everything stays on this machine."),
    el("div.row", {}, el("button.primary", {type: "button", onclick: () => input.click()}, "Choose pictures"), el("button", {type: "button", onclick: () => folder.click()}, "Choose a folder")),
    input, folder,
    items.length ? el("ul", {}, items.map(item => el("li", {}, el("button", {type: "button", onclick: () => openItem(item.id)}, el("span", {}, item.name), el("span.soft", {}, item.run ? "run" : "picture"))))) : null));
  $("#tools-head").prepend(el("button", {type: "button", title: "Open pictures (o)", onclick: () => input.click()}, "Open…"));
  return input;
}

/** Everything that was dropped, folders looked into. */
async function dropped(transfer) {
  const entries = [...transfer.items].map(item => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files];
  const files = [];
  const walk = async entry => {
    if (entry.isFile) files.push(await new Promise((done, failed) => entry.file(done, failed)));
    else {
      const reader = entry.createReader();
      for (let part; (part = await new Promise((done, failed) => reader.readEntries(done, failed))).length;) for (const inner of part) await walk(inner);
    }
  };
  for (const entry of entries) await walk(entry);
  return files;
}

function watchDrops() {
  let depth = 0;
  const has = event => event.dataTransfer?.types.includes("Files");
  addEventListener("dragenter", event => { if (has(event)) { depth += 1; document.body.classList.add("dragging"); } });
  addEventListener("dragleave", () => { depth = Math.max(depth - 1, 0); document.body.classList.toggle("dragging", depth > 0); });
  addEventListener("dragover", event => { if (has(event)) event.preventDefault(); });
  addEventListener("drop", async event => {
    if (!has(event)) return;
    event.preventDefault();
    depth = 0;
    document.body.classList.remove("dragging");
    openFiles(await dropped(event.dataTransfer));
  });
}

// Side by side

function pane() {
  const stage = el("div.stage"), bar = el("div.scale-bar"), made = el("div.pane", {}, stage, bar);
  $("#panes").append(made);
  return {made, viewer: new Viewer(stage, bar)};
}

let apart = null;
async function compare() {
  if (apart) { apart(); apart = null; return; }
  const {made, viewer} = pane();
  page.second = viewer;
  const choice = el("select", {"aria-label": "Picture on the right", onchange: async () => { page.other = page.documents.find(d => d.id === choice.value); await viewer.show(page.other); showRight(); }});
  const view = el("select", {"aria-label": "What is shown on the right", onchange: () => showRight()}, el("option", {value: "picture"}, "picture alone"), el("option", {value: "materials"}, "materials"),
    el("option", {value: "confidence"}, "confidence"), el("option", {value: "runner-up"}, "runner-up"));
  made.append(el("div.caption.card", {}, choice, view));
  const list = () => { const kept = choice.value; fill(choice, page.documents.map(d => el("option", {value: d.id, selected: d.id === kept}, d.name))); };
  const showRight = () => {
    const analysed = page.other?.analysis;
    viewer.overlay(!analysed ? {} : view.value === "materials" ? Object.fromEntries(analysed.materials.map((m, i) => [`material-${i}`, 0.55])) : view.value === "picture" ? {} : {[view.value]: 0.85});
  };
  list();
  page.other = page.documents.find(d => d.id !== page.current.id) ?? page.current;
  choice.value = page.other.id;
  if (page.other.id !== page.current.id && page.other.analysis) view.value = "materials";
  page.viewer.map.resize();
  await viewer.show(page.other);
  page.viewer.fit(0);
  const part = together(page.viewer.map, viewer.map);
  const heard = () => { list(); showRight(); };
  page.listeners.push(heard);
  showRight();
  page.tell();
  apart = () => {
    part();
    page.listeners = page.listeners.filter(f => f !== heard);
    viewer.map.remove();
    made.remove();
    page.second = page.other = null;
    page.viewer.map.resize();
    if (page.current) page.viewer.fit(0);
    page.tell();
  };
}

async function begin() {
  page.shelf = await api.get("/api/shelf");
  const input = welcome();
  document.body.classList.add("empty");
  const first = pane();
  page.viewer = first.viewer;
  first.made.append($("#colour-bar"));
  const side = el("button", {type: "button", title: "Two pictures side by side (c)", "aria-pressed": "false", onclick: () => compare()}, "Side by side");
  page.changed(() => { side.disabled = !page.current; side.setAttribute("aria-pressed", String(Boolean(page.second))); });
  $("#tools-head").append(side);
  makeShown(page, $("#left"));
  makeNames(page, $("#left"));
  makeFound(page, $("#right"));
  makePhysics(page, $("#right"));
  makeProfile(page, $("#right"));
  const tools = makeTools(page);
  watchDrops();
  const theme = () => setTheme(dark() ? "light" : "dark");
  const help = keys({...tools.keys, o: ["Open pictures", () => input.click()], c: ["Two pictures side by side", () => page.current && compare()], d: ["Light or dark", theme]});
  $("#tools-head").append(themeButton(), el("button.quiet", {type: "button", title: "Keys (?)", "aria-label": "Keys", onclick: help}, "?"));
  onTheme(() => page.tell());
  page.tell();
  if (page.shelf.items.length === 1) await openItem(page.shelf.items[0].id);
  document.documentElement.dataset.ready = "true";
}

attempt(begin);
