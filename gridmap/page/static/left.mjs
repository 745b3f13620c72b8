// The left panel: what colours the regions, the legend, layers, long work, files.
import {$, el, fill} from "/shared/common.mjs";
import {legend} from "/shared/draw.mjs";
import {shade} from "/page/atlas.mjs";
import {on, state} from "/page/state.mjs";

let act;
const off = new Set();

export function buildLeft(panel, actions) {
  act = actions;
  fill(panel,
    el("section.panel", {}, el("h2", {}, "Colour regions by"), el("div.metric", {id: "metrics", role: "radiogroup", "aria-label": "Colour regions by"}), el("div", {id: "legend"})),
    el("section.panel", {}, el("h2", {}, "Layers"), el("div", {id: "layers"}), el("div", {id: "layer-legends"})),
    el("section.panel", {}, el("h2", {}, "This map as a file"), el("div.row", {}, [["gpkg", "GeoPackage"], ["csv", "CSV"], ["png", "PNG"]].map(([kind, name]) => el("button", {type: "button", "data-save": kind, onclick: () => act.save(kind)}, name)))),
    el("section.panel", {}, el("h2", {}, "Longer work"), el("div.stack", {id: "work"}), el("div.stack", {id: "jobs"})));
  metrics();
  layers();
  work();
  for (const what of ["set", "metric", "solved"]) on(what, () => { metrics(); work(); });
  on("layers", layers);
}

const WHY = {short: "year", energy: "year", lole: "study", eue: "study", change: "scenario"};

function metrics() {
  fill($("#metrics"), Object.entries(state.set.metrics).map(([name, m]) => {
    const known = !(name in state.set.has) || state.set.has[name], usable = name === "change" ? !!state.scenario : known;
    return el("label.check", {}, el("input", {type: "radio", name: "metric", value: name, checked: name === state.metric, disabled: !usable, onchange: () => act.setMetric(name)}), el("span", {title: m.title}, m.name),
      !usable && el("small.soft", {title: `needs ${WHY[name]}`}, `needs ${WHY[name] ?? ""}`));
  }));
}

/** The legend of the metric on the screen. */
export function showLegend() {
  const m = state.set.metrics[state.metric];
  const note = ["lole", "eue"].includes(state.metric) ? `${m.note} ${state.set.adequacy}.` : m.note;
  legend($("#legend"), {title: m.title, unit: m.unit, classes: m.classes.map(c => ({colour: shade(c.colour), label: c.label})).reverse(), note});
}

function layers() {
  const names = {pockets: "Pockets, outlined and named", corridors: "Corridors by loading", plants: "Plants by fuel, sized by MW", lines: "Lines by kV", borders: "Borders"};
  fill($("#layers"), Object.entries(names).map(([layer, name]) => el("label.check", {}, el("input", {type: "checkbox", "data-layer": layer, checked: state.layers[layer], onchange: event => act.setLayer(layer, event.target.checked)}), el("span", {}, name))));
  const box = fill($("#layer-legends"));
  const add = (shown, options) => { if (shown) { const place = el("div"); box.append(place); legend(place, options); } };
  if (state.layers.corridors) box.append(el("label.field", {}, el("span", {}, "Show corridors loaded"), el("select", {onchange: event => { state.least = Number(event.target.value); act.setLayer("corridors", true); }},
    [[100, "at their limit into a pocket"], [80, "80 % and more"], [50, "50 % and more"], [0, "all"]].map(([value, text]) => el("option", {value, selected: state.least === value}, text)))));
  add(state.layers.corridors, {title: "Loading", unit: "% of limit", marks: "line", classes: state.about.loadings.map(c => ({colour: shade(c.colour), label: c.label}))});
  add(state.layers.plants, {title: "Main fuel", marks: "dot", classes: state.about.fuels.map(f => ({colour: shade(f.colour), label: f.name, name: f.name, off: off.has(f.name)})), note: "Area of a dot goes with MW. Press a fuel to hide it.",
    pick: c => { off.has(c.name) ? off.delete(c.name) : off.add(c.name); act.fuels(off); layers(); }});
  add(state.layers.lines, {title: "Voltage", marks: "line", classes: state.about.voltages.filter(v => v.upper === null || v.upper > 0).map(c => ({colour: shade(c.colour), label: c.label})), note: state.about.truncated});
}

function work() {
  const samples = el("input", {type: "number", value: "20", min: "2", max: "1000", "aria-label": "Samples", style: {width: "80px"}});
  fill($("#work"),
    state.set.solved ? el("div.soft", {}, "Every hour of the year is solved.") : el("button", {type: "button", "data-work": "year", onclick: () => act.year()}, "Solve every hour"),
    el("div.row", {}, el("button", {type: "button", "data-work": "study", onclick: () => act.study(Number(samples.value))}, state.set.has.lole ? "Draw again" : "Draw a loss-of-load study"), samples, el("small.soft", {}, "years")),
    el("small.soft", {}, state.set.adequacy ? `Shown: ${state.set.adequacy}.` : `Over regions by ${state.by}; finer sets take longer.`));
}
