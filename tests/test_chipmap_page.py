"""The server of `chipmap serve` without a browser: steps of the pipeline, tiles, answers to clicks, what it refuses."""

import io
import struct
import zipfile
import zlib

import chips
import imagecodecs
import numpy as np
import pytest
import tifffile
from browsing import ask, is_sentence, need_pages, wait_for_job

from chipmap import InputError
from chipmap.page import tiles
from chipmap.page.analysis import Asked, analyse, renamed, retrained
from chipmap.page.intake import check_declared, declared, kind_of
from chipmap.page.pictures import halved, open_picture

NAMES = {"0": "SiO2", "1": "Cu", "2": "W"}


def no_step(name):
    import contextlib
    return contextlib.nullcontext()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    (folder / "chip.png").write_bytes(chips.png())
    return folder


@pytest.fixture(scope="module")
def site(folder):
    need_pages()
    from cupages.server import running

    from chipmap.page.app import make_app
    with running(make_app([folder / "chip.png"])) as address:
        yield address


@pytest.fixture(scope="module")
def opened(folder):
    return open_picture(folder / "chip.png", folder / "opened")


@pytest.fixture(scope="module")
def first(opened):
    return analyse(opened, Asked(pixel_size="4nm", calibration={0: "SiO2", 1: "Cu", 2: "W"}), None, no_step)


def done(site, answer, **more):
    """The result of a job that was asked for."""
    status, job, _ = answer
    assert status == 200, job
    told = wait_for_job(site, job["id"], **more)
    assert told["state"] == "done", told["error"]
    assert all(step["step"] for step in told["steps"])
    return told["result"]


def upload(site, data, name="chip.png", kind="image/png", **more):
    return ask(site, f"/api/upload?name={name}", "POST", data, Content_Type=kind, **more)


@pytest.fixture(scope="module")
def named(site):
    """The address of a picture that was dropped, analysed and named."""
    told = done(site, upload(site, chips.png()))
    assert told["pixel_size_nm"] is None and told["analysis"] is None
    path = f"/api/documents/{told['id']}"
    told = done(site, ask(site, path + "/analyse", "POST", {}))
    assert told["analysis"]["phases"] == 3 and told["analysis"]["unnamed"] and not told["analysis"]["physics_ready"]
    unknown = ask(site, path + "/probe?x=100&y=118")[1]
    assert unknown["unit"] == "px" and unknown["material"]["name"] == "phase 2 of 3" and unknown["object"]["net"] is None
    told = done(site, ask(site, path + "/say", "POST", {"pixel_size": "4nm", "calibration": NAMES}))
    assert [m["name"] for m in told["analysis"]["materials"]] == ["SiO2", "Cu", "W"] and told["analysis"]["physics_ready"]
    return path


def objects(site, path, material):
    rows = ask(site, path + "/objects")[1]["rows"]
    return [row[0] for row in rows if row[1] == material]


def test_a_click_tells_material_rivals_evidence_object_size_and_net(site, named):
    x, y = 100, 118
    told = ask(site, f"{named}/probe?x={x}&y={y}")[1]
    assert told["material"]["name"] == "Cu" and told["material"]["candidates"][0]["probability"] > 0.99
    assert told["x_nm"] == pytest.approx(4 * 100.5) and told["unit"] == "nm" and "grey" in told["material"]["evidence"][0]
    body = told["object"]
    width = (chips.OTHER[1] - chips.OTHER[0]) * chips.PIXEL_NM
    assert abs(body["width_nm"] - width) < 3 * body["width_sd_nm"] and 0 < body["width_sd_nm"] < chips.PIXEL_NM
    assert body["kind"] == "line" and isinstance(body["net"], int) and not body["touches_border"]
    status, told, _ = ask(site, f"{named}/probe?x=100000&y=2")
    assert status == 422 and is_sentence(told["error"])
    rings = ask(site, f"{named}/outline/{body['number']}")[1]["rings"]
    assert np.min(rings[0], axis=0) == pytest.approx((chips.OTHER[2], chips.OTHER[0]), abs=1.01)


