#include "files/signature.h"

#include "format/format.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MATCHES(signature, head) signature_matches(signature, (const unsigned char *)(head), sizeof(head) - 1)

static void bytes_at_a_place(void **state)
{
    assert_true(MATCHES("0=OggS", "OggS and more"));
    assert_true(MATCHES("4=ftyp", "\0\0\0\x1c"
                                  "ftypM4A "));
    assert_false(MATCHES("0=OggS", "oggs"));
    assert_false(MATCHES("1=OggS", "OggS"));
}

static void what_is_too_short_does_not_match(void **state)
{
    assert_false(MATCHES("0=OggS", "Ogg"));
    assert_false(MATCHES("4=ftyp", ""));
    assert_true(MATCHES("0=OggS", "OggS"));
}

static void escapes_are_bytes(void **state)
{
    assert_true(MATCHES("0=\\x1aE\\xDF\\xa3", "\x1a\x45\xdf\xa3"));
    assert_true(MATCHES("0=\\x00\\x00\\x01", "\0\0\1"));
    assert_false(MATCHES("0=\\x00\\x00\\x01", "\0\0\2"));
    assert_true(MATCHES("0=\\x7c\\x26", "|&"));
}

static void half_a_byte_may_be_anything(void **state)
{
    assert_true(MATCHES("0=\\xd?&2=\\x?7", "\xd2x\x67"));
    assert_true(MATCHES("0=\\x??R", "xR"));
    assert_false(MATCHES("0=\\xd?", "\xc2"));
    assert_false(MATCHES("0=\\x?7", "\x68"));
    assert_false(MATCHES("3=\\x0?", "abc"));
}

static void parts_are_all_needed(void **state)
{
    assert_true(MATCHES("0=RIFF&8=WAVE", "RIFF....WAVE"));
    assert_false(MATCHES("0=RIFF&8=WAVE", "RIFF....AVI "));
    assert_false(MATCHES("0=RIFF&8=WAVE", "RIFX....WAVE"));
}

static void one_alternative_is_enough(void **state)
{
    static const char signature[] = "0=RIFF&8=WAVE|0=RF64|0=ID3";

    assert_true(MATCHES(signature, "RIFF....WAVE"));
    assert_true(MATCHES(signature, "RF64"));
    assert_true(MATCHES(signature, "ID3"));
    assert_false(MATCHES(signature, "RIFF....RF64"));
}

/* Each is parsed to its end; what is wrong with one ends the process. */
static void those_of_the_table_are_well_formed(void **state)
{
    for (size_t i = 0; i < n_formats; i++)
        if (formats[i].structure == STRUCTURE_SIGNATURE)
            assert_false(MATCHES(formats[i].marker, "nothing of the kind"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_at_a_place),
        cmocka_unit_test(what_is_too_short_does_not_match),
        cmocka_unit_test(escapes_are_bytes),
        cmocka_unit_test(half_a_byte_may_be_anything),
        cmocka_unit_test(parts_are_all_needed),
        cmocka_unit_test(one_alternative_is_enough),
        cmocka_unit_test(those_of_the_table_are_well_formed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
