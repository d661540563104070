/* The main part of an OPC package (ISO/IEC 29500-2): the one that a document program opens first, whatever
 * else the package declares. */
#pragma once

#include "files/zipdir.h"

/* Is the content type of the package's main part one of `types` (separated by "|")? 0; -EMEDIUMTYPE when it
 * is another, isn't there, or isn't the only one; other errors as zipdir_read(). */
int opc_check(struct zipdir *z, const char *types) _warn_unused_;
