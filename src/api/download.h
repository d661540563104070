/* What downloads have in common, of one result or of many. */
#pragma once

#include "api/api.h"

/* No browser may run what we hand out: not as a page, not as a script, not by guessing a type (browser.h). */
void download_headers(struct api_call *call, const char *filename);
/* 404. Ends the call. */
void download_fail_token(struct api_call *call);
