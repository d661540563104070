/* What FFmpeg doesn't do with subtitles. */
#pragma once

#include "core/cleanup.h"
#include "engine/engine.h"

/* The first bytes of a file: their number, at most MEDIA_HEAD (engine/media/streams.h), or -errno. */
int media_head(const char *path, char *ret) _warn_unused_;

/* What FFmpeg has to be told that the text is written in; NULL where it sees that by itself: UTF-8, and
 * UTF-16 with a mark. -errno when it can't be read. */
int subtitles_charset(const char *path, const char **ret) _warn_unused_;

/* Of the SubRip file that is the job's result so far the text alone, as the result "result.txt": each cue's
 * lines, and an empty line before the next. */
enum outcome subtitles_to_text(struct engine_job *job) _warn_unused_;
