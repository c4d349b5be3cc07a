/* Interleaved bytes to normalised floats, a row at a time.
 *
 * The compiler vectorises these loops; target_clones lets it do so for wider registers than the
 * portable baseline has, and picks the version when the module is loaded. */
#ifndef ONLOOKER_PIXELS_H
#define ONLOOKER_PIXELS_H

#include <stddef.h>
#include <string.h> /* for __GLIBC__: the choice at load time needs its loader */

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__GLIBC__)
#define WIDEST __attribute__((target_clones("avx2", "default")))
#else
#define WIDEST
#endif

/* One row of three planes: plane c gets (byte c of each pixel - mean[c]) * scale[c]. */
WIDEST static void row_to_planes(const unsigned char *restrict row, float *restrict a,
                                 float *restrict b, float *restrict c, const float *mean,
                                 const float *scale, ptrdiff_t width) {
    const float ma = mean[0], mb = mean[1], mc = mean[2];
    const float sa = scale[0], sb = scale[1], sc = scale[2];
    for (ptrdiff_t x = 0; x < width; x++) {
        a[x] = (row[3 * x] - ma) * sa;
        b[x] = (row[3 * x + 1] - mb) * sb;
        c[x] = (row[3 * x + 2] - mc) * sc;
    }
}

/* One row, interleaved as before; `first` is 2 where bytes 0 and 2 change places, else 0. */
WIDEST static void row_to_pixels(const unsigned char *restrict row, float *restrict out,
                                 int first, const float *mean, const float *scale,
                                 ptrdiff_t width) {
    const int last = 2 - first;
    const float ma = mean[0], mb = mean[1], mc = mean[2];
    const float sa = scale[0], sb = scale[1], sc = scale[2];
    for (ptrdiff_t x = 0; x < width; x++) {
        out[3 * x] = (row[3 * x + first] - ma) * sa;
        out[3 * x + 1] = (row[3 * x + 1] - mb) * sb;
        out[3 * x + 2] = (row[3 * x + last] - mc) * sc;
    }
}

#endif
