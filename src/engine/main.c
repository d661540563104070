/* The main of every engine program: says what it converts (--describe), or is the zygote of its engine.
 *
 * As a zygote it is started by engine/client.c with its control socket as descriptor ENGINE_CONTROL_FD, as an
 * unprivileged user, with an environment that holds its settings (the worker's, by their usual names) and
 * nothing else. It never reads a byte of an untrusted file. */
#include "engine/engine.h"
#include "engine/protocol.h"
#include "engine/zygote.h"

#include "core/log.h"
#include "core/privilege.h"
#include "core/settings.h"
#include "core/str.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>

static const struct format *format_of_word(const char *word, size_t len)
{
    char id[32];

    if (len >= sizeof id)
        return NULL;
    memcpy(id, word, len);
    id[len] = '\0';
    return format_by_id(id);
}

static bool is_category(const char *word, size_t len)
{
    for (enum format_category c = FORMAT_DOCUMENT; c < FORMAT_CATEGORIES_; c++)
        if (strlen(format_category_name(c)) == len && memcmp(format_category_name(c), word, len) == 0)
            return true;
    return false;
}

static bool has_option(const struct engine *engine, const char *word, size_t len)
{
    for (const struct engine_option *o = engine->options; o && o->name; o++)
        if (strlen(o->name) == len && memcmp(o->name, word, len) == 0)
            return true;
    return false;
}

static int check_conversions(const struct engine *engine, const struct engine_conversions *c)
{
    const char *word;
    size_t len;

    if (c->cost == 0 || c->fidelity == 0 || c->fidelity > 100) {
        fprintf(stderr, "decant-engine-%s: a cost or a fidelity is missing\n", engine->name);
        return -EINVAL;
    }
    for (const char *p = c->follows; (p = words_next(p, &word, &len));)
        if (!is_category(word, len)) {
            fprintf(stderr, "decant-engine-%s: there is no category \"%.*s\"\n", engine->name, (int)len,
                    word);
            return -EINVAL;
        }
    for (const char *p = c->asked_by; (p = words_next(p, &word, &len));)
        if (!has_option(engine, word, len)) {
            fprintf(stderr, "decant-engine-%s: there is no option \"%.*s\"\n", engine->name, (int)len, word);
            return -EINVAL;
        }
    return 0;
}

/* A misspelt format in an engine's table must break the build, not vanish from the catalogue. */
static int check_formats(const struct engine *engine, const char *list)
{
    const char *word;
    size_t len;

    for (const char *p = list; (p = words_next(p, &word, &len));)
        if (!format_of_word(word, len)) {
            fprintf(stderr, "decant-engine-%s: there is no format \"%.*s\"\n", engine->name, (int)len, word);
            return -EINVAL;
        }
    return 0;
}

static const char *text(const char *may_be_null)
{
    return may_be_null ? may_be_null : "";
}

static void describe_conversions(const struct engine *engine, const struct engine_conversions *c)
{
    const char *from_word, *to_word;
    size_t from_len, to_len;

    for (const char *p = c->from; (p = words_next(p, &from_word, &from_len));)
        for (const char *q = c->to; (q = words_next(q, &to_word, &to_len));) {
            const struct format *from = format_of_word(from_word, from_len);
            const struct format *to = format_of_word(to_word, to_len);

            if (!from || !to)
                continue;
            if ((from == to) == (c->asked_by != NULL) && (!engine->offers || engine->offers(from, to)))
                printf("STEP(\"%s\", \"%s\", \"%s\", %u, %u, %d, \"%s\", \"%s\", %u)\n", engine->name,
                       from->id, to->id, c->cost, c->fidelity, c->copies_embedded, text(c->follows),
                       text(c->asked_by), c->turn);
        }
}

static int describe_option(const struct engine *engine, const struct engine_option *o)
{
    static const char *const kinds[OPTION_KINDS_] = {
        [OPTION_NUMBER] = "OPTION_NUMBER", [OPTION_SWITCH] = "OPTION_SWITCH",
        [OPTION_CHOICE] = "OPTION_CHOICE", [OPTION_SET] = "OPTION_SET",
        [OPTION_PAGES] = "OPTION_PAGES",   [OPTION_TEXT] = "OPTION_TEXT",
        [OPTION_FORMAT] = "OPTION_FORMAT", [OPTION_SECRET] = "OPTION_SECRET",
        [OPTION_COLOUR] = "OPTION_COLOUR",
    };

    struct colour fallback;

    if (check_formats(engine, o->targets) < 0 || check_formats(engine, o->sources) < 0)
        return -EINVAL;
    if ((o->kind == OPTION_CHOICE || o->kind == OPTION_SET) != (o->choices != NULL)) {
        fprintf(stderr, "decant-engine-%s: the choices of \"%s\" are wrong\n", engine->name, o->name);
        return -EINVAL;
    }
    if (o->kind == OPTION_COLOUR && o->chosen && !colour_parse(o->chosen, &fallback)) {
        fprintf(stderr, "decant-engine-%s: the fallback of \"%s\" is no colour\n", engine->name, o->name);
        return -EINVAL;
    }
    printf("OPTION(\"%s\", \"%s\", %s, \"%s\", \"%s\", %ld, %ld, %ld, \"%s\", \"%s\", \"%s\")\n",
           engine->name, o->name, kinds[o->kind], text(o->sources), text(o->targets), o->min, o->max,
           o->fallback, o->label, text(o->choices), text(o->chosen));
    return 0;
}

static int describe_words(const struct engine *engine, const char *line, const char *list)
{
    const char *word;
    size_t len;

    if (check_formats(engine, list) < 0)
        return -EINVAL;
    for (const char *p = list; (p = words_next(p, &word, &len));)
        printf("%s(\"%s\", \"%.*s\")\n", line, engine->name, (int)len, word);
    return 0;
}

