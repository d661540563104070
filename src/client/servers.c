#include "client/servers.h"

#include "core/id.h"
#include "core/path.h"
#include "core/str.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>

enum { VERSION = 1, FILE_BYTES_MAX = 1 << 20 };

#define FILE_NAME "servers.json"

/* --- where */

static char *folder_path(void)
{
    const char *config = getenv("XDG_CONFIG_HOME"); // NOLINT(concurrency-mt-unsafe): nobody sets it
    const char *home = getenv("HOME");              // NOLINT(concurrency-mt-unsafe)
    char *path = NULL;
    int n = -1;

    if (config && *config == '/') /* a relative one is to be ignored, says the specification */
        n = asprintf(&path, "%s/decant", config);
    else if (home && *home)
        n = asprintf(&path, "%s/.config/decant", home);
    return n < 0 ? NULL : path;
}

char *servers_path(void)
{
    _cleanup_free_ char *folder = folder_path();
    char *path;

    return folder && asprintf(&path, "%s/" FILE_NAME, folder) >= 0 ? path : NULL;
}

/* All of it that is missing; what we make is for its owner alone. */
static int open_folder(bool make)
{
    _cleanup_free_ char *folder = folder_path();
    int fd;

    if (!folder)
        return -ENOENT;
    for (char *slash = strchr(folder + 1, '/'); make && slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(folder, 0700);
        *slash = '/';
    }
    if (make && mkdir(folder, 0700) < 0 && errno != EEXIST)
        return -errno;
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int servers_lock(void)
{
    _cleanup_close_ int folder = open_folder(true);
    _cleanup_close_ int fd = -1;

    if (folder < 0)
        return folder;
    fd = openat(folder, FILE_NAME ".lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    while (flock(fd, LOCK_EX) < 0)
        if (errno != EINTR)
            return -errno;
    return TAKE_FD(fd);
}

/* --- reading and writing */

static int parse(const char *text, size_t len, json_t **ret)
{
    _cleanup_json_ json_t *servers = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);

    if (json_integer_value(json_object_get(servers, "version")) != VERSION ||
        !json_is_object(json_object_get(servers, "servers")))
        return -EINVAL;
    *ret = TAKE_PTR(servers);
    return 0;
}

static int load_nothing(json_t **ret)
{
    *ret = json_pack("{s:i, s:n, s:{}}", "version", VERSION, "default", "servers");
    return *ret ? 0 : -ENOMEM;
}

int servers_load(json_t **ret)
{
    _cleanup_close_ int folder = open_folder(false);
    _cleanup_secret_ char *text = NULL;
    struct stat st;
    size_t len;
    int r;

    if (folder == -ENOENT || (folder >= 0 && fstatat(folder, FILE_NAME, &st, 0) < 0 && errno == ENOENT))
        return load_nothing(ret);
    if (folder < 0)
        return folder;
    if (st.st_mode & 077)
        return -EPERM;
    r = path_read_file(folder, FILE_NAME, FILE_BYTES_MAX, &text, &len);
    return r < 0 ? r : parse(text, len, ret);
}

static int write_file(int fd, const json_t *servers)
{
    if (json_dumpfd(servers, fd, JSON_INDENT(2)) < 0 || write(fd, "\n", 1) != 1)
        return errno ? -errno : -EIO;
    return fsync(fd) < 0 ? -errno : 0;
}

int servers_save(const json_t *servers)
{
    char name[sizeof ".decant-" + ID_UUID_LEN] = ".decant-";
    _cleanup_close_ int folder = open_folder(true);
    _cleanup_close_ int fd = -1;
    int r;

    if (folder < 0)
        return folder;
    id_uuid(name + strlen(name));
    fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    errno = 0;
    r = write_file(fd, servers);
    if (r == 0 && renameat(folder, name, folder, FILE_NAME) < 0)
        r = -errno;
    if (r < 0)
        unlinkat(folder, name, 0);
    return r;
}

/* --- entries */

json_t *servers_entry(const json_t *servers, const char *url)
{
    return json_object_get(json_object_get(servers, "servers"), url);
}

int servers_put(json_t *servers, const char *url, json_t *entry)
{
    if (json_object_set_new(json_object_get(servers, "servers"), url, entry) < 0 ||
        json_object_set_new(servers, "default", json_string(url)) < 0)
        return -ENOMEM;
    return 0;
}

bool servers_remove(json_t *servers, const char *url)
{
    if (json_object_del(json_object_get(servers, "servers"), url) < 0)
        return false;
    if (str_eq(json_string_value(json_object_get(servers, "default")), url))
        json_object_set_new(servers, "default", json_null());
    return true;
}

/* --- names */

static const char *host_of(const char *url)
{
    const char *host = strstr(url, "://");

    return host ? host + strlen("://") : url;
}

static const char *url_of_host(const json_t *servers, const char *host)
{
    const char *url, *found = NULL;
    json_t *entry;

    json_object_foreach(json_object_get(servers, "servers"), url, entry)
    {
        if (str_eq(host_of(url), host) &&
            (!found || str_starts(url, "https://"))) /* rather than in the clear */
            found = url;
    }
    return found;
}

/* Nothing that would make another request of a path that is put behind it. */
static bool is_plain(const char *url)
{
    const char *host = host_of(url);

    if (!str_starts(url, "https://") && !str_starts(url, "http://"))
        return false;
    if (!*host || *host == '/' || *host == ':')
        return false;
    for (const char *c = url; *c; c++)
        if ((unsigned char)*c <= 0x20 || *c == 0x7f || strchr("?#@\\", *c))
            return false;
    return true;
}

int servers_resolve(const json_t *servers, const char *name, char ret[SERVER_URL_MAX])
{
    const char *known =
        name ? url_of_host(servers, name) : json_string_value(json_object_get(servers, "default"));
    const char *scheme = "";
    int n;

    if (!name && !known)
        return -ENOENT;
    if (!known && !strstr(name, "://"))
        scheme = "https://";
    n = snprintf(ret, SERVER_URL_MAX, "%s%s", scheme, known ? known : name);
    if (n >= SERVER_URL_MAX)
        return -EINVAL;
    while (n > 0 && ret[n - 1] == '/')
        ret[--n] = '\0';
    return is_plain(ret) ? 0 : -EINVAL;
}

bool servers_url_is_safe(const char *url)
{
    static const char *const here[] = {"127.0.0.1", "localhost", "[::1]"};
    const char *host = host_of(url);

    if (str_starts(url, "https://"))
        return true;
    for (size_t i = 0; i < ARRAY_SIZE(here); i++) {
        size_t len = strlen(here[i]);

        if (strncmp(host, here[i], len) == 0 && (!host[len] || host[len] == ':' || host[len] == '/'))
            return true;
    }
    return false;
}
