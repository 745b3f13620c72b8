"""X-ray maps: read as they are written, laid on the picture, and every object's counts against what each material makes.

Counts are drawn from the measured NIST spectra of Si, SiO2, Al, Ti and Ge, which no model here made.
"""

import json
import pathlib

import numpy as np
import pytest
import tifffile

import chipmap
from chipmap import InputError, drawn, phantom
from chipmap.xray import elements as xray
from chipmap.xray.maps import XrayMaps, counted, line_of, photon, read_xray
from chipmap.xray.objects import measure_objects, pure_pixels
from chipmap.xray.place import Placement, parse_field, place
from chipmap.xray.spectrum import read_msa

SPECTRA = pathlib.Path(chipmap.__file__).parent / "data" / "spectra"
ENERGY = 10.0 * np.arange(2000)
NAMES = ["Si", "SiO2", "Al", "Ti", "Ge"]
CANDIDATES = ["Si", "SiO2", "SiCOH", "Si3N4", "SiGe", "Ge", "Al", "Al2O3", "Ti", "TiN", "W", "Ta", "Cu", "Co", "carbon", "void"]
BLOCKS = np.array([[0, 1, 2], [3, 4, 0], [1, 2, 3]])
LINES = [("Si", "K"), ("O", "K"), ("Al", "K"), ("Ti", "K"), ("Ge", "L"), ("W", "M"), ("Cu", "K"), ("N", "K")]


def spectra(per_pixel):
    """(5, N) expected counts a pixel, `per_pixel` on average, in the ratio in which the five were measured."""
    found = [read_msa(SPECTRA / f"{n}_20kV.msa") for n in NAMES]
    rate = np.array([np.interp(ENERGY, s.energy_ev, s.counts) / (s.live_time_s * s.probe_na) for s in found])
    return rate * per_pixel / rate.sum(1).mean()


def cube(per_pixel, seed=0):
    """(N, 30, 30) photons of a map over nine blocks, and the blocks as objects on a picture of 120 x 120."""
    labels = np.kron(BLOCKS, np.ones((10, 10), int))
    counts = np.random.default_rng(seed).poisson(spectra(per_pixel)[labels])
    return np.moveaxis(counts, 2, 0).astype(np.float32), np.kron(np.arange(9).reshape(3, 3), np.ones((40, 40), int))


def windows(counts):
    lines = [next(f for f in xray.families() if (f.element, f.shell) == line) for line in LINES]
    return np.stack([counts[np.abs(ENERGY - f.main) <= 2.3548 * xray.width_ev(f.main)].sum(0) for f in lines]), lines


def judged(evidence):
    weight = np.exp(evidence.log - evidence.log.max(1, keepdims=True))
    weight /= weight.sum(1, keepdims=True)
    return [(NAMES[BLOCKS.ravel()[k]], CANDIDATES[weight[k].argmax()], float(weight[k].max()), dict(zip(CANDIDATES, weight[k]))) for k in range(9)]


@pytest.mark.parametrize("per_pixel", [20, 100, 1000])
@pytest.mark.parametrize("seed", [0, 1])
def test_measured_spectra_name_their_materials(per_pixel, seed):
    """Ti and TiN stay a set: an edge stands in the Ti L lines, which lie over N K, so their shape is not known."""
    counts, objects = cube(per_pixel, seed)
    got = measure_objects(XrayMaps(counts, None, ENERGY, False, 20.0, ""), Placement(4, 4, 0, 0), objects, CANDIDATES)
    for truth, best, _, posterior in judged(got):
        assert best == truth or (truth == "Ti" and best == "TiN")
        if truth == "Ti":
            assert posterior["TiN"] > 0.05 and posterior["Ti"] > 0.05
    assert (got.pixels >= 64).all()


@pytest.mark.parametrize("scaled", [False, True])
def test_element_maps_name_their_materials(scaled):
    """Also where every map was brightened by itself, and the scales are found from the objects."""
    counts, objects = cube(300)
    maps, lines = windows(counts)
    got = measure_objects(XrayMaps(maps, lines, None, scaled, 20.0, ""), Placement(4, 4, 0, 0), objects, CANDIDATES)
    for truth, best, sure, posterior in judged(got):
        assert best == truth or (truth == "Ti" and best == "TiN"), (truth, best)
        assert truth != "Ti" or sure < 0.9
        assert posterior[truth] > 0.2


