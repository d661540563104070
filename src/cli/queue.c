/* `decant queue`: how the queue is, and its dead letters. It connects as the servers do; beside a `decant
 * serve` it finds that one's Redis in the data folder.
 *
 * A replayed conversion takes its job along, from `failed` back to `queued`, in the same script; where that
 * is not to be had (the session has ended, the job is in another state) the letter stays where it is. */
#include "cli/commands.h"

#include "core/settings.h"
#include "core/str.h"
#include "engine/catalogue.h"
#include "queue/envelope.h"
#include "queue/operate.h"
#include "state/job.h"
#include "state/redis_config.h"
#include "worker/runner.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, PATIENCE_MS = 5000, REASON_WIDTH = 60, ID_WIDTH = 128 };

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

struct operator
{
    uv_loop_t loop;
    struct settings settings;
    struct redis_config config;
    struct redis *redis;
    struct queue *queue;
    /* the answer that is waited for */
    bool answered;
    int err;
    json_t *json;
};

static void on_done(void *arg, int err)
{
    struct operator* o = arg;

    o->answered = true;
    o->err = err;
}

static void on_json(void *arg, int err, json_t *json)
{
    struct operator* o = arg;

    json_decref(o->json);
    o->json = json;
    on_done(o, err);
}

/* Redis' own deadline ends it. */
static int wait_answer(struct operator* o)
{
    while (!o->answered)
        uv_run(&o->loop, UV_RUN_ONCE);
    o->answered = false;
    return o->err;
}

