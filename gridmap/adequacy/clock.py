"""Series that carry their times: the same hours, in one time zone, without a gap."""

import numpy as np
import pandas as pd

from gridmap import InputError


def same_hours(**series):
    """The hours (DatetimeIndex) that the series with times share, None where none has any.

    series: by name, anything; those whose index is a DatetimeIndex must rise by an hour and be alike, in one time zone.
    Raises InputError naming the series and the hour.
    """
    first = None
    for name, values in series.items():
        hours = getattr(values, "index", None)
        if not isinstance(hours, pd.DatetimeIndex):
            continue
        step = np.diff(hours.asi8) / (3600 * 10 ** {"s": 0, "ms": 3, "us": 6, "ns": 9}[hours.unit])
        if (step != 1).any():
            row = int(np.argmax(step != 1)) + 1
            raise InputError(f"{name}, row {row}: {hours[row]} comes after {hours[row - 1]}; give every hour once, in order, in UTC")
        if first is None:
            first = name, hours
            continue
        other, known = first
        if str(hours.tz) != str(known.tz):
            raise InputError(f"{name} is in time zone {hours.tz or 'none'} and {other} in {known.tz or 'none'}; convert both to UTC")
        if len(hours) != len(known) or hours[0] != known[0]:
            raise InputError(f"{name} has {len(hours)} hours from {hours[0]} and {other} {len(known)} from {known[0]}; give both the same hours")
    return first and first[1]
