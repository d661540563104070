#include "api/limiter.h"

#include "core/clock.h"
#include "core/str.h"
#include "core/xalloc.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>

enum {
    COUNT_MAX = 1000000,
    ENTRIES = 1024,
    KEPT_MS = 10000,   /* units that nobody used by then are lost */
    REFUSED_MS = 1000, /* a refusal is asked again after this at the latest */
};
#define FILL_MS_MAX (UINT64_C(365) * 86400 * 1000)

static const struct {
    const char *name, *variable;
    size_t setting;
    uint64_t handful; /* units taken at once */
} classes[LIMIT_CLASSES] = {
    [LIMIT_SESSION] = {"session", "DECANT_RATE_SESSION", offsetof(struct settings, rate_session), 1},
    [LIMIT_UPLOAD] = {"upload", "DECANT_RATE_UPLOAD", offsetof(struct settings, rate_upload), 1},
    [LIMIT_CONVERT] = {"convert", "DECANT_RATE_CONVERT", offsetof(struct settings, rate_convert), 1},
    [LIMIT_READ] = {"read", "DECANT_RATE_READ", offsetof(struct settings, rate_read), 16},
    [LIMIT_DOWNLOAD] = {"download", "DECANT_RATE_DOWNLOAD", offsetof(struct settings, rate_download), 1},
    [LIMIT_LOGIN] = {"login", "DECANT_RATE_LOGIN", offsetof(struct settings, rate_login), 1},
    [LIMIT_GUESS] = {"guess", "DECANT_RATE_GUESS", offsetof(struct settings, rate_guess), 1},
    [LIMIT_PAGE] = {"page", "DECANT_RATE_PAGE", offsetof(struct settings, rate_page), 16},
};

const char *limiter_class_name(enum limit_class limit)
{
    return classes[limit].name;
}

/* --- settings */

static int parse_number(const char *text, size_t len, uint64_t *ret)
{
    char digits[24];

    if (len >= sizeof digits)
        return -EINVAL;
    memcpy(digits, text, len);
    digits[len] = '\0';
    return str_to_u64(digits, 1, COUNT_MAX, ret) < 0 ? -EINVAL : 0;
}

