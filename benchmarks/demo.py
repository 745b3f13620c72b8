"""`make demo`: both pipelines on the bundled real data, as a user would call them."""

import argparse
import json
import pathlib
import shlex
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).parent.parent
PICTURES = [
    # 220 nm silicon on oxide; the pixel size is the authors'
    ("silicon", "chipmap run chipmap/data/etched_silicon.png --pixel-size 1.6548nm --legend 'bright=Si dark=SiO2'"),
    # the pixel size stands in the Zeiss tags
    ("gold", "chipmap run chipmap/data/nanoporous_gold_zeiss.tif --legend 'bright=Au dark=void'"),
]
COUNTRY = ("country", "gridmap run")


def main():
    parser = argparse.ArgumentParser(prog="make demo")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("out"))
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    started = time.perf_counter()
    for name, command in [*PICTURES, COUNTRY]:
        command += f" --device {options.device} -o {shlex.quote(str(options.out.resolve() / name))}"
        print(f"\n$ {command}", flush=True)
        done = subprocess.run([sys.executable, "-m", *shlex.split(command)], cwd=ROOT)
        if done.returncode:
            sys.exit(done.returncode)
    print(f"\n{'':-<100}")
    for name, _ in PICTURES:
        results = json.loads((options.out / name / "results.json").read_text())
        shares = ", ".join(f"{m['material']} {100 * m['area_fraction']['value']:.1f} %" for m in results["materials"])
        print(f"{name:<9} {shares}; {results['objects']['count']} objects           {options.out / name / 'overlay.png'}")
    grid = json.loads((options.out / COUNTRY[0] / "results.json").read_text())
    gw = {k: grid[k]["value"] / 1e3 for k in ("supply_mw", "demand_mw", "isolated_deficit_mw", "residual_deficit_mw")}
    print(f"{COUNTRY[0]:<9} {grid['hour']}: supply {gw['supply_mw']:.1f} GW, demand {gw['demand_mw']:.1f} GW, short alone "
          f"{gw['isolated_deficit_mw']:.1f} GW, after the lines {gw['residual_deficit_mw']:.2f} GW in "
          f"{grid['pockets']['value']:.0f} pockets   {options.out / COUNTRY[0] / 'map.png'}")
    print(f"{time.perf_counter() - started:.0f} s; every folder holds results.json and manifest.json beside the files for ParaView, KLayout and QGIS")


if __name__ == "__main__":
    main()
