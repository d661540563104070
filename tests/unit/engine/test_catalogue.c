/* Against catalogue/catalogue.inc, a small catalogue made by hand. */
#include "core/str.h"
#include "engine/catalogue.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct catalogue_route *find(const char *from, const char *to)
{
    return catalogue_find(format_by_id(from), format_by_id(to));
}

static void the_cheapest_engine_is_taken(void **state)
{
    assert_string_equal(find("svg", "png")->engines, "image");
    assert_int_equal(find("svg", "png")->cost, 10);
    assert_string_equal(find("docx", "pdf")->engines, "office");
    assert_ptr_equal(find("docx", "pdf")->from, format_by_id("docx"));
    assert_ptr_equal(find("docx", "pdf")->to, format_by_id("pdf"));
}

static void what_no_engine_offers_is_not_there(void **state)
{
    assert_null(find("docx", "webp"));
    assert_null(find("pdf", "docx"));
    assert_null(find("docx", "docx"));
    assert_null(catalogue_find(NULL, format_by_id("pdf")));
    assert_null(catalogue_find(format_by_id("docx"), NULL));
}

static void two_engines_make_a_route(void **state)
{
    const struct catalogue_route *route = find("docx", "gif");

    assert_int_equal(route->n_steps, 2);
    assert_string_equal(route->engines, "office+image");
    assert_string_equal(catalogue_route_engine(route), "office"); /* the costlier step */
    assert_string_equal(catalogue_route_family(route), "documents");
    assert_null(catalogue_route_family(find("png", "jpg")));
}

static void only_sources_are_accepted(void **state)
{
    assert_true(catalogue_accepts(format_by_id("docx")));
    assert_true(catalogue_accepts(format_by_id("jpg")));
    assert_true(catalogue_accepts(format_by_id("pdf")));
    assert_false(catalogue_accepts(format_by_id("epub")));
    assert_false(catalogue_accepts(format_by_id("zip")));
    assert_false(catalogue_accepts(NULL));
}

static void assert_targets(const char *from, const char *expected)
{
    _cleanup_json_ json_t *targets = catalogue_targets(format_by_id(from));
    char line[256] = "";
    size_t i;
    json_t *t;

    json_array_foreach(targets, i, t)
    {
        if (i > 0)
            strcat(line, " ");
        strcat(line, json_string_value(t));
    }
    assert_string_equal(line, expected);
}

/* The wanted ones in their order, then by cost. */
static void the_likeliest_target_comes_first(void **state)
{
    assert_targets("docx", "pdf odt jpg gif png epub");
    assert_targets("png", "jpg webp tiff");
    assert_targets("svg", "png pdf txt");
    assert_targets("zip", "");
}

static void engines_are_named_once(void **state)
{
    const char *const *engines = catalogue_engines();

    assert_string_equal(engines[0], "office");
    assert_string_equal(engines[1], "image");
    assert_string_equal(engines[2], "paper");
    assert_null(engines[3]);
}

/* What the others offer is not there; what several do goes by those that are left. */
static void engines_are_chosen(void **state)
{
    catalogue_choose("pdf,office");
    assert_string_equal(catalogue_engines()[0], "office");
    assert_null(catalogue_engines()[1]);
    assert_string_equal(find("svg", "png")->engines, "office");
    assert_null(find("docx", "gif")); /* the second step is gone */
    assert_null(find("png", "jpg"));
    assert_false(catalogue_accepts(format_by_id("png")));
    assert_targets("svg", "png");

    _cleanup_json_ json_t *all = catalogue_json();
    json_t *map = json_object_get(all, "formats");

    assert_null(json_object_get(map, "webp"));
    assert_int_equal(json_array_size(json_object_get(json_object_get(map, "png"), "targets")), 0);

    catalogue_choose(NULL);
    engines_are_named_once(state);
    the_cheapest_engine_is_taken(state);
}

/* The program of "image" is there, and that of "office" is none. */
static void an_engine_without_its_program_is_left_out(void **state)
{
    assert_null(catalogue_missing_program("image"));
    assert_string_equal(catalogue_missing_program("office"), "/nonexistent/program");
    assert_string_equal(catalogue_names(), "office image paper");
    catalogue_leave_out_missing();
    assert_string_equal(catalogue_names(), "image paper");
    assert_string_equal(catalogue_engines()[0], "image");
    assert_null(catalogue_engines()[2]);
    assert_false(catalogue_accepts(format_by_id("docx")));
    assert_non_null(find("png", "jpg"));
}

