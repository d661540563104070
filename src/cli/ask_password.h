/* Where commands get passwords from, of documents and of accounts. Never from the command line, which
 * everybody on the machine can read. */
#pragma once

#include "core/cleanup.h"

/* The first line of the file, or of standard input for "-"; a new string for cleanup_secret(). -EINVAL when
 * it is empty or no UTF-8, -EFBIG when it is longer than any password. */
int read_password_file(const char *path, char **ret) _warn_unused_;

/* Asks on the terminal, without showing what is typed. -ENXIO when there is none, -EINTR when the question
 * was broken off; otherwise as above. */
int ask_password(const char *question, char **ret) _warn_unused_;
