/* The janitor against a real Redis and real files. */
#include "worker/janitor.h"

#include "core/path.h"
#include "core/str.h"
#include "state/job.h"
#include "state/session.h"
#include "support/loop.h"
#include "support/redis_server.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>

#include <cmocka.h>

enum { PATIENCE_MS = 60000, EVERY_MS = 20, FOR_A_WHILE_MS = 300 };

struct fixture {
    struct redis_server *server;
    uv_loop_t loop;
    struct redis *redis;
    struct storage *storage;
    char root[64], session[ID_TOKEN_LEN + 1], job[ID_UUID_LEN + 1], file[STORAGE_PATH_MAX];
};

static void make_folder(struct fixture *f, const char *session, const char *job)
{
    struct storage_upload upload;

    assert_int_equal(storage_upload_begin(f->storage, 0, 0, &upload), 0);
    assert_int_equal(storage_upload_commit(f->storage, &upload, session, job, "txt", f->file), 0);
}

static void make_session(struct fixture *f)
{
    id_token(f->session);
    redis_server_do(f->server, "HSET session:%s csrf_token x", f->session);
    redis_server_do(f->server, "EXPIRE session:%s 3600", f->session);
}

static void make_job(struct fixture *f, const char *status)
{
    id_uuid(f->job);
    redis_server_do(f->server, "HSET session:%s:jobs:%s job_id %s status %s worker %s", f->session, f->job,
                    f->job, status, "");
    redis_server_do(f->server, "ZADD session:%s:jobs 1 %s", f->session, f->job);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    f->server = redis_server_start(NULL);
    uv_loop_init(&f->loop);
    assert_int_equal(
        redis_new(&f->loop, &(struct redis_config){.url = redis_server_url(f->server)}, &f->redis), 0);
    strcpy(f->root, "/tmp/test-janitor-XXXXXX");
    assert_non_null(mkdtemp(f->root));
    assert_int_equal(storage_open(f->root, &f->storage), 0);
    for (int i = 0; i < 500 && !redis_connected(f->redis); i++)
        loop_for(&f->loop, 10);
    make_session(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    int parent = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    redis_free(f->redis);
    loop_close(&f->loop);
    storage_close(f->storage);
    path_remove_tree(parent, strrchr(f->root, '/') + 1);
    close(parent);
    redis_server_free(f->server);
    free(f);
    return 0;
}

static struct janitor *start(struct fixture *f, const char *owner, uint64_t settled_s)
{
    const struct janitor_config config = {.loop = &f->loop,
                                          .redis = f->redis,
                                          .storage = f->storage,
                                          .owner = owner,
                                          .every_ms = EVERY_MS,
                                          .thorough = 1,
                                          .settled_s = settled_s};
    struct janitor *j;

    assert_int_equal(janitor_new(&config, &j), 0);
    return j;
}

static void on_over(void *arg)
{
    *(bool *)arg = true;
}

static void end(struct fixture *f, struct janitor *j)
{
    bool over = false;

    janitor_free(j, on_over, &over);
    assert_true(loop_until(&f->loop, &over, PATIENCE_MS));
}

static bool exists(const struct fixture *f, const char *session, const char *job)
{
    char path[512];

    snprintf(path, sizeof path, "%s/%s/%s", f->root, session, job);
    return access(path, F_OK) == 0;
}

static int count_results(const struct fixture *f, const char *job)
{
    _cleanup_closedir_ DIR *dir = NULL;
    char path[512];
    int n = 0;

    snprintf(path, sizeof path, "%s/%s/%s/converted", f->root, f->session, job);
    dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));)
        n += e->d_name[0] != '.';
    return n;
}

static void wait_removed(struct fixture *f, const char *session, const char *job)
{
    for (int i = 0; exists(f, session, job); i++) {
        assert_true(i < PATIENCE_MS / 10);
        loop_for(&f->loop, 10);
    }
}

