"""Simulated pictures: chance as it should be, drawings as they are written, segmentation and scores on known truth."""

import json
import pathlib

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner
from scipy import stats

import chipmap
from chipmap import InputError, eta, materials, phantom
from chipmap.__main__ import main
from chipmap.drawn import read_svg, stack
from chipmap.phantom import Beam, poisson, take
from chipmap.score import electrical, mean_iou
from chipmap.segment import segment

LAYER = pathlib.Path(chipmap.__file__).parent / "data" / "metal_layer.svg"
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="10">{}</svg>'


@pytest.mark.parametrize("mean", [0.3, 4.0, 39.9, 40.1, 300.0])
def test_counts_are_poisson(mean):
    """Chi-square of 20,000 counts against SciPy's distribution, both sides of the knee; 1e-4 because chance is fixed."""
    got = poisson(3, np.full(20_000, mean))
    low, high = stats.poisson.ppf([0.002, 0.998], mean)
    edges = np.arange(low, high + 1)
    seen = np.concatenate([[np.sum(got < low)], [np.sum(got == k) for k in edges], [np.sum(got > high)]])
    share = np.concatenate([[stats.poisson.cdf(low - 1, mean)], stats.poisson.pmf(edges, mean), [stats.poisson.sf(high, mean)]])
    keep = share * 20_000 > 5
    seen, share = np.append(seen[keep], seen[~keep].sum()), np.append(share[keep], share[~keep].sum())
    if share[-1] < 1e-9:
        seen, share = seen[:-1], share[:-1]
    assert stats.chisquare(seen, share / share.sum() * seen.sum()).pvalue > 1e-4


