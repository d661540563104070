/* `decant serve`: the whole platform on one machine, in one folder: a private Redis on a Unix socket with an
 * append-only file, a private clamd, the API and the worker, supervised.
 *
 * Every part runs with the data folder as its working directory and finds everything by relative paths, and
 * the programs themselves are opened before root's rights are given away: so it works wherever the folders
 * lie, even below a home directory that the unprivileged users can't enter.
 *
 * Started as root the parts are of several users, so that none of them can reach into another: the API, the
 * engines, the courier, and the worker with Redis and clamd. API and worker share a group, and by it the
 * storage and Redis's socket; the courier is of it for the socket; everything else in the data folder is the
 * worker's alone. Engines are not of that group, and so can't pass the data folder. Started by anybody else
 * all are of that user, and its folders private.
 */
#include "cli/commands.h"

#include "auth/jwt_keys.h"
#include "cli/signatures.h"
#include "cli/supervisor.h"
#include "core/buf.h"
#include "core/clock.h"
#include "core/path.h"
#include "core/privilege.h"
#include "core/seal.h"
#include "core/settings.h"
#include "core/str.h"
#include "engine/catalogue.h"
#include "files/clamd.h"
#include "files/storage.h"
#include "sandbox/cgroup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { EXIT_USAGE = 2, EXIT_CONFIG = 78, READY_POLL_MS = 250, READY_PATIENCE_MS = 90000, N_PARTS = 5 };
enum { INHERITED_MAX = 32 }; /* of a path to an inherited descriptor */

#define REDIS_SOCKET "redis/redis.sock"
#define CLAMD_SOCKET "clamav/clamd.sock"
#define SEAL_KEY     "keys/seal"
#define JWT_KEYS     "jwt"

#define USAGE                                                                                                \
    "usage: decant serve [OPTIONS]\n\nStarts Redis, the virus scanner, the API and the worker on this "      \
    "machine. Ctrl-C stops "                                                                                 \
    "all of it;\nthe next start goes on with the jobs that were waiting."

struct serve {
    struct settings settings;
    uv_loop_t loop;
    uv_signal_t interrupt, terminate, hangup;
    bool has_terminal;
    uv_timer_t ready;
    struct supervisor supervisor;
    struct part parts[N_PARTS];
    uint64_t started_ms;
    bool said_unready;
    bool is_root;
    struct privilege_ids worker, api, courier; /* if so */
    int data_fd, lock_fd;
    char seal_public[SEAL_PUBLIC_LEN + 1];
    struct cgroup_place *cgroups; /* NULL: none can be had */
    int status;
};

/* --- the data folder */

/* `mode` is for who shares it; without such it is as private as can be. An older folder gets it as well. */
static int make_dir(struct serve *s, const char *name, mode_t mode)
{
    _cleanup_close_ int fd = path_make_dir(s->data_fd, name, 0700);

    if (fd < 0)
        return fd;
    if (s->is_root && (fchown(fd, s->worker.uid, s->worker.gid) < 0 || fchmod(fd, mode) < 0))
        return -errno;
    return 0;
}

static int complain(const char *what, const char *name, int r)
{
    fprintf(stderr, "decant serve: %s %s: %s\n", what, name, strerror(-r));
    return r;
}

/* Only one `decant serve` at a time has a data folder. */
static int lock_data(struct serve *s)
{
    s->lock_fd = openat(s->data_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->lock_fd < 0)
        return complain("can't write in", s->settings.data, -errno);
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        fprintf(stderr, "decant serve: another one is running with the folder %s; --data chooses a folder\n",
                s->settings.data);
        return -EBUSY;
    }
    return 0;
}

/* The key that document passwords are sealed with: made once, so that jobs which wait can be opened after a
 * restart. */
