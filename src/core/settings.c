#include "core/settings.h"

#include "core/origin.h"
#include "core/sentinels.h"
#include "core/str.h"
#include "core/webhook.h"

#include <errno.h>
#include <stddef.h>

enum { JOB_TIMEOUT_MIN_S = 30, ISSUER_MAX = 255 };

enum kind { STRING, WORDS, NUMBER, SIZE, ORIGIN, ORIGINS, PORTS };

struct option {
    const char *env, *flag;
    unsigned programs;
    enum kind kind;
    size_t offset;
    const char *fallback; /* NULL: none */
    uint64_t min, max;
    const char *choices; /* STRING, WORDS: one of these, or some; NULL: any */
    const char *help;
};

#define SERVER (PROGRAM_SERVE | PROGRAM_API | PROGRAM_WORKER)
#define RUNNER (PROGRAM_SERVE | PROGRAM_WORKER | PROGRAM_CONVERT | PROGRAM_DOCTOR)
#define ALL    (SERVER | RUNNER)
/* Commands that talk to Redis alone. */
#define OPERATOR (PROGRAM_QUEUE | PROGRAM_ACCOUNTS)
/* Who takes part in single sign-on. */
#define SSO (PROGRAM_SERVE | PROGRAM_API | PROGRAM_COURIER)

#define TEXT(field, env, flag, programs, fallback, choices, help)                                            \
    {                                                                                                        \
        env, flag, programs, STRING, offsetof(struct settings, field), fallback, 0, 0, choices, help         \
    }
#define SOME(field, env, flag, programs, choices, help)                                                      \
    {                                                                                                        \
        env, flag, programs, WORDS, offsetof(struct settings, field), choices, 0, 0, choices, help           \
    }
#define LIST(field, env, flag, programs, kind, fallback, help)                                               \
    {                                                                                                        \
        env, flag, programs, kind, offsetof(struct settings, field), fallback, 0, 0, NULL, help              \
    }
#define NUM(field, env, flag, programs, fallback, min, max, help)                                            \
    {                                                                                                        \
        env, flag, programs, NUMBER, offsetof(struct settings, field), fallback, min, max, NULL, help        \
    }
#define BYTES(field, env, flag, programs, fallback, min, max, help)                                          \
    {                                                                                                        \
        env, flag, programs, SIZE, offsetof(struct settings, field), fallback, min, max, NULL, help          \
    }

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define TIB (UINT64_C(1) << 40)

