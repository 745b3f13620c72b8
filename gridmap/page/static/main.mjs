// The gridmap page: everything is wired here.
import {$, api, attempt, download, el, fill, keys, number, onTheme, power, say, setTheme, dark, showJob, themeButton, unpackTable, colour} from "/shared/common.mjs";
import {picture, scaleBar, toPlane} from "/shared/map.mjs";
import {Atlas, shade} from "/page/atlas.mjs";
import {fetchHour, here, metricValues, on, regionName, rowOfId, says, state, tell} from "/page/state.mjs";
import {buildLeft, showLegend} from "/page/left.mjs";
import {buildTime} from "/page/time.mjs";
import {buildRight, openPlant, openRegion, openTab} from "/page/right.mjs";
import {buildSearch} from "/page/search.mjs";

const FEW = 1000;       // corridors that are shown without being asked for
let atlas, asking, time, touched = false;

async function start() {
  await ready();
  const hash = new URLSearchParams(location.hash.slice(1));
  state.by = state.about.sets.includes(hash.get("by")) ? hash.get("by") : state.about.first;
  state.row = Math.min(Math.max(parseInt(hash.get("row") ?? state.about.peak, 10) || 0, 0), state.about.hours - 1);
  state.metric = hash.get("metric") ?? "balance";
  for (const layer of (hash.get("layers") ?? "").split(",").filter(Boolean)) state.layers[layer] = true;
  $("#loading-step").textContent = "drawing the map";
  const [set, borders, hour] = await Promise.all([api.get("/api/set", {by: state.by}), api.get("/api/shapes/borders", {by: state.by}), fetchHour(state.row)]);
  Object.assign(state, {set, borders, hour});
  if (!usable(state.metric)) state.metric = "balance";
  if (state.metric in set.has) await still(state.metric);
  state.layers.corridors ||= set.tails.length < FEW;
  atlas = new Atlas({container: "map", bounds: set.bounds, fuels: state.about.fuels, voltages: state.about.voltages,
    sources: {regions: new URL(`/api/shapes/regions?by=${state.by}`, location.href).href, borders: new URL(`/api/shapes/borders?by=${state.by}`, location.href).href}});
  globalThis.atlas = atlas;
  $("#title").textContent = state.about.title;
  buildHead();
  buildLeft($("#left"), {setMetric, setLayer: (layer, shown) => { touched ||= layer === "corridors"; setLayer(layer, shown); }, fuels: off => atlas.filterFuels(off), year, study, save});
  buildRight($("#right"), {go, applyScenario, clearScenario, fly});
  time = buildTime($("#time"), {go});
  buildSearch($("#search"), {fly, openPlant});
  await atlas.loaded;
  atlas.renameOnMove();
  scaleBar(atlas.map, $("#scale"), set.span_km, km => km < 1 ? `${km * 1000} m` : `${number(km, 3)} km`);
  const later = ["plants", "lines"].filter(layer => state.layers[layer]);      // the regions first
  for (const [layer, shown] of Object.entries(state.layers)) setLayer(layer, shown && !later.includes(layer));
  show();
  wireMap();
  onTheme(() => { atlas.dress(); show(); });
  const id = hash.get("region");
  if (id && rowOfId(id) >= 0) openRegion(rowOfId(id));
  await atlas.idle();
  $("#loading").remove();
  globalThis.pageReady = performance.now();
  later.forEach(layer => setLayer(layer, true));
  atlas.idle().then(() => { globalThis.pageWhole = performance.now(); });
  drawCurve();
  if (!state.set.solved && hash.get("year") !== "no") year();
}

/** Wait for the server's data, telling its step. */
async function ready() {
  for (;;) {
    state.about = await api.get("/api/system");
    if (state.about.ready) return;
    if (state.about.error) { fill($("#loading .card"), el("h2", {}, "This system can't be shown"), el("p.bad", {}, state.about.error)); throw new Error(state.about.error); }
    $("#loading-step").textContent = state.about.step;
    await new Promise(done => setTimeout(done, 250));
  }
}

const usable = metric => metric in state.set.metrics && (!(metric in state.set.has) || state.set.has[metric]) && (metric !== "change" || !!state.scenario);

async function still(metric) {
  const key = `${state.by} ${metric}`;
  state.still[key] ??= unpackTable(await api.bytes(`/api/still/${metric}`, {by: state.by})).columns.value;
}

// What is on the screen

