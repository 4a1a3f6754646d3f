/*
 * The address space of a stopped task as an mm image (spec/images-process.md 6).
 *
 * One pass over smaps gives all VMAs; one page scan of the whole address space, their contents
 * and guard ranges.  A mapped file is looked at once, however many VMAs it has in a row.
 * Everything here happens before the agent enters, so nothing of it can be in the image.
 */
#include "mem/vma_dump.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "ipc/ipc.h"
#include "kernel/proc_misc.h"
#include "kernel/procfs.h"
#include "mem/aio.h"

/* The reference refuses longer vectors; the kernel supplies what is cut, AT_NULL at least. */
enum { AUXV_WORDS_MAX = 44 };

/* In pages: for smaps to look at each of so many takes longer than to load a BPF program. */
enum { LARGE_RSS = 24 * 1024 };

struct collecting {
	struct vma_dump *v;
	int map_files_fd; /* -1 until needed */
};

/* The file of the VMA before, if this one maps it too. */
static const struct dumped_vma *same_file_before(
	const struct vma_dump *v, const struct vma_info *info)
{
	if (!v->vmas.n)
		return NULL;
	const struct dumped_vma *last = &v->vmas.v[v->vmas.n - 1];
	bool same = vma_has_file(&last->e) && last->info->ino == info->ino &&
		    last->info->dev == info->dev && !strcmp(last->info->name, info->name);
	return same ? last : NULL;
}

