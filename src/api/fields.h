/* The fields of a form that asks for a conversion, beside its files (POST /v1/convert): texts of strangers
 * become a target and options. Needs no call and no connection.
 *
 *     to       the target, by its id or an extension
 *     merge    "true": many files become one
 *     keep     "true": the job stays
 *     callback_url  where to tell of the jobs' ends
 *     options  a JSON object, as POST /convert takes it; may be there several times
 *     any other name is an option of the catalogue, whose text is read as that option's type */
#pragma once

#include "engine/catalogue.h"

enum { FIELDS_NAME_MAX = 64, FIELDS_BYTES_MAX = 64 * 1024 /* of all texts together */ };

struct fields {
    const struct format *target; /* NULL: none was named, or we know none of the name */
    bool merge, keep;
    const char *callback_url; /* NULL: none */
    json_t *texts;            /* of each field but `options` what was written */
    json_t *options;          /* NULL: no such field */
    size_t bytes;             /* of all texts */
    char why[320];            /* after -EINVAL and -EMSGSIZE: a sentence */
};

/* 0, or with why -EINVAL, or -EMSGSIZE when there is no room for more. `text` has a NUL behind its `len`
 * bytes. */
int fields_add(struct fields *f, const char *name, const char *text, size_t len) _warn_unused_;
/* The options of one file on its way; a new object, whose secrets are the caller's to wipe. -EINVAL with
 * why. */
int fields_options(struct fields *f, const struct catalogue_route *route, json_t **ret) _warn_unused_;
/* Wipes the secrets. */
void fields_free(struct fields *f);
