"""The command line: `gridmap run -o OUT` and its sisters. Heavy libraries load when a run starts, not for --help."""

import contextlib

import click

from gridmap import InputError, __version__
from gridmap.config import EXPORTS, SOURCES


class Refusal(click.ClickException):
    """One sentence on stderr, exit code 2."""

    exit_code = 2


@contextlib.contextmanager
def refusing():
    """What the user can mend ends in a sentence, not in a traceback."""
    from cukernels.backend import DeviceError, NotConverged

    try:
        yield
    except (InputError, DeviceError, FileExistsError) as error:
        raise Refusal(" ".join(str(error).split())) from None
    except NotConverged as error:
        raise click.ClickException(f"nothing was written, because the flows did not converge: {error}") from None


FILE = click.Path(dir_okay=False)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main():
    """From every power plant and transmission corridor to the map of deficits and bottlenecks."""


SYSTEM = (
    click.option("-o", "--out", required=True, type=click.Path(file_okay=False), help="Folder for the results; made whole or not at all."),
    click.option("--config", type=FILE, help="TOML with these options as keys, and places, hydro, population, [columns.plants] ...; what is given here goes before it."),
    click.option("--plants", type=FILE, help="Generating units: place, technology, capacity."),
    click.option("--demand", type=FILE, help="Demand by hour and area."),
    click.option("--areas", type=FILE, help="Which regions each demand area covers, with weights."),
    click.option("--loads", type=FILE, help="Large loads at known places, taken out of their area before the rest is spread."),
    click.option("--limits", type=FILE, help="What a corridor between two regions can carry, each way."),
    click.option("--regions", type=FILE, help="Polygons of the regions."),
    click.option("--lines", type=FILE, help="Transmission lines, shown on the map."),
    click.option("--substations", type=FILE, help="Substations: where the ends of lines meet."),
    click.option("--fill-demand", is_flag=True, help="Fill hours of demand that are missing or can't be right from the hours around them, and say so."),
    click.option("--limits-from", type=click.Choice(SOURCES), help="given: files of limits; lines: what the lines between two regions can carry by voltage and length."),
    click.option("--profiles", type=FILE, help="What share of their capacity wind and sun gave, by hour and state."),
    click.option("--outages", type=FILE, help="How often each technology is out."),
    click.option("--by", help="Join the regions: state, zone, area, group, nerc or interconnect; or cells: h3:4, raster:50km. Default: county, as they are."),
    click.option("--basis", help="What counts as capacity; default: effective for hours, budgeted for a year."),
    click.option("--device", default="auto", show_default=True, type=click.Choice(["auto", "cpu", "cuda"])),
    click.option("--quiet", is_flag=True, help="Say nothing unless something is wrong."),
)
HOURS = click.option("--hours", default="peak", show_default=True, metavar="WHICH",
                     help="peak:20, the hours of the highest demand; worst:20, those with the most unserved (solves every hour first); or hours in UTC with commas.")


def system(command):
    """The options that say which system a command is about, and where its results go."""
    for option in reversed(SYSTEM):
        command = option(command)
    return command


@main.command()
@system
@click.option("--hour", help="Hour in UTC, 2023-07-27T22:00Z; default: the hour of the highest total demand.")
@click.option("--year", type=int, help="Every hour of this year instead of one hour; goes on where it was cut off.")
@click.option("--also", multiple=True, type=click.Choice(EXPORTS), help="Write this too; may be given several times.")
@click.option("--nested", is_flag=True, help="Hold the limits between groups of zones too: the sum over small borders may exceed them.")
@click.option("--group-limits", type=FILE, help="Limits between groups (tail, head, forward_mw, backward_mw) in place of the study's; with --nested.")
@click.option("--merge", is_flag=True, help="Solve again with regions whose data can't be right joined to a neighbour; both answers are kept.")
def run(out, config, device, quiet, **options):
    """Map an hour or a year: who has power to spare, who lacks it, and what the lines can do about it.

    Without files: the bundled 48 states by county, at the national peak hour of 2023.
    """
    with refusing():
        from gridmap import pipeline
        from gridmap.config import from_options

        pipeline.run(from_options(config, **options), out, device, _say(quiet))


