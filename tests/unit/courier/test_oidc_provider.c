#include "courier/oidc_provider.h"

#include "core/str.h"

#include <errno.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>

#include <cmocka.h>

#define ISSUER "https://login.example.com/realms/us"
#define URLS                                                                                                 \
    "\"authorization_endpoint\":\"https://login.example.com/auth?x=1\",\"token_endpoint\":\"https://"        \
    "login.example.com/token\",\"jwks_uri\":\"https://keys.example.com:8443/keys\""
#define SAID "{\"issuer\":\"" ISSUER "\"," URLS

static int read_text(const char *text, bool has_secret, struct provider_metadata *ret, const char **ret_why)
{
    return provider_read(text, strlen(text), ISSUER, "443 8443", has_secret, ret, ret_why);
}

static void it_is_found_below_the_issuer(void **state)
{
    char url[OIDC_URL_MAX + 1];

    assert_int_equal(provider_discovery_url(ISSUER, url), 0);
    assert_string_equal(url, ISSUER "/.well-known/openid-configuration");
    assert_int_equal(provider_discovery_url("https://us.auth0.example/", url), 0);
    assert_string_equal(url, "https://us.auth0.example/.well-known/openid-configuration");
}

static void what_it_says_is_read(void **state)
{
    static const struct {
        const char *text;
        bool has_secret;
        enum client_auth auth;
    } good[] = {
        {SAID "}", true, CLIENT_BASIC},
        {SAID "}", false, CLIENT_NONE},
        {SAID ",\"token_endpoint_auth_methods_supported\":[\"client_secret_post\"]}", true, CLIENT_POST},
        {SAID ",\"token_endpoint_auth_methods_supported\":[\"client_secret_post\",\"client_secret_basic\"]}",
         true, CLIENT_BASIC},
        {SAID ",\"code_challenge_methods_supported\":[\"plain\",\"S256\"]}", false, CLIENT_NONE},
    };
    struct provider_metadata m;
    const char *why;

    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        assert_int_equal(read_text(good[i].text, good[i].has_secret, &m, &why), 0);
        assert_int_equal(m.auth, good[i].auth);
        assert_string_equal(m.token_endpoint, "https://login.example.com/token");
        assert_string_equal(m.jwks_uri, "https://keys.example.com:8443/keys");
        assert_false(m.names_itself);
    }
    assert_int_equal(
        read_text(SAID ",\"authorization_response_iss_parameter_supported\":true}", false, &m, &why), 0);
    assert_true(m.names_itself);
}

static void what_can_not_be_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"issuer\":\"" ISSUER "/\"," URLS "}",
        "{\"issuer\":\"https://evil.example\"," URLS "}",
        "{\"issuer\":\"" ISSUER "\"}",
        SAID ",\"token_endpoint\":\"https://twice.example.com\"}",
        SAID ",\"response_types_supported\":[\"id_token\"]}",
        SAID ",\"code_challenge_methods_supported\":[\"plain\"]}",
        SAID ",\"token_endpoint_auth_methods_supported\":[\"private_key_jwt\"]}",
        "{\"issuer\":\"" ISSUER
        "\",\"authorization_endpoint\":\"javascript:alert(1)\",\"token_endpoint\":\"https://"
        "a.example\",\"jwks_uri\":\"https://a.example\"}",
        "{\"issuer\":\"" ISSUER
        "\",\"authorization_endpoint\":\"https://a.example\",\"token_endpoint\":\"http://"
        "a.example\",\"jwks_uri\":\"https://a.example\"}",
        "{\"issuer\":\"" ISSUER
        "\",\"authorization_endpoint\":\"https://a.example\",\"token_endpoint\":\"https://"
        "a.example\",\"jwks_uri\":\"https://a.example:6379\"}",
    };
    struct provider_metadata m;
    const char *why;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(read_text(bad[i], true, &m, &why), -EINVAL);
        assert_true(why && *why);
    }
}

static void a_code_is_written_as_a_form(void **state)
{
    static const struct code_grant grant = {.code = "a/b+c",
                                            .verifier = "v",
                                            .redirect_uri = "https://me.example/auth/oidc/callback",
                                            .client_id = "me:1",
                                            .client_secret = "s&=\xc3\xa9"};
#define FORM                                                                                                 \
    "grant_type=authorization_code&code=a%2Fb%2Bc&redirect_uri=https%3A%2F%2Fme.example%2Fauth%2Foidc%"      \
    "2Fcallback"                                                                                             \
    "&code_verifier=v"
    static const struct {
        enum client_auth auth;
        const char *body, *authorization;
    } cases[] = {
        {CLIENT_NONE, FORM "&client_id=me%3A1", NULL},
        {CLIENT_POST, FORM "&client_id=me%3A1&client_secret=s%26%3D%C3%A9", NULL},
        {CLIENT_BASIC, FORM, "Authorization: Basic bWUlM0ExOnMlMjYlM0QlQzMlQTk="},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_buf_ struct buf body = BUF_INIT(4096), authorization = BUF_INIT(4096);

        provider_write_grant(&grant, cases[i].auth, &body, &authorization);
        assert_int_equal(buf_error(&body), 0);
        assert_string_equal(body.data, cases[i].body);
        if (cases[i].authorization)
            assert_string_equal(authorization.data, cases[i].authorization);
        else
            assert_int_equal(authorization.len, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_found_below_the_issuer),
        cmocka_unit_test(what_it_says_is_read),
        cmocka_unit_test(what_can_not_be_is_refused),
        cmocka_unit_test(a_code_is_written_as_a_form),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
