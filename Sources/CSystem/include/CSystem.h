#pragma once
// Doors to C interfaces that Swift cannot import: macros, variadic functions, signal handlers, and functions outside the
// Glibc module.

// setfsuid: lets a test that runs as root read files as somebody else, on one thread.
#include <sys/fsuid.h>

// mallopt, malloc_trim: how much freed memory the C library keeps.
#include <malloc.h>

// eventfd: wakes a thread that waits for a descriptor.
#include <sys/eventfd.h>

// wcwidth: lets a test compare what is taken for the width of a character with the C library's table. <wchar.h> declares
// it for programs only that ask for X/Open.
#include <wchar.h>
extern int wcwidth(wchar_t character);

// sem_clockwait: waits until a time on a clock that nobody sets. <semaphore.h> declares it for GNU programs only.
#include <semaphore.h>
#include <time.h>
extern int sem_clockwait(sem_t *semaphore, clockid_t clock, const struct timespec *end);

// The size of the terminal behind a descriptor in characters; -1 where there is none (ioctl is variadic).
int csystem_terminal_size(int descriptor, int *columns, int *rows);

// From now on each of these signals writes its number as one byte into a pipe. The pipe's reading end, or -1 with errno;
// EBUSY where signals are watched already. With second_ends the second of them ends the process at once, with 128 + its
// number.
int csystem_watch_signals(const int *signals, int count, int second_ends);

// 1 where a path is on a file system that other hosts or the host of a container write to without this kernel seeing it,
// as far as its type tells; 0 where it is not, or nothing is there (statfs is outside the Glibc module).
int csystem_is_shared(const char *path);

// Stops the process as Ctrl-Z does where nobody watches SIGTSTP, until SIGCONT. Without a shell that could let it go on,
// the kernel leaves that out (setpgid(2), orphaned process groups).
void csystem_suspend(void);

// Takes the code of the program and of its libraries out of memory; what still runs is read from its file again.
void csystem_release_code(void);

// The commit that the program was built from; "unknown" where scripts/build did not say.
const char *csystem_source_revision(void);
