#include "cli/flags.h"

#include "core/str.h"

#include <errno.h>

/* `ret_value`: what stands in the same word, or NULL. */
static const struct flag *find(const struct flag *flags, size_t n, const char *arg, const char **ret_value)
{
    const char *name = arg + 2, *equals = arg[1] == '-' ? strchr(name, '=') : NULL;
    size_t len = equals ? (size_t)(equals - name) : strlen(name);

    *ret_value = equals ? equals + 1 : NULL;
    for (size_t i = 0; i < n; i++)
        if (arg[1] == '-' ? strlen(flags[i].name) == len && strncmp(flags[i].name, name, len) == 0
                          : flags[i].letter && arg[1] == flags[i].letter && !arg[2])
            return &flags[i];
    return NULL;
}

static int complain(const char *command, const char *arg, const char *what)
{
    fprintf(stderr, "%s: %s: %s\n", command, arg, what);
    return -EINVAL;
}

int flags_read(const char *command, const char *usage, const struct flag *flags, size_t n, int argc,
               char **argv, const char **rest, size_t *ret_rest)
{
    *ret_rest = 0;
    for (int i = 1; i < argc; i++) {
        const struct flag *flag;
        const char *value;

        if (argv[i][0] != '-' || !argv[i][1]) {
            rest[(*ret_rest)++] = argv[i];
            continue;
        }
        if (str_eq(argv[i], "--help") || str_eq(argv[i], "-h")) {
            printf("%s\n", usage);
            return -ECANCELED;
        }
        flag = find(flags, n, argv[i], &value);
        if (!flag)
            return complain(command, argv[i], "unknown option; --help lists all");
        if (flag->is_on && value)
            return complain(command, argv[i], "it takes no value");
        if (flag->is_on)
            *flag->is_on = true;
        else if (value || i + 1 < argc)
            *flag->value = value ? value : argv[++i];
        else
            return complain(command, argv[i], "it needs a value");
    }
    return 0;
}
