"""How a layer looks: classes of values with colours and labels, and the QML in which QGIS keeps them.

The same classes colour the picture and the layers, so a county has one colour wherever it is shown.
QML as QGIS 3 writes it: `<Option>` maps for new versions, `<prop>` rows for those before 3.18.
"""

import math
from dataclasses import dataclass
from xml.etree import ElementTree as xml

# ColorBrewer RdBu, safe for the colour-blind: reds lack power, blues have some to spare, grey is in between.
REDS = ("#f4a582", "#d6604d", "#b2182b", "#67001f")
BLUES = ("#92c5de", "#4393c3", "#2166ac", "#053061")
MIDDLE = "#f2f2f2"
# Paul Tol's muted scheme with two darker colours; in this order in every legend, what is not here is "other".
FUELS = {
    "nuclear": "#882255", "coal": "#332288", "gas": "#cc6677", "oil": "#661100", "hydro": "#88ccee", "wind": "#44aa99",
    "solar": "#ddcc77", "storage": "#aa4499", "biomass": "#117733", "geothermal": "#999933", "other": "#888888",
}
POCKET = "#000000"
UNKNOWN = "#bdbdbd"
NOTHING = 1e-6  # what rounding may leave of a MW that is not lacking
GEOMETRY_CODE = {"Point": "0", "MultiLineString": "1", "LineString": "1", "MultiPolygon": "2"}


@dataclass(frozen=True)
class Class:
    """Values from lower to upper, drawn in one colour under one label."""

    lower: float
    upper: float
    colour: str
    label: str


VOLTAGES = tuple(Class(a, b, colour, label) for a, b, colour, label in (
    (-1e12, 0, UNKNOWN, "unknown"), (0, 100, "#c7c7c7", "below 100 kV"), (100, 200, "#9e9ac8", "100 to 199 kV"), (200, 300, "#fdae61", "200 to 299 kV"),
    (300, 400, "#f46d43", "300 to 399 kV"), (400, 600, "#a50026", "400 to 599 kV"), (600, math.inf, "#4d004b", "600 kV and above")))
LOADINGS = tuple(Class(a, b, colour, label) for a, b, colour, label in (
    (0, 25, "#d9d9d9", "below 25 %"), (25, 50, "#9ecae1", "25 to 50 %"), (50, 80, "#4292c6", "50 to 80 %"), (80, 99.999, "#fd8d3c", "80 to 100 %"),
    (99.999, math.inf, "#b30000", "at its limit")))

SHARES = tuple(Class(a, b, colour, label) for a, b, colour, label in (
    (0, 1, "#fddbc7", "up to 1 %"), (1, 5, "#f4a582", "1 to 5 %"), (5, 15, "#d6604d", "5 to 15 %"), (15, 30, "#b2182b", "15 to 30 %"),
    (30, math.inf, "#67001f", "above 30 %")))
ENERGY_SHARES = tuple(Class(a, b, colour, label) for a, b, colour, label in (
    (0, NOTHING, MIDDLE, "none"), (NOTHING, 0.1, "#fddbc7", "up to 0.1 %"), (0.1, 1, "#f4a582", "0.1 to 1 %"), (1, 5, "#d6604d", "1 to 5 %"),
    (5, 20, "#b2182b", "5 to 20 %"), (20, math.inf, "#67001f", "above 20 %")))
HOURS = tuple(Class(a, b, colour, label) for a, b, colour, label in (
    (0, 1, MIDDLE, "never"), (1, 10, "#fde0c5", "up to 9 h"), (10, 100, "#facba6", "10 to 99 h"), (100, 1000, "#f2855d", "100 to 999 h"),
    (1000, 8000, "#ca3a2c", "1,000 to 7,999 h"), (8000, math.inf, "#4a0c2b", "8,000 h and more")))

HEADROOMS = tuple(Class(a, b, colour, label) for a, b, colour, label in (
    (0, NOTHING, REDS[1], "nothing"), (NOTHING, 20, REDS[0], "up to 20 MW"), (20, 100, "#fddbc7", "20 to 100 MW"), (100, 500, MIDDLE, "100 to 500 MW"),
    (500, 1000, BLUES[0], "500 to 1,000 MW"), (1000, 3000, BLUES[1], "1,000 to 3,000 MW"), (3000, math.inf, BLUES[2], "above 3,000 MW")))
