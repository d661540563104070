/* Logins: what the endpoints below /auth share, and what proves an account to the others.
 *
 * A login is a family of refresh tokens (state/refresh.h). Its newest one is in a cookie that pages can't
 * read and that goes to /auth alone; access tokens (auth/jwt.h) are short-lived, and name the family. */
#pragma once

#include "api/api.h"
#include "auth/jwt.h"
#include "state/account.h"
#include "state/refresh.h"

/* `aud` of our tokens: one kind is never good for another. */
#define AUTH_AUDIENCE "decant"
#define AUTH_DEVICE   "decant-device"

/* False: the call has been failed, since nobody can log in here. */
bool auth_is_on(struct api_call *call);

/* 401 to whom has no login, or none any more. */
void auth_fail_ended(struct api_call *call);

/* The cookies. `refresh` NULL: it is removed. */
void auth_set_refresh(struct api_call *call, const struct refresh *refresh);
int auth_set_device(struct api_call *call, const char *account_id) _warn_unused_;
/* The id of the device that the request's cookie proves to have known the account's password; or none. */
bool auth_find_device(struct api_call *call, const char *account_id, char ret[JWT_CLAIM_MAX + 1]);

/* 200 with a new access token; the cookie is set by the caller. */
void auth_reply(struct api_call *call, const struct account *account, const char *family);
