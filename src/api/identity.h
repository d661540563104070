/* Who calls: a session by its cookie, or an account: by a bearer (an access token or an API key), or by the
 * cookie of a browser that has logged in. What an account has lies in its space, which is `call->session` for
 * every handler (state/account.h). Or nobody: a program that sends nothing at all, where that is enough. */
#pragma once

#include "state/api_key.h"
#include "state/session.h"

struct api_call;

enum identity_bearer {
    BEARER_NONE,
    BEARER_TOKEN,
    BEARER_KEY,
    BEARER_BAD, /* none of ours: it never falls back on the cookie */
};

struct identity {
    enum identity_bearer bearer;
    char name[ID_TOKEN_LEN + 1]; /* for limits: an account's id, or what only this key has */
    const char *key;             /* the text of a key */
    char family[ID_UUID_LEN + 1], account[ID_UUID_LEN + 1]; /* what a token says */
    bool anonymous;     /* it has no session; the handler gives it one of its own, for this call */
    bool closing_tried; /* the session was looked for among those being closed, too */
    /* 0, -ENOENT no session, -EACCES no good bearer, or as in redis.h */
    int err;
    void (*fn)(struct api_call *call);
};

/* Reads the request's bearer, where it has one, and gives the call its names for limits. */
void identity_read(struct api_call *call);

/* Asks Redis for the session or the account, and fills the call's `session`, `account`, `plan` and `scopes`,
 * or its identity's `err`. `fn` is called once, later. */
void identity_ask(struct api_call *call, void (*fn)(struct api_call *call));

/* The same for a session that has just been loaded: `fn` may be called at once. */
void identity_of_session(struct api_call *call, const struct session *session,
                         void (*fn)(struct api_call *call));
