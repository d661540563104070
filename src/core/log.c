#include "core/log.h"

#include "core/buf.h"
#include "core/clock.h"
#include "core/str.h"

#include <unistd.h>

enum { LINE_MAX_BYTES = 8192 };

static const char *const level_names[] = {"debug", "info", "warn", "error"};

static struct {
    const char *program;
    enum log_level least;
    enum log_format format;
} config = {.program = "decant", .least = LOG_LEVEL_INFO, .format = LOG_FORMAT_JSON};

void log_init(const char *program, enum log_level least, enum log_format format)
{
    config.program = program;
    config.least = least;
    config.format = format != LOG_FORMAT_AUTO ? format
                    : isatty(STDERR_FILENO)   ? LOG_FORMAT_TEXT
                                              : LOG_FORMAT_JSON;
}

/* Terminals obey control characters: show them as question marks. */
static void append_plain(struct buf *line, const char *s)
{
    for (; *s; s++)
        buf_append(line, (unsigned char)*s < 0x20 || *s == 0x7f ? "?" : s, 1);
}

static void format_json(struct buf *line, const char *time, enum log_level level, const char *message,
                        const struct log_field *fields, size_t n)
{
    buf_printf(line, "{\"time\":\"%s\",\"level\":\"%s\",\"program\":\"%s\",\"pid\":%d,\"message\":", time,
               level_names[level], config.program, (int)getpid());
    buf_append_json(line, message);
    for (size_t i = 0; i < n; i++) {
        buf_append(line, ",", 1);
        buf_append_json(line, fields[i].key);
        buf_append(line, ":", 1);
        if (fields[i].text)
            buf_append_json(line, fields[i].text);
        else
            buf_printf(line, "%lld", (long long)fields[i].number);
    }
    buf_append(line, "}\n", 2);
}

static void format_text(struct buf *line, const char *time, enum log_level level, const char *message,
                        const struct log_field *fields, size_t n)
{
    buf_printf(line, "%.8s %-5s %-14s ", time + 11, level_names[level], config.program);
    append_plain(line, message);
    for (size_t i = 0; i < n; i++) {
        buf_printf(line, " %s=", fields[i].key);
        if (fields[i].text)
            append_plain(line, fields[i].text);
        else
            buf_printf(line, "%lld", (long long)fields[i].number);
    }
    buf_append(line, "\n", 1);
}

void log_event(enum log_level level, const char *message, const struct log_field *fields, size_t n)
{
    static const struct log_field omitted = {.key = "fields", .text = "omitted: too long"};
    _cleanup_buf_ struct buf line = BUF_INIT(LINE_MAX_BYTES);
    char time[CLOCK_RFC3339_LEN + 1];
    void (*format)(struct buf *, const char *, enum log_level, const char *, const struct log_field *,
                   size_t) = config.format == LOG_FORMAT_TEXT ? format_text : format_json;

    if (level < config.least)
        return;
    clock_rfc3339(clock_real_ms(), time);
    format(&line, time, level, message, fields, n);
    if (buf_error(&line)) {
        buf_free(&line);
        format(&line, time, level, message, &omitted, 1);
    }
    if (buf_error(&line) == 0 && write(STDERR_FILENO, line.data, line.len) < 0)
        return; /* a log that can't be written has nowhere to be reported */
}
