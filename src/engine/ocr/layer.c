#include "engine/ocr/layer.h"

#include "core/str.h"
#include "engine/tool.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_BYTES = 512, WORDS_MAX = 16 };

void layer_free(struct layer *l)
{
    buf_free(&l->pages);
}

static void end_run(struct layer *l)
{
    if (l->first == 0)
        return;
    buf_printf(&l->pages, l->first == l->last ? "%s%d" : "%s%d-%d", l->pages.len > 0 ? "," : "", l->first,
               l->last);
    l->first = l->last = 0;
}

void layer_add(struct layer *l, int page)
{
    if (l->first == 0 || page != l->last + 1) {
        end_run(l);
        l->first = page;
    }
    l->last = page;
}

const char *layer_pages(struct layer *l)
{
    end_run(l);
    buf_append_str(&l->pages, "");
    return buf_error(&l->pages) ? NULL : l->pages.data;
}

/* --- the password: not as a word of a command line, which everybody on the machine may read */

static int write_password(const char *password, const char *path)
{
    _cleanup_close_ int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    size_t len = strlen(password);

    return fd < 0 || write(fd, password, len) != (ssize_t)len ? -1 : 0;
}

struct password_file {
    char path[PATH_BYTES]; /* "": there is none */
    char word[PATH_BYTES + 32];
};

static void remove_password(struct password_file *f)
{
    if (*f->path)
        (void)!unlink(f->path);
}

static int keep_password(const struct engine_job *job, struct password_file *f)
{
    const char *password = engine_password(job);
    // NOLINTNEXTLINE(concurrency-mt-unsafe): one thread
    const char *tmp = getenv("TMPDIR");

    if (!password)
        return 0;
    snprintf(f->path, sizeof f->path, "%s/password", tmp ? tmp : "/tmp");
    snprintf(f->word, sizeof f->word, "--password-file=%s", f->path);
    return write_password(password, f->path);
}

/* --- qpdf */

enum outcome layer_lay(struct layer *l, struct engine_job *job, const char *text)
{
    _cleanup_(remove_password) struct password_file password = {0};
    const char *argv[WORDS_MAX] = {LAYER_PROGRAM, "--no-warn", "--warning-exit-0", "--decrypt"};
    const char *pages = layer_pages(l);
    char output[PATH_BYTES], to[LAYER_PAGES_BYTES + sizeof "--to="];
    size_t n = 4;
    int status;

    if (!pages || keep_password(job, &password) < 0 ||
        snprintf(output, sizeof output, "%s/%s", job->output_path, job->output_name) >= (int)sizeof output)
        return OUTCOME_INTERNAL;
    if (*password.word)
        argv[n++] = password.word;
    argv[n++] = job->input_path;
    if (*pages) {
        snprintf(to, sizeof to, "--to=%s", pages);
        argv[n++] = "--overlay";
        argv[n++] = text;
        argv[n++] = to;
        argv[n++] = "--";
    }
    argv[n++] = output;
    return tool_run(job, argv, NULL, NULL, &status);
}
