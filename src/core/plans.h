/* What each plan allows: one line of the configuration for each (DECANT_PLAN_FREE, DECANT_PLAN_PREMIUM). */
#pragma once

#include "core/cleanup.h"
#include "core/settings.h"

enum plan_id { PLAN_FREE, PLAN_PREMIUM, PLANS };

/* As they are stored, shown and typed. */
extern const char *const plan_names[PLANS];

/* Of one session, or of one account: all its sessions and keys together. */
struct plan {
    const char *name;          /* of plan_names */
    uint64_t max_upload_bytes; /* of one file */
    uint64_t stored_bytes;     /* 0: no limit */
    uint64_t max_jobs;
    uint64_t queue;       /* conversions waiting or under way */
    uint64_t priority;    /* of its conversions in the queue: 0 (first), 3, 6 or 9 */
    uint64_t retention_s; /* how long an account's jobs are kept; sessions have their own end */
    uint64_t rate;        /* so many times what DECANT_RATE_… says */
};

/* What a setting does not say is what the server-wide ones say, with priority 3 and rate 1. -EINVAL with the
 * name of the setting that is malformed, or allows larger files than DECANT_MAX_UPLOAD. */
int plans_load(const struct settings *s, struct plan ret[PLANS], const char **ret_variable) _warn_unused_;
/* NULL for a name of none. */
const struct plan *plan_by_name(const struct plan plans[PLANS], const char *name);
