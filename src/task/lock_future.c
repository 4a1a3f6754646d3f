/*
 * mlockall(MCL_FUTURE): every mapping to come is locked.
 *
 * The kernel shows this flag of the address space nowhere, so it is asked about by a mapping that
 * comes and goes: locked memory refuses MADV_DONTNEED, and without MCL_ONFAULT its pages are there
 * at once.  Only a process that has locked memory is asked.  Kept in our own image.
 *
 * What must hold: planned after the last mapping, and before a limit or credentials may forbid it.
 */
#include <sys/mman.h>

#include "kernel/syscalls.h"
#include "mem/vma.h"
#include "task/aspect.h"
#include "task/extras.h"

extern const struct aspect lock_future_aspect;

struct probe {
	int map, forget, residency;
	unsigned char resident;
};

static bool has_locked_memory(const struct task *t)
{
	for (size_t i = 0; t->mm && i < t->mm->n_vmas; i++)
		if (t->mm->vmas[i]->flags & VMA_MAP_LOCKED)
			return true;
	return false;
}

static int lock_future_collect(struct session *s, struct thread *t, struct program *p, void **state)
{
	if (!has_locked_memory(t->task))
		return 0;
	struct probe *x = *state = arena_new(&s->arena, struct probe);
	const char *what = "probe for mlockall";
	struct arg len = imm(ARCH_PAGE_SIZE);
	x->map = program_may_fail(p,
		program_step(p, what, NULL, SYS_mmap, imm(0), len, imm(PROT_READ | PROT_WRITE),
			imm(MAP_PRIVATE | MAP_ANONYMOUS), simm(-1), imm(0)));
	struct arg page = result_of(x->map);
	x->residency = program_may_fail(
		p, program_step(p, what, NULL, SYS_mincore, page, len, out(p, &x->resident, 1)));
	x->forget = program_may_fail(
		p, program_step(p, what, NULL, SYS_madvise, page, len, imm(MADV_DONTNEED)));
	program_may_fail(p, program_step(p, what, NULL, SYS_munmap, page, len));
	return 0;
}

static int lock_future_store(
	struct session *s, struct thread *t, const struct program *p, void *state)
{
	const struct probe *x = state;
	/* A mapping that its limit forbids (EAGAIN) would have been locked, too. */
	if (!x || (program_result(p, x->map) < 0 && program_result(p, x->map) != -EAGAIN))
		return 0;
	if (program_result(p, x->map) >= 0 && program_result(p, x->forget) >= 0)
		return 0;
	bool on_fault = program_result(p, x->residency) >= 0 && !(x->resident & 1);
	extras_make(s, t)->has_lock_future = true;
	t->extras->lock_future = MCL_FUTURE | (on_fault ? MCL_ONFAULT : 0);
	return 0;
}

static int lock_future_plan(struct session *s, struct thread *t, struct program *p)
{
	(void)s;
	uint32_t flags = extra_or(t, lock_future, 0) & (MCL_FUTURE | MCL_ONFAULT);
	if (flags & MCL_FUTURE)
		program_try(p, "lock on future memory", SYS_mlockall, imm(flags));
	return 0;
}

const struct aspect lock_future_aspect = {
	.name = "locks on future memory",
	.leader_only = true,
	.collect = lock_future_collect,
	.store = lock_future_store,
	.plan = lock_future_plan,
};
