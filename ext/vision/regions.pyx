"""Rectangles from a text detector's probability map.

Signature and units are in pipeline/onlooker/vision/regions.pyi.
"""

cimport numpy as cnp
from libc.math cimport ceil, fabs, floor, hypot
from libc.stddef cimport ptrdiff_t
from libc.stdlib cimport free, malloc, qsort, realloc

import numpy as np

cnp.import_array()


cdef extern from "vision/regions.h":
    ptrdiff_t row_runs(const float *row, ptrdiff_t width, float least, int *runs) noexcept nogil
    double row_sum(const float *row, ptrdiff_t width) noexcept nogil


cdef struct Run:
    int row
    int begin
    int end
    int parent  # an earlier run of the same region, or itself


cdef struct Point:
    double x
    double y


cdef struct Region:
    Point[4] corners
    double score


def rectangles(
    const float[:, ::1] probable,
    float threshold,
    float min_score,
    float unclip_ratio,
    float min_side,
    Py_ssize_t max_regions,
):
    """Return the rectangles (n, 4, 2) of a map's regions and their scores (n,), best first."""
    cdef Py_ssize_t height = probable.shape[0], width = probable.shape[1]
    cdef Py_ssize_t count = 0, kept = 0, i, j
    cdef Run *runs = NULL
    cdef Region *found = NULL
    if width >= 1 << 30 or height >= 1 << 30:
        raise ValueError("a map's sides must be below 2 ** 30")
    with nogil:
        if height and width:
            count = find_runs(&probable[0, 0], height, width, threshold, &runs)
        if count > 0:
            kept = measure(
                &probable[0, 0], height, width, runs, count, min_score, min_side, &found
            )
        free(runs)
        if kept > 0:
            qsort(found, kept, sizeof(Region), better)
    if count < 0 or kept < 0:
        raise MemoryError("no memory for the regions of a probability map")
    kept = min(kept, max_regions)
    quads, scores = np.empty((kept, 4, 2), np.float32), np.empty(kept, np.float32)
    cdef float[:, :, ::1] corners = quads
    cdef float[::1] score = scores
    for i in range(kept):
        grow(&found[i], unclip_ratio)
        score[i] = found[i].score
        for j in range(4):
            corners[i, j, 0] = found[i].corners[j].x
            corners[i, j, 1] = found[i].corners[j].y
    free(found)
    return quads, scores


cdef int better(const void *a, const void *b) noexcept nogil:
    """Compare two regions: by score, and if that is equal from the top."""
    cdef const Region *one = <const Region *> a
    cdef const Region *other = <const Region *> b
    if one.score != other.score:
        return -1 if one.score > other.score else 1
    if one.corners[0].y != other.corners[0].y:
        return -1 if one.corners[0].y < other.corners[0].y else 1
    return (one.corners[0].x > other.corners[0].x) - (one.corners[0].x < other.corners[0].x)


cdef Py_ssize_t find_runs(
    const float *values, Py_ssize_t height, Py_ssize_t width, float least, Run **out
) noexcept nogil:
    """Find the runs of all rows, in order, and join those of a region; return -1 without memory."""
    cdef int *row = <int *> malloc((width + 1) * sizeof(int))
    cdef Py_ssize_t room = 1024, count = 0, here = 0, one_up = 0, two_up = 0, found, y, i
    cdef Run *runs = <Run *> malloc(room * sizeof(Run))
    cdef Run *more
    if row == NULL or runs == NULL:
        free(row)
        free(runs)
        return -1
    for y in range(height):
        two_up, one_up, here = one_up, here, count
        found = row_runs(values + y * width, width, least, row)
        if count + found > room:
            room = 2 * (count + found)
            more = <Run *> realloc(runs, room * sizeof(Run))
            if more == NULL:
                free(row)
                free(runs)
                return -1
            runs = more
        for i in range(found):
            runs[count].row = <int> y
            runs[count].begin = row[2 * i]
            runs[count].end = row[2 * i + 1]
            runs[count].parent = <int> count
            count += 1
        # Neighbours may have one empty pixel between them, beside or above.
        join(runs, two_up, one_up, here, count)
        join(runs, one_up, here, here, count)
    free(row)
    out[0] = runs
    return count


cdef void join(
    Run *runs, Py_ssize_t at, Py_ssize_t stop, Py_ssize_t below, Py_ssize_t end
) noexcept nogil:
    """Join the runs below..end of a row with those at..stop of a row above that they touch."""
    while at < stop and below < end:
        if runs[at].end + 1 < runs[below].begin:
            at += 1
        elif runs[below].end + 1 < runs[at].begin:
            below += 1
        else:
            unite(runs, <int> at, <int> below)
            if runs[at].end < runs[below].end:
                at += 1
            else:
                below += 1


