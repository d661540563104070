#include "cli/convert_words.h"

#include "core/buf.h"
#include "core/outcome.h"
#include "core/str.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { USAGE_MAX = 8192 };

static const char usage_text[] =
    "usage: decant convert INPUT OUTPUT\n"
    "       decant convert INPUT... --to FORMAT [-o FOLDER]\n"
    "       decant convert INPUT... --merge OUTPUT\n"
    "       decant convert - --from FORMAT --to FORMAT\n"
    "       decant convert --server URL ...\n"
    "\n"
    "Converts files on this machine, each in a sandbox of its own, or with --server by a server that\n"
    "`decant login` has a credential for, or that converts without one, file by file. The formats follow\n"
    "from the names; `decant formats` lists them. Results appear whole or not at all, and replace what was "
    "there.\n"
    "The one input `-` is standard input; its result goes to standard output, unless an OUTPUT or -o is\n"
    "given, and what is told of it to standard error.\n"
    "\n"
    "  -t, --to FORMAT        the format to convert to; results lie beside the inputs, or in -o\n"
    "      --from FORMAT      the format of standard input\n"
    "  -o, --output FOLDER    where results go; made if it is missing; of one input - is standard output\n"
    "  -m, --merge OUTPUT     one PDF of all the inputs in their order, or an archive with them in it\n"
    "  -j N                   files at once (as --jobs)\n"
    "      --option NAME=VALUE  an option of the conversion, such as dpi=300; may be repeated\n"
    "      --password-file FILE  the first line of FILE (of standard input for -) opens protected documents\n"
    "      --ask-password     the same, typed at the terminal\n"
    "      --new-password-file FILE  the first line of FILE will be asked for by who opens the result\n"
    "      --json             one JSON object per file on standard output\n"
    "  -q, --quiet            no progress, and no line for what was converted\n"
    "  -f, --force            also replace an input by its result of the same format, and a file that was "
    "not\n"
    "                         named: many pages of one document come as a ZIP, under\n"
    "                         the result's name with the ending .zip; and let such a ZIP\n"
    "                         go to standard output, and a result to a terminal\n"
    "\n"
    "      --server SERVER    the URL of a server that converts, or its name, as `decant login` knows it\n"
    "      --keep             let file and result stay on the server, among its jobs; needs a login\n"
    "      --ca-file FILE     authorities (PEM) whose certificates are believed; default: the system's\n"
    "      --insecure-http    talk to a server elsewhere without TLS, where others can read along\n"
    "\n"
    "Files are scanned for viruses only if --clamd or DECANT_CLAMD is given; a server decides by itself.\n"
    "With --server, of the options with variables only --jobs counts.\n"
    "\n"
    "Exit status: that of the first input that failed, else 0:\n"
    "   2  the command line is wrong; nothing was converted\n"
    "   3  an input can't be read, is empty, or is not of the type that its name says\n"
    "   4  a result can't be written\n"
    "   5  the server can't be reached, or refuses\n"
    "   6  not logged in to the server, or not allowed there\n";

char *words_usage(void)
{
    struct buf usage = BUF_INIT(USAGE_MAX);

    buf_append_str(&usage, usage_text);
    for (int i = OUTCOME_OK + 1, last = 0; i < OUTCOME_COUNT_; i++) {
        int status = outcome_exit_status((enum outcome)i);

        if (status > last) /* no further one of the same code */
            buf_printf(&usage, "  %2d  %s\n", status, outcome_code((enum outcome)i));
        last = status > last ? status : last;
    }
    buf_append_str(&usage, " 128 + N  ended by signal N");
    return buf_take(&usage);
}

int words_complain(const char *what, const char *about)
{
    fprintf(stderr, "decant convert: %s%s\n", what, about ? about : "");
    return -EINVAL;
}

