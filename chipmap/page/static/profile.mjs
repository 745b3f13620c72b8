// What lies along a measured line: grey, the field that is shown, and the materials with their lengths.
import {$, api, attempt, colour, el, fill, number} from "/shared/common.mjs";
import {chart} from "/shared/chart.mjs";
import {length, scale} from "/page/text.mjs";

export function makeProfile(page, side) {
  const panel = el("section.panel", {id: "profile", hidden: true});
  side.insertBefore(panel, $("#physics"));
  let drawn = null, pair = null;
  /** Show what lies along the line between two points of the picture; null takes it away. */
  page.showProfile = ends => attempt(async () => {
    pair = ends;
    drawn?.destroy();
    drawn = null;
    panel.hidden = !ends;
    if (!ends) { fill(panel); return; }
    const key = page.view.kind === "field" ? page.view.field : null;
    const [[x0, y0], [x1, y1]] = ends, told = await api.get(page.path("/profile"), {x0, y0, x1, y1, field: key});
    if (pair !== ends) return;
    const sized = told.unit === "nm", box = el("div.chart", {style: {height: "130px"}}), total = told.distance.at(-1) || 1;
    const shown = told.field ? told.field.values : told.grey, what = told.field ? `${told.field.quantity} (${told.field.unit})` : "grey";
    fill(panel, el("h2", {}, "Along the line"), el("p.note", {}, `${length(total, sized)}; ${what}`), box,
      el("div.pieces", {title: "Materials along the line"}, told.pieces.map(p => el("span", {style: {background: p.colour, left: `${100 * p.from / total}%`, width: `${100 * (p.to - p.from) / total}%`}}))),
      told.pieces.length ? el("div.piece-list", {}, told.pieces.slice(0, 24).map(p => el("span", {}, el("span.mark", {style: {background: p.colour}}), `${p.material} ${length(p.to - p.from, sized)}`)), told.pieces.length > 24 ? `and ${told.pieces.length - 24} more` : null) : null);
    drawn = chart(box, {data: [told.distance, shown], series: [{label: what, colour: "--accent", width: 1.5}],
      axes: {x: {values: (_, ticks) => ticks.map(t => sized ? (total >= 1e4 ? `${t / 1e3} µm` : `${t} nm`) : `${t} px`)}, y: {values: (_, ticks) => ticks.map(t => number(t, 3))}}});
  });
  page.changed(() => { if (pair) page.showProfile(pair); });
}

/** The curves that a physics left over time, one chart each. */
export function curves(held) {
  return Object.values(held).map(table => {
    const box = el("div.chart", {style: {height: "130px"}}), [factor, prefix] = scale(table.time_s.at(-1)), names = Object.keys(table).filter(n => n !== "time_s");
    const made = el("div", {}, el("p.note", {}, names.map((n, i) => el("span", {style: {marginRight: "10px"}}, el("span.mark.line", {style: {display: "inline-block", borderTopColor: colour(["--accent", "--warn"][i % 2]), marginRight: "5px", verticalAlign: "4px"}}), n.replace(/_k$/, " (K)").replaceAll("_", " ")))), box);
    queueMicrotask(() => chart(box, {data: [table.time_s.map(t => t / factor), ...names.map(n => table[n])], series: names.map((n, i) => ({label: n, colour: ["--accent", "--warn"][i % 2], width: 1.5})),
      axes: {x: {values: (_, ticks) => ticks.map(t => `${number(t, 3)} ${prefix}s`)}, y: {values: (_, ticks) => ticks.map(t => number(t, 3))}}}));
    return made;
  });
}
