/* `decant webhook`: where the webhooks of an account may go, and what became of them. */
#include "cli/commands.h"

#include "cli/redis_operator.h"
#include "cli/user_find.h"
#include "core/buf.h"
#include "core/clock.h"
#include "core/str.h"
#include "core/webhook.h"
#include "state/courier.h"
#include "state/webhooks.h"

#include <ctype.h>
#include <errno.h>
#include <sodium.h>

#define USAGE                                                                                                \
    "usage: decant webhook [OPTIONS] allow USER HOST...\n"                                                   \
    "       decant webhook [OPTIONS] deny USER HOST...\n"                                                    \
    "       decant webhook [OPTIONS] secret USER [--new]\n"                                                  \
    "       decant webhook [OPTIONS] list [--user USER] [--failed] [--json]\n"                               \
    "       decant webhook [OPTIONS] show ID\n"                                                              \
    "       decant webhook [OPTIONS] replay ID... | --failed\n\n"                                            \
    "Says to which hosts the webhooks of an account may go (allow makes the secret that they are signed\n"   \
    "with), and tells what became of those of the last seven days. A replay sends one again, now."

/* --- the account's list and its secret */

/* Every word of `list` but those that are among `words`, with a blank behind each. */
static void append_others(struct buf *out, const char *list, const char *words)
{
    const char *word;
    size_t n;

    for (const char *p = list; (p = words_next(p, &word, &n));)
        if (!words_have_n(words, word, n)) {
            buf_append(out, word, n);
            buf_append_str(out, " ");
        }
}

/* In small letters; false when one is no host. */
static bool append_hosts(struct buf *out, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (!webhook_host_valid(argv[i]))
            return false;
        for (char *c = argv[i]; *c; c++)
            *c = (char)tolower((unsigned char)*c);
        buf_append_str(out, argv[i]);
        buf_append_str(out, " ");
    }
    return true;
}

static int store(struct redis_operator *o, const struct account *account, const char *hosts,
                 const char *secret)
{
    account_set_webhooks(o->redis, account->id, hosts, secret, operator_on_reply, o);
    if (operator_wait(o) < 0)
        return operator_complain(o, account->name, o->err);
    return EXIT_SUCCESS;
}

/* The words that are given, and those that the account has already, but for these. */
static int change_hosts(struct redis_operator *o, bool allow, int argc, char **argv)
{
    _cleanup_buf_ struct buf given = BUF_INIT(ACCOUNT_HOSTS_MAX), hosts = BUF_INIT(ACCOUNT_HOSTS_MAX);
    char secret[WEBHOOK_SECRET_LEN + 1];
    struct account account;
    bool fresh;

    if (argc < 2 || str_starts(argv[0], "--"))
        return EXIT_USAGE;
    if (!append_hosts(&given, argc - 1, argv + 1))
        return operator_refuse(o, argv[0],
                               "a host is a name such as hooks.example.com, or an address, and no more");
    if (want_account(o, argv[0], &account) != EXIT_SUCCESS)
        return EXIT_FAILURE;
    if (!buf_error(&given)) {
        append_others(&hosts, account.webhook_hosts, given.data);
        buf_append_str(&hosts, allow ? given.data : "");
    }
    if (buf_error(&given) || buf_error(&hosts))
        return operator_refuse(o, argv[0], "these are more hosts than an account can have");
    if (hosts.len > 0)
        hosts.data[hosts.len - 1] = '\0'; /* the last blank */
    fresh = allow && !*account.webhook_secret;
    if (fresh)
        webhook_secret_new(secret);
    if (store(o, &account, hosts.len > 0 ? hosts.data : "", fresh ? secret : account.webhook_secret) !=
        EXIT_SUCCESS)
        return EXIT_FAILURE;
    printf("%s: %s\n", account.name, hosts.len > 0 ? hosts.data : "none");
    if (fresh)
        printf("secret: %s\n", secret);
    return EXIT_SUCCESS;
}

static int allow(void *self, int argc, char **argv)
{
    return change_hosts(self, true, argc, argv);
}

static int deny(void *self, int argc, char **argv)
{
    return change_hosts(self, false, argc, argv);
}