cdef inline int root(Run *runs, int i) noexcept nogil:
    while runs[i].parent != i:
        runs[i].parent = runs[runs[i].parent].parent
        i = runs[i].parent
    return i


cdef inline void unite(Run *runs, int a, int b) noexcept nogil:
    a, b = root(runs, a), root(runs, b)
    if a < b:
        runs[b].parent = a
    else:
        runs[a].parent = b


cdef Py_ssize_t measure(
    const float *values,
    Py_ssize_t height,
    Py_ssize_t width,
    Run *runs,
    Py_ssize_t count,
    float certain,
    float smallest,
    Region **out,
) noexcept nogil:
    """Find the regions that are large and certain enough; return -1 without memory."""
    # The runs of a region one after another: counted, then distributed.
    cdef int *place = <int *> malloc(count * sizeof(int))
    cdef int *order = <int *> malloc(count * sizeof(int))
    cdef int *starts = <int *> malloc((count + 1) * sizeof(int))
    # A run has four corners, and the hull is written into the second half.
    cdef Point *points = <Point *> malloc((8 * count + 2) * sizeof(Point))
    cdef Py_ssize_t i, total = 0, kept = 0, number, size
    cdef Region *found = NULL
    cdef Region region
    if place == NULL or order == NULL or starts == NULL or points == NULL:
        kept = -1
    else:
        for i in range(count):
            # Parents come first, so that a root has its number when it is needed.
            if runs[i].parent == i:
                place[i] = <int> total
                starts[total] = 0
                total += 1
            else:
                place[i] = place[root(runs, <int> i)]
            starts[place[i]] += 1
        number = 0
        for i in range(total):
            size = starts[i]
            starts[i] = <int> number
            number += size
        starts[total] = <int> count
        for i in range(count):
            order[starts[place[i]]] = <int> i
            starts[place[i]] += 1
        found = <Region *> malloc(max(<Py_ssize_t> 1, total) * sizeof(Region))
        if found == NULL:
            kept = -1
        else:
            number = 0
            for i in range(total):
                size = hull(runs, order + number, starts[i] - number, points)
                number = starts[i]
                if not smallest_rectangle(points, size, region.corners):
                    continue
                if min(side(region.corners, 0), side(region.corners, 1)) < smallest:
                    continue
                region.score = mean(values, height, width, region.corners)
                if region.score >= certain:
                    found[kept] = region
                    kept += 1
    free(place)
    free(order)
    free(starts)
    free(points)
    out[0] = found
    return kept


cdef Py_ssize_t hull(
    const Run *runs, const int *order, Py_ssize_t count, Point *points
) noexcept nogil:
    """Find the convex hull of a region's pixels, clockwise from its top; return its length.

    Andrew, "Another efficient algorithm for convex hulls in two dimensions", 1979, over rows
    instead of columns: runs come from the top down already. A pixel extends by one to the right and
    below its place.
    """
    cdef Py_ssize_t n = 0, base, i, j
    cdef const Run *run
    # Down the right side: the rightmost pixel of each row counts.
    i = 0
    while i < count:
        run = &runs[order[i]]
        j = i
        while j < count and runs[order[j]].row == run.row:
            j += 1
        n = bend(points, n, 0, runs[order[j - 1]].end, run.row)
        n = bend(points, n, 0, runs[order[j - 1]].end, run.row + 1)
        i = j
    # Up the left side.
    base = n
    i = count
    while i > 0:
        run = &runs[order[i - 1]]
        j = i
        while j > 0 and runs[order[j - 1]].row == run.row:
            j -= 1
        n = bend(points, n, base, runs[order[j]].begin, run.row + 1)
        n = bend(points, n, base, runs[order[j]].begin, run.row)
        i = j
    return n


cdef inline Py_ssize_t bend(
    Point *points, Py_ssize_t n, Py_ssize_t base, double x, double y
) noexcept nogil:
    """Append a corner to the chain that begins at `base`; drop those that are no corners then."""
    cdef Point *a
    cdef Point *b
    while n >= base + 2:
        a = &points[n - 2]
        b = &points[n - 1]
        if (b.x - a.x) * (y - a.y) - (b.y - a.y) * (x - a.x) > 0:
            break
        n -= 1
    points[n].x = x
    points[n].y = y
    return n + 1


