"""Blocks of an image that nothing near them in the image before is like.

Signatures and units are in pipeline/onlooker/media/novelty.pyi.
"""

from libc.math cimport sqrt
from libc.stdlib cimport abs as distance


def new_blocks(
    const unsigned char[:, ::1] image,
    const unsigned char[:, ::1] before,
    int side,
    int reach,
    double noise,
    double share,
    int max_found,
):
    """Return the number of new blocks; counting stops at `max_found`."""
    cdef int height = <int>image.shape[0], width = <int>image.shape[1]
    cdef int x, y, row, column, right = 0, down = 0, found = 0, bound
    if before.shape[0] != height or before.shape[1] != width:
        raise ValueError(
            f"the images must have one size, not {width} x {height} and "
            f"{before.shape[1]} x {before.shape[0]}"
        )
    if side < 1 or reach < 0:
        raise ValueError(f"a block cannot have the side {side} and the reach {reach}")
    with nogil:
        for row in range((height - 2 * reach) // side):
            y = reach + row * side
            for column in range((width - 2 * reach) // side):
                x = reach + column * side
                bound = limit(image, x, y, side, noise, share)
                # Most blocks are where they were, or have moved as the one before them has.
                if like(image, before, x, y, side, right, down, bound):
                    continue
                if not search(image, before, x, y, side, reach, bound, &right, &down):
                    found += 1
                    if found >= max_found:
                        break
            if found >= max_found:
                break
    return found


cdef int limit(
    const unsigned char[:, ::1] image, int x, int y, int side, double noise, double share
) noexcept nogil:
    """Return the sum of differences up to which another block is like this one."""
    cdef int row, column, value
    cdef long total = 0, squares = 0
    cdef double size = side * side
    for row in range(y, y + side):
        for column in range(x, x + side):
            value = image[row, column]
            total += value
            squares += value * value
    cdef double variance = (squares - total * (total / size)) / size
    return <int>(max(noise, share * sqrt(max(0.0, variance))) * size)


cdef bint like(
    const unsigned char[:, ::1] image,
    const unsigned char[:, ::1] before,
    int x,
    int y,
    int side,
    int right,
    int down,
    int bound,
) noexcept nogil:
    """Return whether the block is like the one that far to the right and down in `before`."""
    cdef int row, column, total = 0
    cdef const unsigned char *here
    cdef const unsigned char *there
    for row in range(side):
        here = &image[y + row, x]
        there = &before[y + row + down, x + right]
        for column in range(side):
            total += distance(<int>here[column] - <int>there[column])
        if total > bound:
            return False
    return True


cdef bint search(
    const unsigned char[:, ::1] image,
    const unsigned char[:, ::1] before,
    int x,
    int y,
    int side,
    int reach,
    int bound,
    int *right,
    int *down,
) noexcept nogil:
    """Return whether any block within reach is like this one; the nearest rings come first."""
    cdef int ring, across, along
    for ring in range(reach + 1):
        for along in range(-ring, ring + 1):
            for across in range(-ring, ring + 1):
                if max(distance(along), distance(across)) < ring:
                    continue
                if like(image, before, x, y, side, across, along, bound):
                    right[0] = across
                    down[0] = along
                    return True
    return False
