// Search by name: regions, plants, pockets.
import {api, attempt, el, fill, number, power} from "/shared/common.mjs";
import {openRegion} from "/page/right.mjs";
import {regionName, state} from "/page/state.mjs";

const MOST = 12;

export function buildSearch(box, {fly, openPlant}) {
  const list = el("ul", {role: "listbox", id: "found", hidden: true});
  const input = el("input", {type: "search", placeholder: "Search a region, a plant, a pocket", "aria-label": "Search", role: "combobox", "aria-expanded": "false", "aria-controls": "found", autocomplete: "off"});
  let found = [], chosen = 0;
  const close = () => { list.hidden = true; input.setAttribute("aria-expanded", "false"); };
  const take = item => { close(); input.value = ""; input.blur(); item.act(); };
  const draw = () => {
    fill(list, found.map((item, i) => el("li", {role: "option", "aria-selected": `${i === chosen}`, onmousedown: event => { event.preventDefault(); take(item); }}, el("span", {}, item.name), el("small.soft", {}, item.says))));
    list.hidden = found.length === 0;
    input.setAttribute("aria-expanded", `${found.length > 0}`);
  };
  const refresh = () => {
    const words = plain(input.value).split(/\s+/).filter(Boolean);
    chosen = 0;
    found = words.length ? look(words, fly, openPlant) : [];
    draw();
  };
  input.addEventListener("focus", () => attempt(async () => { if (!state.plants) { await plants(); refresh(); } }));
  input.addEventListener("input", refresh);
  input.addEventListener("keydown", event => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") { event.preventDefault(); chosen = (chosen + (event.key === "ArrowDown" ? 1 : found.length - 1)) % Math.max(found.length, 1); draw(); }
    if (event.key === "Enter" && found[chosen]) take(found[chosen]);
    if (event.key === "Escape") close();
  });
  input.addEventListener("blur", () => setTimeout(close, 100));
  fill(box, input, list);
}

/** The plants' names, asked for once. */
export async function plants() {
  state.plants ??= (await api.get("/api/shapes/plants")).features.map(f => ({...f.properties, at: f.geometry.coordinates, plain: plain(`${f.properties.n} ${f.properties.i} ${f.properties.s}`)}));
  return state.plants;
}

const plain = text => text.toLowerCase().normalize("NFD").replace(/[\u0300-\u036f]/g, "").replace(/[^a-z0-9 ]/g, " ");

function look(words, fly, openPlant) {
  const fits = text => words.every(w => text.includes(w)), begins = text => text.startsWith(words[0]) ? 0 : 1;
  const regions = [];
  for (let r = 0; r < state.set.ids.length; r++) {
    const text = plain(`${regionName(r)} ${state.set.ids[r]}`);
    if (fits(text)) regions.push({rank: begins(text), size: state.hour.columns.demand[r], name: regionName(r), says: `${state.by}, ${power(state.hour.columns.demand[r])} demand`, act: () => { openRegion(r); fly(r); }});
  }
  const pockets = state.hour.head.pockets.filter(p => fits(plain(p.name))).map(p => ({rank: 1, size: p.mw, name: p.name, says: `pocket, ${power(p.mw)} short`, act: () => { openRegion(p.at); fly(p.at); }}));
  const found = (state.plants ?? []).filter(p => fits(p.plain)).slice(0, 50).map(p => ({rank: begins(p.plain), size: p.m, name: p.n || p.i, says: `${p.f}, ${number(p.m)} MW, ${p.s}`, act: () => openPlant(p, true)}));
  const order = (a, b) => a.rank - b.rank || b.size - a.size;
  return [...regions.sort(order).slice(0, 6), ...pockets.sort(order).slice(0, 3), ...found.sort(order).slice(0, 6)].slice(0, MOST);
}
