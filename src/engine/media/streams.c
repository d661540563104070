#include "engine/media/streams.h"

#include "core/str.h"

static const struct media_source sources[] = {
    {"mp3", "mp3"},          {"m4a", "mov"},       {"aac", "aac"},   {"ogg", "ogg"},   {"oga", "ogg"},
    {"opus", "ogg"},         {"spx", "ogg"},       {"flac", "flac"}, {"wav", "wav"},   {"w64", "w64"},
    {"aiff", "aiff"},        {"au", "au"},         {"ac3", "ac3"},   {"eac3", "eac3"}, {"wma", "asf"},
    {"mka", "matroska"},     {"mp2", "mp3"},       {"caf", "caf"},   {"tta", "tta"},   {"wv", "wv"},
    {"voc", "voc"},          {"dts", "dts"},       {"sox", "sox"},   {"adx", "adx"},   {"mp4", "mov"},
    {"mov", "mov"},          {"m4v", "mov"},       {"3gp", "mov"},   {"3g2", "mov"},   {"f4v", "mov"},
    {"mkv", "matroska"},     {"webm", "matroska"}, {"avi", "avi"},   {"flv", "flv"},   {"wmv", "asf"},
    {"asf", "asf"},          {"mpg", "mpeg"},      {"vob", "mpeg"},  {"ts", "mpegts"}, {"m2ts", "mpegts"},
    {"ogv", "ogg"},          {"mxf", "mxf"},       {"dv", "dv"},     {"nut", "nut"},   {"swf", "swf"},
    {"y4m", "yuv4mpegpipe"}, {"ivf", "ivf"},       {"gif", "gif"},
};

/* Players want even sides and 4:2:0. Presets are those at which a second more buys little. */
#define H264  "-c:v libx264 -preset veryfast -crf 23 -pix_fmt yuv420p"
#define MPEG4 "-c:v mpeg4 -q:v 4 -pix_fmt yuv420p"
#define MPEG2 "-c:v mpeg2video -q:v 4 -r 25 -pix_fmt yuv420p"
#define AAC   "-c:a aac"

static const struct media_target targets[] = {
    {"mp3", "mp3", NULL, "-c:a libmp3lame", "-q:a 2"},
    {"m4a", "ipod", NULL, AAC, NULL},
    {"aac", "adts", NULL, AAC, NULL},
    {"ogg", "ogg", NULL, "-c:a libvorbis", "-q:a 5"},
    {"oga", "oga", NULL, "-c:a flac", NULL},
    {"opus", "opus", NULL, "-c:a libopus", NULL},
    {"spx", "spx", NULL, "-c:a libspeex -ar 32000", NULL},
    {"flac", "flac", NULL, "-c:a flac", NULL},
    {"wav", "wav", NULL, "-c:a pcm_s16le", NULL},
    {"w64", "w64", NULL, "-c:a pcm_s16le", NULL},
    {"aiff", "aiff", NULL, "-c:a pcm_s16be", NULL},
    {"au", "au", NULL, "-c:a pcm_s16be", NULL},
    {"ac3", "ac3", NULL, "-c:a ac3", "-b:a 192k"},
    {"eac3", "eac3", NULL, "-c:a eac3", "-b:a 192k"},
    {"wma", "asf", NULL, "-c:a wmav2", "-b:a 192k"},
    {"mka", "matroska", NULL, "-c:a libvorbis", "-q:a 5"},
    {"mp2", "mp2", NULL, "-c:a mp2 -ar 44100", "-b:a 192k"},
    {"caf", "caf", NULL, "-c:a pcm_s16le", NULL},
    {"tta", "tta", NULL, "-c:a tta", NULL},
    {"wv", "wv", NULL, "-c:a wavpack", NULL},
    {"voc", "voc", NULL, "-c:a pcm_s16le", NULL},
    {"mp4", "mp4", H264, AAC " -movflags +faststart", NULL},
    {"mov", "mov", H264, AAC " -movflags +faststart", NULL},
    {"m4v", "ipod", H264, AAC, NULL},
    {"3gp", "3gp", MPEG4, AAC, NULL},
    {"3g2", "3g2", MPEG4, AAC, NULL},
    {"f4v", "f4v", H264, AAC, NULL},
    {"mkv", "matroska", H264, AAC, NULL},
    {"webm", "webm", "-c:v libvpx-vp9 -crf 33 -b:v 0 -cpu-used 5 -row-mt 1 -pix_fmt yuv420p", "-c:a libopus",
     NULL},
    {"avi", "avi", MPEG4, "-c:a libmp3lame", "-q:a 2"},
    {"flv", "flv", "-c:v flv1 -q:v 4 -pix_fmt yuv420p", "-c:a libmp3lame -ar 44100", "-q:a 2"},
    {"wmv", "asf", "-c:v wmv2 -q:v 4 -pix_fmt yuv420p", "-c:a wmav2", "-b:a 192k"},
    {"mpg", "mpeg", "-c:v mpeg1video -q:v 4 -r 25 -pix_fmt yuv420p", "-c:a mp2 -ar 44100", "-b:a 192k"},
    {"vob", "vob", MPEG2, "-c:a ac3 -ar 48000", "-b:a 192k"},
    {"ts", "mpegts", H264, AAC, NULL},
    {"m2ts", "mpegts", H264, "-c:a ac3 -mpegts_m2ts_mode 1", "-b:a 192k"},
    {"ogv", "ogv", "-c:v libtheora -q:v 7 -pix_fmt yuv420p", "-c:a libvorbis", "-q:a 5"},
    {"mxf", "mxf", MPEG2, "-c:a pcm_s16le -ar 48000", NULL},
    {"nut", "nut", MPEG4, "-c:a libvorbis", "-q:a 5"},
    {"y4m", "yuv4mpegpipe", "-c:v wrapped_avframe -pix_fmt yuv420p", NULL, NULL},
    {"gif", "gif", "-c:v gif", NULL, NULL},
};

const struct media_source *media_source_find(const char *id)
{
    for (size_t i = 0; i < ARRAY_SIZE(sources); i++)
        if (str_eq(sources[i].id, id))
            return &sources[i];
    return NULL;
}

const struct media_target *media_target_find(const char *id)
{
    for (size_t i = 0; i < ARRAY_SIZE(targets); i++)
        if (str_eq(targets[i].id, id))
            return &targets[i];
    return NULL;
}
