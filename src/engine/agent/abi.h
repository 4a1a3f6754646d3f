/*
 * What the controller and the agent share: the channel, a window of memory mapped into both.
 *
 * The agent is a few hundred bytes of position-independent code without data of its own.  It
 * plays the steps of a channel, one system call each, writes results back and parks.  It knows
 * nothing about what the calls are for, so adding a feature never touches it.
 *
 * Two ways to park:
 *  - AGENT_PARK_TRAP (restore): SIGTRAP to itself, which the controller's wait4() sees as a
 *    signal-delivery-stop and never delivers.  (A breakpoint instruction would make the kernel
 *    reset an ignored SIGTRAP to its default.)  The stub is traced with PTRACE_O_EXITKILL, so a
 *    dead controller takes it along.
 *  - AGENT_PARK_FUTEX (dump): wait on `hold`.  The word carries the controller's TID and sits on
 *    its robust list: if the controller dies, the kernel marks it FUTEX_OWNER_DIED and wakes the
 *    agent, which returns the task to its own life through the prepared signal frame.  The leader
 *    goes last, since its way out unmaps the region.
 *    With a `stop_signal`, one that the task ignores, it first sends that to itself: a traced
 *    thread stops for it as for SIGTRAP, another never notices and goes on to wait.
 */
#ifndef FERMATA_AGENT_ABI_H
#define FERMATA_AGENT_ABI_H

#include <stdint.h>

enum agent_park {
	AGENT_PARK_TRAP,
	AGENT_PARK_FUTEX,
};

/* One of the seats that other threads than the leader take in its region; engine/guests.c. */
enum agent_seat {
	AGENT_SEAT_FREE,
	AGENT_SEAT_TAKEN,
	AGENT_SEAT_UNSURE, /* registers are being set: its thread is inside, or will never be */
};

enum { AGENT_SEATS = 7 };

enum agent_step_flags {
	AGENT_ARG_RESULT_0 = 1 << 0, /* ... << k: argument k is the result of step arg[k] */
	AGENT_STEP_MAY_FAIL = 1 << 6, /* go on after -errno */
	AGENT_STEP_EXPECT = 1 << 7,   /* anything but `expect` stops the program */
};

/* Pseudo call: clone3(arg[0], arg[1]); the child plays the channel at arg[2]. */
#define AGENT_CALL_CLONE 0xffff0001u

/*
 * Pseudo call: the function at arg[0], on the stack that ends at arg[1], with the arguments arg[2] to
 * arg[5].  For code that others put beside the agent.
 */
#define AGENT_CALL_FUNCTION 0xffff0002u

/* No call at all: the kernel says ENOSYS. */
#define AGENT_CALL_NONE 0xffffffffu

struct agent_step {
	uint32_t nr;    /* system call number or AGENT_CALL_* */
	uint32_t flags; /* enum agent_step_flags */
	uint64_t arg[6];
	int64_t expect;
	int64_t result;
};

struct agent_channel {
	/* Robust futex: list node and word keep the distance AGENT_HOLD_OFFSET. */
	uint64_t robust_next;
	uint32_t hold;     /* controller TID | FUTEX_WAITERS while the agent may wait */
	uint32_t park;     /* enum agent_park */
	uint32_t request;  /* number of the program to play; the controller counts up */
	uint32_t done;     /* number of the last program played; futex of the controller */
	uint32_t n_steps;
	int32_t failed;    /* index of the step that stopped the program, or -1 */
	uint64_t unprotect; /* length from the channel's start to make writable first, or 0 */
	int32_t pid, tid;  /* of whoever plays this channel, in its own pid namespace */
	uint32_t stop_signal; /* 0: none */
	uint32_t unused;
	uint64_t leave;    /* address of the signal frame that ends an AGENT_PARK_FUTEX task's visit */
	uint64_t unmap_len; /* address of the length that this frame unmaps, or 0 */
	uint32_t seats[AGENT_SEATS]; /* leader's: enum agent_seat; each is cleared by its thread */
	struct agent_step steps[];
};

/* The result of a step that has not run yet: no call returns it. */
#define AGENT_RESULT_NONE INT64_MIN

#define AGENT_HOLD_OFFSET 8 /* of hold behind robust_next */

#endif
