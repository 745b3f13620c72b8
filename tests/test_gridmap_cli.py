"""The command line: every bad input ends in one sentence, exit code 2, and no folder."""

import json
import re
import shutil
import subprocess
import sys

import pytest
import small_grid
from click.testing import CliRunner

from gridmap.__main__ import main


@pytest.fixture
def grid(tmp_path):
    """(folder with the small system, its run.toml, folder for the results, which is not there yet)"""
    toml = small_grid.write(tmp_path)
    return tmp_path, toml, tmp_path / "out" / "here"


def command(toml, out, *more):
    return CliRunner().invoke(main, ["run", "-o", str(out), "--config", str(toml), "--device", "cpu", *more])


def refused(result, out, *parts):
    """Exit code 2, one sentence on stderr with each part (file, row or field, remedy), nothing written."""
    assert result.exit_code == 2, result.output
    said = result.stderr.strip()
    assert said.startswith("Error: ") and "\n" not in said, said
    for part in parts:
        assert re.search(part, said), f"{part!r} is not in: {said}"
    assert not out.exists()
    assert not out.parent.exists() or not [p for p in out.parent.iterdir() if p.name.startswith(".")]


def change(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def polygon(folder, region, ring):
    """Give a region of regions.geojson another ring (or None for no geometry)."""
    path = folder / "regions.geojson"
    table = json.loads(path.read_text())
    shape = next(f for f in table["features"] if f["properties"]["region_id"] == region)
    shape["geometry"] = ring and {"type": "Polygon", "coordinates": [ring]}
    path.write_text(json.dumps(table))


@pytest.mark.parametrize("role", ["plants", "demand", "limits", "regions", "lines"])
def test_missing_file(grid, role):
    folder, toml, out = grid
    refused(command(toml, out, f"--{role}", str(folder / "nowhere.csv")), out, r"nowhere\.csv", f"--{role}")


@pytest.mark.parametrize("role, suffix", [("plants", "csv"), ("demand", "parquet"), ("regions", "geojson"), ("limits", "xlsx")])
def test_unreadable_file(grid, role, suffix):
    folder, toml, out = grid
    (folder / f"noise.{suffix}").write_bytes(bytes(range(256)) * 4)
    refused(command(toml, out, f"--{role}", str(folder / f"noise.{suffix}")), out, rf"noise\.{suffix}", r"check|needs|give")


@pytest.mark.parametrize("cell", ["nan", "inf", "-100", "many", ""])
def test_capacity_that_is_no_amount(grid, cell):
    folder, toml, out = grid
    change(folder / "plants.csv", "Coal,100", f"Coal,{cell}")
    refused(command(toml, out), out, r"plants\.csv", "row 2", "nameplate_mw", "give|correct")


@pytest.mark.parametrize("cell", ["nan", "inf", "-100", "many"])
def test_demand_that_is_no_amount(grid, cell):
    folder, toml, out = grid
    change(folder / "demand.csv", "C,50.0", f"C,{cell}")
    refused(command(toml, out), out, r"demand\.csv", "row 3", "demand", ";")


@pytest.mark.parametrize("cell", ["nan", "inf", "-1"])
def test_limit_that_is_no_amount(grid, cell):
    folder, toml, out = grid
    change(folder / "limits.csv", "B,C,30", f"B,C,{cell}")
    refused(command(toml, out), out, r"limits\.csv", "row 2", "limit", "give")


@pytest.mark.parametrize("role, column", [("plants", "nameplate_mw"), ("demand", "hour_utc"), ("limits", "tail")])
def test_unknown_layout(grid, role, column):
    folder, toml, out = grid
    change(folder / f"{role}.csv", column, "mystery")
    refused(command(toml, out), out, rf"{role}\.csv", column, "rename|map")


def test_region_without_demand(grid):
    folder, toml, out = grid
    path = folder / "demand.csv"
    path.write_text("\n".join(line for line in path.read_text().splitlines() if ",E," not in line) + "\n")
    refused(command(toml, out), out, r"demand\.csv", r"\bE\b", "give")


@pytest.mark.parametrize("lon, lat, why", [("41.5", "-99.5", "swapped"), ("-99.5", "141.5", "outside|swapped"), ("-999", "41.5", "outside")])
def test_plant_off_the_world(grid, lon, lat, why):
    folder, toml, out = grid
    change(folder / "plants.csv", "-99.5,41.5", f"{lon},{lat}")
    refused(command(toml, out), out, r"plants\.csv", "row 1", why, "exchange|give")


def test_regions_off_the_world(grid):
    folder, toml, out = grid
    polygon(folder, "B", [[4e6, 2e6], [4.1e6, 2e6], [4.1e6, 2.1e6], [4e6, 2e6]])
    refused(command(toml, out), out, r"regions\.geojson", r"row 2 \(B\)", "outside the world", "check")


def test_no_crs(grid):
    import geopandas

    folder, toml, out = grid
    regions = geopandas.read_file(folder / "regions.geojson").set_crs(None, allow_override=True)
    with pytest.warns(UserWarning):
        regions.to_file(folder / "regions.gpkg")
    refused(command(toml, out, "--regions", str(folder / "regions.gpkg")), out, r"regions\.gpkg", "coordinate reference system", "EPSG:4326")


def test_polygon_that_crosses_itself(grid):
    folder, toml, out = grid
    polygon(folder, "C", [[-98, 41], [-97, 42], [-97, 41], [-98, 42], [-98, 41]])
    refused(command(toml, out), out, r"regions\.geojson", r"row 3 \(C\)", "cross", "repair")


@pytest.mark.parametrize("hour, why", [("2031-01-01T00:00Z", "choose"), ("2023-07-01T20:30Z", "choose"), ("noon", "write")])
def test_unknown_hour(grid, hour, why):
    _, toml, out = grid
    refused(command(toml, out, "--hour", hour), out, "hour", hour[:10], why)


def test_unknown_basis(grid):
    _, toml, out = grid
    refused(command(toml, out, "--basis", "wishful"), out, "wishful", "nameplate")


@pytest.mark.parametrize("line, parts", [
    ("colour = 'red'", ["run\\.toml", "colour", "keys are"]),
    ("hour = 7", ["run\\.toml", "hour", "quotes"]),
    ("hour = ", ["run\\.toml", "not TOML", "line 7"]),
])
def test_bad_configuration(grid, line, parts):
    _, toml, out = grid
    toml.write_text(toml.read_text() + line + "\n")
    refused(command(toml, out), out, *parts)


def test_somebody_elses_folder_is_left_alone(grid):
    folder, toml, _ = grid
    mine = folder / "photos"
    mine.mkdir()
    (mine / "cat.txt").write_text("a cat")
    result = command(toml, mine)
    assert result.exit_code == 2 and "photos" in result.stderr and "another -o" in result.stderr
    assert [p.name for p in mine.iterdir()] == ["cat.txt"]


def test_cuda_is_never_replaced_in_silence(grid):
    from cukernels.backend import DeviceError, choose_device

    try:
        choose_device("cuda")
    except DeviceError:
        pass
    else:
        pytest.skip("there is a CUDA device here")
    _, toml, out = grid
    refused(CliRunner().invoke(main, ["run", "-o", str(out), "--config", str(toml), "--device", "cuda"]), out, "no CUDA device")


def test_not_converged_is_no_result(grid, monkeypatch):
    from cukernels.backend import NotConverged

    from gridmap import flow

    def failing(*arguments):
        raise NotConverged("hour 0: 3 of 9 units find no way")

    monkeypatch.setattr(flow, "residual_deficit", failing)
    _, toml, out = grid
    result = command(toml, out)
    assert result.exit_code == 1 and "did not converge" in result.stderr and "hour 0" in result.stderr and not out.exists()


def test_without_out_it_says_so():
    result = CliRunner().invoke(main, ["run"])
    assert result.exit_code == 2 and "--out" in result.stderr


def test_help_is_quick():
    """No library of tables, maps or compilers for --help (that numba and pandas stay out is a test of the house)."""
    code = ("import sys; from gridmap.__main__ import main\n"
            "try: main(['run', '--help'])\n"
            "except SystemExit: pass\n"
            "heavy = {'numpy', 'pyogrio', 'shapely', 'pyarrow', 'rich', 'pyproj'} & set(sys.modules); assert not heavy, heavy")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--hour" in done.stdout


def test_quiet_says_nothing_and_otherwise_every_step(grid):
    _, toml, out = grid
    result = command(toml, out, "--quiet")
    assert (result.exit_code, result.output) == (0, "")
    shutil.rmtree(out)
    said = command(toml, out).output
    assert "cpu, as asked" in said and "unserved" in said and str(out) in said
