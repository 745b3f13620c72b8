"""`gridmap serve`: what the page asks for equals what the command line computes; the page in a real browser."""

import json
import math
import struct
import tomllib

import numpy as np
import pandas as pd
import pytest
import small_grid
from browsing import ask, need_pages, opened, until, wait_for_job

from gridmap import InputError, config, scenario
from gridmap.page import runs, serving, toml


def unpack(content):
    size, = struct.unpack("<I", content[:4])
    head = json.loads(content[4:4 + size])
    kinds = {"f4": np.float32, "i2": np.int16}
    return head, {c["name"]: np.frombuffer(content, kinds[c["kind"]], c["count"], c["offset"]) for c in head["columns"]}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """(address, app) of the five regions that are solved by hand."""
    need_pages()
    from cupages import server

    from gridmap.page import app
    toml_file = small_grid.write(tmp_path_factory.mktemp("small"))
    made = app.create(config.from_options(toml_file), wait=True)
    assert made.state.site.error == ""
    with server.running(made) as address:
        yield address, made


# Without a browser


def test_an_hour_is_the_one_solved_by_hand(small):
    address, _ = small
    status, content, _ = ask(address, f"/api/hour?row={small_grid.PEAK}")
    head, columns = unpack(content)
    assert status == 200 and head["hour"] == small_grid.PEAK and head["row"] == 1
    np.testing.assert_allclose(columns["unserved"], list(small_grid.UNSERVED.values()), atol=1e-4)
    np.testing.assert_allclose(columns["supply"], list(small_grid.SUPPLY.values()))
    assert head["totals"]["unserved"] == pytest.approx(80) and head["totals"]["isolated"] == pytest.approx(200)
    assert [(p["mw"], p["regions"]) for p in head["pockets"]] == [(50, 1), (20, 1), (10, 1)]
    assert head["pockets"][0]["name"] == "Region D, XX"


def test_a_region_says_what_limits_it_and_what_it_rests_on(small):
    address, _ = small
    found = ask(address, f"/api/region?id=C&row={small_grid.PEAK}")[1]
    assert (found["demand_mw"], found["supply_mw"], found["unserved_mw"], found["imports_mw"]) == pytest.approx((100, 50, 20, 30))
    assert found["fuels"] == [{"fuel": "oil", "mw": 50, "nameplate_mw": 50, "units": 1}]
    assert found["limits"]["corridors"] == [{"from": "Region B, XX", "into": "Region C, XX", "limit_mw": 30, "worth": 0}]      # B is short too
    assert "lacks 20.0 MW together behind 1 full corridor" in found["limits"]["says"]
    assert found["plants"][0] | {"file": "", "unit": ""} == {"id": "3", "unit": "", "name": "Gamma", "technology": "oil", "mw": 50, "status": "OP", "file": "", "row": 3}
    assert ask(address, "/api/region?id=E")[1]["limits"]["says"].startswith("Nothing")
    rests = ask(address, "/api/rests-on?id=C")[1]
    assert {(part["role"], part["file"]) for part in rests} == {("plant", "plants.csv"), ("demand", "demand.csv"), ("limit", "limits.csv")}
    assert [r["row"] for part in rests if part["role"] == "plant" for r in part["rows"]] == [3]
    _, profile = unpack(ask(address, "/api/profile?id=C")[1])
    np.testing.assert_allclose(profile["demand"], [50, 100, 80])
    np.testing.assert_allclose(profile["supply"], [50, 50, 50])


def test_a_year_is_solved_in_a_job_and_told(small):
    address, made = small
    told = wait_for_job(address, ask(address, "/api/year", "POST", {})[1]["job"])
    assert told["state"] == "done" and any("2023-07" in s["step"] for s in told["steps"])
    head, curve = unpack(ask(address, "/api/curve")[1])
    assert head["solved"] and head["worst"] == [0, 1, 2]
    np.testing.assert_allclose(curve["demand"], [225, 450, 360])
    assert curve["unserved"][1] == pytest.approx(80) and np.isfinite(curve["unserved"]).all()
    assert ask(address, "/api/region?id=D")[1]["year"]["hours_short"] == 3
    _, short = unpack(ask(address, "/api/still/short")[1])
    assert short["value"][3] == 3 and short["value"][0] == 0
    assert ask(address, "/api/still/lole")[0] == 404 and ask(address, "/api/still/nothing")[0] == 404


