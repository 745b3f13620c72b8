"""Lines to the fraction of a pixel: critical dimension, pitch, edge and width roughness, and layers thinner than the blur."""

from dataclasses import dataclass

import numpy as np
from cukernels.backend import NotConverged

REACH = 6           # pixels to each side of an edge that its place is taken from
FLANK = 3           # pixels beyond the blur's reach that still count as flat for the grey levels
LONG = 5.0          # a line is at least so many times longer than wide
STEEP_DEG = 5.0     # and runs along rows or columns to within this
MOST_ROWS = 4096    # of a trace in one piece of the roughness fit
FINE = 4            # places a step at which the picture's averaging along the edge is worked out


@dataclass(frozen=True)
class Roughness:
    """Deviations with autocorrelation sigma^2 exp(-(x/xi)^(2 hurst)) on white detection noise.

    sigma, correlation (xi), noise: in the unit of the traces, each with its standard uncertainty `*_sd`. hurst: given or
    fitted. raw_sigma: what comes out where the noise is not taken off.
    """

    sigma: float
    sigma_sd: float
    correlation: float
    correlation_sd: float
    hurst: float
    noise: float
    noise_sd: float
    raw_sigma: float


@dataclass(frozen=True)
class Layer:
    """thickness and place in the unit of the step, each with its standard uncertainty."""

    thickness: float
    thickness_sd: float
    place: float
    place_sd: float


def edge_places(grey, left, right, reach=REACH):
    """Sub-pixel places of the two edges of an upright line, row by row.

    grey: (N, W) float, one line and its surroundings. left, right: (N,) float, about where the edges are, pixels from
    the left side of the first pixel. Returns (left, right), (N,) float each.

    Within `reach` pixels of the place expected, the sum of the grey values between the flat levels on both sides says
    how much of the window lies inside the line, whatever the (symmetric) blur: unbiased, with noise that is white from
    row to row. A bright rim (SE) shifts both edges by a constant; it does not roughen them.
    Raises ValueError where the line or the space beside it is too narrow for two windows and flat levels.
    """
    grey, left, right = np.asarray(grey, float), np.asarray(left, float), np.asarray(right, float)
    reach = min(reach, int((right - left).min() / 2), int(left.min()), int((grey.shape[1] - right).min()))
    if reach < 2:
        raise ValueError("the line or the space beside it is narrower than four pixels: no room to find its edges")
    columns = np.arange(grey.shape[1]) + 0.5
    inside = _level(grey, (columns > (left + reach)[:, None]) & (columns < (right - reach)[:, None]), columns, (left + right) / 2)
    found = []
    for expected, outward in ((left, -1), (right, 1)):
        beyond = outward * (columns - expected[:, None])
        outside = _level(grey, (beyond > reach) & (beyond < reach + FLANK), columns, expected + outward * reach)
        first = np.rint(expected).astype(int) - reach
        window = np.take_along_axis(grey, first[:, None] + np.arange(2 * reach), axis=1)
        share = ((window - outside) / (inside - outside)).sum(axis=1)
        found.append(first + 2 * reach - share if outward < 0 else first + share)
    return found[0], found[1]


