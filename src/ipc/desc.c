/* Identity of System V objects: id, key, owner, creator, permissions. */
#include "ipc/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

void ipc_desc_fill(IpcDescEntry *e, const struct ipc_perm *perm, int id)
{
	ipc_desc_entry__init(e);
	e->key = (uint32_t)perm->__key;
	e->uid = perm->uid;
	e->gid = perm->gid;
	e->cuid = perm->cuid;
	e->cgid = perm->cgid;
	e->mode = perm->mode;
	e->id = (uint32_t)id;
}

bool ipc_desc_same(const IpcDescEntry *e, const struct ipc_perm *perm)
{
	return e->key == (uint32_t)perm->__key && e->uid == perm->uid && e->gid == perm->gid &&
	       e->cuid == perm->cuid && e->cgid == perm->cgid && e->mode == perm->mode;
}

static int ask_for_id(const char *kind, uint32_t id)
{
	char path[64], text[16];
	snprintf(path, sizeof(path), "/proc/sys/kernel/%s_next_id", kind);
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
	int len = snprintf(text, sizeof(text), "%u", id);
	return fd < 0 || write(fd, text, (size_t)len) != len ? -errno : 0;
}

/* Raw calls: glibc's would change all threads. The saved ids are the way back. */
static int be_creator(const IpcDescEntry *e)
{
	if (syscall(SYS_setresgid, -1, e->cgid, getegid()) < 0 ||
		syscall(SYS_setresuid, -1, e->cuid, geteuid()) < 0)
		return -errno;
	return 0;
}

static int be_ourselves(void)
{
	uid_t uid, euid, suid;
	gid_t gid, egid, sgid;
	getresuid(&uid, &euid, &suid);
	getresgid(&gid, &egid, &sgid);
	return syscall(SYS_setresuid, -1, suid, -1) < 0 || syscall(SYS_setresgid, -1, sgid, -1) < 0
		       ? -errno
		       : 0;
}

int ipc_create(
	const char *kind, const IpcDescEntry *d, int (*get)(const void *object), const void *object)
{
	int r = ask_for_id(kind, d->id);
	if (r >= 0)
		r = be_creator(d);
	if (r < 0)
		return r;
	int id = get(object), err = errno;
	r = be_ourselves();
	return r < 0 ? r : id < 0 ? -err : id;
}

uint32_t ipc_ns_of(const struct tree *tree)
{
	return tree->root->ids ? tree->root->ids->ipc_ns_id : 0;
}

enum ipc_user ipc_user_of(const struct tree *tree, pid_t pid)
{
	if (pid <= 0)
		return IPC_NOBODY;
	vec_for_each (&tree->tasks, t)
		if ((*t)->pid == pid)
			return IPC_TREE;
	return kill(pid, 0) < 0 && errno == ESRCH ? IPC_NOBODY : IPC_OTHERS;
}

bool ipc_is_of_tree(const struct tree *tree, pid_t vpid)
{
	return vpid && tree_find(tree, vpid);
}
