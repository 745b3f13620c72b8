"""Gaussian derivatives at any scale, features made of them, and a denoiser that keeps edges.

fp32 images stay fp32 from end to end, and every sum has one order, so CPU and GPU agree to the bit and a tile computed
with `halo` pixels around it equals the same part of the whole picture to the bit.
"""

import numpy as np
from numba import njit, prange

from .backend import array_module, grid, launch, on_device
from .threads import in_pieces, processors

FEATURES = "smooth", "gradient", "laplacian", "hessian", "structure", "dog"
_BAND = 32  # rows of a band: its buffers stay in the cache


def gaussian(image, sigma, order=0, truncate=4.0):
    """Convolution with a Gaussian or a derivative of one, borders mirrored (d c b a | a b c d | d c b a).

    image: (H, W) float32 or float64; other real dtypes are taken as float32. sigma: pixels, one number or (y, x); 0 with
    order 0 leaves that axis alone. order: 0, 1 or 2, one number or (y, x). truncate: the kernel ends at
    int(truncate * sigma + 0.5) pixels.

    Returns (H, W) of the image's dtype; equals `scipy.ndimage.gaussian_filter(mode="reflect")`, but summed in the
    image's own precision. Raises ValueError for another shape, order or a negative sigma.
    """
    image = _picture(image)
    (sy, sx), (oy, ox) = np.broadcast_to(sigma, 2), np.broadcast_to(order, 2)
    rows = _convolve(image, _half_kernel(sx, ox, truncate), ox == 1, axis=1)
    return _convolve(rows, _half_kernel(sy, oy, truncate), oy == 1, axis=0)


def jet(image, sigma, truncate=4.0):
    """The Gaussian-smoothed image and its derivatives to second order: (6, H, W), in the order f, x, y, xx, xy, yy.

    Arguments as in `gaussian`; derivatives are per pixel (per pixel squared), y down the rows.
    """
    image = _picture(image)
    kernels = [_half_kernel(sigma, order, truncate) for order in range(3)]
    rows = [_convolve(image, kernels[order], order == 1, axis=1) for order in range(3)]
    out = array_module(image).empty((6, *image.shape), image.dtype)
    for i, (x, y) in enumerate([(0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2)]):
        _convolve(rows[x], kernels[y], y == 1, axis=0, out=out[i])
    return out


def features(image, sigmas, kinds=FEATURES, truncate=4.0):
    """Features for pixel classification: (F, H, W) float32, one plane a name of `feature_names(sigmas, kinds)`.

    image: (H, W). sigmas: scales in pixels. kinds, each at every scale s, derivatives per pixel:
    smooth     the smoothed image
    gradient   size of the gradient
    laplacian  sum of the second derivatives
    hessian    the two eigenvalues of the matrix of second derivatives, larger first
    structure  the two eigenvalues of the outer product of the gradient, smoothed at s / 2, larger first
    dog        smoothed at s less smoothed at 0.66 s

    A tile with `halo(sigmas)` more pixels on each inner side gives the same bits as the whole.
    """
    image = _picture(image).astype(np.float32, copy=False)
    names = feature_names(sigmas, kinds)
    xp = array_module(image)
    out = xp.empty((len(names), *image.shape), np.float32)
    place = iter(out)
    for sigma in sigmas:
        derivatives = jet(image, sigma, truncate)
        for kind in kinds:
            for plane in _feature(xp, kind, image, derivatives, sigma, truncate):
                next(place)[...] = plane
    return out


def feature_names(sigmas, kinds=FEATURES):
    """Names of the planes of `features`, such as "hessian0 s=1.6"."""
    unknown = set(kinds) - set(FEATURES)
    if unknown:
        raise ValueError(f"feature {sorted(unknown)[0]!r} is unknown: choose from {', '.join(FEATURES)}")
    return [f"{kind}{part} s={sigma:g}" for sigma in sigmas for kind in kinds
            for part in (("0", "1") if kind in ("hessian", "structure") else ("",))]


def halo(sigmas, truncate=4.0):
    """How many pixels beyond its border a tile needs so that `features` (or `gaussian`) of the tile are exact."""
    return max(radius(s, truncate) + radius(s / 2, truncate) for s in np.atleast_1d(sigmas))


def radius(sigma, truncate=4.0):
    """How many pixels to each side the kernel of `gaussian` goes."""
    return int(truncate * sigma + 0.5)


