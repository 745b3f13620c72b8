"""The shared modules in a real browser: a small page served, and a report opened from disk."""

import pathlib

import pytest
from browsing import opened, until

MODULE = """
import {api, el, showJob, attempt, unpackTable, number, power, keys, say, themeButton, dark} from "/shared/common.mjs";
import {legend, ramp, classOf} from "/shared/draw.mjs";
import {planeMap, toLngLat, toPlane, idle, picture} from "/shared/map.mjs";
const square = (x, y, s) => ({type: "Feature", id: 1, properties: {}, geometry: {type: "Polygon", coordinates: [[[x, y], [x + s, y], [x + s, y + s], [x, y + s], [x, y]].map(toLngLat)]}});
const box = document.getElementById("map");
const map = planeMap({container: box, bounds: [[0.4, 0.4], [0.6, 0.6]], canvasContextAttributes: {preserveDrawingBuffer: true},
  sources: {s: {type: "geojson", data: square(0.45, 0.45, 0.1)}}, layers: [{id: "s", type: "fill", source: "s", paint: {"fill-color": "#d62728"}}]});
await idle(map);
const back = toPlane(map.unproject(map.project(toLngLat([0.31, 0.62]))));
legend(document.getElementById("legend"), {title: "Deficit", unit: "MW", classes: [{colour: "#ff0000", label: "much"}]});
document.body.append(themeButton());
keys({x: ["Say it", () => say("a key was pressed")]});
globalThis.told = {features: map.queryRenderedFeatures({layers: ["s"]}).length, back, ramp: ramp("cividis", 0), number: number(-1234.56), power: power(741200),
  of: classOf([{upper: 0}, {upper: Infinity}], 3), picture: (await picture(map, {title: "t", rows: [{colour: "#123456", label: "row"}]})).size};
globalThis.job = () => attempt(async () => { globalThis.result = await showJob(document.getElementById("jobs"), (await api.post("/api/count")).job); });
globalThis.wrong = () => attempt(() => api.post("/api/bad"));
globalThis.table = async () => { const t = unpackTable(await api.bytes("/api/table")); return [t.head.hour, ...t.columns.mw]; };
"""
BODY = '<div id="map" class="stage-box"></div><div id="legend"></div><div id="jobs"></div>'


@pytest.fixture(scope="module")
def site(tmp_path_factory, browser):
    import time

    import numpy as np
    from cupages import safety, server, wire
    folder = tmp_path_factory.mktemp("page")
    (folder / "index.html").write_text('<!doctype html><html lang="en"><head><meta charset="utf-8"><title>t</title><link rel="stylesheet" href="/shared/vendor/maplibre-gl.css">'
                                       '<link rel="stylesheet" href="/shared/common.css"><link rel="stylesheet" href="/page/own.css"></head><body class="plain">'
                                       f'{BODY}<script type="module" src="/page/own.mjs"></script></body></html>')
    (folder / "own.css").write_text("#map { position: relative; height: 400px; }")
    (folder / "own.mjs").write_text(MODULE)

    def count(request):
        def work(job):
            for i in range(400):
                job.say("counting sheep", i / 400)
                time.sleep(0.05 if request.query_params.get("slow") else 0.005)
            return {"sheep": 400}
        return {"job": app.state.jobs.start(safety.tab_of(request), "count", work).id}

    def bad(request):
        raise ValueError("no such plant; give another")

    app = server.create_app(folder, {"POST /api/count": count, "POST /api/bad": bad,
                                     "/api/table": lambda request: wire.pack_table({"mw": np.array([1.5, 2.5], np.float32)}, hour="now")}, mendable=(ValueError,))
    with server.running(app) as address:
        yield address


def test_modules_in_a_served_page(browser, site):
    with opened(browser, site, expect=("422",)) as page:
        until(page, "!!globalThis.told")
        told = page.evaluate("told")
        assert told["features"] >= 1 and told["back"] == pytest.approx([0.31, 0.62], abs=1e-9)
        assert (told["ramp"], told["number"], told["power"], told["of"]) == ("#00224e", "−1,235", "741.2 GW", 1)
        assert told["picture"] > 1000
        assert page.inner_text("#legend") == "Deficit MW\nmuch"
        assert page.evaluate("table()") == ["now", 1.5, 2.5]
        page.evaluate("void job()")
        page.wait_for_selector("text=counting sheep")               # no spinner without the name of its step
        until(page, "globalThis.result?.sheep === 400")
        assert page.locator(".job").count() == 0
        page.evaluate("void job()")
        page.click("text=Cancel")
        page.wait_for_selector(".message:has-text('Cancelled')")
        page.evaluate("wrong()")
        assert page.inner_text(".message.error span") == "No such plant; give another"
        page.keyboard.press("x")
        page.wait_for_selector("text=A key was pressed")
        page.keyboard.press("?")
        assert "Say it" in page.inner_text("dialog")
        page.keyboard.press("Escape")
        before = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.click("[aria-label='Light or dark']")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before


def test_a_report_opens_from_disk(browser, tmp_path):
    from cupages import report
    module = tmp_path / "own.mjs"
    module.write_text(MODULE.replace("</", "<\\/") + "\nglobalThis.data = JSON.parse(new TextDecoder().decode(await inlinedData('numbers'))).mw;")
    size = report.write(tmp_path / "report.html", "A <report>", BODY + report.table(["name", "MW"], [["A & B", 1234.5]]),
                        {"/page/own.mjs": module}, {"numbers": {"mw": 3}})
    assert 500_000 < size < 1_500_000
    with opened(browser, (tmp_path / "report.html").as_uri()) as page:
        until(page, "globalThis.data === 3")
        assert until(page, "told.features >= 1")
        assert page.title() == "A <report>" and "A & B" in page.inner_text("table") and "1,234.5" in page.inner_text("table")
        pdf = page.pdf()
        assert pdf[:5] == b"%PDF-"
    assert not [p for p in pathlib.Path(tmp_path).iterdir() if p.suffix not in (".html", ".mjs")]
