"""The hours that a question is asked about: named, the highest demand, or the worst of all; and many of them solved."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from cukernels import residual_deficit
from cukernels.backend import to_device, to_host

from gridmap import InputError, supply
from gridmap.demand import parse_hour

BATCH = 744  # hours solved side by side
RANKED = ("peak", "worst")


@dataclass(frozen=True)
class Solved:
    """T hours of R regions and E corridors, NumPy: supply_mw, demand_mw, unserved_mw (T, R); pocket (T, R) int, -1 for none;
    spare (T, R) bool; binding (T, E) int (all as `cukernels.flow.Deficit` says); total_mw (T,). hours: DatetimeIndex, UTC."""

    hours: pd.DatetimeIndex
    supply_mw: np.ndarray
    demand_mw: np.ndarray
    unserved_mw: np.ndarray
    pocket: np.ndarray
    spare: np.ndarray
    binding: np.ndarray
    total_mw: np.ndarray


def choose(inputs, text="peak:1", basis="effective", device="cpu"):
    """DatetimeIndex (UTC, in order of time) of the hours that `text` names.

    "peak:20": the twenty of the highest national demand; "worst:20": those with the most unserved demand, for which every
    hour of the demand is solved (two where equal: the earlier); "peak" and "worst" alone mean one; else hours with commas
    between them, 2023-07-27T22:00Z. Raises InputError for anything else and for hours that the demand does not hold.
    """
    kind, _, count = text.strip().partition(":")
    if kind not in RANKED:
        rows = sorted({inputs.demand.row(parse_hour(part.strip())) for part in text.split(",")})
        return inputs.demand.hours[rows]
    if not (count or "1").isdigit() or not 1 <= int(count or 1) <= len(inputs.demand.hours):
        raise InputError(f"hours {text!r}: {count!r} is no number of hours from 1 to {len(inputs.demand.hours)}; write {kind}:20")
    amount = inputs.demand.national() if kind == "peak" else unserved(inputs, inputs.demand.hours, basis, device)
    return inputs.demand.hours[np.sort(np.argsort(-amount, kind="stable")[: int(count or 1)])]


def unserved(inputs, hours, basis, device="cpu"):
    """(T,) MW that can't be served in each hour."""
    batches = (hours[start : start + BATCH] for start in range(0, len(hours), BATCH))
    return np.concatenate([to_host(_deficit(_problem(inputs, batch, basis), device).total) for batch in batches])


def solve(inputs, hours, basis="effective", device="cpu"):
    """`Solved` of the hours. inputs: read.Inputs after repair."""
    problem = _problem(inputs, hours, basis)
    deficit = _deficit(problem, device)
    return Solved(hours, *problem[:2], *(to_host(getattr(deficit, name)) for name in ("unserved", "pocket", "spare", "binding", "total")))


def _problem(inputs, hours, basis):
    demand = np.stack([inputs.demand.at(hour) for hour in hours])
    return supply.hourly_supply(inputs, hours, basis), demand, *ways(inputs)


def ways(inputs):
    """tail, head, forward_mw, backward_mw of the corridors as arrays."""
    return tuple(inputs.corridors[c].to_numpy() for c in ("tail", "head", "forward_mw", "backward_mw"))


def _deficit(problem, device):
    return residual_deficit(*(to_device(a, device) for a in problem))
