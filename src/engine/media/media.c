/* The media engine: FFmpeg, as a program in the sandbox.
 *
 * It is told what the input is rather than left to find out, may open files alone (no protocol of the
 * network, no playlist), and reads no more than the first stream of each kind. What it prints is parsed for
 * the progress and for what went wrong; nothing of it leaves the job. */
#include "engine/media/media.h"

#include "core/str.h"
#include "engine/media/streams.h"
#include "engine/tool.h"
#include "sandbox/policy_keeper.h"
#include "sandbox/policy_tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FFMPEG "/usr/bin/ffmpeg"

#define SOUNDS                                                                                               \
    "mp3 m4a aac ogg oga opus spx flac wav w64 aiff au ac3 eac3 wma mka mp2 caf tta wv voc dts sox adx"
#define FILMS         "mp4 mov m4v 3gp 3g2 f4v mkv webm avi flv wmv asf mpg vob ts m2ts ogv mxf dv nut"
#define SILENT        "swf y4m ivf gif"
#define EXACT_TARGETS "oga flac wav w64 aiff au caf tta wv voc"
#define SOUND_TARGETS "mp3 m4a aac ogg opus spx ac3 eac3 wma mka mp2"
#define FILM_TARGETS  "mp4 mov m4v 3gp 3g2 f4v mkv webm avi flv wmv mpg vob ts m2ts ogv mxf nut y4m"

enum { COST = 40, SIDE_MAX = 8192, THREADS = 4, WORDS_MAX = 64, WORDS_BYTES = 2048 };
/* Some files don't say how their channels lie, and some encoders won't do without. */
#define LAYOUTS "aformat=channel_layouts=mono|stereo|3.0|4.0|5.0|5.1|7.1"
/* Of a picture in a film; the sandbox bounds the memory that it may take. */
#define PIXELS_MAX "100000000"

static const struct engine_conversions conversions[] = {
    {SOUNDS, EXACT_TARGETS, COST, 98, false, NULL},
    {SOUNDS, SOUND_TARGETS, COST, 90, false, NULL},
    {FILMS, EXACT_TARGETS " " SOUND_TARGETS, COST, 45, false, NULL},
    {FILMS " " SILENT, FILM_TARGETS, COST, 90, false, NULL},
    {FILMS " swf y4m ivf", "gif", COST, 40, false, NULL},
    {0},
};

static const struct engine_option options[] = {
    {"bitrate", "mp3 m4a aac ogg opus ac3 eac3 wma mp2", 32, 320, 0, "Sound in kbit/s"},
    {"width", FILM_TARGETS, 16, SIDE_MAX, 0, "Largest width in pixels"},
    {"height", FILM_TARGETS, 16, SIDE_MAX, 0, "Largest height in pixels"},
    {"width", "gif", 16, SIDE_MAX, 480, "Largest width in pixels"},
    {"height", "gif", 16, SIDE_MAX, 480, "Largest height in pixels"},
    {0},
};

static const char *const programs[] = {FFMPEG, NULL};

/* --- the command line */

struct words {
    const char *argv[WORDS_MAX + 1];
    size_t n;
    char store[WORDS_BYTES];
    size_t used;
    bool full;
};

__attribute__((format(printf, 2, 3))) static void add(struct words *w, const char *format, ...)
{
    va_list ap;
    int n;

    va_start(ap, format);
    n = vsnprintf(w->store + w->used, sizeof w->store - w->used, format, ap);
    va_end(ap);
    if (w->n == WORDS_MAX || n < 0 || (size_t)n >= sizeof w->store - w->used) {
        w->full = true;
        return;
    }
    w->argv[w->n++] = w->store + w->used;
    w->used += (size_t)n + 1;
}

static void add_words(struct words *w, const char *list)
{
    const char *word;
    size_t len;

    for (const char *p = list; (p = words_next(p, &word, &len));)
        add(w, "%.*s", (int)len, word);
}

static long side(const struct engine_job *job, const char *name)
{
    long value = engine_option_value(job, options, name);

    return value > 0 ? value : SIDE_MAX;
}

/* Never larger than it is; with even sides, which most codecs need. A GIF gets colours of its own, of which
 * there are 256. */
static void add_filter(struct words *w, const struct engine_job *job)
{
    static const char palette[] = ",fps=12,split[a][b];[a]palettegen[p];[b][p]paletteuse";

    add_words(w, "-filter_complex");
    add(w,
        "[0:v:0]scale=min(iw\\,%ld):min(ih\\,%ld):force_original_aspect_ratio=decrease:"
        "force_divisible_by=2%s[v]",
        side(job, "width"), side(job, "height"), str_eq(job->to->id, "gif") ? palette : "");
}

static void add_rate(struct words *w, const struct engine_job *job, const struct media_target *target)
{
    long bitrate = target->video ? 0 : engine_option_value(job, options, "bitrate");

    if (bitrate <= 0) {
        add_words(w, target->rate);
        return;
    }
    add_words(w, "-b:a");
    add(w, "%ldk", bitrate);
}

