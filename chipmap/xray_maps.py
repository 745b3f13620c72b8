"""X-ray maps as microscopes write them: a folder of one picture an element, or a spectrum image (Velox EMD, Ripple).

Whatever it was, what comes out is a stack of counts, a map a line or a channel, on the map's own grid.
"""

import json
import pathlib
import re
from dataclasses import dataclass, field

import numpy as np

from chipmap import InputError, xray
from chipmap.spectrum import SPECTRUM_FILES, energies_of

PICTURES = {".tif", ".tiff", ".png", ".bmp"}
COUNTED = 0.5, 1.6   # variance over mean of true counts, on blocks; outside, a map's brightness is no number of photons
BLOCK = 4            # pixels: side of the blocks whose sums are compared


@dataclass(frozen=True)
class XrayMaps:
    """counts: (L, h, w) float32, photons (or what stands for one photon, where `scaled`) of each line or channel.

    lines: L `xray.Family`s for element maps, None for a spectrum image. energy_ev: (L,) middles of the channels of a
    spectrum image, None for maps. scaled: True where each map was brightened by itself, so that only ratios within one
    map are evidence. kv: beam energy or None. source: what was read, in words. notes: sentences for the report.
    """

    counts: np.ndarray
    lines: list | None
    energy_ev: np.ndarray | None
    scaled: bool
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
    files = sorted(p for p in path.iterdir() if p.suffix.lower() in PICTURES)
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
    grain = np.array([photon(m) for m in stack])
    whole = all(np.array_equal(m, np.rint(m)) for m in stack)
    known = np.isfinite(grain)
    scaled = not whole or bool(((grain[known] < COUNTED[0]) | (grain[known] > COUNTED[1])).any())
    grain = np.where(known, grain, 1.0) if scaled else np.ones(len(stack))
    notes = [f"X-ray maps: brightness is not a number of photons (variance over mean {grain.min():.2g} to {grain.max():.2g}), so each map is "
             "scaled by itself and tells where an element is, not how much of it"] if scaled else []
    counts = np.stack([m / g for m, g in zip(stack, grain)]).astype(np.float32)
    lines = [line for _, line in found]
    source = f"{len(lines)} element maps of {path.name}: {', '.join(f'{f.element} {f.shell}' for f in lines)}"
    return XrayMaps(counts, lines, None, scaled, kv, source, notes)


def photon(image):
    """Brightness that one photon adds to a map, from how its blocks scatter: variance over mean; NaN for an empty map.

    Neighbouring blocks of 4 x 4 pixels differ by chance alone but at edges, which a trimmed mean leaves out; pixels that a
    program has enlarged hang together inside a block, and count as the fewer they were.
    """
    h, w = (n // BLOCK for n in image.shape)
    if min(h, w) < 2:
        return 1.0 if image.sum() > 0 else np.nan
    blocks = image[:h * BLOCK, :w * BLOCK].astype(float).reshape(h, BLOCK, w, BLOCK).sum((1, 3))
    mean = np.concatenate([((a + b) / 2).ravel() for a, b in ((blocks[1:], blocks[:-1]), (blocks[:, 1:], blocks[:, :-1]))])
    square = np.concatenate([(np.diff(blocks, axis=k) ** 2 / 2).ravel() for k in (0, 1)])
    use = mean > 0
    if use.sum() < 8:
        return 1.0 if image.sum() > 0 else np.nan
    order = np.argsort(mean[use])
    ratio = np.sort((square[use] / mean[use])[order[-max(len(order) // 2, 8):]])  # the fuller half: nearly normal
    kept = ratio[:int(np.ceil(0.9 * len(ratio)))]
    return max(float(kept.mean()) / 0.623, 1e-9)  # mean of the lower 90 % of chi-square with one degree of freedom


def _map(path):
    """(h, w) float64 brightness: the grey of a grey picture, the brightest channel of a coloured one."""
    import imagecodecs
    import tifffile

    try:
        data = path.read_bytes()
        pixels = imagecodecs.png_decode(data) if data.startswith(b"\x89PNG") else tifffile.imread(path)
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror or error}): check the path and its permissions") from None
    except Exception as error:  # the codecs raise their own kinds, and all mean the same here
        raise InputError(f"{path}: is no PNG or TIFF ({str(error).splitlines()[0]}): export it again") from None
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
