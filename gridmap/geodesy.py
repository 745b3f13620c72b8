"""Distances on the WGS84 ellipsoid."""

import math

import numpy as np
from cukernels.threads import in_threads
from numba import njit

SEMI_MAJOR_KM = 6378.137  # WGS84, defining
FLATTENING = 1 / 298.257223563  # WGS84, defining
_SEMI_MINOR_KM = SEMI_MAJOR_KM * (1 - FLATTENING)


def km(lon0, lat0, lon1, lat1):
    """(N,) shortest distance on the WGS84 ellipsoid, km, between points in degrees, (N,) each.

    Up to half a degree apart, the straight chord lengthened to the arc of the ellipsoid's curvature in its direction
    (error below 1e-10 km); beyond, T. Vincenty, "Direct and inverse solutions of geodesics on the ellipsoid", Survey
    Review 23 (1975) (error below 1e-6 km). Pairs so nearly antipodal that it does not settle go to PROJ.
    """
    ends = [np.ascontiguousarray(a, float) for a in (lon0, lat0, lon1, lat1)]
    out = np.empty(len(ends[0]))
    in_threads(_fill, len(out), *ends, out)
    return _settled(out, ends)


def path_km(lon, lat):
    """(V - 1,) distance from each point to the next, km: `km` of neighbours, at half the work."""
    lon, lat = (np.ascontiguousarray(a, float) for a in (lon, lat))
    out = np.empty(max(len(lon) - 1, 0))
    in_threads(_follow, len(out), lon, lat, out)
    return _settled(out, (lon[:-1], lat[:-1], lon[1:], lat[1:]))


def _settled(out, ends):
    hard = np.isnan(out)
    if hard.any():
        import pyproj

        out[hard] = np.asarray(pyproj.Geod(ellps="WGS84").inv(*(a[hard] for a in ends))[2]) * 1e-3
    return out


@njit(cache=True, nogil=True)
def _fill(lon0, lat0, lon1, lat1, out, first, last):
    for i in range(first, last):
        out[i] = _km(lon1[i] - lon0[i], lat0[i], _place(lat0[i]), lat1[i], _place(lat1[i]))


@njit(cache=True, nogil=True)
def _follow(lon, lat, out, first, last):
    here = _place(lat[first]) if first < last else (0.0, 0.0, 0.0)
    for i in range(first, last):
        there = _place(lat[i + 1])
        out[i] = _km(lon[i + 1] - lon[i], lat[i], here, lat[i + 1], there)
        here = there


@njit(cache=True, nogil=True)
def _place(lat):
    """Distance from the axis, height over the equator's plane and radius of curvature across the meridian, km."""
    e2 = FLATTENING * (2.0 - FLATTENING)
    sin, cos = math.sin(math.radians(lat)), math.cos(math.radians(lat))
    n = SEMI_MAJOR_KM / math.sqrt(1.0 - e2 * sin * sin)
    return n * cos, (1.0 - e2) * n * sin, n


@njit(cache=True, nogil=True)
def _km(turn, lat0, here, lat1, there):
    if abs(turn) > 180.0:
        turn -= 360.0 * math.floor((turn + 180.0) / 360.0)
    if abs(turn) < 0.5 and abs(lat1 - lat0) < 0.5:
        return _near_km(math.radians(turn), here, there)
    return _far_km(math.radians(turn), math.radians(lat0), math.radians(lat1))


@njit(cache=True, nogil=True)
def _near_km(turn, here, there):
    radius0, height0, n0 = here
    radius1, height1, n1 = there
    z = turn * turn
    sin_turn = turn * (1.0 - z / 6.0 * (1.0 - z / 20.0 * (1.0 - z / 42.0)))
    less = 0.5 * z * (1.0 - z / 12.0 * (1.0 - z / 30.0))  # 1 - cos(turn)
    x, y, up = radius1 - radius0 - radius1 * less, radius1 * sin_turn, height1 - height0
    chord2 = x * x + y * y + up * up
    if chord2 == 0.0:
        return 0.0
    east2 = radius0 * radius1 * z / chord2  # share of the way that goes east, squared: needed to three digits only
    n = 0.5 * (n0 + n1)
    meridian = (1.0 - FLATTENING * (2.0 - FLATTENING)) * n * n * n / (SEMI_MAJOR_KM * SEMI_MAJOR_KM)
    bend = east2 / n + (1.0 - east2) / meridian
    q = 0.25 * chord2 * bend * bend
    return math.sqrt(chord2) * (1.0 + q * (1.0 / 6.0 + q * 3.0 / 40.0))


@njit(cache=True, nogil=True)
def _far_km(across, lat0, lat1):
    f = FLATTENING
    u0, u1 = math.atan((1 - f) * math.tan(lat0)), math.atan((1 - f) * math.tan(lat1))
    sin0, cos0, sin1, cos1 = math.sin(u0), math.cos(u0), math.sin(u1), math.cos(u1)
    # sin1 cos0 - cos1 sin0 cos(across), without its cancellation between near points
    lift = math.sin(u1 - u0)
    angle = across
    for _ in range(60):
        half = math.sin(0.5 * angle)
        east, north = cos1 * math.sin(angle), lift + 2.0 * cos1 * sin0 * half * half
        sin_arc = math.hypot(east, north)
        if sin_arc == 0.0:
            return 0.0
        cos_arc = sin0 * sin1 + cos0 * cos1 * math.cos(angle)
        arc = math.atan2(sin_arc, cos_arc)
        sin_azimuth = cos0 * cos1 * math.sin(angle) / sin_arc
        cos2 = 1.0 - sin_azimuth * sin_azimuth
        middle = cos_arc - 2.0 * sin0 * sin1 / cos2 if cos2 > 1e-15 else 0.0  # 0 on the equator
        c = f / 16.0 * cos2 * (4.0 + f * (4.0 - 3.0 * cos2))
        before = angle
        angle = across + (1.0 - c) * f * sin_azimuth * (
            arc + c * sin_arc * (middle + c * cos_arc * (2.0 * middle * middle - 1.0)))
        if abs(angle) > math.pi:
            return math.nan
        if abs(angle - before) <= 1e-13 * abs(angle) + 1e-15:
            return _arc_km(arc, sin_arc, cos_arc, cos2, middle)
    return math.nan


@njit(cache=True, nogil=True)
def _arc_km(arc, sin_arc, cos_arc, cos2, middle):
    a, b = SEMI_MAJOR_KM, _SEMI_MINOR_KM
    u2 = cos2 * (a * a - b * b) / (b * b)
    big_a = 1.0 + u2 / 16384.0 * (4096.0 + u2 * (-768.0 + u2 * (320.0 - 175.0 * u2)))
    big_b = u2 / 1024.0 * (256.0 + u2 * (-128.0 + u2 * (74.0 - 47.0 * u2)))
    correction = big_b * sin_arc * (middle + 0.25 * big_b * (
        cos_arc * (2.0 * middle * middle - 1.0)
        - big_b / 6.0 * middle * (4.0 * sin_arc * sin_arc - 3.0) * (4.0 * middle * middle - 3.0)))
    return b * big_a * (arc - correction)