static void add_streams(struct words *w, const struct engine_job *job, const struct media_target *target)
{
    if (target->video) {
        add_filter(w, job);
        add_words(w, "-map [v]");
        add_words(w, target->video);
    }
    if (!target->audio)
        return;
    add_words(w, target->video ? "-map 0:a:0?" : "-map 0:a:0 -vn");
    add_words(w, "-af " LAYOUTS);
    add_words(w, target->audio);
    add_rate(w, job, target);
}

static void make_command(struct words *w, const struct engine_job *job, const struct media_source *source,
                         const struct media_target *target)
{
    add_words(w, FFMPEG " -nostdin -hide_banner -y -nostats -progress pipe:1"
                        " -protocol_whitelist file -max_pixels " PIXELS_MAX " -f");
    add_words(w, source->demuxer);
    add_words(w, "-i");
    add(w, "file:%s", job->input_path);
    add_words(w, "-sn -dn -threads");
    add(w, "%d", THREADS);
    add_streams(w, job, target);
    add_words(w, "-f");
    add_words(w, target->muxer);
    add(w, "file:%s/%s", job->output_path, job->output_name);
    w->argv[w->n] = NULL;
}

/* --- what it says */

struct listener {
    struct engine_job *job;
    uint64_t duration_us;
    enum outcome why; /* OUTCOME_OK: it has not said */
    bool empty;       /* nothing was in the streams, which is no error to FFmpeg */
};

/* "  Duration: 00:01:02.50, start: …" */
static uint64_t parse_duration(const char *text)
{
    unsigned hours, minutes;
    double seconds;

    if (sscanf(text, "%u:%u:%lf", &hours, &minutes, &seconds) != 3 || seconds < 0 || seconds > 60)
        return 0;
    return (uint64_t)(((hours * 60.0 + minutes) * 60.0 + seconds) * 1e6);
}

static void listen(void *arg, const char *line)
{
    static const struct {
        const char *text;
        enum outcome outcome;
    } reasons[] = {
        {"Cannot allocate memory", OUTCOME_TOO_COMPLEX},
        {"picture size", OUTCOME_TOO_COMPLEX}, /* … is invalid: more than PIXELS_MAX */
        {"matches no streams", OUTCOME_NO_OUTPUT},
        {"does not contain any stream", OUTCOME_NO_OUTPUT},
        {"Error while opening encoder", OUTCOME_NO_OUTPUT},
        {"No space left on device", OUTCOME_INTERNAL},
    };
    static const char duration[] = "  Duration: ", at[] = "out_time_us=";
    struct listener *l = arg;

    if (str_starts(line, at) && l->duration_us > 0) {
        uint64_t us;

        if (str_to_u64(line + sizeof at - 1, 0, UINT64_MAX / 100, &us) == 0)
            engine_progress(l->job, us >= l->duration_us ? 99 : (unsigned)(us * 100 / l->duration_us));
    } else if (str_starts(line, duration)) {
        l->duration_us = parse_duration(line + sizeof duration - 1);
    }
    l->empty = l->empty || strstr(line, "Output file is empty");
    for (size_t i = 0; l->why == OUTCOME_OK && i < ARRAY_SIZE(reasons); i++)
        if (strstr(line, reasons[i].text))
            l->why = reasons[i].outcome;
}

static enum outcome convert(struct engine_job *job)
{
    const struct media_source *source = media_source_find(job->from->id);
    const struct media_target *target = media_target_find(job->to->id);
    struct listener listener = {.job = job, .why = OUTCOME_OK};
    struct words words = {0};
    enum outcome outcome;
    int status;

    if (!source || !target)
        return OUTCOME_INTERNAL;
    engine_name_result(job, job->to->id);
    make_command(&words, job, source, target);
    if (words.full)
        return OUTCOME_INTERNAL;
    outcome = tool_run(job, words.argv, listen, &listener, &status);
    if (outcome == OUTCOME_OK && listener.empty)
        return OUTCOME_NO_OUTPUT;
    return outcome == OUTCOME_CORRUPT_INPUT && listener.why != OUTCOME_OK ? listener.why : outcome;
}

/* --- in the zygote */

/* "ffmpeg version 5.1.9-0+deb12u1 Copyright …" */
static void version(char *ret, size_t size)
{
    const char *const argv[] = {FFMPEG, "-version", NULL};

    tool_version(argv, "ffmpeg version ", "FFmpeg", ret, size);
}

static int warm(engine_serve_fn *serve, void *arg, const char **ret_why)
{
    return tool_warm(programs, "FFmpeg is missing (package ffmpeg)", serve, arg, ret_why);
}

const struct engine engine_media = {
    .name = "media",
    .family = "media",
    .policy = policy_keeper,
    .tool_policy = policy_tool,
    .programs = programs,
    .tool_runs = 1,
    .conversions = conversions,
    .options = options,
    .version = version,
    .warm = warm,
    .convert = convert,
};
