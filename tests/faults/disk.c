// A disk that is full while a file exists: writes that would make a file longer fail with ENOSPC,
// those within it succeed, as on a real one. Standard streams are left alone.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static int is_full(int file, off_t end) {
    const char *flag = getenv("DRIFTD_TEST_DISK");
    struct stat now;
    if (file <= 2 || !flag || access(flag, F_OK) != 0) return 0;
    return fstat(file, &now) == 0 && S_ISREG(now.st_mode) && end > now.st_size;
}

static ssize_t refuse(void) {
    errno = ENOSPC;
    return -1;
}

static off_t length(const struct iovec *parts, int count) {
    off_t sum = 0;
    for (int i = 0; i < count; i++) sum += (off_t)parts[i].iov_len;
    return sum;
}

ssize_t write(int file, const void *bytes, size_t count) {
    static ssize_t (*next)(int, const void *, size_t);
    if (!next) next = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    if (file > 2 && is_full(file, lseek(file, 0, SEEK_CUR) + (off_t)count)) return refuse();
    return next(file, bytes, count);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off_t at) {
    static ssize_t (*next)(int, const void *, size_t, off_t);
    if (!next) next = (ssize_t(*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite64");
    return is_full(file, at + (off_t)count) ? refuse() : next(file, bytes, count, at);
}

ssize_t pwritev64(int file, const struct iovec *parts, int count, off_t at) {
    static ssize_t (*next)(int, const struct iovec *, int, off_t);
    if (!next) next = (ssize_t(*)(int, const struct iovec *, int, off_t))dlsym(RTLD_NEXT, "pwritev64");
    return is_full(file, at + length(parts, count)) ? refuse() : next(file, parts, count, at);
}

int posix_fallocate64(int file, off_t at, off_t count) {
    static int (*next)(int, off_t, off_t);
    if (!next) next = (int (*)(int, off_t, off_t))dlsym(RTLD_NEXT, "posix_fallocate64");
    return is_full(file, at + count) ? ENOSPC : next(file, at, count);
}

// Where off_t has 64 bits already, callers use the plain names.
ssize_t pwrite(int file, const void *bytes, size_t count, off_t at) { return pwrite64(file, bytes, count, at); }
ssize_t pwritev(int file, const struct iovec *parts, int count, off_t at) {
    return pwritev64(file, parts, count, at);
}
int posix_fallocate(int file, off_t at, off_t count) { return posix_fallocate64(file, at, count); }
