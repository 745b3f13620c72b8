"""What users get: the wheel holds the four packages with their CUDA sources, tables and data, and nothing else."""

import pathlib
import subprocess
import sys
import zipfile

import pytest

ROOT = pathlib.Path(__file__).parent.parent
PACKAGES = {"cukernels": ROOT / "kernels" / "cukernels", "cupages": ROOT / "kernels" / "cupages", "chipmap": ROOT / "chipmap", "gridmap": ROOT / "gridmap"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
                          cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


def test_wheel_holds_the_packages_whole(wheel):
    inside = {n for n in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in n}
    assert {n.split("/")[0] for n in inside} == set(PACKAGES)
    for package, folder in PACKAGES.items():
        for path in folder.rglob("*"):
            if path.is_file() and not {"__pycache__", "node_modules"} & set(path.parts):
                assert f"{package}/{path.relative_to(folder).as_posix()}" in inside


def test_wheel_carries_the_pages(wheel):
    """What a browser needs is inside with its licences, so that the installed commands need no network."""
    from browsing import need_pages
    need_pages()
    inside = set(zipfile.ZipFile(wheel).namelist())
    for name in ("maplibre-gl.mjs", "maplibre-gl-worker.mjs", "maplibre-gl.css", "maplibre-gl-LICENSE.txt", "uPlot.mjs", "uPlot-LICENSE.txt"):
        assert f"cupages/static/vendor/{name}" in inside
    assert {"gridmap/page/static/index.html", "gridmap/page/static/main.mjs", "chipmap/page/static/index.html"} <= inside


def test_wheel_is_small(wheel):
    assert wheel.stat().st_size < 16e6


def test_wheel_works_from_its_own_folder(wheel, tmp_path):
    """Unpacked elsewhere, with the source tree out of reach, both commands answer and the data is found."""
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    for command in ("chipmap", "gridmap"):
        done = subprocess.run([sys.executable, "-m", command, "--help"], cwd=tmp_path, capture_output=True, text=True,
                              env={"PYTHONPATH": str(tmp_path / "site"), "PATH": ""})
        assert done.returncode == 0 and "Usage" in done.stdout, done.stderr
    code = ("import cukernels.backend as b, pathlib; here = pathlib.Path(b.__file__).parent; "
            "assert 'site' in here.parts, here; assert b.source('components')")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True,
                          env={"PYTHONPATH": str(tmp_path / "site"), "PATH": ""})
    assert done.returncode == 0, done.stderr
