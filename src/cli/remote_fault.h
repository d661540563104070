/* What commands that talk to a server say when that failed. */
#pragma once

#include "client/remote.h"

/* The exit status of a failure: of the conversion itself (core/outcome.h), of the login, of the server, or
 * `otherwise`. */
int remote_exit_status(const struct remote_fault *fault, int otherwise);
int remote_outcome_status(const char *code, int otherwise);

/* "COMMAND: MESSAGE (CODE)" on standard error; the exit status. */
int remote_complain(const char *command, const struct remote_fault *fault);

/* A text of the server's for a terminal, which must not obey it. */
void remote_print_text(FILE *out, const char *text);
