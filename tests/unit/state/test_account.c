#include "fixture.h"

#include "core/clock.h"
#include "state/account.h"
#include "state/api_key.h"
#include "state/refresh.h"

enum { DAY_S = 86400 };

static const struct plan plans[PLANS] = {[PLAN_FREE] = {.name = "free", .retention_s = 1 * DAY_S},
                                         [PLAN_PREMIUM] = {.name = "premium", .retention_s = 30 * DAY_S}};

struct result {
    struct answer answer;
    struct account account;
    char password[128], scopes[32], text[API_KEY_TEXT_LEN + 1], key_id[API_KEY_ID_LEN + 1];
    struct account listed[4];
    struct api_key keys[4];
    struct refresh refresh;
    size_t n;
};

static int await(struct fixture *f, struct result *r)
{
    answer_wait(f, &r->answer);
    return r->answer.err;
}

/* --- what the callbacks leave behind */

static void take_account(void *arg, int err, const struct account *account)
{
    struct result *r = arg;

    assert_int_equal(err == 0, account != NULL);
    if (account)
        r->account = *account;
    answer_on(&r->answer, err, NULL);
}

static void take_login(void *arg, int err, const struct account *account, const char *password)
{
    struct result *r = arg;

    snprintf(r->password, sizeof r->password, "%s", password);
    take_account(arg, err, account);
}

static void take_by_key(void *arg, int err, const struct account *account, const char *scopes)
{
    struct result *r = arg;

    snprintf(r->scopes, sizeof r->scopes, "%s", scopes);
    take_account(arg, err, account);
}

static void take_list(void *arg, int err, const struct account *accounts, size_t n)
{
    struct result *r = arg;

    assert_in_range(n, 0, ARRAY_SIZE(r->listed));
    memcpy(r->listed, accounts, n * sizeof *accounts);
    r->n = n;
    answer_on(&r->answer, err, NULL);
}

static void take_key(void *arg, int err, const struct api_key *key, const char *text)
{
    struct result *r = arg;

    if (err == 0) {
        snprintf(r->text, sizeof r->text, "%s", text);
        snprintf(r->key_id, sizeof r->key_id, "%s", key->id);
    }
    answer_on(&r->answer, err, NULL);
}

static void take_keys(void *arg, int err, const struct api_key *keys, size_t n)
{
    struct result *r = arg;

    assert_in_range(n, 0, ARRAY_SIZE(r->keys));
    memcpy(r->keys, keys, n * sizeof *keys);
    r->n = n;
    answer_on(&r->answer, err, NULL);
}

static void take_refresh(void *arg, int err, const struct refresh *refresh)
{
    struct result *r = arg;

    if (refresh)
        r->refresh = *refresh;
    answer_on(&r->answer, err, NULL);
}

/* --- the calls, each waiting for its answer */

static int do_create(struct fixture *f, const char *name, const char *plan, const char *oidc,
                     struct account *ret)
{
    struct result r = {0};
    int err;

    account_create(f->r, name, plan, "$argon2id$x", oidc, take_account, &r);
    err = await(f, &r);
    *ret = r.account;
    return err;
}

static int do_load(struct fixture *f, const char *id, const char *family, struct account *ret)
{
    struct result r = {0};
    int err;

    account_load(f->r, id, family, plans, take_account, &r);
    err = await(f, &r);
    *ret = r.account;
    return err;
}

static int do_find(struct fixture *f,
                   void (*find)(struct redis *r, const char *what, account_login_fn *fn, void *arg),
                   const char *what, struct result *r)
{
    *r = (struct result){0};
    find(f->r, what, take_login, r);
    return await(f, r);
}

static int do_with(struct fixture *f,
                   void (*change)(struct redis *r, const char *id, redis_reply_fn *fn, void *arg),
                   const char *id)
{
    struct answer a = {0};

    change(f->r, id, answer_on, &a);
    answer_wait(f, &a);
    return a.err;
}

static int do_set(struct fixture *f,
                  void (*change)(struct redis *r, const char *id, const char *value, redis_reply_fn *fn,
                                 void *arg),
                  const char *id, const char *value)
{
    struct answer a = {0};

    change(f->r, id, value, answer_on, &a);
    answer_wait(f, &a);
    return a.err;
}

