// What the pointer does on the picture: look, measure, draw, pick terminals; and the line at the foot.
import {$, api, el, fill, number} from "/shared/common.mjs";
import {length, percent} from "/page/text.mjs";
import {drawStrokes} from "/page/names.mjs";
import {goBack} from "/page/shown.mjs";
import {TERMINAL} from "/page/physics.mjs";

const icon = path => { const box = el("span"); box.innerHTML = `<svg viewBox="0 0 24 24" aria-hidden="true">${path}</svg>`; return box.firstChild; };
const TOOLS = {
  probe: ["Look: click a pixel (v)", "v", '<path d="M12 3v5M12 16v5M3 12h5M16 12h5"/><circle cx="12" cy="12" r="3.5"/>', "Click a pixel. Drag to move, wheel to zoom."],
  measure: ["Measure a distance (m)", "m", '<path d="m3 16 13-13 5 5L8 21z"/><path d="m7 12 2.4 2.4M10.5 8.5l2.4 2.4M14 5l2.4 2.4"/>', "Click two points; Shift keeps to rows, columns and diagonals. Esc clears."],
  scribble: ["Draw strokes (s)", "s", '<path d="m4 20 1.2-4.6L16 4.6a2 2 0 0 1 2.9 0l.5.5a2 2 0 0 1 0 2.9L8.6 18.8z"/><path d="m14 7 3 3"/>', "Drag to draw in the class that is chosen. Wheel to zoom, arrow keys to move."],
  terminals: ["Pick terminals (t)", "t", '<circle cx="5.5" cy="12" r="2.5"/><circle cx="18.5" cy="12" r="2.5"/><path d="m8 12 1.5-3 2.5 6 2.5-6 1.5 3"/>', "Click an object: terminal A, then B."],
};

