"""X-ray spectra: files as they are written, lines on backgrounds by hand, and the NIST spectra named."""

import json
import pathlib

import numpy as np
import pytest

import chipmap
from chipmap import InputError, materials
from chipmap.xray import elements as xray
from chipmap.xray.spectrum import Spectrum, read_emd, read_msa

SPECTRA = pathlib.Path(chipmap.__file__).parent / "data" / "spectra"
HOLDS = {"Ag_25kV": "Ag", "Al2O3_20kV": "Al O", "Al_20kV": "Al", "Au_25kV": "Au", "BN_25kV": "B N", "C_25kV": "C", "Fe_20kV": "Fe",
         "Ge_20kV": "Ge", "K412_glass_20kV": "O Mg Al Si Ca Fe", "SiO2_20kV": "Si O", "Si_20kV": "Si", "Ti_20kV": "Ti"}
ENERGY = 10.0 * np.arange(2048)


def drawn(contents, kv=20.0, seed=0, shift=0.0, level=300.0):
    """A spectrum of {(element, shell): counts} on a falling background, with Poisson noise."""
    mean = level * np.exp(-ENERGY / 6000)
    for f in xray.families():
        if (f.element, f.shell) in contents:
            for e, share in zip(f.energy, f.share):
                w = xray.width_ev(e)
                mean = mean + 10 * contents[f.element, f.shell] * share * np.exp(-0.5 * ((ENERGY - e - shift) / w) ** 2) / (w * np.sqrt(2 * np.pi))
    return Spectrum(np.random.default_rng(seed).poisson(mean).astype(float), ENERGY, kv)


@pytest.mark.parametrize("name", sorted(HOLDS))
def test_nist_spectra_are_named_right(name):
    """The bar: every element of the specimen, and no other, is a main element; carbon is their conductive coating."""
    spectrum = read_msa(SPECTRA / f"{name}.msa")
    named = xray.name_elements(xray.fit(spectrum), spectrum.kv)
    assert set(named.main) == set(HOLDS[name].split())
    assert sum(named.main.values()) <= 1 + 1e-9


def test_msa_headers_are_read():
    spectrum = read_msa(SPECTRA / "K412_glass_20kV.msa")
    assert (spectrum.kv, spectrum.take_off_deg, spectrum.live_time_s, spectrum.probe_na) == (20, 35, 235.48403, 1.11355)
    assert len(spectrum.counts) == 4096 and spectrum.counts.sum() == 8079537
    np.testing.assert_allclose(spectrum.energy_ev[:2], [1.63032, 1.63032 + 9.99856])


def test_lines_of_the_table_by_hand():
    lines = {(f.element, f.shell): f for f in xray.families()}
    for key, energy in {("Si", "K"): 1740, ("Cu", "K"): 8048, ("Cu", "L"): 930, ("Ta", "M"): 1710, ("W", "M"): 1775, ("Ti", "K"): 4510,
                        ("Au", "M"): 2121, ("N", "K"): 392}.items():
        assert lines[key].main == pytest.approx(energy, abs=12)  # the tables differ by so much for M lines
    assert all(f.share.sum() == pytest.approx(1) for f in lines.values())
    assert {f.element for f in lines.values()} == set(materials.elements()) - {"H"}


@pytest.mark.parametrize("shift", [0, 6])
def test_counts_come_back_within_their_errors(shift):
    """Even where the file's energy scale is off by 6 eV; 5 % for what the background takes from a peak's feet."""
    put = {("Si", "K"): 40_000, ("O", "K"): 15_000, ("Cu", "K"): 30_000, ("Cu", "L"): 20_000}
    peaks = xray.fit(drawn(put, shift=shift), {"Si", "O", "Cu"})
    for f, counts, error in zip(peaks.families, peaks.counts, peaks.error):
        assert counts == pytest.approx(put[f.element, f.shell], abs=4 * error + 0.05 * put[f.element, f.shell])
        assert error > 0.9 * np.sqrt(put[f.element, f.shell])


