/* How many bytes are stored for sessions: hash `decant:stored` (session id → bytes of its uploads and
 * results), their sum in `decant:stored:sum`, and `decant:stored:expiry` (zset: session id by its expiry).
 *
 * Each script that stores or ends something changes all three together: job_create adds an upload (and drops
 * what has expired), the completion of a job adds its result, that of a picture the picture, the removal of a
 * job takes back what the job's field `stored_bytes` says that was added for it, and the end of a closing
 * drops the session. So the sum can't drift from what it is the sum of, and a session that expires takes its
 * share away. The keys expire with the last session. */
#pragma once

#define STORED_KEY        "decant:stored"
#define STORED_SUM_KEY    "decant:stored:sum"
#define STORED_EXPIRY_KEY "decant:stored:expiry"