static int secret(void *self, int argc, char **argv)
{
    struct redis_operator *o = self;
    bool fresh = argc == 2 && str_eq(argv[1], "--new");
    char made[WEBHOOK_SECRET_LEN + 1];
    struct account account;

    if (argc < 1 || str_starts(argv[0], "--") || (argc > 1 && !fresh))
        return EXIT_USAGE;
    if (want_account(o, argv[0], &account) != EXIT_SUCCESS)
        return EXIT_FAILURE;
    if (!fresh && !*account.webhook_secret)
        return operator_refuse(o, argv[0],
                               "this account has no secret yet: --new makes one, and so does allow");
    if (fresh) {
        webhook_secret_new(made);
        if (store(o, &account, account.webhook_hosts, made) != EXIT_SUCCESS)
            return EXIT_FAILURE;
    }
    puts(fresh ? made : account.webhook_secret);
    return EXIT_SUCCESS;
}

/* --- what became of them */

static json_t *text_or_null(const char *s)
{
    return *s ? json_string(s) : json_null();
}

static json_t *number_or_null(const char *s)
{
    uint64_t number;

    return str_to_u64(s, 0, INT64_MAX, &number) < 0 ? json_null() : json_integer((json_int_t)number);
}

static json_t *time_or_null(const char *ms)
{
    char text[CLOCK_RFC3339_LEN + 1];
    uint64_t number;

    if (str_to_u64(ms, 0, INT64_MAX, &number) < 0)
        return json_null();
    clock_rfc3339(number, text);
    return json_string(text);
}

/* With the body, or what it is about alone. */
static json_t *describe(const struct webhook *w, bool whole)
{
    json_t *json =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "id", w->id, "account",
                  w->account, "job", w->job, "type", w->type, "url", w->url, "state", w->state, "created_at",
                  w->created_at, "attempts", number_or_null(w->attempts), "next_at", time_or_null(w->next_at),
                  "last_at", time_or_null(w->last_at), "last_status", number_or_null(w->last_status),
                  "last_error", text_or_null(w->last_error));

    if (json && whole)
        json_object_set_new(json, "body", json_loads(w->body, 0, NULL));
    return json;
}

struct listing {
    struct redis_operator *o;
    json_t *all; /* owned by who lists */
    size_t looked_at;
};

static void on_page(void *arg, int err, size_t looked_at, const struct webhook *list, size_t n)
{
    struct listing *l = arg;

    for (size_t i = 0; i < n; i++)
        json_array_append_new(l->all, describe(&list[i], false));
    l->looked_at = looked_at;
    operator_answer(l->o, err);
}

/* The newest first; NULL after a complaint. */
static json_t *read_all(struct redis_operator *o, const char *account, const char *state)
{
    struct listing l = {.o = o, .all = json_array()};
    size_t skip = 0;

    do {
        webhooks_list(o->redis, skip, account, state, on_page, &l);
        if (operator_wait(o) < 0) {
            operator_complain(o, "the webhooks can't be read", o->err);
            json_decref(l.all);
            return NULL;
        }
        skip += l.looked_at;
    } while (l.looked_at == WEBHOOK_LIST_PAGE);
    return l.all;
}

static void on_lives(void *arg, int err, bool lives)
{
    struct redis_operator *o = arg;

    if (err == 0 && !lives)
        fprintf(stderr, "%s: no courier runs, so nothing is sent (DECANT_WEBHOOKS)\n", o->command->name);
    operator_answer(o, err);
}

static void warn_without_courier(struct redis_operator *o)
{
    courier_lives(o->redis, COURIER_WEBHOOKS, on_lives, o);
    (void)operator_wait(o); /* what can't be asked is told by the next answer */
}

static const char *text(const json_t *row, const char *name)
{
    const char *value = json_string_value(json_object_get(row, name));

    return value ? value : "-";
}

static void print_rows(const json_t *all)
{
    const json_t *row;
    size_t i;

    printf("%-36s  %-24s  %-9s  %5s  %6s  %-13s  %s\n", "ID", "CREATED", "STATE", "TRIES", "STATUS", "TYPE",
           "LAST ERROR");
    json_array_foreach(all, i, row)
    {
        printf("%-36s  %-24s  %-9s  %5lld  %6lld  %-13s  %s\n", text(row, "id"), text(row, "created_at"),
               text(row, "state"), (long long)json_integer_value(json_object_get(row, "attempts")),
               (long long)json_integer_value(json_object_get(row, "last_status")), text(row, "type"),
               text(row, "last_error"));
    }
}

