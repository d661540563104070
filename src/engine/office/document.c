/* Documents by UNO rather than by LibreOfficeKit's own functions, which make a view for an editor (tiles,
 * toolbars, spell checking, notices to clients) with each document that they load. This takes two thirds of
 * the time for a small document.
 *
 * Loading it hidden is what soffice does for --convert-to, and its result is the same. What a LibreOfficeKit
 * load sets for the document is set here, too: no macros, no updating of links, no dialogs, and questions are
 * answered by a program. */
#include "engine/office/document.h"

#include "core/str.h"
#include "engine/office/page_style.h"
#include "engine/office/uno.h"

#include <errno.h>
#include <stdio.h>

enum kind { TEXT, SHEETS, SLIDES, DRAWING, FORMULA };

static const struct {
    const char *service;
    enum kind kind;
} services[] = {
    {"com.sun.star.sheet.SpreadsheetDocument", SHEETS},
    {"com.sun.star.presentation.PresentationDocument", SLIDES},
    {"com.sun.star.drawing.DrawingDocument", DRAWING},
    {"com.sun.star.formula.FormulaProperties", FORMULA},
};

/* The import filters of files that are told apart by their names and not by what LibreOffice takes them for:
 * it would read some as plain text when they are damaged. The others it knows by what is in them. */
static const struct import_filter {
    const char *format, *filter;
    bool picture; /* on a page: see fit_page() */
} import_filters[] = {
    {"602", "T602Document", false},
    {"abw", "AbiWord", false},
    {"dbf", "dBase", false},
    {"dif", "DIF", false},
    {"dxf", "DXF - AutoCAD Interchange", true},
    {"emf", "EMF - MS Windows Metafile", true},
    {"emz", "EMF - MS Windows Metafile", true},
    {"gnumeric", "Gnumeric Spreadsheet", false},
    {"mml", "MathML XML (Math)", false},
    {"odf", "math8", false},
    {"pct", "PCT - Mac Pict", true},
    {"pdb", "PalmDoc", false},
    {"slk", "SYLK", false},
    {"stc", "calc_StarOffice_XML_Calc_Template", false},
    {"stw", "writer_StarOffice_XML_Writer_Template", false},
    {"sxc", "StarOffice XML (Calc)", false},
    {"sxd", "StarOffice XML (Draw)", false},
    {"sxi", "StarOffice XML (Impress)", false},
    {"sxm", "StarOffice XML (Math)", false},
    {"sxw", "StarOffice XML (Writer)", false},
    {"tsv", "Text - txt - csv (StarCalc)", false},
    {"uop", "UOF presentation", false},
    {"uos", "UOF spreadsheet", false},
    {"vdx", "Visio Document", false},
    {"vsdx", "Visio Document", false},
    {"wk1", "Lotus", false},
    {"wks", "Lotus", false},
    {"wmf", "WMF - MS Windows Metafile", true},
    {"wmz", "WMF - MS Windows Metafile", true},
    {"wordml", "MS Word 2003 XML", false},
    {"wpd", "WordPerfect", false},
    {"wri", "MS_Write", false},
    {"xlml", "MS Excel 2003 XML Orcus", false},
    {"xlsb", "Calc MS Excel 2007 Binary", false},
    {"zabw", "AbiWord", false},
};

