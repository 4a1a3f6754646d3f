/*
 * Open files below /proc/PID.
 *
 * They are made again by their path, so the process must be there: those of the tree are.  A dead
 * process is stood for by a helper task of that PID until the files are open; then they are once
 * more files of a dead process.  The remap entry of the first file names the PID (PROCFS).
 */
#include "file/procfs_remap.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What a helper has none of. */
static bool helper_lacks(const char *below)
{
	static const char *const gone[] = {"/fd/", "/fdinfo/", "/map_files/", "/task/"};
	for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++)
		if (strncmp(below, gone[i], strlen(gone[i])) == 0)
			return true;
	return false;
}

static bool thread_of_tree(const struct file_dump *d, pid_t pid)
{
	vec_for_each (&d->tree->tasks, t)
		for (size_t i = 1; i < (*t)->threads.n; i++)
			if ((*t)->threads.v[i]->vtid == pid)
				return true;
	return false;
}

static bool has_remap(const struct file_dump *d, uint32_t pid)
{
	vec_for_each (&d->remaps, e)
		if ((*e)->remap_type == REMAP_TYPE__PROCFS && (*e)->remap_id == pid)
			return true;
	return false;
}

int procfs_remap_collect(struct file_dump *d, struct file_view *v, struct dumped_file *f,
	const char *base, const char **ret_name)
{
	const char *name = base ? base : v->link;
	char path[64];
	int pid, used = 0;
	*ret_name = v->link;
	if (sscanf(name, "/proc/%d%n", &pid, &used) != 1 || (name[used] && name[used] != '/'))
		return 0;
	snprintf(path, sizeof(path), "/proc/%d", pid);
	if (!base && access(path, F_OK) == 0)
		return 0;
	*ret_name = name;
	if (thread_of_tree(d, pid))
		view_block(d, v, NULL, "%s is of a dead process whose id a thread has now", name);
	else if (helper_lacks(name + used))
		view_block(d, v, NULL, "%s is of a dead process and cannot be made again", name);
	else if (!has_remap(d, (uint32_t)pid))
		remap_add(d, f->id, REMAP_TYPE__PROCFS, (uint32_t)pid);
	return 0;
}

/* --- restore --- */

void procfs_remap_add_helper(struct file_set *f, pid_t pid)
{
	struct tree *tree = f->tree;
	if (tree_find(tree, pid))
		return;
	struct task *helper = task_new(f->s, tree, tree->root, pid);
	helper->state = TASK_HELPER;
	helper->sid = tree->root->sid;
	helper->pgid = tree->root->pgid;
	thread_new(f->s, helper, pid);
}
