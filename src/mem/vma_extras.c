/*
 * What mm images have no field for: names of anonymous mappings (PR_SET_VMA_ANON_NAME), locks on
 * fault (mlock2(2) MLOCK_ONFAULT, "lf" in smaps) and seals (mseal(2), "sl").  They stand in our own
 * image, with the range of the VMA they belong to; map.c applies them.
 *
 * smaps shows a name as [anon:NAME]; the kernel allows no brackets in it.  Of the heap and stacks
 * it shows none.  Shared anonymous memory, [anon_shmem:NAME], comes back as a memfd, which the
 * kernel takes for the same, since both have no link: it gets its name as well.
 */
#include <errno.h>
#include <string.h>

#include "kernel/syscalls.h"
#include "mem/plan.h"
#include "mem/vma_dump.h"
#include "task/extras.h"

/* NULL if it has none that can be restored. */
static char *anonymous_name(struct arena *a, const struct vma_info *info)
{
	const char *prefix = info->ino ? "[anon_shmem:" : "[anon:";
	size_t before = strlen(prefix), len = strlen(info->name);
	if (strncmp(info->name, prefix, before) != 0 || info->name[len - 1] != ']')
		return NULL;
	char *name = arena_strdup(a, info->name + before);
	name[len - before - 1] = '\0';
	return name;
}

static bool may_have_extras(const struct vma_info *info)
{
	return *info->name == '[' || info->vmflags & (VMF(LF) | VMF(SL));
}

static void add(struct vma_dump *v, FermataVma **list, const struct dumped_vma *vma)
{
	struct arena *a = &v->s->arena;
	char *name = *vma->info->name == '[' ? anonymous_name(a, vma->info) : NULL;
	bool on_fault = vma->info->vmflags & VMF(LF), sealed = vma->info->vmflags & VMF(SL);
	if (!name && !on_fault && !sealed)
		return;
	FermataVma *x = arena_new(a, FermataVma);
	fermata_vma__init(x);
	x->start = vma->e.start;
	x->end = vma->e.end;
	x->name = name;
	x->has_lock_on_fault = x->lock_on_fault = on_fault;
	x->has_sealed = x->sealed = sealed;
	FermataEntry *e = extras_make(v->s, leader(v->t));
	e->vmas = list;
	list[e->n_vmas++] = x;
}

void vma_extras_collect(struct vma_dump *v)
{
	size_t n = 0;
	vec_for_each (&v->vmas, vma)
		n += may_have_extras(vma->info);
	if (!n)
		return;
	FermataVma **list = arena_array(&v->s->arena, FermataVma *, n);
	vec_for_each (&v->vmas, vma)
		add(v, list, vma);
}

const FermataVma *mem_vma_extra(const struct task *t, const VmaEntry *e)
{
	const FermataEntry *extras = leader(t)->extras;
	size_t low = 0, high = extras ? extras->n_vmas : 0;
	while (low < high) {
		size_t mid = (low + high) / 2;
		const FermataVma *x = extras->vmas[mid];
		if (x->start == e->start)
			return x->end == e->end ? x : NULL;
		if (x->start < e->start)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

/* Before anything is forked: what is sealed must not come back open to changes. */
int vma_extras_check(struct session *s, const struct task *t)
{
	const FermataEntry *e = leader(t)->extras;
	for (size_t i = 0; e && i < e->n_vmas; i++)
		if (e->vmas[i]->sealed && sys_mseal(0, 0) == -ENOSYS)
			return fail_remedy(s, EOPNOTSUPP, "restore on Linux 6.10 or later",
				"pid %d: mapping %llx-%llx is sealed with mseal(2), which this kernel has not",
				t->vpid, (unsigned long long)e->vmas[i]->start,
				(unsigned long long)e->vmas[i]->end);
	return 0;
}
