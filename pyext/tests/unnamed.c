/* Preloaded into a worker: kills whoever is about to give a dump its name. Its sidecar has its own by then. */
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void look(const char *name) {
    size_t length = strlen(name);
    if (length > 5 && !strcmp(name + length - 5, ".dump")) syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
}

int linkat(int from, const char *old, int to, const char *new, int flags) {
    look(new);
    return syscall(SYS_linkat, from, old, to, new, flags);
}

int renameat2(int from, const char *old, int to, const char *new, unsigned flags) {
    look(new);
    return syscall(SYS_renameat2, from, old, to, new, flags);
}

int renameat(int from, const char *old, int to, const char *new) { return renameat2(from, old, to, new, 0); }
