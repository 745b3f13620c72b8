// The right panel: a region, the pockets of the hour, a scenario.
import {$, Refusal, api, attempt, download, el, fill, number, power, say, unpackTable} from "/shared/common.mjs";
import {chart} from "/shared/chart.mjs";
import {shade} from "/page/atlas.mjs";
import {here, on, regionName, rowOfId, says, secondsOf, state, tell} from "/page/state.mjs";
import {plants} from "/page/search.mjs";

let act, tab = "pockets";
const changes = [];     // {kind, change, words}

export function buildRight(panel, actions) {
  act = actions;
  fill(panel, el("div.tabs", {role: "tablist"}, [["region", "Region"], ["pockets", "Pockets"], ["scenario", "Scenario"]].map(([name, text]) => el("button", {type: "button", role: "tab", "data-tab": name, onclick: () => openTab(name)}, text))),
    el("div", {id: "tab", role: "tabpanel"}));
  openTab(tab);
  on("hour", () => { if (tab === "region" || tab === "pockets") openTab(tab, false); });
  on("set", () => openTab(tab === "region" ? "pockets" : tab));
  on("solved", () => tab === "region" && openTab(tab, false));
}

export function openTab(name) {
  tab = name;
  document.querySelectorAll("[data-tab]").forEach(b => b.setAttribute("aria-selected", `${b.dataset.tab === name}`));
  ({region: showRegion, pockets: showPockets, scenario: showScenario})[name]();
}

export function openRegion(row) {
  state.region = row;
  tell("region", row);
  if (row === null && tab !== "region") return;
  openTab(row === null ? "pockets" : tab === "scenario" ? "scenario" : "region");
}

// A region

async function showRegion() {
  const box = $("#tab");
  if (state.region === null) { fill(box, el("section.panel.soft", {}, "Click a region on the map, or search for one.")); return; }
  const id = state.set.ids[state.region];
  const found = await attempt(() => api.get("/api/region", here({id})));
  if (!found || state.region === null || state.set.ids[state.region] !== id || tab !== "region") return;
  const same = box.dataset.region === `${state.by} ${id} ${state.set.solved}` && $("#profile canvas", box);
  const profile = same ? $("#profile", box) : el("div.plot", {id: "profile"});
  const rests = same ? $(".provenance", box) : provenance(id);
  box.dataset.region = `${state.by} ${id} ${state.set.solved}`;
  fill(box, facts(found), limits(found), fuels(found), corridors(found),
    el("section.panel", {}, el("h3", {}, "Through the year"), profile, el("div.row", {}, el("small", {}, el("span", {style: {color: "var(--accent)"}}, "— "), "demand ", el("span.soft", {}, "— "), "own supply ", el("span.bad", {}, "■ "), "short, MW, daily means; click for the day")), year(found)),
    adequacy(found), doubt(found), rests);
  if (!same) attempt(() => drawProfile(profile, id));
}

function facts(f) {
  const big = [["Demand", f.demand_mw], ["Own supply", f.supply_mw], f.unserved_mw > 0 ? ["Short after flows", f.unserved_mw, `${number(f.share_pct, 3)} % of demand`] : ["To spare after flows", f.spare_mw], [f.imports_mw < 0 ? "Exports" : "Imports", Math.abs(f.imports_mw)]];
  return el("section.panel", {}, el("div.row", {}, el("h2", {id: "region-name"}, f.state && f.state !== f.name ? `${f.name}, ${f.state}` : f.name), el("span.tag", {}, f.id), f.unserved_mw > 0 && el("span.tag.bad", {}, "short")),
    el("small", {}, [f.zone && `zone ${f.zone}`, f.interconnect && `${f.interconnect} interconnect`, f.hour.replace("T", " ").replace("Z", " UTC")].filter(Boolean).join(", ")),
    el("div.big", {}, big.map(([name, mw, more], i) => el("div", {}, el(`b${i === 2 && f.unserved_mw > 0 ? ".bad" : ""}`, {"data-mw": mw}, power(mw)), el("span", {}, name, more && `, ${more}`)))));
}

