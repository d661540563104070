#include "auth/jwt.h"

#include "core/clock.h"
#include "core/path.h"
#include "core/str.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>

#include <cmocka.h>

enum { NOW = 1000000000 };

/* Keys take a while to make: three for all tests. */
static char *pems[3];

struct fixture {
    char folder[32];
    int dir;
};

static int read_pem(void *arg, const char *kid, const char *pem)
{
    *(char **)arg = strdup(pem);
    return 0;
}

static int make_pems(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(pems); i++) {
        EVP_PKEY *key = EVP_RSA_gen(2048);
        BIO *bio = BIO_new(BIO_s_mem());
        char *data;
        long len;

        assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
        len = BIO_get_mem_data(bio, &data);
        pems[i] = strndup(data, (size_t)len);
        BIO_free(bio);
        EVP_PKEY_free(key);
    }
    return 0;
}

static int free_pems(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(pems); i++)
        free(pems[i]);
    return 0;
}

static int set_up(void **state)
{
    static struct fixture f;

    strcpy(f.folder, "/tmp/decant-test-XXXXXX");
    assert_non_null(mkdtemp(f.folder));
    f.dir = open(f.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    _cleanup_close_ int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    close(f->dir);
    return path_remove_tree(tmp, strrchr(f->folder, '/') + 1);
}

static void write_file(struct fixture *f, const char *name, const char *text, time_t made)
{
    const struct timespec times[2] = {{.tv_sec = made}, {.tv_sec = made}};
    _cleanup_close_ int fd = openat(f->dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(futimens(fd, times), 0);
}

static struct jwt_keys *loaded(struct fixture *f)
{
    struct jwt_keys *keys = NULL;
    struct jwt_trouble trouble;

    assert_int_equal(jwt_keys_load(f->folder, &keys, &trouble), 0);
    return keys;
}

static int trouble_of(struct fixture *f, const char *file)
{
    struct jwt_keys *keys = NULL;
    struct jwt_trouble trouble;
    int r = jwt_keys_load(f->folder, &keys, &trouble);

    assert_true(r < 0);
    assert_string_equal(trouble.file, file);
    assert_non_null(trouble.why);
    return r;
}

static int copy_kid(void *arg, const char *kid, const char *pem)
{
    assert_non_null(strstr(pem, "PRIVATE KEY"));
    strcpy(arg, kid);
    return 0;
}

static void assert_signs(struct jwt_keys *keys, uint64_t now_s, const char *expected)
{
    char kid[JWT_KID_MAX + 1];

    assert_int_equal(jwt_keys_with_signing(keys, now_s, copy_kid, kid), 0);
    assert_string_equal(kid, expected);
}

static bool has(struct jwt_keys *keys, const char *kid)
{
    _cleanup_free_ char *pem = NULL;
    int r = jwt_keys_with_public(keys, kid, read_pem, &pem);

    assert_true(r == 0 || r == -ENOKEY);
    assert_true(r < 0 || (strstr(pem, "PUBLIC KEY") && !strstr(pem, "PRIVATE")));
    return r == 0;
}

/* --- */

static void a_key_is_made_that_can_be_loaded(void **state)
{
    struct fixture *f = *state;
    char kid[JWT_KID_MAX + 1], none[JWT_KID_MAX + 1], name[JWT_KID_MAX + 8];
    struct jwt_keys *keys;
    struct stat st;

    assert_int_equal(jwt_key_make(f->dir, kid), 0);
    snprintf(name, sizeof name, "%s.pem", kid);
    assert_int_equal(fstatat(f->dir, name, &st, 0), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(jwt_key_make_first(f->dir, none), 0);
    assert_string_equal(none, ""); /* there is one */
    keys = loaded(f);
    assert_signs(keys, clock_real_ms() / 1000, kid);
    assert_true(has(keys, kid));
    assert_int_equal(jwt_keys_prune(f->dir, 1), 0);
    assert_int_equal(jwt_keys_prune(f->dir, 0), 0);
    assert_int_equal(fstatat(f->dir, name, &st, 0), -1);
    jwt_keys_free(keys);
}

static void the_first_is_made_once(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *before = NULL, *after = NULL;
    char kid[JWT_KID_MAX + 1];
    struct jwt_keys *keys;

    assert_int_equal(jwt_key_make_first(f->dir, kid), 0);
    keys = loaded(f);
    assert_signs(keys, clock_real_ms() / 1000, kid);
    before = jwt_keys_public(keys);
    assert_int_equal(jwt_key_make_first(f->dir, kid), 0);
    assert_int_equal(jwt_keys_reload(keys, &(struct jwt_trouble){0}), 0);
    after = jwt_keys_public(keys);
    assert_string_equal(before, after);
    jwt_keys_free(keys);
}

/* Names say nothing of their age, where times do. */
static void the_newest_signs_when_it_has_settled(void **state)
{
    struct fixture *f = *state;
    struct jwt_keys *keys;

    write_file(f, "b.pem", pems[0], NOW - 2000);
    write_file(f, "c.pem", pems[1], NOW - 1000);
    write_file(f, "a.pem", pems[2], NOW);
    keys = loaded(f);
    assert_true(has(keys, "a") && has(keys, "b") && has(keys, "c") && !has(keys, "d"));
    assert_signs(keys, NOW, "c");
    assert_signs(keys, NOW + JWT_SETTLE_S - 1, "c");
    assert_signs(keys, NOW + JWT_SETTLE_S, "a");
    assert_signs(keys, NOW - 1900, "b"); /* none has */
    jwt_keys_free(keys);
}

static void names_decide_between_files_of_one_time(void **state)
{
    struct fixture *f = *state;
    struct jwt_keys *keys;

    write_file(f, "20260101T000000Z-b.pem", pems[0], NOW);
    write_file(f, "20260201T000000Z-a.pem", pems[1], NOW);
    keys = loaded(f);
    assert_signs(keys, NOW + JWT_SETTLE_S, "20260201T000000Z-a");
    assert_signs(keys, NOW, "20260101T000000Z-b");
    jwt_keys_free(keys);
}

static void the_oldest_go(void **state)
{
    struct fixture *f = *state;
    struct jwt_keys *keys;

    write_file(f, "a.pem", pems[0], NOW);
    write_file(f, "b.pem", pems[1], NOW - 1);
    write_file(f, "c.pem", pems[2], NOW - 2);
    write_file(f, "notes.txt", "no key", NOW - 3);
    assert_int_equal(jwt_keys_prune(f->dir, 2), 0);
    keys = loaded(f);
    assert_true(has(keys, "a") && has(keys, "b") && !has(keys, "c"));
    assert_int_equal(faccessat(f->dir, "notes.txt", F_OK, 0), 0);
    jwt_keys_free(keys);
}

/* Where we are root; else they are ours already. */
static void keys_are_given_once(void **state)
{
    struct fixture *f = *state;
    const uid_t other = geteuid() == 0 ? 4711 : geteuid();
    struct stat st;

    write_file(f, "a.pem", pems[0], NOW);
    assert_int_equal(symlinkat("/etc/passwd", f->dir, "b.txt"), 0);
    assert_int_equal(jwt_keys_give(f->dir, other, getegid()), 0);
    assert_int_equal(fstatat(f->dir, "a.pem", &st, 0), 0);
    assert_int_equal(st.st_uid, other);
    assert_int_equal(fstat(f->dir, &st), 0);
    assert_int_equal(st.st_uid, other);
    assert_int_equal(st.st_mode & 0777, 0700);
    if (geteuid() != 0)
        return;
    write_file(f, "c.pem", pems[1], NOW); /* of another, in a folder that is given */
    assert_int_equal(jwt_keys_give(f->dir, other, getegid()), 0);
    assert_int_equal(fstatat(f->dir, "c.pem", &st, 0), 0);
    assert_int_equal(st.st_uid, 0);
    assert_int_equal(linkat(f->dir, "c.pem", f->dir, "d.pem", 0), 0);
    assert_int_equal(jwt_keys_give(f->dir, 4712, getegid()), -EPERM);
}

static void others_are_loaded_while_it_runs(void **state)
{
    struct fixture *f = *state;
    const struct jwt_claims claims = {.sub = "somebody", .iat = NOW, .nbf = NOW, .exp = NOW + 600};
    struct jwt_claims read;
    struct jwt_trouble trouble;
    struct jwt_keys *keys;
    _cleanup_free_ char *old = NULL, *new = NULL;

    write_file(f, "a.pem", pems[0], NOW - 1000);
    keys = loaded(f);
    assert_int_equal(jwt_sign(keys, "decant", "decant", &claims, &old), 0);
    assert_int_equal(jwt_keys_reload(keys, &trouble), 0);

    write_file(f, "b.pem", pems[1], NOW - 900);
    assert_int_equal(jwt_keys_reload(keys, &trouble), 1);
    assert_int_equal(jwt_sign(keys, "decant", "decant", &claims, &new), 0);
    assert_int_equal(jwt_verify(keys, old, "decant", "decant", NOW, &read), JWT_GOOD);
    assert_int_equal(jwt_verify(keys, new, "decant", "decant", NOW, &read), JWT_GOOD);

    assert_int_equal(jwt_keys_prune(f->dir, 1), 0);
    assert_int_equal(jwt_keys_reload(keys, &trouble), 1);
    assert_int_equal(jwt_verify(keys, old, "decant", "decant", NOW, &read), JWT_KEY_UNKNOWN);
    assert_int_equal(jwt_verify(keys, new, "decant", "decant", NOW, &read), JWT_GOOD);

    /* what can't be used changes nothing */
    write_file(f, "c.pem", "half of a k", NOW);
    assert_int_equal(jwt_keys_reload(keys, &trouble), -EBADMSG);
    assert_string_equal(trouble.file, "c.pem");
    assert_int_equal(jwt_verify(keys, new, "decant", "decant", NOW, &read), JWT_GOOD);

    /* another key under the same name */
    write_file(f, "c.pem", pems[2], NOW);
    assert_int_equal(jwt_keys_reload(keys, &trouble), 1);
    write_file(f, "c.pem", pems[0], NOW);
    assert_int_equal(jwt_keys_reload(keys, &trouble), 1);
    jwt_keys_free(keys);
}

static char *pem_of(EVP_PKEY *key, const char *passphrase)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *data, *pem;
    long len;

    assert_int_equal(PEM_write_bio_PrivateKey(bio, key, passphrase ? EVP_aes_256_cbc() : NULL,
                                              (const unsigned char *)passphrase,
                                              passphrase ? (int)strlen(passphrase) : 0, NULL, NULL),
                     1);
    len = BIO_get_mem_data(bio, &data);
    pem = strndup(data, (size_t)len);
    BIO_free(bio);
    EVP_PKEY_free(key);
    return pem;
}

static void what_is_no_key_is_refused(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *small = pem_of(EVP_RSA_gen(1024), NULL),
                        *elliptic = pem_of(EVP_EC_gen("P-256"), NULL),
                        *locked = pem_of(EVP_RSA_gen(2048), "a passphrase");
    const char *const texts[] = {"", "no key", small, elliptic, locked};

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        write_file(f, "a.pem", texts[i], NOW);
        assert_int_equal(trouble_of(f, "a.pem"), -EBADMSG);
    }
}

static void what_others_may_read_is_refused(void **state)
{
    struct fixture *f = *state;

    write_file(f, "a.pem", pems[0], NOW);
    assert_int_equal(fchmodat(f->dir, "a.pem", 0640, 0), 0);
    assert_int_equal(trouble_of(f, "a.pem"), -EPERM);
    assert_int_equal(fchmodat(f->dir, "a.pem", 0604, 0), 0);
    assert_int_equal(trouble_of(f, "a.pem"), -EPERM);
    assert_int_equal(fchmodat(f->dir, "a.pem", 0400, 0), 0);
    jwt_keys_free(loaded(f));
}

static void a_folder_has_keys_and_not_too_many(void **state)
{
    struct fixture *f = *state;
    struct jwt_trouble trouble;
    struct jwt_keys *keys = NULL;
    char name[JWT_KID_MAX + 1];

    assert_int_equal(trouble_of(f, ""), -ENOENT);
    write_file(f, "a.pem.new", pems[0], NOW);
    write_file(f, ".pem", pems[0], NOW);
    assert_int_equal(trouble_of(f, ""), -ENOENT);
    for (int i = 0; i < JWT_KEYS_MAX; i++) {
        snprintf(name, sizeof name, "%d.pem", i);
        write_file(f, name, pems[0], NOW);
    }
    jwt_keys_free(loaded(f));
    assert_int_equal(jwt_key_make(f->dir, name), -EMFILE);
    write_file(f, "one-more.pem", pems[0], NOW);
    assert_int_equal(trouble_of(f, ""), -EMFILE);
    assert_int_equal(unlinkat(f->dir, "one-more.pem", 0), 0);
    write_file(f, "a name.pem", pems[0], NOW);
    assert_true(jwt_keys_load(f->folder, &keys, &trouble) < 0);
    assert_int_equal(jwt_keys_load("/tmp/decant-test-is-not-there", &keys, &trouble), -ENOENT);
    assert_string_equal(trouble.file, "");
}

/* RFC 7517: only what is public, and that as it is in the key. */
static void the_public_halves_are_told(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *text = NULL;
    _cleanup_json_ json_t *set = NULL;
    const json_t *keys, *key;
    struct jwt_keys *loaded_keys;
    size_t i;

    write_file(f, "a.pem", pems[0], NOW - 1);
    write_file(f, "b.pem", pems[1], NOW);
    loaded_keys = loaded(f);
    text = jwt_keys_public(loaded_keys);
    set = json_loads(text, 0, NULL);
    keys = json_object_get(set, "keys");
    assert_int_equal(json_array_size(keys), 2);
    json_array_foreach(keys, i, key)
    {
        assert_int_equal(json_object_size(key), 6);
        assert_string_equal(json_string_value(json_object_get(key, "kty")), "RSA");
        assert_string_equal(json_string_value(json_object_get(key, "use")), "sig");
        assert_string_equal(json_string_value(json_object_get(key, "alg")), "RS256");
        assert_string_equal(json_string_value(json_object_get(key, "kid")), i == 0 ? "b" : "a");
        assert_string_equal(json_string_value(json_object_get(key, "e")), "AQAB");
        assert_int_equal(json_string_length(json_object_get(key, "n")), 342); /* 256 bytes, the first not 0 */
    }
    jwt_keys_free(loaded_keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_key_is_made_that_can_be_loaded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_first_is_made_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_newest_signs_when_it_has_settled, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_decide_between_files_of_one_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_oldest_go, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_are_given_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(others_are_loaded_while_it_runs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_key_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_others_may_read_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_folder_has_keys_and_not_too_many, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_public_halves_are_told, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, make_pems, free_pems);
}
