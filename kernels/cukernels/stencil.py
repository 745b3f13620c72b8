"""Bilinear (Q1) finite elements for conduction on a pixel grid: one conductivity a pixel, unknowns at pixel corners.

The operator is never stored. Pixel e, of size dx times dy and conductivity k, ties each pair of its four corners by a
conductance k g, with a = dy/dx and b = dx/dy:

    along x   g = a/3 - b/6      along y   g = b/3 - a/6      across   g = (a + b)/6

which is the exact element matrix of -div(k grad u) (C. Johnson, "Numerical solution of partial differential equations
by the finite element method", 1987, ch. 1 and 4). Everything is summed in differences, sum k g (u_i - u_j), so that
a constant has no residual at all, whatever the contrast and the precision. A pixel may also conduct by a tensor, as one
does that holds thin layers: k g becomes xx a/3 - yy b/6 along x, yy b/3 - xx a/6 along y, (xx a + yy b)/6 across, to which
half of xy is added on the diagonal down to the right, and taken off on the other. Or it may bring an element matrix of its own,
as the six conductances between its corners.

Node arrays are *padded*: (S, H' + 4, W' + 4) for S fields on H' times W' nodes, node (i, j) at [i + 2, j + 2]. The pad
is zero at a side that ends and a copy of the far side at one that wraps. `embed` and `interior` go in and out.
"""

import functools
from dataclasses import dataclass

import numpy as np
from numba import njit

from .backend import array_module, launch, on_device
from .rows import links_of, product_row, row_links
from .threads import in_pieces, processors

PAD = 2
_THREADS = (32, 4)


@dataclass(frozen=True)
class Conduction:
    """The operator of one picture; made by `conduction`.

    shape: (H', W') nodes. periodic: (along y, along x). weights: the three g above, along x, along y, across.
    k: padded (1, H' + 4, W' + 4) float64, pixel (i, j) at [0, i + 2, j + 2], between node rows i and i + 1; of tensors
    and matrices (4, H' + 4, W' + 4), conductance of each node's links to E, S, SE, SW.
    free: padded uint8, 1 at nodes to be solved for: not fixed, and with at least one conducting pixel or a reaction.
    reaction: padded float64, conductance from each node to a surrounding at zero; (0, 0) where there is none.
    """

    shape: tuple
    periodic: tuple
    weights: tuple
    k: np.ndarray
    free: np.ndarray
    reaction: np.ndarray

    def apply(self, p, q):
        """q = A p on the free nodes and 0 elsewhere. Returns the S inner products of p and A p, over all nodes.

        p, q: padded (S, H' + 4, W' + 4) float64; p is 0 at nodes in voids. What a Krylov solver calls.
        """
        return _apply(self, p, q, True)

    def search(self, p, z, scale, beta):
        """p = z scale + beta p, and the S inner products of p and A p, in one pass over memory (NumPy only).

        p: as of `apply`. z: float32 of its shape, with pads as `wrap` fills them. scale, beta: (S,).
        """
        bounds = chunks(self.shape[0])
        args = self.k, self.reaction, *self.weights, p
        dots = in_pieces(_search_rows, bounds, *args, z, scale, beta)
        wrap(p, self.periodic)
        # rows at the ends of the pieces, whose neighbours are another thread's
        return sum(dots) + _dot_rows(*args, np.unique(np.concatenate([bounds[:-1], bounds[1:] - 1])))

    def advance(self, x, r, p, alpha, scale, short):
        """x += alpha p, r -= alpha A p on the free nodes, short = r scale, in one pass over memory (NumPy only).

        x, r: float64 of the shape of p, which is as `search` left it; short: float32. alpha, scale: (S,).
        """
        in_pieces(_advance_rows, chunks(self.shape[0]), self.k, self.reaction, *self.weights, self.free, x, r, p, alpha, scale, short)


