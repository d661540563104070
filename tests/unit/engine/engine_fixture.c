#include "engine_fixture.h"

#include "core/path.h"
#include "core/privilege.h"
#include "core/str.h"
#include "sandbox/sandbox.h"
#include "support/loop.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

void fixture_change_owner(int fd)
{
    uid_t uid;
    gid_t gid;

    if (geteuid() != 0)
        return;
    assert_int_equal(privilege_lookup("nobody", &uid, &gid), 0);
    assert_int_equal(fchown(fd, uid, gid), 0);
}

void fixture_write_file(int dir, const char *name, const void *data, size_t len)
{
    _cleanup_close_ int fd = openat(dir, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    fixture_change_owner(fd);
    assert_int_equal(write(fd, data, len), len);
}

static bool is_up_or_down(const struct engine_pool *pool, const char *engine)
{
    struct engine_info info;

    assert_true(engine_pool_info(pool, engine, &info));
    return info.state != ENGINE_STARTING;
}

void fixture_wait_for_engine(uv_loop_t *loop, const struct engine_pool *pool, const char *engine)
{
    for (int i = 0; i < PATIENCE_MS / 10 && !is_up_or_down(pool, engine); i++)
        loop_for(loop, 10);
    assert_true(is_up_or_down(pool, engine));
}

struct fixture *fixture_start(const char *bindir, const char *const *engines, const char *mode,
                              uint64_t memory_bytes, uint64_t output_bytes)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct engine_info info;
    const char *why;

    assert_non_null(f);
    f->settings = (struct settings){.bindir = bindir,
                                    .engine_user = "nobody",
                                    .sandbox = mode,
                                    .log_level = "info",
                                    .log_format = "text",
                                    .job_memory_bytes = memory_bytes,
                                    .job_output_bytes = output_bytes};
    if (cgroup_place_make("auto", f->settings.engine_user, &f->cgroups, &why) < 0)
        print_message("jobs have no cgroup: %s\n", why);
    f->settings.cgroup = cgroup_place_folders(f->cgroups);
    strcpy(f->folder, "/tmp/decant-test-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    f->folder_fd = open(f->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(f->folder_fd >= 0);
    fixture_change_owner(f->folder_fd);
    assert_int_equal(uv_loop_init(&f->loop), 0);
    assert_int_equal(engine_pool_new(&f->loop, &f->settings, engines, &f->pool), 0);
    for (; *engines; engines++) {
        fixture_wait_for_engine(&f->loop, f->pool, *engines);
        assert_true(engine_pool_info(f->pool, *engines, &info));
        if (info.state == ENGINE_UP) {
            assert_int_equal(!!(info.layers & SANDBOX_CGROUP), !!f->cgroups);
            continue;
        }
        print_message("%s: the sandbox can't be had: %s\n", *engines, info.why);
        assert_false(str_eq(getenv("DECANT_SANDBOX_MUST_WORK"), "1"));
        f->skipped = true;
    }
    return f;
}

void fixture_stop(struct fixture *f)
{
    _cleanup_close_ int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    engine_pool_free(f->pool);
    cgroup_place_free(f->cgroups);
    loop_close(&f->loop);
    close(f->folder_fd);
    assert_int_equal(path_remove_tree(tmp, f->folder + strlen("/tmp/")), 0);
    free(f);
}

int fixture_make_job(struct fixture *f, const char *input, const void *data, size_t len,
                     char ret_name[ID_UUID_LEN + 1])
{
    static const char *const folders[] = {"uploads", "work"};
    int job;

    id_uuid(ret_name);
    job = path_make_dir(f->folder_fd, ret_name, 0700);
    assert_true(job >= 0);
    fixture_change_owner(job);
    for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
        _cleanup_close_ int fd = path_make_dir(job, folders[i], 0700);

        assert_true(fd >= 0);
        fixture_change_owner(fd);
        if (i == 0)
            fixture_write_file(fd, input, data, len);
    }
    fixture_write_file(job, "canary", "secret", 6);
    return job;
}

static void on_progress(void *arg, unsigned percent)
{
    struct outcome_of_run *o = arg;

    o->percent = percent;
}

static void on_done(void *arg, const struct engine_report *report)
{
    struct outcome_of_run *o = arg;

    assert_false(o->done);
    o->done = true;
    o->report = *report;
    snprintf(o->name, sizeof o->name, "%s", report->output_name);
    snprintf(o->format, sizeof o->format, "%s", report->output_format);
    if (report->fonts)
        o->fonts = *report->fonts;
    o->report.output_name = o->report.output_format = o->report.version = NULL;
}

struct engine_run *fixture_begin(struct fixture *f, const struct engine_request *request,
                                 struct outcome_of_run *ret)
{
    struct engine_run *run;

    *ret = (struct outcome_of_run){0};
    run = engine_pool_run(f->pool, request, on_progress, on_done, ret);
    assert_non_null(run);
    assert_false(ret->done);
    return run;
}

size_t fixture_list_children(pid_t parent, pid_t *ret, size_t max)
{
    _cleanup_fclose_ FILE *f = NULL;
    char path[64];
    size_t n = 0;
    int pid;

    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)parent, (int)parent);
    f = fopen(path, "re");
    assert_non_null(f);
    for (; fscanf(f, "%d", &pid) == 1; n++)
        if (n < max)
            ret[n] = pid;
    return n;
}

pid_t fixture_launcher(void)
{
    pid_t children[32];
    size_t n = fixture_list_children(getpid(), children, ARRAY_SIZE(children));

    for (size_t i = 0; i < n; i++) {
        _cleanup_fclose_ FILE *f = NULL;
        char path[64], name[32] = "";

        snprintf(path, sizeof path, "/proc/%d/comm", (int)children[i]);
        f = fopen(path, "re");
        if (f && fgets(name, sizeof name, f) && strcmp(name, "decant-launch\n") == 0)
            return children[i];
    }
    fail_msg("no launcher");
    return -1;
}
