/* Moves the wall clock of a process by SHIFT_CLOCK_S seconds; time that passes is left alone. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *time) {
    int failed = syscall(SYS_clock_gettime, clock, time);
    const char *shift = getenv("SHIFT_CLOCK_S");
    if (!failed && clock == CLOCK_REALTIME && shift) {
        time->tv_sec += atol(shift);
    }
    return failed;
}
