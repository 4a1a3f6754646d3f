/*
 * Who shares what: kernel objects of tasks (address space, descriptor table, fs, signal handlers)
 * by kcmp(2), namespaces by their names in /proc/PID/ns.  Of many tasks the kernel's own addresses
 * of these are known (records.c), and tell the same.
 *
 * 1 is the dumper itself; tasks start at 2.  Descriptor tables and fs structs may be shared with
 * the parent only, since a restore can only make them so by clone(); address spaces and handlers
 * not at all (they make no sense apart from CLONE_THREAD).
 */
#include "dump/dump_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/id_map.h"
#include "kernel/kcmp.h"
#include "kernel/procfs.h"

static const struct {
	const char *name, *text;
	size_t has_offset, id_offset;
} namespaces[] = {
#define NS(name_, text_, field)                                        \
	{                                                              \
		name_, text_, offsetof(TaskKobjIdsEntry, has_##field), \
			offsetof(TaskKobjIdsEntry, field)              \
	}
	NS("pid", "PID", pid_ns_id),
	NS("net", "network", net_ns_id),
	NS("ipc", "IPC", ipc_ns_id),
	NS("uts", "UTS", uts_ns_id),
	NS("time", "time", time_ns_id),
	NS("mnt", "mount", mnt_ns_id),
	NS("user", "user", user_ns_id),
	NS("cgroup", "cgroup", cgroup_ns_id),
#undef NS
};

enum {
	N_NAMESPACES = sizeof(namespaces) / sizeof(namespaces[0]),
	NAME_ROOM = 32,
	FIRST_ID = 2, /* of a task */
};

/* The links of /proc/PID/ns, as "net:[4026531840]"; empty: the kernel has none of this kind. */
struct namespace_names {
	char name[N_NAMESPACES][NAME_ROOM];
};

static int read_namespaces(struct session *s, pid_t pid, struct namespace_names *ret)
{
	_cleanup_close_ int dir = proc_open_pid(s, pid, "ns", O_PATH | O_DIRECTORY);
	if (dir < 0)
		return fail(s, dir, "pid %d: look at its namespaces", pid);
	*ret = (struct namespace_names){0};
	for (int i = 0; i < N_NAMESPACES; i++)
		if (readlinkat(dir, namespaces[i].name, ret->name[i], NAME_ROOM - 1) < 0 &&
			errno != ENOENT)
			return fail(s, errno, "pid %d: look at its %s namespace", pid,
				namespaces[i].text);
	return 0;
}

static void set_namespace_ids(TaskKobjIdsEntry *ids, const struct namespace_names *own)
{
	for (uint32_t i = 0; i < N_NAMESPACES; i++) {
		if (!*own->name[i])
			continue;
		uint32_t id = i + 1;
		protobuf_c_boolean yes = 1;
		memcpy((char *)ids + namespaces[i].has_offset, &yes, sizeof(yes));
		memcpy((char *)ids + namespaces[i].id_offset, &id, sizeof(id));
	}
}

int dump_prepare_ids(struct dump *d)
{
	struct session *s = d->s;
	struct namespace_names *own = arena_new(&s->arena, struct namespace_names), of_root;
	d->own_namespaces = own;
	int r = read_namespaces(s, getpid(), own);
	if (r >= 0)
		r = read_namespaces(s, d->tree.root->pid, &of_root);
	if (r < 0)
		return r;
	d->root_is_ours = !memcmp(own, &of_root, sizeof(of_root));
	vec_for_each (&d->tree.tasks, it) {
		if (!task_lives(*it))
			continue;
		(*it)->ids = arena_new(&s->arena, TaskKobjIdsEntry);
		task_kobj_ids_entry__init((*it)->ids);
		set_namespace_ids((*it)->ids, own);
	}
	return 0;
}

/* The same set of them, user and PID namespace. */
static bool lives_with_root(const struct dump *d, const struct task *t)
{
	const struct task_record *of = leader(t)->record, *root = leader(d->tree.root)->record;
	return t == d->tree.root ||
	       (of && root && of->nsproxy == root->nsproxy && of->user_ns == root->user_ns &&
		       of->pid_ns_level == root->pid_ns_level);
}

int dump_check_namespaces(struct session *s, const struct dump *d, const struct task *t)
{
	const struct namespace_names *own = d->own_namespaces;
	struct namespace_names its;
	if (d->root_is_ours && lives_with_root(d, t))
		return 0;
	int r = read_namespaces(s, t->pid, &its);
	for (int i = 0; i < N_NAMESPACES && r >= 0; i++)
		if (strcmp(its.name[i], own->name[i]))
			block(s, t->pid, "dump it from inside of that namespace",
				"lives in another %s namespace, which is not supported yet",
				namespaces[i].text);
	return r;
}

/* Objects that are told apart by kcmp(2). */
static const struct {
	enum kcmp_type type;
	size_t id_offset, record_offset;
	const char *text;
	bool may_share; /* with the parent */
} kinds[DUMP_ID_KINDS] = {
#define KIND(name, id, address, text, may_share)                               \
	{                                                                      \
		KCMP_##name, offsetof(TaskKobjIdsEntry, id),                   \
			offsetof(struct task_record, address), text, may_share \
	}
	KIND(VM, vm_id, mm, "address space (CLONE_VM)", false),
	KIND(FILES, files_id, files, "descriptor table (CLONE_FILES)", true),
	KIND(FS, fs_id, fs, "working directory and umask (CLONE_FS)", true),
#undef KIND
};

static uint32_t *id_of(const struct task *t, int kind)
{
	return (void *)((char *)t->ids + kinds[kind].id_offset);
}

/* False: not all addresses are known. */
static bool ids_from_records(struct session *s, const struct dump *d, int kind)
{
	struct id_map seen = {0};
	uint32_t next_id = FIRST_ID;
	for (size_t i = 0; i < d->tree.tasks.n; i++) {
		struct task *t = d->tree.tasks.v[i];
		const struct task_record *of = leader(t)->record;
		uint64_t address;
		if (!task_lives(t))
			continue;
		if (!of)
			return false;
		memcpy(&address, (const char *)of + kinds[kind].record_offset, sizeof(address));
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
	struct session *s, const struct task *t, bool may_share, const char *text)
{
	block(s, t->pid, NULL, "shares its %s with another process%s", text,
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
		refuse_sharing(s, t, false, "signal handlers (CLONE_SIGHAND)");
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
			refuse_sharing(s, t, kinds[kind].may_share, kinds[kind].text);
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
