/* Luma of limited range in full range, in fixed point. */
#ifndef ONLOOKER_PLANES_H
#define ONLOOKER_PLANES_H

#include <stddef.h>

#include "wide.h"

enum { BLACK = 16, ONE = 1 << 16, GAIN = (255 * ONE + 219 / 2) / 219 };

/* Set each byte of `out` to 255 / 219 of what the byte of `row` has above BLACK, 0 to 255. */
WIDEST static void stretch(const unsigned char *restrict row, ptrdiff_t width,
                           unsigned char *restrict out) {
    for (ptrdiff_t x = 0; x < width; x++) {
        int value = (((int)row[x] - BLACK) * GAIN + ONE / 2) >> 16;
        value = value < 0 ? 0 : value;
        out[x] = (unsigned char)(value > 255 ? 255 : value);
    }
}

#endif
