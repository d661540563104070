#include "api/openapi/openapi.h"

#include "api/failure.h"
#include "api/kept.h"
#include "api/openapi/document.json.h"
#include "api/openapi/operations.json.h"
#include "api/routes.h"
#include "core/outcome.h"
#include "core/str.h"
#include "engine/catalogue.h"

#include <ctype.h>
#include <errno.h>

/* What any call may end with, whatever it is: refused by the HTTP layer, sent to the wrong host, or met by a
 * server that is in trouble. */
static const enum api_error anywhere[] = {API_BAD_REQUEST,      API_NOT_FOUND, API_REQUEST_TIMEOUT,
                                          API_TOO_LARGE,        API_INTERNAL,  API_UNAVAILABLE,
                                          API_HEADERS_TOO_LARGE};

/* Security Requirement Objects, by what a route needs; an operation may have its own. */
#define BY_SESSION          "[{\"session\": []}, {\"bearer\": []}]"
#define BY_TOKEN            "[{\"session\": [], \"csrf\": []}, {\"bearer\": []}]"
#define BY_TOKEN_OR_NOTHING "[{\"session\": [], \"csrf\": []}, {\"bearer\": []}, {}]"

static bool needs(const struct route *route, enum api_needs what)
{
    return (route->endpoint->needs & what) == what;
}

static bool may_be_anonymous(const struct route *route, const struct settings *settings)
{
    return needs(route, API_MAY_BE_ANONYMOUS) && settings->anonymous_calls > 0;
}

/* What the table asks of a caller, in words: for who tests or generates by them. */
static json_t *names_of_needs(const struct route *route, const struct settings *settings)
{
    static const struct {
        enum api_needs what;
        const char *name;
    } names[] = {{API_NEEDS_OUR_PAGE, "our_page"}, {API_KNOWS_BEARERS, "good_bearer"},
                 {API_NEEDS_SESSION, "session"},   {API_NEEDS_CSRF, "csrf"},
                 {API_NEEDS_ACCOUNT, "account"},   {API_NEEDS_PREMIUM, "premium"}};
    json_t *found = json_array();

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (needs(route, names[i].what))
            json_array_append_new(found, json_string(names[i].name));
    if (may_be_anonymous(route, settings))
        json_array_append_new(found, json_string("or_nothing"));
    return found;
}

static json_t *name_of_scope(const struct route *route)
{
    unsigned scope = api_needed_scope(route->endpoint->needs);

    return scope == 0 ? json_null() : json_string(scope == SCOPE_READ ? "read" : "convert");
}

static const char *security(const struct route *route, const struct settings *settings)
{
    if (may_be_anonymous(route, settings))
        return BY_TOKEN_OR_NOTHING;
    if (needs(route, API_NEEDS_CSRF))
        return BY_TOKEN;
    return needs(route, API_NEEDS_SESSION) ? BY_SESSION : "[]";
}

struct making {
    const struct settings *settings;
    json_t *document, *operations;
    char *why;
    size_t why_size;
};

typedef struct {
    bool has[API_ERROR_COUNT_];
    bool failures; /* and those of conversions (failure.h) */
} error_set;

static int fail(struct making *m, const char *format, ...) _printf_(2, 3);

static int fail(struct making *m, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(m->why, m->why_size, format, args);
    va_end(args);
    return -EINVAL;
}

static int read_text(struct making *m, const char *name, const char *text, json_t **ret)
{
    json_error_t error;

    *ret = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    return *ret ? 0 : fail(m, "%s, line %d: %s", name, error.line, error.text);
}

/* --- errors */

static error_set implied_errors(const struct route *route)
{
    error_set set = {0};

    set.has[API_AUTH_INVALID] = needs(route, API_KNOWS_BEARERS);
    set.has[API_AUTH_REQUIRED] = needs(route, API_NEEDS_ACCOUNT);
    set.has[API_PLAN_REQUIRED] = needs(route, API_NEEDS_PREMIUM);
    set.has[API_SESSION_REQUIRED] = needs(route, API_NEEDS_SESSION) && !needs(route, API_NEEDS_ACCOUNT);
    set.has[API_SCOPE_REQUIRED] = needs(route, API_NEEDS_SESSION);
    set.has[API_CSRF_INVALID] = needs(route, API_NEEDS_OUR_PAGE);
    set.has[API_RATE_LIMITED] = route->endpoint->limit != LIMIT_NONE;
    set.has[API_TOO_LARGE] = route->body != HTTP_BODY_NONE;
    return set;
}