def test_a_scenario_answers_as_the_command_line_does_to_the_mw(small, tmp_path):
    """The page's own file is run by `gridmap compare`."""
    from gridmap import pipeline
    address, made = small
    answer = ask(address, "/api/scenario", "POST", {"row": small_grid.PEAK, "changes": {
        "load": [{"name": "data centre", "load_mw": 25, "region": "C"}], "line": [{"tail": "D", "head": "E", "forward_mw": 7}], "retire": [{"plant_id": "2"}]}}, tab="tab-of-scenario")[1]
    path = tmp_path / "scenario.toml"
    path.write_text(answer["toml"])
    results = pipeline.compare(made.state.site.config, path, tmp_path / "out", small_grid.PEAK, "cpu", say=lambda line: None)
    assert answer["before_mw"] == pytest.approx(results["before_mwh"]["value"], abs=1e-6) == pytest.approx(80)
    assert answer["after_mw"] == pytest.approx(results["after_mwh"]["value"], abs=1e-6) and answer["after_mw"] > answer["before_mw"] + 10
    table = pd.read_csv(tmp_path / "out" / "regions.csv")
    for region in answer["regions"]:
        row = table[table["region_id"].eq(region["id"])].iloc[0]
        assert region["after_mw"] == pytest.approx(row["after_mwh"], abs=1e-5)
    head, columns = unpack(ask(address, f"/api/hour?row={small_grid.PEAK}&scenario=1", tab="tab-of-scenario")[1])
    np.testing.assert_allclose(columns["unserved"] - columns["before"], table["change_mwh"], atol=1e-4)
    assert head["new"][0][:2] == [3, 4]        # the corridor that only the scenario has
    # another tab sees the system as it is, and has no scenario
    _, other = unpack(ask(address, f"/api/hour?row={small_grid.PEAK}", tab="another-tab")[1])
    np.testing.assert_allclose(other["unserved"], list(small_grid.UNSERVED.values()), atol=1e-4)
    assert ask(address, "/api/hour?scenario=1", tab="another-tab")[0] == 409


@pytest.mark.parametrize("given, words", [
    ({"changes": {"load": [{"name": "a", "load_mw": 5, "region": "Z"}]}}, "there is no region Z"), ({"changes": {"load": [{"name": "a", "load_mw": -5, "region": "A"}]}}, "negative"),
    ({"changes": {"bomb": [{}]}}, "[[bomb]] is unknown"), ({"changes": []}, "no table of changes"), ({"changes": {"retire": [{"plant_id": "99"}]}}, "no plant 99"),
    ({"toml": "[[load"}, "not TOML"), ({"toml": "x" * 300_000}, "characters"), ({"changes": {}}, "changes nothing"), ({"by": "moon", "changes": {}}, "no region set"),
    ({"changes": {"grow": [{"percent": "5"}]}}, "no number"), ({"row": 77, "changes": {}}, "3 hours")])
def test_bad_scenarios_are_refused_in_a_sentence(small, given, words):
    status, content, _ = ask(small[0], "/api/scenario", "POST", given)
    assert status == 422 and words in content["error"] and "/tmp" not in content["error"], content


@pytest.mark.parametrize("path, status, words", [
    ("/api/hour?row=9", 422, "3 hours"), ("/api/hour?row=2031-01-01T00:00Z", 422, "choose a whole hour"), ("/api/hour?row=-1", 422, "hour"), ("/api/region?id=Z", 422, "no region"),
    ("/api/set?by=moon", 422, "no region set"), ("/api/shapes/secret", 404, "no shapes"), ("/api/plant?id=99", 404, "no plant"), ("/api/file/none", 404, "no such computation")])
def test_bad_questions_are_refused_in_a_sentence(small, path, status, words):
    got, content, _ = ask(small[0], path)
    assert got == status and words in content["error"], content


def test_files_of_what_is_on_the_screen(small, tmp_path):
    import pyogrio
    address, _ = small
    for kind in ("csv", "gpkg"):
        told = wait_for_job(address, ask(address, "/api/file", "POST", {"row": small_grid.PEAK, "kind": kind})[1]["job"])
        status, content, headers = ask(address, f"/api/file/{told['id']}")
        assert status == 200 and told["result"]["name"].endswith(kind) and "attachment" in headers["Content-Disposition"]
        (tmp_path / f"a.{kind}").write_bytes(content)
        assert ask(address, f"/api/file/{told['id']}", tab="another-tab")[0] == 404
    table = pd.read_csv(tmp_path / "a.csv")
    assert dict(zip(table["region_id"], table["residual_deficit_mw"])) == pytest.approx(small_grid.UNSERVED)
    assert {"regions", "plants", "corridors", "pockets"} <= set(pyogrio.list_layers(tmp_path / "a.gpkg")[:, 0])
    assert ask(address, "/api/file", "POST", {"kind": "exe"})[0] == 422


def test_borders_are_each_there_once_and_their_lengths_are_right(small):
    """Unit squares in degrees: A-B, B-C, A-D, B-E, D-E are shared; what is left is outside."""
    borders = json.loads(ask(small[0], "/api/shapes/borders")[1])["features"]
    pairs = sorted((f["properties"]["a"], f["properties"]["b"]) for f in borders)
    assert pairs == sorted([(0, 1), (1, 2), (0, 3), (1, 4), (3, 4), (0, -1), (1, -1), (2, -1), (3, -1), (4, -1)])


