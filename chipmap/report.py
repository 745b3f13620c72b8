"""The pictures: overlay with legend, confidence, and the fields with their colour bars."""

from textwrap import fill

import numpy as np

from chipmap.big.pyramid import thumbnail
from chipmap.layout import look

LONGEST = 1600      # pixels of a drawn picture; larger ones are averaged down in whole blocks
TINT = 0.62         # share of the material's colour in the overlay; the rest is the picture
UNSURE = 0.8        # confidence below which a pixel is hatched
INK = "#222222"
DIFFERENCE_COLOURS = {"short": "#e41a1c", "open": "#ff9d00", "extra piece": "#f781bf", "missing piece": "#a65628", "extra": "#c77cff", "missing": "#4daf4a"}
PREFIXES = ("f", "p", "n", "µ", "m", "", "k", "M", "G", "T")


def draw(folder, seen, overlaid=False):
    """overlay.png, unless that is `overlaid` already, confidence.png and the pictures of every physics."""
    if not overlaid:
        draw_materials(folder / "overlay.png", seen.image, seen.labels, seen.names, seen.confidence, seen.picture)
    draw_confidence(folder / "confidence.png", seen.confidence, seen.pixel_size_m)
    for answer in seen.answers.values():
        for picture in answer.pictures:
            factor, unit = si(float(np.abs(picture.values).max()), picture.unit)
            draw_field(folder / picture.file, picture.values * factor, seen.labels, seen.pixel_size_m,
                       f"{picture.quantity} ({unit})", picture.title, picture.colours, picture.clip)


def draw_materials(path, image, labels, names, confidence, picture):
    """`draw_overlay` of a `read.Picture`, with the share of each material: the first thing that a run has to show."""
    shares = np.bincount(labels.ravel(), minlength=len(names)) / labels.size
    draw_overlay(path, image, labels, names, [f"{share:.1%} of the area" for share in shares], confidence, picture.pixel_size_m, picture.path.name)


def draw_mosaic(path, picture, materials, confidence, names, shares, pixel_size_m, title):
    """`draw_overlay` of sources (shape, dtype, read) too big for memory. shares: of the area, for the legend."""
    level = max(0, int(np.ceil(np.log2(max(picture.shape) / LONGEST))))
    draw_overlay(path, thumbnail(picture, level).astype(np.float32), thumbnail(materials, level, "nearest"), names,
                 [f"{share:.1%} of the area" for share in shares], thumbnail(confidence, level), [size * 2**level for size in pixel_size_m], title)


def draw_overlay(path, image, phases, names, fractions, confidence, pixel_size_m, title):
    """The picture with every pixel in its material's colour, hatched where it is mostly below 0.8 sure, with a legend.

    image: (H, W) grey values. phases: (H, W) int, 0..M-1. names: M shown names. fractions: M texts for the legend.
    confidence: (H, W), 0..1. pixel_size_m: (dy, dx). title: one line.
    """
    colours = np.array([_rgb(look(name)["colour"]) for name in names])
    step = _block(image.shape)
    unsure = np.asarray(confidence) < UNSURE
    rgb = _hatched(_tinted(_shrunk(image, step), _mean_colour(phases, colours, step)), _patches(_shrunk(unsure, step)))
    shares = np.bincount(phases.ravel(), minlength=len(names)) / phases.size
    figure, axes = _figure(rgb.shape, legend=True)
    axes.imshow(rgb, extent=_extent(image.shape, pixel_size_m), interpolation="antialiased")
    _scale_bar(axes, image.shape, pixel_size_m)
    _legend(figure, axes, names, colours, shares, fractions, unsure.mean())
    axes.set_title(title, fontsize=10, loc="left", color=INK, pad=4)
    _save(figure, path)


def draw_confidence(path, confidence, pixel_size_m):
    """Confidence of every pixel, 0.5 (dark) to 1 (light)."""
    figure, axes = _figure(confidence.shape, legend=False)
    shown = axes.imshow(_shrunk(np.asarray(confidence), _block(confidence.shape)), cmap="cividis", vmin=0.5, vmax=1,
                        extent=_extent(confidence.shape, pixel_size_m), interpolation="antialiased")
    _scale_bar(axes, confidence.shape, pixel_size_m)
    _colour_bar(figure, axes, shown, "confidence that the pixel's phase is right (1)", extend="min")
    _save(figure, path)


