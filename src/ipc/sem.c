/*
 * Semaphore sets (semget(2)).
 *
 * Nothing ties a set to a process but the pid of whoever last changed a semaphore. A set whose
 * semaphores were changed by the tree last, and by nobody else who is alive, is taken to be the
 * tree's, and its values go into the images; all others are left alone, and persist without our
 * help.
 */
#include "ipc/sem.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/sem.h>
#include <sys/syscall.h>

#include "image/codec.h"
#include "kernel/syscalls.h"

struct sem_set {
	IpcSemEntry *e;
	uint16_t *values;
	enum ipc_fate fate;
	bool made;
};

struct sem_sets {
	VEC(struct sem_set) all;
};

static int bad(struct session *s, int err, const struct sem_set *g, const char *why)
{
	return fail(s, err, "semaphore set %u (key %#x): %s", g->e->desc->id, g->e->desc->key, why);
}

int sem_value(const struct tree *tree, int id, uint32_t number)
{
	const struct sem_sets *list = tree->sem;
	if (list)
		vec_for_each (&list->all, g)
			if ((int)g->e->desc->id == id && number < g->e->nsems)
				return g->values[number];
	return -ENOENT;
}

/* --- dump --- */

/* What may be said of a set from the pids of its semaphores. */
static enum ipc_user user_of(const struct tree *tree, int id, unsigned n)
{
	enum ipc_user user = IPC_NOBODY;
	for (unsigned i = 0; i < n && user != IPC_OTHERS; i++) {
		enum ipc_user one = ipc_user_of(tree, semctl(id, (int)i, GETPID));
		user = one > user ? one : user;
	}
	return user;
}

static int add_set(struct session *s, struct tree *tree, int id)
{
	struct semid_ds ds;
	union semun arg = {.buf = &ds};
	if (semctl(id, 0, IPC_STAT, arg) < 0) /* gone meanwhile */
		return 0;
	unsigned n = (unsigned)ds.sem_nsems;
	if (user_of(tree, id, n) != IPC_TREE)
		return 0;
	struct sem_set g = {.e = arena_new(&s->arena, IpcSemEntry)};
	ipc_sem_entry__init(g.e);
	g.e->desc = arena_new(&s->arena, IpcDescEntry);
	ipc_desc_fill(g.e->desc, &ds.sem_perm, id);
	g.e->nsems = n;
	arg.array = g.values = arena_array(&s->arena, uint16_t, n);
	if (semctl(id, 0, GETALL, arg) < 0)
		return bad(s, errno, &g, "read its values");
	if (!tree->sem)
		tree->sem = arena_new(&s->arena, struct sem_sets);
	struct sem_sets *list = tree->sem;
	*vec_push(&s->arena, &list->all) = g;
	return 0;
}

void sem_list(struct session *s, sem_ids *ret)
{
	struct seminfo info;
	struct semid_ds ds;
	int last = semctl(0, 0, SEM_INFO, (union semun){.info = &info});
	for (int i = 0; i <= last; i++) {
		int id = semctl(i, 0, SEM_STAT_ANY, (union semun){.buf = &ds});
		if (id >= 0)
			*vec_push(&s->arena, ret) = id;
	}
}

int sem_collect(struct session *s, struct tree *tree)
{
	sem_ids ids = {0};
	int r = 0;
	sem_list(s, &ids);
	for (size_t i = 0; i < ids.n && r >= 0; i++)
		r = add_set(s, tree, ids.v[i]);
	return r >= 0 && ids.n ? sem_undo_collect(s, tree) : r;
}

int sem_write(struct session *s, struct tree *tree)
{
	struct sem_sets *list = tree->sem;
	if (!list)
		return 0;
	_cleanup_image_writer_ struct image_writer w = IMAGE_WRITER_NONE;
	image_writer_init(&w, s->images, IMG_IPC_SEM, tree->root->ids->ipc_ns_id);
	vec_for_each (&list->all, g) {
		int r = image_write(s, &w, &g->e->base);
		if (r >= 0)
			r = image_write_payload(
				s, &w, g->values, g->e->nsems * sizeof(*g->values), 8);
		if (r < 0)
			return r;
	}
	return image_writer_close(s, &w);
}

/* --- restore --- */

