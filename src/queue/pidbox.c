#include "queue/pidbox.h"

#include "core/str.h"
#include "queue/kombu.h"

#include <errno.h>
#include <fnmatch.h>
#include <signal.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum { MATCH_STEPS = 10000, MATCH_KIB = 256 };

void pidbox_request_free(struct pidbox_request *r)
{
    json_decref(r->body);
    *r = (struct pidbox_request){0};
}

static int refuse(const char **ret_reason, const char *reason)
{
    *ret_reason = reason;
    return -EBADMSG;
}

/* A name without control characters: it goes into names of keys. */
static const char *name_in(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));
    size_t n = 0;

    while (s && n <= PIDBOX_NAME_MAX && (unsigned char)s[n] >= ' ')
        n++;
    return s && n > 0 && n <= PIDBOX_NAME_MAX && s[n] == '\0' ? s : NULL;
}

static int read_body(struct pidbox_request *r, const char **ret_reason)
{
    const json_t *arguments = json_object_get(r->body, "arguments"),
                 *reply_to = json_object_get(r->body, "reply_to");

    if (!json_is_object(r->body))
        return refuse(ret_reason, "the body is not a JSON object in base64");
    r->method = name_in(r->body, "method");
    if (!r->method)
        return refuse(ret_reason, "it names no method");
    if (pidbox_truthy(arguments) && !json_is_object(arguments))
        return refuse(ret_reason, "the arguments are not an object");
    r->arguments = json_is_object(arguments) ? arguments : NULL;
    if (pidbox_truthy(reply_to)) {
        r->reply_exchange = name_in(reply_to, "exchange");
        r->reply_to = name_in(reply_to, "routing_key");
        if (!r->reply_exchange || !r->reply_to)
            return refuse(ret_reason, "reply_to has no exchange and routing_key");
    }
    r->ticket = json_object_get(r->body, "ticket");
    return 0;
}

int pidbox_decode(const char *message, size_t len, uint64_t now_ms, struct pidbox_request *ret,
                  const char **ret_reason)
{
    _cleanup_kombu_ struct kombu k = {0};
    _cleanup_pidbox_request_ struct pidbox_request request = {0};
    int r = kombu_read(message, len, &k, ret_reason);

    if (r < 0)
        return r;

    double expires = json_number_value(json_object_get(k.headers, "expires"));

    if (expires > 0 && expires + PIDBOX_SLACK_S < (double)now_ms / 1000)
        return -ETIME;
    request.clock = json_integer_value(json_object_get(k.headers, "clock"));
    request.body = kombu_body(&k);
    r = read_body(&request, ret_reason);
    if (r < 0)
        return r;
    *ret = request;
    request = (struct pidbox_request){0};
    return 0;
}

/* --- who is meant */

/* Python's re.match(): from the start, not to the end. Whoever sends it may have it run, but not run for
 * long. */
static bool match_pcre(const char *pattern, const char *node)
{
    int code, r;
    size_t at;
    pcre2_code *re =
        pcre2_compile((PCRE2_SPTR)pattern, strlen(pattern), PCRE2_UTF | PCRE2_ANCHORED, &code, &at, NULL);
    pcre2_match_context *limits = pcre2_match_context_create(NULL);
    pcre2_match_data *data = re ? pcre2_match_data_create_from_pattern(re, NULL) : NULL;

    if (limits) {
        pcre2_set_match_limit(limits, MATCH_STEPS);
        pcre2_set_heap_limit(limits, MATCH_KIB);
    }
    r = re && limits && data ? pcre2_match(re, (PCRE2_SPTR)node, strlen(node), 0, 0, data, limits) : -1;
    pcre2_match_data_free(data);
    pcre2_match_context_free(limits);
    pcre2_code_free(re);
    return r >= 0;
}

static bool match_glob(const char *pattern, const char *node)
{
    return fnmatch(pattern, node, FNM_NOESCAPE) == 0;
}

static bool matches(const char *node, const char *pattern, const char *matcher)
{
    static const struct {
        const char *name;
        bool (*match)(const char *pattern, const char *node);
    } matchers[] = {{"glob", match_glob}, {"pcre", match_pcre}};

    for (size_t i = 0; i < ARRAY_SIZE(matchers); i++)
        if (str_eq(matcher, matchers[i].name))
            return pattern && matchers[i].match(pattern, node);
    return false;
}

bool pidbox_is_for(const struct pidbox_request *r, const char *node)
{
    const json_t *destination = json_object_get(r->body, "destination"), *one;
    size_t i;

    if (pidbox_truthy(destination)) {
        json_array_foreach(destination, i, one) if (str_eq(json_string_value(one), node)) return true;
        return false;
    }
    if (!pidbox_truthy(json_object_get(r->body, "pattern")) ||
        !pidbox_truthy(json_object_get(r->body, "matcher")))
        return true;
    return matches(node, name_in(r->body, "pattern"), name_in(r->body, "matcher"));
}

/* --- the reply */

int pidbox_encode_reply(const struct pidbox_request *r, const char *node, int64_t clock, const json_t *reply,
                        char **ret_message)
{
    json_t *value = reply ? json_incref((json_t *)reply) : json_null();
    json_t *ticket = r->ticket ? json_incref((json_t *)r->ticket) : json_null();
    _cleanup_json_ json_t *body = json_pack("{s:o}", node, value);
    _cleanup_json_ json_t *headers = json_pack("{s:o, s:I}", "ticket", ticket, "clock", (json_int_t)clock);
    _cleanup_json_ json_t *properties = kombu_properties(r->reply_exchange, r->reply_to, 1, 0);

    return kombu_write(body, headers, properties, ret_message);
}

/* --- arguments */

bool pidbox_truthy(const json_t *value)
{
    if (json_is_object(value))
        return json_object_size(value) > 0;
    if (json_is_array(value))
        return json_array_size(value) > 0;
    if (json_is_string(value))
        return json_string_length(value) > 0;
    if (json_is_number(value))
        return json_number_value(value) != 0;
    return json_is_true(value);
}

size_t pidbox_count_ids(const json_t *value)
{
    return json_is_array(value) ? json_array_size(value) : json_is_string(value);
}

const char *pidbox_id(const json_t *value, size_t index)
{
    const json_t *id = json_is_array(value) ? json_array_get(value, index) : value;

    return json_string_length(id) > 0 ? json_string_value(id) : NULL;
}

int pidbox_signal(const json_t *value)
{
    const char *name = json_string_value(value);

    if (!pidbox_truthy(value))
        return SIGTERM;
    if (json_is_integer(value)) {
        json_int_t number = json_integer_value(value);

        return number > 0 && number < NSIG ? (int)number : -EINVAL;
    }
    if (!name)
        return -EINVAL;
    if (str_starts(name, "SIG"))
        name += strlen("SIG");
    for (int i = 1; i < NSIG; i++)
        if (str_eq(sigabbrev_np(i), name))
            return i;
    return -EINVAL;
}
