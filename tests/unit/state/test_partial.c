/* Uploads that come in pieces, as Redis knows them. */
#include "fixture.h"

#include "core/clock.h"
#include "core/str.h"
#include "state/partial.h"

enum { LENGTH = 1000 };

struct known {
    struct fixture *f;
    struct session session;
    char id[ID_UUID_LEN + 1];
};

struct found {
    bool done;
    int err;
    uint64_t length, expires_ms, proved;
    char filename[64], code[32], detail[64];
};

static void on_created(void *arg, int err, uint64_t expires_ms)
{
    struct found *found = arg;

    *found = (struct found){.done = true, .err = err, .expires_ms = expires_ms};
}

static struct found announce(struct known *k, uint64_t ttl_ms, uint64_t length, const struct job_quota *quota)
{
    struct found found = {0};

    id_uuid(k->id);
    partial_create(k->f->r,
                   &(struct partial){.session_id = k->session.id,
                                     .id = k->id,
                                     .filename = "a b.png",
                                     .format = "png",
                                     .stored_path = "somewhere",
                                     .metadata = "filename x",
                                     .created_at = "now",
                                     .length = length,
                                     .expires_ms = clock_real_ms() + ttl_ms},
                   quota, on_created, &found);
    assert_true(loop_until(&k->f->loop, &found.done, 10000));
    return found;
}

static const struct job_quota plenty = {.jobs = 10, .session_bytes = 1 << 20, .all_bytes = 1 << 20};

static struct known know(void **state)
{
    struct known k = {.f = *state};

    assert_int_equal(do_session_create(k.f, 100, &k.session), 0);
    assert_int_equal(announce(&k, 50000, LENGTH, &plenty).err, 0);
    return k;
}

static void on_found(void *arg, int err, const struct partial *p)
{
    struct found *found = arg;

    *found = (struct found){
        .done = true, .err = err, .length = p->length, .expires_ms = p->expires_ms, .proved = p->proved};
    snprintf(found->filename, sizeof found->filename, "%s", p->filename ? p->filename : "");
    snprintf(found->code, sizeof found->code, "%s", p->code ? p->code : "");
    snprintf(found->detail, sizeof found->detail, "%s", p->detail ? p->detail : "");
}

static struct found find_for(struct known *k, const char *session_id, const char *id)
{
    struct found found = {0};

    partial_find(k->f->r, session_id, id, NULL, on_found, &found);
    assert_true(loop_until(&k->f->loop, &found.done, 10000));
    return found;
}

static struct found find(struct known *k)
{
    return find_for(k, k->session.id, k->id);
}

static int end(struct known *k, const char *code, const char *detail)
{
    struct answer a = {0};

    partial_end(k->f->r, k->session.id, k->id, LENGTH, code, detail, answer_on, &a);
    answer_wait(k->f, &a);
    return a.err;
}

static int prove(struct known *k, uint64_t proved)
{
    struct answer a = {0};

    partial_set_proved(k->f->r, k->session.id, k->id, proved, answer_on, &a);
    answer_wait(k->f, &a);
    return a.err;
}

static void assert_stored(struct known *k, const char *bytes)
{
    assert_string_equal(redis_server_str(k->f->server, "HGET decant:stored %s", k->session.id), bytes);
    assert_string_equal(redis_server_str(k->f->server, "GET decant:stored:sum"), bytes);
}

static void on_arrived(void *arg, int err, const struct job *job)
{
    struct found *found = arg;

    *found = (struct found){.done = true, .err = err};
}

static int arrive_for(struct known *k, uint64_t keep_s)
{
    struct found found = {0};
    const struct job job = {.session_id = k->session.id, .job_id = k->id, .size = LENGTH};

    job_create_arrived(k->f->r, &job, keep_s, on_arrived, &found);
    assert_true(loop_until(&k->f->loop, &found.done, 10000));
    return found.err;
}

static int arrive(struct known *k)
{
    return arrive_for(k, 0);
}

static void it_is_found_as_announced(void **state)
{
    struct known k = know(state);
    struct found found = find(&k);
    char other[ID_TOKEN_LEN + 1];

    assert_int_equal(found.err, 0);
    assert_int_equal(found.length, LENGTH);
    assert_true(found.proved == PARTIAL_PROVED);
    assert_string_equal(found.filename, "a b.png");
    assert_all_expire(k.f, k.session.id);
    id_token(other);
    assert_int_equal(find_for(&k, other, k.id).err, -ENOENT);
    assert_int_equal(find_for(&k, k.session.id, "x").err, -ENOENT);
    assert_int_equal(find_for(&k, k.session.id, NULL).err, -ENOENT);
}