static const struct option options[] = {
    TEXT(data, "DECANT_DATA", "data", PROGRAM_SERVE | PROGRAM_DOCTOR | OPERATOR, "./var", NULL,
         "folder for everything that is kept"),
    TEXT(listen, "DECANT_LISTEN", "listen", PROGRAM_SERVE | PROGRAM_API, "127.0.0.1", NULL,
         "address to listen on"),
    NUM(port, "DECANT_PORT", "port", PROGRAM_SERVE | PROGRAM_API, "8080", 1, 65535, "port to listen on"),
    TEXT(storage, "DECANT_STORAGE", "storage", PROGRAM_API | PROGRAM_WORKER, "/shared/tmp", NULL,
         "root of the storage tree"),
    TEXT(redis, "DECANT_REDIS", "redis", SERVER | PROGRAM_DOCTOR | PROGRAM_COURIER | OPERATOR,
         "tcp:127.0.0.1:6379", NULL,
         "unix:PATH, tcp:HOST:PORT, or sentinel://HOST:PORT;sentinel://HOST:PORT;..."),
    TEXT(redis_password_file, "DECANT_REDIS_PASSWORD_FILE", "redis-password-file",
         PROGRAM_API | PROGRAM_WORKER | PROGRAM_COURIER | OPERATOR, NULL, NULL,
         "file of the password for Redis, which only its owner may read"),
    TEXT(redis_master, "DECANT_REDIS_MASTER", "redis-master",
         PROGRAM_API | PROGRAM_WORKER | PROGRAM_COURIER | OPERATOR, "mymaster", NULL,
         "with sentinels: the master's name, as they know it"),
    LIST(redis_ports, "DECANT_REDIS_PORTS", "redis-ports", PROGRAM_API | PROGRAM_WORKER | PROGRAM_COURIER,
         PORTS, "6379", "with sentinels: ports of the Redis servers that may become the master"),
    TEXT(sentinel_password_file, "DECANT_SENTINEL_PASSWORD_FILE", "sentinel-password-file",
         PROGRAM_API | PROGRAM_WORKER | PROGRAM_COURIER | OPERATOR, NULL, NULL,
         "file of the sentinels' own password, which only its owner may read"),
    TEXT(clamd, "DECANT_CLAMD", "clamd", ALL, "unix:/run/clamav/clamd.ctl", NULL,
         "unix:PATH, tcp:HOST:PORT, or off (files are not scanned)"),
    SOME(engines, "DECANT_ENGINES", "engines", SERVER | PROGRAM_DOCTOR, ENGINE_NAMES,
         "engines that run, and whose conversions are offered"),
    TEXT(bindir, "DECANT_BINDIR", "bindir", RUNNER, NULL, NULL,
         "folder of the engine programs; default: beside this program"),
    TEXT(libreoffice, "DECANT_LIBREOFFICE", "libreoffice", RUNNER, NULL, NULL,
         "LibreOffice's program folder, below /usr; default: /usr/lib/libreoffice/program"),
    TEXT(user, "DECANT_USER", "user", SERVER | PROGRAM_COURIER, "decant", NULL,
         "the user that root becomes in the worker, Redis and clamd; its group shares the storage"),
    TEXT(api_user, "DECANT_API_USER", "api-user", PROGRAM_SERVE | PROGRAM_API, "decant-api", NULL,
         "the user that root becomes in the API, in the group of DECANT_USER"),
    TEXT(engine_user, "DECANT_ENGINE_USER", "engine-user", RUNNER, "decant-engine", NULL,
         "the user that root becomes in the engines"),
    TEXT(courier_user, "DECANT_COURIER_USER", "courier-user", PROGRAM_SERVE | PROGRAM_COURIER,
         "decant-courier", NULL, "the user that root becomes in the courier, in the group of DECANT_USER"),
    NUM(threads, "DECANT_THREADS", "threads", PROGRAM_SERVE | PROGRAM_API, "0", 0, 256,
        "HTTP loops; 0: one per core"),
    BYTES(max_upload_bytes, "DECANT_MAX_UPLOAD", "max-upload", SERVER | PROGRAM_DOCTOR, "100M", KIB, TIB,
          "largest upload"),
    NUM(max_jobs, "DECANT_MAX_JOBS", "max-jobs", PROGRAM_SERVE | PROGRAM_API, "200", 1, 100000,
        "jobs that one session may hold"),
    NUM(max_connections, "DECANT_MAX_CONNECTIONS", "max-connections", PROGRAM_SERVE | PROGRAM_API, "8192", 8,
        1000000, "open connections"),
    NUM(address_connections, "DECANT_ADDRESS_CONNECTIONS", "address-connections", PROGRAM_SERVE | PROGRAM_API,
        "1024", 1, 1000000, "open connections of one address (of one /64 in IPv6)"),
    NUM(header_timeout_s, "DECANT_HEADER_TIMEOUT", "header-timeout", PROGRAM_SERVE | PROGRAM_API, "10", 1,
        3600, "seconds in which a request's header must come"),
    NUM(idle_timeout_s, "DECANT_IDLE_TIMEOUT", "idle-timeout", PROGRAM_SERVE | PROGRAM_API, "60", 1, 3600,
        "seconds that a connection may be silent"),
    NUM(rate_window_s, "DECANT_RATE_WINDOW", "rate-window", PROGRAM_SERVE | PROGRAM_API, "30", 1, 3600,
        "a body that comes or is taken slower than 1 KiB/s over this many seconds ends"),
    NUM(max_event_streams, "DECANT_MAX_EVENT_STREAMS", "max-event-streams", PROGRAM_SERVE | PROGRAM_API,
        "8192", 1, 1000000, "open event streams (GET /events)"),
    NUM(session_event_streams, "DECANT_SESSION_EVENT_STREAMS", "session-event-streams",
        PROGRAM_SERVE | PROGRAM_API, "16", 1, 1000000, "event streams that one session may have"),
    NUM(address_event_streams, "DECANT_ADDRESS_EVENT_STREAMS", "address-event-streams",
        PROGRAM_SERVE | PROGRAM_API, "1024", 1, 1000000, "event streams that one address may have"),
    NUM(max_uploads, "DECANT_MAX_UPLOADS", "max-uploads", PROGRAM_SERVE | PROGRAM_API, "256", 1, 1000000,
        "uploads under way at once"),
    NUM(session_uploads, "DECANT_SESSION_UPLOADS", "session-uploads", PROGRAM_SERVE | PROGRAM_API, "16", 1,
        1000000, "uploads that one session may have under way at once"),
    NUM(address_uploads, "DECANT_ADDRESS_UPLOADS", "address-uploads", PROGRAM_SERVE | PROGRAM_API, "64", 1,
        1000000, "uploads that one address may have under way at once"),
    NUM(max_archives, "DECANT_MAX_ARCHIVES", "max-archives", PROGRAM_SERVE | PROGRAM_API, "128", 1, 1000000,
        "downloads of many results in one that are under way at once"),
    NUM(address_archives, "DECANT_ADDRESS_ARCHIVES", "address-archives", PROGRAM_SERVE | PROGRAM_API, "32", 1,
        1000000, "such downloads that one address may have under way at once"),
    NUM(max_logins, "DECANT_MAX_LOGINS", "max-logins", PROGRAM_SERVE | PROGRAM_API, "4", 1, 1024,
        "passwords that are looked at at once; each takes 64 MiB for that time"),
    NUM(session_queue, "DECANT_SESSION_QUEUE", "session-queue", PROGRAM_SERVE | PROGRAM_API, "100", 1,
        1000000, "conversions that one session may have waiting or under way"),
    NUM(call_wait_s, "DECANT_CALL_WAIT", "call-wait", PROGRAM_SERVE | PROGRAM_API, "300", 1, 3600,
        "seconds that POST /v1/convert waits for a result before it answers where to find it"),
    NUM(anonymous_calls, "DECANT_ANONYMOUS_CALLS", "anonymous-calls", PROGRAM_SERVE | PROGRAM_API, "0", 0,
        1000000,
        "calls of POST /v1/convert that one address may have under way without a session or a bearer; 0: "
        "none"),
    TEXT(rate_session, "DECANT_RATE_SESSION", "rate-session", PROGRAM_SERVE | PROGRAM_API,
         "session=120/m address=1200/m:600", NULL,
         "how often sessions may be begun and ended: off, or COUNT/PERIOD[:BURST] for each kind of client"),
    TEXT(rate_upload, "DECANT_RATE_UPLOAD", "rate-upload", PROGRAM_SERVE | PROGRAM_API,
         "session=600/m:300 address=3000/m:1500", NULL, "the same for uploads and copies of them"),
    TEXT(rate_convert, "DECANT_RATE_CONVERT", "rate-convert", PROGRAM_SERVE | PROGRAM_API,
         "session=600/m:300 address=3000/m:1500", NULL,
         "the same for POST /convert, /retry, /cancel and /delete"),
    TEXT(rate_read, "DECANT_RATE_READ", "rate-read", PROGRAM_SERVE | PROGRAM_API,
         "session=6000/m:3000 address=60000/m:30000", NULL, "the same for /job_status and /events"),
    TEXT(rate_download, "DECANT_RATE_DOWNLOAD", "rate-download", PROGRAM_SERVE | PROGRAM_API,
         "session=1200/m:600 address=6000/m:3000", NULL, "the same for links and downloads"),
    TEXT(rate_page, "DECANT_RATE_PAGE", "rate-page", PROGRAM_SERVE | PROGRAM_API, "address=6000/m:3000", NULL,
         "the same for /, /formats and /readyz"),
    TEXT(rate_login, "DECANT_RATE_LOGIN", "rate-login", PROGRAM_SERVE | PROGRAM_API, "address=30/m:10", NULL,
         "the same for POST /auth/login"),
    TEXT(rate_guess, "DECANT_RATE_GUESS", "rate-guess", PROGRAM_SERVE | PROGRAM_API, "20/h:10", NULL,
         "how often one account's password may be wrong, from one address or from one device that knew it"),
    TEXT(trusted_proxies, "DECANT_TRUSTED_PROXIES", "trusted-proxies", PROGRAM_SERVE | PROGRAM_API, "", NULL,
         "networks of proxies whose X-Forwarded-For is believed, such as \"127.0.0.1 10.0.0.0/8\""),
    TEXT(address_secret, "DECANT_ADDRESS_SECRET", NULL, PROGRAM_SERVE | PROGRAM_API, NULL, NULL,
         "secret that servers of one Redis share, to know addresses by one name; default: a new one at each "
         "start"),
    TEXT(plan_free, "DECANT_PLAN_FREE", "plan-free", PROGRAM_SERVE | PROGRAM_API, "", NULL,
         "what everybody may: words as in \"upload=50M retention=12h\"; what is absent is as for the whole "
         "server"),
    TEXT(plan_premium, "DECANT_PLAN_PREMIUM", "plan-premium", PROGRAM_SERVE | PROGRAM_API,
         "stored=20G jobs=10000 queue=1000 priority=0 retention=30d rate=4", NULL,
         "what accounts of the plan premium may"),
    BYTES(session_quota_bytes, "DECANT_SESSION_QUOTA", "session-quota", PROGRAM_SERVE | PROGRAM_API, "2G", 0,
          TIB, "bytes that one session may have stored, uploads and results; 0: no limit"),
    BYTES(storage_quota_bytes, "DECANT_STORAGE_QUOTA", "storage-quota", PROGRAM_SERVE | PROGRAM_API, "0", 0,
          1024 * TIB, "bytes that all sessions together may have stored; 0: no limit"),
    BYTES(reserve_bytes, "DECANT_DISK_RESERVE", "disk-reserve", PROGRAM_SERVE | PROGRAM_API, "256M", 0, TIB,
          "free disk that uploads leave alone"),
    TEXT(accel_prefix, "DECANT_ACCEL_PREFIX", "accel-prefix", PROGRAM_SERVE | PROGRAM_API, "", NULL,
         "nginx location for X-Accel-Redirect, such as /_files; empty: send files ourselves"),
    TEXT(web, "DECANT_WEB", "web", PROGRAM_SERVE | PROGRAM_API, NULL, NULL,
         "folder of the web page's files, empty: none; default: " SETTINGS_WEB_BESIDE " beside this program"),
    LIST(cors_origins, "DECANT_CORS_ORIGINS", "cors-origins", PROGRAM_SERVE | PROGRAM_API, ORIGINS, "",
         "origins whose pages may use the API, such as https://app.example.com"),
    LIST(download_origin, "DECANT_DOWNLOAD_ORIGIN", "download-origin", PROGRAM_SERVE | PROGRAM_API, ORIGIN,
         "", "the origin that downloads are served on, and nothing else"),
    NUM(session_ttl_s, "DECANT_SESSION_TTL", "session-ttl", PROGRAM_SERVE | PROGRAM_API, "86400", 1, 31536000,
        "seconds until a session and its jobs expire"),
    NUM(partial_ttl_s, "DECANT_PARTIAL_TTL", "partial-ttl", PROGRAM_SERVE | PROGRAM_API, "86400", 1, 31536000,
        "seconds until an upload that comes in pieces expires, if it is not complete"),
    NUM(token_ttl_s, "DECANT_TOKEN_TTL", "token-ttl", PROGRAM_SERVE | PROGRAM_API, "600", 1, 86400,
        "seconds until a download link expires"),
    NUM(result_cache_s, "DECANT_RESULT_CACHE", "result-cache", PROGRAM_SERVE | PROGRAM_API, "3600", 0, 86400,
        "seconds in which a session gets a result that it has for the same conversion again; 0: not at all"),
    TEXT(queue, "DECANT_QUEUE", "queue", SERVER | PROGRAM_QUEUE, "decant", NULL, "name of the Celery queue"),
    TEXT(queue_prefix, "DECANT_QUEUE_KEYPREFIX", "queue-keyprefix", SERVER | PROGRAM_QUEUE, "", NULL,
         "what stands in front of the queue's keys and channels: Celery's global_keyprefix"),
    TEXT(task_events, "DECANT_TASK_EVENTS", "task-events", SERVER, "off", "off on",
         "on: Celery's events of tasks are sent from the start, not only when a monitor asks for them"),
    TEXT(worker_name, "DECANT_WORKER_NAME", "worker-name", PROGRAM_SERVE | PROGRAM_WORKER, NULL, NULL,
         "the worker's name in Celery's tools; default: decant@ and the name of the host"),
    NUM(queue_max, "DECANT_QUEUE_MAX", "queue-max", PROGRAM_SERVE | PROGRAM_API | PROGRAM_QUEUE, "10000", 1,
        10000000, "waiting tasks before new ones are refused"),
    NUM(max_deliveries, "DECANT_MAX_DELIVERIES", "max-deliveries", PROGRAM_SERVE | PROGRAM_WORKER, "3", 1,
        100, "starts of one task before it is given up"),
    NUM(max_retries, "DECANT_MAX_RETRIES", "max-retries", PROGRAM_SERVE | PROGRAM_WORKER, "2", 0, 10,
        "further tries of a conversion that failed by no fault of its file, after 5 s, 15 s, 45 s, …"),
    NUM(jobs, "DECANT_JOBS", "jobs", RUNNER, "0", 0, 1024, "conversions at once; 0: one per core"),
    NUM(spare_jobs, "DECANT_SPARE_JOBS", "spare-jobs", PROGRAM_SERVE | PROGRAM_WORKER, "1", 0, 1024,
        "of these, how many one kind of conversion (documents, images, pdf) leaves to the others"),
    NUM(scan_timeout_s, "DECANT_SCAN_TIMEOUT", "scan-timeout", RUNNER, "60", 1, 3600,
        "seconds that a file waits for the virus scanner's verdict, all tries together"),
    NUM(scan_cache_s, "DECANT_SCAN_CACHE", "scan-cache", PROGRAM_SERVE | PROGRAM_WORKER, "300", 0, 3600,
        "seconds that a verdict of the virus scanner is remembered; 0: not at all"),
    TEXT(scan_encrypted, "DECANT_SCAN_ENCRYPTED", "scan-encrypted",
         PROGRAM_SERVE | PROGRAM_WORKER | PROGRAM_DOCTOR, "allow", "allow refuse",
         "whether files are converted of which the scanner sees that a part is encrypted"),
    NUM(job_timeout_s, "DECANT_JOB_TIMEOUT", "job-timeout", RUNNER, "120", 1, 86400,
        "longest that one conversion may take, in seconds; small files have less"),
    NUM(job_timeout_min_s, "DECANT_JOB_TIMEOUT_MIN", "job-timeout-min", RUNNER, "0", 0, 86400,
        "seconds that even the smallest file has; 0: 30, or DECANT_JOB_TIMEOUT where that is less"),
    BYTES(job_memory_bytes, "DECANT_JOB_MEMORY", "job-memory", RUNNER, "2G", 512 * MIB, TIB,
          "address space of one conversion"),
    BYTES(job_output_bytes, "DECANT_JOB_OUTPUT", "job-output", RUNNER, "1G", MIB, TIB,
          "largest file that a conversion may write"),
    NUM(grace_s, "DECANT_GRACE", "grace", SERVER | PROGRAM_COURIER, "20", 0, 3600,
        "seconds that running jobs and requests get at shutdown"),
    TEXT(sandbox, "DECANT_SANDBOX", "sandbox", RUNNER, "full", "full reduced",
         "full, or reduced where namespaces can't be had"),
    TEXT(cgroup, "DECANT_CGROUP", "cgroup", RUNNER, "auto", NULL,
         "cgroups for jobs: auto, off, or the folders (a colon between) to make them in"),
    TEXT(seal_public, "DECANT_SEAL_PUBLIC", "seal-public", PROGRAM_API, NULL, NULL,
         "public key that document passwords are sealed with; without it none are taken"),
    TEXT(seal_key, "DECANT_SEAL_KEY", "seal-key", PROGRAM_WORKER, NULL, NULL,
         "file of the secret key that opens them; decant seal-key makes one"),
    TEXT(jwt_keys, "DECANT_JWT_KEYS", "jwt-keys", PROGRAM_API, NULL, NULL,
         "folder of the keys that sign access tokens (decant jwt-key makes them); without it nobody can log "
         "in"),
    TEXT(issuer, "DECANT_ISSUER", "issuer", PROGRAM_SERVE | PROGRAM_API, "decant", NULL,
         "who access tokens say that they are from"),
    NUM(access_ttl_s, "DECANT_ACCESS_TTL", "access-ttl", PROGRAM_SERVE | PROGRAM_API, "600", 10, 86400,
        "seconds until an access token expires"),
    NUM(refresh_ttl_s, "DECANT_REFRESH_TTL", "refresh-ttl", PROGRAM_SERVE | PROGRAM_API, "2592000", 60,
        31536000, "seconds until a login ends"),
    TEXT(
        oidc_issuer, "DECANT_OIDC_ISSUER", "oidc-issuer", SSO, "", NULL,
        "provider of single sign-on (OpenID Connect), such as https://login.example.com; without it there is "
        "none"),
    TEXT(oidc_client_id, "DECANT_OIDC_CLIENT_ID", "oidc-client-id", SSO, "", NULL,
         "as whom the provider knows this server"),
    TEXT(oidc_client_secret_file, "DECANT_OIDC_CLIENT_SECRET_FILE", "oidc-client-secret-file",
         PROGRAM_SERVE | PROGRAM_COURIER, NULL, NULL,
         "file of the client's secret, which only its owner may read; without it a public client"),
    TEXT(oidc_scopes, "DECANT_OIDC_SCOPES", "oidc-scopes", PROGRAM_SERVE | PROGRAM_API,
         "openid profile email", NULL, "what the provider is asked for; openid is one of them"),
    TEXT(oidc_name_claim, "DECANT_OIDC_NAME_CLAIM", "oidc-name-claim", PROGRAM_SERVE | PROGRAM_COURIER,
         "email", NULL, "claim that new accounts are named by"),
    TEXT(oidc_plan_claim, "DECANT_OIDC_PLAN_CLAIM", "oidc-plan-claim", PROGRAM_SERVE | PROGRAM_COURIER, "",
         NULL, "claim that decides on the plan, such as groups; dots lead into objects"),
    TEXT(oidc_premium, "DECANT_OIDC_PREMIUM", "oidc-premium", PROGRAM_SERVE | PROGRAM_COURIER, "", NULL,
         "values of that claim that mean the plan premium; all others mean free"),
    TEXT(oidc_create, "DECANT_OIDC_CREATE", "oidc-create", PROGRAM_SERVE | PROGRAM_API, "on", "off on",
         "on: who is not known yet gets an account"),
    LIST(public_url, "DECANT_PUBLIC_URL", "public-url", SSO, ORIGIN, "",
         "the address that browsers reach this server under, such as https://convert.example.com"),
    TEXT(webhooks, "DECANT_WEBHOOKS", "webhooks", PROGRAM_SERVE | PROGRAM_API | PROGRAM_COURIER, "off",
         "off on", "on: accounts may name a callback_url, and decant-courier sends to it"),
    TEXT(courier_networks, "DECANT_COURIER_NETWORKS", "courier-networks", PROGRAM_SERVE | PROGRAM_COURIER, "",
         NULL,
         "networks that the courier may connect to besides the public Internet, such as \"10.0.0.0/8\""),
    LIST(courier_ports, "DECANT_COURIER_PORTS", "courier-ports",
         PROGRAM_SERVE | PROGRAM_API | PROGRAM_COURIER, PORTS, "443",
         "ports that the courier may connect to"),
    TEXT(ca_file, "DECANT_CA_FILE", "ca-file", PROGRAM_SERVE | PROGRAM_COURIER,
         "/etc/ssl/certs/ca-certificates.crt", NULL,
         "file of the certificate authorities that the courier believes; an absolute path"),
    TEXT(metrics, "DECANT_METRICS", "metrics", PROGRAM_SERVE | PROGRAM_API, "loopback", NULL,
         "who may read /metrics: off, loopback, networks such as \"10.0.0.0/8\", or any (with a token)"),
    TEXT(metrics_token_file, "DECANT_METRICS_TOKEN_FILE", "metrics-token-file", PROGRAM_SERVE | PROGRAM_API,
         NULL, NULL, "file of the bearer token that /metrics wants besides, which only its owner may read"),
    TEXT(log_level, "DECANT_LOG_LEVEL", "log-level", ALL | PROGRAM_COURIER, "info", "debug info warn error",
         "least level that is logged"),
    TEXT(log_format, "DECANT_LOG_FORMAT", "log-format", ALL | PROGRAM_COURIER, "auto", "auto json text",
         "auto: text on a terminal, else JSON"),
};

