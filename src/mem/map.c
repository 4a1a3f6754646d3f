/*
 * Mappings: the steps that unmap what a stub was born with and map what the image has.
 */
#include "mem/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "ipc/ipc.h"
#include "kernel/syscalls.h"
#include "mem/vma.h"
#include "task/extras.h"

struct wanted_file {
	uint32_t id;
	int flags;
	int given; /* by a plugin, to be mapped instead; -1: none */
};

/* Mappings that share one batch of descriptors. */
struct file_batch {
	struct wanted_file files[STUB_FDS_MAX];
	unsigned n_files;
	VEC(struct vma_plan *) vmas;
	VEC(unsigned) file_of;
};

struct mapping {
	struct stubs *st;
	struct file_set *files;
	struct task *t;
	struct program *p;
	struct file_batch batch;
	size_t looked_at; /* VMAs before it are in no run */
};

/* --- what must go --- */

static void unmap(struct program *p, uint64_t start, uint64_t end)
{
	if (start < end)
		program_step(p, "unmap", NULL, SYS_munmap, imm(start), imm(end - start));
}

/* Everything between the region of the stubs and the ranges that are kept. */
static void unmap_rest(struct mapping *m)
{
	const struct mem_plan *mem = mem_of(m->t);
	uint64_t region = m->st->addr, region_end = region + m->st->size;
	uint64_t at = 0;
	bool region_done = false;
	vec_for_each(&mem->kept, k) {
		if (!region_done && k->start >= region_end) {
			unmap(m->p, at, region);
			at = region_end;
			region_done = true;
		}
		unmap(m->p, at, k->start);
		at = k->end;
	}
	if (!region_done) {
		unmap(m->p, at, region);
		at = region_end;
	}
	unmap(m->p, at, ARCH_TASK_SIZE);
}

/* --- what is mapped --- */

static bool needs_file(const VmaEntry *e)
{
	return e->status & (VMA_FILE_PRIVATE | VMA_FILE_SHARED) && !(e->flags & MAP_ANONYMOUS);
}

static bool is_special(const VmaEntry *e)
{
	return e->status & (VMA_VVAR | VMA_VDSO);
}

/* Mapped by its file's type, when that can be made; until then its place is kept free. */
static bool is_late(const VmaEntry *e)
{
	return e->status & (VMA_IO_URING | VMA_SOCKET);
}

static int open_flags(const VmaEntry *e)
{
	if (e->has_fdflags)
		return (int)e->fdflags;
	return (e->flags & MAP_SHARED) && (e->prot & PROT_WRITE) ? O_RDWR : O_RDONLY;
}

/* mlock() comes when the contents are there; MAP_LOCKED would fault everything in twice */
static uint32_t map_flags(const VmaEntry *e)
{
	return (e->flags & ~(uint32_t)VMA_MAP_LOCKED) | MAP_FIXED;
}

static bool lends_write(const struct vma_plan *v)
{
	return v->has_pages && !(v->e->prot & PROT_WRITE);
}

static uint32_t map_prot(const struct vma_plan *v)
{
	return v->e->prot | (lends_write(v) ? PROT_WRITE : 0);
}

static void map_piece(struct mapping *m, struct vma_plan *v, uint64_t start, uint64_t end, int fd)
{
	const VmaEntry *e = v->e;
	uint32_t flags = map_flags(e), prot = map_prot(v);
	if (e->status & VMA_AIORING) { /* a stand-in, until aio_restore() */
		flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
		prot = PROT_READ | PROT_WRITE;
	} else {
		v->unshielded |= lends_write(v);
	}
	uint64_t offset = fd < 0 ? 0 : v->pgoff + (start - e->start);
	const char *what = fd < 0 ? "anonymous memory" : file_name(m->files, (uint32_t)e->shmid);
	int step = program_step(m->p, "map", what, SYS_mmap, imm(start),
		imm(end - start), imm(prot), imm(flags), simm(fd), imm(offset));
	program_expect(m->p, step, (int64_t)start);
}