static void families_are_those_of_the_engines(void **state)
{
    assert_string_equal(catalogue_families()[0], "documents");
    assert_string_equal(catalogue_families()[1], CATALOGUE_PREVIEWS);
    assert_null(catalogue_families()[2]);
    assert_string_equal(catalogue_family("office"), "documents");
    assert_null(catalogue_family("image")); /* it names none */
    assert_null(catalogue_family("unknown"));
}

static const char *picture(const char *result, const char *inside, const char *options)
{
    _cleanup_json_ json_t *o = json_loads(options, 0, NULL);
    const struct catalogue_route *route = catalogue_preview(format_by_id(result), format_by_id(inside), o);

    assert_true(!route || str_eq(route->to->id, "png"));
    return route ? route->engines : NULL;
}

static void results_have_pictures(void **state)
{
    assert_string_equal(picture("jpg", "jpg", "{}"), "image");
    assert_string_equal(picture("docx", "docx", "{}"), "office");
    assert_string_equal(picture("docx", "odt", "{}"),
                        "office");            /* what it is counts, where it is no archive */
    assert_null(picture("zip", "jpg", "{}")); /* nobody here takes it apart */
    assert_null(picture("mp3", "mp3", "{}"));
    assert_null(catalogue_preview(NULL, NULL, NULL));
}

static int check(const char *from, const char *to, const char *options, char why[200])
{
    _cleanup_json_ json_t *o = json_loads(options, JSON_DECODE_ANY, NULL);

    assert_non_null(o);
    strcpy(why, "");
    return catalogue_check_options(find(from, to), o, why, 200);
}

static void options_are_checked(void **state)
{
    char why[200];

    assert_int_equal(catalogue_check_options(find("png", "jpg"), NULL, why, sizeof why), 0);
    assert_int_equal(check("png", "jpg", "{}", why), 0);
    assert_int_equal(check("png", "jpg", "{\"quality\": 1, \"width\": 16384}", why), 0);
    assert_int_equal(check("docx", "png", "{\"width\": 100}", why), 0);

    assert_int_equal(check("png", "jpg", "{\"quality\": 0}", why), -EINVAL);
    assert_string_equal(why, "The option \"quality\" must be a whole number from 1 to 100.");
    assert_int_equal(check("png", "jpg", "{\"quality\": 101}", why), -EINVAL);
    assert_int_equal(check("png", "jpg", "{\"quality\": \"80\"}", why), -EINVAL);
    assert_int_equal(check("png", "jpg", "{\"quality\": 80.5}", why), -EINVAL);
    assert_int_equal(check("png", "jpg", "{\"quality\": null}", why), -EINVAL);
    assert_int_equal(check("docx", "png", "{\"width\": 101}", why), -EINVAL); /* the bounds of its engine */
    assert_int_equal(check("png", "jpg", "[]", why), -EINVAL);
    assert_int_equal(check("png", "jpg", "7", why), -EINVAL);
}

static void an_option_of_another_target_is_refused(void **state)
{
    char why[200];

    assert_int_equal(check("png", "tiff", "{\"quality\": 80}", why), -EINVAL);
    assert_string_equal(why, "A conversion from png into tiff has no option \"quality\".");
    assert_int_equal(check("png", "tiff", "{\"<b>80\": 80}", why), -EINVAL);
    assert_string_equal(why, "There is an option that a conversion into tiff does not have.");
    assert_int_equal(check("docx", "pdf", "{\"width\": 80}", why), -EINVAL);
}

/* The last step's, and what opens the document for the first one; a PDF of our own is open. */
static void options_of_all_steps_count(void **state)
{
    char why[200];

    assert_int_equal(check("docx", "gif", "{\"width\": 16384, \"password\": \"x\"}", why), 0);
    assert_int_equal(check("docx", "gif", "{\"quality\": 50}", why), -EINVAL);
    assert_true(catalogue_takes_password(find("docx", "gif")));
    assert_true(catalogue_takes_password(find("pdf", "gif")));
    assert_null(find("svg", "gif")); /* a drawing is none of the categories that it follows */
}

