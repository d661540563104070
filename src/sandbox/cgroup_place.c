/* Where the cgroups of jobs may be made.
 *
 * v1: below our own cgroup in the hierarchies of memory, pids and, if there is one, cpu. Root gives the new
 * cgroup to the user that it becomes; limits on the cgroup itself stay root's.
 *
 * v2: a cgroup hands its controllers to others only when no process is in it. So the place has two storeys:
 * ours, which we move to, and beside it those of the jobs.
 *
 *     HOME                 where we were; distributes memory and pids once it is empty
 *     └ decant-PID         the place; owned by the engines' user
 *       ├ self             this program and what it starts
 *       └ PID.N            the jobs
 *
 * When others are in HOME (a shell in its session), it is made below the nearest cgroup above that
 * distributes these controllers already, if all limits of what is left behind are none. Whoever may not write
 * there has no place. That is what systemd's Delegate=yes gives, and a container whose cgroups are writable.
 *
 * The name has our pid and the folder our lock: a place whose maker was killed is known by that, and cleared
 * by the next maker. */
#include "sandbox/cgroup.h"
#include "sandbox/cgroup_files.h"
#include "sandbox/cgroup_mounts.h"

#include "core/privilege.h"
#include "core/str.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>

#define PREFIX "decant-"

enum { FOLDERS_MAX = 3, NAME_SIZE = 32, WEIGHT_V1 = 1024, WEIGHT_V2 = 100, WEIGHT_V2_MAX = 10000 };

/* A folder of ours, and the one above it. */
struct made {
    int parent, dir;
};

struct cgroup_place {
    char folders[FOLDERS_MAX * PATH_MAX];
    char name[NAME_SIZE];
    struct made made[FOLDERS_MAX]; /* none: it is somebody else's */
    size_t n_made;
    /* v2 */
    int home;         /* where we were; -1 on v1 */
    bool distributes; /* it does since we asked it to */
    uid_t uid;
    gid_t gid;
};

static const char needed[] = "+memory +pids", nice_to_have[] = "+cpu";

static const char nowhere[] =
    "No cgroup may be made here. Start decant serve as root, or in a cgroup of your own: systemd-run --user "
    "--scope -p Delegate=yes decant serve; Delegate=yes in a systemd unit; in Docker a writable "
    "/sys/fs/cgroup.";

static int open_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

static int append_folder(struct cgroup_place *p, const char *parent)
{
    size_t used = strlen(p->folders), size = sizeof p->folders - used;
    int n = snprintf(p->folders + used, size, "%s%s/%s", used ? ":" : "", parent, p->name);

    return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

static int give_away(const struct cgroup_place *p, int dir, const char *file)
{
    return fchownat(dir, file, p->uid, p->gid, 0) < 0 ? -errno : 0;
}

/* Makes decant-PID below `path`, after having cleared what others left there. */
static int make_folder(struct cgroup_place *p, const char *path)
{
    _cleanup_close_ int parent = open_folder(path), dir = -1;
    int r;

    if (parent < 0)
        return parent;
    cgroup_clear_stale(parent, PREFIX);
    dir = cgroup_make(parent, p->name);
    if (dir < 0)
        return dir;
    r = cgroup_lock(dir);
    if (r == 0 && p->home < 0)
        r = give_away(p, dir, ".");
    if (r == 0)
        r = append_folder(p, path);
    if (r < 0) {
        cgroup_remove(parent, p->name);
        return r;
    }
    p->made[p->n_made++] = (struct made){.parent = TAKE_FD(parent), .dir = TAKE_FD(dir)};
    return 0;
}

static void remove_children(int dir)
{
    int again = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_closedir_ DIR *list = again < 0 ? NULL : fdopendir(again);

    if (!list && again >= 0)
        close(again);
    /* Never our own storey: there are we. */
    for (struct dirent *e; list && (e = readdir(list));)
        if (e->d_type == DT_DIR && e->d_name[0] != '.' && !str_eq(e->d_name, CGROUP_SELF))
            cgroup_remove(dir, e->d_name);
}

/* The whole write is refused where one of them isn't there. */
static void stop_distributing(int dir)
{
    if (cgroup_write(dir, "cgroup.subtree_control", "-memory -pids -cpu") < 0)
        (void)!cgroup_write(dir, "cgroup.subtree_control", "-memory -pids");
}

/* A hierarchy's topmost cgroup lets its owner write only by a capability, or by changing its mode. */
static void remove_from(int parent, const char *name)
{
    struct stat st;

    if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno != EACCES || fstat(parent, &st) < 0 ||
        fchmod(parent, (st.st_mode & 07777) | S_IWUSR) < 0)
        return;
    unlinkat(parent, name, AT_REMOVEDIR);
    (void)!fchmod(parent, st.st_mode & 07777);
}