function limits(f) {
  return el("section.panel", {id: "limits"}, el("h3", {}, "What limits it"), el("p", {}, f.limits.says), f.limits.corridors.length > 0 && el("table", {}, el("thead", {}, el("tr", {}, el("th", {}, "Full corridor"), el("th.number", {}, "Limit"), el("th.number", {title: "MW that a MW more of limit would serve"}, "Worth"))),
    el("tbody", {}, f.limits.corridors.map(c => el("tr", {}, el("td", {}, `${c.from} → ${c.into}`), el("td.number", {}, power(c.limit_mw)), el("td.number", {}, `${c.worth}`))))));
}

function fuels(f) {
  const most = Math.max(...f.fuels.map(x => x.nameplate_mw), 1);
  return el("section.panel", {id: "fuels"}, el("h3", {}, "Supply by fuel"), f.fuels.length === 0 ? el("p.soft", {}, "No plant stands here.") : el("div.fuel", {}, f.fuels.map(x => [el("span", {}, x.fuel),
    el("span.track", {title: `${number(x.nameplate_mw)} MW nameplate, ${x.units} units`, style: {width: `${Math.max(100 * x.nameplate_mw / most, 3)}%`}}, el("i", {style: {width: `${100 * Math.min(x.mw / Math.max(x.nameplate_mw, 1e-9), 1)}%`, background: shade(state.about.fuels.find(g => g.name === x.fuel)?.colour ?? "#888888")}})),
    el("span.value", {}, `${number(x.mw)} of ${number(x.nameplate_mw)} MW`)])));
}

function corridors(f) {
  if (f.corridors.length === 0) return el("section.panel", {}, el("h3", {}, "Imports by corridor"), el("p.soft", {}, "No corridor ends here."));
  return el("section.panel", {id: "corridors"}, el("h3", {}, "Imports by corridor"), el("table", {}, el("thead", {}, el("tr", {}, el("th", {}, "With"), el("th.number", {}, "In"), el("th.number", {}, "Limit in"), el("th.number", {}, "%"))),
    el("tbody", {}, f.corridors.map(c => el(`tr.pick${c.full ? ".full" : ""}`, {title: c.full ? "full into a pocket" : `limit out ${power(c.limit_out_mw)}`, onclick: () => { const r = rowOfId(c.to); if (r >= 0) { openRegion(r); act.fly(r, 0); } }},
      el("td", {}, c.name, c.kind !== "AC" && el("span.soft", {}, ` ${c.kind}`)), el("td.number", {}, number(c.in_mw)), el("td.number", {}, number(c.limit_in_mw)), el("td.number", {}, c.full ? "full" : number(c.loading_pct, 2)))))),
    f.corridors_more > 0 && el("small.soft", {}, `${f.corridors_more} more with less.`));
}

function year(f) {
  if (!f.year) return el("small.soft", {}, "Hours short are known once every hour is solved.");
  const y = f.year;
  if (!y.hours_short) return el("p", {id: "year-facts"}, "Never short in the year.");
  const row = Math.round((Date.parse(y.worst_hour.replace("Z", ":00Z")) / 1000 - secondsOf(0)) / 3600);
  return el("dl.facts", {id: "year-facts"}, el("dt", {}, "Hours short"), el("dd", {}, `${number(y.hours_short, 5)} h, longest ${number(y.longest_h, 5)} h`), el("dt", {}, "Not served"), el("dd", {}, `${number(y.unserved_mwh)} MWh, ${number(y.unserved_pct, 3)} %`),
    el("dt", {}, "Worst hour"), el("dd", {}, el("button.quiet", {type: "button", onclick: () => act.go(row)}, `${power(y.worst_mw)}, ${says(row).slice(0, 13)} h`)));
}