def test_a_line_tells_the_materials_along_it_and_their_lengths(site, named):
    told = ask(site, f"{named}/profile?x0=100&y0=90.5&x1=100&y1=150.5")[1]
    assert [p["material"] for p in told["pieces"]] == ["SiO2", "Cu", "SiO2"] and told["unit"] == "nm"
    assert told["distance"][-1] == pytest.approx(240) and len(told["distance"]) == len(told["grey"]) == 61
    piece = told["pieces"][1]
    assert piece["to"] - piece["from"] == pytest.approx(64, abs=4.01) and told["grey"][30] == chips.drawn()[120, 100]
    assert told["pieces"][0]["from"] == 0 and told["pieces"][-1]["to"] == pytest.approx(240)
    beyond = ask(site, f"{named}/profile?x0=-10&y0=5&x1=10&y1=5")[1]
    assert beyond["grey"][0] is None and beyond["grey"][-1] is not None
    for query in ("x0=1&y0=2&x1=3", "x0=nan&y0=2&x1=3&y1=4", "x0=1e30&y0=2&x1=3&y1=4"):
        status, told, _ = ask(site, f"{named}/profile?{query}")
        assert status == 422 and is_sentence(told["error"])


def test_resistance_of_a_straight_line_by_hand(site, named):
    """Two tungsten pads joined by copper of length L and width w: rho L / w for a unit of depth."""
    from chipmap.materials import property_of
    pads = objects(site, named, "W")
    assert len(pads) == 2
    told = done(site, ask(site, named + "/between", "POST", {"kind": "resistance", "first": pads[0], "second": pads[1], "volts": 1e-3}))["between"]
    length = chips.LINE[3] - chips.LINE[2] - 2 * chips.PAD
    by_hand = property_of("Cu", "resistivity_ohm_m").value * length / (chips.LINE[1] - chips.LINE[0])
    assert told["lower"] <= told["value"] <= told["upper"] and told["upper"] / told["lower"] < 1.03     # edges found are not quite straight
    assert told["value"] == pytest.approx(by_hand, rel=0.04)       # a pixel of 25 more or less
    assert told["interval_95"][0] < by_hand < told["interval_95"][1]
    done(site, ask(site, named + "/say", "POST", {"thickness": "50nm"}))
    thin = done(site, ask(site, named + "/between", "POST", {"kind": "resistance", "first": pads[0], "second": pads[1]}))["between"]
    assert thin["of_the_layer"]["value"] == pytest.approx(thin["value"] / 50e-9)
    assert 1.3 < thin["value"] / told["value"] < 3      # surfaces and grains of a line of 64 x 50 nm
    copper = objects(site, named, "Cu")
    status, job, _ = ask(site, named + "/between", "POST", {"kind": "resistance", "first": copper[0], "second": copper[1]})
    failed = wait_for_job(site, job["id"])
    assert failed["state"] == "failed" and "infinite" in failed["error"]
    told = done(site, ask(site, named + "/between", "POST", {"kind": "capacitance", "first": copper[0], "second": copper[1]}))["between"]
    assert 0 < told["lower"] <= told["value"] <= told["upper"] and told["unit"] == "F/m"
    fields = {f["key"] for f in ask(site, named)[1]["analysis"]["fields"]}
    assert {"charge.electrostatic_potential_v", "current.current_density_a_m2"} <= fields
    told = done(site, ask(site, named + "/solve", "POST", {"physics": "junction", "boundaries": {"heater": str(pads[0])}}))
    assert told["analysis"]["answers"]["junction"]["thermal_resistance"]["value"] > 0
    assert "junction.rise_per_power_k_m_w" in {f["key"] for f in told["analysis"]["fields"]}


