"""How right sizes and places are where the truth is drawn: roughness, liners, lines, layouts and registration, each with
its stated uncertainty held against its error (`inside_95`: share of truths within 1.96 of it).

    python -m benchmarks.metrology [liner_rows ...]     part of `python -m benchmarks chip-accuracy`
"""

import pathlib
import sys
import tempfile

import numpy as np
import shapely
from cukernels.filters import noise_of
from scipy.ndimage import gaussian_filter

import chipmap
from chipmap import layout
from chipmap.comparison.cover import cover
from chipmap.comparison.differences import find_differences
from chipmap.comparison.reference import read_layout
from chipmap.comparison.register import coverage_of, register
from chipmap.drawn import read_svg
from chipmap.identify import identify
from chipmap.measure.liners import find_liners
from chipmap.measure.lines import measure_lines
from chipmap.measure.metrology import edge_places, roughness, thin_layer
from chipmap.objects import find_objects
from chipmap.phantom import Beam, take
from chipmap.segment import segment

SVG = pathlib.Path(chipmap.__file__).parent / "data" / "metal_layer.svg"


def liner_rows(pictures=20):
    """5 nm of liner at 4 nm pixels, SNR 5, blur 6 nm: with all else known from elsewhere, and through the whole pipeline."""
    error, score = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        rows = _liner_profiles(rng, 48 + 4 * rng.random())
        got = thin_layer(rows, 20 / np.sqrt(400), 4.0, 60, 160, 110, 6.0)
        error.append(got.thickness - 5)
        score.append(error[-1] / got.thickness_sd)
    yield _row("liner of 5 nm at 4 nm pixels, SNR 5, levels and blur known, 1.6 um of it, nm", error, score,
               "thickness within 0.5 nm", np.abs(error).max() <= 0.5)
    error, score, means = [], [], []
    for seed in range(pictures):
        objects, found = liners_of(seed)
        own = np.isfinite(found.columns["liner_nm"])
        error += list(found.columns["liner_nm"][own] - 5)
        score += list((found.columns["liner_nm"][own] - 5) / found.columns["liner_sd_nm"][own])
        means.append(found.columns["liner_nm"][own].mean() - 5)
        if own.sum() != 3:
            error.append(np.inf)    # a line whose liner is not seen
    yield _row("the same through phases, objects and courses, blur found in the picture too, each of three lines of 1.4 um, nm", error, score,
               "thickness within 0.5 nm", np.abs(error).max() <= 0.5)
    yield _row("the same, mean of a picture's three lines, nm", means, [], "thickness within 0.5 nm", np.abs(means).max() <= 0.5)
    seen = [np.isfinite(liners_of(seed, thick=0.0)[1].columns["liner_nm"]).sum() for seed in range(pictures // 2)]
    yield {"what": f"liners seen where there is none, of {3 * len(seen)} lines", "check": f"{sum(seen)}"}


def roughness_rows(sets=12):
    """Lines with known edges at SNR 2: 64 lines of 4096 rows a set."""
    sigma, correlation, blur = 1.2, 18.0, 1.2
    found = [_rough_set(seed, sigma, correlation, blur) for seed in range(sets)]
    for name, true in (("sigma", np.sqrt(2) * sigma), ("correlation", correlation)):
        error = np.array([getattr(f, name) for f in found]) / true - 1
        score = [(getattr(f, name) - true) / getattr(f, f"{name}_sd") for f in found]
        yield _row(f"line width roughness at SNR 2, {name}, share of the truth (raw sigma is {found[0].raw_sigma / np.sqrt(2) / sigma:.2f} times it)",
                   error, score, "within 5 %", np.abs(error).max() <= 0.05)


def line_rows(pictures=30):
    """Critical dimension and pitch of lines through the whole pipeline, over SNR, blur and width."""
    cd, pitch, rough = [], [], {"lwr": [], "correlation": []}
    for seed in range(pictures):
        rng = np.random.default_rng(seed)
        width, apart = rng.uniform(14, 24), rng.uniform(44, 56)
        image, true = _lines(rng, width, apart, blur=rng.uniform(0.8, 1.6), snr=rng.uniform(3, 15))
        objects = find_objects(segment(image, 2).labels, ["SiO2", "Cu"], (2e-9, 2e-9))
        table = measure_lines(image, objects, (2e-9, 2e-9))
        for i in np.flatnonzero(table["material"] == "Cu"):
            for name, true_nm in (("lwr", 2 * 0.8 * np.sqrt(2)), ("correlation", 30.0)):
                if np.isfinite(table[f"{name}_nm"][i]):
                    rough[name].append((table[f"{name}_nm"][i] - true_nm, table[f"{name}_sd_nm"][i]))
            nearest = np.argmin(np.abs(true["centre"] - objects.table["x_nm"][table["object"][i]] / 2))
            cd.append((table["cd_nm"][i] - 2 * width, table["cd_sd_nm"][i]))     # of a line without end: roughness counts
            beside = np.abs(np.diff(true["centre"]))[[max(nearest - 1, 0), min(nearest, len(true["centre"]) - 2)]].min() * 2
            pitch.append((table["pitch_nm"][i] - beside, table["pitch_sd_nm"][i]))
    for name, found in (("critical dimension", cd), ("pitch", pitch)):
        error, sd = np.array(found).T
        yield _row(f"{name} of rough lines, {len(error)} lines at SNR 3-15, nm at 2 nm pixels", error, error / sd, None, None)
    for name, title in (("lwr", "line width roughness (2.26 nm)"), ("correlation", "its correlation length (30 nm)")):
        error, sd = np.array(rough[name]).T
        yield _row(f"{title}, each of {len(error)} lines 1.2 um long, blur found from the picture, nm", error, error / sd, None, None)


def layout_rows():
    """GDSII, OASIS and simplified borders read by KLayout: same pieces, same areas."""
    import klayout.db as kdb
    worst, same, pieces = 0.0, True, 0
    drawing = read_svg(SVG, 0.25)
    objects = find_objects(drawing.labels, drawing.materials, drawing.pixel_size_m)
    names = objects.table["material"]
    with tempfile.TemporaryDirectory() as folder:
        for simplify in (0.0, 2.0):
            polygons = layout.outlines(objects.labels, simplify)
            for ending in ("gds", "oas"):
                path = f"{folder}/a.{ending}"
                told = layout.write_layout(path, polygons, names, drawing.pixel_size_m)
                read = kdb.Layout()
                read.read(path)
                for name, layer in told["layers"].items():
                    region = kdb.Region(read.top_cell().begin_shapes_rec(read.find_layer(layer, 0)))
                    region.min_coherence = True
                    region.merge()
                    ours = np.sort(shapely.area(polygons[names == name])) * np.prod(drawing.pixel_size_m) * 1e12
                    theirs = np.sort([p.area() * read.dbu ** 2 for p in region.each()])
                    same &= len(ours) == len(theirs)
                    pieces += len(ours)
                    if len(ours) == len(theirs):
                        worst = max(worst, float(np.abs(theirs / ours - 1).max()))
    yield {"what": "KLayout reads GDSII and OASIS, exact and simplified: pieces and areas", "worst": worst, "same": same,
           "check": f"{pieces} pieces, {'all the same' if same else 'NOT the same'}, area to {worst:.1e}",
           "bar": "identical connectivity, area to 1e-6", "met": bool(same and worst <= 1e-6)}


def compare_rows(pictures=12):
    """Simulated pictures of a bundled layout with bridges and cuts put in: registration and what is found."""
    reference = read_layout(SVG, unit_m=8e-9)
    places, scores, counts = [], [], np.zeros(4, int)
    for seed in range(pictures):
        seen, place, bridges, cuts = defective(seed)
        found = segment(seen, 2)
        placed = register(found.posterior[1], reference.polygons, (16e-9, 16e-9))
        off = placed.pixels(place[None])[0] - np.array(seen.shape[::-1]) / 2
        places += list(off)
        scores += [off[0] / placed.sd["x_px"], off[1] / placed.sd["y_px"]]
        told = find_differences(found.labels == 1, coverage_of(reference.polygons, placed, seen.shape, (16e-9, 16e-9)), np.ones(seen.shape, bool), 3, 9)
        counts += _matched(told.table, "short", bridges) + _matched(told.table, "open", cuts)
    yield _row("registration of a picture on its layout at 100 electrons, pixels", places, scores, "within 0.1 pixel", np.abs(places).max() <= 0.1)
    put, hit, extra = counts[0], counts[1], counts[2]
    yield {"what": f"bridges and cuts put into {pictures} pictures of a layout, at 100 electrons", "check": f"{hit} of {put} found in their places, {extra} more called",
           "bar": "all, and nothing else", "met": bool(hit == put and extra == 0)}


def liners_of(seed, thick=5.0, pixel=4.0, levels=(60.0, 160.0, 110.0), blur=6.0, snr=5.0):
    """(objects, `liners.Liners`) of three copper lines 1.4 um long in oxide, liner at their sides and feet."""
    rng = np.random.default_rng(1000 + seed)
    outer, inner = [], []
    for n in range(3):
        x, y, wide = 110 + 390 * n + rng.uniform(0, 8), 100 + rng.uniform(0, 8), 190 + rng.uniform(0, 8)
        outer.append(shapely.box(x, y, x + wide, y + 1400))
        inner.append(shapely.box(x + thick, y, x + wide - thick, y + 1400 - thick))
    whole, copper = (_share(part, pixel, (420, 300)) for part in (outer, inner))
    grey = levels[0] + (levels[1] - levels[0]) * (whole - copper) + (levels[2] - levels[0]) * copper
    image = gaussian_filter(grey, blur / pixel) + (levels[1] - levels[0]) / snr * rng.standard_normal(grey.shape)
    phases = segment(image, 2)
    named = identify(phases, legend="bright=Cu dark=SiO2", signal="BSE")
    objects = find_objects(named.labels, named.names, (pixel * 1e-9, pixel * 1e-9))
    return objects, find_liners(image - phases.drift, objects, phases, named, noise_of(image), (pixel * 1e-9, pixel * 1e-9), ("Ta", levels[1]))


def defective(seed, shape=(600, 760), defects=3, fine=4):
    """(picture, place of its middle in the layout nm, bridges, cuts) at half the drawing's scale; places in pixels. Drawn and
    taken on a grid four times finer, on which the drawing's corners lie, and averaged: no edge is rounded to a pixel."""
    rng = np.random.default_rng(seed)
    drawing = read_svg(SVG, 0.5 * fine)
    top, left = (int(rng.integers(0, n - m * fine)) for n, m in zip(drawing.labels.shape, shape))
    labels = drawing.labels[top:top + shape[0] * fine, left:left + shape[1] * fine].copy()
    bridges, cuts = _spoil(labels, rng, defects, fine)
    beam = Beam(dose=100 / fine ** 2, seed=seed, blur_px=1.0 * fine, edge=0.2, edge_px=2.0 * fine, streaks=0.1, background=0.1)
    seen = take(labels, drawing.materials, drawing.pixel_size_m, beam).image.reshape(shape[0], fine, shape[1], fine).mean(axis=(1, 3))
    middle = np.array([left + shape[1] * fine / 2, drawing.labels.shape[0] - top - shape[0] * fine / 2]) * 16.0 / fine
    return seen, middle, bridges, cuts


def _spoil(fine_labels, rng, defects, fine):
    """Bridge neighbouring tracks and cut tracks at random places, far from each other; places in pixels of `fine` each."""
    from cukernels.components import pieces
    labels = fine_labels[fine // 2::fine, fine // 2::fine]
    nets, _ = pieces(np.ascontiguousarray(labels > 0))
    metal, bridges, cuts = labels > 0, [], []
    far = lambda x, y: all(abs(x - a) + abs(y - b) > 60 for a, b in bridges + cuts)  # noqa: E731
    height, width = labels.shape
    for _ in range(20_000):
        x, y = int(rng.integers(40, width - 40)), int(rng.integers(40, height - 40))
        inside = metal[y, x]
        up, down = y, y
        while up > 0 and metal[up, x] == inside:
            up -= 1
        while down < height - 1 and metal[down, x] == inside:
            down += 1
        if up < 20 or down > height - 20 or not far(x, (up + down) / 2):
            continue
        long = slice((up - 1) * fine, (down + 2) * fine)
        if not inside and len(bridges) < defects and nets[up, x] != nets[down, x] and down - up < 40 and metal[up - 3, x] and metal[down + 3, x]:
            fine_labels[long, (x - 2) * fine:(x + 2) * fine] = 1
            bridges.append((x, (up + down) / 2))
        elif inside and len(cuts) < defects and down - up < 16 and metal[y, x - 25:x + 25].all() and _splits(nets, up, down, x):
            fine_labels[long, (x - 4) * fine:(x + 4) * fine] = 0
            cuts.append((x, (up + down) / 2))
    return bridges, cuts


def _splits(nets, up, down, x):
    """Whether a cut leaves two pieces of at least 100 pixels."""
    from cukernels.components import pieces
    own = nets == nets[(up + down) // 2, x]
    own[up:down + 1, x - 4:x + 4] = False
    left, _ = pieces(own)
    return len(np.unique(left[own])) == 2 and (np.sort(np.bincount(left[own]))[-2:] > 100).all()


def _matched(table, kind, put, reach=25):
    """[put in, found within `reach` pixels, called elsewhere, 0]."""
    called = [(x, y) for k, x, y in zip(table["kind"], table["x"], table["y"]) if k == kind]
    near = lambda a, b: np.hypot(a[0] - b[0], a[1] - b[1]) <= reach  # noqa: E731
    return np.array([len(put), sum(any(near(p, c) for c in called) for p in put), sum(not any(near(p, c) for p in put) for c in called), 0])


def _row(what, error, score, bar, met):
    error, score = np.asarray(error, float), np.asarray(score, float)
    finite = error[np.isfinite(error)]
    row = {"what": what, "mean_error": float(finite.mean()), "rms_error": float(np.sqrt((finite ** 2).mean())), "largest_error": float(np.abs(finite).max()),
           "count": len(error)}
    row["check"] = f"error {row['mean_error']:+.3g} mean, {row['rms_error']:.3g} rms, {row['largest_error']:.3g} largest of {len(error)}"
    if len(finite) < len(error):
        row["check"] += f", {len(error) - len(finite)} NOT SEEN"
    if len(score):
        row["inside_95"] = float((np.abs(score) <= 1.96).mean())
        row["check"] += f"; {100 * row['inside_95']:.0f} % within 1.96 stated uncertainties"
    return row if bar is None else row | {"bar": bar, "met": bool(met)}


def _liner_profiles(rng, place):
    fine = np.arange(24 * 64) / 64 * 4.0
    grey = np.where(fine < place - 2.5, 60.0, np.where(fine < place + 2.5, 160.0, 110.0))
    return gaussian_filter(grey, 6.0 * 16, mode="nearest").reshape(24, 64).mean(axis=1) + 20 * rng.standard_normal((400, 24))


def _share(polygons, pixel, shape):
    rings = shapely.get_rings(shapely.get_parts(shapely.orient_polygons(shapely.union_all(polygons))))
    xy = [shapely.get_coordinates(r) / pixel for r in rings]
    return cover(np.concatenate(xy), np.concatenate([[0], np.cumsum([len(r) for r in xy])]), shape)


def _traces(rng, traces, count, sigma, correlation):
    """Gaussian traces with autocorrelation sigma^2 exp(-|x| / xi), by circulant embedding; unit steps."""
    lag = np.minimum(np.arange(4 * count), 4 * count - np.arange(4 * count))
    power = np.fft.fft(np.exp(-lag / correlation)).real.clip(0)
    noise = rng.standard_normal((traces, 4 * count)) + 1j * rng.standard_normal((traces, 4 * count))
    return sigma * np.fft.fft(np.sqrt(power / (4 * count)) * noise, axis=1).real[:, :count]


def _picture_of(rng, left, right, width, blur, snr):
    """Upright lines from edges (L, 4 rows) four times a row, on a picture `width` wide."""
    columns = np.arange(width)
    share = np.zeros((left.shape[1] // 4, width))
    for l, r in zip(left, right):
        inside = np.clip(columns + 1 - l[:, None], 0, 1) - np.clip(columns + 1 - r[:, None], 0, 1)
        share += inside.reshape(-1, 4, width).mean(axis=1)
    grey = 60 + 100 * gaussian_filter(share, blur, mode="nearest")
    return grey + 100 / snr * rng.standard_normal(grey.shape)


def _rough_set(seed, sigma, correlation, blur, lines=64, rows=4096):
    rng = np.random.default_rng(seed)
    widths = []
    for _ in range(lines):
        edges = _traces(rng, 2, 4 * rows, sigma, 4 * correlation)
        picture = _picture_of(rng, 14 + edges[:1], 34 + edges[1:], 48, blur, 2.0)
        left, right = edge_places(picture, np.full(rows, 14.0), np.full(rows, 34.0))
        widths.append(right - left)
    return roughness(np.array(widths), 1.0, blur=blur)


def _lines(rng, width, apart, blur, snr, rows=600, lines=4):
    centre = apart * (np.arange(lines) + 0.5) + rng.uniform(-2, 2, lines)
    edges = _traces(rng, 2 * lines, 4 * rows, 0.8, 60.0)
    left, right = centre[:, None] - width / 2 + edges[:lines], centre[:, None] + width / 2 + edges[lines:]
    image = _picture_of(rng, left, right, int(lines * apart), blur, snr)
    return image, {"centre": centre}


ROWS = (liner_rows, roughness_rows, line_rows, layout_rows, compare_rows)

if __name__ == "__main__":
    for rows in [globals()[name] for name in sys.argv[1:]] or ROWS:
        for row in rows():
            print(f"{row['what']}: {row['check']}" + (f" [bar: {row['bar']}: {'met' if row['met'] else 'MISSED'}]" if "bar" in row else ""), flush=True)
