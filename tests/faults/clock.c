// Shows a process another wall clock than the machine's: every reading is shifted by the seconds in
// a file, which may change at any time. Monotonic clocks are left alone, as when a clock is set.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *shift;

__attribute__((constructor)) static void map_shift(void) {
    const char *path = getenv("DRIFTD_TEST_CLOCK");
    int file = path ? open(path, O_RDONLY) : -1;
    if (file < 0) return;
    void *page = mmap(NULL, sizeof *shift, PROT_READ, MAP_SHARED, file, 0);
    if (page != MAP_FAILED) shift = page;
    close(file);
}

static int64_t seconds(void) { return shift ? *shift : 0; }

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = (int)syscall(SYS_clock_gettime, clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += seconds();
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    (void)zone;
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}

// Deadlines that were computed from the shifted clock go to the kernel, which has the real one.
// glibc's C11 call does not come by the POSIX one.
static struct timespec real_deadline(const struct timespec *deadline) {
    struct timespec real = *deadline;
    real.tv_sec -= seconds();
    return real;
}

int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict deadline) {
    typedef int (*wait_fn)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
    static wait_fn next;
    if (!next) next = (wait_fn)dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    if (!next) next = (wait_fn)dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    struct timespec real = real_deadline(deadline);
    return next(cond, mutex, &real);
}

int cnd_timedwait(cnd_t *restrict cond, mtx_t *restrict mutex, const struct timespec *restrict deadline) {
    typedef int (*wait_fn)(cnd_t *, mtx_t *, const struct timespec *);
    static wait_fn next;
    if (!next) next = (wait_fn)dlsym(RTLD_NEXT, "cnd_timedwait");
    struct timespec real = real_deadline(deadline);
    return next(cond, mutex, &real);
}
