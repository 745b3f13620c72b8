"""The picture of a run: every region on its own, and after what the lines can carry."""

import datetime
import math
import textwrap

import numpy as np
import shapely

from gridmap import style

INK = "#222222"
GREY = "#666666"
BOTTLENECK = "#0072b2"
DOUBT = "#8a8a8a"
WIDTH = 20.0  # inches
SERVED_OR_NOT = (style.Class(0, style.NOTHING, style.MIDDLE, "all served"), *style.SHARES)
NAMED_POCKETS = 8


def draw_map(path, shown, results):
    """Write map.png of an hour: two panels of one extent.

    shown: what `layers.build` made; results: what `output.write_results` wrote. Left: net_mw of each region, whatever its
    neighbours have. Right: the share of demand left unserved after the flows, corridors at their limit, pockets outlined
    and the largest credible ones ranked.
    """
    regions, corridors, pockets = (shown[name] for name in ("regions", "corridors", "pockets"))
    figure, left, right = _sheet(regions, 9.4, ("On its own", "After what the lines can carry"))
    outlines = [_path(g) for g in regions.geometry], _borders(regions)

    classes = style.diverging(regions.net_mw, "MW")
    _draw_regions(left, *outlines, _colours(regions.net_mw, classes))
    _legend(figure, left, classes, "supply minus demand of the region (MW)")

    _draw_regions(right, *outlines, _colours(regions.residual_share_pct, SERVED_OR_NOT))
    _draw_bottlenecks(right, corridors[corridors.bottleneck > 0])
    _draw_pockets(right, pockets)
    _legend(figure, right, SERVED_OR_NOT, "demand that can't be served (% of the region's)")
    _key(figure, right)
    _list_pockets(figure, right, [f"{_name(p)}: {p.residual_deficit_mw:,.0f} MW, {p.residual_share_pct:.0f} % of its demand"
                                  for p in _credible(pockets).itertuples()])
    _write(figure, left, path, *_words(results))


def draw_year(path, shown, found, results):
    """Write map.png of a year: the share of energy unserved, the hours short, and every hour of the year in a row.

    shown: what `layers.build` made; found: the chronicle.Chronicle; results: what `output.write_year` wrote.
    """
    regions, pockets = shown["regions"], shown["pockets"]
    figure, left, right = _sheet(regions, 11.4, ("Energy that can't be served", "Hours in which it is short"))
    outlines = [_path(g) for g in regions.geometry], _borders(regions)
    _draw_regions(left, *outlines, _colours(regions.unserved_pct, style.ENERGY_SHARES))
    _legend(figure, left, style.ENERGY_SHARES, "of the region's demand in the year (%)")
    _draw_regions(right, *outlines, _colours(regions.hours_short, style.HOURS))
    _draw_pockets(right, pockets)
    _legend(figure, right, style.HOURS, "hours of the year (h)")
    _key(figure, right, bottlenecks=False)
    _list_pockets(figure, right, [f"{_name(p)}: {p.unserved_mwh / 1e3:,.0f} GWh in {p.hours_short:,} h, at worst {p.worst_mw:,.0f} MW"
                                  for p in _credible(pockets).itertuples()])
    _draw_hours(figure, found.hours)
    _write(figure, left, path, *_year_words(results))


