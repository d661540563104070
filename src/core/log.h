/* Logging: one JSON object a line on standard error, or plain text when that is a terminal.
 *
 * Fields are typed pairs, never free format strings, so that what must not be logged (file names, tokens,
 * cookies, session ids) is visible at the call. Libraries don't log: a process logs an event once, where it
 * is handled.
 *
 *     log_info("job finished", LOG_S("job_id", id), LOG_U("ms", ms)); */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_AUTO, LOG_FORMAT_JSON, LOG_FORMAT_TEXT };

struct log_field {
    const char *key;
    const char *text; /* NULL: `number` counts */
    int64_t number;
};

/* `program` is kept, not copied. Thread-safe after this call; each line is one write(2). */
void log_init(const char *program, enum log_level least, enum log_format format);

void log_event(enum log_level level, const char *message, const struct log_field *fields, size_t n);

/* `text` may be NULL: the field says null. */
#define LOG_S(k, v) ((struct log_field){.key = (k), .text = (v) ? (v) : "null"})
#define LOG_U(k, v) ((struct log_field){.key = (k), .number = (int64_t)(v)})
/* A negative errno as text. */
#define LOG_E(r) ((struct log_field){.key = "error", .text = strerror(-(r))})

#define log_at(level, message, ...)                                                                          \
    do {                                                                                                     \
        const struct log_field _fields[] = {{.key = NULL}, ##__VA_ARGS__};                                   \
        log_event((level), (message), _fields + 1, sizeof _fields / sizeof _fields[0] - 1);                  \
    } while (0)

/* A decision that security rests on, by its stable code: one line for each, whatever else is logged of it. */
#define log_audit(code, ...) log_at(LOG_LEVEL_INFO, "audit", LOG_S("audit", code), ##__VA_ARGS__)

#define log_debug(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...)  log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...)  log_at(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(...) log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