cdef bint smallest_rectangle(const Point *points, Py_ssize_t n, Point *corners) noexcept nogil:
    """Find the smallest rectangle round a convex polygon with clockwise corners.

    Its corners go clockwise too; the first side is the one that runs most to the right. Returns
    False if there is none.
    """
    # One of its sides lies along one of the polygon's (Toussaint, "Solving geometric problems with
    # the rotating calipers", 1983): for each, three points move round the polygon to where it is
    # farthest along that side, away from it, and back. Corners are whole numbers, and so are all
    # sums here: nothing is rounded.
    cdef Py_ssize_t i, right = 1, bottom = 1, left = 1
    cdef double ux, uy, wide, deep, square, least = -1
    cdef double x0 = 0, x1 = 0, y0 = 0, y1 = 0, bx = 0, by = 0
    for i in range(n):
        ux = points[(i + 1) % n].x - points[i].x
        uy = points[(i + 1) % n].y - points[i].y
        square = ux * ux + uy * uy
        right = farthest(points, n, right, ux, uy)
        bottom = farthest(points, n, bottom if i else right, -uy, ux)
        left = farthest(points, n, left if i else bottom, -ux, -uy)
        wide = along(points[right], ux, uy) - along(points[left], ux, uy)
        deep = along(points[bottom], -uy, ux) - along(points[i], -uy, ux)
        if least < 0 or wide * deep < least * square:
            least = wide * deep / square
            x0 = along(points[left], ux, uy) / square
            y0 = along(points[i], -uy, ux) / square
            x1, y1 = x0 + wide / square, y0 + deep / square
            bx, by = ux, uy
    if least <= 0:
        return False
    cdef int first = 0
    # The one of the four sides that runs most to the right: up, right, down or left of this one.
    if bx < fabs(by):
        first = 1 if by < 0 else 3
        if -bx >= fabs(by):
            first = 2
    for i in range(4):
        ux = x1 if ((i + first) & 3) in (1, 2) else x0
        uy = y1 if ((i + first) & 3) in (2, 3) else y0
        corners[i].x = ux * bx - uy * by
        corners[i].y = ux * by + uy * bx
    return True


cdef inline Py_ssize_t farthest(
    const Point *points, Py_ssize_t n, Py_ssize_t at, double ux, double uy
) noexcept nogil:
    """Return the point farthest along u: from `at` on, as long as the next one is farther."""
    while along(points[(at + 1) % n], ux, uy) > along(points[at], ux, uy):
        at = (at + 1) % n
    return at


cdef inline double along(Point point, double ux, double uy) noexcept nogil:
    return point.x * ux + point.y * uy


cdef inline double side(const Point *corners, int i) noexcept nogil:
    return hypot(corners[i + 1].x - corners[i].x, corners[i + 1].y - corners[i].y)


cdef double mean(
    const float *values, Py_ssize_t height, Py_ssize_t width, const Point *quad
) noexcept nogil:
    """Return the map's mean over the pixels whose centres lie in the quad; 0 if none does."""
    cdef Py_ssize_t y, first, last, n = 0
    cdef int i
    cdef double total = 0, top = quad[0].y, bottom = quad[0].y, left, right, cut, middle
    cdef const Point *a
    cdef const Point *b
    for i in range(1, 4):
        top = min(top, quad[i].y)
        bottom = max(bottom, quad[i].y)
    for y in range(max(0, <Py_ssize_t> floor(top)), min(height, <Py_ssize_t> ceil(bottom))):
        middle = y + 0.5
        left, right = width, 0
        # A row's centre line enters and leaves the quad at its crossings with two sides.
        for i in range(4):
            a = &quad[i]
            b = &quad[(i + 1) & 3]
            if (a.y <= middle) != (b.y <= middle):
                cut = a.x + (middle - a.y) * (b.x - a.x) / (b.y - a.y)
                left = min(left, cut)
                right = max(right, cut)
        first = max(0, <Py_ssize_t> ceil(left - 0.5))
        last = min(width, <Py_ssize_t> ceil(right - 0.5))
        if last > first:
            total += row_sum(values + y * width + first, last - first)
            n += last - first
    return total / n if n else 0.0


cdef void grow(Region *region, double ratio) noexcept nogil:
    """Move each side outwards by area * ratio / perimeter.

    DBNet calls this unclip: to offset a rectangle with round corners and box the outcome gives the
    rectangle itself, grown.
    """
    cdef Point *quad = region.corners
    cdef double width = side(quad, 0), height = side(quad, 1)
    cdef double distance = width * height * ratio / (2 * (width + height))
    cdef double rx = (quad[1].x - quad[0].x) * distance / width
    cdef double ry = (quad[1].y - quad[0].y) * distance / width
    cdef double dx = (quad[3].x - quad[0].x) * distance / height
    cdef double dy = (quad[3].y - quad[0].y) * distance / height
    quad[0].x, quad[0].y = quad[0].x - rx - dx, quad[0].y - ry - dy
    quad[1].x, quad[1].y = quad[1].x + rx - dx, quad[1].y + ry - dy
    quad[2].x, quad[2].y = quad[2].x + rx + dx, quad[2].y + ry + dy
    quad[3].x, quad[3].y = quad[3].x - rx + dx, quad[3].y - ry + dy
