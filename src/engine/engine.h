/* An engine: one `const struct engine` in one file, which says what it can convert and does it.
 *
 * Each family is a program (decant-engine-NAME): engine/main.c runs the zygote loop for the struct it is
 * linked with. The library is initialised once, in warm(); each job runs convert() in a sandboxed child. At
 * build the program prints its conversions (--describe), from which the catalogue that the API reads is made:
 * there is no second list. */
#pragma once

#include "core/outcome.h"
#include "engine/colour.h"
#include "engine/fonts.h"
#include "format/format.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Every format in `from` into every format in `to` (space-separated ids), but for a format into itself; with
 * `asked_by`, each format into itself and no other. */
struct engine_conversions {
    const char *from, *to;
    unsigned cost; /* relative effort: of ways that are as faithful the cheapest is taken */
    /* How much of what a reader or viewer would miss is still there, in percent, when all goes well: 100 for
     * a packing without loss, less than 50 where most is left out (the first page of many). */
    unsigned fidelity;
    /* Can the result hold what was embedded in the source (objects, macros, pictures) as it was, in another
     * packing? Then the virus scanner sees the result too: it may look through that one better. */
    bool copies_embedded;
    /* As the second step of a route (engine/plan.h): categories of documents that the first may have started
     * from, space-separated; NULL: never second. A first step loses what the second might need: the PDF of a
     * photograph has no text. */
    const char *follows;
    /* Of rows from a format into itself: the options that ask for the step, space-separated. `turn`: when it
     * is taken, where several are asked for, and it then is part of every route that comes by the format (of
     * a PDF its pages are chosen before it is drawn); 0: it is a route by itself alone. */
    const char *asked_by;
    unsigned turn;
};

enum option_kind {
    OPTION_NUMBER, /* a whole number, min to max */
    OPTION_SWITCH, /* true or false, as which 1 and 0 are taken, too */
    OPTION_CHOICE, /* one of the words in `choices` */
    OPTION_SET,    /* one or more of them with "+" between, "eng+deu" */
    OPTION_PAGES,  /* pages in the order wanted: "1-3,7,z-5", where z is the last, r2 the last but one; at
                      most `max` characters (engine/page_range.h) */
    OPTION_FORMAT, /* the id of a format that is a target of some other */
    OPTION_COLOUR, /* "#rrggbb", "white" or "black" (engine/colour.h) */
    OPTION_TEXT,   /* min to max characters, no control characters */
    OPTION_SECRET, /* the same, stored and sent in no form that others can read (engine/secrets.h) */
    OPTION_KINDS_
};

/* An option that a job may carry. */
struct engine_option {
    const char *name; /* "dpi" */
    /* The target formats it applies to; NULL: all. It is about the end of a route: who only makes what a
     * second engine draws isn't asked. */
    const char *targets;
    long min, max, fallback; /* fallback out of bounds: not applied unless given. A switch has 0 or 1. */
    const char *label;       /* "Resolution in dots per inch" */
    enum option_kind kind;
    const char *choices; /* space-separated */
    const char *chosen;  /* the fallback of what is no number; NULL: none */
    /* Without targets: the source formats it is about, as how a table is written down: it applies where a
     * route begins with them. With targets: only what becomes these from them has it, be they what a step
     * before has made. NULL: it is not about the source. */
    const char *sources;
};

struct sandbox_tool;

struct engine_job {
    const struct format *from, *to;
    const char *input_path;  /* absolute, ends in .{from->id} */
    const char *output_path; /* absolute path of the folder for the result; what a try before this one has
                                left in it is written over */
    const json_t *options;   /* object, validated: what is for this step of the route alone */
    /* filled by convert() */
    char output_name[64];   /* the result's name in the folder, such as "result.pdf" or "result.zip" */
    char output_format[16]; /* its format's id; usually to->id, "zip" for many pages */
    uint64_t pages;         /* 0: not counted */
    struct font_list fonts; /* what stood in for fonts that aren't there */
    /* engine/tool.h only */
    const struct sandbox_tool *tools;
    unsigned tools_left;
    /* engine_progress only */
    int report_fd;
    unsigned progress_sent;
    uint64_t progress_ms;
};

/* Percent of the work done, 0–99; sends at most ten a second. */
void engine_progress(struct engine_job *job, unsigned percent);
/* How many pages (or frames) the document turned out to have, once: its deadline grows with them. */
void engine_pages(struct engine_job *job, uint64_t pages);
/* Names the result after its format: "result.pdf". */
void engine_name_result(struct engine_job *job, const char *format);
/* The value of a number or a switch, or its fallback from the table. An option may have several rows, one for
 * each group of targets. */
long engine_option_value(const struct engine_job *job, const struct engine_option *options, const char *name);
/* The text of any other option, or its fallback, which may be NULL. */
const char *engine_option_text(const struct engine_job *job, const struct engine_option *options,
                               const char *name);
/* The colour of a colour, or its fallback; false where there is neither. */
bool engine_option_colour(const struct engine_job *job, const struct engine_option *options, const char *name,
                          struct colour *ret);
#define ENGINE_PASSWORD "password" /* opens the source */
/* What each file of an archive is to become; the worker's to know. */
#define ENGINE_EACH         "each"
#define ENGINE_NEW_PASSWORD "new_password" /* protects the result */
enum { ENGINE_PASSWORD_MAX = 255 /* characters */ };
/* The source's password, or NULL when the job has none. */
const char *engine_password(const struct engine_job *job);

typedef enum outcome engine_task_fn(struct engine_job *job);
typedef void engine_serve_fn(void *arg);

struct engine {
    const char *name;              /* "office" */
    const char *family;            /* "documents": the queue in which its jobs wait; NULL: the one for all */
    const char *policy;            /* seccomp policy text: policy_NAME from "sandbox/policy_NAME.h" */
    const char *const *read_paths; /* what the engine reads beyond the common set; NULL-terminated */
    /* Programs that it executes (engine/tool.h): absolute paths, NULL-terminated, all of them needed; NULL:
     * none. tool_runs: how many of them a job may start, at most SANDBOX_TOOLS_MAX. */
    const char *const *programs;
    unsigned tool_runs;
    const char *tool_policy;                      /* as policy, for the programs */
    const struct engine_conversions *conversions; /* ended by {0} */
    const struct engine_option *options;          /* ended by {0} */
    /* Source formats that a password may open, space-separated; NULL: none. Their jobs may have the option
     * "password" (an OPTION_SECRET, of which they need no row). */
    const char *protectable;
    /* Is this pair really there (a loader compiled in)? NULL: all are. */
    bool (*offers)(const struct format *from, const struct format *to);
    /* Library name and version, for records: "LibreOffice 7.4.7.2". */
    void (*version)(char *ret, size_t size);
    /* Initialises the library and calls serve(arg), which never returns, with exactly one thread running.
     * Returns -errno and a reason when the library can't be had. */
    int (*warm)(engine_serve_fn *serve, void *arg, const char **ret_why);
    /* In the child. */
    engine_task_fn *convert;
    /* Formats of which it makes one file of many, and takes one apart into many; space-separated; NULL: none.
     * Both go by a folder of files 0001.pdf, 0002.docx, …, in which index.json tells their order and names
     * (engine/folder.h): it is the input of gather(), and scatter() fills its output folder. */
    const char *gathers, *scatters;
    engine_task_fn *gather, *scatter;
};

/* The program's main. */
int engine_main(const struct engine *engine, int argc, char **argv);
