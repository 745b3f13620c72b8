"""Cells of files -> numbers, times and texts, in gridmap's units."""

import re

import numpy as np
import pandas as pd

from gridmap import InputError

MISSING = ("nan", "na", "n/a", "null", "none", ".")       # EIA writes "." for a figure it withholds or lacks
GROUPED = r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?"
UNKNOWN = -999999
POWER = re.compile(r"^\s*([\d.,]+)\s*([kMGT]?)Wp?\s*$")
MW = {"k": 1e-3, "M": 1.0, "G": 1e3, "T": 1e6, "": 1e-6}


def typed(path, column, kind, unit="", first_row=1):
    """A column as `kind` (text, number, time), converted from `unit`: "V" (to kV; of several, "380000;110000", the highest),
    "list" (the highest of several numbers), "W text" ("50 MW" to MW; words are NaN), "code" ("(OP) Operating" to OP),
    "-999999" (HIFLD's mark for unknown).
    Raises InputError naming the row of a cell that is none."""
    if unit in ("V", "list"):
        return highest(column) / (1e3 if unit == "V" else 1)
    if unit == "W text":
        return power(column)
    if kind == "time":
        return times(path, column, first_row)
    if kind == "number":
        found = numbers(path, column, first_row)
        return found.where(found != UNKNOWN) if unit == str(UNKNOWN) else found
    text = texts(column)
    return text.str.extract(r"^\((\w+)\)", expand=False).fillna(text) if unit == "code" else text


def texts(column):
    """Text without outer blanks; missing is ""; whole floats lose their ".0", so that ids join across files."""
    if pd.api.types.is_float_dtype(column):
        whole = column.dropna().mod(1).eq(0).all()
        column = column.astype("Int64") if whole else column
    return column.astype("string").fillna("").str.strip().astype(str)


def numbers(path, column, first_row=1):
    if pd.api.types.is_numeric_dtype(column):
        return column.astype(float)
    text = texts(column)
    text = text.mask(text.str.fullmatch(GROUPED), text.str.replace(",", ""))      # "12,5" is no twelve thousand five hundred
    found = pd.to_numeric(text.where(text.ne(""), None), errors="coerce").astype(float)
    _refuse(path, column, found.isna() & text.ne("") & ~text.str.lower().isin(MISSING), first_row, "is not a number; correct the cell")
    return found


def times(path, column, first_row=1):
    found = pd.to_datetime(column, errors="coerce", utc=True)
    _refuse(path, column, found.isna(), first_row, "is not a time; write 2023-07-27T22:00Z")
    return found.dt.tz_localize(None).astype("datetime64[s]")


def highest(column):
    """The highest of the numbers that OpenStreetMap writes with semicolons between them; NaN for words and none."""
    parts = texts(column).str.split(";", expand=True).apply(lambda part: pd.to_numeric(part.str.strip(), errors="coerce"))
    return parts.max(axis=1).astype(float)


def power(column):
    """MW of texts like "50 MW", "1.2 GW", "900 kW"; NaN for "yes", "small" and none."""
    return pd.Series([_power(text) for text in texts(column)], column.index, dtype=float)


def _power(text):
    found = POWER.match(text)
    try:
        return float(found[1].replace(",", "")) * MW[found[2]] if found else np.nan
    except ValueError:
        return np.nan


def _refuse(path, column, bad, first_row, why):
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise InputError(f"{path}: row {row + first_row}, column {column.name!r}: {column.iloc[row]!r} {why}")
