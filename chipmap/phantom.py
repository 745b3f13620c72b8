"""A drawing of materials -> the picture a scanning microscope would take of it, with known truth: the test bench.

Limits. Every pixel returns the yield of its own material and of nothing below or beside it except through the blur, so
this is a thin slice or a low beam energy, not a 20 kV beam that looks a micrometre deep. Edge brightening, charging
streaks and curtaining are drawn as they look, not derived from fields. Nothing here stands for a real picture of a real
chip; it says what a method does when the truth is known.
"""

from dataclasses import asdict, dataclass

import numpy as np
from cukernels.backend import choose_device
from cukernels.filters import gaussian
from cukernels.philox import normal, philox, quantile, unit
from cukernels.run import Run, write_json
from cukernels.threads import in_threads
from numba import njit

from chipmap import InputError, drawn, eta, materials, output

KNEE = 40.0  # expected counts from which the Poisson quantile is taken from its expansion, right to 0.2 % of its spread
_COUNTS, _ROWS, _COLUMNS, _PATH, _READOUT = range(5)  # Philox samples: what each stream of chance is for


@dataclass(frozen=True)
class Beam:
    """How the picture is taken.

    kv: beam energy, keV, 5-40. dose: electrons a pixel. collection: share of the backscattered electrons that the
    detector counts. gain, offset: grey = offset + gain * counts / (dose * collection), so a material of yield eta has
    the mean grey offset + gain * eta. readout: standard deviation of the amplifier, grey levels.
    blur_px: standard deviation of the beam's profile. edge: brightening of the brighter side of a border, share of its
    yield, falling off by e over edge_px. streaks: typical brightness change of a scan line that has crossed insulators,
    share of the yield. curtain: the same for columns (ion-milled faces). drift_px: how far slow drift moves the sample
    while the frame is scanned. background: brightness change over the frame, share of the yield. seed: of all chance.
    """

    kv: float = 20.0
    dose: float = 100.0
    collection: float = 1.0
    gain: float = 20_000.0
    offset: float = 2_000.0
    readout: float = 0.0
    blur_px: float = 1.0
    edge: float = 0.0
    edge_px: float = 2.0
    streaks: float = 0.0
    curtain: float = 0.0
    drift_px: float = 0.0
    background: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Phantom:
    """image: (H, W) float32 grey. labels: (H, W) int32, index into `materials`, as the drifting beam met them.

    yields: (M,) backscatter coefficient of each material. pixel_size_m: (dy, dx). beam: the `Beam`.
    """

    image: np.ndarray
    labels: np.ndarray
    materials: list
    yields: np.ndarray
    pixel_size_m: tuple
    beam: Beam


def take(labels, names, pixel_size_m=(1e-9, 1e-9), beam=None, yields=None):
    """Take a picture of a drawing.

    labels: (H, W) int, 0..M-1, at least 4 x 4. names: M materials of the library. beam: a `Beam`. yields: (M,) instead
    of the backscatter coefficients of `eta.eta_of`.
    Returns a `Phantom`; the same drawing, beam and seed give the same bits. Raises InputError for labels out of range,
    unknown materials, and settings out of range.
    """
    beam = beam or Beam()
    names, yields = _checked(labels, names, beam, yields)
    labels = _drifted(np.ascontiguousarray(labels, np.int32), beam)
    expected = _brightened(yields[labels].astype(np.float32), labels, yields, beam)
    if beam.blur_px:
        expected = gaussian(expected, beam.blur_px)
    insulating = np.array([materials.find(n).kind == "dielectric" for n in names])
    expected *= _disturbed(labels, insulating, beam)
    grey = _counted(expected, beam)
    return Phantom(grey, labels, names, yields, tuple(float(s) for s in pixel_size_m), beam)


