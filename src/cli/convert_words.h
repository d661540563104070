/* The words of a command line of `decant convert`, sorted out; what they mean is convert_plan.c's. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct words {
    const char *from, *to, *output_dir, *merge;
    const char **files; /* new, of strings that are not */
    size_t n_files;
    char **settings; /* what settings_load() is to see; new, as files */
    int n_settings;
    json_t *options; /* new */
    const char *password_file, *new_password_file;
    const char *server, *ca_file; /* NULL: converted here */
    bool json, force, quiet, scan, ask_password, keep, insecure_http, help;
};

/* 0, -ENOMEM, or -EINVAL after having told what is wrong. words_free() has to follow, whatever it says. */
int words_read(struct words *w, int argc, char **argv);
/* Whether each is of use where this is to be converted; better said than passed over. Else -EINVAL, told. */
int words_check_place(const struct words *w);
void words_free(struct words *w);

/* What --help prints; new, NULL without memory. */
char *words_usage(void);

/* Tells standard error; `about` may be NULL. -EINVAL. */
int words_complain(const char *what, const char *about);