static void leave_own_storey(struct cgroup_place *p, const struct made *m)
{
    if (p->distributes)
        stop_distributing(p->home);
    if (cgroup_enter(p->home) < 0)
        return;
    cgroup_begin_as_owner(m->dir);
    unlinkat(m->dir, CGROUP_SELF, AT_REMOVEDIR);
    cgroup_end_as_owner();
}

static void unmake_folder(struct cgroup_place *p)
{
    struct made *m = &p->made[--p->n_made];

    cgroup_begin_as_owner(m->dir);
    remove_children(m->dir);
    /* A cgroup that distributes takes no process, and it stops only when nobody is left to receive. */
    if (p->home >= 0)
        stop_distributing(m->dir);
    cgroup_end_as_owner();
    if (p->home >= 0)
        leave_own_storey(p, m);
    remove_from(m->parent, p->name);
    close(m->dir);
    close(m->parent);
    p->folders[0] = '\0';
}

/* --- v1 */

/* As one they would have the weight of one thread; with it they have that of as many as can run. */
static void weigh_v1(int dir)
{
    (void)!cgroup_write_u64(dir, "cpu.shares", (uint64_t)get_nprocs() * WEIGHT_V1);
}

static int make_v1(struct cgroup_place *p, const struct cgroup_mounts *mounts)
{
    for (size_t i = 0; i < CGROUP_V1_HIERARCHIES; i++) {
        const char *path = mounts->v1[i];
        bool again = false;
        int r;

        for (size_t k = 0; k < i; k++) /* one hierarchy may have several controllers */
            again = again || str_eq(mounts->v1[k], path);
        if (!*path || again)
            continue;
        r = make_folder(p, path);
        if (r < 0 && i != CGROUP_V1_CPU)
            return r;
        if (r == 0 && i == CGROUP_V1_CPU)
            weigh_v1(p->made[p->n_made - 1].dir);
    }
    return 0;
}

/* --- v2 */

static bool distributes(int dir, const char *file)
{
    char text[256];

    return cgroup_read(dir, file, text, sizeof text) == 0 && words_have(text, "memory") &&
           words_have(text, "pids");
}

/* Who may write to the first three may move processes and distribute controllers, below it. The folder goes
 * when all is in it: it is closed to root then, unless root has CAP_DAC_OVERRIDE, and a unit shouldn't need
 * that. */
static int give_away_place(const struct cgroup_place *p, int dir)
{
    static const char *const files[] = {"cgroup.procs", "cgroup.threads", "cgroup.subtree_control", "."};
    int r = 0;

    for (size_t i = 0; i < ARRAY_SIZE(files) && (r == 0 || r == -ENOENT); i++)
        r = give_away(p, dir, files[i]);
    return r;
}

static int furnish(struct cgroup_place *p, int above, bool is_home)
{
    _cleanup_close_ int self = cgroup_make(p->made[0].dir, CGROUP_SELF);
    uint64_t weight = (uint64_t)get_nprocs() * WEIGHT_V2;
    int r = self < 0 ? self : cgroup_enter(self);

    if (r == 0 && !distributes(above, "cgroup.subtree_control")) {
        r = is_home ? cgroup_write(above, "cgroup.subtree_control", needed) : -ENOTSUP;
        if (r == 0)
            p->distributes = true;
        if (r == 0)
            (void)!cgroup_write(above, "cgroup.subtree_control", nice_to_have);
    }
    if (r == 0)
        r = cgroup_write(p->made[0].dir, "cgroup.subtree_control", needed);
    if (r < 0)
        return r;
    /* The servers must not wait for their own jobs. */
    if (cgroup_write(p->made[0].dir, "cgroup.subtree_control", nice_to_have) == 0)
        (void)!cgroup_write_u64(self, "cpu.weight", weight < WEIGHT_V2_MAX ? weight : WEIGHT_V2_MAX);
    return give_away_place(p, p->made[0].dir);
}

