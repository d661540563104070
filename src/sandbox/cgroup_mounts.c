/* A mount shows a hierarchy from some cgroup on (its root), and /proc/self/cgroup names ours from the top of
 * the hierarchy, or of our cgroup namespace. What is below the root is below the mount. A mount whose root is
 * not above us doesn't show us; in a container without a namespace of cgroups that is the host's. */
#include "sandbox/cgroup_mounts.h"

#include "core/str.h"

#include <errno.h>

enum { MEMBERSHIPS_MAX = 32, LINE_MAX_ = 4096 };

static const char *const v1_names[CGROUP_V1_HIERARCHIES] = {
    [CGROUP_V1_MEMORY] = "memory", [CGROUP_V1_PIDS] = "pids", [CGROUP_V1_CPU] = "cpu"};

struct membership {
    char controllers[256]; /* "cpu,cpuacct"; "" on v2 */
    char path[PATH_MAX];
};

static bool list_has(const char *list, const char *word)
{
    size_t len = strlen(word);

    for (const char *p = list; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
        if (strncmp(p, word, len) == 0 && (p[len] == ',' || p[len] == '\0'))
            return true;
    return false;
}

/* "4:memory:/some/path" */
static bool parse_membership(char *line, struct membership *ret)
{
    char *controllers = strchr(line, ':'), *path = controllers ? strchr(controllers + 1, ':') : NULL;

    if (!path)
        return false;
    *path++ = '\0';
    path[strcspn(path, "\n")] = '\0';
    return snprintf(ret->controllers, sizeof ret->controllers, "%s", controllers + 1) <
               (int)sizeof ret->controllers &&
           snprintf(ret->path, sizeof ret->path, "%s", path) < (int)sizeof ret->path;
}

/* Puts the folder of `path` together; false when the mount doesn't show it. */
static bool place_below(const char *mount, const char *root, const char *path, char ret[PATH_MAX])
{
    size_t len = str_eq(root, "/") ? 0 : strlen(root);

    if (strncmp(path, root, len) != 0 || (path[len] && path[len] != '/') || strstr(path, "/.."))
        return false;
    path += len;
    return snprintf(ret, PATH_MAX, "%s%s", mount, str_eq(path, "/") ? "" : path) < PATH_MAX;
}

static const struct membership *find_membership(const struct membership *all, size_t n,
                                                const char *controller)
{
    for (size_t i = 0; i < n; i++)
        if (*controller ? list_has(all[i].controllers, controller) : !*all[i].controllers)
            return &all[i];
    return NULL;
}

static void take_mount(const char *root, const char *mount, const char *type, const char *options,
                       const struct membership *all, size_t n, struct cgroup_mounts *ret)
{
    const struct membership *m;

    if (str_eq(type, "cgroup2")) {
        m = find_membership(all, n, "");
        if (m && !*ret->v2 && place_below(mount, root, m->path, ret->v2))
            snprintf(ret->v2_mount, sizeof ret->v2_mount, "%s", mount);
        return;
    }
    for (size_t i = 0; i < CGROUP_V1_HIERARCHIES; i++) {
        m = list_has(options, v1_names[i]) ? find_membership(all, n, v1_names[i]) : NULL;
        if (m && !*ret->v1[i] && !place_below(mount, root, m->path, ret->v1[i]))
            ret->v1[i][0] = '\0';
    }
}

/* "36 35 98:0 /root /mount options [tags] - type source options"; blanks in paths are written as \040, and
 * such a mount is passed over. */
static void parse_mount(const char *line, const struct membership *all, size_t n, struct cgroup_mounts *ret)
{
    char root[PATH_MAX], mount[PATH_MAX], type[32], options[512];
    const char *rest = strstr(line, " - ");

    if (rest && sscanf(line, "%*d %*d %*s %4095s %4095s", root, mount) == 2 &&
        sscanf(rest, " - %31s %*s %511s", type, options) == 2 && str_starts(type, "cgroup") &&
        !strchr(mount, '\\'))
        take_mount(root, mount, type, options, all, n, ret);
}

int cgroup_mounts_parse(FILE *mountinfo, FILE *cgroup, struct cgroup_mounts *ret)
{
    _cleanup_free_ struct membership *all = calloc(MEMBERSHIPS_MAX, sizeof *all);
    char line[2 * LINE_MAX_];
    size_t n = 0;

    memset(ret, 0, sizeof *ret);
    if (!all)
        return -ENOMEM;
    while (n < MEMBERSHIPS_MAX && fgets(line, sizeof line, cgroup))
        n += parse_membership(line, &all[n]);
    while (fgets(line, sizeof line, mountinfo))
        parse_mount(line, all, n, ret);
    return 0;
}

int cgroup_mounts_find(struct cgroup_mounts *ret)
{
    _cleanup_fclose_ FILE *mountinfo = fopen("/proc/self/mountinfo", "re");
    _cleanup_fclose_ FILE *cgroup = fopen("/proc/self/cgroup", "re");

    return mountinfo && cgroup ? cgroup_mounts_parse(mountinfo, cgroup, ret) : -errno;
}