LOLE = tuple(Class(a, b, colour, label) for a, b, colour, label in (
    (0, NOTHING, MIDDLE, "none"), (NOTHING, 0.1, "#fde0c5", "up to 0.1 h"), (0.1, 1, "#facba6", "0.1 to 1 h"), (1, 10, "#f2855d", "1 to 10 h"),
    (10, 100, "#ca3a2c", "10 to 100 h"), (100, math.inf, "#4a0c2b", "above 100 h")))
NEUE = tuple(Class(a, b, colour, label) for a, b, colour, label in (
    (0, NOTHING, MIDDLE, "none"), (NOTHING, 1, "#fddbc7", "up to 1 ppm"), (1, 10, "#f4a582", "1 to 10 ppm"), (10, 100, "#d6604d", "10 to 100 ppm"),
    (100, 1000, "#b2182b", "100 to 1,000 ppm"), (1000, math.inf, "#67001f", "above 1,000 ppm")))


def diverging(values, unit):
    """Classes for signed values: four reds below zero, grey around it, four blues above.

    values: (N,) finite. The borders are 1, 3, 10, 30 times a power of ten: most counties are small and a few are
    huge, so even steps would leave the map grey. The outermost is the largest such number below the 98th percentile.
    """
    edges = round_steps(values, 4)
    below = [(-a, -b) for a, b in zip([math.inf, *reversed(edges)], reversed(edges))]
    above = [(b, a) for a, b in zip([*edges[1:], math.inf], edges)]
    bounds = [*below, (-edges[0], edges[0]), *above]
    colours = [*reversed(REDS), MIDDLE, *BLUES]
    return [Class(a, b, colour, _label(a, b, unit)) for (a, b), colour in zip(bounds, colours)]


def short_or_spare(values, unit):
    """Classes for what is left after the flows: any lack is red, a little to spare is grey, more is blue.

    values: (N,) finite. Each side has steps of its own, because lacks are small beside what others have to spare.
    """
    lacks, spares = round_steps([v for v in values if v < 0], 4)[1:], round_steps([v for v in values if v > 0], 4)
    edges = [-math.inf, *(-e for e in reversed(lacks)), -NOTHING, *spares, math.inf]
    return [Class(a, b, colour, _label(a, b, unit)) for a, b, colour in zip(edges, edges[1:], [*reversed(REDS), MIDDLE, *BLUES])]


def worse_or_better(values, unit):
    """Classes for a change of what can't be served: more is red, less is blue, as it was is grey."""
    edges = round_steps(values, 4)
    edges = [-math.inf, *(-e for e in reversed(edges[1:])), -NOTHING, NOTHING, *edges[1:], math.inf]
    colours = [*reversed(BLUES), MIDDLE, *REDS]
    return [Class(a, b, colour, "as before" if a == -NOTHING else _label(a, b, unit)) for a, b, colour in zip(edges, edges[1:], colours)]


