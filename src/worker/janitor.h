/* What a worker that died has left in a job's folder. */
#pragma once

/* Removes from the job's folder every work folder, and every result but the one at `keep` (a stored path; ""
 * keeps none). To be called before an attempt, by the holder of the claim. 0, or the first -errno after
 * having removed what could be removed. Blocking. */
int janitor_sweep_job(int job_fd, const char *keep);
