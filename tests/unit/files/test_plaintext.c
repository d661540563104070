#include "files/plaintext.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct sample {
    const char *data;
    size_t len;
};
#define SAMPLE(text)                                                                                         \
    {                                                                                                        \
        text, sizeof text - 1                                                                                \
    }

static void texts_are_texts(void **state)
{
    static const struct sample texts[] = {
        SAMPLE(""),
        SAMPLE("a"),
        SAMPLE("Zwölf Boxkämpfer\r\n\tjagen\f"),
        SAMPLE("\xef\xbb\xbf mark"),
        SAMPLE("caf\xe9 \x93quoted\x94"),   /* Windows-1252 */
        SAMPLE("\x83\x65\x83\x58\x83\x67"), /* Shift JIS */
        SAMPLE("\x1b$B%F%9%H\x1b(B"),       /* ISO-2022-JP */
        SAMPLE("from DOS\r\n\x1a"),         /* with its end-of-file mark */
        SAMPLE("\xff\xfeh\0i\0"),           /* UTF-16, both ways */
        SAMPLE("\xfe\xff\0h\0i"),
        SAMPLE("\xff\xfe\x3d\xd8\x00\xde"), /* with a surrogate pair */
    };

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        assert_true(plaintext_valid(texts[i].data, texts[i].len, true));
}

static void binaries_are_not(void **state)
{
    static const struct sample binaries[] = {
        SAMPLE("\0"),
        SAMPLE("\x7f"
               "ELF\x02\x01\x01"),
        SAMPLE("\x89PNG\r\n\x1a\n"),
        SAMPLE("PK\x03\x04"),
        SAMPLE("h\0i\0"),           /* UTF-16 without its mark */
        SAMPLE("\xff\xfeh\0i"),     /* cut */
        SAMPLE("\xff\xfe\0\0"),     /* a NUL */
        SAMPLE("\xff\xfe\x00\xde"), /* half a pair, the second */
        SAMPLE("\xff\xfe\x3d\xd8"), /* the first */
        SAMPLE("\xff\xfe\x3d\xd8h\0"),
    };

    for (size_t i = 0; i < ARRAY_SIZE(binaries); i++)
        assert_false(plaintext_valid(binaries[i].data, binaries[i].len, true));
}

static void a_beginning_may_be_cut_anywhere(void **state)
{
    assert_true(plaintext_valid("\xff\xfeh\0i", 5, false));
    assert_true(plaintext_valid("\xff\xfe\x3d\xd8", 4, false));
    assert_false(plaintext_valid("dos\x1a", 4, false));
}

static bool has(const char *data, const char *markers)
{
    return plaintext_has_attribute(data, strlen(data), markers);
}

static void attributes_are_found_between_quotes(void **state)
{
    assert_true(has("<a t=\"x/y\"/>", "x/y"));
    assert_true(has("<a t='x/y'/>", "x/y"));
    assert_true(has("<a t='x/y'/>", "z|x/y"));
    assert_true(has("x/y 'x/y'", "x/y"));
    assert_false(has("<a t=\"x/y-template\"/>", "x/y"));
    assert_false(has("<a t=\"x/y'/>", "x/y"));
    assert_false(has("x/y", "x/y"));
    assert_false(has("\"x/y", "x/y"));
    assert_false(has("", "x/y"));
}

static bool svg(const char *data)
{
    return plaintext_has_root(data, strlen(data), "svg");
}

static void svg_is_told_by_its_root(void **state)
{
    assert_true(svg("<svg/>"));
    assert_true(svg("\xef\xbb\xbf<?xml version=\"1.0\"?>\n<!-- a > b -->\n<svg xmlns=\"…\">"));
    assert_true(svg("<s:svg xmlns:s=\"http://www.w3.org/2000/svg\">"));
    assert_true(svg("<!DOCTYPE svg PUBLIC \"-//W3C//DTD SVG 1.1//EN\" \"…svg11.dtd\"><svg>"));
    assert_false(svg(""));
    assert_false(svg("svg"));
    assert_false(svg("<svg"));
    assert_false(svg("<svgz>"));
    assert_false(svg("<html><svg/></html>"));
    assert_false(svg("<!-- <svg/> -->"));
    assert_false(svg("<!-- <svg/>"));
    assert_false(svg("<?xml <svg/>"));
    assert_false(svg("text <svg/>"));
}