def round_steps(values, count):
    """`count` growing numbers of the row ... 1, 3, 10, 30 ..., the last not above the 98th percentile of |values|."""
    sizes = sorted(abs(float(v)) for v in values if v)
    top = sizes[min(len(sizes) - 1, int(0.98 * len(sizes)))] if sizes else 1.0
    decade = math.floor(math.log10(top) + 1e-9)
    half = 2 * decade + (top >= 3 * 10.0 ** decade)  # 10^(1/2) is 3 to the reader
    return [(3 if i % 2 else 1) * 10.0 ** (i // 2) for i in range(half - count + 1, half + 1)]


def _label(lower, upper, unit):
    if lower == -math.inf:
        return f"below {_number(upper)} {unit}"
    if upper == math.inf:
        return f"above {_number(lower)} {unit}"
    return f"{_number(lower)} to {_number(upper)} {unit}"


def _number(value):
    value = 0 if abs(value) == NOTHING else value
    return f"{value:,.10g}".replace("-", "\N{MINUS SIGN}")


# QML


def fill(colour, outline="#ffffff", width=0.05):
    """A polygon symbol; colour None leaves it empty. width: mm."""
    return _symbol("fill", "SimpleFill", {
        "color": _rgb(colour or "#000000"), "style": "solid" if colour else "no",
        "outline_color": _rgb(outline), "outline_style": "solid", "outline_width": str(width), "outline_width_unit": "MM"})


def line(colour, width=0.3, width_expression=None):
    """A line symbol; width in mm, or an expression of the layer's columns that gives it."""
    return _symbol("line", "SimpleLine", {
        "line_color": _rgb(colour), "line_style": "solid", "line_width": str(width), "line_width_unit": "MM",
        "capstyle": "round", "joinstyle": "round"}, {"outlineWidth": width_expression})


def marker(colour, size=1.5, size_expression=None):
    """A round point symbol; size in mm, or an expression of the layer's columns that gives it."""
    return _symbol("marker", "SimpleMarker", {
        "name": "circle", "color": _rgb(colour), "outline_color": _rgb("#ffffff"), "outline_width": "0.1",
        "outline_width_unit": "MM", "size": str(size), "size_unit": "MM"}, {"size": size_expression})


def single(symbol):
    """A renderer that draws every feature alike."""
    return _renderer("singleSymbol", [symbol])


def graduated(column, classes, symbol):
    """A renderer by the value of a column; symbol: function of a colour."""
    renderer = _renderer("graduatedSymbol", [symbol(c.colour) for c in classes],
                         attr=column, graduatedMethod="GraduatedColor")
    ranges = xml.Element("ranges")
    for i, c in enumerate(classes):
        xml.SubElement(ranges, "range", lower=_finite(c.lower), upper=_finite(c.upper), symbol=str(i), label=c.label, render="true")
    renderer.insert(0, ranges)
    return renderer


def categorized(column, colours, symbol):
    """A renderer by the text in a column; colours: {text: colour}, symbol: function of a colour."""
    renderer = _renderer("categorizedSymbol", [symbol(colour) for colour in colours.values()], attr=column)
    categories = xml.Element("categories")
    for i, name in enumerate(colours):
        xml.SubElement(categories, "category", value=name, symbol=str(i), label=name, type="string", render="true")
    renderer.insert(0, categories)
    return renderer


def qml(renderer, geometry, aliases):
    """The style of a layer as QML text. geometry: its type; aliases: {column: what QGIS heads it with}."""
    root = xml.Element("qgis", version="3.22.0-Białowieża", styleCategories="Symbology|Fields")
    root.append(renderer)
    rows = xml.SubElement(root, "aliases")
    for i, (column, alias) in enumerate(aliases.items()):
        xml.SubElement(rows, "alias", index=str(i), field=column, name=alias)
    xml.SubElement(root, "layerGeometryType").text = GEOMETRY_CODE[geometry]
    return "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n" + xml.tostring(root, encoding="unicode")


def _renderer(kind, symbols, **attributes):
    renderer = xml.Element("renderer-v2", type=kind, symbollevels="0", enableorderby="0", forceraster="0", **attributes)
    box = xml.SubElement(renderer, "symbols")
    for i, symbol in enumerate(symbols):
        symbol.set("name", str(i))
        box.append(symbol)
    return renderer


def _symbol(kind, layer_class, properties, expressions=None):
    symbol = xml.Element("symbol", type=kind, name="0", alpha="1", clip_to_extent="1", force_rhr="0")
    layer = xml.SubElement(symbol, "layer", {"class": layer_class, "enabled": "1", "locked": "0", "pass": "0"})
    layer.append(_map(properties))
    for name, value in properties.items():
        xml.SubElement(layer, "prop", k=name, v=value)
    given = {name: text for name, text in (expressions or {}).items() if text}
    if given:
        layer.append(_data_defined(given))
    return symbol


def _data_defined(expressions):
    box = xml.Element("data_defined_properties")
    outer = xml.SubElement(box, "Option", type="Map")
    xml.SubElement(outer, "Option", type="QString", name="name", value="")
    inner = xml.SubElement(outer, "Option", type="Map", name="properties")
    for name, expression in expressions.items():
        one = xml.SubElement(inner, "Option", type="Map", name=name)
        xml.SubElement(one, "Option", type="bool", name="active", value="true")
        xml.SubElement(one, "Option", type="QString", name="expression", value=expression)
        xml.SubElement(one, "Option", type="int", name="type", value="3")
    xml.SubElement(outer, "Option", type="QString", name="type", value="collection")
    return box


def _map(properties):
    box = xml.Element("Option", type="Map")
    for name, value in properties.items():
        xml.SubElement(box, "Option", type="QString", name=name, value=value)
    return box


def _rgb(colour):
    return ",".join(str(int(colour[i:i + 2], 16)) for i in (1, 3, 5)) + ",255"


def _finite(value):
    # QGIS reads "inf" as 0; no grid comes near 1e12 MW
    return repr(max(-1e12, min(1e12, float(value))))
