/* `decant queue`: how the queue is, and its dead letters.
 *
 * A replayed conversion takes its job along, from `failed` back to `queued`, in the same script; where that
 * is not to be had (the session has ended, the job is in another state) the letter stays where it is. */
#include "cli/commands.h"

#include "cli/redis_operator.h"
#include "core/str.h"
#include "engine/catalogue.h"
#include "queue/envelope.h"
#include "queue/operate.h"
#include "state/job.h"
#include "worker/runner.h"

#include <errno.h>
#include <inttypes.h>
#include <time.h>

enum { REASON_WIDTH = 60, ID_WIDTH = 128 };

#define USAGE                                                                                                \
    "usage: decant queue [OPTIONS] status [--json]\n"                                                        \
    "       decant queue [OPTIONS] dead list [--json]\n"                                                     \
    "       decant queue [OPTIONS] dead show ID\n"                                                           \
    "       decant queue [OPTIONS] dead replay ID... | --all\n"                                              \
    "       decant queue [OPTIONS] dead drop ID... | --all\n\n"                                              \
    "Tells how long the queue is and who works, and handles the dead letters: messages that could not be "   \
    "read, and tasks\nthat were started too often. A replay puts one back into its queue as if it had "      \
    "never "                                                                                                 \
    "been tried."

struct queue_operator {
    struct redis_operator base;
    struct queue *queue;
    json_t *json; /* of the last answer */
};

static void on_done(void *arg, int err)
{
    struct queue_operator *o = arg;

    operator_answer(&o->base, err);
}

static void on_json(void *arg, int err, json_t *json)
{
    struct queue_operator *o = arg;

    json_decref(o->json);
    o->json = json;
    on_done(o, err);
}

static int wait_answer(struct queue_operator *o)
{
    return operator_wait(&o->base);
}

static int complain(const struct queue_operator *o, const char *what)
{
    return operator_complain(&o->base, what, o->base.err);
}

/* --- status */

static void print_age(const json_t *age)
{
    if (json_is_null(age))
        printf("%12s", "-");
    else
        printf("%10.1f s", json_real_value(age));
}

static long long number(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static const char *text(const json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));

    return value ? value : "";
}

/* What strangers wrote goes to a terminal: nothing but printable ASCII. */
static void print_clean(const char *s, int width)
{
    for (int i = 0; *s && i < width; s++, i++)
        putchar(*s >= ' ' && *s <= '~' ? *s : '?');
}

static void print_status(const json_t *status)
{
    const json_t *row;
    size_t i, step;

    printf("%-24s %8s %6s %6s %6s %6s %12s\n", "QUEUE", "WAITING", "0-2", "3-5", "6-8", "9", "OLDEST");
    json_array_foreach(json_object_get(status, "queues"), i, row)
    {
        const json_t *length;

        printf("%-24s %8lld", text(row, "name"), number(row, "waiting"));
        json_array_foreach(json_object_get(row, "priorities"), step, length)
            printf(" %6lld", (long long)json_integer_value(length));
        putchar(' ');
        print_age(json_object_get(row, "oldest_s"));
        putchar('\n');
    }
    printf("\nwaiting %lld, claimed %lld, delayed %lld, dead letters %lld\n", number(status, "waiting"),
           number(status, "claimed"), number(status, "delayed"), number(status, "dead"));
    printf("workers alive: %zu\n", json_array_size(json_object_get(status, "workers")));
    json_array_foreach(json_object_get(status, "workers"), i, row)
    {
        printf("  ");
        print_clean(text(row, "id"), ID_WIDTH);
        printf(": %lld tasks, lease for %.1f s\n", number(row, "claims"),
               json_real_value(json_object_get(row, "lease_s")));
    }
}

static int show_status(void *self, int argc, char **argv)
{
    struct queue_operator *o = self;
    bool json = argc == 1 && str_eq(argv[0], "--json");

    if (argc > 0 && !json)
        return EXIT_USAGE;
    queue_status(o->queue, on_json, o);
    if (wait_answer(o) < 0)
        return complain(o, "the queue can't be read");
    if (json)
        return operator_print_json(o->json);
    print_status(o->json);
    return EXIT_SUCCESS;
}

/* --- dead letters */

