/*
 * Stopping threads: PTRACE_SEIZE and PTRACE_INTERRUPT, and letting them go.
 *
 * A seized thread is released by the kernel when the controller dies; it then goes on where its
 * registers point (or back into its group-stop).
 */
#ifndef FERMATA_ENGINE_SEIZE_H
#define FERMATA_ENGINE_SEIZE_H

#include "base/session.h"

enum seize_result {
	SEIZED_RUNNING,  /* stopped now */
	SEIZED_STOPPED,  /* was in a group-stop; *ret_signo names the signal */
	SEIZED_ZOMBIE,   /* nothing to stop */
	SEIZED_GONE,     /* died or vanished meanwhile */
};

/*
 * Seizes one thread and waits until it is in a ptrace stop. Returns enum seize_result or a
 * negative errno with the failure recorded (foreign tracer, no permission, timeout).
 * deadline_us: on now_us()'s clock, 0 = none.
 */
int seize_thread(struct session *s, pid_t tid, uint64_t deadline_us, int *ret_signo);

/* Asks for a stop and waits for it; for a thread that was seized before and runs. */
int seize_interrupt(struct session *s, pid_t tid);

#endif
