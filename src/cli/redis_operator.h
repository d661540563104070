/* Commands by which an operator looks into the servers' Redis and changes what is there: they connect as the
 * servers do, beside a `decant serve` to the Redis in its data folder, and wait for each answer. */
#pragma once

#include "core/settings.h"
#include "state/redis.h"

enum { EXIT_USAGE = 2 };

/* `self` is the command's own struct. `group` NULL: the name is one word. `run` gets what follows the name,
 * and returns EXIT_USAGE for what it does not take. */
struct operator_verb {
    const char *group, *name;
    int (*run)(void *self, int argc, char **argv);
};

struct operator_command {
    const char *name; /* "decant queue" */
    enum settings_program program;
    const char *usage;
    const struct operator_verb *verbs;
    size_t n_verbs;
    /* Around the verb, when it is connected; NULL: nothing. `ready` gives an exit status. */
    int (*ready)(void *self);
    void (*done)(void *self);
};

struct redis_operator {
    const struct operator_command *command;
    uv_loop_t loop;
    struct settings settings;
    struct redis_config config;
    struct redis *redis;
    /* the answer that is waited for */
    bool answered;
    int err;
};

/* From the command line to the exit status. `o` is zeroed. */
int operator_run(struct redis_operator *o, const struct operator_command *command, void *self, int argc,
                 char **argv);

/* What callbacks call when the answer is there; the second is one, with the operator as its argument. */
void operator_answer(struct redis_operator *o, int err);
void operator_on_reply(void *o, int err, const redisReply *reply);
/* Redis' own deadline ends it. */
int operator_wait(struct redis_operator *o);

/* A copy of what a list has answered, `n` of `size` bytes each; new. */
void *operator_keep(const void *list, size_t n, size_t size);

/* "decant queue: WHAT: WHY" on standard error; EXIT_FAILURE. */
int operator_refuse(const struct redis_operator *o, const char *what, const char *why);
int operator_complain(const struct redis_operator *o, const char *what, int err);

/* null for "". */
json_t *operator_json_text(const char *s);
/* The exit status. */
int operator_print_json(const json_t *json);
