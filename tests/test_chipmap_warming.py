"""Junction, pulse, effective stiffness and the stated memory, as `chipmap run` gives them."""

import tracemalloc
from contextlib import nullcontext

import numpy as np
import pytest

from chipmap import InputError, memory
from chipmap.memory import needs
from chipmap.problems import Boundaries, chosen, solve_all
from chipmap.properties import Library, Sample
from chipmap.warming import junction, parse_time, pulse

DX, NX, NY = 20e-9, 50, 4
K, CAPACITY = 400.0, 3.45e6


def bar():
    """Copper, 1 um long, in two halves: objects 0 and 1."""
    objects = np.zeros((NY, NX), int)
    objects[:, NX // 2:] = 1
    return Sample(objects, np.zeros(2, int), [["Cu"]], np.ones(2), (DX, DX), Library([f"Cu.thermal_conductivity={K}"]))


def test_junction_of_a_bar():
    answer = junction(bar(), "0,1", "left", "")
    told, width = answer.facts["thermal_resistance"], NY * DX
    assert told["lower"] == told["value"] == pytest.approx(NX * DX / (3 * K * width), rel=1e-3)
    assert told["lower"] < NX * DX / (3 * K * width) < told["upper"]
    assert answer.facts["peak"]["value"] == pytest.approx(NX * DX / (2 * K * width), rel=1e-6)
    one = junction(bar(), "1", "", "left=1e6").facts["thermal_resistance"]
    length = NX * DX
    exact = 1 / (1e6 * width) + (length / 2 + length / 6) / (K * width)
    assert one["lower"] < exact < one["upper"] < 1.001 * exact and one["value"] == pytest.approx(1 / (1e6 * width) + (length / 2 + length / 6) / (K * width), rel=1e-3)


def test_sigma_of_a_junction_is_what_moved_edges_do():
    """A heater over copper over oxide: the edge below the copper one pixel down, solved again, against the first order."""
    from scipy.ndimage import gaussian_filter

    from chipmap.uncertainty import measure
    def stack(at):
        objects = np.zeros((40, 30), int)
        objects[10:at], objects[at:] = 1, 2
        return objects
    phase, levels = np.array([1, 1, 0]), np.array([60.0, 160.0])
    grey = gaussian_filter(levels[phase][stack(25)], 1.0) + 5 * np.random.default_rng(0).standard_normal((40, 30))
    seen = measure(grey, stack(25), phase, levels, 5.0, (DX, DX))
    facts = [junction(Sample(stack(at), phase, [["SiO2"], ["Cu"]], np.ones(3), (DX, DX), Library(), None, seen if at == 25 else None), "0", "bottom", "")
             .facts for at in (25, 26)]
    own = seen.edges.row == 24
    for name in ("thermal_resistance", "peak"):
        found = [told[name] for told in facts]
        slope = found[1]["value"] - found[0]["value"]                             # for one pixel of the whole edge
        assert found[0]["sigma"] == pytest.approx(abs(slope) * seen.seen.doubt(own / own.sum()), rel=0.05), name
        assert found[1]["sigma"] is None and "grey values" in found[1]["why_no_sigma"]


def test_pulse_of_a_bar_is_the_series():
    """Carslaw and Jaeger 3.4: held at one end, heated evenly."""
    scale = (NX * DX)**2 * CAPACITY / K
    watts, on = 3.0, 0.4 * scale
    answer = pulse(bar(), "0,1", "left", "", watts, f"{on:.12g}s")
    n = 2 * np.arange(400) + 1
    per_volume = watts / (NX * NY * DX * DX)
    at_end = per_volume * (NX * DX)**2 / (2 * K) * (1 - (32 / np.pi**3 * (-1.0)**(n // 2) / n**3 * np.exp(-(n * np.pi / 2)**2 * 0.4)).sum())
    assert answer.facts["highest_temperature_rise"]["value"] == pytest.approx(at_end, rel=3e-3)
    assert answer.facts["highest_temperature_rise"]["at_s"] == pytest.approx(on, rel=0.05)
    table = answer.tables["transient.csv"]
    assert len(table["time_s"]) == 10 and table["time_s"][-1] == pytest.approx(2 * on)
    assert np.argmax(table["mean_rise_of_heater_k"]) == 4                         # the end of the pulse
    assert answer.points["pulse_rise_k"].max() == pytest.approx(at_end, rel=3e-3)


def test_all_means_five_and_more_can_be_named():
    assert chosen("all") == ("heat", "current", "charge", "stress", "coupled")
    assert chosen("transient, all")[-1] == "transient" and chosen("stiffness") == ("stiffness",)


@pytest.mark.parametrize("how, words", [
    (dict(heater=None), "needs a heater"), (dict(heater="7"), "heater '7' is no object"), (dict(cold="back"), "cold sides 'back'"),
    (dict(cold=""), "no way out"), (dict(film="top"), "film 'top' can't be read"), (dict(film="top=-1"), "can't be read"),
    (dict(pulse="5"), "pulse '5' is not a time"), (dict(pulse="-5ns"), "not a time"), (dict(until="5 parsec"), "end '5 parsec' is not a time"),
    (dict(power=np.nan), "power nan")])
def test_what_cannot_be_used(how, words):
    boundaries = Boundaries(**dict(heater="0", cold="left") | how)
    with pytest.raises(InputError, match=words):
        solve_all(("transient",), bar(), boundaries, nullcontext, lambda line: None)


def test_a_time_has_a_unit():
    assert [parse_time(text, "pulse") for text in ("5ns", " 2.5 us ")] == pytest.approx([5e-9, 2.5e-6])


def blocks(n=160):
    """Oxide and copper in blocks of 8 pixels, no part of which is alike."""
    from cukernels.components import pieces
    phases = np.kron(np.random.default_rng(0).integers(0, 2, (n // 8, n // 8)), np.ones((8, 8), np.int32)).astype(np.int32)
    phases[n // 2 - 6:n // 2 + 6] = phases[n // 4 - 6:n // 4 + 6] = 1
    phases[n // 4 + 6:n // 4 + 9] = 0
    objects = pieces(phases, background=None)[0] - 1
    phase = np.zeros(objects.max() + 1, int)
    phase[objects.ravel()] = phases.ravel()
    return Sample(objects, phase, [["SiO2"], ["Cu"]], np.full(len(phase), 16e-9), (2e-9, 2e-9))


def test_memory_of_all_physics_holds_the_results_too():
    names = ("heat", "current", "charge", "stress", "coupled")
    sample, quiet = blocks(), (lambda step: nullcontext(), lambda line: None)
    solve_all(names, blocks(64), Boundaries(), *quiet)
    tracemalloc.start()
    answers = solve_all(names, sample, Boundaries(), *quiet)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(answers) == 5 and kept < sum(memory.KEPT[name] for name in names) * (160 + 16) ** 2
    assert 0.7 * needs(names, sample.objects.shape, Boundaries()) < peak < needs(names, sample.objects.shape, Boundaries())


@pytest.mark.parametrize("name", ["heat", "current", "charge", "stress", "coupled", "junction", pytest.param("transient", marks=pytest.mark.slow), "stiffness"])
def test_memory_stays_below_what_is_stated(name):
    boundaries, said = Boundaries(heater="0"), []
    solve_all((name,), blocks(32 if name == "transient" else 64), boundaries, lambda step: nullcontext(), said.append)         # compiled and imported
    sample = blocks(96 if name == "transient" else 160)                             # hundreds of steps
    tracemalloc.start()
    answers = solve_all((name,), sample, boundaries, lambda step: nullcontext(), said.append)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert answers[name].facts.get("note") is None
    assert 0.5 * needs((name,), sample.objects.shape, boundaries) < peak < needs((name,), sample.objects.shape, boundaries)
    assert said[0].startswith("memory for the solves: at most")
    if name == "stiffness":
        c = np.array(answers[name].facts["stiffness"]["value"])
        assert np.abs(c - c.T).max() < 1e-6 * c.max() and 70e9 < c[0, 0] < 200e9 and answers[name].facts["expansion"]["value"][0] > 0


def test_uniform_conditions_enclose_the_periodic_tensors():
    """`--uniform`: flux, periodic, gradient in this order, for heat and stiffness; an insulator on a side is told."""
    objects = np.kron(np.arange(36).reshape(6, 6) * 7 % 5 % 2, np.ones((4, 4), int))
    sample = Sample(objects, np.array([0, 1]), [["SiO2"], ["Cu"]], np.ones(2), (DX, DX), Library())
    answers = solve_all(("heat", "current", "stiffness"), sample, Boundaries(uniform=True), lambda name: nullcontext())
    heat, told = answers["heat"].facts["tensor"], answers["heat"].facts["tensor_uniform"]
    periodic = np.array([[heat["xx"], heat["xy"]], [heat["xy"], heat["yy"]]])
    for softer, stiffer in ((told["flux"]["value"], periodic), (periodic, told["gradient"]["value"])):
        assert np.linalg.eigvalsh(np.array(stiffer) - softer)[0] > 0
    stiff, told = np.array(answers["stiffness"].facts["stiffness"]["value"]), answers["stiffness"].facts["stiffness_uniform"]
    assert np.linalg.eigvalsh(stiff - told["traction"]["value"])[0] > 0 and np.linalg.eigvalsh(np.array(told["displacement"]["value"]) - stiff)[0] > 0
    if answers["current"].facts.get("tensor_uniform"):
        assert "insulating pixels" in answers["current"].facts["tensor_uniform"]["flux"]["why_none"]


@pytest.mark.parametrize("name", ["heat", "current", "charge", "coupled", "junction"])
def test_memory_stays_below_what_is_stated_in_the_hardest_pictures(monkeypatch, name):
    for limit, value in (("_HIGH", 0), ("_HIGH_BETWEEN", 0), ("_HIGHEST", 0), ("_MANY", -1), ("_MORE", -1), ("_MOST", -1)):
        monkeypatch.setattr(f"cukernels.multigrid.{limit}", value)              # links choose the coarse nodes whatever the picture
    boundaries, quiet = Boundaries(heater="0"), (lambda step: nullcontext(), lambda line: None)
    solve_all((name,), blocks(64), boundaries, *quiet)
    sample = blocks(160)
    tracemalloc.start()
    solve_all((name,), sample, boundaries, *quiet)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0.5 * needs((name,), sample.objects.shape, boundaries, True) < peak < needs((name,), sample.objects.shape, boundaries, True)


def test_pictures_of_small_pieces_are_told():
    def told(size):
        phases = np.random.default_rng(0).integers(0, 2, (96 // size, 96 // size)).repeat(size, 0).repeat(size, 1)
        return memory.fine(Sample(phases.astype(np.int32), np.array([0, 1]), [["SiO2"], ["Cu"]], np.full(2, 1e-8), (2e-9, 2e-9)))
    assert [told(size) for size in (1, 3, 16, 96)] == [True, True, True, False]
