#include "engine/office/formula.h"

#include "core/str.h"
#include "engine/office/whole_file.h"

#include <errno.h>
#include <string.h>

enum { FORMULA_BYTES_MAX = 16 << 20, MARGIN = 200 };

#define NAME(prefix, name) " xmlns:" prefix "=\"urn:oasis:names:tc:opendocument:xmlns:" name ":1.0\""

static const char begin[] =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?><office:document" NAME("office", "office") NAME("text", "text")
        NAME("style", "style") NAME("draw", "drawing") NAME("svg", "svg-compatible")
            NAME("fo", "xsl-fo-compatible") " office:version=\"1.3\" "
                                            "office:mimetype=\"application/vnd.oasis.opendocument.text\">";

/* Behind the tag at `p`, or NULL. */
static const char *skip_tag(const char *p, const char *end)
{
    for (; p && p < end && *p != '>'; p++)
        if (*p == '"' || *p == '\'')
            p = memchr(p + 1, *p, (size_t)(end - p - 1)) ?: end - 1;
    return p && p < end ? p + 1 : NULL;
}

/* The root element: its name with its prefix, at ret_name; behind its tag; and its end tag. */
static bool find_root(const struct buf *in, const char **ret_name, size_t *ret_len, const char **ret_inside,
                      const char **ret_close)
{
    const char *end = in->data + in->len, *p = in->data;
    size_t len;

    while ((p = memchr(p, '<', (size_t)(end - p))) && end - p > 3 && (p[1] == '?' || p[1] == '!')) {
        const char *stop = memcmp(p, "<!--", 4) == 0 ? "-->" : ">";

        p = memmem(p, (size_t)(end - p), stop, strlen(stop));
        if (!p)
            return false;
    }
    if (!p)
        return false;
    len = strcspn(p + 1, " \t\r\n/>");
    if (len < strlen("math") || memcmp(p + 1 + len - strlen("math"), "math", strlen("math")) != 0)
        return false;
    *ret_name = p + 1;
    *ret_len = len;
    *ret_inside = skip_tag(p, end);
    if (!*ret_inside || (*ret_inside)[-2] == '/')
        return false;
    for (const char *q = end - len; q > *ret_inside + 1; q--)
        if (q[-2] == '<' && q[-1] == '/' && memcmp(q, *ret_name, len) == 0) {
            *ret_close = q - 2;
            return true;
        }
    return false;
}

int formula_put_row(const char *path, const char *copy)
{
    _cleanup_buf_ struct buf in = BUF_INIT(FORMULA_BYTES_MAX), out = BUF_INIT(2UL * FORMULA_BYTES_MAX);
    const char *name, *inside, *close;
    size_t len;
    int prefix, r = whole_file_read(path, &in);

    if (r < 0)
        return r;
    if (in.len == 0 || !find_root(&in, &name, &len, &inside, &close))
        return 0;
    prefix = (int)(len - strlen("math"));
    buf_append(&out, in.data, (size_t)(inside - in.data));
    buf_printf(&out, "<%.*smrow>", prefix, name);
    buf_append(&out, inside, (size_t)(close - inside));
    buf_printf(&out, "</%.*smrow>", prefix, name);
    buf_append(&out, close, in.len - (size_t)(close - in.data));
    r = buf_error(&out);
    if (r >= 0)
        r = whole_file_write(copy, out.data, out.len);
    return r < 0 ? r : 1;
}

static void append_page(struct buf *b, int32_t width, int32_t height)
{
    buf_printf(b,
               "<office:automatic-styles><style:page-layout style:name=\"p\"><style:page-layout-properties "
               "fo:page-width=\"%d.%02dmm\" fo:page-height=\"%d.%02dmm\" fo:margin=\"0mm\"/>"
               "</style:page-layout></office:automatic-styles><office:master-styles><style:master-page "
               "style:name=\"Standard\" style:page-layout-name=\"p\"/></office:master-styles>",
               width / 100, width % 100, height / 100, height % 100);
}

int formula_wrap(const char *mathml, const char *path, int32_t width, int32_t height, bool alone)
{
    static const char end[] =
        "</draw:object></draw:frame></text:p></office:text></office:body></office:document>";
    _cleanup_buf_ struct buf in = BUF_INIT(FORMULA_BYTES_MAX), out = BUF_INIT(2UL * FORMULA_BYTES_MAX);
    int r = whole_file_read(mathml, &in);
    const char *root = r < 0 ? NULL : memmem(in.data, in.len, "<math", strlen("<math"));

    if (r < 0)
        return r;
    if (!root || width <= 0 || height <= 0)
        return -EBADMSG;
    buf_append_str(&out, begin);
    if (alone)
        append_page(&out, width + 2 * MARGIN, height + 2 * MARGIN);
    buf_append_str(&out, "<office:body><office:text><text:p><draw:frame ");
    if (alone)
        buf_printf(&out,
                   "text:anchor-type=\"page\" text:anchor-page-number=\"1\" svg:x=\"%dmm\" svg:y=\"%dmm\" ",
                   MARGIN / 100, MARGIN / 100);
    else
        buf_append_str(&out, "text:anchor-type=\"as-char\" ");
    buf_printf(&out, "svg:width=\"%d.%02dmm\" svg:height=\"%d.%02dmm\"><draw:object>", width / 100,
               width % 100, height / 100, height % 100);
    buf_append(&out, root, in.len - (size_t)(root - in.data));
    buf_append_str(&out, end);
    r = buf_error(&out);
    return r < 0 ? r : whole_file_write(path, out.data, out.len);
}
