/* Scope-bound ownership: a variable marked `_cleanup_…_` releases what it holds when its scope ends;
 * TAKE_PTR and TAKE_FD hand the value over and leave the variable empty. */
#pragma once

#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define _cleanup_(fn)  __attribute__((cleanup(fn)))
#define _warn_unused_  __attribute__((warn_unused_result))
#define _printf_(f, a) __attribute__((format(printf, f, a)))
#define _noreturn_     __attribute__((noreturn))
#define ARRAY_SIZE(a)  (sizeof(a) / sizeof((a)[0]))

static inline void cleanup_free(void *p)
{
    free(*(void **)p);
}

/* For passwords and what holds them: nothing stays in the memory that is given back. */
static inline void cleanup_secret(char **s)
{
    if (*s)
        explicit_bzero(*s, strlen(*s));
    free(*s);
}

static inline void cleanup_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static inline void cleanup_fclose(FILE **f)
{
    if (*f)
        fclose(*f);
}

static inline void cleanup_closedir(DIR **d)
{
    if (*d)
        closedir(*d);
}

static inline void cleanup_json(json_t **j)
{
    json_decref(*j);
}

#define _cleanup_free_     _cleanup_(cleanup_free)
#define _cleanup_secret_   _cleanup_(cleanup_secret)
#define _cleanup_close_    _cleanup_(cleanup_close)
#define _cleanup_fclose_   _cleanup_(cleanup_fclose)
#define _cleanup_closedir_ _cleanup_(cleanup_closedir)
#define _cleanup_json_     _cleanup_(cleanup_json)

#define TAKE_PTR(p)                                                                                          \
    ({                                                                                                       \
        __typeof__(p) *_p = &(p);                                                                            \
        __typeof__(p) _taken = *_p;                                                                          \
        *_p = NULL;                                                                                          \
        _taken;                                                                                              \
    })

#define TAKE_FD(fd)                                                                                          \
    ({                                                                                                       \
        int *_fd = &(fd);                                                                                    \
        int _taken = *_fd;                                                                                   \
        *_fd = -1;                                                                                           \
        _taken;                                                                                              \
    })