static void the_folders_of_sessions_that_ended_are_removed(void **state)
{
    struct fixture *f = *state;
    char ended[ID_TOKEN_LEN + 1], job[ID_UUID_LEN + 1];
    struct janitor *j;

    make_job(f, "uploaded");
    make_folder(f, f->session, f->job);
    id_token(ended);
    id_uuid(job);
    make_folder(f, ended, job);
    j = start(f, "a", 3600);
    wait_removed(f, ended, "");
    loop_for(&f->loop, FOR_A_WHILE_MS);
    assert_true(exists(f, f->session, f->job));
    assert_string_equal(redis_server_str(f->server, "HGET session:%s:jobs:%s status", f->session, f->job),
                        "uploaded");
    redis_server_do(f->server, "DEL session:%s", f->session); /* as its expiry does */
    wait_removed(f, f->session, "");
    end(f, j);
    assert_int_equal(redis_server_int(f->server, "EXISTS decant:janitor"), 0);
}

static void keep_until(struct fixture *f, const char *job, const char *score)
{
    redis_server_do(f->server, "ZADD decant:kept %s %s/%s", score, f->session, job);
}

/* Those that are over, with their files; not the one that still works, nor the one whose time is to come, nor
 * does what is gone already hold it up. */
static void jobs_whose_time_is_over_are_ended(void **state)
{
    struct fixture *f = *state;
    char over[ID_UUID_LEN + 1], working[ID_UUID_LEN + 1], gone[ID_UUID_LEN + 1];
    struct janitor *j;

    make_job(f, "processing");
    memcpy(working, f->job, sizeof working);
    make_folder(f, f->session, working);
    keep_until(f, working, "1");
    id_uuid(gone);
    keep_until(f, gone, "2");
    make_job(f, "completed");
    memcpy(over, f->job, sizeof over);
    make_folder(f, f->session, over);
    keep_until(f, over, "3");
    make_job(f, "completed");
    make_folder(f, f->session, f->job);
    keep_until(f, f->job, "99999999999999");

    j = start(f, "a", 3600);
    wait_removed(f, f->session, over);
    loop_for(&f->loop, FOR_A_WHILE_MS);
    assert_true(exists(f, f->session, working));
    assert_true(exists(f, f->session, f->job));
    assert_int_equal(redis_server_int(f->server, "EXISTS session:%s:jobs:%s", f->session, over), 0);
    assert_int_equal(redis_server_int(f->server, "EXISTS session:%s:jobs:%s", f->session, f->job), 1);
    assert_int_equal(redis_server_int(f->server, "ZCARD decant:kept"), 2);

    redis_server_do(f->server, "HSET session:%s:jobs:%s status completed", f->session, working);
    wait_removed(f, f->session, working);
    end(f, j);
    assert_int_equal(redis_server_int(f->server, "ZCARD decant:kept"), 1);
}

/* A worker that stops doesn't wait for all that is due. */
static void it_ends_between_two_jobs(void **state)
{
    enum { JOBS = 3000 };
    struct fixture *f = *state;
    struct janitor *j;
    char id[ID_UUID_LEN + 1];

    for (int i = 0; i < JOBS; i++) {
        id_uuid(id);
        keep_until(f, id, "1");
    }
    j = start(f, "a", 3600);
    for (int i = 0; redis_server_int(f->server, "ZCARD decant:kept") == JOBS; i++) {
        assert_true(i < PATIENCE_MS);
        loop_for(&f->loop, 1);
    }
    end(f, j);
    assert_true(redis_server_int(f->server, "ZCARD decant:kept") > 0);
}

