/*
 * Who shares what: kernel objects of tasks (address space, descriptor table, fs, signal handlers)
 * by kcmp(2).  Of many tasks the kernel's own addresses of these are known (records.c), and tell
 * the same.  Namespaces: namespaces.c.
 *
 * 1 is the dumper itself; tasks start at 2.  Descriptor tables and fs structs may be shared with
 * the parent only, since a restore can only make them so by clone(); address spaces and handlers
 * not at all (they make no sense apart from CLONE_THREAD).  A thread can have left the descriptor
 * table and fs struct of its process, which is refused.
 */
#include "dump/dump_tree.h"

#include "base/id_map.h"
#include "kernel/kcmp.h"

enum { FIRST_ID = 2 }; /* of a task */

int dump_prepare_ids(struct dump *d)
{
	struct session *s = d->s;
	int r = dump_prepare_namespaces(d);
	if (r < 0)
		return r;
	vec_for_each (&d->tree.tasks, it) {
		if (!task_lives(*it))
			continue;
		(*it)->ids = arena_new(&s->arena, TaskKobjIdsEntry);
		task_kobj_ids_entry__init((*it)->ids);
		dump_set_namespace_ids(d, (*it)->ids);
	}
	return 0;
}

/* Objects that are told apart by kcmp(2). */
static const struct {
	enum kcmp_type type;
	size_t id_offset, record_offset;
	const char *text, *flag;
	bool may_share; /* with the parent, and not, with the leader */
} kinds[DUMP_ID_KINDS] = {
#define KIND(name, id, address, text, may_share)                                               \
	{                                                                                      \
		KCMP_##name, offsetof(TaskKobjIdsEntry, id),                                   \
			offsetof(struct task_record, address), text, "CLONE_" #name, may_share \
	}
	KIND(VM, vm_id, mm, "address space", false),
	KIND(FILES, files_id, files, "descriptor table", true),
	KIND(FS, fs_id, fs, "working directory and umask", true),
#undef KIND
};

static uint32_t *id_of(const struct task *t, int kind)
{
	return (void *)((char *)t->ids + kinds[kind].id_offset);
}

static uint64_t address_of(const struct task_record *of, int kind)
{
	uint64_t address;
	memcpy(&address, (const char *)of + kinds[kind].record_offset, sizeof(address));
	return address;
}

/* False: not all addresses are known. */
static bool ids_from_records(struct session *s, const struct dump *d, int kind)
{
	struct id_map seen = {0};
	uint32_t next_id = FIRST_ID;
	for (size_t i = 0; i < d->tree.tasks.n; i++) {
		struct task *t = d->tree.tasks.v[i];
		const struct task_record *of = leader(t)->record;
		if (!task_lives(t))
			continue;
		if (!of)
			return false;
		uint64_t address = address_of(of, kind);
		const struct task *first = id_map_get(&seen, address);
		*id_of(t, kind) = first ? *id_of(first, kind) : next_id++;
		if (!first)
			id_map_put(&s->arena, &seen, address, t);
	}
	return true;
}

int dump_read_ids(struct session *s, const struct dump *d, int kind)
{
	if (ids_from_records(s, d, kind))
		return 0;
	struct kcmp_tree tree = KCMP_TREE(kinds[kind].type, FIRST_ID);
	int r = 0;
	for (size_t i = 0; i < d->tree.tasks.n && r >= 0; i++) {
		const struct task *t = d->tree.tasks.v[i];
		struct kcmp_node *node;
		if (!task_lives(t))
			continue;
		r = kcmp_tree_task(s, &tree, t->pid, &node);
		if (r >= 0)
			*id_of(t, kind) = node->id;
	}
	return r;
}

/* Who has an id first; ids count up from 2. */
struct owners {
	struct task **first[DUMP_ID_KINDS];
};

static struct task *first_with(struct owners *o, int kind, struct task *t)
{
	struct task **first = &o->first[kind][*id_of(t, kind)];
	if (!*first)
		*first = t;
	return *first == t ? NULL : *first;
}

static void refuse_sharing(
	struct session *s, const struct task *t, bool may_share, const char *text, const char *flag)
{
	block(s, t->pid, NULL, "shares its %s (%s) with another process%s", text, flag,
		may_share ? " that is not its parent" : "");
}

/* clone(2) shares handlers only along with memory, and execve(2) parts with both. */
static int check_sighand(
	struct session *s, struct task *t, const struct task *same_vm, uint32_t *next_sighand)
{
	int order = same_vm ? kcmp_tasks(s, KCMP_SIGHAND, t->pid, same_vm->pid) : 1;
	if (order < -1)
		return order;
	t->ids->sighand_id = order ? (*next_sighand)++ : same_vm->ids->sighand_id;
	if (!order)
		refuse_sharing(s, t, false, "signal handlers", "CLONE_SIGHAND");
	return 0;
}

static int check_task_ids(
	struct session *s, struct owners *o, struct task *t, uint32_t *next_sighand)
{
	const struct task *up = t->parent && t->parent->ids ? t->parent : NULL;
	const struct task *same_vm = NULL;
	for (int kind = 0; kind < DUMP_ID_KINDS; kind++) {
		const struct task *same = first_with(o, kind, t);
		bool with_parent = up && *id_of(up, kind) == *id_of(t, kind);
		if (same && !(kinds[kind].may_share && with_parent))
			refuse_sharing(
				s, t, kinds[kind].may_share, kinds[kind].text, kinds[kind].flag);
		if (kinds[kind].type == KCMP_VM)
			same_vm = same;
	}
	return check_sighand(s, t, same_vm, next_sighand);
}

int dump_check_ids(struct dump *d)
{
	struct owners o;
	uint32_t next_sighand = 2;
	int r = 0;
	for (int kind = 0; kind < DUMP_ID_KINDS; kind++)
		o.first[kind] = arena_array(&d->s->arena, struct task *, d->tree.tasks.n + 2);
	for (size_t i = 0; i < d->tree.tasks.n && r >= 0; i++)
		if (task_lives(d->tree.tasks.v[i]))
			r = check_task_ids(d->s, &o, d->tree.tasks.v[i], &next_sighand);
	return r;
}

static int check_thread(struct session *s, const struct thread *th)
{
	const struct task_record *of = th->record, *lead = leader(th->task)->record;
	for (int kind = 0; kind < DUMP_ID_KINDS; kind++) {
		if (!kinds[kind].may_share)
			continue;
		int order = of && lead ? address_of(of, kind) != address_of(lead, kind)
				       : kcmp_tasks(s, kinds[kind].type, th->task->pid, th->tid);
		if (order < -1)
			return order;
		if (order)
			block(s, th->task->pid, "dump it when that thread has ended",
				"thread %d: has a %s of its own (unshare(%s)), which is not "
				"supported yet",
				th->vtid, kinds[kind].text, kinds[kind].flag);
	}
	return 0;
}

int dump_check_threads(struct session *s, const struct task *t)
{
	int r = 0;
	for (size_t i = 1; i < t->threads.n && r >= 0; i++)
		r = check_thread(s, t->threads.v[i]);
	return r;
}
