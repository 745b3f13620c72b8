// One point's home: the twin of home_of in polygon.py, where the rule and the index are explained.

struct Index {
    const double* frame; const int* cell; const long long* start; const int* entry; const int* base;
    const double* anchor; const double* edge; const int* edge_polygon; int rows, columns;
};

#define INDEX_PARAMETERS const double* frame, const int* cell, const long long* start, const int* entry, const int* base, \
    const double* anchor, const double* edge, const int* edge_polygon, int rows, int columns
#define INDEX Index{frame, cell, start, entry, base, anchor, edge, edge_polygon, rows, columns}

// 0: the way from the point to the anchor misses the edge; 1: crosses it; 2: the point is on the edge
__device__ int way_to_anchor(const double* edge, int entry, double x, double y, double anchor_x, double anchor_y) {
    const double* e = edge + 4 * (long long)(entry >> 2);
    bool turned = entry & 1;
    double ax = e[turned ? 2 : 0], ay = e[turned ? 3 : 1], bx = e[turned ? 0 : 2], by = e[turned ? 1 : 3];
    int s = side(ax, ay, bx, by, x, y);  // the anchor's side is 1
    if (s > 0) return 0;
    if (s == 0) return fmin(ax, bx) <= x && x <= fmax(ax, bx) && fmin(ay, by) <= y && y <= fmax(ay, by) ? 2 : 0;
    return (side(x, y, anchor_x, anchor_y, ax, ay) >= 0) != (side(x, y, anchor_x, anchor_y, bx, by) >= 0);
}

__device__ int home_in_cell(const Index& index, int b, double x, double y) {
    long long k = index.start[b], last = index.start[b + 1];
    int base = index.base[b];
    double anchor_x = index.anchor[2 * (long long)b], anchor_y = index.anchor[2 * (long long)b + 1];
    while (k < last) {
        int polygon = index.edge_polygon[index.entry[k] >> 2];
        if (base >= 0 && base < polygon) break;
        bool inside = index.entry[k] & 2;
        for (; k < last && index.edge_polygon[index.entry[k] >> 2] == polygon; ++k) {
            int meets = way_to_anchor(index.edge, index.entry[k], x, y, anchor_x, anchor_y);
            if (meets == 2) return polygon;
            inside ^= meets == 1;
        }
        if (inside) return polygon;
    }
    return base;
}

// -2 for a point that is not finite
__device__ int home_of(const Index& index, double x, double y) {
    double u = (x - index.frame[0]) * index.frame[2], v = (y - index.frame[1]) * index.frame[3];
    if (!(u >= 0.0 && u < index.columns && v >= 0.0 && v < index.rows)) {
        // x - x is NaN for infinity and NaN
        return x - x == 0.0 && y - y == 0.0 ? -1 : -2;
    }
    int found = index.cell[(long long)v * index.columns + (long long)u];
    return found >= -1 ? found : home_in_cell(index, -2 - found, x, y);
}