static const char **text_of(struct settings *s, const struct option *o)
{
    return (const char **)((char *)s + o->offset);
}

static uint64_t *number_of(struct settings *s, const struct option *o)
{
    return (uint64_t *)((char *)s + o->offset);
}

/* At least one, and no other. */
static bool some_of(const char *choices, const char *text)
{
    const char *word;
    size_t n, words = 0;

    for (const char *p = text; (p = words_next(p, &word, &n)); words++)
        if (!words_have_n(choices, word, n))
            return false;
    return words > 0;
}

static int set(struct settings *s, const struct option *o, const char *text)
{
    switch (o->kind) {
    case STRING:
        if (o->choices && !words_have(o->choices, text))
            return -EINVAL;
        *text_of(s, o) = text;
        return 0;
    case WORDS:
        if (!some_of(o->choices, text))
            return -EINVAL;
        *text_of(s, o) = text;
        return 0;
    case NUMBER:
        return str_to_u64(text, o->min, o->max, number_of(s, o));
    case SIZE:
        return str_to_size(text, o->min, o->max, number_of(s, o));
    case ORIGIN:
    case ORIGINS:
        if (o->kind == ORIGIN ? *text && !origin_valid(text) : !origins_valid(text))
            return -EINVAL;
        *text_of(s, o) = text;
        return 0;
    case PORTS:
        if (!ports_valid(text))
            return -EINVAL;
        *text_of(s, o) = text;
        return 0;
    }
    return -EINVAL;
}

