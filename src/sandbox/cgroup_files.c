#include "sandbox/cgroup_files.h"

#include "core/privilege.h"
#include "core/str.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>

enum { REMOVAL_TRIES = 200, REMOVAL_WAIT_US = 5000, MEMBERS_MAX = 4096 };

int cgroup_write(int dir, const char *file, const char *text)
{
    _cleanup_close_ int fd = openat(dir, file, O_WRONLY | O_CLOEXEC);

    return fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

int cgroup_write_u64(int dir, const char *file, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    return cgroup_write(dir, file, text);
}

int cgroup_read(int dir, const char *file, char *ret, size_t size)
{
    _cleanup_close_ int fd = openat(dir, file, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, ret, size - 1);

    ret[n > 0 ? n : 0] = '\0';
    if (n < 0)
        return -errno;
    if (n > 0 && ret[n - 1] == '\n')
        ret[n - 1] = '\0';
    return 0;
}

bool cgroup_has(int dir, const char *file)
{
    return faccessat(dir, file, F_OK, 0) == 0;
}

int cgroup_enter(int dir)
{
    return cgroup_write(dir, "cgroup.procs", "0");
}

int cgroup_make(int parent, const char *name)
{
    _cleanup_close_ int fd = -1;

    if (mkdirat(parent, name, 0755) < 0)
        return -errno;
    fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 || fchmod(fd, 0755) < 0 ? -errno : TAKE_FD(fd);
}

int cgroup_lock(int dir)
{
    return flock(dir, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
}

void cgroup_begin_as_owner(int dir)
{
    struct stat st;

    if (geteuid() == 0 && fstat(dir, &st) == 0)
        privilege_borrow(&(struct privilege_ids){st.st_uid, st.st_gid});
}

void cgroup_end_as_owner(void)
{
    if (geteuid() == 0)
        privilege_return();
}

/* Members of other pid namespaces show as 0; they are descendants of one that we can name. */
static bool kill_one_by_one(int dir)
{
    char text[MEMBERS_MAX], *rest = text;
    bool found = false;

    if (cgroup_read(dir, "cgroup.procs", text, sizeof text) < 0)
        return false;
    while (*rest) {
        long pid = strtol(rest, &rest, 10);

        found = true;
        if (pid > 1)
            kill((pid_t)pid, SIGKILL);
        while (*rest == '\n')
            rest++;
    }
    return found;
}

/* cgroup.kill (v2 of Linux 5.14) leaves no member out that is born meanwhile. */
bool cgroup_kill(int dir)
{
    bool found = kill_one_by_one(dir);

    if (found && cgroup_write(dir, "cgroup.kill", "1") < 0)
        kill_one_by_one(dir);
    return found;
}

static int remove_when_empty(int parent, const char *name, bool kill_members)
{
    _cleanup_close_ int dir = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (dir < 0)
        return errno == ENOENT ? 0 : -errno;
    for (int i = 0; i < REMOVAL_TRIES; i++) {
        if (kill_members)
            cgroup_kill(dir);
        if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
            return 0;
        if (errno != EBUSY)
            return -errno;
        usleep(REMOVAL_WAIT_US);
    }
    return -EBUSY;
}

int cgroup_remove(int parent, const char *name)
{
    return remove_when_empty(parent, name, true);
}

/* A dead process has its pid until its parent asks for it, which may be never. */
static bool is_gone(pid_t pid)
{
    _cleanup_fclose_ FILE *f = NULL;
    char path[32], state = 'Z';

    if (kill(pid, 0) < 0 && errno == ESRCH)
        return true;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    f = fopen(path, "re");
    return f && fscanf(f, "%*d (%*[^)]) %c", &state) == 1 && (state == 'Z' || state == 'X');
}

static bool is_stale(int parent, const char *name, const char *prefix)
{
    _cleanup_close_ int dir = -1;
    char *end;
    long pid;

    if (!str_starts(name, prefix))
        return false;
    pid = strtol(name + strlen(prefix), &end, 10);
    if (pid <= 1 || (*end && *end != '.') || !is_gone((pid_t)pid))
        return false;
    dir = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return dir >= 0 && cgroup_lock(dir) == 0;
}

static void remove_with_children(int parent, const char *name)
{
    int dir = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    _cleanup_closedir_ DIR *list = dir < 0 ? NULL : fdopendir(dir);

    if (!list && dir >= 0)
        close(dir);
    if (list)
        cgroup_begin_as_owner(dir);
    for (struct dirent *e; list && (e = readdir(list));)
        if (e->d_type == DT_DIR && e->d_name[0] != '.')
            remove_when_empty(dir, e->d_name, !str_eq(e->d_name, CGROUP_SELF));
    cgroup_begin_as_owner(parent);
    unlinkat(parent, name, AT_REMOVEDIR);
    cgroup_end_as_owner();
}

void cgroup_clear_stale(int parent, const char *prefix)
{
    int dir = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_closedir_ DIR *list = dir < 0 ? NULL : fdopendir(dir);

    if (!list && dir >= 0)
        close(dir);
    for (struct dirent *e; list && (e = readdir(list));)
        if (e->d_type == DT_DIR && is_stale(parent, e->d_name, prefix))
            remove_with_children(parent, e->d_name);
}