def draw_where(path, shown, results):
    """Write map.png of a siting.Siting: the largest new load and the largest new plant, each in its hardest hour.

    shown: what `layers.build_some` made; results: what `output.write_where` wrote.
    """
    regions = shown["regions"]
    figure, left, right = _sheet(regions, 9.4, ("The largest new load", "The largest new plant"))
    outlines = [_path(g) for g in regions.geometry], _borders(regions)
    for axes, column, words in ((left, "load_mw", "with everybody else as before (MW)"), (right, "plant_mw", "of which all can be used (MW)")):
        _draw_regions(axes, *outlines, _colours(regions[column], style.HEADROOMS))
        _legend(figure, axes, style.HEADROOMS, words)
    size, hours = results["size_mw"], len(results["hours"])
    best = regions[~regions.artefact.astype(bool)].nlargest(NAMED_POCKETS, "relief_mwh").query("relief_mwh > 0")
    names = best["name"] + np.where(best["state"].eq(""), "", ", ") + best["state"]
    _list_pockets(figure, right, [f"{name}: {size:,g} MW relieve {mwh:,.0f} MWh" for name, mwh in zip(names, best["relief_mwh"])])
    basis = results["basis"].replace("_", " ")
    _write(figure, left, path, f"Where can {size:,g} MW go?",
           f"{results['load_fits']['value']:,.0f} of {results['regions']:,} regions could serve such a load in all of {hours} hours, "
           f"{results['plant_fits']['value']:,.0f} could use such a plant.",
           (f"{basis.capitalize()} capacity: {results['basis_counts']}.",
            "A load goes as long as nobody's unserved demand rises; the smallest of the hours counts. Regions that are short take nothing."))


