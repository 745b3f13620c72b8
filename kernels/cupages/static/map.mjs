// MapLibre on plane coordinates: an equal-area map or a picture, laid on the Mercator square, where a straight unit is a
// straight unit everywhere. The plane is 0..1 to the right and 0..1 down.
import * as maplibregl from "/shared/vendor/maplibre-gl.mjs";

maplibregl.setWorkerUrl(globalThis.inlined?.["/shared/vendor/maplibre-gl-worker.mjs"] ?? "/shared/vendor/maplibre-gl-worker.mjs");
export {maplibregl};

/** Plane (0..1 right, 0..1 down) -> the longitude and latitude that MapLibre draws there, and back. */
export const toLngLat = ([x, y]) => [360 * x - 180, Math.atan(Math.sinh(Math.PI * (1 - 2 * y))) * 180 / Math.PI];
export const toPlane = ({lng, lat}) => [(lng + 180) / 360, (1 - Math.asinh(Math.tan(lat * Math.PI / 180)) / Math.PI) / 2];

/** A map without tiles from anywhere: {container, sources, layers, bounds: [[x0, y0], [x1, y1]] of the plane, ...MapLibre options}. */
export function planeMap({container, sources = {}, layers = [], bounds, padding = 20, background = "#00000000", ...options}) {
  const map = new maplibregl.Map({
    container, style: {version: 8, sources, layers: [{id: "background", type: "background", paint: {"background-color": background}}, ...layers]},
    bounds: bounds && [toLngLat([bounds[0][0], bounds[1][1]]), toLngLat([bounds[1][0], bounds[0][1]])], fitBoundsOptions: {padding},
    attributionControl: false, renderWorldCopies: false, dragRotate: false, pitchWithRotate: false, touchPitch: false, fadeDuration: 0,
    maxPitch: 0, ...options});
  map.touchZoomRotate.disableRotation();
  map.keyboard.disableRotation();
  return map;
}

export const planeBounds = ([[x0, y0], [x1, y1]]) => [toLngLat([x0, y1]), toLngLat([x1, y0])];

/** A scale bar for plane coordinates: `span` is the length of the plane's side, lengths: f(length) -> text. */
export function scaleBar(map, element, span, lengths) {
  const draw = () => {
    const perPixel = span / (512 * 2 ** map.getZoom()), most = 120 * perPixel;
    const decade = 10 ** Math.floor(Math.log10(most)), size = [5, 2, 1].find(m => m * decade <= most) * decade;
    element.style.width = `${size / perPixel}px`;
    element.textContent = lengths(size);
  };
  map.on("zoom", draw);
  draw();
}

/** When the map has drawn everything it was given. */
export const idle = map => new Promise(done => map.once("idle", done));

/** The map's picture with a title and legend rows under it, as a PNG blob. rows: [{colour, label}]. */
export async function picture(map, {title, subtitle = "", rows = [], paper = "#ffffff", ink = "#1b1f24"}) {
  await new Promise(done => { map.once("render", done); map.triggerRepaint(); });
  const source = map.getCanvas(), ratio = source.width / source.clientWidth || 1, margin = 16 * ratio, line = 20 * ratio;
  const font = (px, weight = 400) => `${weight} ${px * ratio}px system-ui, sans-serif`;
  const canvas = document.createElement("canvas"), c = canvas.getContext("2d");
  c.font = font(13);
  const widths = rows.map(row => c.measureText(row.label).width + 34 * ratio);
  let x = margin, lines = rows.length ? 1 : 0;
  const places = widths.map(w => { if (x + w > source.width - margin && x > margin) { x = margin; lines += 1; } const at = [x, lines]; x += w; return at; });
  const head = 3 * line, foot = lines * line + (lines ? margin : 0);
  canvas.width = source.width;
  canvas.height = source.height + head + foot;
  Object.assign(c, {fillStyle: paper});
  c.fillRect(0, 0, canvas.width, canvas.height);
  c.drawImage(source, 0, head);
  c.fillStyle = ink;
  c.font = font(17, 600);
  c.fillText(title, margin, 1.3 * line);
  c.font = font(13);
  c.fillText(subtitle, margin, 2.3 * line);
  rows.forEach((row, i) => {
    const [left, row_line] = places[i], top = head + source.height + (row_line - 0.5) * line;
    c.fillStyle = row.colour;
    c.fillRect(left, top, 16 * ratio, 12 * ratio);
    c.fillStyle = ink;
    c.fillText(row.label, left + 22 * ratio, top + 11 * ratio);
  });
  return new Promise(done => canvas.toBlob(done, "image/png"));
}
