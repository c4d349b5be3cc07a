/* The likeness of a vector to vectors quantised to two bits a number, 32 rows at a time.
 *
 * A number is quantised to one of four levels, a pair of numbers to one of sixteen codes. A table of
 * sixteen bytes has what each code adds to the dot product with a query; one byte shuffle looks it
 * up for 32 rows at once. Byte t of a row holds pairs 2t and 2t + 1; the 32 bytes t of a block of 32
 * rows are adjacent. */
#ifndef ONLOOKER_QUANTIZED_H
#define ONLOOKER_QUANTIZED_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__) && defined(__x86_64__)
#include <immintrin.h>
#define HAS_KERNEL 1
#else
#define HAS_KERNEL 0
#endif

enum { ROWS = 32, PAIR = 16, TOP = 63 }; /* four of TOP fit into a byte */

/* The levels of the Lloyd-Max quantiser of two bits for the normal distribution with mean 0 and
 * deviation 1, and the edge between two of them; the others are 0 and -EDGE. */
static const float LEVELS[4] = {-1.5104f, -0.4528f, 0.4528f, 1.5104f};
static const float EDGE = 0.9816f;

static int code_of(float x) { return (x >= -EDGE) + (x >= 0) + (x >= EDGE); }

static int has_kernel(void) {
#if HAS_KERNEL
    return __builtin_cpu_supports("avx2");
#else
    return 0;
#endif
}

/* Set tables[pair][code], at most TOP each, for a query of 4 * width numbers. The sum of a row's
 * entries grows with its dot product. */
static void tables_of(const float *query, ptrdiff_t width, uint8_t *tables) {
    float widest = 0;
    for (ptrdiff_t pair = 0; pair < 2 * width; pair++) {
        float a = query[2 * pair], b = query[2 * pair + 1];
        float range = 2 * LEVELS[3] * ((a < 0 ? -a : a) + (b < 0 ? -b : b));
        widest = range > widest ? range : widest;
    }
    float step = widest > 0 ? TOP / widest : 0;
    for (ptrdiff_t pair = 0; pair < 2 * width; pair++) {
        float a = query[2 * pair], b = query[2 * pair + 1];
        float least = -LEVELS[3] * ((a < 0 ? -a : a) + (b < 0 ? -b : b));
        for (int code = 0; code < PAIR; code++) {
            float value = a * LEVELS[code & 3] + b * LEVELS[code >> 2];
            tables[PAIR * pair + code] = (uint8_t)((value - least) * step + 0.5f);
        }
    }
}

/* The most alike rows so far. `level` is the value of the last of the `wanted` best rows, or -1; a
 * row must exceed it to be one of them. `found` rows are at or above it, fewer than twice `wanted`;
 * the list holds others too until `squeeze` removes them. */
typedef struct {
    int32_t *rows;
    uint16_t *values;
    uint32_t *counts; /* number of rows with each value */
    ptrdiff_t room, filled, wanted, found;
    int32_t level;
} Best;

static void squeeze(Best *best) {
    ptrdiff_t kept = 0;
    for (ptrdiff_t i = 0; i < best->filled; i++)
        if (best->values[i] >= best->level) {
            best->rows[kept] = best->rows[i];
            best->values[kept++] = best->values[i];
        }
    best->filled = kept;
}

static void take(Best *best, int32_t row, uint16_t value) {
    if (best->filled == best->room)
        squeeze(best);
    best->rows[best->filled] = row;
    best->values[best->filled++] = value;
    best->counts[value]++;
    best->found++;
    if (best->found < best->wanted)
        return;
    if (best->level < 0)
        best->level = 0;
    while (best->found - best->counts[best->level] >= best->wanted)
        best->found -= best->counts[best->level++];
}

/* Prefetch a row that is needed soon. */
static void fetch(const float *row, ptrdiff_t dim) {
#if defined(__GNUC__)
    for (ptrdiff_t i = 0; i < dim; i += 16)
        __builtin_prefetch(row + i);
#endif
}

#if HAS_KERNEL
__attribute__((target("avx2"))) static void
choose(const uint8_t *codes, const uint8_t *live, ptrdiff_t count, ptrdiff_t width,
       const uint8_t *tables, Best *best) {
    const __m256i low = _mm256_set1_epi8(15);
    for (ptrdiff_t start = 0; start < count; start += ROWS, codes += ROWS * width) {
        __m256i even = _mm256_setzero_si256(), odd = even;
        for (ptrdiff_t t = 0; t < width; t += 2) {
            __m256i one = _mm256_loadu_si256((const __m256i *)(codes + ROWS * t));
            __m256i two = _mm256_loadu_si256((const __m256i *)(codes + ROWS * (t + 1)));
            const __m128i *table = (const __m128i *)(tables + 2 * PAIR * t);
#define LOOKED_UP(i, code)                                                                         \
    _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128(table + i)),                   \
                        _mm256_and_si256(code, low))
            __m256i sum = _mm256_add_epi8(
                _mm256_add_epi8(LOOKED_UP(0, one), LOOKED_UP(1, _mm256_srli_epi16(one, 4))),
                _mm256_add_epi8(LOOKED_UP(2, two), LOOKED_UP(3, _mm256_srli_epi16(two, 4))));
#undef LOOKED_UP
            even = _mm256_add_epi16(even, sum); /* plus 256 times the sum of the odd rows */
            odd = _mm256_add_epi16(odd, _mm256_srli_epi16(sum, 8));
        }
        even = _mm256_sub_epi16(even, _mm256_slli_epi16(odd, 8));
        __m256i bar = _mm256_set1_epi16((int16_t)best->level);
        __m256i above = _mm256_or_si256(_mm256_cmpgt_epi16(even, bar), _mm256_cmpgt_epi16(odd, bar));
        if (_mm256_testz_si256(above, above))
            continue;
        uint16_t evens[16], odds[16];
        _mm256_storeu_si256((__m256i *)evens, even);
        _mm256_storeu_si256((__m256i *)odds, odd);
        for (int i = 0; i < ROWS && start + i < count; i++) {
            uint16_t value = i & 1 ? odds[i >> 1] : evens[i >> 1];
            if (value > best->level && live[start + i])
                take(best, (int32_t)(start + i), value);
        }
    }
}
#else
static void choose(const uint8_t *codes, const uint8_t *live, ptrdiff_t count, ptrdiff_t width,
                   const uint8_t *tables, Best *best) {
    (void)codes, (void)live, (void)count, (void)width, (void)tables, (void)best;
}
#endif

#endif
