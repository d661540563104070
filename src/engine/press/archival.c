/* Of what a PDF says of itself Ghostscript 10.0 takes over only what is ASCII, and writes times in a form of
 * its own. So both places are written anew here: they have to say the same (ISO 19005-1, 6.7.3). */
#include "engine/press/archival.h"

#include "core/buf.h"

#include <ctype.h>
#include <qpdf/qpdf-c.h>
#include <stdio.h>
#include <string.h>

enum { XMP_MAX = 1 << 20, TEXT_MAX = 4096 };

/* How each key of the dictionary stands in XMP: around its text. */
static const struct property {
    const char *key, *before, *after;
    bool is_time;
} properties[] = {
    {"/Title", "<dc:title><rdf:Alt><rdf:li xml:lang='x-default'>", "</rdf:li></rdf:Alt></dc:title>"},
    {"/Author", "<dc:creator><rdf:Seq><rdf:li>", "</rdf:li></rdf:Seq></dc:creator>"},
    {"/Subject", "<dc:description><rdf:Alt><rdf:li xml:lang='x-default'>",
     "</rdf:li></rdf:Alt></dc:description>"},
    {"/Keywords", "<pdf:Keywords>", "</pdf:Keywords>"},
    {"/Creator", "<xmp:CreatorTool>", "</xmp:CreatorTool>"},
    {"/CreationDate", "<xmp:CreateDate>", "</xmp:CreateDate>", true},
    {"/ModDate", "<xmp:ModifyDate>", "</xmp:ModifyDate>", true},
};

/* --- times */

struct moment {
    unsigned year, month, day, hour, minute, second;
    char sign; /* of the distance from UTC */
    unsigned off_hour, off_minute;
};

/* How it ends: "", "Z…", "+01", "+01'" or "+01'30…"; `read`: how many fields there were. */
static bool ends_well(const struct moment *m, int read, const char *zone)
{
    if (read == 6)
        return *zone == '\0';
    if (m->sign == 'Z')
        return true;
    return (m->sign == '+' || m->sign == '-') && m->off_hour <= 23 && m->off_minute <= 59 &&
           (read == 9 || (read == 8 && strlen(zone) <= 4 && strspn(zone + 3, "'") == strlen(zone + 3)));
}

static bool read_moment(const char *text, struct moment *m)
{
    enum { ZONE_AT = 16 };
    int n = sscanf(text, "D:%4u%2u%2u%2u%2u%2u%c%2u'%2u", &m->year, &m->month, &m->day, &m->hour, &m->minute,
                   &m->second, &m->sign, &m->off_hour, &m->off_minute);

    return n >= 6 && strlen(text) >= ZONE_AT && m->month >= 1 && m->month <= 12 && m->day >= 1 &&
           m->day <= 31 && m->hour <= 23 && m->minute <= 59 && m->second <= 59 &&
           ends_well(m, n, text + ZONE_AT);
}

bool archival_parse_time(const char *text, struct archival_time *ret)
{
    struct moment m = {.sign = 'Z'};
    char pdf_zone[16] = "Z", xmp_zone[16] = "Z";

    if (!read_moment(text, &m))
        return false;
    if (m.sign != 'Z') {
        snprintf(pdf_zone, sizeof pdf_zone, "%c%02u'%02u'", m.sign, m.off_hour, m.off_minute);
        snprintf(xmp_zone, sizeof xmp_zone, "%c%02u:%02u", m.sign, m.off_hour, m.off_minute);
    }
    snprintf(ret->pdf, sizeof ret->pdf, "D:%04u%02u%02u%02u%02u%02u%s", m.year, m.month, m.day, m.hour,
             m.minute, m.second, pdf_zone);
    snprintf(ret->xmp, sizeof ret->xmp, "%04u-%02u-%02uT%02u:%02u:%02u%s", m.year, m.month, m.day, m.hour,
             m.minute, m.second, xmp_zone);
    return true;
}

/* --- texts */

