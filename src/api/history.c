/* GET and DELETE /history: the jobs of an account, whichever browser or program has sent them. */
#include "api/api.h"

#include "api/remove.h"
#include "core/str.h"
#include "state/job_list.h"

#include <errno.h>
#include <inttypes.h>

enum { PAGE_DEFAULT = 20 };

struct history {
    struct api_call *call;
    uint64_t limit;
};

/* "{when it was made}.{job}", as next_cursor told it. */
static int parse_cursor(const char *text, struct job_cursor *ret)
{
    const char *dot = strchr(text, '.');
    char number[24];

    if (!dot || (size_t)(dot - text) >= sizeof number || !id_is_uuid(dot + 1))
        return -EINVAL;
    memcpy(number, text, (size_t)(dot - text));
    number[dot - text] = '\0';
    memcpy(ret->job_id, dot + 1, sizeof ret->job_id);
    return str_to_u64(number, 0, UINT64_MAX, &ret->created_ms);
}

static void write_page(struct buf *out, const struct job jobs[], size_t n, const struct job_cursor *next,
                       uint64_t retention_s)
{
    buf_append_str(out, "{\"jobs\":[");
    for (size_t i = 0; i < n; i++) {
        buf_append_str(out, i == 0 ? "" : ",");
        job_json_write(out, &jobs[i]);
    }
    if (next)
        buf_printf(out, "],\"next_cursor\":\"%" PRIu64 ".%s\"", next->created_ms, next->job_id);
    else
        buf_append_str(out, "],\"next_cursor\":null");
    buf_printf(out, ",\"retention_seconds\":%" PRIu64 "}", retention_s);
}

/* A full page may be the last one; then the next is empty. */
static void on_listed(void *arg, int err, const struct job jobs[], size_t n, const struct job_cursor *next)
{
    struct history *h = arg;
    _cleanup_buf_ struct buf json = BUF_INIT(JOB_LIST_MAX * (size_t)JOB_JSON_BYTES_MAX);

    if (err < 0) {
        api_fail_state(h->call, err);
        return;
    }
    write_page(&json, jobs, n, n == h->limit ? next : NULL, h->call->plan->retention_s);
    if (buf_error(&json)) {
        api_fail(h->call, API_INTERNAL, "These jobs have more to say than there is room for. Ask for fewer.");
        return;
    }
    http_reply_header(h->call->req, "Cache-Control", "no-store");
    api_reply_buf(h->call, 200, "application/json", &json);
}

void api_history(struct api_call *call)
{
    struct history *h = http_request_alloc(call->req, sizeof *h);
    const char *cursor = http_request_query(call->req, "cursor"),
               *limit = http_request_query(call->req, "limit");
    struct job_cursor from = {0};

    h->call = call;
    h->limit = PAGE_DEFAULT;
    if (limit && str_to_u64(limit, 1, JOB_LIST_MAX, &h->limit) < 0)
        api_fail(call, API_BAD_REQUEST, "The parameter \"limit\" has to be a whole number from 1 to 100.");
    else if (cursor && parse_cursor(cursor, &from) < 0)
        api_fail(call, API_BAD_REQUEST,
                 "The parameter \"cursor\" has to be a \"next_cursor\" of this history.");
    else
        job_list(call->api->redis, call->session.id, &from, h->limit, on_listed, h);
}

/* --- all of them, one after the other, as DELETE /v1/jobs/{id} does */

struct emptying {
    struct api_call *call;
    struct job_cursor from;
    char ids[JOB_LIST_MAX][ID_UUID_LEN + 1];
    size_t n, at;
    uint64_t deleted, left;
};

static void remove_next(struct emptying *e);

/* What another job still needs stays; whatever can't be done at all ends it. */
static void on_removed(void *arg, const struct api_end *end)
{
    struct emptying *e = arg;

    if (end->status == 0 && !end->detail) {
        api_abandon(e->call);
        return;
    }
    if (end->status == 0 && end->error != API_JOB_NOT_FOUND && end->error != API_WRONG_STATE) {
        api_fail(e->call, end->error, end->detail);
        return;
    }
    e->deleted += end->status != 0;
    e->left += end->status == 0 && end->error == API_WRONG_STATE;
    e->at++;
    remove_next(e);
}

static void on_page(void *arg, int err, const struct job jobs[], size_t n, const struct job_cursor *next)
{
    struct emptying *e = arg;

    if (err < 0) {
        api_fail_state(e->call, err);
        return;
    }
    if (n == 0) {
        api_reply_json(
            e->call, 200,
            json_pack("{s:I, s:I}", "deleted", (json_int_t)e->deleted, "left", (json_int_t)e->left));
        return;
    }
    for (size_t i = 0; i < n; i++)
        memcpy(e->ids[i], jobs[i].job_id, sizeof e->ids[i]);
    e->n = n;
    e->at = 0;
    e->from = *next;
    remove_next(e);
}

static void remove_next(struct emptying *e)
{
    struct api_call *call = e->call;

    if (!call->api->redis) /* the server has stopped meanwhile */
        api_fail_state(call, -ENOTCONN);
    else if (e->at < e->n)
        api_reply_removed(api_call_within(call, on_removed, e), e->ids[e->at]);
    else
        job_list(call->api->redis, call->session.id, &e->from, JOB_LIST_MAX, on_page, e);
}

void api_history_empty(struct api_call *call)
{
    struct emptying *e = http_request_alloc(call->req, sizeof *e);

    e->call = call;
    remove_next(e);
}
