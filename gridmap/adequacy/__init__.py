"""How likely supply falls short: exactly for one area, by Monte Carlo for many.

    exact      one area by convolution of its units; elcc, efc, outage_table
    simulate   regions and corridors by drawn outages: a Result; paired: the difference of two on the same draws
    System     what is simulated: regions, load, units, corridors
"""

from gridmap.adequacy.result import Estimate, Result, paired
from gridmap.adequacy.simulation import simulate
from gridmap.adequacy.single import Adequacy, efc, elcc, exact, outage_table
from gridmap.adequacy.system import System

__all__ = ["Adequacy", "Estimate", "Result", "System", "efc", "elcc", "exact", "outage_table", "paired", "simulate"]
