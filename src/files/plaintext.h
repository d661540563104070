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

/* Is there a line, behind its blanks, that begins like one of `patterns` (separated by "|")? In a pattern "9"
 * stands for digits, one or more, a blank for any number of blanks, "^" at its beginning for the first line
 * that isn't empty, and all else for itself, letters in either case. UTF-16 is looked at, too. */
bool plaintext_has_line(const char *data, size_t len, const char *patterns);

/* What stands before the root element of an XML text. */
enum plaintext_prolog {
    PROLOG_OTHER, /* something that is no markup: this is no XML */
    PROLOG_ROOT,  /* comments, processing instructions, at most a DOCTYPE that names a DTD, which nobody reads
                   */
    PROLOG_SUBSET,  /* a DOCTYPE with declarations of its own, such as entities: bombs, and names of other
                       files */
    PROLOG_UNENDED, /* no root element in `len` bytes */
};

/* UTF-16 is looked at, too. `ret_root` (may be NULL): behind the "<" of the root element; in UTF-8 only. */
enum plaintext_prolog plaintext_prolog(const char *data, size_t len, const char **ret_root);

/* Is the root element one of `names` (separated by "|", any prefix), with a prolog of PROLOG_ROOT? */
bool plaintext_has_root(const char *data, size_t len, const char *names);

/* Is there any tag in it; and is the root element html, if it begins as XML? */
bool plaintext_is_html(const char *data, size_t len);

/* Does an SVG want anything that is not in it: a href (but of a link, <a>), a url() or an @import that is
 * neither a #fragment nor a data: URL, or a style sheet by processing instruction? What is written in other
 * ways (CSS escapes) is not seen; the engine resolves nothing in any case. */
bool plaintext_svg_refers_outside(const char *data, size_t len);