function show() {
  const {hour, set} = state;
  const values = metricValues();
  const metric = set.metrics[state.metric];
  if (values) atlas.colourRegions(values, metric.classes);
  atlas.outlinePockets(state.borders, hour.columns.pocket);
  atlas.name(hour.head.pockets.map(p => ({at: set.at[p.at], name: p.name, says: power(p.mw)})));
  corridors();
  summary();
  showLegend();
  remember();
}

function corridors() {
  if (!state.layers.corridors) return;
  const {hour: {columns: c, head}, set} = state;
  atlas.drawCorridors({at: set.at, tails: set.tails, heads: set.heads, forward: set.forward, backward: set.backward, loading: c.loading, binding: c.binding, more: head.new, least: state.least}, state.about.loadings);
}

function summary() {
  const {head} = state.hour, t = head.totals;
  const item = (name, value, kind = "", more = {}) => el("div", {}, el(`b${kind}`, more, value), el("span", {}, name));
  fill($("#summary"), item("Demand", power(t.demand)), item("Supply", power(t.supply)), item("Short if alone", power(t.isolated)), item("Short after flows", power(t.unserved), ".bad", {"data-short": t.unserved}),
    item("Pockets", `${Math.max(0, ...state.hour.columns.pocket)}`), head.before_mw !== null && item("By the scenario", `${t.unserved >= head.before_mw ? "+" : ""}${power(t.unserved - head.before_mw)}`));
  $("#summary").hidden = false;
}

function remember() {
  const told = new URLSearchParams({by: state.by, row: state.row, metric: state.metric, ...(state.region === null ? {} : {region: state.set.ids[state.region]})});
  history.replaceState(null, "", `#${told}`);
}

// What the person does

async function go(row) {
  row = Math.min(Math.max(row, 0), state.about.hours - 1);
  asking?.abort();
  asking = new AbortController();
  const mine = asking;
  const hour = await attempt(() => fetchHour(row, mine.signal));
  if (!hour || mine !== asking) return false;
  state.row = row;
  state.hour = hour;
  show();
  tell("hour");
  return true;
}

async function setMetric(metric) {
  if (!usable(metric)) return;
  if (metric in state.set.has) await attempt(() => still(metric));
  state.metric = metric;
  show();
  tell("metric");
}

function setLayer(layer, shown) {
  state.layers[layer] = shown;
  if ((layer === "plants" || layer === "lines") && shown && !atlas[`has_${layer}`]) {
    atlas[`has_${layer}`] = true;
    atlas.map.getSource(layer).setData(new URL(`/api/shapes/${layer}`, location.href).href);
  }
  atlas.show(layer, shown);
  if (layer === "corridors" && shown) corridors();
  tell("layers");
}

async function setRegions(by) {
  if (by === state.by) return;
  await attempt(async () => {
    time.stop();
    const message = say(by.includes(":") ? `Laying ${by} over the land: plants, demand and corridors are read again …` : `Joining regions by ${by} …`, "work");
    const before = {by: state.by, region: state.region};
    Object.assign(state, {by, region: null});       // at once: the open region is none of the set that is coming
    try {
      const [set, borders, hour] = await Promise.all([api.get("/api/set", {by}), api.get("/api/shapes/borders", {by}), fetchHour(state.row)]);
      Object.assign(state, {set, borders, hour, region: null});
    } catch (error) { Object.assign(state, before); throw error; } finally { message.remove(); }
    if (!usable(state.metric)) state.metric = "balance";
    if (state.metric in state.set.has) await still(state.metric);
    await atlas.changeShapes({regions: new URL(`/api/shapes/regions?by=${by}`, location.href).href, borders: new URL(`/api/shapes/borders?by=${by}`, location.href).href});
    if (!touched) setLayer("corridors", state.set.tails.length < FEW);
    show();
    pins();
    tell("set");
    drawCurve();
    if (!state.set.solved) year();
  });
}

async function applyScenario(changes, text) {
  const answer = await api.post("/api/scenario", text === undefined ? {by: state.by, row: state.row, changes} : {by: state.by, row: state.row, toml: text});
  state.scenario = {...answer, stamp: `${Date.now()}`};
  state.metric = "change";
  state.hour = await fetchHour(state.row);
  show();
  pins();
  tell("metric");
  tell("hour");
  const moved = answer.regions.map(r => rowOfId(r.id)).filter(r => r >= 0);
  if (moved.length) atlas.fitPlaces(moved.map(r => state.set.at[r]), 4.6);
  return answer;
}

