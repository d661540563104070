#include "core/privilege.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static int find_user(const char *user, uid_t *ret_uid, gid_t *ret_gid)
{
    errno = 0;
    /* Single-threaded at this point of every program, so the static buffer is ours. */
    const struct passwd *pw = getpwnam(user); // NOLINT(concurrency-mt-unsafe)

    if (!pw)
        return errno && errno != ENOENT && errno != ESRCH ? -errno : -ENOENT;
    *ret_uid = pw->pw_uid;
    *ret_gid = pw->pw_gid;
    return 0;
}

int privilege_lookup(const char *user, uid_t *ret_uid, gid_t *ret_gid)
{
    int r = find_user(user, ret_uid, ret_gid);

    return r == -ENOENT ? find_user("nobody", ret_uid, ret_gid) : r;
}

/* 0 when nothing of root is left to come back to. */
static int check_dropped(uid_t uid, gid_t gid)
{
    uid_t ruid = 0, euid = 0, suid = 0;
    gid_t rgid = 0, egid = 0, sgid = 0;

    if (getresuid(&ruid, &euid, &suid) < 0 || getresgid(&rgid, &egid, &sgid) < 0)
        return -errno;
    if (ruid != uid || euid != uid || suid != uid || rgid != gid || egid != gid || sgid != gid)
        return -EPERM;
    return setuid(0) == 0 ? -EPERM : 0;
}

int privilege_drop(const char *user)
{
    uid_t uid = 0;
    gid_t gid = 0;
    int r;

    if (geteuid() != 0 && getuid() != 0)
        return 0;
    r = find_user(user, &uid, &gid);
    if (r == -ENOENT) {
        fprintf(stderr,
                "DECANT_USER: started as root, but the user \"%s\" does not exist. Create it "
                "(useradd --system --no-create-home --shell /usr/sbin/nologin %s) or name another one.\n",
                user, user);
        return r;
    }
    if (r == 0 && uid == 0) {
        fprintf(stderr, "DECANT_USER: \"%s\" is root itself. Name a user without privileges.\n", user);
        return -EINVAL;
    }
    if (r == 0 && (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0))
        r = -errno;
    if (r == 0)
        r = check_dropped(uid, gid);
    if (r < 0)
        fprintf(stderr, "DECANT_USER: could not become \"%s\": %s\n", user, strerror(-r));
    return r;
}

/* The limit alone is not enough: a core_pattern that is a pipe is not bounded by it. And a program that is
 * executed becomes dumpable again, so that each says it for itself, while the limit is inherited. */
int privilege_forbid_core(void)
{
    const struct rlimit none = {0};

    return setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0 ? -errno : 0;
}
