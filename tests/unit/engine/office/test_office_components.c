#include "engine/office/components.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define COMPONENT(library)                                                                                   \
    "<component loader=\"x\" uri=\"vnd.sun.star.expand:$LO_LIB_DIR/" library "\"><a/></component>"

static void the_unwanted_are_left_out(void **state)
{
    static const char list[] = "<?xml?><components>" COMPONENT("libswlo.so") COMPONENT("libucpdav1.so")
        COMPONENT("libavmediagst.so") COMPONENT("libsclo.so") "</components>\n";
    _cleanup_buf_ struct buf out = BUF_INIT(1000);

    assert_int_equal(components_filter(list, &out), 0);
    assert_string_equal(out.data, "<?xml?><components>" COMPONENT("libswlo.so")
                                      COMPONENT("libsclo.so") "</components>\n");
}

static void an_unknown_list_is_refused(void **state)
{
    static const char *const lists[] = {
        "",
        "<components/>",
        "<components>" COMPONENT("libswlo.so") "</components>",
        "<components><component uri=\"/libucpdav1.so\">",
        "<component ",
    };

    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        _cleanup_buf_ struct buf out = BUF_INIT(1000);

        assert_int_equal(components_filter(lists[i], &out), -EBADMSG);
    }
}

static void too_long_a_list_is_an_error(void **state)
{
    _cleanup_buf_ struct buf out = BUF_INIT(10);

    assert_int_equal(components_filter(COMPONENT("libucpdav1.so") COMPONENT("libswlo.so"), &out), -EMSGSIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_unwanted_are_left_out),
        cmocka_unit_test(an_unknown_list_is_refused),
        cmocka_unit_test(too_long_a_list_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
