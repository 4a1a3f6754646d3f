/*
 * Shared memory segments (shmget(2)) that tasks have attached.
 *
 * A mapping of one is called /SYSV<key>, and its inode number is the segment's id.  Contents are
 * read through a task's map_files link, which leaves no trace in the segment's times.  A segment
 * that was removed while attached lives until the last task is gone, so it is always made again,
 * and removed again when all have attached it.
 * What becomes of one that still exists at restore is decided by shm_present.c.
 */
#include "ipc/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/options.h"
#include "file/dump.h"
#include "image/codec.h"
#include "kernel/procfs.h"
#include "kernel/syscalls.h"
#include "mem/shmem.h"
#include "mem/vma.h"

struct segments {
	VEC(struct shm_segment) all;
};

static struct shm_segment *find(const struct tree *tree, uint64_t id)
{
	struct segments *list = tree->shm;
	if (list)
		vec_for_each (&list->all, g)
			if (g->id == id)
				return g;
	return NULL;
}

static struct shm_segment *add(struct session *s, struct tree *tree, uint32_t id)
{
	if (!tree->shm)
		tree->shm = arena_new(&s->arena, struct segments);
	struct segments *list = tree->shm;
	*vec_push(&s->arena, &list->all) = (struct shm_segment){.id = id};
	return &list->all.v[list->all.n - 1];
}

bool shm_is_segment(const struct vma_info *info)
{
	static const char prefix[] = "/SYSV", suffix[] = " (deleted)";
	const size_t key_len = 8, before = sizeof(prefix) - 1;
	return info->shared && strncmp(info->name, prefix, before) == 0 &&
	       strspn(info->name + before, "0123456789abcdef") == key_len &&
	       strcmp(info->name + before + key_len, suffix) == 0;
}

/* --- dump --- */

static void block_mapping(
	struct session *s, const struct task *t, const VmaEntry *e, const char *why)
{
	block(s, t->vpid, "have the program detach it (shmdt) before the dump",
		"mapping %llx-%llx: the shared memory segment %llu (shmget) %s",
		(unsigned long long)e->start, (unsigned long long)e->end,
		(unsigned long long)e->shmid, why);
}

/* Everything but what a removal changes must tell that the mapping is of this segment. */
static bool is_mapping_of(const struct shmid_ds *ds, const struct vma_info *info)
{
	bool removed = ds->shm_perm.mode & SHM_DEST;
	return removed ||
	       strtoul(info->name + strlen("/SYSV"), NULL, 16) == (uint32_t)ds->shm_perm.__key;
}

static int new_segment(struct session *s, struct file_dump *files, struct task *t,
	const struct vma_info *info, const VmaEntry *e)
{
	struct shmid_ds ds;
	if (shmctl((int)e->shmid, IPC_STAT, &ds) < 0 || !is_mapping_of(&ds, info)) {
		block_mapping(s, t, e, "is none of this IPC namespace");
		return 0;
	}
	struct shm_segment *g = add(s, t->tree, (uint32_t)e->shmid);
	IpcShmEntry *m = g->e = arena_new(&s->arena, IpcShmEntry);
	ipc_shm_entry__init(m);
	m->desc = arena_new(&s->arena, IpcDescEntry);
	ipc_desc_fill(m->desc, &ds.shm_perm, (int)g->id);
	m->size = ds.shm_segsz;
	m->has_in_pagemaps = m->in_pagemaps = true;
	m->has_hugetlb_flag = e->flags & VMA_MAP_HUGETLB;
	if (m->has_hugetlb_flag)
		m->hugetlb_flag = SHM_HUGETLB | e->flags >> VMA_MAP_HUGE_SHIFT
								    << VMA_MAP_HUGE_SHIFT;
	g->map_flags = e->flags;
	g->task = t;
	g->link = arena_printf(&s->arena, "map_files/%llx-%llx", (unsigned long long)e->start,
		(unsigned long long)e->end);
	file_dump_reserve_shmid(files, g->id);
	return 0;
}

int shm_collect(struct session *s, struct file_dump *files, struct task *t,
	const struct vma_info *info, VmaEntry *e)
{
	return find(t->tree, e->shmid) ? 0 : new_segment(s, files, t, info, e);
}

/* Where in the segment the piece before ended; 0: none, or complete. */
struct attachment {
	const struct shm_segment *g;
	const VmaEntry *last;
	uint64_t done;
};

static bool continues(const struct attachment *a, const VmaEntry *e)
{
	return a->g && e->status & VMA_SYSVIPC && e->shmid == a->g->id &&
	       e->start == a->last->end && e->pgoff == a->done;
}