def conduction(k, dx=1.0, dy=1.0, periodic=(False, False), fixed=None, reaction=None):
    """The Q1 operator of the picture k.

    k: (H, W) float, conductivity of each pixel, finite and not negative; or (3, H, W), tensors xx, yy, xy, finite and not
    negative as quadratic forms; or (6, H, W), conductances along the upper, lower, left and right edge of each pixel and on
    its diagonals down and up to the right, likewise, pixel size included. dx, dy: pixel size along columns and rows.
    periodic: (along y, along x); a side that does not wrap is insulated. fixed: bool at the nodes whose value is given.
    reaction: float at the nodes, not negative. Nodes are (H + 1, W + 1), one fewer along an axis that wraps.
    Raises ValueError where k, dx, dy or a shape is out of this contract. NumPy or CuPy.
    """
    xp = array_module(k, fixed, reaction)
    k = xp.asarray(k)
    check_conductivity(k)
    k = xp.asarray(k, np.float64)
    if not (np.isfinite(dx) and np.isfinite(dy) and dx > 0 and dy > 0):
        raise ValueError(f"pixel size dx = {dx}, dy = {dy}: give finite lengths > 0")
    for n, wraps, name in zip(k.shape[-2:], periodic, ("rows", "columns")):
        if wraps and n < 2:
            raise ValueError(f"a periodic picture needs at least 2 {name}: repeat it")
    shape = tuple(n + (not wraps) for n, wraps in zip(k.shape[-2:], periodic))
    for name, array in (("fixed", fixed), ("reaction", reaction)):
        if array is not None and array.shape != shape:
            raise ValueError(f"{name} has shape {array.shape}: give one value a node, {shape}")
    a, b = dy / dx, dx / dy
    pixels = _pixels(k, shape, periodic)
    used = conducts(pixels)
    used = (used | _shift(used, 0, 1) | _shift(used, 1, 0) | _shift(used, 1, 1))[PAD:PAD + shape[0], PAD:PAD + shape[1]]
    if reaction is None:
        reaction = xp.zeros((0, 0))
    else:
        used = used | (reaction > 0)
        reaction = embed(reaction.astype(np.float64), periodic)
    free = used if fixed is None else used & ~fixed
    links = pixels[None] if k.ndim == 2 else wrap(_links(pixels, a, b), periodic)
    return Conduction(shape, tuple(bool(w) for w in periodic), (a / 3 - b / 6, b / 3 - a / 6, (a + b) / 6),
                      links, embed(free.astype(np.uint8), periodic), reaction)


def check_conductivity(k):
    """ValueError for what is no picture of conductivities, (H, W) numbers, (3, H, W) tensors or (6, H, W) conductances."""
    xp = array_module(k)
    if not (k.ndim == 2 or k.ndim == 3 and k.shape[0] in (3, 6)) or 0 in k.shape:
        raise ValueError(f"conductivity has shape {k.shape}: give one number a pixel, (H, W) with at least one pixel, or tensors (3, H, W)")
    if not on_device(k):
        flat = np.ascontiguousarray(k if k.ndim == 3 else k[None], np.float64)
        if all(in_pieces(_good_rows, chunks(k.shape[-2]), flat)):
            return
    good = xp.isfinite(k)
    if k.ndim == 2:
        good &= k >= 0
    elif len(k) == 6:
        good = good.all(axis=0) & _not_negative(k)
    else:
        good = good.all(axis=0) & (k[0] >= 0) & (k[1] >= 0) & (k[2] * k[2] <= k[0] * k[1] * (1 + 1e-12))
    if not bool(good.all()):
        row, column = (int(n) for n in np.unravel_index(int(xp.argmax(~good)), good.shape))
        shown = float(k[row, column]) if k.ndim == 2 else [float(part) for part in k[:, row, column]]
        raise ValueError(f"conductivity {shown} at row {row}, column {column}: give finite numbers >= 0")


def conducts(k):
    """(H, W) bool: where a picture of conductivities, numbers or tensors, conducts at all."""
    return k > 0 if k.ndim == 2 else k[0] + k[1] > 0 if len(k) == 3 else (k != 0).any(axis=0)


