/* Turning a libuv loop in tests. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

/* Turns the loop until *done; false when that takes longer than `timeout_ms`. */
bool loop_until(uv_loop_t *loop, const bool *done, uint64_t timeout_ms);
/* Turns it for that long. */
void loop_for(uv_loop_t *loop, uint64_t ms);
/* Lets open handles close and closes the loop; the test fails if something stays open. */
void loop_close(uv_loop_t *loop);