async function clearScenario() {
  state.scenario = null;
  if (state.metric === "change") state.metric = "balance";
  state.hour = await fetchHour(state.row);
  show();
  pins();
  tell("metric");
  tell("hour");
}

/** Where the scenario changes something. */
function pins() {
  const marks = {load: "+", add: "+", retire: "−"}, {at} = state.set;
  const found = Object.entries(state.scenario?.changes ?? {}).flatMap(([kind, rows]) => rows.flatMap(change => {
    const place = change.region !== undefined ? at[rowOfId(change.region)] : kind === "retire" ? state.plants?.find(p => p.i === change.plant_id)?.at : null;
    return place && marks[kind] ? [{at: place, kind, mark: marks[kind]}] : [];
  }));
  atlas.pin(found);
}

function fly(row, zoom = 5) { atlas.map.easeTo({center: state.set.at[row], zoom: Math.max(atlas.map.getZoom(), zoom), duration: 600}); }

async function year() {
  const by = state.by;
  await attempt(async () => {
    const {job} = await api.post("/api/year", {by});
    const drawn = setInterval(() => drawCurve(), 3000);
    try { await showJob($("#jobs"), job); } finally { clearInterval(drawn); }
    if (state.by === by) Object.assign(state.set, {solved: true, has: {...state.set.has, short: true, energy: true}});
    drawCurve();
    tell("solved");
  });
}

async function study(samples) {
  const by = state.by;
  await attempt(async () => {
    const {job} = await api.post("/api/adequacy", {by, samples});
    await showJob($("#jobs"), job);
    if (state.by !== by) return;
    delete state.still[`${by} lole`];
    delete state.still[`${by} eue`];
    const set = await api.get("/api/set", {by});
    Object.assign(state.set, {has: set.has, adequacy: set.adequacy});
    tell("solved");
    await setMetric("lole");
  });
}

async function drawCurve() {
  const table = await attempt(async () => unpackTable(await api.bytes("/api/curve", {by: state.by})));
  if (table) time.curve(table);
}

async function save(kind) {
  await attempt(async () => {
    const name = `gridmap-${state.by}-${says(state.row).slice(0, 16).replace(/[ :]/g, "-")}`;
    if (kind === "png") {
      const metric = state.set.metrics[state.metric];
      const blob = await picture(atlas.map, {title: `${metric.title} (${metric.unit})`, subtitle: `${state.about.title}, by ${state.by}, ${says(state.row)}, ${state.about.basis} capacity${state.scenario ? ", with the scenario" : ""}`,
        rows: metric.classes.map(c => ({colour: shade(c.colour), label: c.label})), paper: colour("--panel"), ink: colour("--ink")});
      download(`${name}.png`, blob);
      return;
    }
    const {job} = await api.post("/api/file", {...here(), kind, scenario: !!state.scenario});
    const made = await showJob($("#jobs"), job, {after: 200});
    download(made.name, await api.blob(`/api/file/${job}`));
  });
}

// The frame

function buildHead() {
  const names = {county: "County", state: "State", zone: "Zone", area: "Demand area", group: "Group", nerc: "NERC region", interconnect: "Interconnect"};
  const {sets} = state.about, named = by => names[by] ?? by.replace(/^h3:/, "Hexagons, H3 resolution ").replace(/^raster:/, "Squares of ");
  const buttons = () => fill($("#sets"), sets.length > 1 && el("div.segments", {}, sets.slice(0, 3).map(by => el("button", {type: "button", "aria-pressed": `${by === state.by}`, onclick: () => setRegions(by)}, named(by)))),
    sets.length > 3 && el("select", {"aria-label": "More region sets", onchange: event => event.target.value && setRegions(event.target.value)}, el("option", {value: ""}, "More …"),
      sets.slice(3).map(by => el("option", {value: by, selected: by === state.by}, named(by)))));
  buttons();
  on("set", buttons);
  const help = keys({
    "ArrowLeft": ["One hour back", () => go(state.row - 1)], "ArrowRight": ["One hour on", () => go(state.row + 1)],
    "ArrowUp": ["One day back", () => go(state.row - 24)], "ArrowDown": ["One day on", () => go(state.row + 24)],
    " ": ["Play and stop", () => time.play()], "w": ["The next of the worst hours", () => time.nextWorst()], "/": ["Search", () => $("#search input").focus()],
    "b": ["Colour by what is short or spare", () => setMetric("balance")], "c": ["Colour by confidence", () => setMetric("confidence")], "s": ["Scenario", () => openTab("scenario")],
    "p": ["Plants", () => setLayer("plants", !state.layers.plants)], "l": ["Lines", () => setLayer("lines", !state.layers.lines)], "k": ["Corridors", () => { touched = true; setLayer("corridors", !state.layers.corridors); }],
    "f": ["The whole map", () => atlas.fit(state.set.bounds)], "d": ["Light or dark", () => setTheme(dark() ? "light" : "dark")], "Escape": ["Close the region", () => openRegion(null)],
  });
  fill($("#head-buttons"), themeButton(), el("button.quiet", {type: "button", title: "Keys (?)", "aria-label": "Keys", onclick: help}, "?"));
}

