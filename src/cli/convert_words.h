/* The words of a command line of `decant convert`, sorted out; what they mean is convert_plan.c's. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct words {
    const char *to, *output_dir, *merge;
    const char **files; /* new, of strings that are not */
    size_t n_files;
    char **settings; /* what settings_load() is to see; new, as files */
    int n_settings;
    json_t *options; /* new */
    const char *password_file, *new_password_file;
    bool json, force, scan, ask_password;
};

/* 0, -ENOMEM, or -EINVAL after having told what is wrong. words_free() has to follow, whatever it says. */
int words_read(struct words *w, int argc, char **argv);
void words_free(struct words *w);

/* What --help prints; new, NULL without memory. */
char *words_usage(void);

/* Tells standard error; `about` may be NULL. -EINVAL. */
int words_complain(const char *what, const char *about);