/* All of them, the newest first; NULL after a complaint. */
static json_t *list_dead(struct queue_operator *o)
{
    json_t *all = json_array();
    size_t page;

    do {
        queue_dead_list(o->queue, json_array_size(all), QUEUE_DEAD_PAGE, on_json, o);
        if (wait_answer(o) < 0) {
            complain(o, "the dead letters can't be read");
            json_decref(all);
            return NULL;
        }
        page = json_array_size(o->json);
        json_array_extend(all, o->json);
    } while (page == QUEUE_DEAD_PAGE);
    return all;
}

static void print_letter(const json_t *row)
{
    char at[32] = "";
    time_t seconds = (time_t)number(row, "time");
    struct tm tm;

    if (gmtime_r(&seconds, &tm))
        strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%SZ", &tm);
    printf("%8lld  %s  %8lld  ", number(row, "id"), at, number(row, "bytes"));
    print_clean(*text(row, "task") ? text(row, "task") : "-", REASON_WIDTH);
    printf("  ");
    print_clean(text(row, "reason"), REASON_WIDTH);
    putchar('\n');
}

static int dead_list(void *self, int argc, char **argv)
{
    struct queue_operator *o = self;
    bool json = argc == 1 && str_eq(argv[0], "--json");
    const json_t *row;
    size_t i;

    if (argc > 0 && !json)
        return EXIT_USAGE;

    _cleanup_json_ json_t *all = list_dead(o);

    if (!all)
        return EXIT_FAILURE;
    if (json)
        return operator_print_json(all);
    printf("%8s  %-20s  %8s  TASK  REASON\n", "ID", "TIME", "BYTES");
    json_array_foreach(all, i, row) print_letter(row);
    return EXIT_SUCCESS;
}

static int show(struct queue_operator *o, uint64_t id)
{
    queue_dead_show(o->queue, id, on_json, o);
    return wait_answer(o);
}

static int dead_show(void *self, int argc, char **argv)
{
    struct queue_operator *o = self;
    uint64_t id;

    if (argc != 1 || str_to_u64(argv[0], 1, INT64_MAX, &id) < 0)
        return EXIT_USAGE;
    if (show(o, id) < 0)
        return complain(o, argv[0]);
    return operator_print_json(o->json);
}

/* The message's bytes, from code points up to U+00FF. */
static char *bytes_of(const json_t *letter, size_t *ret_len)
{
    const json_t *string = json_object_get(letter, "message");
    const char *from = json_string_value(string), *end = from ? from + json_string_length(string) : NULL;
    char *bytes = from ? malloc(json_string_length(string) + 1) : NULL;
    size_t n = 0;

    for (; bytes && from < end; from++)
        if ((*from & 0xfe) == 0xc2 && from + 1 < end) {
            bytes[n++] = (char)((*from & 0x03) << 6 | (from[1] & 0x3f));
            from++;
        } else {
            bytes[n++] = *from;
        }
    *ret_len = n;
    return bytes;
}

/* The job of a conversion: "" when the message is none of a job. */
static void find_job(const json_t *letter, char ret_key[JOB_KEY_MAX], char ret_channel[JOB_CHANNEL_MAX])
{
    _cleanup_envelope_ struct envelope e = {0};
    const char *reason, *session_id, *job_id;
    size_t len;
    _cleanup_free_ char *message = bytes_of(letter, &len);

    ret_key[0] = '\0';
    if (!message || envelope_decode(message, len, &e, &reason) < 0 || !str_eq(e.name, TASK_CONVERT))
        return;
    session_id = json_string_value(json_object_get(e.kwargs, "session_id"));
    job_id = json_string_value(json_object_get(e.kwargs, "job_id"));
    if (!id_is_token(session_id) || !id_is_uuid(job_id))
        return;
    job_key(ret_key, session_id, job_id);
    snprintf(ret_channel, JOB_CHANNEL_MAX, JOB_CHANNEL_PREFIX "%s", job_id);
}

static int replay(struct queue_operator *o, uint64_t id)
{
    static const char *const queued[] = {"status",        "queued", "progress",     "0", "error_code", "",
                                         "error_message", "",       "completed_at", "",  NULL};
    char key[JOB_KEY_MAX], channel[JOB_CHANNEL_MAX];
    struct queue_hash hash = {
        .key = key, .field = "status", .expected = "failed", .channel = channel, .set = queued};
    int r = show(o, id);

    if (r < 0)
        return r;
    find_job(o->json, key, channel);
    queue_dead_replay(o->queue, id, key[0] ? &hash : NULL, on_done, o);
    return wait_answer(o);
}