/* The parts of a VMA that fork did not bring. */
static void map_missing(struct mapping *m, struct vma_plan *v, int fd)
{
	const struct mem_plan *mem = mem_of(m->t);
	uint64_t at = v->e->start;
	for (size_t i = mem_kept_after(mem, at); i < mem->kept.n && mem->kept.v[i].start < v->e->end; i++) {
		if (at < mem->kept.v[i].start)
			map_piece(m, v, at, mem->kept.v[i].start, fd);
		at = mem->kept.v[i].end;
	}
	if (at < v->e->end)
		map_piece(m, v, at, v->e->end, fd);
}

/* The parts that fork did bring. Their access is the parent's, which may be too much or too little. */
static void take_kept(struct mapping *m, struct vma_plan *v)
{
	const struct mem_plan *mem = mem_of(m->t);
	const VmaEntry *e = v->e;
	for (size_t i = mem_kept_after(mem, e->start); i < mem->kept.n && mem->kept.v[i].start < e->end; i++) {
		const struct kept_range *k = &mem->kept.v[i];
		uint64_t start = k->start > e->start ? k->start : e->start;
		uint64_t end = k->end < e->end ? k->end : e->end;
		v->unshielded = true;
		if (v->has_pages && !k->writable)
			program_step(m->p, "give access", "to what is kept of the parent", SYS_mprotect,
				imm(start), imm(end - start), imm(map_prot(v)));
	}
}

static bool wholly_kept(const struct mem_plan *mem, const VmaEntry *e)
{
	uint64_t at = e->start;
	for (size_t i = mem_kept_after(mem, at); i < mem->kept.n && mem->kept.v[i].start <= at; i++)
		at = mem->kept.v[i].end;
	return at >= e->end;
}

/* --- mappings of files, in batches of descriptors --- */

static int send_batch(struct mapping *m)
{
	struct file_batch *b = &m->batch;
	int fds[STUB_FDS_MAX] = {0};
	unsigned n = 0;
	int r = 0;
	while (n < b->n_files && r >= 0) {
		const struct wanted_file *w = &b->files[n];
		if (w->given >= 0)
			r = fds[n] = fcntl(w->given, F_DUPFD_CLOEXEC, 0);
		else
			r = file_open(m->files, w->id, w->flags, &fds[n]);
		if (r >= 0)
			n++;
	}
	if (r >= 0)
		r = stub_send_fds(m->st, fds, n);
	for (unsigned i = 0; i < n; i++)
		close(fds[i]);
	return r < 0 ? fail_context(m->st->s, r, "pid %d: map its files", m->t->vpid) : 0;
}

static int flush_batch(struct mapping *m)
{
	struct file_batch *b = &m->batch;
	if (!b->n_files)
		return 0;
	int r = send_batch(m);
	if (r < 0)
		return r;
	stub_plan_receive(m->st, m->p, b->n_files);
	for (size_t i = 0; i < b->vmas.n; i++)
		map_missing(m, b->vmas.v[i], stub_landing(m->st, b->file_of.v[i]));
	for (unsigned i = 0; i < b->n_files; i++)
		program_step(m->p, "close", "a mapped file", SYS_close, imm((uint64_t)stub_landing(m->st, i)));
	b->n_files = 0;
	b->vmas.n = b->file_of.n = 0;
	return 0;
}

static int add_file(struct mapping *m, struct vma_plan *v)
{
	struct file_batch *b = &m->batch;
	struct wanted_file want = {(uint32_t)v->e->shmid, open_flags(v->e), -1};
	unsigned i = 0;
	if (v->e->status & VMA_EXT_PLUGIN) {
		const char *path = file_name(m->files, want.id);
		int r = vma_plugin_update(m->st->s, m->t, v, path, &want.given);
		if (r < 0)
			return r;
	}
	while (i < b->n_files && (b->files[i].id != want.id || b->files[i].flags != want.flags ||
					 b->files[i].given != want.given))
		i++;
	if (i == STUB_FDS_MAX) {
		int r = flush_batch(m);
		if (r < 0)
			return r;
		i = 0;
	}
	if (i == b->n_files)
		b->files[b->n_files++] = want;
	*vec_push(&m->st->s->arena, &b->vmas) = v;
	*vec_push(&m->st->s->arena, &b->file_of) = i;
	return 0;
}

static void attach(struct mapping *m, struct vma_plan *v)
{
	shm_plan_attach(m->t, v->e, m->p);
	v->unshielded = true; /* as shmat() leaves it */
}

