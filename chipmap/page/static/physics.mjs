// The right side, second half: what can be solved on the picture; two objects as terminals.
import {$, attempt, el, fill, number} from "/shared/common.mjs";
import {curves} from "/page/profile.mjs";
import {si} from "/page/text.mjs";

const KINDS = [["heat", "Heat", "1 K between left and right"], ["current", "Current", "1 mV from side to side, where conductors join two"], ["charge", "Charge", "capacitances of the four largest nets"], ["stress", "Stress", "a change of temperature"], ["coupled", "Coupled", "current, its heat, the stress of that"],
  ["junction", "Junction", "heat from terminal A to the sides"], ["transient", "Pulse", "1 ns of heat in terminal A"], ["stiffness", "Stiffness", "effective, of the whole field"]];
const HEATED = ["junction", "transient"];
export const TERMINAL = {A: "#e69f00", B: "#56b4e9"};

export function makePhysics(page, side) {
  const panel = el("section.panel", {id: "physics"});
  side.insertBefore(panel, $("#objects"));
  page.terminals = {A: null, B: null};
  let answer = null, shown = "";
  const state = {change: "100", which: "heat"};

  page.setTerminal = which => told => attempt(async () => {
    page.terminals[which] = told?.object ? {number: told.object.number, material: told.material.name, at: [told.x + 0.5, told.y + 0.5]} : null;
    await page.setOutline(which, told?.object?.number ?? null, TERMINAL[which]);
    draw();
    page.drawTerminals?.();
  });
  const between = async kind => {
    const {A, B} = page.terminals;
    const result = await page.job("/between", {kind, first: A.number, second: B.number}, {take: told => told.document});
    if (!result) return;
    answer = result.between;
    page.view.field = result.document.analysis.fields.find(f => f.key === (kind === "resistance" ? "current.potential_v" : "charge.electrostatic_potential_v"))?.key ?? null;
    page.setView("field");
    draw();
    page.drawTerminals?.();
    $("#between-answer").scrollIntoView({block: "nearest", behavior: "smooth"});
  };
  const solve = async () => {
    const result = await page.job("/solve", {physics: state.which, boundaries: state.which === "stress" ? {temperature_change: Number(state.change)} : HEATED.includes(state.which) ? {heater: String(page.terminals.A.number)} : {}});
    if (!result) return;
    const fields = result.analysis.fields.filter(f => f.physics === state.which);
    const best = ["temperature_rise_k", "current_density_a_m2", "electric_field_v_m", "von_mises_pa", "rise_per_power_k_m_w", "pulse_rise_k"];
    page.view.field = (fields.find(f => best.some(b => f.key.endsWith(b))) ?? fields[0])?.key ?? null;
    page.setView("field");
  };

  function draw() {
    const told = page.current, analysis = told?.analysis;
    if (!analysis) { fill(panel, el("h2", {}, "Physics"), el("p.note", {}, "Phases come first.")); return; }
    const why = !told.pixel_size_nm ? "Give the pixel size first: physics has lengths." : !analysis.physics_ready ? "Name the phases first: physics needs their properties." : "";
    const {A, B} = page.terminals;
    const pick = which => el("button.terminal", {type: "button", disabled: Boolean(why), style: {"--which": TERMINAL[which]}, title: `Click, then click an object: terminal ${which} (t)`, onclick: () => page.setTool("terminals", which)},
      el("b", {style: {color: TERMINAL[which]}}, which), page.terminals[which] ? `object ${page.terminals[which].number}, ${page.terminals[which].material}` : el("span.soft", {}, "pick…"));
    const choice = el("select", {"aria-label": "Physics", id: "physics-kind", disabled: Boolean(why), onchange: () => { state.which = choice.value; draw(); }}, KINDS.map(([name, title, what]) => el("option", {value: name, selected: name === state.which}, `${title}: ${what}`)));
    const change = state.which === "stress" ? el("label.row", {}, el("span.soft", {}, "By"), el("input", {type: "number", value: state.change, step: "any", "aria-label": "Change of temperature, K", oninput: event => { state.change = event.target.value; }}), "K") : null;
    fill(panel, el("h2", {}, "Physics"), el("div.stack", {}, why ? el("p.evidence", {}, why) : null,
      el("div.pair", {}, pick("A"), pick("B")),
      el("div.pair", {}, el("button", {type: "button", id: "resistance", disabled: Boolean(why) || !A || !B, onclick: () => between("resistance")}, "Resistance"), el("button", {type: "button", id: "capacitance", disabled: Boolean(why) || !A || !B, onclick: () => between("capacitance")}, "Capacitance")),
      answer ? betweenCard(answer) : null,
      el("div.row", {}, choice, el("button", {type: "button", id: "solve", disabled: Boolean(why) || (HEATED.includes(state.which) && !A), title: HEATED.includes(state.which) && !A ? "Pick terminal A: it gives off the heat" : "Solve", onclick: solve}, "Solve")), change,
      Object.entries(analysis.answers).map(([name, facts]) => answerCard(name, facts)), curves(analysis.curves)));
  }
  page.changed(told => {
    const key = told ? `${told.id} ${told.analysis?.objects_are}` : "";
    if (key !== shown) { answer = null; page.terminals = {A: null, B: null}; page.drawTerminals?.(); shown = key; }
    draw();
  });
}