def test_chance_is_a_function_of_the_seed():
    drawing = stack(width=200)
    first, again, other = (take(drawing.labels, drawing.materials, beam=Beam(streaks=0.1, drift_px=3, seed=s)).image for s in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.5
    np.testing.assert_array_equal(poisson(1, np.full(50_000, 9.0))[:100], poisson(1, np.full(100, 9.0)))


def test_grey_of_a_flat_area_by_hand():
    """Mean offset + gain eta, variance gain^2 eta / (dose collection) + readout^2."""
    beam = Beam(dose=200, collection=0.5, gain=1000, offset=50, readout=3, blur_px=0)
    grey = take(np.zeros((300, 300), int), ["Cu"], beam=beam).image.astype(float)
    expected = eta.eta_of(materials.find("Cu"), 20)[0]
    variance = 1000**2 * expected / 100 + 9
    assert grey.mean() == pytest.approx(50 + 1000 * expected, abs=5 * np.sqrt(variance / grey.size))
    assert grey.var() == pytest.approx(variance, rel=5 * np.sqrt(2 / grey.size) + 1e-3)


def half(width=64, height=200):
    return np.repeat(np.arange(2), width // 2)[None].repeat(height, 0)


def test_each_disturbance_does_what_it_says():
    bright = dict(dose=1e7, readout=0, offset=0, gain=1, yields=[0.1, 0.3])
    see = lambda labels=None, **settings: take(half() if labels is None else labels, ["SiO2", "Cu"], yields=bright["yields"],  # noqa: E731
                                                beam=Beam(**{k: v for k, v in bright.items() if k != "yields"}, **settings)).image
    plain = see(blur_px=0)
    np.testing.assert_allclose(plain.mean(0), np.repeat([0.1, 0.3], 32), rtol=1e-3)
    profile = see(blur_px=3).mean(0)  # the error function of the beam's width
    np.testing.assert_allclose(profile, 0.1 + 0.2 * stats.norm.cdf((np.arange(64) + 0.5 - 32) / 3), atol=2e-3)
    rim = see(blur_px=0, edge=0.5, edge_px=2.0).mean(0)
    np.testing.assert_allclose(rim[32:], 0.3 * (1 + 0.5 * np.exp(-np.arange(32) / 2)), rtol=3e-3)
    np.testing.assert_allclose(rim[:32], 0.1, rtol=3e-3)
    streaky = see(np.zeros((400, 256), int), blur_px=0, streaks=0.2) / 0.1 - 1
    assert streaky[:, -1].std() == pytest.approx(0.2, rel=0.15) and streaky[:, 0].std() < 0.05
    assert np.abs(see(1 + np.zeros((40, 64), int), blur_px=0, streaks=0.2) / 0.3 - 1).max() < 0.01  # a conductor does not charge
    curtained = see(np.zeros((50, 400), int), blur_px=0, curtain=0.1) / 0.1
    assert curtained.mean(0).std() == pytest.approx(0.1, rel=0.2) and curtained.std(0).max() < 0.01


def test_drift_moves_the_truth_with_the_picture():
    labels = half()
    moved = take(labels, ["SiO2", "Cu"], beam=Beam(dose=1e6, blur_px=0, drift_px=8))
    edge = moved.labels.argmax(1)
    assert edge.min() < 32 - 4 or edge.max() > 32 + 4
    assert np.abs(edge - 32).max() <= 8 and np.abs(np.diff(edge)).max() <= 2
    middle = moved.image.min() / 2 + moved.image.max() / 2
    np.testing.assert_array_equal((moved.image > middle).argmax(1), edge)


def test_svg_by_hand(tmp_path):
    path = tmp_path / "a.svg"
    path.write_text(SVG.format('<path d="M2,1 L12,1 L12,4 L2,4 Z" fill="lime"/><path d="M0,6 L20,6 L20,9 L0,9 Z" fill="blue"/>'
                               '<circle cx="5" cy="2.5" r="1" fill="red"/>'))
    drawing = read_svg(path, scale=2, pixel_size_m=10e-9)
    assert drawing.labels.shape == (20, 40) and drawing.pixel_size_m == (5e-9, 5e-9)
    metal = drawing.labels > 0
    assert metal.sum() == 20 * 6 and metal[2:8, 4:24].all()
    via = drawing.labels == 2
    assert via[5, 10] and 10 <= via.sum() <= 14  # a disc of radius 2 pixels holds 12.6


@pytest.mark.parametrize("text, says", [
    ("<svg", "is no SVG"), ("<html/>", "no SVG but <html>"), (SVG.format(""), "no track"),
    (SVG.format('<path d="M1,1 C2,2 3,3 4,4 Z" fill="lime"/>'), "flatten curves"),
    (SVG.format('<path d="M1,1 L2 Z" fill="lime"/>'), "no pairs"), (SVG.format('<path d="M1,1 L2,2 Z" fill="lime"/>'), "three corners"),
    (SVG.format('<circle fill="red"/>'), "lacks cx"), (SVG.replace("20", "20mm").format(""), "plain numbers"),
])
def test_bad_drawings_are_refused(tmp_path, text, says):
    path = tmp_path / "a.svg"
    path.write_text(text)
    with pytest.raises(InputError, match=says):
        read_svg(path)


@pytest.mark.parametrize("labels, names, beam, says", [
    (np.zeros((3, 9), int), ["Cu"], Beam(), "4 x 4"), (np.ones((9, 9), int), ["Cu"], Beam(), "number them from 0"),
    (np.zeros((9, 9), int), ["Cu"], Beam(dose=0), "dose 0"), (np.zeros((9, 9), int), ["Cu"], Beam(blur_px=float("nan")), "blur_px"),
    (np.zeros((9, 9), int), ["Cu"], Beam(kv=1), "5-40"), (np.zeros((9, 9), int), ["Cu"], Beam(collection=2), "share"),
])
def test_bad_settings_are_refused(labels, names, beam, says):
    with pytest.raises(InputError, match=says):
        take(labels, names, beam=beam)


def test_stack_holds_what_it_says():
    drawing = stack(scale=0.5, width=400)
    assert drawing.labels.shape == (350, 200) and drawing.pixel_size_m == (2e-9, 2e-9)
    assert set(np.unique(drawing.labels)) == set(range(9))
    assert {"Si", "SiO2", "SiCOH", "Cu", "Ta", "Co", "W", "SiGe", "TiN"} == set(drawing.materials)
    cu, ta, lowk = (drawing.materials.index(n) for n in ("Cu", "Ta", "SiCOH"))
    beside = {frozenset(p) for p in zip(drawing.labels[:, 1:].ravel().tolist(), drawing.labels[:, :-1].ravel().tolist())}
    assert frozenset((cu, ta)) in beside and frozenset((cu, lowk)) not in beside  # the liner is whole


def test_tracks_of_a_real_layer_are_found_at_a_hundred_electrons():
    drawing = read_svg(LAYER, scale=0.5)
    seen = take(drawing.labels[:900, :1000], drawing.materials, beam=Beam(dose=100, blur_px=1.5, edge=0.2, streaks=0.1, drift_px=4, background=0.1))
    truth, found = seen.labels > 0, segment(seen.image, 2).labels > 0
    score = electrical(found, truth, least=9, border=18)
    assert score.tracks > 60 and score.rate <= 0.02  # one error of the 70 or so; the bar of 1 % is for six whole layouts
    assert mean_iou(found.astype(int), truth.astype(int), 2) > 0.93


def test_the_command_writes_a_picture_with_its_truth(tmp_path):
    out = tmp_path / "out"
    done = CliRunner().invoke(main, ["phantom", "stack", "-o", str(out), "--scale", "0.5", "--dose", "50", "--seed", "4"])
    assert done.exit_code == 0, done.output
    truth, grey = tifffile.imread(out / "truth.ome.tif"), tifffile.imread(out / "picture.ome.tif")
    facts = json.loads((out / "phantom.json").read_text())
    assert facts["beam"]["dose"] == 50 and truth.shape == grey.shape == (350, 600) and grey.dtype == np.uint16
    mean = np.array([grey[truth == m].mean() for m in range(len(facts["materials"]))])
    assert np.corrcoef(mean, facts["yields"])[0, 1] > 0.99
    again = phantom.run("stack", tmp_path / "again", 0.5, say=lambda line: None, dose=50, seed=4)
    np.testing.assert_array_equal(np.clip(np.rint(again.image), 0, 65535), grey)
    done = CliRunner().invoke(main, ["phantom", str(tmp_path / "no.svg"), "-o", str(tmp_path / "b")])
    assert done.exit_code == 2 and "can't be read" in done.output and not (tmp_path / "b").exists()
