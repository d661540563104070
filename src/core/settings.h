/* Configuration: one table of options for all programs, from DECANT_… variables and --flags (flags win).
 *
 * Each option names its variable, its flag, the programs that read it, its default and its bounds; a bad
 * value is refused at start with a sentence that names the variable. `--help` prints the same table, so it
 * can't drift. */
#pragma once

#include "core/cleanup.h"
#include "core/log.h"

#include <stdbool.h>
#include <stdint.h>

enum settings_program {
    PROGRAM_SERVE = 1 << 0, /* decant serve; it hands all settings on to the parts by their environment */
    PROGRAM_API = 1 << 1,
    PROGRAM_WORKER = 1 << 2,
    PROGRAM_CONVERT = 1 << 3,
    PROGRAM_DOCTOR = 1 << 4,
    PROGRAM_QUEUE = 1 << 5,
    PROGRAM_COURIER = 1 << 6,
    PROGRAM_ACCOUNTS = 1 << 7, /* decant user, decant key */
};

/* Where the web page lies when nobody says otherwise: from the folder of the programs. */
#define SETTINGS_WEB_BESIDE "../share/decant/web"

struct settings {
    /* where things are */
    const char *data;    /* the folder of `decant serve` */
    const char *storage; /* the root of the storage tree; relative paths count from the working directory */
    const char *redis;   /* unix:PATH, tcp:HOST:PORT, or sentinels (core/sentinels.h) */
    const char *redis_password_file;    /* NULL: none is needed */
    const char *redis_master;           /* with sentinels: its name, as they know it */
    const char *redis_ports;            /* with sentinels: those that a master may listen on */
    const char *sentinel_password_file; /* NULL: none is needed */
    const char *clamd;                  /* unix:PATH, tcp:HOST:PORT, or "off" */
    const char *engines;                /* names of those that run: catalogue_choose */
    const char *bindir;                 /* where the engine programs are; NULL: beside this program */
    const char *libreoffice;            /* its program folder; NULL: the usual one */
    /* whom root becomes: in the worker, Redis and clamd; in the API; in the engines; in the courier */
    const char *user, *api_user, *engine_user, *courier_user;
    /* the HTTP side */
    const char *listen;
    uint64_t port;
    uint64_t threads; /* 0: one per core */
    uint64_t max_upload_bytes;
    uint64_t max_jobs; /* per session */
    uint64_t max_connections;
    uint64_t header_timeout_s, idle_timeout_s, rate_window_s; /* what slow clients get: http/http.h */
    uint64_t address_connections;
    uint64_t max_event_streams, session_event_streams, address_event_streams;
    uint64_t max_uploads, session_uploads, address_uploads; /* at once */
    uint64_t max_archives, address_archives;                /* at once */
    uint64_t call_wait_s;                                   /* how long POST /v1/convert waits */
    uint64_t anonymous_calls;                               /* of one address at once; 0: there are none */
    uint64_t session_queue;                                 /* conversions waiting or under way */
    const char *rate_session, *rate_upload, *rate_convert, *rate_read, *rate_download, *rate_page;
    const char *plan_free, *plan_premium; /* core/plans.h */
    const char *rate_login, *rate_guess;
    uint64_t max_logins;                               /* passwords that are looked at at once */
    const char *trusted_proxies;                       /* networks whose X-Forwarded-For is believed */
    const char *address_secret;                        /* NULL: another one at each start */
    uint64_t session_quota_bytes, storage_quota_bytes; /* stored, of one session and of all; 0: no limit */
    uint64_t reserve_bytes;                            /* free disk that uploads leave alone */
    const char *accel_prefix;                          /* X-Accel-Redirect location, "" when off */
    uint64_t session_ttl_s, token_ttl_s, partial_ttl_s;
    uint64_t result_cache_s;     /* how long a result serves for the same conversion again; 0: not at all */
    const char *web;             /* the folder of the web page; "" none, NULL: the usual one (api/pages.h) */
    const char *cors_origins;    /* whose pages may use the API (core/origin.h), "" none but ours */
    const char *download_origin; /* where downloads are served alone, "" where everything is */
    /* the queue */
    const char *queue, *queue_prefix;
    const char *task_events; /* "on" or "off" */
    const char *worker_name; /* NULL: decant@HOST */
    uint64_t queue_max;      /* longest queue that still takes a job */
    uint64_t max_retries;    /* further tries after what is no fault of the file */
    uint64_t max_deliveries; /* starts of one task before it is given up */
    /* the worker and its sandbox */
    uint64_t jobs;       /* at once; 0: one per core */
    uint64_t spare_jobs; /* of them, those that one family of engines leaves to the others */
    uint64_t scan_timeout_s;
    uint64_t scan_cache_s;                     /* how long a verdict is remembered; 0: not at all */
    const char *scan_encrypted;                /* "allow" or "refuse" */
    uint64_t job_timeout_min_s, job_timeout_s; /* wall clock for one conversion: the file decides between */
    uint64_t job_memory_bytes, job_output_bytes;
    uint64_t grace_s;    /* what SIGTERM leaves running jobs and requests */
    const char *sandbox; /* "full" or "reduced" */
    const char *cgroup;  /* "auto", "off" or a place: sandbox/cgroup.h */
    /* document passwords (core/seal.h) */
    const char *seal_public; /* hexadecimal; NULL: the API takes none */
    const char *seal_key;    /* the worker's file; NULL: it can open none */
    /* logins (auth/jwt.h) */
    const char *jwt_keys; /* NULL: there are none */
    const char *issuer;
    uint64_t access_ttl_s, refresh_ttl_s;
    /* single sign-on by OpenID Connect */
    const char *oidc_issuer; /* "": there is none, and the others mean nothing */
    const char *oidc_client_id, *oidc_scopes;
    const char *oidc_client_secret_file; /* NULL: a public client */
    const char *oidc_name_claim, *oidc_plan_claim, *oidc_premium;
    const char *oidc_create; /* "on" or "off" */
    const char *public_url;  /* the origin that browsers see us under, "" not told */
    /* webhooks, and who sends them */
    const char *webhooks; /* "off" or "on" */
    const char
        *courier_networks;     /* that the courier may reach besides the public Internet (core/networks.h) */
    const char *courier_ports; /* that it may connect to (core/sentinels.h) */
    const char *ca_file;       /* whose certificates it believes */
    /* what is measured */
    const char *metrics;            /* who may read /metrics: api/metrics_access.h */
    const char *metrics_token_file; /* NULL: no token is wanted */
    /* logs */
    const char *log_level, *log_format;
};

/* Reads environment and flags. Returns the index of the first argument that is no option, or -EINVAL after
 * having printed the reason to standard error, or -ECANCELED when --help was asked for and printed. Strings
 * point into the environment, argv or the table. */
int settings_load(struct settings *ret, enum settings_program program, const char *usage, int argc,
                  char **argv) _warn_unused_;

/* Is this argument ("--data", "--data=x") one of that program's flags? */
bool settings_is_flag(enum settings_program program, const char *arg);

/* setenv()s every setting, for child programs. */
void settings_export(const struct settings *s);

/* log_init with the settings' level and format. */
void settings_log_init(const struct settings *s, const char *program);
