/* `decant jobs`: what a server has of this user's. */
#include "cli/commands.h"

#include "cli/bar.h"
#include "cli/convert_output.h"
#include "cli/convert_plan.h"
#include "cli/flags.h"
#include "cli/remote_fault.h"
#include "client/jobs.h"
#include "core/id.h"
#include "core/seal.h"
#include "core/str.h"

#include <curl/curl.h>
#include <errno.h>
#include <signal.h>
#include <sys/stat.h>

enum { EXIT_USAGE = 2, PAGE_JOBS = 100, LISTED_JOBS = 20, TIME_SHOWN = 19 };

#define USAGE                                                                                                \
    "usage: decant jobs [OPTIONS] list\n"                                                                    \
    "       decant jobs [OPTIONS] show ID\n"                                                                 \
    "       decant jobs [OPTIONS] wait ID\n"                                                                 \
    "       decant jobs [OPTIONS] download ID\n"                                                             \
    "       decant jobs [OPTIONS] cancel ID\n"                                                               \
    "       decant jobs [OPTIONS] delete ID...\n\n"                                                          \
    "What a server has of the account that `decant login` has logged in. list is for accounts of the plan\n" \
    "premium: of the others a server keeps no history.\n\n"                                                  \
    "      --server SERVER    its URL or host; default: that of the last login\n"                            \
    "      --all              with list: all jobs, and not the youngest 20 alone\n"                          \
    "      --json             the server's JSON on standard output\n"                                        \
    "  -o, --output FILE      with download: where the result goes; default: its own name, here\n"           \
    "  -f, --force            with download: also over a file that is there and was not named\n"             \
    "  -q, --quiet            no progress, and no line for what was done\n"                                  \
    "      --ca-file FILE     authorities (PEM) whose certificates are believed; default: the system's\n"    \
    "      --insecure-http    talk to a server elsewhere without TLS, where others can read along\n\n"       \
    "Exit status: 0, 1 when it can't be done, 2 for a wrong command line, 4 when the result can't be\n"      \
    "written, 5 when the server can't be reached, 6 without a login; wait: that of `decant convert`."

struct jobs {
    struct remote_options options;
    const char *output;
    bool all, json, force, quiet, bar;
    struct remote remote;
    struct jobs_caller caller;
};

static int complain(const struct jobs *j)
{
    return remote_complain("decant jobs", &j->caller.fault);
}

static int refuse(const char *what, const char *why)
{
    fprintf(stderr, "decant jobs: ");
    remote_print_text(stderr, what);
    fprintf(stderr, ": %s\n", why);
    return EXIT_FAILURE;
}

static int print_json(const json_t *json)
{
    return json_dumpf(json, stdout, JSON_INDENT(2)) == 0 && putchar('\n') == '\n' ? EXIT_SUCCESS
                                                                                  : EXIT_FAILURE;
}

static const char *text_in(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "-";
}

/* --- the progress of one thing */

static void draw(const struct jobs *j, const char *what, unsigned percent)
{
    if (j->bar)
        bar_draw(percent, "", NULL, what);
}

static void end_drawing(const struct jobs *j)
{
    if (j->bar)
        bar_clear();
}

static void on_change(void *arg, const char *status, unsigned percent)
{
    draw(arg, status, percent <= 100 ? percent : 100);
}

static void on_fetched(void *arg, uint64_t done, uint64_t total)
{
    draw(arg, "fetching", total && done <= total ? (unsigned)(100 * done / total) : 0);
}

/* --- list */

static void print_column(const char *text, int width)
{
    char cut[64];
    int len = (int)strnlen(text, (size_t)width);

    snprintf(cut, sizeof cut, "%.*s", len, text);
    remote_print_text(stdout, cut);
    printf("%*s", width - len + 2, "");
}

static void print_row(const json_t *job)
{
    print_column(text_in(job, "job_id"), ID_UUID_LEN);
    print_column(text_in(job, "status"), 10);
    print_column(text_in(job, "created_at"), TIME_SHOWN);
    print_column(text_in(job, "target_format"), 6);
    remote_print_text(stdout, text_in(job, "original_filename"));
    putchar('\n');
}

