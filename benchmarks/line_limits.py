"""Limits between counties from the lines there are, beside those of the study: what rank correlation each estimate reaches.

The bar: 0.37, what summed ratings of a synthetic grid reach against the same limits. Three subsets of HIFLD lines: Indiana
twice (benchmarks/data) and the bundled file of 230 kV and above, which is whole in Utah, Colorado and Wyoming only. No peer
and no clock: what is compared is the answer.
"""

import pathlib

import geopandas
import numpy as np

HERE = pathlib.Path(__file__).parent
BAR = 0.37
WHOLE = ("UT", "CO", "WY")


def run(device="cpu"):
    from gridmap import ledger, limits, line_limits, regions, tables
    book = ledger.Ledger()
    counties, _ = regions.bundled(book)
    given = limits.build([tables.DATA / "limits_county.parquet"], counties, book)
    return [row for name, lines in subsets().items() for row in _rows(name, line_limits.beside(line_limits.estimates(lines, counties, device), counties, given))]


def subsets():
    """{name: lines}."""
    from gridmap import ledger, read, tables
    indiana = geopandas.read_parquet(HERE / "data" / "indiana_lines.parquet")
    bundled = read.read_lines(tables.DATA / "lines_230kv.parquet", ledger.Ledger())
    return {**{name: part.reset_index(drop=True) for name, part in indiana.groupby("subset", sort=False)}, "230 kV and above, national, cut off": bundled}


def _rows(name, table):
    from gridmap import line_limits
    found = line_limits.agreement(table)
    for estimate, says in line_limits.ESTIMATES.items():
        if found[estimate] is None:
            continue
        told = {key: round(value, 3) for key, value in found[estimate].items()}
        yield {"what": f"{name}: {says}", "ours_s": None, "peer": "limits of the study", "peer_s": None, "ratio": None, **told,
               "check": f"rank correlation {told['spearman']:.2f} over {told['pairs']} pairs, bar {BAR}"}
    # why the borders that a line crosses are the wrong place to count it
    both = table[(table["crossing_mw"] > 0) & (table["given_mw"] > 0)]
    over = both[~(both["ends_mw"] > 0)]
    ratio = over["crossing_mw"] / over["given_mw"]
    yield {"what": f"{name}: pairs of counties that lines only pass over", "ours_s": None, "peer": "limits of the study", "peer_s": None, "ratio": None,
           "pairs": len(over), "of_pairs": len(both), "ratio_median": round(float(np.median(ratio)), 2),
           "check": f"the lines' limits are {np.median(ratio):.0f} times the study's there"}