@main.command()
@system
@click.option("--mw", default=500.0, show_default=True, help="The size of the load or plant asked about.")
@HOURS
def where(out, config, device, quiet, mw, hours, **options):
    """Where can 500 MW go? For every region the largest new load and plant, and the corridors that bind."""
    with refusing():
        from gridmap import pipeline
        from gridmap.config import from_options

        pipeline.where(from_options(config, **options), out, mw, hours, device, _say(quiet))


@main.command()
@click.argument("scenario", type=FILE)
@system
@HOURS
def compare(scenario, out, config, device, quiet, hours, **options):
    """What SCENARIO (a TOML that adds, retires, grows, builds, cuts) changes, on the same hours."""
    with refusing():
        from gridmap import pipeline
        from gridmap.config import from_options

        pipeline.compare(from_options(config, **options), scenario, out, hours, device, _say(quiet))


@main.command()
@click.argument("first", type=FILE)
@click.argument("second", type=FILE)
@click.option("-o", "--out", required=True, type=click.Path(file_okay=False), help="Folder for the results; made whole or not at all.")
@click.option("--lines", is_flag=True, help="The files are of transmission lines: match by course, voltage and name.")
@click.option("--hide-numbers", is_flag=True, help="Match by name, place, fuel and size even where both use one registry's plant numbers.")
@click.option("--quiet", is_flag=True, help="Say nothing unless something is wrong.")
def match(first, second, out, lines, hide_numbers, quiet):
    """The same plants (or lines) in two files: pairs with score and reason, what is left over, coverage of the nation."""
    with refusing():
        from gridmap import pipeline

        pipeline.match_files(first, second, out, hide_numbers, _say(quiet), lines)


@main.command()
@click.argument("paths", metavar="FILE...", nargs=-1, required=True, type=FILE)
def inspect(paths):
    """What each FILE is taken for: its kind, its layout, the column behind each field; and a mapping to fill in where it is none."""
    with refusing():
        from gridmap import inspection

        for path in paths:
            for line in inspection.inspect(path):
                click.echo(line)


@main.command()
@click.argument("run_folder", metavar="RUN", type=click.Path(file_okay=False))
@click.argument("region")
def explain(run_folder, region):
    """The rows of every file that REGION of a finished RUN rests on, and what was done to them."""
    with refusing():
        from gridmap import provenance

        for line in provenance.explain(run_folder, region):
            click.echo(line)


@main.command()
@click.argument("table", required=False)
def layouts(table):
    """The file layouts that are recognised by their columns; TABLE: plants, demand, limits, lines ... for one kind of file."""
    with refusing():
        from gridmap import tables

        known = tables.known_layouts()
        if table is not None and table not in set(known["table"]):
            raise InputError(f"{table!r} is no kind of file; the kinds are {', '.join(known['table'].unique())}")
        for row in known[known["table"].eq(table) | (table is None)].itertuples(index=False):
            click.echo(f"{row.table:<16} {row.layout:<16} {row.says}\n    needs {row.needs}")


def _say(quiet):
    return (lambda line: None) if quiet else click.echo


DRAWS = (
    click.option("--year", type=int, help="The hours of this year; default: all that the demand has."),
    click.option("--samples", default=100, show_default=True, help="Years to draw."),
    click.option("--seed", default=0, show_default=True, help="Another seed draws other outages."),
    click.option("--repair-hours", "repair_h", default=24.0, show_default=True, help="Mean length of an outage."),
    click.option("--storage", default="auto", show_default=True, type=click.Choice(["auto", "hours", "power"]),
                 help="hours: batteries and pumped storage empty and fill hour by hour; power: they always have what their energy holds for an hour; auto: hours in up to 250 regions."),
    click.option("--temperature", type=FILE, help="Degrees Celsius by hour and region or state: outage rates follow them, for all units of a place together."),
    click.option("--scheduler", help="Spread the samples by dask.distributed: local, local:4, or the address of a scheduler. The numbers stay the same."),
)


