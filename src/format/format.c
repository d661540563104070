/* The table of formats.
 *
 * `magic` is what libmagic 5.44 was seen to say of real files. It can't tell the containers apart (many OOXML
 * files are application/octet-stream to it, every encrypted one is a compound file), so there it only keeps
 * out what is plainly something else, such as a PDF with a ZIP behind it, and `structure` decides. What a
 * format is called inside its container is strict where programs are strict: a .docx that declares macros is
 * no .docx, to Word neither. The formats for which LibreOffice writes the plain type keep that type as an
 * alternative, so that our own results pass. */
#include "format/format.h"

#include "core/str.h"

#include <stdio.h>

#define OOXML "application/vnd.openxmlformats-officedocument."
#define ODF   "application/vnd.oasis.opendocument."
#define SUN   "application/vnd.sun.xml."
/* What libmagic says of a ZIP or compound file that it doesn't know more about. */
#define CONTAINER " application/zip application/octet-stream"
#define COMPOUND                                                                                             \
    " application/CDFV2 application/x-ole-storage application/vnd.ms-office application/encrypted"
/* Text resembles many things to libmagic; STRUCTURE_TEXT is what keeps binaries out. */
#define ANY_TEXT                                                                                             \
    "text/ message/ application/csv application/json application/x-ndjson application/javascript "           \
    "application/x-subrip application/pgp-keys application/octet-stream"

#define WORD  OOXML "wordprocessingml.document" CONTAINER COMPOUND
#define EXCEL OOXML "spreadsheetml.sheet" CONTAINER COMPOUND
#define POINT OOXML "presentationml.presentation" CONTAINER COMPOUND

#define LOTUS "application/vnd.lotus-1-2-3"
#define VISIO "application/vnd.ms-visio."
#define EMF   "0=\\x01\\x00\\x00\\x00&40=\\x20EMF"

#define WORD_MAIN  OOXML "wordprocessingml.document.main+xml"
#define EXCEL_MAIN OOXML "spreadsheetml.sheet.main+xml"
#define POINT_MAIN OOXML "presentationml.presentation.main+xml"

/* Rows whose only MIME type is also all that libmagic says. */
#define XML(id, label, category, extensions, mime, structure, marker)                                        \
    {                                                                                                        \
        id, label, category, extensions, mime, "text/xml application/xml", structure, marker                 \
    }
#define PLAIN(id, label, category, extensions, mime, structure)                                              \
    {                                                                                                        \
        id, label, category, extensions, mime, mime, structure, NULL                                         \
    }
#define RASTER(id, label, extensions, mime) PLAIN(id, label, FORMAT_IMAGE, extensions, mime, STRUCTURE_RASTER)
/* Pictures that libmagic knows in one release and not in the next: raster.h looks closer than it does. */
#define PICTURE(id, label, extensions, mime)                                                                 \
    {                                                                                                        \
        id, label, FORMAT_IMAGE, extensions, mime, "image/ application/octet-stream", STRUCTURE_RASTER, NULL \
    }
/* … which are texts, or have no mark, so that libmagic sees in their sizes what it likes. */
#define LOOSE_PICTURE(id, label, extensions, mime)                                                           \
    {                                                                                                        \
        id, label, FORMAT_IMAGE, extensions, mime,                                                           \
            "image/ text/ audio/ video/ application/octet-stream application/x-fpt", STRUCTURE_RASTER, NULL  \
    }
/* Those that a few bytes tell (files/signature.h); `magic` are libmagic's words beside the type itself. */
#define SIGNED(id, label, category, extensions, mime, magic, signature)                                      \
    {                                                                                                        \
        id, label, category, extensions, mime, mime " " magic, STRUCTURE_SIGNATURE, signature                \
    }
#define AUDIO(id, label, extensions, mime, magic, signature)                                                 \
    SIGNED(id, label, FORMAT_AUDIO, extensions, mime, magic, signature)
#define VIDEO(id, label, extensions, mime, magic, signature)                                                 \
    SIGNED(id, label, FORMAT_VIDEO, extensions, mime, magic, signature)
#define FONT(id, label, extensions, mime, magic, signature)                                                  \
    SIGNED(id, label, FORMAT_FONT, extensions, mime, magic, signature)
#define SFNT                                                                                                 \
    "font/sfnt font/ttf font/otf font/collection application/vnd.ms-opentype application/font-sfnt "         \
    "application/x-font-ttf"
/* Nothing tells these apart but their names: any text may be one. */
#define MARKUP(id, label, extensions, mime)                                                                  \
    {                                                                                                        \
        id, label, FORMAT_TEXT, extensions, mime, ANY_TEXT, STRUCTURE_TEXT, NULL                             \
    }
/* Texts in which each piece has its time. */
#define SUBTITLES(id, label, extensions, mime, line)                                                         \
    {                                                                                                        \
        id, label, FORMAT_SUBTITLES, extensions, mime, ANY_TEXT, STRUCTURE_LINES, line                       \
    }
#define XML_MARKUP(id, label, extensions, mime, root)                                                        \
    {                                                                                                        \
        id, label, FORMAT_TEXT, extensions, mime, "text/ application/xml", STRUCTURE_ROOT, root              \
    }
/* What the entries of a bibliography are called: BibTeX's own, and those that BibLaTeX adds. */
#define BIB_ENTRIES                                                                                          \
    "@article {|@book {|@booklet {|@conference {|@inbook {|@incollection {|@inproceedings {|@manual {|"      \
    "@mastersthesis {|@misc {|@phdthesis {|@proceedings {|@techreport {|@unpublished {|@online {|@thesis {|" \
    "@report {|@collection {|@dataset {|@software {|@patent {|@electronic {|@www {"
/* Of OpenOffice.org 1, and of the Chinese standard GB/T 20916. */
#define SUN_DOCUMENT(id, label, category, type)                                                              \
    {                                                                                                        \
        id, label, category, id, SUN type, SUN type CONTAINER, STRUCTURE_ODF, SUN type                       \
    }
#define UNIFIED(id, label, category, type)                                                                   \
    XML(id, label, category, id, "application/" type, STRUCTURE_XML, type)
#define ARCHIVE(id, label, extensions, mime, magic, signature)                                               \
    {                                                                                                        \
        id, label, FORMAT_ARCHIVE, extensions, mime, mime " " magic, STRUCTURE_ARCHIVE, signature            \
    }
/* Packages that are ZIP archives, told by a file that each of them has. */
#define PACKED(id, label, extensions, mime, member)                                                          \
    {                                                                                                        \
        id, label, FORMAT_ARCHIVE, extensions, mime, ANY_ZIP, STRUCTURE_ZIP, member                          \
    }
