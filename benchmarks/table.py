"""python -m benchmarks.table: puts the newest results of every device into the README, between its two marks."""

import json
import pathlib
import re

HERE = pathlib.Path(__file__).parent
README = HERE.parent / "README.md"
ACCURACY = {"segmentation", "chip_accuracy"}  # benchmarks whose rows are about being right, not about being fast
ABOUT = {"chipmap, seeing": ("chip_accuracy", "segmentation", "overlay", "forest"),
         "chipmap, physics": ("conduction", "elasticity", "coverage", "budget"),
         "gridmap": ("polygons", "flow", "year", "line_limits", "adequacy", "siting"),
         "pages": ("chip_page", "grid_page"),
         "kernels": ("components", "filters", "zonal")}
START, END = "<!-- table: python -m benchmarks.table -->", "<!-- end -->"


def newest_reports():
    """One report a device: every benchmark's rows from the newest file that has them; `date` spans those files."""
    newest = {}
    for path in sorted((HERE / "results").glob("*.json"), reverse=True):
        older = json.loads(path.read_text())
        report = newest.setdefault(path.stem[:-len("-2026-01-01")], {**older, "rows": []})
        known = {row["benchmark"] for row in report["rows"]}
        fresh = [row for row in older["rows"] if row["benchmark"] not in known]
        if fresh and older["date"] not in report["date"]:
            report["date"] = f"{older['date']} to {report['date'][-10:]}"
        report["rows"] += fresh
    return list(newest.values())


def lines(report):
    limit = report["memory_bandwidth_gb_s"]
    yield (f"{report['device']}, {report['date']}, Python {report['python']}"
           + (f", {limit:.0f} GB/s of memory bandwidth measured" if limit else "") + ". Answers are compared before anything is timed.")
    yield ""
    yield "| what | here | of bandwidth | peer | peer takes | ratio |"
    yield "| --- | ---: | ---: | --- | ---: | ---: |"
    timed = [row for row in report["rows"] if isinstance(row.get("ratio"), float | int) and row["benchmark"] not in ACCURACY]
    for row in _by_topic(timed, columns=6):
        if isinstance(row, str):
            yield row
            continue
        share = f"{100 * row['fraction_of_bandwidth']:.0f} %" if "fraction_of_bandwidth" in row else ""
        yield f"| {row['what']} | {_seconds(row['ours_s'])} | {share} | {row['peer']} | {_seconds(row['peer_s'])} | {row['ratio']:.1f} × |"
    yield ""
    yield "| what | found | bar |"
    yield "| --- | --- | --- |"
    told = [row for row in report["rows"] if ("ratio" not in row or row["benchmark"] in ACCURACY) and not _told_twice(row, report["rows"])]
    for row in _by_topic(told, columns=3):
        if isinstance(row, str):
            yield row
            continue
        peer = f" ({row['peer']})" if row.get("peer") else ""
        bar = f"{row['bar']}: {'met' if row['met'] else '**missed**'}" if "bar" in row else ""
        took = f"{_seconds(row['ours_s'])}; " if row.get("ours_s") and row["benchmark"] not in ACCURACY else ""
        yield f"| {row['what']} | {took}{row.get('check', '').split(' [bar:')[0]}{peer} | {bar} |"


def _by_topic(rows, columns):
    """The rows in the order of ABOUT, each topic after a line with its name; what stands in none comes last."""
    topic = {benchmark: name for name, benchmarks in ABOUT.items() for benchmark in benchmarks}
    for name in [*ABOUT, None]:
        among = [row for row in rows if topic.get(row["benchmark"]) == name]
        if among:
            yield f"| **{name or 'other'}** |" + " |" * (columns - 1)
        yield from among


def _told_twice(row, rows):
    return row["benchmark"] == "segmentation" and any(other["benchmark"] == "chip_accuracy" for other in rows)


def _seconds(s):
    return f"{s:.2f} s" if s >= 1 else f"{1e3 * s:.1f} ms" if s >= 1e-3 else f"{1e6 * s:.0f} µs"


def main():
    table = "\n\n".join("\n".join(lines(r)) for r in newest_reports())
    text = README.read_text()
    README.write_text(re.sub(f"{re.escape(START)}.*?{re.escape(END)}", lambda _: f"{START}\n{table}\n{END}", text, flags=re.S))


if __name__ == "__main__":
    main()
