// Polylines cut at polygon borders: one thread a segment. The twin of polyline.py, where the method is explained.
#include "orientation.cuh"
#include "polygon.cuh"

#define SLACK 1e-6
#define NO_POLYGON 2147483647
#define FOR_ALL for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n; i += (long long)gridDim.x * blockDim.x)

struct Segment { double px, py, qx, qy; };
struct Range { int low, high; };

__device__ Segment segment_at(const double* x, const double* y, long long p) { return {x[p], y[p], x[p + 1], y[p + 1]}; }

__device__ Range rows_near(const Segment& s, const Index& g) {
    double low = (fmin(s.py, s.qy) - g.frame[1]) * g.frame[3], high = (fmax(s.py, s.qy) - g.frame[1]) * g.frame[3];
    return {(int)fmax(0.0, floor(low - SLACK)), (int)fmin(g.rows - 1.0, floor(high + SLACK))};
}

__device__ Range columns_near(const Segment& s, int row, const Index& g) {
    double ua = (s.px - g.frame[0]) * g.frame[2], ub = (s.qx - g.frame[0]) * g.frame[2];
    double va = (s.py - g.frame[1]) * g.frame[3], vb = (s.qy - g.frame[1]) * g.frame[3];
    if (va > vb) { double u = ua, v = va; ua = ub; ub = u; va = vb; vb = v; }
    double low = fmin(ua, ub), high = fmax(ua, ub);
    if (vb - va > SLACK) {
        double slope = (ub - ua) / (vb - va);
        double bottom = ua + slope * (fmax(row - SLACK, va) - va), top = ua + slope * (fmin(row + 1 + SLACK, vb) - va);
        low = fmax(low, fmin(bottom, top));
        high = fmin(high, fmax(bottom, top));
    }
    return {(int)fmax(0.0, floor(low - SLACK)), (int)fmin(g.columns - 1.0, floor(high + SLACK))};
}

__device__ double fraction(double ax, double ay, const Segment& s) {
    double dx = s.qx - s.px, dy = s.qy - s.py;
    return ((ax - s.px) * dx + (ay - s.py) * dy) / (dx * dx + dy * dy);
}

// t <= u where the segment meets the edge: a point t == u, or a stretch along it
__device__ bool meeting(const double* e, const Segment& s, double& t, double& u) {
    double ax = e[0], ay = e[1], bx = e[2], by = e[3];
    if (fmax(ax, bx) < fmin(s.px, s.qx) || fmin(ax, bx) > fmax(s.px, s.qx) ||
        fmax(ay, by) < fmin(s.py, s.qy) || fmin(ay, by) > fmax(s.py, s.qy)) return false;
    int p_side = side(ax, ay, bx, by, s.px, s.py), q_side = side(ax, ay, bx, by, s.qx, s.qy);
    if (p_side * q_side > 0) return false;
    int a_side = side(s.px, s.py, s.qx, s.qy, ax, ay), b_side = side(s.px, s.py, s.qx, s.qy, bx, by);
    if (a_side * b_side > 0) return false;
    if (a_side == 0 && b_side == 0) {
        double v = fraction(ax, ay, s), w = fraction(bx, by, s);
        t = fmax(0.0, fmin(v, w));
        u = fmin(1.0, fmax(v, w));
        return t <= u;
    }
    if (p_side == 0) t = 0.0;
    else if (q_side == 0) t = 1.0;
    else if (a_side == 0) t = fraction(ax, ay, s);
    else if (b_side == 0) t = fraction(bx, by, s);
    else {
        double p_area = (ax - s.px) * (by - s.py) - (ay - s.py) * (bx - s.px);
        double q_area = (ax - s.qx) * (by - s.qy) - (ay - s.qy) * (bx - s.qx);
        t = p_area / (p_area - q_area);
    }
    u = t = fmax(0.0, fmin(1.0, t));
    return true;
}