def test_corrections_repeat_only_what_depends_on_them(opened, first):
    again = renamed(first, no_step, calibration={0: "SiO2", 1: "Cu", 2: "Co"})
    assert again.found is first.found and again.prepared is first.prepared and again.names == ["SiO2", "Cu", "Co"]
    assert first.names == ["SiO2", "Cu", "W"], "an analysis never changes"
    top, _, left, _ = chips.OTHER
    strokes = [("SiO2", [(5, 5), (200, 8)], 4), ("SiO2", [(5, 90), (215, 95)], 4), ("SiO2", [(5, 150), (200, 150)], 4), ("W", [(45, 68), (52, 68)], 8),
               ("W", [(170, 68), (180, 68)], 8), ("Cu", [(left + 5, top + 8), (left + 120, top + 8)], 4), ("Cu", [(70, 68), (150, 68)], 6)]
    learnt = retrained(first, strokes, no_step)
    assert learnt.prepared is first.prepared and learnt.classifier is not None and sorted(learnt.names) == ["Cu", "SiO2", "W"]
    table = np.array([["SiO2", "Cu", "W"].index(name) for name in learnt.named.names])
    found, true = table[learnt.named.labels], chips.truth()
    assert (found[true > 0] == true[true > 0]).mean() > 0.99 and (found == true).mean() > 0.85     # strokes that keep off the edges leave these open
    with pytest.raises(InputError, match="covers no pixel"):
        retrained(first, [("a", [(1000, 1000)], 3), ("b", [(5, 5)], 3)], no_step)
    with pytest.raises(InputError, match="unknown|not in"):
        renamed(first, no_step, calibration={0: "unobtainium"})


def test_secondary_electrons_are_named_one_by_one(opened):
    """Their grey tells no atomic number, so a name is kept for its own phase and says nothing of the others."""
    opened = type(opened)(opened.name, opened.folder, opened.levels, opened.facts | {"instrument": {"signal": "SE"}})
    first = analyse(opened, Asked(pixel_size="4nm"), None, no_step)
    assert "secondary electrons" in first.unnamed and first.names[0] == "dark phase"
    one = renamed(first, no_step, calibration={0: "SiO2"})
    assert one.names == ["SiO2", "phase 2 of 3", "bright phase"] and "each phase" in one.unnamed and (one.net == -1).all()
    assert renamed(one, no_step, calibration={0: "SiO2", 1: "Cu", 2: "W"}).unnamed == ""
    with pytest.raises(InputError, match="name the others too"):
        renamed(first, no_step, calibration={0: "Cu", 1: "Cu"})
    with pytest.raises(InputError):
        renamed(first, no_step, calibration={0: "unobtainium"})


def test_tiles_show_what_was_found(opened, first):
    layer = tiles.material_layer(first.named.labels, 1, "#ff8000", (0, 0))
    tile = imagecodecs.png_decode(layer.tile(6, 0, 0))
    height, width = chips.SIZE
    assert tile.shape == (512, 512, 4)
    assert ((tile[:height, :width, 3] == 255) == (first.named.labels == 1)).all() and not tile[height:].any() and not tile[:, width:].any()
    assert tuple(tile[118, 100, :3]) == (255, 128, 0)
    half = imagecodecs.png_decode(layer.tile(5, 0, 0))[..., 3]
    share = halved(np.where(first.named.labels == 1, np.uint8(255), np.uint8(0)))
    assert (half[:share.shape[0], :share.shape[1]] == share).all()
    assert layer.tile(6, 5, 5) == tiles.empty_tile()
    shifted = tiles.material_layer(first.named.labels, 1, "#ff8000", (500, 300))     # a field that begins in the middle of the picture
    parts = np.concatenate([imagecodecs.png_decode(shifted.tile(6, 0, y))[..., 3] for y in (0, 1)])
    assert ((parts[500:500 + height, 300:512] == 255) == (first.named.labels[:, :212] == 1)).all() and not parts[:500].any()
    grey = imagecodecs.png_decode(tiles.picture_tile(opened, 6, 0, 0))
    low, high = opened.range
    expected = ((chips.drawn().astype(np.float32) - low) * (255 / (high - low))).clip(0, 255).astype(np.uint8)
    assert (grey[:height, :width, 0] == expected).all() and (grey[:height, :width, 1] == 255).all() and not grey[height:, :, 1].any()


def test_runner_up_is_the_second_likeliest(first):
    second, probability, names = first.runner_up
    assert probability.max() <= 0.5 and (np.array(names)[second] != np.array(first.named.best)[first.phases.labels]).mean() > 0.99
    assert probability[5, 5] < 0.01 < probability.max()