static int collect(struct jobs *j, json_t *ret_all)
{
    _cleanup_free_ char *cursor = NULL;

    do {
        _cleanup_json_ json_t *page = NULL;
        int r = jobs_history(&j->caller, j->all ? PAGE_JOBS : LISTED_JOBS, cursor, &page);
        const char *next = json_string_value(json_object_get(page, "next_cursor"));

        if (r < 0)
            return r;
        if (str_eq(next, cursor))
            return remote_fail(&j->caller.fault, -EPROTO, "server_error",
                               "The list does not come to its end.");
        json_array_extend(ret_all, json_object_get(page, "jobs"));
        free(cursor);
        cursor = next ? strdup(next) : NULL;
    } while (cursor && j->all);
    return 0;
}

static int list(struct jobs *j, const char **ids, size_t n)
{
    _cleanup_json_ json_t *all = json_array();
    const json_t *job;
    size_t i;

    if (collect(j, all) < 0) {
        if (!str_eq(j->caller.fault.code, "plan_required"))
            return complain(j);
        return refuse("list", "the server keeps a history for accounts of the plan premium alone; show, wait "
                              "and download take the id of a job");
    }
    if (j->json)
        return print_json(all);
    printf("%-36s  %-10s  %-19s  %-6s  FILE\n", "ID", "STATUS", "CREATED", "INTO");
    json_array_foreach(all, i, job) print_row(job);
    return EXIT_SUCCESS;
}

/* --- one job */

static void print_job(const json_t *job)
{
    static const char *const members[] = {"job_id",     "original_filename", "status",     "target_format",
                                          "created_at", "completed_at",      "error_code", "error_message"};
    const json_t *output = json_object_get(job, "output");

    for (size_t i = 0; i < ARRAY_SIZE(members); i++)
        if (json_is_string(json_object_get(job, members[i]))) {
            printf("%-18s ", members[i]);
            remote_print_text(stdout, text_in(job, members[i]));
            putchar('\n');
        }
    if (json_is_object(output)) {
        printf("%-18s ", "output");
        remote_print_text(stdout, text_in(output, "filename"));
        printf(" (%lld bytes)\n", (long long)json_integer_value(json_object_get(output, "size")));
    }
}

static int tell(const struct jobs *j, const json_t *job)
{
    if (j->json)
        return print_json(job);
    if (!j->quiet)
        print_job(job);
    return EXIT_SUCCESS;
}

static int show(struct jobs *j, const char **ids, size_t n)
{
    _cleanup_json_ json_t *job = NULL;

    return jobs_show(&j->caller, ids[0], &job) < 0 ? complain(j) : tell(j, job);
}

static int wait_for(struct jobs *j, const char **ids, size_t n)
{
    _cleanup_json_ json_t *job = NULL;
    int r, status;

    r = jobs_show(&j->caller, ids[0], &job);
    if (r == 0 && str_eq(text_in(job, "status"), "uploaded"))
        return refuse(ids[0], "nobody has asked for its conversion, so there is nothing to wait for");
    cleanup_json(&job);
    job = NULL;
    if (r == 0)
        r = jobs_wait(&j->caller, ids[0], on_change, j, &job);
    end_drawing(j);
    if (r < 0)
        return complain(j);
    status = tell(j, job);
    if (status != EXIT_SUCCESS || str_eq(text_in(job, "status"), "completed"))
        return status;
    return remote_outcome_status(text_in(job, "error_code"), EXIT_FAILURE);
}

static int cancel(struct jobs *j, const char **ids, size_t n)
{
    _cleanup_json_ json_t *job = NULL;

    return jobs_cancel(&j->caller, ids[0], &job) < 0 ? complain(j) : tell(j, job);
}

static int delete_all(struct jobs *j, const char **ids, size_t n)
{
    int status = EXIT_SUCCESS;
    bool there;

    for (size_t i = 0; i < n; i++)
        if (jobs_delete(&j->caller, ids[i], &there) < 0)
            status = complain(j);
        else if (!there)
            status = refuse(ids[i], "there is no such job");
        else if (!j->quiet)
            printf("%s deleted\n", ids[i]);
    return status;
}

/* --- download */

/* What the server calls it: a name in this folder, and none that hides. */
static bool is_file_name(const char *name)
{
    for (const char *c = name; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f || *c == '/')
            return false;
    return *name && *name != '.';
}

static int fail_output(const char *path, int err, const char *why)
{
    if (err == -EEXIST)
        why = "this file is there already; --force replaces it";
    refuse(path, why ? why : strerror(-err)); // NOLINT(concurrency-mt-unsafe)
    return CONVERT_EXIT_OUTPUT;
}

