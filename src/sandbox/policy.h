/* Seccomp policies: text files (policy/NAME.policy) compiled to a BPF program once in a zygote, loaded in
 * each child. docs/sandbox.md describes the language. */
#pragma once

#include "core/cleanup.h"

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct policy {
    struct sock_filter *program;
    size_t n;
};

void policy_free(struct policy *p);

/* On failure -errno; -EINVAL for a mistake in the text, with its line (1 and up; lines of an included text
 * count from 1001, 2001, …) in `ret_line`. */
int policy_compile(const char *text, struct policy *ret, unsigned *ret_line) _warn_unused_;

/* In force for this process, for good; SELF in the text becomes `self`. Needs no_new_privs. `log` makes the
 * kernel's audit log name what is denied. */
int policy_enter(const struct policy *p, pid_t self, bool log) _warn_unused_;
