#include "api/editions.h"

#include "core/cleanup.h"
#include "core/str.h"
#include "engine/catalogue.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* `ret` becomes what all have said so far, or "". `said` may be NULL. */
static void agree(char *ret, size_t size, const char *said, bool first)
{
    said = said ? said : "";
    if (first && strlen(said) < size)
        memcpy(ret, said, strlen(said) + 1);
    else if (!str_eq(ret, said))
        ret[0] = '\0';
}

static const char *version_of(const json_t *engine)
{
    bool up = str_eq(json_string_value(json_object_get(engine, "state")), "up");
    const char *version = json_string_value(json_object_get(engine, "version"));

    return up && version ? version : "";
}

static void learn_engines(struct editions *e, const char *text, bool first)
{
    _cleanup_json_ json_t *engines = json_loads(text, JSON_REJECT_DUPLICATES, NULL);

    for (size_t i = 0; i < e->n; i++)
        agree(e->engines[i].version, sizeof e->engines[i].version,
              version_of(json_object_get(engines, e->engines[i].engine)), first);
}

static void learn_scanner(struct editions *e, const struct worker_info *worker, bool first)
{
    char said[sizeof e->scanner] = "";

    if (str_eq(worker->scanner, "off"))
        snprintf(said, sizeof said, "off");
    else if (str_eq(worker->scanner, "up") && strlen(worker->scanner_detail) < EDITIONS_TEXT_MAX)
        snprintf(said, sizeof said, "up %s", worker->scanner_detail);
    agree(e->scanner, sizeof e->scanner, said, first);
}

void editions_learn(struct editions *ret, const struct worker_info *workers, size_t n)
{
    *ret = (struct editions){0};
    for (const char *const *name = catalogue_engines(); *name && ret->n < EDITIONS_ENGINES_MAX; name++)
        snprintf(ret->engines[ret->n++].engine, EDITIONS_NAME_MAX, "%s", *name);
    for (size_t i = 0; i < n; i++) {
        learn_engines(ret, workers[i].engines, i == 0);
        learn_scanner(ret, &workers[i], i == 0);
        agree(ret->decant, sizeof ret->decant, workers[i].version, i == 0);
    }
}

const char *editions_of(const struct editions *e, const char *engine)
{
    for (size_t i = 0; i < e->n; i++)
        if (str_eq(e->engines[i].engine, engine))
            return e->engines[i].version;
    return "";
}