def draw_compare(path, shown, results):
    """Write map.png of a scenario.Difference: what each region lacks after the changes, and how that differs from before.

    shown: what `layers.build_some` made; results: what `output.write_compare` wrote.
    """
    regions, corridors = shown["regions"], shown["corridors"]
    figure, left, right = _sheet(regions, 9.4, ("Unserved after the changes", "More or less than before"))
    outlines = [_path(g) for g in regions.geometry], _borders(regions)
    for axes, column, words in ((left, "after_mwh", "in all the hours together (MWh)"), (right, "change_mwh", "after less before (MWh)")):
        classes = style.worse_or_better(regions[column], "MWh")
        classes = classes[len(classes) // 2:] if column == "after_mwh" else classes
        _draw_regions(axes, *outlines, _colours(regions[column], classes))
        _legend(figure, axes, classes, words)
    changed = corridors.forward_mw.ne(corridors.forward_before_mw) | corridors.backward_mw.ne(corridors.backward_before_mw)
    _draw_bottlenecks(right, corridors[changed])
    before, after = results["before_mwh"]["value"], results["after_mwh"]["value"]
    basis = results["basis"].replace("_", " ")
    _write(figure, left, path, "What the scenario changes",
           f"{len(results['hours'])} hours: unserved {before:,.0f} MWh before, {after:,.0f} MWh after; {results['worse']['value']:,.0f} regions worse off, "
           f"{results['better']['value']:,.0f} better.",
           (f"{basis.capitalize()} capacity: {results['basis_counts']}.", "Blue lines: corridors whose limits the scenario changes."))


def draw_adequacy(path, regions, results):
    """Write map.png of an adequacy study: hours short in a drawn year, and the share of the energy not served.

    regions: the layer "adequacy"; results: what results.json holds.
    """
    figure, left, right = _sheet(regions, 9.4, ("Hours short in a year, on average", "Energy not served, on average"))
    outlines = [_path(g) for g in regions.geometry], _borders(regions)
    for axes, column, classes, heading in ((left, "lole_hours", style.LOLE, "hours of the study (h)"),
                                           (right, "neue_ppm", style.NEUE, "of the region's demand (ppm)")):
        _draw_regions(axes, *outlines, _colours(regions[column], classes))
        _draw_doubts(axes, regions, regions[column], regions[f"{column}_error"])
        _legend(figure, axes, classes, heading)
    _write(figure, left, path, *_adequacy_words(results))


def draw_adequacy_change(path, regions, results):
    """Write change.png of an adequacy study with a scenario: hours short and energy not served more or less than before.

    regions: the layer "adequacy_change"; results: what results.json holds.
    """
    figure, left, right = _sheet(regions, 9.4, ("Hours short, after less before", "Energy not served, after less before"))
    outlines = [_path(g) for g in regions.geometry], _borders(regions)
    for axes, column, unit in ((left, "lole_hours", "h"), (right, "eue_mwh", "MWh")):
        classes = style.worse_or_better(regions[column], unit)
        _draw_regions(axes, *outlines, _colours(regions[column], classes))
        _draw_doubts(axes, regions, regions[column].abs(), regions[f"{column}_error"])
        _legend(figure, axes, classes, f"mean of the drawn years ({unit})")
    change = results["change"]["system"]
    told = "; ".join(f"{change[n]['value']:+,.2f} \N{PLUS-MINUS SIGN} {1.96 * change[n]['standard_error']:,.2f} {change[n]['unit']}" for n in ("lole_hours", "eue_mwh"))
    _write(figure, left, path, "What the scenario changes", f"{results['samples']:,} drawn years of {results['hours']:,} hours with the same outages before and after: {told} (95 %).",
           ("Dots: regions whose change may be none, by its 95 % interval.",))


def _draw_doubts(axes, regions, values, errors):
    """A dot in each region whose 95 % interval holds none at all."""
    doubtful = regions[(values > style.NOTHING) & (values <= 1.96 * errors)]
    points = doubtful.geometry.representative_point()
    axes.plot(points.x, points.y, ".", color=INK, markersize=3.5, zorder=5)


def _sheet(regions, height, heads):
    """(figure, left axes, right axes): two empty maps above a foot of fixed height. height: inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), dpi=120, facecolor="white")
    FigureCanvasAgg(figure)
    low, high = height - 7.47, height - 1.41
    panels = [figure.add_axes((x, low / height, 0.485, (high - low) / height)) for x in (0.01, 0.505)]
    for axes, words in zip(panels, heads):
        _frame(axes, regions.total_bounds, words)
    return figure, *panels


def _write(figure, left, path, title, subtitle, note):
    """Put the words of a sheet in their places and save it."""
    top = figure.get_figheight()
    figure.text(0.012, 1 - 0.26 / top, title, fontsize=24, fontweight="bold", color=INK, va="top")
    figure.text(0.012, 1 - 0.77 / top, subtitle, fontsize=14, color=INK, va="top")
    figure.text(0.022, _foot(figure, left, 0.82), "\n".join(line for part in note for line in textwrap.wrap(part, 122)),
                fontsize=10.5, color=GREY, va="top", linespacing=1.5)
    figure.savefig(path)


def _words(results):
    when = datetime.datetime.strptime(results["hour"], "%Y-%m-%dT%H:%MZ")
    supply, demand, alone, left = _powers([results[n]["value"] for n in ("supply_mw", "demand_mw", "isolated_deficit_mw", "residual_deficit_mw")])
    basis = results["basis"].replace("_", " ")
    return (
        f"Where power runs short: {when.day} {when:%B %Y, %H:%M} UTC",
        f"Demand {demand}, {basis} supply {supply}. If every region stood alone, {alone} would be missing; "
        f"after what the lines can carry, {left} in {results['pockets']['value']:.0f} pockets.",
        (f"{basis.capitalize()} capacity: {results['basis_counts']}.",
         "Total unserved demand is the least that the corridor limits allow; its split is the one as even as they allow."),
    )


def _year_words(results):
    basis = results["basis"].replace("_", " ")
    twh = {name: results[name]["value"] / 1e6 for name in ("demand_mwh", "isolated_mwh", "unserved_mwh", "artefact_mwh")}
    return (
        f"Where power runs short: {results['year']}",
        f"Demand {twh['demand_mwh']:,.1f} TWh. If every region stood alone, {twh['isolated_mwh']:,.1f} TWh would be missing; after what the "
        f"lines can carry, {twh['unserved_mwh']:,.2f} TWh, of which {twh['artefact_mwh']:,.2f} TWh where the data can't be right.",
        (f"{basis.capitalize()} capacity: {results['basis_counts']}.",
         "Every hour is solved by itself: least total unserved demand within the corridor limits, split as evenly as they allow."),
    )


def _adequacy_words(results):
    chronic = results["chronic"]
    where, place = ("Outside regions short all the time", "regions not chronic") if "regions not chronic" in results else ("Somewhere in the system", "system")
    (lole, lole_error), (eue, eue_error) = ((results[place][n]["value"], 1.96 * results[place][n]["standard_error"]) for n in ("lole_hours", "eue_mwh"))
    return (
        "How often power runs short",
        f"{results['samples']:,} drawn years of {results['hours']:,} hours. {where}: {lole:,.1f} \N{PLUS-MINUS SIGN} {lole_error:,.1f} hours, "
        f"{eue:,.0f} \N{PLUS-MINUS SIGN} {eue_error:,.0f} MWh (95 %).",
        (f"{chronic['value']} regions with {chronic['eue_mwh']:,.0f} MWh are {chronic['how']}.",
         "Units fail one by one at the rates of their technology; the least that the corridor limits allow is left unserved, split as evenly as "
         "they allow. Dots: regions whose number may be none, by its 95 % interval."),
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


def _foot(figure, axes, inches):
    """The figure's y that lies so many inches below a map."""
    return axes.get_position().y0 - inches / figure.get_figheight()


def _colours(values, classes):
    upper = np.array([c.upper for c in classes[:-1]])
    return np.array([c.colour for c in classes])[np.searchsorted(upper, np.asarray(values), side="right")]


def _draw_regions(axes, paths, borders, colours):
    from matplotlib.collections import LineCollection, PathCollection

    # an edge of its own colour closes the hairline between neighbours
    axes.add_collection(PathCollection(paths, facecolors=colours, edgecolors=colours, linewidths=0.4))
    axes.add_collection(LineCollection(borders, colors="#8c8c8c", linewidths=0.6))


def _draw_bottlenecks(axes, corridors):
    from matplotlib.collections import LineCollection

    axes.add_collection(LineCollection([shapely.get_coordinates(g) for g in corridors.geometry],
                                       colors=BOTTLENECK, linewidths=1.2, capstyle="round", zorder=3))


def _draw_pockets(axes, pockets):
    """Outlines, and on the largest credible ones their rank, moved apart where they would lie on each other."""
    from matplotlib.collections import LineCollection

    if len(pockets) == 0:
        return
    for doubt, colour in ((True, DOUBT), (False, style.POCKET)):
        rings = _rings(pockets.geometry[pockets.artefact == doubt])
        axes.add_collection(LineCollection(rings, colors=colour, linewidths=1.1, zorder=4 + (not doubt) / 2))
    points = _credible(pockets).geometry.representative_point()
    home = np.column_stack((points.x, points.y))
    x0, x1, y0, y1 = axes.axis()
    for rank, (here, there) in enumerate(zip(home, _apart(home, 0.028 * max(x1 - x0, y1 - y0))), start=1):
        axes.plot(*zip(here, there), color=INK, linewidth=0.8, zorder=5)
        axes.text(*there, str(rank), ha="center", va="center", fontsize=11, fontweight="bold", color="white", zorder=6,
                  bbox={"boxstyle": "circle,pad=0.18", "facecolor": INK, "edgecolor": "white", "linewidth": 0.8})


def _credible(pockets):
    """The largest pockets whose data do not contradict the world, in order."""
    return pockets[~pockets.artefact.astype(bool)].head(NAMED_POCKETS)


def _name(pocket):
    others = pocket.regions - 1
    return pocket.name + (f" +{others}" if others else "")


def _apart(points, distance):
    """The points pushed from each other until each two are `distance` apart (or 200 rounds are over)."""
    if len(points) < 2:
        return points
    points = points + np.linspace(0, 1e-3, len(points))[:, None]  # two at one place need a direction
    for _ in range(200):
        gap = points[:, None] - points[None]
        length = np.hypot(*gap.T).T + np.eye(len(points)) * distance
        if length.min() >= distance:
            break
        push = np.maximum(0, distance - length) / 2
        points = points + (gap / length[..., None] * push[..., None]).sum(axis=1)
    return points


def _list_pockets(figure, axes, words):
    """The ranked pockets in words, in columns of four under the legend of a map."""
    left, line = axes.get_position().x0 + 0.012, 0.21 / figure.get_figheight()
    for i, text in enumerate(words):
        figure.text(left + 0.24 * (i // 4), _foot(figure, axes, 0.82) - line * (i % 4), f"{i + 1}  {text}", fontsize=10.5, color=INK, va="top")


def _legend(figure, axes, classes, heading):
    """A strip of boxes below the map with the borders of the classes between them; a class that holds only 0 has its words."""
    from matplotlib.patches import Rectangle

    strip = figure.add_axes((axes.get_position().x0 + 0.012, _foot(figure, axes, 0.7), 0.3, 0.61 / figure.get_figheight()))
    for i, c in enumerate(classes):
        strip.add_patch(Rectangle((i, 0.40), 0.97, 0.28, facecolor=c.colour, edgecolor="#bbbbbb", linewidth=0.5))
        if math.isfinite(c.upper):
            upper = 0 if abs(c.upper) == style.NOTHING else c.upper
            strip.text(i + 0.985, 0.30, f"{upper:,g}".replace("-", "\N{MINUS SIGN}"), ha="center", va="top", fontsize=10.5, color=INK)
    if classes[0].lower == 0:
        strip.text(0.5, 0.54, classes[0].label, ha="center", va="center", fontsize=9.5, color=INK)
    strip.text(0, 0.78, heading, fontsize=11.5, color=INK, va="bottom")
    strip.set(xlim=(0, len(classes)), ylim=(0, 1))
    strip.axis("off")


def _key(figure, axes, bottlenecks=True):
    """What the lines of a map with pockets are."""
    key = figure.add_axes((axes.get_position().x0 + 0.335, _foot(figure, axes, 0.7), 0.14, 0.61 / figure.get_figheight()))
    lines = [(style.POCKET, "pocket, short as a whole"), (DOUBT, "pocket of doubtful data")]
    for i, (colour, words) in enumerate(lines + [(BOTTLENECK, "corridor at its limit")] * bottlenecks):
        key.plot((0, 0.1), (0.9 - 0.34 * i,) * 2, color=colour, linewidth=1.8)
        key.text(0.13, 0.9 - 0.34 * i, words, fontsize=10.5, color=INK, va="center")
    key.set(xlim=(0, 1), ylim=(0, 1))
    key.axis("off")


def _draw_hours(figure, hours):
    """A strip along the foot of the figure: unserved demand of every hour, and demand behind it."""
    axes = figure.add_axes((0.035, 0.05, 0.925, 0.115))
    demand = axes.twinx()
    demand.plot(hours["hour"], hours["demand_mw"] / 1e3, color="#c9c9c9", linewidth=0.5)
    axes.fill_between(hours["hour"], hours["unserved_mw"] / 1e3, color=style.REDS[2], linewidth=0)
    axes.set(ylabel="unserved (GW)", ylim=(0, None), zorder=demand.get_zorder() + 1, facecolor="none",
             xlim=(hours["hour"].iloc[0], hours["hour"].iloc[-1]))
    demand.set(ylabel="demand (GW)", ylim=(0, None))
    for side in (axes, demand):
        side.spines[["top"]].set_visible(False)
        side.tick_params(labelsize=9.5, colors=GREY)
        side.yaxis.label.set(fontsize=10.5, color=INK)


def _frame(axes, bounds, words):
    x0, y0, x1, y1 = bounds
    pad = 0.015 * max(x1 - x0, y1 - y0)
    axes.set(xlim=(x0 - pad, x1 + pad), ylim=(y0 - pad, y1 + pad), aspect="equal")
    axes.axis("off")
    axes.text(0.025, 1.01, words, transform=axes.transAxes, fontsize=16, color=INK, va="bottom")