/* More than one batch, and what is no session's folder stays. */
static void ten_thousand_sessions_are_removed(void **state)
{
    enum { SESSIONS = 10000 };
    struct fixture *f = *state;
    char path[256], id[ID_TOKEN_LEN + 1], last[ID_TOKEN_LEN + 1] = "";
    struct janitor *j;
    struct stat st;

    make_job(f, "uploaded");
    make_folder(f, f->session, f->job);
    snprintf(path, sizeof path, "%s/somebody's notes", f->root);
    assert_int_equal(mkdir(path, 0700), 0);
    for (int i = 0; i < SESSIONS; i++) {
        id_token(id);
        if (i % 100 == 0)
            make_folder(f, id, f->job);
        else
            snprintf(path, sizeof path, "%s/%s", f->root, id), assert_int_equal(mkdir(path, 0700), 0);
        if (i % 1000 == 999) { /* a few are still there */
            redis_server_do(f->server, "HSET session:%s csrf_token x", id);
            memcpy(last, id, sizeof last);
        }
    }
    j = start(f, "a", 3600);
    for (int i = 0; i < PATIENCE_MS / 10; i++) {
        assert_int_equal(stat(f->root, &st), 0);
        if (st.st_nlink == 2 + 1 + 1 + 1 + SESSIONS / 1000) /* .incoming, the notes, ours, the few */
            break;
        loop_for(&f->loop, 10);
    }
    assert_int_equal(st.st_nlink, 2 + 1 + 1 + 1 + SESSIONS / 1000);
    assert_true(exists(f, last, ""));
    assert_true(exists(f, f->session, f->job));
    end(f, j);
}

static void nothing_is_removed_while_redis_does_not_answer(void **state)
{
    struct fixture *f = *state;
    char ended[ID_TOKEN_LEN + 1], job[ID_UUID_LEN + 1];
    struct janitor *j;

    id_token(ended);
    id_uuid(job);
    make_folder(f, ended, job);
    redis_server_kill(f->server);
    j = start(f, "a", 0);
    loop_for(&f->loop, FOR_A_WHILE_MS);
    assert_true(exists(f, ended, job));
    redis_server_restart(f->server);
    wait_removed(f, ended, "");
    end(f, j);
}

static void a_closing_that_was_cut_short_is_finished(void **state)
{
    struct fixture *f = *state;
    struct janitor *j;

    make_job(f, "cancelled");
    make_folder(f, f->session, f->job);
    redis_server_do(f->server, "HSET session:%s:jobs:%s worker w", f->session, f->job);
    redis_server_do(f->server, "RENAME session:%s session:%s:closing", f->session, f->session);
    j = start(f, "a", 0);
    loop_for(&f->loop, FOR_A_WHILE_MS);
    assert_true(exists(f, f->session, f->job)); /* a worker is still at it */
    redis_server_do(f->server, "HSET session:%s:jobs:%s worker %s", f->session, f->job, "");
    wait_removed(f, f->session, "");
    for (int i = 0; redis_server_int(f->server, "DBSIZE") > 1; i++) { /* but for the lease */
        assert_true(i < PATIENCE_MS / 10);
        loop_for(&f->loop, 10);
    }
    end(f, j);
    assert_int_equal(redis_server_int(f->server, "DBSIZE"), 0);
}

static void a_folder_without_a_job_is_removed_when_it_has_settled(void **state)
{
    struct fixture *f = *state;
    char stranger[ID_UUID_LEN + 1];
    struct janitor *j;

    make_job(f, "uploaded");
    make_folder(f, f->session, f->job);
    id_uuid(stranger);
    make_folder(f, f->session, stranger);
    j = start(f, "a", 3600);
    loop_for(&f->loop, FOR_A_WHILE_MS);
    assert_true(exists(f, f->session, stranger)); /* its job may appear yet */
    end(f, j);
    j = start(f, "a", 0);
    wait_removed(f, f->session, stranger);
    end(f, j);
    assert_true(exists(f, f->session, f->job));
}

