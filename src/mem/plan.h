/*
 * How the memory of one restored task comes about.
 *
 * Memory is mapped at its final place from the start.  A parent first maps and fills what some
 * child inherits ("heirloom" VMAs), then its children are cloned, then it maps the rest; a child
 * keeps the parts that its image has too and overwrites pages that differ.  So copy-on-write
 * sharing comes from fork itself, and nothing is moved afterwards.
 *
 *	mem_load()        reads and checks the image; before anything is forked
 *	mem_inherit()     what a child keeps of its parent
 *	mem_plan_early()  steps before the task's children are cloned
 *	mem_plan_map()    after: maps the rest
 *	mem_plan_fill()   its contents, or mem_fill_outside()
 *	mem_plan_final()  protections, locks, advice
 *	mem_finish()      what the controller does itself: a foreign vDSO
 */
#ifndef FERMATA_MEM_PLAN_H
#define FERMATA_MEM_PLAN_H

#include "engine/stub.h"
#include "file/restore.h"
#include "image/pagemap.h"
#include "task/task.h"

struct vma_plan {
	const VmaEntry *e;
	uint64_t pgoff; /* e's, unless a plugin knows better */
	bool heirloom;  /* some child keeps a part: mapped early */
	bool has_pages; /* its pagemap has pages of it */
	bool unshielded; /* mapped with PROT_WRITE that e->prot lacks, to be taken away again */
};

/* A stretch of the parent's memory that a child keeps. */
struct kept_range {
	uint64_t start, end;
	bool writable; /* at the fork, whatever the parent's image says */
};

/* The vDSO and its data pages, as the image has them and as this kernel gives them. */
struct vdso_plan {
	const VmaEntry *vdso, *vvar; /* of the image; NULL: it has none */
	bool proxy;                  /* they differ: the image's code jumps to the kernel's */
	uint64_t live_addr;          /* where the kernel's pair goes, data pages first */
};

struct mem_plan {
	VEC(struct vma_plan) vmas;         /* ascending; without vsyscall and guards */
	VEC(const VmaEntry *) guards;
	VEC(struct kept_range) kept;       /* ascending */
	struct pagemap map;
	const char *pages;                 /* the pages file, here on demand; NULL */
	struct vdso_plan vdso;
};

static inline struct mem_plan *mem_of(const struct task *t)
{
	return t->mem;
}

int mem_load(struct session *s, struct task *t);
void mem_release(struct session *s, struct task *t);

/* Raises *addr to the next range of len bytes that no task of the tree uses. */
int mem_find_hole(struct session *s, const struct tree *tree, uint64_t len, uint64_t *addr);

int mem_inherit(struct session *s, struct task *child);

int mem_plan_early(struct stubs *st, struct file_set *files, struct task *t, struct program *p);
/*
 * Whether the steps of mem_plan_early() or mem_plan_map() receive descriptors: such programs must
 * be played one at a time.
 */
bool mem_needs_files(const struct task *t, bool early);

int mem_plan_map(struct stubs *st, struct file_set *files, struct task *t, struct program *p);
int mem_plan_fill(struct stubs *st, struct task *t, struct program *p);
/* The same for a large task, at once and by the controller; whether this kernel lets it do so. */
int mem_fill_outside(struct stubs *st, struct task *t);
bool mem_can_fill_outside(void);
/* Bytes of the pages image that the task has. */
uint64_t mem_image_bytes(const struct task *t);
void mem_plan_final(struct task *t, struct program *p);

int mem_finish(struct stubs *st, struct task *t);

/* Address of a system call instruction in the task's memory as restored. */
int mem_find_syscall(struct stubs *st, struct task *t, uint64_t *ret_ip);

/* --- internal to src/mem --- */

/* Reads what the image has of a stretch of memory; false: not all of it, or it cannot be read. */
bool mem_image_read(struct session *s, struct task *t, uint64_t addr, void *to, size_t len);
/* The page of the image at an address; NULL when the pagemap has none. */
const char *mem_image_page(struct session *s, struct task *t, uint64_t addr);
/* The pages file of the task, mapped or read; NULL: it cannot be. */
const char *mem_image_pages(struct session *s, struct task *t);
/* fill.c: which part of the pages file goes where; never across VMAs */
struct stretch {
	uint64_t addr, len, offset;
	size_t vma; /* index */
};
struct stretches {
	struct stretch *v;
	size_t n, cap;
};
void mem_stretches(struct session *s, struct task *t, bool early, struct stretches *ret);
/* fill.c: steps that read the pages of heirlooms. */
int mem_plan_fill_early(struct stubs *st, struct task *t, struct program *p);
/* cow.c: the page that fork left at addr is what the image has there. */
bool mem_page_is_inherited(struct session *s, struct task *t, uint64_t addr);
/* vma_extras.c: what the task's extras say of a mapping, NULL = nothing */
const FermataVma *mem_vma_extra(const struct task *t, const VmaEntry *e);
int vma_extras_check(struct session *s, const struct task *t);
/* vma_plugin.c: that there is a plugin; what it says, *ret_fd is -1 if the path shall be opened */
int vma_plugin_check(struct session *s, const struct task *t, const VmaEntry *e);
int vma_plugin_update(struct session *s, const struct task *t, struct vma_plan *v, const char *path,
	int *ret_fd);

/* vma_policy.c: before anything is forked; then the step, if it is of use here. */
int vma_policy_check(struct session *s, const struct task *t);
void vma_policy_set(struct program *p, const FermataVma *x);
/* mm.c */
bool mm_inherits_exe(const struct task *t);
int mem_plan_mm(struct stubs *st, struct file_set *files, struct task *t, struct program *p);
/* vdso.c */
int vdso_load(struct session *s, struct task *t);
void vdso_plan(struct task *t, struct program *p);
int vdso_patch(struct session *s, struct task *t);
uint64_t vdso_live_len(void);

/* The first kept range that ends behind addr, or the end of the list. */
static inline size_t mem_kept_after(const struct mem_plan *m, uint64_t addr)
{
	size_t low = 0, high = m->kept.n;
	while (low < high) {
		size_t mid = (low + high) / 2;
		if (m->kept.v[mid].end <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static inline bool mem_kept_overlaps(const struct mem_plan *m, uint64_t start, uint64_t end)
{
	size_t i = mem_kept_after(m, start);
	return i < m->kept.n && m->kept.v[i].start < end;
}

#endif
