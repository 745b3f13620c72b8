"""A drawn picture through the whole of `chipmap run`: what comes out is what was drawn, and all files agree."""

import csv
import json

import numpy as np
import pytest
import shapely
from PIL import Image
from scipy.ndimage import gaussian_filter
from test_chipmap_output import ome, read_vti

from chipmap import pipeline

NM = 4.0
FILES = {"overlay.png", "confidence.png", "temperature.png", "current_density.png", "labels.ome.tif", "objects.ome.tif",
         "confidence.ome.tif", "picture.ome.tif", "objects.csv", "lines.csv", "naming.json", "nets.csv",
         "materials.geojson", "layout.gds", "layers.csv", "fields.vti",
         "results.json", "manifest.json"}


def drawn():
    """120 x 160 pixels: two copper lines across, 12 pixels wide, and a block; oxide around. True phases."""
    phases = np.zeros((120, 160), int)
    phases[20:32] = phases[60:72] = 1
    phases[90:110, 60:90] = 1
    return phases


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("chipmap")
    grey = 70 + 90 * gaussian_filter(drawn().astype(float), 0.8) + 5 * np.random.default_rng(0).standard_normal(drawn().shape)
    Image.fromarray(grey.clip(0, 255).astype(np.uint8)).save(place / "drawn.png")
    pipeline.run(place / "drawn.png", place / "out", pixel_size=f"{NM} nm", legend="bright=Cu dark=SiO2", device="cpu", say=lambda line: None)
    return place / "out"


@pytest.fixture(scope="module")
def results(folder):
    return json.loads((folder / "results.json").read_text())


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_every_file_is_there_and_in_the_manifest(folder):
    assert {p.name for p in folder.iterdir()} == FILES
    manifest = json.loads((folder / "manifest.json").read_text())
    assert {o["file"] for o in manifest["outputs"]} == FILES - {"manifest.json"}
    assert manifest["inputs"][0]["file"] == "drawn.png"
    assert [s["step"] for s in manifest["steps"]][:4] == ["read", "prepare", "phases", "materials"]
    assert not list(folder.parent.glob(".*part*"))


def test_the_drawn_phases_are_found(folder, results):
    labels, facts, names, _ = ome(folder / "labels.ome.tif")
    found = np.array([names[str(k)] for k in range(2)])[labels]
    assert (found == np.where(drawn(), "Cu", "SiO2")).mean() > 0.995
    assert float(facts["PhysicalSizeX"]) == NM
    for material in results["materials"]:
        true = (drawn() == (material["material"] == "Cu")).mean()
        area = material["area_fraction"]
        assert abs(area["value"] - true) < area["standard_uncertainty"] < 0.02


def test_all_files_tell_the_same_areas(folder, results):
    import klayout.db as kdb
    labels, _, names, _ = ome(folder / "labels.ome.tif")
    objects = ome(folder / "objects.ome.tif")[0]
    table = rows(folder / "objects.csv")
    geojson = json.loads((folder / "materials.geojson").read_text())
    layout = kdb.Layout()
    layout.read(str(folder / "layout.gds"))
    for row, feature in zip(table, geojson["features"], strict=True):
        area = (objects == int(row["object"])).sum() * NM * NM
        assert float(row["area_nm2"]) == pytest.approx(area)
        assert shapely.geometry.shape(feature["geometry"]).area == pytest.approx(area)
        assert feature["properties"]["material"] == row["material"]
    for k, name in names.items():
        pixels = (labels == int(k)).sum() * NM * NM
        assert sum(float(r["area_nm2"]) for r in table if r["material"] == name) == pytest.approx(pixels)
        layer = next(int(r["layer"]) for r in rows(folder / "layers.csv") if r["material"] == name)
        region = kdb.Region(layout.top_cell().begin_shapes_rec(layout.find_layer(layer, 0)))
        assert region.area() * layout.dbu ** 2 * 1e6 == pytest.approx(pixels, rel=1e-9)
        fraction = next(m["area_fraction"]["value"] for m in results["materials"] if m["material"] == name)
        assert fraction == pytest.approx(pixels / labels.size / NM / NM)


def test_objects_and_lines_have_their_drawn_sizes(folder):
    copper = [r for r in rows(folder / "objects.csv") if r["material"] == "Cu"]
    assert len(copper) == 3
    block = next(r for r in copper if r["touches_border"] == "false")
    assert abs(float(block["width_nm"]) - 20 * NM) < 2 * float(block["width_sd_nm"])
    lines = [r for r in rows(folder / "lines.csv") if r["material"] == "Cu"]
    assert len(lines) == 2
    for line in lines:
        assert line["direction"] == "x"
        assert float(line["cd_nm"]) == pytest.approx(12 * NM, abs=0.5)
        assert float(line["pitch_nm"]) == pytest.approx(40 * NM, abs=0.5)


def test_heat_and_current_are_those_of_parallel_bars(folder, results):
    """Layers side by side and a block: between the bounds of Wiener, and the current is that of the two lines alone."""
    from chipmap import materials
    k = {n: materials.property_of(n, "thermal_conductivity_w_mk").value for n in ("Cu", "SiO2")}
    share = {m["material"]: m["area_fraction"]["value"] for m in results["materials"]}
    heat = results["effective"]["thermal_conductivity"]
    assert heat["side_to_side"]["unit"] == "W/(m K)"
    told, table = heat["side_to_side"]["edge_sensitivity"], rows(folder / "objects.csv")
    for n, change in zip(told["objects"], told["relative_change_per_nm"], strict=True):
        assert change == pytest.approx(float(table[n]["heat_change_per_nm_of_edge"]), rel=1e-5)
    lines = 24 / 120
    low, high = lines * k["Cu"] + (1 - lines) * k["SiO2"], sum(share[n] * k[n] for n in k)
    assert low * 0.97 < heat["side_to_side"]["value"] < high
    assert heat["tensor"]["xx"] > 5 * heat["tensor"]["yy"]
    current = results["effective"]["electrical_conductivity"]
    expected = lines / materials.property_of("Cu", "resistivity_ohm_m").value
    assert current["side_to_side"]["value"] == pytest.approx(expected, rel=0.03)


