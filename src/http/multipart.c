/* The parser is a row of states; each has one function that takes as much of the input as it can.
 *
 *   PREAMBLE ─► BOUNDARY ─┬─ "--" ─► DASH ─► EPILOGUE
 *                  ▲      └─ blanks ─► LINE_END ─► HEADERS ─► BODY ─┐
 *                  └──────────────────────────────────────────────────┘
 *
 * What is searched for is always the delimiter CR LF "--" boundary; the preamble starts as if CR LF had just
 * been seen. A boundary holds no CR, so a delimiter has one CR only, its first byte. Two things follow: only
 * the last CR of a piece can begin a delimiter that goes on in the next piece, and when such a beginning
 * turns out to be data, these bytes are the delimiter's own first bytes, so nothing needs to be kept but
 * their number. */
#include "http/multipart.h"

#include "core/buf.h"
#include "core/str.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <strings.h>

enum {
    BOUNDARY_MAX = 70, /* RFC 2046 section 5.1.1 */
    HEADERS_BYTES_MAX = 8 * 1024,
    PARTS_MAX = 1000,
    PROLOGUE_BYTES_MAX = 16 * 1024, /* preamble and epilogue, each */
};

enum state { PREAMBLE, BOUNDARY, DASH, LINE_END, HEADERS, BODY, EPILOGUE };

struct multipart {
    const struct multipart_events *events;
    void *arg;
    enum state state;
    int error;
    char delimiter[4 + BOUNDARY_MAX + 1];
    size_t delimiter_len;
    size_t matched;  /* bytes of a delimiter that the input so far ends with */
    size_t borrowed; /* how many of them the header block or the start lent: never data */
    bool padded;     /* blanks were seen behind the boundary */
    size_t ignored;  /* bytes of preamble or epilogue */
    size_t parts;
    struct buf headers;
    size_t line_start; /* of the header line that is being read */
};

/* --- parameters: `; name=token` or `; name="quoted"`, RFC 9110 section 5.6.6 */

struct parameter {
    const char *name;
    size_t name_len;
    char *value;
};

static bool is_tchar(char c)
{
    return c && (isalnum((unsigned char)c) || strchr("!#$%&'*+-.^_`|~", c));
}

/* Of the escapes in a quoted string only \" and \\ are undone: browsers send the backslashes of a name as
 * they are. Returns behind the closing quote, or NULL. The value is unescaped in place. */
static char *read_quoted(char *p, char **ret_value)
{
    char *to = p;

    *ret_value = to;
    for (; *p && *p != '"'; p++) {
        if (*p == '\\' && (p[1] == '"' || p[1] == '\\'))
            p++;
        *to++ = *p;
    }
    if (*p != '"')
        return NULL;
    *to = '\0';
    return p + 1;
}

static char *skip_blanks(char *p)
{
    return p + strspn(p, " \t");
}

/* Reads one parameter at *p, which stands at ';', at blanks before it, or at the end. 1: one was read; 0: the
 * end; -EBADMSG. A token's end is only marked when the next call has seen what follows it, through *cut. */
static int next_parameter(char **p, char **cut, struct parameter *ret)
{
    char *at = skip_blanks(*p), *value;
    char after = *at;

    if (*cut)
        **cut = '\0';
    *cut = NULL;
    if (!after)
        return 0;
    if (after != ';')
        return -EBADMSG;
    at = skip_blanks(at + 1);
    if (!*at) { /* a trailing semicolon */
        *p = at;
        return 0;
    }
    ret->name = at;
    while (is_tchar(*at))
        at++;
    ret->name_len = (size_t)(at - ret->name);
    if (ret->name_len == 0 || *at != '=')
        return -EBADMSG;
    value = ++at;
    if (*value == '"') {
        *p = read_quoted(value + 1, &ret->value);
        return *p ? 1 : -EBADMSG;
    }
    while (is_tchar(*at))
        at++;
    if (at == value)
        return -EBADMSG;
    ret->value = value;
    *p = *cut = at;
    return 1;
}

struct wanted {
    const char *name;
    char *value; /* result; NULL: absent */
};

