/* GET /, /formats, /healthz and /readyz. */
#include "api/api.h"

#include "api/index.html.h"
#include "api/readiness.h"
#include "engine/catalogue.h"

void api_index(struct api_call *call)
{
    api_reply(call, 200, "text/html; charset=utf-8", index_html, sizeof index_html - 1);
}

/* The catalogue is what it was at the start: its text is made once, and kept. */
void api_formats(struct api_call *call)
{
    static char *text;

    if (!text) {
        _cleanup_json_ json_t *catalogue = catalogue_json();

        text = json_dumps(catalogue, JSON_COMPACT);
    }
    http_reply_header(call->req, "Cache-Control", "no-store");
    if (text)
        api_reply(call, 200, "application/json", text, strlen(text));
    else
        api_fail(call, API_INTERNAL, "Out of memory.");
}

void api_healthz(struct api_call *call)
{
    api_reply_json(call, 200, json_pack("{s:s, s:s}", "status", "ok", "version", DECANT_VERSION));
}

static void on_readiness(void *arg, const struct readiness *r)
{
    struct api_call *call = arg;

    json_object_set_new(r->parts, "ready", json_boolean(r->ready));
    if (!r->ready)
        http_reply_header(call->req, "Retry-After", "2");
    api_reply_json(call, r->ready ? 200 : 503, json_incref(r->parts));
}

void api_readyz(struct api_call *call)
{
    readiness_ask(call->api, on_readiness, call);
}
