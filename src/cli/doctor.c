/* `decant doctor`: looks at every part that a conversion needs, by trying it, and says what to do about each
 * that is missing. Exit status 0 when all that is required is there. */
#include "cli/commands.h"
#include "cli/signatures.h"
#include "core/settings.h"
#include "core/str.h"
#include "engine/catalogue.h"
#include "engine/client.h"
#include "engine/fonts.h"
#include "sandbox/cgroup.h"
#include "sandbox/sandbox.h"
#include "worker/scanner.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>

enum { EXIT_CONFIG = 78, ENGINE_WAIT_MS = 180000 };

enum verdict { GOOD, WEAK, BAD };

struct doctor {
    struct settings settings;
    uv_loop_t loop;
    uv_timer_t patience;
    struct engine_pool *pool;
    struct cgroup_place *cgroups;
    struct scanner *scanner;
    bool bad;
};

/* `advice`: what to do about it; NULL when all is well. */
static void say(struct doctor *d, enum verdict verdict, const char *what, const char *found,
                const char *advice)
{
    static const char *const marks[] = {[GOOD] = "ok     ", [WEAK] = "weak   ", [BAD] = "MISSING"};

    printf("%s  %-18s %s\n", marks[verdict], what, found);
    if (advice)
        printf("         %-18s → %s\n", "", advice);
    d->bad = d->bad || verdict == BAD;
}

/* --- programs and fonts */

static void check_program(struct doctor *d, const char *name, const char *path, const char *package)
{
    char advice[96];

    snprintf(advice, sizeof advice, "apt-get install %s (only `decant serve` needs it)", package);
    if (access(path, X_OK) == 0)
        say(d, GOOD, name, path, NULL);
    else
        say(d, WEAK, name, "not found", advice);
}

