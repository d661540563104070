/* The names of keys. Ids are checked before they come here. Private to this folder, but for job_key(). */
#pragma once

#include "core/id.h"

#include <stdio.h>

#define SESSION_KEY_PREFIX "session:"
#define TOKEN_KEY_PREFIX   "download_token:"

/* "session:{id}" and what follows it: "", ":jobs" (the index), ":jobs:" (prefix of the jobs), ":tokens",
 * ":closing" (the session itself, once it is being closed), ":events" (see job_events.h), ":waiting" (the
 * keys of its jobs that wait or are under way); ":previews", ":preview:" and ":previewing" (see preview.h) */
#define SESSION_KEY_MAX (sizeof "session::previewing" + ID_TOKEN_LEN)
#define TOKEN_KEY_MAX   (sizeof TOKEN_KEY_PREFIX + ID_TOKEN_LEN)

static inline const char *session_key(char ret[SESSION_KEY_MAX], const char *session_id, const char *what)
{
    snprintf(ret, SESSION_KEY_MAX, SESSION_KEY_PREFIX "%s%s", session_id, what);
    return ret;
}

static inline const char *token_key(char ret[TOKEN_KEY_MAX], const char *token)
{
    snprintf(ret, TOKEN_KEY_MAX, TOKEN_KEY_PREFIX "%s", token);
    return ret;
}