static int parse_rate(const char *text, size_t len, struct rate *ret)
{
    static const struct {
        char letter;
        uint64_t seconds;
    } periods[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    const char *slash = memchr(text, '/', len), *end = text + len;

    *ret = (struct rate){0};
    if (!slash || slash + 1 == end || parse_number(text, (size_t)(slash - text), &ret->count) < 0)
        return -EINVAL;
    for (size_t i = 0; i < ARRAY_SIZE(periods); i++)
        if (slash[1] == periods[i].letter)
            ret->period_ms = periods[i].seconds * 1000;
    slash += 2;
    ret->burst = ret->count;
    if (slash < end && (*slash != ':' || parse_number(slash + 1, (size_t)(end - slash - 1), &ret->burst) < 0))
        return -EINVAL;
    return ret->period_ms > 0 && ret->burst * ret->period_ms / ret->count <= FILL_MS_MAX ? 0 : -EINVAL;
}

static int parse_kind(const char *word, size_t len, struct rate ret[CLIENT_KINDS])
{
    for (int kind = 0; kind < CLIENT_KINDS; kind++) {
        size_t n = strlen(client_kind_names[kind]);

        if (len > n && memcmp(word, client_kind_names[kind], n) == 0 && word[n] == '=')
            return ret[kind].burst > 0 ? -EINVAL : parse_rate(word + n + 1, len - n - 1, &ret[kind]);
    }
    return -EINVAL;
}

int limits_parse(const char *text, struct rate ret[CLIENT_KINDS])
{
    const char *word;
    size_t len;
    bool any = false;

    memset(ret, 0, CLIENT_KINDS * sizeof *ret);
    if (str_eq(text, "off"))
        return 0;
    if (!strchr(text, '=')) {
        int r = parse_rate(text, strlen(text), &ret[0]);

        for (int kind = 1; kind < CLIENT_KINDS; kind++)
            ret[kind] = ret[0];
        return r;
    }
    while ((text = words_next(text, &word, &len))) {
        if (parse_kind(word, len, ret) < 0)
            return -EINVAL;
        any = true;
    }
    return any ? 0 : -EINVAL;
}

int limits_load(const struct settings *settings, struct limits *ret, const char **ret_variable)
{
    *ret = (struct limits){0};
    for (size_t i = LIMIT_NONE + 1; i < LIMIT_CLASSES; i++) {
        const char *text = *(const char *const *)((const char *)settings + classes[i].setting);

        if (limits_parse(text, ret->of[i]) < 0) {
            *ret_variable = classes[i].variable;
            return -EINVAL;
        }
        if (ret->of[i][CLIENT_USER].burst == 0)
            ret->of[i][CLIENT_USER] = ret->of[i][CLIENT_SESSION];
    }
    return 0;
}

/* --- what is known here */

struct entry {
    struct limit_verdict verdict; /* the last one that Redis gave */
    uint64_t left;                /* units that were granted and not used */
    uint64_t until_ms;
    char names[CLIENT_KINDS][ID_TOKEN_LEN + 1];
};

struct known_factor {
    char name[ID_TOKEN_LEN + 1];
    uint64_t factor;
};

struct limiter {
    struct redis *redis;
    const struct limits *limits;
    struct entry entries[ENTRIES];
    struct known_factor factors[ENTRIES];
};

struct limiter *limiter_new(struct redis *redis, const struct limits *limits)
{
    struct limiter *l = calloc(1, sizeof *l);

    if (!l)
        return NULL;
    l->redis = redis;
    l->limits = limits;
    return l;
}

void limiter_free(struct limiter *l)
{
    free(l);
}

static const char *name_of(const struct client_names *client, int kind)
{
    return client->of[kind] ? client->of[kind] : "";
}

/* The names are hexadecimal digits that nobody can choose; one place for each, whoever comes last has it. */
static unsigned long digits_of(const char *name)
{
    char digits[sizeof "0123456"] = "";

    memccpy(digits, name, '\0', sizeof digits - 1);
    return strtoul(digits, NULL, 16);
}

static struct entry *place_of(struct limiter *l, enum limit_class limit, const struct client_names *client)
{
    unsigned long place = limit;

    for (int kind = 0; kind < CLIENT_KINDS; kind++)
        place = place * 31 + digits_of(name_of(client, kind));
    return &l->entries[place % ENTRIES];
}

static bool belongs(const struct entry *e, enum limit_class limit, const struct client_names *client)
{
    if (e->verdict.limit != limit)
        return false;
    for (int kind = 0; kind < CLIENT_KINDS; kind++)
        if (!str_eq(e->names[kind], name_of(client, kind)))
            return false;
    return true;
}

uint64_t limiter_factor(const struct limiter *l, const char *name)
{
    const struct known_factor *known = &l->factors[digits_of(name) % ENTRIES];

    return str_eq(known->name, name) ? known->factor : 1;
}

void limiter_set_factor(struct limiter *l, const char *name, uint64_t factor)
{
    struct known_factor *known = &l->factors[digits_of(name) % ENTRIES];

    if (factor == 1 && !str_eq(known->name, name))
        return; /* what is the rule needs no place */
    snprintf(known->name, sizeof known->name, "%s", name);
    known->factor = factor;
}

static struct rate rate_of(const struct limiter *l, enum limit_class limit, enum client_kind kind,
                           const struct client_names *client)
{
    struct rate rate = l->limits->of[limit][kind];
    uint64_t factor = kind == CLIENT_ADDRESS || client->factor == 0 ? 1 : client->factor;

    rate.count *= factor;
    rate.burst *= factor;
    return rate;
}

/* By which of its names there is a limit for this client. */
static size_t find_buckets(const struct limiter *l, enum limit_class limit, const struct client_names *client,
                           enum client_kind ret_kinds[CLIENT_KINDS])
{
    size_t n = 0;

    for (int kind = 0; kind < CLIENT_KINDS; kind++)
        if (client->of[kind] && l->limits->of[limit][kind].burst > 0)
            ret_kinds[n++] = (enum client_kind)kind;
    return n;
}

bool limiter_knows(struct limiter *l, enum limit_class limit, const struct client_names *client,
                   struct limit_verdict *ret)
{
    struct entry *e = place_of(l, limit, client);
    enum client_kind kinds[CLIENT_KINDS];
    uint64_t now_ms = clock_mono_ms();

    if (find_buckets(l, limit, client, kinds) == 0) {
        *ret = (struct limit_verdict){.granted = true};
        return true;
    }
    if (!belongs(e, limit, client) || now_ms >= e->until_ms || (e->verdict.granted && e->left == 0))
        return false;
    *ret = e->verdict;
    if (e->verdict.granted)
        ret->remaining += --e->left;
    return true;
}

bool limiter_refuses(struct limiter *l, enum limit_class limit, const struct client_names *client,
                     struct limit_verdict *ret)
{
    const struct entry *e = place_of(l, limit, client);

    if (!belongs(e, limit, client) || e->verdict.granted || clock_mono_ms() >= e->until_ms)
        return false;
    *ret = e->verdict;
    return true;
}

/* --- asking */

struct asking {
    struct limiter *limiter;
    enum limit_class limit;
    enum client_kind kinds[CLIENT_KINDS];
    struct rate rates[CLIENT_KINDS]; /* of each of `kinds` */
    char names[CLIENT_KINDS][ID_TOKEN_LEN + 1];
    limiter_fn *fn;
    void *arg;
};

static void remember(struct asking *a, const struct limit_verdict *verdict, uint64_t left)
{
    const struct client_names client = {{a->names[0], a->names[1], a->names[2]}};
    struct entry *e = place_of(a->limiter, a->limit, &client);
    uint64_t kept_ms =
        !verdict->granted ? (verdict->retry_ms < REFUSED_MS ? verdict->retry_ms : REFUSED_MS) : KEPT_MS;
    uint64_t now_ms = clock_mono_ms();
    /* Redis refills the bucket while units of it lie here: nobody shall have more than a bucket is large. */
    uint64_t room = verdict->rate.burst - verdict->remaining;

    if (verdict->granted && left == 0)
        return;
    if (verdict->granted && belongs(e, a->limit, &client) && e->verdict.granted && now_ms < e->until_ms)
        left += e->left; /* of answers to others that were asked at the same time */
    e->verdict = *verdict;
    e->left = left < room ? left : room;
    e->until_ms = now_ms + kept_ms;
    memcpy(e->names, a->names, sizeof e->names);
}

static void on_taken(void *arg, int err, const struct rate_answer *answer)
{
    _cleanup_free_ struct asking *a = arg;
    struct limit_verdict verdict;

    if (err < 0) {
        a->fn(a->arg, err, NULL);
        return;
    }
    verdict = (struct limit_verdict){.granted = answer->granted > 0,
                                     .counted = true,
                                     .limit = a->limit,
                                     .kind = a->kinds[answer->bucket],
                                     .rate = a->rates[answer->bucket],
                                     .remaining = answer->remaining,
                                     .reset_ms = answer->reset_ms,
                                     .retry_ms = answer->retry_ms};
    remember(a, &verdict, answer->granted > 0 ? answer->granted - 1 : 0);
    if (verdict.granted)
        verdict.remaining += answer->granted - 1;
    a->fn(a->arg, 0, &verdict);
}

/* Buckets outlive what they count by some seconds, so no id of a session stands in their names. */
static void name_bucket(enum limit_class limit, enum client_kind kind, const char *name,
                        char ret[RATE_NAME_MAX])
{
    unsigned char hash[crypto_generichash_BYTES_MIN];
    char digits[2 * sizeof hash + 1];

    crypto_generichash(hash, sizeof hash, (const unsigned char *)name, strlen(name), NULL, 0);
    sodium_bin2hex(digits, sizeof digits, hash, sizeof hash);
    snprintf(ret, RATE_NAME_MAX, "%s:%s:%s", classes[limit].name, client_kind_names[kind], digits);
}

void limiter_ask(struct limiter *l, enum limit_class limit, const struct client_names *client, limiter_fn *fn,
                 void *arg)
{
    struct asking *a = xcalloc(1, sizeof *a);
    struct rate_bucket buckets[CLIENT_KINDS];
    char names[CLIENT_KINDS][RATE_NAME_MAX];
    size_t n;

    a->limiter = l;
    a->limit = limit;
    a->fn = fn;
    a->arg = arg;
    n = find_buckets(l, limit, client, a->kinds);
    for (int kind = 0; kind < CLIENT_KINDS; kind++)
        snprintf(a->names[kind], sizeof a->names[kind], "%s", name_of(client, kind));
    for (size_t i = 0; i < n; i++) {
        name_bucket(limit, a->kinds[i], client->of[a->kinds[i]], names[i]);
        a->rates[i] = rate_of(l, limit, a->kinds[i], client);
        buckets[i] = (struct rate_bucket){names[i], a->rates[i]};
    }
    rate_take(l->redis, buckets, n, classes[limit].handful, on_taken, a);
}

/* --- forgetting */

static void on_forgotten(void *arg, int err, const redisReply *reply)
{
}

void limiter_forget(struct limiter *l, enum limit_class limit, const struct client_names *client)
{
    struct entry *e = place_of(l, limit, client);
    char names[CLIENT_KINDS][RATE_NAME_MAX];
    enum client_kind kinds[CLIENT_KINDS];
    const char *filled[CLIENT_KINDS];
    size_t n = find_buckets(l, limit, client, kinds);

    if (belongs(e, limit, client))
        e->until_ms = 0;
    for (size_t i = 0; i < n; i++) {
        name_bucket(limit, kinds[i], client->of[kinds[i]], names[i]);
        filled[i] = names[i];
    }
    if (n > 0)
        rate_fill(l->redis, filled, n, on_forgotten, NULL);
}

static uint64_t seconds_of(uint64_t ms)
{
    return (ms + 999) / 1000;
}

void limiter_tell(struct http_request *req, const struct limit_verdict *v)
{
    const char *limit = classes[v->limit].name, *kind = client_kind_names[v->kind];
    uint64_t window_s = seconds_of(v->rate.burst * v->rate.period_ms / v->rate.count);
    char text[128];

    snprintf(text, sizeof text, "\"%s-%s\";q=%" PRIu64 ";w=%" PRIu64, limit, kind, v->rate.burst, window_s);
    http_reply_header(req, "RateLimit-Policy", text);
    snprintf(text, sizeof text, "\"%s-%s\";r=%" PRIu64 ";t=%" PRIu64, limit, kind, v->remaining,
             seconds_of(v->granted ? v->reset_ms : v->retry_ms));
    http_reply_header(req, "RateLimit", text);
    snprintf(text, sizeof text, "%" PRIu64, v->rate.burst);
    http_reply_header(req, "RateLimit-Limit", text);
    snprintf(text, sizeof text, "%" PRIu64, v->remaining);
    http_reply_header(req, "RateLimit-Remaining", text);
    snprintf(text, sizeof text, "%" PRIu64, seconds_of(v->granted ? v->reset_ms : v->retry_ms));
    http_reply_header(req, "RateLimit-Reset", text);
}