/* The export filters by their internal names, which every LibreOffice has in share/registry. */
static const struct {
    enum kind kind;
    const char *format, *filter;
} filters[] = {
    {TEXT, "doc", "MS Word 97"},
    {TEXT, "docx", "MS Word 2007 XML"},
    {TEXT, "dotx", "MS Word 2007 XML Template"},
    {TEXT, "epub", "EPUB"},
    {TEXT, "fodt", "OpenDocument Text Flat XML"},
    {TEXT, "html", "HTML (StarWriter)"},
    {TEXT, "odt", "writer8"},
    {TEXT, "ott", "writer8_template"},
    {TEXT, "pdf", "writer_pdf_Export"},
    {TEXT, "rtf", "Rich Text Format"},
    {TEXT, "txt", "Text"},
    {TEXT, "wordml", "MS Word 2003 XML"},
    {SHEETS, "csv", "Text - txt - csv (StarCalc)"},
    {SHEETS, "dbf", "dBase"},
    {SHEETS, "dif", "DIF"},
    {SHEETS, "fods", "OpenDocument Spreadsheet Flat XML"},
    {SHEETS, "html", "HTML (StarCalc)"},
    {SHEETS, "ods", "calc8"},
    {SHEETS, "ots", "calc8_template"},
    {SHEETS, "pdf", "calc_pdf_Export"},
    {SHEETS, "slk", "SYLK"},
    {SHEETS, "tsv", "Text - txt - csv (StarCalc)"},
    {SHEETS, "xls", "MS Excel 97"},
    {SHEETS, "xlsx", "Calc MS Excel 2007 XML"},
    {SHEETS, "xltx", "Calc MS Excel 2007 XML Template"},
    {SLIDES, "fodp", "OpenDocument Presentation Flat XML"},
    {SLIDES, "odp", "impress8"},
    {SLIDES, "otp", "impress8_template"},
    {SLIDES, "pdf", "impress_pdf_Export"},
    {SLIDES, "potx", "Impress MS PowerPoint 2007 XML Template"},
    {SLIDES, "ppsx", "Impress MS PowerPoint 2007 XML AutoPlay"},
    {SLIDES, "ppt", "MS PowerPoint 97"},
    {SLIDES, "pptx", "Impress MS PowerPoint 2007 XML"},
    {DRAWING, "emf", "draw_emf_Export"},
    {DRAWING, "fodg", "OpenDocument Drawing Flat XML"},
    {DRAWING, "odg", "draw8"},
    {DRAWING, "otg", "draw8_template"},
    {DRAWING, "pdf", "draw_pdf_Export"},
    {DRAWING, "svg", "draw_svg_Export"},
    {DRAWING, "wmf", "draw_wmf_Export"},
    {FORMULA, "mml", "MathML XML (Math)"},
    {FORMULA, "odf", "math8"},
};

struct document {
    struct uno_object *model;
    enum kind kind;
};

/* The one document, and what its callbacks need: an object of ours has no more of an address. */
static struct {
    struct document document;
    document_progress_fn *progress;
    void *progress_arg;
    int32_t progress_range;
    const char *password; /* until it was given */
    bool password_wanted;
} current;

/* --- questions --- */

/* Chooses the answer of that interface among those that the question allows. False when it isn't there. */
static bool choose(const struct uno_sequence *answers, const char *interface, const char *password)
{
    for (int32_t i = 0; i < answers->n; i++) {
        _cleanup_uno_object_ struct uno_object *answer = uno_query(answers->objects[i], interface);
        _cleanup_uno_string_ struct uno_string *s = password ? uno_string(password) : NULL;
        int r = 0;

        if (!answer)
            continue;
        if (password)
            r = uno_call(answer, "com.sun.star.task.XInteractionPassword::setPassword", NULL, (void *[]){&s});
        if (r >= 0)
            r = uno_call(answer, "com.sun.star.task.XInteractionContinuation::select", NULL, NULL);
        return r >= 0;
    }
    return false;
}

static bool wants_password(const struct uno_sequence *answers)
{
    for (int32_t i = 0; i < answers->n; i++) {
        _cleanup_uno_object_ struct uno_object *answer =
            uno_query(answers->objects[i], "com.sun.star.task.XInteractionPassword");

        if (answer)
            return true;
    }
    return false;
}

/* A wrong password is asked for again: then the answer is none. No other question gets an answer, which is
 * no: what LibreOffice offers is to read a damaged document as far as it can, and leave out the rest. */
