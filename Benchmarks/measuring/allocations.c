/* Preloaded into a program: counts what it allocates, and lets its time pass faster.

     ALLOCATIONS_FILE  where the counters are kept: allocations, frees, bytes in use, as three 64-bit numbers
     TIME_LAPSE        how many seconds the program sees pass in one; 1 where it is not set

   Only the monotonic clocks run faster, and the timers that are set by them; the wall clock is left alone. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t), *__libc_memalign(size_t, size_t);
void __libc_free(void *);

struct counters {
  _Atomic int64_t allocations, frees, bytes;
};
static struct counters early, *counters = &early;
static int64_t lapse = 1, start[16];

static void *counted(void *block) {
  if (block) {
    atomic_fetch_add_explicit(&counters->allocations, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&counters->bytes, (int64_t)malloc_usable_size(block), memory_order_relaxed);
  }
  return block;
}

static void uncounted(void *block) {
  if (block) {
    atomic_fetch_add_explicit(&counters->frees, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&counters->bytes, (int64_t)malloc_usable_size(block), memory_order_relaxed);
  }
}

void *malloc(size_t size) { return counted(__libc_malloc(size)); }
void *calloc(size_t count, size_t size) { return counted(__libc_calloc(count, size)); }
void *memalign(size_t alignment, size_t size) { return counted(__libc_memalign(alignment, size)); }
void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }
int posix_memalign(void **result, size_t alignment, size_t size) { return (*result = memalign(alignment, size)) ? 0 : ENOMEM; }

void *realloc(void *block, size_t size) {
  size_t before = block ? malloc_usable_size(block) : 0;
  void *moved = __libc_realloc(block, size);
  if (moved || size == 0) {
    if (block) {
      atomic_fetch_add_explicit(&counters->frees, 1, memory_order_relaxed);
      atomic_fetch_sub_explicit(&counters->bytes, (int64_t)before, memory_order_relaxed);
    }
    counted(moved);
  }
  return moved;
}

void free(void *block) {
  uncounted(block);
  __libc_free(block);
}

static int64_t nanoseconds(const struct timespec *time) { return time->tv_sec * 1000000000LL + time->tv_nsec; }
static struct timespec timespec(int64_t nanoseconds) {
  return (struct timespec){nanoseconds / 1000000000, nanoseconds % 1000000000};
}
static int64_t now(clockid_t clock) {
  struct timespec time;
  syscall(SYS_clock_gettime, clock, &time);
  return nanoseconds(&time);
}
static int is_monotonic(clockid_t clock) {
  return clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_RAW || clock == CLOCK_BOOTTIME || clock == CLOCK_MONOTONIC_COARSE;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
  if (syscall(SYS_clock_gettime, clock, time)) return -1;
  if (is_monotonic(clock) && lapse > 1) *time = timespec(start[clock] + (nanoseconds(time) - start[clock]) * lapse);
  return 0;
}

static _Atomic int clocks[4096];

int timerfd_create(int clock, int flags) {
  int timer = (int)syscall(SYS_timerfd_create, clock, flags);
  if (timer >= 0 && timer < 4096) clocks[timer] = clock;
  return timer;
}

int timerfd_settime(int timer, int flags, const struct itimerspec *value, struct itimerspec *old) {
  struct itimerspec real = *value;
  clockid_t clock = timer >= 0 && timer < 4096 ? clocks[timer] : CLOCK_REALTIME;
  if (lapse > 1 && is_monotonic(clock)) {
    int64_t time = nanoseconds(&value->it_value);
    if (time && flags & TFD_TIMER_ABSTIME && time > start[clock])
      real.it_value = timespec(start[clock] + (time - start[clock]) / lapse);
    else if (time && !(flags & TFD_TIMER_ABSTIME))
      real.it_value = timespec(time / lapse > 0 ? time / lapse : 1);
    real.it_interval = timespec(nanoseconds(&value->it_interval) / lapse);
  }
  return (int)syscall(SYS_timerfd_settime, timer, flags, &real, old);
}

static int (*real_sem_clockwait)(sem_t *, clockid_t, const struct timespec *);

int sem_clockwait(sem_t *semaphore, clockid_t clock, const struct timespec *end) {
  struct timespec real = *end;
  if (lapse > 1 && is_monotonic(clock) && nanoseconds(end) > start[clock])
    real = timespec(start[clock] + (nanoseconds(end) - start[clock]) / lapse);
  return real_sem_clockwait(semaphore, clock, &real);
}

__attribute__((constructor)) static void begin(void) {
  real_sem_clockwait = dlsym(RTLD_NEXT, "sem_clockwait");
  const char *path = getenv("ALLOCATIONS_FILE"), *factor = getenv("TIME_LAPSE");
  for (clockid_t clock = 0; clock < 16; clock++)
    if (is_monotonic(clock)) start[clock] = now(clock);
  if (factor) lapse = atoll(factor);
  if (!path) return;
  int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0 || ftruncate(file, sizeof(struct counters))) return;
  void *shared = mmap(NULL, sizeof(struct counters), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (shared == MAP_FAILED) return;
  struct counters *kept = shared;
  kept->allocations = early.allocations;
  kept->frees = early.frees;
  kept->bytes = early.bytes;
  counters = kept;
}
