#include "cli/convert_plan.h"

#include "cli/ask_password.h"
#include "core/buf.h"
#include "core/outcome.h"
#include "core/str.h"
#include "engine/engine.h"
#include "engine/secrets.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <sys/prctl.h>
#include <sys/stat.h>

enum { USAGE_MAX = 8192, PATH_BYTES_MAX = 64 * 1024, WHY_MAX = 256 };

/* The words of the command line, sorted out. */
struct words {
    const char *to, *output_dir, *merge;
    const char **files;
    size_t n_files;
    char **settings; /* what settings_load() is to see */
    int n_settings;
    json_t *options;
    const char *password_file, *new_password_file;
    bool json, force, scan, ask_password;
};

static const char usage_text[] =
    "usage: decant convert INPUT OUTPUT\n"
    "       decant convert INPUT... --to FORMAT [-o FOLDER]\n"
    "       decant convert INPUT... --merge OUTPUT\n"
    "\n"
    "Converts files on this machine, each in a sandbox of its own. The formats follow from the names;\n"
    "`decant formats` lists them. Results appear whole or not at all, and replace what was there.\n"
    "\n"
    "  -t, --to FORMAT        the format to convert to; results lie beside the inputs, or in -o\n"
    "  -o, --output FOLDER    where results go; made if it is missing\n"
    "  -m, --merge OUTPUT     one PDF of all the inputs in their order, or an archive with them in it\n"
    "  -j N                   files at once (as --jobs)\n"
    "      --option NAME=VALUE  an option of the conversion, such as dpi=300; may be repeated\n"
    "      --password-file FILE  the first line of FILE (of standard input for -) opens protected documents\n"
    "      --ask-password     the same, typed at the terminal\n"
    "      --new-password-file FILE  the first line of FILE will be asked for by who opens the result\n"
    "      --json             one JSON object per file on standard output\n"
    "  -f, --force            also replace an input by its result of the same format, and a file that was "
    "not\n"
    "                         named: many pages of one document come as a ZIP, under\n"
    "                         the result's name with the ending .zip\n"
    "\n"
    "Files are scanned for viruses only if --clamd or DECANT_CLAMD is given.\n"
    "\n"
    "Exit status: that of the first input that failed, else 0:\n"
    "   2  the command line is wrong; nothing was converted\n"
    "   3  an input can't be read, is empty, or is not of the type that its name says\n"
    "   4  a result can't be written\n";

static char *make_usage(void)
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

static int complain(const char *what, const char *about)
{
    fprintf(stderr, "decant convert: %s%s\n", what, about ? about : "");
    return -EINVAL;
}

/* --- the words */

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
        return complain("others can read a password on the command line; use --password-file, --ask-password "
                        "or --new-password-file",
                        NULL);
    if (!equals || equals == text)
        return complain("--option needs NAME=VALUE, not ", text);

    _cleanup_free_ char *name = strndup(text, (size_t)(equals - text));
    json_t *value = parse_value(equals + 1);

    if (!name || json_object_set_new(w->options, name, value) < 0)
        return complain("this option is not text: ", text);
    return 0;
}

enum value_flag {
    FLAG_TO,
    FLAG_OUTPUT,
    FLAG_MERGE,
    FLAG_OPTION,
    FLAG_PASSWORD_FILE,
    FLAG_NEW_PASSWORD_FILE,
    FLAG_JOBS,
    FLAG_NONE
};

static const struct {
    const char *name; /* as --name value, --name=value */
    char letter;      /* as -n value, -nvalue */
} value_flags[] = {
    [FLAG_TO] = {"to", 't'},
    [FLAG_OUTPUT] = {"output", 'o'},
    [FLAG_MERGE] = {"merge", 'm'},
    [FLAG_OPTION] = {"option", '\0'},
    [FLAG_PASSWORD_FILE] = {"password-file", '\0'},
    [FLAG_NEW_PASSWORD_FILE] = {"new-password-file", '\0'},
    [FLAG_JOBS] = {NULL, 'j'}, /* --jobs is one of the settings */
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
    case FLAG_NONE:
        break;
    }
    return 0;
}

static bool is(const char *arg, const char *word)
{
    return strcmp(arg, word) == 0;
}

