"""The gridmap page on the bundled 48 states in a headless browser that draws in software, and its answers against the command line's.

Frames are counted while the map is panned without a pause, every layer on. The scenario is asked of the page's server and of
`gridmap compare` with the file that the page saved.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np

from .browser import chromium

COUNTY, MW = "22071", 500       # Orleans Parish, Louisiana: short at the peak, so that all of the load is felt
HOURS = 12
SECONDS = 6
FRAMES = """async seconds => {
  const {map} = atlas; let frames = 0; const count = () => { frames += 1; }; map.on("render", count);
  const began = performance.now(); let side = 1;
  while (performance.now() - began < 1000 * seconds) { map.panBy([60 * side, 0], {duration: 300}); side = -side; await new Promise(done => setTimeout(done, 310)); }
  map.off("render", count);
  return 1000 * frames / (performance.now() - began);
}"""


def run():
    """Rows: loading, first map, frames a second, an hour's step, a scenario, the report."""
    from cupages.server import running

    from gridmap.config import Config
    from gridmap.page import app

    started = time.perf_counter()
    made = app.create(Config(), wait=True)
    view = made.state.site.system.view()
    lines, plants = len(view.inputs.lines), view.inputs.plants.loc[view.inputs.plants["region"] >= 0, "plant_id"].nunique()
    yield {"what": "gridmap page: 48 states read, checked, placed, ready to serve", "ours_s": time.perf_counter() - started, "check": f"{view.count:,} counties, {plants:,} plants, {lines:,} lines"}
    with running(made) as address, chromium() as browser:
        yield from _in_the_browser(browser, address)
        answer = yield from _scenario(address)
    yield _same(answer)
    yield _report()


def _in_the_browser(browser, address):
    first, whole = [], []
    for _ in range(3):
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(f"{address}/#year=no&layers=plants,lines,corridors")
        first.append(_ready(page, "pageReady") / 1000)
        whole.append(_ready(page, "pageWhole") / 1000)
        if len(first) < 3:
            page.close()
    best = min(first)
    yield {"what": "gridmap page: first map (regions, pockets, corridors)", "ours_s": best, "check": f"of {', '.join(f'{s:.1f}' for s in first)} s; bar 3 s {_met(best < 3)}"}
    yield {"what": "gridmap page: plants and lines drawn too", "ours_s": min(whole), "check": f"of {', '.join(f'{s:.1f}' for s in whole)} s; bar 3 s {_met(min(whole) < 3)}"}
    everything = page.evaluate(FRAMES, SECONDS)
    for layer in ("plants", "lines", "corridors"):
        page.evaluate(f"page.setLayer('{layer}', false)")
    usual = page.evaluate(FRAMES, SECONDS)
    yield {"what": "gridmap page: a frame in software, all layers on", "ours_s": 1 / everything, "check": f"{everything:.1f} frames/s, bar 4 {_met(everything >= 4)}; {usual:.1f} with the usual layers"}
    steps = page.evaluate("async hours => { const took = []; for (let i = 0; i < hours; i++) { const began = performance.now(); await page.go(page.state.row + 5); took.push(performance.now() - began); } return took; }", HOURS)
    middle = float(np.median(steps)) / 1000
    yield {"what": "gridmap page: a step to another hour, shown", "ours_s": middle, "check": f"median of {HOURS}, worst {max(steps):.0f} ms; bar 200 ms {_met(middle < 0.2)}"}
    page.close()


def _scenario(address):
    body = json.dumps({"by": "county", "changes": {"load": [{"name": "data centre", "load_mw": MW, "region": COUNTY}]}}).encode()
    took = []
    for _ in range(3):
        started = time.perf_counter()
        answer = _post(address, "/api/scenario", body)
        took.append(time.perf_counter() - started)
    yield {"what": f"scenario of {MW} MW in a county, the hour and ten more", "ours_s": min(took), "check": f"of {', '.join(f'{s:.2f}' for s in took)} s; bar 2 s {_met(min(took) < 2)}"}
    return answer


def _same(answer):
    """The file that the page saves, run by the command line."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "scenario.toml").write_text(answer["toml"])
        words = answer["command"].replace("scenario.toml", str(folder / "scenario.toml")).replace("out/scenario", str(folder / "out")).split()[1:]
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "gridmap", *words, "--quiet", "--device", "cpu"], check=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)})
        seconds = time.perf_counter() - started
        results = json.loads((folder / "out" / "results.json").read_text())
    off = max(abs(answer[f"{side}_mw"] - results[f"{side}_mwh"]["value"]) for side in ("before", "after"))
    if off > 1:
        raise AssertionError(f"the page and the command line differ by {off} MW")
    return {"what": "the same by gridmap compare", "ours_s": seconds, "check": f"{results['before_mwh']['value']:,.3f} to {results['after_mwh']['value']:,.3f} MW; the page differs by {off:.0e} MW, bar 1 met"}


def _report():
    from gridmap import pipeline
    from gridmap.config import Config
    from gridmap.page import document

    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        folder = pathlib.Path(folder)
        pipeline.run(Config(), folder / "run", "cpu", say=lambda line: None)
        path = document.write(folder / "run", say=lambda line: None)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        started = time.perf_counter()
        page.goto(path.as_uri())
        while not page.evaluate("globalThis.reportReady === true"):
            page.wait_for_timeout(20)
        seconds, size = time.perf_counter() - started, path.stat().st_size / 1e6
        text = path.read_text()
        results = json.loads((folder / "run" / "results.json").read_text())
        same = all(f'data-value="{results[name]["value"]!r}"' in text for name in ("supply_mw", "demand_mw", "residual_deficit_mw"))
    return {"what": "report of the 48 states opens from disk", "ours_s": seconds, "check": f"{size:.1f} MB, bar 12 MB {_met(size < 12)}; numbers of results.json: {'the same' if same else 'DIFFER'}"}


def _post(address, path, body):
    import http.client
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=300)
    connection.request("POST", path, body, {"Content-Type": "application/json", "X-Tab": "a-tab-of-benchmarks"})
    return json.loads(connection.getresponse().read())


def _ready(page, what, seconds=300):
    """Milliseconds from the request to what the page notes under this name."""
    end = time.monotonic() + seconds
    while not page.evaluate(f"!!globalThis.{what}"):
        if time.monotonic() > end:
            raise TimeoutError("the page does not get ready")
        page.wait_for_timeout(20)
    return page.evaluate(f"globalThis.{what}")


def _met(yes):
    return "met" if yes else "NOT met"