/* Whether it is used as at the dump, or only by those of the tree that are gone. */
static int look_at_existing(
	struct session *s, const struct tree *tree, struct sem_set *g, const struct semid_ds *ds)
{
	const IpcSemEntry *e = g->e;
	int id = (int)e->desc->id;
	if (ds->sem_nsems != e->nsems || !ipc_desc_same(e->desc, &ds->sem_perm))
		return bad(s, EEXIST, g, "its id belongs to another set now");
	uint16_t *now = arena_array(&s->arena, uint16_t, e->nsems);
	union semun arg = {.array = now};
	if (semctl(id, 0, GETALL, arg) < 0)
		return bad(s, errno, g, "read its values");
	g->fate = IPC_KEEP;
	if (memcmp(now, g->values, e->nsems * sizeof(*now)) == 0)
		return 0;
	for (unsigned i = 0; i < e->nsems; i++) {
		pid_t pid = semctl(id, (int)i, GETPID);
		if (pid && !ipc_is_of_tree(tree, pid))
			return bad(s, EBUSY, g,
				arena_printf(&s->arena, "pid %d changed it since the dump", pid));
	}
	g->fate = IPC_RESET;
	return 0;
}

static int look_at(struct session *s, const struct tree *tree, struct sem_set *g)
{
	struct semid_ds ds = {0};
	union semun arg = {.buf = &ds};
	if (semctl((int)g->e->desc->id, 0, IPC_STAT, arg) == 0)
		return look_at_existing(s, tree, g, &ds);
	if (errno != EINVAL && errno != EIDRM)
		return bad(s, errno, g, "examine it");
	int other = g->e->desc->key ? semget((key_t)g->e->desc->key, 0, 0) : -1;
	if (other >= 0)
		return bad(s, EEXIST, g,
			arena_printf(&s->arena, "its key belongs to set %d now", other));
	g->fate = IPC_MAKE;
	return 0;
}

int sem_load(struct session *s, struct tree *tree)
{
	_cleanup_image_reader_ struct image_reader reader = IMAGE_READER_NONE;
	struct sem_sets *list = NULL;
	ProtobufCMessage *m;
	int r = image_reader_open(s, &reader, s->images, IMG_IPC_SEM, ipc_ns_of(tree));
	while (r >= 0 && (r = image_read(s, &reader, &m)) > 0) {
		struct sem_set g = {.e = (IpcSemEntry *)m};
		const void *values;
		size_t len;
		r = image_read_payload(s, &reader, 1 << 20, &values, &len);
		if (r < 0)
			return r;
		g.values = arena_memdup(&s->arena, values, len);
		r = s->images_only ? 0 : postpone(s, look_at(s, tree, &g));
		if (!list)
			list = tree->sem = arena_new(&s->arena, struct sem_sets);
		*vec_push(&s->arena, &list->all) = g;
	}
	return r;
}

static int get(const void *object)
{
	const struct sem_set *g = object;
	return semget((key_t)g->e->desc->key, (int)g->e->nsems,
		IPC_CREAT | IPC_EXCL | (int)(g->e->desc->mode & 0777));
}

static int make_set(struct session *s, struct sem_set *g)
{
	const IpcDescEntry *d = g->e->desc;
	int id = ipc_create("sem", d, get, g);
	if (id < 0)
		return bad(s, id, g, "make it again");
	if ((uint32_t)id != d->id) {
		semctl(id, 0, IPC_RMID);
		return bad(s, EEXIST, g, "its id is taken");
	}
	g->made = true;
	struct semid_ds ds = {.sem_perm = {.uid = d->uid, .gid = d->gid, .mode = d->mode & 0777}};
	union semun arg = {.buf = &ds};
	return semctl(id, 0, IPC_SET, arg) < 0 ? bad(s, errno, g, "give it to its owner") : 0;
}

int sem_make(struct session *s, struct tree *tree)
{
	struct sem_sets *list = tree->sem;
	int r = 0;
	for (size_t i = 0; list && i < list->all.n && r >= 0; i++)
		if (list->all.v[i].fate == IPC_MAKE)
			r = make_set(s, &list->all.v[i]);
	return r;
}

void sem_plan(struct tree *tree, struct program *p)
{
	struct sem_sets *list = tree->sem;
	if (!list)
		return;
	vec_for_each (&list->all, g)
		if (g->fate != IPC_KEEP)
			program_step(p, "set semaphores", NULL, SYS_semctl, imm(g->e->desc->id),
				imm(0), imm(SETALL),
				in(p, g->values, g->e->nsems * sizeof(*g->values)));
}

void sem_undo(struct tree *tree)
{
	struct sem_sets *list = tree->sem;
	if (list)
		vec_for_each (&list->all, g)
			if (g->made)
				semctl((int)g->e->desc->id, 0, IPC_RMID);
}
