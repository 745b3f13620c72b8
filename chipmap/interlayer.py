"""`chipmap nets`: the runs of two pictures, a metal layer and the one above it, joined through the vias between them."""

import csv
import json
import pathlib
import re

import numpy as np
from cukernels.backend import choose_device
from cukernels.components import graph_pieces, pieces
from cukernels.run import Run, write_json

from chipmap import InputError, materials, output
from chipmap.comparison.register import register

PACKAGES = ("cukernels-chipmap-gridmap", "numpy", "scipy", "tifffile")
OVERLAP = 0.25      # share of a via's area that must lie on a conductor for the two to be joined
LAYERS = ("lower", "upper")


def run(lower, upper, out, vias=None, seen_in="lower", offset=None, say=print):
    """Nets through two layers, from the folders of two runs, into the folder `out`.

    vias: a material of the run that shows them, or None for its objects of the kind via. seen_in: "lower" where the
    lower layer's picture shows the vias (their heads on its tracks), "upper" where the upper's does (their feet). offset:
    text "x,y", nm: where the upper picture's lower left corner lies in the lower picture; None where both pictures show
    the vias: they are laid upon each other. A via belongs to the net it touches in its own picture, and joins it with
    every conductor of the other layer that covers a quarter of it or more.
    Returns what results.json holds. Raises InputError before anything stands in `out`.
    """
    options = {"lower": str(lower), "upper": str(upper), "vias": vias, "seen_in": seen_in, "offset": offset}
    with Run(out, "chipmap nets", options, choose_device("cpu"), PACKAGES, say=say) as folder:
        with folder.step("read"):
            layers = [_read(pathlib.Path(path), folder) for path in (lower, upper)]
            home, other = layers if seen_in == "lower" else layers[::-1]
            heads = _vias(home, vias)
        with folder.step("place"):
            shift = _offset(offset) if offset else _laid(home, other, heads, vias)
            if offset and seen_in == "upper":
                shift = -shift
        with folder.step("nets"):
            joined, crossing = _joined(home, other, heads, shift)
            net = _nets(home, other, joined)
        if seen_in == "upper":
            net = net[::-1]
        results = _write(folder.folder, layers, net, crossing, len(heads), shift if seen_in == "lower" else -shift)
        folder.finish()
    say(f"{results['nets']} nets through {results['vias']} vias, {results['vias_on_nothing']} of which meet no conductor of the other layer; {results['nets_of_both_layers']} "
        f"nets hold conductors of both")
    say(f"results: {out}")
    return results


