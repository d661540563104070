/* The parts that LibreOffice does without.
 *
 * It finds its components by a list, program/services/services.rdb. Ours is a copy with those left out that
 * reach for the network or hand a document to yet another parser; settings can be argued with, while a
 * component that isn't on the list can't be had. Not listed at all: Python (a list of its own, pyuno.rdb).
 *
 * Left out are the content providers for http, https, WebDAV, FTP and GIO (smb, sftp …), LDAP, database
 * drivers, and GStreamer, which wants to open every sound and film to take a picture of it: an untrusted
 * codec in the process, and twenty seconds of waiting for a pipeline that the sandbox doesn't let it build.
 */
#pragma once

#include "core/buf.h"

/* Appends the list `rdb`, NUL-terminated, to `ret` without them. -EBADMSG when it is no such list, or names
 * none of the network's: then LibreOffice has changed, and nobody knows what is in it. */
int components_filter(const char *rdb, struct buf *ret) _warn_unused_;