/* It has a folder and no job; expired, it has no folder either, and its room is free. */
static void an_upload_in_pieces_stays_until_it_expires(void **state)
{
    struct fixture *f = *state;
    char ids[2][ID_UUID_LEN + 1];
    static const char *const expiries[] = {"1", "33000000000000"};
    struct janitor *j;

    for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
        id_uuid(ids[i]);
        assert_int_equal(storage_partial_create(f->storage, 0, 0, f->session, ids[i], "txt", f->file), 0);
        redis_server_do(f->server, "HSET session:%s:files:%s length 100", f->session, ids[i]);
        redis_server_do(f->server, "ZADD session:%s:files %s %s", f->session, expiries[i], ids[i]);
    }
    redis_server_do(f->server, "HSET decant:stored %s 250", f->session);
    redis_server_do(f->server, "SET decant:stored:sum 1000");
    j = start(f, "a", 0);
    wait_removed(f, f->session, ids[0]);
    loop_for(&f->loop, FOR_A_WHILE_MS);
    end(f, j);
    assert_true(exists(f, f->session, ids[1]));
    assert_int_equal(redis_server_int(f->server, "EXISTS session:%s:files:%s", f->session, ids[0]), 0);
    assert_int_equal(redis_server_int(f->server, "ZCARD session:%s:files", f->session), 1);
    assert_string_equal(redis_server_str(f->server, "HGET decant:stored %s", f->session), "150");
    assert_string_equal(redis_server_str(f->server, "GET decant:stored:sum"), "900");
}

/* A worker that died behind its job's completion; and one that has the job still. */
static void what_attempts_have_left_is_removed_when_their_job_has_ended(void **state)
{
    static const struct {
        const char *status;
        bool swept;
    } cases[] = {{"completed", true}, {"failed", true}, {"processing", false}};
    struct fixture *f = *state;
    char ids[ARRAY_SIZE(cases)][ID_UUID_LEN + 1], work[ARRAY_SIZE(cases)][ID_UUID_LEN + 64];
    char kept[STORAGE_PATH_MAX];
    struct janitor *j;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char name[sizeof "work-" + ID_UUID_LEN];

        make_job(f, cases[i].status);
        make_folder(f, f->session, f->job);
        memcpy(ids[i], f->job, sizeof ids[i]);

        _cleanup_close_ int fd = storage_open_job(f->storage, f->session, f->job);

        assert_true(fd >= 0);
        for (int n = 0; n < 2; n++) { /* results of two attempts: the second is the job's */
            assert_int_equal(storage_make_work(fd, name), 0);

            _cleanup_close_ int folder = path_open(fd, name, O_RDONLY | O_DIRECTORY, 0);
            _cleanup_close_ int file = openat(folder, "a.txt", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

            assert_true(file >= 0);
            assert_int_equal(storage_publish(f->storage, fd, name, "a.txt", f->session, f->job, "txt", kept),
                             0);
        }
        redis_server_do(f->server, "HSET session:%s:jobs:%s converted_path %s", f->session, f->job, kept);
        snprintf(work[i], sizeof work[i], "%s/%s", f->job, name);
    }
    j = start(f, "a", 3600);
    loop_for(&f->loop, FOR_A_WHILE_MS);
    assert_true(exists(f, f->session, work[0])); /* its worker may be about to do it */
    end(f, j);
    j = start(f, "a", 0);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        if (cases[i].swept)
            wait_removed(f, f->session, work[i]);
    loop_for(&f->loop, FOR_A_WHILE_MS);
    end(f, j);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(exists(f, f->session, work[i]), !cases[i].swept);
        assert_int_equal(count_results(f, ids[i]), cases[i].swept ? 1 : 2);
    }
}

static void wait_status(struct fixture *f, const char *job, const char *status)
{
    for (int i = 0;
         !str_eq(redis_server_str(f->server, "HGET session:%s:jobs:%s status", f->session, job), status);
         i++) {
        assert_true(i < PATIENCE_MS / 10);
        loop_for(&f->loop, 10);
    }
}

