/* What only the kernel's own header of TCP tells; it can't be read beside the C library's, which libuv's
 * needs. */
#pragma once

#include <stdint.h>

/* How many bytes the peer's kernel has confirmed of all that were sent; 0: it can't be told. */
uint64_t http_tcp_taken(int fd);
