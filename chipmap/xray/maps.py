"""X-ray maps as microscopes write them: a folder of one picture an element, or a spectrum image (Velox EMD, Ripple).

Whatever it was, what comes out is a stack of counts, a map a line or a channel, on the map's own grid.
"""

import json
import pathlib
import re
from dataclasses import dataclass, field, replace

import numpy as np

from chipmap import InputError, decode
from chipmap.xray import elements as xray
from chipmap.xray.spectrum import SPECTRUM_FILES, energies_of

PICTURES = {".tif", ".tiff", ".png", ".bmp"}
COUNTED = 0.5, 2.0   # variance over mean of true counts, on blocks; outside, a map's brightness is no number of photons
BLOCK = 4            # pixels: side of the blocks whose sums are compared
FEWEST = 8           # pairs of blocks that tell something


@dataclass(frozen=True)
class XrayMaps:
    """counts: (L, h, w) float32, brightness of each line's map, or photons of each channel of a spectrum image.

    lines: L `xray.Family`s for element maps, None for a spectrum image. energy_ev: (L,) middles of the channels of a
    spectrum image, None for maps. scaled: True where each map was brightened by itself, so that only ratios within one
    map are evidence; None where `counted` has still to tell. kv: beam energy or None. source: what was read, in words. notes: sentences for the report.
    """

    counts: np.ndarray
    lines: list | None
    energy_ev: np.ndarray | None
    scaled: bool | None
    kv: float | None
    source: str
    notes: list = field(default_factory=list)


