"""`gridmap report`: one file that opens from disk, prints, and says what results.json says."""

import json
import re

import pytest
import small_grid
from browsing import need_pages, opened, until

from gridmap import InputError, config, pipeline
from gridmap.page import document

KINDS = ("hour", "year", "where", "compare", "adequacy")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A run of every kind on the five regions."""
    from gridmap.__main__ import main
    need_pages()
    folder = tmp_path_factory.mktemp("runs")
    source = small_grid.write(folder)
    (folder / "scenario.toml").write_text('[[load]]\nname = "a <b> & c"\nload_mw = 25.0\nregion = "C"\n')
    given = config.from_options(source)
    quiet = {"device": "cpu", "say": lambda line: None}
    pipeline.run(given, folder / "hour", **quiet)
    pipeline.run(config.from_options(source, year=2023), folder / "year", **quiet)
    pipeline.where(given, folder / "where", 20, "peak", **quiet)
    pipeline.compare(given, folder / "scenario.toml", folder / "compare", "peak:2", **quiet)
    main(["adequacy", "-o", str(folder / "adequacy"), "--config", str(source), "--by", "county", "--samples", "6", "--quiet", "--device", "cpu"], standalone_mode=False)
    return folder


def numbers(data):
    for value in data.values():
        if isinstance(value, dict):
            if "value" in value and "unit" in value:
                yield value["value"]
            else:
                yield from numbers(value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_report_holds_every_number_of_the_results_and_every_hash(folders, kind):
    path = document.write(folders / kind, say=lambda line: None)
    page = path.read_text()
    results = json.loads((folders / kind / "results.json").read_text())
    shown = [float(v) for v in re.findall(r'<span data-value="([^"]+)"', page)]
    assert sorted(shown) == sorted(numbers(results)) and len(shown) >= 3
    manifest = json.loads((folders / kind / "manifest.json").read_text())
    for file in manifest["inputs"] + manifest["outputs"]:
        assert file["sha256"] in page
    assert manifest["versions"]["numpy"] in page
    assert path.stat().st_size < 3e6
    assert not re.search(r'(?:src|href)="(?!data:)[^"#]', page)      # nothing from outside


@pytest.mark.parametrize("kind", ["hour", "adequacy"])
def test_a_report_opens_from_disk_with_its_map(folders, browser, kind):
    path = document.write(folders / kind, folders / f"{kind}.html", say=lambda line: None)
    with opened(browser, path.as_uri()) as page:
        until(page, "globalThis.reportReady === true")
        assert len({json.dumps(s) for s in page.evaluate("[0,1,2,3,4].map(id => atlas.map.getFeatureState({source: 'regions', id}))")}) > 1      # coloured
        x, y = page.evaluate("(() => { const p = atlas.map.project(atlas.map.getBounds().getCenter()); return [p.x, p.y]; })()")
        page.locator("#map canvas").hover(position={"x": x, "y": y - 20})
        page.wait_for_selector("#hover:has-text('Region B')")
        page.locator("#map canvas").click(position={"x": x, "y": y - 20})
        page.wait_for_selector("#region:has-text('Region B')")
        until(page, "document.querySelector('#printed').src.startsWith('data:image/png')")
        page.emulate_media(media="print")
        assert not page.is_visible("#metric") and page.is_visible("#printed") and not page.is_visible("#map")
        assert page.pdf()[:4] == b"%PDF"


def test_what_no_report_can_be_made_of_is_refused_and_leaves_nothing(folders, tmp_path):
    with pytest.raises(InputError, match="not the folder of a finished run"):
        document.write(tmp_path)
    with pytest.raises(InputError, match="can't be written"):
        document.write(folders / "hour", tmp_path / "none" / "a.html")
    (tmp_path / "manifest.json").write_text('{"command": "gridmap match", "options": {}, "inputs": []}')
    (tmp_path / "results.json").write_text("{}")
    with pytest.raises(InputError, match="gridmap match"):
        document.write(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"manifest.json", "results.json"}