function betweenCard(a) {
  const layer = a.of_the_layer, main = layer ?? a, unit = main.unit.replace("ohm", "Ω");
  return el("div.answer", {id: "between-answer"}, el("span.soft", {}, `${a.kind} between objects ${a.objects[0]} and ${a.objects[1]}`), el("span.big", {}, si(main.value, unit, 5)),
    bounds(main, unit), el("span.note", {}, `Certified: ${si(main.lower, unit, 5)} to ${main.upper === null ? "no upper bound" : si(main.upper, unit, 5)}, for the pixels and the properties as they are.`),
    main.interval_95 ? el("span.note", {}, `Edges and materials: 95 % from ${si(main.interval_95[0], unit)} to ${si(main.interval_95[1], unit)}.`) : null,
    layer ? el("span.note", {}, `Layer of ${number(layer.thickness_nm)} nm; ${si(a.value, a.unit.replace("ohm", "Ω"))} for a metre of depth.`) : el("span.note", {}, a.kind === "resistance" ? "For a metre of depth: divide by the depth." : "For a metre of depth: times the depth. Give the layer's thickness under More evidence."));
}

/** The value, its certified bounds and its 95 % interval on one line. */
function bounds({value, lower, upper, interval_95}, unit) {
  const all = [value, lower, upper ?? value, ...(interval_95 ?? [])].filter(v => v !== null && Number.isFinite(v)), low = Math.min(...all), high = Math.max(...all);
  if (!(high > low)) return null;
  const at = v => `${100 * (v - low) / (high - low)}%`, from = (a, b) => ({left: at(a), width: `calc(${100 * (b - a) / (high - low)}% + 1px)`});
  return el("div.bounds", {title: `${si(low, unit)} to ${si(high, unit)}`}, interval_95 ? el("span.wide", {style: from(...interval_95)}) : null, el("span.line", {style: from(lower ?? low, upper ?? high)}), el("span.dot", {style: {left: at(value)}}));
}

function answerCard(name, facts) {
  const rows = [], side = facts.side_to_side;
  if (side) {
    rows.push(["Effective", `${number(side.value, 4)} ${side.unit}`], ["", side.direction], ["Certified", `${number(side.lower, 5)} to ${number(side.upper, 5)}`]);
    if (side.sigma !== null && side.interval_95) rows.push(["95 %", `${number(side.interval_95[0], 4)} to ${number(side.interval_95[1], 4)}`]);
  }
  for (const [key, fact] of Object.entries(facts)) {
    if (key === "side_to_side" || !Number.isFinite(fact?.value) || !fact.unit) continue;
    const unit = fact.unit.replace("ohm", "Ω");
    rows.push([key.replaceAll("_", " "), si(fact.value, unit)]);
    if (Number.isFinite(fact.lower) && Number.isFinite(fact.upper) && fact.lower !== fact.upper) rows.push(["certified", `${si(fact.lower, unit)} to ${si(fact.upper, unit)}`]);
  }
  const matrix = facts.capacitance_matrix;
  if (matrix && matrix.value.length <= 4) rows.push(...matrix.value.map((row, i) => [`C of net ${facts.conductors[i].net} to ${facts.conductors.map(c => c.net).join(", ")}`, row.map(v => number(v * 1e12, 3)).join(", ") + " pF/m"]));
  return rows.length ? el("details", {open: true}, el("summary", {}, name), el("dl.facts", {}, rows.map(([k, v]) => [el("dt", {}, k), el("dd", {}, v)]))) : null;
}
