// The interactive map of a report, from the data inside the file.
import {$, el, fill, number} from "/shared/common.mjs";
import {legend} from "/shared/draw.mjs";
import {scaleBar} from "/shared/map.mjs";
import {Atlas, shade} from "/page/atlas.mjs";

const json = async name => document.querySelector(`script[data-name="${name}"]`) ? JSON.parse(new TextDecoder().decode(await globalThis.inlinedData(name))) : null;
const [about, regions, borders, plants, lines] = await Promise.all(["about", "regions", "borders", "plants", "lines"].map(json));
const place = r => about.states[r] && about.states[r] !== about.names[r] ? `${about.names[r]}, ${about.states[r]}` : about.names[r];

const atlas = new Atlas({container: "map", bounds: about.bounds, fuels: about.fuels, voltages: about.voltages, sources: {regions, borders, plants, lines}, options: {cooperativeGestures: false, scrollZoom: true}});
await atlas.loaded;
atlas.renameOnMove();
scaleBar(atlas.map, $("#scale"), about.span_km, km => km < 1 ? `${km * 1000} m` : `${number(km, 3)} km`);

function show(name) {
  const metric = about.metrics[name];
  atlas.colourRegions(about.columns[name], metric.classes);
  legend($("#legend"), {title: metric.title, classes: metric.classes.map(c => ({colour: shade(c.colour), label: c.label}))});
}
const names = Object.keys(about.metrics);
fill($("#metric"), names.map(name => el("option", {value: name}, about.metrics[name].title)));
$("#metric").addEventListener("change", event => show(event.target.value));
show(names[0]);
atlas.outlinePockets(borders, about.pocket);
if (about.pockets.length) atlas.name(about.pockets.map(p => ({...p, at: about.at[p.at]})), 10);
for (const [layer, name, there] of [["pockets", "Pockets", about.pockets.length > 0], ["plants", "Plants", !!plants], ["lines", "Lines", !!lines]]) {
  if (!there) continue;
  const first = layer === "pockets";
  atlas.show(layer, first);
  $("#layers").append(el("label.check", {}, el("input", {type: "checkbox", "data-layer": layer, checked: first, onchange: event => atlas.show(layer, event.target.checked)}), name));
}

const hover = $("#hover"), {map} = atlas;
map.on("mousemove", event => {
  const found = map.queryRenderedFeatures(event.point, {layers: ["regions"]})[0];
  hover.hidden = !found;
  if (!found) return;
  fill(hover, el("b", {}, place(found.id)), names.map(name => el("div", {}, `${about.metrics[name].title}: ${number(about.columns[name][found.id])}`)));
  const box = map.getContainer().getBoundingClientRect();
  hover.style.left = `${Math.min(event.point.x + 14, box.width - hover.offsetWidth - 8)}px`;
  hover.style.top = `${Math.min(event.point.y + 14, box.height - hover.offsetHeight - 8)}px`;
});
map.on("mouseout", () => { hover.hidden = true; });
map.on("click", event => {
  const found = map.queryRenderedFeatures(event.point, {layers: ["regions"]})[0], r = found?.id ?? -1;
  atlas.choose(borders, r);
  fill($("#region"), found && [el("h3", {}, `${place(r)} (${about.ids[r]})`), about.flags[r] && el("p", {}, about.flags[r]), el("dl.facts", {}, Object.entries(about.columns).map(([c, values]) => [el("dt", {}, about.titles[c]), el("dd", {}, number(values[r]))]))]);
});
globalThis.atlas = atlas;

// What is printed is a picture of the map with its names: a canvas would be cut off at the width of the paper.
async function print() {
  await new Promise(done => { map.once("render", done); map.triggerRepaint(); });     // a canvas can be read only while it is drawn
  const source = map.getCanvas(), ratio = source.width / source.clientWidth, canvas = document.createElement("canvas"), c = canvas.getContext("2d");
  [canvas.width, canvas.height] = [source.width, source.height];
  c.drawImage(source, 0, 0);
  Object.assign(c, {textAlign: "center", font: `600 ${12 * ratio}px system-ui, sans-serif`, lineWidth: 3 * ratio, strokeStyle: "#ffffff", fillStyle: "#111111", lineJoin: "round"});
  for (const m of atlas.named === false ? [] : atlas.markers) {
    const {x, y} = map.project(m.getLngLat());
    [...m.getElement().childNodes].forEach((node, i) => { const at = [node.textContent, x * ratio, (y + 14 * i - 24) * ratio]; c.strokeText(...at); c.fillText(...at); });
  }
  $("#printed").src = canvas.toDataURL("image/png");
}
let later;
for (const what of ["moveend", "sourcedata", "styledata"]) map.on(what, () => { clearTimeout(later); later = setTimeout(print, 400); });
await atlas.idle();
await print();
globalThis.reportReady = true;
