"""Straight lines of a picture: critical dimension, pitch and roughness of each, for lines.csv."""

import numpy as np
from cukernels.backend import NotConverged

from chipmap.measure.metrology import FLANK, LONG, REACH, STEEP_DEG, edge_blur, edge_places, roughness

ROWS = 64       # of a line, at least, for its roughness to be asked for
SMOOTH = 31     # rows over which the drawn edge is averaged to say where to look for the true one
COLUMNS = ("object", "material", "direction", "rows", "cd_nm", "cd_sd_nm", "pitch_nm", "pitch_sd_nm", "lwr_nm", "lwr_sd_nm",
           "ler_left_nm", "ler_right_nm", "correlation_nm", "correlation_sd_nm", "noise_nm")


def measure_lines(grey, objects, pixel_size_m):
    """Sizes of every object that is a straight line along rows or columns, as a dict of columns (COLUMNS).

    grey: (H, W), the picture the edges are taken from. objects: `objects.Objects` with NumPy labels. pixel_size_m: (dy, dx).
    Roughness (one standard deviation, free of detection noise and of the blur along the edge, exponent fixed at 0.5) is NaN for lines shorter than 64
    rows and where the edge's own power does not show above the noise. cd_sd_nm and pitch_sd_nm hold what roughness and
    noise leave in the mean; the pixel size's own error, and the shift by a bright rim, come on top.
    """
    found = [line for k in _straight(objects.table) for line in _measure(grey, objects, k, pixel_size_m)]
    rows = [{**line, **_pitch(line, found)} for line in found]
    return {name: np.array([row[name] for row in rows]) for name in COLUMNS}


def _straight(table):
    slim = table["length_nm"] >= LONG * table["width_nm"]
    angle = np.abs(table["angle_deg"])
    return np.flatnonzero(slim & ((angle < STEEP_DEG) | (angle > 90 - STEEP_DEG)))


def _measure(grey, objects, k, pixel_size_m):
    """[facts of the line k], or [] where it is no plain line or has no room beside it."""
    upright = abs(objects.table["angle_deg"][k]) > 45
    along, across = pixel_size_m if upright else pixel_size_m[::-1]
    labels, picture = (objects.labels, grey) if upright else (objects.labels.T, np.asarray(grey).T)
    cut = _window(objects.table, k, labels.shape, upright, pixel_size_m)
    labels, picture = labels[cut], np.asarray(picture[cut], float)
    rows = _plain_rows(labels == k)
    if len(rows) < 16:
        return []
    mask = labels[rows] == k
    left, right = mask.argmax(axis=1).astype(float), mask.shape[1] - mask[:, ::-1].argmax(axis=1).astype(float)
    gap = _gap(labels[rows], left, right)
    expected = _smoothed(left), _smoothed(right)
    try:
        left, right = edge_places(picture[rows], *expected, min(REACH, gap - FLANK))
    except ValueError:
        return []
    step, scale = along * 1e9, across * 1e9
    start = np.array([cut[0].start, cut[1].start])
    # rows cross a line that leans at more than its width
    lean = np.polyfit(np.arange(len(rows)) * step, (left + right) / 2 * scale, 1)[0]
    upright_share = 1 / np.hypot(1, lean)
    return [{"object": int(k), "material": objects.table["material"][k], "direction": "y" if upright else "x", "rows": len(rows),
             "first": start[0] + rows[0], "last": start[0] + rows[-1], "left": (start[1] + left) * scale, "right": (start[1] + right) * scale,
             "lean": upright_share,
             **_sizes(left * scale * upright_share, right * scale * upright_share, step / upright_share, picture[rows], expected, scale)}]


def _sizes(left, right, step, picture, expected, scale):
    """Critical dimension and roughness of one line, from its edges in nm, `step` nm apart; the microscope's blur, which
    smooths the edges along their length too, is found from the grey across them and taken off."""
    width = right - left
    facts = {"cd_nm": width.mean(), "cd_sd_nm": width.std() / np.sqrt(len(width)), "noise_nm": np.nan,
             "lwr_nm": np.nan, "lwr_sd_nm": np.nan, "ler_left_nm": np.nan, "ler_right_nm": np.nan,
             "correlation_nm": np.nan, "correlation_sd_nm": np.nan}
    if len(width) < ROWS:
        return facts
    try:
        rough = [roughness(_detrended(trace), step, 0.5).sigma for trace in (left, right)]
        blur = scale * np.mean([_blur(picture, place, sigma / scale) for place, sigma in zip(expected, rough)])
        fits = [roughness(_detrended(trace), step, 0.5, blur) for trace in (width, left, right)]
    except NotConverged:
        return facts
    lwr = fits[0]
    if lwr.sigma_sd > lwr.sigma:        # no power above the noise
        return facts
    independent = max(1.0, len(width) * step / (2 * lwr.correlation))
    return facts | {"cd_sd_nm": np.sqrt(lwr.sigma ** 2 / independent + lwr.noise ** 2 / len(width)),
                    "lwr_nm": lwr.sigma, "lwr_sd_nm": lwr.sigma_sd, "ler_left_nm": fits[1].sigma, "ler_right_nm": fits[2].sigma,
                    "correlation_nm": lwr.correlation, "correlation_sd_nm": lwr.correlation_sd, "noise_nm": lwr.noise}


