/* The servers that somebody is logged in to: ${XDG_CONFIG_HOME:-~/.config}/decant/servers.json, 0600.
 *
 *     {"version": 1, "default": URL, "servers": {URL: {…}}}
 *
 * An entry has `api_key`, or of a login with a password `account`, `refresh_token`, `device`, `access_token`
 * and `expires_at` (seconds since 1970); and `ca_file` and `insecure_http`, where login was told so. A file
 * is replaced as a whole. Whoever changes it holds the lock from before reading to after writing: a refresh
 * token is good once, and two programs that use the same one end the login. */
#pragma once

#include "core/cleanup.h"

#include <stdbool.h>

enum { SERVER_URL_MAX = 512 };

/* What stands in the file, or an empty one where there is none; new. -EPERM: others than its owner may read
 * it, -EINVAL: it is not ours. */
int servers_load(json_t **ret) _warn_unused_;
/* Waits for whoever has it; closing the descriptor gives it back. Makes the folder. */
int servers_lock(void) _warn_unused_;
int servers_save(const json_t *servers) _warn_unused_;
/* Its path, for messages; new. NULL: there is neither XDG_CONFIG_HOME nor HOME. */
char *servers_path(void);

/* The entry of a URL, or NULL; borrowed. */
json_t *servers_entry(const json_t *servers, const char *url);
/* Takes `entry`, and makes it the default. */
int servers_put(json_t *servers, const char *url, json_t *entry) _warn_unused_;
/* False: there was none. */
bool servers_remove(json_t *servers, const char *url);

/* The URL of what somebody calls a server: a URL itself (without what follows the last slash of its path),
 * the host of an entry ("decant.example.com", "localhost:8080"), another host, by HTTPS, or NULL: the
 * default. */
int servers_resolve(const json_t *servers, const char *name, char ret[SERVER_URL_MAX]) _warn_unused_;
/* https, or http to this very machine. */
bool servers_url_is_safe(const char *url);
