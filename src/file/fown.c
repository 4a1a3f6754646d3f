/*
 * Who gets SIGIO of an open file: F_SETOWN_EX and F_SETSIG (fcntl(2)).
 *
 * Read on the controller's copy, so the owner is a pid as the controller sees it; the image wants
 * the one of the tree.  The kernel keeps the uids of whoever called F_SETOWN and checks them when
 * it sends the signal: the restore takes on these uids for the call.
 */
#include "file/dumping.h"
#include "file/restoring.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef F_GETOWNER_UIDS
#define F_GETOWNER_UIDS 17
#endif

/* --- dump --- */

pid_t file_tree_pid(const struct file_dump *d, pid_t pid)
{
	vec_for_each (&d->tree->tasks, t) {
		if ((*t)->pid == pid)
			return (*t)->vpid;
		vec_for_each (&(*t)->threads, th)
			if ((*th)->tid == pid)
				return (*th)->vtid;
	}
	return pid; /* a process outside, or a group whose leader is gone */
}

int fown_dump(struct file_dump *d, const struct file_view *v, FownEntry **ret)
{
	*ret = (FownEntry *)(uintptr_t)d->nobody;
	if (v->path_only || v->flags & O_PATH)
		return 0;
	if (!v->signum && !v->owner.pid)
		return 0;
	FownEntry *e = *ret = arena_new(&d->s->arena, FownEntry);
	fown_entry__init(e);
	e->signum = (uint32_t)v->signum;
	if (!v->owner.pid)
		return 0;
	uint32_t uids[2];
	if (fcntl(v->fd, F_GETOWNER_UIDS, uids) < 0)
		return fail_remedy(d->s, errno, "the kernel needs CONFIG_CHECKPOINT_RESTORE",
			"pid %d %s: read the owner's user ids", v->from.task->vpid,
			view_label(d, v));
	e->uid = uids[0];
	e->euid = uids[1];
	e->pid_type = (uint32_t)v->owner.type;
	e->pid = (uint32_t)file_tree_pid(d, v->owner.pid);
	return 0;
}

/* --- restore --- */

int fown_check(struct file_set *f, const struct open_file *o)
{
	const FownEntry *e = o->fown;
	if (e && (e->signum > 64 || e->pid_type > F_OWNER_PGRP || e->pid > INT32_MAX))
		return fail(f->s, EBADMSG, "%s: the owner in its image is not sane",
			open_file_label(f, o));
	return 0;
}

static pid_t controller_pid(const struct file_set *f, const FownEntry *e)
{
	pid_t vpid = (pid_t)e->pid;
	vec_for_each (&f->tree->tasks, t)
		vec_for_each (&(*t)->threads, th)
			if ((*th)->vtid == vpid)
				return (*th)->tid;
	return vpid;
}

static int set_owner(int fd, const struct f_owner_ex *owner, uint32_t uid, uint32_t euid)
{
	/* raw: glibc's would change all threads; the saved uid is the way back */
	if (syscall(SYS_setresuid, uid, euid, -1) < 0)
		return -errno;
	int r = fcntl(fd, F_SETOWN_EX, owner) < 0 ? -errno : 0;
	return r;
}

int fown_restore(struct file_set *f, const struct open_file *o, int fd)
{
	const FownEntry *e = o->fown;
	struct f_owner_ex owner = {.type = (int)e->pid_type, .pid = controller_pid(f, e)};
	uid_t uid, euid, suid;
	getresuid(&uid, &euid, &suid);
	int r;
	if (e->uid == uid && e->euid == euid) {
		r = fcntl(fd, F_SETOWN_EX, &owner) < 0 ? -errno : 0;
	} else {
		r = set_owner(fd, &owner, e->uid, e->euid);
		if (syscall(SYS_setresuid, uid, euid, -1) < 0)
			return fail(f->s, errno, "take back user id %u", uid);
	}
	if (r == -ESRCH) { /* it ended between dump and restore: nobody left to signal */
		log_warn(f->s, "%s: its owner %u does not exist any more", open_file_label(f, o),
			e->pid);
		return 0;
	}
	return r < 0 ? fail(f->s, r, "%s: make %u the owner", open_file_label(f, o), e->pid) : 0;
}