/* "300", "true", or a text. */
static json_t *parse_value(const char *text)
{
    long long number;
    char *end;

    errno = 0;
    number = strtoll(text, &end, 10);
    if (*text && !*end && !isspace((unsigned char)*text) && errno == 0)
        return json_integer(number);
    if (str_eq(text, "true") || str_eq(text, "false"))
        return json_boolean(str_eq(text, "true"));
    return json_string(text);
}

static int add_option(struct words *w, const char *text)
{
    const char *equals = strchr(text, '=');

    if (strncmp(text, "password=", strlen("password=")) == 0 ||
        strncmp(text, "new_password=", strlen("new_password=")) == 0)
        return words_complain(
            "others can read a password on the command line; use --password-file, --ask-password "
            "or --new-password-file",
            NULL);
    if (!equals || equals == text)
        return words_complain("--option needs NAME=VALUE, not ", text);

    _cleanup_free_ char *name = strndup(text, (size_t)(equals - text));
    json_t *value = parse_value(equals + 1);

    if (!name || json_object_set_new(w->options, name, value) < 0)
        return words_complain("this option is not text: ", text);
    return 0;
}

enum value_flag {
    FLAG_FROM,
    FLAG_TO,
    FLAG_OUTPUT,
    FLAG_MERGE,
    FLAG_OPTION,
    FLAG_PASSWORD_FILE,
    FLAG_NEW_PASSWORD_FILE,
    FLAG_JOBS,
    FLAG_SERVER,
    FLAG_CA_FILE,
    FLAG_NONE
};

static const struct {
    const char *name; /* as --name value, --name=value */
    char letter;      /* as -n value, -nvalue */
} value_flags[] = {
    [FLAG_FROM] = {"from", '\0'},
    [FLAG_TO] = {"to", 't'},
    [FLAG_OUTPUT] = {"output", 'o'},
    [FLAG_MERGE] = {"merge", 'm'},
    [FLAG_OPTION] = {"option", '\0'},
    [FLAG_PASSWORD_FILE] = {"password-file", '\0'},
    [FLAG_NEW_PASSWORD_FILE] = {"new-password-file", '\0'},
    [FLAG_JOBS] = {NULL, 'j'}, /* --jobs is one of the settings */
    [FLAG_SERVER] = {"server", '\0'},
    [FLAG_CA_FILE] = {"ca-file", '\0'},
};

/* Which of them `arg` is. `ret_value`: what stands in the same word, or NULL. */
static enum value_flag find_value_flag(const char *arg, const char **ret_value)
{
    *ret_value = NULL;
    for (int i = 0; i < FLAG_NONE; i++) {
        const char *name = value_flags[i].name;
        size_t len = name ? strlen(name) : 0;

        if (value_flags[i].letter && arg[1] == value_flags[i].letter) {
            *ret_value = arg[2] ? arg + 2 : NULL;
            return (enum value_flag)i;
        }
        if (!name || arg[1] != '-' || strncmp(arg + 2, name, len) != 0 ||
            (arg[2 + len] && arg[2 + len] != '='))
            continue;
        *ret_value = arg[2 + len] ? arg + 2 + len + 1 : NULL;
        return (enum value_flag)i;
    }
    return FLAG_NONE;
}

static void pass_to_settings(struct words *w, char *arg)
{
    w->settings[w->n_settings++] = arg;
}

static int set_value(struct words *w, enum value_flag flag, const char *value)
{
    static char jobs_flag[] = "--jobs";

    switch (flag) {
    case FLAG_FROM:
        w->from = value;
        break;
    case FLAG_TO:
        w->to = value;
        break;
    case FLAG_OUTPUT:
        w->output_dir = value;
        break;
    case FLAG_MERGE:
        w->merge = value;
        break;
    case FLAG_OPTION:
        return add_option(w, value);
    case FLAG_PASSWORD_FILE:
        w->password_file = value;
        break;
    case FLAG_NEW_PASSWORD_FILE:
        w->new_password_file = value;
        break;
    case FLAG_JOBS:
        pass_to_settings(w, jobs_flag);
        pass_to_settings(w, (char *)value);
        break;
    case FLAG_SERVER:
        w->server = value;
        break;
    case FLAG_CA_FILE:
        w->ca_file = value;
        break;
    case FLAG_NONE:
        break;
    }
    return 0;
}

