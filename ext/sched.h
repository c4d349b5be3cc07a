/* The length of a thread's turns on a core, as Linux 6.12 and later let it be asked for. */
#ifndef ONLOOKER_SCHED_H
#define ONLOOKER_SCHED_H

#if defined(__linux__)
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The C library has no name for this call; the fields are those of sched_setattr(2). */
static int set_slice(uint64_t nanoseconds) {
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } wanted = {.size = sizeof wanted, .runtime = nanoseconds};
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } now;
    if (syscall(SYS_sched_getattr, 0, &now, sizeof now, 0) != 0) return -1;
    wanted.policy = now.policy;
    wanted.nice = now.nice;
    return (int)syscall(SYS_sched_setattr, 0, &wanted, 0);
}
#else
static int set_slice(unsigned long long nanoseconds) {
    (void)nanoseconds;
    return -1;
}
#endif

#endif
