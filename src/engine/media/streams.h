/* What FFmpeg calls our formats, and how it is told to write them: pure data. */
#pragma once

#include <stddef.h>

/* How a format is read: by this demuxer and no other. FFmpeg left to itself goes by the content, and would
 * open a playlist that is called .mp4, and what the playlist names. */
struct media_source {
    const char *id, *demuxer;
};
/* NULL: none of ours. */
const struct media_source *media_source_find(const char *id);

struct media_target {
    const char *id, *muxer;
    const char *video; /* FFmpeg's words for the picture, space-separated; NULL: sound alone */
    const char *audio; /* for the sound; NULL: the picture alone */
    const char *rate;  /* for how good it is, unless a bit rate is asked for; NULL: as the codec has it */
};
const struct media_target *media_target_find(const char *id);