function adequacy(f) {
  const head = el("h3", {}, "How likely it runs short");
  if (!f.adequacy) return el("section.panel", {}, head, el("small.soft", {}, "No loss-of-load study of these regions: draw one on the left, or start gridmap serve with the folder of gridmap adequacy."));
  const a = f.adequacy, line = (name, n, unit) => [el("dt", {}, name), el("dd", {}, `${number(n.value)} ${unit}`, el("small", {}, ` (${number(n.low, 3)} to ${number(n.high, 3)})`))];
  return el("section.panel", {id: "adequacy"}, head, el("dl.facts", {}, line("LOLE", a.lole_hours, "h"), line("EUE", a.eue_mwh, "MWh"), line("Share", a.neue_ppm, "ppm"), line("Shortages", a.lolf, "")), el("small.soft", {}, `95 % intervals; ${a.says}.`));
}

function doubt(f) {
  return el("section.panel", {id: "doubt"}, el("h3", {}, "Confidence in the data"), el("div.row", {}, el("b", {}, number(f.confidence.value, 2)), f.confidence.artefact && el("span.tag.bad", {}, "likely an artefact")), f.confidence.flag ? el("p", {}, f.confidence.flag) : el("small.soft", {}, "Nothing speaks against it."));
}

function provenance(id) {
  const held = el("div"), box = el("details.panel.provenance", {ontoggle: () => box.open && !held.firstChild && attempt(async () => {
    const told = await api.get("/api/rests-on", {by: state.by, id});
    fill(held, told.map(part => el("div", {}, el("h3", {}, `${part.role}: ${part.count} row${part.count === 1 ? "" : "s"} of ${part.file}`), el("table", {}, el("tbody", {}, part.rows.map(r => el("tr", {}, el("td.number", {}, r.row === null ? "" : `row ${r.row}`), el("td", {}, r.what), el("td.number", {}, `${number(r.amount)} ${r.unit}`))))),
      part.more > 0 && el("small.soft", {}, `${part.more} more`), part.repairs.map(r => el("p.soft", {}, `row ${r.row}, ${r.action}: ${r.rule}${r.before ? `, ${r.before}` : ""}${r.after ? ` → ${r.after}` : ""}`)))));
  })}, el("summary", {}, "What it rests on"), held);
  return box;
}

async function drawProfile(box, id) {
  const {columns} = unpackTable(await api.bytes("/api/profile", {by: state.by, id}));
  const hours = columns.demand.length, day = hours > 1000 ? 24 : 1, count = Math.ceil(hours / day);
  const mean = values => Array.from({length: count}, (_, d) => { let sum = 0, n = 0; for (let h = d * day; h < Math.min((d + 1) * day, hours); h++) { if (!Number.isFinite(values[h])) return null; sum += values[h]; n++; } return sum / n; });
  const x = Array.from({length: count}, (_, d) => secondsOf(d * day));
  fill(box);
  chart(box, {time: true, data: [x, mean(columns.demand), mean(columns.supply), mean(columns.unserved)], series: [{colour: "--accent", width: 1.5}, {colour: "--ink-soft", width: 1}, {colour: "--bad", fill: "--bad", width: 1}],
    axes: {y: {space: 28, size: 56, values: (_, t) => t.map(v => number(v, 4))}, x: {space: 50, values: (_, t) => t.map(v => new Date(1000 * v).toLocaleDateString("en-US", {month: "short", ...(day === 1 ? {day: "numeric"} : {}), timeZone: "UTC"}))}},
    options: {scales: {y: {range: (_, low, high) => [0, (high || 1) * 1.05]}}, cursor: {y: false, drag: {x: false}, points: {show: false}},
      plugins: [{hooks: {ready: u => u.over.addEventListener("click", event => act.go(Math.round((u.posToVal(event.clientX - u.over.getBoundingClientRect().left, "x") - secondsOf(0)) / 3600)))}}]}});
}

// The pockets of the hour

