"""The page of `chipmap serve` in a real browser, and a report opened from disk."""

import base64
import json

import chips
import numpy as np
import pytest
from browsing import need_pages, opened
from browsing import until as until_

DROP = """async ([text, name]) => {
  const bytes = Uint8Array.from(atob(text), c => c.charCodeAt(0)), held = new DataTransfer();
  held.items.add(new File([bytes], name, {type: "image/png"}));
  for (const kind of ["dragenter", "dragover", "drop"]) document.body.dispatchEvent(new DragEvent(kind, {dataTransfer: held, bubbles: true, cancelable: true}));
}"""
PATIENCE = 120      # seconds for what takes one: machines that run tests are busy
QUIET = "!page.busy && !document.querySelector('#jobs .job')"


@pytest.fixture(scope="module")
def site():
    need_pages()
    from cupages.server import running

    from chipmap.page.app import make_app, warm_up
    warm_up()
    with running(make_app()) as address:
        yield address


def until(page, expression, seconds=PATIENCE):
    return until_(page, expression, seconds)


def drop(page, data, name="chip.png"):
    page.evaluate(DROP, [base64.b64encode(data).decode(), name])


def at(page, x, y):
    """Where pixel (x, y) of the picture is on the screen."""
    box = page.locator(".pane .stage").first.bounding_box()
    place = page.evaluate(f"(p => [p.x, p.y])(page.viewer.map.project(page.viewer.lngLat([{x + 0.5}, {y + 0.5}])))")
    return box["x"] + place[0], box["y"] + place[1]


def begin(page):
    page.wait_for_selector("html[data-ready]")
    drop(page, chips.png())
    until(page, f"!!page.current?.analysis && {QUIET}")


def name_phases(page):
    page.fill("#about [name=size]", "4nm")
    page.click("#about form button")
    until(page, f"page.current.pixel_size_nm?.[0] === 4 && {QUIET}")
    for phase, material in enumerate(("SiO2", "Cu", "W")):
        page.fill(f"#names-form [data-phase='{phase}']", material)
    page.click("#names-form button.primary")
    until(page, f"page.current.analysis.physics_ready && {QUIET}")


def colour_at(page, x, y):
    """The pixel of the screen where the picture has (x, y)."""
    import imagecodecs
    place = at(page, x, y)
    shot = imagecodecs.png_decode(page.screenshot(clip={"x": round(place[0]) - 1, "y": round(place[1]) - 1, "width": 3, "height": 3}))
    return shot[1, 1, :3].astype(int)


def test_drop_probe_measure_solve_and_take_home(browser, site):
    with opened(browser, site) as page:
        begin(page)
        assert "No tag gives the pixel size" in page.inner_text("#about")
        name_phases(page)
        x, y = 100, 118
        until(page, "page.viewer.map.areTilesLoaded()")
        page.wait_for_timeout(300)
        red, green, blue = colour_at(page, x, y)
        assert red > green > blue, "copper is drawn in orange over the picture"
        page.mouse.click(*at(page, x, y))
        page.wait_for_selector("#pixel-material:has-text('Cu')")
        told = page.inner_text("#pixel")
        assert "64.0 ±" in told.replace("63.9", "64.0").replace("64.1", "64.0") and "Net" in told and "phase" in told

        page.keyboard.press("m")
        page.mouse.click(*at(page, 40, 30))
        page.mouse.click(*at(page, 140, 30))
        page.wait_for_selector(".measure-label")
        measured = float(page.inner_text(".measure-label").split()[0])
        assert measured == pytest.approx(400, abs=6)        # 100 pixels of 4 nm, to a pixel of the screen

        page.wait_for_selector("#profile .piece-list")
        assert "SiO2" in page.inner_text("#profile") and page.locator("#profile canvas").count() == 1

        page.keyboard.press("t")
        page.mouse.click(*at(page, 50, 68))
        until(page, "!!page.terminals.A")
        page.mouse.click(*at(page, 175, 68))
        until(page, "!!page.terminals.B")
        page.click("#resistance")
        page.wait_for_selector("#between-answer", timeout=120_000)
        said = page.inner_text("#between-answer")
        assert "nΩ m" in said and "Certified" in said
        assert page.evaluate("page.view.kind") == "field" and not page.locator("#colour-bar").is_hidden() and "(mV)" in page.inner_text("#colour-bar")
        until(page, QUIET)

        page.click("#export > summary")
        with page.expect_download(timeout=120_000) as download:
            page.click("[data-export='layout.gds']")
        import gdstk
        cells = gdstk.read_gds(download.value.path()).top_level()
        assert len(cells) == 1 and len(cells[0].polygons) >= 4
        until(page, QUIET)


