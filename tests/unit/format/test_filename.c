#include "format/filename.h"

#include "core/str.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void expect_clean(const char *raw, const char *kept)
{
    char name[FILENAME_MAX_BYTES + 1];

    filename_clean(raw, name);
    assert_string_equal(name, kept);
}

static void test_clean(void **state)
{
    expect_clean("report.docx", "report.docx");
    expect_clean("/etc/passwd.txt", "passwd.txt");
    expect_clean("..\\..\\a.txt", "a.txt");
    expect_clean("a\r\nSet-Cookie: x.txt", "aSet-Cookie: x.txt");
    expect_clean("invoice\xe2\x80\xae"
                 "fdp.exe",
                 "invoicefdp.exe");
    expect_clean("\xc2\x85"
                 "a.txt",
                 "a.txt");
    expect_clean("\xd9\x86\xd8\xa7\xd9\x85\xd9\x87\xe2\x80\x8c\xd9\x87\xd8\xa7.pdf",
                 "\xd9\x86\xd8\xa7\xd9\x85\xd9\x87\xe2\x80\x8c\xd9\x87\xd8\xa7.pdf"); /* Persian needs its
                                                                                         non-joiner */
    expect_clean("\xff\xfe.txt", "__.txt");
    expect_clean("\xe6\x97\xa5\xff.txt", "\xe6\x97\xa5_.txt");  /* what is valid stays */
    expect_clean("\xed\xa0\xbd\xed\xb8\x80.txt", "______.txt"); /* surrogates */
    expect_clean("\xc0\xae\xc0\xae\xc0\xaf.txt", "______.txt"); /* overlong "../" */
    expect_clean(".bashrc.txt", "bashrc.txt");
    expect_clean(" .. a.txt", "a.txt");
    expect_clean("a.txt . . ", "a.txt");
    expect_clean("a.exe.", "a.exe");
    expect_clean("a.txt\xe2\x80\x8b.", "a.txt");
    expect_clean(".\xe2\x80\x8e.", "");
    expect_clean("...", "");
    expect_clean(". .", "");
    expect_clean(".docx", "docx");
    expect_clean("-rf.txt", "-rf.txt");
    expect_clean("$(id)`id`;id|id&.txt", "$(id)`id`;id|id&.txt"); /* text: no shell ever sees it */
    expect_clean("", "");
    expect_clean("dir/", "");
    expect_clean("..", "");
    expect_clean("\x01\x02", "");
}

/* What people in the world write: each name comes back as it was, in JSON and in the header. */
static void test_scripts(void **state)
{
    static const char *const names[] = {
        "\u062a\u0642\u0631\u064a\u0631 \u0633\u0646\u0648\u064a.pdf", /* Arabic */
        "\u0646\u0627\u0645\u0647\u200c\u0647\u0627.pdf",              /* Persian, with its non-joiner */
        "\u05d3\u05d5\u05d7 \u05e9\u05e0\u05ea\u05d9.pdf",             /* Hebrew */
        "\u05e9\u05c1\u05b8\u05dc\u05d5\u05b9\u05dd.pdf",              /* Hebrew with points */
        "\u5e74\u5ea6\u62a5\u544a.pdf",                                /* Han */
        "\u845b\U000e0100.pdf",                                        /* Han with a variation selector */
        "\u30d5\u30a1\u30a4\u30eb\u3000\u3072\u3089\u304c\u306a.pdf",  /* Japanese, with its blank */
        "\ubcf4\uace0\uc11c.pdf",                                      /* Hangul */
        "\u1112\u1161\u11ab.pdf", /* Hangul in pieces, as macOS sends it */
        "\u0915\u094d\u200d\u0937 \u0930\u093f\u092a\u094b\u0930\u094d\u091f.pdf", /* Devanagari, joiner */
        "\u0dc1\u0dca\u200d\u0dbb\u0dd3.pdf",                          /* Sinhala, with its joiner */
        "\u0e23\u0e32\u0e22\u0e07\u0e32\u0e19.pdf",                    /* Thai */
        "\u0f56\u0f7c\u0f51.pdf",                                      /* Tibetan */
        "\u1820\u180e\u1820.pdf",                                      /* Mongolian, with its separator */
        "\u0391\u03bd\u03b1\u03c6\u03bf\u03c1\u03ac.pdf",              /* Greek */
        "\u041e\u0442\u0447\u0451\u0442.pdf",                          /* Cyrillic */
        "\u0561\u0576\u0578\u0582\u0576.pdf",                          /* Armenian */
        "\u10d0\u10dc\u10d2\u10d0\u10e0\u10d8\u10e8\u10d8.pdf",        /* Georgian */
        "\u12a0\u121b\u122d\u129b.pdf",                                /* Ethiopic */
        "Cafe\u0301 Z\u0142oty na\u00efve \u00df.pdf",                 /* Latin, composed or not */
        "Ti\u1ebfng Vi\u1ec7t.pdf",                                    /* Vietnamese */
        "\U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f.pdf", /* emoji, joined and selected */
        "\U0001f1ea\U0001f1fa \U0001f44d\U0001f3fd.pdf",               /* a flag, a skin tone */
        "\U00012000\U0001d49c.pdf",                  /* cuneiform, mathematics: beyond the BMP */
        "a b+c=d%41&e;f,g'h\"i(1)[2]{3}~#!@$^`.pdf", /* marks */
    };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        char header[FILENAME_DISPOSITION_MAX], decoded[FILENAME_MAX_BYTES + 1], *to = decoded;

        expect_clean(names[i], names[i]);
        filename_disposition(names[i], header);
        for (const char *p = strstr(header, "filename*=UTF-8''") + 17; *p; to++) {
            unsigned byte = (unsigned char)*p;

            assert_in_range(byte, '!', '~');
            if (byte == '%')
                assert_int_equal(sscanf(p + 1, "%2x", &byte), 1);
            p += *p == '%' ? 3 : 1;
            *to = (char)byte;
        }
        *to = '\0';
        assert_string_equal(decoded, names[i]);
    }
}