static int prepare_seal(struct serve *s)
{
    _cleanup_close_ int keys = path_open(s->data_fd, "keys", O_RDONLY | O_DIRECTORY, 0);
    uid_t uid = s->is_root ? s->worker.uid : geteuid();
    gid_t gid = s->is_root ? s->worker.gid : getegid();
    struct seal_key *key = NULL;
    int r = keys < 0 ? keys : seal_key_make(keys, strrchr(SEAL_KEY, '/') + 1, uid, gid);

    if (r == 0)
        r = seal_key_load(s->data_fd, SEAL_KEY, &key);
    if (r < 0)
        return complain("can't use the key", SEAL_KEY, r);
    seal_key_public(key, s->seal_public);
    seal_key_free(key);
    return 0;
}

/* The keys that access tokens are signed with: the API's alone, and one to begin with. */
static int prepare_jwt(struct serve *s)
{
    _cleanup_close_ int keys = path_make_dir(s->data_fd, JWT_KEYS, 0700);
    char kid[JWT_KID_MAX + 1];
    int r = keys < 0 ? keys : s->is_root ? jwt_keys_give(keys, s->api.uid, s->api.gid) : 0;

    if (r == 0)
        r = jwt_key_make_first(keys, kid);
    return r < 0 ? complain("can't make a key in the folder", JWT_KEYS, r) : 0;
}

_noreturn_ static void share_storage(const struct serve *s)
{
    int r = fchdir(s->data_fd) < 0 ? -errno : privilege_become(&s->worker);

    umask(0);
    if (r == 0)
        r = storage_share("storage");
    _exit(-r);
}

/* By who owns it, in a process of its own. */
static int prepare_storage(struct serve *s)
{
    pid_t pid;
    int status;

    if (!s->is_root)
        return make_dir(s, "storage", 0700);

    _cleanup_close_ int fd = path_make_dir(s->data_fd, "storage", 0700);

    if (fd < 0)
        return fd;
    if (fchown(fd, s->worker.uid, s->worker.gid) < 0)
        return -errno;
    pid = fork();
    if (pid == 0)
        share_storage(s);
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return -errno;
    return WIFEXITED(status) ? -WEXITSTATUS(status) : -ECHILD;
}

static bool has_courier(const struct serve *s)
{
    return str_eq(s->settings.webhooks, "on") || *s->settings.oidc_issuer;
}

/* All of them before anything is made: who is missing is missed at the start. */
static int find_users(struct serve *s)
{
    struct privilege_ids engine;
    int r;

    s->is_root = geteuid() == 0;
    if (!s->is_root)
        return 0;
    if (privilege_find("DECANT_USER", s->settings.user, &s->worker) < 0 ||
        privilege_find("DECANT_API_USER", s->settings.api_user, &s->api) < 0 ||
        privilege_find("DECANT_ENGINE_USER", s->settings.engine_user, &engine) < 0)
        return -ENOENT;
    if (has_courier(s) && privilege_find("DECANT_COURIER_USER", s->settings.courier_user, &s->courier) < 0)
        return -ENOENT;
    s->api.gid = s->courier.gid = s->worker.gid;
    if (engine.uid == s->worker.uid) /* asked for: they share all */
        return 0;
    r = privilege_stranger("DECANT_ENGINE_USER", s->settings.engine_user, &engine, &s->worker);
    return r < 0 ? r : privilege_stranger("DECANT_ENGINE_USER", s->settings.engine_user, &engine, &s->api);
}

static int prepare_data(struct serve *s)
{
    /* The group passes the data folder and redis/, where the socket is. Everything else there is private by
     * its own mode; the storage is as files/storage.h says, by those to whom it belongs. */
    static const struct {
        const char *name;
        mode_t mode;
    } folders[] = {{".", 0710},          {"redis", 0710}, {"clamav", 0700}, {"clamav/database", 0700},
                   {"clamav/tmp", 0700}, {"log", 0700},   {"keys", 0700}};
    int r;

    if (mkdir(s->settings.data, 0700) < 0 && errno != EEXIST)
        return complain("can't make the folder", s->settings.data, -errno);
    s->data_fd = open(s->settings.data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->data_fd < 0)
        return complain("can't open the folder", s->settings.data, -errno);
    r = lock_data(s);
    if (r < 0)
        return r;
    for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
        r = make_dir(s, folders[i].name, folders[i].mode);
        if (r < 0)
            return complain("can't make the folder", folders[i].name, r);
    }
    r = prepare_storage(s);
    if (r < 0)
        return complain("can't prepare the folder", "storage", r);
    r = prepare_seal(s);
    return r < 0 ? r : prepare_jwt(s);
}