/* The next one of the set from `*at` on; NULL: there is none. */
static const struct api_error_info *next_error(const error_set *set, size_t *at)
{
    while (*at < API_ERROR_COUNT_) {
        size_t i = (*at)++;

        if (set->has[i])
            return api_error_info((enum api_error)i);
    }
    return set->failures ? failure_get((*at)++ - API_ERROR_COUNT_) : NULL;
}

static bool has_status(const error_set *set, unsigned status)
{
    const struct api_error_info *info;

    for (size_t at = 0; (info = next_error(set, &at));)
        if (info->status == status)
            return true;
    return false;
}

static json_t *reference(const char *kind, const char *name)
{
    return json_pack("{s:s++}", "$ref", "#/components/", kind, name);
}

static json_t *problem_content(const error_set *set, unsigned status)
{
    json_t *codes = json_array(),
           *narrower = json_pack("{s:{s:o}}", "properties", "code", json_pack("{s:o}", "enum", codes));
    const struct api_error_info *info;

    for (size_t at = 0; (info = next_error(set, &at));)
        if (status == 0 || info->status == status)
            json_array_append_new(codes, json_string(info->code));
    if (status > 0)
        json_object_set_new(json_object_get(narrower, "properties"), "status",
                            json_pack("{s:i}", "const", (int)status));
    return json_pack("{s:{s:[o, o]}}", "schema", "allOf", reference("schemas/", "Problem"), narrower);
}

static json_t *error_description(const error_set *set, unsigned status, const struct route *route)
{
    _cleanup_buf_ struct buf text = BUF_INIT(4096);
    const struct api_error_info *info;

    for (size_t at = 0; (info = next_error(set, &at));)
        if (info->status == status)
            buf_printf(&text, "%s`%s`: %s.", text.len > 0 ? " " : "", info->code, info->title);
    if (status == api_error_info(API_TOO_LARGE)->status && route->body != HTTP_BODY_NONE)
        buf_printf(&text, " The body may have %zu bytes.", route->body_max);
    return buf_error(&text) ? NULL : json_string(text.data);
}

static bool has_retry_after(const struct api_error_info *info)
{
    return info->retry_after_s > 0;
}

static bool has_challenge(const struct api_error_info *info)
{
    return info->challenge != NULL;
}

/* Do all errors of this status come with it? */
static bool all_come_with(const error_set *set, unsigned status, bool has(const struct api_error_info *info))
{
    const struct api_error_info *info;

    for (size_t at = 0; (info = next_error(set, &at));)
        if (info->status == status && !has(info))
            return false;
    return has_status(set, status);
}

static json_t *member(json_t *object, const char *name)
{
    json_t *found = json_object_get(object, name);

    if (!found && json_object_set_new(object, name, json_object()) == 0)
        found = json_object_get(object, name);
    return found;
}

/* One status may be a good answer of this operation and somebody else's error (GET /readyz, 503). */
static int add_error_response(json_t *responses, const error_set *set, unsigned status,
                              const struct route *route)
{
    char key[8];
    json_t *response;
    int r = 0;

    snprintf(key, sizeof key, "%u", status);
    response = member(responses, key);
    if (!json_object_get(response, "description"))
        r = json_object_set_new(response, "description", error_description(set, status, route));
    if (r == 0 && all_come_with(set, status, has_retry_after))
        r = json_object_set_new(member(response, "headers"), "Retry-After",
                                reference("headers/", "RetryAfter"));
    if (r == 0 && all_come_with(set, status, has_challenge))
        r = json_object_set_new(member(response, "headers"), "WWW-Authenticate",
                                reference("headers/", "Authenticate"));
    return r < 0 ? r
                 : json_object_set_new(member(response, "content"), "application/problem+json",
                                       problem_content(set, status));
}

