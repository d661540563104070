/* Every body is fed whole, byte by byte and in all two-piece splits; the events must be the same. */
#include "http/multipart.h"

#include "core/buf.h"
#include "core/str.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <errno.h>

#define TYPE "multipart/form-data; boundary=b"

/* --- events as text: [name|filename|type]data. */

struct record {
    struct buf text;
    size_t data_calls;
    int fail_with;
};

static int on_begin(void *arg, const struct multipart_part *part)
{
    struct record *record = arg;

    if (record->fail_with && str_eq(part->name, "fail"))
        return record->fail_with;
    return buf_printf(&record->text, "[%s|%s|%s]", part->name, part->filename ? part->filename : "-",
                      part->content_type ? part->content_type : "-");
}

static int on_data(void *arg, const void *data, size_t len)
{
    struct record *record = arg;

    assert_true(len > 0);
    record->data_calls++;
    return buf_append(&record->text, data, len);
}

static int on_end(void *arg)
{
    struct record *record = arg;

    return buf_append(&record->text, ".", 1);
}

static const struct multipart_events events = {.begin = on_begin, .data = on_data, .end = on_end};

/* Feeds the body in pieces: `first` bytes, then `step` at a time. */
static int parse(const char *type, const char *body, size_t len, size_t first, size_t step,
                 struct record *record)
{
    struct multipart *m;
    int r = multipart_new(type, &events, record, &m);

    assert_int_equal(r, 0);
    for (size_t at = 0, n = first; at < len; at += n, n = step) {
        if (n > len - at)
            n = len - at;
        /* A copy of exact size: ASan sees reads past its end. */
        char *piece = malloc(n);

        memcpy(piece, body + at, n);
        r = multipart_feed(m, piece, n);
        free(piece);
        if (r < 0) {
            assert_int_equal(multipart_feed(m, "x", 1), r);
            break;
        }
    }
    assert_int_equal(r, r < 0 ? multipart_finish(m) : r);
    if (r == 0)
        r = multipart_finish(m);
    multipart_free(m);
    return r;
}

static void check_n(const char *type, const char *body, size_t len, int want, const char *text)
{
    for (size_t first = 0; first <= len; first++) {
        /* 0 stands for byte by byte. */
        struct record record = {.text = BUF_INIT(1 << 20)};
        int r = parse(type, body, len, first ? first : 1, first ? len : 1, &record);

        if (r != want)
            fail_msg("%d instead of %d, split at %zu: %s", r, want, first, body);
        if (text)
            assert_string_equal(record.text.data ? record.text.data : "", text);
        buf_free(&record.text);
    }
}

static void check(const char *body, int want, const char *text)
{
    check_n(TYPE, body, strlen(body), want, text);
}

#define PART(headers, data) "--b\r\n" headers "\r\n\r\n" data "\r\n"
#define FIELD(name, data)   PART("Content-Disposition: form-data; name=\"" name "\"", data)

static void test_plain(void **state)
{
    check("--b--", 0, "");
    check("--b--\r\n", 0, "");
    check(FIELD("a", "1") "--b--\r\n", 0, "[a|-|-]1.");
    check(FIELD("a", "1") FIELD("b", "") FIELD("c", "\r\n") "--b--", 0, "[a|-|-]1.[b|-|-].[c|-|-]\r\n.");
    check(PART("Content-Disposition: form-data; name=\"f\"; filename=\"x.txt\"\r\nContent-Type: text/plain",
               "hello") "--b--",
          0, "[f|x.txt|text/plain]hello.");
    check(PART("content-type:text/plain \r\nX-Other: y\r\nCONTENT-DISPOSITION:Form-Data;name=f;FILENAME=x",
               "hello") "--b--",
          0, "[f|x|text/plain]hello.");
    check(PART("Content-Disposition: form-data; name=f\r\nContent-Transfer-Encoding: BINARY", "x") "--b--", 0,
          "[f|-|-]x.");
}

