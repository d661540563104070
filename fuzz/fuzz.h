/* What the fuzz targets share. A target aborts where a contract is broken. */
#pragma once

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void require(int truth)
{
    if (!truth)
        abort();
}