/* While we may: the worker has no right to make one. */
static void prepare_cgroups(struct serve *s)
{
    const char *why;

    if (cgroup_place_make(s->settings.cgroup, s->settings.engine_user, &s->cgroups, &why) < 0)
        log_warn("conversions run without cgroups", LOG_S("why", why));
    s->settings.cgroup = cgroup_place_folders(s->cgroups);
}

/* --- the parts */

/* The folder of our own programs, as a descriptor that the parts inherit: /proc/self/fd/N works for a user
 * who can't walk there. */
static int open_bindir(const struct settings *s, char ret_path[INHERITED_MAX])
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    int fd;

    if (n < 0)
        return -errno;
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    fd = open(s->bindir ? s->bindir : self, O_PATH | O_DIRECTORY); /* inherited on purpose */
    if (fd < 0)
        return -errno;
    snprintf(ret_path, INHERITED_MAX, "/proc/self/fd/%d", fd);
    return fd;
}

/* The same for the folder of the web page. What it is set to, or NULL: the API says that there is none. */
static const char *open_page(const struct settings *s, int bindir_fd, char path[INHERITED_MAX])
{
    int fd = s->web ? -1 : openat(bindir_fd, SETTINGS_WEB_BESIDE, O_PATH | O_DIRECTORY); /* inherited, too */

    if (fd < 0)
        return s->web;
    snprintf(path, INHERITED_MAX, "/proc/self/fd/%d", fd);
    return path;
}

static int find_program(const char *name, const char *package)
{
    static const char *const dirs[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
                                       "/usr/bin",        "/sbin",          "/bin"};
    char path[128];

    for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
        snprintf(path, sizeof path, "%s/%s", dirs[i], name);

        int fd = open(path, O_PATH | O_CLOEXEC);

        if (fd >= 0)
            return fd;
    }
    fprintf(stderr, "decant serve: %s is missing: apt-get install %s\n", name, package);
    return -ENOENT;
}

static int find_own(int bindir_fd, const char *name)
{
    int fd = openat(bindir_fd, name, O_PATH | O_CLOEXEC);

    if (fd < 0)
        fprintf(stderr, "decant serve: %s is not beside this program: %s\n", name, strerror(errno));
    return fd < 0 ? -errno : fd;
}

static void redis_part(const struct serve *s, struct part *p)
{
    static const struct part redis = {
        .name = "redis",
        .argv = {"redis-server",
                 "--port",
                 "0",
                 "--dir",
                 "redis",
                 "--unixsocket",
                 "redis.sock",
                 "--unixsocketperm",
                 "700",
                 "--appendonly",
                 "yes",
                 "--appendfsync",
                 "everysec",
                 "--save",
                 "",
                 "--maxmemory-policy",
                 "noeviction",
                 "--daemonize",
                 "no",
                 "--logfile",
                 "../log/redis.log",
                 NULL},
        .quiet = true,
        .end_order = 2,
        .end_timeout_ms = 10000,
    };

    *p = redis;
    p->user = s->worker;
    for (size_t i = 0; s->is_root && p->argv[i]; i++)
        if (str_eq(p->argv[i], "--unixsocketperm"))
            p->argv[i + 1] = "770"; /* for the API */
}

/* Its own log would name what is infected by its path, in which the session's id is: without one that goes to
 * standard output, which is dropped, and errors to standard error. Limits above the largest upload, so that
 * "too big to scan" is an alert and never a silent pass; beyond 2 GiB clamd's own numbers end, which is that
 * alert too. What nobody waits for any more ends by itself (MaxScanTime). */
