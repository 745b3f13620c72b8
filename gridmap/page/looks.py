"""What regions can be coloured by: names, units, and classes that stay the same from hour to hour."""

import numpy as np

from gridmap import style
from gridmap.style import BLUES, MIDDLE, Class

GREENS = ("#edf8e9", "#bae4b3", "#74c476", "#31a354", "#006d2c")
CONFIDENCES = tuple(Class(a, b, colour, label) for a, b, colour, label in (
    (0, 0.2, "#440154", "below 0.2"), (0.2, 0.4, "#3b528b", "0.2 to 0.4"), (0.4, 0.6, "#21918c", "0.4 to 0.6"), (0.6, 0.8, "#5ec962", "0.6 to 0.8"),
    (0.8, np.inf, "#fde725", "0.8 to 1")))
SHARES = (Class(0, style.NOTHING, MIDDLE, "none"), *(Class(max(c.lower, style.NOTHING), c.upper, c.colour, c.label) for c in style.SHARES))


def metrics(view):
    """{name: how it is shown} of a View. kind "hour": changes with the hour; "still": does not; values come with the hour or once.

    classes: [{upper, colour, label}] rising. The classes of an hour's values are taken from the hour of the highest demand.
    """
    peak = view.hour(view.peak)
    return {
        "balance": _shown("Short or spare", "Short or spare after flows", "MW", "hour", style.short_or_spare(peak.spare - peak.unserved, "MW"),
                          "Red: demand that no flow within the limits can serve. Blue: what is left over."),
        "isolated": _shown("Balance standing alone", "Balance standing alone", "MW", "hour", style.diverging(peak.supply - peak.demand, "MW"),
                           "Supply less demand if nothing flowed."),
        "deficit": _shown("Deficit after flows", "Deficit after flows", "MW", "hour", lacking(peak.unserved), "Demand that no flow within the limits can serve."),
        "share": _shown("Deficit, % of demand", "Deficit, share of demand", "%", "hour", SHARES, "The same share for all regions of a pocket."),
        "surplus": _shown("Surplus after flows", "Surplus after flows", "MW", "hour", having(peak.spare), "What plants could still give once all flows are served."),
        "confidence": _shown("Confidence in data", "Confidence in the data", "0 to 1", "still", CONFIDENCES, "Product of the factors of the reasons against it; ranks, no probability."),
        "change": _shown("Scenario", "Change by the scenario", "MW", "scenario", changing(), "Demand not served, after less before. Red is worse."),
        "short": _shown("Hours short", "Hours short in the year", "h", "year", style.HOURS, "Hours in which the region lacks power after flows."),
        "energy": _shown("Energy short", "Unserved in the year", "% of energy", "year", style.ENERGY_SHARES, ""),
        "lole": _shown("LOLE", "Loss of load (LOLE)", "h a year", "adequacy", style.LOLE, "Mean over drawn years with units failing at random."),
        "eue": _shown("EUE", "Energy not served (EUE)", "ppm of demand", "adequacy", style.NEUE, "Mean over drawn years with units failing at random."),
    }


def lacking(values):
    steps = style.round_steps([v for v in values if v > style.NOTHING], 4)[1:]
    return _rising(steps, (MIDDLE, *style.REDS), "MW", "none")


def having(values):
    steps = style.round_steps([v for v in values if v > style.NOTHING], 4)[1:]
    return _rising(steps, (MIDDLE, *BLUES), "MW", "none")


def changing():
    """Steps for a scenario of any size: the same in every hour and for every scenario, so that two compare."""
    return style.worse_or_better([1000.0], "MW")


def values(view, name):
    """(R,) float32 of a metric that does not change with the hour, or None where it is not known (yet)."""
    if name == "confidence":
        return view.confidence()["confidence"].to_numpy(np.float32)
    if name in ("short", "energy") and view.told is not None:
        return view.told.regions[{"short": "hours_short", "energy": "unserved_pct"}[name]].to_numpy(np.float32)
    if name in ("lole", "eue") and view.adequacy is not None:
        return view.adequacy[{"lole": "lole_hours", "eue": "neue_ppm"}[name]].to_numpy(np.float32)
    return None


def _rising(steps, colours, unit, none):
    edges = [-np.inf, style.NOTHING, *steps, np.inf]
    return [Class(a, b, colour, none if i == 0 else style._label(max(a, 0), b, unit)) for i, (a, b, colour) in enumerate(zip(edges, edges[1:], colours))]


def _shown(name, title, unit, kind, classes, note):
    return {"name": name, "title": title, "unit": unit, "kind": kind, "note": note, "classes": told(classes)}


def told(classes):
    """Classes as the page reads them: the upper border of the last is null."""
    return [{"upper": None if c.upper == np.inf or c.upper > 1e11 else c.upper, "colour": c.colour, "label": c.label} for c in classes]