static int make_v2_below(struct cgroup_place *p, const char *path, bool is_home)
{
    _cleanup_close_ int above = open_folder(path);
    int r = above < 0 ? above : 0;

    if (r == 0 && !distributes(above, is_home ? "cgroup.controllers" : "cgroup.subtree_control"))
        r = -ENOTSUP;
    if (r == 0)
        r = make_folder(p, path);
    if (r < 0)
        return r;
    r = furnish(p, above, is_home);
    if (r < 0)
        unmake_folder(p);
    return r;
}

/* Moving out of it would be a way around what somebody decided. */
static bool is_limited(const char *path)
{
    static const char *const files[] = {"memory.max", "memory.high", "cpu.max"};
    _cleanup_close_ int dir = open_folder(path);
    char text[64];

    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        if (cgroup_read(dir, files[i], text, sizeof text) == 0 && !str_starts(text, "max"))
            return true;
    return false;
}

static int make_v2(struct cgroup_place *p, const struct cgroup_mounts *mounts)
{
    char path[PATH_MAX];
    int r;

    p->home = open_folder(mounts->v2);
    if (p->home < 0)
        return p->home;
    snprintf(path, sizeof path, "%s", mounts->v2);
    r = make_v2_below(p, path, true);
    while (r < 0 && strlen(path) > strlen(mounts->v2_mount) && !is_limited(path)) {
        *strrchr(path, '/') = '\0';
        r = make_v2_below(p, path, false);
    }
    return r;
}

/* --- both */

static int make_own(struct cgroup_place *p)
{
    struct cgroup_mounts mounts;
    int r = cgroup_mounts_find(&mounts);

    if (r < 0)
        return r;
    snprintf(p->name, sizeof p->name, PREFIX "%d", (int)getpid());
    if (*mounts.v1[CGROUP_V1_MEMORY] && *mounts.v1[CGROUP_V1_PIDS])
        return make_v1(p, &mounts);
    return *mounts.v2 ? make_v2(p, &mounts) : -ENOTSUP;
}

static int fill(struct cgroup_place *p, const char *setting, const char *user, const char **ret_why)
{
    int n, r;

    *ret_why = "DECANT_CGROUP is off.";
    if (str_eq(setting, "off"))
        return -ECANCELED;
    *ret_why = "DECANT_CGROUP is too long.";
    if (!str_eq(setting, "auto")) {
        n = snprintf(p->folders, sizeof p->folders, "%s", setting);
        return n < 0 || (size_t)n >= sizeof p->folders ? -ENAMETOOLONG : 0;
    }
    *ret_why = "There is no user to give a cgroup to.";
    r = p->uid == 0 ? privilege_lookup(user, &p->uid, &p->gid) : 0;
    if (r < 0)
        return r;
    *ret_why = nowhere;
    return make_own(p);
}

int cgroup_place_make(const char *setting, const char *user, struct cgroup_place **ret, const char **ret_why)
{
    struct cgroup_place *p = calloc(1, sizeof *p);
    int r;

    *ret_why = "There is no memory.";
    if (!p)
        return -ENOMEM;
    p->home = -1;
    p->uid = geteuid();
    p->gid = getegid();
    r = fill(p, setting, user, ret_why);
    if (r < 0) {
        cgroup_place_free(p);
        return r;
    }
    *ret_why = NULL;
    *ret = p;
    return 0;
}

const char *cgroup_place_folders(const struct cgroup_place *p)
{
    return p ? p->folders : "off";
}

static void clear_foreign(const struct cgroup_place *p)
{
    _cleanup_free_ char *text = strdup(p->folders);
    char *rest = text, *path;

    while (rest && (path = strsep(&rest, ":"))) {
        _cleanup_close_ int dir = open_folder(path);

        if (dir < 0)
            continue;
        cgroup_clear_stale(dir, "");
    }
}

void cgroup_place_free(struct cgroup_place *p)
{
    if (!p)
        return;
    if (p->n_made == 0 && p->folders[0])
        clear_foreign(p);
    while (p->n_made > 0)
        unmake_folder(p);
    cleanup_close(&p->home);
    free(p);
}
