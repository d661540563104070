#include "cli/convert_output.h"

#include "cli/convert_standard.h"
#include "core/path.h"
#include "core/str.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* The file that a write to `path` would change. */
static int resolve(const char *path, char ret[PATH_MAX], mode_t *mode)
{
    struct stat st;

    if (stat(path, &st) < 0) {
        if (errno != ENOENT)
            return -errno;
        return snprintf(ret, PATH_MAX, "%s", path) < PATH_MAX ? 0 : -ENAMETOOLONG;
    }
    if (!S_ISREG(st.st_mode))
        return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
    *mode = st.st_mode & 0777;
    return realpath(path, ret) ? 0 : -errno;
}

/* Its folder, and its name in there. */
static int split(struct convert_output *o, char *path)
{
    char *slash = strrchr(path, '/');
    const char *folder = !slash ? "." : slash == path ? "/" : path;

    if (snprintf(o->name, sizeof o->name, "%s", str_base_name(path)) >= (int)sizeof o->name)
        return -ENAMETOOLONG;
    if (slash)
        *slash = '\0';
    o->dir = open(*folder ? folder : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return o->dir < 0 ? -errno : 0;
}

static int open_temporary(struct convert_output *o)
{
    o->fd = path_tmpfile(o->dir, 0600);
    if (o->fd != -EOPNOTSUPP)
        return o->fd < 0 ? o->fd : 0;
    o->fd = path_open(o->dir, o->temp, O_RDWR | O_CREAT | O_EXCL, 0600);
    o->named = o->fd >= 0;
    return o->fd < 0 ? o->fd : 0;
}

int convert_output_open(struct convert_output *o, const char *path, mode_t mode)
{
    char resolved[PATH_MAX] = "";
    int r;

    *o = CONVERT_OUTPUT_INIT;
    o->standard = convert_is_standard(path);
    if (o->standard)
        return (o->fd = convert_standard_file()) < 0 ? o->fd : 0;
    o->mode = mode;
    memcpy(o->temp, CONVERT_OUTPUT_TEMP, sizeof CONVERT_OUTPUT_TEMP);
    id_uuid(o->temp + strlen(CONVERT_OUTPUT_TEMP));
    r = resolve(path, resolved, &o->mode);
    if (r == 0)
        r = split(o, resolved);
    return r < 0 ? r : open_temporary(o);
}

int convert_output_commit(struct convert_output *o, bool replace)
{
    int r;

    if (o->standard)
        return replace ? convert_standard_put(o->fd) : -EEXIST;
    r = fchmod(o->fd, o->mode) < 0 || fsync(o->fd) < 0 ? -errno : 0;
    if (r == 0 && !o->named) {
        r = path_link(o->fd, o->dir, o->temp);
        o->named = r == 0;
    }
    if (r == 0 && renameat2(o->dir, o->temp, o->dir, o->name, replace ? 0 : RENAME_NOREPLACE) < 0)
        r = -errno;
    if (r == 0)
        o->named = false;
    return r;
}

void convert_output_close(struct convert_output *o)
{
    if (o->named)
        unlinkat(o->dir, o->temp, 0);
    cleanup_close(&o->fd);
    cleanup_close(&o->dir);
    *o = CONVERT_OUTPUT_INIT;
}

char *convert_output_rename(const char *output, const char *ext)
{
    const char *base = strrchr(output, '/'), *dot = strrchr(base ? base : output, '.');
    char *renamed;

    if (convert_is_standard(output))
        return strdup(output);
    if (asprintf(&renamed, "%.*s.%s", (int)(dot ? dot - output : (ssize_t)strlen(output)), output, ext) < 0)
        return NULL;
    return renamed;
}