static int do_key(struct fixture *f, const char *id, const char *scopes, const char *name, struct result *r)
{
    *r = (struct result){0};
    api_key_create(f->r, id, scopes, name, take_key, r);
    return await(f, r);
}

static int do_load_by_key(struct fixture *f, const char *text, struct result *r)
{
    *r = (struct result){0};
    api_key_load_account(f->r, text, plans, take_by_key, r);
    return await(f, r);
}

static size_t do_list_keys(struct fixture *f, const char *id, struct result *r)
{
    *r = (struct result){0};
    api_key_list(f->r, id, take_keys, r);
    assert_int_equal(await(f, r), 0);
    return r->n;
}

static int do_log_in(struct fixture *f, struct refresh_login login, struct refresh *ret)
{
    struct result r = {0};
    int err;

    login.address = "198.51.100.0";
    refresh_begin(f->r, &login, take_refresh, &r);
    err = await(f, &r);
    *ret = r.refresh;
    return err;
}

static int do_begin(struct fixture *f, const char *id, uint64_t ttl_s, struct refresh *ret)
{
    return do_log_in(f, (struct refresh_login){.account_id = id, .ttl_s = ttl_s}, ret);
}

static int do_rotate(struct fixture *f, const char *token, struct refresh *ret)
{
    struct result r = {0};
    int err;

    refresh_rotate(f->r, token, take_refresh, &r);
    err = await(f, &r);
    *ret = r.refresh;
    return err;
}

/* --- accounts */

static void test_create_and_find(void **state)
{
    struct fixture *f = *state;
    struct account a, b;
    struct result r;

    assert_int_equal(do_create(f, "Ada@Example.org", "premium", "https://id.example/ 42", &a), 0);
    assert_true(id_is_uuid(a.id) && id_is_token(a.space) && a.has_password && !a.disabled);
    assert_int_equal(do_create(f, "aDA@example.ORG", "free", "", &b), -EEXIST);
    assert_int_equal(do_create(f, "other", "free", "https://id.example/ 42", &b), -EEXIST);
    assert_int_equal(do_find(f, account_load_by_name, "other", &r), -ENOENT);

    assert_int_equal(do_find(f, account_load_by_name, "ADA@example.org", &r), 0);
    assert_string_equal(r.account.name, "Ada@Example.org");
    assert_string_equal(r.account.plan, "premium");
    assert_string_equal(r.account.space, a.space);
    assert_string_equal(r.account.created_at, a.created_at);
    assert_string_equal(r.account.last_login_at, "");
    assert_string_equal(r.password, "$argon2id$x");
    assert_int_equal(do_find(f, account_load_by_oidc, "https://id.example/ 42", &r), 0);
    assert_string_equal(r.account.id, a.id);
    assert_int_equal(do_find(f, account_load_by_oidc, "https://id.example/ 43", &r), -ENOENT);
    assert_int_equal(do_find(f, account_load_by_oidc, "", &r), -ENOENT);
    assert_int_equal(do_find(f, account_load_by_name, NULL, &r), -ENOENT);
    /* finding it makes no space */
    assert_int_equal(redis_server_int(f->server, "EXISTS session:%s", a.space), 0);

    r = (struct result){0};
    account_list(f->r, take_list, &r);
    assert_int_equal(await(f, &r), 0);
    assert_int_equal(r.n, 1);
    assert_string_equal(r.listed[0].id, a.id);
}

static void test_names(void **state)
{
    static const char *const bad[] = {
        "",
        " a",
        "a ",
        "a\nb",
        "a\177",
        "a\xc2\x85",
        "\xff",
        "a\xe2\x80\x8b" /* of no width */,
        "a\xe2\x80\xae" /* turns round what follows */,
    };
    struct fixture *f = *state;
    struct account a;
    char name[ACCOUNT_NAME_MAX + 8] = "";

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(do_create(f, bad[i], "free", "", &a), -EINVAL);
    for (int i = 0; i < ACCOUNT_NAME_CHARACTERS; i++)
        strcat(name, "\xf0\x9f\x98\x80");
    assert_int_equal(do_create(f, name, "free", "", &a), 0);
    strcat(name, "x");
    assert_int_equal(do_create(f, name, "free", "", &a), -EINVAL);
    assert_int_equal(do_create(f, "J\xc3\xbcrgen M.", "free", "", &a), 0);
    assert_int_equal(do_create(f, "b", "gold", "", &a), -EINVAL);
}

