/* Makes calls to the file system fail at random: loaded before the C library (LD_PRELOAD) by tests/faults/main.rs.
 *
 * Only what lies below MONETA_FAULT_FOLDER is concerned. MONETA_FAULT_CONTROL names a file of two 32-bit numbers that the test writes
 * to while the program runs: the error that calls answer (EIO, ENOSPC, EACCES; 0 for none), and of how many calls one fails. The third
 * one counts the calls that failed. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define MOST 65536
static _Atomic unsigned char ours[MOST];
static _Atomic uint64_t turn;
static volatile uint32_t *control;
static const char *folder;
static size_t folder_length;

#define REAL(type, name, ...) \
  static type (*real)(__VA_ARGS__); \
  if (!real) real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("MONETA_FAULT_CONTROL");
  const char *below = getenv("MONETA_FAULT_FOLDER");
  if (!path || !below) return;
  int file = open(path, O_RDWR | O_CLOEXEC);
  if (file < 0) abort();
  void *mapped = mmap(0, 12, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (mapped == MAP_FAILED) abort();
  close(file);
  folder = strdup(below);
  folder_length = strlen(folder);
  turn = (uint64_t)getpid() << 32;
  control = mapped;
}

/* The error of this call, or 0: a number that nobody can tell in advance (splitmix64 over a counter) decides. */
static int fails(void) {
  if (!control || !control[0] || !control[1]) return 0;
  uint64_t random = atomic_fetch_add(&turn, 1) * 0x9e3779b97f4a7c15u;
  random = (random ^ (random >> 30)) * 0xbf58476d1ce4e5b9u;
  random = (random ^ (random >> 27)) * 0x94d049bb133111ebu;
  random ^= random >> 31;
  if (random % control[1]) return 0;
  __atomic_fetch_add(&control[2], 1, __ATOMIC_RELAXED);
  return (int)control[0];
}

static int is_ours(const char *path) { return folder && path && !strncmp(path, folder, folder_length); }
static int has(int file) { return file >= 0 && file < MOST && ours[file]; }

static int note(const char *path, int file) {
  if (file >= 0 && file < MOST) ours[file] = is_ours(path);
  return file;
}

/* A disk that is full still opens what is there; one that fails or forbids does not. */
static int may_open(const char *path, int flags) {
  if (!is_ours(path) || (flags & O_DIRECTORY)) return 1;
  int error = control ? (int)control[0] : 0;
  if (error == ENOSPC && !(flags & O_CREAT)) return 1;
  if (error == EIO) return 1;
  error = fails();
  if (error) errno = error;
  return !error;
}

#define OPEN(name) \
  int name(const char *path, int flags, ...) { \
    REAL(int, name, const char *, int, ...); \
    mode_t mode = 0; \
    if (flags & (O_CREAT | O_TMPFILE)) { \
      va_list rest; \
      va_start(rest, flags); \
      mode = va_arg(rest, mode_t); \
      va_end(rest); \
    } \
    if (!may_open(path, flags)) return -1; \
    return note(path, real(path, flags, mode)); \
  }
OPEN(open)
OPEN(open64)

#define OPEN_AT(name) \
  int name(int at, const char *path, int flags, ...) { \
    REAL(int, name, int, const char *, int, ...); \
    mode_t mode = 0; \
    if (flags & (O_CREAT | O_TMPFILE)) { \
      va_list rest; \
      va_start(rest, flags); \
      mode = va_arg(rest, mode_t); \
      va_end(rest); \
    } \
    if (!may_open(path, flags)) return -1; \
    return note(path, real(at, path, flags, mode)); \
  }
OPEN_AT(openat)
OPEN_AT(openat64)

int close(int file) {
  REAL(int, close, int);
  if (file >= 0 && file < MOST) ours[file] = 0;
  return real(file);
}

/* What is written when the call fails: of a disk that fills up, the half that still has room. */
static int writes(int file, size_t *count) {
  int error = has(file) ? fails() : 0;
  if (error == EACCES) return 1; /* rights are asked for when a file is opened */
  if (error == ENOSPC && *count > 1 && (atomic_load(&turn) & 1)) {
    *count /= 2;
    return 1;
  }
  if (error) errno = error;
  return !error;
}

ssize_t write(int file, const void *bytes, size_t count) {
  REAL(ssize_t, write, int, const void *, size_t);
  return writes(file, &count) ? real(file, bytes, count) : -1;
}

#define WRITE_AT(name, offset_type) \
  ssize_t name(int file, const void *bytes, size_t count, offset_type offset) { \
    REAL(ssize_t, name, int, const void *, size_t, offset_type); \
    return writes(file, &count) ? real(file, bytes, count, offset) : -1; \
  }
WRITE_AT(pwrite, off_t)
WRITE_AT(pwrite64, off64_t)

/* Reads fail of a disk that fails, and for nothing else. */
static int reads(int file) {
  if (!has(file) || !control || control[0] != EIO) return 1;
  int error = fails();
  if (error) errno = error;
  return !error;
}

ssize_t read(int file, void *bytes, size_t count) {
  REAL(ssize_t, read, int, void *, size_t);
  return reads(file) ? real(file, bytes, count) : -1;
}

#define READ_AT(name, offset_type) \
  ssize_t name(int file, void *bytes, size_t count, offset_type offset) { \
    REAL(ssize_t, name, int, void *, size_t, offset_type); \
    return reads(file) ? real(file, bytes, count, offset) : -1; \
  }
READ_AT(pread, off_t)
READ_AT(pread64, off64_t)

static int lasts(int file) {
  int error = has(file) ? fails() : 0;
  if (error == EACCES) return 1;
  if (error) errno = error;
  return !error;
}

int fsync(int file) {
  REAL(int, fsync, int);
  return lasts(file) ? real(file) : -1;
}

int fdatasync(int file) {
  REAL(int, fdatasync, int);
  return lasts(file) ? real(file) : -1;
}

int ftruncate(int file, off_t size) {
  REAL(int, ftruncate, int, off_t);
  return lasts(file) ? real(file, size) : -1;
}

int ftruncate64(int file, off64_t size) {
  REAL(int, ftruncate64, int, off64_t);
  return lasts(file) ? real(file, size) : -1;
}

static int names(const char *path) {
  int error = is_ours(path) ? fails() : 0;
  if (error) errno = error;
  return !error;
}

int rename(const char *from, const char *to) {
  REAL(int, rename, const char *, const char *);
  return names(to) ? real(from, to) : -1;
}

int link(const char *from, const char *to) {
  REAL(int, link, const char *, const char *);
  return names(to) ? real(from, to) : -1;
}

int linkat(int from_at, const char *from, int to_at, const char *to, int flags) {
  REAL(int, linkat, int, const char *, int, const char *, int);
  return names(to) ? real(from_at, from, to_at, to, flags) : -1;
}

int mkdir(const char *path, mode_t mode) {
  REAL(int, mkdir, const char *, mode_t);
  return names(path) ? real(path, mode) : -1;
}
