"""X-ray counts -> mass shares: standards where there are some, matrix correction by XPP, Poisson errors.

XPP: J.-L. Pouchou, F. Pichoir, in Electron Probe Quantitation (Plenum, 1991), p. 31; fluorescence by other elements and
by the continuum is left out (a few per cent where a line lies just below another element's). Mass attenuation
coefficients (`absorption.csv`, cm2/g, one row a line, one column an absorber): W. T. Elam, B. D. Ravel, J. R.
Sieber, Radiat. Phys. Chem. 63, 121 (2002), as XrayDB 4.5.8 (MIT) holds them.
"""

import csv
import functools
import pathlib
from dataclasses import dataclass

import numpy as np
from cukernels.backend import NotConverged

from chipmap import InputError, materials
from chipmap.xray import elements as xray
from chipmap.xray.spectrum import Spectrum

HERE = pathlib.Path(__file__).parent
VALENCE = {"Na": 1, "Mg": 2, "Al": 3, "Si": 4, "P": 5, "Ca": 2, "Ti": 4, "Cr": 3, "Mn": 2, "Fe": 2, "Sr": 2, "Y": 3, "Zr": 4, "Hf": 4, "Ta": 5, "W": 6}


@dataclass(frozen=True)
class Composition:
    """share: {symbol: mass share}, sum 1. error: {symbol: standard error from counting and overlap}.

    how: {symbol: "standard", "between standards" (its sensitivity is read off those of others) or "stoichiometry"}.
    """

    share: dict
    error: dict
    how: dict


def composition(spectrum, elements, standards, oxide=False):
    """Mass shares of `elements` from their K lines.

    spectrum: a `Spectrum` with beam energy and take-off angle. elements: symbols. standards: [(Spectrum, {symbol: mass
    share}), ...] of one detector like the spectrum's; what one instrument collects more than another cancels,
    as shares add up to 1. Elements without a standard take theirs from a parabola in the logarithm of energy through
    those of the standards. oxide: oxygen is counted by valence, not by its line.
    Returns `Composition`. Raises InputError without three standards' elements, or an element without a K line in
    reach; NotConverged if shares still move after 50 rounds.
    """
    measured = [e for e in elements if not (oxide and e == "O")]
    known, where = _sensitivities(standards)
    lines = {e: _k_line(e, spectrum) for e in measured}
    sensitivity = {e: known[e] if e in known else _between(known, lines[e]) * _generation(lines[e], spectrum.kv) for e in measured}
    peaks = xray.fit(spectrum, set(elements) | {"C", "O"})
    found = {f.element: i for i, f in enumerate(peaks.families) if f.shell == "K"}
    counts = np.array([peaks.counts[found[e]] for e in measured])
    error = np.array([peaks.error[found[e]] for e in measured])
    per_share = counts / [sensitivity[e] for e in measured]
    share = dict.fromkeys(measured, 1 / len(measured))
    for _ in range(50):
        before = share
        raw = per_share / [emitted(lines[e], before, spectrum) for e in measured]
        share = _whole(dict(zip(measured, raw)), oxide)
        if max(abs(share[e] - before.get(e, 0)) for e in share) < 1e-7:
            break
    else:
        raise NotConverged("mass shares still move after 50 rounds: check that the elements are those of the spectrum")
    how = {e: "standard" if e in where else "between standards" for e in measured} | ({"O": "stoichiometry"} if oxide else {})
    relative = dict(zip(measured, error / np.maximum(counts, 1)))
    spread = np.sqrt(sum((share[e] * relative[e]) ** 2 for e in measured))  # of the sum that all are divided by
    return Composition(share, {e: float(share[e] * np.hypot(relative.get(e, 0), spread)) for e in share}, how)


def emitted(family, shares, spectrum):
    """XPP's F(chi): what reaches the detector, per share and cross-section. shares: {symbol: mass share} of the specimen."""
    if spectrum.take_off_deg is None or spectrum.kv is None:
        raise InputError("the spectrum does not say its take-off angle and beam energy: add #ELEVANGLE and #BEAMKV")
    chi = sum(c * _absorption()[family.element, family.shell][e] for e, c in shares.items()) / np.sin(np.radians(spectrum.take_off_deg))
    area, surface, mean, p, b = _depths(family, shares, spectrum.kv)
    a = (p + b * (2 * surface - b * area)) / (b * area * (2 - b * mean) - surface)
    eps = (a - b) / b
    eps = eps if abs(eps) > 1e-6 else 1e-6
    second = (b * b * area * (1 + eps) - p - surface * b * (2 + eps)) / eps
    first = (second / b + surface - b * area) * (1 + eps) / eps  # so that all leaves where nothing absorbs
    return float((surface + second / (b + chi) - first * b * eps / (b * (1 + eps) + chi)) / (b + chi))


def _depths(family, shares, kv):
    """Area, surface value, mean depth, start slope and tail of phi(rho z)."""
    z, weight, c = (np.array(v, float) for v in zip(*((*materials.elements()[e], share) for e, share in shares.items())))
    edge = family.edge / 1e3
    u = kv / edge
    zb = (c @ np.sqrt(z)) ** 2
    eta = 1.75e-3 * zb + 0.37 * (1 - np.exp(-0.015 * zb**1.3))
    area = _back_loss(eta, u) * _stopped(z, weight, c, edge, u, materials.elements()[family.element][0]) / _cross_section(family, u)
    surface = 1 + 3.3 * (1 - u ** -(2 - 2.3 * eta)) * eta**1.2
    x, y = 1 + 1.3 * np.log(zb), 0.2 + zb / 200
    mean = area / (1 + x * np.log(1 + y * (1 - u**-0.42)) / np.log(1 + y))
    mean = area / surface if area / mean < surface else mean
    b = np.sqrt(2) * (1 + np.sqrt(max(1 - mean * surface / area, 0))) / mean
    g = 0.22 * np.log(4 * zb) * (1 - 2 * np.exp(-zb * (u - 1) / 15))
    h = 1 - 10 * (1 - 1 / (1 + u / 10)) / zb**2
    p = min(g * h**4, 0.9 * b * mean**2 * (b - 2 * surface / area)) * area / mean**2
    return area, surface, mean, p, b


