#include "engine/office/office.h"

#include "core/str.h"
#include "engine/office/document.h"
#include "engine/office/encoding.h"
#include "engine/office/font_use.h"
#include "engine/office/formula.h"
#include "engine/office/inline_pictures.h"
#include "engine/office/lok.h"
#include "engine/office/old_table.h"
#include "engine/office/page_style.h"
#include "engine/office/plain_text.h"
#include "sandbox/policy_office.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

/* What is not offered though LibreOffice has a filter for it: HTML of slides (it is an empty frame around
 * pictures in files of their own), drawings of slides (they stay presentations inside), SVG of slides (a
 * player in JavaScript), Excel 2003 XML (of most workbooks it fails) and Unified Office (loses texts, and
 * makes what it can't print itself) as targets, PDF as a source (text in boxes, whatever the target), and
 * formats with macros as targets. */
#define WRITER  "docx docm dotx dotm doc odt ott fodt oth sxw stw wordml abw zabw wpd wri 602 pdb rtf txt html"
#define CALC    "xlsx xlsm xltx xltm xlsb xls ods ots fods sxc stc uos xlml gnumeric wk1 wks dbf dif slk csv tsv"
#define IMPRESS "pptx pptm ppsx ppsm potx potm ppt odp otp fodp sxi uop"
#define DRAW    "odg otg fodg sxd vsdx vdx emf emz wmf wmz dxf pct"
#define MATH    "odf sxm mml"

enum { COST = 30 };

/* Text loses what it looks like, csv all sheets but the first. What is embedded goes into documents. A PDF
 * shows what it looks like, and holds no more of it than the data of JPEG pictures. Pictures of all pages are
 * made of the PDF: LibreOffice itself draws the first one alone. */
static const struct engine_conversions conversions[] = {
    {WRITER, "pdf", COST, 95, false, "text document"},
    {WRITER, "txt", COST, 80, false, NULL},
    {WRITER, "docx dotx odt doc rtf html epub fodt ott", COST, 90, true, NULL},
    {WRITER, "wordml", COST, 70, true, NULL},
    {CALC, "pdf", COST, 90, false, NULL},
    {CALC, "csv tsv slk", COST, 50, false, NULL},
    {CALC, "dif dbf", COST, 45, false, NULL},
    {CALC, "xlsx xltx ods xls html fods ots", COST, 90, true, NULL},
    {IMPRESS, "pdf", COST, 95, false, NULL},
    {IMPRESS, "pptx ppsx potx odp ppt fodp otp", COST, 90, true, NULL},
    {DRAW, "pdf", COST, 95, false, NULL},
    {DRAW, "odg otg fodg svg", COST, 95, true, NULL},
    {DRAW, "emf", COST, 80, true, NULL},
    {DRAW, "wmf", COST, 70, true, NULL},
    {MATH, "pdf docx odt fodt odf mml", COST, 95, false, NULL},
    {0},
};

/* LibreOffice reads no protected .ppt; what is plain text or flat XML can't be protected. It writes nothing
 * protected by which the others could be tried. */
#define PROTECTABLE                                                                                          \
    "docx docm dotx dotm doc odt ott xlsx xlsm xltx xltm xls ods ots pptx pptm ppsx ppsm potx potm odp otp " \
    "odg otg odf"

/* Commas or tabs between fields, " around text (with tabs, only where one is in it), UTF-8 (76), from the
 * first line on. */
#define CSV_OPTIONS "%d,34,76,1"
#define TSV_OPTIONS "9,34,76,1,,0,false"
/* Other tables are told the characters alone. */
#define UTF8_OPTIONS "76"

/* What pages become, be it as pictures. */
#define LAID_OUT "pdf png jpg webp tiff svg ps eps"

