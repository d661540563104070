/* From a storage that is one user's to one that a group shares, in place.
 *
 * Whoever owns everything does it: its folders and files are its own to open, so that no root is needed,
 * which would have to be careful with what it finds in a tree that others write to. The root gets its bit
 * last: who is interrupted begins again, and who finds it is done. Work folders may hold what an engine left;
 * they are opened so that they can be emptied, and nothing in them is touched. */
#include "files/storage_impl.h"

#include "core/path.h"
#include "core/str.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { ROOT, SESSION, JOB, FOLDER, FILE_, LEVELS };

static const mode_t modes[LEVELS] = {[ROOT] = STORAGE_SHARED,
                                     [SESSION] = STORAGE_SHARED,
                                     [JOB] = S_ISGID | STORAGE_BELOW,
                                     [FOLDER] = S_ISGID | STORAGE_BELOW,
                                     [FILE_] = STORAGE_FILE_MODE};

static int give_mode(int fd, mode_t mode)
{
    struct stat st;

    if (fstat(fd, &st) < 0 || (st.st_gid != getegid() && fchown(fd, (uid_t)-1, getegid()) < 0))
        return -errno;
    return (st.st_mode & 07777) != mode && fchmod(fd, mode) < 0 ? -errno : 0;
}

static bool is_kept(const char *name, int level)
{
    return level > SESSION || id_is_token(name) || str_eq(name, INCOMING);
}

/* Above the files every level has folders alone. Whatever else is there is none of ours. */
static int open_entry(int dir, const char *name, int level)
{
    int kind = level == FILE_ ? O_NONBLOCK : O_DIRECTORY;
    struct stat st;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (st.st_uid != geteuid() || (level == FILE_ ? !S_ISREG(st.st_mode) : !S_ISDIR(st.st_mode)))
        return -ENOENT;
    return path_open(dir, name, O_RDONLY | kind, 0);
}

static int share_below(int folder, int level);

static int share_entry(int folder, const char *name, int level)
{
    _cleanup_close_ int fd = open_entry(folder, name, level);
    bool goes_on = level < FILE_ && !(level == FOLDER && str_starts(name, WORK_PREFIX));
    int r;

    if (fd < 0)
        return fd == -ENOENT ? 0 : fd;
    r = goes_on ? share_below(fd, level + 1) : 0;
    return r < 0 ? r : give_mode(fd, modes[level]);
}

/* As deep as there are levels, whatever is in the tree. */
static int share_below(int folder, int level)
{
    _cleanup_closedir_ DIR *dir = NULL;
    int r = path_open_dir(folder, ".", &dir);

    for (struct dirent *e; r == 0 && (e = readdir(dir));)
        if (!str_eq(e->d_name, ".") && !str_eq(e->d_name, "..") && is_kept(e->d_name, level))
            r = share_entry(folder, e->d_name, level);
    return r;
}

int storage_share(const char *root)
{
    _cleanup_close_ int fd = -1;
    struct stat st;
    int r;

    if (mkdir(root, STORAGE_PRIVATE) < 0 && errno != EEXIST)
        return -errno;
    fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (st.st_mode & S_ISGID && st.st_gid == getegid())
        return 0;
    if (st.st_uid != geteuid())
        return -EPERM;
    r = share_below(fd, SESSION);
    return r < 0 ? r : give_mode(fd, modes[ROOT]);
}