static int drop(struct queue_operator *o, uint64_t id)
{
    queue_dead_drop(o->queue, id, on_done, o);
    return wait_answer(o);
}

struct act {
    int (*run)(struct queue_operator *o, uint64_t id);
    const char *done;
};

static const char *why(int err)
{
    static const struct {
        int err;
        const char *why;
    } reasons[] = {
        {-ENOENT, "there is no such letter, or the session of its job has ended"},
        {-EBUSY, "its job is not failed any more"},
        {-EMSGSIZE, "only the beginning of the message was kept"},
        {-EINVAL, "nobody knows which queue it came from"},
        {-EAGAIN, "the queue is full"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
        if (reasons[i].err == err)
            return reasons[i].why;
    return strerror(-err); // NOLINT(concurrency-mt-unsafe): one thread
}

static int act_on(struct queue_operator *o, const struct act *act, uint64_t id)
{
    int r = act->run(o, id);

    if (r < 0)
        fprintf(stderr, "decant queue: %" PRIu64 ": %s\n", id, why(r));
    else
        printf("%" PRIu64 " %s\n", id, act->done);
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* The oldest first: they have waited longest. */
static int act_on_all(struct queue_operator *o, const struct act *act)
{
    _cleanup_json_ json_t *all = list_dead(o);
    int status = all ? EXIT_SUCCESS : EXIT_FAILURE;

    for (size_t i = json_array_size(all); i-- > 0;)
        if (act_on(o, act, (uint64_t)number(json_array_get(all, i), "id")) != EXIT_SUCCESS)
            status = EXIT_FAILURE;
    return status;
}

static int act_on_some(struct queue_operator *o, const struct act *act, int argc, char **argv)
{
    int status = EXIT_SUCCESS;
    uint64_t id;

    if (argc == 1 && str_eq(argv[0], "--all"))
        return act_on_all(o, act);
    for (int i = 0; i < argc; i++)
        if (str_to_u64(argv[i], 1, INT64_MAX, &id) < 0)
            return EXIT_USAGE;
    for (int i = 0; i < argc; i++)
        if (str_to_u64(argv[i], 1, INT64_MAX, &id) < 0 || act_on(o, act, id) != EXIT_SUCCESS)
            status = EXIT_FAILURE;
    return argc > 0 ? status : EXIT_USAGE;
}

static int dead_replay(void *self, int argc, char **argv)
{
    struct queue_operator *o = self;
    return act_on_some(o, &(struct act){replay, "replayed"}, argc, argv);
}

static int dead_drop(void *self, int argc, char **argv)
{
    struct queue_operator *o = self;
    return act_on_some(o, &(struct act){drop, "dropped"}, argc, argv);
}

/* --- the frame */

static int make_queue(void *self)
{
    struct queue_operator *o = self;
    const struct settings *s = &o->base.settings;

    o->queue = queue_new(o->base.redis, &(struct queue_config){.name = s->queue,
                                                               .prefix = s->queue_prefix,
                                                               .families = catalogue_families(),
                                                               .max_length = s->queue_max});
    return o->queue
               ? EXIT_SUCCESS
               : operator_complain(&o->base,
                                   "DECANT_QUEUE or DECANT_QUEUE_KEYPREFIX has characters that it can't have",
                                   -EINVAL);
}

static void end(void *self)
{
    struct queue_operator *o = self;

    queue_free(o->queue);
    json_decref(o->json);
}

int cmd_queue(int argc, char **argv)
{
    static const struct operator_verb verbs[] = {
        {NULL, "status", show_status},   {"dead", "list", dead_list}, {"dead", "show", dead_show},
        {"dead", "replay", dead_replay}, {"dead", "drop", dead_drop},
    };
    static const struct operator_command command = {.name = "decant queue",
                                                    .program = PROGRAM_QUEUE,
                                                    .usage = USAGE,
                                                    .verbs = verbs,
                                                    .n_verbs = ARRAY_SIZE(verbs),
                                                    .ready = make_queue,
                                                    .done = end};
    struct queue_operator o = {0};

    return operator_run(&o.base, &command, &o, argc, argv);
}
