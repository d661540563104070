#include "core/seal.h"

#include "core/path.h"
#include "core/str.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

enum { UNCHANGED = -1 };

struct fixture {
    char folder[32];
    int dir;
    struct seal_key *key;
    struct seal_public public;
};

static int set_up(void **state)
{
    static struct fixture f;
    char public[SEAL_PUBLIC_LEN + 1];

    strcpy(f.folder, "/tmp/decant-test-XXXXXX");
    assert_non_null(mkdtemp(f.folder));
    f.dir = open(f.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(f.dir >= 0);
    assert_int_equal(seal_key_make(f.dir, "key", (uid_t)UNCHANGED, (gid_t)UNCHANGED), 0);
    assert_int_equal(seal_key_load(f.dir, "key", &f.key), 0);
    seal_key_public(f.key, public);
    assert_int_equal(seal_public_parse(public, &f.public), 0);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    _cleanup_close_ int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    seal_key_free(f->key);
    close(f->dir);
    return path_remove_tree(tmp, strrchr(f->folder, '/') + 1);
}

static char *closed(struct fixture *f, const char *context, const char *secret)
{
    char *box = NULL;

    assert_int_equal(seal_close(&f->public, context, secret, &box), 0);
    return box;
}

static int opened(struct fixture *f, const char *context, const char *box)
{
    _cleanup_secret_ char *secret = NULL;

    return seal_open(f->key, context, box, &secret);
}

static void what_was_sealed_is_opened(void **state)
{
    struct fixture *f = *state;
    char longest[SEAL_SECRET_MAX + 2];
    const char *const secrets[] = {"", "x", "Grüße 12", longest};
    char *box;

    memset(longest, 's', sizeof longest);
    longest[SEAL_SECRET_MAX] = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(secrets); i++) {
        _cleanup_free_ char *sealed = closed(f, "a job", secrets[i]);
        _cleanup_secret_ char *secret = NULL;

        assert_int_equal(seal_open(f->key, "a job", sealed, &secret), 0);
        assert_string_equal(secret, secrets[i]);
        assert_true(!*secrets[i] || *secrets[i] == 'x' || !strstr(sealed, secrets[i]));
    }
    longest[SEAL_SECRET_MAX] = 's';
    longest[SEAL_SECRET_MAX + 1] = '\0';
    assert_int_equal(seal_close(&f->public, "a job", longest, &box), -EMSGSIZE);
    assert_int_equal(seal_close(&f->public, longest, "x", &box), -EINVAL);
}

