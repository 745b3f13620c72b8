// The right side, first half: the pixel that was clicked, the objects, what to take home.
import {$, address, api, attempt, el, fill, number, showJob} from "/shared/common.mjs";
import {area, length, percent, uncertain, uncertainArea} from "/page/text.mjs";

const EXPORTS = [["report.html", "Report"], ["run.zip", "Everything (zip)"], ["layout.gds", "Layout, GDSII"], ["materials.geojson", "Layout, GeoJSON"], ["objects.csv", "Objects, CSV"],
  ["labels.ome.tif", "Labels, OME-TIFF"], ["results.json", "Results, JSON"], ["fields.vti", "Fields, VTI"], ["scribbles.geojson", "Strokes"], ["classifier.npz", "Classifier"]];

export function makeFound(page, side) {
  const pixel = el("section.panel", {id: "pixel", "aria-live": "polite"}), objects = el("details.panel", {id: "objects"}), take = el("details.panel", {id: "export"});
  side.append(pixel, objects, take);
  page.pinned = null;
  page.outline = {};
  let table = null;
  const showOutlines = () => page.viewer.lines("outline", Object.values(page.outline).flatMap(o => o.rings.map(points => ({points, colour: o.colour}))));
  page.showOutlines = showOutlines;

  /** The rings of an object under a key ("pinned", "A", "B"), drawn in a colour; null takes them away. */
  page.setOutline = async (key, number_, colour) => {
    if (number_ === null) delete page.outline[key];
    else page.outline[key] = {number: number_, colour, rings: (await api.get(page.path(`/outline/${number_}`))).rings};
    showOutlines();
  };
  page.pin = async at => attempt(async () => {
    page.pinned = at;
    const told = at && await api.get(page.path("/probe"), {x: at[0], y: at[1]});
    fill(pixel, told ? pixelPanel(page, told) : hint());
    await page.setOutline("pinned", told?.object ? told.object.number : null, "#ffffff");
    for (const row of objects.querySelectorAll("tr[data-object]")) row.setAttribute("aria-selected", String(Number(row.dataset.object) === told?.object?.number));
    return told;
  });

  objects.addEventListener("toggle", () => { if (objects.open) fillObjects(); });
  const fillObjects = () => attempt(async () => {
    const told = page.current;
    if (!told?.analysis) return;
    if (table?.version !== told.version || table?.id !== told.id) table = {...await api.get(page.path("/objects")), version: told.version, id: told.id};
    fill(objects, el("summary", {}, "Objects"), objectTable(page, table));
  });

  let shown = "", objectsAre = "";
  page.changed(told => {
    if (!told) return;
    const key = `${told.id} ${told.version}`;
    if (key === shown) return;
    const same = shown.startsWith(`${told.id} `), are = `${told.id} ${told.analysis?.objects_are}`;
    shown = key;
    if (are !== objectsAre) page.outline = {};
    objectsAre = are;
    showOutlines();
    if (same && page.pinned && told.analysis) page.pin(page.pinned); else { page.pinned = null; fill(pixel, hint()); }
    fill(objects, el("summary", {}, "Objects"), el("p.note", {}, "Nothing is found yet."));
    if (objects.open) fillObjects();
    fill(take, el("summary", {}, "Take home"), told.analysis ? exportPanel(page, told) : el("p.note", {}, "Nothing is found yet."));
  });
  fill(pixel, hint());
}