/* Of a ZIP libmagic says what happens to be first in it. */
#define ANY_ZIP "application/"
#define ASF     "0=\\x30\\x26\\xb2\\x75\\x8e\\x66\\xcf\\x11"
#define EBML    "0=\\x1aE\\xdf\\xa3"
#define GZIP    "0=\\x1f\\x8b\\x08"
#define BZIP2   "0=BZh&4=1AY\\x26SY|0=BZh&4=\\x17\\x72\\x45\\x38\\x50\\x90"
#define XZ      "0=\\xfd7zXZ\\x00"
#define ZSTD    "0=\\x28\\xb5\\x2f\\xfd"
#define LZ4     "0=\\x04\\x22\\x4d\\x18"
#define LZIP    "0=LZIP"
#define OPEN_DOCUMENT(id, label, category, type)                                                             \
    {                                                                                                        \
        id, label, category, id, ODF type, ODF type CONTAINER, STRUCTURE_ODF, ODF type                       \
    }
#define FLAT_DOCUMENT(id, label, category, type)                                                             \
    {                                                                                                        \
        id, label, category, id, ODF type "-flat-xml", "text/xml application/xml", STRUCTURE_XML, ODF type   \
    }

const struct format formats[] = {
    /* documents */
    {"docx", "Word document", FORMAT_DOCUMENT, "docx", OOXML "wordprocessingml.document", WORD,
     STRUCTURE_OOXML, WORD_MAIN},
    {"docm", "Word document with macros", FORMAT_DOCUMENT, "docm",
     "application/vnd.ms-word.document.macroEnabled.12", WORD, STRUCTURE_OOXML,
     "application/vnd.ms-word.document.macroEnabled.main+xml|" WORD_MAIN},
    {"dotx", "Word template", FORMAT_DOCUMENT, "dotx", OOXML "wordprocessingml.template", WORD,
     STRUCTURE_OOXML, OOXML "wordprocessingml.template.main+xml"},
    {"dotm", "Word template with macros", FORMAT_DOCUMENT, "dotm",
     "application/vnd.ms-word.template.macroEnabled.12", WORD, STRUCTURE_OOXML,
     "application/vnd.ms-word.template.macroEnabledTemplate.main+xml"},
    /* WPS Office has names of its own for the same. */
    {"doc", "Word 97–2003 document", FORMAT_DOCUMENT, "doc dot wps wpt", "application/msword",
     "application/msword" COMPOUND, STRUCTURE_OLE, "WordDocument"},
    OPEN_DOCUMENT("odt", "OpenDocument text", FORMAT_DOCUMENT, "text"),
    OPEN_DOCUMENT("ott", "OpenDocument text template", FORMAT_DOCUMENT, "text-template"),
    FLAT_DOCUMENT("fodt", "OpenDocument text, flat XML", FORMAT_DOCUMENT, "text"),
    OPEN_DOCUMENT("oth", "OpenDocument HTML template", FORMAT_DOCUMENT, "text-web"),
    SUN_DOCUMENT("sxw", "OpenOffice.org 1 text", FORMAT_DOCUMENT, "writer"),
    SUN_DOCUMENT("stw", "OpenOffice.org 1 text template", FORMAT_DOCUMENT, "writer.template"),
    XML("wordml", "Word 2003 XML document", FORMAT_DOCUMENT, "wordml", "application/xml", STRUCTURE_ROOT,
        "wordDocument"),
    XML("abw", "AbiWord document", FORMAT_DOCUMENT, "abw", "application/x-abiword", STRUCTURE_ROOT,
        "abiword"),
    {"zabw", "AbiWord document, compressed", FORMAT_DOCUMENT, "zabw", "application/x-abiword-compressed",
     "application/gzip", STRUCTURE_GZIP, "abiword"},
    SIGNED("wpd", "WordPerfect document", FORMAT_DOCUMENT, "wpd", "application/vnd.wordperfect",
           "application/octet-stream", "0=\\xffWPC&8=\\x01\\x0a"),
    SIGNED("wri", "Windows Write document", FORMAT_DOCUMENT, "wri", "application/x-mswrite",
           "application/octet-stream", "0=\\x31\\xbe\\x00\\x00\\x00\\xab|0=\\x32\\xbe\\x00\\x00\\x00\\xab"),
    SIGNED("602", "Text602 document", FORMAT_DOCUMENT, "602", "application/x-t602",
           "text/plain application/octet-stream", "0=@CT\\x20"),
    SIGNED("pdb", "PalmDoc book", FORMAT_DOCUMENT, "pdb", "application/vnd.palm",
           "application/x-palm-database application/octet-stream", "60=TEXtREAd"),
    SIGNED("ps", "PostScript document", FORMAT_DOCUMENT, "ps", "application/postscript", "",
           "0=%!|0=\\x04%!"),
    PLAIN("rtf", "Rich Text document", FORMAT_DOCUMENT, "rtf", "text/rtf", STRUCTURE_RTF),
    {"epub", "EPUB book", FORMAT_DOCUMENT, "epub", "application/epub+zip", "application/epub+zip" CONTAINER,
     STRUCTURE_ODF, "application/epub+zip"},

    /* spreadsheets */
    {"xlsx", "Excel workbook", FORMAT_SPREADSHEET, "xlsx", OOXML "spreadsheetml.sheet", EXCEL,
     STRUCTURE_OOXML, EXCEL_MAIN},
    {"xlsm", "Excel workbook with macros", FORMAT_SPREADSHEET, "xlsm",
     "application/vnd.ms-excel.sheet.macroEnabled.12", EXCEL, STRUCTURE_OOXML,
     "application/vnd.ms-excel.sheet.macroEnabled.main+xml|" EXCEL_MAIN},
    {"xltx", "Excel template", FORMAT_SPREADSHEET, "xltx", OOXML "spreadsheetml.template", EXCEL,
     STRUCTURE_OOXML, OOXML "spreadsheetml.template.main+xml"},
    {"xltm", "Excel template with macros", FORMAT_SPREADSHEET, "xltm",
     "application/vnd.ms-excel.template.macroEnabled.12", EXCEL, STRUCTURE_OOXML,
     "application/vnd.ms-excel.template.macroEnabled.main+xml"},
    {"xlsb", "Excel binary workbook", FORMAT_SPREADSHEET, "xlsb",
     "application/vnd.ms-excel.sheet.binary.macroEnabled.12", EXCEL, STRUCTURE_OOXML,
     "application/vnd.ms-excel.sheet.binary.macroEnabled.main"},
    {"xls", "Excel 97–2003 workbook", FORMAT_SPREADSHEET, "xls xlt et ett", "application/vnd.ms-excel",
     "application/vnd.ms-excel" COMPOUND, STRUCTURE_OLE, "Workbook|Book"},
    OPEN_DOCUMENT("ods", "OpenDocument spreadsheet", FORMAT_SPREADSHEET, "spreadsheet"),
    OPEN_DOCUMENT("ots", "OpenDocument spreadsheet template", FORMAT_SPREADSHEET, "spreadsheet-template"),
    FLAT_DOCUMENT("fods", "OpenDocument spreadsheet, flat XML", FORMAT_SPREADSHEET, "spreadsheet"),
    SUN_DOCUMENT("sxc", "OpenOffice.org 1 spreadsheet", FORMAT_SPREADSHEET, "calc"),
    SUN_DOCUMENT("stc", "OpenOffice.org 1 spreadsheet template", FORMAT_SPREADSHEET, "calc.template"),
    UNIFIED("uos", "Unified Office spreadsheet", FORMAT_SPREADSHEET, "vnd.uof.spreadsheet"),
    XML("xlml", "Excel 2003 XML spreadsheet", FORMAT_SPREADSHEET, "xlml", "application/xml", STRUCTURE_XML,
        "urn:schemas-microsoft-com:office:spreadsheet"),
    {"gnumeric", "Gnumeric spreadsheet", FORMAT_SPREADSHEET, "gnumeric", "application/x-gnumeric",
     "application/gzip", STRUCTURE_GZIP, "Workbook"},
    SIGNED("wk1", "Lotus 1-2-3 worksheet", FORMAT_SPREADSHEET, "wk1", LOTUS, "application/octet-stream",
           "0=\\x00\\x00\\x02\\x00\\x06\\x04"),
    SIGNED("wks", "Lotus 1-2-3 worksheet, release 1", FORMAT_SPREADSHEET, "wks", LOTUS,
           "application/octet-stream", "0=\\x00\\x00\\x02\\x00\\x04\\x04"),
    {"dbf", "dBase table", FORMAT_SPREADSHEET, "dbf", "application/x-dbf",
     "application/x-dbf application/octet-stream", STRUCTURE_HEADER, NULL},
    SIGNED("dif", "Data Interchange Format", FORMAT_SPREADSHEET, "dif", "application/x-dif", "text/plain",
           "0=TABLE\\x0d\\x0a0,1|0=TABLE\\x0a0,1"),
    SIGNED("slk", "SYLK spreadsheet", FORMAT_SPREADSHEET, "slk sylk", "application/x-sylk", "text/plain",
           "0=ID;P"),
    {"tsv", "Tab-separated values", FORMAT_SPREADSHEET, "tsv tab", "text/tab-separated-values", ANY_TEXT,
     STRUCTURE_TEXT, NULL},
    {"csv", "Comma-separated values", FORMAT_SPREADSHEET, "csv", "text/csv", ANY_TEXT, STRUCTURE_TEXT, NULL},

    /* presentations */
    {"pptx", "PowerPoint presentation", FORMAT_PRESENTATION, "pptx", OOXML "presentationml.presentation",
     POINT, STRUCTURE_OOXML, POINT_MAIN},
    {"pptm", "PowerPoint presentation with macros", FORMAT_PRESENTATION, "pptm",
     "application/vnd.ms-powerpoint.presentation.macroEnabled.12", POINT, STRUCTURE_OOXML,
     "application/vnd.ms-powerpoint.presentation.macroEnabled.main+xml|" POINT_MAIN},
    {"ppsx", "PowerPoint show", FORMAT_PRESENTATION, "ppsx", OOXML "presentationml.slideshow", POINT,
     STRUCTURE_OOXML, OOXML "presentationml.slideshow.main+xml|" POINT_MAIN},
    {"potx", "PowerPoint template", FORMAT_PRESENTATION, "potx", OOXML "presentationml.template", POINT,
     STRUCTURE_OOXML, OOXML "presentationml.template.main+xml"},
    {"ppsm", "PowerPoint show with macros", FORMAT_PRESENTATION, "ppsm",
     "application/vnd.ms-powerpoint.slideshow.macroEnabled.12", POINT, STRUCTURE_OOXML,
     "application/vnd.ms-powerpoint.slideshow.macroEnabled.main+xml"},
    {"potm", "PowerPoint template with macros", FORMAT_PRESENTATION, "potm",
     "application/vnd.ms-powerpoint.template.macroEnabled.12", POINT, STRUCTURE_OOXML,
     "application/vnd.ms-powerpoint.template.macroEnabled.main+xml"},
    {"ppt", "PowerPoint 97–2003 presentation", FORMAT_PRESENTATION, "ppt pps pot dps dpt",
     "application/vnd.ms-powerpoint", "application/vnd.ms-powerpoint" COMPOUND, STRUCTURE_OLE,
     "PowerPoint Document"},
    OPEN_DOCUMENT("odp", "OpenDocument presentation", FORMAT_PRESENTATION, "presentation"),
    OPEN_DOCUMENT("otp", "OpenDocument presentation template", FORMAT_PRESENTATION, "presentation-template"),
    FLAT_DOCUMENT("fodp", "OpenDocument presentation, flat XML", FORMAT_PRESENTATION, "presentation"),
    SUN_DOCUMENT("sxi", "OpenOffice.org 1 presentation", FORMAT_PRESENTATION, "impress"),
    UNIFIED("uop", "Unified Office presentation", FORMAT_PRESENTATION, "vnd.uof.presentation"),

    /* drawings */
    OPEN_DOCUMENT("odg", "OpenDocument drawing", FORMAT_DRAWING, "graphics"),
    OPEN_DOCUMENT("otg", "OpenDocument drawing template", FORMAT_DRAWING, "graphics-template"),
    FLAT_DOCUMENT("fodg", "OpenDocument drawing, flat XML", FORMAT_DRAWING, "graphics"),
    SUN_DOCUMENT("sxd", "OpenOffice.org 1 drawing", FORMAT_DRAWING, "draw"),
    {"vsdx", "Visio drawing", FORMAT_DRAWING, "vsdx", "application/vnd.ms-visio.drawing",
     VISIO "drawing.main+xml" CONTAINER, STRUCTURE_OOXML, VISIO "drawing.main+xml"},
    XML("vdx", "Visio 2003 XML drawing", FORMAT_DRAWING, "vdx", "application/vnd.visio", STRUCTURE_ROOT,
        "VisioDocument"),
    SIGNED("emf", "Enhanced metafile", FORMAT_DRAWING, "emf", "image/emf", "application/octet-stream", EMF),
    {"emz", "Enhanced metafile, compressed", FORMAT_DRAWING, "emz", "image/x-emz", "application/gzip",
     STRUCTURE_GZIP, EMF},
    {"wmf", "Windows metafile", FORMAT_DRAWING, "wmf", "image/wmf", "image/wmf application/octet-stream",
     STRUCTURE_HEADER, NULL},
    {"wmz", "Windows metafile, compressed", FORMAT_DRAWING, "wmz", "image/x-wmz", "application/gzip",
     STRUCTURE_GZIP, "0=\\xd7\\xcd\\xc6\\x9a|0=\\x01\\x00\\x09\\x00|0=\\x02\\x00\\x09\\x00"},
    {"dxf", "AutoCAD drawing exchange", FORMAT_DRAWING, "dxf", "image/vnd.dxf",
     "image/vnd.dxf text/plain application/octet-stream", STRUCTURE_HEADER, NULL},
    {"pct", "QuickDraw picture", FORMAT_DRAWING, "pct pict", "image/x-pict",
     "image/x-pict application/octet-stream", STRUCTURE_HEADER, NULL},

    /* formulas, of which something can be drawn, and nothing be read */
    OPEN_DOCUMENT("odf", "OpenDocument formula", FORMAT_DRAWING, "formula"),
    SUN_DOCUMENT("sxm", "OpenOffice.org 1 formula", FORMAT_DRAWING, "math"),
    XML("mml", "MathML formula", FORMAT_DRAWING, "mml", "application/mathml+xml", STRUCTURE_ROOT, "math"),
    /* For Windows with a preview in front of it or behind (Adobe Technote 5002, 5.2). */
    SIGNED("eps", "Encapsulated PostScript", FORMAT_DRAWING, "eps epsf", "application/postscript",
           "image/x-eps", "0=%!PS-Adobe-&15=EPSF-|0=\\xc5\\xd0\\xd3\\xc6"),

    /* images */
    RASTER("png", "PNG image", "png", "image/png"),
    RASTER("jpg", "JPEG image", "jpg jpeg jpe jfif", "image/jpeg"),
    RASTER("webp", "WebP image", "webp", "image/webp"),
    RASTER("gif", "GIF image", "gif", "image/gif"),
    RASTER("tiff", "TIFF image", "tiff tif", "image/tiff"),
    RASTER("avif", "AVIF image", "avif", "image/avif"),
    RASTER("heic", "HEIC image", "heic heif",
           "image/heic image/heif image/heic-sequence image/heif-sequence"),
    /* Of many bare codestreams libmagic says nothing. */
    {"jxl", "JPEG XL image", FORMAT_IMAGE, "jxl", "image/jxl", "image/jxl application/octet-stream",
     STRUCTURE_RASTER, NULL},
    RASTER("jp2", "JPEG 2000 image", "jp2", "image/jp2"),
    RASTER("bmp", "Windows bitmap", "bmp dib", "image/bmp"),
    RASTER("ico", "Windows icon", "ico", "image/vnd.microsoft.icon"),
    RASTER("psd", "Photoshop image", "psd", "image/vnd.adobe.photoshop"),
    RASTER("psb", "Photoshop large document", "psb", "image/vnd.adobe.photoshop"),
    RASTER("tga", "Targa image", "tga icb vda vst", "image/x-tga"),
    RASTER("ppm", "Portable pixmap", "ppm", "image/x-portable-pixmap"),
    RASTER("pgm", "Portable graymap", "pgm", "image/x-portable-greymap"),
    RASTER("pbm", "Portable bitmap", "pbm", "image/x-portable-bitmap"),
    PICTURE("pnm", "Portable anymap", "pnm", "image/x-portable-anymap"),
    PICTURE("pam", "Portable arbitrary map", "pam", "image/x-portable-arbitrarymap"),
    LOOSE_PICTURE("pfm", "Portable float map", "pfm", "image/x-portable-floatmap"),
    PICTURE("mpo", "Multi-picture JPEG", "mpo", "image/mpo"),
    PICTURE("jpx", "JPEG 2000 extended image", "jpx jpf", "image/jpx"),
    PICTURE("j2k", "JPEG 2000 codestream", "j2k j2c jpc", "image/x-jp2-codestream"),
    LOOSE_PICTURE("jbig", "JBIG image", "jbig jbg bie", "image/x-jbig"),
    {"jng", "JPEG network graphic", FORMAT_IMAGE, "jng", "image/x-jng", "image/x-jng video/x-jng",
     STRUCTURE_RASTER, NULL},
    PICTURE("cur", "Windows cursor", "cur", "image/vnd.microsoft.cursor"),
    PICTURE("icns", "Apple icon", "icns", "image/icns"),
    {"ora", "OpenRaster painting", FORMAT_IMAGE, "ora", "image/openraster", "image/openraster" CONTAINER,
     STRUCTURE_ODF, "image/openraster"},
    {"kra", "Krita painting", FORMAT_IMAGE, "kra", "application/x-krita", "application/x-krita" CONTAINER,
     STRUCTURE_ODF, "application/x-krita"},
    PICTURE("qoi", "QOI image", "qoi", "image/qoi"),
    PICTURE("ff", "farbfeld image", "ff", "image/x-farbfeld"),
    PICTURE("pcx", "PC Paintbrush image", "pcx", "image/x-pcx"),
    PICTURE("dcx", "PC Paintbrush pages", "dcx", "image/x-dcx"),
    PICTURE("dds", "DirectDraw surface", "dds", "image/vnd.ms-dds"),
    PICTURE("exr", "OpenEXR image", "exr", "image/x-exr"),
    LOOSE_PICTURE("hdr", "Radiance HDR image", "hdr rgbe", "image/vnd.radiance"),
    PICTURE("fits", "FITS image", "fits fit fts", "image/fits"),
    PICTURE("dpx", "Digital Picture Exchange image", "dpx", "image/x-dpx"),
    PICTURE("cin", "Cineon image", "cin", "image/x-cineon"),
    PICTURE("sgi", "Silicon Graphics image", "sgi rgb rgba bw iris", "image/x-sgi"),
    PICTURE("ras", "Sun raster image", "ras sun", "image/x-sun-raster"),
    PICTURE("xwd", "X window dump", "xwd", "image/x-xwindowdump"),
    LOOSE_PICTURE("xbm", "X bitmap", "xbm", "image/x-xbitmap"),
    LOOSE_PICTURE("xpm", "X pixmap", "xpm", "image/x-xpixmap"),
    SIGNED("sixel", "Sixel graphic", FORMAT_IMAGE, "sixel six", "image/x-sixel",
           "image/ text/ application/octet-stream", "0=\\x1bP"),
    LOOSE_PICTURE("miff", "ImageMagick image", "miff", "image/x-miff"),
    PICTURE("viff", "Khoros image", "viff xv", "image/x-viff"),
    LOOSE_PICTURE("vicar", "VICAR image", "vicar vic", "image/x-vicar"),
    PICTURE("pcd", "Photo CD image", "pcd", "image/x-photo-cd"),
    LOOSE_PICTURE("pgx", "JPEG 2000 raw component", "pgx", "image/x-pgx"),
    LOOSE_PICTURE("cals", "CALS raster image", "cals cal", "image/x-cals"),
    LOOSE_PICTURE("palm", "Palm bitmap", "palm", "image/x-palm"),
    LOOSE_PICTURE("wbmp", "Wireless bitmap", "wbmp", "image/vnd.wap.wbmp"),
    LOOSE_PICTURE("art", "PFS: 1st Publisher image", "art", "image/x-art"),
    LOOSE_PICTURE("pix", "Alias image", "pix", "image/x-alias-pix"),
    PICTURE("rle", "Utah raster image", "rle", "image/x-utah-rle"),
    LOOSE_PICTURE("tim", "PlayStation image", "tim", "image/x-tim"),
    LOOSE_PICTURE("scr", "ZX Spectrum screen", "scr", "image/x-zx-scr"),
    LOOSE_PICTURE("aai", "Dune AAI image", "aai", "image/x-aai"),
    LOOSE_PICTURE("avs", "AVS image", "avs", "image/x-avs"),
    LOOSE_PICTURE("rgf", "EV3 robot graphic", "rgf", "image/x-rgf"),
    LOOSE_PICTURE("mtv", "MTV raytracer image", "mtv", "image/x-mtv"),
    {"apng", "Animated PNG", FORMAT_IMAGE, "apng", "image/apng",
     "image/apng image/png image/vnd.mozilla.apng", STRUCTURE_RASTER, NULL},
    {"svg", "SVG drawing", FORMAT_IMAGE, "svg", "image/svg+xml",
     "image/svg+xml text/xml text/plain text/html", STRUCTURE_SVG, NULL},

    /* the rest */
    PLAIN("pdf", "PDF document", FORMAT_PDF, "pdf", "application/pdf", STRUCTURE_PDF),
    {"txt", "Plain text", FORMAT_TEXT, "txt text log", "text/plain", ANY_TEXT, STRUCTURE_TEXT, NULL},
    {"html", "HTML page", FORMAT_TEXT, "html htm xhtml", "text/html",
     "text/ application/xml application/xhtml+xml", STRUCTURE_HTML, NULL},

    /* audio; libmagic knows none of those that are application/octet-stream here */
    AUDIO("mp3", "MP3 audio", "mp3", "audio/mpeg", "",
          "0=ID3|0=\\xff\\xfb|0=\\xff\\xfa|0=\\xff\\xf3|0=\\xff\\xf2"),
    AUDIO("m4a", "MPEG-4 audio", "m4a 3ga", "audio/mp4", "audio/x-m4a video/mp4", "4=ftyp"),
    AUDIO("aac", "AAC audio", "aac", "audio/aac", "audio/x-hx-aac-adts", "0=\\xff\\xf1|0=\\xff\\xf9"),
    AUDIO("ogg", "Ogg Vorbis audio", "ogg", "audio/ogg", "application/ogg", "0=OggS"),
    AUDIO("oga", "Ogg FLAC audio", "oga", "audio/ogg", "application/ogg", "0=OggS"),
    AUDIO("opus", "Opus audio", "opus", "audio/ogg", "application/ogg", "0=OggS"),
    AUDIO("spx", "Speex audio", "spx", "audio/ogg", "application/ogg", "0=OggS"),
    AUDIO("flac", "FLAC audio", "flac", "audio/flac", "audio/x-flac", "0=fLaC"),
    AUDIO("wav", "Wave audio", "wav", "audio/wav", "audio/x-wav", "0=RIFF&8=WAVE|0=RF64&8=WAVE"),
    AUDIO("w64", "Sony Wave64 audio", "w64", "audio/x-w64", "", "0=riff\\x2e\\x91\\xcf\\x11"),
    AUDIO("aiff", "AIFF audio", "aiff aif aifc", "audio/aiff", "audio/x-aiff", "0=FORM&8=AIFF|0=FORM&8=AIFC"),
    AUDIO("au", "Sun audio", "au snd", "audio/basic", "", "0=.snd"),
    AUDIO("ac3", "Dolby Digital audio", "ac3", "audio/ac3", "audio/vnd.dolby.dd-raw", "0=\\x0b\\x77"),
    AUDIO("eac3", "Dolby Digital Plus audio", "eac3 ec3", "audio/eac3", "audio/vnd.dolby.dd-raw",
          "0=\\x0b\\x77"),
    AUDIO("wma", "Windows Media audio", "wma", "audio/x-ms-wma", "video/x-ms-asf", ASF),
    AUDIO("mka", "Matroska audio", "mka", "audio/x-matroska", "video/x-matroska", EBML),
    AUDIO("mp2", "MPEG layer II audio", "mp2 mpa m2a", "audio/mpeg", "",
          "0=\\xff\\xfc|0=\\xff\\xfd|0=\\xff\\xf4|0=\\xff\\xf5|0=ID3"),
    AUDIO("caf", "Apple Core Audio", "caf", "audio/x-caf", "application/octet-stream", "0=caff\\x00\\x01"),
    AUDIO("tta", "True Audio", "tta", "audio/x-tta", "application/octet-stream", "0=TTA1"),
    AUDIO("wv", "WavPack audio", "wv", "audio/x-wavpack", "application/octet-stream", "0=wvpk"),
    AUDIO("voc", "Creative voice", "voc", "audio/x-voc", "audio/x-unknown application/octet-stream",
          "0=Creative\\x20Voice\\x20File\\x1a"),
    AUDIO("dts", "DTS audio", "dts", "audio/vnd.dts", "application/octet-stream", "0=\\x7f\\xfe\\x80\\x01"),
    AUDIO("sox", "SoX audio", "sox", "audio/x-sox", "application/octet-stream", "0=.SoX"),
    AUDIO("adx", "CRI ADX audio", "adx", "audio/x-adx", "application/octet-stream", "0=\\x80\\x00"),
    AUDIO("m4b", "MPEG-4 audio book", "m4b", "audio/mp4", "audio/x-m4a video/mp4", "4=ftyp"),
    AUDIO("m4r", "iPhone ringtone", "m4r", "audio/mp4", "audio/x-m4a video/mp4", "4=ftyp"),
    AUDIO("weba", "WebM audio", "weba", "audio/webm", "video/webm", EBML),
    AUDIO("amr", "AMR speech", "amr", "audio/amr", "application/octet-stream", "0=#!AMR\\x0a"),
    AUDIO("awb", "AMR wideband speech", "awb", "audio/amr-wb", "audio/amr application/octet-stream",
          "0=#!AMR-WB\\x0a"),
    /* Frames of 33 bytes, each with the same four bits first. */
    AUDIO("gsm", "GSM speech", "gsm", "audio/x-gsm", "application/octet-stream",
          "0=\\xd?&33=\\xd?&66=\\xd?&99=\\xd?&132=\\xd?&165=\\xd?&198=\\xd?&231=\\xd?&264=\\xd?&297=\\xd?"),
    AUDIO("mpc", "Musepack audio", "mpc", "audio/x-musepack", "application/octet-stream", "0=MPCK"),
    AUDIO("dsf", "DSD stream file", "dsf", "audio/x-dsf", "application/octet-stream", "0=DSD\\x20\\x1c"),
    AUDIO("dff", "DSDIFF audio", "dff", "audio/x-dff", "application/octet-stream audio/x-aiff",
          "0=FRM8&12=DSD\\x20"),
    AUDIO("mlp", "Meridian lossless audio", "mlp", "audio/vnd.dolby.mlp", "application/octet-stream",
          "4=\\xf8\\x72\\x6f\\xbb"),
    AUDIO("thd", "Dolby TrueHD audio", "thd truehd", "audio/vnd.dolby.mlp", "application/octet-stream",
          "4=\\xf8\\x72\\x6f\\xba"),
    AUDIO("latm", "AAC audio in LATM", "latm loas", "audio/x-mp4a-latm", "", "0=\\x56\\xe?"),
    AUDIO("ra", "RealAudio", "ra", "audio/vnd.rn-realaudio",
          "audio/x-pn-realaudio application/vnd.rn-realmedia", "0=.RMF|0=.ra\\xfd"),
    AUDIO("c2", "Codec 2 speech", "c2", "audio/x-codec2", "application/octet-stream", "0=\\xc0\\xde\\xc2"),
    AUDIO("mmf", "SMAF ringtone", "mmf", "application/vnd.smaf", "application/octet-stream audio/mmf",
          "0=MMMD"),
    AUDIO("ast", "Nintendo audio stream", "ast", "audio/x-ast", "application/octet-stream", "0=STRM"),
    AUDIO("sf", "IRCAM audio", "sf ircam", "audio/x-ircam", "application/octet-stream",
          "0=\\x64\\xa3\\x0?\\x00|0=\\x00\\x0?\\xa3\\x64"),
    AUDIO("avr", "Audio Visual Research audio", "avr", "audio/x-avr", "application/octet-stream", "0=2BIT"),
    AUDIO("8svx", "Amiga 8SVX audio", "8svx svx", "audio/x-8svx", "audio/x-aiff application/octet-stream",
          "0=FORM&8=8SVX"),
    AUDIO("maud", "Amiga MAUD audio", "maud", "audio/x-maud", "audio/x-aiff application/octet-stream",
          "0=FORM&8=MAUD"),
    AUDIO("hcom", "Macintosh HCOM audio", "hcom", "audio/x-hcom", "application/octet-stream",
          "65=FSSD&128=HCOM"),
    AUDIO("sph", "NIST Sphere audio", "sph nist", "audio/x-nist", "application/octet-stream text/plain",
          "0=NIST_1A\\x0a"),
    AUDIO("wve", "Psion audio", "wve", "audio/x-wve", "application/octet-stream", "0=ALawSoundFile**"),
    AUDIO("pvf", "Portable Voice Format", "pvf", "audio/x-pvf", "application/octet-stream", "0=PVF1\\x0a"),
    AUDIO("mod", "Tracker module", "mod", "audio/x-mod", "application/octet-stream",
          "1080=M.K.|1080=M!K!|1080=FLT4|1080=4CHN|1080=6CHN|1080=8CHN"),
    AUDIO("s3m", "Scream Tracker module", "s3m", "audio/x-s3m", "audio/x-mod application/octet-stream",
          "28=\\x1a\\x10&44=SCRM"),
    AUDIO("xm", "FastTracker module", "xm", "audio/x-xm", "audio/x-mod application/octet-stream",
          "0=Extended\\x20Module:\\x20"),
    AUDIO("it", "Impulse Tracker module", "it", "audio/x-it", "audio/x-mod application/octet-stream",
          "0=IMPM"),

    /* video */
    VIDEO("mp4", "MPEG-4 video", "mp4", "video/mp4", "audio/mp4 video/quicktime video/x-m4v", "4=ftyp"),
    VIDEO("mov", "QuickTime movie", "mov qt", "video/quicktime", "video/mp4",
          "4=ftyp|4=moov|4=mdat|4=wide|4=free"),
    VIDEO("m4v", "iTunes video", "m4v", "video/x-m4v", "video/mp4", "4=ftyp"),
    VIDEO("3gp", "3GPP video", "3gp 3gpp", "video/3gpp", "video/mp4", "4=ftyp"),
    VIDEO("3g2", "3GPP2 video", "3g2", "video/3gpp2", "video/mp4 video/3gpp", "4=ftyp"),
    VIDEO("f4v", "Flash MP4 video", "f4v", "video/x-f4v", "video/mp4 application/octet-stream", "4=ftyp"),
    VIDEO("mkv", "Matroska video", "mkv mk3d", "video/x-matroska", "application/x-matroska", EBML),
    VIDEO("webm", "WebM video", "webm", "video/webm", "", EBML),
    VIDEO("avi", "AVI video", "avi divx", "video/x-msvideo", "", "0=RIFF&8=AVI\\x20"),
    VIDEO("flv", "Flash video", "flv", "video/x-flv", "", "0=FLV\\x01"),
    VIDEO("wmv", "Windows Media video", "wmv", "video/x-ms-wmv", "video/x-ms-asf", ASF),
    VIDEO("asf", "Advanced Systems Format", "asf", "video/x-ms-asf", "", ASF),
    VIDEO("mpg", "MPEG video", "mpg mpeg mpe m2p", "video/mpeg", "",
          "0=\\x00\\x00\\x01\\xba|0=\\x00\\x00\\x01\\xb3"),
    VIDEO("vob", "DVD video", "vob", "video/mpeg", "", "0=\\x00\\x00\\x01\\xba"),
    VIDEO("ts", "MPEG transport stream", "ts m2t trp", "video/mp2t", "video/MP2T application/octet-stream",
          "0=\\x47&188=\\x47"),
    VIDEO("m2ts", "Blu-ray transport stream", "m2ts mts", "video/mp2t", "video/MP2T application/octet-stream",
          "4=\\x47&196=\\x47"),
    VIDEO("ogv", "Ogg video", "ogv ogx ogm", "video/ogg", "application/ogg", "0=OggS"),
    VIDEO("mxf", "MXF video", "mxf", "application/mxf", "application/octet-stream",
          "0=\\x06\\x0e\\x2b\\x34\\x02\\x05\\x01\\x01"),
    VIDEO("dv", "DV video", "dv", "video/x-dv", "application/octet-stream", "0=\\x1f\\x07\\x00"),
    VIDEO("nut", "NUT video", "nut", "video/x-nut", "application/octet-stream",
          "0=nut/multimedia\\x20container"),
    VIDEO("swf", "Flash animation", "swf", "application/x-shockwave-flash",
          "application/vnd.adobe.flash.movie", "0=FWS"),
    VIDEO("y4m", "YUV4MPEG video", "y4m", "video/x-yuv4mpeg", "application/octet-stream text/plain",
          "0=YUV4MPEG2"),
    VIDEO("ivf", "IVF video", "ivf", "video/x-ivf", "application/octet-stream", "0=DKIF"),
    VIDEO("rm", "RealMedia video", "rm rmvb", "application/vnd.rn-realmedia", "", "0=.RMF"),
    VIDEO("wtv", "Windows recorded TV", "wtv", "video/x-ms-wtv", "application/octet-stream",
          "0=\\xb7\\xd8\\x00\\x20\\x37\\x49\\xda\\x11\\xa6\\x4e\\x00\\x07\\xe9\\x5e\\xad\\x8d"),
    VIDEO("gxf", "GXF video", "gxf", "application/gxf", "application/octet-stream",
          "0=\\x00\\x00\\x00\\x00\\x01\\xbc&14=\\xe1\\xe2"),
    VIDEO("amv", "AMV video", "amv", "video/x-amv", "application/octet-stream video/x-msvideo",
          "0=RIFF&8=AMV\\x20"),
    VIDEO("mjpeg", "Motion JPEG stream", "mjpeg mjpg", "video/x-mjpeg", "image/jpeg", "0=\\xff\\xd8\\xff"),
    /* Bare streams of one picture after the other, each from what describes it on. */
    VIDEO("m2v", "MPEG video stream", "m2v m1v mpv", "video/mpeg", "video/mpv application/octet-stream",
          "0=\\x00\\x00\\x01\\xb3"),
    VIDEO("h264", "H.264 video stream", "h264 264 avc", "video/h264", "application/octet-stream",
          "0=\\x00\\x00\\x00\\x01\\x?7|0=\\x00\\x00\\x01\\x67|0=\\x00\\x00\\x00\\x01\\x09&6="
          "\\x00\\x00\\x00\\x01\\x?7|"
          "0=\\x00\\x00\\x00\\x01\\x09&6=\\x00\\x00\\x01\\x?7"),
    VIDEO("hevc", "H.265 video stream", "hevc h265 265", "video/h265", "application/octet-stream",
          "0=\\x00\\x00\\x00\\x01\\x40\\x01\\x0c|0=\\x00\\x00\\x00\\x01\\x46\\x01"),
    VIDEO("obu", "AV1 video stream", "obu", "video/av1", "application/octet-stream", "0=\\x12\\x00\\x0a"),
    VIDEO("flc", "Autodesk animation", "flc fli", "video/x-flc", "video/x-fli",
          "4=\\x12\\xaf&12=\\x08\\x00|4=\\x11\\xaf&12=\\x08\\x00"),
    VIDEO("roq", "id RoQ video", "roq", "video/x-roq", "application/octet-stream",
          "0=\\x84\\x10\\xff\\xff\\xff\\xff"),
    VIDEO("cpk", "Sega FILM video", "cpk", "video/x-film-cpk", "application/octet-stream", "0=FILM&16=FDSC"),
    VIDEO("smjpeg", "Loki SMJPEG video", "smjpeg", "video/x-smjpeg", "application/octet-stream",
          "0=\\x00\\x0aSMJPEG"),

    /* subtitles */
    SUBTITLES("srt", "SubRip subtitles", "srt", "application/x-subrip",
              "9:9:9,9 --> 9:9:9|9:9:9.9 --> 9:9:9"),
    SUBTITLES("vtt", "WebVTT subtitles", "vtt webvtt", "text/vtt", "^WEBVTT"),
    SUBTITLES("ass", "SubStation Alpha 4+ subtitles", "ass", "text/x-ass", "^[Script Info]"),
    SUBTITLES("ssa", "SubStation Alpha subtitles", "ssa", "text/x-ssa", "^[Script Info]"),
    SUBTITLES("lrc", "Lyrics with times", "lrc", "text/x-lrc", "[9:9.9]|[9:9:9]|[9:9]"),
    SUBTITLES("sub", "MicroDVD subtitles", "sub", "text/x-microdvd", "{9}{9}"),
    SUBTITLES("mpl2", "MPL2 subtitles", "mpl2 mpl", "text/x-mpl2", "[9][9]"),
    SUBTITLES("smi", "SAMI subtitles", "smi sami", "application/x-sami", "^<SAMI"),
    SUBTITLES("sbv", "YouTube captions", "sbv", "text/x-sbv", "9:9:9.9,9:9:9.9"),
    SUBTITLES("jss", "JACOsub subtitles", "jss", "text/x-jacosub", "9:9:9.9 9:9:9.9 |@9 @9 "),
    SUBTITLES("pjs", "Phoenix subtitles", "pjs", "text/x-pjs", "9,9,\""),
    SUBTITLES("aqt", "AQTitle subtitles", "aqt", "text/x-aqtitle", "-->> 9"),
    SUBTITLES("scc", "Scenarist closed captions", "scc", "text/x-scc", "^Scenarist_SCC V1.0"),
    {"ttml", "Timed text", FORMAT_SUBTITLES, "ttml dfxp", "application/ttml+xml", "text/ application/xml",
     STRUCTURE_ROOT, "tt"},

    /* markup */
    MARKUP("md", "Markdown text", "md markdown mkd", "text/markdown"),
    MARKUP("rst", "reStructuredText", "rst rest", "text/x-rst"),
    MARKUP("org", "Org mode text", "org", "text/x-org"),
    MARKUP("textile", "Textile text", "textile", "text/x-textile"),
    MARKUP("wiki", "MediaWiki page", "wiki mediawiki", "text/x-mediawiki"),
    MARKUP("dokuwiki", "DokuWiki page", "dokuwiki", "text/x-dokuwiki"),
    MARKUP("creole", "Creole page", "creole", "text/x-creole"),
    MARKUP("jira", "Jira text", "jira", "text/x-jira"),
    MARKUP("t2t", "txt2tags text", "t2t", "text/x-txt2tags"),
    MARKUP("twiki", "TWiki page", "twiki", "text/x-twiki"),
    MARKUP("tikiwiki", "TikiWiki page", "tikiwiki", "text/x-tikiwiki"),
    MARKUP("vimwiki", "Vimwiki page", "vimwiki", "text/x-vimwiki"),
    MARKUP("xwiki", "XWiki page", "xwiki", "text/x-xwiki"),
    MARKUP("zimwiki", "ZimWiki page", "zimwiki", "text/x-zim-wiki"),
    MARKUP("muse", "Emacs Muse text", "muse", "text/x-muse"),
    MARKUP("haddock", "Haddock text", "haddock", "text/x-haddock"),
    MARKUP("asciidoc", "AsciiDoc text", "asciidoc adoc asc", "text/asciidoc"),
    MARKUP("tex", "LaTeX source", "tex latex ltx", "text/x-tex"),
    MARKUP("context", "ConTeXt source", "context ctx", "text/x-context"),
    MARKUP("texinfo", "Texinfo source", "texinfo texi", "text/x-texinfo"),
    MARKUP("man", "Manual page", "man", "text/troff"),
    MARKUP("ms", "roff ms source", "ms", "text/troff"),
    MARKUP("ipynb", "Jupyter notebook", "ipynb", "application/x-ipynb+json"),
    {"bib", "BibTeX bibliography", FORMAT_TEXT, "bib bibtex biblatex", "application/x-bibtex", ANY_TEXT,
     STRUCTURE_LINES, BIB_ENTRIES},
    {"csljson", "CSL JSON bibliography", FORMAT_TEXT, "csljson", "application/vnd.citationstyles.csl+json",
     ANY_TEXT, STRUCTURE_TEXT, "type"},
    XML_MARKUP("icml", "InDesign story", "icml", "application/x-indesign-icml", "Document"),
    XML_MARKUP("docbook", "DocBook document", "docbook dbk", "application/docbook+xml",
               "article|book|part|chapter|section|refentry|set"),
    XML_MARKUP("jats", "JATS article", "jats", "application/jats+xml", "article"),
    XML_MARKUP("opml", "OPML outline", "opml", "text/x-opml", "opml"),
    XML_MARKUP("fb2", "FictionBook", "fb2", "application/x-fictionbook+xml", "FictionBook"),
    XML_MARKUP("tei", "TEI document", "tei", "application/tei+xml", "TEI|teiCorpus"),

    /* archives; libmagic goes by what the archive begins with */
    PACKED("zip", "ZIP archive", "zip", "application/zip", NULL),
    PACKED("jar", "Java archive", "jar war ear aar", "application/java-archive", "META-INF/MANIFEST.MF"),
    PACKED("apk", "Android package", "apk", "application/vnd.android.package-archive", "AndroidManifest.xml"),
    PACKED("xpi", "Browser extension", "xpi", "application/x-xpinstall", "manifest.json"),
    PACKED("vsix", "Visual Studio extension", "vsix", "application/vsix", "extension.vsixmanifest"),
    {"tar", "Tar archive", FORMAT_ARCHIVE, "tar", "application/x-tar",
     "application/x-tar application/x-gtar application/x-ustar application/octet-stream", STRUCTURE_TAR,
     NULL},
    {"tgz", "Tar archive, gzip", FORMAT_ARCHIVE, "tgz tar.gz", "application/gzip",
     "application/gzip application/x-gzip", STRUCTURE_TAR_GZ, "0=\\x1f\\x8b\\x08"},
    ARCHIVE("tbz2", "Tar archive, bzip2", "tbz2 tbz tb2 tar.bz2", "application/x-bzip2", "", BZIP2),
    ARCHIVE("txz", "Tar archive, xz", "txz tar.xz", "application/x-xz", "", XZ),
    ARCHIVE("tzst", "Tar archive, Zstandard", "tzst tar.zst", "application/zstd", "application/x-zstd", ZSTD),
    ARCHIVE("tlz4", "Tar archive, LZ4", "tlz4 tar.lz4", "application/x-lz4", "", LZ4),
    ARCHIVE("tlz", "Tar archive, lzip", "tlz tar.lz", "application/lzip", "application/x-lzip", LZIP),
    ARCHIVE("gz", "File packed by gzip", "gz", "application/gzip", "application/x-gzip", GZIP),
    ARCHIVE("bz2", "File packed by bzip2", "bz2", "application/x-bzip2", "", BZIP2),
    ARCHIVE("xz", "File packed by xz", "xz", "application/x-xz", "", XZ),
    ARCHIVE("zst", "File packed by Zstandard", "zst", "application/zstd", "application/x-zstd", ZSTD),
    ARCHIVE("lz4", "File packed by LZ4", "lz4", "application/x-lz4", "", LZ4),
    ARCHIVE("lz", "File packed by lzip", "lz", "application/lzip", "application/x-lzip", LZIP),
    ARCHIVE("7z", "7-Zip archive", "7z", "application/x-7z-compressed", "", "0=7z\\xbc\\xaf\\x27\\x1c"),
    ARCHIVE("rar", "RAR archive", "rar", "application/vnd.rar", "application/x-rar",
            "0=Rar!\\x1a\\x07\\x00|0=Rar!\\x1a\\x07\\x01\\x00"),
    ARCHIVE("cab", "Windows cabinet", "cab", "application/vnd.ms-cab-compressed", "",
            "0=MSCF\\x00\\x00\\x00\\x00"),
    {"iso", "Disc image", FORMAT_ARCHIVE, "iso", "application/x-iso9660-image",
     "application/x-iso9660-image application/octet-stream", STRUCTURE_ISO, NULL},
    ARCHIVE("cpio", "Cpio archive", "cpio", "application/x-cpio", "application/octet-stream",
            "0=070701|0=070702|0=070707|0=\\xc7\\x71"),
    ARCHIVE("ar", "Ar archive", "ar a", "application/x-archive", "application/vnd.debian.binary-package",
            "0=!<arch>\\x0a"),
    ARCHIVE("deb", "Debian package", "deb udeb", "application/vnd.debian.binary-package",
            "application/x-archive", "0=!<arch>\\x0adebian-binary"),
    ARCHIVE("rpm", "RPM package", "rpm", "application/x-rpm", "", "0=\\xed\\xab\\xee\\xdb"),
    ARCHIVE("xar", "Xar archive", "xar pkg", "application/x-xar", "application/octet-stream",
            "0=xar!\\x00\\x1c"),
    ARCHIVE("lzh", "LHA archive", "lzh lha", "application/x-lzh-compressed",
            "application/x-lha application/x-lharc application/octet-stream",
            "2=-lh0-|2=-lh1-|2=-lh4-|2=-lh5-|2=-lh6-|2=-lh7-|2=-lhd-|2=-lzs-|2=-lz4-|2=-lz5-"),
    ARCHIVE("warc", "Web archive", "warc", "application/warc", "application/octet-stream text/plain",
            "0=WARC/1."),

    /* fonts */
    FONT("ttf", "TrueType font", "ttf", "font/ttf", SFNT, "0=\\x00\\x01\\x00\\x00|0=true"),
    FONT("otf", "OpenType font", "otf", "font/otf", SFNT, "0=OTTO|0=\\x00\\x01\\x00\\x00"),
    FONT("ttc", "TrueType collection", "ttc otc", "font/collection", SFNT,
         "0=ttcf\\x00\\x01\\x00\\x00|0=ttcf\\x00\\x02\\x00\\x00"),
    FONT("woff", "Web font", "woff", "font/woff", "application/font-woff", "0=wOFF"),
    FONT("woff2", "Web font 2", "woff2", "font/woff2", "", "0=wOF2"),
    FONT("pfa", "Type 1 font", "pfa", "application/x-font-type1", "text/plain application/postscript",
         "0=%!PS-AdobeFont-1|0=%!FontType1"),
    FONT("pfb", "Type 1 font, binary", "pfb", "application/x-font-type1",
         "font/x-postscript-pfb application/octet-stream",
         "0=\\x80\\x01&6=%!PS-AdobeFont-1|0=\\x80\\x01&6=%!FontType1"),
    FONT("t42", "Type 42 font", "t42", "application/x-font-type42", "application/postscript text/plain",
         "0=%!PS-TrueTypeFont"),
    FONT("sfd", "FontForge font", "sfd", "application/vnd.font-fontforge-sfd", "text/plain",
         "0=SplineFontDB:"),
    FONT("eot", "Embedded OpenType font", "eot", "application/vnd.ms-fontobject", "application/octet-stream",
         "34=LP"),
    FONT("dfont", "Mac font", "dfont", "application/x-dfont", "", "0=\\x00\\x00\\x01\\x00"),
    FONT("bdf", "Bitmap font, BDF", "bdf", "application/x-font-bdf", "text/plain", "0=STARTFONT\\x202."),
    FONT("pcf", "Bitmap font, PCF", "pcf", "application/x-font-pcf", "application/octet-stream",
         "0=\\x01fcp"),
    FONT("otb", "OpenType bitmap font", "otb", "application/x-font-otb", SFNT,
         "0=\\x00\\x01\\x00\\x00|0=OTTO|0=true"),
};
const size_t n_formats = ARRAY_SIZE(formats);

const char *format_category_name(enum format_category category)
{
    static const char *const names[] = {
        [FORMAT_DOCUMENT] = "document",
        [FORMAT_SPREADSHEET] = "spreadsheet",
        [FORMAT_PRESENTATION] = "presentation",
        [FORMAT_DRAWING] = "drawing",
        [FORMAT_IMAGE] = "image",
        [FORMAT_PDF] = "pdf",
        [FORMAT_TEXT] = "text",
        [FORMAT_AUDIO] = "audio",
        [FORMAT_VIDEO] = "video",
        [FORMAT_SUBTITLES] = "subtitles",
        [FORMAT_ARCHIVE] = "archive",
        [FORMAT_FONT] = "font",
    };

    return names[category];
}

void format_mime(const struct format *f, char ret[128])
{
    const char *word = "";
    size_t n = 0;

    words_next(f->mime_types, &word, &n);
    snprintf(ret, 128, "%.*s", (int)n, word);
}
