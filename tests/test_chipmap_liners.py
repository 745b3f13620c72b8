"""Liners thinner than two pixels: drawn with known thickness, blur and noise, they come back with honest doubt, from the
profile alone and from the picture through phases, objects and courses."""

import numpy as np
import pytest
import shapely
from cukernels.filters import noise_of
from scipy.ndimage import gaussian_filter
from scipy.special import ndtr

from chipmap import InputError
from chipmap.comparison.cover import cover
from chipmap.identify import identify
from chipmap.measure.course import course_of, profile
from chipmap.measure.layerfit import Profile, fit_layers
from chipmap.measure.liners import find_liners, wanted_liner
from chipmap.objects import find_objects
from chipmap.segment import segment

PX = 4.0
LEVELS = 60.0, 160.0, 110.0     # oxide, tantalum, copper


def share(polygons, shape):
    rings = shapely.get_rings(shapely.get_parts(shapely.orient_polygons(shapely.union_all(polygons))))
    xy = [shapely.get_coordinates(r) / PX for r in rings]
    return cover(np.concatenate(xy), np.concatenate([[0], np.cumsum([len(r) for r in xy])]), shape)


def damascene(seed, thick, blur=6.0, snr=5.0, tilt=0.0, shape=(420, 300)):
    """Copper lines in oxide, liner left and right and below, none on top."""
    rng = np.random.default_rng(seed)
    outer, inner = [], []
    for n in range(3):
        x, y, wide = 110 + 390 * n + rng.uniform(0, 8), 100 + rng.uniform(0, 8), 190 + rng.uniform(0, 8)
        outer.append(shapely.box(x, y, x + wide, y + 1400))
        inner.append(shapely.box(x + thick, y, x + wide - thick, y + 1400 - thick))
    turned = [[shapely.affinity.rotate(p, tilt, origin=(600, 800)) for p in part] for part in (outer, inner)]
    whole, copper = (share(part, shape) for part in turned)
    grey = LEVELS[0] + (LEVELS[1] - LEVELS[0]) * (whole - copper) + (LEVELS[2] - LEVELS[0]) * copper
    return gaussian_filter(grey, blur / PX) + (LEVELS[1] - LEVELS[0]) / snr * rng.standard_normal(shape)


def measured(image, **how):
    phases = segment(image, 2)
    named = identify(phases, legend="bright=Cu dark=SiO2", signal="BSE")
    size = (PX * 1e-9, PX * 1e-9)
    objects = find_objects(named.labels, named.names, size)
    return objects, find_liners(image - phases.drift, objects, phases, named, noise_of(image), size, **how)


@pytest.mark.parametrize("thick, blur", [(1.25, 1.5), (3.0, 1.2)])
def test_profiles_and_their_stated_error(thick, blur):
    """Fourteen profiles of one blur, each with its own noise: errors about as large as stated, without bias to speak of."""
    rng = np.random.default_rng(7)
    at = np.arange(-9, 9, 0.5) + 0.25
    profiles = []
    for _ in range(14):
        x = at - rng.uniform(-0.5, 0.5)
        grey = 110 + 50 * ndtr((x + thick / 2) / blur) - 100 * ndtr((x - thick / 2) / blur)
        profiles.append(Profile(at, grey + 1.5 * rng.standard_normal(len(at)), np.full(len(at), 1.5)))
    fits, found, found_sd, groups = fit_layers(profiles, 160.0, groups=[0] * 14)
    error = np.array([fit.thickness for fit in fits]) - thick
    score = error / [fit.thickness_sd for fit in fits]
    print(f"error {error.mean():+.3f} +- {error.std():.3f}, scores {np.sqrt((score ** 2).mean()):.2f}, blur {found:.3f} +- {found_sd:.3f}")
    assert 0.6 < np.sqrt((score ** 2).mean()) < 1.5
    assert found == pytest.approx(blur, abs=4 * found_sd + 0.01)
    assert groups[0].thickness == pytest.approx(thick, abs=4 * groups[0].thickness_sd) and groups[0].seen
    # a level that is itself in doubt: an error of the level is about an equal relative error of the thickness
    unsure = fit_layers(profiles, 160.0, 8.0, groups=[0] * 14)[3][0]
    assert unsure.thickness_sd > 1.5 * groups[0].thickness_sd