def run(source, out, scale=1.0, say=print, **settings):
    """`chipmap phantom`: draw `source` (the path of an SVG, or "stack"), take its picture, write both to the folder `out`.

    scale: pixels for one unit of the SVG, or for one nm of the stack. settings: of the `Beam`; None keeps its default.
    """
    beam = Beam(**{name: value for name, value in settings.items() if value is not None})
    with Run(out, "chipmap phantom", {"source": str(source), "scale": scale, **asdict(beam)}, choose_device("cpu"), seed=beam.seed) as folder:
        drawing = drawn.stack(scale) if str(source) == "stack" else drawn.read_svg(source, scale)
        if str(source) != "stack":
            folder.read(source)
        phantom = take(drawing.labels, drawing.materials, drawing.pixel_size_m, beam)
        stored = np.clip(np.rint(phantom.image), 0, 65535)
        output.write_picture(folder.folder / "picture.ome.tif", stored.astype(np.uint16), phantom.pixel_size_m)
        output.write_labels(folder.folder / "truth.ome.tif", phantom.labels, phantom.materials, phantom.pixel_size_m)
        facts = {"materials": phantom.materials, "yields": phantom.yields.tolist(), "beam": asdict(beam),
                 "pixel_size_m": phantom.pixel_size_m, "clipped_share": float((stored != np.rint(phantom.image)).mean())}
        write_json(folder.folder / "phantom.json", facts)
        folder.finish()
    rows, columns = phantom.labels.shape
    say(f"{rows} x {columns} pixels of {phantom.pixel_size_m[1] * 1e9:.3g} nm, {beam.dose:g} electrons each: {', '.join(phantom.materials)}")
    say(f"results: {out}")
    return phantom


def poisson(seed, mean):
    """Poisson counts of each mean, (N,) float64 >= 0, as (N,) int64: a function of (seed, position) alone.

    Below a mean of 40 the exact inverse of the distribution, above it the Cornish-Fisher expansion to second order.
    """
    mean = np.ascontiguousarray(mean, np.float64)
    if not np.isfinite(mean).all() or (mean < 0).any():
        raise ValueError("means hold values below 0 or not finite: pass expected counts")
    out = np.empty(len(mean), np.int64)
    in_threads(_poisson, len(mean), np.uint64(seed), np.uint64(_COUNTS), mean, out)
    return out


def _checked(labels, names, beam, yields):
    names = [materials.find(n).name for n in names]
    labels = np.asarray(labels)
    if labels.ndim != 2 or min(labels.shape) < 4 or labels.dtype.kind not in "iu":
        raise InputError(f"drawing of shape {labels.shape} and type {labels.dtype}: give rows x columns of material numbers, 4 x 4 or more")
    if labels.min() < 0 or labels.max() >= len(names):
        raise InputError(f"drawing holds numbers {labels.min()} to {labels.max()} for {len(names)} materials: number them from 0")
    for name in ("dose", "collection", "gain"):
        if not getattr(beam, name) > 0:
            raise InputError(f"{name} {getattr(beam, name)} must be above 0")
    for name in ("readout", "blur_px", "edge", "edge_px", "streaks", "curtain", "drift_px", "background"):
        if not 0 <= getattr(beam, name) < 1e3:
            raise InputError(f"{name} {getattr(beam, name)} must be 0 or more, and below 1000")
    if beam.collection > 1:
        raise InputError(f"collection {beam.collection} is a share: give 1 or less")
    yields = [eta.eta_of(materials.find(n), beam.kv)[0] for n in names] if yields is None else yields
    yields = np.array(yields, float)
    if yields.shape != (len(names),) or not (yields >= 0).all():
        raise InputError(f"yields {yields.tolist()} don't fit {len(names)} materials: give one number of 0 or more each")
    return names, yields


