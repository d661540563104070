#include "cli/convert_plan.h"

#include "cli/ask_password.h"
#include "cli/convert_standard.h"
#include "cli/convert_words.h"
#include "core/buf.h"
#include "core/str.h"
#include "engine/engine.h"
#include "engine/secrets.h"

#include <errno.h>
#include <limits.h>
#include <sys/prctl.h>
#include <sys/stat.h>

enum { PATH_BYTES_MAX = 64 * 1024, WHY_MAX = 256 };

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
    const char *base = str_base_name(input);
    const char *dir = output_dir ? output_dir : input;
    size_t dir_len = output_dir ? strlen(output_dir) : (size_t)(base - input);

    return join(dir, dir_len, base, (size_t)(format_extension_of(base) - base), to->id);
}

static int complain_route(const struct format *from, const struct format *to, const char *input)
{
    fprintf(stderr, "decant convert: %s can't be converted into %s; `decant formats` lists what can: %s\n",
            from->id, to->id, input);
    return -EINVAL;
}

const char *convert_item_input(const struct convert_item *item, size_t i)
{
    return item->n_inputs > 0 ? item->inputs[i] : item->input;
}

static const char *name_of(const struct convert_plan *plan, const char *input)
{
    return convert_is_standard(input) ? plan->standard_name : str_base_name(input);
}

const char *convert_item_name(const struct convert_plan *plan, const struct convert_item *item, size_t i)
{
    return name_of(plan, convert_item_input(item, i));
}

static const struct format *format_of(const struct convert_plan *plan, const char *input)
{
    const struct format *from = format_by_name(name_of(plan, input));

    if (!from)
        words_complain("what type of file is this? `decant formats` lists the known endings: ", input);
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
    const struct format *from = format_of(plan, input);
    struct convert_item *item = &plan->items[plan->n_items++];

    item->input = input;
    item->output = output;
    if (!output)
        return -ENOMEM;
    if (!from)
        return -EINVAL;
    if (w->to && !w->force && is_same_file(input, output))
        return words_complain(
            "the result would take the place of its input; --force does so, -o names another: ", input);
    item->to = to;
    if (plan->server)
        return 0;
    item->route = catalogue_find(from, to);
    return item->route ? 0 : complain_route(from, to, input);
}

/* Can each of them become what is to be put together? */
static int check_inputs(const struct convert_plan *plan, const struct convert_item *item)
{
    for (size_t i = 0; i < item->n_inputs; i++) {
        const struct format *from = format_of(plan, item->inputs[i]);

        if (!from)
            return -EINVAL;
        if (plan->each && from != plan->each && !catalogue_find(from, plan->each))
            return complain_route(from, plan->each, item->inputs[i]);
    }
    return 0;
}

static int plan_merge(struct convert_plan *plan, const struct words *w)
{
    const struct format *to = format_by_name(str_base_name(w->merge)), *from;
    struct convert_item *item = &plan->items[plan->n_items++];

    if (w->n_files == 0)
        return words_complain("no input files", NULL);
    item->input = plan->files[0];
    item->inputs = plan->files;
    item->n_inputs = w->n_files;
    item->output = strdup(w->merge);
    if (!item->output)
        return -ENOMEM;
    from = format_of(plan, item->input);
    if (!from)
        return -EINVAL;
    item->to = to;
    if (plan->server)
        return to ? 0 : words_complain("many files become a PDF or an archive, and nothing else: ", w->merge);
    item->route = catalogue_find_many(from, to);
    if (!item->route)
        return words_complain("many files become a PDF or an archive, and nothing else: ", w->merge);
    plan->each = catalogue_each(item->route, w->options);
    return check_inputs(plan, item);
}

static int plan_pair(struct convert_plan *plan, const struct words *w)
{
    const struct format *to;

    if (w->n_files != 2)
        return words_complain(w->n_files < 2
                                  ? "it takes an INPUT and an OUTPUT, or --to FORMAT; --help tells more"
                                  : "several inputs need --to FORMAT",
                              NULL);
    if (convert_is_standard(plan->files[1]))
        return words_complain("a result goes to standard output by --to FORMAT -o -", NULL);
    to = format_by_name(str_base_name(plan->files[1]));
    if (!to)
        return words_complain("which format is this to be? Name it with --to, or use a known ending: ",
                              plan->files[1]);
    return plan_item(plan, w, plan->files[0], to, strdup(plan->files[1]));
}

/* By its name, or as an ending says it: JPG, jpeg. */
static const struct format *format_called(const char *word)
{
    const struct format *format = format_by_id(word);
    _cleanup_free_ char *name = NULL;

    if (!format && asprintf(&name, "x.%s", word) >= 0)
        format = format_by_name(name);
    if (!format)
        words_complain("there is no such format; `decant formats` lists all: ", word);
    return format;
}