static int complain(const char *what, int err)
{
    fprintf(stderr, "decant queue: %s: %s\n", what,
            strerror(-err)); // NOLINT(concurrency-mt-unsafe): one thread
    return EXIT_FAILURE;
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

static int print_json(const json_t *json)
{
    return json_dumpf(json, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII) == 0 && putchar('\n') == '\n'
               ? EXIT_SUCCESS
               : EXIT_FAILURE;
}

static int show_status(struct operator* o, int argc, char **argv)
{
    bool json = argc == 1 && str_eq(argv[0], "--json");

    if (argc > 0 && !json)
        return EXIT_USAGE;
    queue_status(o->queue, on_json, o);
    if (wait_answer(o) < 0)
        return complain("the queue can't be read", o->err);
    if (json)
        return print_json(o->json);
    print_status(o->json);
    return EXIT_SUCCESS;
}

/* --- dead letters */

/* All of them, the newest first; NULL after a complaint. */
static json_t *list_dead(struct operator* o)
{
    json_t *all = json_array();
    size_t page;

    do {
        queue_dead_list(o->queue, json_array_size(all), QUEUE_DEAD_PAGE, on_json, o);
        if (wait_answer(o) < 0) {
            complain("the dead letters can't be read", o->err);
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

static int dead_list(struct operator* o, int argc, char **argv)
{
    bool json = argc == 1 && str_eq(argv[0], "--json");
    const json_t *row;
    size_t i;

    if (argc > 0 && !json)
        return EXIT_USAGE;

    _cleanup_json_ json_t *all = list_dead(o);

    if (!all)
        return EXIT_FAILURE;
    if (json)
        return print_json(all);
    printf("%8s  %-20s  %8s  TASK  REASON\n", "ID", "TIME", "BYTES");
    json_array_foreach(all, i, row) print_letter(row);
    return EXIT_SUCCESS;
}

static int show(struct operator* o, uint64_t id)
{
    queue_dead_show(o->queue, id, on_json, o);
    return wait_answer(o);
}

static int dead_show(struct operator* o, int argc, char **argv)
{
    uint64_t id;

    if (argc != 1 || str_to_u64(argv[0], 1, INT64_MAX, &id) < 0)
        return EXIT_USAGE;
    if (show(o, id) < 0)
        return complain(argv[0], o->err);
    return print_json(o->json);
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

static int replay(struct operator* o, uint64_t id)
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

static int drop(struct operator* o, uint64_t id)
{
    queue_dead_drop(o->queue, id, on_done, o);
    return wait_answer(o);
}

struct act {
    int (*run)(struct operator* o, uint64_t id);
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

static int act_on(struct operator* o, const struct act *act, uint64_t id)
{
    int r = act->run(o, id);

    if (r < 0)
        fprintf(stderr, "decant queue: %" PRIu64 ": %s\n", id, why(r));
    else
        printf("%" PRIu64 " %s\n", id, act->done);
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* The oldest first: they have waited longest. */
static int act_on_all(struct operator* o, const struct act *act)
{
    _cleanup_json_ json_t *all = list_dead(o);
    int status = all ? EXIT_SUCCESS : EXIT_FAILURE;

    for (size_t i = json_array_size(all); i-- > 0;)
        if (act_on(o, act, (uint64_t)number(json_array_get(all, i), "id")) != EXIT_SUCCESS)
            status = EXIT_FAILURE;
    return status;
}

static int act_on_some(struct operator* o, const struct act *act, int argc, char **argv)
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

static int dead_replay(struct operator* o, int argc, char **argv)
{
    return act_on_some(o, &(struct act){replay, "replayed"}, argc, argv);
}

static int dead_drop(struct operator* o, int argc, char **argv)
{
    return act_on_some(o, &(struct act){drop, "dropped"}, argc, argv);
}

/* --- the frame */

static const struct verb {
    const char *group, *name;
    int (*run)(struct operator* o, int argc, char **argv);
} verbs[] = {
    {NULL, "status", show_status},   {"dead", "list", dead_list}, {"dead", "show", dead_show},
    {"dead", "replay", dead_replay}, {"dead", "drop", dead_drop},
};

/* With the number of words that name it. */
static const struct verb *find_verb(int argc, char **argv, int *ret_words)
{
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
        int words = verbs[i].group ? 2 : 1;

        if (argc >= words && (words == 1 || str_eq(argv[0], verbs[i].group)) &&
            str_eq(argv[words - 1], verbs[i].name)) {
            *ret_words = words;
            return &verbs[i];
        }
    }
    return NULL;
}

/* Where no Redis is named, that of a `decant serve` with this data folder, if there is one. */
static void find_redis(struct settings *s, int argc, char **argv, char *place, size_t size)
{
    if (getenv("DECANT_REDIS")) // NOLINT(concurrency-mt-unsafe): one thread
        return;
    for (int i = 1; i < argc && str_starts(argv[i], "--"); i++)
        if (str_eq(argv[i], "--redis") || str_starts(argv[i], "--redis="))
            return;
    if (snprintf(place, size, "unix:%s/redis/redis.sock", s->data) < (int)size &&
        access(place + strlen("unix:"), F_OK) == 0)
        s->redis = place;
}

static void on_patience_over(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

static void on_poll(uv_timer_t *timer)
{
}

/* The connection is made in the background, and nobody tells. */
static int wait_connected(struct operator* o)
{
    uv_timer_t patience, poll;
    bool over = false;

    uv_timer_init(&o->loop, &patience);
    uv_timer_init(&o->loop, &poll);
    patience.data = &over;
    uv_timer_start(&patience, on_patience_over, PATIENCE_MS, 0);
    uv_timer_start(&poll, on_poll, 10, 10);
    while (!redis_connected(o->redis) && !over)
        uv_run(&o->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&patience, NULL);
    uv_close((uv_handle_t *)&poll, NULL);
    uv_run(&o->loop, UV_RUN_NOWAIT);
    return redis_connected(o->redis) ? 0 : -ENOTCONN;
}

static int connect_queue(struct operator* o)
{
    const struct settings *s = &o->settings;
    const char *why;
    int r = redis_config_load(s, &o->config, &why);

    if (r < 0)
        return complain(why, r);
    r = redis_new(&o->loop, &o->config, &o->redis);
    if (r < 0)
        return complain(REDIS_URL_WRONG, r);
    o->queue = queue_new(o->redis, &(struct queue_config){.name = s->queue,
                                                          .prefix = s->queue_prefix,
                                                          .families = catalogue_families(),
                                                          .max_length = s->queue_max});
    if (!o->queue)
        return complain("DECANT_QUEUE or DECANT_QUEUE_KEYPREFIX has characters that it can't have", -EINVAL);
    if (wait_connected(o) == 0)
        return EXIT_SUCCESS;
    fprintf(stderr, "decant queue: Redis at %s can't be reached: %s\n", s->redis, redis_trouble(o->redis));
    return EXIT_FAILURE;
}

static void disconnect(struct operator* o)
{
    queue_free(o->queue);
    redis_free(o->redis);
    uv_run(&o->loop, UV_RUN_NOWAIT);
    uv_loop_close(&o->loop);
    redis_config_clear(&o->config);
    json_decref(o->json);
}

int cmd_queue(int argc, char **argv)
{
    struct operator o = {0};
    char place[256];
    const struct verb *verb;
    int words = 0, status, first = settings_load(&o.settings, PROGRAM_QUEUE, USAGE, argc, argv);

    if (first == -ECANCELED)
        return EXIT_SUCCESS;
    if (first < 0)
        return EXIT_USAGE;
    verb = find_verb(argc - first, argv + first, &words);
    if (!verb) {
        fputs(USAGE "\n", stderr);
        return EXIT_USAGE;
    }
    signal(SIGPIPE, SIG_IGN);
    find_redis(&o.settings, argc, argv, place, sizeof place);
    uv_loop_init(&o.loop);
    status = connect_queue(&o);
    if (status == EXIT_SUCCESS)
        status = verb->run(&o, argc - first - words, argv + first + words);
    if (status == EXIT_USAGE)
        fputs(USAGE "\n", stderr);
    disconnect(&o);
    return fflush(stdout) == 0 ? status : EXIT_FAILURE;
}