def draw_field(path, field, phases, pixel_size_m, label, title, colours="inferno", clip=1.0):
    """A scalar field (H, W) with a colour bar labelled `label` (quantity and unit) and the borders of the phases.

    clip: quantile at which the colour scale ends (a point of infinite density would take the whole scale); the bar's
    pointed end says so.
    """
    step = _block(field.shape)
    shrunk = _shrunk(np.asarray(field, float), step)
    low, high = float(shrunk.min()), float(np.quantile(shrunk, clip))
    if high <= low:
        low, high = low - 0.5, low + 0.5
    figure, axes = _figure(field.shape, legend=False)
    shown = axes.imshow(shrunk, cmap=colours, vmin=low, vmax=high, extent=_extent(field.shape, pixel_size_m), interpolation="antialiased")
    axes.imshow(_veil(phases, step), extent=_extent(field.shape, pixel_size_m), interpolation="antialiased")
    _scale_bar(axes, field.shape, pixel_size_m)
    _colour_bar(figure, axes, shown, label, extend="max" if clip < 1 else "neither")
    axes.set_title(title, fontsize=10, loc="left", color=INK, pad=4)
    _save(figure, path)


def draw_differences(path, grey, drawn, found, pixel_size_m, title):
    """The picture, the borders of the drawn layout over it, and every difference in the colour of its kind with a ring.

    grey: (H, W). drawn: (H, W) bool. found: `differences.Differences`. title: one line.
    """
    from matplotlib.patches import Patch
    step = _block(grey.shape)
    colours = {kind: np.array(_rgb(colour)) for kind, colour in DIFFERENCE_COLOURS.items()}
    low, high = np.percentile(grey[::4, ::4], (0.5, 99.5))
    rgb = np.repeat(np.clip((np.asarray(grey, np.float32) - low) / max(high - low, 1e-12), 0, 1)[..., None], 3, axis=2)
    rgb[_borders(drawn)] = (0.35, 0.75, 1.0)
    of = np.array([[0, 0, 0], *(colours[kind] for kind in found.table["kind"])], np.float32)
    rgb = np.where(found.marks[..., None] > 0, of[found.marks], rgb)
    figure, axes = _figure(grey.shape, legend=True)
    extent = _extent(grey.shape, pixel_size_m)
    axes.imshow(_shrunk(rgb, step), extent=extent, interpolation="antialiased")
    size = np.array(pixel_size_m[::-1])
    for kind, x, y in zip(found.table["kind"], found.table["x"], found.table["y"]):
        axes.plot(*(np.array([x, y]) * size), "o", mfc="none", mec=colours[kind], ms=12, mew=1.3)
    axes.set_xlim(extent[:2]), axes.set_ylim(extent[2:])
    swatches = [Patch(facecolor=colours[kind], edgecolor=INK, lw=0.5, label=f"{kind}: {found.table['kind'].count(kind)}") for kind in colours]
    box = axes.get_position()
    figure.legend(handles=[*swatches, Patch(facecolor="none", edgecolor=(0.35, 0.75, 1.0), label="drawn layout")], loc="upper left",
                  bbox_to_anchor=(box.x1 + 0.01, box.y1), frameon=False, fontsize=9, labelcolor=INK)
    _scale_bar(axes, grey.shape, pixel_size_m)
    axes.set_title(title, fontsize=8, loc="left", color=INK, pad=4)
    _save(figure, path)


def _mean_colour(phases, colours, step):
    """(h, w, 3) 0..1: the colours of the materials, averaged over blocks of step x step pixels."""
    if step == 1:
        return colours.astype(np.float32)[phases]
    return sum(_shrunk(phases == m, step)[..., None] * colour.astype(np.float32) for m, colour in enumerate(colours))


def _tinted(image, tint):
    """(h, w, 3) 0..1: each pixel in its tint, lightened and darkened by the picture."""
    image = np.asarray(image, np.float32)
    low, high = np.percentile(image[::2, ::2], (0.5, 99.5))
    grey = np.clip((image - low) / max(high - low, 1e-12), 0, 1)[..., None]
    return ((1 - TINT) * grey + TINT * tint * (0.55 + 0.45 * grey)).clip(0, 1)


def _patches(unsure):
    """Share of unsure pixels around each pixel: a single one is noise, a patch is worth a hatch."""
    from scipy.ndimage import uniform_filter
    return uniform_filter(unsure.astype(np.float32), 5, mode="nearest")


def _hatched(rgb, doubt):
    """Diagonal dark lines, two pixels of every twelve, where most of the surroundings are in doubt."""
    rows, columns = np.indices(doubt.shape)
    line = ((rows + columns) % 12 < 2) & (doubt > 0.5)
    return np.where(line[..., None], rgb * 0.35, rgb)