static void a_job_without_a_folder_has_failed(void **state)
{
    static const struct {
        const char *before, *after;
    } cases[] = {
        {"uploaded", "failed"}, {"completed", "failed"}, {"queued", "queued"}, {"cancelled", "cancelled"}};
    struct fixture *f = *state;
    char ids[ARRAY_SIZE(cases)][ID_UUID_LEN + 1];
    struct janitor *j;

    make_job(f, "uploaded");
    make_folder(f, f->session, f->job);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        make_job(f, cases[i].before);
        memcpy(ids[i], f->job, sizeof ids[i]);
    }
    j = start(f, "a", 3600);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) /* in no order */
        wait_status(f, ids[i], cases[i].after);
    end(f, j);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_string_equal(redis_server_str(f->server, "HGET session:%s:jobs:%s status", f->session, ids[i]),
                            cases[i].after);
        assert_string_equal(
            redis_server_str(f->server, "HGET session:%s:jobs:%s error_code", f->session, ids[i]),
            str_eq(cases[i].after, "failed") ? "internal" : "");
    }
}

struct owner {
    char name[8];
    bool told;
};

static void on_owner(void *arg, int err, const redisReply *reply)
{
    struct owner *owner = arg;
    const char *name = err < 0 ? NULL : redis_reply_str(reply);

    snprintf(owner->name, sizeof owner->name, "%s", name ? name : "");
    owner->told = true;
}

/* Asked in the loop that renews the lease, and again: it has a few of EVERY_MS, which a busy machine may not
 * give it. */
static void wait_owner(struct fixture *f, const char *name)
{
    struct owner owner = {0};

    for (int i = 0; !str_eq(owner.name, name); i++) {
        assert_true(i < PATIENCE_MS / EVERY_MS);
        loop_for(&f->loop, i > 0 ? EVERY_MS : 0);
        owner.told = false;
        redis_command(f->redis, REDIS("GET", "decant:janitor"), on_owner, &owner);
        assert_true(loop_until(&f->loop, &owner.told, PATIENCE_MS));
    }
}

static void one_at_a_time_does_it(void **state)
{
    struct fixture *f = *state;
    char ended[ID_TOKEN_LEN + 1];
    struct janitor *j;

    redis_server_do(f->server, "SET decant:janitor b EX 3600");
    id_token(ended);
    make_folder(f, ended, "00000000-0000-4000-8000-000000000000");
    j = start(f, "a", 0);
    loop_for(&f->loop, FOR_A_WHILE_MS);
    assert_true(exists(f, ended, ""));
    redis_server_do(f->server, "DEL decant:janitor"); /* its lease has ended */
    wait_removed(f, ended, "");
    wait_owner(f, "a");
    redis_server_do(f->server, "SET decant:janitor b EX 3600");
    end(f, j);
    assert_string_equal(redis_server_str(f->server, "GET decant:janitor"), "b"); /* not his to drop */
}

/* Whatever it is doing: files, an answer of Redis to come, nothing. */
static void it_ends_at_any_moment(void **state)
{
    struct fixture *f = *state;
    struct janitor *j;

    for (unsigned turns = 0; turns < 40; turns++) {
        char ended[ID_TOKEN_LEN + 1];

        id_token(ended);
        make_folder(f, ended, "00000000-0000-4000-8000-000000000000");
        j = start(f, "a", 0);
        loop_for(&f->loop, EVERY_MS);
        for (unsigned i = 0; i < turns; i++)
            uv_run(&f->loop, UV_RUN_NOWAIT);
        end(f, j);
    }
    redis_server_pause(f->server);
    j = start(f, "a", 0);
    loop_for(&f->loop, 2 * EVERY_MS);
    end(f, j); /* the command that is on its way is given up after REDIS_TIMEOUT_MS */
    redis_server_resume(f->server);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_folders_of_sessions_that_ended_are_removed),
        TEST(jobs_whose_time_is_over_are_ended),
        TEST(it_ends_between_two_jobs),
        TEST(ten_thousand_sessions_are_removed),
        TEST(nothing_is_removed_while_redis_does_not_answer),
        TEST(a_closing_that_was_cut_short_is_finished),
        TEST(a_folder_without_a_job_is_removed_when_it_has_settled),
        TEST(an_upload_in_pieces_stays_until_it_expires),
        TEST(what_attempts_have_left_is_removed_when_their_job_has_ended),
        TEST(a_job_without_a_folder_has_failed),
        TEST(one_at_a_time_does_it),
        TEST(it_ends_at_any_moment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
