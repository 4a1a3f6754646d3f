/*
 * Who shares what: kernel objects of tasks (address space, descriptor table, fs, signal handlers)
 * by kcmp(2), namespaces by their inode numbers.
 *
 * 1 is the dumper itself; tasks start at 2.  Descriptor tables and fs structs may be shared with
 * the parent only, since a restore can only make them so by clone(); address spaces and handlers
 * not at all (they make no sense apart from CLONE_THREAD).
 */
#include "dump/dump_tree.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "kernel/kcmp.h"

static const struct {
	const char *name, *text;
	size_t has_offset, id_offset;
} namespaces[] = {
#define NS(name_, text_, field)                                                                    \
	{name_, text_, offsetof(TaskKobjIdsEntry, has_##field), offsetof(TaskKobjIdsEntry, field)}
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

enum { N_NAMESPACES = sizeof(namespaces) / sizeof(namespaces[0]) };

struct own_namespaces {
	ino_t ino[N_NAMESPACES]; /* 0: the kernel has none of this kind */
};

static ino_t namespace_ino(pid_t pid, const char *name)
{
	char path[64];
	struct stat st;
	snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, name);
	return stat(path, &st) < 0 ? 0 : st.st_ino;
}

static void set_namespace_ids(TaskKobjIdsEntry *ids, const struct own_namespaces *own)
{
	for (uint32_t i = 0; i < N_NAMESPACES; i++) {
		if (!own->ino[i])
			continue;
		uint32_t id = i + 1;
		protobuf_c_boolean yes = 1;
		memcpy((char *)ids + namespaces[i].has_offset, &yes, sizeof(yes));
		memcpy((char *)ids + namespaces[i].id_offset, &id, sizeof(id));
	}
}

static void check_namespaces(struct session *s, const struct task *t, const struct own_namespaces *own)
{
	for (int i = 0; i < N_NAMESPACES; i++)
		if (own->ino[i] && namespace_ino(t->pid, namespaces[i].name) != own->ino[i])
			block(s, t->pid, "dump it from inside of that namespace",
				"lives in another %s namespace, which is not supported yet",
				namespaces[i].text);
}

static void check_sharing(struct session *s, const struct task *t, uint32_t id, uint32_t parent_id,
	bool seen_before, bool may_share, const char *what)
{
	if (!seen_before || (may_share && t->parent && id == parent_id))
		return;
	block(s, t->pid, NULL, "shares its %s with another process%s", what,
		may_share ? " that is not its parent" : "");
}

struct id_trees {
	struct kcmp_tree vm, files, fs;
	uint32_t next_sighand;
};

/* A node's object marks the first task that has it; *ret_first is another than t, or NULL. */
static int id_of(struct session *s, struct kcmp_tree *tree, struct task *t, uint32_t *ret_id,
	struct task **ret_first)
{
	struct kcmp_node *node;
	int r = kcmp_tree_task(s, tree, t->pid, &node);
	if (r < 0)
		return r;
	*ret_first = node->object;
	if (!node->object)
		node->object = t;
	*ret_id = node->id;
	return 0;
}

/* clone(2) shares handlers only along with memory, and execve(2) parts with both. */
static int sighand_id_of(struct session *s, struct id_trees *trees, struct task *t,
	struct task *same_vm, struct task **ret_first)
{
	int order = same_vm ? kcmp_tasks(s, KCMP_SIGHAND, t->pid, same_vm->pid) : 1;
	if (order < -1)
		return order;
	*ret_first = order ? NULL : same_vm;
	t->ids->sighand_id = order ? trees->next_sighand++ : same_vm->ids->sighand_id;
	return 0;
}

static int collect_task_ids(struct session *s, struct id_trees *trees, struct task *t)
{
	TaskKobjIdsEntry *ids = t->ids;
	const TaskKobjIdsEntry *up = t->parent ? t->parent->ids : NULL;
	struct task *same_vm, *seen;
	int r = id_of(s, &trees->vm, t, &ids->vm_id, &same_vm);
	if (r < 0)
		return r;
	check_sharing(s, t, ids->vm_id, 0, same_vm, false, "address space (CLONE_VM)");
	r = id_of(s, &trees->files, t, &ids->files_id, &seen);
	if (r < 0)
		return r;
	check_sharing(s, t, ids->files_id, up ? up->files_id : 0, seen, true,
		"descriptor table (CLONE_FILES)");
	r = id_of(s, &trees->fs, t, &ids->fs_id, &seen);
	if (r < 0)
		return r;
	check_sharing(s, t, ids->fs_id, up ? up->fs_id : 0, seen, true,
		"working directory and umask (CLONE_FS)");
	r = sighand_id_of(s, trees, t, same_vm, &seen);
	if (r < 0)
		return r;
	check_sharing(s, t, ids->sighand_id, 0, seen, false, "signal handlers (CLONE_SIGHAND)");
	return 0;
}

int dump_collect_ids(struct dump *d)
{
	struct session *s = d->s;
	struct own_namespaces own;
	for (int i = 0; i < N_NAMESPACES; i++)
		own.ino[i] = namespace_ino(getpid(), namespaces[i].name);
	struct id_trees trees = {
		.vm = KCMP_TREE(KCMP_VM, 2),
		.files = KCMP_TREE(KCMP_FILES, 2),
		.fs = KCMP_TREE(KCMP_FS, 2),
		.next_sighand = 2,
	};
	vec_for_each(&d->tree.tasks, it) {
		struct task *t = *it;
		if (!task_lives(t))
			continue;
		t->ids = arena_new(&s->arena, TaskKobjIdsEntry);
		task_kobj_ids_entry__init(t->ids);
		set_namespace_ids(t->ids, &own);
		check_namespaces(s, t, &own);
		int r = collect_task_ids(s, &trees, t);
		if (r < 0)
			return r;
	}
	return 0;
}
