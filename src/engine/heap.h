/* The heap that children inherit. */
#pragma once

/* Makes it cheap to fork from: to be called once, before the first fork, by a process with one thread. What
 * is allocated from now on comes from the end of the heap, and what is there already is mapped by as few
 * entries as the kernel can. Nothing fails: where it can't be had, children cost more. */
void heap_settle(void);
