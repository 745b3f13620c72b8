"""python -m benchmarks [NAME ...] [--device cpu|cuda] [--no-save]

Runs `run(device)` (or `run()`) of the modules named, all of them by default, prints one table and keeps it as
benchmarks/results/<device>-<date>.json. A row is a dict: what, ours_s, peer, peer_s, ratio, check, and what else the
module wants to say; `bytes_moved` becomes the fraction of this machine's measured memory bandwidth.
"""

import argparse
import datetime
import importlib
import inspect
import json
import os
import pathlib
import platform
import sys
import traceback

HERE = pathlib.Path(__file__).parent


def benchmark_names():
    """Modules of this folder with a function `run`, without importing them."""
    return sorted(p.stem for p in HERE.glob("*.py") if "\ndef run(" in p.read_text())


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[2])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of: {', '.join(benchmark_names())}")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--no-save", action="store_true")
    options = parser.parse_args()
    names = [n.replace("-", "_") for n in options.names] or benchmark_names()
    unknown = sorted(set(names) - set(benchmark_names()))
    if unknown:
        sys.exit(f"no benchmark called {', '.join(unknown)}; there are: {', '.join(benchmark_names())}")

    from cukernels.backend import choose_device

    from .timing import memory_bandwidth
    device = choose_device(options.device)
    bandwidth = memory_bandwidth() if device.kind == "cpu" else None
    rows, failed = [], []
    for name in names:
        print(f"\n{name}", flush=True)
        try:
            for row in _run(name, device.kind):
                if row.get("bytes_moved") and bandwidth and row.get("ours_s"):
                    row["fraction_of_bandwidth"] = round(row["bytes_moved"] / row["ours_s"] / bandwidth, 3)
                rows.append({"benchmark": name, **row})
                print(_line(row), flush=True)
        except Exception:
            traceback.print_exc()
            failed.append(name)
        if not options.no_save:      # after each, so that a stop costs only the one that runs
            path = _save(device, bandwidth, rows, failed)
    if not options.no_save:
        print(f"\n{path}")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def _run(name, device):
    run = importlib.import_module(f"benchmarks.{name}").run
    return run(device=device) if "device" in inspect.signature(run).parameters else run()


def _line(row):
    seconds = lambda key: f"{row[key]:9.4f} s" if isinstance(row.get(key), float | int) else " " * 11  # noqa: E731
    ratio = f"{row['ratio']:7.1f} x" if isinstance(row.get("ratio"), float | int) else " " * 9
    share = f"  {100 * row['fraction_of_bandwidth']:.0f} % of bandwidth" if "fraction_of_bandwidth" in row else ""
    return f"  {row['what']:<58} {seconds('ours_s')}  {row.get('peer') or '':<30} {seconds('peer_s')} {ratio}{share}  {row.get('check', '')}"


def _save(device, bandwidth, rows, failed):
    label = "cpu" if device.kind == "cpu" else "".join(c if c.isalnum() else "-" for c in device.name.lower()).strip("-")
    path = HERE / "results" / f"{label}-{datetime.date.today().isoformat()}.json"
    path.parent.mkdir(exist_ok=True)
    earlier = json.loads(path.read_text())["rows"] if path.exists() else []
    fresh = {r["benchmark"] for r in rows}
    report = {
        "device": device.name if device.kind == "cuda" else f"{_cpu_name()}, {os.cpu_count()} cores",
        "date": datetime.date.today().isoformat(),
        "python": platform.python_version(),
        "memory_bandwidth_gb_s": bandwidth and round(bandwidth / 1e9, 2),
        "failed": failed,
        "rows": [r for r in earlier if r["benchmark"] not in fresh] + rows,
    }
    path.write_text(json.dumps(report, indent=1, default=lambda x: x.item() if hasattr(x, "item") else str(x)) + "\n")
    return path.relative_to(HERE.parent)


def _cpu_name():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


if __name__ == "__main__":
    main()
