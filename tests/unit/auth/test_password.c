#include "auth/password.h"

#include <errno.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include <cmocka.h>

static void test_hash_and_verify(void **state)
{
    char hash[PASSWORD_HASH_MAX], again[PASSWORD_HASH_MAX];

    assert_int_equal(password_hash("correct horse", hash), 0);
    assert_memory_equal(hash, "$argon2id$v=19$m=65536,t=2,p=1$", 31);
    assert_int_equal(password_hash("correct horse", again), 0);
    assert_string_not_equal(hash, again);
    assert_int_equal(password_verify(hash, "correct horse"), 0);
    assert_int_equal(password_verify(hash, "correct horsf"), -EACCES);
    assert_int_equal(password_verify(hash, ""), -EACCES);
    assert_int_equal(password_verify("", "correct horse"), -EACCES);
    assert_int_equal(password_verify("", ""), -EACCES);
    assert_false(password_needs_rehash(hash));
}

static void test_refusals(void **state)
{
    char hash[PASSWORD_HASH_MAX], longest[PASSWORD_BYTES_MAX + 2];

    assert_int_equal(password_hash("123456789", hash), -EINVAL);
    assert_int_equal(password_hash("12345678\xc3\xa4", hash), -EINVAL); /* ten bytes, nine characters */
    assert_int_equal(password_hash("123456789\xff", hash), -EINVAL);
    assert_null(password_refusal("123456789\xc3\xa4"));
    memset(longest, 'x', sizeof longest);
    longest[PASSWORD_BYTES_MAX] = '\0';
    assert_int_equal(password_hash(longest, hash), 0);
    assert_int_equal(password_verify(hash, longest), 0);
    longest[PASSWORD_BYTES_MAX] = 'x';
    longest[PASSWORD_BYTES_MAX + 1] = '\0';
    assert_int_equal(password_hash(longest, hash), -EINVAL);
    assert_int_equal(password_verify(hash, longest), -EACCES);
}

/* One of weaker parameters is still good, and told. */
static void test_older(void **state)
{
    char hash[PASSWORD_HASH_MAX];

    assert_int_equal(crypto_pwhash_str(hash, "correct horse", 13, crypto_pwhash_OPSLIMIT_MIN, 1 << 20), 0);
    assert_int_equal(password_verify(hash, "correct horse"), 0);
    assert_true(password_needs_rehash(hash));
}

#if !defined(__SANITIZE_ADDRESS__) /* which needs address space without bounds */
/* That nobody knows must not look like a wrong password. */
static void test_without_memory(void **state)
{
    struct rlimit before, little = {.rlim_cur = 32 << 20};
    char hash[PASSWORD_HASH_MAX];
    int wrong, none, made;

    assert_int_equal(password_hash("correct horse", hash), 0);
    getrlimit(RLIMIT_AS, &before);
    little.rlim_max = before.rlim_max;
    setrlimit(RLIMIT_AS, &little);
    wrong = password_verify(hash, "correct horse");
    none = password_verify("", "correct horse");
    made = password_hash("correct horse", hash);
    setrlimit(RLIMIT_AS, &before);
    assert_int_equal(wrong, -ENOMEM);
    assert_int_equal(none, -ENOMEM);
    assert_int_equal(made, -ENOMEM);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash_and_verify),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_older),
#if !defined(__SANITIZE_ADDRESS__)
        cmocka_unit_test(test_without_memory),
#endif
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
