/* Text, and the two things made of it that have to be told from other text. */
#pragma once

#include "core/cleanup.h"

#include <stdbool.h>
#include <stddef.h>

/* Is this the beginning (or, with `whole`, all) of a text: UTF-8 or any 8-bit or ISO 2022 set without the
 * control characters that no text has, or UTF-16 with a byte order mark? */
bool plaintext_valid(const char *data, size_t len, bool whole);

/* Does one of `markers` (separated by "|") occur as a quoted attribute value? */
bool plaintext_has_attribute(const char *data, size_t len, const char *markers);

/* Is the root element svg (any prefix), before which only comments, processing instructions and a DOCTYPE
 * without an internal subset stand? The subset is where entity bombs and external entities are declared. */
bool plaintext_is_svg(const char *data, size_t len);