/* Standard input stands alone, and gets a name. */
static int take_standard_input(struct convert_plan *plan, const struct words *w)
{
    size_t n_inputs = w->to || w->merge ? w->n_files : w->n_files > 0;
    const struct format *from;
    bool is_there = false;

    for (size_t i = 0; i < n_inputs; i++)
        is_there = is_there || convert_is_standard(plan->files[i]);
    if (!is_there)
        return w->from ? words_complain("--from is for standard input, which is called -", NULL) : 0;
    if (n_inputs > 1 || w->merge)
        return words_complain("standard input is converted by itself, and not with other files", NULL);
    if (convert_is_standard(w->password_file) || convert_is_standard(w->new_password_file))
        return words_complain("standard input can't be a document and a password at once", NULL);
    if (!w->from)
        return words_complain("standard input has no name that tells its format; --from FORMAT does", NULL);
    from = format_called(w->from);
    if (!from)
        return -EINVAL;
    snprintf(plan->standard_name, sizeof plan->standard_name, "stdin.%s", from->id);
    return 0;
}

/* Terminals obey what is in a file, and this one comes from anywhere. */
static int check_standard_output(const struct words *w)
{
    if (w->n_files > 1)
        return words_complain("one result alone fits on standard output", NULL);
    if (w->json)
        return words_complain("--json and a result can't both be on standard output", NULL);
    if (isatty(STDOUT_FILENO) && !w->force)
        return words_complain(
            "a result is not for a terminal; send it elsewhere by > or |, or insist by --force", NULL);
    return 0;
}

static int plan_many(struct convert_plan *plan, const struct words *w)
{
    const struct format *to = format_called(w->to);
    int r = 0;

    if (!to)
        return -EINVAL;
    if (w->n_files == 0)
        return words_complain("no input files", NULL);
    if (convert_is_standard(w->output_dir ? w->output_dir : plan->files[0])) {
        r = check_standard_output(w);
        return r < 0 ? r : plan_item(plan, w, plan->files[0], to, strdup("-"));
    }
    for (size_t i = 0; i < w->n_files && r == 0; i++) {
        const char *input = convert_is_standard(plan->files[i]) ? plan->standard_name : plan->files[i];

        r = plan_item(plan, w, plan->files[i], to, output_for(input, w->output_dir, to));
    }
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
        return words_complain("-o needs --to FORMAT", NULL);
    if (w->merge && w->to)
        return words_complain("--merge and --to exclude each other", NULL);
    r = take_standard_input(plan, w);
    if (r < 0)
        return r;
    r = w->merge ? plan_merge(plan, w) : w->to ? plan_many(plan, w) : plan_pair(plan, w);
    return r < 0 ? r : check_distinct(plan);
}

static int load_settings(struct convert_plan *plan, const struct words *w)
{
    _cleanup_free_ char *usage = words_usage();
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
        return words_complain("the password is empty, too long or no UTF-8", NULL);
    if (r == -EINTR)
        return words_complain("broken off", NULL);
    return r == 0 || r == -ENOMEM ? r : words_complain("the password can't be read: ", strerror(-r));
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
        return words_complain("--password-file and --ask-password exclude each other", NULL);
    if (w->password_file || w->ask_password) {
        r = w->ask_password ? ask_password("Password of the document: ", &word)
                            : read_password_file(w->password_file, &word);
        if (r == -ENXIO && w->ask_password)
            return words_complain("there is no terminal to ask for the password; use --password-file", NULL);
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
    return words_complain("none of these files is of a format that can be protected by a password", NULL);
}

static int check_options(const struct convert_plan *plan, const json_t *options)
{
    char why[WHY_MAX];

    for (size_t i = 0; i < plan->n_items; i++)
        if (catalogue_check_options(plan->items[i].route, options, why, sizeof why) < 0)
            return words_complain(why, NULL);
    return 0;
}

/* From now on each file goes the way that they ask for. */
static int settle_options(struct convert_plan *plan, json_t *options, json_t *secrets)
{
    int r;

    if (!plan->server && json_object_get(secrets, ENGINE_PASSWORD) && (r = check_password(plan)) < 0)
        return r;
    if (json_object_get(secrets, ENGINE_NEW_PASSWORD))
        json_object_set(options, ENGINE_NEW_PASSWORD, json_object_get(secrets, ENGINE_NEW_PASSWORD));
    r = plan->server ? 0 : check_options(plan, options);
    if (r < 0)
        return r;
    for (size_t i = 0; i < plan->n_items && !plan->server; i++)
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

static void take_words(struct convert_plan *plan, const struct words *w)
{
    plan->json = w->json;
    plan->force = w->force;
    plan->quiet = w->quiet;
    plan->output_dir = convert_is_standard(w->output_dir) ? NULL : w->output_dir;
    plan->server = w->server;
    plan->ca_file = w->ca_file;
    plan->keep = w->keep;
    plan->insecure_http = w->insecure_http;
}

int convert_plan_make(struct convert_plan *plan, int argc, char **argv)
{
    struct words w = {0};
    int r;

    *plan = (struct convert_plan){0};
    r = words_read(&w, argc, argv);
    if (r == 0)
        r = load_settings(plan, &w);
    if (r == 0)
        r = words_check_place(&w);
    if (r == 0) {
        take_words(plan, &w);
        r = plan_items(plan, &w);
    }
    if (r == 0)
        r = add_options(plan, &w);
    words_free(&w);
    if (r < 0)
        convert_plan_free(plan);
    if (r == -ENOMEM)
        return words_complain("out of memory", NULL);
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