def denoise(image, noise=None, strength=4.0, patch=2, search=7):
    """Non-local means: each pixel becomes the mean of the pixels around it whose neighbourhoods look alike.

    image: (H, W) float32 (others are converted). noise: standard deviation of the noise in grey levels, or None for
    `noise_of(image)`. A pixel at most `search` rows and columns away has the weight (1 - d / strength)^2 where
    d = max(0, m / (2 noise^2) - 1) < strength, else none; m is the mean squared difference of the two
    (2 patch + 1)^2 neighbourhoods. Borders are mirrored.

    Returns (H, W) float32; NaN is a ValueError. Tiles are exact with `search + patch` more pixels on each inner side and a given noise.
    Source: A. Buades, B. Coll, J.-M. Morel, CVPR 2005, 60; a weight that ends, after B. Goossens et al., LNLA 2008.
    """
    image = _picture(image).astype(np.float32, copy=False)
    xp = array_module(image)
    if not bool(xp.isfinite(image).all()):
        raise ValueError("the image has NaN or infinite pixels: fill them first")
    noise = noise_of(image) if noise is None else float(noise)
    if not (noise >= 0 and strength > 0 and patch >= 0 and search >= 0):
        raise ValueError(f"noise {noise}, strength {strength}, patch {patch}, search {search}: none may be negative or NaN")
    if noise == 0:
        return image.copy()
    padded = xp.pad(image, patch + search, mode="symmetric")
    scale = np.float32(1 / ((2 * patch + 1) ** 2 * 2 * noise**2))
    how = np.float32(1 / strength), scale, int(patch), int(search)
    out = xp.empty_like(image)
    if on_device(image):
        _denoise_cuda(padded, *how, out)
    else:
        _denoise_cpu(padded, *how, out)
    return out


def noise_of(image):
    """Standard deviation of white noise in an image, robust against its content: float, grey levels.

    The median size of the mixed second difference over 2 x 2 pixels, which planes and straight edges along the axes
    leave at zero, divided by that of white noise (2 * 0.67449). Noise that is correlated from pixel to pixel reads low.
    """
    image = _picture(image)
    if min(image.shape) < 2:
        raise ValueError(f"the image has shape {image.shape}: its noise needs at least 2 x 2 pixels")
    difference = image[1:, 1:] - image[1:, :-1] - image[:-1, 1:] + image[:-1, :-1]
    xp = array_module(image)
    return float(xp.median(xp.abs(difference))) / (2 * 0.6744897501960817)


def _picture(image):
    xp = array_module(image)
    if image.ndim != 2 or not image.size:
        raise ValueError(f"the image has shape {image.shape}: pass (H, W)")
    if image.dtype.kind not in "biuf":
        raise TypeError(f"the image has dtype {image.dtype}: pass real numbers")
    return xp.ascontiguousarray(image, image.dtype if image.dtype in (np.float32, np.float64) else np.float32)


def _half_kernel(sigma, order, truncate):
    """Weights at 0, 1 .. radius; those on the other side are the same (order 0, 2) or their opposites (order 1)."""
    if order not in (0, 1, 2):
        raise ValueError(f"order {order} is unknown: use 0, 1 or 2")
    if not (sigma > 0 or (sigma == 0 and order == 0)):
        raise ValueError(f"sigma {sigma} is not positive, as a derivative needs" if order else f"sigma {sigma} is negative")
    reach = radius(sigma, truncate)
    if sigma == 0:
        return np.ones(1)
    x = np.arange(reach + 1) / sigma
    g = np.exp(-0.5 * x * x)
    g /= 2 * g.sum() - g[0]
    return [g, x / sigma * g, (x * x - 1) / sigma**2 * g][order]


def _convolve(image, half, odd, axis, out=None):
    """out = half[0] * image + sum of half[k] * (image k further on + or, where odd, - image k before)."""
    xp = array_module(image)
    out = xp.empty_like(image) if out is None else out
    radius = len(half) - 1
    padded = xp.pad(image, [(0, 0), (radius, radius)] if axis else [(radius, radius), (0, 0)], mode="symmetric")
    weights = xp.asarray(half.astype(image.dtype))
    step = 1 if axis else image.shape[1]
    if on_device(image):
        _convolve_cuda(padded, weights, odd, step, out)
    else:
        _convolve_cpu(padded, weights, odd, step, out)
    return out


def _feature(xp, kind, image, derivatives, sigma, truncate):
    f, x, y, xx, xy, yy = derivatives
    if kind == "smooth":
        return (f,)
    if kind == "gradient":
        return (xp.sqrt(x * x + y * y),)
    if kind == "laplacian":
        return (xx + yy,)
    if kind == "hessian":
        return _eigenvalues(xp, xx, xy, yy)
    if kind == "structure":
        return _eigenvalues(xp, *(gaussian(product, sigma / 2, truncate=truncate) for product in (x * x, x * y, y * y)))
    return (f - gaussian(image, 0.66 * sigma, truncate=truncate),)


def _eigenvalues(xp, xx, xy, yy):
    mean, half = (xx + yy) * np.float32(0.5), (xx - yy) * np.float32(0.5)
    root = xp.sqrt(half * half + xy * xy)
    return mean + root, mean - root


