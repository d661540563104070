/* The file of logins: what it takes and refuses, and which server somebody means. */
#include "client/servers.h"

#include "core/path.h"
#include "core/str.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

static char folder[] = "/tmp/decant-servers-XXXXXX";

static int make_folder(void **state)
{
    return mkdtemp(folder) && setenv("XDG_CONFIG_HOME", folder, 1) == 0 ? 0 : -1;
}

static int remove_folder(void **state)
{
    return path_remove_tree(AT_FDCWD, folder);
}

static int empty_folder(void **state)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY);
    int r = path_remove_tree(fd, "decant");

    close(fd);
    return r;
}

static char *file_path(void)
{
    char *path = servers_path();

    assert_non_null(path);
    return path;
}

static void write_file(const char *text, mode_t mode)
{
    _cleanup_free_ char *path = file_path();
    _cleanup_close_ int lock = servers_lock(); /* makes the folder */
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
}

static void what_is_put_is_found(void **state)
{
    _cleanup_json_ json_t *servers = NULL, *again = NULL;
    _cleanup_free_ char *path = file_path();
    struct stat st;

    assert_int_equal(servers_load(&servers), 0); /* no file, no folder */
    assert_null(servers_entry(servers, "https://a.example"));
    assert_int_equal(servers_put(servers, "https://a.example", json_pack("{s:s}", "api_key", "dk_1")), 0);
    assert_int_equal(servers_save(servers), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);

    assert_int_equal(servers_load(&again), 0);
    assert_true(json_equal(servers, again));
    assert_string_equal(
        json_string_value(json_object_get(servers_entry(again, "https://a.example"), "api_key")), "dk_1");
    assert_true(servers_remove(again, "https://a.example"));
    assert_false(servers_remove(again, "https://a.example"));
    assert_true(json_is_null(json_object_get(again, "default")));
}

static void what_others_may_read_is_not_used(void **state)
{
    static const mode_t open_modes[] = {0640, 0604, 0660, 0622};
    json_t *servers;

    for (size_t i = 0; i < ARRAY_SIZE(open_modes); i++) {
        write_file("{\"version\": 1, \"servers\": {}}", open_modes[i]);
        assert_int_equal(servers_load(&servers), -EPERM);
    }
    write_file("{\"version\": 1, \"servers\": {}}", 0600);
    assert_int_equal(servers_load(&servers), 0);
    json_decref(servers);
}

static void what_is_not_ours_is_not_used(void **state)
{
    static const char *const texts[] = {"",
                                        "{",
                                        "[]",
                                        "{}",
                                        "{\"version\": 2, \"servers\": {}}",
                                        "{\"version\": 1}",
                                        "{\"version\": 1, \"servers\": []}",
                                        "{\"version\": 1, \"servers\": {}, \"servers\": {}}"};
    json_t *servers;

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        write_file(texts[i], 0600);
        assert_int_equal(servers_load(&servers), -EINVAL);
    }
}

static void a_config_folder_that_is_relative_is_passed_over(void **state)
{
    _cleanup_free_ char *path = NULL;

    setenv("XDG_CONFIG_HOME", "somewhere", 1);
    setenv("HOME", "/home/ada", 1);
    path = servers_path();
    setenv("XDG_CONFIG_HOME", folder, 1);
    assert_string_equal(path, "/home/ada/.config/decant/servers.json");
}

/* Two who add a server at the same time both find theirs. */
static void the_lock_keeps_changes_apart(void **state)
{
    enum { PROCESSES = 8 };
    _cleanup_json_ json_t *servers = NULL;
    int status;

    for (int i = 0; i < PROCESSES; i++)
        if (fork() == 0) {
            _cleanup_close_ int lock = servers_lock();
            json_t *mine = NULL;
            char url[64];

            snprintf(url, sizeof url, "https://%d.example", i);
            _exit(lock < 0 || servers_load(&mine) < 0 || servers_put(mine, url, json_object()) < 0 ||
                  servers_save(mine) < 0);
        }
    for (int i = 0; i < PROCESSES; i++) {
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    assert_int_equal(servers_load(&servers), 0);
    assert_int_equal(json_object_size(json_object_get(servers, "servers")), PROCESSES);
}

static void names_of_servers(void **state)
{
    static const struct {
        const char *name, *url;
    } names[] = {
        {NULL, "https://b.example/decant"},
        {"https://a.example", "https://a.example"},
        {"https://a.example/", "https://a.example"},
        {"a.example", "https://a.example"},
        {"127.0.0.1:8080", "http://127.0.0.1:8080"},
        {"c.example", "https://c.example"},
        {"c.example:8443", "https://c.example:8443"},
        {"http://127.0.0.1:8080//", "http://127.0.0.1:8080"},
        {"ftp://a.example", NULL},
        {"https://", NULL},
        {"https:///x", NULL},
        {"", NULL},
        {"https://user@a.example", NULL},
        {"https://a.example?x", NULL},
        {"https://a.example#x", NULL},
        {"a b", NULL},
        {"a\r\nX: y", NULL},
    };
    _cleanup_json_ json_t *servers = json_pack("{s:i, s:n, s:{s:{}, s:{}}}", "version", 1, "default",
                                               "servers", "https://a.example", "http://127.0.0.1:8080");
    char url[SERVER_URL_MAX], longest[2 * SERVER_URL_MAX];

    assert_int_equal(servers_resolve(servers, NULL, url), -ENOENT);
    assert_int_equal(servers_put(servers, "https://b.example/decant", json_object()), 0);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        assert_int_equal(servers_resolve(servers, names[i].name, url), names[i].url ? 0 : -EINVAL);
        if (names[i].url)
            assert_string_equal(url, names[i].url);
    }
    memset(longest, 'a', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(servers_resolve(servers, longest, url), -EINVAL);
}

static void only_this_machine_is_safe_without_tls(void **state)
{
    static const char *const safe[] = {"https://a.example", "http://127.0.0.1", "http://127.0.0.1:8080",
                                       "http://localhost/x", "http://[::1]:80"};
    static const char *const unsafe[] = {"http://a.example", "http://127.0.0.1.example",
                                         "http://localhost.example", "http://127.0.0.10", "http://[::2]"};

    for (size_t i = 0; i < ARRAY_SIZE(safe); i++)
        assert_true(servers_url_is_safe(safe[i]));
    for (size_t i = 0; i < ARRAY_SIZE(unsafe); i++)
        assert_false(servers_url_is_safe(unsafe[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(what_is_put_is_found, empty_folder),
        cmocka_unit_test_teardown(what_others_may_read_is_not_used, empty_folder),
        cmocka_unit_test_teardown(what_is_not_ours_is_not_used, empty_folder),
        cmocka_unit_test(a_config_folder_that_is_relative_is_passed_over),
        cmocka_unit_test_teardown(the_lock_keeps_changes_apart, empty_folder),
        cmocka_unit_test(names_of_servers),
        cmocka_unit_test(only_this_machine_is_safe_without_tls),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
