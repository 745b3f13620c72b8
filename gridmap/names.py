"""County names as different files spell them -> rows of a region table."""

import functools
import re

import pandas as pd

from gridmap import tables

FIRST_CITY = "510"              # county codes from 510 up are independent cities
ENDINGS = re.compile(r"\b(county|parish|borough|census area|municipality|municipio)\b")


def plain(name):
    """A county's name without case, blanks, marks, "Saint" or "County": "St. Mary's County" and "Saint Marys" agree.

    "city" stays at the end, because Virginia, Maryland and Missouri have cities and counties of one name.
    """
    text = ENDINGS.sub(" ", name.lower().replace("&", "and"))
    text = re.sub(r"\bst(e?)[. ]", r"saint\1 ", text)
    return re.sub(r"[^a-z]", "", text)


def county_rows(regions, county, state):
    """(N,) int: the row of `regions` each county is, -1 where none. Counties merged into another region are its row.

    regions: `region_id` (5-digit FIPS), `name`, `state`. county, state: Series of names and two-letter codes.
    Independent cities are looked up as "X City" first, then as "X".
    """
    known = _by_name(regions)
    found = []
    for name, code in zip(county, state):
        key = plain(name)
        found.append(known.get((key, code), known.get((key.removesuffix("city"), code), -1)))
    return pd.array(found, dtype="int64").to_numpy()


def are_counties(regions):
    """Whether any region is a county of the 48 states by its code."""
    return bool(_by_name(regions))


def _by_name(regions):
    """{(plain name, state): row}. Where a city and a county share a name, the bare name is the county's."""
    row = {region: i for i, region in enumerate(regions["region_id"])}
    row |= {merge.fips: row[merge.region_id] for merge in tables.fact("county_merges").itertuples() if merge.region_id in row}
    counties = [(fips, plain(name), state) for fips, name, state in _counties() if fips in row]
    cities = [c for c in counties if c[0][2:] >= FIRST_CITY]
    known = {(name, state): row[fips] for fips, name, state in cities}
    known |= {(name, state): row[fips] for fips, name, state in counties if fips[2:] < FIRST_CITY}
    known |= {(name + "city", state): row[fips] for fips, name, state in cities}
    aliases = tables.fact("county_aliases").itertuples()
    return known | {(plain(a.county), a.state): row[a.means] for a in aliases if a.means in row}


@functools.cache
def _counties():
    frame, _ = tables.read(tables.DATA / "counties.parquet", "regions")
    return list(frame[["region_id", "name", "state"]].itertuples(index=False, name=None))