static void svg_that_declares_entities_is_refused(void **state)
{
    assert_false(svg("<!DOCTYPE svg [<!ENTITY a \"b\">]><svg/>"));
    assert_false(svg("<!DOCTYPE svg SYSTEM 'x' [\n<!ENTITY a SYSTEM 'file:///etc/passwd'>]><svg>&a;</svg>"));
    assert_false(svg("<!DOCTYPE a SYSTEM '>' [<!ENTITY a \"b\">]><svg/>"));
}

static enum plaintext_prolog prolog(const char *data)
{
    return plaintext_prolog(data, strlen(data), NULL);
}

static void prologs_are_told_apart(void **state)
{
    assert_int_equal(prolog("<a/>"), PROLOG_ROOT);
    assert_int_equal(prolog(" <?xml?><!-- [ --><!DOCTYPE html><p>"), PROLOG_ROOT);
    assert_int_equal(prolog("<!DOCTYPE a PUBLIC '[>' \">[\"><a/>"), PROLOG_ROOT);
    assert_int_equal(prolog("<!DOCTYPE a SYSTEM '>' [<!ENTITY b 'c'>]><a/>"), PROLOG_SUBSET);
    assert_int_equal(prolog("\xef\xbb\xbf<!DOCTYPE a["), PROLOG_SUBSET);
    assert_int_equal(prolog(""), PROLOG_UNENDED);
    assert_int_equal(prolog("<"), PROLOG_UNENDED);
    assert_int_equal(prolog("<!-- <a/>"), PROLOG_UNENDED);
    assert_int_equal(prolog("<!DOCTYPE a SYSTEM 'x><a/>"), PROLOG_UNENDED);
    assert_int_equal(prolog("x<a/>"), PROLOG_OTHER);
    assert_int_equal(prolog("<!DOCTYP"), PROLOG_UNENDED);
    assert_int_equal(prolog("<!-"), PROLOG_UNENDED);
    assert_int_equal(prolog("<!doctype html><p>"), PROLOG_ROOT);
    assert_int_equal(plaintext_prolog("\xfe\xff\0<\0!\0D\0O\0C\0T\0Y\0P\0E\0[", 22, NULL), PROLOG_SUBSET);
    assert_int_equal(plaintext_prolog("<\0!\0D\0O\0C\0T\0Y\0P\0E\0[\0", 20, NULL), PROLOG_SUBSET);
    /* What is encrypted may begin with anything. */
    assert_int_equal(prolog("<!\x9e[\xb3"), PROLOG_OTHER);
    assert_int_equal(prolog("<?\x9e\x01\xb3<"), PROLOG_OTHER);
    assert_int_equal(prolog("<?\x9e\x01\xb3?><a/>"), PROLOG_OTHER);
    assert_int_equal(prolog("<!DOCTYPE \x01["), PROLOG_OTHER);
    assert_int_equal(prolog("<a\x01"), PROLOG_ROOT);
    assert_int_equal(plaintext_prolog("\0<\x9e<\xb3\xa5", 6, NULL), PROLOG_ROOT);
    assert_int_equal(plaintext_prolog("<?\0", 3, NULL), PROLOG_OTHER);
    assert_int_equal(plaintext_prolog("<\0a\0", 4, NULL), PROLOG_ROOT);
    assert_int_equal(plaintext_prolog("\xff\xfe\x00\x3c", 4, NULL), PROLOG_OTHER); /* U+3C00 */
}