def test_composition_with_errors_by_counting():
    counts, objects = cube(200)
    got = measure_objects(XrayMaps(counts, None, ENERGY, False, 20.0, ""), Placement(4, 4, 0, 0), objects, CANDIDATES)
    oxide = got.of(1)["composition"]
    assert oxide["O"]["mass_share"] == pytest.approx(0.533, abs=2 * oxide["O"]["standard_uncertainty"])
    assert 0 < oxide["O"]["counting_error"] < oxide["O"]["standard_uncertainty"]
    assert got.of(0)["composition"]["Si"]["mass_share"] > 0.9
    # five times the photons, less than half the counting error
    more = measure_objects(XrayMaps(5 * counts, None, ENERGY, False, 20.0, ""), Placement(4, 4, 0, 0), objects, CANDIDATES)
    assert more.of(1)["composition"]["O"]["counting_error"] < 0.5 * oxide["O"]["counting_error"]


def test_silicon_and_tungsten_in_narrow_windows_are_said_to_overlap():
    counts, objects = cube(300)
    maps, lines = windows(counts)
    use = [i for i, f in enumerate(lines) if f.element in ("Si", "W", "Al")]
    got = measure_objects(XrayMaps(maps[use], [lines[i] for i in use], None, False, 20.0, ""), Placement(4, 4, 0, 0), objects, ["Si", "W", "Al"])
    assert ["Si", "W"] in got.of(0)["not_told_apart"] and ["Si", "W"] not in got.of(2)["not_told_apart"]


def test_an_object_without_pure_map_pixels_gives_no_evidence():
    objects = np.zeros((60, 60), int)
    objects[:, 30:33] = 1
    home = pure_pixels((15, 15), Placement(4, 4, 0, 0), objects)
    assert not (home == 1).any() and (home[:, 0] == 0).all()
    counts = np.random.default_rng(0).poisson(5, (1, 15, 15)).astype(np.float32)
    got = measure_objects(XrayMaps(counts, [line_of("Si")], None, False, 20.0, ""), Placement(4, 4, 0, 0), objects, ["Si", "Al"])
    assert got.of(1) == {} and not got.log[1].any() and got.of(0)["map_pixels"] > 50


@pytest.mark.parametrize("name, line", [("Cu", ("Cu", "K")), ("AgL", ("Ag", "L")), ("Map 3 - Si Ka", ("Si", "K")), ("C_K", ("C", "K")), ("Ti Kα1", ("Ti", "K")),
                                        ("W", ("W", "L")), ("Ta M", ("Ta", "M")), ("O_Ka1_2", ("O", "K")), ("overview", None)])
def test_names_of_maps(name, line):
    found = line_of(name, 20)
    assert (found and (found.element, found.shell)) == line


@pytest.mark.parametrize("mean", [0.3, 3])
def test_brightness_of_one_photon(mean):
    counts = np.random.default_rng(0).poisson(mean, (120, 100)).astype(float)
    assert photon(counts) == pytest.approx(1, rel=0.35)
    assert photon(17 * counts, np.zeros(counts.shape, int)) == pytest.approx(17, rel=0.12)  # an object is told: no trimming
    assert photon(17 * counts) == pytest.approx(17, rel=0.35)
    assert photon(np.kron(counts, np.ones((2, 2)))) == pytest.approx(4, rel=0.35)  # enlarged: each photon fills four pixels
    assert np.isnan(photon(np.zeros((40, 40))))


def test_a_folder_of_maps(tmp_path):
    rng = np.random.default_rng(0)
    for name, mean in (("Si K", 3.0), ("Cu", 1.0)):
        tifffile.imwrite(tmp_path / f"{name}.tif", rng.poisson(mean, (100, 120)).astype(np.uint16))
    one = np.zeros((100, 120), int)
    got = counted(read_xray(tmp_path, 20), one)
    assert got.scaled is False and [(f.element, f.shell) for f in got.lines] == [("Cu", "K"), ("Si", "K")] and got.counts.shape == (2, 100, 120)
    tifffile.imwrite(tmp_path / "O.tif", (20 * rng.poisson(2.0, (100, 120))).astype(np.uint8))
    got = counted(read_xray(tmp_path, 20), one)
    assert got.scaled and "scaled by itself" in got.notes[0] and got.counts[1].mean() == pytest.approx(2, rel=0.3)


@pytest.mark.parametrize("files, says", [
    ({}, "no map"), ({"overview.tif": np.ones((8, 8), np.uint8)}, "no element in the name of overview.tif"),
    ({"Si.tif": np.ones((8, 8), np.uint8), "Cu.tif": np.ones((8, 9), np.uint8)}, "different sizes"),
    ({"Si.tif": np.ones((8, 8), np.uint8), "SiK.tif": np.ones((8, 8), np.uint8)}, "two maps are of Si K"),
    ({"Si.tif": -np.ones((8, 8), np.float32)}, "no map of counts")])
