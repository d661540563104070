#include "worker/settlement.h"

#include "core/clock.h"
#include "sandbox/sandbox.h"
#include "state/stored.h"

#include <assert.h>

static const char *const ending_names[] = {
    [END_COMPLETED] = "completed",   [END_FAILED] = "failed",     [END_REFUSED] = "refused",
    [END_GAVE_UP] = "gave_up",       [END_CANCELLED] = "revoked", [END_REVOKED] = "revoked",
    [END_CALLED_OFF] = "called_off", [END_SKIPPED] = "skipped",   [END_SUPERSEDED] = "skipped",
    [END_REJECTED] = "rejected",     [END_RETRIED] = "retried",   [END_RELEASED] = "released",
};

const char *ending_name(enum ending ending)
{
    return ending_names[ending];
}

static void set(struct settlement *s, const char *name, const char *value)
{
    assert(s->n_fields + 2 < SETTLEMENT_FIELDS); /* the last one stays NULL */
    s->fields[s->n_fields++] = name;
    s->fields[s->n_fields++] = value ? value : "";
}

static void set_number(struct settlement *s, const char *name, uint64_t value)
{
    assert(s->n_numbers < SETTLEMENT_NUMBERS);

    char *text = s->numbers[s->n_numbers++];

    snprintf(text, sizeof s->numbers[0], "%llu", (unsigned long long)value);
    set(s, name, text);
}

static const char *scan_name(const struct attempt *a)
{
    if (a->outcome == OUTCOME_INFECTED)
        return "infected";
    if (a->outcome == OUTCOME_SCAN_INCOMPLETE)
        return "incomplete";
    if (a->outcome == OUTCOME_SCAN_ENCRYPTED)
        return "encrypted";
    return a->scanned ? "clean" : "off";
}

/* What the attempt has cost and found, whether it led to a result or not. */
static void set_record(struct settlement *s, const struct attempt *a)
{
    sandbox_layer_names(a->layers, s->layers);
    set(s, "completed_at", s->now);
    set(s, "scan", scan_name(a));
    set(s, "signature", a->signature);
    set(s, "engine", a->engine);
    set(s, "engine_version", a->engine_version);
    set(s, "sandbox", s->layers);
    set_number(s, "cpu_ms", a->cpu_ms);
    set_number(s, "peak_kib", a->peak_kib);
    set_number(s, "pss_kib", a->pss_kib);
    set_number(s, "duration_ms", a->duration_ms);
}

static void set_fonts(struct settlement *s, const struct font_list *fonts)
{
    _cleanup_json_ json_t *json = fonts ? fonts_json(fonts) : NULL;

    s->fonts = json ? json_dumps(json, JSON_COMPACT) : NULL;
    set(s, "fonts_substituted", s->fonts);
}

static void set_stored(struct settlement *s, const char *session_id, const char *job_id,
                       const struct attempt *a)
{
    job_key(s->job, session_id, job_id);
    s->result.tally = STORED_KEY;
    s->result.tally_name = session_id;
    s->result.tally_by = a->output_size;
    s->result.tally_share = s->job;
}

static void make_completed(struct settlement *s, const char *session_id, const char *job_id,
                           const struct attempt *a)
{
    format_mime(a->output_format, s->mime);
    set(s, "status", job_status_name(JOB_COMPLETED));
    set(s, "progress", "100");
    set(s, "converted_path", a->published);
    set(s, "output_mime_type", s->mime);
    set_number(s, "output_size", a->output_size);
    set_number(s, "output_pages", a->output_pages);
    set_fonts(s, a->fonts);
    set(s, "error_code", "");
    set(s, "error_message", "");
    set_record(s, a);
    if (a->exchanged)
        s->value =
            json_pack("{s:s, s:s, s:I, s:I, s:o*}", "result", a->exchanged, "format", a->output_format->id,
                      "size", (json_int_t)a->output_size, "pages", (json_int_t)a->output_pages,
                      "fonts_substituted", a->fonts ? fonts_json(a->fonts) : NULL);
    else
        s->value =
            json_pack("{s:s, s:s, s:I, s:I}", "job_id", job_id, "status", job_status_name(JOB_COMPLETED),
                      "size", (json_int_t)a->output_size, "pages", (json_int_t)a->output_pages);
    s->result.result = s->value;
    if (a->exchanged)
        return;
    set_stored(s, session_id, job_id, a);
}

/* For people. What tasks say of themselves names no files. */
static const char *tell_failure(struct settlement *s, const struct attempt *a)
{
    const char *sentence = outcome_sentence(a->outcome), *name = a->failed_name ?: "";

    if (!*name)
        return sentence;
    snprintf(s->message, sizeof s->message, "%s: %s", name, sentence);
    return s->message;
}

static void make_failed(struct settlement *s, enum queue_state state, const struct attempt *a)
{
    const char *code = outcome_code(a->outcome), *sentence = outcome_sentence(a->outcome);

    set(s, "status", job_status_name(JOB_FAILED));
    set(s, "error_code", code);
    set(s, "error_message", tell_failure(s, a));
    set_record(s, a);
    s->result = (struct queue_result){.state = state, .exc_type = code, .exc_message = sentence};
}

static void make_cancelled(struct settlement *s, enum outcome outcome)
{
    set(s, "status", job_status_name(JOB_CANCELLED));
    set(s, "completed_at", s->now);
    set(s, "error_code", outcome_code(outcome));
    set(s, "error_message", outcome_sentence(outcome));
    set(s, "cancelling", "");
}