def _not_negative(k):
    """(H, W) bool: where six conductances between corners take up power, but for rounding. The diagonal of a matrix that
    is not positive shows it, at one of the three steps of elimination that are left once a corner is at 0."""
    top, bottom, left, right, down, up = k
    size = abs(k).sum(axis=0)
    # the corners ne, sw, se
    a, b, c, ab, ac, bc = top + right + up, bottom + left + up, bottom + right + down, -up, -right, -bottom
    least = -1e-9 * size
    good = (a >= least) & (b >= least) & (c >= least)
    safe = array_module(k).where(a > -least, a, 1)
    b, c, bc = b - ab * ab / safe, c - ac * ac / safe, bc - ab * ac / safe
    good &= (b >= least) & (c >= least) | (a <= -least)
    safe = array_module(k).where(b > -least, b, 1)
    return good & ((c - bc * bc / safe >= least) | (b <= -least) | (a <= -least))


def _links(pixels, a, b):
    """(4, ...) links of each node from padded pixel tensors (3, ...), or conductances (6, ...)."""
    if not on_device(pixels):
        links = np.empty((4, *pixels.shape[1:]))
        in_pieces(_link_rows, chunks(pixels.shape[1]), pixels, a, b, links)
        return links
    if len(pixels) == 6:
        top, bottom, left, right, down, up = pixels
        return array_module(pixels).stack([top + _shift(bottom, 1, 0), left + _shift(right, 0, 1), down, _shift(up, 0, 1)])
    xx, yy, xy = pixels
    along_x, along_y, across = xx * (a / 3) - yy * (b / 6), yy * (b / 3) - xx * (a / 6), (xx * a + yy * b) / 6
    return array_module(pixels).stack([along_x + _shift(along_x, 1, 0), along_y + _shift(along_y, 0, 1), across + xy / 2, _shift(across - xy / 2, 0, 1)])


def apply(operator, u):
    """A u at every node, fixed ones too: there it is what flows in. u: padded (S, ...) float64; returns the same."""
    return powers(operator, u)[0]


def powers(operator, u, scale=1.0):
    """(scale A u at every node, the S inner products of u and A u); u as of `apply`."""
    q = array_module(u).zeros(u.shape)
    return q, _apply(operator, u, q, False, scale)


def _apply(operator, u, q, masked, scale=1.0):
    wrap(u, operator.periodic)
    if on_device(u):
        _apply_cuda(operator, u, q)
        dots = (u * q).sum(axis=(1, 2))
        if masked:
            q *= operator.free
        if scale != 1.0:
            q *= scale
        return dots
    return _apply_cpu(operator.k, operator.reaction, *operator.weights, operator.free, masked, u, q, scale, chunks(operator.shape[0])).sum(axis=0)


def gradient(operator, u, dx, dy):
    """Mean gradient of u in each pixel, (S, 2, H, W), along x first: the gradient at the pixel's centre."""
    wrap(u, operator.periodic)
    xp = array_module(u)
    rows, columns = (n - (not wraps) for n, wraps in zip(operator.shape, operator.periodic))
    nw, ne = (u[:, PAD:PAD + rows, j:j + columns] for j in (PAD, PAD + 1))
    sw, se = (u[:, PAD + 1:PAD + 1 + rows, j:j + columns] for j in (PAD, PAD + 1))
    return xp.stack([((ne - nw) + (se - sw)) / (2 * dx), ((sw - nw) + (se - ne)) / (2 * dy)], axis=1)


def embed(a, periodic):
    """A padded C-contiguous copy of a (..., H', W')."""
    xp = array_module(a)
    out = xp.zeros((*a.shape[:-2], a.shape[-2] + 2 * PAD, a.shape[-1] + 2 * PAD), a.dtype)
    out[..., PAD:-PAD, PAD:-PAD] = a
    return wrap(out, periodic)


def interior(a):
    """The view of a padded array without its pad."""
    return a[..., PAD:-PAD, PAD:-PAD]


def wrap(a, periodic):
    """Refresh the pad of a padded array at sides that wrap; returns a."""
    if periodic[1]:
        a[..., :, :PAD], a[..., :, -PAD:] = a[..., :, -2 * PAD:-PAD], a[..., :, PAD:2 * PAD]
    if periodic[0]:
        a[..., :PAD, :], a[..., -PAD:, :] = a[..., -2 * PAD:-PAD, :], a[..., PAD:2 * PAD, :]
    return a


