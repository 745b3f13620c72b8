// The left side, first half: what the picture is, and what is laid over it.
import {$, api, attempt, el, fill, number} from "/shared/common.mjs";
import {length, percent} from "/page/text.mjs";

const VIEWS = [["materials", "Materials"], ["confidence", "Confidence"], ["runner-up", "Runner-up"], ["field", "Fields"]];
const CIVIDIS = "linear-gradient(to right, #00224e, #123570, #3b496c, #575d6d, #707173, #8a8678, #a59c74, #c3b369, #e1cc55, #fee838)";

export function makeShown(page, side) {
  const about = el("section.panel", {id: "about"}), layers = el("section.panel", {id: "layers"});
  side.append(about, layers);
  page.view = {kind: "materials", opacity: 0.55, single: {}, hidden: new Set(), field: null, fieldOpacity: 0.85};
  const view = page.view;

  const apply = () => {
    const analysis = page.current?.analysis;
    if (!analysis) { $("#colour-bar").hidden = true; page.viewer.overlay({}); return; }
    page.viewer.overlay(shownLayers(analysis, view));
    colourBar(analysis, view);
  };
  page.applyView = apply;
  page.setView = kind => { view.kind = kind; page.tell(); };

  page.changed(told => {
    if (!told) return;
    const fields = told.analysis?.fields ?? [];
    if (!fields.some(f => f.key === view.field)) view.field = fields.at(-1)?.key ?? null;
    if (view.kind === "field" && !view.field) view.kind = "materials";
    fill(about, aboutPicture(page, told));
    fill(layers, told.analysis ? layerPanel(page, told.analysis, view, apply) : [el("h2", {}, "Overlay"), el("p.note", {}, "Nothing is found yet."), analyseButton(page)]);
    apply();
  });
}

function shownLayers(analysis, view) {
  if (view.kind === "materials") return Object.fromEntries(analysis.materials.map((m, i) => [`material-${i}`, view.hidden.has(m.name) ? 0 : view.single[m.name] ?? view.opacity]));
  if (view.kind === "field") return view.field ? {[`field-${view.field}`]: view.fieldOpacity} : {};
  return view.kind === "none" ? {} : {[view.kind]: view.fieldOpacity};
}

function aboutPicture(page, told) {
  const size = told.pixel_size_nm, tags = told.instrument;
  const rows = [["Size", `${number(told.columns, 6)} × ${number(told.rows, 6)} px, ${told.bits} bit`]];
  if (size) rows.push(["Pixel", size[0] === size[1] ? `${number(size[0], 5)} nm` : `${number(size[1], 5)} × ${number(size[0], 5)} nm`], ["Field", `${length(size[1] * told.columns)} × ${length(size[0] * told.rows)}`], ["Known from", told.pixel_size_source]);
  if (tags.beam_kv) rows.push(["Beam", `${number(tags.beam_kv)} kV`]);
  if (tags.detector) rows.push(["Detector", tags.detector]);
  if (tags.signal) rows.push(["Signal", tags.signal]);
  const input = el("input", {name: "size", placeholder: "1.65nm", "aria-label": "Pixel size with its unit", required: true});
  const form = el("form", {onsubmit: event => { event.preventDefault(); page.job("/say", {pixel_size: input.value}); }}, input, el("button.primary", {type: "submit"}, "Set"));
  const ask = size ? null : el("div.ask", {}, el("span", {}, "No tag gives the pixel size, and it is never guessed. Until you give it, lengths are in pixels."), form);
  return [el("h2", {}, told.name), el("dl.facts", {}, rows.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])), told.analysis ? ask : null,
    told.notes.length ? el("ul.notes", {}, told.notes.map(note => el("li", {}, note))) : null];
}

function analyseButton(page) {
  return el("button", {type: "button", id: "analyse-view", title: "Analyse the part of the picture that is in view", onclick: () => page.job("/analyse", {...said(page), box: page.viewer.view()})}, "Analyse view");
}

/** How many phases there are: the evidence chooses, or the user. */
function phaseCount(page, analysis) {
  const choice = el("select", {id: "phase-count", title: "How many phases; the names go with the old ones", "aria-label": "Number of phases", style: {width: "auto"},
    onchange: () => page.job("/analyse", {...said(page), calibration: {}, legend: null, phases: Number(choice.value) || null, box: analysis.box})},
  el("option", {value: "0"}, "phases: auto"), [1, 2, 3, 4, 5, 6, 7, 8].map(n => el("option", {value: String(n), selected: n === analysis.said.phases}, `${n} phase${n > 1 ? "s" : ""}`)));
  return choice;
}

const said = page => { const given = page.current.analysis?.said ?? {}; return Object.fromEntries(Object.entries(given).filter(([, v]) => v !== null)); };

