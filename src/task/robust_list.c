/*
 * The list of robust futexes that a thread holds: get_robust_list(2), set_robust_list(2).
 *
 * It can be read of any thread that one may trace.  A fresh thread has none; the length is that
 * of the list head whether there is a list or not.
 */
#include <errno.h>

#include "kernel/syscalls.h"
#include "task/aspect.h"

extern const struct aspect robust_list_aspect;

static int robust_list_read(struct session *s, struct thread *t, void **state)
{
	(void)state;
	void *head = NULL;
	size_t len = 0;
	if (syscall(SYS_get_robust_list, t->tid, &head, &len) < 0 && errno != ENOSYS)
		return fail(s, errno, "pid %d thread %d: read the robust futex list", t->task->vpid,
			t->vtid);
	t->core->thread_core->futex_rla = (uint64_t)(uintptr_t)head;
	t->core->thread_core->futex_rla_len = (uint32_t)len;
	return 0;
}

static int robust_list_plan(struct session *s, struct thread *t, struct program *p)
{
	(void)s;
	const ThreadCoreEntry *core = t->core->thread_core;
	if (core->futex_rla_len && core->futex_rla)
		program_step(p, "set robust futex list", NULL, SYS_set_robust_list,
			imm(core->futex_rla), imm(core->futex_rla_len));
	return 0;
}

const struct aspect robust_list_aspect = {
	.name = "robust futexes",
	.read = robust_list_read,
	.plan = robust_list_plan,
};