static int set_or_complain(struct settings *s, const struct option *o, const char *text)
{
    if (set(s, o, text) == 0)
        return 0;
    fprintf(stderr, "%s: \"%s\" is not a valid value: ", o->env, text);
    if (o->kind == STRING)
        fprintf(stderr, "one of: %s\n", o->choices);
    else if (o->kind == WORDS)
        fprintf(stderr, "one or more of: %s\n", o->choices);
    else if (o->kind == ORIGIN || o->kind == ORIGINS)
        fprintf(stderr, "%s as a browser writes it, such as https://example.com or http://localhost:8080\n",
                o->kind == ORIGIN ? "an origin" : "origins with spaces or commas between, each");
    else if (o->kind == PORTS)
        fprintf(stderr, "ports from 1 to 65535, with spaces or commas between\n");
    else
        fprintf(stderr, "%s from %llu to %llu\n",
                o->kind == SIZE ? "a size in bytes (k, M, G and T are understood)" : "a whole number",
                (unsigned long long)o->min, (unsigned long long)o->max);
    return -EINVAL;
}

static void print_help(enum settings_program program, const char *usage)
{
    printf("%s\n\nOptions, each with the variable that sets it too:\n", usage);
    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        const struct option *o = &options[i];

        if (!(o->programs & program))
            continue;
        if (o->flag)
            printf("  --%-16s %-24s %s", o->flag, o->env, o->help);
        else
            printf("  %-18s %-24s %s", "", o->env, o->help);
        if (o->fallback && *o->fallback)
            printf(" [%s]", o->fallback);
        printf("\n");
    }
}

