/* A converter that has been taken over, made of one that hasn't: this object is loaded into the real engine's
 * program, beside its libraries, and takes a few functions of theirs over.
 *
 * The frame reads the options of a job in the child, behind all locks: json_loads() tells whether there is
 * something to be tried. It is tried as the engine's library opens the document, in the midst of a
 * conversion, and the report says which library that was. The program itself, its policy, its libraries and
 * its warm-up are what is shipped. */
#include "attempts.h"

#include "core/str.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* By their names in the object, as headers map one to the other. */
#define TAKES_OVER(name) __asm__(name) __attribute__((visibility("default")))

json_t *intruder_json_loads(const char *text, size_t flags, json_error_t *error) TAKES_OVER("json_loads");
int intruder_open(const char *path, int flags, ...) TAKES_OVER("open");
int intruder_open64(const char *path, int flags, ...) TAKES_OVER("open64");
int intruder_open_2(const char *path, int flags) TAKES_OVER("__open_2");
int intruder_open64_2(const char *path, int flags) TAKES_OVER("__open64_2");
FILE *intruder_fopen(const char *path, const char *mode) TAKES_OVER("fopen");
FILE *intruder_fopen64(const char *path, const char *mode) TAKES_OVER("fopen64");

static json_t *wanted;

/* Not for the next one that is started: what children inherit is part of what is tried. */
__attribute__((constructor)) static void hide(void)
{
    unsetenv("LD_PRELOAD");
}

static const char *object_of(const void *address)
{
    const char *slash;
    Dl_info info;

    if (!dladdr(address, &info) || !info.dli_fname)
        return "?";
    slash = strrchr(info.dli_fname, '/');
    return slash ? slash + 1 : info.dli_fname;
}

/* The document, or the copy of it that the sandbox makes: something of its kind and size. */
static bool is_input(const char *path)
{
    const char *input = json_string_value(json_object_get(wanted, "input"));
    const char *kind = strrchr(path, '.');
    struct stat st;

    return input && kind && str_eq(kind, strrchr(input, '.')) && stat(path, &st) == 0 &&
           st.st_size == json_integer_value(json_object_get(wanted, "bytes"));
}

static void strike(const char *path, const void *caller)
{
    json_t *options = wanted;
    int error = errno;

    if (!options || !is_input(path))
        return;
    wanted = NULL;
    attempt_run(options, path, object_of(caller));
    errno = error;
}

json_t *intruder_json_loads(const char *text, size_t flags, json_error_t *error)
{
    json_t *(*next)(const char *, size_t, json_error_t *) =
        (json_t * (*)(const char *, size_t, json_error_t *)) dlsym(RTLD_NEXT, "json_loads");
    json_t *value = next(text, flags, error);

    if (attempt_is_wanted(value))
        wanted = json_deep_copy(value);
    return value;
}

static int open_next(const char *name, const char *path, int flags, va_list args, const void *caller)
{
    int (*next)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, name);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;

    strike(path, caller);
    return next(path, flags, mode);
}

int intruder_open(const char *path, int flags, ...)
{
    va_list args;
    int fd;

    va_start(args, flags);
    fd = open_next("open", path, flags, args, __builtin_return_address(0));
    va_end(args);
    return fd;
}

int intruder_open64(const char *path, int flags, ...)
{
    va_list args;
    int fd;

    va_start(args, flags);
    fd = open_next("open64", path, flags, args, __builtin_return_address(0));
    va_end(args);
    return fd;
}

/* What they are called where the compiler checks that no mode is missing. */
int intruder_open_2(const char *path, int flags)
{
    strike(path, __builtin_return_address(0));
    return intruder_open(path, flags);
}

int intruder_open64_2(const char *path, int flags)
{
    strike(path, __builtin_return_address(0));
    return intruder_open64(path, flags);
}

static FILE *fopen_next(const char *name, const char *path, const char *mode, const void *caller)
{
    FILE *(*next)(const char *, const char *) =
        (FILE * (*)(const char *, const char *)) dlsym(RTLD_NEXT, name);

    strike(path, caller);
    return next(path, mode);
}

FILE *intruder_fopen(const char *path, const char *mode)
{
    return fopen_next("fopen", path, mode, __builtin_return_address(0));
}

FILE *intruder_fopen64(const char *path, const char *mode)
{
    return fopen_next("fopen64", path, mode, __builtin_return_address(0));
}