static void references_out_of_an_svg_are_seen(void **state)
{
    static const char *const outside[] = {
        "<svg><image href='a.png'/></svg>",
        "<svg><image xlink:href=\"http://example.org/\"/></svg>",
        "<svg><image width='1' x = '2' href = ' /etc/passwd'/></svg>",
        "<svg><image href='&#102;ile:///x'/></svg>",
        "<svg><use href='other.svg#a'/></svg>",
        "<svg><rect style='fill:url(x#a)'/></svg>",
        "<svg><rect fill='URL( &quot;x&quot; )'/></svg>",
        "<svg><style>@import 'x';</style></svg>",
        "<svg><style type='text/css'><![CDATA[a { src: url('//h/f') }]]></style></svg>",
        "<?xml-stylesheet href='a.css'?><svg/>",
        "<svg><iframe src='a.html'/></svg>",
    };
    static const char *const inside[] = {
        "<svg/>",
        "<svg><!-- <image href='a.png'/> --></svg>",
        "<svg><a href='http://example.org/'><text>url(x) @import</text></a></svg>",
        "<svg><use xlink:href='#a'/><image href='data:image/png;base64,AA'/><image href=''/></svg>",
        "<svg><rect style='fill:url(#a)' fill='url(&quot;#a&quot;)' stroke=\"url('#a')\"/></svg>",
        "<svg><style>a { fill: url(#a) }</style></svg>",
        "<svg><metadata><rdf:li rdf:resource='http://example.org/'/></metadata></svg>",
        "<svg sodipodi:absref='/home/a.png' inkscape:export-filename='/a.png'/>",
        "<svg><image href='a.png",
        "<svg><image href=a.png>",
        "<",
        "",
    };

    for (size_t i = 0; i < ARRAY_SIZE(outside); i++)
        assert_true(plaintext_svg_refers_outside(outside[i], strlen(outside[i])));
    for (size_t i = 0; i < ARRAY_SIZE(inside); i++)
        assert_false(plaintext_svg_refers_outside(inside[i], strlen(inside[i])));
}

static bool has_line(const char *text, const char *patterns)
{
    return plaintext_has_line(text, strlen(text), patterns);
}

static void lines_are_like_their_pattern(void **state)
{
    static const char times[] = "9:9:9,9 --> 9:9:9";

    assert_true(has_line("1\n00:00:01,500 --> 00:00:02,000\nx\n", times));
    assert_true(has_line("1\r\n  0:0:1,5-->0:0:2", times));
    assert_true(has_line("\xef\xbb\xbf[00:01.5]la", "[9:9:9]|[9:9.9]"));
    assert_true(has_line("a\rb\r[1][2]c", "[9][9]"));
    assert_true(has_line("{sync}\n<SYNC start=1>", "<sync"));
    assert_false(has_line("00:00:01,500 -> 00:00:02,000", times));
    assert_false(has_line("at 00:00:01,500 --> 00:00:02,000", times));
    assert_false(has_line("00:00:01,500 --> 00:00:", times));
    assert_false(has_line("::1,5 --> 0:0:2", times));
    assert_false(has_line("", times));
    assert_false(has_line("\n\n", "9"));
}

static void a_pattern_may_want_the_first_line(void **state)
{
    static const char utf16[] = "\xff\xfeW\0E\0B\0V\0T\0T\0\n\0\x42\x04\n";

    assert_true(has_line("\xef\xbb\xbf\n \nWEBVTT\n", "^WEBVTT"));
    assert_true(has_line("x\ny", "^a|y"));
    assert_true(plaintext_has_line(utf16, sizeof utf16 - 1, "^WEBVTT"));
    assert_false(has_line("x\nWEBVTT", "^WEBVTT"));
    assert_false(has_line("x\ny", "^a|^y"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_texts),
        cmocka_unit_test(binaries_are_not),
        cmocka_unit_test(a_beginning_may_be_cut_anywhere),
        cmocka_unit_test(attributes_are_found_between_quotes),
        cmocka_unit_test(svg_is_told_by_its_root),
        cmocka_unit_test(prologs_are_told_apart),
        cmocka_unit_test(references_out_of_an_svg_are_seen),
        cmocka_unit_test(svg_that_declares_entities_is_refused),
        cmocka_unit_test(lines_are_like_their_pattern),
        cmocka_unit_test(a_pattern_may_want_the_first_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
