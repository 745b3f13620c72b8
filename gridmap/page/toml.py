"""Scenarios and configs as TOML text, which the standard library reads but does not write."""

import json
import tempfile
from pathlib import Path

from gridmap import InputError, scenario

MOST = 200_000      # characters of a scenario


def dumps(data):
    """TOML of a dict: plain values first, then tables, then arrays of tables. Text, numbers, booleans, lists of text."""
    plain = {k: v for k, v in data.items() if not _is_table(v)}
    lines = [f"{_key(k)} = {_value(v)}" for k, v in plain.items()]
    for name, table in data.items():
        if isinstance(table, dict):
            for part, inner in table.items():
                lines += ["", f"[{_key(name)}.{_key(part)}]", *(f"{_key(k)} = {_value(v)}" for k, v in inner.items())]
        elif _is_table(table):
            for row in table:
                lines += ["", f"[[{_key(name)}]]", *(f"{_key(k)} = {_value(v)}" for k, v in row.items())]
    return "\n".join(lines).strip() + "\n"


def changes_of(text):
    """A scenario's text, read and checked as `gridmap compare` does. Raises InputError that speaks of "the scenario"."""
    if len(text) > MOST:
        raise InputError(f"the scenario has {len(text):,} characters; a page takes {MOST:,}: run it with gridmap compare")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scenario.toml"
        path.write_text(text, encoding="utf-8")
        try:
            return scenario.read(path)
        except InputError as error:
            raise InputError(str(error).replace(str(path), "the scenario")) from None


def checked(changes):
    """{kind: [dict]} as the page sends it -> (the same after `scenario.read`, its text). Raises InputError."""
    if not isinstance(changes, dict) or not all(isinstance(rows, list) and all(isinstance(row, dict) for row in rows) for rows in changes.values()):
        raise InputError("the scenario is no table of changes; write tables like [[load]] and below name = \"A\"")
    text = dumps({kind: rows for kind, rows in changes.items() if rows})
    return changes_of(text), text


def _is_table(value):
    return isinstance(value, dict) or (isinstance(value, list | tuple) and len(value) > 0 and all(isinstance(v, dict) for v in value))


def _key(name):
    return name if name.replace("_", "").replace("-", "").isalnum() and name.isascii() else json.dumps(name)


def _value(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value) if value == value and abs(value) != float("inf") else "nan"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(v) for v in value) + "]"
    return json.dumps(str(value), ensure_ascii=True).replace("\x7f", "\\u007f")