static const struct option *find_flag(enum settings_program program, const char *name, size_t len)
{
    for (size_t i = 0; i < ARRAY_SIZE(options); i++)
        if ((options[i].programs & program) && options[i].flag && strlen(options[i].flag) == len &&
            memcmp(options[i].flag, name, len) == 0)
            return &options[i];
    return NULL;
}

bool settings_is_flag(enum settings_program program, const char *arg)
{
    return str_starts(arg, "--") && find_flag(program, arg + 2, strcspn(arg + 2, "="));
}

static int load_environment(struct settings *s, enum settings_program program)
{
    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        const struct option *o = &options[i];
        const char *value = (o->programs & program) ? getenv(o->env) : NULL;
        int r;

        if (o->fallback && set(s, o, o->fallback) < 0)
            abort(); /* the table contradicts itself */
        if (value && (r = set_or_complain(s, o, value)) < 0)
            return r;
    }
    return 0;
}

/* What is wrong with the settings of single sign-on, as read by a program that has them; NULL: nothing. */
static const char *oidc_trouble(const struct settings *s)
{
    struct webhook_place place;

    if (!*s->oidc_issuer)
        return NULL;
    if (webhook_url_parse(s->oidc_issuer, &place) < 0 || strchr(s->oidc_issuer, '?') ||
        strlen(s->oidc_issuer) > ISSUER_MAX)
        return "DECANT_OIDC_ISSUER: an issuer is like https://login.example.com/realms/us, of at most 255 "
               "characters";
    if (!*s->oidc_client_id)
        return "DECANT_OIDC_ISSUER needs DECANT_OIDC_CLIENT_ID, as whom the provider knows this server";
    if (!*s->public_url)
        return "DECANT_OIDC_ISSUER needs DECANT_PUBLIC_URL, so that the provider can send browsers back";
    if (!words_have(s->oidc_scopes, "openid"))
        return "DECANT_OIDC_SCOPES: openid has to be one of them";
    if (!*s->oidc_plan_claim != !*s->oidc_premium)
        return "DECANT_OIDC_PLAN_CLAIM and DECANT_OIDC_PREMIUM need each other: a claim, and what in it "
               "means "
               "premium";
    return NULL;
}

