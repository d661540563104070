/* `decant user`: the accounts of this installation. Nobody makes one for himself. */
#include "cli/commands.h"

#include "auth/password.h"
#include "cli/ask_password.h"
#include "cli/redis_operator.h"
#include "cli/user_find.h"
#include "core/str.h"
#include "state/account.h"

#include <errno.h>

#define USAGE                                                                                                \
    "usage: decant user [OPTIONS] add NAME [--plan free|premium] [--password-stdin | --no-password]\n"       \
    "       decant user [OPTIONS] list [--json]\n"                                                           \
    "       decant user [OPTIONS] passwd NAME [--password-stdin | --no-password]\n"                          \
    "       decant user [OPTIONS] plan NAME free|premium\n"                                                  \
    "       decant user [OPTIONS] disable|enable NAME\n"                                                     \
    "       decant user [OPTIONS] remove NAME\n\n"                                                           \
    "Manages accounts. Without an option a password is asked for on the terminal. A new password, and\n"     \
    "disable, end all logins of the account; remove deletes its jobs and files too."

enum password_from { FROM_TERMINAL, FROM_STDIN, FROM_NOWHERE };

/* The words after the verb. */
struct words {
    const char *name, *plan;
    enum password_from password;
};

/* False: they are not understood. `plan`: may there be one? */
static bool read_words(struct words *w, bool plan, int argc, char **argv)
{
    *w = (struct words){.plan = "free"};
    for (int i = 0; i < argc; i++)
        if (str_eq(argv[i], "--password-stdin"))
            w->password = FROM_STDIN;
        else if (str_eq(argv[i], "--no-password"))
            w->password = FROM_NOWHERE;
        else if (plan && str_eq(argv[i], "--plan") && i + 1 < argc)
            w->plan = argv[++i];
        else if (!w->name && !str_starts(argv[i], "--"))
            w->name = argv[i];
        else
            return false;
    return w->name;
}

/* --- passwords */

static const char *why_no_password(int err)
{
    static const struct {
        int err;
        const char *why;
    } reasons[] = {
        {-ENXIO, "there is no terminal to ask on; use --password-stdin or --no-password"},
        {-EINTR, "broken off"},
        {-EINVAL, "A password is UTF-8, and not empty."},
        {-EFBIG, "A password has 1024 bytes at most."},
    };

    for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
        if (reasons[i].err == err)
            return reasons[i].why;
    return strerror(-err); // NOLINT(concurrency-mt-unsafe): one thread
}

/* Twice, since nobody sees what he types. */
static int ask_twice(const struct redis_operator *o, char **ret)
{
    _cleanup_secret_ char *first = NULL, *second = NULL;
    int r = ask_password("Password: ", &first);

    if (r == 0)
        r = ask_password("Once more: ", &second);
    if (r < 0)
        return operator_refuse(o, "password", why_no_password(r));
    if (!str_eq(first, second))
        return operator_refuse(o, "password", "These were two different ones.");
    *ret = TAKE_PTR(first);
    return EXIT_SUCCESS;
}

static int read_password(const struct redis_operator *o, enum password_from from, char **ret)
{
    int r;

    if (from == FROM_TERMINAL)
        return ask_twice(o, ret);
    r = read_password_file("-", ret);
    return r < 0 ? operator_refuse(o, "password", why_no_password(r)) : EXIT_SUCCESS;
}

/* "" for none; after a complaint EXIT_FAILURE. */
static int get_hash(const struct redis_operator *o, enum password_from from, char ret[PASSWORD_HASH_MAX])
{
    _cleanup_secret_ char *password = NULL;
    const char *refusal;
    int r;

    ret[0] = '\0';
    if (from == FROM_NOWHERE)
        return EXIT_SUCCESS;
    if (read_password(o, from, &password) != EXIT_SUCCESS)
        return EXIT_FAILURE;
    refusal = password_refusal(password);
    if (refusal)
        return operator_refuse(o, "password", refusal);
    r = password_hash(password, ret);
    return r < 0 ? operator_complain(o, "password", r) : EXIT_SUCCESS;
}

/* --- add */

static void on_added(void *arg, int err, const struct account *account)
{
    operator_answer(arg, err);
}

/* Before a password is asked for. */
static int check_new(struct redis_operator *o, const struct words *w)
{
    struct account account;
    int r;

    if (!account_name_valid(w->name))
        return operator_refuse(o, "name",
                               "A name has 1 to 64 characters that can be seen, and no blank at its ends.");
    if (!account_plan_valid(w->plan))
        return operator_refuse(o, w->plan, "there is no such plan; the plans are free and premium");
    r = find_account(o, w->name, &account);
    if (r == 0)
        return operator_refuse(o, w->name, "there is an account of that name");
    return r == -ENOENT ? EXIT_SUCCESS : operator_complain(o, w->name, r);
}

static int add(void *self, int argc, char **argv)
{
    struct redis_operator *o = self;
    char hash[PASSWORD_HASH_MAX];
    struct words w;
    int r;

    if (!read_words(&w, true, argc, argv))
        return EXIT_USAGE;
    if (check_new(o, &w) != EXIT_SUCCESS || get_hash(o, w.password, hash) != EXIT_SUCCESS)
        return EXIT_FAILURE;
    account_create(o->redis, w.name, w.plan, hash, "", on_added, o);
    r = operator_wait(o);
    if (r == -EEXIST)
        return operator_refuse(o, w.name, "there is an account of that name");
    if (r < 0)
        return operator_complain(o, w.name, r);
    printf("%s added, plan %s\n", w.name, w.plan);
    return EXIT_SUCCESS;
}

