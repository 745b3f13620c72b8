"""Layout files read back: GDSII, OASIS, GeoJSON and SVG label sets -> polygons in nanometres, with the layer of each."""

import json
import pathlib
from dataclasses import dataclass

import numpy as np

from chipmap import InputError, drawn
from chipmap.layout import known_layers

MOST_CORNERS = 20_000_000   # of a flattened layout: beyond it a cell or a window has to be named

END_RECORD = 256                # bytes of the last record of an OASIS file, which is number 2


@dataclass(frozen=True)
class Layout:
    """polygons: (P,) valid shapely polygons or multipolygons, nm, x right, y up. layer: (P,) names: a material where the
    layer map or the file knows one, else "layer/datatype". source: what was read, in words."""

    polygons: np.ndarray
    layer: np.ndarray
    source: str

    def only(self, names):
        """The polygons of some layers. Raises InputError for a layer that isn't there, naming those that are."""
        there = sorted(set(self.layer))
        missing = [name for name in names if name not in there]
        if missing:
            raise InputError(f"{self.source} has no layer {', '.join(missing)}: it has {', '.join(there)}")
        return Layout(self.polygons[np.isin(self.layer, list(names))], self.layer[np.isin(self.layer, list(names))], self.source)


def read_layout(path, unit_m=None, cell=None, layers=None):
    """A `Layout` from a file: GDSII or OASIS (told by their first bytes), GeoJSON, SVG.

    unit_m: metres of one unit of a GeoJSON without a unit of its own or of an SVG; GDSII and OASIS say theirs. cell: the
    cell to take (with all it holds) where a file has several on top. layers: {material: (layer, datatype)} of a map of
    the user's (`layers.read_layers`), before the numbers that `chipmap run` writes.
    Raises InputError for a file that can't be read, is none of these, is damaged, holds no polygon, needs a unit or a cell.
    """
    path = pathlib.Path(path)
    try:
        with open(path, "rb") as file:
            head = file.read(256)
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror or error}): check the path and its permissions") from None
    if head[2:4] == b"\0\2" or head.startswith(b"%SEMI-OASIS"):
        polygons, names = _stream(path, head, cell, known_layers() | {pair: name for name, pair in (layers or {}).items()})
    elif head.lstrip()[:1] == b"{":
        polygons, names = _geojson(path, unit_m)
    elif head.lstrip()[:1] == b"<":
        polygons, names = _svg(path, unit_m)
    else:
        raise InputError(f"{path}: is no GDSII, OASIS, GeoJSON or SVG: convert it to one of these")
    if not len(polygons):
        raise InputError(f"{path}: holds no polygon: check the cell and the layers it was exported with")
    return Layout(*_valid(np.array(polygons, dtype=object), np.array(names, dtype=object)), path.name)


def _stream(path, head, wanted, known):
    """Polygons and layer names of a GDSII or OASIS file, flattened, paths widened."""
    import gdstk
    import shapely
    try:
        if head.startswith(b"%SEMI") and path.read_bytes()[-END_RECORD:][:1] != b"\2":
            raise ValueError("its end is missing")      # gdstk would take what is left
        library = gdstk.read_oas(path) if head.startswith(b"%SEMI") else gdstk.read_gds(path)
    except Exception as error:      # gdstk raises its own kinds, and all mean the same here
        raise InputError(f"{path}: is damaged ({str(error).splitlines()[0]}): export it again") from None
    cell = _cell(path, library, wanted)
    found = cell.get_polygons()
    if sum(len(p.points) for p in found) > MOST_CORNERS:
        raise InputError(f"{path}: cell {cell.name} has more than {MOST_CORNERS:,} corners: name a smaller one with --cell")
    scale = library.unit * 1e9
    names = [known.get((p.layer, p.datatype), f"{p.layer}/{p.datatype}") for p in found]
    return [shapely.Polygon(p.points * scale) for p in found], names


def _cell(path, library, wanted):
    cells = {cell.name: cell for cell in library.cells if hasattr(cell, "get_polygons")}
    if wanted is not None:
        if wanted not in cells:
            raise InputError(f"{path}: has no cell {wanted!r}: it has {_some(cells)}")
        return cells[wanted]
    top = [cell for cell in library.top_level() if hasattr(cell, "get_polygons")]
    if len(top) != 1:
        raise InputError(f"{path}: {len(top)} cells are on top ({_some(c.name for c in top) or 'none'}): name one with --cell")
    return top[0]


def _some(names, most=8):
    names = sorted(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _geojson(path, unit_m):
    import shapely
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        features = told["features"]
        geometries = [shapely.from_geojson(json.dumps(feature["geometry"])) for feature in features]
        names = [str((f.get("properties") or {}).get("material") or (f.get("properties") or {}).get("layer") or "0") for f in features]
    except Exception as error:      # whatever a damaged file makes of json and shapely
        raise InputError(f"{path}: is no GeoJSON FeatureCollection ({str(error).splitlines()[0] or type(error).__name__}): export it again") from None
    own = {"nm": 1e-9, "um": 1e-6, "m": 1.0}.get((told.get("chipmap") or {}).get("coordinate_unit"))
    if own is None and unit_m is None:
        raise InputError(f"{path}: does not say its unit (GeoJSON by itself means degrees): pass --unit, for example --unit 1nm")
    scale = (unit_m or own) * 1e9
    whole = [(shapely.transform(g, lambda at: at * scale), n) for g, n in zip(geometries, names) if g is not None and "Polygon" in g.geom_type]
    return [g for g, _ in whole], [n for _, n in whole]


def _svg(path, unit_m):
    import shapely
    if unit_m is None:
        raise InputError(f"{path}: an SVG has no length unit: pass that of one of its units as --unit, for example --unit 8nm")
    (_, height), tracks, vias = drawn.svg_rings(path)
    scale = unit_m * 1e9
    upright = lambda ring: np.column_stack([ring[:, 0], height - ring[:, 1]]) * scale  # noqa: E731
    return [shapely.Polygon(upright(ring)) for ring in tracks + vias], ["track"] * len(tracks) + ["via"] * len(vias)


def _valid(polygons, names):
    """Self-crossing rings mended (even-odd), what has no area left out."""
    import shapely
    broken = ~shapely.is_valid(polygons)
    polygons[broken] = shapely.make_valid(polygons[broken])
    area = shapely.area(polygons) > 0
    return polygons[area], names[area]
