/* Standard input and output, which `decant convert` calls "-". What is converted has to be a file that can be
 * read at any place and again, and a result is handed on when it is whole: so both go by unnamed files in
 * $TMPDIR. */
#pragma once

#include <stdbool.h>

bool convert_is_standard(const char *path);

/* Such a file, empty; a descriptor or -errno. */
int convert_standard_file(void);
/* From where each of the two stands to the end of the first. 0 or -errno. */
int convert_standard_copy(int from, int to);
/* Reads standard input to its end, which from then on is a file of what came. It waits, and a signal that is
 * caught doesn't end that. 0 or -errno. */
int convert_standard_take_input(void);
/* Writes the whole file to standard output. 0 or -errno, and then some of it may be there. */
int convert_standard_put(int fd);