const sentence = text => `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;

const hint = () => [el("h2", {}, "Pixel"), el("p.note", {}, "Click the picture: material with its rivals and the evidence, object, size with its error, net.")];

function pixelPanel(page, told) {
  const sized = told.unit === "nm", m = told.material, o = told.object;
  const where = `x ${length(told.x_nm, sized)}, y ${length(told.y_nm, sized)} · column ${told.x}, row ${told.y} · grey ${number(told.grey, 5)}`;
  if (!m) return [el("h2", {}, "Pixel"), el("p.note", {}, where), el("p", {}, told.outside ? "Outside the analysed field: a databar, or not asked for." : "Nothing is found yet.")];
  const rows = [["Width", uncertain(o.width_nm, o.width_sd_nm, sized)], ["Length", length(o.length_nm, sized)], ["Area", uncertainArea(o.area_nm2, o.area_sd_nm2, sized)], ["Perimeter", length(o.perimeter_nm, sized)],
    ["Long axis", `${number(o.angle_deg, 3)}°`], ["Net", o.net ?? (page.current.analysis.unnamed ? "not named" : "insulator")]];
  return [el("h2", {}, el("span.mark", {style: {background: m.colour, display: "inline-block", marginRight: "8px"}}), el("span", {id: "pixel-material"}, m.name), " ", el("span.tag", {title: "Probability that the material of this pixel is right"}, percent(m.confidence))),
    el("p.note", {}, where),
    m.candidates.length ? el("div.candidates", {"aria-label": "Candidates"}, m.candidates.map(c => el("div.candidate", {}, el("span", {}, c.material), el("span.track", {}, el("span.bar", {style: {width: `${100 * c.probability}%`, "--bar": c.colour, background: c.colour}})), el("span.number", {}, percent(c.probability))))) : null,
    m.others ? el("p.note", {}, `and ${m.others} more`) : null,
    el("p.evidence", {}, [...m.evidence, m.basis].map(sentence).join(" ")),
    el("h3", {}, `Object ${o.number}`, o.kind ? `, ${o.kind}` : "", o.touches_border ? el("span.cut", {}, "cut by the frame: sizes are lower limits") : null),
    el("dl.facts", {}, rows.map(([name, value]) => [el("dt", {}, name), el("dd", {}, String(value))])),
    told.fields.length ? [el("h3", {style: {marginTop: "8px"}}, "Fields here"), el("dl.facts", {}, told.fields.map(f => [el("dt", {}, f.quantity), el("dd", {}, `${number(f.value, 4)} ${f.unit}`)]))] : null,
    namer(page, m)];
}

/** "This is ...": names the phase of the clicked pixel. */
function namer(page, m) {
  const input = el("input", {list: "materials", placeholder: "Cu", "aria-label": "This is"});
  const apply = event => {
    event.preventDefault();
    if (input.value.trim()) page.job("/say", {legend: null, calibration: {...page.current.analysis.said.calibration, [m.phase]: input.value.trim()}});
  };
  return el("form.row", {id: "this-is", style: {marginTop: "10px"}, onsubmit: apply}, el("span", {style: {whiteSpace: "nowrap"}}, "This is"), input, el("button", {type: "submit"}, "Name"));
}

function objectTable(page, table) {
  const at = Object.fromEntries(table.columns.map((name, i) => [name, i])), sized = table.unit === "nm";
  const rows = table.rows.map((row, i) => el("tr", {"data-object": String(row[at.object]), tabindex: "0", onkeydown: event => event.key === "Enter" && go(row[at.object]), onclick: () => go(row[at.object])},
    el("td.number", {}, String(row[at.object])), el("td", {}, row[at.material]), el("td.number", {}, uncertain(row[at.width_nm], row[at.width_sd_nm], sized)), el("td.number", {}, area(row[at.area_nm2], sized)), el("td.number", {}, table.nets[i] < 0 ? "–" : String(table.nets[i]))));
  const go = async number_ => attempt(async () => {
    await page.setOutline("pinned", number_, "#ffffff");
    const ring = page.outline.pinned.rings[0], inside = await inner(page, ring, number_);
    if (inside) await page.pin(inside);
    const xs = ring.map(p => p[0]), ys = ring.map(p => p[1]);
    const corners = [[Math.min(...xs), Math.max(...ys)], [Math.max(...xs), Math.min(...ys)]].map(page.viewer.lngLat);
    page.viewer.map.fitBounds(corners, {padding: 80, maxZoom: 9, duration: 400});
  });
  return [el("div.objects-box", {}, el("table", {}, el("thead", {}, el("tr", {}, ["No.", "Material", "Width", "Area", "Net"].map((h, i) => el(i === 1 ? "th" : "th.number", {}, h)))), el("tbody", {}, rows))),
    table.count > rows.length ? el("p.note", {}, `The ${rows.length} largest of ${number(table.count, 7)}; objects.csv has all.`) : null];
}

/** A pixel of the object next to its outline: the ring runs clockwise or not, so all sides of a corner are tried. */
async function inner(page, ring, wanted) {
  for (const [x, y] of [ring[0], ring[Math.floor(ring.length / 2)]]) for (const [dx, dy] of [[0, 0], [-1, 0], [0, -1], [-1, -1]]) {
    const at = [Math.round(x) + dx, Math.round(y) + dy];
    if (at[0] < 0 || at[1] < 0 || at[0] >= page.current.columns || at[1] >= page.current.rows) continue;
    const told = await api.get(page.path("/probe"), {x: at[0], y: at[1]});
    if (told.object?.number === wanted) return at;
  }
  return null;
}

function exportPanel(page, told) {
  const without = name => (name === "scribbles.geojson" || name === "classifier.npz") && !told.analysis.classifier;
  return el("div.stack", {}, el("div.grid-buttons", {}, EXPORTS.map(([what, title]) => el("button", {type: "button", "data-export": what, disabled: without(what), title: without(what) ? "Retrain on strokes first" : what, onclick: () => take(page, what)}, title))),
    el("p.note", {}, "The same files as those of chipmap run, from what the page shows now."));
}

async function take(page, what) {
  await attempt(async () => {
    const started = await api.post(page.path("/export"), {what});
    const made = await showJob($("#jobs"), started.id, {after: 300});
    const link = el("a", {href: address(made.address), download: made.file});
    document.body.append(link);
    link.click();
    link.remove();
  });
}