static int describe(const struct engine *engine)
{
    if (engine->family)
        printf("ENGINE(\"%s\", \"%s\")\n", engine->name, engine->family);
    for (const struct engine_conversions *c = engine->conversions; c->from; c++) {
        if (check_formats(engine, c->from) < 0 || check_formats(engine, c->to) < 0 ||
            check_conversions(engine, c) < 0)
            return EXIT_FAILURE;
        describe_conversions(engine, c);
    }
    for (const struct engine_option *o = engine->options; o && o->name; o++)
        if (describe_option(engine, o) < 0)
            return EXIT_FAILURE;
    if (describe_words(engine, "GATHER", engine->gathers) < 0 ||
        describe_words(engine, "SCATTER", engine->scatters) < 0)
        return EXIT_FAILURE;
    for (const char *const *program = engine->programs; program && *program; program++)
        printf("PROGRAM(\"%s\", \"%s\")\n", engine->name, *program);
    if (engine->protectable) {
        if (check_formats(engine, engine->protectable) < 0)
            return EXIT_FAILURE;
        printf("PASSWORD(\"%s\", \"%s\")\n", engine->name, engine->protectable);
    }
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int print_version(const struct engine *engine)
{
    char version[128] = "";

    if (engine->version)
        engine->version(version, sizeof version);
    printf("decant-engine-%s %s (%s)\n", engine->name, DECANT_VERSION, version);
    return EXIT_SUCCESS;
}

static void write_oom_score(const char *score)
{
    _cleanup_close_ int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    /* Short of memory, the kernel should take an engine before the worker; without /proc it decides alone. */
    if (fd >= 0 && write(fd, score, strlen(score)) < 0)
        log_debug("the OOM score could not be raised", LOG_E(-errno));
}

/* 0, or the sentence for the worker. */
static const char *become_zygote(void)
{
    static const int ignored_signals[] = {SIGPIPE, SIGHUP};

    if (getuid() == 0 || geteuid() == 0)
        return "an engine must not run as root: set DECANT_ENGINE_USER to an unprivileged user";
    write_oom_score("500");
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        privilege_forbid_core() < 0)
        return "prctl is not permitted here";
    for (size_t i = 0; i < ARRAY_SIZE(ignored_signals); i++)
        if (signal(ignored_signals[i], SIG_IGN) == SIG_ERR)
            return "signals can't be set";
    umask(077);
    if (chdir("/") < 0)
        return "the root folder can't be entered";
    return NULL;
}

/* Where the cgroups are is none of a child's business: from now on its environment doesn't say. */
static char *take_place(const char *setting)
{
    bool is_place = !str_eq(setting, "auto") && !str_eq(setting, "off");
    char *place = is_place ? strdup(setting) : NULL;
    char *variable = getenv("DECANT_CGROUP"); // NOLINT(concurrency-mt-unsafe): one thread

    if (variable)
        explicit_bzero(variable, strlen(variable));
    unsetenv("DECANT_CGROUP"); // NOLINT(concurrency-mt-unsafe)
    return place;
}

static int run_zygote(const struct engine *engine, const struct settings *settings)
{
    _cleanup_free_ char *place = take_place(settings->cgroup);
    struct sandbox_config config = {
        .policy = engine->policy,
        .read_paths = engine->read_paths,
        .programs = engine->programs,
        .tools = engine->tool_runs,
        .tool_policy = engine->tool_policy,
        .reduced = str_eq(settings->sandbox, "reduced"),
        .debug = str_eq(settings->log_level, "debug"),
        .cgroup = place,
        .memory_bytes = settings->job_memory_bytes,
        .output_bytes = settings->job_output_bytes,
    };
    struct zygote zygote = {.engine = engine,
                            .control = ENGINE_CONTROL_FD,
                            .spares_max = settings->jobs ? settings->jobs : (size_t)get_nprocs()};
    const char *why = become_zygote();
    int r = why ? -EPERM : sandbox_prepare(&config, &zygote.sandbox, &why);
    bool sandbox_refused = r < 0;

    free(TAKE_PTR(place));
    if (r == 0 && sandbox_cgroup_why(zygote.sandbox))
        log_warn("jobs have no cgroup", LOG_S("engine", engine->name),
                 LOG_S("why", sandbox_cgroup_why(zygote.sandbox)));
    if (r == 0) {
        why = "the engine ended by itself";
        r = engine->warm(zygote_serve, &zygote, &why);
    }
    log_error("the engine refuses to start", LOG_S("engine", engine->name), LOG_S("why", why), LOG_E(r));
    zygote_refuse(ENGINE_CONTROL_FD, sandbox_refused, why);
    sandbox_free(zygote.sandbox);
    return EXIT_FAILURE;
}

static bool has_control_socket(void)
{
    int type;
    socklen_t len = sizeof type;

    return getsockopt(ENGINE_CONTROL_FD, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_SEQPACKET;
}

int engine_main(const struct engine *engine, int argc, char **argv)
{
    struct settings settings;
    char *no_flags[] = {argv[0], NULL};

    if (argc == 2 && str_eq(argv[1], "--describe"))
        return describe(engine);
    if (argc == 2 && str_eq(argv[1], "--version"))
        return print_version(engine);
    if (argc != 1 || !has_control_socket()) {
        fprintf(stderr,
                "decant-engine-%s is started by decant-worker and decant convert.\n"
                "usage: decant-engine-%s --describe | --version\n",
                engine->name, engine->name);
        return 2;
    }
    if (settings_load(&settings, PROGRAM_WORKER, "", 1, no_flags) < 0)
        return 2;
    settings_log_init(&settings, engine->name);
    return run_zygote(engine, &settings);
}
