"""The IEEE Reliability Test System of 1979 (IEEE Trans. Power Apparatus and Systems PAS-98, 2047): units and hourly load.

rts79_load.csv: 8,736 hours, MW, from GridMod/RTS-GMLC (RELIABILITY/RTS1979.ZIP); rts79_NOTICE.md is that repository's
data-use notice. Credit: NREL / Alliance for Sustainable Energy / U.S. Department of Energy.
"""

import pathlib

import numpy as np
import pandas as pd

# MW, how many, forced outage rate, mean hours to failure, mean hours to repair
UNITS = ((12, 5, .02, 2940, 60), (20, 4, .10, 450, 50), (50, 6, .01, 1980, 20), (76, 4, .02, 1960, 40), (100, 3, .04, 1200, 50),
         (155, 4, .04, 960, 40), (197, 3, .05, 950, 50), (350, 1, .08, 1150, 100), (400, 2, .12, 1100, 150))


def units():
    rows = [(mw, q, mttf, mttr) for mw, n, q, mttf, mttr in UNITS for _ in range(n)]
    return pd.DataFrame(rows, columns=["capacity_mw", "forced_outage_rate", "mttf_h", "mttr_h"])


def load():
    """(8736,) MW, Monday 00:00 first."""
    return np.loadtxt(pathlib.Path(__file__).with_name("rts79_load.csv"))
