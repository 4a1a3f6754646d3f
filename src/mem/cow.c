/*
 * What a child inherits from its parent by fork.
 *
 * A range qualifies where both images have private memory of the same kind: anonymous, or the same
 * file at the same offset, with the same growth direction.  Protections may differ, and the VMAs
 * need not have the same bounds (a heap that grew after the fork is still mostly shared).  Then
 * the pages decide: equal ones stay shared, others are read from the child's image, and those
 * that only the parent has are dropped.
 */
#include "mem/plan.h"

#include <string.h>
#include <sys/mman.h>

#include "mem/vma.h"

enum { PAGE = ARCH_PAGE_SIZE };

static bool can_inherit(const VmaEntry *child, const VmaEntry *parent)
{
	const uint32_t kind = VMA_FILE_PRIVATE | VMA_ANON_PRIVATE | VMA_MEMFD;
	const uint32_t same_flags = MAP_GROWSDOWN | MAP_ANONYMOUS | MAP_PRIVATE;
	if (!vma_is_private_content(child) || !vma_is_private_content(parent))
		return false;
	if ((child->status | parent->status) & (VMA_VDSO | VMA_VVAR | VMA_SHSTK | VMA_AIORING))
		return false;
	if ((child->flags | parent->flags) & (MAP_HUGETLB | VMA_MAP_DROPPABLE))
		return false;
	if ((child->status & kind) != (parent->status & kind) ||
		(child->flags & same_flags) != (parent->flags & same_flags))
		return false;
	if (!(child->status & VMA_FILE_PRIVATE))
		return true;
	return child->shmid == parent->shmid &&
		child->start - child->pgoff == parent->start - parent->pgoff;
}

/* While it is filled; of what is not, and may be kept from a grandparent, nothing is known. */
static bool is_writable_at_fork(const struct mem_plan *m, const struct vma_plan *v)
{
	return v->has_pages ||
		(v->e->prot & PROT_WRITE && !mem_kept_overlaps(m, v->e->start, v->e->end));
}

int mem_inherit(struct session *s, struct task *child)
{
	struct mem_plan *mine = mem_of(child), *theirs = mem_of(child->parent);
	if (!theirs || child->mm->exe_file_id != child->parent->mm->exe_file_id)
		return 0;
	size_t j = 0;
	for (size_t i = 0; i < mine->vmas.n; i++) {
		const VmaEntry *c = mine->vmas.v[i].e;
		while (j < theirs->vmas.n && theirs->vmas.v[j].e->end <= c->start)
			j++;
		for (size_t k = j; k < theirs->vmas.n && theirs->vmas.v[k].e->start < c->end; k++) {
			const VmaEntry *p = theirs->vmas.v[k].e;
			if (!can_inherit(c, p))
				continue;
			*vec_push(&s->arena, &mine->kept) = (struct kept_range){
				.start = c->start > p->start ? c->start : p->start,
				.end = c->end < p->end ? c->end : p->end,
				.writable = is_writable_at_fork(theirs, &theirs->vmas.v[k]),
			};
			theirs->vmas.v[k].heirloom = true;
		}
	}
	return 0;
}

bool mem_page_is_inherited(struct session *s, struct task *t, uint64_t addr)
{
	if (!mem_kept_overlaps(mem_of(t), addr, addr + PAGE))
		return false;
	const char *theirs = mem_image_page(s, t->parent, addr);
	const char *mine = theirs ? mem_image_page(s, t, addr) : NULL;
	s->stats.pages_compared += mine != NULL;
	bool equal = mine && memcmp(mine, theirs, PAGE) == 0;
	s->stats.pages_skipped_cow += equal;
	return equal;
}