def test_toml_is_read_back_as_it_was_written(tmp_path):
    data = {"text": "a \"quoted\" \\ line\nand \u00e9 \x7f", "number": 2.5, "whole": 3, "yes": True, "list": ["a", "b"], "columns": {"plants": {"mw": "MW, net"}}, "load": [{"name": "x"}, {"name": "y z"}]}
    assert tomllib.loads(toml.dumps(data)) == data
    assert math.isnan(tomllib.loads(toml.dumps({"a": float("inf")}))["a"])


def test_runs_are_shown_and_others_refused(tmp_path):
    """A year's run and an adequacy run of one system; a run of other files, a folder that is none."""
    need_pages()
    from cupages import server

    from gridmap import pipeline
    from gridmap.__main__ import main
    from gridmap.page import app
    source = small_grid.write(tmp_path)
    given = config.from_options(source, year=2023)
    pipeline.run(given, tmp_path / "year", "cpu", say=lambda line: None)
    main(["adequacy", "-o", str(tmp_path / "adequacy"), "--config", str(source), "--by", "county", "--samples", "8", "--quiet", "--device", "cpu"], standalone_mode=False)
    earlier = [runs.read(tmp_path / name) for name in ("year", "adequacy")]
    made = app.create(config.Config(), earlier, wait=True)
    assert made.state.site.error == ""
    results = earlier[0].results
    with server.running(made) as address:
        head, curve = unpack(ask(address, "/api/curve")[1])
        assert head["solved"] and curve["unserved"].sum() == pytest.approx(results["unserved_mwh"]["value"])
        region = ask(address, "/api/region?id=C")[1]
        table = pd.read_csv(tmp_path / "adequacy" / "regions.csv").set_index("region_id").loc["C"]
        lole = region["adequacy"]["lole_hours"]
        assert lole["value"] == pytest.approx(table["lole_hours"]) and lole["low"] <= lole["value"] <= lole["high"]
        assert ask(address, "/api/set")[1]["has"] == dict.fromkeys(("confidence", "short", "energy", "lole", "eue"), True)
    (tmp_path / "limits.csv").write_text((tmp_path / "limits.csv").read_text() + "C,E,5,5\n")
    assert "was made of another limits.csv" in app.create(config.Config(), earlier, wait=True).state.site.error
    with pytest.raises(InputError, match="not the folder of a finished run"):
        runs.read(tmp_path)
    (tmp_path / "plants.csv").unlink()
    with pytest.raises(InputError, match="which is not there"):
        runs.config_of(earlier[0])


def test_serve_listens_on_this_machine_unless_told():
    assert serving.hosts("127.0.0.1") == ("127.0.0.1",) and serving.hosts("localhost") == ("localhost",) and serving.hosts("::1") == ("::1",)
    assert serving.hosts("0.0.0.0") is None
    from gridmap.__main__ import main
    options = {p.name: p.default for p in main.commands["serve"].params}
    assert options["host"] == "127.0.0.1"
    with pytest.raises(InputError, match="leave --config out"):
        serving.serve(["run"], "a.toml")


# In a browser


def ready(page):
    until(page, "!!globalThis.pageReady", 90)