static const struct engine_option options[] = {
    {"pdfa", "pdf", 0, 0, 0, "Part of PDF/A, for archives", OPTION_CHOICE, "1b 2b 3b"},
    {"separator", "csv", 0, 0, 0, "What is to stand between the columns", OPTION_CHOICE,
     "comma semicolon tab pipe", "comma"},
    {"source_separator", NULL, 0, 0, 0, "What stands between the columns of the source", OPTION_CHOICE,
     "auto comma semicolon tab pipe", "auto", "csv"},
    {"encoding", "csv tsv txt", 0, 0, 0, "Text encoding of the result (? for characters that it lacks)",
     OPTION_CHOICE, ENCODINGS_WRITTEN, "utf-8"},
    {"source_encoding", NULL, 0, 0, 0, "Text encoding of the source", OPTION_CHOICE,
     ENCODING_AUTO " " ENCODINGS_READ, ENCODING_AUTO, "csv tsv txt"},
    /* Slides and drawings are made for their pages. */
    {"orientation", LAID_OUT, 0, 0, 0, "Orientation of the pages", OPTION_CHOICE, "auto portrait landscape",
     "auto", WRITER " " CALC},
    {"paper", LAID_OUT, 0, 0, 0, "Paper size", OPTION_CHOICE, "auto " PAPERS, "auto", WRITER " " CALC},
    {0},
};

/* What soffice does by itself. With LibreOfficeKit in the process the filter doesn't look into the
 * configuration: it would show comments, which are for authors and not for readers, and press pictures
 * harder. */
static struct document_setting pdf_settings[] = {
    {"ExportNotes", DOCUMENT_SWITCH, 0},
    {"Quality", DOCUMENT_NUMBER, 90},
    {"SelectPdfVersion", DOCUMENT_NUMBER, 0}, /* none in particular; 1 to 3: PDF/A of that part */
    {0},
};
enum { PDF_VERSION = 2 };

enum { PATH_BYTES = 512 };

static void on_load_progress(void *arg, unsigned percent)
{
    engine_progress(arg, percent / 2);
}

static void on_save_progress(void *arg, unsigned percent)
{
    engine_progress(arg, 50 + percent / 2);
}

static int separator_of(const char *word)
{
    return str_eq(word, "semicolon") ? ';' : str_eq(word, "tab") ? '\t' : str_eq(word, "pipe") ? '|' : ',';
}

static int source_separator(const struct engine_job *job, const char *path)
{
    const char *word = engine_option_text(job, options, "source_separator");

    return str_eq(word, "auto") ? plain_text_separator(path) : separator_of(word);
}

/* The part of PDF/A that is wanted; 0: none. */
static int pdf_version(const struct engine_job *job)
{
    const char *level = engine_option_text(job, options, "pdfa");

    return level && str_eq(job->to->id, "pdf") ? level[0] - '0' : 0;
}

/* Fills the path of the file to load and the options of its import filter. -EBADMSG for an empty file, from
 * which LibreOffice would make an empty document. */
static int prepare_input(const struct engine_job *job, char path[PATH_BYTES],
                         char ret_options[OLD_TABLE_OPTIONS])
{
    bool csv = str_eq(job->from->id, "csv"), tsv = str_eq(job->from->id, "tsv");
    bool mml = str_eq(job->from->id, "mml");
    struct stat st;

    if (stat(job->input_path, &st) < 0)
        return -errno;
    if (st.st_size == 0)
        return -EBADMSG;
    snprintf(path, PATH_BYTES, "%s", job->input_path);
    ret_options[0] = '\0';
    if (!csv && !tsv && !mml && !str_eq(job->from->id, "txt"))
        return old_table_options(job->from->id, path, ret_options);

    char copy[PATH_BYTES];
    int n = snprintf(copy, sizeof copy, "%s/text.%s", getenv("TMPDIR") ?: "/tmp", job->from->id);
    int r = n < 0 || (size_t)n >= sizeof copy ? -ENAMETOOLONG
            : mml                             ? formula_put_row(job->input_path, copy)
                  : plain_text_to_utf8(job->input_path, engine_option_text(job, options, "source_encoding"),
                                       copy);

    if (r > 0)
        memcpy(path, copy, sizeof copy);
    if (r >= 0 && (csv || tsv))
        snprintf(ret_options, OLD_TABLE_OPTIONS, CSV_OPTIONS, tsv ? '\t' : source_separator(job, path));
    return r;
}