def chunks(rows, least=64):
    """Row numbers that cut `rows` into even-sized pieces, one or a few a thread: int64, from 0 to rows."""
    return _chunks(rows, max(1, min(rows // least, 2 * processors())))


@functools.lru_cache(256)
def _chunks(rows, pieces):
    bounds = np.append(np.arange(pieces) * rows // pieces // 2 * 2, rows).astype(np.int64)
    bounds.flags.writeable = False
    return bounds


def _shift(a, rows, columns):
    return array_module(a).roll(a, (rows, columns), axis=(-2, -1))


def _pixels(k, shape, periodic):
    """Pixels padded as nodes are, whose shape is given: one row and column more of zeros at sides that end."""
    out = array_module(k).zeros((*k.shape[:-2], *(n + 2 * PAD for n in shape)), k.dtype)
    out[..., PAD:PAD + k.shape[-2], PAD:PAD + k.shape[-1]] = k
    return wrap(out, periodic)


@njit(cache=True, nogil=True)
def _good_rows(k, first, last):
    """Whether rows of conductivities (1 or 3 or 6, H, W) are finite and, as quadratic forms, not negative."""
    for i in range(first, last):
        for j in range(k.shape[2]):
            for part in range(k.shape[0]):
                if not np.isfinite(k[part, i, j]):
                    return False
            if k.shape[0] == 6:
                if not _good_element(k[0, i, j], k[1, i, j], k[2, i, j], k[3, i, j], k[4, i, j], k[5, i, j]):
                    return False
            elif k[0, i, j] < 0:
                return False
            elif k.shape[0] == 3 and (k[1, i, j] < 0 or k[2, i, j] * k[2, i, j] > k[0, i, j] * k[1, i, j] * (1 + 1e-12)):
                return False
    return True


@njit(cache=True)
def _good_element(top, bottom, left, right, down, up):
    """`_not_negative` of one pixel."""
    least = -1e-9 * (abs(top) + abs(bottom) + abs(left) + abs(right) + abs(down) + abs(up))
    a, b, c, ab, ac, bc = top + right + up, bottom + left + up, bottom + right + down, -up, -right, -bottom
    if a < least or b < least or c < least:
        return False
    if a > -least:
        b, c, bc = b - ab * ab / a, c - ac * ac / a, bc - ab * ac / a
        if b < least or c < least:
            return False
    if b > -least:
        return c - bc * bc / b >= least or a <= -least
    return True


@njit(cache=True, nogil=True)
def _link_rows(pixels, a, b, links, first, last):
    for i in range(first, last):
        for j in range(links.shape[2]):  # what index -1 finds belongs to no node
            if pixels.shape[0] == 6:
                links[0, i, j], links[1, i, j] = pixels[0, i, j] + pixels[1, i - 1, j], pixels[2, i, j] + pixels[3, i, j - 1]
                links[2, i, j], links[3, i, j] = pixels[4, i, j], pixels[5, i, j - 1]
            else:
                xx, yy, xy = pixels[0, i, j], pixels[1, i, j], pixels[2, i, j]
                above, left = (pixels[0, i - 1, j], pixels[1, i - 1, j]), (pixels[0, i, j - 1], pixels[1, i, j - 1])
                links[0, i, j] = (xx + above[0]) * (a / 3) - (yy + above[1]) * (b / 6)
                links[1, i, j] = (yy + left[1]) * (b / 3) - (xx + left[0]) * (a / 6)
                links[2, i, j] = (xx * a + yy * b) / 6 + xy / 2
                links[3, i, j] = (left[0] * a + left[1] * b) / 6 - pixels[2, i, j - 1] / 2


@njit(cache=True, nogil=True)
def _apply_rows(k, reaction, along_x, along_y, across, free, masked, u, q, scale, first, last):
    (fields, rows, width), pixels, lost, x = u.shape, k.reshape(-1), reaction.reshape(-1), u.reshape(-1)
    links, held, plane = links_of(k)
    t, dots = np.empty(width - 4), np.zeros(fields)
    for i in range(first + 2, last + 2):
        c, step = row_links(links, held, pixels, i, width, along_x, along_y, across)
        for f in range(fields):
            dots[f] += product_row(t, x, (f * rows + i) * width + 2, width, links, c, plane, step, lost, i * width + 2, width - 4)
            _store_row(q[f, i], t, free[i], masked, -scale)
    return dots


@njit(cache=True)
def _store_row(q, t, free, masked, factor):
    if masked:
        for j in range(t.size):
            q[j + 2] = factor * t[j] * free[j + 2]
    else:
        for j in range(t.size):
            q[j + 2] = factor * t[j]


@njit(cache=True, nogil=True)
def _search_rows(k, reaction, along_x, along_y, across, p, z, scale, beta, first, last):
    """All rows of a piece turned; inner products over those whose neighbours are its own too."""
    (fields, rows, width), pixels, lost, x = p.shape, k.reshape(-1), reaction.reshape(-1), p.reshape(-1)
    links, held, plane = links_of(k)
    t, dots = np.empty(width - 4), np.zeros(fields)
    for i in range(first + 2, last + 2):
        inside = i > first + 3
        c, step = row_links(links, held, pixels, i - 1, width, along_x, along_y, across) if inside else (0, 0)
        for f in range(fields):
            _turn_row(p[f, i], z[f, i], scale[f], beta[f])
            if inside:
                dots[f] += product_row(t, x, (f * rows + i - 1) * width + 2, width, links, c, plane, step, lost, (i - 1) * width + 2, width - 4)
    return dots


@njit(cache=True)
def _turn_row(p, z, scale, beta):
    for j in range(p.size):
        p[j] = scale * z[j] + beta * p[j]


@njit(cache=True)
def _dot_rows(k, reaction, along_x, along_y, across, p, numbers):
    (fields, rows, width), pixels, lost, x = p.shape, k.reshape(-1), reaction.reshape(-1), p.reshape(-1)
    links, held, plane = links_of(k)
    t, dots = np.empty(width - 4), np.zeros(fields)
    for row in numbers:
        i = row + 2
        c, step = row_links(links, held, pixels, i, width, along_x, along_y, across)
        for f in range(fields):
            dots[f] += product_row(t, x, (f * rows + i) * width + 2, width, links, c, plane, step, lost, i * width + 2, width - 4)
    return dots


@njit(cache=True, nogil=True)
def _advance_rows(k, reaction, along_x, along_y, across, free, x, r, p, alpha, scale, short, first, last):
    (fields, rows, width), pixels, lost, u = p.shape, k.reshape(-1), reaction.reshape(-1), p.reshape(-1)
    links, held, plane = links_of(k)
    t, unknown = np.empty(width - 4), np.empty(width - 4)
    for i in range(first + 2, last + 2):
        c, step = row_links(links, held, pixels, i, width, along_x, along_y, across)
        _numbers(unknown, free[i])
        for f in range(fields):
            product_row(t, u, (f * rows + i) * width + 2, width, links, c, plane, step, lost, i * width + 2, width - 4)
            _advance_row(x[f, i], r[f, i], p[f, i], t, unknown, alpha[f], scale[f], short[f, i])


@njit(cache=True)
def _numbers(out, free):
    for j in range(out.size):
        out[j] = free[j + 2]


@njit(cache=True)
def _advance_row(x, r, p, t, free, alpha, scale, short):
    for j in range(x.size):
        x[j] += alpha * p[j]
    for j in range(t.size):
        r[j + 2] += alpha * t[j] * free[j]
        short[j + 2] = r[j + 2] * scale


def _apply_cpu(k, reaction, along_x, along_y, across, free, masked, u, q, scale, bounds):
    return np.array(in_pieces(_apply_rows, bounds, k, reaction, along_x, along_y, across, free, masked, u, q, scale))


def _apply_cuda(operator, u, q):
    rows, columns = operator.shape
    blocks = (-(-columns // _THREADS[0]), -(-rows // _THREADS[1]), u.shape[0])
    launch("stencil", "conduction_apply", blocks, _THREADS, operator.k, np.int32(len(operator.k) == 1), operator.reaction if operator.reaction.size else operator.k,
           np.int32(operator.reaction.size > 0), *(np.float64(g) for g in operator.weights), u, q, np.int32(rows), np.int32(columns))