static void only_what_can_be_protected_takes_a_password(void **state)
{
    char why[200], options[1200] = "{\"password\": \"";

    assert_true(catalogue_takes_password(find("docx", "pdf")));
    assert_true(catalogue_takes_password(find("docx", "png")));
    assert_false(catalogue_takes_password(find("svg", "png")));
    assert_false(catalogue_takes_password(find("png", "jpg")));
    assert_int_equal(check("docx", "pdf", "{\"password\": \"x\"}", why), 0);
    assert_int_equal(check("docx", "png", "{\"password\": \"Grüße 12\", \"width\": 100}", why), 0);
    assert_int_equal(check("png", "jpg", "{\"password\": \"x\"}", why), -EINVAL);

    assert_int_equal(check("docx", "pdf", "{\"password\": \"\"}", why), -EINVAL);
    assert_string_equal(why, "The option \"password\" must be a text of 1 to 255 characters.");
    assert_int_equal(check("docx", "pdf", "{\"password\": 1234}", why), -EINVAL);
    assert_int_equal(check("docx", "pdf", "{\"password\": null}", why), -EINVAL);
    for (int i = 0; i < 255; i++)
        strcat(options, "€");
    assert_int_equal(check("docx", "pdf", strcat(options, "\"}"), why), 0);
    strcpy(strrchr(options, '"'), "€\"}");
    assert_int_equal(check("docx", "pdf", options, why), -EINVAL);
    assert_null(strstr(why, "€"));
}

/* The option of that name, as /formats tells of it. */
static json_t *told(json_t *all, const char *from, const char *to, const char *name)
{
    json_t *ids = json_object_get(
        json_object_get(json_object_get(json_object_get(all, "formats"), from), "options"), to);
    json_t *id, *option;
    size_t i;

    json_array_foreach(ids, i, id)
    {
        option = json_object_get(json_object_get(all, "options"), json_string_value(id));
        assert_non_null(option);
        if (str_eq(json_string_value(json_object_get(option, "name")), name))
            return option;
    }
    return NULL;
}

static void options_have_kinds(void **state)
{
    char why[200];

    assert_int_equal(check("pdf", "pdf", "{\"pages\": \"1-3,7,z\", \"turn\": 90, \"flat\": true}", why), 0);
    assert_int_equal(check("pdf", "pdf", "{\"pages\": 3, \"turn\": \"180\", \"flat\": 1}", why), 0);
    assert_int_equal(check("pdf", "pdf", "{\"title\": \"Größe\", \"inks\": \"blue+red\"}", why), 0);

    assert_int_equal(check("pdf", "pdf", "{\"pages\": \"1-\"}", why), -EINVAL);
    assert_int_equal(check("pdf", "pdf", "{\"pages\": \"1,2,3,4,5,6,7\"}", why), -EINVAL); /* too long */
    assert_non_null(strstr(why, "in at most 12 characters"));
    assert_int_equal(check("pdf", "pdf", "{\"turn\": 45}", why), -EINVAL);
    assert_string_equal(why, "The option \"turn\" must be one of: 0 90 180.");
    assert_int_equal(check("pdf", "pdf", "{\"flat\": 2}", why), -EINVAL);
    assert_int_equal(check("pdf", "pdf", "{\"flat\": \"true\"}", why), -EINVAL);
    assert_int_equal(check("pdf", "pdf", "{\"title\": \"Größer\"}", why), -EINVAL);
    assert_int_equal(check("pdf", "pdf", "{\"title\": \"a\\nb\"}", why), -EINVAL);
    assert_int_equal(check("pdf", "pdf", "{\"inks\": \"blue+\"}", why), -EINVAL);
    assert_int_equal(check("pdf", "pdf", "{\"inks\": \"green\"}", why), -EINVAL);
    assert_int_equal(check("pdf", "pdf", "{\"new_password\": 1234}", why), -EINVAL);
    assert_int_equal(check("pdf", "pdf", "{\"tint\": \"#fF8000\"}", why), 0);
    assert_int_equal(check("pdf", "pdf", "{\"tint\": \"#f80\"}", why), -EINVAL);
    assert_string_equal(why, "The option \"tint\" must be a colour such as \"#ff8000\", or white or black.");
    assert_int_equal(check("pdf", "pdf", "{\"tint\": 123456}", why), -EINVAL);
    assert_int_equal(check("pdf", "pdf", "{\"tint\": null}", why), -EINVAL);
    assert_int_equal(check("pdf", "pdf", "{\"tint\": [\"white\"]}", why), -EINVAL);
}

static const struct catalogue_route *route_with(const char *from, const char *to, const char *text)
{
    _cleanup_json_ json_t *options = json_loads(text, 0, NULL);

    return catalogue_route_with(find(from, to), options);
}

