/* An engine whose children take more than their share, by ways that no limit on one process's address space
 * reaches. What the file says is done; OUTCOME_OK says that nothing stopped it, so that a test can show both.
 * Run by the real zygote in the real sandbox, in the place of an engine of the catalogue. */
#include "engine/engine.h"

#include "core/str.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>

enum { STEP = 1 << 20, THREADS = 700, THREADS_FEW = 60, STACK = 256 << 10, FILES = 2048 };

/* As many files as the temporary folder takes, and then all memory that there is. Neither is more than a job
 * may have; together they are. */
static enum outcome take_memory(struct engine_job *job)
{
    static char block[STEP];
    char path[256], *p;

    memset(block, 1, sizeof block);
    for (int i = 0; i < FILES; i++) {
        int fd;

        snprintf(path, sizeof path, "%s/%d", getenv("TMPDIR"), i);
        fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        if (fd < 0 || write(fd, block, sizeof block) != (ssize_t)sizeof block)
            break;
        close(fd);
    }
    while ((p = mmap(NULL, STEP, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) != MAP_FAILED)
        memset(p, 1, STEP);
    return OUTCOME_OK;
}

static void *stay(void *arg)
{
    for (;;)
        pause();
    return NULL;
}

static enum outcome take_threads(struct engine_job *job)
{
    pthread_attr_t attr;
    pthread_t thread;
    int n = 0;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK);
    while (n < THREADS && pthread_create(&thread, &attr, stay, NULL) == 0)
        n++;
    if (n < THREADS_FEW) /* what engines need must be there */
        return OUTCOME_INTERNAL;
    return n == THREADS ? OUTCOME_OK : OUTCOME_CORRUPT_INPUT;
}

static enum outcome be_modest(struct engine_job *job)
{
    return OUTCOME_OK;
}

/* A result that its group may not read either, and it is by the group that a worker of another user does. */
static enum outcome hide(struct engine_job *job)
{
    char path[256];

    snprintf(path, sizeof path, "%s/result.pdf", job->output_path);
    return unlink(path) == 0 && close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0)) == 0 ? OUTCOME_OK
                                                                                          : OUTCOME_INTERNAL;
}

static enum outcome hang(struct engine_job *job)
{
    stay(NULL);
    return OUTCOME_INTERNAL;
}

static enum outcome crash(struct engine_job *job)
{
    __builtin_trap();
}

static const struct {
    const char *word;
    enum outcome (*fn)(struct engine_job *job);
} actions[] = {{"memory", take_memory}, {"threads", take_threads}, {"modest", be_modest},
               {"hang", hang},          {"crash", crash},          {"hide", hide}};

static bool write_result(struct engine_job *job)
{
    char path[256];
    FILE *f;

    snprintf(job->output_name, sizeof job->output_name, "result.pdf");
    snprintf(job->output_format, sizeof job->output_format, "pdf");
    snprintf(path, sizeof path, "%s/result.pdf", job->output_path);
    f = fopen(path, "we");
    return f && fputs("%PDF-1.4\n%%EOF\n", f) >= 0 && fclose(f) == 0;
}

static enum outcome convert(struct engine_job *job)
{
    char text[32] = "";
    int in = open(job->input_path, O_RDONLY | O_CLOEXEC);
    ssize_t n = in < 0 ? -1 : read(in, text, sizeof text - 1);

    text[n > 0 ? n : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    if (!write_result(job))
        return OUTCOME_INTERNAL;
    for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
        if (str_eq(actions[i].word, text))
            return actions[i].fn(job);
    return OUTCOME_INTERNAL;
}

static int warm(engine_serve_fn *serve, void *arg, const char **ret_why)
{
    serve(arg);
    return 0;
}

static const struct engine_conversions conversions[] = {{"txt", "pdf", 1, 90, false, NULL}, {0}};

static const struct engine greedy = {
    .name = "greedy",
    .policy = "include base\ninclude noexec\n",
    .conversions = conversions,
    .warm = warm,
    .convert = convert,
};

int main(int argc, char **argv)
{
    return engine_main(&greedy, argc, argv);
}
