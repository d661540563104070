#include "api/metrics_access.h"

#include "api/peer.h"
#include "core/networks.h"
#include "core/secret.h"
#include "core/str.h"

#include <errno.h>
#include <fcntl.h>
#include <strings.h>

enum { TOKEN_MIN = 16 };

enum mode { NOBODY, LOOPBACK, NETWORKS, ANYBODY };

struct metrics_access {
    enum mode mode;
    struct networks *networks; /* NETWORKS */
    char *token;               /* NULL: none is wanted */
};

static int load_token(const struct settings *s, struct metrics_access *a)
{
    int r = s->metrics_token_file ? secret_load(AT_FDCWD, s->metrics_token_file, &a->token) : 0;

    if (r < 0)
        log_error("DECANT_METRICS_TOKEN_FILE must be a file with a token that this user alone may read",
                  LOG_E(r));
    else if (a->token && strlen(a->token) < TOKEN_MIN)
        log_error("the token in DECANT_METRICS_TOKEN_FILE is too short", LOG_U("least", TOKEN_MIN));
    return r < 0 || (a->token && strlen(a->token) < TOKEN_MIN) ? -EINVAL : 0;
}

static int read_mode(const struct settings *s, struct metrics_access *a)
{
    static const struct {
        const char *word;
        enum mode mode;
    } words[] = {{"off", NOBODY}, {"loopback", LOOPBACK}, {"any", ANYBODY}};

    a->mode = NETWORKS;
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (str_eq(s->metrics, words[i].word))
            a->mode = words[i].mode;
    if (a->mode == NETWORKS && (!*s->metrics || networks_new(s->metrics, &a->networks) < 0)) {
        log_error("DECANT_METRICS is not off, loopback, any, or a list of networks such as 10.0.0.0/8");
        return -EINVAL;
    }
    if (a->mode == ANYBODY && !s->metrics_token_file) {
        log_error("DECANT_METRICS is any, and there is no DECANT_METRICS_TOKEN_FILE");
        return -EINVAL;
    }
    return 0;
}

int metrics_access_new(const struct settings *s, struct metrics_access **ret)
{
    struct metrics_access *a = calloc(1, sizeof *a);
    int r = a ? read_mode(s, a) : -ENOMEM;

    if (r == 0)
        r = load_token(s, a);
    if (r < 0)
        metrics_access_free(a);
    else
        *ret = a;
    return r;
}

void metrics_access_free(struct metrics_access *a)
{
    if (!a)
        return;
    networks_free(a->networks);
    secret_free(a->token);
    free(a);
}

static bool was_passed_on(const struct http_request *req)
{
    static const char *const marks[] = {"Forwarded",         "X-Forwarded-For", "X-Forwarded-Host",
                                        "X-Forwarded-Proto", "X-Real-IP",       "Via"};

    for (size_t i = 0; i < ARRAY_SIZE(marks); i++)
        if (http_request_header(req, marks[i]))
            return true;
    return false;
}

/* A page whose name was made to point here would bring its own name along. */
static bool is_for_this_machine(const struct http_request *req)
{
    const char *host = http_request_header(req, "Host");
    char name[64];
    struct in6_addr address;
    size_t len;

    if (!host)
        return true;
    len = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
    if (len >= sizeof name || len > strlen(host))
        return false;
    memcpy(name, host, len);
    name[len] = '\0';
    if (strcasecmp(name, "localhost") == 0 || str_eq(name, "[::1]"))
        return true;
    return networks_parse_address(name, &address) == 0 && networks_is_loopback(&address);
}

static bool comes_from_where_it_may(const struct metrics_access *a, const struct clients *clients,
                                    const struct in6_addr *address, const struct http_request *req)
{
    struct in6_addr peer = peer_address(req);

    if (a->mode == LOOPBACK)
        return networks_is_loopback(&peer) && !was_passed_on(req) && is_for_this_machine(req);
    if (a->mode == NETWORKS)
        return networks_have(a->networks, address) &&
               (client_is_proxy(clients, &peer) || !was_passed_on(req));
    return a->mode == ANYBODY;
}

bool metrics_access_allows(const struct metrics_access *a, const struct clients *clients,
                           const struct in6_addr *address, const struct http_request *req)
{
    static const char scheme[] = "Bearer ";
    const char *authorization = http_request_header(req, "Authorization");

    if (!comes_from_where_it_may(a, clients, address, req))
        return false;
    if (!a->token)
        return true;
    return authorization && strncasecmp(authorization, scheme, sizeof scheme - 1) == 0 &&
           str_eq_secret(authorization + sizeof scheme - 1, a->token);
}
