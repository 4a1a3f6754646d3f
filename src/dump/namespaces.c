/*
 * Namespaces, by their names in /proc/PID/ns.  All of the tree must be in those of the dumper: of
 * each task and of what its next children would be in (unshare(2), before a fork), and of each
 * thread, which can have left all of them but user, PID and time namespace by itself.
 *
 * Of many tasks the kernel's own address of the set is known (records.c): the same, nothing
 * differs.
 */
#include "dump/dump_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "kernel/procfs.h"

static const struct {
	const char *name, *text;
	bool of_process; /* all of its threads have the same */
	size_t has_offset, id_offset;
} kinds[] = {
#define NS(name_, text_, of_process, field)                                        \
	{                                                                          \
		name_, text_, of_process, offsetof(TaskKobjIdsEntry, has_##field), \
			offsetof(TaskKobjIdsEntry, field)                          \
	}
	NS("pid", "PID", true, pid_ns_id),
	NS("net", "network", false, net_ns_id),
	NS("ipc", "IPC", false, ipc_ns_id),
	NS("uts", "UTS", false, uts_ns_id),
	NS("time", "time", true, time_ns_id),
	NS("mnt", "mount", false, mnt_ns_id),
	NS("user", "user", true, user_ns_id),
	NS("cgroup", "cgroup", false, cgroup_ns_id),
#undef NS
};

enum {
	PID = 0,
	TIME = 4,
	N_KINDS = sizeof(kinds) / sizeof(kinds[0]),
	NAME_ROOM = 32,
};

/* What children will be in, and where a fork leaves them where their parent is. */
static const struct {
	const char *name;
	int usual;
} of_children[] = {{"pid_for_children", PID}, {"time_for_children", TIME}};
enum { N_OF_CHILDREN = sizeof(of_children) / sizeof(of_children[0]) };

/*
 * The links of /proc/PID/ns, as "net:[4026531840]"; empty: the kernel has none of this kind, or it
 * is to be made by the first child.
 */
struct namespace_names {
	char name[N_KINDS][NAME_ROOM];
	char of_children[N_OF_CHILDREN][NAME_ROOM];
};

static int read_name(struct session *s, pid_t tid, int dir, const char *name, char ret[NAME_ROOM])
{
	if (readlinkat(dir, name, ret, NAME_ROOM - 1) < 0 && errno != ENOENT)
		return fail(s, errno, "pid %d: look at its namespaces (%s)", tid, name);
	return 0;
}

static int read_names(
	struct session *s, pid_t tid, bool only_of_thread, struct namespace_names *ret)
{
	_cleanup_close_ int dir = proc_open_pid(s, tid, "ns", O_PATH | O_DIRECTORY);
	int r = 0;
	if (dir < 0)
		return fail(s, dir, "pid %d: look at its namespaces", tid);
	*ret = (struct namespace_names){0};
	for (int i = 0; i < N_KINDS && r >= 0; i++)
		if (!only_of_thread || !kinds[i].of_process)
			r = read_name(s, tid, dir, kinds[i].name, ret->name[i]);
	for (int i = 0; i < N_OF_CHILDREN && r >= 0; i++)
		r = read_name(s, tid, dir, of_children[i].name, ret->of_children[i]);
	return r;
}

static bool keeps_children(const struct namespace_names *its)
{
	bool same = true;
	for (int i = 0; i < N_OF_CHILDREN; i++)
		same &= !strcmp(its->of_children[i], its->name[of_children[i].usual]);
	return same;
}

int dump_prepare_namespaces(struct dump *d)
{
	struct session *s = d->s;
	struct namespace_names *own = arena_new(&s->arena, struct namespace_names), of_root;
	d->own_namespaces = own;
	int r = read_names(s, getpid(), /* only_of_thread= */ false, own);
	if (r >= 0)
		r = read_names(s, d->tree.root->pid, /* only_of_thread= */ false, &of_root);
	if (r >= 0)
		d->root_is_ours =
			!memcmp(own, &of_root, sizeof(of_root)) && keeps_children(&of_root);
	return r;
}

void dump_set_namespace_ids(const struct dump *d, TaskKobjIdsEntry *ids)
{
	for (uint32_t i = 0; i < N_KINDS; i++) {
		if (!*d->own_namespaces->name[i])
			continue;
		uint32_t id = i + 1;
		protobuf_c_boolean yes = 1;
		memcpy((char *)ids + kinds[i].has_offset, &yes, sizeof(yes));
		memcpy((char *)ids + kinds[i].id_offset, &id, sizeof(id));
	}
}

/* The same set of them, user and PID namespace. */
static bool lives_with_root(const struct dump *d, const struct task *t)
{
	const struct task_record *of = leader(t)->record, *root = leader(d->tree.root)->record;
	return t == d->tree.root ||
	       (of && root && of->nsproxy == root->nsproxy && of->user_ns == root->user_ns &&
		       of->pid_ns_level == root->pid_ns_level);
}

static bool lives_with_leader(const struct thread *th)
{
	const struct task_record *of = th->record, *lead = leader(th->task)->record;
	return of && lead && of->nsproxy == lead->nsproxy;
}

static void check_task(struct session *s, const struct task *t, const struct namespace_names *its,
	const struct namespace_names *own)
{
	for (int i = 0; i < N_KINDS; i++)
		if (strcmp(its->name[i], own->name[i]) != 0)
			block(s, t->pid, "dump it from inside of that namespace",
				"lives in another %s namespace, which is not supported yet",
				kinds[i].text);
	for (int i = 0; i < N_OF_CHILDREN; i++)
		if (strcmp(its->of_children[i], its->name[of_children[i].usual]) != 0)
			block(s, t->pid, "have it go back by setns(2) before the dump",
				"its next child will be in another %s namespace, which is not "
				"supported yet",
				kinds[of_children[i].usual].text);
}

static int check_thread(
	struct session *s, const struct thread *th, const struct namespace_names *of_leader)
{
	static const char remedy[] = "dump it when that thread has ended";
	struct namespace_names its;
	pid_t pid = th->task->pid;
	if (lives_with_leader(th))
		return 0;
	int r = read_names(s, th->tid, /* only_of_thread= */ true, &its);
	if (r < 0)
		return r;
	for (int i = 0; i < N_KINDS; i++)
		if (!kinds[i].of_process && strcmp(its.name[i], of_leader->name[i]) != 0)
			block(s, pid, remedy,
				"thread %d: is in another %s namespace than its process, which is "
				"not "
				"supported yet",
				th->vtid, kinds[i].text);
	for (int i = 0; i < N_OF_CHILDREN; i++)
		if (strcmp(its.of_children[i], of_leader->of_children[i]) != 0)
			block(s, pid, remedy,
				"thread %d: its next child will be in another %s namespace, which "
				"is not supported yet",
				th->vtid, kinds[of_children[i].usual].text);
	return 0;
}

int dump_check_namespaces(struct session *s, const struct dump *d, const struct task *t)
{
	const struct namespace_names *own = d->own_namespaces, *names = own;
	struct namespace_names its;
	int r = 0;
	if (!d->root_is_ours || !lives_with_root(d, t)) {
		r = read_names(s, t->pid, /* only_of_thread= */ false, &its);
		if (r < 0)
			return r;
		check_task(s, t, &its, own);
		names = &its;
	}
	for (size_t i = 1; i < t->threads.n && r >= 0; i++)
		r = check_thread(s, t->threads.v[i], names);
	return r;
}
