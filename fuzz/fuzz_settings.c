/* Configuration. An input is a byte that chooses the program, and lines: NAME=value is a variable of the
 * environment, anything else an argument. What is taken is within its bounds, as an oracle of our own finds
 * for sizes and numbers, and means the same when it is handed on by the environment. */
#include "fuzz.h"

#include "core/sentinels.h"
#include "core/settings.h"
#include "core/str.h"

#include <errno.h>

enum { ENTRIES_MAX = 100, ARGUMENTS_MAX = 64 };

struct environment {
    char *entries[ENTRIES_MAX + 1];
    size_t n;
};

static struct environment exported;

/* glibc's keeps for ever what was set once. */
int setenv(const char *name, const char *value, int overwrite)
{
    require(exported.n < ENTRIES_MAX);
    require(asprintf(&exported.entries[exported.n++], "%s=%s", name, value) > 0);
    return 0;
}

static void clear(struct environment *e)
{
    while (e->n > 0) {
        free(e->entries[--e->n]);
        e->entries[e->n] = NULL;
    }
}

/* A whole number, and with `units` one of them behind it; UINT64_MAX: none, or larger than any bound. */
static uint64_t read_slowly(const char *text, const char *units)
{
    size_t digits = strspn(text, "0123456789");
    char letter = text[digits] == 'k' ? 'K' : text[digits];
    const char *unit = letter ? strchr(units, letter) : NULL;
    unsigned __int128 value = 0;

    if (digits == 0 || (text[digits] && (!unit || text[digits + 1])))
        return UINT64_MAX;
    for (size_t i = 0; i < digits; i++)
        if ((value = value * 10 + (unsigned)(text[i] - '0')) > UINT64_MAX / 2)
            return UINT64_MAX;
    if (unit)
        value <<= 10 * (unsigned)(unit - units + 1);
    return value < UINT64_MAX ? (uint64_t)value : UINT64_MAX;
}

static void require_number(const char *flag, const char *text, const char *units, size_t offset, uint64_t min,
                           uint64_t max)
{
    char *argv[] = {(char *)"x", (char *)flag, (char *)text, NULL};
    uint64_t value = read_slowly(text, units);
    struct settings s;
    int r = settings_load(&s, PROGRAM_SERVE, "", 3, argv);

    if (value < min || value > max || strlen(text) > 20) { /* a longer one may be refused: leading zeros */
        require(r == -EINVAL || (r == 3 && value >= min && value <= max));
        return;
    }
    require(r == 3 && *(uint64_t *)((char *)&s + offset) == value);
}

static void require_numbers(const char *text)
{
    require_number("--max-upload", text, "KMGT", offsetof(struct settings, max_upload_bytes), 1 << 10,
                   UINT64_C(1) << 40);
    require_number("--disk-reserve", text, "KMGT", offsetof(struct settings, reserve_bytes), 0,
                   UINT64_C(1) << 40);
    require_number("--port", text, "", offsetof(struct settings, port), 1, 65535);
    require_number("--grace", text, "", offsetof(struct settings, grace_s), 0, 3600);
}

static void require_sane(const struct settings *s, enum settings_program program)
{
    if (program & (PROGRAM_SERVE | PROGRAM_API)) {
        require(s->listen && s->accel_prefix && s->port >= 1 && s->port <= 65535 && s->threads <= 256);
        require(s->max_upload_bytes >= 1024 && s->max_upload_bytes <= UINT64_C(1) << 40);
        require(!(program & PROGRAM_API) || (s->redis_master && ports_valid(s->redis_ports)));
        require(s->max_jobs && s->max_connections >= 8 && s->session_ttl_s && s->token_ttl_s && s->queue_max);
    }
    if (program & (PROGRAM_SERVE | PROGRAM_WORKER | PROGRAM_CONVERT | PROGRAM_DOCTOR)) {
        require(str_eq(s->sandbox, "full") || str_eq(s->sandbox, "reduced"));
        require(s->job_timeout_min_s && s->job_timeout_min_s <= s->job_timeout_s &&
                s->job_timeout_s <= 86400);
        require(s->job_memory_bytes >= 512 << 20 && s->job_output_bytes >= 1 << 20 && s->jobs <= 1024);
    }
    if (program & (PROGRAM_SERVE | PROGRAM_API | PROGRAM_WORKER | PROGRAM_DOCTOR))
        require(strstr(s->engines, "office") || strstr(s->engines, "image") || strstr(s->engines, "pdf"));
    require(s->clamd && words_have("debug info warn error", s->log_level) &&
            words_have("auto json text", s->log_format));
}

/* What was read of a list of sentinels is a list of the same ones. */
static void require_sentinels(const char *url)
{
    static struct sentinels s, again;
    static char text[SENTINELS_MAX * (SENTINEL_PLACE_MAX + 16)];
    char *p = text;

    if (!sentinels_meant(url) || sentinels_parse(url, &s) < 0)
        return;
    require(s.n >= 1 && s.n <= SENTINELS_MAX);
    for (size_t i = 0; i < s.n; i++) {
        require(str_starts(s.places[i], "tcp:") && strlen(s.places[i]) < SENTINEL_PLACE_MAX);
        p += sprintf(p, "%ssentinel://%s", i ? ";" : "", s.places[i] + strlen("tcp:"));
    }
    require(sentinels_parse(text, &again) == 0 && again.n == s.n);
    for (size_t i = 0; i < s.n; i++)
        require(str_eq(s.places[i], again.places[i]));
}

/* As `decant serve` does with its parts. */
static void require_handed_on(const struct settings *s, enum settings_program program)
{
    char *argv[] = {(char *)"x", NULL};
    struct settings again;

    settings_export(s);
    environ = exported.entries;
    require(settings_load(&again, program, "", 1, argv) == 1);

    require(s->port == again.port && s->max_upload_bytes == again.max_upload_bytes &&
            s->job_memory_bytes == again.job_memory_bytes && s->job_timeout_s == again.job_timeout_s &&
            s->job_timeout_min_s == again.job_timeout_min_s && s->grace_s == again.grace_s);
    require(!s->data == !again.data && (!s->data || str_eq(s->data, again.data)));
    require(str_eq(s->engines, again.engines));
    require(str_eq(s->log_level, again.log_level) && str_eq(s->log_format, again.log_format));
    require(!s->redis == !again.redis && (!s->redis || str_eq(s->redis, again.redis)));
    clear(&exported);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *text = size > 0 ? strndup((const char *)data + 1, size - 1) : NULL;
    enum settings_program program = size > 0 ? 1 << data[0] % 5 : PROGRAM_SERVE;
    char *rest = text, *line, *argv[ARGUMENTS_MAX + 1] = {(char *)"x"};
    static struct environment given;
    struct settings s;
    int argc = 1, r;

    while ((line = strsep(&rest, "\n")))
        if (str_starts(line, "DECANT_") && strchr(line, '=') && given.n < ENTRIES_MAX)
            require((given.entries[given.n++] = strdup(line)) != NULL);
        else if (argc < ARGUMENTS_MAX)
            argv[argc++] = line;

    environ = given.entries;
    r = settings_load(&s, program, "usage", argc, argv);
    require(r == -EINVAL || r == -ECANCELED || (r >= 1 && r <= argc));
    if (r >= 1) {
        require_sane(&s, program);
        if (s.redis)
            require_sentinels(s.redis);
        require_handed_on(&s, program);
    }
    clear(&given);
    environ = given.entries;
    if (argc > 1)
        require_numbers(argv[argc - 1]);
    return 0;
}