/* Finds the wanted parameters behind `p`; each at most once. */
static int read_parameters(char *p, struct wanted *wanted, size_t n)
{
    struct parameter param;
    char *cut = NULL;
    int r;

    while ((r = next_parameter(&p, &cut, &param)) > 0)
        for (size_t i = 0; i < n; i++) {
            if (strlen(wanted[i].name) != param.name_len ||
                strncasecmp(wanted[i].name, param.name, param.name_len) != 0)
                continue;
            if (wanted[i].value)
                return -EBADMSG;
            wanted[i].value = param.value;
        }
    return r;
}

/* The parameters behind `type`, or NULL when `value` is of another type. */
static char *after_type(char *value, const char *type)
{
    size_t n = strlen(type);

    if (strncasecmp(value, type, n) != 0 || (value[n] && !strchr("; \t", value[n])))
        return NULL;
    return value + n;
}

/* --- making one */

static bool is_boundary(const char *s)
{
    size_t n = s ? strlen(s) : 0;

    if (n < 1 || n > BOUNDARY_MAX || s[n - 1] == ' ')
        return false;
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)s[i]) && !strchr("'()+_,-./:=? ", s[i]))
            return false;
    return true;
}

int multipart_new(const char *content_type, const struct multipart_events *events, void *arg,
                  struct multipart **ret)
{
    _cleanup_free_ char *copy = NULL;
    struct wanted wanted[] = {{.name = "boundary"}};
    struct multipart *m;
    char *params;

    if (!content_type)
        return -EINVAL;
    copy = strdup(content_type);
    if (!copy)
        return -ENOMEM;
    params = after_type(copy, "multipart/form-data");
    if (!params || read_parameters(params, wanted, ARRAY_SIZE(wanted)) < 0 || !is_boundary(wanted[0].value))
        return -EINVAL;
    m = calloc(1, sizeof *m);
    if (!m)
        return -ENOMEM;
    m->events = events;
    m->arg = arg;
    m->headers = BUF_INIT(HEADERS_BYTES_MAX);
    m->delimiter_len = (size_t)snprintf(m->delimiter, sizeof m->delimiter, "\r\n--%s", wanted[0].value);
    m->matched = m->borrowed = 2;
    *ret = m;
    return 0;
}

void multipart_free(struct multipart *m)
{
    if (!m)
        return;
    buf_free(&m->headers);
    free(m);
}

/* --- a part's header block */

struct part_headers {
    char *disposition, *type, *encoding;
};

static int take_header(char *line, struct part_headers *ret)
{
    const struct {
        const char *name;
        char **value;
    } known[] = {{"Content-Disposition", &ret->disposition},
                 {"Content-Type", &ret->type},
                 {"Content-Transfer-Encoding", &ret->encoding}};
    char *colon = strchr(line, ':'), *end = line + strlen(line);

    if (!colon || colon == line)
        return -EBADMSG;
    for (const char *p = line; p < colon; p++)
        if (!is_tchar(*p))
            return -EBADMSG;
    *colon = '\0';
    while (end > colon + 1 && (end[-1] == ' ' || end[-1] == '\t'))
        *--end = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        if (strcasecmp(line, known[i].name) != 0)
            continue;
        if (*known[i].value)
            return -EBADMSG;
        *known[i].value = skip_blanks(colon + 1);
    }
    return 0;
}

/* The block ends with an empty line; every line ends with CR LF (read_headers saw to it). */
static int split_headers(struct buf *block, struct part_headers *ret)
{
    char *line = block->data;

    if (memchr(block->data, '\0', block->len))
        return -EBADMSG;
    for (char *end; (end = strstr(line, "\r\n")) && end != line; line = end + 2) {
        *end = '\0';
        if (strchr(line, '\r'))
            return -EBADMSG;

        int r = take_header(line, ret);

        if (r < 0)
            return r;
    }
    return 0;
}

