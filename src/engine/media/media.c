/* The media engine: FFmpeg, as a program in the sandbox.
 *
 * It is told what the input is rather than left to find out, may open files alone (no protocol of the
 * network, no playlist), and reads no more than the first stream of each kind. What it prints is parsed for
 * the progress and for what went wrong; nothing of it leaves the job. */
#include "engine/media/media.h"

#include "core/str.h"
#include "engine/media/command.h"
#include "engine/media/streams.h"
#include "engine/media/subtitles.h"
#include "engine/tool.h"
#include "sandbox/policy_keeper.h"
#include "sandbox/policy_tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOUNDS                                                                                               \
    "mp3 m4a m4b m4r aac ogg oga opus spx flac wav w64 aiff au ac3 eac3 wma mka weba mp2 caf tta wv voc "    \
    "dts "                                                                                                   \
    "sox adx amr awb gsm mpc dsf dff mlp thd latm ra c2 mmf ast sf avr 8svx maud hcom sph wve pvf mod s3m "  \
    "xm it"
#define FILMS                                                                                                \
    "mp4 mov m4v 3gp 3g2 f4v mkv webm avi flv wmv asf mpg vob ts m2ts ogv mxf dv nut rm wtv gxf amv roq "    \
    "cpk smjpeg"
#define SILENT        "swf y4m ivf mjpeg m2v h264 hevc obu flc"
#define ANIMATIONS    "gif apng"
#define SUBTITLES     "srt vtt ass lrc sub mpl2 smi sbv jss pjs aqt scc"
#define OLD_SUBTITLES "ssa"     /* which stay what they are when FFmpeg makes ASS of them */
#define DSD           "dsf dff" /* among the sounds */
#define EXACT_TARGETS "oga flac wav w64 aiff au caf tta wv voc"
#define SOUND_TARGETS "mp3 m4a m4b m4r aac ogg opus spx ac3 eac3 wma mka weba mp2"
#define SPEECH        "gsm"
#define FILM_TARGETS  "mp4 mov m4v 3gp 3g2 f4v mkv webm avi flv wmv mpg vob ts m2ts ogv mxf nut y4m"
/* Those that may have texts in them. */
#define TEXTED       "mkv mp4 mov m4v webm"
#define TEXT_TARGETS "srt vtt lrc ttml txt"

enum { COST = 40, COST_TEXT = 10, SIDE_MAX = 8192, DAY_S = 24 * 3600 };
static const struct engine_conversions conversions[] = {
    {SOUNDS, EXACT_TARGETS, COST, 98, false, NULL},
    {SOUNDS, SOUND_TARGETS, COST, 90, false, NULL},
    {SOUNDS, SPEECH, COST, 50, false, NULL},
    {FILMS, EXACT_TARGETS " " SOUND_TARGETS " " SPEECH, COST, 45, false, NULL},
    {FILMS " " SILENT " " ANIMATIONS, FILM_TARGETS, COST, 90, false, NULL},
    {FILMS " " SILENT " " ANIMATIONS, "gif webp apng", COST, 40, false, NULL},
    {FILMS " " SILENT " " ANIMATIONS, "jpg png", COST, 20, false, NULL},
    {SUBTITLES, TEXT_TARGETS " ass", COST_TEXT, 90, false, NULL},
    {OLD_SUBTITLES, TEXT_TARGETS, COST_TEXT, 90, false, NULL},
    {TEXTED, TEXT_TARGETS " ass", COST, 10, false, NULL},
    {0},
};

static const struct engine_option options[] = {
    {"bitrate", "mp3 m4a m4b m4r aac ogg opus weba ac3 eac3 wma mp2", 32, 320, 0, "Sound in kbit/s"},
    {"width", FILM_TARGETS " jpg png", 16, SIDE_MAX, 0, "Largest width in pixels"},
    {"height", FILM_TARGETS " jpg png", 16, SIDE_MAX, 0, "Largest height in pixels"},
    {"width", "gif webp apng", 16, SIDE_MAX, 480, "Largest width in pixels"},
    {"height", "gif webp apng", 16, SIDE_MAX, 480, "Largest height in pixels"},
    {"at", "jpg png", 0, DAY_S, 0, "Second that is shown (0: one that stands for the beginning)"},
    {0},
};

static const char *const programs[] = {MEDIA_FFMPEG, NULL};

/* --- what it says */

struct listener {
    struct engine_job *job;
    uint64_t duration_us;
    enum outcome why; /* OUTCOME_OK: it has not said */
    bool empty;       /* nothing was in the streams, or no animation, which is no error to FFmpeg */
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
        {"only possible from text to text", OUTCOME_NO_OUTPUT}, /* pictures of subtitles */
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
    l->empty = l->empty || strstr(line, "Output file is empty") || strstr(line, "saving as a normal PNG");
    for (size_t i = 0; l->why == OUTCOME_OK && i < ARRAY_SIZE(reasons); i++)
        if (strstr(line, reasons[i].text))
            l->why = reasons[i].outcome;
}

static enum outcome run(struct engine_job *job, const struct media_wish *wish)
{
    struct listener listener = {.job = job, .why = OUTCOME_OK};
    struct media_words words = {0};
    enum outcome outcome;
    int status;

    media_command(&words, job, wish);
    if (words.full)
        return OUTCOME_INTERNAL;
    outcome = tool_run(job, words.argv, listen, &listener, &status);
    if (outcome == OUTCOME_OK && listener.empty)
        return OUTCOME_NO_OUTPUT;
    return outcome == OUTCOME_CORRUPT_INPUT && listener.why != OUTCOME_OK ? listener.why : outcome;
}

/* FFmpeg knows no plain text: what was said is taken out of SubRip. */
static enum outcome write_transcript(struct engine_job *job, struct media_wish *wish)
{
    enum outcome outcome;

    wish->target = media_target_find("srt");
    engine_name_result(job, "srt");
    outcome = run(job, wish);
    return outcome == OUTCOME_OK ? subtitles_to_text(job) : outcome;
}

static enum outcome convert(struct engine_job *job)
{
    bool texts = words_have(SUBTITLES " " OLD_SUBTITLES, job->from->id);
    struct media_wish wish = {
        .target = media_target_find(job->to->id),
        .width = engine_option_value(job, options, "width"),
        .height = engine_option_value(job, options, "height"),
        .bitrate = engine_option_value(job, options, "bitrate"),
        .at_s = engine_option_value(job, options, "at"),
        .keep_rate = words_have(ANIMATIONS, job->from->id),
        .is_dsd = words_have(DSD, job->from->id),
    };
    char head[MEDIA_HEAD];
    int r = media_head(job->input_path, head);

    if (r < 0)
        return OUTCOME_INTERNAL;
    wish.demuxer = media_demuxer(job->from->id, head, (size_t)r);
    if (texts && subtitles_charset(job->input_path, &wish.charset) < 0)
        return OUTCOME_INTERNAL;
    if (wish.demuxer && str_eq(job->to->id, "txt"))
        return write_transcript(job, &wish);
    if (!wish.demuxer || !wish.target)
        return OUTCOME_INTERNAL;
    engine_name_result(job, job->to->id);
    return run(job, &wish);
}

/* --- in the zygote */

/* "ffmpeg version 5.1.9-0+deb12u1 Copyright …" */
static void version(char *ret, size_t size)
{
    const char *const argv[] = {MEDIA_FFMPEG, "-version", NULL};

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
