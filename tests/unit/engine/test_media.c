/* The media engine's tables: what it offers it can name to FFmpeg. What FFmpeg makes of it is shown by the
 * tests of the system, since it runs in the sandbox alone. */
#include "engine/media/media.h"
#include "engine/media/streams.h"

#include "core/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void for_each(const char *list, void (*fn)(const char *id))
{
    const char *word;
    size_t len;

    for (const char *p = list; (p = words_next(p, &word, &len));) {
        _cleanup_free_ char *id = strndup(word, len);

        fn(id);
    }
}

static void has_demuxer(const char *id)
{
    assert_non_null(media_demuxer(id, "", 0));
}

static void has_muxer(const char *id)
{
    const struct media_target *target = media_target_find(id);

    if (strcmp(id, "txt") == 0) /* by way of srt */
        return;
    assert_non_null(target);
    assert_true(target->video || target->audio || target->text);
}

static void all_that_is_offered_has_its_words(void **state)
{
    for (const struct engine_conversions *c = engine_media.conversions; c->from; c++) {
        for_each(c->from, has_demuxer);
        for_each(c->to, has_muxer);
    }
    for (const struct engine_option *o = engine_media.options; o->name; o++)
        for_each(o->targets, has_muxer);
    assert_null(media_demuxer("pdf", "", 0));
    assert_null(media_target_find("pdf"));
}

/* These open what a file names. */
static void no_playlist_is_a_source(void **state)
{
    static const char *const others[] = {"hls", "concat", "dash", "sdp", "rtsp", "image2", "lavfi", "tee"};

    for (size_t i = 0; i < n_formats; i++)
        for (size_t k = 0; k < ARRAY_SIZE(others); k++)
            if (media_demuxer(formats[i].id, "", 0))
                assert_string_not_equal(media_demuxer(formats[i].id, "", 0), others[k]);
}

static void some_are_told_by_their_first_bytes(void **state)
{
    assert_string_equal(media_demuxer("mpg", "\0\0\1\xba", 4), "mpeg");
    assert_string_equal(media_demuxer("mpg", "\0\0\1\xb3", 4), "mpegvideo");
    assert_string_equal(media_demuxer("mpg", "\0\0\1\xb3", 3), "mpeg");
    assert_string_equal(media_demuxer("mp4", "\0\0\1\xb3", 4), "mov");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_that_is_offered_has_its_words),
        cmocka_unit_test(no_playlist_is_a_source),
        cmocka_unit_test(some_are_told_by_their_first_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
