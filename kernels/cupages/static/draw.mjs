// Colour scales that the colour-blind read, and legends.
import {el, fill} from "/shared/common.mjs";

// Stops from dark to light (cividis, viridis, inferno: after van der Walt, Smith, Nunez) and from low to high (ColorBrewer RdBu reversed, PuOr)
export const RAMPS = {
  cividis: ["#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838"],
  viridis: ["#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"],
  inferno: ["#000004", "#1b0c41", "#4a0c6b", "#781c6d", "#a52c60", "#cf4446", "#ed6925", "#fb9b06", "#f7d13d", "#fcffa4"],
  blue_red: ["#053061", "#2166ac", "#4393c3", "#92c5de", "#d1e5f0", "#f2f2f2", "#fddbc7", "#f4a582", "#d6604d", "#b2182b", "#67001f"],
};
// Okabe and Ito's eight colours, told apart by all kinds of eyes
export const DISTINCT = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#999999"];

const channels = hex => [1, 3, 5].map(i => parseInt(hex.slice(i, i + 2), 16));
const hexed = rgb => `#${rgb.map(c => Math.round(c).toString(16).padStart(2, "0")).join("")}`;

/** The colour of a ramp at t from 0 to 1. */
export function ramp(name, t) {
  const stops = RAMPS[name], at = Math.min(Math.max(t, 0), 1) * (stops.length - 1), low = Math.min(Math.floor(at), stops.length - 2);
  const [a, b] = [channels(stops[low]), channels(stops[low + 1])];
  return hexed(a.map((c, i) => c + (b[i] - c) * (at - low)));
}

/** The class (lower <= value < upper) of a value, its index, -1 for none. classes: rising, [{lower, upper, colour, label}]. */
export function classOf(classes, value) {
  if (!Number.isFinite(value)) return -1;
  for (let i = 0; i < classes.length; i++) if (value < classes[i].upper) return i;
  return classes.length - 1;
}

/** A legend of classes: [{colour, label}], or with `marks` "line" or "dot" in place of boxes. */
export function legend(container, {title, unit = "", classes, marks = "box", note = "", pick}) {
  const rows = classes.map((c, i) => {
    const mark = el(`span.mark.${marks}`, {style: {[marks === "line" ? "borderTopColor" : "background"]: c.colour, ...(c.size ? {width: `${c.size}px`, height: `${c.size}px`} : {})}});
    return pick ? el("button.quiet.legend-row", {type: "button", "aria-pressed": c.off ? "false" : "true", onclick: () => pick(c, i)}, mark, el("span", {}, c.label))
      : el("div.legend-row", {}, mark, el("span", {}, c.label));
  });
  return fill(container, el("div.legend", {role: "group", "aria-label": title}, el("div.legend-title", {}, title, unit && el("span.unit", {}, ` ${unit}`)), rows, note && el("div.note", {}, note)));
}

/** A legend of a continuous ramp from low to high with ticks [{at: 0..1, label}]. */
export function rampLegend(container, {title, unit = "", name, ticks, note = ""}) {
  const stops = RAMPS[name];
  const bar = el("div.ramp", {style: {background: `linear-gradient(to right, ${stops.join(", ")})`}});
  const marks = el("div.ramp-ticks", {}, ticks.map(t => el("span", {style: {left: `${100 * t.at}%`}}, t.label)));
  return fill(container, el("div.legend", {role: "group", "aria-label": title}, el("div.legend-title", {}, title, unit && el("span.unit", {}, ` ${unit}`)), bar, marks, note && el("div.note", {}, note)));
}