def _block(shape):
    return max(1, -(-max(shape[:2]) // LONGEST))


def _shrunk(array, step):
    """Mean over blocks of step x step pixels (the ragged rest at the far sides is left out)."""
    if step == 1:
        return array
    height, width = (n // step * step for n in array.shape[:2])
    rows = sum(array[k:height:step, :width].astype(np.float32) for k in range(step))      # far faster than mean(axis=(1, 3))
    return sum(rows[:, k::step] for k in range(step)) / np.float32(step * step)


def _veil(phases, step):
    """(h, w, 4) uint8, white half seen through where phases meet."""
    veil = np.full((*(n // step for n in phases.shape), 4), 255, np.uint8)
    veil[..., 3] = np.where(_shrunk(_borders(phases), step) > 0.3, 115, 0)
    return veil


def _borders(phases):
    border = np.zeros(phases.shape, bool)
    border[:, :-1] |= phases[:, :-1] != phases[:, 1:]
    border[:-1] |= phases[:-1] != phases[1:]
    return border


def _extent(shape, pixel_size_m):
    return 0, shape[1] * pixel_size_m[1], shape[0] * pixel_size_m[0], 0


def _figure(shape, legend):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    height, width = shape[:2]
    side = 2.6 if legend else 1.1      # inches beside the picture
    scale = 7.5 / max(height, width)
    across, down = max(width * scale, 2.0), max(height * scale, 2.0)
    figure = Figure(figsize=(across + side, down + 0.45), dpi=150, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.1 / (across + side), 0.1 / (down + 0.45), across / (across + side), down / (down + 0.45)))
    axes.set_axis_off()
    return figure, axes


def _scale_bar(axes, shape, pixel_size_m):
    """A bar of 1, 2 or 5 times a power of ten metres, about a fifth of the picture's width."""
    from matplotlib.patches import Rectangle
    height, width = shape[0] * pixel_size_m[0], shape[1] * pixel_size_m[1]
    length = scale_length(width / 4)
    left, thick = 0.03 * width, 0.012 * max(height, width)
    bottom = height - 0.035 * max(height, width)
    text = f"{length * 1e9:g} nm" if length < 1e-6 else f"{length * 1e6:g} µm"
    axes.add_patch(Rectangle((left - thick, bottom - 5.2 * thick), length + 2 * thick, 6.6 * thick, color="black", alpha=0.55, lw=0))
    axes.add_patch(Rectangle((left, bottom - thick), length, thick, color="white", lw=0))
    axes.text(left + length / 2, bottom - 1.6 * thick, text, color="white", ha="center", va="bottom", fontsize=9)


def si(largest, unit):
    """(factor, unit with SI prefix) that brings the largest value between 1 and 1000."""
    if not 0 < largest < np.inf:
        return 1.0, unit
    step = int(np.clip(np.floor(np.log10(largest) / 3), -5, 4))
    return 1000.0 ** -step, PREFIXES[step + 5] + unit


def scale_length(most):
    """The largest 1, 2 or 5 times a power of ten that is not above `most`."""
    decade = 10.0 ** np.floor(np.log10(most))
    return max(float(step * decade) for step in (1, 2, 5) if step * decade <= most * (1 + 1e-9))


def _legend(figure, axes, names, colours, shares, fractions, unsure):
    from matplotlib.patches import Patch
    order = [m for m in np.argsort(-shares) if shares[m] > 0]
    swatches = [Patch(facecolor=colours[m], edgecolor=INK, lw=0.5, label=f"{fill(names[m], 26)}\n{fractions[m]}") for m in order]
    swatches.append(Patch(facecolor="#dddddd", edgecolor=INK, hatch="////", lw=0.5, label=f"confidence < {UNSURE:g}\n{unsure:.1%} of the area"))
    box = axes.get_position()
    figure.legend(handles=swatches, loc="upper left", bbox_to_anchor=(box.x1 + 0.01, box.y1), frameon=False, fontsize=9,
                  labelspacing=1.0, handlelength=1.6, handleheight=1.6, labelcolor=INK)


def _colour_bar(figure, axes, shown, label, extend):
    box = axes.get_position()
    place = figure.add_axes((box.x1 + 0.015, box.y0 + 0.08 * box.height, 0.022, 0.84 * box.height))
    bar = figure.colorbar(shown, cax=place, extend=extend)
    bar.set_label(label, fontsize=9, color=INK)
    bar.ax.tick_params(labelsize=8)


def _save(figure, path):
    # Matplotlib's own version in the file would make equal pictures differ; packing harder takes longer than drawing
    figure.savefig(path, metadata={"Software": None}, pil_kwargs={"compress_level": 2})


def _rgb(colour):
    return [int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)]


def colour_table(name):
    """(256, 3) uint8 of a colour map of Matplotlib."""
    import matplotlib

    return np.rint(255 * matplotlib.colormaps[name](np.arange(256))[:, :3]).astype(np.uint8)
