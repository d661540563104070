#include "support/clamd_server.h"

#include "core/cleanup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

#define USUAL "AlertExceedsMax yes\nAlertEncrypted no\n"

enum { START_MS = 20000 };

struct clamd_server {
    char dir[32], unix_url[64], tcp_url[64];
    pid_t pid;
};

const char *clamd_server_eicar(void)
{
    static char text[80];

    snprintf(text, sizeof text, "%s%s", "X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STAND",
             "ARD-ANTIVIRUS-TEST-FILE!$H+H*");
    return text;
}

static FILE *create(const struct clamd_server *s, const char *name)
{
    char path[64];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", s->dir, name);
    f = fopen(path, "we");
    assert_non_null(f);
    return f;
}

/* An extended signature: name, any file type (0), any offset, the bytes. */
static void write_database(const struct clamd_server *s, const char *text)
{
    FILE *f = create(s, "test.ndb");

    fprintf(f, "Decant.Test.EICAR:0:*:");
    for (const char *p = text; *p; p++)
        fprintf(f, "%02x", (unsigned char)*p);
    fprintf(f, "\n");
    assert_int_equal(fclose(f), 0);
}

/* A port that is free now; clamd can't be asked to choose one. */
static unsigned free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    close(fd);
    return ntohs(a.sin_port);
}

static void write_config(struct clamd_server *s, const char *options)
{
    FILE *f = create(s, "clamd.conf");
    unsigned port = free_port();

    snprintf(s->unix_url, sizeof s->unix_url, "unix:%s/clamd.sock", s->dir);
    snprintf(s->tcp_url, sizeof s->tcp_url, "tcp:localhost:%u", port);
    fprintf(f,
            "Foreground yes\n"
            "DatabaseDirectory %s\nTemporaryDirectory %s\nLocalSocket %s/clamd.sock\n"
            "TCPAddr 127.0.0.1\nTCPSocket %u\n"
            "MaxThreads 4\nStreamMaxLength %d\nMaxFileSize %d\nMaxScanSize 800M\n"
            "ExitOnOOM yes\n%s",
            s->dir, s->dir, s->dir, port, CLAMD_SERVER_STREAM_MAX, CLAMD_SERVER_FILE_MAX, options);
    assert_int_equal(fclose(f), 0);
}

_noreturn_ static void run(const struct clamd_server *s, pid_t parent)
{
    char config[64];
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    snprintf(config, sizeof config, "--config-file=%s/clamd.conf", s->dir);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0)
        _exit(126);
    execl("/usr/sbin/clamd", "clamd", config, NULL);
    _exit(127);
}

static int try_connect(const struct clamd_server *s)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    strcpy(a.sun_path, s->unix_url + strlen("unix:"));
    return connect(fd, (struct sockaddr *)&a, sizeof a);
}

static struct clamd_server *start(const char *signature, const char *options)
{
    struct clamd_server *s = calloc(1, sizeof *s);
    pid_t parent = getpid();

    assert_non_null(s);
    strcpy(s->dir, "/tmp/decant-clamd-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    write_database(s, signature);
    write_config(s, options);
    s->pid = fork();
    assert_true(s->pid >= 0);
    if (s->pid == 0)
        run(s, parent);
    for (int waited = 0; try_connect(s) < 0; waited += 10) {
        assert_true(waited < START_MS);
        assert_int_equal(waitpid(s->pid, NULL, WNOHANG), 0); /* it has not ended */
        usleep(10 * 1000);
    }
    return s;
}

struct clamd_server *clamd_server_start_with(const char *options)
{
    return start(clamd_server_eicar(), options);
}

struct clamd_server *clamd_server_start(void)
{
    return clamd_server_start_with(USUAL);
}

struct clamd_server *clamd_server_start_without_eicar(void)
{
    return start("no virus has this in it", USUAL);
}

static void remove_file(const struct clamd_server *s, const char *name)
{
    char path[64];

    snprintf(path, sizeof path, "%s/%s", s->dir, name);
    unlink(path);
}

void clamd_server_free(struct clamd_server *s)
{
    if (!s)
        return;
    kill(s->pid, SIGKILL);
    while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    remove_file(s, "test.ndb");
    remove_file(s, "clamd.conf");
    remove_file(s, "clamd.sock");
    rmdir(s->dir);
    free(s);
}

const char *clamd_server_unix_url(const struct clamd_server *s)
{
    return s->unix_url;
}

const char *clamd_server_tcp_url(const struct clamd_server *s)
{
    return s->tcp_url;
}

void clamd_server_pause(struct clamd_server *s)
{
    assert_int_equal(kill(s->pid, SIGSTOP), 0);
}

void clamd_server_resume(struct clamd_server *s)
{
    assert_int_equal(kill(s->pid, SIGCONT), 0);
}