static int write_clamd_config(struct serve *s)
{
    bool real = signatures_installed();
    uint64_t upload = s->settings.max_upload_bytes;
    _cleanup_buf_ struct buf text = BUF_INIT(4096);
    _cleanup_close_ int fd = -1;
    int r;

    if (!real) {
        r = signatures_write_test(s->data_fd, "clamav/database/decant-test.ndb");
        if (r < 0)
            return r;
        log_warn(SIGNATURES_ADVICE);
    }
    buf_printf(&text,
               "Foreground yes\nLocalSocket " CLAMD_SOCKET "\nLocalSocketMode 600\nFixStaleSocket yes\n"
               "DatabaseDirectory %s\nTemporaryDirectory clamav/tmp\n"
               "MaxThreads %d\nStreamMaxLength %llu\nMaxFileSize %llu\nMaxScanSize %llu\nMaxScanTime "
               "%llu\nAlertExceedsMax "
               "yes\nAlertEncrypted %s\n",
               real ? SIGNATURES_SYSTEM_DIR : "clamav/database", CLAMD_CONNECTIONS + 2,
               (unsigned long long)upload + (1 << 20), (unsigned long long)upload * 4,
               (unsigned long long)upload * 8, (unsigned long long)s->settings.scan_timeout_s * 1000,
               str_eq(s->settings.scan_encrypted, "refuse") ? "yes" : "no");
    fd = openat(s->data_fd, "clamav/clamd.conf", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return -errno;
    return buf_error(&text) || write(fd, text.data, text.len) != (ssize_t)text.len ? -EIO : 0;
}

static void clamd_part(const struct serve *s, struct part *p)
{
    static const struct part clamd = {
        .name = "clamd",
        .argv = {"clamd", "--foreground", "--config-file=clamav/clamd.conf", NULL},
        .quiet = true,
        .end_order = 1,
        .end_timeout_ms = 5000,
    };

    *p = clamd;
    p->user = s->worker;
}

static struct part own_part(const struct serve *s, const char *program, const struct privilege_ids *user,
                            const char *scanner)
{
    return (struct part){.name = program,
                         .argv = {program, NULL},
                         .user = *user,
                         .needs = {REDIS_SOCKET, scanner},
                         .heeds_hangup = true,
                         .end_order = 0,
                         .end_timeout_ms = (s->settings.grace_s + 10) * 1000};
}

/* What every part of ours reads from its environment. */
static void export_settings(struct serve *s, const char *bindir, const char *page)
{
    struct settings child = s->settings;

    child.data = ".";
    child.storage = "storage";
    child.redis = "unix:" REDIS_SOCKET;
    child.redis_password_file = NULL;
    child.bindir = bindir;
    child.web = page;
    child.engines = catalogue_names();
    child.seal_public = s->seal_public;
    child.seal_key = SEAL_KEY;
    child.jwt_keys = JWT_KEYS;
    if (!str_eq(child.clamd, "off"))
        child.clamd = "unix:" CLAMD_SOCKET;
    settings_export(&child);
}

static int prepare_parts(struct serve *s)
{
    bool scan = !str_eq(s->settings.clamd, "off");
    char bindir[INHERITED_MAX], page[INHERITED_MAX];
    int bindir_fd = open_bindir(&s->settings, bindir);
    struct part *p = s->parts;

    if (bindir_fd < 0)
        return complain("can't open", "the folder of the programs", bindir_fd);
    export_settings(s, bindir, open_page(&s->settings, bindir_fd, page));
    redis_part(s, p);
    if ((p++->program_fd = find_program("redis-server", "redis-server")) < 0)
        return -ENOENT;
    if (scan) {
        int r = write_clamd_config(s);

        if (r < 0)
            return complain("can't write", "clamav/clamd.conf", r);
        clamd_part(s, p);
        if ((p++->program_fd = find_program("clamd", "clamav-daemon")) < 0)
            return -ENOENT;
    } else {
        log_warn("scanning for viruses is switched off (DECANT_CLAMD=off)");
    }
    *p = own_part(s, "decant-worker", &s->worker, scan ? CLAMD_SOCKET : NULL);
    p->drops_itself = true; /* when it has the process that starts engines, which become somebody else */
    if ((p++->program_fd = find_own(bindir_fd, "decant-worker")) < 0)
        return -ENOENT;
    *p = own_part(s, "decant-api", &s->api, NULL);
    if ((p++->program_fd = find_own(bindir_fd, "decant-api")) < 0)
        return -ENOENT;
    if (has_courier(s)) {
        *p = own_part(s, "decant-courier", &s->courier, NULL);
        if ((p++->program_fd = find_own(bindir_fd, "decant-courier")) < 0)
            return -ENOENT;
    }
    s->supervisor.n_parts = (size_t)(p - s->parts);
    return 0;
}

/* --- while it runs */

static void print_session(const char *url)
{
    printf(
        "  URL=%s\n"
        "  api() { curl -s -b cookies -c cookies -H \"X-CSRF-Token: $CSRF\" \"$@\"; }\n"
        "  field() { sed 's/.*\"'$1'\":\"\\([^\"]*\\)\".*/\\1/'; }\n"
        "  echo 'Hello from Decant' > hello.txt\n"
        "  CSRF=$(api $URL/session/init | field csrf_token)\n"
        "  JOB=$(api $URL/upload -F file=@hello.txt | field job_id)\n"
        "  api $URL/convert --json '{\"job_id\":\"'$JOB'\",\"target_format\":\"pdf\"}'\n"
        "  until api \"$URL/job_status?job_id=$JOB&wait=10\" | grep -E '\"status\":\"(completed|failed)\"'; "
        "do :; done\n"
        "  LINK=$(api $URL/download_token --json '{\"job_id\":\"'$JOB'\"}' | field url)\n"
        "  curl -s -o hello.pdf \"$URL$LINK\" && ls -l hello.pdf\n\n",
        url);
}

static void print_welcome(const struct settings *s, bool ready)
{
    static const char *const any[] = {"0.0.0.0", "::"};
    const char *host = str_eq(s->listen, any[0]) || str_eq(s->listen, any[1]) ? "127.0.0.1" : s->listen;
    bool offered = catalogue_find(format_by_id("txt"), format_by_id("pdf")); /* what the session converts */
    char url[96];

    snprintf(url, sizeof url, strchr(host, ':') ? "http://[%s]:%llu" : "http://%s:%llu", host,
             (unsigned long long)s->port);
    if (!ready) {
        printf("\nDecant is at %s, but not ready: %s/readyz and `decant doctor` say why.\n\n", url, url);
        fflush(stdout);
        return;
    }
    printf("\nDecant is ready at %s; Ctrl-C stops it.%s\n\n", url, offered ? " In another terminal:" : "");
    if (offered)
        print_session(url);
    fflush(stdout);
}

/* Asks the API for /readyz, on loopback: an answer takes milliseconds, and half a second is the limit. */
static bool is_ready(const struct settings *s)
{
    static const char request[] = "GET /readyz HTTP/1.0\r\n\r\n", ready[] = "HTTP/1.1 200";
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)s->port)};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)s->port)};
    const struct timeval limit = {.tv_usec = 500000};
    bool is6 = inet_pton(AF_INET6, s->listen, &v6.sin6_addr) == 1;
    _cleanup_close_ int fd = socket(is6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char head[sizeof ready] = "";

    if (fd < 0 || (!is6 && inet_pton(AF_INET, s->listen, &v4.sin_addr) != 1))
        return false;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (connect(fd, is6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4, is6 ? sizeof v6 : sizeof v4) < 0 ||
        send(fd, request, sizeof request - 1, MSG_NOSIGNAL) < 0)
        return false;
    return recv(fd, head, sizeof head - 1, MSG_WAITALL) == sizeof head - 1 && str_eq(head, ready);
}

