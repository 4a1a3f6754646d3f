/*
 * What a process registered for with membarrier(2).
 *
 * Linux 6.3 tells by MEMBARRIER_CMD_GET_REGISTRATIONS.  Before, trying the expedited commands
 * tells: they fail with EPERM unless registered; the global registration stays unknown there.
 * The image's bit n is the value 1 << n of the REGISTER command.
 */
#include <linux/membarrier.h>

#include "kernel/syscalls.h"
#include "task/aspect.h"

extern const struct aspect membarrier_aspect;

enum { GET_REGISTRATIONS = 1 << 9 }; /* MEMBARRIER_CMD_GET_REGISTRATIONS */

static const uint32_t expedited[] = {
	MEMBARRIER_CMD_PRIVATE_EXPEDITED,
	MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE,
	MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ,
};

enum { N_EXPEDITED = sizeof(expedited) / sizeof(expedited[0]) };

struct steps {
	bool direct;
	int step[N_EXPEDITED];
};

static int ask(struct program *p, uint32_t command)
{
	return program_may_fail(p, program_step(p, "read membarrier registrations", NULL,
					   SYS_membarrier, imm(command), imm(0), imm(0)));
}

static int membarrier_collect(struct session *s, struct thread *t, struct program *p, void **state)
{
	(void)t;
	struct steps *st = *state = arena_new(&s->arena, struct steps);
	st->direct = syscall(SYS_membarrier, GET_REGISTRATIONS, 0, 0) >= 0;
	if (st->direct)
		st->step[0] = ask(p, GET_REGISTRATIONS);
	else
		for (int i = 0; i < N_EXPEDITED; i++)
			st->step[i] = ask(p, expedited[i]);
	return 0;
}

static int membarrier_store(
	struct session *s, struct thread *t, const struct program *p, void *state)
{
	(void)s;
	const struct steps *st = state;
	uint32_t mask = 0;
	if (st->direct) {
		int64_t r = program_result(p, st->step[0]);
		mask = r > 0 ? (uint32_t)r : 0;
	} else {
		for (int i = 0; i < N_EXPEDITED; i++)
			if (program_result(p, st->step[i]) >= 0)
				mask |= expedited[i] << 1; /* each REGISTER follows its command */
	}
	t->core->tc->has_membarrier_registration_mask = mask != 0;
	t->core->tc->membarrier_registration_mask = mask;
	return 0;
}

static int membarrier_plan(struct session *s, struct thread *t, struct program *p)
{
	(void)s;
	uint32_t mask = t->core->tc->has_membarrier_registration_mask
				? t->core->tc->membarrier_registration_mask
				: 0;
	for (int bit = 0; bit < 32; bit++)
		if (mask & 1u << bit)
			program_step(p, "register for membarrier", NULL, SYS_membarrier,
				imm(1u << bit), imm(0), imm(0));
	return 0;
}

const struct aspect membarrier_aspect = {
	.name = "membarrier registrations",
	.leader_only = true,
	.collect = membarrier_collect,
	.store = membarrier_store,
	.plan = membarrier_plan,
};
