#define _GNU_SOURCE
#include "CSystem.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

int csystem_terminal_size(int descriptor, int *columns, int *rows) {
  struct winsize size;
  if (ioctl(descriptor, TIOCGWINSZ, &size) != 0) return -1;
  *columns = size.ws_col;
  *rows = size.ws_row;
  return 0;
}

void csystem_release_code(void) {
  FILE *mappings = fopen("/proc/self/smaps", "re");
  if (!mappings) return;
  char line[8192];
  unsigned long begin = 0, end = 0;
  while (fgets(line, sizeof line, mappings)) {
    unsigned long first, last, inode, anonymous;
    char rights[5];
    if (sscanf(line, "%lx-%lx %4s %*s %*s %lu", &first, &last, rights, &inode) == 4) {
      begin = strcmp(rights, "r-xp") == 0 && inode != 0 ? first : 0;
      end = last;
    } else if (begin && sscanf(line, "Anonymous: %lu kB", &anonymous) == 1) {
      // What a debugger or a tracer has put into the code is not in its file.
      if (anonymous == 0) madvise((void *)begin, end - begin, MADV_DONTNEED);
      begin = 0;
    }
  }
  fclose(mappings);
}

static int signal_pipe[2] = {-1, -1};
static volatile sig_atomic_t may_end = 0;
static volatile sig_atomic_t was_asked = 0;

// write() and _exit() are all it calls, and they are async-signal-safe (signal-safety(7)).
static void pass_on(int number) {
  // The default action would not do: the kernel keeps it from process 1 of a container.
  if (may_end && was_asked) _exit(128 + number);
  was_asked = 1;
  int saved = errno;
  unsigned char byte = (unsigned char)number;
  while (write(signal_pipe[1], &byte, 1) < 0 && errno == EINTR) {
  }
  errno = saved;
}

int csystem_watch_signals(const int *signals, int count, int second_ends) {
  if (signal_pipe[0] >= 0) {
    errno = EBUSY;
    return -1;
  }
  if (pipe2(signal_pipe, O_CLOEXEC) != 0) return -1;
  may_end = second_ends;
  // A full pipe must not block whichever thread the signal interrupts.
  fcntl(signal_pipe[1], F_SETFL, O_NONBLOCK);
  struct sigaction action = {.sa_handler = pass_on, .sa_flags = SA_RESTART};
  sigemptyset(&action.sa_mask);
  for (int index = 0; index < count; index++) {
    if (sigaction(signals[index], &action, 0) != 0) return -1;
  }
  return signal_pipe[0];
}

int csystem_is_shared(const char *path) {
  struct statfs status;
  if (statfs(path, &status) != 0) return 0;
  // statfs(2) and linux/magic.h.
  switch ((unsigned)status.f_type) {
    case 0x6969:      // NFS
    case 0x517b:      // SMB
    case 0xff534d42:  // CIFS
    case 0xfe534d42:  // SMB2
    case 0x65735546:  // FUSE, virtiofs
    case 0x01021997:  // 9P
    case 0x00c36400:  // Ceph
    case 0x5346414f:  // AFS
    case 0x73757245:  // Coda
    case 0x0bd00bd0:  // Lustre
    case 0x01161970:  // GFS2
    case 0x7461636f:  // OCFS2
      return 1;
    default:
      return 0;
  }
}

void csystem_suspend(void) {
  struct sigaction standard = {.sa_handler = SIG_DFL}, watched;
  sigset_t stop, blocked;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTSTP);
  sigaction(SIGTSTP, &standard, &watched);
  // The threads of a pool block every signal, and one that is blocked stops nobody.
  pthread_sigmask(SIG_UNBLOCK, &stop, &blocked);
  raise(SIGTSTP);
  pthread_sigmask(SIG_SETMASK, &blocked, 0);
  sigaction(SIGTSTP, &watched, 0);
}

// scripts/build writes it; it is not committed.
#if __has_include("Revision.h")
#include "Revision.h"
#else
#define OUTBOX_EXPORTER_REVISION "unknown"
#endif

const char *csystem_source_revision(void) {
  return OUTBOX_EXPORTER_REVISION;
}
