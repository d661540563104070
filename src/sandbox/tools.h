/* Programs that a job executes. Each of the few that it may start has a process that is made while the
 * sandbox is still open, waits in it behind all its layers for its command line, and becomes the program. So
 * nobody in there needs the right to make a process: neither the engine's child nor what it starts. Nor can a
 * program report: it holds no socket but its own, and no file but what Landlock gives the job. */
#pragma once

#include "sandbox/sandbox.h"

struct sandbox;

/* The path of the dynamic loader, which the kernel opens with each program. */
const char *tools_loader(void);

/* In a child, when its root is mounted: makes config.tools of them and fills in `job`. 0 in the child itself,
 * 1 in one of those, whose socket is in `ret_socket` and who holds nothing else; -errno. */
int tools_make(const struct sandbox *s, struct sandbox_job *job, int *ret_socket) _warn_unused_;
/* In one of those, when it is locked in: waits until it is told, and becomes the program. */
_noreturn_ void tools_become(int socket);