/* How the file was opened: the permission bits of the link in map_files. */
static int read_fdflags(struct collecting *c, const struct vma_info *info, VmaEntry *e)
{
	struct vma_dump *v = c->v;
	if (c->map_files_fd < 0)
		c->map_files_fd = proc_open_pid(v->s, v->t->pid, "map_files", O_PATH | O_DIRECTORY);
	if (c->map_files_fd < 0)
		return fail(v->s, c->map_files_fd, "pid %d: open its mapped files", v->t->pid);
	char name[40];
	snprintf(name, sizeof(name), "%llx-%llx", (unsigned long long)info->start,
		(unsigned long long)info->end);
	struct stat st;
	if (fstatat(c->map_files_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_remedy(v->s, errno, "needs CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN",
			"pid %d: look at its mapping %s (%s)", v->t->pid, name, info->name);
	/* under seals of a memfd a shared mapping is one of a file that was opened to be read */
	bool sealed = info->shared && !(info->vmflags & VMF(MW));
	bool readable = st.st_mode & S_IRUSR, writable = st.st_mode & S_IWUSR && !sealed;
	e->has_fdflags = 1;
	e->fdflags = !writable ? O_RDONLY : readable ? O_RDWR : O_WRONLY;
	return 0;
}

/*
 * Neighbours are pieces of one mapping, as the loader and mprotect() leave them; but a shared one
 * that may become writable was opened otherwise than one that may not.
 */
static int add_fdflags(struct collecting *c, const struct vma_info *info, VmaEntry *e)
{
	const struct dumped_vma *before = same_file_before(c->v, info);
	bool piece = before && before->e.end == e->start && before->info->shared == info->shared &&
		!((before->info->vmflags ^ info->vmflags) & VMF(MW));
	if (!piece)
		return read_fdflags(c, info, e);
	e->has_fdflags = before->e.has_fdflags;
	e->fdflags = before->e.fdflags;
	return 0;
}

static int add_vma(struct collecting *c, const struct vma_info *info)
{
	struct vma_dump *v = c->v;
	struct dumped_vma vma = {.info = info};
	bool has_file = vma_classify(info, &vma.e);
	bool refused = vma_refuse(v->s, v->t, info, &vma.e);
	if (refused || !strcmp(info->name, "[uprobes]"))
		return 0;
	if (vma.e.status & VMA_IO_URING)
		v->t->maps_rings = true;
	int r = has_file ? add_fdflags(c, info, &vma.e) : 0;
	if (r >= 0 && vma.e.status & VMA_SYSVIPC)
		r = read_fdflags(c, info, &vma.e);
	if (r >= 0)
		*vec_push(&v->s->arena, &v->vmas) = vma;
	return r;
}

static int nothing_meanwhile(void *vma_dump)
{
	(void)vma_dump;
	return 0;
}

static int read_vmas(struct vma_dump *v, uint64_t visit_start, uint64_t visit_end)
{
	struct collecting c = {.v = v, .map_files_fd = -1};
	bool large = v->t->stat.rss >= LARGE_RSS;
	int program = v->t->tree->flags_program, r;
	if (program)
		r = proc_flagged_maps_read(v->s, program, v->t->pid, &v->smaps);
	else
		r = proc_smaps_read_while(v->s, v->t->pid, large, &v->smaps,
			large ? nothing_meanwhile : pages_scan_early, v);
	if (r < 0)
		return fail(v->s, r, "pid %d: read its mappings", v->t->pid);
	v->vmas.cap = v->smaps.n;
	v->vmas.v = arena_array(&v->s->arena, struct dumped_vma, v->vmas.cap);
	for (size_t i = 0; i < v->smaps.n && r >= 0; i++) {
		const struct vma_info *info = &v->smaps.v[i];
		if (info->start >= visit_end || info->end <= visit_start)
			r = add_vma(&c, info);
	}
	cleanup_close(&c.map_files_fd);
	return r;
}

static bool maps_same_file(const struct dumped_vma *a, const struct dumped_vma *b)
{
	return vma_has_file(&a->e) && a->info->ino == b->info->ino && a->info->dev == b->info->dev &&
	       !strcmp(a->info->name, b->info->name);
}

static int add_plugin_mapping(struct vma_dump *v, struct file_dump *files, struct dumped_vma *vma)
{
	int r = vma_ask_plugins(v->s, v->t, vma->info);
	if (r > 0)
		vma->e.shmid = file_dump_plugin_mapping(files, vma->info->name, vma->e.fdflags);
	else if (r == 0)
		vma_refuse(v->s, v->t, vma->info, &vma->e);
	return r < 0 ? r : 0;
}

/* Of a device, though no flag says so. Private pages of one were scanned as memory already. */
static int add_device(struct vma_dump *v, struct dumped_vma *vma)
{
	int r = vma->info->shared ? vma_ask_plugins(v->s, v->t, vma->info) : 0;
	if (r > 0)
		vma->e.status |= VMA_EXT_PLUGIN;
	else if (r == 0)
		vma_refuse_device(v->s, v->t, vma->info);
	return r < 0 ? r : 0;
}

static int add_mapped_file(struct vma_dump *v, struct file_dump *files, struct dumped_vma *vma)
{
	uint32_t id = 0, type = 0;
	struct mapping_kind kind = {0};
	int r = file_dump_mapping(files, v->t, vma->info, &id, &type, &kind);
	if (r < 0)
		return r;
	vma->e.shmid = id;
	if (type == FD_TYPES__MEMFD)
		vma->e.status |= VMA_MEMFD;
	vma->protected = kind.protected;
	return kind.device ? add_device(v, vma) : 0;
}

/* Ids of the mapped files; a file is asked for once, however many VMAs it has in a row. */
static int add_files(struct vma_dump *v, struct file_dump *files)
{
	for (size_t i = 0; i < v->vmas.n; i++) {
		struct dumped_vma *vma = &v->vmas.v[i];
		int r = 0;
		if (vma->e.status & VMA_SYSVIPC)
			r = shm_collect(v->s, files, v->t, vma->info, &vma->e);
		if (r < 0)
			return r;
		if (!vma_has_file(&vma->e))
			continue;
		if (vma->e.status & VMA_EXT_PLUGIN) {
			r = add_plugin_mapping(v, files, vma);
			if (r < 0)
				return r;
			continue;
		}
		if (i && maps_same_file(vma - 1, vma) && !(vma[-1].e.status & VMA_EXT_PLUGIN)) {
			vma->e.shmid = vma[-1].e.shmid;
			vma->e.status |= vma[-1].e.status & VMA_MEMFD;
			vma->protected = vma[-1].protected;
		} else {
			r = add_mapped_file(v, files, vma);
		}
		if (r < 0)
			return r;
		if (vma->protected && vma->e.has_fdflags && vma->e.fdflags != O_RDONLY)
			vma_refuse_protected(v->s, v->t, vma->info);
	}
	return 0;
}

/* --- the mm_entry --- */

static size_t count_guards(const struct vma_dump *v)
{
	size_t n = 0;
	vec_for_each (&v->pages, r)
		n += (r->categories & PAGE_IS_GUARD) != 0;
	return n;
}

static void list_vmas(struct vma_dump *v, MmEntry *mm)
{
	struct arena *a = &v->s->arena;
	size_t n_guards = count_guards(v);
	VmaEntry *guards = arena_array(a, VmaEntry, n_guards);
	mm->vmas = arena_array(a, VmaEntry *, v->vmas.n + n_guards);
	mm->n_vmas = 0;
	vec_for_each (&v->vmas, vma)
		mm->vmas[mm->n_vmas++] = &vma->e;
	vec_for_each (&v->pages, r) {
		if (!(r->categories & PAGE_IS_GUARD))
			continue;
		vma_entry__init(guards);
		guards->start = r->start;
		guards->end = r->end;
		guards->status = VMA_GUARD;
		guards->fd = -1;
		mm->vmas[mm->n_vmas++] = guards++;
	}
}

static void fill_layout(const struct vma_dump *v, MmEntry *mm)
{
	const struct proc_stat *stat = &v->t->stat;
	mm->mm_start_code = stat->start_code;
	mm->mm_end_code = stat->end_code;
	mm->mm_start_data = stat->start_data;
	mm->mm_end_data = stat->end_data;
	mm->mm_start_stack = stat->start_stack;
	mm->mm_start_brk = stat->start_brk;
	mm->mm_arg_start = stat->arg_start;
	mm->mm_arg_end = stat->arg_end;
	mm->mm_env_start = stat->env_start;
	mm->mm_env_end = stat->env_end;
	mm->mm_brk = stat->start_brk;
	vec_for_each (&v->vmas, vma)
		if (vma->e.status & VMA_HEAP)
			mm->mm_brk = vma->e.end;
}

static int fill_mm(struct vma_dump *v)
{
	struct task *t = v->t;
	if (!t->mm) {
		t->mm = arena_new(&v->s->arena, MmEntry);
		mm_entry__init(t->mm);
	}
	fill_layout(v, t->mm);
	list_vmas(v, t->mm);
	size_t n = 0;
	int r = proc_auxv(v->s, t->pid, &t->mm->mm_saved_auxv, &n);
	if (r < 0)
		return fail(v->s, r, "pid %d: read its auxiliary vector", t->pid);
	t->mm->n_mm_saved_auxv = n < AUXV_WORDS_MAX ? n : AUXV_WORDS_MAX;
	return 0;
}

int vma_dump_read(struct session *s, struct task *t, uint64_t visit_start, uint64_t visit_end,
	struct vma_dump **ret)
{
	struct vma_dump *v = arena_new(&s->arena, struct vma_dump);
	v->s = s;
	v->t = t;
	v->brk_step = -1;
	int r = read_vmas(v, visit_start, visit_end);
	if (r >= 0)
		r = vdso_dump_collect(v);
	if (r >= 0)
		vma_extras_collect(v);
	if (r >= 0)
		r = pages_scan_task(v);
	if (r >= 0)
		r = fill_mm(v);
	if (r >= 0)
		r = aio_collect(v);
	if (r < 0)
		return r;
	*ret = v;
	return 0;
}

int vma_dump_collect(struct session *s, struct file_dump *fd, struct vma_dump *v)
{
	uint32_t type;
	v->s = s;
	int r = add_files(v, fd);
	if (r >= 0)
		r = shm_check_whole(s, v->t);
	return r < 0 ? r : file_dump_path(fd, v->t, "exe", &v->t->mm->exe_file_id, &type);
}

int vma_dump_plan(struct vma_dump *v, struct program *p)
{
	v->s = p->s;
	v->brk_step = program_step(p, "brk", NULL, SYS_brk, imm(0));
	aio_plan(v, p);
	vma_policy_plan(v, p);
	return 0;
}

int vma_dump_store(struct vma_dump *v, const struct program *p)
{
	v->t->mm->mm_brk = (uint64_t)program_result(p, v->brk_step);
	aio_store(v, p);
	vma_policy_store(v, p);
	return 0;
}
