#include "engine/office/uno.h"

#include "core/str.h"

#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>

/* rtl/ustring.h: UTF-16. */
struct uno_string {
    int32_t references, len;
    uint16_t text[];
};

/* rtl/string.h: bytes. */
struct bytes {
    int32_t references, len;
    char text[];
};

/* The common beginning of a type's description and of a reference to one (typelib/typedescription.h). */
struct uno_type {
    int32_t references, static_references;
    int32_t type_class;
    struct uno_string *name;
};

/* uno/mapping.h: from one language's objects to another's. */
struct mapping {
    void (*acquire)(struct mapping *m);
    void (*release)(struct mapping *m);
    void (*map)(struct mapping *m, void **ret, void *object, struct uno_type *interface);
};

enum {
    CLASS_LONG = 6,
    CLASS_INTERFACE = 22,    /* typelib/typeclass.h */
    ENCODING_UTF8 = 76,      /* rtl/textenc.h */
    REPLACE_INVALID = 0x333, /* rtl/ustring.h: OSTRING_TO_OUSTRING_CVTFLAGS */
    REPLACE_UNKNOWN = 0x566, /* rtl/string.h: OUSTRING_TO_OSTRING_CVTFLAGS */
};

#define PROPERTIES "[]com.sun.star.beans.PropertyValue"

/* The functions, of libuno_sal and libuno_cppu. Where they take one to count references of an object, NULL
 * stands for the object's own. */
static struct {
    void (*new_string)(struct uno_string **ret, const char *text, int32_t len, uint32_t encoding,
                       uint32_t flags);
    void (*free_string)(struct uno_string *s);
    void (*new_bytes)(struct bytes **ret, const uint16_t *text, int32_t len, uint32_t encoding,
                      uint32_t flags);
    void (*free_bytes)(struct bytes *s);
    void (*get_type)(struct uno_type **ret, struct uno_string *name);
    void (*free_type)(struct uno_type *t);
    void (*new_reference)(struct uno_type **ret, int type_class, const char *name);
    void (*free_reference)(struct uno_type *t);
    void (*make_any)(struct uno_any *ret, const void *value, struct uno_type *type, void *acquire);
    void (*destroy_any)(struct uno_any *any, void *release);
    unsigned char (*make_sequence)(struct uno_sequence **ret, struct uno_type *type, const void *elements,
                                   int32_t n, void *acquire);
    void (*destroy)(void *value, struct uno_type *type, void *release);
    void (*get_mapping)(struct mapping **ret, struct uno_string *from, struct uno_string *to,
                        struct uno_string *purpose);
} api;

static struct uno_object *context, *services;

