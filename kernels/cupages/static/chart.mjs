// Line charts with uPlot in the page's colours.
import uPlot from "/shared/vendor/uPlot.mjs";
import {colour, onTheme} from "/shared/common.mjs";

/** A chart that fills its container and follows its size and the theme.
 *
 * series: [{label, colour, width, fill, scale, value: f(number) -> text}], data: [x, y1, ...]. time: x is seconds UTC.
 * height: px or undefined (the container's). options: merged into uPlot's. Gives {plot, setData, destroy}.
 */
export function chart(container, {series, data, time = false, height, axes = {}, options = {}}) {
  let plot;
  const size = () => ({width: Math.max(container.clientWidth, 50), height: height ?? Math.max(container.clientHeight, 40)});
  const build = given => {
    plot?.destroy();
    const ink = colour("--ink-soft"), grid = colour("--line");
    const axis = more => ({stroke: ink, grid: {stroke: grid, width: 1}, ticks: {stroke: grid, width: 1}, font: "11px system-ui, sans-serif", ...more});
    plot = new uPlot({
      ...size(), tzDate: at => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"), padding: [6, 8, 0, 0], legend: {show: false},
      scales: {x: {time}, ...(options.scales ?? {})},
      axes: [axis({size: 26, ...(axes.x ?? {})}), axis({size: 52, ...(axes.y ?? {})})],
      ...options,
      series: [{}, ...series.map(s => ({width: 1.25, points: {show: false}, ...s, stroke: s.colour?.startsWith("--") ? colour(s.colour) : s.colour,
        fill: s.fill?.startsWith?.("--") ? colour(s.fill) : s.fill}))],
    }, given, container);
  };
  let held = data;
  build(held);
  const watch = new ResizeObserver(() => plot.setSize(size()));
  watch.observe(container);
  onTheme(() => container.isConnected && build(held));
  return {get plot() { return plot; }, setData(given) { held = given; plot.setData(given); }, destroy() { watch.disconnect(); plot.destroy(); }};
}
