// What the page shows, and who wants to know when it changes.
import {api, unpackTable} from "/shared/common.mjs";

export const state = {
  about: null, set: null, borders: null, hour: null, by: null, row: 0, metric: "balance", region: null, scenario: null, still: {}, plants: null,
  layers: {plants: false, lines: false, corridors: false, pockets: true, borders: true}, least: 100,
};

const listeners = {};
export const on = (what, f) => { (listeners[what] ??= []).push(f); };
export const tell = (what, data) => (listeners[what] ?? []).forEach(f => f(data));

/** Parameters that say what is on the screen. */
export const here = more => ({by: state.by, row: state.row, ...(state.scenario ? {scenario: 1} : {}), ...more});

/** An hour's arrays; the last few are kept for going to and fro. */
const kept = new Map();
export async function fetchHour(row, signal) {
  const key = `${state.by} ${row} ${state.scenario?.stamp ?? ""}`;
  if (!kept.has(key)) {
    const table = unpackTable(await api.bytes("/api/hour", {by: state.by, row, ...(state.scenario ? {scenario: 1} : {})}, {signal}));
    kept.set(key, table);
    if (kept.size > 60) kept.delete(kept.keys().next().value);
  }
  return kept.get(key);
}

/** Values by region of the metric on the screen, or null. */
export function metricValues() {
  const {columns: c} = state.hour, pair = (a, b) => a.map((v, i) => v - b[i]);
  switch (state.metric) {
    case "balance": return pair(c.spare, c.unserved);
    case "isolated": return pair(c.supply, c.demand);
    case "deficit": return c.unserved;
    case "share": return c.share;
    case "surplus": return c.spare;
    case "change": return c.before ? pair(c.unserved, c.before) : new Float32Array(c.supply.length);
    default: return state.still[`${state.by} ${state.metric}`] ?? null;
  }
}

export const stampOf = row => {
  const at = new Date(Date.parse(state.about.begins.replace("Z", ":00Z")) + 3600e3 * row);
  return at;
};
export const secondsOf = row => stampOf(row).getTime() / 1000;
export const says = row => stampOf(row).toISOString().slice(0, 16).replace("T", " ") + " UTC";
export const weekday = row => stampOf(row).toLocaleDateString("en-US", {weekday: "long", timeZone: "UTC"});
export const regionName = r => state.set.states[r] && state.set.states[r] !== state.set.names[r] ? `${state.set.names[r]}, ${state.set.states[r]}` : state.set.names[r];
export const rowOfId = id => state.set.ids.indexOf(id);
