/* Runs of likely pixels in a row of a probability map.
 *
 * Nearly all of a map is empty, so each block of a row is first tested for any such pixel. */
#ifndef ONLOOKER_REGIONS_H
#define ONLOOKER_REGIONS_H

#include <stddef.h>

#include "wide.h"

enum { ROW_BLOCK = 64 };

/* Write begin and end (exclusive) of each run of values above `least` to `runs`, which has room for
 * `width` + 1 numbers; return the number of runs. Runs with one pixel between them are one. */
WIDEST static ptrdiff_t row_runs(const float *row, ptrdiff_t width, float least, int *runs) {
    ptrdiff_t count = 0;
    ptrdiff_t end = -2; /* of the last run */
    for (ptrdiff_t at = 0; at < width; at += ROW_BLOCK) {
        ptrdiff_t stop = at + ROW_BLOCK < width ? at + ROW_BLOCK : width;
        if (stop - at == ROW_BLOCK) {
            int any = 0;
            for (int x = 0; x < ROW_BLOCK; x++)
                any |= row[at + x] > least;
            if (!any)
                continue;
        }
        for (ptrdiff_t x = at; x < stop; x++) {
            if (!(row[x] > least))
                continue;
            if (x > end + 1) {
                count++;
                runs[2 * count - 2] = (int)x;
            }
            end = x + 1;
            runs[2 * count - 1] = (int)end;
        }
    }
    return count;
}

/* Return the sum of the values of a row. */
WIDEST static double row_sum(const float *row, ptrdiff_t width) {
    double total = 0;
    ptrdiff_t x = 0;
    for (; x + 8 <= width; x += 8) {
        float part = 0;
        for (int i = 0; i < 8; i++)
            part += row[x + i];
        total += part;
    }
    for (; x < width; x++)
        total += row[x];
    return total;
}

#endif
