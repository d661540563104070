/* The file formats that Decant knows: one table, pure data. What can be converted into what is not said here
 * but by the engines (engine/engine.h); the upload whitelist, /formats and the type checks all read this
 * table. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum format_category {
    FORMAT_DOCUMENT,
    FORMAT_SPREADSHEET,
    FORMAT_PRESENTATION,
    FORMAT_DRAWING,
    FORMAT_IMAGE,
    FORMAT_PDF,
    FORMAT_TEXT,
    FORMAT_AUDIO,
    FORMAT_VIDEO,
    FORMAT_SUBTITLES,
    FORMAT_ARCHIVE,
    FORMAT_FONT,
    FORMAT_CATEGORIES_,
};

/* What has to be true of the bytes beyond libmagic's word (files/sniff.h). */
enum format_structure {
    STRUCTURE_ZIP,    /* a ZIP archive with nothing in front or behind, which holds `marker`, if any */
    STRUCTURE_RTF,    /* libmagic knows its first bytes */
    STRUCTURE_RASTER, /* a header that tells a size (files/raster.h) */
    STRUCTURE_PDF,    /* its header at the very start */
    STRUCTURE_OOXML,  /* ZIP whose main part is of the type `marker`, or that encrypted: [MS-OFFCRYPTO] */
    STRUCTURE_ODF,    /* ZIP whose first entry, `mimetype`, is `marker` (as EPUB has it: OCF 3.3, 4.3; and
                       paintings: OpenRaster 0.0.5, Krita) */
    STRUCTURE_OLE,    /* compound file, which libmagic can't always tell apart; `marker` is its main stream */
    STRUCTURE_HEADER, /* a header whose numbers have to add up (files/header.h) */
    STRUCTURE_GZIP,   /* gzip, and in it an XML text of the root `marker`, or that signature */
    STRUCTURE_SIGNATURE, /* the bytes of `marker` at its beginning (files/signature.h) */
    STRUCTURE_ARCHIVE,   /* the same, for archives: what they hold may look like a second kind */
    STRUCTURE_TAR,       /* a header that adds up (files/tarball.h) */
    STRUCTURE_TAR_GZ,    /* gzip with one of those in it */
    STRUCTURE_ISO,       /* a volume descriptor where ISO 9660 has it */
    STRUCTURE_TEXT,      /* text in UTF-8, UTF-16 with a mark, or an 8-bit set without control characters; a
                            `marker` has to occur near its start */
    STRUCTURE_LINES,     /* the same, and one line of it is like `marker` (plaintext_has_line) */
    STRUCTURE_HTML,      /* the same with a tag in it; as XML its root element is html */
    STRUCTURE_XML,       /* text, and XML without an internal DTD subset */
    STRUCTURE_ROOT,      /* the same, whose root element is one of `marker` */
    STRUCTURE_SVG,       /* text whose root element is svg, without an internal DTD subset */
};

struct format {
    const char *id;    /* "docx": stable, in the API and as the extension of stored files */
    const char *label; /* "Word document" */
    enum format_category category;
    const char *extensions; /* space-separated, lower case, the usual one first */
    const char *mime_types; /* space-separated; the first is what results are served as */
    /* libmagic types that such a file may show, space-separated; "text/" stands for all that begin so */
    const char *magic;
    enum format_structure structure;
    const char *marker; /* alternatives separated by "|"; NULL: none */
};

extern const struct format formats[];
extern const size_t n_formats;

/* NULL when there is none. */
const struct format *format_by_id(const char *id);
/* By the extension of a file name ("Report.DOCX"), case-insensitively; of "a.tar.gz" it is the longest one
 * that is known. NULL: no or an unknown extension. */
const struct format *format_by_name(const char *filename);
/* Where the extension of a name begins, with its dot: the one that format_by_name() goes by, else the last
 * one; its end when there is none. */
const char *format_extension_of(const char *filename);

/* "document", "spreadsheet", … */
const char *format_category_name(enum format_category category);

/* The first of a format's MIME types into `ret` (at least 128 bytes). */
void format_mime(const struct format *f, char ret[128]);
