#include "cli/convert_result.h"

#include "cli/convert_plan.h"
#include "cli/convert_standard.h"
#include "core/path.h"
#include "core/str.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static void copy_text(char *to, size_t size, const char *text)
{
    size_t len = utf8_clip(text, size - 1);

    for (size_t i = 0; i < len; i++)
        to[i] = (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? '?' : text[i];
    to[len] = '\0';
}

void convert_fail(struct convert_result *r, int status, const char *code, const char *message)
{
    r->exit_status = status;
    copy_text(r->error_code, sizeof r->error_code, code);
    copy_text(r->error_message, sizeof r->error_message, message);
}

void convert_fail_errno(struct convert_result *r, int status, const char *code, int err)
{
    convert_fail(r, status, code, strerror(-err)); // NOLINT(concurrency-mt-unsafe): glibc's is safe
}

void convert_fail_output(struct convert_result *r, const char *path, const char *why)
{
    char message[sizeof r->error_message];

    snprintf(message, sizeof message, "%s: %.120s", path, why);
    convert_fail(r, CONVERT_EXIT_OUTPUT, "output_unwritable", message);
}

void convert_fail_commit(struct convert_result *r, const char *path, int err)
{
    if (err == -EEXIST && convert_is_standard(path))
        convert_fail(r, CONVERT_EXIT_OUTPUT, "output_unwritable",
                     "The many pages come as a ZIP; --force writes that to standard output.");
    else if (err == -EEXIST)
        convert_fail(r, CONVERT_EXIT_OUTPUT, "output_unwritable",
                     "The many pages come as a ZIP, and a file of that name is there; --force replaces it.");
    else
        convert_fail_output(r, path, strerror(-err)); // NOLINT(concurrency-mt-unsafe): glibc's is safe
}

void convert_name_culprit(struct convert_result *r, const char *input)
{
    char message[sizeof r->error_message];

    snprintf(message, sizeof message, "%.60s: %.180s", str_base_name(input), r->error_message);
    copy_text(r->error_message, sizeof r->error_message, message);
}

static int open_path(const char *path)
{
    int fd;

    if (convert_is_standard(path))
        return path_reopen(STDIN_FILENO);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    return fd < 0 ? -errno : fd;
}

int convert_open_input(struct convert_result *r, const char *path, uint64_t *ret_size)
{
    _cleanup_close_ int fd = open_path(path);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0) {
        convert_fail_errno(r, CONVERT_EXIT_INPUT, "input_unreadable", fd < 0 ? fd : -errno);
        return -1;
    }
    if (!S_ISREG(st.st_mode)) {
        convert_fail(r, CONVERT_EXIT_INPUT, "input_unreadable", "It is not a regular file.");
        return -1;
    }
    if (st.st_size == 0) {
        convert_fail(r, CONVERT_EXIT_INPUT, "empty_file", "The file is empty.");
        return -1;
    }
    if (ret_size)
        *ret_size = (uint64_t)st.st_size;
    return TAKE_FD(fd);
}
