"""How often the true resistance lies in the 95 % interval: simulated pictures of rough lines whose truth is known.

The truth is drawn and solved on a grid four times finer than the pixels; the picture of it is blurred, averaged over
pixels and noisy. The pipeline sees the picture alone. Properties are given, so that the interval is that of the edges.
"""

import numpy as np
from cukernels.filters import noise_of
from cukernels.philox import normal, uniform

from chipmap.chip import sample_of
from chipmap.identify import identify
from chipmap.objects import find_objects
from chipmap.physics import current
from chipmap.prepare import Prepared
from chipmap.properties import Library
from chipmap.segment import segment
from chipmap.solve import conductance

FINE = 4
SHAPE = (96, 128)
RHO = 2e-8
PIXEL_M = 2e-9


def draw(seed, shape=SHAPE):
    """(H FINE, W FINE) bool: two or three lines from left to right, 7-20 pixels wide, half of them inclined, with rough
    edges (0.2-0.8 pixels rms, correlated over 5-20 pixels)."""
    from scipy.ndimage import gaussian_filter1d
    height, width = (n * FINE for n in shape)
    x, y = np.arange(width) + 0.5, (np.arange(height) + 0.5)[:, None]
    u = uniform(seed, 0, np.arange(40))
    count = 2 + int(2 * u[0])
    pitch = shape[0] / count
    mask = np.zeros((height, width), bool)
    for n in range(count):
        wide, off, slope, inclined, rms, reach = u[1 + 6 * n:7 + 6 * n]
        middle = FINE * (pitch * (n + 0.5) + 2 * off - 1 + 0.16 * (slope - 0.5) * (inclined < 0.5) * (x / FINE - shape[1] / 2))
        half = FINE * (7 + wide * (min(20, pitch - 14) - 7)) / 2
        edges = []
        for side in (0, 1):
            trace = gaussian_filter1d(normal(seed, 1 + 2 * n + side, np.arange(width + 800)), (5 + 15 * reach) * FINE / 2)[400:-400]
            edges.append((0.2 + 0.6 * rms) * FINE * trace / trace.std())
        mask |= (y > middle - half + edges[0]) & (y < middle + half + edges[1])
    return mask


def photograph(seed, mask):
    """(H, W) float32 grey: blur of 0.7-1.5 pixels, levels 60 and 160, white noise of 5-20 % of the step."""
    from scipy.ndimage import gaussian_filter
    u = uniform(seed, 100, np.arange(2))
    grey = gaussian_filter(mask.astype(float), (0.7 + 0.8 * u[0]) * FINE, mode="nearest")
    grey = grey.reshape(grey.shape[0] // FINE, FINE, -1, FINE).mean(axis=(1, 3))
    noise = normal(seed, 101, np.arange(grey.size)).reshape(grey.shape)
    return (60 + 100 * grey + (5 + 15 * u[1]) * noise).astype(np.float32)


def looked_at(seed, samples=0):
    """(true conductivity from side to side, what chipmap says of it: value, sigma, interval_95 ...)."""
    mask = draw(seed)
    length, across = SHAPE[1], SHAPE[0]
    true = conductance(mask / RHO, axis=1).value * length / across
    image = photograph(seed, mask)
    prepared = Prepared(image, noise_of(image), (0, *SHAPE))
    phases = segment(image, 2, prepared.noise_sigma)
    named = identify(phases, image, legend="bright=Cu dark=SiO2")
    objects = find_objects(named.labels, named.names, (PIXEL_M, PIXEL_M))
    sample = sample_of(prepared, phases, named, objects, (PIXEL_M, PIXEL_M), Library([f"Cu.resistivity={RHO}"]), samples=samples)
    answer, _ = current(sample)
    return true, answer.facts["side_to_side"]


def coverage(count, samples=0, first=0):
    """Facts over `count` pictures: share of truths in the 95 % interval of the edges, errors before and after."""
    told = [looked_at(seed, samples) for seed in range(first, first + count)]
    silent = sum(facts["sigma"] is None for _, facts in told)      # phases not found: chipmap says that it knows no interval
    told = [(true, facts) for true, facts in told if facts["sigma"] is not None]
    inside = [facts["edges"]["interval_95"][0] <= true <= facts["edges"]["interval_95"][1] for true, facts in told]
    pixels = np.array([facts["value"] / true - 1 for true, facts in told])
    centre = np.array([facts["centre"] / true - 1 for true, facts in told])
    sigma = np.array([facts["edges"]["sigma"] / true for true, facts in told])
    return {"pictures": count, "without_interval": silent, "samples": samples, "inside_95": sum(inside) / len(told), "error_of_pixels_rms": float(np.sqrt((pixels ** 2).mean())),
            "error_of_centre_rms": float(np.sqrt((centre ** 2).mean())), "error_of_centre_mean": float(centre.mean()),
            "sigma_rms": float(np.sqrt((sigma ** 2).mean()))}


def run(pictures=200):
    facts = coverage(pictures)
    return [{"what": f"true resistance in the 95 % interval, {pictures} simulated pictures", **facts, "check":
             f"{100 * facts['inside_95']:.1f} % ({facts['without_interval']} of them without one: phases not found, and chipmap says so); error "
             f"{100 * facts['error_of_centre_rms']:.2f} % rms where whole pixels have {100 * facts['error_of_pixels_rms']:.1f} %"}]
