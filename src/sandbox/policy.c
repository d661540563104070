/* One line, one rule:
 *
 *     include base            the lines of base.policy; or runtime, deadly, server
 *     default: errno ENOSYS   what everything unnamed gets (once, before any rule)
 *     read                    allowed
 *     ptrace: kill            the process ends at once
 *     socket: errno EACCES    refused with this error
 *     clone: arg0 has CLONE_THREAD CLONE_VM    allowed when all these bits are set
 *     open: arg2 lacks S_ISUID S_ISGID         allowed when none of these bits is set
 *     prctl: arg0 in PR_SET_NAME PR_GET_NAME   allowed for these values
 *     tgkill: arg0 in SELF    SELF is the child's own pid
 *
 * Several lines for one call are alternatives. Numbers may stand for names.
 *
 * SELF is compiled as a number that no pid can have and replaced in the child's copy of the program:
 * libseccomp takes 1.3 ms to compile such a list, which a child must not pay. */
#include "sandbox/policy.h"
#include "sandbox/policy_base.h"
#include "sandbox/policy_deadly.h"
#include "sandbox/policy_noexec.h"
#include "sandbox/policy_runtime.h"
#include "sandbox/policy_server.h"

#include "core/str.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { SELF_PLACEHOLDER = 0x7ee15e1f, INCLUDED_LINES = 1000, WORDS_MAX = 16, LINE_MAX_BYTES = 256 };

#define NAMED(n)                                                                                             \
    {                                                                                                        \
#n, (uint64_t)(n)                                                                                    \
    }
static const struct constant {
    const char *name;
    uint64_t value;
} constants[] = {
    {"SELF", SELF_PLACEHOLDER},
    NAMED(CLONE_THREAD),
    NAMED(CLONE_VM),
    NAMED(PR_SET_NAME),
    NAMED(PR_GET_NAME),
    NAMED(PR_SET_VMA),
    NAMED(PR_GET_DUMPABLE),
    NAMED(PR_GET_PDEATHSIG),
    NAMED(PR_SET_PDEATHSIG),
    NAMED(PR_CAPBSET_READ),
    NAMED(PR_SET_TIMERSLACK),
    NAMED(TCGETS),
    NAMED(TIOCGWINSZ),
    NAMED(FIONREAD),
    NAMED(FIONBIO),
    NAMED(FIOCLEX),
    NAMED(F_DUPFD),
    NAMED(F_DUPFD_CLOEXEC),
    NAMED(F_GETFD),
    NAMED(F_SETFD),
    NAMED(F_GETFL),
    NAMED(F_SETFL),
    NAMED(F_GETLK),
    NAMED(F_SETLK),
    NAMED(F_SETLKW),
    NAMED(F_OFD_SETLK),
    NAMED(F_OFD_GETLK),
    NAMED(F_GETPIPE_SZ),
    NAMED(AF_UNIX),
    NAMED(AF_INET),
    NAMED(AF_INET6),
    NAMED(S_ISUID),
    NAMED(S_ISGID),
    NAMED(S_IRWXG),
    NAMED(EPERM),
    NAMED(EACCES),
    NAMED(ENOSYS),
    NAMED(EINVAL),
    NAMED(EAGAIN),
};

/* Each may include those before it: no way leads in a circle. */
static const struct included {
    const char *name, *text;
} included[] = {
    {"runtime", policy_runtime}, /* 1001 … */
    {"deadly", policy_deadly},   {"base", policy_base}, {"noexec", policy_noexec}, {"server", policy_server},
};

struct compiler {
    scmp_filter_ctx ctx;
    uint32_t fallback;
    unsigned line;
};

void policy_free(struct policy *p)
{
    free(p->program);
    *p = (struct policy){0};
}

static int value_of(const char *word, uint64_t *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(constants); i++)
        if (str_eq(word, constants[i].name)) {
            *ret = constants[i].value;
            return 0;
        }
    return str_to_u64(word, 0, UINT32_MAX, ret);
}

/* "kill", "errno EPERM" */
static int parse_action(char **words, size_t n, uint32_t *ret)
{
    uint64_t error;

    if (n == 1 && str_eq(words[0], "kill")) {
        *ret = SCMP_ACT_KILL_PROCESS;
        return 0;
    }
    if (n != 2 || !str_eq(words[0], "errno") || value_of(words[1], &error) < 0 || error > 4095)
        return -EINVAL;
    *ret = SCMP_ACT_ERRNO(error);
    return 0;
}

/* "arg0 has A B", "arg0 lacks A B", "arg0 in A B" */
static int add_conditions(struct compiler *c, int call, char **words, size_t n)
{
    unsigned arg = (unsigned)(words[0][3] - '0');
    bool has = n >= 3 && str_eq(words[1], "has"), lacks = n >= 3 && str_eq(words[1], "lacks");
    uint64_t value, bits = 0;
    int r;

    if (arg > 5 || words[0][4] || n < 3 || (!has && !lacks && !str_eq(words[1], "in")))
        return -EINVAL;
    for (size_t i = 2; i < n; i++) {
        if (value_of(words[i], &value) < 0)
            return -EINVAL;
        bits |= value;
        if (has || lacks)
            continue;
        /* The kernel takes pids, commands and flags as 32 bits and ignores what is above them. */
        r = seccomp_rule_add(c->ctx, SCMP_ACT_ALLOW, call, 1,
                             SCMP_CMP(arg, SCMP_CMP_MASKED_EQ, UINT32_MAX, value));
        if (r < 0)
            return r;
    }
    if (!has && !lacks)
        return 0;
    return seccomp_rule_add(c->ctx, SCMP_ACT_ALLOW, call, 1,
                            SCMP_CMP(arg, SCMP_CMP_MASKED_EQ, bits, has ? bits : 0));
}

