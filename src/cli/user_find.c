#include "cli/user_find.h"

#include <errno.h>

struct search {
    struct redis_operator *o;
    struct account *ret;
};

static void on_found(void *arg, int err, const struct account *account, const char *password)
{
    struct search *s = arg;

    if (err == 0)
        *s->ret = *account;
    operator_answer(s->o, err);
}

int find_account(struct redis_operator *o, const char *name, struct account *ret)
{
    struct search s = {o, ret};

    account_load_by_name(o->redis, name, on_found, &s);
    return operator_wait(o);
}

int want_account(struct redis_operator *o, const char *name, struct account *ret)
{
    int r = find_account(o, name, ret);

    if (r == -ENOENT)
        return operator_refuse(o, name, "there is no account of that name");
    return r < 0 ? operator_complain(o, name, r) : EXIT_SUCCESS;
}
