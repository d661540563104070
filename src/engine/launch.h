/* Starting an engine program as a zygote. */
#pragma once

#include "core/settings.h"

#include <sys/types.h>

/* The folder that the engine programs are in, as a descriptor: whoever starts them has to be let into it. */
int launch_open_programs(const struct settings *settings) _warn_unused_;

/* Starts decant-engine-NAME of `programs` with a clean environment, as the user that we are. The caller reaps
 * it and owns `ret_control`, our non-blocking end of the control socket. */
int launch_engine(const struct settings *settings, int programs, const char *name, pid_t *ret_pid,
                  int *ret_control) _warn_unused_;
enum { LAUNCH_EXIT_EXEC = 127 }; /* the status of a child that could not execute the program */