static void assert_space_lasts(struct fixture *f, const struct account *a, uint64_t s)
{
    long long left = redis_server_int(f->server, "PTTL session:%s", a->space);

    assert_in_range(left, (s + DAY_S) * 1000, (s + 2 * DAY_S) * 1000);
}

static void test_space(void **state)
{
    struct fixture *f = *state;
    struct account a, b;
    struct session s;
    char created[64], job[ID_UUID_LEN + 1];

    assert_int_equal(do_create(f, "ada", "free", "", &a), 0);
    assert_int_equal(do_load(f, a.id, NULL, &b), 0);
    assert_string_equal(b.space, a.space);
    assert_space_lasts(f, &a, plans[PLAN_FREE].retention_s);
    assert_string_equal(redis_server_str(f->server, "HGET session:%s account", a.space), a.id);
    assert_string_equal(redis_server_str(f->server, "HGET session:%s plan", a.space), "free");
    snprintf(created, sizeof created, "%s",
             redis_server_str(f->server, "HGET session:%s created_at", a.space));
    assert_int_equal(do_session_load(f, a.space, &s), -ENOENT);
    make_job(f, a.space, JOB_COMPLETED, job);

    /* it is moved on when too little is left of it, and not before */
    redis_server_do(f->server, "PEXPIRE session:%s %lld", a.space,
                    (plans[PLAN_FREE].retention_s + DAY_S) * 1000LL + 60000);
    assert_int_equal(do_load(f, a.id, NULL, &b), 0);
    assert_in_range(redis_server_int(f->server, "TTL session:%s", a.space), 0,
                    plans[PLAN_FREE].retention_s + DAY_S + 60);
    redis_server_do(f->server, "EXPIRE session:%s 5000", a.space);
    assert_int_equal(do_load(f, a.id, NULL, &b), 0);
    assert_space_lasts(f, &a, plans[PLAN_FREE].retention_s);
    assert_string_equal(redis_server_str(f->server, "HGET session:%s created_at", a.space), created);

    assert_int_equal(do_set(f, account_set_plan, a.id, "premium"), 0);
    assert_int_equal(do_load(f, a.id, NULL, &b), 0);
    assert_string_equal(b.plan, "premium");
    assert_space_lasts(f, &a, plans[PLAN_PREMIUM].retention_s);
    assert_int_equal(do_set(f, account_set_plan, a.id, "free"), 0);
    assert_int_equal(do_load(f, a.id, NULL, &b), 0);
    assert_space_lasts(f, &a, plans[PLAN_PREMIUM].retention_s);
    assert_string_equal(redis_server_str(f->server, "HGET session:%s plan", a.space), "free");
}

static void test_changes(void **state)
{
    struct fixture *f = *state;
    struct account a, b;
    struct result r;
    struct answer answer = {0};
    struct refresh first, none;

    assert_int_equal(do_create(f, "ada", "free", "", &a), 0);
    assert_int_equal(do_set(f, account_set_plan, a.id, "gold"), -EINVAL);
    assert_int_equal(do_begin(f, a.id, 100, &first), 0);
    assert_int_equal(do_set(f, account_set_password, a.id, "$argon2id$z"), 0);
    assert_int_equal(do_load(f, a.id, first.family, &b), -ENOENT);
    assert_int_equal(do_find(f, account_load_by_name, "ada", &r), 0);
    assert_string_equal(r.password, "$argon2id$z");

    account_set_webhooks(f->r, a.id, "a.example b.example", "whsec_x", answer_on, &answer);
    answer_wait(f, &answer);
    assert_int_equal(answer.err, 0);
    assert_int_equal(do_with(f, account_touch_login, a.id), 0);
    assert_int_equal(do_load(f, a.id, NULL, &b), 0);
    assert_string_equal(b.webhook_hosts, "a.example b.example");
    assert_string_equal(b.webhook_secret, "whsec_x");
    assert_string_not_equal(b.last_login_at, "");

    assert_int_equal(do_begin(f, a.id, 100, &first), 0);
    assert_int_equal(do_with(f, account_disable, a.id), 0);
    assert_int_equal(do_load(f, a.id, NULL, &b), -EACCES);
    assert_int_equal(do_begin(f, a.id, 100, &none), -EACCES);
    assert_int_equal(do_find(f, account_load_by_name, "ada", &r), 0);
    assert_true(r.account.disabled);
    assert_int_equal(do_with(f, account_enable, a.id), 0);
    assert_int_equal(do_load(f, a.id, NULL, &b), 0);
    assert_int_equal(do_load(f, a.id, first.family, &b), -ENOENT);
    assert_int_equal(do_rotate(f, first.token, &none), -ENOENT);
}