static void make_revoked(struct settlement *s)
{
    s->result =
        (struct queue_result){.state = QUEUE_REVOKED, .exc_message = outcome_sentence(OUTCOME_CANCELLED)};
}

void settlement_make(struct settlement *s, enum ending ending, const char *session_id, const char *job_id,
                     const struct attempt *a)
{
    *s = (struct settlement){.has_hash = job_id[0] != '\0', .result = {.state = QUEUE_SUCCESS}};
    clock_rfc3339(clock_real_ms(), s->now);
    job_key(s->key, session_id, job_id);
    snprintf(s->channel, sizeof s->channel, JOB_CHANNEL_PREFIX "%s", job_id);
    /* The states before a completion are one to us: Redis may have been away when the job moved on. */
    s->hash = (struct queue_hash){
        .key = s->key, .field = "status", .expected = JOB_OPEN, .channel = s->channel, .set = s->fields};
    set(s, "worker", "");
    if (ending != END_RELEASED && ending != END_RETRIED && a->had_password)
        set(s, "sealed_secrets", ""); /* nobody needs it any more */

    switch (ending) {
    case END_COMPLETED:
        make_completed(s, session_id, job_id, a);
        break;
    case END_FAILED:
        make_failed(s, QUEUE_FAILURE, a);
        break;
    case END_GAVE_UP:
        make_failed(s, QUEUE_REJECTED, a);
        break;
    case END_CANCELLED:
        s->hash.expected = JOB_OPEN " cancelled";
        make_cancelled(s, OUTCOME_CANCELLED);
        make_revoked(s);
        break;
    case END_REVOKED:
        s->hash.expected = job_status_name(JOB_CANCELLED);
        make_revoked(s);
        break;
    case END_CALLED_OFF:
        make_cancelled(s, OUTCOME_REVOKED);
        s->result = (struct queue_result){.state = QUEUE_REVOKED, .exc_message = a->reason};
        break;
    case END_SKIPPED:
        s->has_hash = false;
        s->value = json_pack("{s:s}", "skipped", a->reason);
        s->result.result = s->value;
        break;
    case END_SUPERSEDED:
        s->has_hash = false;
        make_revoked(s);
        break;
    case END_REFUSED:
    case END_REJECTED:
        s->has_hash = false;
        s->result = (struct queue_result){.state = ending == END_REFUSED ? QUEUE_FAILURE : QUEUE_REJECTED,
                                          .exc_type = a->reason,
                                          .exc_message = a->reason_text};
        break;
    case END_RETRIED:
        set(s, "status", job_status_name(JOB_QUEUED));
        s->result = (struct queue_result){.state = QUEUE_FAILURE,
                                          .exc_type = outcome_code(a->outcome),
                                          .exc_message = outcome_sentence(a->outcome)};
        break;
    case END_RELEASED:
        set(s, "status", job_status_name(JOB_QUEUED));
        break;
    }
}

/* --- pictures */

void settlement_make_preview(struct settlement *s, enum ending ending, const char *session_id,
                             const char *job_id, const char *result_id, const struct attempt *a)
{
    /* What isn't here leaves the record as it is: it is not of this task. */
    static const struct {
        enum preview_status status;
        enum queue_state state;
        bool fails;
    } endings[] = {
        [END_COMPLETED] = {PREVIEW_COMPLETED, QUEUE_SUCCESS},
        [END_FAILED] = {PREVIEW_FAILED, QUEUE_FAILURE, true},
        [END_GAVE_UP] = {PREVIEW_FAILED, QUEUE_REJECTED, true},
        [END_CANCELLED] = {PREVIEW_CANCELLED, QUEUE_REVOKED},
        [END_REVOKED] = {PREVIEW_CANCELLED, QUEUE_REVOKED},
        [END_CALLED_OFF] = {PREVIEW_CANCELLED, QUEUE_REVOKED},
        [END_RETRIED] = {PREVIEW_QUEUED, QUEUE_FAILURE, true},
        [END_RELEASED] = {PREVIEW_QUEUED, QUEUE_SUCCESS},
    };

    static_assert(PREVIEW_WANTED == 0, "no ending makes it that");
    if (ending >= ARRAY_SIZE(endings) || endings[ending].status == PREVIEW_WANTED) {
        settlement_make(s, ending, "", "", a);
        return;
    }
    *s = (struct settlement){.has_hash = result_id[0] != '\0', .result = {.state = endings[ending].state}};
    preview_key(s->key, session_id, result_id);
    snprintf(s->channel, sizeof s->channel, PREVIEW_CHANNEL_PREFIX "%s", result_id);
    s->hash = (struct queue_hash){
        .key = s->key, .field = "status", .expected = PREVIEW_OPEN, .channel = s->channel, .set = s->fields};
    set(s, "status", preview_status_name(endings[ending].status));
    set(s, "worker", "");
    set(s, "error_code", endings[ending].fails && ending != END_RETRIED ? outcome_code(a->outcome) : "");
    if (endings[ending].fails) {
        s->result.exc_type = outcome_code(a->outcome);
        s->result.exc_message = outcome_sentence(a->outcome);
    } else if (ending != END_COMPLETED) {
        s->result.exc_message = a->reason ? a->reason : outcome_sentence(OUTCOME_CANCELLED);
    } else {
        s->value = json_pack("{s:s, s:I}", "job_id", job_id, "size", (json_int_t)a->output_size);
        s->result.result = s->value;
        set_stored(s, session_id, job_id, a);
    }
}

void settlement_free(struct settlement *s)
{
    json_decref(s->value);
    free(s->fonts);
}