static void test_preamble_and_epilogue(void **state)
{
    check("this is\r\nignored --b \r\n" FIELD("a", "1") "--b--\r\nand this\r\n--b\r\n", 0, "[a|-|-]1.");
    check("\r\n" FIELD("a", "1") "--b--", 0, "[a|-|-]1.");
    check("--b \t\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--b--", 0, "[a|-|-]1.");
}

static void test_almost_boundaries(void **state)
{
    check(FIELD("a", "\r\n-\r\n--\r\n-b\r\r\n--\n--b\r--b") "--b--", 0,
          "[a|-|-]\r\n-\r\n--\r\n-b\r\r\n--\n--b\r--b.");
    check(FIELD("a", "\r") "--b--", 0, "[a|-|-]\r.");
    check(FIELD("a", "\r\n--") "--b--", 0, "[a|-|-]\r\n--.");
    check(FIELD("a", "--a") "--b--", 0, "[a|-|-]--a.");
    check(FIELD("a", "-") "--b--", 0, "[a|-|-]-.");
    /* The CR LF that ends the header begins the delimiter: an empty part. */
    check("--b\r\nContent-Disposition: form-data; name=a\r\n\r\n--b--", 0, "[a|-|-].");
}

static void test_long_boundary(void **state)
{
    static const char boundary[] = "0123456789'()+_,-./:=?0123456789012345678901234567890123456789abcdefgh";
    char type[200], body[1000], text[200];

    assert_int_equal(strlen(boundary), 70);
    snprintf(type, sizeof type, "Multipart/Form-Data ; charset=x; Boundary=\"%s\"", boundary);
    snprintf(body, sizeof body,
             "--%s\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--%.69s\r\n--%s--\r\n", boundary,
             boundary, boundary);
    snprintf(text, sizeof text, "[a|-|-]1\r\n--%.69s.", boundary);
    check_n(type, body, strlen(body), 0, text);
}

static void test_binary(void **state)
{
    static const char body[] = FIELD("a", "x\0y\xff\r\n\0--b") "--b--";
    struct record record = {.text = BUF_INIT(1000)};

    check_n(TYPE, body, sizeof body - 1, 0, NULL);
    assert_int_equal(parse(TYPE, body, sizeof body - 1, 1, 1, &record), 0);
    assert_int_equal(record.text.len, 7 + 10 + 1);
    assert_memory_equal(record.text.data, "[a|-|-]x\0y\xff\r\n\0--b.", 18);
    buf_free(&record.text);
}

static void test_names(void **state)
{
#define NAMED(filename) PART("Content-Disposition: form-data; name=\"f\"; filename=" filename, "") "--b--"
    check(NAMED("\"a%22b.txt\""), 0, "[f|a\"b.txt|-].");
    check(NAMED("\"a\\\"b.txt\""), 0, "[f|a\"b.txt|-].");
    check(NAMED("\"a\\\\b.txt\""), 0, "[f|a\\b.txt|-].");
    check(NAMED("\"C:\\dir\\x.txt\""), 0, "[f|C:\\dir\\x.txt|-].");
    check(NAMED("\"%0d%0A%20%\""), 0, "[f|\r\n%20%|-].");
    check(NAMED("\"\xc3\xa4\xe6\x97\xa5.txt\""), 0, "[f|\xc3\xa4\xe6\x97\xa5.txt|-].");
    check(NAMED("\"a;b=c\""), 0, "[f|a;b=c|-].");
    check(NAMED("\"\""), 0, "[f||-].");
    check(NAMED("\"a\" ; filename*=UTF-8''b;"), 0, "[f|a|-].");
#define EXTENDED(value) PART("Content-Disposition: form-data; name=\"f\"; filename*=" value, "") "--b--"
    check(EXTENDED("UTF-8''%e6%97%A5%20a.txt"), 0, "[f|\xe6\x97\xa5 a.txt|-].");
    check(EXTENDED("utf-8'en'b.txt"), 0, "[f|b.txt|-].");
    check(EXTENDED("ISO-8859-1''%e4.txt"), -EBADMSG, "");
    check(EXTENDED("UTF-8'b.txt"), -EBADMSG, "");
    check(EXTENDED("UTF-8''%0"), -EBADMSG, "");
    check(EXTENDED("UTF-8''%zz"), -EBADMSG, "");
    check(EXTENDED("UTF-8''a%00.txt"), -EBADMSG, "");
    check(NAMED("\"a"), -EBADMSG, "");
    check(NAMED("\"a\\\""), -EBADMSG, "");
    check(NAMED("a b"), -EBADMSG, "");
    check(NAMED("a; filename=b"), -EBADMSG, "");
    check(NAMED("\"a\"b"), -EBADMSG, "");
    check(NAMED(""), -EBADMSG, "");
}