static int find_functions(void *library)
{
    const struct {
        void *function;
        const char *name;
    } functions[] = {
        {&api.new_string, "rtl_string2UString"},
        {&api.free_string, "rtl_uString_release"},
        {&api.new_bytes, "rtl_uString2String"},
        {&api.free_bytes, "rtl_string_release"},
        {&api.get_type, "typelib_typedescription_getByName"},
        {&api.free_type, "typelib_typedescription_release"},
        {&api.new_reference, "typelib_typedescriptionreference_newByAsciiName"},
        {&api.free_reference, "typelib_typedescriptionreference_release"},
        {&api.make_any, "uno_any_construct"},
        {&api.destroy_any, "uno_any_destruct"},
        {&api.make_sequence, "uno_sequence_construct"},
        {&api.destroy, "uno_destructData"},
        {&api.get_mapping, "uno_getMappingByName"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
        void *address = dlsym(library, functions[i].name);

        if (!address)
            return -ENOSYS;
        memcpy(functions[i].function, &address, sizeof address);
    }
    return 0;
}

struct uno_string *uno_string(const char *utf8)
{
    struct uno_string *s = NULL;

    api.new_string(&s, utf8, (int32_t)strlen(utf8), ENCODING_UTF8, REPLACE_INVALID);
    return s;
}

void uno_string_free(struct uno_string *s)
{
    if (s)
        api.free_string(s);
}

void uno_text(const struct uno_string *s, char *ret, size_t size)
{
    struct bytes *bytes = NULL;

    api.new_bytes(&bytes, s->text, s->len, ENCODING_UTF8, REPLACE_UNKNOWN);
    snprintf(ret, size, "%.*s", bytes ? (int)utf8_clip(bytes->text, size - 1) : 0, bytes ? bytes->text : "");
    if (bytes)
        api.free_bytes(bytes);
}

static void cleanup_type(struct uno_type **t)
{
    if (*t)
        api.free_type(*t);
}

#define _cleanup_type_ _cleanup_(cleanup_type)

/* NULL for a name that this LibreOffice doesn't know. */
static struct uno_type *type_named(const char *name)
{
    _cleanup_uno_string_ struct uno_string *s = uno_string(name);
    struct uno_type *t = NULL;

    api.get_type(&t, s);
    return t;
}

void uno_destroy(void *value, const char *type)
{
    _cleanup_type_ struct uno_type *t = type_named(type);

    if (t)
        api.destroy(value, t, NULL);
}

/* Is `s` from `from` on the ASCII text `text`? */
static bool is_text(const struct uno_string *s, int32_t from, const char *text)
{
    int32_t len = (int32_t)strlen(text);

    if (s->len - from != len)
        return false;
    for (int32_t i = 0; i < len; i++)
        if (s->text[from + i] != (unsigned char)text[i])
            return false;
    return true;
}

/* --- calls --- */

int uno_call(struct uno_object *o, const char *method, void *ret, void **args)
{
    _cleanup_type_ struct uno_type *member = type_named(method);
    struct uno_any value, *exception = &value;

    if (!member)
        return -ENOSYS;
    o->dispatch(o, member, ret, args, &exception);
    if (!exception)
        return 0;
    api.destroy_any(exception, NULL);
    return -EIO;
}

/* The object in it, or NULL. The any is gone. */
static struct uno_object *take_object(struct uno_any *any)
{
    struct uno_object *found = NULL;

    if (any->type->type_class == CLASS_INTERFACE && (found = *(struct uno_object **)any->data))
        found->acquire(found);
    api.destroy_any(any, NULL);
    return found;
}

struct uno_object *uno_query(struct uno_object *o, const char *interface)
{
    struct uno_type *reference = NULL;
    struct uno_object *found = NULL;
    struct uno_any any;

    api.new_reference(&reference, CLASS_INTERFACE, interface);
    if (uno_call(o, "com.sun.star.uno.XInterface::queryInterface", &any, (void *[]){&reference}) == 0)
        found = take_object(&any);
    api.free_reference(reference);
    return found;
}

struct uno_object *uno_create(const char *service)
{
    _cleanup_uno_string_ struct uno_string *name = uno_string(service);
    struct uno_object *o = NULL;
    int r = uno_call(services, "com.sun.star.lang.XMultiComponentFactory::createInstanceWithContext", &o,
                     (void *[]){&name, &context});

    return r < 0 ? NULL : o;
}

int uno_get_long(struct uno_object *o, const char *name, int32_t *ret)
{
    _cleanup_uno_object_ struct uno_object *set = uno_query(o, "com.sun.star.beans.XPropertySet");
    _cleanup_uno_string_ struct uno_string *s = uno_string(name);
    struct uno_any any;

    if (!set || uno_call(set, "com.sun.star.beans.XPropertySet::getPropertyValue", &any, (void *[]){&s}) < 0)
        return -EIO;

    int r = any.type->type_class == CLASS_LONG ? 0 : -EIO;

    if (r == 0)
        *ret = *(int32_t *)any.data;
    api.destroy_any(&any, NULL);
    return r;
}

static int set(struct uno_object *o, const char *name, const char *type_name, const void *value)
{
    _cleanup_uno_object_ struct uno_object *set = uno_query(o, "com.sun.star.beans.XPropertySet");
    _cleanup_uno_string_ struct uno_string *s = uno_string(name);
    _cleanup_type_ struct uno_type *type = type_named(type_name);
    struct uno_any any;
    int r;

    if (!set || !type)
        return -EIO;
    api.make_any(&any, value, type, NULL);
    r = uno_call(set, "com.sun.star.beans.XPropertySet::setPropertyValue", NULL, (void *[]){&s, &any});
    api.destroy_any(&any, NULL);
    return r;
}

int uno_set_long(struct uno_object *o, const char *name, int32_t value)
{
    return set(o, name, "long", &value);
}

int uno_set_bool(struct uno_object *o, const char *name, bool value)
{
    return set(o, name, "boolean", &(unsigned char){value});
}

struct uno_object *uno_get_at(struct uno_object *o, int32_t index)
{
    _cleanup_uno_object_ struct uno_object *list = uno_query(o, "com.sun.star.container.XIndexAccess");
    struct uno_any any;

    if (!list ||
        uno_call(list, "com.sun.star.container.XIndexAccess::getByIndex", &any, (void *[]){&index}) < 0)
        return NULL;
    return take_object(&any);
}

int32_t uno_count(struct uno_object *o)
{
    _cleanup_uno_object_ struct uno_object *list = uno_query(o, "com.sun.star.container.XIndexAccess");
    int32_t n = 0;

    if (!list || uno_call(list, "com.sun.star.container.XIndexAccess::getCount", &n, NULL) < 0)
        return 0;
    return n > 0 ? n : 0;
}

struct uno_object *uno_get_named(struct uno_object *o, const char *name)
{
    _cleanup_uno_object_ struct uno_object *set = uno_query(o, "com.sun.star.container.XNameAccess");
    _cleanup_uno_string_ struct uno_string *s = uno_string(name);
    struct uno_any any;

    if (!set || uno_call(set, "com.sun.star.container.XNameAccess::getByName", &any, (void *[]){&s}) < 0)
        return NULL;
    return take_object(&any);
}

/* The one step through C++: a function that returns a class of one pointer. By value it goes into memory that
 * the caller brings, and whose address comes back (System V ABI for x86-64, section 3.2.3); in LibreOffice
 * 25.2 a reference comes back, which is an address without any memory brought. */
static struct uno_object *map_context(void *library)
{
    void *room = NULL;
    void **(*get_context)(void *room) = dlsym(library, "_ZN10comphelper26getProcessComponentContextEv");
    _cleanup_uno_string_ struct uno_string *cxx = uno_string("gcc3"), *uno = uno_string("uno"),
                                           *purpose = uno_string("");
    _cleanup_type_ struct uno_type *type = type_named("com.sun.star.uno.XComponentContext");
    struct mapping *mapping = NULL;
    void *mapped = NULL;

    api.get_mapping(&mapping, cxx, uno, purpose);
    if (mapping && type && get_context)
        mapping->map(mapping, &mapped, *get_context(&room), type);
    if (mapping)
        mapping->release(mapping);
    return mapped;
}

int uno_connect(void *library)
{
    int r = find_functions(library);

    if (r >= 0 && !(context = map_context(library)))
        r = -ENOSYS;
    return r < 0
               ? r
               : uno_call(context, "com.sun.star.uno.XComponentContext::getServiceManager", &services, NULL);
}

/* --- named values --- */

static void put(struct uno_properties *p, const char *name, const char *type, const void *value)
{
    _cleanup_type_ struct uno_type *t = type_named(type);

    assert(t && p->n < ARRAY_SIZE(p->list));
    p->list[p->n].name = uno_string(name);
    api.make_any(&p->list[p->n].value, value, t, NULL);
    p->n++;
}

void uno_put_bool(struct uno_properties *p, const char *name, bool value)
{
    put(p, name, "boolean", &(unsigned char){value});
}

void uno_put_short(struct uno_properties *p, const char *name, int16_t value)
{
    put(p, name, "short", &value);
}

void uno_put_long(struct uno_properties *p, const char *name, int32_t value)
{
    put(p, name, "long", &value);
}

void uno_put_string(struct uno_properties *p, const char *name, const char *value)
{
    _cleanup_uno_string_ struct uno_string *s = uno_string(value);

    put(p, name, "string", &s);
}

void uno_put_object(struct uno_properties *p, const char *name, const char *interface,
                    struct uno_object *value)
{
    put(p, name, interface, &value);
}

void uno_put_properties(struct uno_properties *p, const char *name, struct uno_properties *value)
{
    struct uno_sequence *s = uno_take_properties(value);

    if (s)
        put(p, name, PROPERTIES, &s);
    uno_sequence_free(s);
}

struct uno_sequence *uno_take_properties(struct uno_properties *p)
{
    _cleanup_type_ struct uno_type *type = type_named(PROPERTIES);
    struct uno_sequence *s = NULL;

    assert(type);
    if (!api.make_sequence(&s, type, p->list, (int32_t)p->n, NULL))
        s = NULL;
    for (unsigned i = 0; i < p->n; i++) {
        uno_string_free(p->list[i].name);
        api.destroy_any(&p->list[i].value, NULL);
    }
    *p = (struct uno_properties){0};
    return s;
}

void uno_sequence_free(struct uno_sequence *s)
{
    if (s)
        uno_destroy(&s, PROPERTIES);
}

/* --- objects of ours --- */

static void keep(struct uno_object *o)
{
}

static void answer_query(struct uno_own *own, const struct uno_type *wanted, struct uno_any *ret)
{
    bool is_ours = is_text(wanted->name, 0, own->interface);
    _cleanup_type_ struct uno_type *type = NULL;
    struct uno_object *o = &own->object;

    if (is_ours || is_text(wanted->name, 0, "com.sun.star.uno.XInterface"))
        type = type_named(is_ours ? own->interface : "com.sun.star.uno.XInterface");
    /* Nothing of no type says that there is none. */
    api.make_any(ret, type ? &o : NULL, type, NULL);
}

static void dispatch(struct uno_object *o, const struct uno_type *member, void *ret, void **args,
                     struct uno_any **exception)
{
    struct uno_own *own = (struct uno_own *)o;
    const struct uno_string *name = member->name;
    int32_t method = name->len;

    *exception = NULL;
    while (method > 0 && name->text[method - 1] != ':')
        method--;
    if (is_text(name, method, "queryInterface")) {
        answer_query(own, *(const struct uno_type **)args[0], ret);
        return;
    }
    for (const struct uno_own_method *m = own->methods; m->name; m++)
        if (is_text(name, method, m->name))
            m->call(args);
}

void uno_own_init(struct uno_own *own, const char *interface, const struct uno_own_method *methods)
{
    *own = (struct uno_own){{keep, keep, dispatch}, interface, methods};
}