/* One word (and its value) that starts with a dash. */
static int read_flag(struct words *w, int argc, char **argv, int *i)
{
    static char help_flag[] = "--help";
    char *arg = argv[*i];
    const char *value;
    enum value_flag flag = find_value_flag(arg, &value);

    if (flag != FLAG_NONE) {
        if (!value && *i + 1 == argc)
            return complain(arg, " needs a value");
        return set_value(w, flag, value ? value : argv[++*i]);
    }
    if (is(arg, "--json")) {
        w->json = true;
    } else if (is(arg, "--ask-password")) {
        w->ask_password = true;
    } else if (is(arg, "-f") || is(arg, "--force")) {
        w->force = true;
    } else if (is(arg, "-h") || is(arg, "--help")) {
        pass_to_settings(w, help_flag);
    } else if (arg[1] == '-') {
        w->scan = w->scan || is(arg, "--clamd") || strncmp(arg, "--clamd=", strlen("--clamd=")) == 0;
        pass_to_settings(w, arg);
        if (!strchr(arg, '=') && *i + 1 < argc)
            pass_to_settings(w, argv[++*i]);
    } else {
        return complain("unknown option; --help lists all: ", arg);
    }
    return 0;
}

static int read_words(struct words *w, int argc, char **argv)
{
    bool only_files = false;
    int r = 0;

    /* -j4 becomes two words. */
    w->files = calloc((size_t)argc, sizeof *w->files);
    w->settings = calloc((size_t)argc * 2 + 1, sizeof *w->settings);
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
    return r;
}

static void free_words(struct words *w)
{
    free(w->files);
    free(w->settings);
    json_decref(w->options);
}

/* --- from words to items */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static char *join(const char *dir, size_t dir_len, const char *stem, size_t stem_len, const char *ext)
{
    struct buf path = BUF_INIT(PATH_BYTES_MAX);

    buf_append(&path, dir, dir_len);
    if (dir_len > 0 && dir[dir_len - 1] != '/')
        buf_append(&path, "/", 1);
    buf_append(&path, stem, stem_len);
    buf_printf(&path, ".%s", ext);
    return buf_take(&path);
}

/* report.docx → {folder}/report.pdf */
static char *output_for(const char *input, const char *output_dir, const struct format *to)
{
    const char *base = base_name(input);
    const char *dir = output_dir ? output_dir : input;
    size_t dir_len = output_dir ? strlen(output_dir) : (size_t)(base - input);

    return join(dir, dir_len, base, (size_t)(format_extension_of(base) - base), to->id);
}

static int complain_route(const struct format *from, const struct format *to, const char *input)
{
    fprintf(stderr, "decant convert: %s can't be converted into %s: %s\n", from->id, to->id, input);
    return -EINVAL;
}

static const struct format *format_of(const char *input)
{
    const struct format *from = format_by_name(base_name(input));

    if (!from)
        complain("what type of file is this? `decant formats` lists the known endings: ", input);
    return from;
}

