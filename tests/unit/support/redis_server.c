#include "support/redis_server.h"

#include "core/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { OPTIONS_MAX = 16, START_MS = 10000 };

struct redis_server {
    char dir[32], url[64];
    const char *path; /* of the socket, in `url` */
    pid_t pid;        /* 0 while none runs */
    const char *options[OPTIONS_MAX + 1], *password;
    redisReply *last; /* keeps redis_server_str's answer */
};

_noreturn_ static void run(const struct redis_server *s, pid_t parent)
{
    const char *argv[16 + OPTIONS_MAX] = {
        "redis-server", "--port", "0",          "--unixsocket", s->path, "--dir", s->dir, "--save", "",
        "--appendonly", "no",     "--loglevel", "warning",
    };
    size_t n = 13;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    for (size_t i = 0; s->options[i]; i++)
        argv[n++] = s->options[i];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0)
        _exit(126);
    execvp(argv[0], (char **)argv);
    _exit(127);
}

static redisContext *try_connect(const struct redis_server *s)
{
    redisContext *c = redisConnectUnix(s->path);
    redisReply *reply = NULL;

    if (c && !c->err && s->password)
        freeReplyObject(redisCommand(c, "AUTH %s", s->password));
    if (c && !c->err)
        reply = redisCommand(c, "PING");
    if (reply && reply->type == REDIS_REPLY_STATUS) {
        freeReplyObject(reply);
        return c;
    }
    if (reply)
        freeReplyObject(reply);
    if (c)
        redisFree(c);
    return NULL;
}

static void launch(struct redis_server *s)
{
    pid_t parent = getpid();
    redisContext *c;

    s->pid = fork();
    assert_true(s->pid >= 0);
    if (s->pid == 0)
        run(s, parent);
    for (int waited = 0; !(c = try_connect(s)); waited += 10) {
        assert_true(waited < START_MS);
        assert_int_equal(waitpid(s->pid, NULL, WNOHANG), 0); /* it has not ended */
        usleep(10 * 1000);
    }
    redisFree(c);
}

struct redis_server *redis_server_start(const char *const options[])
{
    struct redis_server *s = calloc(1, sizeof *s);

    assert_non_null(s);
    signal(SIGPIPE, SIG_IGN); /* state/redis.h wants it */
    strcpy(s->dir, "/tmp/decant-redis-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    snprintf(s->url, sizeof s->url, "unix:%s/redis.sock", s->dir);
    s->path = s->url + strlen("unix:");
    for (size_t i = 0; options && options[i]; i++) {
        assert_true(i < OPTIONS_MAX);
        s->options[i] = options[i];
        if (strcmp(options[i], "--requirepass") == 0)
            s->password = options[i + 1];
    }
    launch(s);
    return s;
}

void redis_server_kill(struct redis_server *s)
{
    if (s->pid <= 0)
        return;
    kill(s->pid, SIGKILL);
    while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    s->pid = 0;
}

void redis_server_restart(struct redis_server *s)
{
    redis_server_kill(s);
    unlink(s->path);
    launch(s);
}

void redis_server_free(struct redis_server *s)
{
    if (!s)
        return;
    redis_server_kill(s);
    unlink(s->path);
    rmdir(s->dir);
    if (s->last)
        freeReplyObject(s->last);
    free(s);
}

const char *redis_server_url(const struct redis_server *s)
{
    return s->url;
}

void redis_server_pause(struct redis_server *s)
{
    assert_int_equal(kill(s->pid, SIGSTOP), 0);
}

void redis_server_resume(struct redis_server *s)
{
    assert_int_equal(kill(s->pid, SIGCONT), 0);
}

static redisReply *run_command(struct redis_server *s, const char *format, va_list ap)
{
    redisContext *c = try_connect(s);
    redisReply *reply;

    assert_non_null(c);
    reply = redisvCommand(c, format, ap);
    assert_non_null(reply);
    if (reply->type == REDIS_REPLY_ERROR)
        fail_msg("%s: %s", format, reply->str);
    redisFree(c);
    return reply;
}

void redis_server_do(struct redis_server *s, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    freeReplyObject(run_command(s, format, ap));
    va_end(ap);
}

redisReply *redis_server_reply(struct redis_server *s, const char *format, ...)
{
    redisReply *reply;
    va_list ap;

    va_start(ap, format);
    reply = run_command(s, format, ap);
    va_end(ap);
    return reply;
}

long long redis_server_int(struct redis_server *s, const char *format, ...)
{
    long long value;
    redisReply *reply;
    va_list ap;

    va_start(ap, format);
    reply = run_command(s, format, ap);
    va_end(ap);
    assert_int_equal(reply->type, REDIS_REPLY_INTEGER);
    value = reply->integer;
    freeReplyObject(reply);
    return value;
}

const char *redis_server_str(struct redis_server *s, const char *format, ...)
{
    va_list ap;

    if (s->last)
        freeReplyObject(s->last);
    va_start(ap, format);
    s->last = run_command(s, format, ap);
    va_end(ap);
    return s->last->str ? s->last->str : "";
}