def _read(path, folder):
    """{"name", "objects" (H, W), "material", "kind", "conducts", "area_nm2", "size_nm" (dy, dx)} of a run's folder."""
    import tifffile
    try:
        told = json.loads((path / "results.json").read_text())
        with open(path / "objects.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        objects = tifffile.imread(path / "objects.ome.tif")
        size = np.array([told["pixel_size_m"]["y"], told["pixel_size_m"]["x"]]) * 1e9
        layer = {"name": path.name, "objects": objects, "material": [row["material"] for row in rows], "kind": [row["kind"] for row in rows],
                 "area_nm2": np.array([float(row["area_nm2"]) for row in rows]), "size_nm": size}
        for name in ("results.json", "objects.csv", "objects.ome.tif"):
            folder.read(path / name)
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise InputError(f"{path}: is not the folder of a chipmap run ({error}): run chipmap on the picture first") from None
    layer["conducts"] = np.array([_conducts(name) for name in layer["material"]])
    if not layer["conducts"].any():
        raise InputError(f"{path}: has no object of a metal: name its materials, for example with --legend")
    return layer


def _conducts(name):
    try:
        return all(materials.find(part).kind == "metal" for part in name.split(" or "))
    except InputError:
        return False


def _vias(layer, name):
    """Numbers of the objects that are vias."""
    wanted = materials.find(name).name if name else None
    heads = [k for k, (material, kind) in enumerate(zip(layer["material"], layer["kind"])) if (material == wanted if name else kind == "via")]
    if not heads:
        raise InputError(f"{layer['name']}: has no {'object of ' + wanted if name else 'object of the kind via'}: say with --vias which material they "
                         f"are ({', '.join(sorted(set(layer['material'])))}), or with --seen-in which picture shows them")
    return heads


def _offset(text):
    match = re.fullmatch(r"\s*(-?[\d.]+)\s*,\s*(-?[\d.]+)\s*", str(text))
    if not match:
        raise InputError(f"--offset {text!r}: write where the upper picture's lower left corner lies in the lower one, in nm, as 0,0")
    return np.array([float(number) for number in match.groups()])


def _laid(home, other, heads, name):
    """Offset (x, y) nm of the other picture's corner in the home one's, from the vias that both show."""
    try:
        theirs = _vias(other, name)
    except InputError:
        raise InputError(f"only {home['name']} shows vias, so nothing says how the two pictures lie upon each other: pass --offset X,Y in nm") from None
    polygons = _boxes(home, heads)
    mask = np.isin(other["objects"], theirs).astype(np.float32)
    placed = register(mask, polygons, tuple(other["size_nm"] * 1e-9), fit="shift")
    return placed.places(np.array([[0.0, len(mask)]]))[0]


def _boxes(layer, objects):
    """Vias as squares of their areas, nm, y up."""
    import shapely
    from scipy.ndimage import center_of_mass
    labels, (dy, dx) = layer["objects"], layer["size_nm"]
    at = np.array(center_of_mass(np.ones_like(labels), labels, objects)) + 0.5
    half = np.sqrt(layer["area_nm2"][objects]) / 2
    x, y = at[:, 1] * dx, (len(labels) - at[:, 0]) * dy
    return shapely.box(x - half, y - half, x + half, y + half)


def _joined(home, other, heads, shift):
    """([(via, conductor of the other layer)], numbers of vias that meet one)."""
    row, column = np.nonzero(np.isin(home["objects"], heads))
    via = home["objects"][row, column]
    (dy, dx), (ey, ex) = home["size_nm"], other["size_nm"]
    x = ((column + 0.5) * dx - shift[0]) / ex
    y = len(other["objects"]) - ((len(home["objects"]) - row - 0.5) * dy - shift[1]) / ey
    inside = (x >= 0) & (y >= 0) & (x < other["objects"].shape[1]) & (y < len(other["objects"]))
    beneath = np.full(len(via), -1)
    beneath[inside] = other["objects"][y[inside].astype(int), x[inside].astype(int)]
    on = inside & other["conducts"][beneath]
    pairs, pixels = np.unique(np.stack([via[on], beneath[on]]), axis=1, return_counts=True)
    size = np.bincount(via, minlength=len(home["conducts"]))
    pairs = pairs[:, pixels >= OVERLAP * size[pairs[0]]]
    return pairs.T, np.unique(pairs[0])


def _nets(home, other, joined):
    """[(K,) of the home layer, of the other]: number of each object's net, -1 for insulators."""
    first = len(home["conducts"])
    a, b = [joined[:, 0]], [joined[:, 1] + first]
    for layer, start in ((home, 0), (other, first)):
        touching, _ = pieces(layer["conducts"][layer["objects"]], connectivity=8)
        on = touching > 0
        group, member = np.unique(np.stack([touching[on], layer["objects"][on]]), axis=1)
        # every member of a piece is joined with the piece's first
        lead = {}
        for g, m in zip(group, member):
            a.append(np.array([lead.setdefault(int(g), int(m)) + start]))
            b.append(np.array([int(m) + start]))
    conducts = np.concatenate([home["conducts"], other["conducts"]])
    net, _ = graph_pieces(np.concatenate(a).astype(np.int32), np.concatenate(b).astype(np.int32), len(conducts))
    number = np.full(len(conducts), -1)
    number[conducts] = np.unique(net[conducts], return_inverse=True)[1]
    return [number[:first], number[first:]]


def _write(folder, layers, net, crossing, count, shift):
    members = {"layer": [], "object": [], "material": [], "kind": [], "net": []}
    for name, layer, numbers in zip(LAYERS, layers, net):
        for k in np.flatnonzero(numbers >= 0):
            for column, value in zip(members.values(), (name, int(k), layer["material"][k], layer["kind"][k], int(numbers[k]))):
                column.append(value)
    nets = int(max(n.max(initial=-1) for n in net)) + 1
    table = {"net": list(range(nets))}
    for name, layer, numbers in zip(LAYERS, layers, net):
        own = numbers >= 0
        table[f"objects_{name}"] = np.bincount(numbers[own], minlength=nets)
        table[f"area_{name}_nm2"] = np.bincount(numbers[own], layer["area_nm2"][own], nets)
    both = int(((table["objects_lower"] > 0) & (table["objects_upper"] > 0)).sum())
    output.write_table(folder / "members.csv", members)
    output.write_table(folder / "nets.csv", table)
    results = {"lower": layers[0]["name"], "upper": layers[1]["name"], "offset_nm": {"x": float(shift[0]), "y": float(shift[1])}, "vias": count,
               "vias_on_nothing": count - len(crossing), "nets": nets, "nets_of_both_layers": both}
    write_json(folder / "results.json", results)
    return results
