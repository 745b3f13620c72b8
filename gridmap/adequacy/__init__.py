"""How likely supply falls short: exactly for one area, by Monte Carlo for many.

    exact           one area by convolution of its units; elcc, efc, outage_table
    simulate        regions and corridors by drawn outages: a Result; paired: the difference of two on the same draws
    simulate_rare   the same for shortages so rare that no draw would hold one: importance sampling
    carries         what something is worth in any region, as load; firm_equal as firm capacity; room_for_load: how much fits
    System          what is simulated: regions, load, units, corridors, storage
"""

from gridmap.adequacy.credit import Carried, carries, firm_equal, room_for_load
from gridmap.adequacy.rare import RareResult, simulate_rare
from gridmap.adequacy.result import Estimate, Result, paired
from gridmap.adequacy.simulation import simulate
from gridmap.adequacy.single import Adequacy, efc, elcc, exact, outage_table
from gridmap.adequacy.system import System

__all__ = ["Adequacy", "Carried", "Estimate", "RareResult", "Result", "System", "carries", "efc", "elcc", "exact", "firm_equal", "outage_table",
           "paired", "room_for_load", "simulate", "simulate_rare"]