/* Exchanges a formula for a text document that holds it, but where it shall stay one. */
static int put_into_text(const struct engine_job *job, struct document **d)
{
    char mathml[PATH_BYTES], text[PATH_BYTES];
    const char *folder = getenv("TMPDIR") ?: "/tmp";
    int32_t width, height;
    int r;

    if (!words_have(MATH, job->from->id) || words_have(MATH, job->to->id))
        return 0;
    if (snprintf(mathml, PATH_BYTES, "%s/formula.mml", folder) >= PATH_BYTES ||
        snprintf(text, PATH_BYTES, "%s/formula.fodt", folder) >= PATH_BYTES)
        return -ENAMETOOLONG;
    r = document_save(*d, mathml, "mml", NULL, NULL, NULL, NULL);
    document_close(*d);
    /* A package says itself how large its formula is, or doesn't: of MathML it is worked out. */
    if (r >= 0)
        r = document_load(mathml, NULL, NULL, NULL, NULL, d);
    if (r < 0)
        return r;
    r = document_formula_size(*d, &width, &height);
    document_close(*d);
    if (r >= 0)
        r = formula_wrap(mathml, text, width, height, str_eq(job->to->id, "pdf"));
    return r < 0 ? r : document_load(text, NULL, NULL, NULL, NULL, d);
}

static enum outcome load(struct engine_job *job, struct document **ret)
{
    char path[PATH_BYTES], filter[OLD_TABLE_OPTIONS] = "";
    int r = lok_enter_child();

    if (r >= 0)
        r = prepare_input(job, path, filter);
    if (r >= 0)
        r = document_load(path, filter[0] ? filter : NULL, engine_password(job), on_load_progress, job, ret);
    if (r >= 0)
        r = put_into_text(job, ret);
    switch (r) {
    case 0:
        return OUTCOME_OK;
    case -EKEYREJECTED:
        return OUTCOME_PASSWORD_REQUIRED;
    case -EBADMSG:
        return OUTCOME_CORRUPT_INPUT;
    case -EILSEQ:
        return OUTCOME_BAD_OPTIONS;
    case -EMSGSIZE:
    case -EFBIG:
    case -ENOMEM:
        return OUTCOME_TOO_COMPLEX;
    default:
        return OUTCOME_INTERNAL;
    }
}

static const char *export_options(const struct engine_job *job)
{
    static char csv[OLD_TABLE_OPTIONS];
    const struct format *to = job->to;

    static const char *const texts[][2] = {
        {"tsv", TSV_OPTIONS},
        {"dbf", UTF8_OPTIONS},
        {"dif", UTF8_OPTIONS},
        {"html", "EmbedImages"}, /* one file is the whole result: pictures go into it
                                    as data: URLs */
    };

    if (str_eq(to->id, "csv")) {
        snprintf(csv, sizeof csv, CSV_OPTIONS, separator_of(engine_option_text(job, options, "separator")));
        return csv;
    }
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        if (str_eq(to->id, texts[i][0]))
            return texts[i][1];
    return NULL;
}

/* What LibreOffice leaves to be done to the result. */
static enum outcome finish(const struct engine_job *job, const char *path)
{
    const char *encoding = engine_option_text(job, options, "encoding");
    bool text = str_eq(job->to->id, "txt"), table = words_have("csv tsv", job->to->id);
    int r = 0;

    if (text || (table && !str_eq(encoding, "utf-8")))
        r = plain_text_encode(path, encoding);
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

/* As the options ask; nothing where they don't. */
static int lay_out(const struct engine_job *job, struct document *document)
{
    const char *orientation = engine_option_text(job, options, "orientation");
    const char *paper = engine_option_text(job, options, "paper");
    const struct page_wish wish = {.landscape = str_eq(orientation, "landscape"),
                                   .portrait = str_eq(orientation, "portrait"),
                                   .paper = str_eq(paper, "auto") ? NULL : paper};

    return wish.landscape || wish.portrait || wish.paper ? document_lay_out(document, &wish) : 0;
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
    if (lay_out(job, document) < 0)
        return OUTCOME_INTERNAL;
    pdf_settings[PDF_VERSION].value = pdf_version(job);
    job->pages = document_count_pages(document);
    if (is_laid_out(job->to))
        font_use_begin();
    if (document_save(document, path, job->to->id, export_options(job),
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
    .options = options,
    .protectable = PROTECTABLE,
    .version = lok_version,
    .warm = lok_serve,
    .convert = convert,
};