/* What XML can't hold, and blanks at the ends, is left out. */
static void clean(const char *text, char ret[TEXT_MAX])
{
    size_t n = 0;

    while (isspace((unsigned char)*text))
        text++;
    for (; *text && n < TEXT_MAX - 1; text++)
        if ((unsigned char)*text >= 0x20)
            ret[n++] = *text;
    if (*text) /* cut: not within a character */
        while (n > 0 && (ret[n] & 0xc0) == 0x80)
            n--;
    while (n > 0 && isspace((unsigned char)ret[n - 1]))
        n--;
    ret[n] = '\0';
}

static void put_escaped(struct buf *out, const char *text)
{
    for (; *text; text++)
        switch (*text) {
        case '<':
            buf_append_str(out, "&lt;");
            break;
        case '>':
            buf_append_str(out, "&gt;");
            break;
        case '&':
            buf_append_str(out, "&amp;");
            break;
        default:
            buf_append(out, text, 1);
        }
}

/* --- both places */

struct description {
    qpdf_data to;
    qpdf_oh info;
    struct buf xmp;
};

static void put(struct description *d, const struct property *p, const char *pdf, const char *xmp)
{
    qpdf_oh_replace_key(d->to, d->info, p->key, qpdf_oh_new_unicode_string(d->to, pdf));
    buf_append_str(&d->xmp, p->before);
    put_escaped(&d->xmp, xmp);
    buf_append_str(&d->xmp, p->after);
    buf_append_str(&d->xmp, "\n");
}

static void put_property(struct description *d, const struct property *p, const char *said)
{
    char text[TEXT_MAX];
    struct archival_time t;

    clean(said, text);
    if (p->is_time && archival_parse_time(text, &t))
        put(d, p, t.pdf, t.xmp);
    else if (!p->is_time && *text)
        put(d, p, text, text);
}

static void put_all(struct description *d, qpdf_data source, char part)
{
    qpdf_oh trailer = qpdf_get_trailer(source), info = qpdf_oh_get_key_if_dict(source, trailer, "/Info");

    buf_printf(&d->xmp,
               "<?xpacket begin='\xef\xbb\xbf' id='W5M0MpCehiHzreSzNTczkc9d'?>\n"
               "<x:xmpmeta xmlns:x='adobe:ns:meta/'>"
               "<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>\n"
               "<rdf:Description rdf:about='' xmlns:dc='http://purl.org/dc/elements/1.1/' "
               "xmlns:pdf='http://ns.adobe.com/pdf/1.3/' xmlns:xmp='http://ns.adobe.com/xap/1.0/' "
               "xmlns:pdfaid='http://www.aiim.org/pdfa/ns/id/'>\n"
               "<pdfaid:part>%c</pdfaid:part><pdfaid:conformance>B</pdfaid:conformance>\n",
               part);
    for (size_t i = 0; i < ARRAY_SIZE(properties); i++) {
        qpdf_oh value = qpdf_oh_get_key_if_dict(source, info, properties[i].key);

        if (qpdf_oh_is_string(source, value))
            put_property(d, &properties[i], qpdf_oh_get_utf8_value(source, value));
    }
    buf_append_str(&d->xmp, "</rdf:Description></rdf:RDF></x:xmpmeta>\n<?xpacket end='w'?>");
}

static void set_metadata(struct description *d)
{
    qpdf_oh stream = qpdf_oh_new_stream(d->to), dict = qpdf_oh_get_dict(d->to, stream);

    qpdf_oh_replace_stream_data(d->to, stream, (const unsigned char *)d->xmp.data, d->xmp.len,
                                qpdf_oh_new_null(d->to), qpdf_oh_new_null(d->to));
    qpdf_oh_replace_key(d->to, dict, "/Type", qpdf_oh_new_name(d->to, "/Metadata"));
    qpdf_oh_replace_key(d->to, dict, "/Subtype", qpdf_oh_new_name(d->to, "/XML"));
    qpdf_oh_replace_key(d->to, qpdf_get_root(d->to), "/Metadata", stream);
    qpdf_oh_replace_key(d->to, qpdf_get_trailer(d->to), "/Info", qpdf_make_indirect_object(d->to, d->info));
}

