/* Lists of networks are tried by those who use them (api/test_client.c); here is which addresses are public.
 */
#include "core/networks.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static bool is_public(const char *text)
{
    struct in6_addr address;

    if (networks_parse_address(text, &address) < 0)
        fail_msg("%s is no address", text);
    return networks_is_public(&address);
}

static void what_is_special_is_not_public(void **state)
{
    /* The first and the last address of each, so that a wrong length shows. */
    static const char *const special[] = {
        "0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255",
        "127.0.0.1", "127.255.255.255", "169.254.0.0", "169.254.169.254", "169.254.255.255", "172.16.0.0",
        "172.31.255.255", "192.0.0.0", "192.0.0.255", "192.0.2.1", "192.88.99.1", "192.168.0.0",
        "192.168.255.255", "198.18.0.0", "198.19.255.255", "198.51.100.1", "203.0.113.255", "224.0.0.1",
        "239.255.255.255", "240.0.0.1", "255.255.255.255",
        /* IPv6: unspecified, loopback, private, link-local, site-local, multicast */
        "::", "::1", "fc00::1", "fdff:ffff::1", "fe80::1", "febf::1", "fec0::1", "ff02::1",
        /* IPv4 in other clothes: mapped, compatible, translated (well-known, local), 6to4, Teredo */
        "::ffff:127.0.0.1", "::ffff:10.1.2.3", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1",
        "64:ff9b::8.8.8.8", "64:ff9b:1::7f00:1", "2002:7f00:1::1", "2002:808:808::1", "2001::1",
        /* assignments of protocols, documentation, not assigned */
        "2001:1ff:ffff::1", "2001:db8::1", "3fff::1", "3fff:fff:ffff::1", "100::1", "4000::1", "1fff::1"};
    static const char *const open[] = {"1.1.1.1",
                                       "8.8.8.8",
                                       "9.255.255.255",
                                       "11.0.0.0",
                                       "100.63.255.255",
                                       "100.128.0.0",
                                       "126.255.255.255",
                                       "128.0.0.0",
                                       "169.253.255.255",
                                       "169.255.0.0",
                                       "172.15.255.255",
                                       "172.32.0.0",
                                       "192.0.1.0",
                                       "192.0.3.0",
                                       "192.88.98.255",
                                       "192.88.100.0",
                                       "192.167.255.255",
                                       "192.169.0.0",
                                       "198.17.255.255",
                                       "198.20.0.0",
                                       "198.51.101.0",
                                       "203.0.114.0",
                                       "223.255.255.255",
                                       "::ffff:8.8.8.8",
                                       "2000::1",
                                       "2001:200::1",
                                       "2001:db7::1",
                                       "2001:db9::1",
                                       "2001:4860:4860::8888",
                                       "2003::1",
                                       "2606:4700::1111",
                                       "3ffe::1",
                                       "3fff:1000::1"};

    for (size_t i = 0; i < ARRAY_SIZE(special); i++)
        if (is_public(special[i]))
            fail_msg("%s is taken for public", special[i]);
    for (size_t i = 0; i < ARRAY_SIZE(open); i++)
        if (!is_public(open[i]))
            fail_msg("%s is not taken for public", open[i]);
}

static void both_families_are_read(void **state)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    struct sockaddr other = {.sa_family = AF_UNIX};
    struct in6_addr address, wanted;

    inet_pton(AF_INET, "10.1.2.3", &v4.sin_addr);
    inet_pton(AF_INET6, "::ffff:10.1.2.3", &wanted);
    assert_int_equal(networks_of_sockaddr((struct sockaddr *)&v4, &address), 0);
    assert_memory_equal(&address, &wanted, sizeof wanted);
    inet_pton(AF_INET6, "2001:4860::1", &v6.sin6_addr);
    assert_int_equal(networks_of_sockaddr((struct sockaddr *)&v6, &address), 0);
    assert_memory_equal(&address, &v6.sin6_addr, sizeof address);
    assert_int_equal(networks_of_sockaddr(&other, &address), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_special_is_not_public),
        cmocka_unit_test(both_families_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
