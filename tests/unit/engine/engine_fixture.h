/* A pool of engines for tests, and jobs for it: folders as the worker makes them, below one of the test's
 * own. */
#pragma once

#include "engine/client.h"

#include "core/id.h"
#include "sandbox/cgroup.h"

enum { PATIENCE_MS = 60000 };

struct fixture {
    struct settings settings;
    uv_loop_t loop;
    struct cgroup_place *cgroups; /* NULL: none can be had, and jobs do without */
    struct engine_pool *pool;
    char folder[64];
    int folder_fd;
    bool skipped; /* an engine is down: the sandbox can't be had */
};

struct outcome_of_run {
    bool done;
    unsigned percent;
    struct engine_report report;
    char name[64], format[16];
    struct font_list fonts; /* report.fonts, which is only good during the call */
};

/* Gives it to the user that engines run as; as anybody but root, that is ourselves. */
void fixture_change_owner(int fd);
/* A new file of that user. */
void fixture_write_file(int dir, const char *name, const void *data, size_t len);

/* Returns when the engines are up. Where one is down the tests are skipped, unless DECANT_SANDBOX_MUST_WORK=1
 * says that this is a failure. */
struct fixture *fixture_start(const char *bindir, const char *const *engines, const char *mode,
                              uint64_t memory_bytes, uint64_t output_bytes);
void fixture_stop(struct fixture *f);
/* Until it is up or down. */
void fixture_wait_for_engine(uv_loop_t *loop, const struct engine_pool *pool, const char *engine);

/* A new job folder: an input in uploads/, an output folder work/, and a canary beside them. */
int fixture_make_job(struct fixture *f, const char *input, const void *data, size_t len,
                     char ret_name[ID_UUID_LEN + 1]);
struct engine_run *fixture_begin(struct fixture *f, const struct engine_request *request,
                                 struct outcome_of_run *ret);

/* At most `max` of them; returns how many there are. */
size_t fixture_list_children(pid_t parent, pid_t *ret, size_t max);
/* The process that starts the zygotes; there is one pool. */
pid_t fixture_launcher(void);
