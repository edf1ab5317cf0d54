/*
 * Stands between a process and the system, by LD_PRELOAD, and notes what reaches files and sockets.
 *
 * WATCH_IO_FOLDER  writes to files below it, and their syncs, are noted
 * WATCH_IO_LOG     the log, one line an event, appended
 * WATCH_IO_SWALLOW if set, syncs do nothing, succeed, and are not noted: what a broken service would do
 *
 * Lines, times in nanoseconds of the monotonic clock:
 *   write BEGAN ENDED MARKER PATH       a whole marker ("PROBE" and 8 digits) was in the bytes written
 *   sync BEGAN ENDED PATH               fsync or fdatasync that succeeded
 *   answer BEGAN ENDED PORT             bytes that begin with "HTTP/1.1 2" went to this port of a client
 *
 * Everything goes to the system by its number, so that nothing here calls what is replaced.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define MARKER_PREFIX "PROBE"
#define MARKER_BYTES 13
#define ANSWER_PREFIX "HTTP/1.1 2"
#define PATH_BYTES 1024

static const char *folder;
static size_t folder_bytes;
static int log_fd = -1;
static int swallows;

__attribute__((constructor)) static void begin(void)
{
    const char *log = getenv("WATCH_IO_LOG");
    folder = getenv("WATCH_IO_FOLDER");
    folder_bytes = folder ? strlen(folder) : 0;
    swallows = getenv("WATCH_IO_SWALLOW") != NULL;
    if (log)
        log_fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

static long long now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (long long)t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* One write a line: lines of several threads do not mix. */
static void note(const char *line, int bytes)
{
    int before = errno;
    if (log_fd >= 0 && bytes > 0)
        syscall(SYS_write, log_fd, line, (size_t)bytes);
    errno = before;
}

/* The file's path if it is below the folder. */
static int path_of(int fd, char *path)
{
    char link[64];
    long length;
    if (!folder)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_BYTES - 1);
    if (length <= 0)
        return 0;
    path[length] = 0;
    return strncmp(path, folder, folder_bytes) == 0;
}

static void note_markers(const char *path, const char *bytes, size_t count, long long began, long long ended)
{
    const char *at = bytes;
    const char *end = bytes + count;
    char line[PATH_BYTES + 128];
    while ((at = memmem(at, (size_t)(end - at), MARKER_PREFIX, strlen(MARKER_PREFIX))) != NULL) {
        if (end - at >= MARKER_BYTES)
            note(line, snprintf(line, sizeof line, "write %lld %lld %.*s %s\n", began, ended, MARKER_BYTES,
                                at, path));
        at++;
    }
}

/* After `result` bytes of the parts went to fd. */
static void note_output(int fd, const struct iovec *parts, int part_count, long result, long long began)
{
    int before = errno;
    long long ended = now();
    char path[PATH_BYTES];
    size_t prefix = strlen(ANSWER_PREFIX);
    if (result <= 0)
        goto done;
    if (part_count > 0 && parts[0].iov_len >= prefix && memcmp(parts[0].iov_base, ANSWER_PREFIX, prefix) == 0) {
        struct sockaddr_storage peer;
        socklen_t length = sizeof peer;
        char line[128];
        if (syscall(SYS_getpeername, fd, &peer, &length) == 0 && peer.ss_family == AF_INET) {
            int port = ntohs(((struct sockaddr_in *)&peer)->sin_port);
            note(line, snprintf(line, sizeof line, "answer %lld %lld %d\n", began, ended, port));
        }
    } else if (path_of(fd, path)) {
        long left = result;
        for (int i = 0; i < part_count && left > 0; i++) {
            size_t count = (long)parts[i].iov_len < left ? parts[i].iov_len : (size_t)left;
            note_markers(path, parts[i].iov_base, count, began, ended);
            left -= (long)count;
        }
    }
done:
    errno = before;
}

ssize_t write(int fd, const void *bytes, size_t count)
{
    struct iovec part = {(void *)bytes, count};
    long long began = now();
    long result = syscall(SYS_write, fd, bytes, count);
    note_output(fd, &part, 1, result, began);
    return result;
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset)
{
    struct iovec part = {(void *)bytes, count};
    long long began = now();
    long result = syscall(SYS_pwrite64, fd, bytes, count, offset);
    note_output(fd, &part, 1, result, began);
    return result;
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset)
{
    return pwrite64(fd, bytes, count, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int part_count)
{
    long long began = now();
    long result = syscall(SYS_writev, fd, parts, part_count);
    note_output(fd, parts, part_count, result, began);
    return result;
}

ssize_t sendto(int fd, const void *bytes, size_t count, int flags, const struct sockaddr *to, socklen_t to_bytes)
{
    struct iovec part = {(void *)bytes, count};
    long long began = now();
    long result = syscall(SYS_sendto, fd, bytes, count, flags, to, to_bytes);
    note_output(fd, &part, 1, result, began);
    return result;
}

ssize_t send(int fd, const void *bytes, size_t count, int flags)
{
    return sendto(fd, bytes, count, flags, NULL, 0);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    long long began = now();
    long result = syscall(SYS_sendmsg, fd, message, flags);
    note_output(fd, message->msg_iov, (int)message->msg_iovlen, result, began);
    return result;
}

static int sync_file(long number, int fd)
{
    char path[PATH_BYTES];
    char line[PATH_BYTES + 128];
    long long began = now();
    long result;
    if (swallows)
        return 0;
    result = syscall(number, fd);
    if (result == 0 && path_of(fd, path))
        note(line, snprintf(line, sizeof line, "sync %lld %lld %s\n", began, now(), path));
    return (int)result;
}

int fsync(int fd)
{
    return sync_file(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    return sync_file(SYS_fdatasync, fd);
}
