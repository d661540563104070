#include "engine/office/old_table.h"

#include "core/str.h"
#include "engine/office/whole_file.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>

/* rtl/textenc.h */
enum {
    WINDOWS_1252 = 1,
    DOS_437 = 3,
    DOS_850 = 4,
    DOS_852 = 25,
    DOS_857 = 27,
    DOS_866 = 30,
    WINDOWS_1250 = 33,
    WINDOWS_1251 = 34,
    WINDOWS_1253 = 35,
    WINDOWS_1254 = 36,
    UTF8 = 76,
};

enum { TABLE_BYTES_MAX = 256 << 20, DBF_HEADER = 32, DBF_LANGUAGE = 29 };

/* The "language driver" of a .dbf. */
static const struct {
    unsigned char driver;
    unsigned charset;
} drivers[] = {
    {0x01, DOS_437},      {0x02, DOS_850},      {0x03, WINDOWS_1252}, {0x09, DOS_437},
    {0x0a, DOS_850},      {0x0d, DOS_437},      {0x0e, DOS_850},      {0x10, DOS_850},
    {0x11, DOS_437},      {0x12, DOS_850},      {0x14, DOS_850},      {0x15, DOS_437},
    {0x16, DOS_850},      {0x18, DOS_437},      {0x19, DOS_437},      {0x1b, DOS_437},
    {0x1d, DOS_850},      {0x1f, DOS_852},      {0x22, DOS_852},      {0x23, DOS_852},
    {0x26, DOS_866},      {0x37, DOS_850},      {0x40, DOS_852},      {0x57, WINDOWS_1252},
    {0x58, WINDOWS_1252}, {0x59, WINDOWS_1252}, {0x64, DOS_852},      {0x65, DOS_866},
    {0x6b, DOS_857},      {0x87, DOS_852},      {0xc8, WINDOWS_1250}, {0xc9, WINDOWS_1251},
    {0xca, WINDOWS_1254}, {0xcb, WINDOWS_1253},
};

/* Programs of today write UTF-8, and say nothing of it. */
static unsigned charset_of_dbf(const char *data, size_t len)
{
    if (len < DBF_HEADER)
        return WINDOWS_1252;
    for (size_t i = 0; i < ARRAY_SIZE(drivers); i++)
        if ((unsigned char)data[DBF_LANGUAGE] == drivers[i].driver)
            return drivers[i].charset;
    for (size_t from = DBF_HEADER; from < len; from++)
        if (data[from] & 0x80)
            return utf8_valid(data + from, len - from) ? UTF8 : WINDOWS_1252;
    return UTF8;
}

/* Does it end as an XML text of that root does? Of one that is cut off LibreOffice would make a table with
 * what was there, which may be nothing. */
static bool ends_with(const struct buf *b, const char *end_tag)
{
    size_t len = b->len, n = strlen(end_tag);

    while (len > 0 && isspace((unsigned char)b->data[len - 1]))
        len--;
    return len >= n && memcmp(b->data + len - n, end_tag, n) == 0;
}

int old_table_options(const char *format, const char *path, char options[OLD_TABLE_OPTIONS])
{
    bool dbf = str_eq(format, "dbf");
    _cleanup_buf_ struct buf data = BUF_INIT(TABLE_BYTES_MAX);
    unsigned charset = DOS_850;

    if (str_eq(format, "xlml")) {
        int r = whole_file_read(path, &data);

        return r < 0 ? r : ends_with(&data, "Workbook>") ? 0 : -EBADMSG;
    }
    if (!dbf && !str_eq(format, "dif") && !str_eq(format, "wk1") && !str_eq(format, "wks"))
        return 0;
    if (dbf || str_eq(format, "dif")) {
        int r = whole_file_read(path, &data);

        if (r < 0)
            return r;
        charset = dbf                               ? charset_of_dbf(data.data, data.len)
                  : utf8_valid(data.data, data.len) ? UTF8
                                                    : WINDOWS_1252;
    }
    snprintf(options, OLD_TABLE_OPTIONS, "%u", charset);
    return 0;
}
