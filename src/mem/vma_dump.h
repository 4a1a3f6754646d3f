/* The mappings of a stopped task, as they go into its mm image. */
#ifndef FERMATA_MEM_VMA_DUMP_H
#define FERMATA_MEM_VMA_DUMP_H

#include "engine/program.h"
#include "file/dump.h"
#include "kernel/page_scan.h"
#include "kernel/proc_maps.h"
#include "mem/vma.h"
#include "task/task.h"

/* Bytes of the task as they were before the agent came, which may be sitting on them. */
struct kept_bytes {
	uint64_t addr, len;
	uint8_t *data;
};

struct dumped_vma {
	VmaEntry e;
	const struct vma_info *info; /* the smaps entry; of merged ones the first */
	bool protected;		     /* chattr(1) forbids to open its file for writing by now */
};

struct vma_dump {
	struct session *s;
	struct task *t;
	vma_info_vec smaps;
	VEC(struct dumped_vma) vmas; /* ascending, without guards; t->mm->vmas points into it */
	page_range_vec pages;	     /* what exists: contents, and GUARD ranges */
	VEC(struct kept_bytes) kept;
	bool knows_guards; /* the kernel can tell guard pages from others */
	bool scanned;	   /* pages has all of the address space */
	int brk_step;
	int aio_step; /* the first of those that ask for AIO contexts */
	struct policy *policies; /* vma_policy.c: of each VMA; NULL: not asked for */
	uint32_t pages_id; /* of its pages image */
	struct early_sums *sums; /* of that; NULL: not while it is written */
	const unsigned *n_writing; /* tasks that are writing theirs now; NULL: this one */
};

/*
 * Reads all mappings of t, before an agent is in it. [visit_start, visit_end) is left out anyway.
 * Allocates t->mm and fills what can be read from outside; mm_brk is only exact after
 * vma_dump_store(), dumpable and thp_disabled are the aspects'.  What cannot be dumped goes to
 * block().  Needs t->stat, changes nothing but t, and so is fit for share_out().
 */
int vma_dump_read(struct session *s, struct task *t, uint64_t visit_start, uint64_t visit_end,
	struct vma_dump **ret);

/* After that: the files behind the mappings, and the executable. s is for all that follows. */
int vma_dump_collect(struct session *s, struct file_dump *fd, struct vma_dump *v);

/* Appends the steps that must run inside, and takes their results. */
int vma_dump_plan(struct vma_dump *v, struct program *p);
int vma_dump_store(struct vma_dump *v, const struct program *p);

/* --- internal to src/mem --- */

/*
 * vma_classify.c: everything but shmid, fdflags and VMA_MEMFD, from one entry of smaps. Returns
 * whether there is a file to look at.
 */
bool vma_classify(const struct vma_info *info, VmaEntry *ret);

/* vma_refuse.c, for docs/support.md: why the i-th kind of mapping is refused; NULL behind the last. */
const char *vma_refused_kind(size_t i, const char **ret_remedy);
/*
 * vma_refuse.c: blocks what cannot be dumped; returns whether it did.  What a plugin may know gets
 * VMA_EXT_PLUGIN instead; what has that already is refused.
 */
bool vma_refuse(struct session *s, const struct task *t, const struct vma_info *info, VmaEntry *e);
void vma_refuse_device(struct session *s, const struct task *t, const struct vma_info *info);
/* Of a file that cannot be opened as it was: chattr(1). */
void vma_refuse_protected(struct session *s, const struct task *t, const struct vma_info *info);

/* vma_plugin.c: does a plugin take this mapping? 1, 0 or a negative errno. */
int vma_ask_plugins(struct session *s, const struct task *t, const struct vma_info *info);

/*
 * vma_extras.c: names of anonymous mappings and locks on fault, into the leader's extras; they
 * have no field in mm images.
 */
void vma_extras_collect(struct vma_dump *v);

/* vma_policy.c: NUMA policies of single mappings, asked inside. */
void vma_policy_plan(struct vma_dump *v, struct program *p);
void vma_policy_store(struct vma_dump *v, const struct program *p);

/* vdso_dump.c: merges vvar areas, undoes the marks of an earlier restore. */
int vdso_dump_collect(struct vma_dump *v);
/* Fills v->kept, before an agent is in the task that writes its pages. */
int vdso_dump_keep(struct vma_dump *v);

/*
 * pages_scan.c: fills v->pages. The first needs no VMAs: of a struct vma_dump, what can be done while
 * they are read; but a scan that knows of large ones is quicker.
 */
int pages_scan_early(void *vma_dump);
int pages_scan_task(struct vma_dump *v);

#endif