static void on_ready_time(uv_timer_t *timer)
{
    struct serve *s = timer->data;

    if (s->supervisor.ending)
        return;
    if (is_ready(&s->settings)) {
        uv_timer_stop(timer);
        print_welcome(&s->settings, true);
    } else if (!s->said_unready && clock_mono_ms() - s->started_ms >= READY_PATIENCE_MS) {
        s->said_unready = true;
        print_welcome(&s->settings, false);
    }
}

static void on_signal(uv_signal_t *handle, int signum)
{
    struct serve *s = handle->data;

    log_info("stopping", LOG_S("signal", strsignal(signum)));
    supervisor_end(&s->supervisor);
}

/* To whom it may concern: the worker, whose engines' libraries were upgraded, and the API, which has other
 * keys. When it is the terminal that hangs up, we end as always. */
static void on_hangup(uv_signal_t *handle, int signum)
{
    struct serve *s = handle->data;

    if (s->has_terminal && !isatty(STDIN_FILENO))
        on_signal(handle, signum);
    else
        for (size_t i = 0; i < s->supervisor.n_parts; i++)
            if (s->parts[i].heeds_hangup && s->parts[i].pid > 0 && kill(s->parts[i].pid, SIGHUP) < 0)
                log_warn("a part can't be told to look at what is new", LOG_S("part", s->parts[i].name),
                         LOG_E(-errno));
}