function layerPanel(page, analysis, view, apply) {
  const segments = el("div.segments", {role: "group", "aria-label": "What is laid over the picture"}, VIEWS.map(([kind, title]) => el("button", {type: "button", id: `view-${kind}`,
    "aria-pressed": String(view.kind === kind), disabled: kind === "field" && !analysis.fields.length, title: kind === "field" && !analysis.fields.length ? "Solve a physics first" : title, onclick: () => page.setView(view.kind === kind ? "none" : kind)}, title)));
  return [el("div.row", {style: {marginBottom: "8px"}}, el("h2.grow", {}, "Overlay"), page.current.can_go_back ? el("button", {type: "button", id: "undo", title: "Undo: before the last change (z)", "aria-label": "Undo", onclick: () => goBack(page)}, "↶") : null), segments, el("div.stack", {style: {marginTop: "8px"}}, body(page, analysis, view, apply)),
    el("div.row", {style: {marginTop: "8px", flexWrap: "wrap"}}, analyseButton(page), phaseCount(page, analysis)),
    el("details", {}, el("summary.note", {}, `${number(analysis.objects, 6)} objects in ${analysis.phases} phases; how they were found`),
      el("ul.notes", {}, [...analysis.preparation, ...analysis.notes, analysis.evidence ? "the number of phases was chosen by the evidence" : "the number of phases was given"].map(note => el("li", {}, note))))];
}

export async function goBack(page) {
  await attempt(async () => {
    const told = await api.post(page.path("/back"), {});
    page.current = told;
    page.documents = page.documents.map(d => d.id === told.id ? told : d);
    await page.viewer.show(told);
    page.tell();
  });
}

function body(page, analysis, view, apply) {
  if (view.kind === "materials") return [slider("All", view.opacity, value => { view.opacity = value; view.single = {}; page.tell(); }), el("div", {}, analysis.materials.map(m => material(page, m, view, apply)))];
  if (view.kind === "confidence") return [el("p.note", {}, `How sure each pixel's material is. Mean ${percent(analysis.mean_confidence)}.`), slider("Opacity", view.fieldOpacity, value => { view.fieldOpacity = value; apply(); })];
  if (view.kind === "runner-up") return [el("p.note", {}, "The second likeliest material in its colour, the stronger the nearer it comes to the first."), slider("Opacity", view.fieldOpacity, value => { view.fieldOpacity = value; apply(); })];
  if (view.kind === "field") {
    const choice = el("select", {id: "field", "aria-label": "Field", onchange: () => { view.field = choice.value; apply(); }}, analysis.fields.map(f => el("option", {value: f.key, selected: f.key === view.field}, `${f.quantity} (${f.physics})`)));
    return [choice, slider("Opacity", view.fieldOpacity, value => { view.fieldOpacity = value; apply(); })];
  }
  return [el("p.note", {}, "The picture alone.")];
}

function material(page, m, view, apply) {
  const shown = el("input", {type: "checkbox", checked: !view.hidden.has(m.name), "aria-label": `Show ${m.name}`, onchange: () => { shown.checked ? view.hidden.delete(m.name) : view.hidden.add(m.name); apply(); }});
  const opacity = el("input", {type: "range", min: 0, max: 1, step: 0.05, value: String(view.single[m.name] ?? view.opacity), "aria-label": `Opacity of ${m.name}`, oninput: () => { view.single[m.name] = Number(opacity.value); apply(); }});
  return el("div.material", {}, el("label.row", {}, shown, el("span.mark", {style: {background: m.colour}})), el("span.name", {}, m.name), opacity,
    el("span.soft", {}, `${percent(m.share)} ± ${percent(m.share_sd)} of the field, ${number(m.objects, 6)} object${m.objects === 1 ? "" : "s"}`));
}

function slider(title, value, set) {
  const input = el("input", {type: "range", min: 0, max: 1, step: 0.05, value: String(value), "aria-label": title === "All" ? "Opacity of all materials" : title, oninput: () => set(Number(input.value))});
  return el("label.row", {}, el("span.soft", {}, title), input);
}

function colourBar(analysis, view) {
  const box = $("#colour-bar");
  const field = view.kind === "field" ? analysis.fields.find(f => f.key === view.field) : null;
  box.hidden = !(field || view.kind === "confidence");
  if (box.hidden) return;
  const [title, unit, low, high, ramp, note] = field ? [field.quantity, field.unit, field.low, field.high, `linear-gradient(to right, ${field.stops.join(", ")})`, field.clipped ? "The brightest 0.1 % of the pixels lie beyond the end of the bar." : ""]
    : ["confidence", "", 0.5, 1, CIVIDIS, "0.5 or less is darkest."];
  const ticks = [0, 0.25, 0.5, 0.75, 1];
  fill(box, el("div.legend", {}, el("div.legend-title", {}, title, unit ? el("span.unit", {}, ` (${unit})`) : null), el("div.ramp", {style: {background: ramp}}),
    el("div.ramp-ticks", {}, ticks.map(t => el("span", {style: {left: `${100 * t}%`}}, number(low + t * (high - low), 3)))), note ? el("div.note", {}, note) : null));
}