/* The three that the HTML standard has browsers encode in names. */
static void decode_name(char *s)
{
    static const struct {
        const char *code;
        char c;
    } codes[] = {{"%22", '"'}, {"%0D", '\r'}, {"%0A", '\n'}};
    char *to = s;

    while (*s) {
        char c = *s;
        size_t len = 1;

        for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
            if (strncasecmp(s, codes[i].code, 3) == 0) {
                c = codes[i].c;
                len = 3;
            }
        *to++ = c;
        s += len;
    }
    *to = '\0';
}

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef", *p = c ? strchr(digits, tolower((unsigned char)c)) : NULL;

    return p ? (int)(p - digits) : -1;
}

/* RFC 8187: UTF-8'language'percent-encoded. Decoded in place; NULL for anything else. */
static char *decode_extended(char *value)
{
    char *language = strncasecmp(value, "UTF-8'", 6) == 0 ? strchr(value + 6, '\'') : NULL;
    char *from, *to;

    if (!language)
        return NULL;
    for (from = to = language + 1; *from; from++) {
        int high, low;

        if (*from != '%') {
            *to++ = *from;
            continue;
        }
        high = hex_digit(from[1]);
        low = high < 0 ? -1 : hex_digit(from[2]);
        if (low < 0 || (high == 0 && low == 0))
            return NULL;
        *to++ = (char)(high << 4 | low);
        from += 2;
    }
    *to = '\0';
    return language + 1;
}

static int check_encodings(const struct part_headers *headers)
{
    if (headers->type && strncasecmp(headers->type, "multipart/", 10) == 0)
        return -EBADMSG;
    if (headers->encoding && strcasecmp(headers->encoding, "binary") != 0 &&
        strcasecmp(headers->encoding, "8bit") != 0 && strcasecmp(headers->encoding, "7bit") != 0)
        return -EBADMSG;
    return 0;
}

static int begin_part(struct multipart *m)
{
    struct part_headers headers = {0};
    struct wanted wanted[] = {{.name = "name"}, {.name = "filename"}, {.name = "filename*"}};
    char *params;
    int r = split_headers(&m->headers, &headers);

    if (r == 0)
        r = check_encodings(&headers);
    if (r < 0)
        return r;
    params = headers.disposition ? after_type(headers.disposition, "form-data") : NULL;
    if (!params)
        return -EBADMSG;
    r = read_parameters(params, wanted, ARRAY_SIZE(wanted));
    if (r < 0 || !wanted[0].value)
        return -EBADMSG;
    for (size_t i = 0; i < 2; i++)
        if (wanted[i].value)
            decode_name(wanted[i].value);
    /* RFC 7578 forbids it in forms, and some clients send nothing else. */
    if (!wanted[1].value && wanted[2].value) {
        wanted[1].value = decode_extended(wanted[2].value);
        if (!wanted[1].value)
            return -EBADMSG;
    }

    const struct multipart_part part = {
        .name = wanted[0].value, .filename = wanted[1].value, .content_type = headers.type};

    return m->events->begin(m->arg, &part);
}

/* --- the states: each returns how much it took (at least one byte), or -errno */

static int take_bytes(struct multipart *m, const char *data, size_t len)
{
    if (len == 0)
        return 0;
    if (m->state == BODY)
        return m->events->data(m->arg, data, len);
    m->ignored += len;
    return m->ignored > PROLOGUE_BYTES_MAX ? -EMSGSIZE : 0;
}

static int at_delimiter(struct multipart *m)
{
    int r = m->state == BODY ? m->events->end(m->arg) : 0;

    m->matched = m->borrowed = 0;
    m->padded = false;
    m->state = BOUNDARY;
    return r;
}

/* A delimiter has begun at the end of the piece before. */
static ssize_t go_on_matching(struct multipart *m, const char *data, size_t len)
{
    size_t left = m->delimiter_len - m->matched, n = 0;
    int r;

    while (n < left && n < len && data[n] == m->delimiter[m->matched + n])
        n++;
    m->matched += n;
    if (n == left) {
        r = at_delimiter(m);
    } else if (n == len) {
        return (ssize_t)n;
    } else {
        size_t from = m->borrowed, matched = m->matched;

        m->matched = m->borrowed = 0;
        r = take_bytes(m, m->delimiter + from, matched - from);
    }
    /* Zero bytes taken is fine here: the state has changed. */
    return r < 0 ? r : (ssize_t)n;
}

