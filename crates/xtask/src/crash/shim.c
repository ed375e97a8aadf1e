// Loaded into the program under test with LD_PRELOAD: writes down what it does to the files below CRASH_DIR, and kills
// it at a chosen call.
//
// CRASH_JOURNAL: a file that gets a record for each call, little-endian: kind (u32), length of the payload (u32), inode
// (u64), two numbers (u64), payload. Whoever replays them knows what was synced, see disk.rs.
// CRASH_POINT: "KIND SUBSTRING COUNT WHEN": at the COUNTth call of a kind on a path that holds the substring the process
// is killed; WHEN is before, after, or torn (half of a write is done).

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CREATE = 1, WRITE, TRUNCATE, SYNC, RENAME, UNLINK, LINK, MKDIR, RMDIR, REPLY };
static const char *const NAMES[] = {"", "create", "write", "truncate", "sync", "rename", "unlink", "link", "mkdir", "rmdir", "reply"};

#define FILES 65536
// Paths of open files below the folder; a number of one that was closed is overwritten when it is used again.
static char *paths[FILES];
static char folder[4096];
static size_t folder_length;
static int journal = -1;
static uint64_t records;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int point_kind;
static char point_text[256], point_when[16];
static long point_left;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void start(void) {
    const char *dir = getenv("CRASH_DIR"), *path = getenv("CRASH_JOURNAL"), *point = getenv("CRASH_POINT");
    if (!dir || !realpath(dir, folder)) return;
    folder_length = strlen(folder);
    if (path) journal = REAL(open)(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    char kind[16];
    if (point && sscanf(point, "%15s %255s %ld %15s", kind, point_text, &point_left, point_when) == 4)
        for (int i = CREATE; i <= REPLY; i++)
            if (!strcmp(kind, NAMES[i])) point_kind = i;
}

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

// Whether the process is to die at this call.
static int hits(int kind, const char *path) {
    if (kind != point_kind || !strstr(path, point_text)) return 0;
    return __atomic_sub_fetch(&point_left, 1, __ATOMIC_RELAXED) == 0;
}

static int is(const char *when) { return !strcmp(point_when, when); }

// The path relative to the folder, or null where it is elsewhere.
static const char *inside(const char *path, char *space) {
    if (!folder_length) return NULL;
    if (path[0] != '/') {
        if (!getcwd(space, 4096)) return NULL;
        size_t used = strlen(space);
        snprintf(space + used, 8192 - used, "/%s", path);
    } else {
        snprintf(space, 8192, "%s", path);
    }
    // The program names its files plainly but for "./".
    char *from = space, *to = space;
    while (*from) {
        if (from[0] == '/' && from[1] == '.' && (from[2] == '/' || !from[2])) from += 2;
        else *to++ = *from++;
    }
    *to = 0;
    if (strncmp(space, folder, folder_length) || (space[folder_length] != '/' && space[folder_length])) return NULL;
    return space[folder_length] ? space + folder_length + 1 : "";
}

static void record(int kind, uint64_t inode, uint64_t a, uint64_t b, const void *bytes, size_t length) {
    if (journal < 0) return;
    struct __attribute__((packed)) { uint32_t kind, length; uint64_t inode, a, b; } head = {kind, length, inode, a, b};
    struct iovec parts[2] = {{&head, sizeof head}, {(void *)bytes, length}};
    if (REAL(writev)(journal, parts, 2) != (ssize_t)(sizeof head + length)) die();
    records++;
}

static uint64_t inode_of(int fd) {
    struct stat about;
    return fstat(fd, &about) ? 0 : about.st_ino;
}

static const char *path_of(int fd) { return fd >= 0 && fd < FILES ? paths[fd] : NULL; }

// The path of a call that may be relative to an open folder.
static const char *inside_at(int at, const char *path, char *space) {
    if (at == AT_FDCWD || path[0] == '/') return inside(path, space);
    const char *base = path_of(at);
    if (!base) return NULL;
    char whole[16384];
    snprintf(whole, sizeof whole, "%s/%s%s%s", folder, base, *base ? "/" : "", path);
    return inside(whole, space);
}

// Names are never freed: another thread may be looking at one.
static void opened(int fd, const char *name) {
    if (fd >= 0 && fd < FILES) paths[fd] = name ? strdup(name) : NULL;
}

static int open_any(int at, const char *path, int flags, mode_t mode) {
    char space[8192];
    const char *name = inside_at(at, path, space);
    int creates = name && (flags & O_CREAT);
    if (creates) {
        int hit = hits(CREATE, name);
        if (hit && !is("after")) die();
        pthread_mutex_lock(&lock);
        struct stat about;
        int there = fstatat(at, path, &about, 0) == 0;
        int fd = REAL(openat)(at, path, flags, mode);
        if (fd >= 0 && !there) record(CREATE, inode_of(fd), 0, 0, name, strlen(name));
        if (fd >= 0 && there && (flags & O_TRUNC)) record(TRUNCATE, inode_of(fd), 0, 0, NULL, 0);
        opened(fd, name);
        pthread_mutex_unlock(&lock);
        if (hit) die();
        return fd;
    }
    pthread_mutex_lock(&lock);
    int fd = REAL(openat)(at, path, flags, mode);
    if (fd >= 0 && name && (flags & O_TRUNC)) record(TRUNCATE, inode_of(fd), 0, 0, NULL, 0);
    opened(fd, name);
    pthread_mutex_unlock(&lock);
    return fd;
}

int close(int fd) {
    if (path_of(fd)) paths[fd] = NULL;
    return REAL(close)(fd);
}

#define MODE                                      \
    mode_t mode = 0;                              \
    if (flags & (O_CREAT | O_TMPFILE)) {          \
        va_list more;                             \
        va_start(more, flags);                    \
        mode = va_arg(more, mode_t);              \
        va_end(more);                             \
    }
int open(const char *path, int flags, ...) { MODE return open_any(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE return open_any(AT_FDCWD, path, flags | O_LARGEFILE, mode); }
int openat(int at, const char *path, int flags, ...) { MODE return open_any(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE return open_any(at, path, flags | O_LARGEFILE, mode); }

static ssize_t write_at(int fd, const void *bytes, size_t length, off64_t at) {
    const char *path = path_of(fd);
    int hit = hits(WRITE, path);
    if (hit && is("before")) die();
    pthread_mutex_lock(&lock);
    size_t part = hit && is("torn") ? length / 2 : length;
    ssize_t done = REAL(pwrite64)(fd, bytes, part, at);
    if (done > 0) record(WRITE, inode_of(fd), at, 0, bytes, done);
    pthread_mutex_unlock(&lock);
    if (hit) die();
    return done;
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) {
    return path_of(fd) ? write_at(fd, bytes, length, at) : REAL(pwrite64)(fd, bytes, length, at);
}
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) { return pwrite64(fd, bytes, length, at); }

ssize_t write(int fd, const void *bytes, size_t length) {
    if (!path_of(fd)) return REAL(write)(fd, bytes, length);
    // Files are written by one thread each, and none is opened for appending while it is written elsewhere.
    int appends = fcntl(fd, F_GETFL) & O_APPEND;
    off64_t at = lseek64(fd, 0, appends ? SEEK_END : SEEK_CUR);
    ssize_t done = write_at(fd, bytes, length, at);
    if (done > 0) lseek64(fd, at + done, SEEK_SET);
    return done;
}

static int is_socket(int fd) {
    struct stat about;
    return !fstat(fd, &about) && S_ISSOCK(about.st_mode);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (path_of(fd)) {
        ssize_t all = 0;
        for (int i = 0; i < count; i++) {
            ssize_t done = write(fd, parts[i].iov_base, parts[i].iov_len);
            if (done < 0) return all ? all : done;
            all += done;
            if ((size_t)done < parts[i].iov_len) break;
        }
        return all;
    }
    int hit = point_kind == REPLY && is_socket(fd) && hits(REPLY, "socket");
    if (hit && !is("after")) die();
    ssize_t done = REAL(writev)(fd, parts, count);
    if (hit) die();
    return done;
}

ssize_t send(int fd, const void *bytes, size_t length, int flags) {
    int hit = hits(REPLY, "socket");
    if (hit && !is("after")) die();
    ssize_t done = REAL(send)(fd, bytes, length, flags);
    if (hit) die();
    return done;
}

int ftruncate64(int fd, off64_t length) {
    const char *path = path_of(fd);
    if (!path) return REAL(ftruncate64)(fd, length);
    int hit = hits(TRUNCATE, path);
    if (hit && !is("after")) die();
    pthread_mutex_lock(&lock);
    int failed = REAL(ftruncate64)(fd, length);
    if (!failed) record(TRUNCATE, inode_of(fd), length, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    if (hit) die();
    return failed;
}
int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

// What was written before the call is durable after it.
static int sync_any(int fd, int (*real)(int)) {
    const char *path = path_of(fd);
    if (!path) return real(fd);
    int hit = hits(SYNC, path);
    if (hit && !is("after")) die();
    pthread_mutex_lock(&lock);
    uint64_t before = records;
    pthread_mutex_unlock(&lock);
    int failed = real(fd);
    if (!failed) {
        pthread_mutex_lock(&lock);
        record(SYNC, inode_of(fd), before, 0, path, strlen(path));
        pthread_mutex_unlock(&lock);
    }
    if (hit) die();
    return failed;
}
int fsync(int fd) { return sync_any(fd, REAL(fsync)); }
int fdatasync(int fd) { return sync_any(fd, REAL(fdatasync)); }

// A call that changes a name: `from` stands in the record before a zero byte and `to`.
#define NAMED(kind, call, from_at, from, to_at, to)                                            \
    char space[8192], other[8192];                                                             \
    const char *name = inside_at(from_at, from, space), *new_name = inside_at(to_at, to, other); \
    if (!name || !new_name) return call;                                                       \
    int hit = hits(kind, new_name);                                                            \
    if (hit && !is("after")) die();                                                            \
    pthread_mutex_lock(&lock);                                                                 \
    int failed = call;                                                                         \
    if (!failed) {                                                                             \
        char both[16384];                                                                      \
        int length = snprintf(both, sizeof both, "%s", name);                                  \
        length += 1 + snprintf(both + length + 1, 8192, "%s", new_name);                       \
        record(kind, 0, 0, 0, both, length);                                                   \
    }                                                                                          \
    pthread_mutex_unlock(&lock);                                                               \
    if (hit) die();                                                                            \
    return failed;

int rename(const char *from, const char *to) { NAMED(RENAME, REAL(rename)(from, to), AT_FDCWD, from, AT_FDCWD, to) }
int link(const char *from, const char *to) { NAMED(LINK, REAL(link)(from, to), AT_FDCWD, from, AT_FDCWD, to) }
int linkat(int at, const char *from, int to_at, const char *to, int flags) {
    NAMED(LINK, REAL(linkat)(at, from, to_at, to, flags), at, from, to_at, to)
}
int unlink(const char *path) { NAMED(UNLINK, REAL(unlink)(path), AT_FDCWD, path, AT_FDCWD, path) }
int mkdir(const char *path, mode_t mode) { NAMED(MKDIR, REAL(mkdir)(path, mode), AT_FDCWD, path, AT_FDCWD, path) }
int rmdir(const char *path) { NAMED(RMDIR, REAL(rmdir)(path), AT_FDCWD, path, AT_FDCWD, path) }
int unlinkat(int at, const char *path, int flags) {
    NAMED((flags & AT_REMOVEDIR) ? RMDIR : UNLINK, REAL(unlinkat)(at, path, flags), at, path, at, path)
}