static void reserve(struct program *p, const VmaEntry *e)
{
	int step = program_step(p, "reserve", NULL, SYS_mmap, imm(e->start), imm(e->end - e->start),
		imm(PROT_NONE), imm(MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED), simm(-1),
		imm(0));
	program_expect(p, step, (int64_t)e->start);
}

/* Plain anonymous memory, of which fork brought nothing. */
static bool is_plain(const struct mem_plan *mem, const struct vma_plan *v)
{
	const VmaEntry *e = v->e;
	return map_flags(e) == (MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED) &&
		e->status & VMA_ANON_PRIVATE && !(e->status & VMA_AIORING) && !is_special(e) && !is_late(e) &&
		!mem_kept_overlaps(mem, e->start, e->end);
}

/*
 * Neighbours of plain memory are mapped by one call, without access, if that makes it fewer: guards
 * of stacks and the like, which come by the thousand.  (Without access nothing is committed.)
 * Returns how many VMAs from i on are done.
 */
static size_t map_run(struct mapping *m, size_t i, bool early)
{
	const struct mem_plan *mem = mem_of(m->t);
	struct vma_plan *v = mem->vmas.v;
	size_t end = i, without_access = 0;
	if (i < m->looked_at)
		return 0;
	for (; end < mem->vmas.n && v[end].heirloom == early && is_plain(mem, &v[end]); end++) {
		if (end > i && v[end].e->start != v[end - 1].e->end)
			break;
		without_access += map_prot(&v[end]) == PROT_NONE;
	}
	m->looked_at = end;
	if (without_access < 2)
		return 0;
	uint64_t start = v[i].e->start, len = v[end - 1].e->end - start;
	int step = program_step(m->p, "map", "anonymous memory", SYS_mmap, imm(start), imm(len),
		imm(PROT_NONE), imm(map_flags(v[i].e)), simm(-1), imm(0));
	program_expect(m->p, step, (int64_t)start);
	for (size_t k = i; k < end; k++) {
		v[k].unshielded |= lends_write(&v[k]);
		if (map_prot(&v[k]) != PROT_NONE)
			program_step(m->p, "give access", NULL, SYS_mprotect, imm(v[k].e->start),
				imm(v[k].e->end - v[k].e->start), imm(map_prot(&v[k])));
	}
	return end - i;
}

static int map_vmas(struct mapping *m, bool early)
{
	const struct mem_plan *mem = mem_of(m->t);
	int r = 0;
	for (size_t i = 0, done; i < mem->vmas.n && r >= 0; i += done ? done : 1) {
		struct vma_plan *v = &mem->vmas.v[i];
		done = 0;
		if (is_late(v->e) && !early)
			reserve(m->p, v->e);
		if (is_late(v->e) || v->heirloom != early || (is_special(v->e) && !mem->vdso.proxy))
			continue;
		done = map_run(m, i, early);
		if (done)
			continue;
		take_kept(m, v);
		if (wholly_kept(mem, v->e))
			continue;
		if (v->e->status & VMA_SYSVIPC)
			attach(m, v);
		else if (needs_file(v->e))
			r = add_file(m, v);
		else
			map_missing(m, v, -1);
	}
	return r < 0 ? r : flush_batch(m);
}

bool mem_needs_files(const struct task *t, bool early)
{
	const struct mem_plan *mem = mem_of(t);
	if (early && !mm_inherits_exe(t))
		return true;
	vec_for_each(&mem->vmas, v)
		if (v->heirloom == early && needs_file(v->e) && !wholly_kept(mem, v->e))
			return true;
	return false;
}

/* --- final properties --- */

static void protect(struct mapping *m)
{
	vec_for_each(&mem_of(m->t)->vmas, v)
		if (v->unshielded)
			program_step(m->p, "protect", NULL, SYS_mprotect, imm(v->e->start),
				imm(v->e->end - v->e->start), imm(v->e->prot));
}

/* PROT_NONE areas and guard pages cannot be faulted in: mlock() says so, but the lock is set. */
static void lock(struct program *p, const VmaEntry *e, const FermataVma *extra, bool guarded)
{
	bool on_fault = extra && extra->lock_on_fault;
	int step = program_step(p, "mlock", on_fault ? "on fault" : NULL, SYS_mlock2, imm(e->start),
		imm(e->end - e->start), imm(on_fault ? MLOCK_ONFAULT : 0));
	if (guarded || !(e->prot & PROT_READ))
		program_may_fail(p, step);
}