// calls found(t, u, polygon) for every edge near the segment that it meets; an edge in two cells is met twice, harmlessly
template <class F> __device__ void meet_edges(const Index& g, const Segment& s, F found) {
    Range rows = rows_near(s, g);
    for (int row = rows.low; row <= rows.high; ++row) {
        Range columns = columns_near(s, row, g);
        for (int column = columns.low; column <= columns.high; ++column) {
            int b = -2 - g.cell[(long long)row * g.columns + column];
            if (b < 0) continue;
            for (long long k = g.start[b]; k < g.start[b + 1]; ++k) {
                long long e = g.entry[k] >> 2;
                double t, u;
                if (meeting(g.edge + 4 * e, s, t, u)) found(t, u, g.edge_polygon[e]);
            }
        }
    }
}

extern "C" __global__ void polyline_count(INDEX_PARAMETERS, const double* x, const double* y, const long long* segment,
                                          long long n, long long* meetings) {
    Index g = INDEX;
    FOR_ALL {
        long long count = 0;
        meet_edges(g, segment_at(x, y, segment[i]), [&](double, double, int) { ++count; });
        meetings[i] = count;
    }
}

extern "C" __global__ void polyline_meet(INDEX_PARAMETERS, const double* x, const double* y, const long long* segment,
                                         long long n, const long long* first, double* cut, double* cut_end, int* cut_polygon) {
    Index g = INDEX;
    FOR_ALL {
        long long k = first[i];
        meet_edges(g, segment_at(x, y, segment[i]), [&](double t, double u, int polygon) {
            cut[k] = t; cut_end[k] = u; cut_polygon[k] = polygon;
            ++k;
        });
    }
}

extern "C" __global__ void polyline_cut(INDEX_PARAMETERS, const double* x, const double* y, const long long* segment, long long n,
                                        const long long* first, const double* cut, const double* cut_end, const int* cut_polygon,
                                        long long* owner, double* begin, double* end, int* polygon) {
    Index g = INDEX;
    FOR_ALL {
        Segment s = segment_at(x, y, segment[i]);
        double largest = fmax(fmax(fabs(s.px), fabs(s.qx)), fmax(fabs(s.py), fabs(s.qy)));
        double tolerance = 1e-12 + 8.0 / 9007199254740992.0 * largest / fmax(fabs(s.qx - s.px), fabs(s.qy - s.py));
        long long out = 2 * first[i] + i;
        for (double at = 0.0, to; at < 1.0; at = to, ++out) {
            to = 1.0;
            for (long long k = first[i]; k < first[i + 1]; ++k) {
                if (cut[k] > at + tolerance) to = fmin(to, cut[k]);
                if (cut_end[k] > at + tolerance) to = fmin(to, cut_end[k]);
            }
            if (!(to < 1.0 - tolerance)) to = 1.0;
            double middle = 0.5 * (at + to);
            int along = NO_POLYGON;
            for (long long k = first[i]; k < first[i + 1]; ++k)
                if (cut[k] < middle && middle < cut_end[k] && cut_polygon[k] < along) along = cut_polygon[k];
            int home = home_of(g, s.px + (s.qx - s.px) * middle, s.py + (s.qy - s.py) * middle);
            owner[out] = segment[i]; begin[out] = at; end[out] = to;
            polygon[out] = along != NO_POLYGON && (home < 0 || along < home) ? along : home;
        }
    }
}

extern "C" __global__ void polyline_lengths(const long long* first, const double* begin, const long long* last, const double* end,
                                            const double* length, double* total, long long n) {
    FOR_ALL {
        if (first[i] == last[i]) {
            total[i] = (end[i] - begin[i]) * length[first[i]];
            continue;
        }
        double sum = (1.0 - begin[i]) * length[first[i]];
        for (long long s = first[i] + 1; s < last[i]; ++s) sum += length[s];
        total[i] = sum + end[i] * length[last[i]];
    }
}
