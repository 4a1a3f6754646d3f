/*
 * Signal actions: rt_sigaction(2), one per signal, shared by the threads of a process.
 *
 * The raw call shows the restorer that libc hides and sets one of our own choosing.  The image
 * has an entry for each of the 62 signals whose action can change, in order.  Stubs are born with
 * default actions (CLONE_CLEAR_SIGHAND keeps only what the controller ignores), so most signals
 * need no step.
 */
#include <errno.h>
#include <signal.h>

#include "kernel/syscalls.h"
#include "task/aspect.h"
#include "task/signal_name.h"

extern const struct aspect sigaction_aspect;

enum {
	N_SIGNALS = 64,
	N_ACTIONS = 62,
	SIGSET_BYTES = 8,
};

struct kernel_sigaction {
	uint64_t handler, flags, restorer, mask;
};

static bool has_action(int sig)
{
	return sig != SIGKILL && sig != SIGSTOP;
}

static int sigaction_collect(struct session *s, struct thread *t, struct program *p, void **state)
{
	(void)t;
	struct kernel_sigaction *read = arena_array(&s->arena, struct kernel_sigaction, N_ACTIONS);
	*state = read;
	for (int sig = 1; sig <= N_SIGNALS; sig++)
		if (has_action(sig)) {
			program_step(p, "read signal action", NULL, SYS_rt_sigaction,
				imm((uint64_t)sig), imm(0), out(p, read, sizeof(*read)),
				imm(SIGSET_BYTES));
			read++;
		}
	return 0;
}

/* Actions as they were read and as the image has them. */
struct stored_actions {
	const struct kernel_sigaction *read;
	SaEntry *entries[N_ACTIONS];
};

static struct stored_actions *make_entries(struct session *s, const struct kernel_sigaction *read)
{
	struct stored_actions *made = arena_new(&s->arena, struct stored_actions);
	SaEntry *entries = arena_array(&s->arena, SaEntry, N_ACTIONS);
	made->read = read;
	for (int i = 0; i < N_ACTIONS; i++) {
		SaEntry *e = made->entries[i] = &entries[i];
		sa_entry__init(e);
		e->sigaction = read[i].handler;
		e->flags = read[i].flags;
		e->restorer = read[i].restorer;
		e->mask = read[i].mask;
		e->has_compat_sigaction = true;
	}
	return made;
}

/* Most tasks of a tree have the same ones as the one before, in whichever lane that was. */
static int sigaction_store(
	struct session *s, struct thread *t, const struct program *p, void *state)
{
	(void)p;
	const struct kernel_sigaction *read = state;
	TaskCoreEntry *tc = t->core->tc;
	void **last = &t->task->tree->last_actions;
	struct stored_actions *stored = __atomic_load_n(last, __ATOMIC_ACQUIRE);
	if (!stored || memcmp(stored->read, read, N_ACTIONS * sizeof(*read)) != 0) {
		stored = make_entries(s, read);
		__atomic_store_n(last, stored, __ATOMIC_RELEASE);
	}
	tc->n_sigactions = N_ACTIONS;
	tc->sigactions = stored->entries;
	return 0;
}

static int sigaction_check(struct session *s, struct thread *t)
{
	const TaskCoreEntry *tc = t->core->tc;
	if (tc->n_sigactions != N_ACTIONS)
		return fail(s, EBADMSG, "pid %d: the image has %zu signal actions instead of %d",
			t->vtid, tc->n_sigactions, N_ACTIONS);
	for (int i = 0; i < N_ACTIONS; i++)
		if (tc->sigactions[i]->has_compat_sigaction && tc->sigactions[i]->compat_sigaction)
			return fail(s, EOPNOTSUPP, "pid %d: signal actions of a 32-bit program",
				t->vtid);
	return 0;
}

/* Stubs start with the default actions, but for what the controller ignores. Bit n-1: signal n. */
static uint64_t inherited_ignored(struct session *s, struct tree *tree)
{
	if (tree->own_actions)
		return *(const uint64_t *)tree->own_actions;
	uint64_t *ignored = arena_new(&s->arena, uint64_t);
	for (int sig = 1; sig <= N_SIGNALS; sig++) {
		struct kernel_sigaction own = {0};
		syscall(SYS_rt_sigaction, sig, NULL, &own, SIGSET_BYTES);
		if (own.handler == (uint64_t)(uintptr_t)SIG_IGN)
			*ignored |= 1ull << (sig - 1);
	}
	tree->own_actions = ignored;
	return *ignored;
}

static int sigaction_plan(struct session *s, struct thread *t, struct program *p)
{
	uint64_t ignored = inherited_ignored(s, t->task->tree);
	int i = 0;
	for (int sig = 1; sig <= N_SIGNALS; sig++) {
		if (!has_action(sig))
			continue;
		const SaEntry *e = t->core->tc->sigactions[i++];
		struct kernel_sigaction act = {e->sigaction, e->flags, e->restorer, e->mask};
		struct kernel_sigaction now = {
			.handler = ignored >> (sig - 1) & 1 ? (uint64_t)(uintptr_t)SIG_IGN : 0};
		if (!memcmp(&act, &now, sizeof(act)))
			continue;
		program_step(p, "set signal action", signal_name(s, sig), SYS_rt_sigaction,
			imm((uint64_t)sig), in_copy(p, &act, sizeof(act)), imm(0),
			imm(SIGSET_BYTES));
	}
	return 0;
}

const struct aspect sigaction_aspect = {
	.name = "signal actions",
	.leader_only = true,
	.collect = sigaction_collect,
	.store = sigaction_store,
	.check = sigaction_check,
	.plan = sigaction_plan,
};
