/* LibreOffice through LibreOfficeKit: loaded once and warmed up, then one document a process (document.h).
 *
 * Nothing here is thread-safe or meant to be called twice in a process: a child converts one document and
 * ends, without tearing LibreOffice down. */
#pragma once

#include "core/cleanup.h"

#include <stdbool.h>
#include <stdint.h>

/* Where LibreOffice's programs are: $DECANT_LIBREOFFICE or the usual place. */
const char *lok_install_path(void);

/* "LibreOffice 7.4.7.2", read from its registry without starting it; "LibreOffice" when that says nothing. */
void lok_version(char *ret, size_t size);

/* Starts LibreOffice, converts a few small documents of our own, so that what each document needs is already
 * in memory, and calls serve(arg) with one thread running. Comes back only when something failed: -errno, and
 * the reason in `ret_why`. */
int lok_serve(void (*serve)(void *arg), void *arg, const char **ret_why);

/* In the child, before anything else: what must differ from the zygote's. Temporary files go to $TMPDIR. */
int lok_enter_child(void) _warn_unused_;