function wireMap() {
  const {map} = atlas, hover = $("#hover");
  const at = point => {
    const box = [[point.x - 3, point.y - 3], [point.x + 3, point.y + 3]];
    const plant = state.layers.plants ? map.queryRenderedFeatures(box, {layers: ["plants"]}).sort((a, b) => b.properties.m - a.properties.m)[0] : null;
    const corridor = !plant && state.layers.corridors && map.getZoom() > 3 ? map.queryRenderedFeatures(box, {layers: ["corridors"]})[0] : null;
    const line = !plant && !corridor && state.layers.lines ? map.queryRenderedFeatures(box, {layers: ["lines"]})[0] : null;
    return {plant, corridor, line, region: map.queryRenderedFeatures(point, {layers: ["regions"]})[0]};
  };
  map.on("mousemove", event => {
    const found = at(event.point), text = told(found);
    map.getCanvas().style.cursor = text ? "pointer" : "";
    hover.hidden = !text;
    if (!text) return;
    fill(hover, el("b", {}, text[0]), text.slice(1).map(line => el("div", {}, line)));
    const box = map.getContainer().getBoundingClientRect();
    hover.style.left = `${Math.min(event.point.x + 14, box.width - hover.offsetWidth - 8)}px`;
    hover.style.top = `${Math.min(event.point.y + 14, box.height - hover.offsetHeight - 8)}px`;
  });
  map.on("mouseout", () => { hover.hidden = true; });
  map.on("click", event => {
    const {plant, region} = at(event.point);
    if (plant) openPlant(plant.properties);
    else openRegion(region ? region.id : null);
  });
  on("region", row => { atlas.choose(state.borders, row ?? -1); remember(); });
}

function told({plant, corridor, line, region}) {
  const c = state.hour.columns;
  if (plant) return [plant.properties.n || plant.properties.i, `${plant.properties.f}, ${number(plant.properties.m)} MW nameplate`];
  if (corridor && corridor.properties.e < state.set.tails.length) {
    const e = corridor.properties.e, flow = c.flow[e], [from, to] = flow >= 0 ? [state.set.tails[e], state.set.heads[e]] : [state.set.heads[e], state.set.tails[e]];
    return [`${regionName(from)} → ${regionName(to)}`, `${power(Math.abs(flow))} of ${power(flow >= 0 ? state.set.forward[e] : state.set.backward[e])}`, c.binding[e] ? "full into a pocket: a wider one would help" : `${number(c.loading[e], 3)} % loaded`];
  }
  if (line) return ["Transmission line", line.properties.v > 0 ? `${line.properties.v} kV` : "voltage unknown", line.properties.o];
  if (!region) return null;
  const r = region.id, metric = state.set.metrics[state.metric], value = metricValues()?.[r];
  const lines = [regionName(r), `Demand ${power(c.demand[r])}, supply ${power(c.supply[r])}`];
  lines.push(c.unserved[r] > 0 ? `Short ${power(c.unserved[r])} (${number(c.share[r], 3)} %)` : c.spare[r] > 0 ? `To spare ${power(c.spare[r])}` : "Served, nothing to spare");
  if (!["balance", "deficit", "share", "surplus"].includes(state.metric) && value !== undefined) lines.push(`${metric.title}: ${number(value)} ${metric.unit === "0 to 1" ? "" : metric.unit}`);
  return lines;
}

on("least", corridors);
on("set", () => atlas.choose(state.borders, -1));
globalThis.page = {state, go, setMetric, setRegions, setLayer, toPlane};
start().catch(error => { if (!$("#loading .bad")) say(error.message, "error"); console.warn(error); });
