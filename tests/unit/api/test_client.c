#include "api/client.h"

#include "core/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>

#include <cmocka.h>

static struct clients *make(const char *proxies)
{
    struct clients *c;

    assert_int_equal(clients_new(proxies, "a secret", &c), 0);
    return c;
}

static struct in6_addr address_of(const char *text)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        return client_of_peer((struct sockaddr *)&v4);
    assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
    return client_of_peer((struct sockaddr *)&v6);
}

static const struct {
    const char *proxies, *peer, *forwarded, *client;
} walks[] = {
    /* nobody is believed who is not on the list */
    {"", "127.0.0.1", "192.0.2.1", "127.0.0.1"},
    {"10.0.0.0/8", "192.0.2.9", "198.51.100.1", "192.0.2.9"},
    {"10.0.0.0/8", "11.0.0.1", "198.51.100.1", "11.0.0.1"},
    /* one proxy */
    {"127.0.0.1", "127.0.0.1", "192.0.2.1", "192.0.2.1"},
    {"127.0.0.1", "127.0.0.1", " \t192.0.2.1 \t", "192.0.2.1"},
    {"127.0.0.0/8", "127.9.9.9", "192.0.2.1", "192.0.2.1"},
    {"0.0.0.0/0", "203.0.113.1", "192.0.2.1", "192.0.2.1"},
    /* what the client itself wrote in front does not count */
    {"127.0.0.1", "127.0.0.1", "198.51.100.1, 192.0.2.1", "192.0.2.1"},
    {"127.0.0.1", "127.0.0.1", "127.0.0.1,192.0.2.1", "192.0.2.1"},
    {"127.0.0.1", "127.0.0.1", "'; DROP TABLE,,,\x01, 192.0.2.1", "192.0.2.1"},
    /* proxies behind proxies, skipped from the right */
    {"127.0.0.1 10.0.0.0/8", "127.0.0.1", "198.51.100.1, 192.0.2.1, 10.1.2.3", "192.0.2.1"},
    {"127.0.0.1,10.0.0.0/8", "127.0.0.1", "192.0.2.1,10.1.2.3 , 10.200.0.1", "192.0.2.1"},
    {"127.0.0.1", "127.0.0.1", "192.0.2.1, 10.1.2.3", "10.1.2.3"},
    {"127.0.0.1 10.0.0.0/8", "127.0.0.1", "10.0.0.5, 10.0.0.6", "10.0.0.5"},
    /* what is no address ends the walk */
    {"127.0.0.1", "127.0.0.1", "", "127.0.0.1"},
    {"127.0.0.1", "127.0.0.1", ",", "127.0.0.1"},
    {"127.0.0.1", "127.0.0.1", "192.0.2.1,", "127.0.0.1"},
    {"127.0.0.1", "127.0.0.1", "unknown", "127.0.0.1"},
    {"127.0.0.1", "127.0.0.1", "192.0.2.1, _hidden", "127.0.0.1"},
    {"127.0.0.1 10.0.0.0/8", "127.0.0.1", "192.0.2.1, unknown, 10.0.0.1", "10.0.0.1"},
    {"127.0.0.1", "127.0.0.1", "192.0.2.256", "127.0.0.1"},
    {"127.0.0.1", "127.0.0.1", "192.0.2", "127.0.0.1"},
    {"127.0.0.1", "127.0.0.1", "0xc0000201", "127.0.0.1"},
    {"127.0.0.1", "127.0.0.1", "192.0.2.1 198.51.100.1", "127.0.0.1"},
    {"127.0.0.1", "127.0.0.1", "192.0.2.1:99999", "127.0.0.1"},
    {"127.0.0.1", "127.0.0.1", "192.0.2.1:", "127.0.0.1"},
    {"127.0.0.1", "127.0.0.1", "[2001:db8::1", "127.0.0.1"},
    {"127.0.0.1", "127.0.0.1", "[2001:db8::1]x", "127.0.0.1"},
    {"127.0.0.1", "127.0.0.1", "fe80::1%eth0", "127.0.0.1"},
    {"127.0.0.1", "127.0.0.1",
     "111111111111111111111111111111111111111111111111111111111111111111111111111111", "127.0.0.1"},
    /* ports and brackets */
    {"127.0.0.1", "127.0.0.1", "192.0.2.1:4711", "192.0.2.1"},
    {"127.0.0.1", "127.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"},
    {"127.0.0.1", "127.0.0.1", "[2001:db8::1]", "2001:db8::1"},
    {"127.0.0.1", "127.0.0.1", "2001:db8::1", "2001:db8::1"},
    /* one address however it is written */
    {"127.0.0.1", "::ffff:127.0.0.1", "192.0.2.1", "192.0.2.1"},
    {"::ffff:127.0.0.1", "127.0.0.1", "::ffff:192.0.2.1", "192.0.2.1"},
    {"::1", "::1", "192.0.2.1", "192.0.2.1"},
    {"2001:db8::/33", "2001:db8:7fff::1", "192.0.2.1", "192.0.2.1"},
    {"2001:db8::/33", "2001:db8:8000::1", "192.0.2.1", "2001:db8:8000::1"},
    {"::/0", "2001:db8::1", "192.0.2.1", "192.0.2.1"},
};