def draws(command):
    """The options that say what is drawn; the regions are zones unless --by says otherwise."""
    for option in reversed(DRAWS):
        command = option(command)
    return system(command)


def _drawn(config, options):
    """(Config, Wish) of the options of `draws`."""
    from gridmap.adequacy.study import Wish
    from gridmap.config import from_options

    mine = {name: options.pop(name) for name in ("samples", "seed", "repair_h", "storage", "temperature", "scheduler", "relative_error") if name in options}
    wish = Wish(**mine)
    return from_options(config, **{**options, "by": options["by"] or "zone"}), wish


@main.command()
@draws
@click.option("--relative-error", type=float, help="Stop when the standard error of the energy not served is this share of it.")
@click.option("--scenario", "change", type=FILE, help="A TOML of `gridmap compare`: with and without it on the same outages, and what it changes.")
def adequacy(out, config, change, device, quiet, **options):
    """How likely each region runs short: units drawn in and out of service, by hour, over many years.

    Regions are zones unless --by says otherwise (--by county leaves them as they are).
    """
    with refusing():
        from gridmap.adequacy import study

        study.run(*_first(_drawn(config, options), out), change, device, _say(quiet))


@main.command()
@draws
@click.option("--region", "chosen", multiple=True, required=True, help="The region asked about, by its region_id; may be given several times.")
@click.option("--standard", default=0.1, show_default=True, help="Days a year with a shortage that the region may have.")
@click.option("--metric", default="lold", show_default=True, help="lold: days with any hour short; lole_days: days short at their tightest hour; lole_hours.")
def fits(out, config, chosen, standard, metric, device, quiet, **options):
    """How many MW more load fit in a region before its LOLE passes 0.1 day a year."""
    with refusing():
        from gridmap.adequacy import study

        study.fits(*_first(_drawn(config, options), out), chosen, standard, metric, device, _say(quiet))


@main.command()
@click.argument("scenario", type=FILE)
@draws
@click.option("--region", "chosen", required=True, help="Where the load grows, by its region_id.")
@click.option("--metric", default="eue_mwh", show_default=True, help="What stays as it was: eue_mwh, lole_hours, lole_days or lold of all that is joined to the region.")
def worth(scenario, out, config, chosen, metric, device, quiet, **options):
    """What the additions of SCENARIO are worth: the load they carry (ELCC) and the firm capacity they equal (EFC)."""
    with refusing():
        from gridmap.adequacy import study

        study.worth(*_first(_drawn(config, options), out), scenario, chosen, metric, device, _say(quiet))


def _first(drawn, out):
    config, wish = drawn
    return config, out, wish


@main.command()
@click.argument("run", type=click.Path(file_okay=False))
@click.option("-o", "--out", type=click.Path(dir_okay=False), help="The file; default: report.html in the folder of RUN.")
@click.option("--quiet", is_flag=True, help="Say nothing unless something is wrong.")
def report(run, out, quiet):
    """One HTML file of RUN (of gridmap run, where, compare, adequacy): interactive map, tables, method, hashes; opens from disk."""
    with refusing():
        from gridmap.page import document

        document.write(run, out, _say(quiet))


@main.command()
@click.argument("runs", nargs=-1, metavar="[RUN]...", type=click.Path(file_okay=False))
@click.option("--config", type=FILE, help="TOML of `gridmap run` where no RUN is given; default: the bundled 48 states.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen; anything else lets others of the network in.")
@click.option("--port", type=click.IntRange(0, 65535), help="Default: 8600, or the next free one.")
@click.option("--no-browser", is_flag=True, help="Only print the address.")
def serve(runs, config, host, port, no_browser):
    """The page: the map hour by hour, every region in detail, scenarios that answer at once.

    RUN: folders of `gridmap run` or `gridmap adequacy`, whose system, hours and loss-of-load numbers are shown.
    """
    with refusing():
        from gridmap.page import serving

        serving.serve(runs, config, host, port, not no_browser, click.echo)


if __name__ == "__main__":
    main()