function showPockets() {
  const {pockets, hour} = state.hour.head;
  fill($("#tab"), el("section.panel", {id: "pockets"}, el("h2", {}, "Pockets"), el("p.soft", {}, pockets.length ? "Connected regions that lack one share of their demand behind full corridors, the largest deficit first." : "Nobody goes short in this hour."),
    pockets.length > 0 && el("table", {}, el("thead", {}, el("tr", {}, el("th", {}, "Around"), el("th.number", {}, "Regions"), el("th.number", {}, "Short"), el("th.number", {}, "%"))),
      el("tbody", {}, pockets.map(p => el("tr.pick", {onclick: () => { openRegion(p.at); act.fly(p.at); }}, el("td", {}, p.name), el("td.number", {}, `${p.regions}`), el("td.number", {}, power(p.mw)), el("td.number", {}, number(p.share, 3))))))));
}

// A plant

export async function openPlant(plant, fly = false) {
  const found = await attempt(() => api.get("/api/plant", {id: plant.i}));
  if (!found) return;
  tab = "plant";
  document.querySelectorAll("[data-tab]").forEach(b => b.setAttribute("aria-selected", "false"));
  if (fly && plant.at) globalThis.atlas.map.easeTo({center: plant.at, zoom: Math.max(globalThis.atlas.map.getZoom(), 5.5)});
  const retire = unit => { add("retire", {plant_id: plant.i, ...(unit ? {generator_id: unit} : {})}, `Retire ${plant.n || plant.i}${unit ? `, unit ${unit}` : ""}`); openTab("scenario"); };
  fill($("#tab"), el("section.panel", {id: "plant"}, el("h2", {}, plant.n || plant.i), el("small", {}, `plant ${plant.i}, ${plant.s}, ${plant.f}, ${number(plant.m)} MW nameplate`), el("p", {}, el("button.primary", {type: "button", onclick: () => retire()}, "Retire it in the scenario")),
    el("table", {}, el("thead", {}, el("tr", {}, el("th", {}, "Unit"), el("th", {}, "Technology"), el("th.number", {}, "MW"), el("th", {}, ""))), el("tbody", {}, found.map(u => el("tr", {}, el("td", {}, u.unit || "–"), el("td", {}, u.technology.replaceAll("_", " "), el("small.soft", {}, ` ${u.status}, ${u.file} row ${u.row}`)), el("td.number", {}, number(u.mw)),
      el("td", {}, u.unit && el("button.quiet", {type: "button", onclick: () => retire(u.unit)}, "Retire"))))))));
}

// The scenario

function add(kind, change, words) {
  changes.push({kind, change, words});
  apply();
}

const asTables = () => changes.reduce((all, {kind, change}) => { (all[kind] ??= []).push(change); return all; }, {});

async function apply() {
  if (tab === "scenario") showScenario("solving before and after");
  const done = await attempt(() => changes.length ? act.applyScenario(asTables()) : act.clearScenario().then(() => true));
  if (done === undefined) { changes.pop(); }
  if (tab === "scenario") showScenario();
}

