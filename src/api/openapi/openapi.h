/* GET /openapi.json: the API as OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.0) says it, made once at the
 * start from what the server itself goes by, so that it can't say anything else: paths, methods, what a call
 * needs and how large it may be from routes.c; errors from error.c; states, ends, formats and options of jobs
 * from their tables.
 *
 * What no table knows is written by hand: `operations.json` has an entry for each route ("GET /formats": an
 * Operation Object, and in `errors` the codes that are its own), and `document.json` all around them:
 * schemas, parameters, headers. A route without an entry, an entry without a route, or a code that is none is
 * an error of openapi_document(), and the server does not start. */
#pragma once

#include "api/api.h"

#include <jansson.h>

/* NULL: `ret_why` says what is wrong with our own files, or that there is no memory. */
json_t *openapi_document(const struct settings *settings, char *ret_why, size_t size) _warn_unused_;

/* The same as an answer. 0, or -EINVAL with the reason. */
int openapi_make(const struct settings *settings, struct kept *ret, char *ret_why, size_t size) _warn_unused_;

/* The schema of the `options` of a conversion (option_schemas.c): each name with all that it may be, whatever
 * the formats; new. `catalogue` is what GET /formats answers. NULL: no memory. */
json_t *openapi_options(const json_t *catalogue) _warn_unused_;