static int fetch(struct jobs *j, const json_t *job, const char *path, bool replace)
{
    _cleanup_(convert_output_close) struct convert_output to = CONVERT_OUTPUT_INIT;
    mode_t mask = umask(0);
    int r;

    umask(mask);
    if (!replace && access(path, F_OK) == 0)
        return fail_output(path, -EEXIST, NULL);
    r = convert_output_open(&to, path, 0666 & ~mask);
    if (r < 0)
        return fail_output(path, r, NULL);
    r = jobs_fetch(&j->caller, job, to.fd, on_fetched, j);
    end_drawing(j);
    if (r < 0 && str_eq(j->caller.fault.code, "output_unwritable"))
        return fail_output(path, r, j->caller.fault.message);
    if (r < 0)
        return complain(j);
    r = convert_output_commit(&to, replace);
    if (r < 0)
        return fail_output(path, r, NULL);
    if (!j->quiet)
        printf("%s\n", path);
    return EXIT_SUCCESS;
}

static int download(struct jobs *j, const char **ids, size_t n)
{
    _cleanup_json_ json_t *job = NULL;
    const char *name;

    if (jobs_show(&j->caller, ids[0], &job) < 0)
        return complain(j);
    name = text_in(json_object_get(job, "output"), "filename");
    if (!str_eq(text_in(job, "status"), "completed"))
        return refuse(ids[0], "it has no result, or not yet; show tells more");
    if (str_eq(j->output, "-"))
        return refuse("-", "a result goes to a file, and not to standard output; name one with -o");
    if (!j->output && !is_file_name(name))
        return refuse(name, "this is no name for a file here; give one with -o");
    return fetch(j, job, j->output ? j->output : name, j->output || j->force);
}

/* --- the command line */

static const struct verb {
    const char *name;
    int (*run)(struct jobs *j, const char **ids, size_t n);
    size_t min, max; /* of the words that follow it: */
    const char *takes;
} verbs[] = {
    {"list", list, 0, 0, "no ID"},      {"show", show, 1, 1, "one ID"},
    {"wait", wait_for, 1, 1, "one ID"}, {"download", download, 1, 1, "one ID"},
    {"cancel", cancel, 1, 1, "one ID"}, {"delete", delete_all, 1, SIZE_MAX, "one ID or more"},
};

/* NULL after a complaint. */
static const struct verb *find_verb(const char **words, size_t n)
{
    for (size_t i = 0; n > 0 && i < ARRAY_SIZE(verbs); i++) {
        if (!str_eq(words[0], verbs[i].name))
            continue;
        if (n - 1 >= verbs[i].min && n - 1 <= verbs[i].max)
            return &verbs[i];
        fprintf(stderr, "decant jobs: %s takes %s; --help tells more\n", verbs[i].name, verbs[i].takes);
        return NULL;
    }
    if (n > 0)
        refuse(words[0], "there is no such command; --help lists all");
    else
        fprintf(stderr, "%s\n", USAGE);
    return NULL;
}

static int run(struct jobs *j, const char **words, size_t n)
{
    const struct verb *verb = find_verb(words, n);
    struct remote_fault fault;
    int status;

    if (!verb)
        return EXIT_USAGE;
    if (remote_open(&j->remote, &j->options, NULL, &fault) < 0 ||
        jobs_caller_open(&j->caller, &j->remote) < 0)
        status = remote_complain("decant jobs", &fault);
    else
        status = verb->run(j, words + 1, n - 1);
    jobs_caller_close(&j->caller);
    remote_close(&j->remote);
    return status;
}

int cmd_jobs(int argc, char **argv)
{
    struct jobs j = {0};
    const struct flag flags[] = {
        {"server", '\0', &j.options.server, NULL},
        {"ca-file", '\0', &j.options.ca_file, NULL},
        {"insecure-http", '\0', NULL, &j.options.insecure_http},
        {"all", '\0', NULL, &j.all},
        {"json", '\0', NULL, &j.json},
        {"output", 'o', &j.output, NULL},
        {"force", 'f', NULL, &j.force},
        {"quiet", 'q', NULL, &j.quiet},
    };
    _cleanup_free_ const char **words = calloc((size_t)argc, sizeof *words);
    size_t n;
    int r, status;

    seal_wipe_json();
    signal(SIGPIPE, SIG_IGN);
    r = words ? flags_read("decant jobs", USAGE, flags, ARRAY_SIZE(flags), argc, argv, words, &n) : -ENOMEM;
    if (r < 0)
        return r == -ECANCELED ? EXIT_SUCCESS : EXIT_USAGE;
    j.bar = !j.quiet && !j.json && bar_possible();
    status = run(&j, words, n);
    return fflush(stdout) == 0 ? status : EXIT_FAILURE;
}