function showScenario(busy) {
  const chosen = state.region, name = chosen === null ? "" : regionName(chosen), id = chosen === null ? null : state.set.ids[chosen];
  const field = (label, control, wide) => el(`label.field${wide ? ".wide" : ""}`, {}, el("span", {}, label), control);
  const mw = (value, key) => el("input", {type: "number", min: "0", step: "any", value: `${value}`, "data-field": key});
  const where = key => el("input", {type: "text", value: name && `${name} (${id})`, placeholder: "click a region, or write its id", "data-field": key, list: "region-ids"});
  const need = text => { const found = idOf(text); if (!found) throw new Refusal(`there is no region ${text || "chosen"}: click one on the map, or write its id`); return found; };
  const amount = input => { const v = Number(input.value); if (!Number.isFinite(v) || input.value === "") throw new Refusal("give a number"); return v; };
  const form = (kind, title, fields, make) => el("details", {"data-form": kind, open: kind === (showScenario.open ?? "load"), ontoggle: event => { if (event.target.open) showScenario.open = kind; }}, el("summary", {}, title), el("form.form", {onsubmit: event => { event.preventDefault(); attempt(async () => { const [change, words] = make(); add(kind.split(" ")[0], change, words); }); }}, fields, el("button.primary.wide", {type: "submit"}, "Add to the scenario")));
  const load = {mw: mw(500, "load"), at: where("load-at")}, plant = {mw: mw(500, "plant"), at: where("plant-at"), kind: el("select", {}, state.about.technologies.map(t => el("option", {value: t, selected: t === "gas_cc"}, t.replaceAll("_", " "))))};
  const line = {from: where("line-from"), to: el("input", {type: "text", placeholder: "another region", list: "region-ids", "data-field": "line-to"}), mw: mw(500, "line")}, grow = {percent: el("input", {type: "number", step: "any", value: "5", "data-field": "grow"}), what: el("select", {}, el("option", {value: ""}, "everywhere"), chosen !== null && el("option", {value: `region ${id}`}, `in ${name}`), states().map(s => el("option", {value: `state ${s}`}, `in ${s}`)))};
  const retire = el("input", {type: "text", placeholder: "number of the plant, or click it on the map", "data-field": "retire"});
  const file = el("input", {type: "file", accept: ".toml", hidden: true, onchange: async () => file.files[0] && open(await file.files[0].text())});
  fill($("#tab"),
    el("section.panel", {}, el("h2", {}, "Scenario"), el("div.stack", {}, changes.length === 0 && el("small.soft", {}, "What if? Add a change: the hour on the screen is solved before and after, and the map shows the difference."),
      changes.map((c, i) => el("div.change", {}, el("span", {}, c.words), el("button.quiet", {type: "button", "aria-label": `Remove ${c.words}`, onclick: () => { changes.splice(i, 1); apply(); }}, "×"))),
      busy && el("div.job", {role: "status"}, el("div.row", {}, el("span.step", {}, busy)), el("progress")))),
    !busy && state.scenario && answer(),
    el("section.panel.stack", {}, el("h3", {}, "Add"), form("load", "A data centre", [field("MW", load.mw), field("In", load.at)], () => { const r = need(load.at.value), v = amount(load.mw); return [{name: `load ${changes.length + 1}`, load_mw: v, region: r}, `${number(v)} MW load in ${nameOf(r)}`]; }),
      form("retire", "Retire a plant", [field("Plant", retire, true)], () => { if (!retire.value.trim()) throw new Refusal("give the number of a plant, or click it on the map"); return [{plant_id: retire.value.trim()}, `Retire plant ${retire.value.trim()}`]; }),
      form("line", "A corridor", [field("From", line.from), field("To", line.to), field("MW each way", line.mw, true)], () => { const [a, b, v] = [need(line.from.value), need(line.to.value), amount(line.mw)]; return [{tail: a, head: b, forward_mw: v}, `${number(v)} MW corridor ${nameOf(a)} – ${nameOf(b)}`]; }),
      form("grow", "More or less demand", [field("Percent", grow.percent), field("Where", grow.what)], () => { const v = amount(grow.percent), [key, ...rest] = grow.what.value.split(" "), value = rest.join(" "); return [{percent: v, ...(key ? {[key]: value} : {})}, `Demand ${v >= 0 ? "+" : ""}${number(v)} % ${key ? `in ${key === "region" ? nameOf(value) : value}` : "everywhere"}`]; }),
      form("add", "A new plant", [field("MW", plant.mw), field("In", plant.at), field("Technology", plant.kind, true)], () => { const r = need(plant.at.value), v = amount(plant.mw); return [{plant_id: `new ${changes.length + 1}`, technology: plant.kind.value, nameplate_mw: v, region: r}, `${number(v)} MW ${plant.kind.value.replaceAll("_", " ")} in ${nameOf(r)}`]; })),
    el("section.panel", {}, el("div.row", {}, el("button", {type: "button", disabled: !state.scenario, "data-save": "scenario", onclick: () => download("scenario.toml", state.scenario.toml)}, "Save as a file"), el("button", {type: "button", onclick: () => file.click()}, "Open a file"), file,
      el("button.quiet", {type: "button", disabled: changes.length === 0, onclick: () => { changes.length = 0; apply(); }}, "Clear")), state.scenario && [el("small.soft", {}, "The command line runs the same file:"), el("pre.command", {}, state.scenario.command)]));
  if (!$("#region-ids")) document.body.append(el("datalist", {id: "region-ids"}));
  if ($("#region-ids").dataset.by !== state.by) { $("#region-ids").dataset.by = state.by; if (state.set.ids.length < 400) fill($("#region-ids"), state.set.ids.map((v, r) => el("option", {value: `${regionName(r)} (${v})`}))); else fill($("#region-ids")); }
}

