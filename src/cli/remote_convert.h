/* `decant convert --server`: what the plan says, by a server. */
#pragma once

#include "cli/convert_plan.h"

/* From a plan with a server to the exit status. */
int remote_convert(struct convert_plan *plan) _warn_unused_;
