/* The description of the API is made at the start: is it whole, is it of the routes that there are, and does
 * nothing in it lead nowhere? */
#include "api/openapi/openapi.h"

#include "api/routes.h"
#include "core/str.h"
#include "engine/catalogue.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct settings settings = {.max_upload_bytes = 1000};

static int make(void **state)
{
    char why[256];

    *state = openapi_document(&settings, why, sizeof why);
    if (!*state)
        fail_msg("%s", why);
    return 0;
}

static int drop(void **state)
{
    json_decref(*state);
    return 0;
}

/* The value at "/a/b" ("~1" is a slash, RFC 6901), or NULL. */
static json_t *at(const json_t *json, const char *pointer)
{
    const json_t *found = json;

    while (found && *pointer == '/') {
        char name[256] = "";
        size_t n = 0;

        for (pointer++; *pointer && *pointer != '/'; pointer++) {
            if (pointer[0] == '~' && pointer[1] == '1') {
                name[n++] = '/';
                pointer++;
            } else {
                name[n++] = *pointer;
            }
            assert_true(n < sizeof name);
        }
        found = json_object_get(found, name);
    }
    return (json_t *)found;
}

static json_t *operation_of(const json_t *document, const struct route *route)
{
    char method[16] = "";

    for (size_t i = 0; route->method[i]; i++)
        method[i] = (char)tolower((unsigned char)route->method[i]);
    return json_object_get(json_object_get(at(document, "/paths"), route->path), method);
}

static bool has_code(const json_t *operation, const char *status, const char *code)
{
    json_t *schema = at(json_object_get(json_object_get(operation, "responses"), status),
                        "/content/application~1problem+json/schema"),
           *one;
    size_t i;

    json_array_foreach(at(json_array_get(json_object_get(schema, "allOf"), 1), "/properties/code/enum"), i,
                       one) if (str_eq(json_string_value(one), code)) return true;
    return false;
}

static void each_route_is_described_and_nothing_else(void **state)
{
    struct route route;
    size_t routes = 0, described = 0;
    const char *path;
    json_t *item;

    for (; route_get(routes, &settings, &route); routes++)
        if (!operation_of(*state, &route))
            fail_msg("%s %s is not described", route.method, route.path);
    json_object_foreach(at(*state, "/paths"), path, item) described += json_object_size(item);
    assert_int_equal(described, routes);
}

static bool knows_tag(const json_t *document, const char *name)
{
    json_t *tag;
    size_t i;

    json_array_foreach(at(document, "/tags"), i,
                       tag) if (str_eq(json_string_value(at(tag, "/name")), name)) return true;
    return false;
}

static void operations_have_names_and_places(void **state)
{
    _cleanup_json_ json_t *ids = json_object();
    struct route route;

    for (size_t i = 0; route_get(i, &settings, &route); i++) {
        json_t *operation = operation_of(*state, &route);
        const char *id = json_string_value(at(operation, "/operationId"));

        if (!id || json_object_get(ids, id))
            fail_msg("%s %s: the operationId %s is not its own", route.method, route.path, id);
        json_object_set_new(ids, id, json_true());
        if (!knows_tag(*state, json_string_value(json_array_get(at(operation, "/tags"), 0))))
            fail_msg("%s %s: its tag is not in document.json", route.method, route.path);
    }
}

static bool has_path_parameter(const json_t *document, const json_t *operation, const char *name, size_t len)
{
    json_t *one;
    size_t i;

    json_array_foreach(at(operation, "/parameters"), i, one)
    {
        const char *reference = json_string_value(at(one, "/$ref"));
        const json_t *parameter = reference ? at(document, reference + 1) : one;
        const char *own = json_string_value(at(parameter, "/name"));

        if (own && strlen(own) == len && memcmp(own, name, len) == 0 &&
            str_eq(json_string_value(at(parameter, "/in")), "path") &&
            json_is_true(at(parameter, "/required")))
            return true;
    }
    return false;
}

static void what_varies_in_a_path_is_a_parameter(void **state)
{
    struct route route;

    for (size_t i = 0; route_get(i, &settings, &route); i++)
        for (const char *p = route.path; (p = strchr(p, '{')); p++)
            if (!has_path_parameter(*state, operation_of(*state, &route), p + 1, strcspn(p + 1, "}")))
                fail_msg("%s %s needs a required parameter in \"path\"", route.method, route.path);
}

static void check_references(const json_t *document, const json_t *json)
{
    const char *name, *reference = json_string_value(json_object_get(json, "$ref"));
    json_t *part;
    size_t i;

    if (reference && (!str_starts(reference, "#/") || !at(document, reference + 1)))
        fail_msg("there is no %s", reference);
    json_object_foreach((json_t *)json, name, part) check_references(document, part);
    json_array_foreach((json_t *)json, i, part) check_references(document, part);
}

static void references_lead_somewhere(void **state)
{
    check_references(*state, *state);
}

