// The picture of a report: pan, zoom, overlays, what is under the pointer; from data inside the file.
import {$, el, fill, number} from "/shared/common.mjs";
import {planeBounds, planeMap, toLngLat, toPlane} from "/shared/map.mjs";

const WORLD = 32768;
const json = async name => JSON.parse(new TextDecoder().decode(await inlinedData(name)));
const facts = await json("facts");
const bitmap = async (name, type) => createImageBitmap(new Blob([await inlinedData(name)], {type}));

/** Pixels of an index picture (grey 0..255) painted by a table of colours; the canvas' address for the map. */
function painted(indices, paint) {
  const canvas = el("canvas", {width: indices.width, height: indices.height}), context = canvas.getContext("2d");
  const image = context.createImageData(indices.width, indices.height);
  for (let i = 0; i < indices.data.length; i++) {
    const [r, g, b, a] = paint[indices.data[i]];
    image.data.set([r, g, b, a], 4 * i);
  }
  context.putImageData(image, 0, 0);
  return new Promise(done => canvas.toBlob(blob => done(URL.createObjectURL(blob)), "image/png"));
}

async function indices(name, type) {
  const source = await bitmap(name, type), canvas = el("canvas", {width: source.width, height: source.height}), context = canvas.getContext("2d", {willReadFrequently: true});
  context.drawImage(source, 0, 0);
  const rgba = context.getImageData(0, 0, source.width, source.height).data, data = new Uint8Array(source.width * source.height);
  for (let i = 0; i < data.length; i++) data[i] = rgba[4 * i];
  return {width: source.width, height: source.height, data};
}

const rgb = hex => [1, 3, 5].map(i => parseInt(hex.slice(i, i + 2), 16));
const labels = await indices("labels", "image/png");
const corners = ([w, h]) => [[0, 0], [w, 0], [w, h], [0, h]].map(([x, y]) => toLngLat([x / WORLD, y / WORLD]));
const source = url => ({type: "image", url, coordinates: corners(facts.spans)});
const layer = (id, opacity = 0) => ({id, type: "raster", source: id, layout: {visibility: opacity ? "visible" : "none"}, paint: {"raster-opacity": opacity || 0.55, "raster-resampling": "nearest", "raster-fade-duration": 0}});

const sources = {picture: source(URL.createObjectURL(new Blob([await inlinedData("picture")], {type: "image/jpeg"})))}, layers = [layer("picture", 1)];
for (const [i, m] of facts.materials.entries()) {
  const table = Array.from({length: 256}, (_, k) => k === i ? [...rgb(m.colour), 255] : [0, 0, 0, 0]);
  sources[`material-${i}`] = source(await painted(labels, table));
  layers.push(layer(`material-${i}`, 0.55));
}
const ramps = {confidence: {colours: facts.cividis, quantity: "confidence", unit: "", low: 0.5, high: 1, title: "Confidence", name: "confidence"}};
for (const f of facts.fields) ramps[f.name] = f;
const map = planeMap({container: $("#map"), sources, layers, bounds: [[0, 0], [facts.columns / WORLD, facts.rows / WORLD]], minZoom: -1, maxZoom: 12,
  transformConstrain: (center, zoom) => ({center, zoom}), canvasContextAttributes: {preserveDrawingBuffer: true}, cooperativeGestures: false, scrollZoom: true});

let shown = "materials", opacity = 0.55;
const hidden = new Set();
async function apply() {
  for (const [i, m] of facts.materials.entries()) {
    map.setLayoutProperty(`material-${i}`, "visibility", shown === "materials" && !hidden.has(m.name) ? "visible" : "none");
    map.setPaintProperty(`material-${i}`, "raster-opacity", opacity);
  }
  for (const name of Object.keys(ramps)) {
    if (name === shown && !map.getLayer(name)) {
      const index = await indices(name, "image/jpeg"), table = ramps[name].colours.map(c => [...rgb(c), 255]);
      map.addSource(name, source(await painted(index, table)));
      map.addLayer(layer(name, 1));
    }
    if (map.getLayer(name)) {
      map.setLayoutProperty(name, "visibility", name === shown ? "visible" : "none");
      map.setPaintProperty(name, "raster-opacity", Math.max(opacity, 0.05));
    }
  }
  drawLegend();
}

