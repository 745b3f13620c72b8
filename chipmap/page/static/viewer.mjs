// One picture on a map: its tiles, what is laid over them, and lines that the tools draw. Pixel (x, y) of the picture lies at
// (x, y) / 32768 of the plane, so that a tile of zoom 6 shows 512 x 512 pixels as they are.
import {address} from "/shared/common.mjs";
import {maplibregl, planeBounds, planeMap, toLngLat, toPlane} from "/shared/map.mjs";
import {length} from "/page/text.mjs";

export const WORLD = 32768;
const LINES = {
  outline: {paint: {"line-color": ["get", "colour"], "line-width": 2.2}},
  box: {paint: {"line-color": "#ffd166", "line-width": 1.5, "line-dasharray": [3, 2]}},
  "measure-rim": {paint: {"line-color": "#000000", "line-width": 5, "line-opacity": 0.55}},
  measure: {paint: {"line-color": "#ffd166", "line-width": 2}},
  strokes: {layout: {"line-cap": "round", "line-join": "round"}, paint: {"line-color": ["get", "colour"], "line-opacity": 0.85,
    "line-width": ["interpolate", ["exponential", 2], ["zoom"], 0, ["*", ["get", "width"], 2 ** -6], 14, ["*", ["get", "width"], 2 ** 8]]}},
};
const nothing = () => ({type: "FeatureCollection", features: []});

export class Viewer {
  /** element: holds the map. fetchTile addresses are of the document; `shown` says what lies over the picture. */
  constructor(element, bar) {
    this.bar = bar;
    this.document = null;
    this.overlays = [];
    this.data = Object.fromEntries(Object.keys(LINES).map(name => [name, nothing()]));
    this.map = planeMap({container: element, minZoom: -1, maxZoom: 13, zoom: 1, center: toLngLat([0, 0]), padding: 16, maxTileCacheSize: 400,
      transformConstrain: (center, zoom) => ({center, zoom})});    // a picture may be moved about freely: it is no globe
    this.ready = new Promise(done => this.map.once("load", done));
    this.map.on("zoom", () => this.drawScale());
  }

  /** The scale bar: 1, 2 or 5 times a power of ten, in lengths of the picture (pixels where it has no size). */
  drawScale() {
    if (!this.document) return;
    const nm = this.document.pixel_size_nm?.[1], unit = (nm ?? 1) / 2 ** (this.map.getZoom() - 6), decade = 10 ** Math.floor(Math.log10(130 * unit));
    const size = [5, 2, 1].find(m => m * decade <= 130 * unit) * decade;
    this.bar.style.width = `${size / unit}px`;
    this.bar.textContent = length(size, nm !== undefined);
  }

  /** Columns and rows of the picture (fractions of a pixel) at a place of the map's event. */
  at(event) {
    const [x, y] = toPlane(event.lngLat);
    return [x * WORLD, y * WORLD];
  }

  lngLat = ([x, y]) => toLngLat([x / WORLD, y / WORLD]);

  /** Show a document; keeps the place where it is the same picture. */
  async show(told) {
    await this.ready;
    const same = this.document?.id === told.id, before = this.document;
    this.document = told;
    if (!same) {
      this.clear();
      this.add("picture", 1);
      for (const [name, style] of Object.entries(LINES)) {
        this.map.addSource(name, {type: "geojson", data: nothing()});
        this.map.addLayer({id: name, type: "line", source: name, ...style});
        this.data[name] = nothing();
      }
      this.fit(0);
    }
    if (!same || before?.version !== told.version) {
      for (const name of this.overlays) { this.map.removeLayer(name); this.map.removeSource(name); }
      this.overlays = [];
    }
    this.drawScale();
    const box = told.analysis?.box;
    const whole = !box || (box[0] === 0 && box[2] === 0 && box[1] === told.rows && box[3] === told.columns);
    this.lines("box", whole ? [] : [{points: [[box[2], box[0]], [box[3], box[0]], [box[3], box[1]], [box[2], box[1]], [box[2], box[0]]]}]);
  }

