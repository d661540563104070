/* UNO, LibreOffice's component model, from C.
 *
 * An object is called by its dispatcher: it takes the member's description, the address for the result and
 * the addresses of the arguments, and hands an exception back as a value ("binary UNO"). All language
 * bindings of LibreOffice are made of it, so that it is the same in every version since the first. What is
 * used of it is declared here and in uno.c rather than taken from libreoffice-dev, whose headers are C++ in
 * places (typelib/typedescription.h of 7.4), to build with no part of LibreOffice.
 *
 * Interfaces and members go by their full names, as in LibreOffice's reference. Arguments are addresses of
 * values: of an uint8_t for a boolean, int16_t for a short, int32_t for a long, of a pointer for a string, an
 * object or a sequence. Nothing here is thread-safe, and uno_connect() comes first. */
#pragma once

#include "core/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct uno_string;
struct uno_type;

struct uno_any {
    const struct uno_type *type;
    void *data; /* may point to `reserved`: an any must not be copied */
    void *reserved;
};

/* An interface of an object; counted references. */
struct uno_object {
    void (*acquire)(struct uno_object *o);
    void (*release)(struct uno_object *o);
    void (*dispatch)(struct uno_object *o, const struct uno_type *member, void *ret, void **args,
                     struct uno_any **exception);
};

/* Of objects: the only ones that are looked into. */
struct uno_sequence {
    int32_t references, n;
    struct uno_object *objects[];
};

/* Finds the functions, and the process's context in `library`, the handle of LibreOffice's main library,
 * after LibreOffice has started. -ENOSYS when they are not as they are known. */
int uno_connect(void *library) _warn_unused_;

/* From UTF-8. */
struct uno_string *uno_string(const char *utf8);
void uno_string_free(struct uno_string *s);
/* To UTF-8, as much of it as fits. */
void uno_text(const struct uno_string *s, char *ret, size_t size);
/* Frees what a call has given: `value` is its address, `type` its full name. */
void uno_destroy(void *value, const char *type);

/* A new object of the service; NULL when it can't be had. */
struct uno_object *uno_create(const char *service);
/* Another interface of the object; NULL when it has none such. */
struct uno_object *uno_query(struct uno_object *o, const char *interface);
/* Calls "interface::method", which must be of the interface that `o` is, or one that it is derived from. The
 * result goes to `ret`, NULL when there is none. -EIO for an exception, -ENOSYS for an unknown method. */
int uno_call(struct uno_object *o, const char *method, void *ret, void **args) _warn_unused_;

static inline void cleanup_uno_object(struct uno_object **o)
{
    if (*o)
        (*o)->release(*o);
}

static inline void cleanup_uno_string(struct uno_string **s)
{
    uno_string_free(*s);
}

#define _cleanup_uno_object_ _cleanup_(cleanup_uno_object)
#define _cleanup_uno_string_ _cleanup_(cleanup_uno_string)

/* A long among an object's properties (XPropertySet); -EIO when it has none of that name. */
int uno_get_long(struct uno_object *o, const char *name, int32_t *ret) _warn_unused_;

int uno_set_long(struct uno_object *o, const char *name, int32_t value) _warn_unused_;
int uno_set_bool(struct uno_object *o, const char *name, bool value) _warn_unused_;
/* The object at `index` of a list (XIndexAccess); NULL when there is none. */
struct uno_object *uno_get_at(struct uno_object *o, int32_t index);
/* How many there are; 0 of what is no list. */
int32_t uno_count(struct uno_object *o);

/* The one of that name in a set (XNameAccess); NULL when there is none. */
struct uno_object *uno_get_named(struct uno_object *o, const char *name);

/* --- lists of named values (a media descriptor, options of a filter) */

struct uno_properties {
    struct {
        struct uno_string *name;
        int32_t handle;
        struct uno_any value;
        int32_t state;
    } list[10];
    unsigned n;
};

void uno_put_bool(struct uno_properties *p, const char *name, bool value);
void uno_put_short(struct uno_properties *p, const char *name, int16_t value);
void uno_put_long(struct uno_properties *p, const char *name, int32_t value);
void uno_put_string(struct uno_properties *p, const char *name, const char *value);
void uno_put_object(struct uno_properties *p, const char *name, const char *interface,
                    struct uno_object *value);
/* Takes `value`'s entries. */
void uno_put_properties(struct uno_properties *p, const char *name, struct uno_properties *value);

/* Makes the argument of it, to be freed by uno_sequence_free(), and leaves the list empty; NULL without
 * memory. */
struct uno_sequence *uno_take_properties(struct uno_properties *p);
void uno_sequence_free(struct uno_sequence *s);

/* --- objects of ours, which LibreOffice calls */

struct uno_own {
    struct uno_object object;
    const char *interface; /* the one that it has */
    const struct uno_own_method {
        const char *name;
        void (*call)(void **args);
    } * methods; /* ended by {0}; calls of others do nothing */
};

/* Makes it an object that lives as long as the process. */
void uno_own_init(struct uno_own *own, const char *interface, const struct uno_own_method *methods);