static void on_ended(void *arg, int status)
{
    struct serve *s = arg;

    s->status = status;
    uv_close((uv_handle_t *)&s->interrupt, NULL);
    uv_close((uv_handle_t *)&s->terminate, NULL);
    uv_close((uv_handle_t *)&s->hangup, NULL);
    uv_close((uv_handle_t *)&s->ready, NULL);
}

static int run(struct serve *s)
{
    uv_loop_init(&s->loop);
    uv_signal_init(&s->loop, &s->interrupt);
    uv_signal_init(&s->loop, &s->terminate);
    uv_signal_init(&s->loop, &s->hangup);
    uv_timer_init(&s->loop, &s->ready);
    s->interrupt.data = s->terminate.data = s->hangup.data = s->ready.data = s;
    s->has_terminal = isatty(STDIN_FILENO);
    s->supervisor.loop = &s->loop;
    s->supervisor.parts = s->parts;
    s->supervisor.dir_fd = s->data_fd;
    s->supervisor.ended = on_ended;
    s->supervisor.arg = s;
    s->started_ms = clock_mono_ms();
    uv_signal_start(&s->interrupt, on_signal, SIGINT);
    uv_signal_start(&s->terminate, on_signal, SIGTERM);
    uv_signal_start(&s->hangup, on_hangup, SIGHUP);
    if (supervisor_start(&s->supervisor) < 0)
        return EXIT_FAILURE;
    uv_timer_start(&s->ready, on_ready_time, READY_POLL_MS, READY_POLL_MS);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    uv_loop_close(&s->loop);
    log_info("stopped");
    return s->status;
}

/* Their conversions are not offered; the others are as good as ever. */
static void leave_out_missing(void)
{
    for (const char *const *name = catalogue_engines(); *name; name++)
        if (catalogue_missing_program(*name))
            log_warn("an engine is left out: a program of its is missing", LOG_S("engine", *name),
                     LOG_S("program", catalogue_missing_program(*name)));
    catalogue_leave_out_missing();
}

int cmd_serve(int argc, char **argv)
{
    struct serve s = {.data_fd = -1, .lock_fd = -1};
    int r = settings_load(&s.settings, PROGRAM_SERVE, USAGE, argc, argv);

    if (r < 0)
        return r == -ECANCELED ? EXIT_SUCCESS : EXIT_CONFIG;
    if (r < argc) {
        fprintf(stderr, "decant serve takes no arguments; --help lists the options\n");
        return EXIT_USAGE;
    }
    settings_log_init(&s.settings, "decant");
    catalogue_choose(s.settings.engines);
    leave_out_missing();
    /* Redis and clamd inherit the limit. */
    if (privilege_forbid_core() < 0 || find_users(&s) < 0 || prepare_data(&s) < 0)
        return EXIT_CONFIG;
    prepare_cgroups(&s);
    r = prepare_parts(&s) < 0 ? EXIT_CONFIG : run(&s);
    cgroup_place_free(s.cgroups);
    return r;
}
