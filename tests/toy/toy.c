/* The smallest engine: a text becomes a page. docs/adding-an-engine.md tells what each part is for. */
#include "engine/engine.h"

#include "core/cleanup.h"
#include "core/str.h"

#include <stdio.h>

static const struct engine_conversions conversions[] = {
    {.from = "txt", .to = "html", .cost = 5, .fidelity = 100},
    {0},
};

static const struct engine_option options[] = {
    {.name = "title",
     .targets = "html",
     .kind = OPTION_TEXT,
     .min = 1,
     .max = 80,
     .label = "Title of the page",
     .chosen = "Text"},
    {.name = "numbers", .targets = "html", .kind = OPTION_SWITCH, .label = "Number the lines"},
    {0},
};

static void put_escaped(FILE *out, const char *text)
{
    for (; *text; text++)
        switch (*text) {
        case '<':
            fputs("&lt;", out);
            break;
        case '&':
            fputs("&amp;", out);
            break;
        default:
            fputc(*text, out);
        }
}

static enum outcome convert(struct engine_job *job)
{
    _cleanup_fclose_ FILE *in = fopen(job->input_path, "re"), *out = NULL;
    _cleanup_free_ char *path = NULL, *line = NULL;
    size_t size = 0;

    engine_name_result(job, "html");
    if (!in || asprintf(&path, "%s/%s", job->output_path, job->output_name) < 0 || !(out = fopen(path, "we")))
        return OUTCOME_INTERNAL;
    fputs("<!DOCTYPE html><meta charset=\"utf-8\"><title>", out);
    put_escaped(out, engine_option_text(job, options, "title"));
    fputs("</title><pre>\n", out);
    for (unsigned n = 1; getline(&line, &size, in) > 0; n++) {
        if (engine_option_value(job, options, "numbers"))
            fprintf(out, "%u ", n);
        put_escaped(out, line);
    }
    fputs("</pre>\n", out);
    return ferror(in) || fflush(out) != 0 ? OUTCOME_INTERNAL : OUTCOME_OK;
}

static void version(char *ret, size_t size)
{
    snprintf(ret, size, "Toy 1");
}

static int warm(engine_serve_fn *serve, void *arg, const char **ret_why)
{
    serve(arg);
    return -1;
}

static const struct engine engine_toy = {
    .name = "toy",
    .policy = "include base\ninclude noexec\n",
    .conversions = conversions,
    .options = options,
    .version = version,
    .warm = warm,
    .convert = convert,
};

int main(int argc, char **argv)
{
    return engine_main(&engine_toy, argc, argv);
}