def test_the_page_is_driven(small, browser, tmp_path):
    """Load, click a region, run a scenario, save it, play, zoom, search, change colours, take files away: nothing on the console, nothing leaves."""
    address, _ = small
    with opened(browser, f"{address}/#row=1", expect=("422",)) as page:
        ready(page)
        assert page.get_attribute("[data-short]", "data-short") == "80"
        assert "Region D, XX" in page.inner_text("#pockets")
        # click region C in the middle of its polygon
        x, y = page.evaluate("(() => { const p = atlas.map.project(page.state.set.at[2]); return [p.x, p.y]; })()")
        page.locator("#map canvas").click(position={"x": x, "y": y})
        page.wait_for_selector("#region-name:has-text('Region C')")
        assert "behind 1 full corridor" in page.inner_text("#limits") and "50 of 50 MW" in page.inner_text("#fuels")
        page.wait_for_selector("#profile canvas")
        page.click(".provenance summary")
        page.wait_for_selector(".provenance td:has-text('Gamma')")
        # a data centre there
        page.click("[data-tab=scenario]")
        assert "(C)" in page.input_value("[data-field=load-at]")
        page.fill("[data-field=load]", "25")
        page.click("[data-form=load] button")
        page.wait_for_selector("#answer")
        assert float(page.get_attribute("[data-after]", "data-after")) == pytest.approx(105)
        assert page.is_checked("input[value=change]")
        with page.expect_download() as saved:
            page.click("[data-save=scenario]")
        saved.value.save_as(tmp_path / "scenario.toml")
        assert scenario.read(tmp_path / "scenario.toml") == {"load": [{"name": "load 1", "load_mw": 25, "region": "C"}]}
        page.fill("[data-field=load-at]", "nowhere")
        page.click("[data-form=load] button")
        page.wait_for_selector(".message.error:has-text('there is no region nowhere')", state="attached")
        page.click(".message.error button")
        page.click("[aria-label^='Remove 25 MW']")
        until(page, "document.querySelector('[data-short]').dataset.short === '80'")
        # the keyboard
        page.locator("#map canvas").focus()
        page.keyboard.press("Escape")
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("ArrowRight")
        until(page, "page.state.row === 2")
        page.keyboard.press("c")
        until(page, "page.state.metric === 'confidence'")
        page.keyboard.press("d")
        page.keyboard.press("/")
        page.keyboard.type("beta")
        page.wait_for_selector("#found li:has-text('Beta')")
        page.keyboard.press("Enter")
        page.wait_for_selector("#plant:has-text('Beta')")
        # zoom, layers, the files
        before = page.evaluate("atlas.map.getZoom()")
        page.click(".maplibregl-ctrl-zoom-in")
        until(page, f"atlas.map.getZoom() > {before} + 0.5")
        for layer in ("plants", "lines", "corridors"):
            page.set_checked(f"[data-layer={layer}]", True)
        for kind, start in (("png", b"\x89PNG"), ("csv", b"region_id"), ("gpkg", b"SQLite")):
            with page.expect_download() as taken:
                page.click(f"[data-save={kind}]")
            taken.value.save_as(tmp_path / kind)
            assert (tmp_path / kind).read_bytes()[:len(start)] == start
        page.click("[aria-label=Play]")
        page.wait_for_selector("[aria-label=Play]")     # it stops at the end of the hours


def test_a_study_drawn_on_the_page_can_be_cancelled_and_shows_its_intervals(small, browser):
    address, _ = small
    with opened(browser, f"{address}/#row=1&region=C") as page:
        ready(page)
        page.fill("[aria-label=Samples]", "6")
        page.click("[data-work=study]")
        page.wait_for_selector("#jobs .step")
        page.click("#jobs .job:has-text('read') button, #jobs .job button")
        page.wait_for_selector(".message:has-text('Cancelled')")
        page.fill("[aria-label=Samples]", "6")
        page.click("[data-work=study]")
        page.wait_for_selector("#adequacy dd", timeout=90_000)
        assert "6 drawn years" in page.inner_text("#adequacy") and page.is_checked("input[value=lole]")


def test_two_tabs_do_not_disturb_each_other(small, browser):
    address, _ = small
    with opened(browser, f"{address}/#row=1") as one, opened(browser, f"{address}/#row=0") as other:
        ready(one)
        ready(other)
        one.click("[data-tab=scenario]")
        one.fill("[data-field=load-at]", "A")
        one.click("[data-form=load] button")
        one.wait_for_selector("#answer")
        other.evaluate("page.go(1)")
        until(other, "document.querySelector('[data-short]').dataset.short === '80'")
        assert float(one.get_attribute("[data-short]", "data-short")) > 80 and other.locator("#answer").count() == 0


def test_region_sets_are_switched(browser, tmp_path_factory):
    """By state, and hexagons where they can be had: the page follows, in one tab and not in the other."""
    need_pages()
    from cupages import server

    from gridmap.page import app, system
    folder = tmp_path_factory.mktemp("states")
    source = small_grid.write(folder)
    regions = json.loads((folder / "regions.geojson").read_text())
    for feature in regions["features"]:
        feature["properties"]["state"] = "WE" if feature["properties"]["region_id"] in "AD" else "EA"
    (folder / "regions.geojson").write_text(json.dumps(regions))
    made = app.create(config.from_options(source), wait=True)
    assert made.state.site.system.sets == ["county", "state"]       # zones, groups ... are unknown of these regions
    with server.running(made) as address:
        with opened(browser, f"{address}/#row=1&region=C") as page:
            ready(page)
            page.click("#sets button:has-text('State')")
            until(page, "page.state.by === 'state' && page.state.set.ids.length === 2")
            page.wait_for_selector("#pockets")
            assert page.evaluate("page.state.hour.columns.supply.length") == 2 and page.evaluate("page.state.region") is None
        # joined regions hide what their parts lack: WE has 300 of 150 MW, and may send 160 to EA, which lacks 150
        head, columns = unpack(ask(address, f"/api/hour?by=state&row={small_grid.PEAK}")[1])
        assert columns["unserved"] == pytest.approx([0, 0]) and head["totals"]["supply"] == pytest.approx(450)
    found = system.cells_of(config.Config())
    assert "raster:100km" in found and system.cells_of(config.from_options(source)) == []
