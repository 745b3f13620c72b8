"""Tables of a `System`, checked row by row: what is wrong, where it stands, what to do."""

import numpy as np
import pandas as pd

from gridmap import InputError


def table(name, rows, columns):
    """A copy with all of `columns`; None: must be there; else the default, which also fills gaps."""
    rows = pd.DataFrame(rows).reset_index(drop=True)
    if not len(rows):
        return pd.DataFrame({column: pd.Series(dtype=float) for column in [*rows, *columns]})
    for column, default in columns.items():
        if column not in rows and default is None:
            raise InputError(f"{name} have no column {column}: add it")
        if column not in rows:
            rows[column] = default
        elif isinstance(default, float | str):
            rows[column] = rows[column].where(rows[column].notna(), default)
    return rows


def check(name, rows, column, good, remedy):
    """Raise for the first row that isn't good, by the place in its file where the column `where` says one."""
    good = np.asarray(good, bool)
    if not good.all():
        row = int(np.argmin(good))
        where = rows["where"].iloc[row] if "where" in rows else f"{name}, row {row}"
        raise InputError(f"{where}: {column} is {rows[column].iloc[row]}; give {remedy}")


def numbers(name, rows, column):
    """The column as floats; what is no number raises."""
    if rows[column].dtype == float and not rows[column].hasnans:
        return rows[column]
    found = pd.to_numeric(rows[column], errors="coerce").astype(float)
    check(name, rows, column, found.notna(), "a number")
    return found


def between(name, rows, column, low, high, remedy):
    if not len(rows):
        return
    rows[column] = numbers(name, rows, column)
    check(name, rows, column, rows[column].between(low, high), remedy)


def hours(name, values, columns, least=-np.inf, most=np.inf):
    """(T, columns) float64. A DataFrame that has the columns by name may have them in any order."""
    if isinstance(values, pd.DataFrame) and set(map(str, values.columns)) == set(map(str, columns)):
        values = values.set_axis(list(map(str, values.columns)), axis=1)[list(map(str, columns))]
    try:
        values = np.asarray(values, float)
    except (TypeError, ValueError):
        raise InputError(f"{name} is not all numbers: give hours x {len(columns)} columns of them") from None
    if values.ndim != 2 or values.shape[1] != len(columns) or (name == "load" and not values.size):
        raise InputError(f"{name} has shape {values.shape}: give hours x {len(columns)} columns")
    good = np.isfinite(values) & (values >= least) & (values <= most)
    if not good.all():
        hour, column = np.argwhere(~good)[0]
        range_of = f"from {least:g} up" if most == np.inf else f"from {least:g} to {most:g}"
        raise InputError(f"{name}, hour {hour}, {list(columns)[column]}: {values[hour, column]} is out of its range; give numbers {range_of}")
    return values
