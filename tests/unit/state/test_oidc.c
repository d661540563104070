#include "state/oidc.h"

#include "fixture.h"

#define ID "5f0e8a52-7a0e-4f6e-9b53-0c5b1c0f3a11"

static int ask(struct fixture *f)
{
    const struct oidc_request request = {.id = ID, .code = "c", .verifier = "v", .nonce = "n"};
    struct answer a = {0};

    oidc_ask(f->r, &request, answer_on, &a);
    answer_wait(f, &a);
    return a.err;
}

static void on_request(void *arg, int err, const struct oidc_request *request)
{
    if (request) {
        assert_string_equal(request->id, ID);
        assert_string_equal(request->code, "c");
        assert_string_equal(request->verifier, "v");
        assert_string_equal(request->nonce, "n");
    }
    answer_on(arg, err, NULL);
}

static int take(struct fixture *f)
{
    struct answer a = {0};

    oidc_take_request(f->r, on_request, &a);
    answer_wait(f, &a);
    return a.err;
}

/* A code is nothing to keep: without a courier it is gone after a while. */
static void a_code_is_asked_for_once_and_expires(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(take(f), -ENOENT);
    assert_int_equal(ask(f), 0);
    assert_in_range(redis_server_int(f->server, "TTL decant:oidc:requests"), 1, 30);
    assert_int_equal(take(f), 0);
    assert_int_equal(take(f), -ENOENT);
}

/* Who waits would wait in vain. */
static void a_code_that_is_not_kept_is_told(void **state)
{
    struct fixture *f = *state;

    redis_server_do(f->server, "SET decant:oidc:requests x");
    assert_true(ask(f) < 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_code_is_asked_for_once_and_expires),
        TEST(a_code_that_is_not_kept_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