static void walks_from_the_right(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(walks); i++) {
        struct clients *c = make(walks[i].proxies);
        struct in6_addr found = address_of(walks[i].peer), expected = address_of(walks[i].client);

        client_forwarded(c, walks[i].forwarded, &found);
        if (memcmp(&found, &expected, sizeof found) != 0)
            fail_msg("%s from %s", walks[i].forwarded, walks[i].peer);
        clients_free(c);
    }
}

/* Some proxies add a line of their own rather than to the one that is there. */
static void lines_are_one_list(void **state)
{
    struct clients *c = make("127.0.0.1 10.0.0.0/8");
    struct in6_addr found = address_of("127.0.0.1"), first = address_of("192.0.2.1");

    assert_true(client_forwarded(c, "10.0.0.1", &found));
    assert_false(client_forwarded(c, "198.51.100.1, 192.0.2.1, 10.0.0.2", &found));
    assert_memory_equal(&found, &first, sizeof found);
    assert_false(client_forwarded(c, "198.51.100.9", &found));
    assert_memory_equal(&found, &first, sizeof found);

    found = address_of("127.0.0.1");
    assert_false(client_forwarded(c, "unknown", &found));
    assert_false(client_forwarded(c, ",10.0.0.1", &found));
    clients_free(c);
}

static void networks_are_checked(void **state)
{
    static const char *const bad[] = {
        "10.0.0.0/33", "10.0.0.0/",
        "10.0.0.0/-1", "10.0.0.0/8/8",
        "10.0.0",      "::1/129",
        "example.org", "10.0.0.1 unknown",
        "/8",          "10.0.0.0/8;::1",
        "[::1]",       "fe80::1%lo",
        "*",           "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128",
    };
    struct clients *c = NULL;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(clients_new(bad[i], NULL, &c), -EINVAL);
    assert_null(c);
    assert_int_equal(clients_new(" ,10.0.0.0/8,, ::1\t", NULL, &c), 0);
    clients_free(c);
    clients_free(NULL);
}

static void name_of(struct clients *c, const char *address, char ret[CLIENT_ADDRESS_LEN + 1])
{
    struct in6_addr a = address_of(address);

    client_address_name(c, &a, ret);
    assert_int_equal(strlen(ret), CLIENT_ADDRESS_LEN);
    assert_int_equal(strspn(ret, "0123456789abcdef"), CLIENT_ADDRESS_LEN);
}

static bool same_name(const char *a, const char *b)
{
    struct clients *c = make("");
    char one[CLIENT_ADDRESS_LEN + 1], other[CLIENT_ADDRESS_LEN + 1];

    name_of(c, a, one);
    name_of(c, b, other);
    clients_free(c);
    return str_eq(one, other);
}

static void a_network_of_64_bits_is_one_client(void **state)
{
    assert_true(same_name("192.0.2.1", "192.0.2.1"));
    assert_true(same_name("192.0.2.1", "::ffff:192.0.2.1"));
    assert_false(same_name("192.0.2.1", "192.0.2.2"));
    assert_true(same_name("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"));
    assert_false(same_name("2001:db8:1:2::1", "2001:db8:1:3::1"));
    assert_false(same_name("::1", "127.0.0.1"));
}

/* Without a secret the key is another one at each start; with one, servers agree. */
static void the_hash_is_keyed(void **state)
{
    char names[4][CLIENT_ADDRESS_LEN + 1];
    const char *const secrets[] = {NULL, "", "one", "one"};
    struct clients *c;

    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(clients_new("", secrets[i], &c), 0);
        name_of(c, "192.0.2.1", names[i]);
        clients_free(c);
    }
    assert_string_not_equal(names[0], names[1]);
    assert_string_not_equal(names[1], names[2]);
    assert_string_equal(names[2], names[3]);
}

static void other_families_are_the_machine_itself(void **state)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct in6_addr expected = address_of("127.0.0.1"), found = client_of_peer((struct sockaddr *)&local);

    assert_memory_equal(&found, &expected, sizeof found);
    found = client_of_peer(NULL);
    assert_memory_equal(&found, &expected, sizeof found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(walks_from_the_right), cmocka_unit_test(lines_are_one_list),
        cmocka_unit_test(networks_are_checked), cmocka_unit_test(a_network_of_64_bits_is_one_client),
        cmocka_unit_test(the_hash_is_keyed),    cmocka_unit_test(other_families_are_the_machine_itself),
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
