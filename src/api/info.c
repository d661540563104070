/* GET / where there is no page, /formats, /healthz and /readyz. */
#include "api/api.h"

#include "api/index.html.h"
#include "api/kept.h"
#include "api/readiness.h"
#include "engine/catalogue.h"

#include <errno.h>
#include <string.h>

void api_index(struct api_call *call)
{
    if (call->api->pages) {
        api_page(call);
        return;
    }
    api_reply(call, 200, "text/html; charset=utf-8", index_html, sizeof index_html - 1);
}

/* The catalogue is what it was at the start. */
int api_formats_make(struct kept *ret)
{
    _cleanup_json_ json_t *catalogue = catalogue_json();
    char *text = json_dumps(catalogue, JSON_COMPACT);

    if (!text)
        return -ENOMEM;
    *ret = (struct kept){.type = "application/json", .cache = "no-cache"};
    kept_set(ret, KEPT_PLAIN, text, strlen(text));
    return kept_compress(ret);
}

void api_formats(struct api_call *call)
{
    kept_reply(call, call->api->formats);
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
