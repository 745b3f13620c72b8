"""How right chipmap is: every accuracy figure, with its bar, from one command, against the same peers.

    python -m benchmarks chip-accuracy

`ROWS` lists functions without arguments that return (or yield) rows. Beside what every benchmark's row has, such a row
says `bar` (the bar, in words) and `met` (True or False), or neither where there is no bar.
"""

import traceback

from . import metrology, phantoms, physics, scribbled, sections, segmentation

ROWS = [
    segmentation.silicon_rows,   # phases without training
    segmentation.metal_rows,
    scribbled.metal_rows,        # phases from scribbles
    scribbled.coating_rows,
    phantoms.rows,               # tracks on simulated pictures, by dose
    sections.rows,               # objects of a simulated cross-section, by their grey
    physics.eta_rows,            # backscatter coefficients, X-ray spectra, X-ray maps
    physics.spectrum_rows,
    physics.map_rows,
    *metrology.ROWS,             # sizes, layouts and places against the drawn truth
]


def run():
    """Rows as they come; what fails is said at once, and at the end, and keeps no other row from being printed."""
    failed = []
    for rows in ROWS:
        try:
            yield from map(_with_verdict, rows())
        except Exception:
            traceback.print_exc()
            failed.append(f"{rows.__module__}.{rows.__name__}")
    if failed:
        raise RuntimeError(f"no row from {', '.join(failed)}")


def _with_verdict(row):
    if "bar" in row:
        row["check"] += f" [bar: {row['bar']}: {'met' if row['met'] else 'MISSED'}]"
    return row