/* Part 1 allows no attachments, part 2 such as are PDF/A themselves, and part 3 those that say what they are
 * to the document, of which Ghostscript keeps nothing. */
static void remove_attachments(qpdf_data qpdf)
{
    qpdf_oh names = qpdf_oh_get_key_if_dict(qpdf, qpdf_get_root(qpdf), "/Names");

    if (qpdf_oh_is_dictionary(qpdf, names))
        qpdf_oh_remove_key(qpdf, names, "/EmbeddedFiles");
}

/* As a file beside it, which then takes its place. */
static enum outcome write_in_place(qpdf_data qpdf, const char *path)
{
    _cleanup_free_ char *beside = NULL;

    if (asprintf(&beside, "%s.new", path) < 0)
        return OUTCOME_INTERNAL;
    if (qpdf_init_write(qpdf, beside) & QPDF_ERRORS)
        return OUTCOME_INTERNAL;
    qpdf_set_newline_before_endstream(qpdf, QPDF_TRUE);
    if (qpdf_write(qpdf) & QPDF_ERRORS)
        return OUTCOME_INTERNAL;
    return rename(beside, path) < 0 ? OUTCOME_INTERNAL : OUTCOME_OK;
}

static qpdf_data open_quietly(const char *path)
{
    qpdf_data qpdf = qpdf_init();

    qpdf_silence_errors(qpdf);
    if (qpdf_read(qpdf, path, NULL) & QPDF_ERRORS)
        qpdf_cleanup(&qpdf);
    return qpdf;
}

/* ISO 32000-1, table 165 */
enum { INVISIBLE = 1 << 0, HIDDEN = 1 << 1, PRINT = 1 << 2, NO_VIEW = 1 << 5 };

static void let_print(qpdf_data qpdf, qpdf_oh annotation)
{
    qpdf_oh flags = qpdf_oh_get_key_if_dict(qpdf, annotation, "/F");
    long long f = qpdf_oh_is_integer(qpdf, flags) ? qpdf_oh_get_int_value(qpdf, flags) : 0;

    if (qpdf_oh_is_dictionary(qpdf, annotation) && !(f & (INVISIBLE | HIDDEN | NO_VIEW)))
        qpdf_oh_replace_key(qpdf, annotation, "/F", qpdf_oh_new_integer(qpdf, f | PRINT));
}

static void let_print_page(qpdf_data qpdf, qpdf_oh page)
{
    qpdf_oh all = qpdf_oh_get_key_if_dict(qpdf, page, "/Annots");
    int n = qpdf_oh_is_array(qpdf, all) ? qpdf_oh_get_array_n_items(qpdf, all) : 0;

    for (int i = 0; i < n; i++)
        let_print(qpdf, qpdf_oh_get_array_item(qpdf, all, i));
}

enum outcome archival_prepare(const char *path)
{
    qpdf_data qpdf = open_quietly(path);
    enum outcome outcome;
    int pages;

    if (!qpdf)
        return OUTCOME_CORRUPT_INPUT;
    pages = qpdf_get_num_pages(qpdf);
    for (int i = 0; i < pages; i++)
        let_print_page(qpdf, qpdf_get_page_n(qpdf, (size_t)i));
    outcome = write_in_place(qpdf, path);
    qpdf_cleanup(&qpdf);
    return outcome;
}

enum outcome archival_describe(const char *path, const char *source, char part)
{
    qpdf_data from = open_quietly(source), to = open_quietly(path);
    struct description d = {.to = to, .xmp = BUF_INIT(XMP_MAX)};
    enum outcome outcome = OUTCOME_INTERNAL;

    if (from && to) {
        d.info = qpdf_oh_new_dictionary(to);
        put_all(&d, from, part);
        set_metadata(&d);
        remove_attachments(to);
        outcome = buf_error(&d.xmp) ? OUTCOME_TOO_COMPLEX : write_in_place(to, path);
    }
    buf_free(&d.xmp);
    if (from)
        qpdf_cleanup(&from);
    if (to)
        qpdf_cleanup(&to);
    return outcome;
}
