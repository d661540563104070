#include "engine/office/office.h"

#include "core/str.h"
#include "engine/office/document.h"
#include "engine/office/font_use.h"
#include "engine/office/inline_pictures.h"
#include "engine/office/lok.h"
#include "engine/office/plain_text.h"
#include "sandbox/policy_office.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

/* What is not offered though LibreOffice has a filter for it: HTML of slides (it is an empty frame around
 * pictures in files of their own), drawings of slides (they stay presentations inside), SVG of slides (a
 * player in JavaScript), PDF as a source (text in boxes, whatever the target), and formats with macros as
 * targets. */
#define WRITER  "docx docm dotx doc odt ott fodt rtf txt html"
#define CALC    "xlsx xlsm xltx xls ods ots fods csv"
#define IMPRESS "pptx pptm ppsx potx ppt odp otp fodp"
#define DRAW    "odg fodg"

enum { COST = 30 };

/* Text loses what it looks like, csv all sheets but the first. What is embedded goes into documents. A PDF
 * shows what it looks like, and holds no more of it than the data of JPEG pictures. Pictures of all pages are
 * made of the PDF: LibreOffice itself draws the first one alone. */
static const struct engine_conversions conversions[] = {
    {WRITER, "pdf", COST, 95, false, "text"},
    {WRITER, "txt", COST, 80, false, NULL},
    {WRITER, "docx odt doc rtf html epub fodt ott", COST, 90, true, NULL},
    {CALC, "pdf", COST, 90, false, NULL},
    {CALC, "csv", COST, 50, false, NULL},
    {CALC, "xlsx ods xls html fods ots", COST, 90, true, NULL},
    {IMPRESS, "pdf", COST, 95, false, NULL},
    {IMPRESS, "pptx odp ppt fodp otp", COST, 90, true, NULL},
    {DRAW, "pdf", COST, 95, false, NULL},
    {DRAW, "odg svg", COST, 95, true, NULL},
    {0},
};

/* LibreOffice reads no protected .ppt; what is plain text or flat XML can't be protected. */
#define PROTECTABLE "docx docm dotx doc odt ott xlsx xlsm xltx xls ods ots pptx pptm ppsx potx odp otp odg"

/* Commas between fields, " around text, UTF-8 (76), from the first line on. */
#define CSV_OPTIONS "44,34,76,1"

/* What soffice does by itself. With LibreOfficeKit in the process the filter doesn't look into the
 * configuration: it would show comments, which are for authors and not for readers, and press pictures
 * harder. */
static const struct document_setting pdf_settings[] = {
    {"ExportNotes", DOCUMENT_SWITCH, 0},
    {"Quality", DOCUMENT_NUMBER, 90},
    {0},
};

enum { PATH_BYTES = 512 };

static void on_load_progress(void *arg, unsigned percent)
{
    engine_progress(arg, percent / 2);
}

static void on_save_progress(void *arg, unsigned percent)
{
    engine_progress(arg, 50 + percent / 2);
}

/* Fills the path of the file to load and the options of its import filter. -EBADMSG for an empty file, from
 * which LibreOffice would make an empty document. */
static int prepare_input(const struct engine_job *job, char path[PATH_BYTES], char options[32])
{
    bool csv = str_eq(job->from->id, "csv");
    struct stat st;

    if (stat(job->input_path, &st) < 0)
        return -errno;
    if (st.st_size == 0)
        return -EBADMSG;
    snprintf(path, PATH_BYTES, "%s", job->input_path);
    options[0] = '\0';
    if (!csv && !str_eq(job->from->id, "txt"))
        return 0;

    char copy[PATH_BYTES];
    int n = snprintf(copy, sizeof copy, "%s/text.%s", getenv("TMPDIR") ?: "/tmp", job->from->id);
    int r = n < 0 || (size_t)n >= sizeof copy ? -ENAMETOOLONG : plain_text_to_utf8(job->input_path, copy);

    if (r > 0)
        memcpy(path, copy, sizeof copy);
    if (r >= 0 && csv)
        snprintf(options, 32, "%d,34,76,1", plain_text_separator(path));
    return r;
}

static enum outcome load(struct engine_job *job, struct document **ret)
{
    char path[PATH_BYTES], options[32] = "";
    int r = lok_enter_child();

    if (r >= 0)
        r = prepare_input(job, path, options);
    if (r >= 0)
        r = document_load(path, options[0] ? options : NULL, engine_password(job), on_load_progress, job,
                          ret);
    switch (r) {
    case 0:
        return OUTCOME_OK;
    case -EKEYREJECTED:
        return OUTCOME_PASSWORD_REQUIRED;
    case -EBADMSG:
        return OUTCOME_CORRUPT_INPUT;
    case -EMSGSIZE:
    case -EFBIG:
    case -ENOMEM:
        return OUTCOME_TOO_COMPLEX;
    default:
        return OUTCOME_INTERNAL;
    }
}

static const char *export_options(const struct format *to)
{
    if (str_eq(to->id, "csv"))
        return CSV_OPTIONS;
    /* One file is the whole result: pictures go into it as data: URLs. */
    return str_eq(to->id, "html") ? "EmbedImages" : NULL;
}

/* What LibreOffice leaves to be done to the result. */
static enum outcome finish(const struct engine_job *job, const char *path)
{
    int r = 0;

    if (str_eq(job->to->id, "txt"))
        r = plain_text_drop_mark(path);
    else if (str_eq(job->to->id, "html") && job->from->category == FORMAT_SPREADSHEET)
        r = inline_pictures(job->output_path, job->output_name);
    if (r == -EMSGSIZE || r == -EFBIG)
        return OUTCOME_TOO_COMPLEX;
    return r < 0 ? OUTCOME_NO_OUTPUT : OUTCOME_OK;
}

/* Others go on naming the fonts that the document names, whichever are there. */
static bool is_laid_out(const struct format *to)
{
    return to->category == FORMAT_PDF || to->category == FORMAT_IMAGE;
}

static enum outcome convert(struct engine_job *job)
{
    char path[PATH_BYTES];
    struct document *document;
    struct stat st;

    engine_name_result(job, job->to->id);

    int n = snprintf(path, sizeof path, "%s/%s", job->output_path, job->output_name);

    if (n < 0 || (size_t)n >= sizeof path)
        return OUTCOME_INTERNAL;

    enum outcome outcome = load(job, &document);

    if (outcome != OUTCOME_OK)
        return outcome;
    engine_progress(job, 50);
    job->pages = document_count_pages(document);
    if (is_laid_out(job->to))
        font_use_begin();
    if (document_save(document, path, job->to->id, export_options(job->to),
                      str_eq(job->to->id, "pdf") ? pdf_settings : NULL, on_save_progress, job) < 0 ||
        stat(path, &st) < 0 || st.st_size == 0)
        return OUTCOME_NO_OUTPUT;
    if (is_laid_out(job->to))
        font_use_end(&job->fonts);
    return finish(job, path);
}

/* The configuration; the programs are below /usr, which every engine reads. */
static const char *const read_paths[] = {"/etc/libreoffice", NULL};

const struct engine engine_office = {
    .name = "office",
    .family = "documents",
    .policy = policy_office,
    .read_paths = read_paths,
    .conversions = conversions,
    .protectable = PROTECTABLE,
    .version = lok_version,
    .warm = lok_serve,
    .convert = convert,
};
