#include "worker/shares.h"

#include "core/str.h"

#include <assert.h>
#include <strings.h>

static unsigned *held(struct shares *s, unsigned queue)
{
    size_t i = (size_t)ffs((int)queue) - 1;

    assert(queue > 0 && i < ARRAY_SIZE(s->held));
    return &s->held[i];
}

/* With a single slot, or a single family, there is nobody to spare a slot for. */
unsigned shares_most(const struct shares *s)
{
    unsigned families = s->served & ~(QUEUE_BASE | s->apart);

    if ((families & (families - 1)) == 0)
        return s->slots;
    return s->slots > s->spare ? s->slots - s->spare : 1;
}

unsigned shares_queues(const struct shares *s)
{
    return s->served | QUEUE_BASE;
}

unsigned shares_open(const struct shares *s)
{
    unsigned open = 0;

    if (s->n_held >= s->slots)
        return 0;
    for (size_t i = 0; i < ARRAY_SIZE(s->held); i++)
        if (s->held[i] < shares_most(s))
            open |= QUEUE_BASE << i;
    return (open & s->served) | QUEUE_BASE;
}

void shares_take(struct shares *s, unsigned queue)
{
    ++*held(s, queue);
    s->n_held++;
}

void shares_give(struct shares *s, unsigned queue)
{
    assert(*held(s, queue) > 0);
    --*held(s, queue);
    s->n_held--;
}

bool shares_move(struct shares *s, unsigned from, unsigned to)
{
    if (from == to)
        return true;
    if (to != QUEUE_BASE && (!(s->served & to) || *held(s, to) >= shares_most(s)))
        return false;
    --*held(s, from);
    ++*held(s, to);
    return true;
}