function drawLegend() {
  const ramp = ramps[shown];
  if (ramp) {
    const stops = ramp.colours.filter((_, i) => i % 15 === 0);
    fill($("#legend"), el("div.legend", {}, el("div.legend-title", {}, ramp.quantity, ramp.unit ? el("span.unit", {}, ` (${ramp.unit})`) : null), el("div.ramp", {style: {background: `linear-gradient(to right, ${stops.join(", ")})`}}),
      el("div.ramp-ticks", {}, [0, 0.5, 1].map(t => el("span", {style: {left: `${100 * t}%`}}, number(ramp.low + t * (ramp.high - ramp.low), 3)))), ramp.clipped ? el("div.note", {}, "The brightest 0.1 % of the pixels lie beyond the end of the bar.") : null));
    return;
  }
  fill($("#legend"), shown !== "materials" ? "" : el("div.legend", {}, facts.materials.map(m => el("button.quiet.legend-row", {type: "button", "aria-pressed": String(!hidden.has(m.name)), onclick: () => { hidden.has(m.name) ? hidden.delete(m.name) : hidden.add(m.name); apply(); }},
    el("span.mark", {style: {background: m.colour}}), el("span", {}, m.name)))));
}

const choice = el("select", {id: "overlay", "aria-label": "Overlay", onchange: () => { shown = choice.value; apply(); }}, el("option", {value: "materials"}, "Materials"), Object.values(ramps).map(r => el("option", {value: r.name}, r.title)), el("option", {value: "none"}, "The picture alone"));
const strength = el("input", {type: "range", min: 0, max: 1, step: 0.05, value: "0.55", "aria-label": "Opacity", oninput: () => { opacity = Number(strength.value); apply(); }});
fill($("#controls"), choice, el("label.row", {}, el("span.soft", {}, "Opacity"), strength), el("button", {type: "button", onclick: () => map.fitBounds(planeBounds([[0, 0], [facts.columns / WORLD, facts.rows / WORLD]]), {padding: 20})}, "Whole field"));

const nm = value => value >= 1e6 ? `${number(value / 1e6)} mm` : value >= 1e4 ? `${number(value / 1e3)} µm` : `${number(value)} nm`;
function scale() {
  const unit = facts.pixel_nm[0] / 2 ** (map.getZoom() - 6), decade = 10 ** Math.floor(Math.log10(130 * unit)), size = [5, 2, 1].find(m => m * decade <= 130 * unit) * decade;
  $("#bar").style.width = `${size / unit}px`;
  $("#bar").textContent = nm(size);
}
map.on("zoom", scale);
map.on("mousemove", event => {
  const [x, y] = toPlane(event.lngLat).map(v => v * WORLD), i = Math.floor(x / facts.factor), j = Math.floor(y / facts.factor), box = $("#under");
  box.hidden = !(x >= 0 && y >= 0 && x < facts.columns && y < facts.rows);
  if (box.hidden) return;
  const m = facts.materials[labels.data[Math.min(j, labels.height - 1) * labels.width + Math.min(i, labels.width - 1)]];
  fill(box, el("span.mark", {style: {background: m?.colour ?? "none"}}), `${m?.name ?? ""} · x ${nm(x * facts.pixel_nm[0])}, y ${nm(y * facts.pixel_nm[1])}`);
});
map.once("load", () => { scale(); drawLegend(); document.documentElement.dataset.ready = "true"; });
globalThis.reportMap = map;
globalThis.showOverlay = name => { choice.value = shown = name; return apply(); };
globalThis.reportResults = () => json("results");
