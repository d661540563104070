/* Accept-Encoding with its weights, and If-None-Match. */
#include "http/negotiate.h"

#include "core/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_codings(void **state)
{
    static const struct {
        const char *header, *coding;
        unsigned q;
    } rows[] = {
        {NULL, "gzip", 0},
        {"", "gzip", 0},
        {",, ,", "gzip", 0},
        {"gzip", "gzip", 1000},
        {"GZip", "gzip", 1000},
        {"gzip, deflate, br", "br", 1000},
        {"gzip,deflate,br", "zstd", 0},
        {"gzipped, xgzip", "gzip", 0},
        {"gzip;q=0", "gzip", 0},
        {"gzip;q=0.000", "gzip", 0},
        {"gzip; q=0.5", "gzip", 500},
        {"gzip ; Q=0.123", "gzip", 123},
        {"gzip;q=0.", "gzip", 0},
        {"gzip;q=1.000", "gzip", 1000},
        {"br;q=1.0, gzip;q=0.8, *;q=0.1", "gzip", 800},
        {"br;q=1.0, gzip;q=0.8, *;q=0.1", "br", 1000},
        {"br;q=1.0, gzip;q=0.8, *;q=0.1", "identity", 100},
        {"*", "br", 1000},
        {"*;q=0", "gzip", 0},
        {"*;q=0, gzip", "gzip", 1000},
        {"gzip;q=0, *", "gzip", 0},
        /* malformed ones are not there */
        {"gzip;q=1.001", "gzip", 0},
        {"gzip;q=2", "gzip", 0},
        {"gzip;q=-1", "gzip", 0},
        {"gzip;q=0.1234", "gzip", 0},
        {"gzip;q=", "gzip", 0},
        {"gzip;level=9", "gzip", 0},
        {"gzip;q=1;q=0", "gzip", 0},
        {"gzip deflate", "gzip", 0},
        {"gzip;q=x, br", "br", 1000},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (negotiate_coding(rows[i].header, rows[i].coding) != rows[i].q)
            fail_msg("%s: %s is %u", rows[i].header, rows[i].coding,
                     negotiate_coding(rows[i].header, rows[i].coding));
}

static void test_etags(void **state)
{
    static const struct {
        const char *header;
        bool has;
    } rows[] = {
        {NULL, false},
        {"", false},
        {"\"abc\"", true},
        {"W/\"abc\"", true},
        {"*", true},
        {"\"x\", \"abc\"", true},
        {"\"x\",W/\"abc\" , \"y\"", true},
        {"\"a,b\", \"abc\"", true},
        {"\"x,\"abc\"", false}, /* "x," and what is no tag */
        {"abc", false},
        {"\"abc", false},
        {"\"abcd\"", false},
        {"\"ab\"", false},
        {"\"ABC\"", false},
        {"w/\"abc\"", false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (negotiate_has(rows[i].header, "\"abc\"") != rows[i].has)
            fail_msg("%s", rows[i].header);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_codings), cmocka_unit_test(test_etags)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
