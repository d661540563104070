#include "api/pages.h"

#include "core/path.h"
#include "core/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOLDERS_DEEP_MAX = 8, PATH_BYTES_MAX = 512 };

/* The build gives what lies there a name that changes with its content. */
static const char assets[] = "/assets/";
static const char index_file[] = "index.html";

/* Of others nobody has said what a browser is to make of them. */
static const struct {
    const char *extension, *type;
    bool compress; /* others are compressed already */
} types[] = {
    {"html", "text/html; charset=utf-8", true},
    {"js", "text/javascript; charset=utf-8", true},
    {"css", "text/css; charset=utf-8", true},
    {"svg", "image/svg+xml", true},
    {"png", "image/png", false},
    {"jpg", "image/jpeg", false},
    {"ico", "image/x-icon", true},
    {"webmanifest", "application/manifest+json", true},
    {"json", "application/json", true},
    {"txt", "text/plain; charset=utf-8", true},
    {"woff2", "font/woff2", false},
};

static const struct {
    enum kept_coding coding;
    const char *suffix;
} made_ahead[] = {{KEPT_GZIP, ".gz"}, {KEPT_BROTLI, ".br"}};

struct page {
    char *path;
    struct kept kept;
};

struct pages {
    struct page *page; /* by path */
    size_t n;
    size_t bytes; /* of all forms */
    int root;     /* while they are read */
};

void pages_free(struct pages *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->n; i++) {
        free(p->page[i].path);
        kept_clear(&p->page[i].kept);
    }
    free(p->page);
    free(p);
}

static void cleanup_pages(struct pages **p)
{
    pages_free(*p);
}

/* --- reading */

/* The index of its type, or -1. */
static int find_type(const char *name)
{
    const char *dot = strrchr(name, '.');

    for (size_t i = 0; dot && i < ARRAY_SIZE(types); i++)
        if (str_eq(dot + 1, types[i].extension))
            return (int)i;
    return -1;
}

static bool is_plain(const char *name)
{
    return *name != '.' &&
           !name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~")];
}

static int read_form(struct pages *p, const char *file, struct kept *kept, enum kept_coding coding)
{
    char *data;
    size_t len;
    int r = path_read_file(p->root, file, PAGES_BYTES_MAX - p->bytes, &data, &len);

    if (r < 0)
        return r;
    kept_set(kept, coding, data, len);
    p->bytes += len;
    return 0;
}

static int read_forms(struct pages *p, const char *file, bool compress, struct kept *kept)
{
    char name[PATH_BYTES_MAX + 8];
    int r = read_form(p, file, kept, KEPT_PLAIN);

    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(made_ahead); i++) {
        snprintf(name, sizeof name, "%s%s", file, made_ahead[i].suffix);
        r = read_form(p, name, kept, made_ahead[i].coding);
        r = r == -ENOENT ? 0 : r;
    }
    return r == 0 && compress ? kept_compress(kept) : r;
}

/* "/" of "index.html", "/docs" of "docs/index.html", "/x.txt" of "x.txt", with `end` behind it; new. */
static char *path_of(const char *file, const char *end)
{
    const char *name = str_base_name(file);
    size_t folder = name > file ? (size_t)(name - file) - 1 : 0;
    int len = (int)(str_eq(name, index_file) ? folder : strlen(file));
    char *path;

    return asprintf(&path, "/%.*s%s", len, file, end) < 0 ? NULL : path;
}

static int add_page(struct pages *p, const char *file, int type, const char *end)
{
    struct page *page;

    if (p->n == PAGES_FILES_MAX)
        return -EMFILE;
    page = realloc(p->page, (p->n + 1) * sizeof *page);
    if (!page)
        return -ENOMEM;
    p->page = page;
    page += p->n;
    *page = (struct page){.kept = {.type = types[type].type}};
    page->path = path_of(file, end);
    if (!page->path)
        return -ENOMEM;
    page->kept.cache = str_starts(page->path, assets) ? "public, max-age=31536000, immutable" : "no-cache";
    p->n++;
    return read_forms(p, file, types[type].compress, &page->kept);
}

