/* What is this file, really? libmagic on the first bytes, and for the containers that it can't tell apart a
 * look at the structure (format.h). Used on uploads, and on results before they are published. */
#pragma once

#include "core/cleanup.h"
#include "format/format.h"

#include <stdint.h>

struct sniffer; /* holds a libmagic handle; threads may share it */

int sniffer_new(struct sniffer **ret) _warn_unused_;
void sniffer_free(struct sniffer *s);

enum { SNIFF_MIME_MAX = 128 };

/* Is the open regular file `fd` a `format`? 0; -EMEDIUMTYPE it is something else; -EBADMSG its container is
 * broken (callers treat it as a mismatch); -EPERM it is one, but declares XML entities or, as SVG, refers to
 * what is not in the file: refused for safety; -ENOTUNIQ it is one, and something else besides
 * (second_kind.h); other -errno. Does not move the file's offset. A large
 * file is read once or twice, and hostile ones of 100 MiB take up to a second: for a thread that nobody waits
 * for.
 *
 * `ret_mime` always receives what the bytes look like: the format's own type where its structure was proven,
 * else libmagic's word. */
int sniff_check(struct sniffer *s, int fd, const struct format *format,
                char ret_mime[SNIFF_MIME_MAX]) _warn_unused_;

/* What to tell the person whose file was refused with this error, or NULL for the errors that are not about
 * the file. */
const char *sniff_refusal(int err);

/* Is `fd` a text, and so a `format` of STRUCTURE_TEXT or STRUCTURE_HTML (another is -EINVAL)? 0, -EMEDIUMTYPE
 * or another -errno. It needs no sniffer: libmagic takes 5 to 15 ms for a text. Without its word a text that
 * is also something else (PostScript, a PDF of printable bytes) passes, so this is for results of our
 * engines, not for uploads. */
int sniff_text(int fd, const struct format *format) _warn_unused_;
