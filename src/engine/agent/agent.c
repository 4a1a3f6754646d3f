/*
 * The agent: plays the steps of a channel inside a task.  Freestanding and position-independent;
 * compiled without SSE so that the task's vector registers stay what they were.
 */
#include "engine/agent/abi.h"
#include "engine/agent/call.h"

#include <linux/futex.h>
#include <asm/unistd.h>


enum {
	MAX_ERRNO = 4095,
	SIGTRAP = 5,
	SIG_SETMASK = 2,
	GRACE_MS = 250,
	PAGE = 4096,
	PROT_READ = 1,
	PROT_WRITE = 2,
};

static int failed(const struct agent_step *step, int64_t result)
{
	if (step->flags & AGENT_STEP_EXPECT)
		return result != step->expect;
	return result < 0 && result >= -MAX_ERRNO && !(step->flags & AGENT_STEP_MAY_FAIL);
}

static int64_t call(uint32_t nr, const uint64_t arg[6])
{
	if (nr == AGENT_CALL_CLONE)
		return agent_clone(arg[0], arg[1], arg[2]);
	if (nr == AGENT_CALL_FUNCTION)
		return agent_function(arg[0], arg[1], &arg[2]);
	return agent_syscall(nr, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
}

static void play(struct agent_channel *ch)
{
	for (uint32_t i = 0; i < ch->n_steps; i++) {
		struct agent_step *step = &ch->steps[i];
		uint64_t arg[6];
		for (int k = 0; k < 6; k++)
			arg[k] = step->flags & (AGENT_ARG_RESULT_0 << k)
				? (uint64_t)ch->steps[step->arg[k]].result
				: step->arg[k];
		int64_t result = call(step->nr, arg);
		step->result = result;
		if (failed(step, result)) {
			ch->failed = (int32_t)i;
			return;
		}
	}
}

/*
 * Waits until no other thread is in the region. A seat that stays unsure is empty: whoever is let
 * go by a dead controller leaves at once.  Returns 0 if somebody is still inside.
 */
static int others_have_left(const struct agent_channel *ch)
{
	int64_t millisecond[2] = {0, 1000000};
	for (int waited_ms = 0;; waited_ms++) {
		int taken = 0, unsure = 0;
		for (int i = 0; i < AGENT_SEATS; i++) {
			uint32_t seat = __atomic_load_n(&ch->seats[i], __ATOMIC_SEQ_CST);
			taken += seat == AGENT_SEAT_TAKEN;
			unsure += seat == AGENT_SEAT_UNSURE;
		}
		if (!taken && !unsure)
			return 1;
		if (waited_ms == GRACE_MS)
			return !taken;
		agent_syscall(__NR_nanosleep, (uint64_t)millisecond, 0, 0, 0, 0, 0);
	}
}

/* The controller is gone. Better a mapping too many than code taken away under a thread. */
static __attribute__((noreturn)) void leave(struct agent_channel *ch)
{
	if (ch->unmap_len && !others_have_left(ch)) {
		uint64_t page = ch->unmap_len & ~(uint64_t)(PAGE - 1);
		agent_syscall(__NR_mprotect, page, PAGE, PROT_READ | PROT_WRITE, 0, 0, 0);
		*(uint64_t *)ch->unmap_len = 0;
	}
	agent_leave(ch->leave);
}

/* Returns when there is something to play; leaves the channel for good if the controller is gone. */
static void wait_for_request(struct agent_channel *ch)
{
	for (;;) {
		uint32_t hold = __atomic_or_fetch(&ch->hold, FUTEX_WAITERS, __ATOMIC_SEQ_CST);
		if (!(hold & FUTEX_TID_MASK))
			leave(ch);
		if (__atomic_load_n(&ch->request, __ATOMIC_SEQ_CST) != ch->done)
			return;
		agent_syscall(__NR_futex, (uint64_t)&ch->hold, FUTEX_WAIT, hold, 0, 0, 0);
	}
}

static void set_mask(uint64_t mask)
{
	agent_syscall(__NR_rt_sigprocmask, SIG_SETMASK, (uint64_t)&mask, 0, sizeof(mask), 0, 0);
}

static void stop(const struct agent_channel *ch)
{
	set_mask(~(1ull << (ch->stop_signal - 1)));
	agent_syscall(__NR_tgkill, (uint64_t)ch->pid, (uint64_t)ch->tid, ch->stop_signal, 0, 0, 0);
	set_mask(~0ull);
}

__attribute__((noreturn, used)) void agent_main(struct agent_channel *ch)
{
	for (;;) {
		if (ch->park == AGENT_PARK_FUTEX)
			wait_for_request(ch);
		uint32_t request = ch->request;
		play(ch);
		__atomic_store_n(&ch->done, request, __ATOMIC_SEQ_CST);
		if (ch->stop_signal)
			stop(ch);
		else if (ch->park == AGENT_PARK_FUTEX)
			agent_syscall(__NR_futex, (uint64_t)&ch->done, FUTEX_WAKE, 1, 0, 0, 0);
		else
			agent_syscall(__NR_tgkill, (uint64_t)ch->pid, (uint64_t)ch->tid, SIGTRAP, 0, 0, 0);
	}
}