def test_two_tabs_do_not_disturb_each_other(site, named):
    status, told, _ = ask(site, named, tab="the-other-tab")
    assert status == 404 and is_sentence(told["error"])
    here, there = (done(site, ask(site, "/api/open", "POST", {"item": "0"}, tab=tab), tab=tab) for tab in ("tab-number-one", "tab-number-two"))
    for told, tab in ((here, "tab-number-one"), (there, "tab-number-two")):
        done(site, ask(site, f"/api/documents/{told['id']}/analyse", "POST", {"phases": 3}, tab=tab), tab=tab)
    done(site, ask(site, f"/api/documents/{here['id']}/say", "POST", {"calibration": NAMES}, tab="tab-number-one"), tab="tab-number-one")
    one, two = (ask(site, f"/api/documents/{told['id']}", tab=tab)[1] for told, tab in ((here, "tab-number-one"), (there, "tab-number-two")))
    assert [m["name"] for m in one["analysis"]["materials"]] == ["SiO2", "Cu", "W"] and two["analysis"]["unnamed"]
    back = ask(site, f"/api/documents/{here['id']}/back", "POST", {}, tab="tab-number-one")[1]
    assert back["analysis"]["unnamed"]


def test_a_closed_picture_leaves_nothing_on_the_disk(tmp_path):
    need_pages()
    from cupages.server import running

    from chipmap.page.app import make_app
    with running(make_app(folder=tmp_path)) as address:
        told = done(address, upload(address, chips.png()))
        assert len(list(tmp_path.iterdir())) == 1
        assert ask(address, f"/api/documents/{told['id']}/close", "POST", {})[0] == 200
        assert not list(tmp_path.iterdir())
        assert ask(address, f"/api/documents/{told['id']}")[0] == 404
        upload(address, b"no picture")
        assert not list(tmp_path.iterdir())


def test_a_long_computation_can_be_cancelled(site):
    import time
    small = done(site, upload(site, chips.png()))["id"]         # first a small one: what is compiled when first asked for can't be stopped
    done(site, ask(site, f"/api/documents/{small}/analyse", "POST", {"pixel_size": "1nm", "phases": 3, "calibration": NAMES}))
    done(site, ask(site, f"/api/documents/{small}/solve", "POST", {"physics": "stress"}))
    wide = np.kron(chips.drawn(), np.ones((4, 4), np.uint8))
    told = done(site, upload(site, chips.png(wide)))
    path = f"/api/documents/{told['id']}"
    told = done(site, ask(site, path + "/analyse", "POST", {"pixel_size": "1nm", "phases": 3, "calibration": NAMES}))
    job = ask(site, path + "/solve", "POST", {"physics": "stress"})[1]
    while not [s for s in ask(site, f"/api/jobs/{job['id']}")[1]["steps"] if s["step"] == "stress"]:
        time.sleep(0.02)
    time.sleep(0.2)
    asked = time.perf_counter()
    ask(site, f"/api/jobs/{job['id']}/cancel", "POST", {})
    ended = wait_for_job(site, job["id"])
    assert ended["state"] == "cancelled" and time.perf_counter() - asked < 5
    after = ask(site, path)[1]
    assert after["version"] == told["version"] and not after["analysis"]["fields"]


def test_what_is_taken_home_is_a_run(site, named, tmp_path):
    from chipmap.page.runs import open_run, read_run
    made = done(site, ask(site, named + "/export", "POST", {"what": "run.zip"}))
    status, data, headers = ask(site, made["address"])
    assert status == 200 and "run.zip" in headers["Content-Disposition"]
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        packed.extractall(tmp_path / "run")
    manifest, results = read_run(tmp_path / "run")
    assert [m["material"] for m in results["materials"]] == ["SiO2", "Cu", "W"] and manifest["inputs"][0]["bytes"] == len(chips.png())
    opened, analysis = open_run(tmp_path / "run", tmp_path / "opened", no_step)
    assert opened.name == "chip.png" and analysis.names == ["SiO2", "Cu", "W"] and analysis.sized
    status, job, _ = ask(site, named + "/export", "POST", {"what": "classifier.npz"})
    assert "no classifier" in wait_for_job(site, job["id"])["error"]
    with pytest.raises(InputError, match="is no folder"):
        read_run(tmp_path)


