"""How many electrons come back: the backscatter coefficient of elements and compounds, and its doubt.

eta is the fraction of the beam's electrons that leave a bulk, flat, untilted sample with more than 50 eV.
"""

import numpy as np

from chipmap import InputError, materials

KV_RANGE = (5.0, 40.0)  # below, the published forms cross or reverse; above, none of them was fitted
_ELEMENT_RMS = 0.0095  # worst rms of August-Wernisch against Heinrich's measured table at 10, 20 and 30 keV


def eta_of_element(z, kv, model="august-wernisch"):
    """eta of a pure element. z: atomic number, kv: beam energy in keV (arrays broadcast); model by name, below.

    august-wernisch  Phys. Status Solidi A 114, 629 (1989)      love-scott  J. Phys. D 11, 1369 (1978)
    reuter           6th Int. Conf. X-ray Optics (1972), ~20 keV  pouchou-pichoir  "Green Book" (1991), no energy term
    """
    if model not in _MODELS:
        raise ValueError(f"model {model!r} is unknown: use one of {', '.join(_MODELS)}")
    return _MODELS[model](np.asarray(z, float), np.asarray(kv, float))


def eta_of(material, kv):
    """(eta, standard uncertainty) of a `materials.Material` at `kv` keV; (0, 0) for a void.

    The mean over two models and two mixing rules (mass fractions: Castaing; electron fractions with Z^0.7: Donovan,
    Pingitore, Westphal 2003), which part company where atomic numbers differ most; their spread is the larger half of
    the uncertainty for a compound. Raises InputError outside 5-40 keV, where the models are not to be trusted.
    """
    if not KV_RANGE[0] <= kv <= KV_RANGE[1]:
        raise InputError(f"beam energy {kv:g} kV is outside {KV_RANGE[0]:g}-{KV_RANGE[1]:g} kV, where backscatter models hold: "
                         "name the phases with --legend instead")
    fractions = material.mass_fractions
    if not fractions:
        return 0.0, 0.0
    z = np.array([materials.elements()[s][0] for s in fractions], float)
    weight = np.array([materials.elements()[s][1] for s in fractions])
    mass = np.array(list(fractions.values()))
    electrons = mass / weight * z ** 0.7
    guesses = [rule @ eta_of_element(z, kv, model) / rule.sum()
               for rule in (mass, electrons) for model in ("august-wernisch", "love-scott")]
    return float(np.mean(guesses)), float(np.hypot(np.std(guesses), _ELEMENT_RMS))


def kanaya_okayama_range_um(material, kv):
    """How deep electrons of `kv` keV go, in um (J. Phys. D 5, 43 (1972)); backscattering sees about a third of it."""
    z, a = (sum(c * materials.elements()[s][i] for s, c in material.mass_fractions.items()) for i in (0, 1))
    return 0.0276 * a * kv ** 1.67 / (z ** 0.89 * materials.property_of(material.name, "density").value)


def _august_wernisch(z, kv):
    log = np.log(z)
    c = 0.1904 - 0.2236 * log + 0.1292 * log**2 - 0.01491 * log**3
    return (0.9987 + 2.167e-4 * z) * c * kv ** (0.1382 - 0.9211 / np.sqrt(z))


def _love_scott(z, kv):
    at20 = (-52.3791 + 150.48371 * z - 1.67373 * z**2 + 0.00716 * z**3) * 1e-4
    return at20 * (1 + (-1112.8 + 30.289 * z - 0.15498 * z**2) * 1e-4 * np.log(kv / 20))


def _reuter(z, kv):
    return -0.0254 + 0.016 * z - 1.86e-4 * z**2 + 8.3e-7 * z**3 + 0 * kv


def _pouchou_pichoir(z, kv):
    return 1.75e-3 * z + 0.37 * (1 - np.exp(-0.015 * z**1.3)) + 0 * kv


_MODELS = {"august-wernisch": _august_wernisch, "love-scott": _love_scott, "reuter": _reuter, "pouchou-pichoir": _pouchou_pichoir}
