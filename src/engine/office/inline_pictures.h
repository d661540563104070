/* Makes one file of an HTML page and its pictures. LibreOffice does so itself for text documents, but writes
 * the pictures of a spreadsheet beside the page. */
#pragma once

#include "core/cleanup.h"

/* Puts the pictures in `folder` that the page `name` there refers to into the page as data: URLs, and removes
 * their files. -EMSGSIZE when the page would become too large. */
int inline_pictures(const char *folder, const char *name) _warn_unused_;