static void on_question(void **args)
{
    struct uno_object *request = *(struct uno_object **)args[0];
    struct uno_sequence *answers = NULL;

    if (uno_call(request, "com.sun.star.task.XInteractionRequest::getContinuations", &answers, NULL) < 0 ||
        !wants_password(answers))
        return;
    current.password_wanted = true;

    const char *password = TAKE_PTR(current.password);

    choose(answers,
           password ? "com.sun.star.task.XInteractionPassword" : "com.sun.star.task.XInteractionAbort",
           password);
}

static const struct uno_own_method question_methods[] = {{"handle", on_question}, {0}};

/* --- progress --- */

static void on_start(void **args)
{
    current.progress_range = *(int32_t *)args[1];
}

static void on_value(void **args)
{
    int64_t value = *(int32_t *)args[0], range = current.progress_range;

    if (current.progress && range > 0 && value >= 0)
        current.progress(current.progress_arg, value < range ? (unsigned)(value * 100 / range) : 100);
}

static const struct uno_own_method progress_methods[] = {{"start", on_start}, {"setValue", on_value}, {0}};

static void put_progress(struct uno_properties *p, document_progress_fn *progress, void *arg)
{
    static struct uno_own indicator;

    current.progress = progress;
    current.progress_arg = arg;
    current.progress_range = 0;
    uno_own_init(&indicator, "com.sun.star.task.XStatusIndicator", progress_methods);
    uno_put_object(p, "StatusIndicator", indicator.interface, &indicator.object);
}

/* --- load --- */

char *document_url(const char *path)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";
    char *url = malloc(sizeof "file://" + 3 * strlen(path)), *to = url;

    if (!url)
        return NULL;
    to = stpcpy(to, "file://");
    for (const char *p = path; *p; p++) {
        if (strchr(plain, *p))
            *to++ = *p;
        else
            to += sprintf(to, "%%%02X", (unsigned char)*p);
    }
    *to = '\0';
    return url;
}

static bool supports(struct uno_object *o, const char *service)
{
    _cleanup_uno_object_ struct uno_object *info = uno_query(o, "com.sun.star.lang.XServiceInfo");
    _cleanup_uno_string_ struct uno_string *name = uno_string(service);
    unsigned char yes = 0;

    return info &&
           uno_call(info, "com.sun.star.lang.XServiceInfo::supportsService", &yes, (void *[]){&name}) == 0 &&
           yes;
}

static enum kind kind_of(struct uno_object *o)
{
    for (size_t i = 0; i < ARRAY_SIZE(services); i++)
        if (supports(o, services[i].service))
            return services[i].kind;
    return TEXT;
}

static struct uno_object *draw_pages(struct uno_object *model)
{
    _cleanup_uno_object_ struct uno_object *supplier =
        uno_query(model, "com.sun.star.drawing.XDrawPagesSupplier");
    struct uno_object *pages = NULL;

    if (!supplier ||
        uno_call(supplier, "com.sun.star.drawing.XDrawPagesSupplier::getDrawPages", &pages, NULL) < 0)
        return NULL;
    return pages;
}

/* By the extension of its path; NULL when LibreOffice shall find out. */
static const struct import_filter *import_filter(const char *path)
{
    const char *dot = strrchr(path, '.');

    for (size_t i = 0; dot && i < ARRAY_SIZE(import_filters); i++)
        if (str_eq(import_filters[i].format, dot + 1))
            return &import_filters[i];
    return NULL;
}

/* NULL when there is no memory. */
static struct uno_sequence *load_properties(const struct import_filter *filter, const char *import_options,
                                            document_progress_fn *progress, void *arg)
{
    static struct uno_own questions;
    struct uno_properties p = {0};

    uno_own_init(&questions, "com.sun.star.task.XInteractionHandler", question_methods);
    uno_put_object(&p, "InteractionHandler", questions.interface, &questions.object);
    put_progress(&p, progress, arg);
    /* Not "Silent": with that LibreOffice 25.2 keeps the question for a password from our handler. */
    uno_put_bool(&p, "Hidden", true);
    uno_put_bool(&p, "ReadOnly", true);
    /* A template is opened as what it is, rather than as the beginning of a new document. */
    uno_put_bool(&p, "AsTemplate", false);
    uno_put_short(&p, "MacroExecutionMode", 0 /* never */);
    uno_put_short(&p, "UpdateDocMode", 0 /* no links */);
    if (filter)
        uno_put_string(&p, "FilterName", filter->filter);
    if (import_options)
        uno_put_string(&p, "FilterOptions", import_options);
    return uno_take_properties(&p);
}

