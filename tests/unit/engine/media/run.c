#include "media/run.h"

#include "core/path.h"
#include "core/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <magic.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

struct group {
    const struct engine *engine;
    const struct CMUnitTest *tests;
    size_t n;
    char folder[64];
};

static int count_threads(void)
{
    DIR *dir = opendir("/proc/self/task");
    int n = 0;

    assert_non_null(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n - 2;
}

static struct group *running;

static int set_up(void **state)
{
    strcpy(running->folder, "/tmp/decant-test-XXXXXX");
    assert_non_null(mkdtemp(running->folder));
    *state = running->folder;
    return 0;
}

static int tear_down(void **state)
{
    _cleanup_close_ int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return path_remove_tree(tmp, strrchr(running->folder, '/') + 1);
}

static void one_thread_serves(void **state)
{
    /* ThreadSanitizer's and AddressSanitizer's helpers don't count as threads here: they have none. */
    assert_int_equal(count_threads(), 1);
}

/* gcov's, in a build that counts lines: _exit() goes without it. */
__attribute__((weak)) void __gcov_dump(void);

static void serve(void *arg)
{
    const struct CMUnitTest first[] = {cmocka_unit_test(one_thread_serves)};
    int failed = cmocka_run_group_tests_name("serving", first, NULL, NULL);

    running = arg;
    failed += _cmocka_run_group_tests(running->engine->name, running->tests, running->n, set_up, tear_down);
    if (__gcov_dump)
        __gcov_dump();
    /* what the libraries keep for the life of the process is none of the leaks that we look for */
    _exit(failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

int run_engine_tests(const struct engine *engine, const struct CMUnitTest *tests, size_t n)
{
    struct group group = {.engine = engine, .tests = tests, .n = n};
    const char *why = "it returned";

    engine->warm(serve, &group, &why);
    fprintf(stderr, "the engine does not serve: %s\n", why);
    return EXIT_FAILURE;
}

static void wait_for(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void convert(const struct engine *engine, struct engine_job *job, struct run *shared)
{
    shared->outcome = engine->convert(job);
    memcpy(shared->name, job->output_name, sizeof shared->name);
    memcpy(shared->format, job->output_format, sizeof shared->format);
    shared->pages = job->pages;
}

static struct run run_into(const struct engine *engine, const char *output, const char *from, const char *to,
                           const char *input, const char *options)
{
    struct run *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct run result;
    int report[2];
    pid_t pid;

    assert_true(shared != MAP_FAILED);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, report), 0);
    fflush(NULL);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct engine_job job = {.from = format_by_id(from),
                                 .to = format_by_id(to),
                                 .input_path = input,
                                 .output_path = output,
                                 .options = json_loads(options, 0, NULL),
                                 .report_fd = report[1]};

        convert(engine, &job, shared);
        _exit(0);
    }
    wait_for(pid);
    close(report[0]);
    close(report[1]);
    result = *shared;
    munmap(shared, sizeof *shared);
    snprintf(result.path, sizeof result.path, "%s/%s", output, result.name);
    return result;
}

struct run run_convert(const struct engine *engine, const char *folder, const char *from, const char *to,
                       const char *input, const char *options)
{
    static unsigned counter;
    char output[256];

    snprintf(output, sizeof output, "%s/out-%u", folder, counter++);
    assert_int_equal(mkdir(output, 0700), 0);
    return run_into(engine, output, from, to, input, options);
}

void run_again(const struct engine *engine, const struct run *before, const char *from, const char *to,
               const char *input, const char *options)
{
    _cleanup_free_ char *output = strndup(before->path, (size_t)(strrchr(before->path, '/') - before->path));
    static const char left[] = "by an attempt that was cut short";
    size_t first_len, len;
    _cleanup_free_ char *first = read_file(before->path, &first_len);

    assert_non_null(output);
    write_file(before->path, left, sizeof left - 1);

    struct run result = run_into(engine, output, from, to, input, options);
    _cleanup_free_ char *second = read_file(result.path, &len);

    assert_int_equal(result.outcome, OUTCOME_OK);
    assert_string_equal(result.path, before->path);
    assert_int_equal(len, first_len);
}

/* As the type check takes it: "image/" is all that begin so. */
static bool allows(const char *list, const char *mime)
{
    const char *word;
    size_t n;

    for (const char *p = list; (p = words_next(p, &word, &n));)
        if (strncmp(word, mime, n) == 0 && (mime[n] == '\0' || word[n - 1] == '/'))
            return true;
    return false;
}

struct run run_good(const struct engine *engine, const char *folder, const char *from, const char *to,
                    const char *input, const char *options)
{
    struct run result = run_convert(engine, folder, from, to, input, options);
    const struct format *format = format_by_id(result.format);
    magic_t magic = magic_open(MAGIC_MIME_TYPE);
    const char *mime;

    if (result.outcome != OUTCOME_OK)
        print_message("%s to %s: %s\n", from, to, outcome_code(result.outcome));
    assert_int_equal(result.outcome, OUTCOME_OK);
    assert_non_null(format);
    assert_non_null(magic);
    assert_int_equal(magic_load(magic, NULL), 0);
    mime = magic_file(magic, result.path);
    assert_non_null(mime);
    if (!allows(format->magic, mime) && !str_starts(mime, "text/"))
        fail_msg("%s to %s made a file of type %s", from, to, mime);
    magic_close(magic);
    return result;
}

void run_apart(int (*fn)(const char *path), const char *path)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        _exit(fn(path) == 0 ? 0 : 1);
    wait_for(pid);
}

char *read_file(const char *path, size_t *ret_len)
{
    char *data;

    assert_int_equal(path_read_file(AT_FDCWD, path, 256 << 20, &data, ret_len), 0);
    return data;
}

void write_file(const char *path, const void *data, size_t len)
{
    FILE *f = fopen(path, "we");

    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

const char *in(const char *folder, const char *name)
{
    static char paths[8][256];
    static unsigned next;
    char *path = paths[next++ % ARRAY_SIZE(paths)];

    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

char *output_of(const char *program, const char *argument)
{
    enum { OUTPUT_MAX = 64 * 1024 };
    char *const argv[] = {(char *)program, (char *)argument, NULL}, *out = calloc(1, OUTPUT_MAX + 1);
    char path[] = "PATH=/usr/bin:/bin", locale[] = "LC_ALL=C", *const environment[] = {path, locale, NULL};
    posix_spawn_file_actions_t actions;
    size_t len = 0;
    ssize_t n;
    int ends[2];
    pid_t pid;

    assert_non_null(out);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    assert_int_equal(posix_spawnp(&pid, program, &actions, NULL, argv, environment), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    while (len < OUTPUT_MAX && (n = read(ends[0], out + len, OUTPUT_MAX - len)) > 0)
        len += (size_t)n;
    close(ends[0]);
    wait_for(pid);
    return out;
}
