/* Starting an engine program as a zygote. */
#pragma once

#include "core/settings.h"

#include <sys/types.h>

/* Starts decant-engine-NAME with a clean environment, as settings->user when we are root. The caller reaps it
 * and owns `ret_control`, our non-blocking end of the control socket. */
int launch_engine(const struct settings *settings, const char *name, pid_t *ret_pid,
                  int *ret_control) _warn_unused_;
enum { LAUNCH_EXIT_EXEC = 127 }; /* the status of a child that could not execute the program */