/* What fontconfig finds for `pattern`, as its own program prints it: no library of engines is linked here. */
static bool font_match(const char *pattern, const char *format, char *ret, size_t size)
{
    size_t len = 0;
    ssize_t n = 0;
    int out[2];
    pid_t pid;

    if (pipe2(out, O_CLOEXEC) < 0)
        return false;
    pid = fork();
    if (pid == 0) {
        dup2(out[1], STDOUT_FILENO);
        execlp("fc-match", "fc-match", "-f", format, pattern, (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    while (len < size - 1 && (n = read(out[0], ret + len, size - 1 - len)) > 0)
        len += (size_t)n;
    close(out[0]);
    ret[len] = '\0';
    if (pid > 0)
        waitpid(pid, NULL, 0);
    return len > 0;
}

/* Documents of the usual office suites ask for these families. What stands in for them should have the same
 * widths, so that lines and pages break where the author saw them break. */
static bool check_families(struct doctor *d)
{
    static const struct {
        const char *asked, *package;
    } fonts[] = {
        {"Calibri", "fonts-crosextra-carlito"}, {"Cambria", "fonts-crosextra-caladea"},
        {"Arial", "fonts-liberation2"},         {"Times New Roman", "fonts-liberation2"},
        {"Courier New", "fonts-liberation2"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(fonts); i++) {
        char found[128], text[192], advice[128];

        if (!font_match(fonts[i].asked, "%{family[0]}", found, sizeof found)) {
            say(d, WEAK, "fonts", "fontconfig's fc-match is not there", "apt-get install fontconfig");
            return false;
        }
        snprintf(text, sizeof text, "%s is shown in %s", fonts[i].asked, found);
        snprintf(advice, sizeof advice, "apt-get install %s, or lines will break elsewhere",
                 fonts[i].package);
        if (fonts_same(found, fonts[i].asked) || fonts_metric_compatible(fonts[i].asked, found))
            say(d, GOOD, "font", text, NULL);
        else
            say(d, WEAK, "font", text, advice);
    }
    return true;
}

/* LibreOffice takes the characters of these from one font, whose name nobody else has. */
static void check_symbols(struct doctor *d)
{
    char found[128];

    if (font_match("OpenSymbol", "%{family[0]}", found, sizeof found) && fonts_same(found, "OpenSymbol"))
        say(d, GOOD, "font", "Symbol and Wingdings are shown in OpenSymbol", NULL);
    else
        say(d, WEAK, "font", "Symbol and Wingdings have no stand-in",
            "apt-get install fonts-opensymbol, or bullets become other characters");
}

/* Has the font that fontconfig finds for a language all of its letters? */
static bool is_written(const char *language)
{
    char pattern[24], wanted[24], languages[8192];

    snprintf(pattern, sizeof pattern, ":lang=%s", language);
    snprintf(wanted, sizeof wanted, "|%s|", language);
    return font_match(pattern, "|%{lang}|", languages, sizeof languages) && strstr(languages, wanted);
}

static void check_scripts(struct doctor *d)
{
    static const struct {
        const char *language, *name, *package;
    } scripts[] = {
        {"zh-cn", "Chinese", "fonts-noto-cjk"}, {"ja", "Japanese", "fonts-noto-cjk"},
        {"ko", "Korean", "fonts-noto-cjk"},     {"ar", "Arabic", "fonts-noto-core"},
        {"he", "Hebrew", "fonts-noto-core"},    {"hi", "Devanagari", "fonts-noto-core"},
        {"bn", "Bengali", "fonts-noto-core"},   {"ta", "Tamil", "fonts-noto-core"},
        {"th", "Thai", "fonts-noto-core"},      {"am", "Ethiopic", "fonts-noto-core"},
    };
    char there[256] = "";
    size_t len = 0;

    for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
        char text[64], advice[128];

        if (is_written(scripts[i].language)) {
            len +=
                (size_t)snprintf(there + len, sizeof there - len, "%s%s", len ? ", " : "", scripts[i].name);
            continue;
        }
        snprintf(text, sizeof text, "no font for %s", scripts[i].name);
        snprintf(advice, sizeof advice, "apt-get install %s, or its letters become boxes",
                 scripts[i].package);
        say(d, WEAK, "fonts", text, advice);
    }
    if (len > 0)
        say(d, GOOD, "fonts for scripts", there, NULL);
}

static void check_fonts(struct doctor *d)
{
    if (!check_families(d))
        return;
    check_symbols(d);
    check_scripts(d);
}

/* --- the scanner */

static void say_scanner(struct doctor *d, const struct scanner_info *info)
{
    if (info->state == SCANNER_OFF)
        say(d, WEAK, "scanner", "switched off (DECANT_CLAMD=off)", NULL);
    else if (info->state == SCANNER_UNFIT)
        say(d, BAD, "scanner", info->detail, info->remark);
    else if (info->state == SCANNER_UP)
        say(d, *info->remark ? WEAK : GOOD, "scanner", info->detail, *info->remark ? info->remark : NULL);
    else
        say(d, WEAK, "scanner", info->detail,
            "`decant serve` starts one of its own. A worker that is started alone converts nothing without "
            "one: start clamd, or set DECANT_CLAMD");
}

static void on_scanner_changed(void *arg)
{
    struct doctor *d = arg;
    struct scanner_info info;

    scanner_info(d->scanner, &info);
    if (info.state != SCANNER_UNKNOWN)
        uv_stop(&d->loop);
}

static void check_scanner(struct doctor *d)
{
    struct scanner_info info;

    if (signatures_installed())
        say(d, GOOD, "virus signatures", SIGNATURES_SYSTEM_DIR, NULL);
    else
        say(d, WEAK, "virus signatures", "none in " SIGNATURES_SYSTEM_DIR, SIGNATURES_ADVICE);
    if (scanner_new(&d->loop, &d->settings, &d->scanner) < 0) {
        say(d, BAD, "scanner", "memory is out", NULL);
        return;
    }
    scanner_watch(d->scanner, on_scanner_changed, d);
    uv_run(&d->loop, UV_RUN_DEFAULT);
    scanner_info(d->scanner, &info);
    say_scanner(d, &info);
    scanner_free(d->scanner);
    uv_run(&d->loop, UV_RUN_DEFAULT);
}

/* --- engines, which also prove the sandbox: each refuses to start without its layers */

static bool all_settled(struct doctor *d)
{
    struct engine_info info;

    for (const char *const *name = catalogue_engines(); *name; name++)
        if (engine_pool_info(d->pool, *name, &info) && info.state == ENGINE_STARTING)
            return false;
    return true;
}

static void say_engine(struct doctor *d, const struct engine_info *info, const char *what, const char *found)
{
    if (!(info->layers & SANDBOX_NAMESPACES))
        say(d, WEAK, what, found, "DECANT_SANDBOX=reduced: jobs share the server's file system view");
    else if (d->cgroups && !(info->layers & SANDBOX_CGROUP))
        say(d, WEAK, what, found, "its jobs have no cgroup: its warning above says why");
    else
        say(d, GOOD, what, found, NULL);
}

static void report_engines(struct doctor *d)
{
    struct engine_info info;

    say(d, GOOD, "engines", catalogue_names(), NULL);
    for (const char *const *name = catalogue_engines(); *name; name++) {
        char what[32], found[256], layers[64];

        snprintf(what, sizeof what, "engine %s", *name);
        if (!engine_pool_info(d->pool, *name, &info) || info.state != ENGINE_UP) {
            if (info.state == ENGINE_STARTING)
                say(d, BAD, what, "did not start in time",
                    "run this again when the machine is less busy; DECANT_LOG_LEVEL=debug shows how far it "
                    "comes");
            else
                say(d, BAD, what, "refuses to start", info.why);
            continue;
        }
        sandbox_layer_names(info.layers, layers);
        snprintf(found, sizeof found, "%s; sandbox: %s", info.version, layers);
        say_engine(d, &info, what, found);
    }
}

static void on_engine_change(void *arg)
{
    struct doctor *d = arg;

    if (all_settled(d))
        uv_stop(&d->loop);
}

static void on_patience(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

static void check_cgroups(struct doctor *d)
{
    const char *why;

    if (cgroup_place_make(d->settings.cgroup, d->settings.engine_user, &d->cgroups, &why) == 0)
        say(d, GOOD, "cgroups", cgroup_place_folders(d->cgroups), NULL);
    else
        say(d, WEAK, "cgroups", "a job's memory, threads and processor time are bounded by rlimits alone",
            why);
    d->settings.cgroup = cgroup_place_folders(d->cgroups);
}

static void check_engines(struct doctor *d)
{
    if (engine_pool_new(&d->loop, &d->settings, NULL, &d->pool) < 0) {
        say(d, BAD, "engines", "could not be started", "see the messages above");
        return;
    }
    engine_pool_on_change(d->pool, on_engine_change, d);
    uv_timer_init(&d->loop, &d->patience);
    uv_timer_start(&d->patience, on_patience, ENGINE_WAIT_MS, 0);
    uv_run(&d->loop, UV_RUN_DEFAULT);
    report_engines(d);
    uv_close((uv_handle_t *)&d->patience, NULL);
    engine_pool_free(d->pool);
    uv_run(&d->loop, UV_RUN_DEFAULT);
}

static void check_programs(struct doctor *d)
{
    for (const char *const *name = catalogue_engines(); *name; name++) {
        const char *program = catalogue_missing_program(*name);
        char what[32], found[128];

        if (!program)
            continue;
        snprintf(what, sizeof what, "engine %s", *name);
        snprintf(found, sizeof found, "%s is missing", program);
        say(d, WEAK, what, found, "its conversions are not offered");
    }
}

int cmd_doctor(int argc, char **argv)
{
    struct doctor d = {0};
    int r = settings_load(&d.settings, PROGRAM_DOCTOR,
                          "usage: decant doctor [OPTIONS]\n\nChecks all that conversions need, by trying it.",
                          argc, argv);

    if (r < 0)
        return r == -ECANCELED ? EXIT_SUCCESS : EXIT_CONFIG;
    settings_log_init(&d.settings, "decant");
    catalogue_choose(d.settings.engines);
    check_programs(&d);
    catalogue_leave_out_missing();
    uv_loop_init(&d.loop);
    check_program(&d, "redis-server", "/usr/bin/redis-server", "redis-server");
    check_program(&d, "clamd", "/usr/sbin/clamd", "clamav-daemon");
    check_scanner(&d);
    check_fonts(&d);
    check_cgroups(&d);
    check_engines(&d);
    cgroup_place_free(d.cgroups);
    uv_loop_close(&d.loop);
    printf(d.bad ? "\nSomething that conversions need is missing.\n" : "\nReady to convert.\n");
    return d.bad ? EXIT_FAILURE : EXIT_SUCCESS;
}
