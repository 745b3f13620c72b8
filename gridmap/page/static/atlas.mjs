// The map itself: regions, borders, plants, lines, corridors, pockets. The page and the report draw with it.
import {classOf} from "/shared/draw.mjs";
import {colour, dark} from "/shared/common.mjs";
import {idle, maplibregl, planeBounds, planeMap} from "/shared/map.mjs";

// On a dark ground what matters most must be brightest: the classes' light-ground colours and what stands for them there.
const ON_DARK = {
  "#f2f2f2": "#2d343e", "#fddbc7": "#4a2a26", "#f4a582": "#75342b", "#d6604d": "#b1483a", "#b2182b": "#e8735d", "#67001f": "#ffc2ae",
  "#92c5de": "#24445f", "#4393c3": "#2f6c9c", "#2166ac": "#5aa5dc", "#053061": "#b3dcff",
  "#fde0c5": "#4b3029", "#facba6": "#7a4433", "#f2855d": "#c25f42", "#ca3a2c": "#f08a66", "#4a0c2b": "#ffd0b5",
  "#b30000": "#ff5d4d", "#a50026": "#ff7a6b", "#4d004b": "#ff9df5", "#332288": "#7f6fe0", "#661100": "#c0644f", "#882255": "#d0609b", "#117733": "#3fae66",
};
/** A class colour on the ground there is. */
export const shade = hex => dark() ? ON_DARK[hex] ?? hex : hex;

const EMPTY = {type: "FeatureCollection", features: []};
const SIZE = scale => ["*", scale, ["sqrt", ["max", ["get", "m"], 1]]];

export class Atlas {
  /** sources: {regions, borders, plants, lines}: GeoJSON or addresses of it; bounds: of the plane. */
  constructor({container, sources, bounds, fuels = [], voltages = [], options = {}}) {
    this.fuels = fuels;
    this.voltages = voltages;
    this.shown = null;
    this.off = new Set();
    const geojson = (data, more = {}) => ({type: "geojson", data, ...more});
    this.map = planeMap({
      container, bounds, padding: 24, maxZoom: 12, ...options,
      sources: {
        regions: geojson(sources.regions, {tolerance: 0.4}), borders: geojson(sources.borders, {tolerance: 0.4}), plants: geojson(sources.plants ?? EMPTY, {buffer: 16}),
        lines: geojson(sources.lines ?? EMPTY, {tolerance: 0.6}), corridors: geojson(EMPTY, {buffer: 8}), pockets: geojson(EMPTY, {tolerance: 0.4}), chosen: geojson(EMPTY, {tolerance: 0.1}),
      },
      layers: [
        {id: "regions", type: "fill", source: "regions", paint: {"fill-color": ["to-color", ["feature-state", "k"], "#9aa4b1"], "fill-antialias": false}},
        {id: "borders", type: "line", source: "borders", minzoom: 1, paint: {"line-width": ["interpolate", ["linear"], ["zoom"], 2, 0.25, 5, 0.8]}},
        {id: "states", type: "line", source: "borders", filter: ["==", ["get", "s"], 1], paint: {"line-width": ["interpolate", ["linear"], ["zoom"], 2, 0.7, 6, 1.6]}},
        {id: "corridors", type: "line", source: "corridors", layout: {"line-cap": "round"}, paint: {"line-color": ["get", "k"], "line-width": ["interpolate", ["linear"], ["zoom"], 2, ["*", 0.5, ["get", "w"]], 6, ["*", 2, ["get", "w"]]]}},
        {id: "lines", type: "line", source: "lines", paint: {"line-width": ["interpolate", ["linear"], ["zoom"], 2, 0.6, 6, 1.8]}},
        {id: "pockets", type: "line", source: "pockets", layout: {"line-join": "round"}, paint: {"line-width": ["interpolate", ["linear"], ["zoom"], 2, 1.3, 6, 2.6]}},
        {id: "plants", type: "circle", source: "plants", layout: {"circle-sort-key": ["-", 0, ["get", "m"]]}, paint: {
          "circle-radius": ["interpolate", ["exponential", 1.6], ["zoom"], 2, SIZE(0.085), 4, SIZE(0.18), 7, SIZE(0.4)], "circle-stroke-width": ["interpolate", ["linear"], ["zoom"], 2, 0.3, 5, 0.8], "circle-opacity": 0.9}},
        {id: "chosen", type: "line", source: "chosen", layout: {"line-join": "round"}, paint: {"line-width": 3}},
      ],
    });
    this.map.addControl(new maplibregl.NavigationControl({showCompass: false}), "bottom-right");
    this.loaded = new Promise(done => this.map.once("style.load", done)).then(() => { this.dress(); });
    this.markers = [];
  }

