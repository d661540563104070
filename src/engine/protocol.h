/* What worker, zygote and child say to each other, as core/msg.h messages; fields in this order.
 *
 * Worker and zygote share one SOCK_SEQPACKET pair (the zygote's end is descriptor ENGINE_CONTROL_FD). Each
 * job has a pair of its own besides, whose one end travels to the child: a child can lie about its own job
 * only. The job itself waits in that pair, so the zygote learns nothing of it that a later child could find
 * in its copy of the memory (a password among the options). */
#pragma once

enum { ENGINE_CONTROL_FD = 3 };

/* Raised with every change of a message: an engine that was not installed together with its worker is refused
 * by name, where it would fail every job. */
enum { ENGINE_PROTOCOL = 4 };

/* What is asked of an engine (engine/engine.h). */
enum engine_task { ENGINE_CONVERT, ENGINE_GATHER, ENGINE_SCATTER, ENGINE_TASKS_ };

enum engine_message {
    /* zygote → worker, once: u64 ENGINE_PROTOCOL (in every version first), u64 layers, str version */
    ENGINE_READY = 1,
    /* zygote → worker, instead, before it ends: u64 1 when it is the sandbox that is refused, str why */
    ENGINE_REFUSED,
    /* worker → zygote, and on to the child that gets it: u64 run; fd: report */
    ENGINE_RUN,
    /* zygote → worker: u64 run, u64 pid; fd: pidfd */
    ENGINE_SPAWNED,
    /* zygote → worker: u64 run, u64 wait status, u64 cpu_ms, u64 peak_kib, u64 1 when its cgroup's memory was
     * used up. After it the process is gone.
     * Without a SPAWNED before it: it could not be made. */
    ENGINE_EXITED,
    /* worker → child, on the report pair, before RUN: u64 enum engine_task, str from, str to, str options
     * (JSON), str input, str output, u64 cpu_s; fd: job folder */
    ENGINE_JOB,
    /* child → worker, on the report pair, once, in the sandbox and before it reads a byte of its file: what
     * ends a child that hasn't said so is not the file's doing */
    ENGINE_BEGUN,
    /* child → worker, on the report pair: it got no memory when it asked for some, and may end of that */
    ENGINE_ALLOCATION_FAILED,
    /* child → worker, on the report pair, once, before the first of the two below: u64 pages */
    ENGINE_PAGES,
    /* child → worker, on the report pair: u64 percent */
    ENGINE_PROGRESS,
    /* child → worker, on the report pair, last: u64 outcome, str output name, str output format, u64 pages,
     * u64 pss_kib (0: not measured), u64 cpu_ms, u64 peak_kib (so far) */
    ENGINE_RESULT,
    /* child → worker, on the report pair, at most once, before RESULT: str fonts (engine/fonts.h). Nothing
     * else depends on it: a list that is none is left out, and the job goes on. */
    ENGINE_FONTS,
};
