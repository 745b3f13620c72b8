"""python -m benchmarks.table: puts the newest results of every device into the README, between its two marks."""

import json
import pathlib
import re

HERE = pathlib.Path(__file__).parent
README = HERE.parent / "README.md"
START, END = "<!-- table: python -m benchmarks.table -->", "<!-- end -->"


def newest_reports():
    """The newest file of each device, by the date in its name."""
    newest = {}
    for path in sorted((HERE / "results").glob("*.json")):
        newest[path.stem[:-len("-2026-01-01")]] = path
    return [json.loads(path.read_text()) for path in newest.values()]


def lines(report):
    yield f"{report['device']}, {report['date']}, Python {report['python']}; `python -m benchmarks` checks the answers before it times them."
    yield ""
    yield "| what | here | peer | peer takes | ratio |"
    yield "| --- | ---: | --- | ---: | ---: |"
    for row in report["rows"]:
        if isinstance(row.get("ratio"), float | int):
            yield f"| {row['what']} | {_seconds(row['ours_s'])} | {row['peer']} | {_seconds(row['peer_s'])} | {row['ratio']:.1f} × |"


def _seconds(s):
    return f"{s:.2f} s" if s >= 1 else f"{1e3 * s:.1f} ms"


def main():
    table = "\n\n".join("\n".join(lines(r)) for r in newest_reports())
    text = README.read_text()
    README.write_text(re.sub(f"{re.escape(START)}.*?{re.escape(END)}", lambda _: f"{START}\n{table}\n{END}", text, flags=re.S))


if __name__ == "__main__":
    main()