/** The region id in what a person wrote: the id itself, "Name, ST (id)", or a name that only one has. */
function idOf(text) {
  const given = text.trim(), inside = given.match(/\(([^()]+)\)$/)?.[1];
  if (rowOfId(inside ?? given) >= 0) return inside ?? given;
  const found = state.set.ids.filter((_, r) => regionName(r).toLowerCase() === given.toLowerCase() || state.set.names[r].toLowerCase() === given.toLowerCase());
  return found.length === 1 ? found[0] : null;
}
const nameOf = id => rowOfId(id) >= 0 ? regionName(rowOfId(id)) : id;
const states = () => [...new Set(state.set.states)].filter(Boolean).sort();

function answer() {
  const a = state.scenario, change = a.after_mw - a.before_mw, sign = v => `${v > 0 ? "+" : ""}${power(v)}`;
  return el("section.panel", {id: "answer"}, el("h3", {}, `Answer at ${a.hour.replace("T", " ").replace("Z", " UTC")}`),
    el("p.answer", {}, "Short after flows ", el("b", {"data-before": a.before_mw}, power(a.before_mw)), " → ", el("b", {"data-after": a.after_mw}, power(a.after_mw)), " ", el(`b${change > 1e-6 ? ".bad" : change < -1e-6 ? ".good" : ""}`, {}, `(${sign(change)})`)),
    el("dl.facts", {}, el("dt", {}, "Pockets"), el("dd", {}, `${a.pockets_before} → ${a.pockets_after}`), el("dt", {}, "Regions worse, better"), el("dd", {}, `${a.worse}, ${a.better}`), el("dt", {}, "Worst hour before"), el("dd", {}, hourLine(a, "before")), el("dt", {}, "Worst hour after"), el("dd", {}, hourLine(a, "after"))),
    el("small.soft", {}, `Of ${a.hours.length} hours tried: this one and the ${state.set.solved ? "worst of the year" : "highest in demand"}.`),
    a.regions.length > 0 && el("table", {}, el("thead", {}, el("tr", {}, el("th", {}, "Changed most"), el("th.number", {}, "Before"), el("th.number", {}, "After"))), el("tbody", {}, a.regions.map(r => el("tr.pick", {onclick: () => { const row = rowOfId(r.id); if (row >= 0) act.fly(row); }}, el("td", {}, r.name), el("td.number", {}, power(r.before_mw)), el("td.number", {}, power(r.after_mw)))))));
}

function hourLine(a, side) {
  const worst = a.hours.reduce((best, h) => h[`${side}_mw`] > best[`${side}_mw`] ? h : best);
  return el("button.quiet", {type: "button", onclick: () => act.go(worst.row)}, `${worst.hour.slice(5, 13).replace("T", " ")} h, ${power(worst[`${side}_mw`])}`);
}

/** A scenario file opened: its changes stand in the list and can be removed one by one. */
async function open(text) {
  const found = await attempt(() => act.applyScenario(null, text));
  if (!found) return;
  changes.length = 0;
  for (const [kind, rows] of Object.entries(found.changes)) rows.forEach(change => changes.push({kind, change, words: `${kind}: ${Object.entries(change).map(([k, v]) => `${k.replaceAll("_", " ")} ${v}`).join(", ")}`}));
  say("The scenario is applied.");
  showScenario();
}

on("region", () => { if (tab === "scenario") showScenario(); });