  idle() { return idle(this.map); }

  /** Colours of the ground: again whenever the theme changes. */
  dress() {
    const map = this.map, paper = dark() ? "#0d1014" : "#ffffff";
    map.setPaintProperty("borders", "line-color", dark() ? "#0d1014" : "#ffffff");
    map.setPaintProperty("borders", "line-opacity", dark() ? 0.8 : 0.75);
    map.setPaintProperty("states", "line-color", dark() ? "#76818f" : "#8a939e");
    map.setPaintProperty("pockets", "line-color", dark() ? "#ffffff" : "#111418");
    map.setPaintProperty("chosen", "line-color", colour("--accent"));
    map.setPaintProperty("plants", "circle-stroke-color", paper);
    map.setPaintProperty("plants", "circle-color", ["match", ["get", "f"], ...this.fuels.flatMap(f => [f.name, shade(f.colour)]), "#888888"]);
    const steps = this.voltages.slice(0, -1).flatMap((v, i) => [v.upper, shade(this.voltages[i + 1].colour)]);
    if (this.voltages.length) map.setPaintProperty("lines", "line-color", ["step", ["get", "v"], shade(this.voltages[0].colour), ...steps]);
    this.repaint();
  }

  /** Colour the regions: values by row, classes rising. */
  colourRegions(values, classes) {
    this.given = {values, classes};
    const bounds = classes.map(c => ({...c, upper: c.upper ?? Infinity}));
    const now = new Int8Array(values.length), map = this.map;
    const shades = classes.map(c => shade(c.colour)), none = dark() ? "#1b2027" : "#d5d9de";
    for (let r = 0; r < values.length; r++) {
      now[r] = classOf(bounds, values[r]);
      if (!this.shown || this.shown.now[r] !== now[r] || this.shown.shades !== this.lastShades(shades)) map.setFeatureState({source: "regions", id: r}, {k: now[r] < 0 ? none : shades[now[r]]});
    }
    this.shown = {now, shades: this.lastShades(shades)};
    return now;
  }

  lastShades(shades) { return shades.join() + dark(); }

  repaint() {
    if (!this.given) return;
    this.colourRegions(this.given.values, this.given.classes);
    this.redrawCorridors?.();
  }

  /** Forget the colours: another region set comes. */
  async changeShapes({regions, borders}) {
    this.shown = this.given = null;
    this.map.removeFeatureState({source: "regions"});
    this.map.getSource("regions").setData(regions);
    this.map.getSource("borders").setData(borders);
    for (const source of ["pockets", "chosen", "corridors"]) this.map.getSource(source).setData(EMPTY);
  }

  /** Outline groups of regions: the borders (GeoJSON) that have one group on one side only. pocket: by row, 0 for none. */
  outlinePockets(borders, pocket) {
    this.map.getSource("pockets").setData({type: "FeatureCollection", features: borders.features.filter(({properties: {a, b}}) => {
      const one = pocket[a], other = b < 0 ? 0 : pocket[b];
      return one !== other && (one > 0 || other > 0);
    })});
  }

  choose(borders, row) {
    this.map.getSource("chosen").setData(row < 0 ? EMPTY : {type: "FeatureCollection", features: borders.features.filter(({properties: {a, b}}) => (a === row) !== (b === row))});
  }