/* What a login has proved is the password of before: it is none, and keeps nothing of its own. */
static void test_password_changed_meanwhile(void **state)
{
    struct fixture *f = *state;
    struct account a, b;
    struct result r;
    struct refresh first, none;
    struct refresh_login login = {.ttl_s = 100, .password = "$argon2id$x", .rehashed = "$argon2id$y"};

    assert_int_equal(do_create(f, "ada", "free", "$argon2id$x", &a), 0);
    login.account_id = a.id;
    assert_int_equal(do_log_in(f, login, &first), 0);
    assert_int_equal(do_load(f, a.id, first.family, &b), 0);
    assert_int_equal(do_find(f, account_load_by_name, "ada", &r), 0);
    assert_string_equal(r.password, "$argon2id$y");

    assert_int_equal(do_set(f, account_set_password, a.id, "$argon2id$z"), 0);
    login.password = "$argon2id$y";
    assert_int_equal(do_log_in(f, login, &none), -ESTALE);
    assert_int_equal(redis_server_int(f->server, "EXISTS account:%s:families", a.id), 0);
    assert_int_equal(do_find(f, account_load_by_name, "ada", &r), 0);
    assert_string_equal(r.password, "$argon2id$z");
}

static void test_subjects(void **state)
{
    struct fixture *f = *state;
    struct account a, b;
    struct result r;

    assert_int_equal(do_create(f, "ada", "free", "i 1", &a), 0);
    assert_int_equal(do_create(f, "bob", "free", "i 2", &b), 0);
    assert_int_equal(do_set(f, account_link_oidc, a.id, "i 2"), -EEXIST);
    assert_int_equal(do_set(f, account_link_oidc, a.id, "i 3"), 0);
    assert_int_equal(do_set(f, account_link_oidc, a.id, "i 3"), 0);
    assert_int_equal(do_find(f, account_load_by_oidc, "i 1", &r), -ENOENT);
    assert_int_equal(do_find(f, account_load_by_oidc, "i 3", &r), 0);
    assert_string_equal(r.account.id, a.id);
    assert_int_equal(do_set(f, account_link_oidc, a.id, ""), 0);
    assert_int_equal(do_find(f, account_load_by_oidc, "i 3", &r), -ENOENT);
    assert_int_equal(do_find(f, account_load_by_oidc, "i 2", &r), 0);
}

static void test_absent(void **state)
{
    static const char *const ids[] = {NULL, "", "x", "*", "d3b07384-d9a0-4c9b-8f2e-1f0b1f6a7c55"};
    struct fixture *f = *state;
    struct account a, real;
    struct refresh none;

    assert_int_equal(do_create(f, "ada", "free", "", &real), 0);
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
        assert_int_equal(do_load(f, ids[i], NULL, &a), -ENOENT);
        assert_int_equal(do_set(f, account_set_plan, ids[i], "premium"), -ENOENT);
        assert_int_equal(do_set(f, account_set_password, ids[i], ""), -ENOENT);
        assert_int_equal(do_set(f, account_link_oidc, ids[i], "i 1"), -ENOENT);
        assert_int_equal(do_with(f, account_disable, ids[i]), -ENOENT);
        assert_int_equal(do_with(f, account_touch_login, ids[i]), -ENOENT);
        assert_int_equal(do_with(f, account_remove, ids[i]), -ENOENT);
        assert_int_equal(do_with(f, refresh_end_all, ids[i]), -ENOENT);
        assert_int_equal(do_begin(f, ids[i], 100, &none), -ENOENT);
        if (ids[i])
            assert_int_equal(do_load(f, real.id, ids[i], &a), -ENOENT);
    }
    assert_int_equal(redis_server_int(f->server, "DBSIZE"), 2);
}