def test_bad_folders_get_a_sentence(tmp_path, files, says):
    for name, pixels in files.items():
        tifffile.imwrite(tmp_path / name, pixels)
    with pytest.raises(InputError, match=says):
        read_xray(tmp_path, 20)


def test_ripple(tmp_path):
    counts = np.random.default_rng(0).poisson(2, (5, 6, 32)).astype(">u2")
    counts.tofile(tmp_path / "a.raw")
    text = "key value\nwidth 6\nheight 5\ndepth 32\noffset 0\ndata-length 2\ndata-type unsigned\nbyte-order big-endian\nrecord-by vector\nev-per-chan 10\n"
    (tmp_path / "a.rpl").write_text(text)
    got = read_xray(tmp_path / "a.rpl", 15)
    np.testing.assert_array_equal(got.counts, np.moveaxis(counts, 2, 0))
    assert got.kv == 15 and got.energy_ev[3] == 30
    (tmp_path / "a.rpl").write_text(text.replace("depth 32", "depth 33"))
    with pytest.raises(InputError, match="6 x 5 x 33"):
        read_xray(tmp_path / "a.rpl")
    (tmp_path / "a.rpl").write_text("nonsense")
    with pytest.raises(InputError, match="no Ripple header"):
        read_xray(tmp_path / "a.rpl")
    with pytest.raises(InputError, match="folder of element maps"):
        read_xray(tmp_path / "a.raw")


def test_velox_streams(tmp_path):
    """Channel after channel, 65535 where the beam steps on; the pixels of two frames add up."""
    h5py = pytest.importorskip("h5py")
    facts = {"Optics": {"AccelerationVoltage": "200000"}, "Detectors": {"0": {"DetectorName": "A", "Dispersion": "10", "OffsetEnergy": "-100"}},
             "Scan": {"ScanSize": {"width": "8", "height": "8"}, "ScanArea": {"left": "0.25", "top": "0", "right": "0.5", "bottom": "0.25"}}}
    end = 65535
    with h5py.File(tmp_path / "a.emd", "w") as file:
        group = file.create_group("Data/SpectrumStream/x")
        group["Data"] = np.array([3, 3, end, end, 7, end, end, 3, end, end, end, 5], np.uint16)[:, None]
        group["Metadata"] = np.frombuffer(json.dumps(facts).encode().ljust(900, b"\0"), np.uint8)[:, None]
        group["AcquisitionSettings"] = np.array([json.dumps({"bincount": "16", "StreamEncoding": "uint16"}).encode()], object)
    got = read_xray(tmp_path / "a.emd")
    assert got.counts.shape == (16, 2, 2) and got.kv == 200 and got.energy_ev[1] == -90
    assert got.counts[3, 0, 0] == 3 and got.counts[7, 1, 0] == 1 and got.counts[5, 1, 1] == 1 and got.counts.sum() == 5
    (tmp_path / "b.emd").write_bytes(b"no")
    with pytest.raises(InputError, match="no readable"):
        read_xray(tmp_path / "b.emd")


def test_maps_are_laid_on_the_picture():
    """A map of another size, stretch and field than the picture comes to lie within 1.5 of its own pixels."""
    drawing = drawn.stack(0.5, 800)
    picture = phantom.take(drawing.labels, drawing.materials, beam=phantom.Beam(dose=100, edge=0.1, streaks=0.02)).image
    sy, sx, top, left = 3.4, 3.05, -6.0, 9.0
    shape = 104, 126
    rows, columns = (np.clip((o + s * (np.arange(n) + 0.5)).astype(int), 0, m - 1) for o, s, n, m in zip((top, left), (sy, sx), shape, picture.shape))
    labels = drawing.labels[rows[:, None], columns[None]]
    maps = np.random.default_rng(0).poisson(2.0 * (labels == np.arange(1, 9)[:, None, None]) + 0.02)
    got = place(maps, picture)
    for y, x in ((26, 32), (26, 95), (78, 32), (78, 95)):
        assert got.top + got.scale_y * y == pytest.approx(top + sy * y, abs=1.5 * sy)
        assert got.left + got.scale_x * x == pytest.approx(left + sx * x, abs=1.5 * sx)
    assert got.mark > 1.1 * got.null


def test_maps_without_likeness_are_refused_and_a_field_can_be_said():
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="--xray-field"):
        place(rng.poisson(1.0, (3, 60, 70)), rng.normal(size=(240, 280)))
    got = parse_field("10, 20, 150,140", (200, 200), (60, 70))
    assert (got.scale_y, got.scale_x, got.top, got.left, got.given) == (2, 2, 20, 10, True)
    for text in ("1,2,3", "0,0,0,5", "300,300,400,400"):
        with pytest.raises(InputError, match="left,top,right,bottom"):
            parse_field(text, (200, 200), (60, 70))
