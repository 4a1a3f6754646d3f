/*
 * vDSO and vvar at dump (spec/images-process.md 6.10).
 *
 * Linux 6.13 split vvar in two VMAs; images have one.  After a restore on another kernel the task
 * has two vDSOs: its own, as plain memory, and the kernel's, which carries a mark at its start.
 * The next dump takes the former for the vDSO and leaves out the latter.
 *
 * The agent's way in is a stub in the padding of the vDSO, or without that at the start of the
 * first executable mapping: those bytes are kept from before.
 */
#include "mem/vma_dump.h"

#include <errno.h>
#include <string.h>

#include "engine/remote.h"
#include "kernel/syscalls.h"
#include "mem/vdso.h"

/* More than the stub ever takes (engine/inject.c). */
enum { STUB_ROOM = 512, VDSO_MAX = 64 * 1024 };

static void merge_vvar(struct vma_dump *v)
{
	struct dumped_vma *vvar = NULL;
	size_t n = 0;
	vec_for_each (&v->vmas, vma) {
		bool is_vvar = vma->e.status & VMA_VVAR;
		if (is_vvar && vvar && vvar->e.end == vma->e.start) {
			vvar->e.end = vma->e.end;
			continue;
		}
		if (is_vvar && vvar)
			block(v->s, v->t->pid, NULL, "has two [vvar] areas, at %llx and %llx",
				(unsigned long long)vvar->e.start,
				(unsigned long long)vma->e.start);
		v->vmas.v[n] = *vma;
		if (is_vvar)
			vvar = &v->vmas.v[n];
		n++;
	}
	v->vmas.n = n;
}

/* --- the mark --- */

static bool may_carry_mark(const struct dumped_vma *vma)
{
	const uint32_t prot = PROT_READ | PROT_EXEC;
	return vma->e.status & VMA_ANON_PRIVATE && vma->e.prot == prot &&
	       vma->e.end <= ARCH_TASK_SIZE;
}

static bool read_mark(const struct vma_dump *v, const struct dumped_vma *vma, struct vdso_mark *ret)
{
	struct iovec local = {ret, sizeof(*ret)};
	struct iovec remote = {(void *)vma->e.start, sizeof(*ret)};
	if (sys_process_vm_readv(v->t->pid, &local, 1, &remote, 1) != (ssize_t)sizeof(*ret))
		return false;
	return ret->signature == VDSO_MARK_SIGNATURE || ret->signature == VDSO_MARK_SIGNATURE_V2 ||
	       ret->signature == VDSO_MARK_SIGNATURE_V1;
}

static bool is_parked(
	const struct dumped_vma *vma, const struct dumped_vma *marked, const struct vdso_mark *mark)
{
	if (vma->e.start == mark->orig_vdso)
		return false;
	return vma == marked || vma->e.status & VMA_VDSO || vma->e.start == mark->rt_vvar;
}

static void undo_parking(
	struct vma_dump *v, const struct dumped_vma *marked, const struct vdso_mark *mark)
{
	size_t n = 0;
	vec_for_each (&v->vmas, vma) {
		if (is_parked(vma, marked, mark))
			continue;
		if (vma->e.start == mark->orig_vdso)
			vma->e.status |= VMA_VDSO;
		else if (vma->e.start == mark->orig_vvar)
			vma->e.status |= VMA_VVAR;
		v->vmas.v[n++] = *vma;
	}
	v->vmas.n = n;
}

static int find_mark(struct vma_dump *v)
{
	const struct dumped_vma *marked = NULL;
	struct vdso_mark mark = {0}, other;
	vec_for_each (&v->vmas, vma) {
		if (!may_carry_mark(vma) || !read_mark(v, vma, &other))
			continue;
		if (marked)
			return fail(v->s, EINVAL,
				"pid %d: two marks of a replaced vDSO, at %llx and %llx", v->t->pid,
				(unsigned long long)marked->e.start,
				(unsigned long long)vma->e.start);
		marked = vma;
		mark = other;
	}
	if (!marked)
		return 0;
	if (mark.signature != VDSO_MARK_SIGNATURE || mark.version != VDSO_MARK_VERSION)
		return fail(v->s, EOPNOTSUPP,
			"pid %d: its vDSO at %llx was replaced by an unknown "
			"version of a restore tool",
			v->t->pid, (unsigned long long)marked->e.start);
	log_debug(v->s, "pid %d: vDSO at %llx stands in for the one at %llx", v->t->pid,
		(unsigned long long)marked->e.start, (unsigned long long)mark.orig_vdso);
	undo_parking(v, marked, &mark);
	return 0;
}

int vdso_dump_collect(struct vma_dump *v)
{
	merge_vvar(v);
	return find_mark(v);
}

/* --- bytes under the agent's stub --- */

static int keep(struct vma_dump *v, uint64_t addr, uint64_t len)
{
	struct kept_bytes kept = {addr, len, arena_alloc(&v->s->arena, len)};
	int r = remote_read(v->t->pid, addr, kept.data, len);
	if (r >= 0)
		*vec_push(&v->s->arena, &v->kept) = kept;
	return r;
}

int vdso_dump_keep(struct vma_dump *v)
{
	bool text = false;
	for (size_t i = 0; i < v->vmas.n; i++) {
		const VmaEntry *e = &v->vmas.v[i].e;
		if (e->status & VMA_VDSO && e->end - e->start <= VDSO_MAX) {
			int r = keep(v, e->start, e->end - e->start);
			if (r < 0)
				return fail(v->s, r, "pid %d: read its vDSO at %llx", v->t->pid,
					(unsigned long long)e->start);
		} else if (!text && e->prot & PROT_EXEC && vma_has_dumped_pages(e)) {
			/* where it cannot be read, no stub can be either */
			text = keep(v, e->start, STUB_ROOM) >= 0;
		}
	}
	return 0;
}