static void it_expires_as_it_says_or_with_the_session(void **state)
{
    struct known k = know(state);
    uint64_t now = clock_real_ms();
    struct found found = announce(&k, 3600000, LENGTH, &plenty);

    assert_in_range(found.expires_ms, now + 90000, now + 101000);
    assert_int_equal(announce(&k, 0, LENGTH, &plenty).err, 0);
    assert_int_equal(find(&k).err, -ENOENT);
}

static void room_is_kept_for_it(void **state)
{
    struct known k = know(state);
    const struct job_quota few = {.jobs = 1}, full = {.jobs = 9, .session_bytes = LENGTH},
                           all = {.jobs = 9, .all_bytes = LENGTH};

    assert_stored(&k, "1000");
    assert_int_equal(announce(&k, 1000, 1, &few).err, -EDQUOT);
    assert_int_equal(announce(&k, 1000, 1, &full).err, -EFBIG);
    assert_int_equal(announce(&k, 1000, 1, &all).err, -ENOBUFS);
    assert_int_equal(do_job_look_for_room(k.f, k.session.id, 1, &few), -EDQUOT);
    assert_int_equal(do_job_look_for_room(k.f, k.session.id, 1, &full), -EFBIG);
}

static void its_job_may_be_kept_for_a_time(void **state)
{
    struct known k = know(state);

    assert_int_equal(arrive_for(&k, 60), 0);
    assert_int_equal(redis_server_int(k.f->server, "ZCARD decant:kept"), 1);
    assert_string_equal(
        redis_server_str(k.f->server, "HGET session:%s:jobs:%s stored_bytes", k.session.id, k.id), "1000");
}

static void its_job_takes_its_room_over(void **state)
{
    struct known k = know(state);

    assert_int_equal(arrive(&k), 0);
    assert_stored(&k, "1000");
    assert_int_equal(find(&k).err, -EEXIST);
    assert_int_equal(arrive(&k), -EEXIST);
    assert_int_equal(do_job_load(k.f, k.session.id, k.id, NULL, NULL), 0);
    assert_int_equal(redis_server_int(k.f->server, "EXISTS session:%s:files", k.session.id), 0);
}

static void one_that_is_given_up_leaves_nothing(void **state)
{
    struct known k = know(state);

    assert_int_equal(end(&k, NULL, NULL), 0);
    assert_stored(&k, "0");
    assert_int_equal(find(&k).err, -ENOENT);
    assert_int_equal(end(&k, NULL, NULL), -ENOENT);
    assert_int_equal(arrive(&k), -ECANCELED);
    assert_int_equal(prove(&k, 1), -ENOENT);
    assert_stored(&k, "0");
}

static void why_it_was_refused_is_remembered(void **state)
{
    struct known k = know(state);
    struct found found;

    assert_int_equal(end(&k, "type_mismatch", "It is no picture."), 0);
    assert_stored(&k, "0");
    found = find(&k);
    assert_int_equal(found.err, -ECANCELED);
    assert_int_equal(found.length, LENGTH);
    assert_string_equal(found.code, "type_mismatch");
    assert_string_equal(found.detail, "It is no picture.");
    assert_all_expire(k.f, k.session.id);
}

static void what_is_not_proved_is_known(void **state)
{
    struct known k = know(state);

    assert_int_equal(prove(&k, 300), 0);
    assert_int_equal(find(&k).proved, 300);
    assert_int_equal(prove(&k, 0), 0);
    assert_int_equal(find(&k).proved, 0);
    assert_int_equal(prove(&k, PARTIAL_PROVED), 0);
    assert_true(find(&k).proved == PARTIAL_PROVED);
}

static void it_goes_with_its_session(void **state)
{
    struct known k = know(state);
    unsigned running;

    assert_int_equal(end(&k, "type_mismatch", "It is no picture."), 0);
    assert_int_equal(announce(&k, 1000, LENGTH, &plenty).err, 0);
    assert_int_equal(do_begin_close(k.f, k.session.id, &running), 0);
    assert_int_equal(announce(&k, 1000, LENGTH, &plenty).err, -ENOENT);
    assert_int_equal(do_finish_close(k.f, k.session.id), 0);
    assert_no_keys(k.f);
}

#define PARTIAL_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PARTIAL_TEST(it_is_found_as_announced),
        PARTIAL_TEST(it_expires_as_it_says_or_with_the_session),
        PARTIAL_TEST(room_is_kept_for_it),
        PARTIAL_TEST(its_job_takes_its_room_over),
        PARTIAL_TEST(its_job_may_be_kept_for_a_time),
        PARTIAL_TEST(one_that_is_given_up_leaves_nothing),
        PARTIAL_TEST(why_it_was_refused_is_remembered),
        PARTIAL_TEST(what_is_not_proved_is_known),
        PARTIAL_TEST(it_goes_with_its_session),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