static bool is(const char *arg, const char *word)
{
    return strcmp(arg, word) == 0;
}

static const struct {
    const char *name;
    char letter;
    size_t offset; /* of the bool */
} switches[] = {
    {"json", '\0', offsetof(struct words, json)},
    {"ask-password", '\0', offsetof(struct words, ask_password)},
    {"force", 'f', offsetof(struct words, force)},
    {"quiet", 'q', offsetof(struct words, quiet)},
    {"keep", '\0', offsetof(struct words, keep)},
    {"insecure-http", '\0', offsetof(struct words, insecure_http)},
    {"help", 'h', offsetof(struct words, help)},
};

static bool *find_switch(struct words *w, const char *arg)
{
    for (size_t i = 0; i < ARRAY_SIZE(switches); i++)
        if (arg[1] == '-' ? is(arg + 2, switches[i].name)
                          : switches[i].letter && arg[1] == switches[i].letter && !arg[2])
            return (bool *)((char *)w + switches[i].offset);
    return NULL;
}

/* One word (and its value) that starts with a dash. */
static int read_flag(struct words *w, int argc, char **argv, int *i)
{
    char *arg = argv[*i];
    bool *is_on = find_switch(w, arg);
    const char *value;
    enum value_flag flag = is_on ? FLAG_NONE : find_value_flag(arg, &value);

    if (is_on) {
        *is_on = true;
        return 0;
    }
    if (flag != FLAG_NONE) {
        if (!value && *i + 1 == argc)
            return words_complain(arg, " needs a value");
        return set_value(w, flag, value ? value : argv[++*i]);
    }
    if (arg[1] != '-')
        return words_complain("unknown option; --help lists all: ", arg);
    w->scan = w->scan || is(arg, "--clamd") || strncmp(arg, "--clamd=", strlen("--clamd=")) == 0;
    pass_to_settings(w, arg);
    if (!strchr(arg, '=') && *i + 1 < argc)
        pass_to_settings(w, argv[++*i]);
    return 0;
}

int words_check_place(const struct words *w)
{
    if (!w->server && (w->keep || w->insecure_http || w->ca_file))
        return words_complain("--keep, --ca-file and --insecure-http are for --server", NULL);
    for (int i = 1; w->server && i < w->n_settings; i += strchr(w->settings[i], '=') ? 1 : 2)
        if (!is(w->settings[i], "--jobs") && strncmp(w->settings[i], "--jobs=", strlen("--jobs=")) != 0)
            return words_complain("that is for conversions on this machine, not for those of --server: ",
                                  w->settings[i]);
    return 0;
}

int words_read(struct words *w, int argc, char **argv)
{
    static char help_flag[] = "--help";
    bool only_files = false;
    int r = 0;

    /* -j4 becomes two words. */
    w->files = calloc((size_t)argc, sizeof *w->files);
    w->settings = calloc((size_t)argc * 2 + 2, sizeof *w->settings);
    w->options = json_object();
    w->scan = getenv("DECANT_CLAMD") != NULL; // NOLINT(concurrency-mt-unsafe)
    if (!w->files || !w->settings || !w->options)
        return -ENOMEM;
    pass_to_settings(w, argv[0]);
    for (int i = 1; i < argc && r == 0; i++) {
        if (!only_files && is(argv[i], "--"))
            only_files = true;
        else if (!only_files && argv[i][0] == '-' && argv[i][1])
            r = read_flag(w, argc, argv, &i);
        else
            w->files[w->n_files++] = argv[i];
    }
    if (r == 0 && w->help)
        pass_to_settings(w, help_flag);
    return r;
}

void words_free(struct words *w)
{
    free(w->files);
    free(w->settings);
    json_decref(w->options);
}