static void test_remove(void **state)
{
    struct fixture *f = *state;
    struct account a, other, none;
    struct refresh login;
    struct result key;
    char waiting[ID_UUID_LEN + 1], running[ID_UUID_LEN + 1];
    unsigned n;

    assert_int_equal(do_create(f, "Bob", "free", "i 2", &other), 0);
    assert_int_equal(do_create(f, "Ada", "free", "i 1", &a), 0);
    assert_int_equal(do_load(f, a.id, NULL, &none), 0);
    assert_int_equal(do_begin(f, a.id, 100, &login), 0);
    assert_int_equal(do_key(f, a.id, "read", "", &key), 0);
    make_job(f, a.space, JOB_QUEUED, waiting);
    make_job(f, a.space, JOB_PROCESSING, running);
    redis_server_do(f->server, "HSET session:%s:jobs:%s worker w1", a.space, running);

    assert_int_equal(do_with(f, account_remove, a.id), 0);
    assert_int_equal(do_with(f, account_remove, a.id), -ENOENT);
    assert_int_equal(do_load(f, a.id, NULL, &none), -ENOENT);
    assert_int_equal(do_rotate(f, login.token, &login), -ENOENT);
    assert_int_equal(redis_server_int(f->server, "EXISTS apikey:%s", key.key_id), 0);
    assert_string_equal(redis_server_str(f->server, "HGET session:%s:jobs:%s status", a.space, waiting),
                        "cancelled");
    /* what a janitor finds, and ends when the worker has let go */
    assert_int_equal(redis_server_int(f->server, "EXISTS session:%s:closing", a.space), 1);
    assert_int_equal(do_running(f, a.space, &n), 0);
    assert_int_equal(n, 1);
    assert_int_equal(do_finish_close(f, a.space), 0);

    assert_int_equal(do_create(f, "ada", "free", "i 1", &a), 0);
    assert_int_equal(do_with(f, account_remove, a.id), 0);
    assert_int_equal(do_with(f, account_remove, other.id), 0);
    /* tokens of a family that has ended expire by themselves */
    assert_int_equal(redis_server_int(f->server, "DBSIZE"), 1);
}

/* A removal that was cut short after any of its steps is taken up by the next. */
static void test_remove_again(void **state)
{
    struct fixture *f = *state;
    struct account a, none;
    unsigned running;

    assert_int_equal(do_create(f, "ada", "free", "", &a), 0);
    assert_int_equal(do_load(f, a.id, NULL, &none), 0);
    assert_int_equal(do_with(f, account_disable, a.id), 0);
    assert_int_equal(do_begin_close(f, a.space, &running), 0);
    assert_int_equal(do_finish_close(f, a.space), 0);
    assert_int_equal(do_with(f, account_remove, a.id), 0);
    assert_no_keys(f);
}

/* --- API keys */