export function makeTools(page) {
  const bar = $("#toolbar"), viewer = page.viewer, map = viewer.map, canvas = map.getCanvasContainer();
  let tool = "probe", which = "A", measured = [], labels = [], marks = [];
  page.setTool = (name, terminal = null) => {
    tool = name;
    which = terminal ?? (page.terminals.A && !page.terminals.B ? "B" : "A");
    for (const key of Object.keys(TOOLS)) document.body.classList.toggle(`tool-${key}`, key === name);
    for (const button of bar.querySelectorAll("[data-tool]")) button.setAttribute("aria-pressed", String(button.dataset.tool === name));
    map.dragPan[name === "scribble" ? "disable" : "enable"]();
    if (name === "scribble") $("#scribbles").open = true;
    if (name !== "measure") clearMeasure();
    status(null);
  };
  bar.append(...Object.entries(TOOLS).map(([name, [title, , path]]) => el("button", {type: "button", "data-tool": name, title, "aria-label": title, onclick: () => page.setTool(name)}, icon(path))), el("hr"),
    el("button", {type: "button", title: "Zoom in (+)", "aria-label": "Zoom in", onclick: () => map.zoomIn()}, icon('<path d="M12 5v14M5 12h14"/>')),
    el("button", {type: "button", title: "Zoom out (-)", "aria-label": "Zoom out", onclick: () => map.zoomOut()}, icon('<path d="M5 12h14"/>')),
    el("button", {type: "button", title: "The whole field (f)", "aria-label": "The whole field", onclick: () => viewer.fit()}, icon('<path d="M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5"/>')),
    el("button", {type: "button", title: "Pixels as they are (1)", "aria-label": "Pixels as they are", onclick: () => map.easeTo({zoom: 6})}, icon('<path d="M4 8l3-3v14M16 8l3-3v14"/><path d="M12 10v.01M12 15v.01"/>')));

  // Measuring
  const clearMeasure = () => { if (measured.length) page.showProfile(null); measured = []; labels.forEach(l => l.remove()); labels = []; if (viewer.document) for (const name of ["measure-rim", "measure"]) viewer.lines(name, []); };
  const straight = (from, to) => {
    const step = Math.round(Math.atan2(to[1] - from[1], to[0] - from[0]) / (Math.PI / 4)) * Math.PI / 4, size = Math.hypot(to[0] - from[0], to[1] - from[1]);
    return [from[0] + size * Math.cos(step), from[1] + size * Math.sin(step)];
  };
  const distance = ([a, b]) => {
    const [dy, dx] = page.current.pixel_size_nm ?? [1, 1];
    return Math.hypot((b[0] - a[0]) * dx, (b[1] - a[1]) * dy);
  };
  const drawMeasure = moving => {
    const lines = [...measured];
    if (lines.length % 2 && moving) lines.push(moving);
    const pairs = [];
    for (let i = 0; i + 1 < lines.length; i += 2) pairs.push([lines[i], lines[i + 1]]);
    for (const name of ["measure-rim", "measure"]) viewer.lines(name, pairs.map(points => ({points})));
    while (labels.length > pairs.length) labels.pop().remove();
    pairs.forEach((pair, i) => {
      const middle = [(pair[0][0] + pair[1][0]) / 2, (pair[0][1] + pair[1][1]) / 2];
      labels[i] ??= viewer.label(el("div.measure-label"), middle, [0, -18]);
      labels[i].setLngLat(viewer.lngLat(middle)).getElement().textContent = length(distance(pair), page.current.pixel_size_nm !== null);
    });
  };

  // Looking
  let asking = false, next = null;
  const hover = async at => {
    if (asking) { next = at; return; }
    asking = true;
    try {
      for (next = at; next;) {
        const [x, y] = next;
        next = null;
        status(page.current && inside([x, y]) ? await api.get(page.path("/probe"), {x, y}) : null);
      }
    } catch { status(null); } finally { asking = false; }
  };
  const inside = ([x, y]) => x >= 0 && y >= 0 && x < page.current.columns && y < page.current.rows;
  const pixel = event => viewer.at(event).map(Math.floor);
  const status = told => {
    const hint = el("span.hint", {}, TOOLS[tool][3].replace("terminal A, then B", `terminal ${which}`));
    if (!told) { fill($("#status"), el("span.soft", {}, page.current ? `${number(page.current.columns, 6)} × ${number(page.current.rows, 6)} px` : ""), hint); return; }
    const sized = told.unit === "nm", field = told.fields?.find(f => f.key === page.view.field && page.view.kind === "field");
    fill($("#status"), el("span", {}, `${told.x}, ${told.y}`), el("span.soft", {}, `grey ${number(told.grey, 5)}`),
      told.material ? el("span", {}, el("span.mark", {style: {background: told.material.colour}}), `${told.material.name} ${percent(told.material.confidence)}`) : null,
      told.object ? el("span.soft", {}, `object ${told.object.number}, ${length(told.object.width_nm, sized)} wide`) : null,
      field ? el("b", {}, `${number(field.value, 4)} ${field.unit}`) : null, hint);
  };

  map.on("mousemove", event => {
    if (!page.current) return;
    if (tool === "measure" && measured.length % 2) drawMeasure(event.originalEvent.shiftKey ? straight(measured.at(-1), viewer.at(event)) : viewer.at(event));
    hover(pixel(event));
  });
  map.on("mouseout", () => status(null));
  map.on("click", async event => {
    const at = pixel(event);
    if (!page.current || !inside(at)) return;
    if (tool === "probe") page.pin(at);
    if (tool === "measure") { const exact = viewer.at(event); measured.push(event.originalEvent.shiftKey && measured.length % 2 ? straight(measured.at(-1), exact) : exact); drawMeasure(); if (measured.length % 2 === 0) page.showProfile(measured.slice(-2)); }
    if (tool === "terminals" && page.current.analysis) {
      const told = await page.pin(at);
      if (!told?.object) return;
      await page.setTerminal(which)(told);
      page.setTool(which === "A" && !page.terminals.B ? "terminals" : "probe", "B");
    }
  });

  // Drawing
  let stroke = null;
  const place = event => { const box = canvas.getBoundingClientRect(); return viewer.at({lngLat: map.unproject([event.clientX - box.left, event.clientY - box.top])}); };
  canvas.addEventListener("pointerdown", event => {
    if (tool !== "scribble" || event.button !== 0 || !page.current?.analysis) return;
    stroke = {name: page.strokes.classes[page.strokes.current], points: [place(event)], width: page.strokes.width};
    page.strokes.drawn.push(stroke);
    canvas.setPointerCapture(event.pointerId);
    event.stopPropagation();
    drawStrokes(page);
  }, true);
  canvas.addEventListener("pointermove", event => {
    if (!stroke) return;
    const at = place(event), before = stroke.points.at(-1);
    if (Math.hypot(at[0] - before[0], at[1] - before[1]) > 0.7 && stroke.points.length < 4900) { stroke.points.push(at); drawStrokes(page); }
  });
  const end = () => { if (stroke) { stroke = null; page.refreshStrokes(); } };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);

  page.drawTerminals = () => {
    marks.forEach(mark => mark.remove());
    marks = Object.entries(page.terminals).filter(([, t]) => t).map(([name, t]) => viewer.label(el("div.terminal-label", {style: {background: TERMINAL[name]}}, name), t.at));
  };
  let last = null;
  page.changed(told => { if (told && told.id !== last) { last = told.id; clearMeasure(); } if (told) status(null); });
  page.setTool("probe");

  const views = ["materials", "confidence", "runner-up", "field", "none"];
  return {keys: {
    ...Object.fromEntries(Object.entries(TOOLS).map(([name, [title, key]]) => [key, [title.replace(/ \(.\)$/, ""), () => page.current && page.setTool(name)]])),
    Escape: ["Back to looking; clear measures and the pinned pixel", () => { clearMeasure(); page.setTool("probe"); if (page.current) page.pin(null); }],
    f: ["The whole field", () => page.current && viewer.fit()], 1: ["Pixels as they are", () => map.easeTo({zoom: 6})],
    "+": ["Zoom in", () => map.zoomIn()], "-": ["Zoom out", () => map.zoomOut()],
    ...Object.fromEntries([["ArrowLeft", [-120, 0]], ["ArrowRight", [120, 0]], ["ArrowUp", [0, -120]], ["ArrowDown", [0, 120]]].map(([key, by]) => [key, ["Move", () => map.panBy(by)]])),
    " ": ["Overlay on or off", () => { if (page.current?.analysis) { page.view.before = page.view.kind === "none" ? page.view.before : page.view.kind; page.setView(page.view.kind === "none" ? page.view.before ?? "materials" : "none"); } }],
    w: ["Next overlay: materials, confidence, runner-up, field, none", () => { if (page.current?.analysis) { const now = views.indexOf(page.view.kind); page.setView(views.slice(now + 1).concat(views).find(v => v !== "field" || page.current.analysis.fields.length)); } }],
    z: ["Before the last change", () => page.current?.can_go_back && goBack(page)],
  }};
}
