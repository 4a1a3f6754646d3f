/*
 * NUMA memory policy of a thread: set_mempolicy(2).
 *
 * Read inside, kept in our own image; tried at restore, since the nodes may be others.  Policies
 * of single mappings: mem/vma_policy.c.
 */
#include "kernel/syscalls.h"
#include "task/aspect.h"
#include "task/extras.h"

extern const struct aspect numa_policy_aspect;

enum {
	POLICY_DEFAULT = 0,
	NODES = 1024, /* the most a kernel can be built for */
	WORDS = NODES / 64,
	MAX_NODE = NODES + 1, /* the kernel takes one off */
};

struct policy {
	int step, mode;
	uint64_t nodes[WORDS];
};

static int numa_collect(struct session *s, struct thread *t, struct program *p, void **state)
{
	(void)t;
	struct policy *x = *state = arena_new(&s->arena, struct policy);
	x->step = program_may_fail(
		p, program_step(p, "look for", "NUMA policy", SYS_get_mempolicy,
			   out(p, &x->mode, sizeof(x->mode)), out(p, x->nodes, sizeof(x->nodes)),
			   imm(MAX_NODE), imm(0), imm(0)));
	return 0;
}

static int numa_store(struct session *s, struct thread *t, const struct program *p, void *state)
{
	struct policy *x = state;
	if (program_result(p, x->step) < 0 || x->mode == POLICY_DEFAULT)
		return 0;
	FermataEntry *e = extras_make(s, t);
	e->has_numa_mode = true;
	e->numa_mode = (uint32_t)x->mode;
	e->numa_nodes = x->nodes;
	for (size_t i = 0; i < WORDS; i++)
		if (x->nodes[i])
			e->n_numa_nodes = i + 1;
	return 0;
}

static int numa_check(struct session *s, struct thread *t)
{
	if (t->extras && t->extras->n_numa_nodes > WORDS)
		return fail(s, EBADMSG, "pid %d thread %d: NUMA nodes of the image are out of range",
			t->task->vpid, t->vtid);
	return 0;
}

static int numa_plan(struct session *s, struct thread *t, struct program *p)
{
	(void)s;
	int own = POLICY_DEFAULT;
	uint32_t want = extra_or(t, numa_mode, POLICY_DEFAULT);
	if (want == POLICY_DEFAULT &&
		(syscall(SYS_get_mempolicy, &own, NULL, 0, NULL, 0) < 0 || own == POLICY_DEFAULT))
		return 0;
	uint64_t nodes[WORDS] = {0};
	size_t n = t->extras ? t->extras->n_numa_nodes : 0;
	for (size_t i = 0; i < n; i++)
		nodes[i] = t->extras->numa_nodes[i];
	program_try(p, "NUMA memory policy", SYS_set_mempolicy, imm(want),
		n ? in_copy(p, nodes, sizeof(nodes)) : imm(0), imm(n ? MAX_NODE : 0));
	return 0;
}

const struct aspect numa_policy_aspect = {
	.name = "NUMA policy",
	.collect = numa_collect,
	.store = numa_store,
	.check = numa_check,
	.plan = numa_plan,
};