def _convolve_cpu(padded, half, odd, step, out):
    # pieces of some 50 microseconds or more: waiting for each other in shorter ones costs more than it saves
    parts = max(1, min(4 * processors(), out.size * len(half) // 2**20, len(out)))
    in_pieces(_convolve_rows, [len(out) * n // parts for n in range(parts + 1)], padded, half, odd, step, out)


@njit(cache=True, nogil=True)
def _convolve_rows(padded, half, odd, step, out, first, last):
    pixels, pitch = padded.reshape(-1), padded.shape[1]
    for y in range(first, last):
        _convolve_line(pixels[y * pitch:], half, odd, step, out[y])


@njit(cache=True, nogil=True)
def _convolve_line(pixels, half, odd, step, out):
    W, centre = len(out), (len(half) - 1) * step
    weight = half[0]
    for x in range(W):
        out[x] = weight * pixels[centre + x]
    for k in range(1, len(half)):
        after, before = pixels[centre + k * step:], pixels[centre - k * step:]
        _add_pair(after[:W], before[:W], half[k], odd, out)


@njit(cache=True, nogil=True)
def _add_pair(after, before, weight, odd, out):
    if odd:
        for x in range(len(out)):
            out[x] += weight * (after[x] - before[x])
    else:
        for x in range(len(out)):
            out[x] += weight * (after[x] + before[x])


@njit(cache=True, parallel=True)
def _denoise_cpu(padded, inverse_strength, scale, patch, search, out):
    for band in prange((out.shape[0] + _BAND - 1) // _BAND):
        _denoise_band(padded, inverse_strength, scale, patch, search, band * _BAND, out)


@njit(cache=True, nogil=True)
def _denoise_band(padded, inverse_strength, scale, patch, search, top, out):
    """Rows top .. top + 31. The weight of a pair of pixels serves both: only half the neighbours are computed."""
    rows, W = min(_BAND, out.shape[0] - top), out.shape[1]
    weight = np.empty((rows + search, W + 2 * search), np.float32)  # rows from `search` above, columns from both sides
    squares = np.empty((2 * patch + 1, padded.shape[1]), np.float32)
    sums = np.empty((2 * patch + 1, padded.shape[1]), np.float32)
    edge = patch + search
    mean, total = np.empty((rows, W), np.float32), np.empty((rows, W), np.float32)
    for y in range(rows):
        for x in range(W):
            mean[y, x], total[y, x] = padded[top + edge + y, edge + x], 1
    for dy in range(search + 1):
        for dx in range(-search if dy else 1, search + 1):
            _pair_weights(padded, inverse_strength, scale, patch, search, top, dy, dx, squares, sums, weight)
            for y in range(rows):
                here = top + edge + y
                _accumulate(weight[y + search, search:], padded[here + dy, edge + dx:], mean[y], total[y])
                _accumulate(weight[y + search - dy, search - dx:], padded[here - dy, edge - dx:], mean[y], total[y])
    for y in range(rows):
        for x in range(W):
            out[top + y, x] = mean[y, x] / total[y, x]


@njit(cache=True, nogil=True)
def _accumulate(weight, pixels, mean, total):
    for x in range(len(mean)):
        mean[x] += weight[x] * pixels[x]
        total[x] += weight[x]


@njit(cache=True, nogil=True)
def _pair_weights(padded, inverse_strength, scale, patch, search, top, dy, dx, squares, sums, weight):
    """Weight of each pixel with the one (dy, dx) further on; row r, column c stand for pixel (top + r, c) - search."""
    size = 2 * patch + 1
    left, right = search - max(dx, 0), weight.shape[1] - search + max(-dx, 0)
    first = search - dy
    for row in range(first, weight.shape[0] + size - 1):
        slot = row % size
        a, b = padded[top + row, left:], padded[top + row + dy, left + dx:]
        _square_sums(a, b, right - left, size, squares[slot], sums[slot])
        if row >= first + size - 1:
            _weights_of_row(sums, row + 1, right - left, inverse_strength, scale, weight[row - size + 1, left:])


@njit(cache=True, nogil=True)
def _square_sums(a, b, n, size, squares, sums):
    for x in range(n + size - 1):
        difference = a[x] - b[x]
        squares[x] = difference * difference
    for x in range(n):
        sums[x] = squares[x]
    for k in range(1, size):
        for x in range(n):
            sums[x] += squares[x + k]


@njit(cache=True, nogil=True)
def _weights_of_row(sums, oldest, n, inverse_strength, scale, weight):
    size = len(sums)
    for x in range(n):
        weight[x] = sums[oldest % size, x]
    for k in range(1, size):
        for x in range(n):
            weight[x] += sums[(oldest + k) % size, x]
    for x in range(n):
        d = max(weight[x] * scale - np.float32(1), np.float32(0))
        w = max(np.float32(1) - d * inverse_strength, np.float32(0))
        weight[x] = w * w


def _convolve_cuda(padded, weights, odd, step, out):
    H, W = out.shape
    kind = "f32" if out.dtype == np.float32 else "f64"
    launch("filters", f"convolve_{kind}", grid(out.size), 256, padded, weights, np.int32(len(weights) - 1), np.int32(odd),
           np.int64(step), np.int64(padded.shape[1]), np.int32(H), np.int32(W), out)


def _denoise_cuda(padded, inverse_strength, scale, patch, search, out):
    H, W = out.shape
    blocks = -(-W // 32), min(-(-H // 8), 65535)
    launch("filters", "non_local_means", blocks, (32, 8), padded, inverse_strength, scale, np.int32(patch), np.int32(search),
           np.int32(H), np.int32(W), out)
