#include "courier/oidc_provider.h"

#include "core/sentinels.h"
#include "core/str.h"
#include "core/webhook.h"

#include <errno.h>
#include <sodium.h>

enum { CREDENTIALS_MAX = 16 * 1024 };

int provider_discovery_url(const char *issuer, char ret[OIDC_URL_MAX + 1])
{
    size_t len = strlen(issuer);

    if (len > 0 && issuer[len - 1] == '/')
        len--;
    return snprintf(ret, OIDC_URL_MAX + 1, "%.*s/.well-known/openid-configuration", (int)len, issuer) >
                   OIDC_URL_MAX
               ? -EINVAL
               : 0;
}

static const char *text(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

/* Absent: nothing is said of it. */
static bool lists(const json_t *object, const char *name, const char *value, bool absent)
{
    const json_t *list = json_object_get(object, name), *one;
    size_t i;

    json_array_foreach(list, i, one) if (str_eq(json_string_value(one), value)) return true;
    return !list && absent;
}

/* `ports` NULL: browsers go there, and may to any. */
static bool copy_url(const json_t *object, const char *name, const char *ports, char ret[OIDC_URL_MAX + 1])
{
    const char *url = text(object, name);
    struct webhook_place place;

    if (!url || webhook_url_parse(url, &place) < 0 || (ports && !ports_have(ports, place.port)))
        return false;
    return snprintf(ret, OIDC_URL_MAX + 1, "%s", url) <= OIDC_URL_MAX;
}

static bool choose_auth(const json_t *object, bool has_secret, enum client_auth *ret)
{
    static const char methods[] = "token_endpoint_auth_methods_supported";

    if (!has_secret)
        *ret = CLIENT_NONE; /* many take public clients and don't say so */
    else if (lists(object, methods, "client_secret_basic", true))
        *ret = CLIENT_BASIC;
    else if (lists(object, methods, "client_secret_post", false))
        *ret = CLIENT_POST;
    else
        return false;
    return true;
}

int provider_read(const char *body, size_t len, const char *issuer, const char *ports, bool has_secret,
                  struct provider_metadata *ret, const char **ret_why)
{
    _cleanup_json_ json_t *json = json_loadb(body, len, JSON_REJECT_DUPLICATES, NULL);

    *ret_why = NULL;
    if (!json_is_object(json))
        *ret_why = "What it says of itself is no JSON object.";
    else if (!str_eq(text(json, "issuer"), issuer))
        *ret_why = "It says that it is another issuer than DECANT_OIDC_ISSUER, to the letter.";
    else if (!copy_url(json, "authorization_endpoint", NULL, ret->authorization_endpoint))
        *ret_why = "Its authorization_endpoint is none of https.";
    else if (!copy_url(json, "token_endpoint", ports, ret->token_endpoint) ||
             !copy_url(json, "jwks_uri", ports, ret->jwks_uri))
        *ret_why = "Its token_endpoint and jwks_uri have to be of https, at one of DECANT_COURIER_PORTS.";
    else if (!lists(json, "response_types_supported", "code", true))
        *ret_why = "It doesn't know the authorization code flow.";
    else if (!lists(json, "code_challenge_methods_supported", "S256", true))
        *ret_why = "It knows PKCE, but not S256.";
    else if (!choose_auth(json, has_secret, &ret->auth))
        *ret_why = "It takes a client's secret neither by client_secret_basic nor by client_secret_post.";
    if (*ret_why)
        return -EINVAL;
    ret->names_itself = json_is_true(json_object_get(json, "authorization_response_iss_parameter_supported"));
    return 0;
}

/* --- codes */

static void add_field(struct buf *body, const char *name, const char *value)
{
    buf_printf(body, "%s%s=", body->len > 0 ? "&" : "", name);
    buf_append_escaped(body, value);
}

/* RFC 6749, section 2.3.1: both are written as in a form first. */
static void write_basic(const struct code_grant *grant, struct buf *authorization)
{
    _cleanup_buf_ struct buf both = BUF_INIT(CREDENTIALS_MAX);
    char encoded[sodium_base64_ENCODED_LEN(CREDENTIALS_MAX, sodium_base64_VARIANT_ORIGINAL)];

    both.secret = true;
    buf_append_escaped(&both, grant->client_id);
    buf_append_str(&both, ":");
    buf_append_escaped(&both, grant->client_secret);
    if (buf_error(&both)) {
        authorization->error = buf_error(&both);
        return;
    }
    sodium_bin2base64(encoded, sizeof encoded, (const unsigned char *)both.data, both.len,
                      sodium_base64_VARIANT_ORIGINAL);
    buf_printf(authorization, "Authorization: Basic %s", encoded);
    explicit_bzero(encoded, sizeof encoded);
}

void provider_write_grant(const struct code_grant *grant, enum client_auth auth, struct buf *body,
                          struct buf *authorization)
{
    add_field(body, "grant_type", "authorization_code");
    add_field(body, "code", grant->code);
    add_field(body, "redirect_uri", grant->redirect_uri);
    add_field(body, "code_verifier", grant->verifier);
    if (auth != CLIENT_BASIC)
        add_field(body, "client_id", grant->client_id);
    if (auth == CLIENT_POST)
        add_field(body, "client_secret", grant->client_secret);
    if (auth == CLIENT_BASIC)
        write_basic(grant, authorization);
}
