/* What a piece of a test writes to one of the standard descriptors. */
#pragma once

#include "core/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include <cmocka.h>

struct captured {
    int fd, kept, file;
    char text[65536];
};

static inline void capture_begin(struct captured *c, int fd)
{
    fflush(NULL);
    c->fd = fd;
    c->kept = dup(fd);
    c->file = memfd_create("captured", MFD_CLOEXEC);
    assert_true(c->kept >= 0 && c->file >= 0);
    assert_int_equal(dup2(c->file, fd), fd);
}

static inline const char *capture_end(struct captured *c)
{
    ssize_t n;

    fflush(NULL);
    dup2(c->kept, c->fd);
    close(c->kept);
    n = pread(c->file, c->text, sizeof c->text - 1, 0);
    close(c->file);
    assert_true(n >= 0);
    c->text[n] = '\0';
    return c->text;
}
