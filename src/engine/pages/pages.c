/* The pages engine: qpdf, which takes a PDF apart and writes it anew without touching what is on its pages.
 *
 * One job in the middle of a route chooses and turns pages; another, at its end, packs the file: split,
 * compressed, linearized, locked. Asked for nothing it repairs: what is written has a new table of its
 * objects, and is not protected any more. */
#include "engine/pages/pages.h"
#include "engine/pages/merge.h"

#include "core/id.h"
#include "core/str.h"
#include "engine/page_range.h"
#include "engine/pages/split.h"
#include "engine/pages/work.h"
#include "sandbox/policy_pdf.h"

#include <errno.h>
#include <qpdf/qpdf-c.h>
#include <stdio.h>

enum { COST = 5, RANGE_MAX = 400, PART_PAGES_MAX = 10000, PART_MB_MAX = 1000 };
enum { TURN_CHOOSE = 1, TURN_PACK = 8 };

static const struct engine_conversions conversions[] = {
    {"pdf", "pdf", COST, 100, true, .asked_by = "pages rotate", .turn = TURN_CHOOSE},
    {"pdf", "pdf", COST, 100, true, .asked_by = "split split_size compress linearize new_password allow",
     .turn = TURN_PACK},
    {0},
};

static const struct engine_option options[] = {
    {"pages", NULL, 1, RANGE_MAX, 0, "Pages, in the order wanted", OPTION_PAGES},
    {"rotate", NULL, 0, 0, 0, "Degrees to turn the pages clockwise", OPTION_CHOICE, "0 90 180 270", "0"},
    {"split", "pdf", 1, PART_PAGES_MAX, 0, "Pages in each file"},
    {"split_size", "pdf", 1, PART_MB_MAX, 0, "Largest size of each file in MB"},
    {"compress", "pdf", 0, 0, 0, "Make it smaller, lossy with pictures as JPEG", OPTION_CHOICE,
     "lossless lossy"},
    {"linearize", "pdf", 0, 1, 0, "First page first, for slow connections", OPTION_SWITCH},
    {ENGINE_NEW_PASSWORD, "pdf", 1, ENGINE_PASSWORD_MAX, 0, "Password that the result will ask for",
     OPTION_SECRET},
    {"allow", "pdf", 0, 0, 0, "What readers of the result may do", OPTION_SET,
     "none print copy edit annotate"},
    {0},
};

/* --- what qpdf is told */

static void add_pages(json_t *work, const struct engine_job *job)
{
    const char *range = engine_option_text(job, options, "pages");
    const char *degrees = engine_option_text(job, options, "rotate");

    if (range)
        json_object_set_new(work, "pages", json_pack("[{s:s, s:s}]", "file", ".", "range", range));
    if (!str_eq(degrees, "0"))
        json_object_set_new(work, "rotate", json_sprintf("+%s", degrees));
}

static void add_compression(json_t *work, const struct engine_job *job)
{
    const char *how = engine_option_text(job, options, "compress");

    if (!how)
        return;
    if (!work_is_archive_of_1_4(job->input_path))
        work_set(work, "objectStreams", "generate");
    work_set(work, "recompressFlate", "");
    work_set(work, "compressionLevel", "9");
    if (str_eq(how, "lossy"))
        work_set(work, "optimizeImages", "");
}

static bool allows(const char *allowed, const char *what)
{
    size_t len = strlen(what);

    for (const char *p = allowed; p && (p = strstr(p, what)); p += len)
        if ((p == allowed || p[-1] == '+') && (p[len] == '\0' || p[len] == '+'))
            return true;
    return !allowed;
}

/* A right of qpdf's, with the word for it among those that people know. */
static json_t *rights(const char *allowed)
{
    static const struct {
        const char *right, *word, *with, *without;
    } all[] = {
        {"print", "print", "full", "none"}, {"extract", "copy", "y", "n"},
        {"modifyOther", "edit", "y", "n"},  {"assemble", "edit", "y", "n"},
        {"annotate", "annotate", "y", "n"}, {"form", "annotate", "y", "n"},
    };
    json_t *object = json_object();

    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        work_set(object, all[i].right, allows(allowed, all[i].word) ? all[i].with : all[i].without);
    return object;
}

/* AES with 256 bits. The other password, by which all may be done, is known to nobody. */
static void add_protection(json_t *work, const struct engine_job *job)
{
    const char *password = engine_option_text(job, options, ENGINE_NEW_PASSWORD);
    const char *allowed = engine_option_text(job, options, "allow");
    char owner[ID_TOKEN_LEN + 1];

    if (!password && !allowed) {
        work_set(work, "decrypt", "");
        return;
    }
    id_token(owner);
    json_object_set_new(work, "encrypt",
                        json_pack("{s:s, s:s, s:o}", "userPassword", password ? password : "",
                                  "ownerPassword", owner, "256bit", rights(allowed)));
}

static json_t *make_work(const struct engine_job *job)
{
    json_t *work = work_new(job->input_path, engine_password(job));

    if (!work)
        return NULL;
    add_pages(work, job);
    add_compression(work, job);
    if (engine_option_value(job, options, "linearize"))
        work_set(work, "linearize", "");
    add_protection(work, job);
    return work;
}

/* --- a job */

static enum outcome write_whole(struct engine_job *job, json_t *work)
{
    engine_name_result(job, "pdf");
    json_object_set_new(work, "outputFile", json_sprintf("%s/%s", job->output_path, job->output_name));
    return work_run(work, job);
}

static enum outcome convert(struct engine_job *job)
{
    const char *range = engine_option_text(job, options, "pages");
    const struct split_limits limits = {.pages = (uint64_t)engine_option_value(job, options, "split"),
                                        .bytes = (uint64_t)engine_option_value(job, options, "split_size") *
                                                 1000 * 1000};
    _cleanup_json_ json_t *work = NULL;
    enum outcome outcome = work_look(job->input_path, engine_password(job), &job->pages);

    if (outcome != OUTCOME_OK)
        return outcome;
    engine_pages(job, job->pages);
    if (range && !page_range_fits(range, job->pages))
        return OUTCOME_BAD_OPTIONS;
    work = make_work(job);
    if (!work)
        return OUTCOME_INTERNAL;
    return limits.pages || limits.bytes ? split_write(job, work, &limits) : write_whole(job, work);
}

/* --- in the zygote */

static void version(char *ret, size_t size)
{
    snprintf(ret, size, "qpdf %s", qpdf_get_qpdf_version());
}

static int warm(engine_serve_fn *serve, void *arg, const char **ret_why)
{
    work_be_quiet();
    serve(arg);
    return -ECANCELED;
}

const struct engine pages_engine = {
    .name = "pages",
    .family = "pdf",
    .policy = policy_pdf,
    .conversions = conversions,
    .options = options,
    .protectable = "pdf",
    .version = version,
    .warm = warm,
    .convert = convert,
    .gathers = "pdf",
    .gather = merge_write,
};
