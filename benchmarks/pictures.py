"""python -m benchmarks.pictures (`make pictures`): the screenshots of both pages that the README shows, by a headless browser."""

import contextlib
import pathlib
import sys
import time

from .browser import chromium

OUT = pathlib.Path(__file__).parent / "results" / "pictures"
DATA = pathlib.Path(__file__).parent.parent / "chipmap" / "data"
SIZE = {"width": 1440, "height": 900}
MOST = 400_000      # bytes of a picture


def main():
    with chromium() as browser:
        for take in (gridmap, chipmap):
            for name, page in take(browser):
                path = OUT / f"{name}.png"
                page.screenshot(path=path)
                size = _smaller(path)
                print(f"{path.name}: {size / 1000:.0f} KB")
                if size > MOST:
                    sys.exit(f"{path.name} has {size:,} bytes: show less, at most {MOST:,}")


def gridmap(browser):
    """The worst pockets of the peak hour with one region told; a scenario, dark."""
    from cupages.server import running

    from gridmap.config import Config
    from gridmap.page import app

    made = app.create(Config(), wait=True)
    view = made.state.site.system.view()
    view.solve_year(lambda *step: None)
    with running(made) as address:
        with _opened(browser, f"{address}/#region=22071") as page:
            _until(page, "!!globalThis.pageReady")
            page.wait_for_selector("#profile canvas")
            page.wait_for_timeout(1500)
            yield "gridmap_page", page
        with _opened(browser, f"{address}/#metric=short", color_scheme="dark") as page:
            _until(page, "!!globalThis.pageReady")
            page.click("[data-tab=scenario]")
            page.fill("[data-field=load-at]", "48113")
            page.fill("[data-field=load]", "5000")
            page.click("[data-form=load] button")
            page.wait_for_selector("#answer")
            page.wait_for_timeout(2500)
            yield "gridmap_scenario", page


def chipmap(browser):
    """Etched silicon on oxide: its materials, an object and a line across it; the stress of a change of temperature, dark."""
    from cupages.server import running

    from chipmap.page.app import make_app

    with running(make_app()) as address:
        for name, scheme in (("chipmap_page", "light"), ("chipmap_stress", "dark")):
            with _opened(browser, address, color_scheme=scheme) as page:
                page.wait_for_selector("html[data-ready]")
                page.set_input_files("#file", str(DATA / "etched_silicon.png"))
                _until(page, "page.current?.analysis && !page.busy")
                page.evaluate("void page.job('/say', {pixel_size: '1.6548nm', legend: 'bright=Si dark=SiO2'})")
                _until(page, "page.current.analysis.physics_ready && !page.busy")
                if name == "chipmap_stress":
                    page.select_option("#physics-kind", "stress")
                    page.click("#solve")
                    _until(page, "page.view.kind === 'field' && !page.busy")
                page.evaluate("page.pin([777, 560])")
                if name == "chipmap_page":
                    page.keyboard.press("m")
                    for x, y in ((940, 420), (940, 900)):
                        page.mouse.click(*_at(page, x, y))
                page.mouse.move(*_at(page, 777, 560))
                page.wait_for_timeout(2500)
                yield name, page


def _at(page, x, y):
    """Where pixel (x, y) of the picture is on the screen."""
    box = page.locator(".pane .stage").first.bounding_box()
    place = page.evaluate(f"(p => [p.x, p.y])(page.viewer.map.project(page.viewer.lngLat([{x}, {y}])))")
    return box["x"] + place[0], box["y"] + place[1]


@contextlib.contextmanager
def _opened(browser, address, **options):
    context = browser.new_context(viewport=SIZE, **options)
    page = context.new_page()
    page.set_default_timeout(120_000)
    page.goto(address)
    try:
        yield page
    finally:
        context.close()


def _until(page, expression, seconds=180):
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        if time.monotonic() > end:
            raise TimeoutError(expression)
        page.wait_for_timeout(30)


def _smaller(path):
    """The picture with a palette of 256 colours where that keeps it small; its bytes."""
    from PIL import Image

    if path.stat().st_size > MOST:
        with Image.open(path) as picture:
            picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    return path.stat().st_size


if __name__ == "__main__":
    main()
