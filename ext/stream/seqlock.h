/* A sequence lock over one 64-bit generation: odd while the slot is being written, even when it is
   complete. One writer and any number of readers, in any processes that map the same memory.
   After H.-J. Boehm, "Can seqlocks get along with programming language memory models?", MSPC 2012. */
#ifndef ONLOOKER_SEQLOCK_H
#define ONLOOKER_SEQLOCK_H

#include <stdatomic.h>
#include <stdint.h>

typedef _Atomic uint64_t generation_t;

/* Mark the slot as being written. A writer that was killed leaves an odd generation: it is skipped
   too, so that no reader mistakes the new bytes for the old. */
static inline uint64_t generation_open(generation_t *generation)
{
    uint64_t odd = (atomic_load_explicit(generation, memory_order_relaxed) + 1) | 1;
    atomic_store_explicit(generation, odd, memory_order_relaxed);
    atomic_thread_fence(memory_order_release); /* the mark is visible before any byte */
    return odd;
}

/* Mark the slot as complete, once every byte is visible. */
static inline void generation_close(generation_t *generation, uint64_t odd)
{
    atomic_store_explicit(generation, odd + 1, memory_order_release);
}

/* Call before the first byte is read. */
static inline uint64_t generation_before(generation_t *generation)
{
    return atomic_load_explicit(generation, memory_order_acquire);
}

/* Call after the last byte was read. */
static inline uint64_t generation_after(generation_t *generation)
{
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(generation, memory_order_relaxed);
}

#endif