static void options_ask_for_steps(void **state)
{
    const struct catalogue_route *route = route_with("docx", "gif", "{\"pages\": \"2\"}");

    assert_int_equal(route->n_steps, 3);
    assert_ptr_equal(route->steps[1]->from, route->steps[1]->to);
    assert_ptr_equal(route_with("docx", "gif", "{\"pages\": \"3\"}"), route);
    assert_ptr_equal(route_with("docx", "gif", "{\"width\": 3}"), find("docx", "gif"));
    assert_ptr_equal(catalogue_route_with(find("docx", "gif"), NULL), find("docx", "gif"));
    assert_int_equal(route_with("docx", "gif", "{\"turn\": 90}")->n_steps, 2); /* is about a PDF */
    assert_int_equal(route_with("docx", "pdf", "{\"flat\": true}")->n_steps, 2);
    assert_ptr_equal(route_with("docx", "pdf", "{\"flat\": false}"), find("docx", "pdf"));

    route = route_with("docx", "pdf", "{\"turn\": 90, \"new_password\": \"x\"}");
    assert_int_equal(route->n_steps, 3);
    assert_string_equal(route->steps[2]->asked_by, "new_password");
    assert_string_equal(route->engines, "office+paper");

    /* into itself: what it is by itself, or what is asked for alone */
    assert_int_equal(find("pdf", "pdf")->n_steps, 1);
    assert_int_equal(route_with("pdf", "pdf", "{\"new_password\": \"x\"}")->n_steps, 1);
    assert_string_equal(route_with("pdf", "pdf", "{\"new_password\": \"x\"}")->steps[0]->asked_by,
                        "new_password");
}

static void assert_step_options(const struct catalogue_route *route, size_t step, const char *expected)
{
    static const char options[] =
        "{\"pages\": 2, \"width\": 7, \"password\": \"p\", \"separator\": \"tab\", \"unknown\": 1}";
    _cleanup_secret_ char *own = NULL;

    assert_int_equal(catalogue_step_options(route, step, options, &own), 0);
    assert_string_equal(own, expected);
}

static void each_step_gets_what_is_for_it(void **state)
{
    const struct catalogue_route *route = route_with("docx", "gif", "{\"pages\": 2}");
    _cleanup_secret_ char *none = NULL;

    assert_step_options(route, 0, "{\"password\":\"p\",\"separator\":\"tab\"}");
    assert_step_options(route, 1, "{\"pages\":\"2\"}"); /* as a text */
    assert_step_options(route, 2, "{\"width\":7}");
    assert_int_equal(catalogue_step_options(route, 0, "[]", &none), -EINVAL);
    assert_int_equal(catalogue_step_options(route, 0, "{", &none), -EINVAL);
}

/* What stands for a way from ones to others is there wherever the way goes by them; what tells of the source
 * only where it begins. */
static void options_are_about_ways_or_sources(void **state)
{
    _cleanup_secret_ char *first = NULL, *second = NULL;
    const struct catalogue_route *route = find("docx", "gif");
    char why[200];

    assert_int_equal(check("docx", "gif", "{\"smooth\": true}", why), 0);
    assert_int_equal(check("pdf", "gif", "{\"smooth\": true}", why), 0);
    assert_int_equal(check("docx", "gif", "{\"ink\": true}", why), -EINVAL);
    assert_int_equal(check("png", "webp", "{\"smooth\": true}", why), -EINVAL);
    assert_int_equal(check("docx", "pdf", "{\"smooth\": true}", why), -EINVAL);
    assert_int_equal(catalogue_step_options(route, 0, "{\"smooth\": true}", &first), 0);
    assert_string_equal(first, "{}");
    assert_int_equal(catalogue_step_options(route, 1, "{\"smooth\": true}", &second), 0);
    assert_string_equal(second, "{\"smooth\":true}");
}

static bool come_to_the_same(const char *from, const char *to, const char *a, const char *b)
{
    _cleanup_json_ json_t *first = json_loads(a, 0, NULL), *second = json_loads(b, 0, NULL);
    _cleanup_json_ json_t *one = catalogue_effective(route_with(from, to, a), first);
    _cleanup_json_ json_t *other = catalogue_effective(route_with(from, to, b), second);

    assert_true(json_array_size(one) > 0 && json_array_size(other) > 0);
    return json_equal(one, other);
}

