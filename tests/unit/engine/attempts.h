/* What a converter that has been taken over might try; attempts.def is the table.
 *
 * An attempt runs where its name and circumstances come by the options of a job: in the fake engine, in a
 * real one (intruder.c), or without a sandbox (the control). It says in a file of the job's output folder
 * that it began, and from where, and how it ended. Whoever reads that can tell a refusal from an attempt that
 * never ran, or that crashed by itself. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* In the output folder: "began FROM", then "succeeded", "refused ENAME", "crashed NUMBER" or "broken REASON".
 * Nothing follows where the process ended, or became another program. */
#define ATTEMPT_REPORT "attempt"
/* What no child may find in its environment. */
#define ATTEMPT_VARIABLE "A_SECRET_OF_THE_WORKER"

struct attempt_place {
    const char *input, *real_input; /* as the job sees it, and as everybody else does */
    const char *output;             /* has a link to the secret, "link" */
    const char *outside;   /* a folder of things that belong to the job's user: secret, folder/, socket */
    const char *data;      /* the folder of all jobs */
    const char *neighbour; /* the input of another job */
    pid_t victim;          /* a process of the same user, which may be traced */
    pid_t zygote;
    int port;             /* a listener on loopback */
    const char *abstract; /* one on an abstract socket */
    uint64_t memory_bytes, output_bytes;
    bool full; /* not DECANT_SANDBOX=reduced */
};

enum attempt_end { ATTEMPT_REFUSED, ATTEMPT_DEADLY, ATTEMPT_ENDLESS, ATTEMPT_ALLOWED };
/* Where a refused one succeeds; REDUCED_UNTRIED: would, and it isn't worth its time. */
enum attempt_where { REDUCED = 1 << 0, REDUCED_UNTRIED = 1 << 1 };
/* Does it succeed without a sandbox? OPTIONAL: some kernels lack it, and who tries ends by SIGSEGV. */
enum attempt_control { OUTSIDE, UNSURE, OPTIONAL };

struct attempt {
    const char *name;
    enum attempt_end end;
    enum attempt_control control;
    unsigned where;  /* enum attempt_where */
    const char *why; /* it is allowed */
    long (*run)(const struct attempt_place *p);
};
extern const struct attempt attempts[];
extern const size_t n_attempts;

/* Set by a program that an engine executes: it sees the process that keeps it, and a pipe to that one. */
extern bool attempt_in_program;

/* The place as a job's options, and the run of what they name. "output" is NULL in a place whose engine knows
 * better. Ends the process, unless the options say "carry_on". */
json_t *attempt_options(const char *name, const struct attempt_place *p);
bool attempt_is_wanted(const json_t *options);
void attempt_run(const json_t *options, const char *input, const char *from);
