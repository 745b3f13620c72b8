"""`chipmap` as a user types it: help in an instant, and every bad input one sentence, exit code 2, nothing written."""

import subprocess
import sys

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner
from PIL import Image

from chipmap.__main__ import main


def picture(path, seed=0):
    grey = np.full((60, 80), 60.0)
    grey[20:35] = 160
    grey += 4 * np.random.default_rng(seed).standard_normal(grey.shape)
    Image.fromarray(grey.clip(0, 255).astype(np.uint8)).save(path)
    return path


def run(*words):
    return CliRunner().invoke(main, ["run", *map(str, words)])


def refused(result, out, *words):
    """One sentence on stderr that holds these words, exit code 2, nothing left behind."""
    assert result.exit_code == 2, (result.output, result.exception)
    text = result.stderr.strip()
    assert text.startswith("Error: ") and "\n" not in text and "Traceback" not in text, text
    for word in words:
        assert word in text, text
    assert not out.exists()
    assert not list(out.parent.glob(f".{out.name}*"))


def test_help_loads_nothing_heavy():
    code = ("import sys; from chipmap.__main__ import main; from click.testing import CliRunner; r = CliRunner().invoke(main, ['run', '--help']); "
            "print(r.exit_code, '--pixel-size' in r.output, sorted({'numpy', 'numba', 'scipy', 'matplotlib'} & set(sys.modules)))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0 True []"


def test_a_run_prints_device_steps_headline_and_place(tmp_path):
    result = run(picture(tmp_path / "a.png"), "-o", tmp_path / "out", "--pixel-size", "2nm", "--legend", "bright=Cu dark=SiO2", "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert "device: cpu, as asked" in result.output
    assert "Cu: 25" in result.output and "W/(m K)" in result.output
    assert str(tmp_path / "out") in result.output


def test_quiet_says_nothing_and_an_earlier_run_is_replaced(tmp_path):
    for _ in range(2):
        result = run(picture(tmp_path / "a.png"), "-o", tmp_path / "out", "--pixel-size", "2nm", "--legend", "bright=Cu dark=SiO2", "--quiet")
        assert (result.exit_code, result.output) == (0, "")


def test_missing_file(tmp_path):
    refused(run(tmp_path / "no.png", "-o", tmp_path / "out", "--pixel-size", "2nm"), tmp_path / "out", "no.png", "check the path")


def test_a_folder(tmp_path):
    refused(run(tmp_path, "-o", tmp_path / "out", "--pixel-size", "2nm"), tmp_path / "out", "can't be read")


def test_empty_file(tmp_path):
    (tmp_path / "a.tif").write_bytes(b"")
    refused(run(tmp_path / "a.tif", "-o", tmp_path / "out", "--pixel-size", "2nm"), tmp_path / "out", "a.tif", "empty")


@pytest.mark.parametrize("content", [b"hello, this is text", b"\x89PNG\r\n\x1a\nbroken", b"II*\0broken"])
def test_not_an_image(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    refused(run(tmp_path / "a.png", "-o", tmp_path / "out", "--pixel-size", "2nm"), tmp_path / "out", "a.png")


def test_constant_image(tmp_path):
    Image.fromarray(np.full((40, 40), 7, np.uint8)).save(tmp_path / "a.png")
    refused(run(tmp_path / "a.png", "-o", tmp_path / "out", "--pixel-size", "2nm"), tmp_path / "out", "every pixel has the value 7")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_finite(tmp_path, value):
    grey = np.random.default_rng(0).random((40, 40)).astype(np.float32)
    grey[3, 5] = value
    tifffile.imwrite(tmp_path / "a.tif", grey)
    refused(run(tmp_path / "a.tif", "-o", tmp_path / "out", "--pixel-size", "2nm"), tmp_path / "out", "row 3, column 5")


def test_no_pixel_size(tmp_path):
    refused(run(picture(tmp_path / "a.png"), "-o", tmp_path / "out"), tmp_path / "out", "--pixel-size 1.65nm")


@pytest.mark.parametrize("size", ["2", "nm", "-2nm", "2 parsec", "nan nm", "1e9nm"])
def test_bad_pixel_size(tmp_path, size):
    refused(run(picture(tmp_path / "a.png"), "-o", tmp_path / "out", f"--pixel-size={size}"), tmp_path / "out", "pixel size")


@pytest.mark.parametrize("option", ["--legend=bright=Coper dark=SiO2", "--materials=Coper,SiO2"])
def test_unknown_material(tmp_path, option):
    refused(run(picture(tmp_path / "a.png"), "-o", tmp_path / "out", "--pixel-size", "2nm", option), tmp_path / "out", "Coper")


def test_legend_that_does_not_fit(tmp_path):
    refused(run(picture(tmp_path / "a.png"), "-o", tmp_path / "out", "--pixel-size", "2nm", "--legend=7=Cu"), tmp_path / "out", "legend")


def test_unknown_process(tmp_path):
    refused(run(picture(tmp_path / "a.png"), "-o", tmp_path / "out", "--pixel-size", "2nm", "--process=2nm-magic"), tmp_path / "out", "2nm-magic")


@pytest.mark.parametrize("crop", ["0:900,0:80", "nonsense", "10:11,0:80"])
def test_bad_crop(tmp_path, crop):
    refused(run(picture(tmp_path / "a.png"), "-o", tmp_path / "out", "--pixel-size", "2nm", f"--crop={crop}"), tmp_path / "out", "crop")


def test_coloured_picture(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(rgb).save(tmp_path / "a.png")
    refused(run(tmp_path / "a.png", "-o", tmp_path / "out", "--pixel-size", "2nm"), tmp_path / "out", "colour")


def test_no_device(tmp_path):
    from conftest import has_gpu
    if has_gpu():
        pytest.skip("there is a CUDA device")
    refused(run(picture(tmp_path / "a.png"), "-o", tmp_path / "out", "--pixel-size", "2nm", "--device", "cuda"), tmp_path / "out", "no CUDA device")


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_what_is_not_ours_is_not_overwritten(tmp_path, kind):
    out = tmp_path / "out"
    if kind == "folder":
        out.mkdir()
        (out / "thesis.tex").write_text("precious")
    else:
        out.write_text("precious")
    result = run(picture(tmp_path / "a.png"), "-o", out, "--pixel-size", "2nm")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ") and "choose another -o" in result.stderr
    assert (out / "thesis.tex" if kind == "folder" else out).read_text() == "precious"


def test_a_folder_that_can_not_be_made(tmp_path):
    (tmp_path / "file").write_text("precious")
    result = run(picture(tmp_path / "a.png"), "-o", tmp_path / "file" / "deeper" / "out", "--pixel-size", "2nm")
    assert result.exit_code == 2 and result.stderr.startswith("Error: ") and "choose another -o" in result.stderr
    assert (tmp_path / "file").read_text() == "precious"


def test_folders_of_killed_runs_are_cleared_and_those_of_living_ones_are_not(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as living:
        folders = [tmp_path / f".out.part{process}" for process in (dead.pid, living.pid)] + [tmp_path / ".out.partial", tmp_path / f".other.part{dead.pid}"]
        for folder in folders:
            folder.mkdir()
        result = run(picture(tmp_path / "a.png"), "-o", tmp_path / "out", "--pixel-size", "2nm", "--legend", "bright=Cu dark=SiO2", "--quiet", "--physics", "heat")
        assert result.exit_code == 0
        assert [f.exists() for f in folders] == [False, True, True, True]
        living.communicate()


@pytest.mark.parametrize("words, told", [(("--physics", "magic"), "magic"), (("--set", "Cu.resistivity=x"), "can't be read"), (("--thickness", "90"), "unit"),
                                         (("--physics", "transient"), "needs a heater"), (("--physics", "junction", "--heater", "9999"), "no object"),
                                         (("--physics", "transient", "--heater", "0", "--pulse", "5"), "is not a time"),
                                         (("--physics", "junction", "--heater", "0", "--film", "top=x"), "can't be read"),
                                         (("--physics", "charge", "--conductors", "9999,0"), "no object"),
                                         (("--terminals", "left,left"), "named twice"), (("--terminals", "left,9999"), "nor an object"),
                                         (("--set", "Cu.resistivity=-1"), "not below zero"), (("--set", "Cu.resistivity=nan"), "finite"),
                                         (("--physics", "coupled", "--cold", "front"), "front"), (("--physics", "coupled", "--voltage", "nan"), "finite number, V"),
                                         (("--physics", "stress", "--temperature-change", "inf"), "finite number, K"),
                                         (("--physics", "stress", "--set", "SiO2.poisson_ratio=0.5"), "outside -1 .. 0.5"),
                                         (("--physics", "stress", "--set", "SiO2.youngs_modulus=0", "--set", "Cu.youngs_modulus=0"), "all void"),
                                         (("--terminals", "left,top"), "meets no conductor"), (("--physics", "stress", "--fixed", "middle"), "middle")])
def test_bad_physics(tmp_path, words, told):
    refused(run(picture(tmp_path / "a.png"), "-o", tmp_path / "out", "--pixel-size", "2nm", "--legend", "bright=Cu dark=SiO2", *words), tmp_path / "out", told)


def test_terminals_without_a_conductor(tmp_path):
    refused(run(picture(tmp_path / "a.png"), "-o", tmp_path / "out", "--pixel-size", "2nm", "--legend", "bright=Si3N4 dark=SiO2", "--terminals", "left,right"),
            tmp_path / "out", "none of the materials conducts")


def test_abaqus_deck(tmp_path):
    words = (picture(tmp_path / "a.png"), "-o", tmp_path / "out", "--pixel-size", "2nm", "--quiet", "--physics", "heat", "--also", "abaqus")
    assert run(*words, "--legend", "bright=Cu dark=SiO2").exit_code == 0
    assert "*SOLID SECTION, ELSET=MATERIAL_CU" in (tmp_path / "out" / "chip.inp").read_text()
    refused(run(*(w if w != tmp_path / "out" else tmp_path / "no" for w in words)), tmp_path / "no", "needs every phase named")


def test_as_many_phases_as_materials(tmp_path):
    result = run(picture(tmp_path / "a.png"), "-o", tmp_path / "out", "--pixel-size", "2nm", "--materials", "Cu,SiO2", "--physics", "heat")
    assert result.exit_code == 0 and "SiO2: 75" in result.output
