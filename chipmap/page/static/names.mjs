// The left side, second half: what the phases are, said by the user; strokes to train on.
import {el, fill, number, say} from "/shared/common.mjs";
import {percent} from "/page/text.mjs";

const COLOURS = ["#e69f00", "#56b4e9", "#009e73", "#cc79a7", "#d55e00", "#f0e442", "#0072b2", "#999999"];

export function makeNames(page, side) {
  const names = el("details.panel", {id: "names", open: true}), strokes = el("details.panel", {id: "scribbles"});
  side.append(names, strokes);
  side.append(el("datalist", {id: "materials"}, page.shelf.materials.map(m => el("option", {value: m.name}, m.kind))));
  page.strokes = {classes: ["background", "feature"], current: 0, width: 6, drawn: []};
  strokes.addEventListener("toggle", () => { if (strokes.open) page.setTool?.("scribble"); });
  page.refreshStrokes = () => fill(strokes, scribblePanel(page));
  let last = null;
  page.changed(told => {
    if (!told) return;
    fill(names, namesPanel(page, told));
    if (told.id !== last) {     // strokes belong to a picture
      last = told.id;
      page.strokes.drawn = (told.analysis?.strokes ?? []).map(([name, points, width]) => ({name, points, width}));
      const held = [...new Set(page.strokes.drawn.map(s => s.name))];
      const found = told.analysis && !told.analysis.unnamed ? told.analysis.materials.map(m => m.name) : [];
      page.strokes.classes = held.length > 1 ? held : found.length > 1 ? found : ["background", "feature"];
      page.strokes.current = 0;
    }
    page.refreshStrokes();
    drawStrokes(page);
  });
}

function namesPanel(page, told) {
  const analysis = told.analysis;
  const head = el("summary", {}, "What the phases are");
  if (!analysis) return [head, el("p.note", {}, "Phases come first.")];
  const inputs = [];
  const rows = [];
  for (const {phase, grey, names, colour, sure} of analysis.phase_rows) {
    const input = el("input", {list: "materials", placeholder: analysis.unnamed ? "material" : names.join(", "), "aria-label": `Material of ${names.join(", ")}`, "data-phase": String(phase),
      value: analysis.said.calibration[phase] ?? (sure ? names[0] : "")});
    inputs.push([phase, input]);
    rows.push([phase, el("label.phase-row", {}, el("span.row", {}, el("span.mark", {style: {background: colour}}), el("span.soft", {}, `grey ${number(grey, 3)}`)), input)]);
  }
  rows.sort((a, b) => a[0] - b[0]);
  const apply = event => {
    event.preventDefault();
    const said = Object.fromEntries(inputs.filter(([, input]) => input.value.trim()).map(([phase, input]) => [phase, input.value.trim()]));
    page.job("/say", {calibration: said, legend: null, materials: more.value, process: process.value, thickness: thick.value});
  };
  const more = el("input", {placeholder: "any of the library", value: analysis.said.materials ?? "", "aria-label": "Materials that can be there"});
  const process = el("select", {"aria-label": "Process"}, el("option", {value: ""}, "none"), page.shelf.processes.map(name => el("option", {value: name, selected: name === analysis.said.process}, name)));
  const thick = el("input", {placeholder: "unknown", value: analysis.said.thickness ?? "", "aria-label": "Thickness of the layer"});
  return [head, el("p.evidence", {}, (text => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`)(analysis.unnamed || analysis.basis)), el("form.stack", {id: "names-form", onsubmit: apply}, rows.map(row => row[1]),
    el("details", {}, el("summary.note", {}, "More evidence"), el("div.stack", {}, el("label.field", {}, el("span", {}, "Materials that can be there, as SiO2,Cu"), more), el("label.field", {}, el("span", {}, "Process"), process), el("label.field", {}, el("span", {}, "Thickness of the layer, as 90nm"), thick))),
    el("button.primary", {type: "submit"}, "Name them"), el("p.note", {}, "Two that you know calibrate the rest of a backscatter picture."))];
}

export const classColour = (page, name) => {
  const found = page.current?.analysis?.materials.find(m => m.name === name);
  return found?.colour ?? COLOURS[Math.max(page.strokes.classes.indexOf(name), 0) % COLOURS.length];
};

export function drawStrokes(page) {
  page.viewer.lines("strokes", page.strokes.drawn.map(s => ({points: s.points, width: s.width, colour: classColour(page, s.name)})));
}

function scribblePanel(page) {
  const state = page.strokes, analysis = page.current?.analysis;
  const head = el("summary", {}, "Correct by strokes");
  if (!analysis) return [head, el("p.note", {}, "Phases come first.")];
  const add = el("input", {placeholder: "another class", "aria-label": "Name of another class", maxlength: 40, list: "materials"});
  const width = el("input", {type: "range", min: 1, max: 40, step: 1, value: String(state.width), "aria-label": "Width of the pen", oninput: () => { state.width = Number(width.value); shown.textContent = `${state.width} px`; }});
  const shown = el("span.soft", {}, `${state.width} px`);
  const redraw = () => { page.refreshStrokes(); drawStrokes(page); };
  const rename = name => { const to = globalThis.prompt("Name of this class (a material names itself)", name); if (to?.trim()) { state.classes = state.classes.map(c => c === name ? to.trim() : c); state.drawn.forEach(s => { if (s.name === name) s.name = to.trim(); }); redraw(); } };
  return [head, el("div.stack", {},
    el("p.note", {}, "Draw a few strokes in each class, then retrain. A class that bears the name of a material is named so."),
    el("div.classes", {role: "group", "aria-label": "Class to draw"}, state.classes.map((name, i) => el("button", {type: "button", "aria-pressed": String(i === state.current), title: "Click to draw, double click to rename", ondblclick: () => rename(name),
      onclick: () => { state.current = i; page.setTool("scribble"); redraw(); }}, el("span.mark", {style: {background: classColour(page, name)}}), name, el("span.soft", {}, String(state.drawn.filter(s => s.name === name).length))))),
    el("form.row", {onsubmit: event => { event.preventDefault(); const name = add.value.trim(); if (name && !state.classes.includes(name)) { state.classes.push(name); state.current = state.classes.length - 1; redraw(); } }}, add, el("button", {type: "submit"}, "Add")),
    el("label.row", {}, el("span.soft", {}, "Pen"), width, shown),
    el("div.row", {}, el("button.primary", {type: "button", id: "retrain", disabled: new Set(state.drawn.map(s => s.name)).size < 2, onclick: () => retrain(page)}, "Retrain"),
      el("button", {type: "button", disabled: !state.drawn.length, onclick: () => { state.drawn.pop(); redraw(); }}, "Undo"), el("button", {type: "button", disabled: !state.drawn.length, onclick: () => { state.drawn = []; redraw(); }}, "Clear")),
    analysis.classifier ? el("p.note", {}, `Outside the bag ${percent(analysis.classifier.out_of_bag_error, 2)} of ${number(analysis.classifier.samples, 7)} drawn pixels are wrong.`) : null)];
}

async function retrain(page) {
  const result = await page.job("/train", {strokes: page.strokes.drawn.map(s => ({class: s.name, points: s.points, width: s.width}))});
  if (result) say(`Retrained: ${percent(result.analysis.classifier.out_of_bag_error, 2)} of the drawn pixels outside the bag are wrong.`);
}
