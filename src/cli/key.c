/* `decant key`: API keys, by which programs act for an account. */
#include "cli/commands.h"

#include "cli/redis_operator.h"
#include "cli/user_find.h"
#include "core/str.h"
#include "state/api_key.h"

#include <errno.h>

#define USAGE                                                                                                \
    "usage: decant key [OPTIONS] create --user NAME --scope convert,read [--name TEXT]\n"                    \
    "       decant key [OPTIONS] list [--user NAME] [--json]\n"                                              \
    "       decant key [OPTIONS] revoke ID\n\n"                                                              \
    "Manages API keys. A new one is printed, and never again: what is kept can't be turned into it. The\n"   \
    "scope read is for looking and downloading, convert for everything that makes or changes something."

struct words {
    const char *user, *scopes, *name;
    bool json;
};

/* False: they are not understood. */
static bool read_words(struct words *w, int argc, char **argv)
{
    const struct {
        const char *flag, **value;
    } flags[] = {{"--user", &w->user}, {"--scope", &w->scopes}, {"--name", &w->name}};

    for (int i = 0; i < argc; i++) {
        size_t f = 0;

        while (f < ARRAY_SIZE(flags) && !str_eq(argv[i], flags[f].flag))
            f++;
        if (f < ARRAY_SIZE(flags) && i + 1 < argc)
            *flags[f].value = argv[++i];
        else if (str_eq(argv[i], "--json"))
            w->json = true;
        else
            return false;
    }
    return true;
}

/* --- create */

struct creation {
    struct redis_operator *o;
    char text[API_KEY_TEXT_LEN + 1];
};

static void on_created(void *arg, int err, const struct api_key *key, const char *text)
{
    struct creation *c = arg;

    if (err == 0)
        snprintf(c->text, sizeof c->text, "%s", text);
    operator_answer(c->o, err);
}

static int tell_trouble(const struct redis_operator *o, const char *user, int err)
{
    if (err == -EINVAL)
        return operator_refuse(o, "name", "A key's name has 128 bytes at most, all of which can be seen.");
    if (err == -EDQUOT)
        return operator_refuse(o, user, "this account has too many keys");
    return operator_complain(o, user, err);
}

static int create(void *self, int argc, char **argv)
{
    struct creation c = {.o = self};
    struct words w = {.name = ""};
    struct account account;
    int r;

    if (!read_words(&w, argc, argv) || !w.user || !w.scopes || w.json)
        return EXIT_USAGE;
    if (!api_key_scopes_valid(w.scopes))
        return operator_refuse(c.o, w.scopes, "the scopes are convert and read, with a comma between");
    if (want_account(c.o, w.user, &account) != EXIT_SUCCESS)
        return EXIT_FAILURE;
    api_key_create(c.o->redis, account.id, w.scopes, w.name, on_created, &c);
    r = operator_wait(c.o);
    if (r < 0)
        return tell_trouble(c.o, w.user, r);
    fprintf(stderr, "An API key of %s. This is the only time that it is shown:\n", account.name);
    r = puts(c.text);
    explicit_bzero(c.text, sizeof c.text);
    return r >= 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* --- list */

struct listing {
    struct redis_operator *o;
    struct api_key *keys;
    size_t n;
};

static void on_listed(void *arg, int err, const struct api_key *keys, size_t n)
{
    struct listing *l = arg;

    l->keys = operator_keep(keys, n, sizeof *keys);
    l->n = n;
    operator_answer(l->o, err);
}

static int by_age(const void *a, const void *b)
{
    return strcmp(((const struct api_key *)a)->created_at, ((const struct api_key *)b)->created_at);
}

static int list_json(const struct listing *l)
{
    _cleanup_json_ json_t *all = json_array();

    for (size_t i = 0; i < l->n; i++) {
        const struct api_key *k = &l->keys[i];

        json_array_append_new(all,
                              json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:o}", "id", k->id, "user",
                                        k->account_name, "name", k->name, "scopes", k->scopes, "created_at",
                                        k->created_at, "last_used_at", operator_json_text(k->last_used_at),
                                        "revoked_at", operator_json_text(k->revoked_at)));
    }
    return operator_print_json(all);
}

static int list_rows(const struct listing *l)
{
    printf("%-12s  %-12s  %-24s  %-24s  %-24s  %-24s  NAME\n", "ID", "SCOPES", "CREATED", "LAST USED",
           "REVOKED", "USER");
    for (size_t i = 0; i < l->n; i++) {
        const struct api_key *k = &l->keys[i];

        printf("%-12s  %-12s  %-24s  %-24s  %-24s  %-24s  %s\n", k->id, k->scopes, k->created_at,
               *k->last_used_at ? k->last_used_at : "-", *k->revoked_at ? k->revoked_at : "-",
               k->account_name, k->name);
    }
    return EXIT_SUCCESS;
}

static int list(void *self, int argc, char **argv)
{
    struct listing l = {.o = self};
    struct words w = {0};
    struct account account = {0};
    int status;

    if (!read_words(&w, argc, argv) || w.scopes || w.name)
        return EXIT_USAGE;
    if (w.user && want_account(l.o, w.user, &account) != EXIT_SUCCESS)
        return EXIT_FAILURE;
    api_key_list(l.o->redis, w.user ? account.id : NULL, on_listed, &l);
    if (operator_wait(l.o) < 0) {
        free(l.keys);
        return operator_complain(l.o, "the keys can't be read", l.o->err);
    }
    qsort(l.keys, l.n, sizeof *l.keys, by_age);
    status = w.json ? list_json(&l) : list_rows(&l);
    free(l.keys);
    return status;
}

/* --- revoke */

static int revoke_one(void *self, int argc, char **argv)
{
    struct redis_operator *o = self;
    int r;

    if (argc != 1 || str_starts(argv[0], "--"))
        return EXIT_USAGE;
    api_key_revoke(o->redis, argv[0], operator_on_reply, o);
    r = operator_wait(o);
    if (r == -ENOENT)
        return operator_refuse(o, argv[0], "there is no key of that id");
    if (r < 0)
        return operator_complain(o, argv[0], r);
    printf("%s revoked\n", argv[0]);
    return EXIT_SUCCESS;
}

int cmd_key(int argc, char **argv)
{
    static const struct operator_verb verbs[] = {
        {NULL, "create", create},
        {NULL, "list", list},
        {NULL, "revoke", revoke_one},
    };
    static const struct operator_command command = {.name = "decant key",
                                                    .program = PROGRAM_ACCOUNTS,
                                                    .usage = USAGE,
                                                    .verbs = verbs,
                                                    .n_verbs = ARRAY_SIZE(verbs)};
    struct redis_operator o = {0};

    return operator_run(&o, &command, &o, argc, argv);
}
