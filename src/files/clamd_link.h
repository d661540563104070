/* One connection to clamd, in a session (IDSESSION): one question after the other, each with a number that
 * its answer has to bear. Inside of files/clamd.c.
 *
 * Never two questions at once: so an answer can't be taken for another's, and clamd's answer to the last one
 * is out before a further descriptor is on its way. Whatever is not exactly the answer that was waited for
 * (another number, bytes that nobody asked for, the end) closes the connection. */
#pragma once

#include <stdbool.h>
#include <uv.h>

enum clamd_command { CLAMD_FILDES, CLAMD_INSTREAM, CLAMD_VERSION };

struct clamd_link;

struct clamd_link_events {
    /* The answer without its number. The link can be asked again, or closed. */
    void (*answer)(void *owner, struct clamd_link *l, char *text);
    /* The link is closed: the last but one call. `stale`: by clamd, after it had served, without a word on
     * what was asked since, if anything was: it ended meanwhile. */
    void (*lost)(void *owner, struct clamd_link *l, const char *why, bool stale);
    /* The last call, after lost() or clamd_link_close(). */
    void (*closed)(void *owner);
};

/* unix:PATH or tcp:HOST:PORT. -errno when it can't even be tried; no call comes before it has returned, and
 * none at all when it fails. `events` is borrowed. */
int clamd_link_open(uv_loop_t *loop, const char *url, const struct clamd_link_events *events, void *owner,
                    struct clamd_link **ret);
/* `fd` is borrowed until the answer, the loss or the closing. May be called before it is connected. */
void clamd_link_ask(struct clamd_link *l, enum clamd_command command, int fd);
/* Has all that was asked gone out? Else it can't be asked again. */
bool clamd_link_reusable(const struct clamd_link *l);
/* What went wrong so far, or "". */
const char *clamd_link_why(const struct clamd_link *l);
/* No call but closed() comes after this. */
void clamd_link_close(struct clamd_link *l);
