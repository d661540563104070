#include "core/privilege.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
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

int privilege_find(const char *setting, const char *user, struct privilege_ids *ret)
{
    int r;

    *ret = (struct privilege_ids){0};
    r = find_user(user, &ret->uid, &ret->gid);

    if (r == -ENOENT) {
        fprintf(stderr,
                "%s: started as root, but the user \"%s\" does not exist. Create it "
                "(useradd --system --no-create-home --shell /usr/sbin/nologin %s) or name another one.\n",
                setting, user, user);
        return r;
    }
    if (r == 0 && ret->uid == 0) {
        fprintf(stderr, "%s: \"%s\" is root itself. Name a user without privileges.\n", setting, user);
        return -EINVAL;
    }
    if (r < 0)
        fprintf(stderr, "%s: \"%s\" can't be looked up: %s\n", setting, user, strerror(-r));
    return r;
}

int privilege_stranger(const char *setting, const char *user, const struct privilege_ids *ids,
                       const struct privilege_ids *others)
{
    if (ids->uid == others->uid)
        fprintf(stderr, "%s: \"%s\" is the user of another part too. Name one of its own.\n", setting, user);
    else if (ids->gid == others->gid)
        fprintf(stderr,
                "%s: \"%s\" is in the group that shares the storage. Give it one of its own "
                "(groupadd --system %s; usermod -g %s %s) or name another user.\n",
                setting, user, user, user, user);
    return ids->uid == others->uid || ids->gid == others->gid ? -EINVAL : 0;
}

int privilege_become(const struct privilege_ids *ids)
{
    pid_t parent = getppid();
    int signal_number = 0;
    int r;

    if (prctl(PR_GET_PDEATHSIG, &signal_number) < 0 || setgroups(0, NULL) < 0 ||
        setresgid(ids->gid, ids->gid, ids->gid) < 0 || setresuid(ids->uid, ids->uid, ids->uid) < 0)
        return -errno;
    r = check_dropped(ids->uid, ids->gid);
    if (r < 0 || signal_number == 0)
        return r;
    if (prctl(PR_SET_PDEATHSIG, signal_number) < 0)
        return -errno;
    return getppid() == parent ? 0 : -ESRCH;
}

static int become(const char *setting, const char *user, const struct privilege_ids *ids)
{
    int r = privilege_become(ids);

    if (r < 0)
        fprintf(stderr, "%s: could not become \"%s\": %s\n", setting, user, strerror(-r));
    return r;
}

static bool is_root(void)
{
    return geteuid() == 0 || getuid() == 0;
}

int privilege_drop(const char *user)
{
    struct privilege_ids ids;
    int r;

    if (!is_root())
        return 0;
    r = privilege_find("DECANT_USER", user, &ids);
    return r < 0 ? r : become("DECANT_USER", user, &ids);
}

int privilege_drop_beside(const char *worker, const char *setting, const char *user)
{
    struct privilege_ids workers, ids;
    int r;

    if (!is_root())
        return 0;
    r = privilege_find("DECANT_USER", worker, &workers);
    if (r < 0)
        return r;
    r = privilege_find(setting, user, &ids);
    if (r < 0)
        return r;
    ids.gid = workers.gid;
    return become(setting, user, &ids);
}

static bool is_among(const int *capabilities, int one)
{
    for (; *capabilities >= 0; capabilities++)
        if (*capabilities == one)
            return true;
    return false;
}

int privilege_keep(const int *capabilities)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct kept[_LINUX_CAPABILITY_U32S_3] = {0};

    /* The kernel says EINVAL beyond the last that it knows. */
    for (int one = 0; one <= 63; one++)
        if (!is_among(capabilities, one) && prctl(PR_CAPBSET_DROP, one, 0, 0, 0) < 0 && errno != EINVAL)
            return -errno;
    for (; *capabilities >= 0; capabilities++) {
        kept[CAP_TO_INDEX(*capabilities)].permitted |= CAP_TO_MASK(*capabilities);
        kept[CAP_TO_INDEX(*capabilities)].effective |= CAP_TO_MASK(*capabilities);
    }
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
        syscall(SYS_capset, &header, kept) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    return 0;
}

/* These calls tell no failure; one that fails leaves us without the right, which is then what is seen. */
void privilege_borrow(const struct privilege_ids *ids)
{
    setfsgid(ids->gid);
    setfsuid(ids->uid);
}

void privilege_return(void)
{
    setfsuid(geteuid());
    setfsgid(getegid());
}

/* The limit alone is not enough: a core_pattern that is a pipe is not bounded by it. And a program that is
 * executed becomes dumpable again, so that each says it for itself, while the limit is inherited. */
int privilege_forbid_core(void)
{
    const struct rlimit none = {0};

    return setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0 ? -errno : 0;
}