/* 0, or the mapping whose attachment is not whole. */
static const VmaEntry *find_torn(const struct task *t)
{
	struct attachment a = {0};
	for (size_t i = 0; i < t->mm->n_vmas; i++) {
		const VmaEntry *e = t->mm->vmas[i];
		const struct shm_segment *g =
			e->status & VMA_SYSVIPC ? find(t->tree, e->shmid) : NULL;
		if (a.g && !continues(&a, e))
			return a.last;
		if (!g)
			continue;
		if (!a.g && e->pgoff)
			return e;
		a.g = g;
		a.last = e;
		a.done = e->pgoff + (e->end - e->start);
		if (a.done == shm_mapped_size(g))
			a.g = NULL;
	}
	return a.g ? a.last : NULL;
}

int shm_check_whole(struct session *s, const struct task *t)
{
	const VmaEntry *torn = t->tree->shm ? find_torn(t) : NULL;
	if (torn)
		block_mapping(s, t, torn,
			"is not attached as a whole, so shmat() cannot attach it again");
	return 0;
}

static int write_contents(struct session *s, const struct shm_segment *g)
{
	_cleanup_close_ int fd = proc_open_pid(s, g->task->pid, g->link, O_RDONLY);
	if (fd < 0)
		return fail(
			s, fd, "pid %d: open the shared memory segment %u", g->task->vpid, g->id);
	return shmem_dump(s, fd, g->id, g->e->size);
}

int shm_write(struct session *s, struct tree *tree)
{
	struct segments *list = tree->shm;
	if (!list)
		return 0;
	_cleanup_image_writer_ struct image_writer w = IMAGE_WRITER_NONE;
	image_writer_init(&w, s->images, IMG_IPC_SHM, tree->root->ids->ipc_ns_id);
	int r = 0;
	for (size_t i = 0; i < list->all.n && r >= 0; i++) {
		r = write_contents(s, &list->all.v[i]);
		if (r >= 0)
			r = image_write(s, &w, &list->all.v[i].e->base);
	}
	return r < 0 ? r : image_writer_close(s, &w);
}

/* --- restore: the images --- */

static int load_segment(struct session *s, struct tree *tree, IpcShmEntry *e)
{
	if (find(tree, e->desc->id))
		return fail(
			s, EBADMSG, "the images have shared memory segment %u twice", e->desc->id);
	struct shm_segment *g = add(s, tree, e->desc->id);
	g->e = e;
	if (!e->has_in_pagemaps || !e->in_pagemaps)
		return shm_bad(s, EOPNOTSUPP, g, "its image is of an old format");
	if (!e->size || e->size > INT64_MAX / 2)
		return shm_bad(s, EBADMSG, g, "its image is not sane");
	return shmem_check(s, g->id, e->size);
}

static int load_image(struct session *s, struct tree *tree)
{
	ProtobufCMessage **all;
	size_t n;
	int r = image_read_all(s, IMG_IPC_SHM, ipc_ns_of(tree), &all, &n);
	for (size_t i = 0; i < n && r >= 0; i++)
		r = load_segment(s, tree, (IpcShmEntry *)all[i]);
	return r;
}

static int check_mappings(struct session *s, const struct task *t)
{
	for (size_t i = 0; i < t->mm->n_vmas; i++) {
		const VmaEntry *e = t->mm->vmas[i];
		if (!(e->status & VMA_SYSVIPC))
			continue;
		struct shm_segment *g = find(t->tree, e->shmid);
		if (!g)
			return fail(s, EBADMSG,
				"pid %d: shared memory segment %llu is not in the images", t->vpid,
				(unsigned long long)e->shmid);
		g->fate = SEGMENT_ATTACH;
		g->map_flags = e->flags;
	}
	const VmaEntry *torn = find_torn(t);
	return torn ? fail(s, EOPNOTSUPP,
			      "pid %d: the mapping at %llx is only a part of segment %llu, which "
			      "cannot be attached again",
			      t->vpid, (unsigned long long)torn->start,
			      (unsigned long long)torn->shmid)
		    : 0;
}

static bool has_segments(const struct tree *tree)
{
	vec_for_each (&tree->tasks, t)
		for (size_t i = 0; (*t)->mm && i < (*t)->mm->n_vmas; i++)
			if ((*t)->mm->vmas[i]->status & VMA_SYSVIPC)
				return true;
	return false;
}

int shm_load(struct session *s, struct tree *tree)
{
	if (!has_segments(tree))
		return 0;
	int r = load_image(s, tree);
	for (size_t i = 0; i < tree->tasks.n && r >= 0; i++)
		if (tree->tasks.v[i]->mm)
			r = postpone(s, check_mappings(s, tree->tasks.v[i]));
	struct segments *list = tree->shm;
	for (size_t i = 0; list && i < list->all.n && r >= 0 && !s->images_only; i++)
		if (list->all.v[i].fate != SEGMENT_UNUSED)
			r = postpone(s, shm_look_at(s, tree, &list->all.v[i]));
	return r;
}

/* --- restore: making them --- */

static int set_owner(const struct shm_segment *g)
{
	const IpcDescEntry *d = g->e->desc;
	struct shmid_ds ds = {.shm_perm = {.uid = d->uid, .gid = d->gid, .mode = d->mode & 0777}};
	return shmctl((int)g->id, IPC_SET, &ds) < 0 ? -errno : 0;
}

