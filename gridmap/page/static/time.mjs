// The foot: the hour, play, and the country's year with its worst hours.
import {$, api, attempt, colour, el, fill, onTheme, power} from "/shared/common.mjs";
import {chart} from "/shared/chart.mjs";
import {fetchHour, on, says, secondsOf, state, weekday} from "/page/state.mjs";

const shortly = row => { const at = new Date(1000 * secondsOf(row)); return `${at.toLocaleDateString("en-US", {month: "short", day: "numeric", timeZone: "UTC"})} ${at.getUTCHours()}h`; };

export function buildTime(foot, {go}) {
  const clock = el("div.clock", {id: "clock"}), worstRow = el("div.worst-row", {id: "worst"});
  const play = el("button", {type: "button", title: "Play (space)", "aria-label": "Play", onclick: () => toggle()}, "▶");
  const step = el("select", {"aria-label": "Step", title: "How far one step goes"}, [[1, "1 h"], [3, "3 h"], [24, "1 day"], [168, "1 week"]].map(([v, t]) => el("option", {value: v}, t)));
  const slider = el("input", {type: "range", min: "0", max: `${state.about.hours - 1}`, step: "1", "aria-label": "Hour of the year", id: "slider"});
  const shortKey = el("span", {}, "short after flows");
  const plot = el("div.time-plot"), key = el("div.time-key", {}, el("span", {}, el("i", {style: {borderColor: "var(--accent)"}}), "demand"), el("span", {}, el("i.area", {style: {background: "var(--bad)"}}), shortKey), el("span", {}, el("i.tri"), "worst hours"));
  fill(foot, el("div.time-buttons", {}, clock, el("div.row", {}, el("button", {type: "button", "aria-label": "One step back", onclick: () => go(state.row - Number(step.value))}, "◀"), play,
    el("button", {type: "button", "aria-label": "One step on", onclick: () => go(state.row + Number(step.value))}, "▶|"), step), worstRow), el("div.time-main", {}, plot, el("div.time-slider", {}, slider)));
  plot.append(key);

  let drawn = null, worst = [], playing = false;
  slider.addEventListener("input", () => go(Number(slider.value)));
  const follow = () => {
    slider.value = `${state.row}`;
    slider.setAttribute("aria-valuetext", says(state.row));
    fill(clock, says(state.row), el("small.soft", {}, weekday(state.row).slice(0, 3)));
    drawn?.plot.redraw(false, false);
  };
  on("hour", follow);
  follow();

  async function toggle() {
    playing = !playing;
    play.textContent = playing ? "❚❚" : "▶";
    play.setAttribute("aria-label", playing ? "Stop" : "Play");
    while (playing) {
      const next = state.row + Number(step.value), began = performance.now();
      if (next >= state.about.hours || !(await go(next))) break;
      attempt(() => next + Number(step.value) < state.about.hours && fetchHour(next + Number(step.value)));
      await new Promise(done => setTimeout(done, Math.max(0, 180 - (performance.now() - began))));
    }
    if (playing) toggle();
  }

  // The mark of the hour and the worst hours over the curve
  const marks = {hooks: {draw: u => {
    const c = u.ctx, x = u.valToPos(secondsOf(state.row), "x", true), ratio = devicePixelRatio;
    c.save();
    c.fillStyle = colour("--bad");
    for (const row of worst) {
      const at = u.valToPos(secondsOf(row), "x", true), size = 4.5 * ratio;
      c.beginPath(); c.moveTo(at - size, u.bbox.top); c.lineTo(at + size, u.bbox.top); c.lineTo(at, u.bbox.top + 1.5 * size); c.fill();
    }
    c.strokeStyle = colour("--ink");
    c.lineWidth = 1.5 * ratio;
    c.beginPath(); c.moveTo(x, u.bbox.top); c.lineTo(x, u.bbox.top + u.bbox.height); c.stroke();
    c.restore();
  }, ready: u => u.over.addEventListener("click", event => {
    const box = u.over.getBoundingClientRect(), at = u.posToVal(event.clientX - box.left, "x");
    go(Math.round((at - secondsOf(0)) / 3600));
  })}};

  return {
    play: toggle, stop: () => { if (playing) toggle(); },
    nextWorst: () => worst.length && go(worst.find(row => row > state.row) ?? worst[0]),
    curve({head, columns}) {
      worst = head.worst;
      const x = Array.from({length: columns.demand.length}, (_, row) => secondsOf(row));
      const gw = values => Array.from(values, v => Number.isFinite(v) ? v / 1000 : null);
      const short = gw(columns.unserved), top = Math.max(...short.map(v => v ?? 0), 1e-3);
      drawn?.destroy();
      drawn = chart(plot, {time: true, data: [x, gw(columns.demand), short], series: [
        {label: "Demand", colour: "--accent", width: 1}, {label: "Short", scale: "short", colour: "--bad", fill: "--bad", width: 1}],
      axes: {y: {size: 60, values: (_, ticks) => ticks.map(t => `${t} GW`), space: 24}, x: {values: (_, ticks) => ticks.map(t => new Date(1000 * t).toLocaleDateString("en-US", {month: "short", ...(state.about.hours < 2000 || ticks[1] - ticks[0] < 86400 * 20 ? {day: "numeric"} : {}), timeZone: "UTC"})), space: 60}},
      options: {scales: {y: {range: (_, low, high) => [0, high * 1.06]}, short: {range: () => [0, top * 3.2]}}, cursor: {y: false, drag: {x: false, y: false}, points: {show: false}}, plugins: [marks]}});
      fill(shortKey, `short after flows, on a scale of its own: at most ${power(1000 * top)}`);
      fill(worstRow, el("small.soft", {}, head.solved ? "Worst" : "Peak"), [...worst].sort((a, b) => (columns.unserved[b] || columns.demand[b] / 1e6) - (columns.unserved[a] || columns.demand[a] / 1e6)).slice(0, 3).map(row => el("button", {type: "button", title: says(row), onclick: () => go(row)}, shortly(row))));
    },
  };
}
