"""The picture of a run: every region on its own, and after what the lines can carry."""

import datetime
import math
import textwrap

import numpy as np
import shapely

from gridmap import style

INK = "#222222"
LAND = "#f2f2f2"
GREY = "#666666"
BOTTLENECK = "#0072b2"
SHARES = tuple(
    style.Class(a, b, colour, label) for a, b, colour, label in (
        (0, 1, "#fddbc7", "up to 1 %"), (1, 5, "#f4a582", "1 to 5 %"), (5, 15, "#d6604d", "5 to 15 %"),
        (15, 30, "#b2182b", "15 to 30 %"), (30, math.inf, "#67001f", "above 30 %")))
NAMED_POCKETS = 8


def draw_map(path, shown, results):
    """Write map.png: two panels of one extent.

    shown: what `layers.build` made; results: what `output.write_results` wrote. Left: net_mw of each region, whatever its
    neighbours have. Right: the share of demand left unserved after the flows, corridors at their limit, pockets outlined
    and the largest ranked.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    regions, corridors, pockets = shown["regions"], shown["corridors"], shown["pockets"]
    figure = Figure(figsize=(20, 9.4), dpi=120, facecolor="white")
    FigureCanvasAgg(figure)
    left, right = (figure.add_axes((x, 0.205, 0.485, 0.645)) for x in (0.01, 0.505))
    paths, borders = [_path(g) for g in regions.geometry], _borders(regions)

    classes = style.diverging(regions.net_mw, "MW")
    _draw_regions(left, paths, _colours(regions.net_mw.to_numpy(), classes), borders)
    _legend(figure, left, classes, "supply minus demand of the region (MW)")

    shares = regions.residual_share_pct.to_numpy()
    _draw_regions(right, paths, np.where(shares > 0, _colours(shares, SHARES), LAND), borders)
    _draw_bottlenecks(right, corridors[corridors.bottleneck > 0])
    _draw_pockets(right, pockets)
    _legend(figure, right, (style.Class(0, 0, LAND, "all served"), *SHARES), "demand that can't be served (% of the region's)", "all served")
    _key(figure, right)
    _list_pockets(figure, pockets, right.get_position().x0 + 0.012, 0.118)

    for axes, words in ((left, "On its own"), (right, "After what the lines can carry")):
        _frame(axes, regions.total_bounds, words)
    title, subtitle, note = _words(results)
    figure.text(0.012, 0.972, title, fontsize=24, fontweight="bold", color=INK, va="top")
    figure.text(0.012, 0.918, subtitle, fontsize=14, color=INK, va="top")
    figure.text(0.022, 0.118, note, fontsize=10.5, color=GREY, va="top", linespacing=1.5)
    figure.savefig(path)


def _words(results):
    when = datetime.datetime.strptime(results["hour"], "%Y-%m-%dT%H:%MZ")
    supply, demand, alone, left = _powers([results[n]["value"] for n in ("supply_mw", "demand_mw", "isolated_deficit_mw", "residual_deficit_mw")])
    return (
        f"Where power runs short: {when.day} {when:%B %Y, %H:%M} UTC",
        f"Demand {demand}, {results['basis'].replace('_', ' ')} supply {supply}. "
        f"If every region stood alone, {alone} would be missing; after what the lines can carry, {left} in {results['pockets']['value']:.0f} pockets.",
        "\n".join(textwrap.wrap(f"{results['basis'].replace('_', ' ').capitalize()} capacity: {results['basis_counts']}.", 122)
                  + ["Total unserved demand is the least that the corridor limits allow; its split is the one as even as they allow."]),
    )


def _powers(mw):
    """Amounts of MW as texts in one unit."""
    return [f"{m / 1e3:,.1f} GW" if max(mw) >= 1e4 else f"{m:,.0f} MW" for m in mw]


def _path(geometry):
    from matplotlib.path import Path

    rings = [ring for part in shapely.get_parts(geometry) for ring in (part.exterior, *part.interiors)]
    return Path.make_compound_path(*(Path(shapely.get_coordinates(ring), closed=True) for ring in rings))


def _borders(regions):
    """The outlines of the states, or of the regions where there is but one."""
    if regions.state.nunique() < 2:
        return _rings(regions.geometry)
    return _rings(shapely.union_all(part.to_numpy(), grid_size=1.0) for _, part in regions.geometry.groupby(regions.state))


def _rings(polygons):
    return [shapely.get_coordinates(ring) for ring in shapely.get_parts(shapely.boundary(list(polygons)))]


def _colours(values, classes):
    upper = np.array([c.upper for c in classes[:-1]])
    return np.array([c.colour for c in classes])[np.searchsorted(upper, values, side="right")]


def _draw_regions(axes, paths, colours, borders):
    from matplotlib.collections import LineCollection, PathCollection

    # an edge of its own colour closes the hairline between neighbours
    axes.add_collection(PathCollection(paths, facecolors=colours, edgecolors=colours, linewidths=0.4))
    axes.add_collection(LineCollection(borders, colors="#8c8c8c", linewidths=0.6))


def _draw_bottlenecks(axes, corridors):
    from matplotlib.collections import LineCollection

    axes.add_collection(LineCollection([shapely.get_coordinates(g) for g in corridors.geometry],
                                       colors=BOTTLENECK, linewidths=1.2, capstyle="round", zorder=3))


def _draw_pockets(axes, pockets):
    """Outlines, and on the largest their rank, moved apart where they would lie on each other."""
    from matplotlib.collections import LineCollection

    if len(pockets) == 0:
        return
    axes.add_collection(LineCollection(_rings(pockets.geometry), colors=style.POCKET, linewidths=1.1, zorder=4))
    named = pockets.nlargest(NAMED_POCKETS, "residual_deficit_mw")
    points = named.geometry.representative_point()
    home = np.column_stack((points.x, points.y))
    x0, y0, x1, y1 = axes.dataLim.extents
    for rank, (here, there) in enumerate(zip(home, _apart(home, 0.028 * max(x1 - x0, y1 - y0))), start=1):
        axes.plot(*zip(here, there), color=INK, linewidth=0.8, zorder=5)
        axes.text(*there, str(rank), ha="center", va="center", fontsize=11, fontweight="bold", color="white", zorder=6,
                  bbox={"boxstyle": "circle,pad=0.18", "facecolor": INK, "edgecolor": "white", "linewidth": 0.8})


def _apart(points, distance):
    """The points pushed from each other until each two are `distance` apart (or 200 rounds are over)."""
    points = points + np.linspace(0, 1e-3, len(points))[:, None]  # two at one place need a direction
    for _ in range(200):
        gap = points[:, None] - points[None]
        length = np.hypot(*gap.T).T + np.eye(len(points)) * distance
        if length.min() >= distance:
            break
        push = np.maximum(0, distance - length) / 2
        points = points + (gap / length[..., None] * push[..., None]).sum(axis=1)
    return points


def _list_pockets(figure, pockets, x, y):
    """The ranked pockets in words, in columns of four at figure position (x, y)."""
    named = pockets.nlargest(NAMED_POCKETS, "residual_deficit_mw")
    for i, pocket in enumerate(named.itertuples()):
        words = f"{i + 1}  {pocket.name}: {pocket.residual_deficit_mw:,.0f} MW, {pocket.residual_share_pct:.0f} % of its demand"
        figure.text(x + 0.2 * (i // 4), y - 0.022 * (i % 4), words, fontsize=10.5, color=INK, va="top")


def _legend(figure, axes, classes, heading, first=""):
    """A strip of boxes below the panel with the borders of the classes between them; `first` labels the first box."""
    from matplotlib.patches import Rectangle

    box = axes.get_position()
    strip = figure.add_axes((box.x0 + 0.012, box.y0 - 0.075, 0.3, 0.065))
    for i, c in enumerate(classes):
        strip.add_patch(Rectangle((i, 0.40), 0.97, 0.28, facecolor=c.colour, edgecolor="#bbbbbb", linewidth=0.5))
        if math.isfinite(c.upper):
            strip.text(i + 0.985, 0.30, f"{c.upper:,g}".replace("-", "\N{MINUS SIGN}"), ha="center", va="top", fontsize=10.5, color=INK)
    if first:
        strip.text(0.5, 0.54, first, ha="center", va="center", fontsize=9.5, color=INK)
    strip.text(0, 0.78, heading, fontsize=11.5, color=INK, va="bottom")
    strip.set(xlim=(0, len(classes)), ylim=(0, 1))
    strip.axis("off")


def _key(figure, axes):
    """What the lines of the right panel are."""
    box = axes.get_position()
    key = figure.add_axes((box.x0 + 0.335, box.y0 - 0.075, 0.14, 0.065))
    for y, colour, words in ((0.82, style.POCKET, "pocket, short as a whole"), (0.46, BOTTLENECK, "corridor at its limit")):
        key.plot((0, 0.1), (y, y), color=colour, linewidth=1.8)
        key.text(0.13, y, words, fontsize=10.5, color=INK, va="center")
    key.set(xlim=(0, 1), ylim=(0, 1))
    key.axis("off")


def _frame(axes, bounds, words):
    x0, y0, x1, y1 = bounds
    pad = 0.015 * max(x1 - x0, y1 - y0)
    axes.set(xlim=(x0 - pad, x1 + pad), ylim=(y0 - pad, y1 + pad), aspect="equal")
    axes.axis("off")
    axes.text(0.025, 1.01, words, transform=axes.transAxes, fontsize=16, color=INK, va="bottom")
