/* Names and modes of the storage tree (storage.h), for the files that build it. Private to this folder. */
#pragma once

#include "files/storage.h"

#define INCOMING    ".incoming"
#define WORK_PREFIX "work-"

/* Folders: a root and sessions that a group shares; either that one user keeps; what lies below a session; an
 * attempt's output folder. */
enum { STORAGE_SHARED = 02770, STORAGE_PRIVATE = 0700, STORAGE_BELOW = 0771, STORAGE_WORK = 0777 };
