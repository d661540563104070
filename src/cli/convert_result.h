/* What has become of one file of `decant convert`, here or on a server, and what is said of it where that is
 * the same. */
#pragma once

#include "engine/fonts.h"

#include <stdint.h>

struct convert_result {
    char *output;    /* where it really went; NULL without a result */
    int exit_status; /* 0: converted */
    char error_code[64];
    char error_message[256];
    uint64_t ms, pages, cpu_ms, peak_kib, pss_kib;
    struct font_list fonts;
    const char *job_id; /* on a server, where it was kept; NULL */
};

/* The message may be a server's: a terminal must not obey it. */
void convert_fail(struct convert_result *r, int status, const char *code, const char *message);
void convert_fail_errno(struct convert_result *r, int status, const char *code, int err);
/* The result can't be written to `path`. */
void convert_fail_output(struct convert_result *r, const char *path, const char *why);
/* The same of an -errno; -EEXIST: it is the ZIP of many pages, and may not replace what is there, or what was
 * asked for on standard output. */
void convert_fail_commit(struct convert_result *r, const char *path, int err);
/* It failed for this input, which is one of many. */
void convert_name_culprit(struct convert_result *r, const char *input);

/* A descriptor of a regular file that has something in it, or -1 with a failure; "-" is what was taken of
 * standard input (convert_standard.h). `ret_size` may be NULL. */
int convert_open_input(struct convert_result *r, const char *path, uint64_t *ret_size) _warn_unused_;