def bomb(height, width):
    """A PNG of a few bytes that claims height x width pixels."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("data, kind, status, words", [
    (b"hello there", "image/png", 422, "no PNG"), (b"", "image/png", 400, "empty"), (chips.png(), "text/html", 415, "text/html"),
    (b"PK\3\4" + bytes(100), "application/octet-stream", 422, "archive"), (b"GIF89a" + bytes(100), "image/gif", 422, "no PNG"),
])
def test_uploads_that_are_refused_at_once(site, data, kind, status, words):
    got, told, _ = upload(site, data, kind=kind)
    assert got == status and words in told["error"] and is_sentence(told["error"])


def test_more_than_is_taken_is_refused_before_it_is_read(site):
    status, told, _ = ask(site, "/api/upload?name=a.png", "POST", b"", Content_Type="image/png", Content_Length=str(3 << 30))
    assert status == 413 and "GB" in told["error"]


def tiff_bomb():
    """A TIFF of 64 x 64 pixels whose one strip unpacks to 1.5 GB."""
    out = io.BytesIO()
    tifffile.imwrite(out, chips.drawn()[:64, :64], compression="zlib", rowsperstrip=64)
    data = bytearray(out.getvalue())
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as tiff:
        page = tiff.pages[0]
        at, count = page.tags["StripOffsets"], page.tags["StripByteCounts"]
    squeezed = zlib.compressobj(1)
    packed = b"".join(squeezed.compress(bytes(1 << 24)) for _ in range(90)) + squeezed.flush()
    for tag, value in ((at, len(data)), (count, len(packed))):
        data[tag.valueoffset:tag.valueoffset + 4] = struct.pack("<I", value)
    return bytes(data) + packed


@pytest.mark.parametrize("data, words", [
    (lambda: bomb(30000, 30000), "bomb"), (lambda: bomb(40000, 100), "32768"), (lambda: chips.png()[:-2000], "damaged"),
    (lambda: imagecodecs.jpeg8_encode(np.full((60, 60), 7, np.uint8)), "every pixel"), (tiff_bomb, ""),
])
def test_files_that_are_no_honest_picture(site, data, words, folder):
    status, job, _ = upload(site, data(), kind="application/octet-stream")
    told = wait_for_job(site, job["id"])
    assert told["state"] == "failed" and words in told["error"] and is_sentence(told["error"])
    assert str(folder) not in told["error"] and "/tmp" not in told["error"]


def test_names_and_paths_stay_inside(site):
    told = done(site, upload(site, chips.png(), name="..%2F..%2F..%2Fetc%2Fpasswd.png"))
    assert told["name"] == "passwd.png"
    for path in ("/page/../app.py", "/page/%2e%2e/app.py", "/api/documents/..%2f..%2fetc/probe?x=1&y=1"):
        status, answer, _ = ask(site, path)
        assert status in (400, 404) and b"import" not in (answer if isinstance(answer, bytes) else b"")
    status, answer, _ = ask(site, "/api/open", "POST", {"item": "../../etc/passwd"})
    assert status == 404 and is_sentence(answer["error"])


@pytest.mark.parametrize("path, body, words", [
    ("/analyse", {"box": [0, 4, 0, 4]}, "16 x 16"), ("/analyse", {"phases": 99}, "phases"), ("/say", {"calibration": {"0": 5}}, "calibration"),
    ("/train", {"strokes": []}, "between 1"), ("/train", {"strokes": [{"class": "a", "points": [[1, 1]], "width": 3}]}, "two classes"),
    ("/train", {"strokes": [{"class": "a", "points": [["x", 1]], "width": 3}]}, "needs a class"),
    ("/solve", {"physics": "magic"}, "unknown"), ("/solve", {"physics": "heat", "boundaries": {"secret": 1}}, "boundaries"),
    ("/between", {"kind": "resistance", "first": -1, "second": 2}, "whole number"), ("/export", {"what": "../../x"}, "export"),
])
def test_requests_that_make_no_sense(site, named, path, body, words):
    status, told, _ = ask(site, named + path, "POST", body)
    assert status == 422 and words in told["error"] and is_sentence(told["error"])


def test_headers_are_read_without_decoding(tmp_path):
    (tmp_path / "a.jpg").write_bytes(imagecodecs.jpeg8_encode(chips.drawn()))
    (tmp_path / "a.png").write_bytes(chips.png(chips.drawn().astype(np.uint16)))
    tifffile.imwrite(tmp_path / "a.tif", chips.drawn().astype(np.float32))
    assert [declared(tmp_path / f"a.{kind}") for kind in ("jpg", "png", "tif")] == [(*chips.SIZE, 1), (*chips.SIZE, 2), (*chips.SIZE, 4)]
    check_declared("flat.png", 4000, 4000, 1, 20_000)
    with pytest.raises(InputError, match="bomb"):
        check_declared("flat.png", 30000, 30000, 1, 1_000_000)
    with pytest.raises(InputError, match="archive"):
        kind_of(b"\x1f\x8b" + bytes(10))


def test_a_folder_of_tiles_opens_too(tmp_path):
    pytest.importorskip("zarr")
    from chipmap.big.planes import store_pyramid
    from chipmap.page.command import _found
    (tmp_path / "chip.png").write_bytes(chips.png())
    store_pyramid(tmp_path / "chip.png", tmp_path / "chip.zarr", "4nm", say=lambda line: None)
    assert _found(tmp_path) == [tmp_path / "chip.png", tmp_path / "chip.zarr"]
    opened = open_picture(tmp_path / "chip.zarr", tmp_path / "opened")
    assert (opened.levels[0] == chips.drawn()).all() and opened.sized and opened.facts["pixel_size_m"] == pytest.approx([4e-9, 4e-9])


def test_levels_on_disk_are_means(tmp_path):
    grey = np.random.default_rng(1).integers(0, 4000, (1301, 2203)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", grey, tile=(256, 256))
    opened = open_picture(tmp_path / "a.tif", tmp_path / "o", "2nm")
    assert [level.shape for level in opened.levels] == [(1301, 2203), (651, 1102), (326, 551), (163, 276)] and opened.sized
    wide = np.pad(grey, ((0, 1), (0, 1)), mode="edge").reshape(651, 2, 1102, 2).astype(int)
    assert (opened.levels[1] == (wide.sum(axis=(1, 3)) + 2) // 4).all()


@pytest.mark.parametrize("words, said", [
    (["serve", "nowhere", "--no-browser"], "is not there"), (["serve", ".", "--no-browser"], "neither a run"), (["report", "."], "is no folder"),
])
def test_commands_say_what_is_wrong(tmp_path, monkeypatch, words, said):
    from click.testing import CliRunner

    from chipmap.__main__ import main
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2 and said in done.output and is_sentence(done.output)
    assert not list(tmp_path.iterdir())


def test_serve_prints_its_address_listens_on_this_machine_alone_and_leaves_nothing(folder, tmp_path):
    import os
    import pathlib
    import re
    import subprocess
    import sys
    need_pages()
    root = pathlib.Path(__file__).parent.parent
    process = subprocess.Popen([sys.executable, "-m", "chipmap", "serve", str(folder / "chip.png"), "--no-browser"], stdout=subprocess.PIPE, text=True,
                               cwd=root, env=os.environ | {"PYTHONPATH": f"{root}:{root / 'kernels'}", "PYTHONUNBUFFERED": "1", "TMPDIR": str(tmp_path)})
    try:
        address = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())[0]
        assert ask(address, "/api/shelf")[1]["items"] == [{"id": "0", "name": "chip.png", "run": False}]
        assert ask(address, "/api/shelf", Host="evil.example")[0] == 421
        assert ask(address, "/api/shelf", Origin="http://evil.example")[0] == 403
        assert list(tmp_path.iterdir())
    finally:
        process.terminate()
        process.wait(60)
    assert process.returncode == 0 and not list(tmp_path.iterdir())


def test_a_warm_server_is_ready():
    need_pages()
    from chipmap.page.app import warm_up
    warm_up()
