#include "api/receive.h"

#include "core/log.h"
#include "engine/catalogue.h"

#include <errno.h>

int refuse(struct refusal *ret, enum api_error error, const char *detail)
{
    *ret = (struct refusal){error, detail};
    return -ECANCELED;
}

/* `event`: for the log. */
static int refuse_for_disk(const struct receive *r, int err, const char *event, struct refusal *why)
{
    struct http_request *req = r->in.call->req;

    if (err == -ENOSPC || err == -EDQUOT)
        return refuse(why, API_STORAGE_FULL, "The server has no room for this file just now.");
    log_error(event, LOG_S("request_id", http_request_id(req)),
              LOG_S("trace_id", http_request_trace(req)->id), LOG_E(err));
    return refuse(why, API_INTERNAL, "The server could not store the file.");
}

int receive_begin(struct receive *r, const char *filename, struct refusal *why)
{
    struct intake *in = &r->in;
    int64_t announced = http_request_content_length(in->call->req);
    int err;

    if (!filename || !*filename) /* empty: what browsers send when no file was chosen */
        return refuse(why, API_BAD_REQUEST, "The form field \"file\" has to be a file with a name.");
    filename_clean(filename, in->filename);
    in->format = format_by_name(in->filename);
    if (!in->format || !catalogue_accepts(in->format))
        return refuse(why, API_UNSUPPORTED_TYPE,
                      "Files with this extension can't be converted; GET /formats lists what can.");
    err = storage_upload_begin(in->api->storage, announced > 0 ? (uint64_t)announced : 0,
                               in->api->settings->reserve_bytes, &in->file);
    if (err < 0)
        return refuse_for_disk(r, err, "upload not begun", why);
    sha256_init(&r->sha256);
    return 0;
}

int receive_data(struct receive *r, const void *data, size_t len, struct refusal *why)
{
    struct intake *in = &r->in;
    int err;

    if (len > in->call->plan->max_upload_bytes - in->size)
        return refuse(why, API_TOO_LARGE, "The file is larger than this server takes.");
    sha256_update(&r->sha256, len, data);
    err = intake_write(in, data, len);
    return err < 0 ? refuse_for_disk(r, err, "upload not written", why) : 0;
}

/* The hash, too, for whoever has to know what it is before it is stored. */
void receive_check(struct receive *r)
{
    intake_set_hash(&r->in, &r->sha256);
    r->checked = intake_check(&r->in);
}

void receive_store(struct receive *r)
{
    if (sniff_refusal(r->checked)) {
        intake_fail(&r->in, API_TYPE_MISMATCH, sniff_refusal(r->checked));
    } else if (r->checked < 0) {
        intake_fail_disk(&r->in, r->checked);
    } else {
        intake_store(&r->in);
    }
}