def read_xray(path, kv=None):
    """`XrayMaps` from a folder of element maps (TIFF or PNG, named Cu.tif, "Si K.png", AgL.tif ...), a Velox .emd, or a
    Ripple .rpl beside its .raw.

    kv: beam energy of the picture, keV, where the file doesn't say. Raises InputError for what can't be read, maps whose
    names hold no element, of different sizes or with negative values, and files without counts.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        return _folder(path, kv)
    if path.suffix.lower() == ".emd":
        return _emd(path, kv)
    if path.suffix.lower() == ".rpl":
        return _ripple(path, kv)
    raise InputError(f"{path}: is no folder of element maps and no {' or '.join(SPECTRUM_FILES)} file: export the maps as TIFF into a folder, "
                     "each named after its element")


def files_of(path):
    """The files that `read_xray` reads."""
    path = pathlib.Path(path)
    if path.is_dir():
        return sorted(p for p in path.iterdir() if p.suffix.lower() in PICTURES)
    return [path, *([path.with_suffix(".raw")] if path.suffix.lower() == ".rpl" else [])]


def bands(maps, count=16):
    """(L, h, w) maps for laying on a picture: the element maps, or `count` parts of a spectrum image of like many photons."""
    if maps.energy_ev is None:
        return maps.counts / np.nan_to_num([photon(m) for m in maps.counts], nan=1.0).astype(np.float32)[:, None, None]
    use = maps.energy_ev > xray.LOWEST
    share = np.cumsum(maps.counts[use].sum((1, 2)))
    part = np.minimum((share / max(share[-1], 1) * count).astype(int), count - 1)
    return np.stack([maps.counts[use][part == k].sum(0) for k in range(count)])


def line_of(name, kv=None):
    """The `xray.Family` that a map's name stands for: "Cu", "Cu K", "CuKa1", "AgL", "Map 3 - Si Ka"; None where none does.

    Without a shell it is the innermost one that the beam (keV; 20 if unknown) excites well.
    """
    known = {f.element for f in xray.families()}
    for word in re.split(r"[\s_\-.,;()]+", name):
        match = re.fullmatch(r"([A-Z][a-z]?)(?:([KLM])(?:[abαβ]?\d?(?:,\d)?|eries|_?series)?)?", word)
        if match and match[1] in known:
            shell = match[2] or _shell_after(name, word)
            return _family(match[1], shell, kv or 20.0)
    return None


def _shell_after(name, word):
    match = re.match(r"[\s_\-]+([KLM])(?=[\s_\-.abαβ\d]|$)", name[name.index(word) + len(word):])
    return match and match[1]


def _family(element, shell, kv):
    own = [f for f in xray.families() if f.element == element]
    if shell:
        return next((f for f in own if f.shell == shell), None)
    return max((f for f in own if 1.4 * f.edge < 1e3 * kv), key=lambda f: f.edge, default=own[0])


def _folder(path, kv):
    files = files_of(path)
    found = [(p, line_of(p.stem, kv)) for p in files]
    unknown = [p.name for p, line in found if line is None]
    if unknown or not found:
        what = f"no element in the name of {', '.join(unknown[:3])}" if unknown else "no map (TIFF or PNG) in it"
        raise InputError(f"{path}: {what}: name each map after its element and line, as Cu.tif or AgL.tif, and keep other pictures elsewhere")
    twice = sorted({f"{a.element} {a.shell}" for i, (_, a) in enumerate(found) for _, b in found[:i] if a is b})
    if twice:
        raise InputError(f"{path}: two maps are of {', '.join(twice)}: name the shell, as CuK.tif and CuL.tif, or remove one")
    stack = [_map(p) for p, _ in found]
    sizes = {m.shape for m in stack}
    if len(sizes) > 1:
        raise InputError(f"{path}: the maps have different sizes ({', '.join(f'{h} x {w}' for h, w in sorted(sizes))}): export all of one field alike")
    lines = [line for _, line in found]
    source = f"{len(lines)} element maps of {path.name}: {', '.join(f'{f.element} {f.shell}' for f in lines)}"
    return XrayMaps(np.stack(stack).astype(np.float32), lines, None, None, kv, source)


def counted(maps, home):
    """`XrayMaps` whose counts are photons, `scaled` decided. home: (h, w) int, the object each pixel sees alone, or -1.

    Brightness that scatters inside objects as photons do is taken for their number; any other map is divided by what one
    photon brings, and all maps are then trusted for where an element is, not for how much of it.
    """
    if maps.scaled is not None or maps.lines is None:
        return maps
    grain = np.array([photon(m, home) for m in maps.counts])
    whole = np.array_equal(maps.counts, np.rint(maps.counts))
    known = np.isfinite(grain)
    scaled = not whole or bool(((grain[known] < COUNTED[0]) | (grain[known] > COUNTED[1])).any())
    if not scaled:
        return replace(maps, scaled=False)
    note = (f"X-ray maps: brightness is not a number of photons (variance over mean {np.nanmin(grain):.2g} to {np.nanmax(grain):.2g}), so each map "
            "is scaled by itself and tells where an element is, not how much of it")
    return replace(maps, counts=maps.counts / np.where(known, grain, 1).astype(np.float32)[:, None, None], scaled=True, notes=[*maps.notes, note])


def photon(image, home=None):
    """Brightness that one photon adds to a map, from how neighbouring blocks of 4 x 4 pixels scatter; NaN where nothing tells.

    home: (h, w) int, the object that each pixel sees alone, or -1; blocks are compared within one object. Without it edges
    are left out by trimming, which is rough. Pixels that a program has enlarged hang together inside a block, and count as
    the fewer they were.
    """
    h, w = (n // BLOCK for n in image.shape)
    cut = lambda a: a[:h * BLOCK, :w * BLOCK].reshape(h, BLOCK, w, BLOCK)  # noqa: E731
    blocks = cut(np.asarray(image, float)).sum((1, 3))
    one = np.zeros((h, w), int) if home is None else np.where(cut(home).min((1, 3)) == cut(home).max((1, 3)), cut(home).max((1, 3)), -1)
    pairs = [((a[1:], a[:-1]), (a[:, 1:], a[:, :-1])) for a in (blocks, one)]
    first, second, same = (np.concatenate(v) for v in zip(*((x.ravel(), y.ravel(), ((i == j) & (i >= 0)).ravel()) for (x, y), (i, j) in zip(*pairs))))
    mean, square = (first + second)[same] / 2, (first - second)[same] ** 2 / 2
    if home is not None and len(mean) >= FEWEST:
        total = mean.sum()
        return float(square.sum() / total) if total > 0 else np.nan
    use = mean > 0
    if use.sum() < FEWEST:
        return np.nan
    ratio = np.sort(square[use] / mean[use])
    kept = ratio[:int(np.ceil(0.75 * len(ratio)))]
    return max(float(kept.mean()) / 0.3685, 1e-9)  # mean of the lower 75 % of chi-square with one degree of freedom


def _map(path):
    """(h, w) float64 brightness: the grey of a grey picture, the brightest channel of a coloured one."""
    pixels = decode.png_or_tiff(path)
    if pixels.ndim == 3 and pixels.shape[2] in (2, 3, 4):
        pixels = pixels[..., :1] if pixels.shape[2] == 2 else pixels[..., :3]
        pixels = pixels.max(2)
    if pixels.ndim != 2 or min(pixels.shape) < 4 or not np.isfinite(pixels).all() or (pixels < 0).any():
        raise InputError(f"{path}: {pixels.dtype} of shape {pixels.shape} is no map of counts: export rows x columns of numbers from 0")
    return pixels.astype(float)


def _emd(path, kv):
    """A Velox spectrum image: its stream of photons, channel after channel, 65535 where the beam steps to the next pixel."""
    h5py = _h5py(path)
    try:
        with h5py.File(path) as file:
            streams = file.get("Data/SpectrumStream", {})
            parts = [_stream(streams[key]) for key in streams]
    except (OSError, KeyError, ValueError, StopIteration) as error:
        raise InputError(f"{path}: is no readable Velox EMD file ({error}): export it again") from None
    parts = [part for part in parts if part is not None]
    if not parts or len({part[0].shape for part in parts}) > 1:
        raise InputError(f"{path}: holds no spectrum image (a stream of photons over more than one pixel): export one, or element maps")
    counts, energy, volts = sum(part[0] for part in parts), parts[0][1], parts[0][2]
    source = f"spectrum image of {path.name}, {counts.shape[1]} x {counts.shape[2]} pixels, {len(energy)} channels, {int(counts.sum())} photons"
    return XrayMaps(counts, None, energy, False, volts or kv, source)


def _stream(group):
    facts = json.loads(bytes(np.asarray(group["Metadata"][:, 0])).split(b"\0", 1)[0])
    settings = json.loads(group["AcquisitionSettings"][0])
    channels = int(settings["bincount"])
    scan = facts["Scan"]
    size = [int(scan["ScanSize"][k]) for k in ("height", "width")]
    area = {k: float(v) for k, v in scan.get("ScanArea", {"left": 0, "top": 0, "right": 1, "bottom": 1}).items()}
    shape = round(size[0] * (area["bottom"] - area["top"])), round(size[1] * (area["right"] - area["left"]))
    events = np.asarray(group["Data"][:, 0]).astype(np.int64)
    if min(shape) < 2:
        return None
    step = events == 65535
    pixel = (np.cumsum(step) % (shape[0] * shape[1]))[~step]
    channel = events[~step]
    if (channel >= channels).any():
        raise ValueError(f"channel {channel.max()} of {channels}")
    counts = np.bincount(channel * (shape[0] * shape[1]) + pixel, minlength=channels * shape[0] * shape[1])
    energy, volts = energies_of(facts, channels)
    return counts.reshape(channels, *shape).astype(np.float32), energy, volts


def _ripple(path, kv):
    """Lispix' Ripple: a text of keys, and the numbers in the .raw beside it, channel by channel or pixel by pixel."""
    try:
        words = [line.split(None, 1) for line in path.read_text(encoding="latin-1").splitlines() if line.strip() and not line.startswith(";")]
        facts = {w[0].lower(): w[1].strip() for w in words if len(w) == 2}
        width, height, depth = (int(facts[k]) for k in ("width", "height", "depth"))
        kind = {"signed": "i", "unsigned": "u", "float": "f"}[facts["data-type"].lower()] + facts["data-length"]
        order = {"big-endian": ">", "little-endian": "<", "dont-care": "<"}[facts.get("byte-order", "dont-care").lower()]
        layout = {"vector": (height, width, depth), "image": (depth, height, width)}[facts["record-by"].lower()]
        data = np.fromfile(path.with_suffix(".raw"), order + kind, offset=int(facts.get("offset", 0)))
        step, first = (float(facts[k]) for k in ("ev-per-chan", "depth-origin") if k in facts) if "depth-origin" in facts else (float(facts["ev-per-chan"]), 0.0)
    except OSError as error:
        raise InputError(f"{error.filename or path}: can't be read ({error.strerror or error}): keep the .rpl and its .raw together") from None
    except (KeyError, ValueError) as error:
        raise InputError(f"{path}: is no Ripple header this program can read ({error}): it needs width, height, depth, data-type, data-length, "
                         "record-by and ev-per-chan") from None
    if data.size != width * height * depth or min(width, height) < 2 or depth < 16 or not np.isfinite(data).all() or (data < 0).any():
        raise InputError(f"{path}: the .raw holds {data.size} numbers for {width} x {height} x {depth}, or not counts: export it again")
    cube = data.reshape(layout)
    cube = np.moveaxis(cube, 2, 0) if facts["record-by"].lower() == "vector" else cube
    volts = float(facts["beam-kv"]) if "beam-kv" in facts else kv
    source = f"spectrum image of {path.name}, {height} x {width} pixels, {depth} channels, {int(cube.sum())} photons"
    return XrayMaps(np.ascontiguousarray(cube, np.float32), None, first + step * np.arange(depth), False, volts, source)


def _h5py(path):
    try:
        import h5py
    except ImportError:
        raise InputError(f"{path}: reading EMD files needs h5py: pip install h5py") from None
    return h5py