static void test_key(void **state)
{
    struct fixture *f = *state;
    struct account a, b;
    struct result r, key, other;
    char wrong[API_KEY_TEXT_LEN + 2];

    assert_int_equal(do_create(f, "ada", "free", "", &a), 0);
    assert_int_equal(do_create(f, "bob", "free", "", &b), 0);
    assert_int_equal(do_key(f, a.id, "convert,read", "build server", &key), 0);
    assert_int_equal(do_key(f, b.id, "read", "", &other), 0);
    assert_int_equal(strlen(key.text), API_KEY_TEXT_LEN);
    /* the secret is nowhere */
    assert_null(strstr(redis_server_str(f->server, "HGET apikey:%s hash", key.key_id), key.text + 16));

    assert_int_equal(do_load_by_key(f, key.text, &r), 0);
    assert_string_equal(r.account.id, a.id);
    assert_string_equal(r.scopes, "convert,read");
    assert_space_lasts(f, &a, plans[PLAN_FREE].retention_s);

    snprintf(wrong, sizeof wrong, "%s", key.text);
    wrong[API_KEY_TEXT_LEN - 1] = wrong[API_KEY_TEXT_LEN - 1] == '0' ? '1' : '0';
    assert_int_equal(do_load_by_key(f, wrong, &r), -ENOENT);
    memcpy(wrong, other.text, 3 + API_KEY_ID_LEN); /* another's name, with this one's secret */
    memcpy(wrong + API_KEY_TEXT_LEN - 1, key.text + API_KEY_TEXT_LEN - 1, 2);
    assert_int_equal(do_load_by_key(f, wrong, &r), -ENOENT);
    snprintf(wrong, sizeof wrong, "%sx", key.text);
    assert_int_equal(do_load_by_key(f, wrong, &r), -ENOENT);
    assert_int_equal(do_load_by_key(f, NULL, &r), -ENOENT);
    assert_int_equal(do_load_by_key(f, "dk_", &r), -ENOENT);

    assert_int_equal(do_with(f, account_disable, a.id), 0);
    assert_int_equal(do_load_by_key(f, key.text, &r), -EACCES);
    assert_int_equal(do_with(f, account_enable, a.id), 0);
    assert_int_equal(do_load_by_key(f, key.text, &r), 0);
    assert_int_equal(do_with(f, api_key_revoke, key.key_id), 0);
    assert_int_equal(do_load_by_key(f, key.text, &r), -ENOENT);
    assert_int_equal(do_load_by_key(f, other.text, &r), 0);
}

static void test_keys_listed(void **state)
{
    struct fixture *f = *state;
    struct account a, b;
    struct result r, key;
    char revoked[64];

    assert_int_equal(do_create(f, "ada", "free", "", &a), 0);
    assert_int_equal(do_create(f, "bob", "free", "", &b), 0);
    assert_int_equal(do_key(f, b.id, "read", "", &r), 0);
    assert_int_equal(do_key(f, a.id, "convert", "build server", &key), 0);
    assert_int_equal(do_list_keys(f, NULL, &r), 2);
    assert_int_equal(do_list_keys(f, a.id, &r), 1);
    assert_string_equal(r.keys[0].id, key.key_id);
    assert_string_equal(r.keys[0].account_name, "ada");
    assert_string_equal(r.keys[0].name, "build server");
    assert_string_equal(r.keys[0].scopes, "convert");
    assert_string_equal(r.keys[0].last_used_at, "");
    assert_string_equal(r.keys[0].revoked_at, "");

    /* the last use is told, to the minute */
    assert_int_equal(do_load_by_key(f, key.text, &r), 0);
    assert_int_equal(do_list_keys(f, a.id, &r), 1);
    assert_string_not_equal(r.keys[0].last_used_at, "");
    redis_server_do(f->server, "HSET apikey:%s last_used_at 2999-01-01T00:00:00.000Z", key.key_id);
    assert_int_equal(do_load_by_key(f, key.text, &r), 0);
    assert_int_equal(do_list_keys(f, a.id, &r), 1);
    assert_string_equal(r.keys[0].last_used_at, "2999-01-01T00:00:00.000Z");
    redis_server_do(f->server, "HSET apikey:%s last_used_at 2001-01-01T00:00:00.000Z", key.key_id);
    assert_int_equal(do_load_by_key(f, key.text, &r), 0);
    assert_int_equal(do_list_keys(f, a.id, &r), 1);
    assert_string_not_equal(r.keys[0].last_used_at, "2001-01-01T00:00:00.000Z");

    assert_int_equal(do_with(f, api_key_revoke, key.key_id), 0);
    assert_int_equal(do_list_keys(f, a.id, &r), 1);
    snprintf(revoked, sizeof revoked, "%s", r.keys[0].revoked_at);
    assert_string_not_equal(revoked, "");
    assert_int_equal(do_with(f, api_key_revoke, key.key_id), 0);
    assert_int_equal(do_list_keys(f, a.id, &r), 1);
    assert_string_equal(r.keys[0].revoked_at, revoked);
}