/* What is typed with a slash at its end is the same page, as links within are to "/…". */
static int add_file(struct pages *p, const char *file)
{
    const char *name = str_base_name(file);
    bool of_folder = name > file && str_eq(name, index_file);
    int type = find_type(file);
    int r = type < 0 ? 0 : add_page(p, file, type, "");

    return r == 0 && of_folder ? add_page(p, file, type, "/") : r;
}

static int read_folder(struct pages *p, const char *folder, unsigned depth);

static int read_entry(struct pages *p, const char *folder, int folder_fd, const char *name, unsigned depth)
{
    char path[PATH_BYTES_MAX];
    struct stat st;

    if (!is_plain(name))
        return 0;
    if (fstatat(folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if ((size_t)snprintf(path, sizeof path, "%s%s%s", folder, *folder ? "/" : "", name) >= sizeof path)
        return -ENAMETOOLONG;
    if (S_ISDIR(st.st_mode))
        return read_folder(p, path, depth + 1);
    return S_ISREG(st.st_mode) ? add_file(p, path) : 0;
}

static int read_folder(struct pages *p, const char *folder, unsigned depth)
{
    const struct dirent *entry;
    DIR *dir;
    int r = depth > FOLDERS_DEEP_MAX ? -ENAMETOOLONG : path_open_dir(p->root, *folder ? folder : ".", &dir);

    if (r < 0)
        return r;
    while (r == 0 && (errno = 0, entry = readdir(dir)))
        r = read_entry(p, folder, dirfd(dir), entry->d_name, depth);
    if (r == 0 && errno)
        r = -errno;
    closedir(dir);
    return r;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct page *)a)->path, ((const struct page *)b)->path);
}

int pages_load(const char *folder, struct pages **ret)
{
    _cleanup_(cleanup_pages) struct pages *p = calloc(1, sizeof *p);
    _cleanup_close_ int root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r;

    if (!p)
        return -ENOMEM;
    if (root < 0)
        return -errno;
    p->root = root;
    r = read_folder(p, "", 0);
    if (r < 0)
        return r;
    p->root = -1;
    if (p->page)
        qsort(p->page, p->n, sizeof *p->page, by_path);
    if (!pages_find(p, "/"))
        return -ENOENT;
    *ret = TAKE_PTR(p);
    return 0;
}

/* --- looking up */

size_t pages_count(const struct pages *p)
{
    return p->n;
}

const char *pages_path(const struct pages *p, size_t i)
{
    return p->page[i].path;
}

const struct kept *pages_find(const struct pages *p, const char *path)
{
    const struct page wanted = {.path = (char *)path};
    const struct page *found = p->page ? bsearch(&wanted, p->page, p->n, sizeof wanted, by_path) : NULL;

    return found ? &found->kept : NULL;
}

int pages_default_folder(char *ret, size_t size)
{
    char self[PATH_BYTES_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    if (n < 0)
        return -errno;
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    return (size_t)snprintf(ret, size, "%s/" SETTINGS_WEB_BESIDE, self) < size ? 0 : -ENAMETOOLONG;
}

/* --- answering */

/* What a page of ours needs, and nothing else: scripts, styles, pictures and answers from here, previews that
 * it has made a blob of. Nothing inline. */
static const struct {
    const char *name, *value;
} headers[] = {
    {"Content-Security-Policy",
     "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; "
     "form-action 'self'; frame-ancestors 'none'"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Permissions-Policy", "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), "
                           "magnetometer=(), microphone=(), midi=(), payment=(), usb=()"},
};

void api_page(struct api_call *call)
{
    const struct kept *kept = pages_find(call->api->pages, http_request_path(call->req));

    for (size_t i = 0; i < ARRAY_SIZE(headers); i++)
        http_reply_header(call->req, headers[i].name, headers[i].value);
    kept_reply(call, kept);
}

void api_docs(struct api_call *call)
{
    const struct pages *pages = call->api->pages;

    if (pages && pages_find(pages, http_request_path(call->req)))
        api_page(call);
    else
        api_fail(call, API_NOT_FOUND, "This server has no web page. GET /openapi.json says the same.");
}
