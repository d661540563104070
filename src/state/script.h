/* What the scripts of this folder answer: a code, alone or as the first item of a list. Private to it. */
#pragma once

#include "state/redis.h"

/* 0 for "OK", the -errno that the code names, -EPROTO for anything else. */
int script_code(const redisReply *reply);