  clear() {
    for (const name of [...this.overlays, ...Object.keys(LINES), "picture"]) {
      if (this.map.getLayer(name)) this.map.removeLayer(name);
      if (this.map.getSource(name)) this.map.removeSource(name);
    }
    this.overlays = [];
  }

  add(layer, opacity) {
    const {id, version, rows, columns} = this.document, [south_west, north_east] = planeBounds([[0, 0], [columns / WORLD, rows / WORLD]]);
    const tiles = `${location.origin}/api/documents/${id}/tiles/${layer === "picture" ? 0 : version}/${layer}/{z}/{x}/{y}`;
    this.map.addSource(layer, {type: "raster", tiles: [address(tiles)], tileSize: 512, minzoom: 0, maxzoom: 6, bounds: [...south_west, ...north_east]});
    this.map.addLayer({id: layer, type: "raster", source: layer, paint: {"raster-resampling": "nearest", "raster-fade-duration": 0, "raster-opacity": opacity}},
      layer === "picture" ? undefined : "outline");
    if (layer !== "picture") this.overlays.push(layer);
  }

  /** Lay these over the picture, {layer: opacity}; others are taken away. */
  overlay(shown) {
    if (!this.document || !this.map.getLayer("outline")) return;
    for (const name of this.overlays) {
      const opacity = shown[name] ?? 0;
      this.map.setLayoutProperty(name, "visibility", opacity > 0 ? "visible" : "none");
      if (opacity > 0) this.map.setPaintProperty(name, "raster-opacity", opacity);
    }
    for (const [name, opacity] of Object.entries(shown)) if (opacity > 0 && !this.overlays.includes(name)) this.add(name, opacity);
  }

  /** Draw lines: [{points: [[x, y], ...] in pixels, colour, width}]. */
  lines(name, lines) {
    this.data[name] = {type: "FeatureCollection", features: lines.map(({points, ...properties}) => ({type: "Feature", properties,
      geometry: {type: "LineString", coordinates: (points.length > 1 ? points : [points[0], points[0].map(v => v + 0.01)]).map(this.lngLat)}}))};
    this.map.getSource(name)?.setData(this.data[name]);
  }

  label(element, point, offset = [0, 0]) {
    return new maplibregl.Marker({element, anchor: "center", offset}).setLngLat(this.lngLat(point)).addTo(this.map);
  }

  fit(duration = 300) {
    const {rows, columns, analysis} = this.document, box = analysis?.box ?? [0, rows, 0, columns];
    this.map.fitBounds(planeBounds([[box[2] / WORLD, box[0] / WORLD], [box[3] / WORLD, box[1] / WORLD]]), {padding: {left: 68, top: 20, right: 20, bottom: 48}, duration, maxZoom: 9});
  }

  /** The part of the picture that is in view: [top, bottom, left, right]. */
  view() {
    const bounds = this.map.getBounds(), {rows, columns} = this.document;
    const [x0, y0] = toPlane(bounds.getNorthWest()), [x1, y1] = toPlane(bounds.getSouthEast());
    const within = (v, most) => Math.round(Math.min(Math.max(v * WORLD, 0), most));
    return [within(y0, rows), within(y1, rows), within(x0, columns), within(x1, columns)];
  }
}

/** Keep two maps at one place and zoom. */
export function together(one, other) {
  let moving = false;
  const follow = (from, to) => () => {
    if (moving) return;
    moving = true;
    to.jumpTo({center: from.getCenter(), zoom: from.getZoom()});
    moving = false;
  };
  const pairs = [[one, follow(one, other)], [other, follow(other, one)]];
  pairs.forEach(([map, f]) => map.on("move", f));
  pairs[0][1]();
  return () => pairs.forEach(([map, f]) => map.off("move", f));
}