static struct uno_object *load_model(const char *url, struct uno_sequence *properties)
{
    _cleanup_uno_object_ struct uno_object *desktop = uno_create("com.sun.star.frame.Desktop");
    _cleanup_uno_object_ struct uno_object *loader =
        desktop ? uno_query(desktop, "com.sun.star.frame.XComponentLoader") : NULL;
    _cleanup_uno_string_ struct uno_string *name = uno_string(url), *frame = uno_string("_blank");
    struct uno_object *model = NULL;
    int r = loader ? uno_call(loader, "com.sun.star.frame.XComponentLoader::loadComponentFromURL", &model,
                              (void *[]){&name, &frame, &(int32_t){0}, &properties})
                   : -ENOSYS;

    return r < 0 ? NULL : model;
}

/* LibreOffice puts a picture into the middle of a page of paper: the page shall be what the picture is. */
static int fit_page(struct uno_object *model)
{
    struct {
        int32_t width, height;
    } size = {0};
    struct {
        int32_t x, y;
    } origin = {0};
    _cleanup_uno_object_ struct uno_object *pages = draw_pages(model);
    _cleanup_uno_object_ struct uno_object *page = pages ? uno_get_at(pages, 0) : NULL;
    _cleanup_uno_object_ struct uno_object *first = page ? uno_get_at(page, 0) : NULL;
    _cleanup_uno_object_ struct uno_object *picture =
        first ? uno_query(first, "com.sun.star.drawing.XShape") : NULL;
    int r = picture ? uno_call(picture, "com.sun.star.drawing.XShape::getSize", &size, NULL) : -EIO;
    const struct {
        const char *name;
        int32_t value;
    } properties[] = {
        {"BorderLeft", 0},   {"BorderRight", 0},    {"BorderTop", 0},
        {"BorderBottom", 0}, {"Width", size.width}, {"Height", size.height},
    };

    for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(properties); i++)
        r = uno_set_long(page, properties[i].name, properties[i].value);
    return r < 0 ? r
                 : uno_call(picture, "com.sun.star.drawing.XShape::setPosition", NULL, (void *[]){&origin});
}

int document_load(const char *path, const char *import_options, const char *password,
                  document_progress_fn *progress, void *arg, struct document **ret)
{
    _cleanup_free_ char *url = document_url(path);
    const struct import_filter *filter = import_filter(path);
    struct uno_sequence *properties = url ? load_properties(filter, import_options, progress, arg) : NULL;
    struct document *d = &current.document;

    if (!properties)
        return -ENOMEM;
    current.password = password;
    current.password_wanted = false;
    d->model = load_model(url, properties);
    uno_sequence_free(properties);
    current.password = NULL;
    if (!d->model)
        return current.password_wanted ? -EKEYREJECTED : -EBADMSG;
    d->kind = kind_of(d->model);
    *ret = d;
    return filter && filter->picture && fit_page(d->model) < 0 ? -EBADMSG : 0;
}

/* --- what is asked of it --- */

static uint64_t count_text_pages(struct uno_object *model)
{
    _cleanup_uno_object_ struct uno_object *m = uno_query(model, "com.sun.star.frame.XModel");
    _cleanup_uno_object_ struct uno_object *controller = NULL;
    int32_t n = 0;

    if (!m || uno_call(m, "com.sun.star.frame.XModel::getCurrentController", &controller, NULL) < 0 ||
        !controller || uno_get_long(controller, "PageCount", &n) < 0)
        return 0;
    return n > 0 ? (uint64_t)n : 0;
}

