#include "api/browser.h"

#include "core/origin.h"
#include "core/str.h"

/* Browsers neither guess a type, nor tell anybody an address (a link's token is in it), nor load an answer
 * into a page of another origin, nor run or frame what they show of it. Pages and downloads have policies of
 * their own, stricter or as strict. */
static const struct {
    const char *name, *value;
} common[] = {
    {"X-Content-Type-Options", "nosniff"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"},
    {"X-Frame-Options", "DENY"},
};

static const struct settings *settings_of(const struct http_request *req)
{
    return ((const struct api *)http_request_app(req))->settings;
}

static bool is_configured(const struct settings *s, const char *origin)
{
    return origin && origins_have(s->cors_origins, origin);
}

/* SameSite=Strict keeps the cookie from pages of other sites, whatever is allowed here. */
static void open_cors(const struct settings *s, struct http_request *req)
{
    const char *origin = http_request_header(req, "Origin");

    http_reply_header(req, "Vary", "Origin");
    if (!is_configured(s, origin))
        return;
    http_reply_header(req, "Access-Control-Allow-Origin", origin);
    http_reply_header(req, "Access-Control-Allow-Credentials", "true");
    http_reply_header(req, "Access-Control-Expose-Headers",
                      "Accept-Ranges, Content-Disposition, Content-Range, Idempotent-Replayed, Location, "
                      "Preference-Applied, Retry-After, Tus-Checksum-Algorithm, Tus-Extension, Tus-Max-Size, "
                      "Tus-Resumable, Tus-Version, Upload-Expires, Upload-Job, Upload-Length, "
                      "Upload-Metadata, Upload-Offset, X-Job-Id, X-Request-Id");
}

void browser_vary(struct http_request *req, const char *field)
{
    char both[64];

    snprintf(both, sizeof both, "Origin, %s", field);
    http_reply_header(req, "Vary", *settings_of(req)->cors_origins ? both : field);
}

void browser_prepare(struct http_request *req)
{
    const struct settings *s = settings_of(req);

    for (size_t i = 0; i < ARRAY_SIZE(common); i++)
        http_reply_header(req, common[i].name, common[i].value);
    if (*s->cors_origins)
        open_cors(s, req);
}

void browser_preflight(struct api_call *call)
{
    struct http_request *req = call->req;
    _cleanup_buf_ struct buf methods = BUF_INIT(512);

    http_request_allow(req, &methods);
    if (buf_error(&methods) == 0 && is_configured(call->api->settings, http_request_header(req, "Origin"))) {
        http_reply_header(req, "Access-Control-Allow-Methods", methods.data);
        http_reply_header(req, "Access-Control-Allow-Headers",
                          "Authorization, Cache-Control, Content-Type, Idempotency-Key, Last-Event-ID, "
                          "Prefer, Range, Tus-Resumable, Upload-Checksum, Upload-Length, Upload-Metadata, "
                          "Upload-Offset, X-CSRF-Token");
        http_reply_header(req, "Access-Control-Max-Age", "600");
    }
    api_reply(call, 204, NULL, "", 0);
}

/* What the browser believes to speak to. A proxy that puts another Host there says what it was; a page can
 * set neither header, unless CORS allowed it, which it does not. */
static bool was_sent_to(const struct http_request *req, const char *origin)
{
    const char *host = http_request_header(req, "X-Forwarded-Host");

    if (!host)
        host = http_request_header(req, "Host");
    return origin_is(origin, http_request_header(req, "X-Forwarded-Proto"), host);
}

bool browser_may_change(const struct settings *s, const struct http_request *req)
{
    const char *origin = http_request_header(req, "Origin"),
               *site = http_request_header(req, "Sec-Fetch-Site"); /* none: typed, or a bookmark */

    if (is_configured(s, origin))
        return true;
    if (site && !str_eq(site, "same-origin") && !str_eq(site, "none"))
        return false;
    return !origin || was_sent_to(req, origin);
}

bool browser_may_use_host(const struct settings *s, const struct http_request *req)
{
    const char *path = http_request_path(req);

    return !*s->download_origin || was_sent_to(req, s->download_origin) ==
                                       (str_eq(path, "/download") || str_eq(path, "/download/archive"));
}
