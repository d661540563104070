/* What the entries of an archive are called, one name a line, one that ends with a slash a folder: whatever
 * it is, the names that they get are plain, short, UTF-8, lead nowhere, and no two files are in one place. */
#include "fuzz.h"

#include "core/str.h"
#include "engine/archive/names.h"

#include <errno.h>

enum { MADE_MAX = 64, LINE_MAX_BYTES = 8192 };

struct made {
    char name[NAME_MAX_BYTES + 1];
    bool folder;
};

static void check_plain(const char *name)
{
    size_t len = strlen(name);

    require(len > 0 && len <= NAME_MAX_BYTES && utf8_valid(name, len) && !strpbrk(name, "\\\n\r\t\x1b"));
    for (const char *p = name; p; p = strchr(p, '/') ? strchr(p, '/') + 1 : NULL) {
        size_t n = strcspn(p, "/");

        require(n > 0 && n <= NAME_COMPONENT_MAX && strspn(p, ". ") < n);
        require(!(n > 1 && p[1] == ':' && ((p[0] | 0x20) >= 'a' && (p[0] | 0x20) <= 'z')));
    }
}

/* Neither the same, nor one below a file. */
static void check_apart(const struct made *a, const struct made *b)
{
    size_t n = strlen(a->name);

    require(strcmp(a->name, b->name) != 0);
    require(a->folder || strncmp(a->name, b->name, n) != 0 || b->name[n] != '/');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct made made[MADE_MAX];
    struct names *names;
    size_t n = 0;

    require(names_new(&names) == 0);
    while (size > 0 && n < MADE_MAX) {
        const uint8_t *end = memchr(data, '\n', size);
        size_t len = end ? (size_t)(end - data) : size;
        char raw[LINE_MAX_BYTES] = "";
        int r;

        memcpy(raw, data, len < sizeof raw ? len : sizeof raw - 1);
        made[n].folder = len > 0 && data[len - 1] == '/';
        r = names_make(names, raw, made[n].folder, made[n].name);
        require(r == 0 || r == -ENOENT || (r == -EEXIST && made[n].folder));
        if (r == 0) {
            check_plain(made[n].name);
            for (size_t i = 0; i < n; i++) {
                check_apart(&made[i], &made[n]);
                check_apart(&made[n], &made[i]);
            }
            n++;
        }
        data += len + (end ? 1 : 0);
        size -= len + (end ? 1 : 0);
    }
    names_free(names);
    return 0;
}