static uint64_t count_slides(struct uno_object *model)
{
    _cleanup_uno_object_ struct uno_object *pages = draw_pages(model);

    return pages ? (uint64_t)uno_count(pages) : 0;
}

uint64_t document_count_pages(struct document *d)
{
    switch (d->kind) {
    case TEXT:
        return count_text_pages(d->model);
    case SLIDES:
    case DRAWING:
        return count_slides(d->model);
    case FORMULA:
    case SHEETS:
        break;
    }
    return 0;
}

/* A formula is laid out when something of its looks is set, be it to what it is. */
int document_formula_size(struct document *d, int32_t *ret_width, int32_t *ret_height)
{
    _cleanup_uno_object_ struct uno_object *visual = uno_query(d->model, "com.sun.star.embed.XVisualObject");
    struct {
        int32_t width, height;
    } size = {0};
    int r = d->kind == FORMULA && visual ? uno_set_bool(d->model, "IsTextMode", false) : -EIO;

    if (r >= 0)
        r = uno_call(visual, "com.sun.star.embed.XVisualObject::getVisualAreaSize", &size,
                     (void *[]){&(int64_t){1} /* the content */});
    *ret_width = size.width;
    *ret_height = size.height;
    return r;
}

int document_lay_out(struct document *d, const struct page_wish *wish)
{
    return d->kind == TEXT || d->kind == SHEETS ? page_style_apply(d->model, wish) : -EIO;
}

/* --- save --- */

static const char *export_filter(enum kind kind, const char *format)
{
    for (size_t i = 0; i < ARRAY_SIZE(filters); i++)
        if (filters[i].kind == kind && str_eq(filters[i].format, format))
            return filters[i].filter;
    return NULL;
}

static void put_settings(struct uno_properties *p, const struct document_setting *settings)
{
    struct uno_properties data = {0};

    for (; settings->name; settings++) {
        if (settings->kind == DOCUMENT_SWITCH)
            uno_put_bool(&data, settings->name, settings->value != 0);
        else
            uno_put_long(&data, settings->name, settings->value);
    }
    uno_put_properties(p, "FilterData", &data);
}

int document_save(struct document *d, const char *path, const char *format, const char *options,
                  const struct document_setting *settings, document_progress_fn *progress, void *arg)
{
    const char *filter = export_filter(d->kind, format);
    _cleanup_free_ char *url = document_url(path);
    _cleanup_uno_object_ struct uno_object *storable = uno_query(d->model, "com.sun.star.frame.XStorable");
    struct uno_properties p = {0};

    if (!filter)
        return -ENOTSUP;
    if (!url || !storable)
        return -EIO;
    uno_put_string(&p, "FilterName", filter);
    uno_put_bool(&p, "Overwrite", true);
    put_progress(&p, progress, arg);
    if (options)
        uno_put_string(&p, "FilterOptions", options);
    if (settings)
        put_settings(&p, settings);

    _cleanup_uno_string_ struct uno_string *name = uno_string(url);
    struct uno_sequence *properties = uno_take_properties(&p);
    int r = properties ? uno_call(storable, "com.sun.star.frame.XStorable::storeToURL", NULL,
                                  (void *[]){&name, &properties})
                       : -EIO;

    uno_sequence_free(properties);
    return r < 0 ? -EIO : 0;
}

void document_close(struct document *d)
{
    _cleanup_uno_object_ struct uno_object *model = TAKE_PTR(d->model);
    _cleanup_uno_object_ struct uno_object *closeable = uno_query(model, "com.sun.star.util.XCloseable");
    unsigned char yes = 1;

    /* It may be kept open by others, and is then closed by them. */
    if (closeable && uno_call(closeable, "com.sun.star.util.XCloseable::close", NULL, (void *[]){&yes}) < 0)
        return;
}