static void test_key_refused(void **state)
{
    static const char *const scopes[] = {"", ",", "write", "read,", "read,read", "read convert", "READ"};
    struct fixture *f = *state;
    struct account a;
    struct result r;

    assert_int_equal(do_create(f, "ada", "free", "", &a), 0);
    for (size_t i = 0; i < ARRAY_SIZE(scopes); i++)
        assert_int_equal(do_key(f, a.id, scopes[i], "", &r), -EINVAL);
    assert_int_equal(do_key(f, a.id, "read", "a\nb", &r), -EINVAL);
    assert_int_equal(do_key(f, "x", "read", "", &r), -ENOENT);
    assert_int_equal(do_key(f, "d3b07384-d9a0-4c9b-8f2e-1f0b1f6a7c55", "read", "", &r), -ENOENT);
    assert_int_equal(do_with(f, api_key_revoke, "012345678901"), -ENOENT);
    assert_int_equal(do_with(f, api_key_revoke, "*"), -ENOENT);
    for (int i = 0; i < API_KEYS_MAX; i++)
        redis_server_do(f->server, "SADD account:%s:keys %d", a.id, i);
    assert_int_equal(do_key(f, a.id, "read", "", &r), -EDQUOT);
}

/* What is only noted must not keep anybody from working. */
static void test_without_memory(void **state)
{
    struct fixture *f = *state;
    struct account a, b;
    struct result r, key;

    assert_int_equal(do_create(f, "ada", "free", "", &a), 0);
    assert_int_equal(do_key(f, a.id, "read", "", &key), 0);
    assert_int_equal(do_load(f, a.id, NULL, &b), 0);
    redis_server_do(f->server, "CONFIG SET maxmemory 1");
    assert_int_equal(do_load_by_key(f, key.text, &r), 0);
    assert_int_equal(do_load(f, a.id, NULL, &b), 0);
    assert_int_equal(do_create(f, "bob", "free", "", &b), -ENOSPC);
}

/* --- refresh tokens */

static void test_rotation(void **state)
{
    struct fixture *f = *state;
    struct account a, b;
    struct refresh first, second, third, other;
    long long keys;

    assert_int_equal(do_create(f, "ada", "free", "", &a), 0);
    assert_int_equal(do_create(f, "bob", "free", "", &b), 0);
    assert_int_equal(do_begin(f, b.id, 100, &other), 0);
    assert_int_equal(do_begin(f, a.id, 100, &first), 0);
    assert_int_equal(redis_server_int(f->server, "EXISTS refresh:%s", first.token), 0);
    assert_int_equal(do_load(f, a.id, first.family, &b), 0);
    assert_int_equal(do_load(f, a.id, other.family, &b), -ENOENT);
    keys = redis_server_int(f->server, "DBSIZE");

    assert_int_equal(do_rotate(f, first.token, &second), 0);
    assert_string_not_equal(second.token, first.token);
    assert_string_equal(second.family, first.family);
    assert_string_equal(second.account, a.id);
    assert_in_range(second.left_s, 1, 100);
    /* the family's end stays where it was */
    redis_server_do(f->server, "EXPIRE refresh_family:%s 50", first.family);
    assert_int_equal(do_rotate(f, second.token, &third), 0);
    assert_in_range(third.left_s, 1, 50);
    assert_int_equal(redis_server_int(f->server, "DBSIZE"), keys); /* however often */

    /* a thief comes late, or came first */
    assert_int_equal(do_rotate(f, second.token, &second), -EALREADY);
    assert_string_equal(second.account, a.id);
    assert_string_equal(second.token, "");
    assert_int_equal(do_rotate(f, third.token, &third), -ENOENT);
    assert_int_equal(do_rotate(f, first.token, &first), -ENOENT);
    assert_int_equal(redis_server_int(f->server, "EXISTS refresh_family:%s", first.family), 0);
    assert_int_equal(redis_server_int(f->server, "DBSIZE"), keys - 2);
    assert_int_equal(do_load(f, a.id, first.family, &b), -ENOENT);
    assert_int_equal(do_rotate(f, other.token, &other), 0);

    assert_int_equal(do_rotate(f, NULL, &third), -ENOENT);
    assert_int_equal(do_rotate(f, "x", &third), -ENOENT);
    assert_int_equal(do_rotate(f, a.space, &third), -ENOENT);
}

