/*
 * Makes a machine misbehave for one process, by LD_PRELOAD, as a file says at the moment: the file of
 * MISBEHAVE_CONTROL has two numbers of 8 bytes, and whoever writes them is heard at once.
 *
 *   clock_shift_ms   how far the wall clock is from what it should be; time that passes is left alone
 *   sync_delay_ms    how long fsync and fdatasync take besides
 *
 * Everything goes to the system by its number, so that nothing here calls what is replaced.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct control {
    volatile long long clock_shift_ms;
    volatile long long sync_delay_ms;
};

static const struct control *control;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("MISBEHAVE_CONTROL");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *memory = mmap(NULL, sizeof(struct control), PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (memory != MAP_FAILED)
        control = memory;
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    int failed = (int)syscall(SYS_clock_gettime, clock, time);
    if (!failed && clock == CLOCK_REALTIME && control) {
        long long shift_ms = control->clock_shift_ms;
        long long ns = time->tv_nsec + shift_ms % 1000 * 1000000;
        time->tv_sec += shift_ms / 1000 + (ns >= 1000000000) - (ns < 0);
        time->tv_nsec = (ns + 1000000000) % 1000000000;
    }
    return failed;
}

static int sync_file(long number, int fd)
{
    long long delay_ms = control ? control->sync_delay_ms : 0;
    if (delay_ms > 0) {
        struct timespec delay = {delay_ms / 1000, delay_ms % 1000 * 1000000};
        syscall(SYS_nanosleep, &delay, NULL);
    }
    return (int)syscall(number, fd);
}

int fsync(int fd)
{
    return sync_file(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    return sync_file(SYS_fdatasync, fd);
}