def _back_loss(eta, u):
    """R: share of the ionisations that backscattered electrons do not take with them."""
    w = 0.595 + eta / 3.7 + eta**4.55
    q = (2 * w - 1) / (1 - w)
    g = (u - 1 - (1 - u ** -(1 + q)) / (1 + q)) / ((2 + q) * (1 + u * (np.log(u) - 1)))
    return 1 - eta * w * (1 - g)


def _stopped(z, weight, c, edge, u, of):
    """1 / S: the cross-section along the way of an electron until it can ionise no more."""
    mass = c @ (z / weight)
    j = np.exp(c @ (z / weight * np.log(z * (10.04 + 8.25 * np.exp(-z / 11.22)) / 1e3)) / mass)
    power = np.array([0.78, 0.1, -0.5 + 0.25 * j])
    d = np.array([6.6e-6, 1.12e-5 * (1.35 - 0.45 * j * j), 2.2e-6 / j])
    v0, t = u * edge / j, 1 + power - _exponent(of)
    return u / (v0 * mass) * (d * (v0 / u) ** power * (t * u**t * np.log(u) - u**t + 1) / t**2).sum()


def _exponent(z):
    return 0.86 + 0.12 * np.exp(-((z / 5) ** 2))


def _cross_section(family, u):
    return np.log(u) / (u ** _exponent(materials.elements()[family.element][0]) * (family.edge / 1e3) ** 2)


def _generation(family, kv):
    """Photons for each mass share ionised, up to a constant: yield, share, cross-section, atoms a gram."""
    return family.yield_ / materials.elements()[family.element][1] * _cross_section(family, 1e3 * kv / family.edge)


def _k_line(element, spectrum):
    for f in xray.families():
        if f.element == element and f.shell == "K" and f.edge * xray.OVERVOLTAGE < 1e3 * spectrum.kv:
            return f
    raise InputError(f"{element} has no K line below the beam energy of {spectrum.kv:g} kV: leave it out")


def _sensitivities(standards):
    """{element: (counts a nA and s) / (share * emitted)}, those of all standards on one scale, and the elements' names."""
    detectors = {spectrum.header["DET_HASH"] for spectrum, _ in standards if "DET_HASH" in spectrum.header}
    if len(detectors) > 1:
        raise InputError("the standards come from different detectors (#DET_HASH): take those of one")
    known = {}
    for spectrum, shares in standards:
        if not spectrum.live_time_s or not spectrum.probe_na:
            raise InputError(f"standard {spectrum.title!r} does not say its live time and probe current: add #LIVETIME and #PROBECUR")
        peaks = xray.fit(spectrum, set(shares) | {"C", "O"})
        for f, counts in zip(peaks.families, peaks.counts):
            if f.shell == "K" and f.element in shares:
                dose = spectrum.live_time_s * spectrum.probe_na
                known[f.element] = counts / dose / shares[f.element] / emitted(f, shares, spectrum), f, spectrum.kv
    if len(known) < 3:
        raise InputError("fewer than three elements with a standard: give more standards")
    return {e: s for e, (s, _, _) in known.items()} | {"": known}, set(known)


def _between(known, family):
    """Sensitivity over generation at a line's energy, from a parabola through those of the standards."""
    energy, ratio = zip(*((np.log(f.main), np.log(s / _generation(f, kv))) for s, f, kv in known[""].values()))
    return np.exp(np.polyval(np.polyfit(energy, ratio, min(2, len(energy) - 1)), np.log(family.main)))


def _whole(shares, oxide):
    if oxide:
        missing = set(shares) - set(VALENCE)
        if missing:
            raise InputError(f"the valence of {', '.join(sorted(missing))} is not known: use oxide=False")
        oxygen = materials.elements()["O"][1]
        shares = {**shares, "O": sum(c * VALENCE[e] / 2 * oxygen / materials.elements()[e][1] for e, c in shares.items())}
    total = sum(shares.values())
    return {e: float(c / total) for e, c in shares.items()}


@functools.cache
def _absorption():
    """{(element, shell): {absorber: cm2/g}} at the shell's main line (Ka1, La1, Ma)."""
    with open(HERE / "absorption.csv", newline="", encoding="utf-8") as file:
        return {(row["element"], row["line"][0]): {e: float(v) for e, v in row.items() if e not in ("element", "line", "energy_ev")}
                for row in csv.DictReader(file)}


def intensity(family, shares, kv, take_off_deg=40.0):
    """Photons of a line family that leave a flat specimen, per electron, up to one constant for all families: XPP without standards.

    shares: {symbol: mass share}. 0 where the element is not there, the beam does not excite it, or its absorption is not
    in the table. Against the bundled spectra of pure elements and glasses the constant is the same within 15 % (K lines
    above 1 keV); the detector is not in it.
    """
    if not shares.get(family.element) or family.edge * xray.OVERVOLTAGE >= 1e3 * kv or (family.element, family.shell) not in _absorption():
        return 0.0
    electrons = {"K": 2, "L": 4, "M": 6}[family.shell]
    seen = Spectrum(np.zeros(2), np.zeros(2), kv, take_off_deg=take_off_deg)
    shares = {e: c for e, c in shares.items() if e != "H"}  # neither stops nor absorbs what matters here
    return float(shares[family.element] * electrons * _generation(family, kv) * emitted(family, shares, seen))
