#include "engine/media/streams.h"

#include "core/str.h"

static const struct source {
    const char *id, *demuxer;
} sources[] = {
    {"mp3", "mp3"},        {"m4a", "mov"},
    {"m4b", "mov"},        {"m4r", "mov"},
    {"aac", "aac"},        {"ogg", "ogg"},
    {"oga", "ogg"},        {"opus", "ogg"},
    {"spx", "ogg"},        {"flac", "flac"},
    {"wav", "wav"},        {"w64", "w64"},
    {"aiff", "aiff"},      {"au", "au"},
    {"ac3", "ac3"},        {"eac3", "eac3"},
    {"wma", "asf"},        {"mka", "matroska"},
    {"weba", "matroska"},  {"mp2", "mp3"},
    {"caf", "caf"},        {"tta", "tta"},
    {"wv", "wv"},          {"voc", "voc"},
    {"dts", "dts"},        {"sox", "sox"},
    {"adx", "adx"},        {"amr", "amr"},
    {"awb", "amr"},        {"gsm", "gsm"},
    {"mpc", "mpc8"},       {"dsf", "dsf"},
    {"dff", "iff"},        {"mlp", "mlp"},
    {"thd", "truehd"},     {"latm", "loas"},
    {"ra", "rm"},          {"c2", "codec2"},
    {"mmf", "mmf"},        {"ast", "ast"},
    {"sf", "ircam"},       {"avr", "avr"},
    {"8svx", "iff"},       {"maud", "iff"},
    {"hcom", "hcom"},      {"sph", "nistsphere"},
    {"wve", "wve"},        {"pvf", "pvf"},
    {"mod", "libopenmpt"}, {"s3m", "libopenmpt"},
    {"xm", "libopenmpt"},  {"it", "libopenmpt"},
    {"mp4", "mov"},        {"mov", "mov"},
    {"m4v", "mov"},        {"3gp", "mov"},
    {"3g2", "mov"},        {"f4v", "mov"},
    {"mkv", "matroska"},   {"webm", "matroska"},
    {"avi", "avi"},        {"flv", "flv"},
    {"wmv", "asf"},        {"asf", "asf"},
    {"mpg", "mpeg"},       {"vob", "mpeg"},
    {"ts", "mpegts"},      {"m2ts", "mpegts"},
    {"ogv", "ogg"},        {"mxf", "mxf"},
    {"dv", "dv"},          {"nut", "nut"},
    {"swf", "swf"},        {"y4m", "yuv4mpegpipe"},
    {"ivf", "ivf"},        {"gif", "gif"},
    {"apng", "apng"},      {"rm", "rm"},
    {"wtv", "wtv"},        {"gxf", "gxf"},
    {"amv", "avi"},        {"mjpeg", "mjpeg"},
    {"m2v", "mpegvideo"},  {"h264", "h264"},
    {"hevc", "hevc"},      {"obu", "obu"},
    {"flc", "flic"},       {"roq", "roq"},
    {"cpk", "film_cpk"},   {"smjpeg", "smjpeg"},
    {"srt", "srt"},        {"vtt", "webvtt"},
    {"ass", "ass"},        {"ssa", "ass"},
    {"lrc", "lrc"},        {"sub", "microdvd"},
    {"mpl2", "mpl2"},      {"smi", "sami"},
    {"sbv", "subviewer"},  {"jss", "jacosub"},
    {"pjs", "pjs"},        {"aqt", "aqtitle"},
    {"scc", "scc"},
};

/* Files that are packed in another way than most of their name: they begin so. */
static const struct other_source {
    const char *id, *demuxer, *head;
    size_t head_len;
} others[] = {
    {"mpg", "mpegvideo", "\x00\x00\x01\xb3", 4}, /* the bare picture, without a pack around it */
};

/* Players want even sides and 4:2:0. Presets are those at which a second more buys little. */
#define H264  "-c:v libx264 -preset veryfast -crf 23 -pix_fmt yuv420p"
#define MPEG4 "-c:v mpeg4 -q:v 4 -pix_fmt yuv420p"
#define MPEG2 "-c:v mpeg2video -q:v 4 -r 25 -pix_fmt yuv420p"
#define AAC   "-c:a aac"
/* A GIF gets colours of its own, of which there are 256. */
#define PALETTE ",split[a][b];[a]palettegen[p];[b][p]paletteuse"

/* clang-format off */
#define SOUND(i, m, a, r)     {.id = i, .muxer = m, .audio = a, .rate = r}
#define FILM(i, m, v, a, r)   {.id = i, .muxer = m, .video = v, .audio = a, .rate = r}
#define ANIMATION(i, m, v, f) {.id = i, .muxer = m, .video = v, .filter = f, .slow = true}
#define STILL(i, v)           {.id = i, .muxer = "image2pipe", .video = v, .still = true}
#define TEXT(i, m, t)         {.id = i, .muxer = m, .text = t}
/* clang-format on */

