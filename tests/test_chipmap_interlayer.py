"""Two pictures of two metal layers, joined through the vias between them: nets worked out by hand, from files to files."""

import csv
import json

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner
from scipy.ndimage import gaussian_filter

from chipmap.__main__ import main

SHAPE = (200, 240)


def lower():
    """Three tracks along x; the first and third carry a via head each, the second two."""
    phases = np.zeros(SHAPE, int)
    for row in (30, 80, 130):
        phases[row:row + 28, 20:220] = 1
    for row, column in ((34, 50), (84, 50), (84, 150), (134, 180)):
        phases[row:row + 20, column:column + 20] = 2
    return phases


def upper(vias=False):
    """Two tracks along y over the columns 60 and 160, not as far as the third lower track, 300 nm further left and 100 nm lower in its own picture."""
    phases = np.zeros(SHAPE, int)
    phases[25:122, 46:74] = phases[25:122, 146:174] = 1
    if vias:
        feet = lower() == 2
        feet[130:] = False
        phases[feet] = 2
    return np.roll(phases, (-10, -30), (0, 1))


def ran(folder, name, phases):
    grey = gaussian_filter(np.array([60.0, 120.0, 220.0])[phases], 0.8) + 4 * np.random.default_rng(0).standard_normal(SHAPE)
    tifffile.imwrite(folder / f"{name}.tif", grey.clip(0, 255).astype(np.uint8))
    legend = "0=SiO2 1=Cu 2=W" if (phases == 2).any() else "0=SiO2 1=Cu"
    words = ["run", folder / f"{name}.tif", "-o", folder / name, "--pixel-size", "10nm", "--phases", phases.max() + 1, "--legend", legend,
             "--physics", "heat", "--quiet", "--device", "cpu"]
    result = CliRunner().invoke(main, list(map(str, words)))
    assert result.exit_code == 0, (result.output, result.exception)
    return folder / name


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("layers")
    return folder, ran(folder, "m1", lower()), ran(folder, "m2", upper()), ran(folder, "m2v", upper(True))


def joined(*words):
    return CliRunner().invoke(main, ["nets", *map(str, words)])


def members(folder):
    with open(folder / "members.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_nets_by_hand(runs):
    """Upper track at 60 joins the first and second lower tracks; that at 160 joins the second too: one net of all four. The
    third lower track stays alone, its via on nothing."""
    folder, m1, m2, _ = runs
    result = joined(m1, m2, "-o", folder / "out", "--offset", "300,-100")
    assert result.exit_code == 0, (result.output, result.exception)
    told = json.loads((folder / "out" / "results.json").read_text())
    assert (told["nets"], told["vias"], told["vias_on_nothing"], told["nets_of_both_layers"]) == (2, 4, 1, 1)
    with open(folder / "out" / "nets.csv", newline="") as file:
        big, small = sorted(csv.DictReader(file), key=lambda row: -float(row["area_lower_nm2"]))
    # two of the three lower tracks (200 x 28 pixels) are in one net, with both upper tracks (97 x 28); the third is alone
    assert float(big["area_lower_nm2"]) == pytest.approx(2 * 5600 * 100, rel=0.05) and float(small["area_lower_nm2"]) == pytest.approx(5600 * 100, rel=0.05)
    assert float(big["area_upper_nm2"]) == pytest.approx(2 * 97 * 28 * 100, rel=0.05) and float(small["area_upper_nm2"]) == 0
    assert {m["layer"] for m in members(folder / "out") if m["net"] == small["net"]} == {"lower"}


def test_without_an_offset_the_vias_lay_the_pictures_upon_each_other(runs):
    folder, m1, m2, m2v = runs
    assert "pass --offset" in joined(m1, m2, "-o", folder / "no").stderr
    result = joined(m1, m2v, "-o", folder / "found", "--quiet")
    assert result.exit_code == 0, (result.output, result.exception)
    told = json.loads((folder / "found" / "results.json").read_text())
    assert (told["offset_nm"]["x"], told["offset_nm"]["y"]) == (pytest.approx(300, abs=10), pytest.approx(-100, abs=10))
    assert told["vias_on_nothing"] == 0 or told["nets"] <= 2


def test_a_wrong_offset_joins_nothing(runs):
    folder, m1, m2, _ = runs
    assert joined(m1, m2, "-o", folder / "off", "--offset", "900,900", "--quiet").exit_code == 0
    told = json.loads((folder / "off" / "results.json").read_text())
    assert told["vias_on_nothing"] == 4 and told["nets"] == 5 and told["nets_of_both_layers"] == 0


def test_refusals(runs, tmp_path):
    folder, m1, m2, _ = runs
    (tmp_path / "empty").mkdir()
    for words, told in (((m1, tmp_path / "empty"), "is not the folder"), ((m1, m2, "--offset", "here"), "as 0,0"), ((m2, m1), "say with --vias"),
                        ((m1, m2, "--vias", "Unobtainium"), "Unobtainium")):
        result = joined(*words, "-o", tmp_path / "out")
        assert result.exit_code == 2 and told in result.stderr and not (tmp_path / "out").exists(), result.output