static void test_malformed(void **state)
{
    check("", -EBADMSG, "");
    check("--b", -EBADMSG, "");
    check("--b-", -EBADMSG, "");
    check("--b\r\n", -EBADMSG, "");
    check("--bx\r\n", -EBADMSG, "");
    check("--b\n", -EBADMSG, "");
    check("--b\rx", -EBADMSG, "");
    check("--b --\r\n", -EBADMSG, "");
    check("--b-x", -EBADMSG, "");
    check("no boundary", -EBADMSG, "");
    check("--b\r\n\r\nx\r\n--b--", -EBADMSG, "");
    check("--b\r\nContent-Disposition: form-data; name=a\n\nx\r\n--b--", -EBADMSG, "");
    check(FIELD("a", "1"), -EBADMSG, NULL);
    check("--b\r\nContent-Disposition: form-data; name=a\r\n\r\n1", -EBADMSG, NULL);
    check(PART("Content-Disposition: form-data", "1") "--b--", -EBADMSG, "");
    check(PART("Content-Disposition: form-data; filename=a", "1") "--b--", -EBADMSG, "");
    check(PART("Content-Disposition: attachment; name=a", "1") "--b--", -EBADMSG, "");
    check(PART("Content-Disposition: form-database; name=a", "1") "--b--", -EBADMSG, "");
    check(PART("Content-Type: text/plain", "1") "--b--", -EBADMSG, "");
    check(PART("Content-Disposition: form-data; name=a; name=b", "1") "--b--", -EBADMSG, "");
    check(
        PART("Content-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=b", "1") "--b--",
        -EBADMSG, "");
    check(PART("Content-Disposition: form-data; name=a\r\n folded", "1") "--b--", -EBADMSG, "");
    check(PART("Content-Disposition: form-data; name=a\r\nno colon", "1") "--b--", -EBADMSG, "");
    check(PART("Content-Disposition: form-data; name=a\r\nbad name: x", "1") "--b--", -EBADMSG, "");
    check(PART("Content-Disposition: form-data; name=a\r\nX: a\rb", "1") "--b--", -EBADMSG, "");
    check(PART("Content-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: base64", "1") "--b--",
          -EBADMSG, "");
    check(PART("Content-Disposition: form-data; name=a\r\nContent-Type: multipart/mixed; boundary=c",
               "1") "--b--",
          -EBADMSG, "");

    static const char nul[] = PART("Content-Disposition: form-data; name=\"a\0b\"", "1") "--b--";

    check_n(TYPE, nul, sizeof nul - 1, -EBADMSG, "");
}

/* A body made of `n` copies of `piece` between two ends; in one piece and byte by byte. */
static int parse_repeated(const char *before, const char *piece, size_t n, const char *after)
{
    struct buf body = BUF_INIT(16 << 20);
    int r[2];

    buf_append_str(&body, before);
    for (size_t i = 0; i < n; i++)
        buf_append_str(&body, piece);
    buf_append_str(&body, after);
    assert_int_equal(buf_error(&body), 0);
    for (int i = 0; i < 2; i++) {
        struct record record = {.text = BUF_INIT(16 << 20)};

        r[i] = parse(TYPE, body.data, body.len, i ? 1 : body.len, 1, &record);
        buf_free(&record.text);
    }
    buf_free(&body);
    assert_int_equal(r[0], r[1]);
    return r[0];
}

