"""The floors of the house: who may import whom, and where."""

import ast
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent
ROOMS = {"cukernels": ROOT / "kernels" / "cukernels", "cupages": ROOT / "kernels" / "cupages", "chipmap": ROOT / "chipmap", "gridmap": ROOT / "gridmap"}
KERNELS_MAY_IMPORT = {"numpy", "scipy", "numba", "cupy", "cukernels"} | set(sys.stdlib_module_names)
PAGES_MAY_IMPORT = {"numpy", "starlette", "uvicorn", "cupages"} | set(sys.stdlib_module_names)
PLOTTING = {"matplotlib", "PIL"}
MAY_PLOT = {"report", "publish"}


def imports(path):
    """(module, is it inside a function) for every import of a file; relative ones resolved to their room."""
    tree = ast.parse(path.read_text(), str(path))
    inside = {id(n) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef | ast.AsyncFunctionDef) for n in ast.walk(f)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, id(node) in inside
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "") if not node.level else path.parent.name, id(node) in inside


def files(room):
    return sorted(ROOMS[room].rglob("*.py"))


def everything():
    return [(room, path) for room in ROOMS for path in files(room)]


def test_kernels_know_neither_chip_nor_grid_nor_files():
    for path in files("cukernels"):
        for module, _ in imports(path):
            # numba's own compiler, for the one file that gives numba a type
            may = KERNELS_MAY_IMPORT | ({"llvmlite"} if path.name == "lanes.py" else set())
            assert module.partition(".")[0] in may, f"{path}: {module}"


def test_pages_know_neither_chip_nor_grid():
    for path in files("cupages"):
        for module, _ in imports(path):
            assert module.partition(".")[0] in PAGES_MAY_IMPORT, f"{path}: {module}"


def test_kernels_know_no_pages():
    for path in files("cukernels"):
        assert not [m for m, _ in imports(path) if m.partition(".")[0] in ("cupages", "starlette", "uvicorn")], path


@pytest.mark.parametrize("room, other", [("chipmap", "gridmap"), ("gridmap", "chipmap")])
def test_the_pipelines_do_not_know_each_other(room, other):
    for path in files(room):
        assert not [m for m, _ in imports(path) if m.partition(".")[0] == other], path


def test_nothing_below_imports_tests_or_benchmarks():
    for _, path in everything():
        assert not [m for m, _ in imports(path) if m.partition(".")[0] in ("tests", "benchmarks", "emulator")], path


def test_cupy_only_inside_functions():
    for _, path in everything():
        for module, inside in imports(path):
            assert inside or module.partition(".")[0] not in ("cupy", "cupyx"), f"{path}: {module}"


def test_plotting_only_in_report_and_publish():
    for room, path in everything():
        parts = {path.stem, *path.relative_to(ROOMS[room]).parts}
        for module, inside in imports(path):
            if module.partition(".")[0] in PLOTTING:
                assert inside and parts & MAY_PLOT, f"{path}: {module}"


def test_every_kernel_is_a_pair():
    stems = {p.stem for p in ROOMS["cukernels"].glob("*.cu")}
    assert stems
    for stem in stems:
        assert (ROOMS["cukernels"] / f"{stem}.py").exists(), stem
        assert (ROOT / "tests" / f"test_{stem}.py").exists(), stem


def test_the_kernels_folder_is_no_package():
    # another project's package is called `kernels`; ours must not stand in its way (DESIGN: the shared one is cukernels)
    assert not (ROOT / "kernels" / "__init__.py").exists()


@pytest.mark.parametrize("command", ["chipmap", "gridmap"])
def test_help_is_light(command):
    """--help loads no compiler, no table library, no GPU library."""
    code = (f"import sys; sys.argv=['{command}', '--help']\n"
            f"from {command}.__main__ import main\n"
            "try: main()\n"
            "except SystemExit as e: assert not e.code\n"
            "heavy = {'numba', 'pandas', 'geopandas', 'scipy', 'matplotlib', 'cupy', 'skimage', 'starlette', 'uvicorn'} & set(sys.modules)\n"
            "assert not heavy, heavy")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT,
                          env={"PYTHONPATH": f"{ROOT}:{ROOT / 'kernels'}", "PATH": ""})
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


def test_lives_beside_another_package_called_kernels(tmp_path):
    """Some other project installs a regular package `kernels`; both must import, whichever comes first on the path."""
    other = tmp_path / "kernels"
    other.mkdir()
    (other / "__init__.py").write_text("whose = 'theirs'\n")
    code = "import kernels, cukernels; assert kernels.whose == 'theirs'; from cukernels import backend; backend.choose_device('cpu')"
    for path in (f"{tmp_path}:{ROOT}:{ROOT / 'kernels'}", f"{ROOT}:{ROOT / 'kernels'}:{tmp_path}"):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env={"PYTHONPATH": path, "PATH": ""})
        assert done.returncode == 0, done.stderr


def test_no_pickle_and_no_network():
    for _, path in everything():
        for module, _ in imports(path):
            assert module.partition(".")[0] not in ("pickle", "joblib", "requests", "urllib", "httpx", "dill"), f"{path}: {module}"
