/* WIDEST before a function lets the compiler use wider registers in it than the portable baseline
 * has (haswell: AVX2 with fused multiply-add), and selects the version when the module is loaded. */
#ifndef ONLOOKER_WIDE_H
#define ONLOOKER_WIDE_H

#include <string.h> /* for __GLIBC__: the choice at load time needs its loader */

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__GLIBC__)
#define WIDEST __attribute__((target_clones("avx512f", "arch=haswell", "default")))
#else
#define WIDEST
#endif

#endif