static int add_rule(struct compiler *c, const char *name, char **words, size_t n)
{
    int call = seccomp_syscall_resolve_name(name);
    uint32_t action;

    if (call == __NR_SCMP_ERROR)
        return -EINVAL;
    if (n == 0)
        return seccomp_rule_add(c->ctx, SCMP_ACT_ALLOW, call, 0);
    if (str_starts(words[0], "arg"))
        return add_conditions(c, call, words, n);
    if (parse_action(words, n, &action) < 0)
        return -EINVAL;
    /* libseccomp refuses a rule that says what the default says. */
    return action == c->fallback ? 0 : seccomp_rule_add(c->ctx, action, call, 0);
}

static int begin(struct compiler *c, uint32_t fallback)
{
    if (c->ctx)
        return -EINVAL;
    c->fallback = fallback;
    c->ctx = seccomp_init(fallback);
    if (!c->ctx)
        return -ENOMEM;
    /* Calls of another architecture (32-bit ones on x86-64) have no business here. The binary tree halves
     * what each call costs. */
    if (seccomp_attr_set(c->ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) < 0 ||
        seccomp_attr_set(c->ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2) < 0)
        return -EINVAL;
    return 0;
}

static int compile_text(struct compiler *c, const char *text, size_t self);

/* `self` is the text that includes another one: its place in the table, or the table's length. */
static int include(struct compiler *c, const char *name, size_t self)
{
    for (size_t i = 0; i < self; i++)
        if (str_eq(name, included[i].name))
            return compile_text(c, included[i].text, i);
    return -EINVAL;
}

static int compile_line(struct compiler *c, char *line, size_t self)
{
    char *words[WORDS_MAX], *save = NULL, *colon;
    uint32_t action;
    size_t n = 0;

    line[strcspn(line, "#")] = '\0';
    for (char *w = strtok_r(line, " \t", &save); w; w = strtok_r(NULL, " \t", &save)) {
        if (n == WORDS_MAX)
            return -EINVAL;
        words[n++] = w;
    }
    if (n == 0)
        return 0;
    if (n == 2 && str_eq(words[0], "include"))
        return include(c, words[1], self);
    colon = words[0] + strlen(words[0]) - 1;
    if ((*colon == ':') != (n > 1))
        return -EINVAL;
    if (n > 1)
        *colon = '\0';
    if (str_eq(words[0], "default"))
        return parse_action(words + 1, n - 1, &action) < 0 ? -EINVAL : begin(c, action);
    return c->ctx ? add_rule(c, words[0], words + 1, n - 1) : -EINVAL;
}

static int compile_text(struct compiler *c, const char *text, size_t self)
{
    unsigned line = self < ARRAY_SIZE(included) ? ((unsigned)self + 1) * INCLUDED_LINES : 0;

    for (const char *p = text; *p;) {
        size_t len = strcspn(p, "\n");
        char copy[LINE_MAX_BYTES];
        int r;

        c->line = ++line;
        if (len >= sizeof copy)
            return -EINVAL;
        memcpy(copy, p, len);
        copy[len] = '\0';
        r = compile_line(c, copy, self);
        if (r < 0)
            return r;
        p += len + (p[len] == '\n');
    }
    return 0;
}

/* libseccomp 2.5 writes the program to a descriptor only. */
static int take_program(scmp_filter_ctx ctx, struct policy *ret)
{
    _cleanup_close_ int fd = memfd_create("policy", MFD_CLOEXEC);
    struct stat st;
    int r;

    if (fd < 0)
        return -errno;
    r = seccomp_export_bpf(ctx, fd);
    if (r < 0)
        return r;
    if (fstat(fd, &st) < 0)
        return -errno;
    ret->n = (size_t)st.st_size / sizeof *ret->program;
    ret->program = malloc((size_t)st.st_size);
    if (!ret->program)
        return -ENOMEM;
    if (ret->n == 0 || ret->n > BPF_MAXINSNS ||
        pread(fd, ret->program, (size_t)st.st_size, 0) != (ssize_t)st.st_size) {
        policy_free(ret);
        return -EIO;
    }
    return 0;
}

int policy_compile(const char *text, struct policy *ret, unsigned *ret_line)
{
    struct compiler c = {0};
    int r = compile_text(&c, text, ARRAY_SIZE(included));

    *ret = (struct policy){0};
    *ret_line = c.line;
    if (r == 0)
        r = c.ctx ? take_program(c.ctx, ret) : -EINVAL;
    if (c.ctx)
        seccomp_release(c.ctx);
    return r;
}

int policy_enter(const struct policy *p, pid_t self, bool log)
{
    struct sock_fprog program = {.len = (unsigned short)p->n, .filter = p->program};

    for (size_t i = 0; i < p->n; i++)
        if (BPF_CLASS(p->program[i].code) == BPF_JMP && p->program[i].k == SELF_PLACEHOLDER)
            p->program[i].k = (uint32_t)self;
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, log ? SECCOMP_FILTER_FLAG_LOG : 0, &program) < 0)
        return -errno;
    return 0;
}