  /** Corridors as straight lines. at: [lng, lat] by region; tails, heads, loading, binding by corridor; least: % below which one is left out. */
  drawCorridors({at, tails, heads, loading, binding, forward, backward, more = [], least = 0}, classes) {
    this.redrawCorridors = () => {
      const bounds = classes.map(c => ({...c, upper: c.upper ?? Infinity}));
      const features = [];
      const add = (id, tail, head, load, mw, full) => features.push({type: "Feature", id, properties: {k: shade(classes[classOf(bounds, load)].colour), w: 0.5 + Math.sqrt(mw) / 45 + (full ? 0.7 : 0), l: load, e: id},
        geometry: {type: "LineString", coordinates: [at[tail], at[head]]}});
      for (let e = 0; e < tails.length; e++) if (loading[e] >= least || binding[e]) add(e, tails[e], heads[e], binding[e] ? 100 : loading[e], Math.max(forward[e], backward[e]), binding[e]);
      more.forEach(([tail, head, load], i) => add(tails.length + i, tail, head, load, 500, true));
      features.sort((one, other) => one.properties.l - other.properties.l);
      this.map.getSource("corridors").setData({type: "FeatureCollection", features});
    };
    this.redrawCorridors();
  }

  show(layer, on) {
    for (const id of layer === "borders" ? ["borders", "states"] : [layer]) this.map.setLayoutProperty(id, "visibility", on ? "visible" : "none");
    if (layer === "pockets") { this.named = on; this.markers.forEach(m => { m.getElement().hidden = !on; }); }
  }

  filterFuels(off) { this.map.setFilter("plants", off.size ? ["!", ["in", ["get", "f"], ["literal", [...off]]]] : null); }

  /** Names on the map that do not cover each other: [{at: [lng, lat], name, says}], the most important first. */
  name(places, most = 12) {
    this.markers.forEach(m => m.remove());
    this.markers = [];
    this.places = places;
    const box = this.map.getContainer().getBoundingClientRect(), card = document.getElementById("summary")?.getBoundingClientRect();
    const taken = card?.width ? [[card.left - box.left, card.top - box.top, card.right - box.left, card.bottom - box.top]] : [];
    most += taken.length;
    for (const place of places) {
      if (taken.length >= most) break;
      const {x, y} = this.map.project(place.at);
      const width = 7 * Math.max(place.name.length, place.says.length) + 8, area = [x - width / 2, y - 44, x + width / 2, y - 4];
      if (area[0] < 4 || area[1] < 4 || area[2] > box.width - 4 || area[3] > box.height - 4) continue;
      if (taken.some(t => area[0] < t[2] && t[0] < area[2] && area[1] < t[3] && t[1] < area[3])) continue;
      taken.push(area);
      const element = document.createElement("div");
      element.className = "pocket-name";
      const says = document.createElement("span");
      element.append(place.name, says);
      says.textContent = place.says;
      element.hidden = this.named === false;
      this.markers.push(new maplibregl.Marker({element, anchor: "bottom", offset: [0, -6]}).setLngLat(place.at).addTo(this.map));
    }
  }

  /** Pins: [{at: [lng, lat], kind, mark}]. */
  pin(places) {
    this.pins?.forEach(m => m.remove());
    this.pins = places.map(({at, kind, mark}) => {
      const element = document.createElement("div"), drop = document.createElement("div"), text = document.createElement("span");
      drop.className = `pin ${kind}`;
      text.textContent = mark;
      drop.append(text);
      element.append(drop);
      return new maplibregl.Marker({element, anchor: "bottom-left", offset: [0, -2]}).setLngLat(at).addTo(this.map);
    });
  }

  renameOnMove() { this.map.on("moveend", () => this.places && this.name(this.places)); }

  /** Show places ([lng, lat]) together, not closer than zoom. */
  fitPlaces(places, zoom) {
    const [x, y] = [0, 1].map(i => places.map(p => p[i])), by = 0.6;
    this.map.fitBounds([[Math.min(...x) - by, Math.min(...y) - by], [Math.max(...x) + by, Math.max(...y) + by]], {padding: {top: 90, bottom: 50, left: 60, right: 60}, maxZoom: zoom, duration: 600});
  }

  fit(bounds) { this.map.fitBounds(planeBounds(bounds), {padding: 24, duration: 500}); }
}
