#include "cli/redis_operator.h"

#include "core/str.h"
#include "core/xalloc.h"
#include "state/redis_config.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

enum { PATIENCE_MS = 5000 };

void operator_answer(struct redis_operator *o, int err)
{
    o->answered = true;
    o->err = err;
}

void operator_on_reply(void *o, int err, const redisReply *reply)
{
    operator_answer(o, err);
}

void *operator_keep(const void *list, size_t n, size_t size)
{
    void *copy = xcalloc(n ? n : 1, size);

    if (n > 0)
        memcpy(copy, list, n * size);
    return copy;
}

int operator_wait(struct redis_operator *o)
{
    while (!o->answered)
        uv_run(&o->loop, UV_RUN_ONCE);
    o->answered = false;
    return o->err;
}

int operator_refuse(const struct redis_operator *o, const char *what, const char *why)
{
    fprintf(stderr, "%s: %s: %s\n", o->command->name, what, why);
    return EXIT_FAILURE;
}

int operator_complain(const struct redis_operator *o, const char *what, int err)
{
    return operator_refuse(o, what, strerror(-err)); // NOLINT(concurrency-mt-unsafe): one thread
}

int operator_print_json(const json_t *json)
{
    return json_dumpf(json, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII) == 0 && putchar('\n') == '\n'
               ? EXIT_SUCCESS
               : EXIT_FAILURE;
}

json_t *operator_json_text(const char *s)
{
    return *s ? json_string(s) : json_null();
}

/* With the number of words that name it. */
static const struct operator_verb *find_verb(const struct operator_command *c, int argc, char **argv,
                                             int *ret_words)
{
    for (size_t i = 0; i < c->n_verbs; i++) {
        const struct operator_verb *verb = &c->verbs[i];
        int words = verb->group ? 2 : 1;

        if (argc >= words && (words == 1 || str_eq(argv[0], verb->group)) &&
            str_eq(argv[words - 1], verb->name)) {
            *ret_words = words;
            return verb;
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
static int wait_connected(struct redis_operator *o)
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

static int connect_redis(struct redis_operator *o)
{
    const struct settings *s = &o->settings;
    const char *why;
    int r = redis_config_load(s, &o->config, &why);

    if (r < 0)
        return operator_complain(o, why, r);
    r = redis_new(&o->loop, &o->config, &o->redis);
    if (r < 0)
        return operator_complain(o, REDIS_URL_WRONG, r);
    if (wait_connected(o) == 0)
        return EXIT_SUCCESS;
    fprintf(stderr, "%s: Redis at %s can't be reached: %s\n", o->command->name, s->redis,
            redis_trouble(o->redis));
    return EXIT_FAILURE;
}

static void disconnect(struct redis_operator *o)
{
    redis_free(o->redis);
    uv_run(&o->loop, UV_RUN_NOWAIT);
    uv_loop_close(&o->loop);
    redis_config_clear(&o->config);
}

/* Where they stand they would not be heeded, and another Redis asked than the one that they name. */
static const char *find_late_option(const struct operator_command *c, int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        if (settings_is_flag(c->program, argv[i]))
            return argv[i];
    return NULL;
}

static int run_verb(struct redis_operator *o, void *self, const struct operator_verb *verb, int argc,
                    char **argv)
{
    int status = connect_redis(o);

    if (status == EXIT_SUCCESS && o->command->ready)
        status = o->command->ready(self);
    if (status == EXIT_SUCCESS)
        status = verb->run(self, argc, argv);
    if (status == EXIT_USAGE)
        fprintf(stderr, "%s\n", o->command->usage);
    if (o->command->done)
        o->command->done(self);
    return status;
}

int operator_run(struct redis_operator *o, const struct operator_command *command, void *self, int argc,
                 char **argv)
{
    const struct operator_verb *verb;
    const char *late;
    char place[256];
    int words = 0, status;
    int first = settings_load(&o->settings, command->program, command->usage, argc, argv);

    if (first == -ECANCELED)
        return EXIT_SUCCESS;
    if (first < 0)
        return EXIT_USAGE;
    o->command = command;
    verb = find_verb(command, argc - first, argv + first, &words);
    if (!verb) {
        fprintf(stderr, "%s\n", command->usage);
        return EXIT_USAGE;
    }
    late = find_late_option(command, argc - first - words, argv + first + words);
    if (late) {
        fprintf(stderr, "%s: %s stands in front of the command: %s %s ... %s\n", command->name, late,
                command->name, late, argv[first]);
        return EXIT_USAGE;
    }
    signal(SIGPIPE, SIG_IGN);
    find_redis(&o->settings, argc, argv, place, sizeof place);
    uv_loop_init(&o->loop);
    status = run_verb(o, self, verb, argc - first - words, argv + first + words);
    disconnect(o);
    return fflush(stdout) == 0 ? status : EXIT_FAILURE;
}