static int list(void *self, int argc, char **argv)
{
    struct redis_operator *o = self;
    struct account account = {0};
    const char *user = NULL, *state = "";
    bool json = false;

    for (int i = 0; i < argc; i++)
        if (str_eq(argv[i], "--user") && i + 1 < argc)
            user = argv[++i];
        else if (str_eq(argv[i], "--failed"))
            state = webhook_state_name(WEBHOOK_FAILED);
        else if (str_eq(argv[i], "--json"))
            json = true;
        else
            return EXIT_USAGE;
    if (user && want_account(o, user, &account) != EXIT_SUCCESS)
        return EXIT_FAILURE;

    _cleanup_json_ json_t *all = read_all(o, account.id, state);

    if (!all)
        return EXIT_FAILURE;
    warn_without_courier(o);
    if (json)
        return operator_print_json(all);
    print_rows(all);
    return EXIT_SUCCESS;
}

struct loading {
    struct redis_operator *o;
    json_t *json;
};

static void on_loaded(void *arg, int err, const struct webhook *webhook)
{
    struct loading *l = arg;

    if (err == 0)
        l->json = describe(webhook, true);
    operator_answer(l->o, err);
}

static int refuse_id(const struct redis_operator *o, const char *id, int err)
{
    return err == -ENOENT ? operator_refuse(o, id, "there is no such webhook (any more)")
                          : operator_complain(o, id, err);
}

static int show(void *self, int argc, char **argv)
{
    struct loading l = {.o = self};
    int status;

    if (argc != 1)
        return EXIT_USAGE;
    webhooks_load(l.o->redis, argv[0], on_loaded, &l);
    if (operator_wait(l.o) < 0)
        return refuse_id(l.o, argv[0], l.o->err);
    status = operator_print_json(l.json);
    json_decref(l.json);
    return status;
}

static int replay_one(struct redis_operator *o, const char *id)
{
    webhooks_replay(o->redis, id, operator_on_reply, o);
    if (operator_wait(o) < 0)
        return refuse_id(o, id, o->err);
    printf("%s replayed\n", id);
    return EXIT_SUCCESS;
}

/* The oldest first: they have waited longest. */
static int replay_failed(struct redis_operator *o)
{
    _cleanup_json_ json_t *all = read_all(o, "", webhook_state_name(WEBHOOK_FAILED));
    int status = all ? EXIT_SUCCESS : EXIT_FAILURE;

    for (size_t i = json_array_size(all); i-- > 0;)
        if (replay_one(o, text(json_array_get(all, i), "id")) != EXIT_SUCCESS)
            status = EXIT_FAILURE;
    return status;
}

static int replay(void *self, int argc, char **argv)
{
    struct redis_operator *o = self;
    int status = EXIT_SUCCESS;

    if (argc == 0 || (str_starts(argv[0], "--") && !str_eq(argv[0], "--failed")))
        return EXIT_USAGE;
    warn_without_courier(o);
    if (str_eq(argv[0], "--failed"))
        return argc == 1 ? replay_failed(o) : EXIT_USAGE;
    for (int i = 0; i < argc; i++)
        if (replay_one(o, argv[i]) != EXIT_SUCCESS)
            status = EXIT_FAILURE;
    return status;
}

int cmd_webhook(int argc, char **argv)
{
    static const struct operator_verb verbs[] = {
        {NULL, "allow", allow}, {NULL, "deny", deny}, {NULL, "secret", secret},
        {NULL, "list", list},   {NULL, "show", show}, {NULL, "replay", replay},
    };
    static const struct operator_command command = {.name = "decant webhook",
                                                    .program = PROGRAM_ACCOUNTS,
                                                    .usage = USAGE,
                                                    .verbs = verbs,
                                                    .n_verbs = ARRAY_SIZE(verbs)};
    struct redis_operator o = {0};

    if (sodium_init() < 0)
        return EXIT_FAILURE;
    return operator_run(&o, &command, &o, argc, argv);
}