static bool is_same_file(const char *a, const char *b)
{
    struct stat x, y;

    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static int plan_item(struct convert_plan *plan, const struct words *w, const char *input,
                     const struct format *to, char *output)
{
    const struct format *from = format_of(input);
    struct convert_item *item = &plan->items[plan->n_items++];

    item->input = input;
    item->output = output;
    if (!output)
        return -ENOMEM;
    if (!from)
        return -EINVAL;
    if (w->to && !w->force && is_same_file(input, output))
        return complain("the result would take the place of its input; --force does so, -o names another: ",
                        input);
    item->route = catalogue_find(from, to);
    return item->route ? 0 : complain_route(from, to, input);
}

/* Can each of them become what is to be put together? */
static int check_inputs(const struct convert_item *item, const struct format *each)
{
    for (size_t i = 0; i < item->n_inputs; i++) {
        const struct format *from = format_of(item->inputs[i]);

        if (!from)
            return -EINVAL;
        if (each && from != each && !catalogue_find(from, each))
            return complain_route(from, each, item->inputs[i]);
    }
    return 0;
}

static int plan_merge(struct convert_plan *plan, const struct words *w)
{
    const struct format *to = format_by_name(base_name(w->merge)), *from;
    struct convert_item *item = &plan->items[plan->n_items++];

    if (w->n_files == 0)
        return complain("no input files", NULL);
    item->input = plan->files[0];
    item->inputs = plan->files;
    item->n_inputs = w->n_files;
    item->output = strdup(w->merge);
    if (!item->output)
        return -ENOMEM;
    from = format_of(item->input);
    if (!from)
        return -EINVAL;
    item->route = catalogue_find_many(from, to);
    if (!item->route)
        return complain("many files become a PDF or an archive, and nothing else: ", w->merge);
    plan->each = catalogue_each(item->route, w->options);
    return check_inputs(item, plan->each);
}

static int plan_pair(struct convert_plan *plan, const struct words *w)
{
    const struct format *to;

    if (w->n_files != 2)
        return complain(w->n_files < 2 ? "it takes an INPUT and an OUTPUT, or --to FORMAT; --help tells more"
                                       : "several inputs need --to FORMAT",
                        NULL);
    to = format_by_name(base_name(plan->files[1]));
    if (!to)
        return complain("which format is this to be? Name it with --to, or use a known ending: ",
                        plan->files[1]);
    return plan_item(plan, w, plan->files[0], to, strdup(plan->files[1]));
}

static int plan_many(struct convert_plan *plan, const struct words *w)
{
    const struct format *to = format_by_id(w->to);
    int r = 0;

    if (!to)
        return complain("there is no format ", w->to);
    if (w->n_files == 0)
        return complain("no input files", NULL);
    for (size_t i = 0; i < w->n_files && r == 0; i++)
        r = plan_item(plan, w, plan->files[i], to, output_for(plan->files[i], w->output_dir, to));
    return r;
}

static int compare_outputs(const void *a, const void *b)
{
    return strcmp(((const struct convert_item *)a)->output, ((const struct convert_item *)b)->output);
}

/* report.docx and report.odt can't both become report.pdf. */
static int check_distinct(const struct convert_plan *plan)
{
    _cleanup_free_ struct convert_item *sorted = calloc(plan->n_items, sizeof *sorted);

    if (!sorted)
        return -ENOMEM;
    memcpy(sorted, plan->items, plan->n_items * sizeof *sorted);
    qsort(sorted, plan->n_items, sizeof *sorted, compare_outputs);
    for (size_t i = 1; i < plan->n_items; i++)
        if (compare_outputs(&sorted[i - 1], &sorted[i]) == 0) {
            fprintf(stderr, "decant convert: %s and %s would both become %s\n", sorted[i - 1].input,
                    sorted[i].input, sorted[i].output);
            return -EINVAL;
        }
    return 0;
}

static int plan_items(struct convert_plan *plan, struct words *w)
{
    int r;

    plan->files = TAKE_PTR(w->files);
    plan->items = calloc(w->n_files ? w->n_files : 1, sizeof *plan->items);
    if (!plan->items)
        return -ENOMEM;
    if (w->output_dir && !w->to)
        return complain("-o needs --to FORMAT", NULL);
    if (w->merge && w->to)
        return complain("--merge and --to exclude each other", NULL);
    r = w->merge ? plan_merge(plan, w) : w->to ? plan_many(plan, w) : plan_pair(plan, w);
    return r < 0 ? r : check_distinct(plan);
}

static int load_settings(struct convert_plan *plan, const struct words *w)
{
    _cleanup_free_ char *usage = make_usage();
    int r;

    if (!usage)
        return -ENOMEM;
    r = settings_load(&plan->settings, PROGRAM_CONVERT, usage, w->n_settings, w->settings);
    if (r < 0)
        return r;
    if (!w->scan)
        plan->settings.clamd = "off";
    return 0;
}

static int tell_unread(int r)
{
    if (r == -EINVAL || r == -EFBIG)
        return complain("the password is empty, too long or no UTF-8", NULL);
    if (r == -EINTR)
        return complain("broken off", NULL);
    return r == 0 || r == -ENOMEM ? r : complain("the password can't be read: ", strerror(-r));
}

/* Adds the word that `read` finds to the secrets as option `name`. */
static int add_secret(json_t *secrets, const char *name, char *word)
{
    int r = json_object_set_new(secrets, name, json_string(word));

    explicit_bzero(word, strlen(word));
    free(word);
    return r < 0 ? -ENOMEM : 0;
}

/* 0 also when none was asked for. */
static int get_secrets(const struct words *w, json_t *secrets)
{
    char *word = NULL;
    int r = 0;

    if (w->password_file && w->ask_password)
        return complain("--password-file and --ask-password exclude each other", NULL);
    if (w->password_file || w->ask_password) {
        r = w->ask_password ? ask_password(&word) : read_password_file(w->password_file, &word);
        if (r == -ENXIO && w->ask_password)
            return complain("there is no terminal to ask for the password; use --password-file", NULL);
        r = r < 0 ? tell_unread(r) : add_secret(secrets, ENGINE_PASSWORD, word);
    }
    if (r == 0 && w->new_password_file) {
        r = read_password_file(w->new_password_file, &word);
        r = r < 0 ? tell_unread(r) : add_secret(secrets, ENGINE_NEW_PASSWORD, word);
    }
    return r;
}

/* What opens documents is for those inputs that can be protected, and there has to be one. */
static int check_password(const struct convert_plan *plan)
{
    for (size_t i = 0; i < plan->n_items; i++)
        if (catalogue_takes_password(plan->items[i].route))
            return 0;
    return complain("none of these files is of a format that can be protected by a password", NULL);
}

static int check_options(const struct convert_plan *plan, const json_t *options)
{
    char why[WHY_MAX];

    for (size_t i = 0; i < plan->n_items; i++)
        if (catalogue_check_options(plan->items[i].route, options, why, sizeof why) < 0)
            return complain(why, NULL);
    return 0;
}

/* From now on each file goes the way that they ask for. */
static int settle_options(struct convert_plan *plan, json_t *options, json_t *secrets)
{
    int r;

    if (json_object_get(secrets, ENGINE_PASSWORD) && (r = check_password(plan)) < 0)
        return r;
    if (json_object_get(secrets, ENGINE_NEW_PASSWORD))
        json_object_set(options, ENGINE_NEW_PASSWORD, json_object_get(secrets, ENGINE_NEW_PASSWORD));
    r = check_options(plan, options);
    if (r < 0)
        return r;
    for (size_t i = 0; i < plan->n_items; i++)
        plan->items[i].route = catalogue_route_with(plan->items[i].route, options);
    if (json_object_update(options, secrets) < 0)
        return -ENOMEM;
    plan->options = json_dumps(options, JSON_COMPACT);
    return plan->options ? 0 : -ENOMEM;
}

static int add_options(struct convert_plan *plan, const struct words *w)
{
    _cleanup_json_ json_t *secrets = json_object();
    int r = 0;

    /* No core file may keep them. */
    if (w->password_file || w->ask_password || w->new_password_file)
        r = prctl(PR_SET_DUMPABLE, 0) < 0 ? -errno : 0;
    if (r == 0)
        r = get_secrets(w, secrets);
    if (r == 0)
        r = settle_options(plan, w->options, secrets);
    secrets_wipe(secrets);
    return r;
}

int convert_plan_make(struct convert_plan *plan, int argc, char **argv)
{
    struct words w = {0};
    int r;

    *plan = (struct convert_plan){0};
    r = read_words(&w, argc, argv);
    if (r == 0)
        r = load_settings(plan, &w);
    if (r == 0)
        r = plan_items(plan, &w);
    if (r == 0) {
        plan->json = w.json;
        plan->force = w.force;
        plan->output_dir = w.output_dir;
        r = add_options(plan, &w);
    }
    free_words(&w);
    if (r < 0)
        convert_plan_free(plan);
    if (r == -ENOMEM)
        return complain("out of memory", NULL);
    return r;
}

void convert_plan_free(struct convert_plan *plan)
{
    for (size_t i = 0; i < plan->n_items; i++)
        free(plan->items[i].output);
    free(plan->items);
    free(plan->files);
    plan->files = NULL;
    cleanup_secret(&plan->options);
    plan->items = NULL;
    plan->options = NULL;
    plan->n_items = 0;
}
