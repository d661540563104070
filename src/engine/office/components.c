#include "engine/office/components.h"

#include "core/str.h"

#include <errno.h>

static const char *const unwanted[] = {
    "/libavmediagst.so\"", "/libucpdav1.so\"", "/libucpftp1.so\"",         "/libucpgio1lo.so\"",
    "/libldapbe2lo.so\"",  "/libjdbclo.so\"",  "/libodbclo.so\"",          "/libmysql_jdbclo.so\"",
    "/libmysqlclo.so\"",   "/libhsqldb.so\"",  "/libfirebird_sdbclo.so\"",
};

/* Is one of them the library of the component whose tag is the `len` bytes at `tag`? */
static bool is_unwanted(const char *tag, size_t len)
{
    for (size_t i = 0; i < ARRAY_SIZE(unwanted); i++)
        if (memmem(tag, len, unwanted[i], strlen(unwanted[i])))
            return true;
    return false;
}

int components_filter(const char *rdb, struct buf *ret)
{
    static const char begin[] = "<component ", end[] = "</component>";
    size_t dropped = 0;
    int r;

    for (const char *p = rdb;;) {
        const char *tag = strstr(p, begin), *tag_end = tag ? strchr(tag, '>') : NULL;
        const char *after = tag_end ? strstr(tag_end, end) : NULL;

        if (!tag)
            return dropped == 0 ? -EBADMSG : buf_append_str(ret, p);
        if (!after)
            return -EBADMSG;
        after += strlen(end);
        r = buf_append(ret, p, (size_t)(tag - p));
        if (is_unwanted(tag, (size_t)(tag_end - tag)))
            dropped++;
        else if (r >= 0)
            r = buf_append(ret, tag, (size_t)(after - tag));
        if (r < 0)
            return r;
        p = after;
    }
}