static ssize_t search_delimiter(struct multipart *m, const char *data, size_t len)
{
    if (m->matched > 0)
        return go_on_matching(m, data, len);

    const char *found = memmem(data, len, m->delimiter, m->delimiter_len);
    size_t n = found ? (size_t)(found - data) : len;

    if (!found) {
        const char *cr = memrchr(data, '\r', len);
        size_t tail = cr ? (size_t)(data + len - cr) : 0;

        if (tail > 0 && tail < m->delimiter_len && memcmp(cr, m->delimiter, tail) == 0) {
            m->matched = tail;
            n -= tail;
        }
    }

    int r = take_bytes(m, data, n);

    if (r == 0 && found)
        r = at_delimiter(m);
    if (r < 0)
        return r;
    return (ssize_t)(found ? n + m->delimiter_len : len);
}

static ssize_t after_boundary(struct multipart *m, const char *data, size_t len)
{
    static const struct {
        char c;
        enum state next;
    } transitions[] = {{'-', DASH}, {' ', BOUNDARY}, {'\t', BOUNDARY}, {'\r', LINE_END}};

    for (size_t i = 0; i < ARRAY_SIZE(transitions); i++)
        if (*data == transitions[i].c) {
            /* "--" must follow the boundary at once; blanks before the line's end may follow. */
            if (*data == '-' && m->padded)
                return -EBADMSG;
            m->padded = true;
            m->state = transitions[i].next;
            return 1;
        }
    return -EBADMSG;
}

static ssize_t after_dash(struct multipart *m, const char *data, size_t len)
{
    if (*data != '-')
        return -EBADMSG;
    m->state = EPILOGUE;
    m->ignored = 0;
    return 1;
}

static ssize_t at_line_end(struct multipart *m, const char *data, size_t len)
{
    if (*data != '\n')
        return -EBADMSG;
    if (++m->parts > PARTS_MAX)
        return -EMSGSIZE;
    m->state = HEADERS;
    m->headers.len = 0;
    m->line_start = 0;
    return 1;
}

static ssize_t read_headers(struct multipart *m, const char *data, size_t len)
{
    const char *newline = memchr(data, '\n', len);
    size_t n = newline ? (size_t)(newline - data) + 1 : len;
    int r = buf_append(&m->headers, data, n);

    if (r < 0)
        return r;
    if (!newline)
        return (ssize_t)n;

    size_t line_len = m->headers.len - m->line_start;

    if (line_len < 2 || m->headers.data[m->headers.len - 2] != '\r')
        return -EBADMSG;
    m->line_start = m->headers.len;
    if (line_len > 2)
        return (ssize_t)n;
    r = begin_part(m);
    m->state = BODY;
    /* Of an empty body the delimiter's CR LF may be the one that ended the header. */
    m->matched = m->borrowed = 2;
    return r < 0 ? r : (ssize_t)n;
}

static ssize_t skip_epilogue(struct multipart *m, const char *data, size_t len)
{
    int r = take_bytes(m, data, len);

    return r < 0 ? r : (ssize_t)len;
}

int multipart_feed(struct multipart *m, const void *data, size_t len)
{
    static ssize_t (*const steps[])(struct multipart * m, const char *data, size_t len) = {
        [PREAMBLE] = search_delimiter, [BOUNDARY] = after_boundary, [DASH] = after_dash,
        [LINE_END] = at_line_end,      [HEADERS] = read_headers,    [BODY] = search_delimiter,
        [EPILOGUE] = skip_epilogue,
    };
    const char *p = data;

    while (m->error == 0 && len > 0) {
        ssize_t n = steps[m->state](m, p, len);

        if (n < 0) {
            m->error = (int)n;
            break;
        }
        p += n;
        len -= (size_t)n;
    }
    return m->error;
}

int multipart_finish(struct multipart *m)
{
    if (m->error == 0 && m->state != EPILOGUE)
        m->error = -EBADMSG;
    return m->error;
}
