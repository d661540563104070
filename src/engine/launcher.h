/* A process apart that starts and kills engine programs, so that its maker may give the right to do either
 * up: an engine needs namespaces and mounts for its children, which a confined process can't have, nor
 * anybody whom it starts. Made by root it is settings->engine_user from its first step on, and so are the
 * engines: nobody of another user could kill them. The launcher does nothing else, and knows nothing but the
 * settings: made before its maker has read a secret, without any of its descriptors. It ends with its maker,
 * and the engines end with it. */
#pragma once

#include "core/settings.h"

#include <sys/types.h>

struct launcher;

/* Forks it. The settings must not change any more. As root with no user of that name: "nobody". */
int launcher_start(const struct settings *settings, struct launcher **ret) _warn_unused_;
/* Ends it; its engines have ended before. NULL is fine. */
void launcher_free(struct launcher *l);
/* It died, and with it all engines: no other can be started. */
bool launcher_lost(const struct launcher *l);

struct launched {
    pid_t pid;
    int pidfd, control; /* the caller's; control is our non-blocking end of the engine's socket */
};

/* decant-engine-NAME as a zygote; see launch.h. -EPIPE when the launcher has died. */
int launcher_launch(struct launcher *l, const char *name, struct launched *ret) _warn_unused_;
/* waitpid() for one that it started; waits until it has ended. */
int launcher_reap(struct launcher *l, pid_t pid, int *ret_status) _warn_unused_;
/* SIGKILL by pidfd to a zygote or a child of one; -1 is fine. Sent when this returns, soon in force: who has
 * to know watches the pidfd. Nothing once the launcher is lost, with which all of them end. */
void launcher_kill(struct launcher *l, int pidfd);