static int get(const void *object)
{
	const struct shm_segment *g = object;
	const IpcDescEntry *d = g->e->desc;
	int flags = IPC_CREAT | IPC_EXCL | (int)(d->mode & 0777);
	if (g->e->has_hugetlb_flag)
		flags |= (int)g->e->hugetlb_flag;
	if (g->map_flags & VMA_MAP_NORESERVE)
		flags |= SHM_NORESERVE;
	return shmget((key_t)d->key, g->e->size, flags);
}

static int make_segment(struct session *s, struct shm_segment *g)
{
	int id = ipc_create("shm", g->e->desc, get, g);
	if (id < 0)
		return shm_bad(s, id, g, "make it again");
	if ((uint32_t)id != g->id) {
		shmctl(id, IPC_RMID, NULL);
		return shm_bad(s, EEXIST, g, "its id is taken");
	}
	g->made = true;
	int r = set_owner(g);
	return r < 0 ? shm_bad(s, r, g, "give it to its owner") : 0;
}

/*
 * A segment that is half filled is not what it was, and the next restore has to know that none but the tree
 * used it: the last to have it attached was a process of the root's number.
 */
static void leave_to_tree(const struct tree *tree, const struct shm_segment *g)
{
	pid_t pid = tree->root->pid;
	struct clone_args args = {
		.exit_signal = SIGCHLD, .set_tid = (uintptr_t)&pid, .set_tid_size = 1};
	pid_t child = sys_clone3(&args);
	if (child == 0) {
		shmdt(shmat((int)g->id, NULL, SHM_RDONLY));
		_exit(0);
	}
	while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
}

static int fill_segment(struct session *s, const struct shm_segment *g)
{
	struct shm_attached a;
	int r = shm_attach(s, g, O_RDWR, &a);
	if (r < 0)
		return r;
	if (g->fate == SEGMENT_REFILL && fallocate(a.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
						 0, (off_t)shm_mapped_size(g)) < 0)
		r = shm_bad(s, errno, g, "empty it");
	if (r >= 0)
		r = shmem_fill(s, a.fd, g->id, g->e->has_hugetlb_flag);
	shm_detach(&a);
	return r;
}

int shm_make(struct session *s, struct tree *tree)
{
	struct segments *list = tree->shm;
	int r = 0;
	for (size_t i = 0; list && i < list->all.n && r >= 0; i++) {
		struct shm_segment *g = &list->all.v[i];
		if (g->fate == SEGMENT_MAKE)
			r = make_segment(s, g);
		if (r >= 0 && (g->fate == SEGMENT_MAKE || g->fate == SEGMENT_REFILL))
			r = fill_segment(s, g);
		if (r < 0 && g->fate == SEGMENT_REFILL)
			leave_to_tree(tree, g);
	}
	return r;
}

/* What the pieces of one attachment have in common. */
static int attach_flags(const struct task *t, const VmaEntry *first)
{
	int flags = SHM_RDONLY;
	uint64_t end = first->start;
	for (size_t i = 0; i < t->mm->n_vmas; i++) {
		const VmaEntry *e = t->mm->vmas[i];
		if (e->start != end || !(e->status & VMA_SYSVIPC) || e->shmid != first->shmid ||
			(e != first && !e->pgoff))
			continue;
		end = e->end;
		if (!e->has_fdflags || (e->fdflags & O_ACCMODE) != O_RDONLY)
			flags &= ~SHM_RDONLY;
		if (e->prot & PROT_EXEC)
			flags |= SHM_EXEC;
	}
	return flags;
}

void shm_plan_attach(const struct task *t, const VmaEntry *e, struct program *p)
{
	if (e->pgoff)
		return;
	int step = program_step(p, "attach shared memory", NULL, SYS_shmat, imm(e->shmid),
		imm(e->start), imm((uint64_t)attach_flags(t, e)));
	program_expect(p, step, (int64_t)e->start);
}

int shm_settle(struct session *s, struct tree *tree)
{
	struct segments *list = tree->shm;
	for (size_t i = 0; list && i < list->all.n; i++) {
		struct shm_segment *g = &list->all.v[i];
		if (!g->made)
			continue;
		if (g->e->desc->mode & SHM_LOCKED && shmctl((int)g->id, SHM_LOCK, NULL) < 0)
			return shm_bad(s, errno, g, "lock it");
		if (g->e->desc->mode & SHM_DEST && shmctl((int)g->id, IPC_RMID, NULL) < 0)
			return shm_bad(s, errno, g, "remove it, as it was");
	}
	return 0;
}

void shm_undo(struct tree *tree)
{
	struct segments *list = tree->shm;
	for (size_t i = 0; list && i < list->all.n; i++)
		if (list->all.v[i].made)
			shmctl((int)list->all.v[i].id, IPC_RMID, NULL);
}
