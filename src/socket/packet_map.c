/* Mappings of rings of packet sockets: whose they are, and at restore mmap(2) by the task itself.
 */
#include <errno.h>
#include <sys/mman.h>

#include "engine/program.h"
#include "engine/stub.h"
#include "file/fd_table.h"
#include "mem/vma.h"
#include "socket/packet.h"
#include "task/task.h"

/* --- dump --- */

static const struct dumped_file *socket_of(const struct file_dump *d, uint64_t ino)
{
	vec_for_each (&d->files, f)
		if ((*f)->kind == FD_TYPES__PACKETSK && (*f)->inode && (*f)->inode->ino == ino)
			return *f;
	return NULL;
}

static void link_mapping(struct file_dump *d, const struct task *t, VmaEntry *e)
{
	const struct dumped_file *f = socket_of(d, e->shmid);
	if (!f || fd_table_number(d, t, f) < 0)
		block(d->s, t->vpid, "have the program keep the descriptor open",
			"mapping %llx-%llx is the ring of a socket whose descriptor it has closed, "
			"or that cannot be dumped",
			(unsigned long long)e->start, (unsigned long long)e->end);
	else if (e->pgoff || e->end - e->start != packet_rings_size(f->detail))
		block(d->s, t->vpid, "have the program map and protect it as one",
			"mapping %llx-%llx is a part of a packet socket's ring",
			(unsigned long long)e->start, (unsigned long long)e->end);
	else
		e->shmid = f->id;
}

int packet_link_mappings(struct file_dump *d)
{
	vec_for_each (&d->tree->tasks, t)
		for (size_t i = 0; task_lives(*t) && (*t)->mm && i < (*t)->mm->n_vmas; i++)
			if ((*t)->mm->vmas[i]->status & VMA_SOCKET)
				link_mapping(d, *t, (*t)->mm->vmas[i]);
	return 0;
}

/* --- restore --- */

static int64_t number_in(const struct fd_table *t, const struct open_file *o)
{
	vec_for_each (&t->slots, slot)
		if (slot->file == o)
			return slot->fd;
	return -1;
}

static int plan_mapping(
	struct file_set *f, const struct task *t, const VmaEntry *e, struct program *p)
{
	const struct open_file *o = file_find(f, (uint32_t)e->shmid);
	int64_t number = o && o->e->psk ? number_in(t->files, o) : -1;
	struct arg start = imm(e->start), len = imm(e->end - e->start);
	if (number < 0)
		return fail(f->s, EBADMSG,
			"pid %d: its mapping at %llx is of a packet socket that it has not open",
			t->vpid, (unsigned long long)e->start);
	program_expect(p,
		program_step(p, "map", "packet ring", SYS_mmap, start, len, imm(e->prot),
			imm(MAP_SHARED | MAP_FIXED), imm((uint64_t)number), imm(0)),
		(int64_t)e->start);
	if (e->flags & VMA_MAP_LOCKED)
		program_may_fail(p, program_step(p, "mlock", NULL, SYS_mlock2, start, len, imm(0)));
	for (uint64_t advice = 0; advice < VMA_MADV_BITS && e->has_madv; advice++)
		if (e->madv & UINT64_C(1) << advice)
			program_step(p, "madvise", NULL, SYS_madvise, start, len, imm(advice));
	return 0;
}

static int map_in(struct file_set *f, struct stubs *st, struct task *t, struct program *p)
{
	int r = 0;
	bool any = false;
	for (size_t i = 0; i < t->mm->n_vmas && r >= 0; i++)
		if (t->mm->vmas[i]->status & VMA_SOCKET) {
			any = true;
			r = plan_mapping(f, t, t->mm->vmas[i], p);
		}
	if (r >= 0 && any)
		r = stub_play(st, leader(t), p);
	program_reset(p);
	return r;
}

int packet_map_all(struct file_set *f, struct stubs *st)
{
	struct program p;
	int r = 0;
	program_init(&p, f->s, "");
	for (size_t i = 0; i < f->tree->tasks.n && r >= 0; i++) {
		struct task *t = f->tree->tasks.v[i];
		if (!task_lives(t))
			continue;
		p.about = arena_printf(&f->s->arena, "pid %d", t->vpid);
		r = map_in(f, st, t, &p);
	}
	return r;
}