/* --- list */

struct listing {
    struct redis_operator *o;
    struct account *accounts;
    size_t n;
};

static void on_listed(void *arg, int err, const struct account *accounts, size_t n)
{
    struct listing *l = arg;

    l->accounts = operator_keep(accounts, n, sizeof *accounts);
    l->n = n;
    operator_answer(l->o, err);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct account *)a)->name, ((const struct account *)b)->name);
}

static int list_json(const struct listing *l)
{
    _cleanup_json_ json_t *all = json_array();

    for (size_t i = 0; i < l->n; i++) {
        const struct account *a = &l->accounts[i];

        json_array_append_new(all, json_pack("{s:s, s:s, s:s, s:b, s:o, s:o, s:s, s:o}", "id", a->id, "name",
                                             a->name, "plan", a->plan, "has_password", a->has_password,
                                             "oidc", operator_json_text(a->oidc), "disabled_at",
                                             operator_json_text(a->disabled_at), "created_at", a->created_at,
                                             "last_login_at", operator_json_text(a->last_login_at)));
    }
    return operator_print_json(all);
}

static int list_rows(const struct listing *l)
{
    printf("%-8s  %-8s  %-24s  %-24s  NAME\n", "PLAN", "STATE", "CREATED", "LAST LOGIN");
    for (size_t i = 0; i < l->n; i++) {
        const struct account *a = &l->accounts[i];

        printf("%-8s  %-8s  %-24s  %-24s  %s\n", a->plan, a->disabled ? "disabled" : "enabled", a->created_at,
               *a->last_login_at ? a->last_login_at : "-", a->name);
    }
    return EXIT_SUCCESS;
}

static int list(void *self, int argc, char **argv)
{
    struct listing l = {.o = self};
    bool json = argc == 1 && str_eq(argv[0], "--json");
    int status;

    if (argc > 0 && !json)
        return EXIT_USAGE;
    account_list(l.o->redis, on_listed, &l);
    if (operator_wait(l.o) < 0) {
        free(l.accounts);
        return operator_complain(l.o, "the accounts can't be read", l.o->err);
    }
    qsort(l.accounts, l.n, sizeof *l.accounts, by_name);
    status = json ? list_json(&l) : list_rows(&l);
    free(l.accounts);
    return status;
}

/* --- the others, each of one account */

static int passwd(void *self, int argc, char **argv)
{
    struct redis_operator *o = self;
    char hash[PASSWORD_HASH_MAX];
    struct account account;
    struct words w;

    if (!read_words(&w, false, argc, argv))
        return EXIT_USAGE;
    if (want_account(o, w.name, &account) != EXIT_SUCCESS || get_hash(o, w.password, hash) != EXIT_SUCCESS)
        return EXIT_FAILURE;
    account_set_password(o->redis, account.id, hash, operator_on_reply, o);
    if (operator_wait(o) < 0)
        return operator_complain(o, w.name, o->err);
    printf("%s has %s password; its logins have ended\n", account.name, *hash ? "another" : "no");
    return EXIT_SUCCESS;
}

static int plan(void *self, int argc, char **argv)
{
    struct redis_operator *o = self;
    struct account account;

    if (argc != 2)
        return EXIT_USAGE;
    if (!account_plan_valid(argv[1]))
        return operator_refuse(o, argv[1], "there is no such plan; the plans are free and premium");
    if (want_account(o, argv[0], &account) != EXIT_SUCCESS)
        return EXIT_FAILURE;
    account_set_plan(o->redis, account.id, argv[1], operator_on_reply, o);
    if (operator_wait(o) < 0)
        return operator_complain(o, argv[0], o->err);
    printf("%s has the plan %s\n", account.name, argv[1]);
    return EXIT_SUCCESS;
}

static int change(struct redis_operator *o, int argc, char **argv,
                  void (*act)(struct redis *r, const char *id, redis_reply_fn *fn, void *arg),
                  const char *done)
{
    struct account account;

    if (argc != 1)
        return EXIT_USAGE;
    if (want_account(o, argv[0], &account) != EXIT_SUCCESS)
        return EXIT_FAILURE;
    act(o->redis, account.id, operator_on_reply, o);
    if (operator_wait(o) < 0)
        return operator_complain(o, argv[0], o->err);
    printf("%s %s\n", account.name, done);
    return EXIT_SUCCESS;
}

static int disable(void *self, int argc, char **argv)
{
    return change(self, argc, argv, account_disable, "disabled; its logins have ended");
}

static int enable(void *self, int argc, char **argv)
{
    return change(self, argc, argv, account_enable, "enabled");
}

static int remove_one(void *self, int argc, char **argv)
{
    return change(self, argc, argv, account_remove, "removed; a worker removes its files");
}

int cmd_user(int argc, char **argv)
{
    static const struct operator_verb verbs[] = {
        {NULL, "add", add},           {NULL, "list", list},       {NULL, "passwd", passwd},
        {NULL, "plan", plan},         {NULL, "disable", disable}, {NULL, "enable", enable},
        {NULL, "remove", remove_one},
    };
    static const struct operator_command command = {.name = "decant user",
                                                    .program = PROGRAM_ACCOUNTS,
                                                    .usage = USAGE,
                                                    .verbs = verbs,
                                                    .n_verbs = ARRAY_SIZE(verbs)};
    struct redis_operator o = {0};

    return operator_run(&o, &command, &o, argc, argv);
}