/* What no option can say alone. */
static int check_together(struct settings *s)
{
    const char *trouble = oidc_trouble(s);

    if (trouble) {
        fprintf(stderr, "%s\n", trouble);
        return -EINVAL;
    }
    if (s->job_timeout_min_s == 0)
        s->job_timeout_min_s = s->job_timeout_s < JOB_TIMEOUT_MIN_S ? s->job_timeout_s : JOB_TIMEOUT_MIN_S;
    if (s->job_timeout_min_s <= s->job_timeout_s)
        return 0;
    fprintf(stderr, "DECANT_JOB_TIMEOUT_MIN: %llu seconds are more than DECANT_JOB_TIMEOUT allows, %llu\n",
            (unsigned long long)s->job_timeout_min_s, (unsigned long long)s->job_timeout_s);
    return -EINVAL;
}

int settings_load(struct settings *ret, enum settings_program program, const char *usage, int argc,
                  char **argv)
{
    int i, r;

    *ret = (struct settings){0};
    r = load_environment(ret, program);
    if (r < 0)
        return r;
    for (i = 1; i < argc && str_starts(argv[i], "--"); i++) {
        const char *name = argv[i] + 2, *value = strchr(name, '=');
        size_t len = value ? (size_t)(value - name) : strlen(name);
        const struct option *o = find_flag(program, name, len);

        if (str_eq(argv[i], "--")) { /* ends the options */
            i++;
            break;
        }
        if (str_eq(name, "help")) {
            print_help(program, usage);
            return -ECANCELED;
        }
        if (!o) {
            fprintf(stderr, "%s: unknown option; --help lists all\n", argv[i]);
            return -EINVAL;
        }
        value = value ? value + 1 : i + 1 < argc ? argv[++i] : NULL;
        if (!value) {
            fprintf(stderr, "--%s needs a value\n", o->flag);
            return -EINVAL;
        }
        r = set_or_complain(ret, o, value);
        if (r < 0)
            return r;
    }
    r = check_together(ret);
    return r < 0 ? r : i;
}

void settings_export(const struct settings *s)
{
    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        const struct option *o = &options[i];
        char number[24];
        const char *value = number;

        if (o->kind != NUMBER && o->kind != SIZE)
            value = *text_of((struct settings *)s, o);
        else
            snprintf(number, sizeof number, "%llu", (unsigned long long)*number_of((struct settings *)s, o));
        if (value)
            setenv(o->env, value, 1);
        else
            unsetenv(o->env); /* ours, which isn't meant for them */
    }
}

void settings_log_init(const struct settings *s, const char *program)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    static const char *const formats[] = {"auto", "json", "text"};
    enum log_level level = LOG_LEVEL_INFO;
    enum log_format format = LOG_FORMAT_AUTO;

    for (size_t i = 0; i < ARRAY_SIZE(levels); i++)
        if (str_eq(s->log_level, levels[i]))
            level = (enum log_level)i;
    for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
        if (str_eq(s->log_format, formats[i]))
            format = (enum log_format)i;
    log_init(program, level, format);
}