static void options_that_say_the_same_are_equal(void **state)
{
    static const struct {
        const char *from, *to, *a, *b;
        bool same;
    } cases[] = {
        {"png", "jpg", "{}", "{\"quality\": 80}", true}, /* which is the fallback */
        {"png", "jpg", "{}", "{\"quality\": 81}", false},
        {"png", "jpg", "{\"quality\": 80, \"width\": 7}", "{\"width\": 7}", true},
        {"png", "jpg", "{}", "{\"width\": 7}", false}, /* without it that is not applied */
        {"pdf", "gif", "{\"smooth\": true}", "{\"smooth\": 1}", true},
        {"pdf", "gif", "{\"smooth\": 0}", "{}", true},
        {"pdf", "gif", "{\"smooth\": true}", "{}", false},
        {"docx", "gif", "{\"pages\": 2}", "{\"pages\": \"2\"}", true},
        {"docx", "gif", "{\"pages\": 2}", "{}", false},
        {"docx", "pdf", "{\"turn\": 0}", "{}", false}, /* it asks for a step, whatever that does */
        {"png", "jpg", "{}", "{\"unknown\": 1}", true},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        if (come_to_the_same(cases[i].from, cases[i].to, cases[i].a, cases[i].b) != cases[i].same)
            fail_msg("%s and %s", cases[i].a, cases[i].b);

    _cleanup_json_ json_t *jpg = catalogue_effective(find("png", "jpg"), NULL);
    _cleanup_json_ json_t *webp = catalogue_effective(find("png", "webp"), NULL);

    assert_false(json_equal(jpg, webp));
}

static void formats_are_described(void **state)
{
    _cleanup_json_ json_t *all = catalogue_json();
    json_t *map = json_object_get(all, "formats"), *docx = json_object_get(map, "docx"), *option;
    const char *label, *category, *mime, *extension, *target;

    assert_int_equal(json_unpack(docx, "{s:s, s:s, s:[s!], s:[s!], s:[s]}", "label", &label, "category",
                                 &category, "mime_types", &mime, "extensions", &extension, "targets",
                                 &target),
                     0);
    assert_string_equal(label, "Word document");
    assert_string_equal(category, "document");
    assert_string_equal(mime, "application/vnd.openxmlformats-officedocument.wordprocessingml.document");
    assert_string_equal(extension, "docx");
    assert_string_equal(target, "pdf");

    option = told(all, "docx", "png", "width");
    assert_int_equal(json_integer_value(json_object_get(option, "default")), 50);
    assert_string_equal(json_string_value(json_object_get(option, "type")), "integer");
    option = told(all, "docx", "pdf", "password");
    assert_string_equal(json_string_value(json_object_get(option, "type")), "string");
    assert_true(json_is_true(json_object_get(option, "secret")));
    assert_int_equal(json_integer_value(json_object_get(option, "max_length")), 255);
    assert_null(json_object_get(option, "default"));
    assert_true(json_is_null(json_object_get(told(all, "png", "jpg", "width"), "default")));
    assert_int_equal(json_integer_value(json_object_get(told(all, "png", "jpg", "quality"), "max")), 100);
    option = told(all, "docx", "pdf", "turn");
    assert_string_equal(json_string_value(json_object_get(option, "type")), "choice");
    assert_string_equal(json_string_value(json_object_get(option, "default")), "0");
    assert_int_equal(json_array_size(json_object_get(option, "choices")), 3);
    assert_true(json_is_false(json_object_get(told(all, "pdf", "pdf", "flat"), "default")));
    assert_true(json_is_true(json_object_get(told(all, "pdf", "pdf", "new_password"), "secret")));
    option = told(all, "docx", "pdf", "tint");
    assert_string_equal(json_string_value(json_object_get(option, "type")), "colour");
    assert_string_equal(json_string_value(json_object_get(option, "default")), "white");
    assert_null(told(all, "docx", "gif", "turn"));
    assert_non_null(told(all, "docx", "gif", "pages"));

    assert_int_equal(json_array_size(json_object_get(json_object_get(map, "epub"), "targets")), 0);
    assert_null(json_object_get(map, "zip")); /* in no route */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cheapest_engine_is_taken),
        cmocka_unit_test(what_no_engine_offers_is_not_there),
        cmocka_unit_test(two_engines_make_a_route),
        cmocka_unit_test(only_sources_are_accepted),
        cmocka_unit_test(the_likeliest_target_comes_first),
        cmocka_unit_test(engines_are_named_once),
        cmocka_unit_test(engines_are_chosen),
        cmocka_unit_test(families_are_those_of_the_engines),
        cmocka_unit_test(results_have_pictures),
        cmocka_unit_test(options_are_checked),
        cmocka_unit_test(an_option_of_another_target_is_refused),
        cmocka_unit_test(options_of_all_steps_count),
        cmocka_unit_test(options_have_kinds),
        cmocka_unit_test(options_ask_for_steps),
        cmocka_unit_test(each_step_gets_what_is_for_it),
        cmocka_unit_test(options_are_about_ways_or_sources),
        cmocka_unit_test(only_what_can_be_protected_takes_a_password),
        cmocka_unit_test(options_that_say_the_same_are_equal),
        cmocka_unit_test(formats_are_described),
        cmocka_unit_test(an_engine_without_its_program_is_left_out), /* for good */
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
