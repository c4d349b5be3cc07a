/* The likeness of a vector to each of a block of rows.
 *
 * A row is summed in 32 independent lanes, which is what wide registers hold, then in 8, then in
 * one. The order of the sums is the same for every row, so equal rows have exactly equal likeness. */
#ifndef ONLOOKER_EXACT_H
#define ONLOOKER_EXACT_H

#include <stddef.h>

#include "wide.h"

#if defined(__GNUC__) && !defined(__clang__)
#define ALWAYS_INLINE inline __attribute__((always_inline))
#else
#define ALWAYS_INLINE inline
#endif

enum { BLOCK = 64, LANES = 32, FOLDED = 8 };

static ALWAYS_INLINE float term(float a, float b, int distance) {
    return distance ? (a - b) * (b - a) : a * b;
}

/* Set folded[i] to partial sums of the likeness of row i. `distance` is constant when inlined. */
static ALWAYS_INLINE void fold(const float *restrict rows, const float *restrict query,
                               ptrdiff_t count, ptrdiff_t dim, float (*restrict folded)[FOLDED],
                               int distance) {
    for (ptrdiff_t i = 0; i < count; i++) {
        const float *row = rows + i * dim;
        float lanes[LANES] = {0};
        ptrdiff_t d = 0;
        for (; d + LANES <= dim; d += LANES)
            for (int lane = 0; lane < LANES; lane++)
                lanes[lane] += term(row[d + lane], query[d + lane], distance);
        for (int lane = 0; lane < FOLDED; lane++)
            folded[i][lane] = (lanes[lane] + lanes[lane + 8]) + (lanes[lane + 16] + lanes[lane + 24]);
        for (; d < dim; d++)
            folded[i][0] += term(row[d], query[d], distance);
    }
}

WIDEST static void fold_dots(const float *restrict rows, const float *restrict query,
                             ptrdiff_t count, ptrdiff_t dim, float (*restrict folded)[FOLDED]) {
    fold(rows, query, count, dim, folded, 0);
}

WIDEST static void fold_distances(const float *restrict rows, const float *restrict query,
                                  ptrdiff_t count, ptrdiff_t dim,
                                  float (*restrict folded)[FOLDED]) {
    fold(rows, query, count, dim, folded, 1);
}

/* Set likeness[i] of up to BLOCK rows: the dot product, or the negative squared distance. */
static void compare(const float *rows, const float *query, ptrdiff_t count, ptrdiff_t dim,
                    int distance, float *likeness) {
    /* An array in memory, so that the compiler vectorises the last sums too. */
    float folded[BLOCK][FOLDED];
    if (distance)
        fold_distances(rows, query, count, dim, folded);
    else
        fold_dots(rows, query, count, dim, folded);
    for (ptrdiff_t i = 0; i < count; i++) {
        const float *f = folded[i];
        likeness[i] = ((f[0] + f[4]) + (f[2] + f[6])) + ((f[1] + f[5]) + (f[3] + f[7]));
    }
}

#endif
