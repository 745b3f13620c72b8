"""`chipmap run` with all five physics on a picture of 2048 x 2048 pixels: under 45 s on two cores, step by step."""

import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).parent.parent
BAR_S = 45.0
DRAW = "chipmap phantom chipmap/data/metal_layer.svg --scale 1"     # 3536 x 4096 pixels of a real layer, with counting noise
SOLVE = "chipmap run {picture} --crop 0:2048,0:2048 --phases 2 --physics all"
# the layer as it is, whose tracks end inside the picture; and its negative, where metal leads from side to side, so that the
# current and what it heats have something to solve
LEGENDS = {"tracks of Cu in SiO2": "dark=SiO2 bright=Cu", "holes of SiO2 in Cu": "bright=SiO2 dark=Cu"}
EFFECTIVE = {"heat": "thermal_conductivity", "current": "electrical_conductivity"}


def run(device="cpu"):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        _call(f"{DRAW} -o {shlex.quote(str(folder / 'drawn'))}")
        command = SOLVE.format(picture=shlex.quote(str(folder / "drawn" / "picture.ome.tif"))) + f" --device {device}"
        # code is compiled once per installation, not per picture
        _call(f"{command.replace('2048', '256')} --legend {shlex.quote(LEGENDS['holes of SiO2 in Cu'])} -o {shlex.quote(str(folder / 'first'))}")
        for what, legend in LEGENDS.items():
            out = folder / what.replace(" ", "_")
            _call(f"{command} --legend {shlex.quote(legend)} -o {shlex.quote(str(out))}")
            yield _row(what, json.loads((out / "manifest.json").read_text()), json.loads((out / "results.json").read_text()))


def _row(what, manifest, results):
    steps = manifest["steps"]
    for step in steps:
        print(f"    {step['step']:<20} {step['seconds']:7.2f} s   {step['cpu_seconds']:7.2f} s of processor")
    answers = {name: results["effective"][key] for name, key in EFFECTIVE.items()} | {name: results[name] for name in ("charge", "stress", "coupled")}
    solved = [name for name, facts in answers.items() if set(facts) != {"note"}]
    cpu = sum(step["cpu_seconds"] for step in steps)
    return {"what": f"chipmap run, five physics, 2048 x 2048: {what}", "ours_s": manifest["seconds"], "processor_s": round(cpu, 1),
            "peak_memory_mb": manifest["peak_memory_mb"], "load": round(os.getloadavg()[0], 1), "cores": os.cpu_count(),
            "steps": {step["step"]: step["seconds"] for step in steps},
            "check": f"bar {BAR_S:g} s on two cores: {'met' if manifest['seconds'] < BAR_S else 'missed'}; solved {', '.join(solved)}"}


def _call(command):
    subprocess.run([sys.executable, "-m", *shlex.split(command)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
