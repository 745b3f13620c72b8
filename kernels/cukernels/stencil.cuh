// Node arrays are padded by 2; p is a padded index, n the padded row length. See stencil.py.

// Sum over the eight neighbours of conductance times (neighbour - own). c: pixel conductivities with three weights
// (pixels != 0), or four planes of links to E, S, SE, SW.
template <typename T>
__device__ T link_sum(const T* c, int pixels, long long plane, const T* u, long long p, int n, T along_x, T along_y, T across) {
    T m = u[p];
    T w = u[p - 1] - m, e = u[p + 1] - m, no = u[p - n] - m, so = u[p + n] - m;
    T nw = u[p - n - 1] - m, ne = u[p - n + 1] - m, sw = u[p + n - 1] - m, se = u[p + n + 1] - m;
    if (pixels) {
        T knw = c[p - n - 1], kne = c[p - n], ksw = c[p - 1], kse = c[p];
        return along_y * ((knw + kne) * no + (ksw + kse) * so) + across * (knw * nw + kne * ne + ksw * sw + kse * se)
             + along_x * ((kne + kse) * e + (knw + ksw) * w);
    }
    const T *ce = c, *cs = c + plane, *cse = c + 2 * plane, *csw = c + 3 * plane;
    return cs[p - n] * no + cse[p - n - 1] * nw + csw[p - n + 1] * ne
         + cs[p] * so + csw[p] * sw + cse[p] * se + ce[p] * e + ce[p - 1] * w;
}