static void test_end(void **state)
{
    struct fixture *f = *state;
    struct account a, b;
    struct refresh first, second;

    assert_int_equal(do_create(f, "ada", "free", "", &a), 0);
    assert_int_equal(do_begin(f, a.id, 100, &first), 0);
    assert_int_equal(do_begin(f, a.id, 100, &second), 0);
    assert_int_equal(do_with(f, refresh_end, first.token), 0);
    assert_int_equal(do_with(f, refresh_end, first.token), -ENOENT);
    assert_int_equal(do_with(f, refresh_end, NULL), -ENOENT);
    assert_int_equal(do_rotate(f, first.token, &first), -ENOENT);
    assert_int_equal(do_load(f, a.id, second.family, &b), 0);
    assert_int_equal(do_with(f, refresh_end_all, a.id), 0);
    assert_int_equal(do_load(f, a.id, second.family, &b), -ENOENT);
    assert_int_equal(do_load(f, a.id, NULL, &b), 0);
}

/* The one that would end first gives way. */
static void test_many_logins(void **state)
{
    struct fixture *f = *state;
    struct account a, b;
    struct refresh first, second, other;
    long long keys;

    assert_int_equal(do_create(f, "ada", "free", "", &a), 0);
    assert_int_equal(do_begin(f, a.id, 100, &first), 0);
    assert_int_equal(do_begin(f, a.id, 200, &second), 0);
    for (int i = 2; i < REFRESH_FAMILIES_MAX; i++)
        assert_int_equal(do_begin(f, a.id, 300, &other), 0);
    assert_int_equal(do_load(f, a.id, first.family, &b), 0);
    keys = redis_server_int(f->server, "DBSIZE");
    assert_int_equal(do_begin(f, a.id, 300, &other), 0);
    assert_int_equal(redis_server_int(f->server, "DBSIZE"), keys);
    assert_int_equal(do_load(f, a.id, first.family, &b), -ENOENT);
    assert_int_equal(do_load(f, a.id, second.family, &b), 0);
    assert_int_equal(redis_server_int(f->server, "ZCARD account:%s:families", a.id), REFRESH_FAMILIES_MAX);
    /* nobody's, when another has been logged out */
    assert_int_equal(do_with(f, refresh_end, other.token), 0);
    assert_int_equal(do_begin(f, a.id, 300, &other), 0);
    assert_int_equal(do_load(f, a.id, second.family, &b), 0);
}

static void test_unavailable(void **state)
{
    struct fixture *f = *state;
    struct account a, b;
    struct result r;
    struct refresh none;

    assert_int_equal(do_create(f, "ada", "free", "", &a), 0);
    redis_server_kill(f->server);
    assert_int_equal(do_load(f, a.id, NULL, &b), -ENOTCONN);
    assert_int_equal(do_find(f, account_load_by_name, "ada", &r), -ENOTCONN);
    assert_int_equal(do_with(f, account_remove, a.id), -ENOTCONN);
    assert_int_equal(do_rotate(f, a.space, &none), -ENOTCONN);
    r = (struct result){0};
    account_list(f->r, take_list, &r);
    assert_int_equal(await(f, &r), -ENOTCONN);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_create_and_find),
        TEST(test_names),
        TEST(test_space),
        TEST(test_changes),
        TEST(test_subjects),
        TEST(test_absent),
        TEST(test_remove),
        TEST(test_remove_again),
        TEST(test_key),
        TEST(test_keys_listed),
        TEST(test_key_refused),
        TEST(test_without_memory),
        TEST(test_rotation),
        TEST(test_end),
        TEST(test_many_logins),
        TEST(test_unavailable),
        TEST(test_password_changed_meanwhile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