def test_a_plain_edge_has_no_liner():
    rng = np.random.default_rng(3)
    at = np.arange(-9, 9, 0.5) + 0.25
    profiles = [Profile(at, 110 - 50 * ndtr(at / 1.5) + 1.5 * rng.standard_normal(len(at)), np.full(len(at), 1.5)) for _ in range(8)]
    fits = fit_layers(profiles, 160.0)[0]
    assert sum(fit.seen for fit in fits) == 0
    assert all(fit.most < 3 for fit in fits)


def test_a_wide_layer_needs_no_level():
    rng = np.random.default_rng(4)
    at = np.arange(-14, 14, 0.5) + 0.25
    grey = 110 + 50 * ndtr((at + 3) / 1.2) - 100 * ndtr((at - 3) / 1.2)
    fit = fit_layers([Profile(at, grey + rng.standard_normal(len(at)), np.ones(len(at)))], None, widest=10)[0][0]
    assert fit.thickness == pytest.approx(6, abs=4 * fit.thickness_sd) and fit.thickness_sd < 0.3


@pytest.mark.parametrize("tilt", [0.0, 8.0])
def test_liner_of_5_nm_at_4_nm_pixels_snr_5_through_the_pipeline(tilt):
    objects, found = measured(damascene(1, 5.0, tilt=tilt), liner=("Ta", LEVELS[1]))
    copper = objects.table["material"] == "Cu"
    value, sd = found.columns["liner_nm"][copper], found.columns["liner_sd_nm"][copper]
    print(value, sd)
    assert np.isfinite(value).all() and (found.columns["liner"][copper] == "Ta").all()
    assert (np.abs(value - 5) < 3.5 * sd).all() and abs(value.mean() - 5) < 0.7
    assert (sd < 0.8).all()
    assert {row for row in found.sides["side"]} <= {"left", "right", "bottom", "top"}
    assert np.isnan(found.columns["liner_nm"][~copper]).all()


def test_no_liner_is_not_seen_and_limited():
    objects, found = measured(damascene(2, 0.0), liner=("Ta", LEVELS[1]))
    copper = objects.table["material"] == "Cu"
    assert np.isnan(found.columns["liner_nm"][copper]).all()
    assert (found.columns["liner_most_nm"][copper] < 8).all()


def test_process_names_what_may_lie_between_and_calibrates_it():
    """Grey as the backscatter coefficients have it: the liner's level follows from copper's and oxide's."""
    from chipmap import eta, materials
    ta, cu, ox = (eta.eta_of(materials.find(n), 15.0)[0] for n in ("Ta", "Cu", "SiO2"))
    image = 60 + 50 * (damascene(5, 0.0, snr=1e9) - 60) / 50
    assert measured(image) [1] is None      # nothing asked for
    objects, found = measured(damascene(5, 5.0, snr=40), process="cu-damascene")
    assert set(found.sides["liner"]) == {"Ta or TaN or Co or Ru"}
    alone = measured(damascene(5, 5.0, snr=40), liner=("Ta", None))[1]
    level = 60 + 50 * (ta - ox) / (cu - ox)
    seen = np.nanmean(alone.columns["liner_nm"])
    assert seen == pytest.approx(5 * (160 - 85) / (level - 85), rel=0.25)
    assert np.nanmean(alone.columns["liner_sd_nm"]) > 0.05


def test_course_and_profile_by_hand():
    labels = np.zeros((80, 80), np.int32)
    labels[:, :40] = 1
    grey = np.where(np.arange(80) < 40, 7.0, 3.0)[None].repeat(80, 0)
    course = course_of(labels, 1, 9)
    assert set(course.side) == {0} and np.allclose(course.place[:, 0], 40) and np.allclose(course.normal, (1, 0))
    at, value, count = profile(grey, course, 9)
    assert (value[at < 0] == 7).all() and (value[at > 0] == 3).all() and count.min() > 0


def test_the_option():
    assert wanted_liner("Ta") == ("Ta", None) and wanted_liner("tantalum = 160") == ("Ta", 160.0)
    for bad in ("", "=3", "Tantalium", "Ta=x"):
        with pytest.raises(InputError):
            wanted_liner(bad)
