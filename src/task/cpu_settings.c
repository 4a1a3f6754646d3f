/*
 * What arch_prctl(2) and prctl(2) say about the processor itself: mitigations of speculation and
 * faulting CPUID of each thread, permission for large register state (AMX) of each process.
 *
 * Read inside, kept in our own image if it differs from what a new process has.  Mitigations that
 * the kernel does not leave to threads (no PR_SPEC_PRCTL) are no state of theirs; seccomp may have
 * switched on others, which a restore of the filters does as well.  A permission that was asked
 * for, or a fault that a program waits for, must come back or the restore fails.
 *
 * What must hold: nothing runs CPUID after this, and alternate stacks are set before permissions.
 */
#include <errno.h>
#include <linux/prctl.h>

#include "kernel/syscalls.h"
#include "task/aspect.h"
#include "task/extras.h"

extern const struct aspect cpu_settings_aspect;

enum {
	GET_CPUID = 0x1011, /* arch_prctl: ARCH_GET_CPUID, 1: it does not fault */
	SET_CPUID = 0x1012,
	GET_XCOMP_PERM = 0x1022,
	REQ_XCOMP_PERM = 0x1023,
	N_MITIGATIONS = 3, /* PR_SPEC_STORE_BYPASS, INDIRECT_BRANCH, L1D_FLUSH */
	/* from here on features take a permission (AMX tiles: 18) */
	FIRST_DYNAMIC = 18,
	N_FEATURES = 63,
};

struct cpu_settings {
	int mitigation[N_MITIGATIONS], cpuid, permitted; /* steps */
	uint64_t features;
};

static int cpu_collect(struct session *s, struct thread *t, struct program *p, void **state)
{
	struct cpu_settings *x = *state = arena_new(&s->arena, struct cpu_settings);
	for (uint64_t i = 0; i < N_MITIGATIONS; i++) {
		/* most machines leave none of them to threads */
		int ours = prctl(PR_GET_SPECULATION_CTRL, i, 0, 0, 0);
		x->mitigation[i] = -1;
		if (ours > 0 && ours & PR_SPEC_PRCTL)
			x->mitigation[i] = program_may_fail(p,
				program_step(p, "look for", "mitigations", SYS_prctl,
					imm(PR_GET_SPECULATION_CTRL), imm(i), imm(0), imm(0),
					imm(0)));
	}
	x->cpuid = program_may_fail(p, program_step(p, "look for", "faulting CPUID", SYS_arch_prctl,
					       imm(GET_CPUID), imm(0)));
	x->permitted = -1;
	if (t == leader(t->task))
		x->permitted = program_may_fail(
			p, program_step(p, "look for", "permitted registers", SYS_arch_prctl,
				   imm(GET_XCOMP_PERM), out(p, &x->features, sizeof(x->features))));
	return 0;
}

/* A thread's own choice, or 0. Flushing the cache is usually off, the speculations are usually on. */
static int64_t chosen(const struct program *p, const struct cpu_settings *x, int which)
{
	int64_t state = x->mitigation[which] < 0 ? 0 : program_result(p, x->mitigation[which]);
	int64_t usual = which == PR_SPEC_L1D_FLUSH ? PR_SPEC_DISABLE : PR_SPEC_ENABLE;
	return state > 0 && state & PR_SPEC_PRCTL && !(state & usual) ? state : 0;
}

static int cpu_store(struct session *s, struct thread *t, const struct program *p, void *state)
{
	const struct cpu_settings *x = state;
	bool any = false;
	for (int i = 0; i < N_MITIGATIONS; i++)
		any |= chosen(p, x, i) != 0;
	if (any) {
		FermataEntry *e = extras_make(s, t);
		e->n_mitigations = N_MITIGATIONS;
		e->mitigations = arena_array(&s->arena, uint32_t, N_MITIGATIONS);
		for (int i = 0; i < N_MITIGATIONS; i++)
			e->mitigations[i] = (uint32_t)chosen(p, x, i);
	}
	if (program_result(p, x->cpuid) == 0) {
		extras_make(s, t)->has_cpuid_faults = true;
		t->extras->cpuid_faults = true;
	}
	uint64_t dynamic = x->features >> FIRST_DYNAMIC << FIRST_DYNAMIC;
	if (x->permitted >= 0 && program_result(p, x->permitted) >= 0 && dynamic) {
		extras_make(s, t)->has_permitted_features = true;
		t->extras->permitted_features = dynamic;
	}
	return 0;
}

static int cpu_check(struct session *s, struct thread *t)
{
	if (t->extras && t->extras->n_mitigations > N_MITIGATIONS)
		return fail(s, EBADMSG, "pid %d thread %d: mitigations of the image are unknown",
			t->task->vpid, t->vtid);
	return 0;
}

static int cpu_plan(struct session *s, struct thread *t, struct program *p)
{
	(void)s;
	const FermataEntry *e = t->extras;
	for (uint64_t i = 0; e && i < e->n_mitigations; i++)
		if (e->mitigations[i])
			program_try(p, "mitigation of speculation", SYS_prctl,
				imm(PR_SET_SPECULATION_CTRL), imm(i),
				imm(e->mitigations[i] & ~(uint32_t)PR_SPEC_PRCTL), imm(0), imm(0));
	uint64_t features = extra_or(t, permitted_features, 0);
	for (uint64_t i = FIRST_DYNAMIC; i < N_FEATURES && t == leader(t->task); i++)
		if (features >> i & 1)
			program_step(p, "ask for", "large registers", SYS_arch_prctl,
				imm(REQ_XCOMP_PERM), imm(i));
	if (extra_or(t, cpuid_faults, false))
		program_step(p, "have it fault", "CPUID", SYS_arch_prctl, imm(SET_CPUID), imm(0));
	return 0;
}

const struct aspect cpu_settings_aspect = {
	.name = "settings of the processor",
	.collect = cpu_collect,
	.store = cpu_store,
	.check = cpu_check,
	.plan = cpu_plan,
};