static int add_own_errors(struct making *m, const char *key, const json_t *codes, error_set *set)
{
    json_t *code;
    size_t i;

    if (!json_is_array(codes))
        return fail(m, "operations.json: \"%s\" has no \"errors\", the codes that are its own", key);
    json_array_foreach((json_t *)codes, i, code)
    {
        int error = api_error_find(json_string_value(code));

        if (error < 0)
            return fail(m, "operations.json: \"%s\" has an error that is not in error.c: %s", key,
                        json_string_value(code));
        set->has[error] = true;
    }
    return 0;
}

/* A status that the operation describes may also come from anywhere. */
static int add_errors(struct making *m, const char *key, json_t *operation, const struct route *route)
{
    json_t *responses = json_object_get(operation, "responses");
    error_set set = implied_errors(route), whole;
    int r = add_own_errors(m, key, json_object_get(operation, "errors"), &set);

    set.failures = json_is_true(json_object_get(operation, "conversion_errors"));
    json_object_del(operation, "errors");
    json_object_del(operation, "conversion_errors");
    whole = set;
    for (size_t i = 0; i < ARRAY_SIZE(anywhere); i++) {
        char status[8];

        snprintf(status, sizeof status, "%u", api_error_info(anywhere[i])->status);
        if (has_status(&set, api_error_info(anywhere[i])->status) || json_object_get(responses, status))
            whole.has[anywhere[i]] = true;
    }
    for (unsigned status = 400; r == 0 && status < 600; status++)
        if (has_status(&whole, status))
            r = add_error_response(responses, &whole, status, route);
    return r < 0 ? r : json_object_set_new(responses, "default", reference("responses/", "Anywhere"));
}

/* --- operations */

/* "get_session_init" */
static json_t *operation_id(const struct route *route)
{
    _cleanup_buf_ struct buf id = BUF_INIT(256);

    buf_printf(&id, "%s%s", route->method, route->path);
    if (buf_error(&id))
        return NULL;
    while (id.len > 0 && !isalnum((unsigned char)id.data[id.len - 1]))
        id.data[--id.len] = '\0';
    for (char *p = id.data; *p; p++)
        *p = isalnum((unsigned char)*p) ? (char)tolower((unsigned char)*p) : '_';
    return json_string(id.data);
}

static int add_request_ids(json_t *responses)
{
    const char *status;
    json_t *response;

    json_object_foreach(responses, status, response)
    {
        if (!json_object_get(response, "$ref") &&
            json_object_set_new(member(response, "headers"), "X-Request-Id",
                                reference("headers/", "RequestId")) < 0)
            return -ENOMEM;
    }
    return 0;
}

static int add_security(const struct making *m, json_t *operation, const struct route *route)
{
    if (json_object_set_new(operation, "x-decant-needs", names_of_needs(route, m->settings)) < 0 ||
        json_object_set_new(operation, "x-decant-scope", name_of_scope(route)) < 0)
        return -ENOMEM;
    if (json_object_get(operation, "security"))
        return 0;
    return json_object_set_new(operation, "security", json_loads(security(route, m->settings), 0, NULL));
}

static int complete(struct making *m, const char *key, json_t *operation, const struct route *route)
{
    json_t *responses = json_object_get(operation, "responses");
    int r;

    if (json_object_size(responses) == 0 || !json_object_get(operation, "summary"))
        return fail(m, "operations.json: \"%s\" needs a summary and responses", key);
    r = add_security(m, operation, route);
    if (r == 0)
        r = json_object_set_new(operation, "operationId", operation_id(route));
    if (r == 0)
        r = add_errors(m, key, operation, route);
    return r < 0 ? r : add_request_ids(responses);
}

static int add_operation(struct making *m, const struct route *route)
{
    json_t *paths = member(m->document, "paths"), *operation;
    char key[256], method[16];
    int r;

    snprintf(key, sizeof key, "%s %s", route->method, route->path);
    operation = json_object_get(m->operations, key);
    if (!json_is_object(operation))
        return fail(m, "the route \"%s\" is described nowhere: give it an entry in operations.json", key);
    r = complete(m, key, operation, route);
    if (r < 0)
        return r;
    for (size_t i = 0; i <= strlen(route->method) && i < sizeof method; i++)
        method[i] = (char)tolower((unsigned char)route->method[i]);
    r = json_object_set(member(paths, route->path), method, operation);
    return r < 0 ? r : json_object_del(m->operations, key);
}