static void boxes_tell_nothing(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *one = closed(f, "a job", "secret"), *two = closed(f, "a job", "secret");
    _cleanup_free_ char *other = closed(f, "a job", "a much longer secret than the first two");

    assert_string_not_equal(one, two);
    assert_int_equal(strlen(one), strlen(other));
    assert_int_equal(strspn(one, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
                     strlen(one));
}

static void a_box_opens_for_its_context_alone(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *box = closed(f, "job 1", "secret");

    assert_int_equal(opened(f, "job 1", box), 0);
    assert_int_equal(opened(f, "job 2", box), -EBADMSG);
    assert_int_equal(opened(f, "job", box), -EBADMSG);
    assert_int_equal(opened(f, "job 1secret", box), -EBADMSG);
    assert_int_equal(opened(f, "", box), -EBADMSG);
}

static void a_box_opens_with_its_key_alone(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *box = closed(f, "a job", "secret");
    _cleanup_secret_ char *secret = NULL;
    struct seal_key *other;

    assert_int_equal(seal_key_make(f->dir, "other", (uid_t)UNCHANGED, (gid_t)UNCHANGED), 0);
    assert_int_equal(seal_key_load(f->dir, "other", &other), 0);
    assert_int_equal(seal_open(other, "a job", box, &secret), -EBADMSG);
    seal_key_free(other);
}

static void what_is_no_box_is_refused(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *box = closed(f, "a job", "secret"), *twice = NULL;
    size_t len = strlen(box);

    for (size_t i = 0; i < len; i++) {
        char was = box[i];

        box[i] = was == 'A' ? 'B' : 'A';
        assert_int_equal(opened(f, "a job", box), -EBADMSG);
        box[i] = '\0';
        assert_int_equal(opened(f, "a job", box), -EBADMSG);
        box[i] = was;
    }
    assert_int_equal(opened(f, "a job", box), 0);
    assert_true(asprintf(&twice, "%s%s%s%s%s%s%s%s%s", box, box, box, box, box, box, box, box, box) > 0);
    assert_int_equal(opened(f, "a job", twice), -EBADMSG);
    assert_int_equal(opened(f, "a job", "{}"), -EBADMSG);
}

static void public_keys_are_64_digits(void **state)
{
    static const char good[] = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";
    struct seal_public public;
    char bad[sizeof good + 1];

    assert_int_equal(seal_public_parse(good, &public), 0);
    assert_int_equal(public.bytes[31], 0xff);
    assert_int_equal(seal_public_parse("", &public), -EINVAL);
    assert_int_equal(seal_public_parse(good + 2, &public), -EINVAL);
    snprintf(bad, sizeof bad, "%s0", good);
    assert_int_equal(seal_public_parse(bad, &public), -EINVAL);
    snprintf(bad, sizeof bad, "%s", good);
    bad[10] = 'g';
    assert_int_equal(seal_public_parse(bad, &public), -EINVAL);
}

static void a_key_is_made_once_for_its_owner(void **state)
{
    struct fixture *f = *state;
    char before[SEAL_PUBLIC_LEN + 1], after[SEAL_PUBLIC_LEN + 1];
    struct seal_key *again;
    struct stat st;

    assert_int_equal(fstatat(f->dir, "key", &st, 0), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(faccessat(f->dir, "key.new", F_OK, 0), -1);
    assert_int_equal(seal_key_make(f->dir, "key", (uid_t)UNCHANGED, (gid_t)UNCHANGED), 0);
    assert_int_equal(seal_key_load(f->dir, "key", &again), 0);
    seal_key_public(f->key, before);
    seal_key_public(again, after);
    assert_string_equal(before, after);
    seal_key_free(again);
    assert_int_equal(seal_key_make(f->dir, "missing/key", (uid_t)UNCHANGED, (gid_t)UNCHANGED), -ENOENT);
}

static void put(struct fixture *f, const char *name, const char *text, mode_t mode)
{
    _cleanup_close_ int fd = openat(f->dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
}

static void keys_that_are_none_are_refused(void **state)
{
    static const char digits[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n";
    struct fixture *f = *state;
    struct seal_key *key;

    assert_int_equal(seal_key_load(f->dir, "missing", &key), -ENOENT);
    put(f, "open", digits, 0640);
    assert_int_equal(seal_key_load(f->dir, "open", &key), -EPERM);
    put(f, "short", digits + 2, 0600);
    assert_int_equal(seal_key_load(f->dir, "short", &key), -EBADMSG);
    put(f, "empty", "", 0600);
    assert_int_equal(seal_key_load(f->dir, "empty", &key), -EBADMSG);
    put(f, "text", "no key at all\n", 0600);
    assert_int_equal(seal_key_load(f->dir, "text", &key), -EBADMSG);
    put(f, "good", digits, 0400);
    assert_int_equal(seal_key_load(f->dir, "good", &key), 0);
    seal_key_free(key);
    seal_key_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_sealed_is_opened),         cmocka_unit_test(boxes_tell_nothing),
        cmocka_unit_test(a_box_opens_for_its_context_alone), cmocka_unit_test(a_box_opens_with_its_key_alone),
        cmocka_unit_test(what_is_no_box_is_refused),         cmocka_unit_test(public_keys_are_64_digits),
        cmocka_unit_test(a_key_is_made_once_for_its_owner),  cmocka_unit_test(keys_that_are_none_are_refused),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
