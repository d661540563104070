#include "core/plans.h"

#include "core/str.h"

#include <errno.h>
#include <stddef.h>

const char *const plan_names[PLANS] = {[PLAN_FREE] = "free", [PLAN_PREMIUM] = "premium"};

enum { DAY_S = 86400, COUNT_MAX = 10000000, RATE_MAX = 1000 };

enum kind { COUNT, BYTES, SECONDS, PRIORITY };

static const struct {
    const char *key;
    enum kind kind;
    size_t offset;
    uint64_t min, max;
} words[] = {
    {"upload", BYTES, offsetof(struct plan, max_upload_bytes), 1024, UINT64_C(1) << 40},
    {"stored", BYTES, offsetof(struct plan, stored_bytes), 0, UINT64_C(1) << 50},
    {"jobs", COUNT, offsetof(struct plan, max_jobs), 1, COUNT_MAX},
    {"queue", COUNT, offsetof(struct plan, queue), 1, COUNT_MAX},
    {"priority", PRIORITY, offsetof(struct plan, priority), 0, 9},
    {"retention", SECONDS, offsetof(struct plan, retention_s), 60, UINT64_C(3650) * DAY_S},
    {"rate", COUNT, offsetof(struct plan, rate), 1, RATE_MAX},
};

/* "90", "15m", "24h", "30d". */
static int parse_seconds(const char *text, uint64_t *ret)
{
    static const struct {
        char suffix;
        uint64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', DAY_S}};
    char digits[16];
    size_t n = strlen(text);
    uint64_t unit = 1;

    if (n == 0 || n >= sizeof digits)
        return -EINVAL;
    memcpy(digits, text, n + 1);
    for (size_t i = 0; i < ARRAY_SIZE(units); i++)
        if (text[n - 1] == units[i].suffix) {
            unit = units[i].seconds;
            digits[n - 1] = '\0';
        }
    if (str_to_u64(digits, 0, UINT32_MAX, ret) < 0)
        return -EINVAL;
    *ret *= unit;
    return 0;
}

static int parse_value(enum kind kind, const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
    int r;

    if (kind == BYTES)
        return str_to_size(text, min, max, ret);
    r = kind == SECONDS ? parse_seconds(text, ret) : str_to_u64(text, min, max, ret);
    if (r < 0 || *ret < min || *ret > max)
        return -EINVAL;
    return kind == PRIORITY && *ret % 3 != 0 ? -EINVAL : 0; /* Celery's steps */
}

static int parse_word(const char *word, size_t len, struct plan *ret)
{
    char text[64], *value;

    if (len >= sizeof text)
        return -EINVAL;
    memcpy(text, word, len);
    text[len] = '\0';
    value = strchr(text, '=');
    if (!value)
        return -EINVAL;
    *value++ = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (str_eq(text, words[i].key))
            return parse_value(words[i].kind, value, words[i].min, words[i].max,
                               (uint64_t *)((char *)ret + words[i].offset));
    return -EINVAL;
}

static int parse(const char *text, struct plan *ret)
{
    const char *word;
    size_t len;

    while ((text = words_next(text, &word, &len)))
        if (parse_word(word, len, ret) < 0)
            return -EINVAL;
    return 0;
}

int plans_load(const struct settings *s, struct plan ret[PLANS], const char **ret_variable)
{
    const struct {
        const char *variable, *text;
    } plans[PLANS] = {
        [PLAN_FREE] = {"DECANT_PLAN_FREE", s->plan_free},
        [PLAN_PREMIUM] = {"DECANT_PLAN_PREMIUM", s->plan_premium},
    };

    for (size_t i = 0; i < PLANS; i++) {
        ret[i] = (struct plan){.name = plan_names[i],
                               .max_upload_bytes = s->max_upload_bytes,
                               .stored_bytes = s->session_quota_bytes,
                               .max_jobs = s->max_jobs,
                               .queue = s->session_queue,
                               .priority = 3,
                               .retention_s = s->session_ttl_s,
                               .rate = 1};
        if (parse(plans[i].text, &ret[i]) < 0 || ret[i].max_upload_bytes > s->max_upload_bytes) {
            *ret_variable = plans[i].variable;
            return -EINVAL;
        }
    }
    return 0;
}

const struct plan *plan_by_name(const struct plan plans[PLANS], const char *name)
{
    for (size_t i = 0; i < PLANS; i++)
        if (str_eq(plans[i].name, name))
            return &plans[i];
    return NULL;
}
