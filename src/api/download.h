/* What downloads have in common, of one result or of many. */
#pragma once

#include "api/api.h"
#include "format/filename.h"

/* A result to be sent. */
struct download {
    const char *session_id, *job_id;
    const char *file_path; /* below the storage root; looked at before it is opened */
    const char *filename, *mime_type;
    bool ourselves; /* and not by nginx, which opens it later than we do: it may be gone by then */
};

/* No browser may run what we hand out: not as a page, not as a script, not by guessing a type (browser.h). */
void download_headers(struct api_call *call, const char *filename);
/* Ends the call, but for false: it is not there any more. */
bool download_send(struct api_call *call, const struct download *d) _warn_unused_;
/* The name of an archive made now; `part` of several, or 0. */
enum { DOWNLOAD_ARCHIVE_NAME_MAX = 40 };
void download_archive_name(unsigned part, char ret[DOWNLOAD_ARCHIVE_NAME_MAX]);
/* The name of a completed job's result, for the person who downloads. */
void download_name(const struct job *job, char ret[FILENAME_MAX_BYTES + 1]);
/* 404. Ends the call. */
void download_fail_token(struct api_call *call);