static void test_limits(void **state)
{
    assert_int_equal(parse_repeated("", FIELD("a", "1"), 1000, "--b--"), 0);
    assert_int_equal(parse_repeated("", FIELD("a", "1"), 1001, "--b--"), -EMSGSIZE);
    assert_int_equal(parse_repeated("--b\r\nContent-Disposition: form-data; name=a\r\nX: ", "x", 8000,
                                    "\r\n\r\n1\r\n--b--"),
                     0);
    assert_int_equal(parse_repeated("--b\r\nContent-Disposition: form-data; name=a\r\nX: ", "x", 8192,
                                    "\r\n\r\n1\r\n--b--"),
                     -EMSGSIZE);
    assert_int_equal(parse_repeated("", "x", 16000, "\r\n--b--"), 0);
    assert_int_equal(parse_repeated("", "x", 17000, "\r\n--b--"), -EMSGSIZE);
    assert_int_equal(parse_repeated("--b--", "x", 16000, ""), 0);
    assert_int_equal(parse_repeated("--b--", "x", 17000, ""), -EMSGSIZE);
}

/* Data comes in large pieces, however many CRs it has. */
static void test_large_pieces(void **state)
{
    struct buf body = BUF_INIT(4 << 20);
    struct record record = {.text = BUF_INIT(4 << 20)};

    buf_append_str(&body, "--b\r\nContent-Disposition: form-data; name=a\r\n\r\n");
    for (int i = 0; i < 200000; i++)
        buf_append_str(&body, "\r\n\r-");
    buf_append_str(&body, "\r\n--b--");
    assert_int_equal(parse(TYPE, body.data, body.len, 65536, 65536, &record), 0);
    assert_int_equal(record.text.len, 7 + 800000 + 1);
    assert_true(record.data_calls <= 2 * (body.len / 65536 + 1));
    buf_free(&body);
    buf_free(&record.text);
}

static void test_event_stops(void **state)
{
    struct record record = {.text = BUF_INIT(1000), .fail_with = -ENOSPC};
    static const char body[] = FIELD("a", "1") FIELD("fail", "2") FIELD("c", "3") "--b--";

    assert_int_equal(parse(TYPE, body, sizeof body - 1, 7, 7, &record), -ENOSPC);
    assert_string_equal(record.text.data, "[a|-|-]1.");
    buf_free(&record.text);
}

static void test_content_types(void **state)
{
    static const char *const bad[] = {
        NULL,
        "",
        "application/json",
        "multipart/mixed; boundary=b",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\"\"",
        "multipart/form-data; boundary=\"b",
        "multipart/form-data; boundary=\"b \"",
        "multipart/form-data; boundary=\"b\r\n\"",
        "multipart/form-data; boundary=b; boundary=c",
        "multipart/form-data boundary=b",
    };
    struct multipart *m = NULL;
    char too_long[200];

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(multipart_new(bad[i], &events, NULL, &m), -EINVAL);
    snprintf(too_long, sizeof too_long, "multipart/form-data; boundary=%071d", 0);
    assert_int_equal(multipart_new(too_long, &events, NULL, &m), -EINVAL);
    multipart_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_preamble_and_epilogue),
        cmocka_unit_test(test_almost_boundaries),
        cmocka_unit_test(test_long_boundary),
        cmocka_unit_test(test_binary),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_large_pieces),
        cmocka_unit_test(test_event_stops),
        cmocka_unit_test(test_content_types),
    };

    return cmocka_run_group_tests_name("multipart", tests, NULL, NULL);
}
