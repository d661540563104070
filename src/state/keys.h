/* The names of keys. Ids are checked before they come here. Private to this folder, but for job_key(). */
#pragma once

#include "core/id.h"

#include <stdio.h>

#define SESSION_KEY_PREFIX "session:"
#define TOKEN_KEY_PREFIX   "download_token:"
#define WEBHOOK_KEY_PREFIX "webhook:"
#define WEBHOOK_DUE_KEY    "decant:webhooks:due"
#define WEBHOOK_ALL_KEY    "decant:webhooks:all"

/* "session:{id}" and what follows it: "", ":jobs" (the index), ":jobs:" (prefix of the jobs), ":tokens",
 * ":closing" (the session itself, once it is being closed), ":events", ":numbers" and ":gone" (see
 * job_events.h), ":waiting" (the keys of its jobs that wait or are under way); ":files", ":files:" and
 * ":refused" (see partial.h); ":previews", ":preview:" and ":previewing" (see preview.h);
 * ":answers" and
 * ":answered" (see idempotency.h); ":results" and ":made" (see result.h) */
#define SESSION_KEY_MAX (sizeof "session::previewing" + ID_TOKEN_LEN)
#define TOKEN_KEY_MAX   (sizeof TOKEN_KEY_PREFIX + ID_TOKEN_LEN)
#define PARTIAL_KEY_MAX (SESSION_KEY_MAX + ID_UUID_LEN)

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

static inline const char *partial_key(char ret[PARTIAL_KEY_MAX], const char *session_id, const char *id)
{
    snprintf(ret, PARTIAL_KEY_MAX, SESSION_KEY_PREFIX "%s:files:%s", session_id, id);
    return ret;
}
