"""What a run is about: which files, which hour, which capacity basis. From options, a TOML file, or both."""

import tomllib
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from gridmap import InputError

FILES = ("plants", "places", "hydro", "demand", "areas", "loads", "population", "limits", "group_limits", "regions", "lines", "substations", "profiles", "outages")
SOURCES = ("given", "lines")
EXPORTS = ("flatgeobuf", "pmtiles", "cog", "pypsa", "curves")
OF_YEARS = ("curves",)
OF_A_YEAR = "budgeted"            # the basis of a year where none is given
OF_AN_HOUR = ("cog", "pypsa")


@dataclass(frozen=True)
class Config:
    """One run. A file that is None is the bundled one (48 states); hour None is the hour of the highest total demand.

    The paths (FILES): generating units, their addresses, what is known of their rivers; demand by hour and area, which
    regions each area covers, large loads at known places, the people in each region; limits between regions, their polygons, lines to show, substations; what wind
    and sun gave; how often each technology is out.
    hour: "2023-07-27T22:00Z", UTC. year: every hour of it instead. basis: what counts as capacity, a name of `capacity.BASES`; by default
    effective for an hour and budgeted for a year (`from_options`).
    columns: {table: {field: column}} for files of a layout that columns.csv does not know; see `tables.read`.
    also: exports besides, names of `export.EXPORTS`. merge: solve a second time with artefacts joined to their neighbours.
    nested: hold limits between groups of regions too: those of the study, or of the file group_limits.
    fill_demand: hours of demand that are missing or can't be right are filled from the hours around them (`fill`), not refused.
    limits_from: "given" limits, or "lines": what the lines that end in two regions can carry (`line_limits`).
    by: what the regions are joined to before anything is solved, a name of `regroup.SETS`.
    """

    plants: Path | None = None
    places: Path | None = None
    hydro: Path | None = None
    demand: Path | None = None
    areas: Path | None = None
    loads: Path | None = None
    population: Path | None = None
    limits: Path | None = None
    regions: Path | None = None
    lines: Path | None = None
    substations: Path | None = None
    profiles: Path | None = None
    outages: Path | None = None
    hour: str | None = None
    year: int | None = None
    basis: str = "effective"
    by: str = "county"
    limits_from: str = "given"
    columns: dict = field(default_factory=dict)
    also: tuple = ()
    fill_demand: bool = False
    nested: bool = False
    group_limits: Path | None = None
    merge: bool = False

    @property
    def own_files(self):
        """The user's own files by role; empty for the bundled national data."""
        return {role: getattr(self, role) for role in FILES if getattr(self, role) is not None}

    def options(self):
        """What the manifest records."""
        return {name: str(value) if isinstance(value, Path | int) and value is not True else value for name, value in asdict(self).items() if value}


def from_options(toml=None, **options):
    """A Config from a TOML file (or None) with the options that were given (not None) laid over it.

    Paths in the TOML are taken from the folder it lies in; those in options from the working directory.
    Raises InputError for a file that is missing or not TOML, and for a key or a value that no run knows.
    """
    given = {name: value for name, value in options.items() if value not in (None, (), False)}
    given = {**(_from_toml(Path(toml)) if toml else {}), **_paths(given, Path())}
    config = Config(**({"basis": OF_A_YEAR} if given.get("year") else {}) | given)
    for name in set(config.also) & set(OF_AN_HOUR) if config.year else ():
        raise InputError(f"also = {name}: it is made of one hour; give an hour instead of a year")
    for name in set(config.also) & set(OF_YEARS) if not config.year else ():
        raise InputError(f"also = {name}: it is made of a year; give --year")
    if config.limits_from not in SOURCES:
        raise InputError(f"limits_from = {config.limits_from!r}: choose one of {', '.join(SOURCES)}")
    if config.limits_from == "lines" and config.lines is None:
        raise InputError("--limits-from lines: the bundled lines are only a part of the grid; give all lines with --lines")
    if config.hour and config.year:
        raise InputError(f"hour {config.hour} and year {config.year} are both given; choose one")
    for role, path in config.own_files.items():
        if not path.is_file():
            raise InputError(f"{path}: there is no such file; correct --{role} (a path to a readable file)")
    return config


def _from_toml(path):
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: the configuration can't be read ({error}); correct --config") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: not TOML ({error}); write lines like plants = \"plants.csv\"") from None
    known = {field.name for field in fields(Config)}
    for name, value in table.items():
        if name not in known:
            raise InputError(f"{path}: key {name!r} is unknown; the keys are {', '.join(sorted(known))}")
        right, want = KINDS.get(name, (lambda value: isinstance(value, str), "text; put it in quotes"))
        if not right(value):
            raise InputError(f"{path}: {name} = {value!r} is not {want}")
    return _paths(table, path.parent)


def _is_column_map(value):
    return isinstance(value, dict) and all(isinstance(part, dict) and all(map(_is_column, part.values())) for part in value.values())


def _is_column(said):
    """A column's name; or one with a factor, or a value for all rows."""
    if not isinstance(said, dict):
        return isinstance(said, str)
    if set(said) == {"value"}:
        return isinstance(said["value"], str | int | float)
    return isinstance(said.get("column"), str) and set(said) <= {"column", "times"} and isinstance(said.get("times", 1), int | float)


KINDS = {
    "columns": (_is_column_map, "a table of columns; write [columns.plants] and below it nameplate_mw = \"MW\", {column = \"kW\", times = 0.001} or {value = \"wind\"}"),
    "also": (lambda value: isinstance(value, list) and set(value) <= set(EXPORTS), f"a list of {', '.join(EXPORTS)}; write also = [\"{EXPORTS[0]}\"]"),
    "merge": (lambda value: isinstance(value, bool), "true or false"),
    "nested": (lambda value: isinstance(value, bool), "true or false"),
    "fill_demand": (lambda value: isinstance(value, bool), "true or false"),
    "year": (lambda value: type(value) is int, "a whole number; write year = 2023"),
}


def _paths(table, folder):
    return {name: folder / value if name in FILES else value for name, value in table.items()}