static const struct media_target targets[] = {
    SOUND("mp3", "mp3", "-c:a libmp3lame", "-q:a 2"),
    SOUND("m4a", "ipod", AAC, NULL),
    SOUND("m4b", "ipod", AAC, NULL),
    SOUND("m4r", "ipod", AAC, NULL),
    SOUND("aac", "adts", AAC, NULL),
    SOUND("ogg", "ogg", "-c:a libvorbis", "-q:a 5"),
    SOUND("oga", "oga", "-c:a flac", NULL),
    SOUND("opus", "opus", "-c:a libopus", NULL),
    SOUND("spx", "spx", "-c:a libspeex -ar 32000", NULL),
    SOUND("flac", "flac", "-c:a flac", NULL),
    SOUND("wav", "wav", "-c:a pcm_s16le", NULL),
    SOUND("w64", "w64", "-c:a pcm_s16le", NULL),
    SOUND("aiff", "aiff", "-c:a pcm_s16be", NULL),
    SOUND("au", "au", "-c:a pcm_s16be", NULL),
    SOUND("ac3", "ac3", "-c:a ac3", "-b:a 192k"),
    SOUND("eac3", "eac3", "-c:a eac3", "-b:a 192k"),
    SOUND("wma", "asf", "-c:a wmav2 -ar 44100", "-b:a 192k"),
    SOUND("mka", "matroska", "-c:a libvorbis", "-q:a 5"),
    SOUND("mp2", "mp2", "-c:a mp2 -ar 44100", "-b:a 192k"),
    SOUND("weba", "webm", "-c:a libopus", NULL),
    SOUND("gsm", "gsm", "-c:a libgsm -ar 8000 -ac 1", NULL),
    SOUND("caf", "caf", "-c:a pcm_s16le", NULL),
    SOUND("tta", "tta", "-c:a tta", NULL),
    SOUND("wv", "wv", "-c:a wavpack", NULL),
    SOUND("voc", "voc", "-c:a pcm_s16le", NULL),
    FILM("mp4", "mp4", H264, AAC " -movflags +faststart", NULL),
    FILM("mov", "mov", H264, AAC " -movflags +faststart", NULL),
    FILM("m4v", "ipod", H264, AAC, NULL),
    FILM("3gp", "3gp", MPEG4, AAC, NULL),
    FILM("3g2", "3g2", MPEG4, AAC, NULL),
    FILM("f4v", "f4v", H264, AAC, NULL),
    FILM("mkv", "matroska", H264, AAC, NULL),
    FILM("webm", "webm", "-c:v libvpx-vp9 -crf 33 -b:v 0 -cpu-used 5 -row-mt 1 -pix_fmt yuv420p",
         "-c:a libopus", NULL),
    FILM("avi", "avi", MPEG4, "-c:a libmp3lame", "-q:a 2"),
    FILM("flv", "flv", "-c:v flv1 -q:v 4 -pix_fmt yuv420p", "-c:a libmp3lame -ar 44100", "-q:a 2"),
    FILM("wmv", "asf", "-c:v wmv2 -q:v 4 -pix_fmt yuv420p", "-c:a wmav2 -ar 44100", "-b:a 192k"),
    FILM("mpg", "mpeg", "-c:v mpeg1video -q:v 4 -r 25 -pix_fmt yuv420p", "-c:a mp2 -ar 44100", "-b:a 192k"),
    FILM("vob", "vob", MPEG2, "-c:a ac3 -ar 48000", "-b:a 192k"),
    FILM("ts", "mpegts", H264, AAC, NULL),
    FILM("m2ts", "mpegts", H264, "-c:a ac3 -mpegts_m2ts_mode 1", "-b:a 192k"),
    FILM("ogv", "ogv", "-c:v libtheora -q:v 7 -pix_fmt yuv420p", "-c:a libvorbis", "-q:a 5"),
    FILM("mxf", "mxf", MPEG2, "-c:a pcm_s16le -ar 48000", NULL),
    FILM("nut", "nut", MPEG4, "-c:a libvorbis", "-q:a 5"),
    FILM("y4m", "yuv4mpegpipe", "-c:v wrapped_avframe -pix_fmt yuv420p", NULL, NULL),
    ANIMATION("gif", "gif", "-c:v gif", PALETTE),
    ANIMATION("apng", "apng", "-c:v apng -plays 0", NULL),
    ANIMATION("webp", "webp", "-c:v libwebp_anim -q:v 75 -loop 0", NULL),
    STILL("jpg", "-c:v mjpeg -q:v 3 -pix_fmt yuvj420p"),
    STILL("png", "-c:v png"),
    TEXT("srt", "srt", "subrip"),
    TEXT("vtt", "webvtt", "webvtt"),
    TEXT("ass", "ass", "ass"),
    TEXT("lrc", "lrc", "text"),
    TEXT("ttml", "ttml", "ttml"),
};

const char *media_demuxer(const char *id, const char *head, size_t len)
{
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        if (str_eq(others[i].id, id) && len >= others[i].head_len &&
            memcmp(head, others[i].head, others[i].head_len) == 0)
            return others[i].demuxer;
    for (size_t i = 0; i < ARRAY_SIZE(sources); i++)
        if (str_eq(sources[i].id, id))
            return sources[i].demuxer;
    return NULL;
}

const struct media_target *media_target_find(const char *id)
{
    for (size_t i = 0; i < ARRAY_SIZE(targets); i++)
        if (str_eq(targets[i].id, id))
            return &targets[i];
    return NULL;
}