def test_strokes_retrain_and_undo(browser, site):
    with opened(browser, site) as page:
        begin(page)
        page.evaluate("page.strokes.classes = ['SiO2', 'Cu']; page.refreshStrokes()")
        page.keyboard.press("s")
        for kind, lines in enumerate(([(5, 6, 210, 9), (5, 92, 210, 92), (5, 150, 210, 150)], [(60, 68, 160, 68), (30, 118, 190, 118)])):
            page.click(f"#scribbles .classes button >> nth={kind}")
            for x0, y0, x1, y1 in lines:
                page.mouse.move(*at(page, x0, y0))
                page.mouse.down()
                page.mouse.move(*at(page, (x0 + x1) / 2, (y0 + y1) / 2), steps=4)
                page.mouse.move(*at(page, x1, y1), steps=4)
                page.mouse.up()
        assert page.evaluate("page.strokes.drawn.length") == 5
        before = page.evaluate("page.current.version")
        page.click("#retrain")
        until(page, f"!!page.current.analysis.classifier && {QUIET}")
        assert sorted(m["name"] for m in page.evaluate("page.current.analysis.materials")) == ["Cu", "SiO2"]
        page.keyboard.press("z")
        until(page, f"!page.current.analysis.classifier && page.current.version > {before + 1}")


def test_keyboard_views_side_by_side_and_sentences(browser, site):
    with opened(browser, site, expect=("422",)) as page:
        begin(page)
        for view in ("confidence", "runner-up", "none", "materials"):
            page.keyboard.press("w")
            until(page, f"page.view.kind === '{view}'")
        page.keyboard.press(" ")
        until(page, "page.view.kind === 'none'")
        zoom = page.evaluate("page.viewer.map.getZoom()")
        page.keyboard.press("+")
        until(page, f"page.viewer.map.getZoom() > {zoom + 0.5}")
        drop(page, chips.png(chips.drawn(seed=5)), "second.png")
        until(page, f"page.documents.length === 2 && {QUIET}")
        page.click("text=Side by side")
        until(page, "page.other?.name === 'chip.png' || page.other?.name === 'second.png'")
        page.evaluate("page.viewer.map.jumpTo({zoom: 7.5})")
        until(page, "Math.abs(page.second.map.getZoom() - 7.5) < 1e-6 && JSON.stringify(page.second.map.getCenter()) === JSON.stringify(page.viewer.map.getCenter())")
        page.keyboard.press("c")
        until(page, "page.second === null")
        drop(page, b"not a picture", "broken.png")
        page.wait_for_selector(".message.error:has-text('PNG, TIFF or JPEG')")
        page.keyboard.press("?")
        assert "Measure a distance" in page.inner_text("dialog")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    from chipmap import pipeline
    folder = tmp_path_factory.mktemp("run")
    (folder / "chip.png").write_bytes(chips.png())
    pipeline.run(folder / "chip.png", folder / "out", "4nm", legend="0=SiO2 1=Cu 2=W", physics="heat", say=lambda line: None)
    return folder / "out"


def test_a_report_opens_from_disk_with_the_numbers_of_the_run(browser, run, tmp_path):
    from chipmap.page.report import write_report
    path = write_report(run, tmp_path / "report.html")
    assert path.stat().st_size < 12_000_000
    results = json.loads((run / "results.json").read_text())
    with opened(browser, path.as_uri()) as page:
        page.wait_for_selector("html[data-ready]")
        assert page.evaluate("reportResults()") == results
        text = page.inner_text("main")
        side = results["effective"]["thermal_conductivity"]["side_to_side"]
        for number in (side["value"], side["lower"], side["upper"], side["sigma"], *(m["area_fraction"]["value"] for m in results["materials"])):
            assert f"{number:,.6g}" in text
        manifest = json.loads((run / "manifest.json").read_text())
        assert manifest["inputs"][0]["sha256"] in text and manifest["versions"]["numpy"] in text
        page.evaluate("showOverlay('field-0')")
        until(page, "reportMap.getLayer('field-0') && reportMap.getLayoutProperty('field-0', 'visibility') === 'visible'")
        assert "temperature rise" in page.inner_text("#legend")
        page.emulate_media(media="print")
        assert page.locator(".printed img").is_visible() and page.locator("#map").is_hidden()


def test_a_run_is_served_with_its_fields(browser, run):
    from cupages.server import running

    from chipmap.page.app import make_app
    with running(make_app([run])) as address, opened(browser, address) as page:
        until(page, "!!page.current?.analysis?.fields.length")
        assert page.evaluate("page.current.name") == "chip.png" and page.evaluate("page.current.pixel_size_nm[0]") == pytest.approx(4)
        stored = json.loads((run / "results.json").read_text())
        shares = [m["area_fraction"]["value"] for m in stored["materials"]]
        np.testing.assert_allclose(page.evaluate("page.current.analysis.materials.map(m => m.share)"), shares, rtol=1e-12)
        page.click("#view-field")
        until(page, "!document.querySelector('#colour-bar').hidden")