static void errors_are_those_of_the_table(void **state)
{
    for (unsigned i = 0; i < API_ERROR_COUNT_; i++) {
        const struct api_error_info *info = api_error_info((enum api_error)i);
        char status[8];
        struct route route;
        bool found = info->status == 405; /* of no operation */

        snprintf(status, sizeof status, "%u", info->status);
        for (size_t k = 0; !found && route_get(k, &settings, &route); k++)
            found = has_code(operation_of(*state, &route), status, info->code) ||
                    has_code(at(*state, "/components"), "Anywhere", info->code);
        if (!found)
            fail_msg("no operation can fail with %s", info->code);
    }
}

static void nothing_is_enough_where_the_settings_say_so(void **state)
{
    const struct settings open = {.max_upload_bytes = 1000, .anonymous_calls = 1};
    char why[256];
    _cleanup_json_ json_t *document = openapi_document(&open, why, sizeof why);
    struct route route;

    assert_non_null(document);
    for (size_t i = 0; route_get(i, &open, &route); i++) {
        bool may = (route.endpoint->needs & API_MAY_BE_ANONYMOUS) != 0;
        const json_t *before = at(operation_of(*state, &route), "/security");
        const json_t *after = at(operation_of(document, &route), "/security");

        assert_int_equal(json_array_size(after), json_array_size(before) + may);
        assert_true(!may || json_object_size(json_array_get(after, json_array_size(before))) == 0);
        assert_int_equal(may, str_eq(route.path, "/v1/convert"));
    }
}

static void what_is_needed_says_what_is_refused(void **state)
{
    struct route route;

    for (size_t i = 0; route_get(i, &settings, &route); i++) {
        const json_t *operation = operation_of(*state, &route);
        enum api_needs needs = route.endpoint->needs;
        bool session = (needs & API_NEEDS_SESSION) == API_NEEDS_SESSION;
        bool csrf = (needs & API_NEEDS_CSRF) == API_NEEDS_CSRF;
        json_t *first = json_array_get(at(operation, "/security"), 0);

        bool account = (needs & API_NEEDS_ACCOUNT) == API_NEEDS_ACCOUNT;

        assert_int_equal(has_code(operation, "401", "session_required"), session && !account);
        assert_int_equal(has_code(operation, "403", "plan_required"),
                         (needs & API_NEEDS_PREMIUM) == API_NEEDS_PREMIUM);
        assert_int_equal(has_code(operation, "403", "scope_required"),
                         session || str_eq(route.path, "/session/init"));
        assert_int_equal(json_object_get(first, "session") != NULL, session);
        assert_int_equal(json_object_get(first, "csrf") != NULL, csrf);
        assert_int_equal(has_code(operation, "403", "csrf_invalid"), (needs & API_NEEDS_OUR_PAGE) != 0);
        assert_int_equal(has_code(operation, "429", "rate_limited"), route.endpoint->limit != LIMIT_NONE);
    }
}

static void limits_are_those_of_the_settings(void **state)
{
    const char *words = json_string_value(at(*state, "/paths/~1upload/post/responses/413/description"));

    assert_non_null(strstr(words, "66536 bytes")); /* with the form around it */
}

static void a_status_may_be_an_answer_and_an_error(void **state)
{
    json_t *response = at(*state, "/paths/~1readyz/get/responses/503");

    assert_non_null(at(response, "/content/application~1json"));
    assert_true(has_code(at(*state, "/paths/~1readyz/get"), "503", "unavailable"));
    assert_non_null(at(response, "/headers/Retry-After"));
}

/* The pattern of a set is made of its words as they are. */
static void words_of_sets_mean_nothing_in_a_pattern(void **state)
{
    _cleanup_json_ json_t *catalogue = catalogue_json();
    json_t *option, *choice;
    const char *id;
    size_t i;

    json_object_foreach(json_object_get(catalogue, "options"), id, option)
    {
        if (!str_eq(json_string_value(at(option, "/type")), "set"))
            continue;
        json_array_foreach(at(option, "/choices"), i, choice)
            assert_null(strpbrk(json_string_value(choice), ".^$*+?()[]{}\\|"));
    }
}

static void options_are_those_of_the_catalogue(void **state)
{
    _cleanup_json_ json_t *catalogue = catalogue_json();
    const json_t *properties = at(*state, "/components/schemas/Options/properties");
    json_t *option;
    const char *id;

    json_object_foreach(json_object_get(catalogue, "options"), id, option)
        assert_non_null(json_object_get(properties, json_string_value(json_object_get(option, "name"))));
    assert_non_null(json_object_get(properties, "dpi"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_route_is_described_and_nothing_else),
        cmocka_unit_test(operations_have_names_and_places),
        cmocka_unit_test(what_varies_in_a_path_is_a_parameter),
        cmocka_unit_test(references_lead_somewhere),
        cmocka_unit_test(errors_are_those_of_the_table),
        cmocka_unit_test(nothing_is_enough_where_the_settings_say_so),
        cmocka_unit_test(what_is_needed_says_what_is_refused),
        cmocka_unit_test(limits_are_those_of_the_settings),
        cmocka_unit_test(a_status_may_be_an_answer_and_an_error),
        cmocka_unit_test(words_of_sets_mean_nothing_in_a_pattern),
        cmocka_unit_test(options_are_those_of_the_catalogue),
    };

    return cmocka_run_group_tests(tests, make, drop);
}
