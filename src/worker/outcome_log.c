#include "worker/outcome_log.h"

#include "core/log.h"
#include "core/str.h"

static void log_outcome(const char *job_id, const char *task_id, const char *trace_id,
                        const struct catalogue_route *route, const struct conversion_report *report)
{
    log_at(report->outcome == OUTCOME_INTERNAL || report->outcome == OUTCOME_SCANNER_UNAVAILABLE
               ? LOG_LEVEL_WARN
               : LOG_LEVEL_INFO,
           "conversion over", LOG_S("job_id", job_id), LOG_S("task_id", task_id), LOG_S("trace_id", trace_id),
           LOG_S("from", route->from->id), LOG_S("to", route->to->id), LOG_S("engine", report->engine),
           LOG_S("library", report->engine_version), LOG_S("outcome", outcome_code(report->outcome)),
           LOG_S("detail", report->detail), LOG_U("ms", report->wall_ms),
           LOG_U("deadline_ms", report->deadline_ms), LOG_U("cpu_ms", report->cpu_ms),
           LOG_U("peak_kib", report->peak_kib), LOG_U("pss_kib", report->pss_kib),
           LOG_U("fonts_substituted", report->fonts ? report->fonts->n : 0));
}

/* What the scanner or the sandbox decided; how else a conversion ends is no matter of security. */
static void audit(const char *job_id, const char *task_id, const char *trace_id,
                  const struct conversion_report *report)
{
    static const struct {
        enum outcome outcome;
        const char *code;
    } decisions[] = {
        {OUTCOME_INFECTED, "infected"},
        {OUTCOME_SCANNER_UNAVAILABLE, "scanner_unavailable"},
        {OUTCOME_TIMED_OUT, "timed_out"},
        {OUTCOME_SCAN_INCOMPLETE, "scan_incomplete"},
        {OUTCOME_TOO_COMPLEX, "too_complex"},
        {OUTCOME_SCAN_ENCRYPTED, "scan_encrypted"},
        {OUTCOME_ENGINE_CRASHED, "engine_crashed"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(decisions); i++)
        if (decisions[i].outcome == report->outcome)
            log_audit(report->forbidden_call ? "forbidden_call" : decisions[i].code, LOG_S("job_id", job_id),
                      LOG_S("task_id", task_id), LOG_S("trace_id", trace_id),
                      LOG_S("engine", report->engine));
}

void outcome_log(const char *job_id, const char *task_id, const char *trace_id,
                 const struct catalogue_route *route, const struct conversion_report *report)
{
    log_outcome(job_id, task_id, trace_id, route, report);
    audit(job_id, task_id, trace_id, report);
}
