/*
 * NUMA policies of single mappings: mbind(2).
 *
 * Asked inside with get_mempolicy(MPOL_F_ADDR), which says "default" of a mapping without one, and
 * kept with the range of the VMA (vma_extras.c).  /proc/PID/numa_maps would tell from outside, but
 * walks all pages for it.  On a machine with one node there is nothing to choose, and nothing is
 * asked.  Set again when the memory is filled, with MPOL_MF_MOVE; nodes that are not there any
 * more are only worth a warning.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fault.h"
#include "kernel/syscalls.h"
#include "mem/plan.h"
#include "mem/vma_dump.h"
#include "task/extras.h"

enum {
	NODES = 1024, /* the most a kernel can be built for */
	WORDS = NODES / 64,
	MAX_NODE = NODES + 1, /* the kernel takes one off */
	BY_ADDRESS = 2,	      /* MPOL_F_ADDR */
	MOVE = 2,	      /* MPOL_MF_MOVE */
};

struct policy {
	int step, mode;
	uint64_t nodes[WORDS];
};

/* --- dump --- */

static bool has_several_nodes(void)
{
	char text[64] = "";
	_cleanup_fclose_ FILE *f = fopen("/sys/devices/system/node/online", "re");
	bool several = f && fgets(text, sizeof(text), f) && strpbrk(text, "-,");
	return several || fault_injected(FAULT_SEVERAL_NODES);
}

static bool may_have_one(const VmaEntry *e)
{
	return !(e->status & (VMA_VDSO | VMA_VVAR | VMA_VSYSCALL | VMA_AIORING |
			      VMA_IO_URING | VMA_SOCKET));
}

void vma_policy_plan(struct vma_dump *v, struct program *p)
{
	bool *one_node = &v->t->tree->one_node;
	if (__atomic_load_n(one_node, __ATOMIC_RELAXED))
		return;
	if (!has_several_nodes()) {
		__atomic_store_n(one_node, true, __ATOMIC_RELAXED);
		return;
	}
	struct policy *all = v->policies = arena_array(&v->s->arena, struct policy, v->vmas.n);
	for (size_t i = 0; i < v->vmas.n; i++) {
		const VmaEntry *e = &v->vmas.v[i].e;
		all[i].step = -1;
		if (may_have_one(e))
			all[i].step = program_may_fail(
				p, program_step(p, "look for", "NUMA policy of memory",
					   SYS_get_mempolicy, out(p, &all[i].mode, sizeof(int)),
					   out(p, all[i].nodes, sizeof(all[i].nodes)),
					   imm(MAX_NODE), imm(e->start), imm(BY_ADDRESS)));
	}
}

static FermataVma *add(struct vma_dump *v, FermataEntry *e, const VmaEntry *vma)
{
	FermataVma *x = arena_new(&v->s->arena, FermataVma);
	fermata_vma__init(x);
	x->start = vma->start;
	x->end = vma->end;
	e->vmas[e->n_vmas++] = x;
	return x;
}

/* The list anew: VMAs may be on it already, for other reasons. */
void vma_policy_store(struct vma_dump *v, const struct program *p)
{
	struct policy *all = v->policies;
	size_t n = 0;
	for (size_t i = 0; all && i < v->vmas.n; i++) {
		if (all[i].step < 0 || program_result(p, all[i].step) < 0)
			all[i].mode = 0;
		n += all[i].mode != 0;
	}
	if (!n)
		return;
	FermataEntry *e = extras_make(v->s, leader(v->t));
	FermataVma **old = e->vmas, **end = old + e->n_vmas;
	e->vmas = arena_array(&v->s->arena, FermataVma *, e->n_vmas + n);
	e->n_vmas = 0;
	for (size_t i = 0; i < v->vmas.n; i++) {
		const VmaEntry *vma = &v->vmas.v[i].e;
		FermataVma *x = NULL;
		if (old < end && (*old)->start == vma->start)
			x = e->vmas[e->n_vmas++] = *old++;
		if (!all[i].mode)
			continue;
		if (!x)
			x = add(v, e, vma);
		x->has_numa_mode = true;
		x->numa_mode = (uint32_t)all[i].mode;
		x->numa_nodes = all[i].nodes;
		for (size_t k = 0; k < WORDS; k++)
			if (all[i].nodes[k])
				x->n_numa_nodes = k + 1;
	}
}

/* --- restore --- */

static bool has_nodes(const FermataVma *x)
{
	for (size_t node = 0; node < x->n_numa_nodes * 64; node++) {
		char path[64];
		snprintf(path, sizeof(path), "/sys/devices/system/node/node%zu", node);
		if (x->numa_nodes[node / 64] >> node % 64 & 1 && access(path, F_OK) < 0)
			return false;
	}
	return true;
}

int vma_policy_check(struct session *s, const struct task *t)
{
	const FermataEntry *e = leader(t)->extras;
	size_t n_lost = 0;
	for (size_t i = 0; e && i < e->n_vmas; i++) {
		if (e->vmas[i]->n_numa_nodes > WORDS)
			return fail(s, EBADMSG, "pid %d: NUMA nodes of the image are out of range",
				t->vpid);
		n_lost += e->vmas[i]->has_numa_mode && !has_nodes(e->vmas[i]);
	}
	if (n_lost)
		log_warn(s,
			"pid %d: NUMA policies of %zu mappings are lost: this machine has not "
			"their nodes",
			t->vpid, n_lost);
	return 0;
}

void vma_policy_set(struct program *p, const FermataVma *x)
{
	uint64_t nodes[WORDS] = {0};
	if (!x->has_numa_mode || !has_nodes(x))
		return;
	for (size_t i = 0; i < x->n_numa_nodes; i++)
		nodes[i] = x->numa_nodes[i];
	program_may_fail(p, program_step(p, "set the NUMA policy of memory", NULL, SYS_mbind,
				    imm(x->start), imm(x->end - x->start), imm(x->numa_mode),
				    in_copy(p, nodes, sizeof(nodes)), imm(MAX_NODE), imm(MOVE)));
}
