/*
 * A call that was under way while a signal with a handler waits: it returns EINTR after the
 * handler, as it would have without the dump, and is not made again.  Otherwise pause(2), or
 * read(2) behind an alarm(2), would sleep on although their signal has come.
 *
 * The kernel decides so when it delivers, which a restored task meets with no call under way; so
 * the image decides.  (The dumped task itself gets its own registers back, and the kernel decides.)
 * The first signal that is not blocked and has a handler counts, of the thread's own before those
 * of the process.  Of these any thread may be the one who takes them: only where a single one can
 * is it known.  A mask of sigsuspend(2) and the like is no matter: the image has the one before,
 * and the call is made again, with its mask, to be interrupted by then.
 */
#include "task/interrupted.h"

#include <signal.h>
#include <string.h>

#include "arch/arch.h"
#include "task/signal_action.h"

static bool is_blocked(const struct thread *t, int signo)
{
	return t->sigmask >> (signo - 1) & 1;
}

/* NULL: none has a handler. */
static const SaEntry *first_handler(const struct thread *t, const SignalQueueEntry *q)
{
	const SaEntry *first = NULL;
	int first_signo = 0;
	for (size_t i = 0; q && i < q->n_signals; i++) {
		int signo;
		memcpy(&signo, q->signals[i]->siginfo.data, sizeof(signo));
		const SaEntry *action = signal_action(leader(t->task)->core->tc, signo);
		if (!action || action->sigaction == (uint64_t)(uintptr_t)SIG_DFL ||
			action->sigaction == (uint64_t)(uintptr_t)SIG_IGN || is_blocked(t, signo) ||
			(first && first_signo <= signo))
			continue;
		first = action;
		first_signo = signo;
	}
	return first;
}

static void interrupt(struct thread *t, const SaEntry *action)
{
	if (action && arch_is_interrupted(&t->regs.gp, action->flags & SA_RESTART))
		arch_core_interrupt(t->core, &t->regs.gp);
}

static void interrupt_task(struct task *t)
{
	const SignalQueueEntry *shared = leader(t)->core->tc->signals_s;
	struct thread *taker = NULL;
	size_t n_takers = 0;
	vec_for_each (&t->threads, th) {
		const SaEntry *own = first_handler(*th, (*th)->core->thread_core->signals_p);
		interrupt(*th, own);
		if (!own && first_handler(*th, shared)) {
			taker = *th;
			n_takers++;
		}
	}
	if (n_takers == 1)
		interrupt(taker, first_handler(taker, shared));
}

void interrupted_calls(const struct tree *tree)
{
	vec_for_each (&tree->tasks, t)
		if (task_lives(*t) && (*t)->threads.n)
			interrupt_task(*t);
}
