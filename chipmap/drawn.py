"""Drawings with known truth: a metal layer from an SVG, and a cross-section of transistors and copper levels."""

import pathlib
import re
import xml.etree.ElementTree as tree
from dataclasses import dataclass

import numpy as np
from cukernels.polygon import index_polygons, rasterise

from chipmap import InputError

DIELECTRIC, TRACK, VIA = range(3)  # numbers in the drawing of a layer
_CORNERS = 24  # of the polygon that stands for a via


@dataclass(frozen=True)
class Drawing:
    """labels: (H, W) int32, index into materials: names. pixel_size_m: (dy, dx)."""

    labels: np.ndarray
    materials: list
    pixel_size_m: tuple


def read_svg(path, scale=1.0, materials=("SiO2", "Cu", "W"), pixel_size_m=8e-9):
    """A metal layer from an SVG: `<path fill="lime">` are tracks, `<circle fill="red">` vias, all else is dielectric.

    scale: pixels for one unit of the SVG. materials: of dielectric, tracks and vias. pixel_size_m: of a pixel at scale 1;
    that of the drawing is pixel_size_m / scale.
    Returns a `Drawing` with labels 0, 1, 2. Paths are straight pieces (M, L, Z, absolute), filled even-odd, each by
    itself. Raises InputError for a file that can't be read, is no such SVG, or holds no track.
    """
    (width, height), tracks, vias = svg_rings(path)
    shape = _canvas(path, width, height, scale)
    rings = [scale * r for r in vias + tracks]  # a via lies on its track: the lower number wins
    start = np.concatenate([[0], np.cumsum([len(r) for r in rings])])
    home = rasterise(index_polygons(np.concatenate(rings), start, np.arange(len(rings))), (0, 0), (1, 1), shape)
    labels = np.where(home < 0, DIELECTRIC, np.where(home < len(vias), VIA, TRACK)).astype(np.int32)
    size = float(pixel_size_m) / scale
    return Drawing(labels, list(materials), (size, size))


def svg_rings(path):
    """(width, height) of an SVG and the rings (N, 2) of its tracks and of its vias, in its own units, y down; see `read_svg`."""
    path = pathlib.Path(path)
    root = _svg(path)
    try:
        size = float(root.get("width", "")), float(root.get("height", ""))
    except ValueError:
        raise InputError(f"{path}: width and height of the SVG are not plain numbers: write them in pixels") from None
    tracks = [_ring(path, e.get("d", "")) for e in _filled(root, "path", "lime")]
    vias = [_disc(path, e) for e in _filled(root, "circle", "red")]
    if not tracks:
        raise InputError(f'{path}: holds no <path fill="lime">, so there is no track to draw: check its colours')
    return size, tracks, vias


def stack(scale=1.0, width=1200):
    """A cross-section as it is drawn in textbooks: fins and SiGe, gates, W and Co contacts, two copper levels.

    scale: pixels for one nm. width: nm, 200 or more; the height is 700 nm. Materials: Si, SiO2, SiGe, TiN (gate metal and contact liner), W
    (gate fill and first contacts), Co (second contacts), SiCOH (low-k), Ta (liner), Cu. Dimensions are of the order of
    a 2010s process and of no maker's.
    """
    if width < 200 or not 0.25 <= scale <= 16:
        raise InputError(f"cross-section {width} nm wide at scale {scale:g}: give 200 nm or more, and 0.25 to 16 pixels for one nm")
    names = ["SiO2", "Si", "SiGe", "TiN", "W", "Co", "SiCOH", "Ta", "Cu"]
    oxide, si, sige, tin, w, co, lowk, ta, cu = range(len(names))
    labels = np.full((700, width), oxide, np.int32)
    labels[560:] = si
    labels[60:300] = lowk
    for left in range(0, width - 199, 200):
        box = lambda x0, x1, y0, y1, m, left=left: labels.__setitem__((slice(y0, y1), slice(left + x0, left + x1)), m)  # noqa: E731
        for x in (30, 130):
            box(x, x + 40, 500, 560, si)  # fin
            box(x - 10, x + 50, 455, 500, sige)
            box(x + 4, x + 36, 375, 455, tin)
            box(x + 9, x + 31, 375, 450, w)
        box(84, 116, 440, 545, tin)  # gate beside the fins
        box(90, 110, 440, 540, w)
        box(30, 70, 300, 375, co)
        box(138, 162, 300, 375, co)
        for x0, x1, y0, y1 in ((20, 90, 200, 300), (120, 180, 200, 300), (10, 190, 70, 140), (40, 70, 140, 200)):
            box(x0, x1, y0, y1, ta)
        for x0, x1, y0, y1 in ((26, 84, 200, 294), (126, 174, 200, 294), (16, 184, 70, 134), (46, 64, 128, 200)):
            box(x0, x1, y0, y1, cu)
    rows, columns = (((np.arange(round(n * scale)) + 0.5) / scale).astype(int) for n in labels.shape)
    return Drawing(np.ascontiguousarray(labels[np.ix_(rows, columns)]), names, (1e-9 / scale, 1e-9 / scale))


def _svg(path):
    try:
        root = tree.fromstring(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror or error}): check the path and its permissions") from None
    except tree.ParseError as error:
        raise InputError(f"{path}: is no SVG ({error}): export it again") from None
    if root.tag.rpartition("}")[2] != "svg":
        raise InputError(f"{path}: is no SVG but <{root.tag.rpartition('}')[2]}>: give an SVG with tracks and vias")
    return root


def _canvas(path, width, height, scale):
    shape = round(scale * height), round(scale * width)
    if not (4 <= min(shape) and max(shape) <= 32768):
        raise InputError(f"{path}: {width:g} x {height:g} at scale {scale:g} is not 4 to 32768 pixels a side: change the scale")
    return shape


def _filled(root, tag, colour):
    return [e for e in root.iter() if e.tag.rpartition("}")[2] == tag and e.get("fill") == colour]


def _ring(path, text):
    words = re.findall(r"[A-Za-z]|[-+.\d][-+.\deE]*", text)
    commands = [word for word in words if word.isalpha()]
    numbers = [word for word in words if not word.isalpha()]
    if not commands or commands[0] != "M" or set(commands) - set("MLZ") or commands.count("M") != 1:
        raise InputError(f"{path}: path {text[:40]!r} is not one ring of M, L and Z: flatten curves and break apart compound paths")
    try:
        ring = np.array(numbers, float).reshape(-1, 2)
    except ValueError:
        raise InputError(f"{path}: path {text[:40]!r} has coordinates that are no pairs of numbers: export it again") from None
    if len(ring) < 3:
        raise InputError(f"{path}: path {text[:40]!r} has fewer than three corners: remove it")
    return ring


def _disc(path, element):
    try:
        x, y, r = (float(element.get(k, "")) for k in ("cx", "cy", "r"))
    except ValueError:
        raise InputError(f"{path}: a circle lacks cx, cy or r: export it again") from None
    turn = 2 * np.pi * np.arange(_CORNERS) / _CORNERS
    return np.column_stack([x + r * np.cos(turn), y + r * np.sin(turn)])
