/* Runs an engine's convert() the way its zygote does: warm first, then a fork for each job; without the
 * sandbox. Everything here ends the test when it fails. */
#pragma once

#include "engine/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* Warms the engine up and runs the tests from within serve(), where exactly one thread may run. The group's
 * state is the folder in which they may write; it is removed afterwards. The status for main. */
int run_engine_tests(const struct engine *engine, const struct CMUnitTest *tests, size_t n);

struct run {
    enum outcome outcome;
    char name[64], format[16];
    uint64_t pages;
    char path[512]; /* of the result */
};

/* Converts `input` into a new folder below `folder`. `options` is JSON. */
struct run run_convert(const struct engine *engine, const char *folder, const char *from, const char *to,
                       const char *input, const char *options);
/* Once more into the folder of `before`, where an attempt that was cut short has left part of a result under
 * its name: it has to succeed, with a result of that size. */
void run_again(const struct engine *engine, const struct run *before, const char *from, const char *to,
               const char *input, const char *options);
/* The same as run_convert, and it has to succeed with a file that libmagic takes for its format. */
struct run run_good(const struct engine *engine, const char *folder, const char *from, const char *to,
                    const char *input, const char *options);

/* Calls `fn` in a forked process, where threads may be started; it has to return 0. */
void run_apart(int (*fn)(const char *path), const char *path);

/* Files; read_file's result is the caller's. */
char *read_file(const char *path, size_t *ret_len);
void write_file(const char *path, const void *data, size_t len);
/* folder/name, in one of eight static strings. */
const char *in(const char *folder, const char *name);
/* What a program prints, its first 64 kB; it has to end with 0. The caller's. */
char *output_of(const char *program, const char *argument);