def test_bounds_hold_for_every_choice_of_properties():
    """Random properties inside the ranges, solved again: always between the bounds of the first solve."""
    from chipmap import physics
    from chipmap.properties import Sample, Spread
    from chipmap.solve import conductance
    rng = np.random.default_rng(2)
    phases = (gaussian_filter(rng.standard_normal((40, 50)), 2) > 0).astype(int)
    spread = [(1.0, 0.5, 3.0), (20.0, 15.0, 21.0)]
    k = Spread(*np.array(spread).T)
    _, driven = physics._drive(Sample(phases, np.arange(2), [["a"], ["b"]], np.ones(2), (1e-9, 1e-9)), k, (1,), 1.0, "W/(m K)", "K", "W/m2")
    side = {"value": conductance(np.array([s[0] for s in spread])[phases], axis=1).value * 50 / 40}
    side |= physics._over_materials(side["value"], k, driven.shares)
    assert side["lower"] < side["value"] < side["upper"]
    corners = [[s[1] for s in spread], [s[2] for s in spread], *([rng.uniform(low, high) for _, low, high in spread] for _ in range(5))]
    for k in corners:
        value = conductance(np.array(k)[phases], axis=1).value * 50 / 40
        assert side["lower"] * (1 - 1e-9) <= value <= side["upper"] * (1 + 1e-9)


def test_fields_obey_their_equations(folder):
    """Flux is conserved from column to column, and the potential falls from 1 to 0 times the drop."""
    found, spacing, extent = read_vti(folder / "fields.vti")
    height, width = 120, 160
    assert spacing == [NM, NM, 1] and extent == [0, width, 0, height, 0, 0]
    rise = found["PointData"]["temperature_rise_k"][0].reshape(height + 1, width + 1)
    np.testing.assert_array_equal(rise[:, 0], 1)
    np.testing.assert_array_equal(rise[:, -1], 0)
    flux = found["CellData"]["heat_flux_w_m2"][0].reshape(height, width, 3)[..., 0].sum(axis=0)
    np.testing.assert_allclose(flux, flux.mean(), rtol=1e-5)    # the solver's tolerance
    density = found["CellData"]["current_density_a_m2"][0].reshape(height, width, 3)
    oxide = found["CellData"]["electrical_conductivity_s_m"][0].reshape(height, width) == 0
    assert not density[oxide].any()
    np.testing.assert_allclose(density[..., 0].sum(axis=0), density[..., 0].sum() / width, rtol=1e-5)


def test_pictures_open(folder):
    for name in ("overlay.png", "confidence.png", "temperature.png", "current_density.png"):
        with Image.open(folder / name) as image:
            assert min(image.size) > 300
            assert np.asarray(image.convert("L")).std() > 10


def test_a_second_run_gives_the_same_files(folder, tmp_path):
    again = tmp_path / "again"
    pipeline.run(folder.parent / "drawn.png", again, pixel_size=f"{NM} nm", legend="bright=Cu dark=SiO2", device="cpu", say=lambda line: None)
    for name in FILES - {"manifest.json"}:
        if name != "layout.gds" and not name.endswith(".ome.tif"):    # GDSII holds the time of writing, OME files have an id of their own
            assert (folder / name).read_bytes() == (again / name).read_bytes(), name


def test_without_a_path_there_is_no_current_and_the_run_says_so(tmp_path):
    phases = np.zeros((80, 100))
    phases[30:50, 30:70] = 1
    grey = 60 + 100 * phases + 4 * np.random.default_rng(1).standard_normal(phases.shape)
    Image.fromarray(grey.clip(0, 255).astype(np.uint8)).save(tmp_path / "island.png")
    results = pipeline.run(tmp_path / "island.png", tmp_path / "out", pixel_size="2nm", legend="bright=W dark=SiO2", device="cpu", say=lambda line: None)
    assert "no conductor leads" in results["effective"]["electrical_conductivity"]["note"]
    assert results["effective"]["thermal_conductivity"]["side_to_side"]["value"] > 1.4
    assert not (tmp_path / "out" / "current_density.png").exists()


def test_unnamed_phases_are_reported_as_sets_without_physics(tmp_path):
    grey = 60 + 100 * drawn() + 4 * np.random.default_rng(1).standard_normal(drawn().shape)
    Image.fromarray(grey.clip(0, 255).astype(np.uint8)).save(tmp_path / "a.png")
    results = pipeline.run(tmp_path / "a.png", tmp_path / "out", pixel_size="2nm", device="cpu", say=lambda line: None)
    assert all(" or " in m["material"] for m in results["materials"])
    assert "not every phase has a material" in results["effective"]["thermal_conductivity"]["note"]
    assert (tmp_path / "out" / "layout.gds").exists()


def test_simplified_borders(folder, tmp_path):
    pipeline.run(folder.parent / "drawn.png", tmp_path / "out", pixel_size="4nm", legend="bright=Cu dark=SiO2", simplify_px=1.5,
                 device="cpu", say=lambda line: None)
    shapes = [shapely.geometry.shape(f["geometry"]) for f in json.loads((tmp_path / "out" / "materials.geojson").read_text())["features"]]
    assert sum(s.area for s in shapes) == pytest.approx(drawn().size * 16)
    assert shapely.coverage_is_valid(shapes)
