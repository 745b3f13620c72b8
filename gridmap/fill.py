"""Hours of metered demand that are missing or can't be right, filled from the hours around them.

An hour can't be right if it is missing, negative, zero in an area that is not zero nearly always, or above SPIKE times what
the area usually reaches. A gap of up to SHORT hours is filled by a straight line; a longer one by the same hours of the
week a week before and a week after (two, three ... weeks where those lack too), each scaled so that it meets the hours
just outside the gap.
"""

import numpy as np

SPIKE = 2.0                     # times the 99th percentile of the area
SHORT = 3                       # hours
WEEK = 168
REASONS = ("", "missing: ", "not above zero: ", "spike: ")


def fill(given):
    """(filled (B, T) MW, why (B, T) int, row of REASONS: 0 where the hour stays as it is). given: (B, T) MW, NaN missing."""
    why = reasons(given)
    filled = np.where(why > 0, np.nan, given)
    for row in filled:
        if np.isnan(row).all():
            row[:] = 0.0
        else:
            _fill_series(row)
    return filled, why


def reasons(given):
    """(B, T) int: what is wrong with each hour. An area that is zero or missing in most hours may be zero."""
    missing = ~np.isfinite(given)
    known = np.where(missing, 0.0, given)
    usual = np.array([np.quantile(row[row > 0], 0.99) if (row > 0).any() else np.inf for row in known])[:, None]
    idle = ((known > 0).mean(axis=1) < 0.5)[:, None]
    return np.select([missing, (known < 0) | ((known == 0) & ~idle), known > SPIKE * usual], [1, 2, 3], 0)


def _fill_series(row):
    """Fill the NaN of a series in place."""
    good = np.isfinite(row)
    source = row.copy()
    for start, stop in _gaps(good):
        row[start:stop] = _line(source, start, stop)
        if stop - start > SHORT:
            shape = _weeks(source, start, stop)
            row[start:stop] = np.where(np.isfinite(shape), shape, row[start:stop])


def _gaps(good):
    edges = np.diff(np.concatenate([[0], (~good).astype(int), [0]]))
    return list(zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)))


def _line(source, start, stop):
    known = np.flatnonzero(np.isfinite(source))
    return np.interp(np.arange(start, stop), known, source[known])


def _weeks(source, start, stop):
    """(stop - start,) the mean of the nearest week before and after that has the hours, NaN where none has; moved up or
    down so that it meets the hour before the gap and the hour after it."""
    found = []
    for way in (-WEEK, WEEK):
        for k in range(1, 53):
            a, b = start + k * way - 1, stop + k * way + 1
            if a < 0 or b > len(source):
                break
            like = source[a:b]
            if np.isfinite(like).all():
                found.append(_meet(like, source, start, stop))
                break
    return np.mean(found, axis=0) if found else np.full(stop - start, np.nan)


def _meet(like, source, start, stop):
    """The hours inside `like`, times a factor that goes from what meets the hour before the gap to what meets the one after."""
    ends = [source[t] / like[k] if 0 <= t < len(source) and np.isfinite(source[t]) and like[k] > 0 else np.nan for t, k in ((start - 1, 0), (stop, -1))]
    known = [e for e in ends if np.isfinite(e)]
    first, last = (e if np.isfinite(e) else (known[0] if known else 1.0) for e in ends)
    return like[1:-1] * np.linspace(first, last, stop - start + 2)[1:-1]