static int add_operations(struct making *m)
{
    struct route route;
    int r = 0;

    for (size_t i = 0; r == 0 && route_get(i, m->settings, &route); i++)
        r = add_operation(m, &route);
    if (r == 0 && json_object_size(m->operations) > 0)
        r = fail(m, "operations.json describes \"%s\", which is no route",
                 json_object_iter_key(json_object_iter(m->operations)));
    return r;
}

/* --- what tables know */

static json_t *enumeration(json_t *values)
{
    return json_pack("{s:s, s:o}", "type", "string", "enum", values);
}

static json_t *format_ids(const json_t *catalogue)
{
    json_t *all = json_array(), *ignored;
    const char *id;

    json_object_foreach(json_object_get(catalogue, "formats"), id, ignored)
        json_array_append_new(all, json_string(id));
    return enumeration(all);
}

static json_t *job_statuses(void)
{
    json_t *all = json_array();

    for (unsigned i = JOB_UPLOADED; i <= JOB_CANCELLED; i++)
        json_array_append_new(all, json_string(job_status_name((enum job_status)i)));
    return enumeration(all);
}

/* Two ends may have one code. */
static bool is_first_of_its_code(unsigned outcome)
{
    for (unsigned i = 0; i < outcome; i++)
        if (str_eq(outcome_code((enum outcome)i), outcome_code((enum outcome)outcome)))
            return false;
    return true;
}

static json_t *job_errors(void)
{
    json_t *all = json_array();

    for (unsigned i = OUTCOME_OK + 1; i < OUTCOME_COUNT_; i++)
        if (is_first_of_its_code(i))
            json_array_append_new(all, json_string(outcome_code((enum outcome)i)));
    return enumeration(all);
}

static json_t *response_anywhere(void)
{
    error_set set = {0};

    for (size_t i = 0; i < ARRAY_SIZE(anywhere); i++)
        set.has[anywhere[i]] = true;
    return json_pack("{s:s, s:{s:o}, s:{s:o}}", "description", "What any call may end with.", "headers",
                     "X-Request-Id", reference("headers/", "RequestId"), "content",
                     "application/problem+json", problem_content(&set, 0));
}

static int add_tables(struct making *m)
{
    _cleanup_json_ json_t *catalogue = catalogue_json();
    json_t *components = member(m->document, "components"), *schemas = member(components, "schemas");

    if (json_object_set_new(schemas, "Format", format_ids(catalogue)) < 0 ||
        json_object_set_new(schemas, "Options", openapi_options(catalogue)) < 0 ||
        json_object_set_new(schemas, "JobStatus", job_statuses()) < 0 ||
        json_object_set_new(schemas, "JobError", job_errors()) < 0 ||
        json_object_set_new(member(components, "responses"), "Anywhere", response_anywhere()) < 0 ||
        json_object_set_new(member(m->document, "info"), "version", json_string(DECANT_VERSION)) < 0)
        return fail(m, "there is no memory for it");
    return 0;
}

/* --- */

json_t *openapi_document(const struct settings *settings, char *ret_why, size_t size)
{
    _cleanup_json_ json_t *document = NULL, *operations = NULL;
    struct making m = {.settings = settings, .why = ret_why, .why_size = size};
    int r;

    fail(&m, "there is no memory for it");
    r = read_text(&m, "document.json", document_json, &document);
    if (r == 0)
        r = read_text(&m, "operations.json", operations_json, &operations);
    m.document = document;
    m.operations = operations;
    if (r == 0)
        r = add_tables(&m);
    if (r == 0)
        r = add_operations(&m);
    return r == 0 ? TAKE_PTR(document) : NULL;
}

int openapi_make(const struct settings *settings, struct kept *ret, char *ret_why, size_t size)
{
    _cleanup_json_ json_t *document = openapi_document(settings, ret_why, size);
    char *text = document ? json_dumps(document, JSON_COMPACT) : NULL;

    if (!text)
        return -EINVAL;
    *ret = (struct kept){.type = "application/json", .cache = "no-cache"};
    kept_set(ret, KEPT_PLAIN, text, strlen(text));
    return kept_compress(ret);
}

void api_openapi(struct api_call *call)
{
    kept_reply(call, call->api->openapi);
}
