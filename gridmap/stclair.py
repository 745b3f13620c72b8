"""What one line can carry, from its voltage and length: surge impedance loading and the St. Clair curve.

Short lines are limited by heat, longer ones by voltage drop, the longest by stability; the curve is in units of the surge
impedance loading (H. P. St. Clair, "Practical concepts in capability and performance of transmission lines", 1953).
"""

import numpy as np

from gridmap import tables

KM_PER_MILE = 1.609344
THERMAL_KM = 50 * KM_PER_MILE  # below, heat governs: the curve has its start there
THERMAL_SIL = 3.0              # and its height there, taken as the thermal limit of a line whose rating nobody gives
PHASE_PER_KM = 1.29e-3         # rad at 60 Hz: sqrt(x b) of 345 to 765 kV lines (P. Kundur, Power System Stability and Control, table 6.1)


def surge_impedance_loading(kv, impedance_ohm=None):
    """(N,) MW: kv squared over the surge impedance. kv: (N,) kV. impedance_ohm: (N,) ohms; by default that of the classes
    in line_classes.csv, between them in proportion, beyond them the last one's."""
    kv = np.asarray(kv, float)
    if not (kv > 0).all():
        raise ValueError(f"kv {kv[~(kv > 0)].flat[0]} is no voltage: give kV above 0")
    if impedance_ohm is None:
        classes = tables.fact("line_classes").astype({"kv": float, "sil_mw": float})
        impedance_ohm = np.interp(kv, classes["kv"], classes["kv"] ** 2 / classes["sil_mw"])
    return kv**2 / np.asarray(impedance_ohm, float)


def reactance(kv):
    """(N,) ohms a km of a line with one circuit: that of the classes in line_classes.csv, between them in proportion,
    beyond them the nearest one's. kv: (N,) kV."""
    classes = tables.fact("line_classes")
    classes = classes[classes["reactance_ohm_km"].ne("")].astype({"kv": float, "reactance_ohm_km": float})
    return np.interp(np.asarray(kv, float), classes["kv"], classes["reactance_ohm_km"])


def curve(km):
    """(N,) loadability in units of surge impedance loading: 43.261 miles**-0.6678, a fit to St. Clair's curve for lines of
    50 to 600 miles (as used by PreREISE); shorter lines have the value at 50 miles. km: (N,) route length."""
    return 43.261 * (np.maximum(np.asarray(km, float), THERMAL_KM) / KM_PER_MILE) ** -0.6678


def voltage_drop_curve(km, drop=0.05):
    """(N,) the same from first principles: what a lossless line delivers at unity power factor when the voltage falls by
    `drop` from end to end: (1 - drop) sqrt(1 - (1 - drop)**2 cos**2 t) / sin t, t the phase over its length."""
    t = PHASE_PER_KM * np.maximum(np.asarray(km, float), THERMAL_KM)
    if (t > np.pi / 2).any():
        raise ValueError(f"a line of {float(np.max(km)):.0f} km is beyond a quarter wave: use curve")
    return (1 - drop) * np.sqrt(1 - ((1 - drop) * np.cos(t)) ** 2) / np.sin(t)


def line_limit(kv, km, circuits=1, thermal_mw=None, impedance_ohm=None):
    """(N,) MW a line can carry: circuits x the smaller of its thermal limit and the curve x surge impedance loading.

    kv: (N,) kV. km: (N,) route length, not the straight distance. thermal_mw: (N,) MW a circuit, NaN where unknown: then,
    and by default, 3 x surge impedance loading.
    """
    sil = surge_impedance_loading(kv, impedance_ohm)
    thermal = np.full(np.shape(sil), np.nan) if thermal_mw is None else np.asarray(thermal_mw, float)
    thermal = np.where(np.isnan(thermal), THERMAL_SIL * sil, thermal)
    return np.asarray(circuits) * np.where(np.asarray(km, float) < THERMAL_KM, thermal, np.minimum(thermal, curve(km) * sil))