/* What reorders a name or hides in it goes; all else stays. */
static void test_unseen_characters(void **state)
{
    static const char *const unseen[] = {
        "\u00ad", "\u061c", "\u200b",   "\u200e",     "\u200f",     "\u2028",     "\u2029",     "\u202a",
        "\u202b", "\u202c", "\u202d",   "\u202e",     "\u2060",     "\u2062",     "\u2066",     "\u2067",
        "\u2068", "\u2069", "\u206a",   "\u206f",     "\u3164",     "\ufeff",     "\uffa0",     "\ufff9",
        "\ufffb", "\x7f",   "\xc2\x80", "\xc2\x9f",   "\n",         "\r",         "\t",         "\x1b",
        "\x01",   "\x1f",   "\x08",     "\U0001d173", "\U000e0001", "\U000e0041", "\U000e007f",
    };

    for (size_t i = 0; i < ARRAY_SIZE(unseen); i++) {
        char raw[64];

        snprintf(raw, sizeof raw, "%sann%sex%s.p%sdf%s", unseen[i], unseen[i], unseen[i], unseen[i],
                 unseen[i]);
        expect_clean(raw, "annex.pdf");
    }
}

static void test_clean_clips_the_stem_and_keeps_the_extension(void **state)
{
    char raw[1024], name[FILENAME_MAX_BYTES + 1];

    for (size_t i = 0; i < 400; i += 2)
        memcpy(raw + i, "\xc3\xa9", 2);
    strcpy(raw + 400, ".docx");
    filename_clean(raw, name);
    assert_true(strlen(name) <= FILENAME_MAX_BYTES);
    assert_true(utf8_valid(name, strlen(name)));
    assert_string_equal(name + strlen(name) - 5, ".docx");

    memset(raw, 'x', 600);
    raw[0] = 'a';
    raw[1] = '.';
    raw[600] = '\0';
    filename_clean(raw, name);
    assert_true(strlen(name) <= FILENAME_MAX_BYTES);
}

static void expect_extension(const char *name, const char *ext, const char *result)
{
    char ret[FILENAME_MAX_BYTES + 1];

    filename_replace_extension(name, ext, ret);
    assert_string_equal(ret, result);
}

static void test_replace_extension(void **state)
{
    expect_extension("a.docx", "pdf", "a.pdf");
    expect_extension("a.b.docx", "pdf", "a.b.pdf");
    expect_extension("noext", "pdf", "noext.pdf");
    expect_extension(".hidden", "pdf", ".hidden.pdf");
    expect_extension("", "zip", ".zip");
}

static void expect_disposition(const char *name, const char *header)
{
    char ret[FILENAME_DISPOSITION_MAX];

    filename_disposition(name, ret);
    assert_string_equal(ret, header);
}

static void test_disposition(void **state)
{
    expect_disposition("a.pdf", "attachment; filename=\"a.pdf\"; filename*=UTF-8''a.pdf");
    expect_disposition(
        "a \"b\"\\%41;.pdf",
        "attachment; filename=\"a _b___41;.pdf\"; filename*=UTF-8''a%20%22b%22%5C%2541%3B.pdf");
    expect_disposition("\xe6\x97\xa5.pdf", "attachment; filename=\"_.pdf\"; filename*=UTF-8''%E6%97%A5.pdf");
}

static void test_disposition_of_the_longest_name(void **state)
{
    char name[FILENAME_MAX_BYTES + 1] = {0}, ret[FILENAME_DISPOSITION_MAX];

    for (size_t i = 0; i < FILENAME_MAX_BYTES; i += 3)
        memcpy(name + i, "\xe6\x97\xa5", 3);
    filename_disposition(name, ret);
    assert_true(str_starts(ret, "attachment; filename=\""));
    memset(name, '"', FILENAME_MAX_BYTES);
    filename_disposition(name, ret);
    assert_true(str_starts(ret, "attachment; filename=\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clean),
        cmocka_unit_test(test_scripts),
        cmocka_unit_test(test_unseen_characters),
        cmocka_unit_test(test_clean_clips_the_stem_and_keeps_the_extension),
        cmocka_unit_test(test_replace_extension),
        cmocka_unit_test(test_disposition),
        cmocka_unit_test(test_disposition_of_the_longest_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
