"""What a file of unknown origin is taken for: kind, layout, and the column behind each field."""

from gridmap import InputError, tables
from gridmap.files import sheets

KINDS = ("plants", "places", "hydro", "demand", "areas", "loads", "population", "limits", "regions", "lines", "substations", "profiles", "outages")


def told(sources, own):
    """Lines that say what was taken from the user's own files. sources: ledger.Ledger.sources. own: names of files."""
    for (file, sheet, table, layout), part in sources[sources["file"].isin(own)].groupby(["file", "sheet", "table", "layout"], sort=False):
        yield f"{_name(file, sheet)}: {table}, {layout}: {part['rows'].iloc[0]:,} rows, {len(part)} fields"


def inspect(path):
    """Lines about a file: for each sheet that follows a layout what is taken from it and what is not; else the nearest
    layouts and a mapping to fill in. Raises InputError for a file that can't be read."""
    for name, raw in sheets(path):
        raw = tables.stripped(raw)
        found = [(kind, *_fits(path, kind, raw)) for kind in KINDS if tables.follows(kind, tables.below_notes(kind, raw).columns)]
        yield f"{_name(path, name)}: {len(raw):,} rows, {raw.shape[1]} columns"
        for kind, layout, rows, below in found:
            yield f"  {kind}, {layout}"
            for row in rows.itertuples():
                yield f"    {row.field:<16} <- {row.column}{f' ({row.unit})' if row.unit else ''}"
            left = [c for c in below.columns if c not in {c for cs in rows["column"] for c in cs.split(tables.OR)} and c != "geometry"]
            if left:
                yield f"    not taken: {', '.join(left)}"
        if not found:
            yield from _unknown(path, raw)


def _fits(path, kind, raw):
    below = tables.below_notes(kind, raw)
    layout, rows = tables.detect(path, kind, below.columns)
    return layout, tables.present(rows, below.columns), below


def _unknown(path, raw):
    yield "  follows no layout that gridmap knows (gridmap layouts lists them); its columns:"
    yield f"    {', '.join(raw.columns)}"
    for kind in ("plants", "demand", "limits", "lines", "regions"):
        try:
            tables.detect(path, kind, raw.columns)
        except InputError as error:
            yield f"  as {kind}: {str(error).partition('nearest is ')[2].partition(';')[0]}"
    fields = tables.layouts("plants")[tables.OWN]
    yield "  to take it as plants, put this into a TOML for --config, with your columns on the right:"
    yield "    [columns.plants]"
    for field in fields.loc[fields["need"].eq("yes"), "field"]:
        yield f'    {field} = "..."'


def _name(file, sheet):
    return f"{file}[{sheet}]" if sheet else str(file)
