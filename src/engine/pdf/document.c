#include "engine/pdf/document.h"

#include <math.h>
#include <stdbool.h>

/* Poppler reads a file by 256 bytes, and without a cache. */
static PopplerDocument *open_mapped(const char *path, GError **error)
{
    GMappedFile *file = g_mapped_file_new(path, FALSE, error);
    PopplerDocument *document = NULL;

    if (file) {
        GBytes *bytes = g_mapped_file_get_bytes(file);

        document = poppler_document_new_from_bytes(bytes, NULL, error);
        g_bytes_unref(bytes);
        g_mapped_file_unref(file);
    }
    return document;
}

/* Poppler 22.12 dies of a wrong password for mapped bytes. */
static PopplerDocument *open_with(const char *path, const char *password, GError **error)
{
    char *uri = g_filename_to_uri(path, NULL, error);
    PopplerDocument *document = uri ? poppler_document_new_from_file(uri, password, error) : NULL;

    g_free(uri);
    return document;
}

enum outcome document_open(const char *path, const char *password, PopplerDocument **ret)
{
    GError *error = NULL;
    PopplerDocument *document = password ? open_with(path, password, &error) : open_mapped(path, &error);
    bool encrypted = g_error_matches(error, POPPLER_ERROR, POPPLER_ERROR_ENCRYPTED);

    g_clear_error(&error);
    if (!document)
        return encrypted ? OUTCOME_PASSWORD_REQUIRED : OUTCOME_CORRUPT_INPUT;
    *ret = document;
    return OUTCOME_OK;
}

void document_close(PopplerDocument **document)
{
    g_clear_object(document);
}

void page_close(PopplerPage **page)
{
    g_clear_object(page);
}

enum outcome page_open(PopplerDocument *document, int number, PopplerPage **ret)
{
    _cleanup_page_ PopplerPage *page = poppler_document_get_page(document, number);
    double width = 0, height = 0;

    if (page)
        poppler_page_get_size(page, &width, &height);
    if (!(width > 0 && height > 0 && isfinite(width) && isfinite(height)))
        return OUTCOME_CORRUPT_INPUT;
    *ret = TAKE_PTR(page);
    return OUTCOME_OK;
}
