/* A streaming parser for multipart/form-data (RFC 7578, RFC 2046 section 5.1): bytes in, parts out, nothing
 * kept but one header block and a boundary's worth of look-behind. Nested multipart is refused. */
#pragma once

#include "core/cleanup.h"

#include <stddef.h>

struct multipart;

/* Valid during begin(). */
struct multipart_part {
    const char *name;         /* the form field; never NULL */
    const char *filename;     /* NULL: not a file. As sent; %22, %0D and %0A are decoded; filename* (RFC 8187)
                               * counts where filename is missing */
    const char *content_type; /* NULL: not given */
};

/* Each returns 0, or -errno to stop the parser with it. */
struct multipart_events {
    int (*begin)(void *arg, const struct multipart_part *part);
    int (*data)(void *arg, const void *data, size_t len);
    int (*end)(void *arg);
};

/* `content_type` is the header's whole value. -EINVAL: not multipart/form-data with a usable boundary. */
int multipart_new(const char *content_type, const struct multipart_events *events, void *arg,
                  struct multipart **ret) _warn_unused_;
void multipart_free(struct multipart *m);
/* 0; -EBADMSG malformed; -EMSGSIZE a header block too large or too many parts; or what an event returned.
 * Sticky. */
int multipart_feed(struct multipart *m, const void *data, size_t len) _warn_unused_;
/* After the last byte: 0 when the closing boundary was seen, else -EBADMSG. */
int multipart_finish(struct multipart *m) _warn_unused_;
