"""What each unit could give before wind, sun, river or stored energy: its rating on a capacity basis, less outages."""

import numpy as np

from gridmap import InputError
from gridmap.capacity import BASES, IN_SERVICE, SUMMER_MONTHS, Capacity
from gridmap.demand import parse_hour


def available_mw(inputs, hour, basis):
    """Capacity (N,): the rating less the outages that the basis counts, before wind, sun, river or stored energy."""
    kind = BASES[known(basis)]
    share = np.ones(len(inputs.plants))
    if kind.forced:
        share *= 1 - _forced(inputs)
    if kind.hourly:
        share *= 1 - _scheduled(inputs, parse_hour(hour).month)
    return rated_mw(inputs.plants, hour, basis) * share


def rated_mw(plants, hour, basis):
    """Capacity (N,): the rating that the basis names, 0 for units it does not count."""
    kind = BASES[known(basis)]
    rating = kind.rating
    if rating == "season":
        rating = "summer" if parse_hour(hour).month in SUMMER_MONTHS else "winter"
    mw = plants[f"{rating}_mw"].to_numpy(float)
    counted = running(plants) if kind.in_service else np.ones(len(plants), bool)
    return Capacity(np.where(counted, mw, 0.0), basis)


def running(plants):
    """(N,) bool: units whose status lets them run."""
    return plants["status"].isin(IN_SERVICE).to_numpy()


def known(basis):
    """`basis`, where it is a name of capacity.BASES; else InputError."""
    if basis not in BASES:
        raise InputError(f"capacity basis {basis!r} is unknown; choose one of {', '.join(BASES)}")
    return basis


def _forced(inputs):
    return inputs.plants["technology"].map(inputs.outages.forced).to_numpy(float)


def _scheduled(inputs, month):
    return inputs.plants["technology"].map(inputs.outages.scheduled[month]).to_numpy(float)
