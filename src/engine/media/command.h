/* What FFmpeg is told for one conversion. */
#pragma once

#include "engine/engine.h"
#include "engine/media/streams.h"

#define MEDIA_FFMPEG "/usr/bin/ffmpeg"

enum { MEDIA_WORDS_MAX = 64, MEDIA_WORDS_BYTES = 2048 };

struct media_words {
    const char *argv[MEDIA_WORDS_MAX + 1]; /* NULL-terminated, in `store` */
    size_t n;
    char store[MEDIA_WORDS_BYTES];
    size_t used;
    bool full; /* there was more than fits */
};

struct media_wish {
    const char *demuxer, *charset; /* charset: of a text that isn't UTF-8; NULL: it is */
    const struct media_target *target;
    long width, height, bitrate, at_s; /* 0: as it comes */
    bool keep_rate;                    /* as many pictures a second as the source has, whatever the target */
    bool is_dsd;                       /* the sound comes as bits, at 64 times the rate of a CD or more */
};

void media_command(struct media_words *w, const struct engine_job *job, const struct media_wish *wish);
