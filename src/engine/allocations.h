/* Tells the worker that this process got no memory when it asked for some. */
#pragma once

/* In a child, before it reads its file: from now on the first allocation that fails is told on `report_fd`
 * (ENGINE_ALLOCATION_FAILED). */
void allocations_watch(int report_fd);