def _blur(picture, place, sigma):
    """Pixels, 0 where the picture has no room for the edge's profile."""
    first = np.rint(place).astype(int) - REACH
    if first.min() < 0 or first.max() + 2 * REACH > picture.shape[1]:
        return 0.0
    return edge_blur(picture, place, sigma)


def _pitch(line, lines):
    """Distance to the nearest parallel line of the same material that runs beside it for at least half its length."""
    best = {"pitch_nm": np.nan, "pitch_sd_nm": np.nan}
    for other in lines:
        if other is line or (other["material"], other["direction"]) != (line["material"], line["direction"]):
            continue
        first, last = max(line["first"], other["first"]), min(line["last"], other["last"])
        if last - first < 0.5 * (line["last"] - line["first"]):
            continue
        centre = [((one["left"] + one["right"]) / 2)[first - one["first"]:last - one["first"] + 1] for one in (line, other)]
        distance = abs(centre[1].mean() - centre[0].mean()) * (line["lean"] + other["lean"]) / 2
        if not distance > best["pitch_nm"]:
            # each centre is half a width's error off, and the two are independent
            best = {"pitch_nm": distance, "pitch_sd_nm": np.hypot(line["cd_sd_nm"], other["cd_sd_nm"]) / 2}
    return best


def _window(table, k, shape, upright, pixel_size_m):
    """Slices of the object's bounding box, with room on both sides of the line, along the line first."""
    dy, dx = (size * 1e9 for size in pixel_size_m)
    rows = [int(round(table[s][k] / dy)) for s in ("top_nm", "bottom_nm")]
    columns = [int(round(table[s][k] / dx)) for s in ("left_nm", "right_nm")]
    along, across = (rows, columns) if upright else (columns, rows)
    margin = 2 * REACH + FLANK
    return slice(*along), slice(max(0, across[0] - margin), min(shape[1], across[1] + margin))


def _plain_rows(mask):
    """The longest run of rows whose width is near the usual one, less one width at each end (line ends are round)."""
    width = mask.sum(axis=1)
    usual = np.median(width)
    whole = mask.shape[1] - mask[:, ::-1].argmax(axis=1) - mask.argmax(axis=1) == width
    plain = np.concatenate([[False], (np.abs(width - usual) <= 0.4 * usual + 1) & whole, [False]])
    changes = np.flatnonzero(plain[1:] != plain[:-1])
    if not len(changes):
        return np.arange(0)
    runs = changes.reshape(-1, 2)
    first, last = runs[np.argmax(runs[:, 1] - runs[:, 0])]
    spare = int(usual)
    return np.arange(first + spare, last - spare)


def _gap(labels, left, right):
    """Pixels between the line and what lies beyond the material next to it; the tenth smallest per cent of the rows."""
    rows = np.arange(len(labels))
    room = []
    for beside, outward in ((left.astype(int) - 1, -1), (right.astype(int), 1)):
        if (beside < 0).any() or (beside >= labels.shape[1]).any():
            return 0
        neighbour = labels[rows, beside][:, None]
        side = labels[:, ::-1] if outward < 0 else labels
        start = labels.shape[1] - 1 - beside if outward < 0 else beside
        ahead = (side != neighbour) & (np.arange(labels.shape[1]) > start[:, None])
        room.append(np.where(ahead.any(axis=1), ahead.argmax(axis=1), labels.shape[1]) - start)
    return int(np.percentile(np.concatenate(room), 10))


def _smoothed(edge):
    size = min(SMOOTH, len(edge) // 2 * 2 - 1)
    return np.convolve(np.pad(edge, size // 2, mode="edge"), np.full(size, 1 / size), mode="valid")


def _detrended(trace):
    at = np.arange(len(trace))
    return trace - np.polyval(np.polyfit(at, trace, 1), at)
