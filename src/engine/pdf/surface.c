/* A sheet of paper at 150 dpi is 9 MB: two thousand page faults, which take as long as drawing it. So the
 * memory is in huge pages, where the kernel has them, and some of it waits for the next page, as emptying it
 * by the kernel is what remains of its price. How much may wait is little, so that it needs no place in what
 * else counts the memory of a job. */
#include "engine/pdf/surface.h"

#include "core/cleanup.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { WAITING_MAX = 8 };

static const size_t waiting_bytes_max = 64 << 20, huge_page = 2 << 20;

struct pixels {
    void *map;
    size_t size; /* of what is mapped */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct pixels waiting[WAITING_MAX];
static size_t n_waiting, waiting_bytes;

/* With the lock held. All are of one size, that of the page before: another page's has no use for them. */
static void *take_waiting(size_t size)
{
    while (n_waiting > 0) {
        struct pixels p = waiting[--n_waiting];

        waiting_bytes -= p.size;
        if (p.size == size)
            return p.map;
        munmap(p.map, p.size);
    }
    return NULL;
}

static bool keep_waiting(const struct pixels *p)
{
    bool room;

    pthread_mutex_lock(&lock);
    room = n_waiting < WAITING_MAX && waiting_bytes + p->size <= waiting_bytes_max;
    if (room) {
        waiting[n_waiting++] = *p;
        waiting_bytes += p->size;
    }
    pthread_mutex_unlock(&lock);
    return room;
}

static void free_pixels(void *arg)
{
    struct pixels *p = arg;

    if (!keep_waiting(p))
        munmap(p->map, p->size);
    free(p);
}

/* Of `size` bytes, from the limit between two huge pages on. */
static struct pixels *new_pixels(size_t size, unsigned char **ret_data)
{
    _cleanup_free_ struct pixels *p = malloc(sizeof *p);

    if (!p)
        return NULL;
    p->size = size + huge_page;
    pthread_mutex_lock(&lock);
    p->map = take_waiting(p->size);
    pthread_mutex_unlock(&lock);
    if (!p->map) {
        p->map = mmap(NULL, p->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p->map == MAP_FAILED)
            return NULL;
        madvise(p->map, p->size, MADV_HUGEPAGE);
    }
    *ret_data = (unsigned char *)p->map + (huge_page - (uintptr_t)p->map % huge_page) % huge_page;
    return TAKE_PTR(p);
}

cairo_surface_t *surface_new(int width, int height)
{
    static const cairo_user_data_key_t key;
    int stride = cairo_format_stride_for_width(CAIRO_FORMAT_RGB24, width);
    size_t size = (size_t)stride * (size_t)height;
    unsigned char *data;
    struct pixels *p = new_pixels(size, &data);
    cairo_surface_t *surface;

    if (!p)
        return NULL;
    memset(data, 0xff, size);
    surface = cairo_image_surface_create_for_data(data, CAIRO_FORMAT_RGB24, width, height, stride);
    if (cairo_surface_set_user_data(surface, &key, p, free_pixels) == CAIRO_STATUS_SUCCESS)
        return surface;
    cairo_surface_destroy(surface);
    free_pixels(p);
    return NULL;
}
