/* Preloaded into a worker: ends, by SIGILL or SIGTRAP, any copy of it that uses the worker's allocator or one of its locks.
 *
 * A process made by fork(3) is not meant: its C library has been told. A raw clone, as a dump child is, has not. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void __libc_free(void *);

static volatile long owner;
static int (*real_lock)(pthread_mutex_t *);

static void note_owner(void) { owner = syscall(SYS_getpid); }

static void check(void) {
    if (owner && owner != syscall(SYS_getpid)) __builtin_trap();
}

__attribute__((constructor)) static void start(void) {
    real_lock = dlsym(RTLD_NEXT, "pthread_mutex_lock");
    note_owner();
    pthread_atfork(NULL, NULL, note_owner);
}

void *malloc(size_t size) {
    check();
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    check();
    return __libc_calloc(count, size);
}

void *realloc(void *block, size_t size) {
    check();
    return __libc_realloc(block, size);
}

void free(void *block) {
    check();
    __libc_free(block);
}

int pthread_mutex_lock(pthread_mutex_t *mutex) {
    check();
    if (!real_lock) real_lock = dlsym(RTLD_NEXT, "pthread_mutex_lock");
    return real_lock(mutex);
}
