"""Backscatter coefficients against the measured table, X-ray spectra named, a glass of known composition, X-ray maps of known truth."""

import csv
import pathlib

import numpy as np

import chipmap
from chipmap import eta, materials
from chipmap.score import calibration_error
from chipmap.xray import elements as xray
from chipmap.xray.composition import composition
from chipmap.xray.maps import XrayMaps
from chipmap.xray.objects import measure_objects
from chipmap.xray.place import Placement
from chipmap.xray.spectrum import read_msa

DATA = pathlib.Path(chipmap.__file__).parent / "data"
HOLDS = {"Ag_25kV": "Ag", "Al2O3_20kV": "Al O", "Al_20kV": "Al", "Au_25kV": "Au", "BN_25kV": "B N", "C_25kV": "C", "Fe_20kV": "Fe",
         "Ge_20kV": "Ge", "K412_glass_20kV": "O Mg Al Si Ca Fe", "SiO2_20kV": "Si O", "Si_20kV": "Si", "Ti_20kV": "Ti"}
K412 = {"Mg": 0.116567, "Al": 0.049061, "Si": 0.211982, "Ca": 0.10899, "Fe": 0.077742}  # and oxygen, as the file says
MAPPED = ["Si", "SiO2", "Al", "Ti", "Ge"]  # measured at 20 kV by one detector


def eta_rows():
    with open(DATA / "measured_eta.csv") as file:
        table = list(csv.DictReader(file))
    for kv in (10, 20, 30):
        z, measured = np.array([(int(r["Z"]), float(r[f"{kv} keV"])) for r in table if r[f"{kv} keV"]]).T
        rms = {model: float(np.sqrt(np.mean((eta.eta_of_element(z, kv, model) - measured) ** 2))) for model in
               ("august-wernisch", "love-scott", "reuter", "pouchou-pichoir")}
        others = ", ".join(f"{model} {value:.4f}" for model, value in rms.items() if model != "august-wernisch")
        yield {"what": f"backscatter coefficient at {kv} keV, rms against {len(z)} measured elements", "peer": "other published models", "ours": rms,
               "bar": "0.01 or less", "met": rms["august-wernisch"] <= 0.01, "check": f"{rms['august-wernisch']:.4f}; {others}"}


def spectrum_rows():
    wrong = []
    for name, holds in HOLDS.items():
        spectrum = read_msa(DATA / "spectra" / f"{name}.msa")
        found = set(xray.name_elements(xray.fit(spectrum), spectrum.kv).main)
        if found != set(holds.split()):
            wrong.append(f"{name}: {' '.join(sorted(found))}")
    right = len(HOLDS) - len(wrong)
    yield {"what": "NIST spectra whose elements are named right", "ours": right, "bar": f"{len(HOLDS)} of {len(HOLDS)}", "met": not wrong,
           "check": f"{right} of {len(HOLDS)}" + "".join(f"; {w}" for w in wrong)}
    read = lambda name: read_msa(DATA / "spectra" / f"{name}_20kV.msa")  # noqa: E731
    got = composition(read("K412_glass"), ["O", *K412], [(read(e), {e: 1.0}) for e in ("Al", "Si", "Fe")], oxide=True)
    off = {e: got.share[e] / true - 1 for e, true in K412.items()}
    worst = max(off.values(), key=abs)
    yield {"what": "K412 glass, mass shares of Mg, Al, Si, Ca, Fe, largest relative error", "ours": off, "bar": "10 % or less", "met": abs(worst) <= 0.10,
           "check": f"{worst:+.1%} ({', '.join(f'{e} {v:+.1%}' for e, v in off.items())})"}


def map_rows():
    """Objects named from Poisson draws of the measured spectra, among the whole library; Ti or TiN counts as a set, for nothing parts them."""
    names = [n for n in materials.load() if n not in ("poly-Si", "a-Si", "porous SiCOH")]  # the same elements as another
    for photons in (10, 30, 100, 1000):
        judged = [one for seed in range(3) for one in _mapped(names, photons, seed)]
        right, sure, truly = (np.array(v) for v in zip(*judged))
        wrong = int((~right & (sure > 0.9)).sum())
        error = calibration_error(sure, truly)
        yield {"what": f"spectrum image of five materials, {photons} photons a pixel, 64 pixels an object, among {len(names)}", "objects": len(right),
               "ours": {"right": float(right.mean()), "confident_errors": wrong, "calibration_error": error}, "bar": "95 % right, no error above 0.9",
               "met": bool(right.mean() >= 0.95 and wrong == 0),
               "check": f"{right.mean():.1%} of {len(right)} objects right (Ti and TiN one set), {wrong} errors above 0.9, calibration error {error:.3f}"}


def _mapped(names, photons, seed):
    energy = 10.0 * np.arange(2000)
    found = [read_msa(DATA / "spectra" / f"{n}_20kV.msa") for n in MAPPED]
    rate = np.array([np.interp(energy, s.energy_ev, s.counts) / (s.live_time_s * s.probe_na) for s in found])
    rate *= photons / rate.sum(1).mean()
    rng = np.random.default_rng(seed)
    kinds = np.kron(rng.permutation(np.tile(np.arange(5), 2)).reshape(2, 5), np.ones((10, 10), int))
    cube = np.moveaxis(rng.poisson(rate[kinds]), 2, 0).astype(np.float32)
    labels = np.kron(np.arange(10).reshape(2, 5), np.ones((40, 40), int))
    got = measure_objects(XrayMaps(cube, None, energy, False, 20.0, ""), Placement(4, 4, 0, 0), labels, names)
    weight = np.exp(got.log - got.log.max(1, keepdims=True))
    weight /= weight.sum(1, keepdims=True)
    for k, row in enumerate(weight):
        truth, best = MAPPED[kinds[10 * (k // 5) + 5, 10 * (k % 5) + 5]], names[row.argmax()]
        yield best == truth or {best, truth} == {"Ti", "TiN"}, float(row.max()), best == truth