/* Kernels without CONFIG_ANON_VMA_NAME refuse; extras.c has warned. */
static void name(struct program *p, const VmaEntry *e, const char *text)
{
	int step = program_step(p, "name memory", text, SYS_prctl, imm(PR_SET_VMA),
		imm(PR_SET_VMA_ANON_NAME), imm(e->start), imm(e->end - e->start), in_str(p, text));
	program_may_fail(p, step);
}

static void advise(struct program *p, const VmaEntry *e, bool all_mergeable)
{
	struct arg start = imm(e->start), len = imm(e->end - e->start);
	uint64_t madv = e->has_madv ? e->madv : 0;
	if (all_mergeable && !(madv & 1ull << MADV_MERGEABLE))
		program_step(p, "madvise", NULL, SYS_madvise, start, len, imm(MADV_UNMERGEABLE));
	for (uint64_t advice = 0; advice < 64; advice++)
		if (madv & 1ull << advice)
			program_step(p, "madvise", NULL, SYS_madvise, start, len, imm(advice));
}

/* Marks all mappings as mergeable, so advice comes after. Returns whether it is on. */
static bool switch_ksm(struct mapping *m)
{
	bool want = extra_or(leader(m->t), memory_merge, false);
	int own = prctl(PR_GET_MEMORY_MERGE, 0, 0, 0, 0);
	if (own >= 0 && own != want)
		program_step(m->p, "merge equal pages", NULL, SYS_prctl, imm(PR_SET_MEMORY_MERGE),
			imm(want), imm(0), imm(0), imm(0));
	return want && own >= 0;
}

/* Before mlock(): the kernel installs none in locked memory. */
static void install_guards(struct mapping *m)
{
	vec_for_each(&mem_of(m->t)->guards, g)
		program_step(m->p, "install guard pages", NULL, SYS_madvise, imm((*g)->start),
			imm((*g)->end - (*g)->start), imm(MADV_GUARD_INSTALL));
}

static void lock_and_advise(struct mapping *m)
{
	bool all_mergeable = switch_ksm(m);
	vec_for_each(&mem_of(m->t)->vmas, v) {
		const VmaEntry *e = v->e;
		if (is_special(e) || is_late(e) || e->status & VMA_AIORING)
			continue;
		const FermataVma *extra = mem_vma_extra(m->t, e);
		if (e->flags & VMA_MAP_LOCKED)
			lock(m->p, e, extra, mem_of(m->t)->guards.n > 0);
		if (extra && extra->name)
			name(m->p, e, extra->name);
		if (extra)
			vma_policy_set(m->p, extra);
		advise(m->p, e, all_mergeable);
	}
}

/* After this, nothing can unmap it, move it or change its access. */
static void seal(struct mapping *m)
{
	const FermataEntry *e = leader(m->t)->extras;
	for (size_t i = 0; e && i < e->n_vmas; i++)
		if (e->vmas[i]->sealed)
			program_step(m->p, "seal", NULL, SYS_mseal, imm(e->vmas[i]->start),
				imm(e->vmas[i]->end - e->vmas[i]->start), imm(0));
}

/* --- the stages --- */

int mem_plan_early(struct stubs *st, struct file_set *files, struct task *t, struct program *p)
{
	struct mapping m = {.st = st, .files = files, .t = t, .p = p};
	unmap_rest(&m);
	int r = mem_plan_mm(st, files, t, p);
	if (r >= 0)
		r = map_vmas(&m, /* early= */ true);
	return r < 0 ? r : mem_plan_fill_early(st, t, p);
}

int mem_plan_map(struct stubs *st, struct file_set *files, struct task *t, struct program *p)
{
	struct mapping m = {.st = st, .files = files, .t = t, .p = p};
	vdso_plan(t, p);
	return map_vmas(&m, /* early= */ false);
}

void mem_plan_final(struct task *t, struct program *p)
{
	struct mapping m = {.t = t, .p = p};
	protect(&m);
	install_guards(&m);
	lock_and_advise(&m);
	seal(&m);
}
