/* Weighted sums of rows of bytes. */
#ifndef ONLOOKER_AREA_H
#define ONLOOKER_AREA_H

#include <stddef.h>

#include "wide.h"

/* Add `weight` times each byte of a row to `sums`. */
WIDEST static void add_row(const unsigned char *restrict row, float weight, ptrdiff_t width,
                           float *restrict sums) {
    for (ptrdiff_t x = 0; x < width; x++)
        sums[x] += weight * (float)row[x];
}

#endif
