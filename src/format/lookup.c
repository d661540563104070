/* Formats by their ids and by the extensions of names: sorted once, as each answer that names a file asks. */
#include "format/format.h"

#include "core/str.h"

#include <pthread.h>
#include <stdlib.h>
#include <strings.h>

struct name {
    const char *text; /* not ended by '\0': a word of a list */
    size_t len;
    const struct format *format;
};

enum { NAMES_MAX = 1024 };

static struct name ids[NAMES_MAX], extensions[NAMES_MAX];
static size_t n_ids, n_extensions;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static int compare_names(const struct name *a, const struct name *b)
{
    int r = strncasecmp(a->text, b->text, a->len < b->len ? a->len : b->len);

    return r ? r : (a->len > b->len) - (a->len < b->len);
}

static int compare(const void *x, const void *y)
{
    return compare_names(x, y);
}

/* The same, and of formats that share an extension the first of the table comes first. */
static int compare_entries(const void *x, const void *y)
{
    const struct name *a = x, *b = y;
    int r = compare_names(a, b);

    return r ? r : (a->format > b->format) - (a->format < b->format);
}

static void add(struct name *names, size_t *n, const char *text, size_t len, const struct format *f)
{
    if (*n == NAMES_MAX)
        abort(); /* the table has grown */
    names[(*n)++] = (struct name){text, len, f};
}

static void sort(void)
{
    const char *word;
    size_t len, n = 0;

    for (size_t i = 0; i < n_formats; i++) {
        add(ids, &n_ids, formats[i].id, strlen(formats[i].id), &formats[i]);
        for (const char *p = formats[i].extensions; (p = words_next(p, &word, &len));)
            add(extensions, &n, word, len, &formats[i]);
    }
    qsort(ids, n_ids, sizeof *ids, compare_entries);
    qsort(extensions, n, sizeof *extensions, compare_entries);
    for (size_t i = 0; i < n; i++)
        if (n_extensions == 0 || compare_names(&extensions[i], &extensions[n_extensions - 1]) != 0)
            extensions[n_extensions++] = extensions[i];
}

static const struct format *find(const struct name *names, size_t n, const char *text)
{
    const struct name *found =
        bsearch(&(struct name){.text = text, .len = strlen(text)}, names, n, sizeof *names, compare);

    return found ? found->format : NULL;
}

const struct format *format_by_id(const char *id)
{
    const struct format *f;

    pthread_once(&once, sort);
    f = id ? find(ids, n_ids, id) : NULL;
    return f && str_eq(f->id, id) ? f : NULL;
}

/* Sets *ret_extension to where the extension begins, with its dot. ".docx" is a hidden file without one, as
 * the shell sees it. */
static const struct format *find_by_name(const char *filename, const char **ret_extension)
{
    pthread_once(&once, sort);
    for (const char *dot = filename; dot && (dot = strchr(dot, '.')); dot++) {
        const struct format *f =
            dot > filename && dot[-1] != '/' ? find(extensions, n_extensions, dot + 1) : NULL;

        if (f) {
            *ret_extension = dot;
            return f;
        }
    }
    return NULL;
}

const struct format *format_by_name(const char *filename)
{
    const char *extension;

    return find_by_name(filename, &extension);
}

const char *format_extension_of(const char *filename)
{
    const char *dot = strrchr(filename, '.'), *extension;

    if (find_by_name(filename, &extension))
        return extension;
    return dot && dot != filename ? dot : filename + strlen(filename);
}