def test_silicon_over_tungsten_is_an_overlap_and_doubt():
    alone = xray.fit(drawn({("Si", "K"): 20_000}), {"Si", "O"})
    both = xray.fit(drawn({("Si", "K"): 20_000, ("W", "M"): 20_000}), {"Si", "Ta", "W", "O"})
    error = lambda peaks: dict(zip([f.element + f.shell for f in peaks.families], peaks.error))["SiK"]  # noqa: E731
    assert error(both) > 2 * error(alone)
    assert {frozenset((a.element, b.element)) for a, b in both.overlaps} & {frozenset("Si W".split()), frozenset("Ta Si".split())}


def test_what_a_strong_element_covers_is_said_not_named():
    named = xray.name_elements(xray.fit(drawn({("Ti", "K"): 200_000, ("Ti", "L"): 4_000, ("N", "K"): 3_000})), 20)
    assert list(named.main) == ["Ti"] and "N" in named.hidden


def test_nothing_but_background_holds_nothing():
    named = xray.name_elements(xray.fit(drawn({}, level=3000)), 20)
    assert not named.main


def test_velox_spectra_are_read(tmp_path):
    h5py = pytest.importorskip("h5py")
    facts = {"BinaryResult": {"Detector": "B"}, "Optics": {"AccelerationVoltage": "200000"}, "Detectors": {
        "0": {"DetectorName": "A", "Dispersion": "10", "OffsetEnergy": "0"},
        "1": {"DetectorName": "B", "Dispersion": "5", "OffsetEnergy": "-250", "LiveTime": "12.5", "ElevationAngle": "0.3141592653589793"}}}
    with h5py.File(tmp_path / "a.emd", "w") as file:
        group = file.create_group("Data/Spectrum/x")
        group["Data"] = np.arange(8, dtype=np.uint32)[:, None]
        group["Metadata"] = np.frombuffer(json.dumps(facts).encode().ljust(2000, b"\0"), np.uint8)[:, None]
    (got,) = read_emd(tmp_path / "a.emd")
    assert (got.kv, got.live_time_s, got.title) == (200, 12.5, "B") and got.take_off_deg == pytest.approx(18)
    np.testing.assert_array_equal(got.energy_ev, -250 + 5.0 * np.arange(8))
    with h5py.File(tmp_path / "b.emd", "w") as file:
        file.create_group("Data/Image")
    with pytest.raises(InputError, match="no stored spectrum"):
        read_emd(tmp_path / "b.emd")
    (tmp_path / "c.emd").write_bytes(b"no")
    with pytest.raises(InputError, match="no readable"):
        read_emd(tmp_path / "c.emd")


def test_msa_in_kev_and_as_pairs(tmp_path):
    path = tmp_path / "a.msa"
    path.write_text("#FORMAT : EMSA/MAS Spectral Data File\n#NPOINTS : 3\n#XUNITS : keV\n#DATATYPE : XY\n#XPERCHAN : 0.01\n#OFFSET : -0.02\n"
                    "#BEAMKV : 5.0\n#SPECTRUM : x\n-0.02, 4\n-0.01, 5\n0.0, 6\n#ENDOFDATA :\n")
    got = read_msa(path)
    np.testing.assert_allclose(got.energy_ev, [-20, -10, 0], atol=1e-9)
    np.testing.assert_array_equal(got.counts, [4, 5, 6])


@pytest.mark.parametrize("change, says", [
    (lambda t: t.replace("EMSA", "XXXX"), "no EMSA"), (lambda t: t.replace("#SPECTRUM", "#SPECTRA"), "no EMSA"),
    (lambda t: t.replace("#NPOINTS     : 4096", "#NPOINTS     : 4097"), "4097 promised"),
    (lambda t: t.replace("#XPERCHAN    : 9.99856", "#XPERCHAN    : none"), "damaged"),
    (lambda t: t.replace("#OFFSET", "#OFFSIDE"), "damaged"),
])
def test_damaged_spectra_are_refused(tmp_path, change, says):
    text = (SPECTRA / "Ag_25kV.msa").read_text()
    (tmp_path / "a.msa").write_text(change(text))
    with pytest.raises(InputError, match=says):
        read_msa(tmp_path / "a.msa")


def test_a_spectrum_without_beam_energy_is_refused():
    with pytest.raises(InputError, match="BEAMKV"):
        xray.fit(Spectrum(np.ones(100), 10.0 * np.arange(100)))
    with pytest.raises(InputError, match="can't be read"):
        read_msa(SPECTRA / "none.msa")
