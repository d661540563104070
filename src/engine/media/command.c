#include "engine/media/command.h"

#include "core/str.h"

#include <stdarg.h>
#include <stdio.h>

enum { SIDE_MAX = 8192, THREADS = 4 };
/* Some files don't say how their channels lie, and some encoders won't do without. */
#define LAYOUTS "aformat=channel_layouts=mono|stereo|3.0|4.0|5.0|5.1|7.1"
/* FFmpeg makes of DSD sound of 352,800 Hz, which few players take, and which above what can be heard is
 * noise. */
#define CD_RATE "aresample=44100,"
/* Of a picture in a film; the sandbox bounds the memory that it may take. */
#define PIXELS_MAX "100000000"
/* Of two pictures a second in the first five seconds, the one that is most like the others: films begin in
 * black. */
#define TYPICAL "fps=2:eof_action=pass,thumbnail=10,"

__attribute__((format(printf, 2, 3))) static void add(struct media_words *w, const char *format, ...)
{
    va_list ap;
    int n;

    va_start(ap, format);
    n = vsnprintf(w->store + w->used, sizeof w->store - w->used, format, ap);
    va_end(ap);
    if (w->n == MEDIA_WORDS_MAX || n < 0 || (size_t)n >= sizeof w->store - w->used) {
        w->full = true;
        return;
    }
    w->argv[w->n++] = w->store + w->used;
    w->used += (size_t)n + 1;
}

static void add_words(struct media_words *w, const char *list)
{
    const char *word;
    size_t len;

    for (const char *p = list; (p = words_next(p, &word, &len));)
        add(w, "%.*s", (int)len, word);
}

static long side(long wanted)
{
    return wanted > 0 ? wanted : SIDE_MAX;
}

/* Never larger than it is; with even sides, which most codecs need. */
static void add_filter(struct media_words *w, const struct media_wish *wish)
{
    const struct media_target *target = wish->target;

    add_words(w, "-filter_complex");
    add(w,
        "[0:v:0]%sscale=min(iw\\,%ld):min(ih\\,%ld):force_original_aspect_ratio=decrease:"
        "force_divisible_by=2%s%s[v]",
        target->still && wish->at_s == 0 ? TYPICAL : "", side(wish->width), side(wish->height),
        target->slow && !wish->keep_rate ? ",fps=12" : "", target->filter ? target->filter : "");
}

static void add_rate(struct media_words *w, const struct media_wish *wish)
{
    long bitrate = wish->target->video ? 0 : wish->bitrate;

    if (bitrate <= 0) {
        add_words(w, wish->target->rate);
        return;
    }
    add_words(w, "-b:a");
    add(w, "%ldk", bitrate);
}

static void add_streams(struct media_words *w, const struct media_wish *wish)
{
    const struct media_target *target = wish->target;

    if (target->video) {
        add_filter(w, wish);
        add_words(w, "-map [v]");
        add_words(w, target->video);
        add_words(w, target->still ? "-frames:v 1" : "");
    }
    if (!target->audio)
        return;
    add_words(w, target->video ? "-map 0:a:0?" : "-map 0:a:0 -vn");
    add_words(w, "-af");
    add(w, "%s" LAYOUTS, wish->is_dsd ? CD_RATE : "");
    add_words(w, target->audio);
    add_rate(w, wish);
}

static void add_input(struct media_words *w, const struct engine_job *job, const struct media_wish *wish)
{
    if (wish->charset) {
        add_words(w, "-sub_charenc");
        add_words(w, wish->charset);
    }
    if (wish->target->still && wish->at_s > 0) {
        add_words(w, "-ss");
        add(w, "%ld", wish->at_s);
    }
    add_words(w, "-f");
    add_words(w, wish->demuxer);
    add_words(w, "-i");
    add(w, "file:%s", job->input_path);
}

void media_command(struct media_words *w, const struct engine_job *job, const struct media_wish *wish)
{
    const struct media_target *target = wish->target;

    add_words(w, MEDIA_FFMPEG " -nostdin -hide_banner -y -nostats -progress pipe:1"
                              " -protocol_whitelist file -max_pixels " PIXELS_MAX);
    add_input(w, job, wish);
    if (target->text) {
        add_words(w, "-map 0:s:0 -c:s");
        add_words(w, target->text);
    } else {
        add_words(w, "-sn -dn -threads");
        add(w, "%d", THREADS);
        add_streams(w, wish);
    }
    add_words(w, "-f");
    add_words(w, target->muxer);
    add(w, "file:%s/%s", job->output_path, job->output_name);
    w->argv[w->n] = NULL;
}