def _drifted(labels, beam):
    """The drawing as the beam meets it while the stage creeps: a smooth path, drift_px long at its end."""
    if not beam.drift_px:
        return labels
    height, width = labels.shape
    steps = normal(beam.seed, _PATH, np.arange(2 * height)).reshape(2, height)
    path = np.cumsum(gaussian(steps.astype(np.float32), (0, max(height / 16, 1))) + np.float32(1 / height), axis=1)
    path *= beam.drift_px / np.abs(path).max(1, keepdims=True)
    rows = np.clip(np.rint(np.arange(height) + path[0]).astype(int), 0, height - 1)
    columns = np.clip(np.rint(np.arange(width)[None] + path[1][:, None]).astype(int), 0, width - 1)
    return np.ascontiguousarray(labels[rows[:, None], columns])


def _brightened(expected, labels, yields, beam):
    """More electrons leave through an edge: the brighter side of each border shines, the more the nearer."""
    if not beam.edge:
        return expected
    from scipy.ndimage import distance_transform_edt
    rim = np.zeros_like(expected)
    for m in np.flatnonzero(yields > yields.min()):
        inside = labels == m
        darker = yields[labels] < yields[m]
        if inside.any() and darker.any():
            depth = distance_transform_edt(~darker)[inside] - 1
            rim[inside] = np.exp(-depth / max(beam.edge_px, 1e-9))
    return expected * (1 + np.float32(beam.edge) * rim)


def _disturbed(labels, insulating, beam):
    """(H, W) float32 factor: streaks, curtains and the slow background."""
    height, width = labels.shape
    factor = np.ones(labels.shape, np.float32)
    if beam.streaks:
        from scipy.signal import lfilter
        keep = np.exp(-16 / width)  # charge leaks away over a sixteenth of a line
        charge = lfilter([1 - keep], [1, -keep], insulating[labels].astype(np.float32), axis=1)
        factor += np.float32(beam.streaks) * _wavering(beam.seed, _ROWS, height, 1.0)[:, None] * charge.astype(np.float32)
    if beam.curtain:
        factor *= 1 + np.float32(beam.curtain) * _wavering(beam.seed, _COLUMNS, width, 2.0)[None]
    if beam.background:
        y, x = np.linspace(-1, 1, height, dtype=np.float32)[:, None], np.linspace(-1, 1, width, dtype=np.float32)[None]
        factor *= 1 + np.float32(beam.background) * (0.5 * x - 0.3 * y - 0.2 * (x * x + y * y))
    return np.maximum(factor, 0)


def _wavering(seed, stream, count, scale):
    """(count,) float32 of standard deviation 1, normal, neighbours within `scale` alike."""
    numbers = normal(seed, stream, np.arange(count)).astype(np.float32)[None]
    smooth = gaussian(numbers, (0, scale))[0]
    return smooth * np.float32(np.sqrt(2 * np.sqrt(np.pi) * scale))


def _counted(expected, beam):
    full = beam.dose * beam.collection
    counts = poisson(beam.seed, full * expected.ravel().astype(np.float64)).reshape(expected.shape)
    grey = beam.offset + beam.gain / full * counts
    if beam.readout:
        grey += beam.readout * normal(beam.seed, _READOUT, np.arange(grey.size)).reshape(grey.shape)
    return grey.astype(np.float32)


@njit(cache=True, nogil=True)
def _poisson(seed, stream, mean, out, first, last):
    for i in range(first, last):
        high, low, _, _ = philox(seed, stream, np.uint64(i))
        u = unit(high, low)
        out[i] = _inverse(u, mean[i]) if mean[i] < KNEE else _expansion(quantile(u), mean[i])


@njit(cache=True, nogil=True)
def _inverse(u, mean):
    """The least k whose cumulative probability reaches u."""
    term = np.exp(-mean)
    total, k = term, 0
    while total < u and term > 1e-300:
        k += 1
        term *= mean / k
        total += term
    return k


@njit(cache=True, nogil=True)
def _expansion(z, mean):
    """E. A. Cornish, R. A. Fisher, Rev. Inst. Int. Stat. 5, 307 (1938), for skewness and excess of a Poisson count."""
    spread = np.sqrt(mean)
    return int(np.floor(mean + spread * z + (z * z - 1) / 6 + (z - z * z * z) / (72 * spread) + 0.5))