def roughness(traces, step, hurst=None, blur=0.0):
    """Standard deviation and correlation length of edges or widths, free of the noise of their detection.

    traces: (L, N) deviations of L edges of one kind, N places each, `step` apart (same unit). hurst: the exponent, or
    None to fit it between 0.2 and 1. blur: standard deviation of the microscope's spot, which smooths the edge along its
    length too; the answer is that of the edge before the blur. Each trace's mean is taken off. Returns a Roughness.
    Raises ValueError for fewer than 32 places or values that are not finite; NotConverged where the fit fails.

    Maximum likelihood of the periodograms against their expectation, which is computed from the autocorrelation (so
    that aliasing and the finite length are in it), plus the flat spectrum of the noise: the noise shows where the edge
    itself has no power left. Sources: A. M. Sykulski et al., Biometrika 106, 251 (2019) (debiased Whittle likelihood);
    G. P. Patsis, V. Constantoudis et al., J. Vac. Sci. Technol. B 21, 1008 (2003) (autocorrelation of edges).
    """
    from scipy.optimize import minimize

    traces = np.atleast_2d(np.asarray(traces, float))
    if traces.shape[1] < 32 or not np.isfinite(traces).all():
        raise ValueError(f"{traces.shape[1]} places a trace: roughness needs at least 32, all finite")
    traces = _in_pieces(traces) - _in_pieces(traces).mean(axis=1, keepdims=True)
    count = traces.shape[1]
    power = (np.abs(np.fft.rfft(traces, axis=1)) ** 2 / count).mean(axis=0)[1:]
    # the mirror frequency at N/2 is counted once in a real transform, the others twice
    often = np.where(np.arange(1, len(power) + 1) * 2 == count, 0.5, 1.0) * len(traces)

    expectation = _Expectation(count, step, hurst, _seen(step, blur))

    def cost(p):
        expected = expectation(p)
        return float((often * (np.log(expected) + power / expected)).sum())

    total, tail = traces.var(), power[-len(power) // 4:].mean()
    start = [np.log(max(total - tail, 0.1 * total)) / 2, np.log(0.02 * count * step), np.log(tail) / 2] + ([0.0] if hurst is None else [])
    fit = minimize(cost, start, method="Nelder-Mead", options={"xatol": 1e-5, "fatol": 1e-7, "maxiter": 4000, "adaptive": True})
    if not fit.success or not np.isfinite(fit.fun):
        raise NotConverged(f"the roughness fit did not converge: {fit.message}")
    sd = np.sqrt(np.diag(np.linalg.pinv(_curvature(cost, fit.x))).clip(0))
    sigma, correlation, noise = np.exp(fit.x[:3])
    return Roughness(sigma, sigma * sd[0], correlation, correlation * sd[1], _hurst(fit.x, hurst), noise, noise * sd[2], float(np.sqrt(total)))


def edge_blur(grey, places, edge_sigma, reach=REACH):
    """Standard deviation of the microscope's blur, pixels, from the mean profile of an edge along its smooth course.

    grey: (N, W). places: (N,) the edge's smooth course, pixels. edge_sigma: standard deviation of the true edge about
    it, pixels: it widens the mean profile as the blur does, and is taken off, as is the pixel itself.
    """
    from scipy.optimize import least_squares
    from scipy.special import ndtr

    first = np.rint(places).astype(int) - reach
    window = np.take_along_axis(np.asarray(grey, float), first[:, None] + np.arange(2 * reach), axis=1)
    x = (first[:, None] + np.arange(2 * reach) + 0.5 - places[:, None]).ravel()
    low, high = window[:, 0].mean(), window[:, -1].mean()
    fit = least_squares(lambda p: p[0] + (p[1] - p[0]) * ndtr((x - p[2]) / p[3]) - window.ravel(), (low, high, 0.0, 1.5),
                        bounds=((-np.inf, -np.inf, -reach, 0.1), (np.inf, np.inf, reach, reach)))
    return float(np.sqrt(max(fit.x[3] ** 2 - edge_sigma ** 2 - 1 / 12, 0)))


def thin_layer(profiles, noise, step, before, inside, after, blur):
    """Thickness of a layer between two others, also where it is thinner than the blur, by a fit of the edge profile.

    profiles: (N, W) grey values across the layer, straightened, or their mean (W,). noise: standard deviation of one
    value of the mean profile. step: pixel size across. before, inside, after: grey levels of the three materials.
    blur: standard deviation of the edge's spread. step and blur in one length unit. Returns a Layer.

    A layer below the blur shows only its excess grey times thickness, so `inside` must be known (from the calibrated
    grey of the material, or from a thick place): an error of `inside` is an equal relative error of the thickness.
    Raises ValueError where the layer's grey is that of a neighbour: then its thickness leaves no trace.
    """
    from scipy.optimize import least_squares

    profile = np.atleast_2d(np.asarray(profiles, float)).mean(axis=0)
    if min(abs(inside - before), abs(inside - after)) < 1e-3 * max(abs(inside), abs(before - after), 1e-12):
        raise ValueError("the layer's grey is that of its neighbour: its thickness cannot be seen")
    excess = (inside - (before + after) / 2) * step
    middle = step * (np.argmax(np.abs(profile - np.linspace(before, after, len(profile)))) + 0.5)
    thick = max(0.3 * step, abs(np.sum(profile - np.where(np.arange(len(profile)) * step < middle, before, after)) * step / excess * step))
    model = lambda p: _layer_profile(len(profile), step, p[0], p[1], before, inside, after, blur)  # noqa: E731
    fits = [least_squares(lambda p: (model(p) - profile) / noise, (middle + shift, min(thick, step * len(profile) / 2)))
            for shift in (-blur, 0.0, blur)]
    best = min(fits, key=lambda fit: fit.cost)
    covariance = np.linalg.pinv(best.jac.T @ best.jac)
    return Layer(float(best.x[1]), float(np.sqrt(covariance[1, 1])), float(best.x[0]), float(np.sqrt(covariance[0, 0])))


def _level(grey, flat, columns, fallback):
    """Mean grey of the flat pixels of all rows; where there are none, of the pixels nearest to `fallback`."""
    if flat.sum() < len(grey):
        flat = np.abs(columns - fallback[:, None]) <= 1
    return grey[flat].mean()


def _in_pieces(traces):
    """Long traces cut into equal pieces: the likelihood is a sum over them, and its expectation costs N log N."""
    pieces = -(-traces.shape[1] // MOST_ROWS)
    length = traces.shape[1] // pieces
    return traces[:, :pieces * length].reshape(-1, length)


def _hurst(p, hurst):
    return float(0.2 + 0.8 / (1 + np.exp(-p[3]))) if hurst is None else float(hurst)


def _seen(step, blur):
    """How the picture averages the autocorrelation: pixel height with itself, and the blur with itself, at FINE per step."""
    reach = FINE + int(np.ceil(4 * np.sqrt(2) * blur / step * FINE))
    at = np.arange(-reach, reach + 1) / FINE
    pixel = np.maximum(0, 1 - np.abs(at))
    if blur == 0:
        return pixel / pixel.sum()
    spread = np.exp(-0.5 * (at * step / blur) ** 2 / 2)
    kernel = np.convolve(pixel, spread, mode="same")
    return kernel / kernel.sum()


class _Expectation:
    """Of the periodogram at the frequencies 1 .. N/2, for log sigma, log xi, log noise (and hurst)."""

    def __init__(self, count, step, hurst, kernel):
        reach = len(kernel) // 2
        self.hurst, self.kernel, self.taper = hurst, kernel, 1 - np.arange(count) / count
        self.lag = np.abs(np.arange(-reach, (count - 1) * FINE + reach + 1)) * (-step / FINE)
        self.fine = np.empty(len(self.lag))     # the autocorrelation, and what of it each place averages
        self.around = np.lib.stride_tricks.sliding_window_view(self.fine, len(kernel))[::FINE]

    def __call__(self, p):
        sigma, correlation, noise = np.exp(np.clip(p[:3], -60, 60))
        power = 2 * _hurst(p, self.hurst)
        np.divide(self.lag, correlation, out=self.fine)
        if power != 1:
            np.negative(np.power(-self.fine, power), out=self.fine)
        np.exp(self.fine, out=self.fine)
        tapered = self.taper * (self.around @ self.kernel)
        spectrum = 2 * np.fft.rfft(tapered).real - tapered[0]
        return sigma ** 2 * np.maximum(spectrum[1:], 1e-12) + noise ** 2


def _curvature(cost, at, step=1e-3):
    """Second derivatives of the cost by central differences."""
    size = len(at)
    hessian = np.empty((size, size))
    unit = np.eye(size) * step
    for i in range(size):
        for j in range(size):
            hessian[i, j] = (cost(at + unit[i] + unit[j]) - cost(at + unit[i] - unit[j])
                             - cost(at - unit[i] + unit[j]) + cost(at - unit[i] - unit[j])) / (4 * step ** 2)
    return hessian


def _layer_profile(count, step, place, thickness, before, inside, after, blur):
    """Pixel means of two blurred steps around `place`, `thickness` apart."""
    from scipy.special import ndtr
    borders = np.arange(count + 1) * step

    def ramp(at):    # integral of the blurred unit step at `at` over each pixel
        z = (borders - at) / blur
        return np.diff(blur * (z * ndtr(z) + np.exp(-z * z / 2) / np.sqrt(2 * np.pi))) / step

    return before + (inside - before) * ramp(place - thickness / 2) + (after - inside) * ramp(place + thickness / 2)
