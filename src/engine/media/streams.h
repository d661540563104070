/* What FFmpeg calls our formats, and how it is told to write them: pure data. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* How a format is read, `head` being the first `len` bytes of the file: by this demuxer and no other. FFmpeg
 * left to itself goes by the content, and would open a playlist that is called .mp4, and what the playlist
 * names. NULL: none of ours. */
const char *media_demuxer(const char *id, const char *head, size_t len);
enum { MEDIA_HEAD = 16 /* bytes that are looked at, at most */ };

struct media_target {
    const char *id, *muxer;
    const char *video;  /* FFmpeg's words for the picture, space-separated; NULL: sound alone */
    const char *audio;  /* for the sound; NULL: the picture alone */
    const char *rate;   /* for how good it is, unless a bit rate is asked for; NULL: as the codec has it */
    const char *text;   /* for subtitles, and then nothing else; NULL: none */
    const char *filter; /* for the picture, behind its size; NULL: none */
    bool still;         /* one picture of all */
    bool slow;          /* a few pictures a second are enough */
};
const struct media_target *media_target_find(const char *id);
