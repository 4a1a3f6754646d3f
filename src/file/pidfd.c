/*
 * Descriptors of processes: pidfd_open(2).
 *
 * fdinfo tells the process, -1 when it has been reaped.  Restore opens those of the tree anew,
 * while zombies-to-be still live.  One whose process is gone refers to a child of ours that ends at
 * once, with the status of the dead if the kernel told it (Linux 6.15; it goes to
 * fermata-files.img). Files of one dead process are known by the inode of pidfs (Linux 6.9), and
 * share that child.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "file/dumping.h"
#include "file/file_extras.h"
#include "file/restoring.h"
#include "kernel/proc_fdinfo.h"
#include "kernel/syscalls.h"

/* linux/pidfd.h of Linux 6.15 */
struct pidfd_info_0 {
	uint64_t mask, cgroup_id;
	uint32_t pid, tgid, ppid, uids_and_gids[8];
	int32_t exit_code;
};
enum { INFO_EXIT = 1 << 3 };
#define GET_INFO _IOWR(0xff, 11, struct pidfd_info_0)

static bool pidfd_recognize(struct file_dump *d, const struct file_view *v)
{
	(void)d;
	return strcmp(v->link, "anon_inode:[pidfd]") == 0;
}

/* --- dump --- */

static const struct task *task_of(const struct file_dump *d, pid_t pid)
{
	vec_for_each (&d->tree->tasks, t)
		if ((*t)->pid == pid)
			return *t;
	return NULL;
}

static void note_exit_status(struct file_dump *d, const struct file_view *v, struct dumped_file *f)
{
	struct pidfd_info_0 info = {.mask = INFO_EXIT};
	if (ioctl(v->fd, GET_INFO, &info) < 0 || !(info.mask & INFO_EXIT))
		return;
	FermataFileEntry *extra = file_extra_make(d, f);
	extra->has_exit_status = true;
	extra->exit_status = (uint32_t)info.exit_code;
}

static int pidfd_collect(struct file_dump *d, struct file_view *v, struct dumped_file *f)
{
	PidfdEntry *e = arena_new(&d->s->arena, PidfdEntry);
	struct proc_fdinfo info;
	int pid;
	f->detail = e;
	pidfd_entry__init(e);
	e->id = f->id;
	e->ino = (uint32_t)v->st.stx_ino;
	e->flags = v->flags & ~(uint32_t)(O_CLOEXEC | O_RDWR);
	int r = view_fdinfo(d, v, &info);
	if (r < 0)
		return r;
	struct scan c = fdinfo_extra(&info), value;
	if (!fdinfo_next(&c, "Pid", &value) || !scan_int(&value, &pid))
		return view_malformed(d, v);
	const struct task *t = pid > 0 ? task_of(d, pid) : NULL;
	e->nspid = t ? t->vpid : -1;
	if (v->flags & O_EXCL)
		view_block(
			d, v, NULL, "a pidfd of a single thread (%d), which is not supported", pid);
	else if (pid >= 0 && !t)
		view_block(d, v, NULL, "a pidfd of process %d, which is not part of the tree", pid);
	if (pid < 0)
		note_exit_status(d, v, f);
	return fown_dump(d, v, &e->fown);
}

/* --- restore --- */

/* The files of one process that is gone. */
struct dead_process {
	VEC(struct open_file *) files;
	uint32_t exit_status;
	int *pidfds; /* one for each, until it is asked for; NULL: not made */
};

static int pidfd_check(struct file_set *f, struct open_file *o)
{
	const PidfdEntry *e = o->e->pidfd;
	o->flags = e->flags;
	o->fown = e->fown;
	if (e->nspid < 0) {
		struct dead_process *dead = id_map_get(&f->dead_processes, e->ino);
		if (!dead) {
			dead = arena_new(&f->s->arena, struct dead_process);
			id_map_put(&f->s->arena, &f->dead_processes, e->ino, dead);
		}
		*vec_push(&f->s->arena, &dead->files) = o;
		dead->exit_status = file_extra_or(o, exit_status, dead->exit_status);
		return 0;
	}
	const struct task *t = tree_find(f->tree, e->nspid);
	if (!t || t->state == TASK_HELPER)
		return fail(f->s, EBADMSG,
			"%s: process %d, which it refers to, is not in the images",
			open_file_label(f, o), e->nspid);
	return 0;
}

static void die_like(uint32_t status)
{
	struct rlimit no_core = {0};
	int signo = WTERMSIG((int)status);
	if (WIFEXITED((int)status))
		_exit(WEXITSTATUS((int)status));
	setrlimit(RLIMIT_CORE, &no_core);
	signal(signo, SIG_DFL);
	sigset_t all;
	sigfillset(&all);
	sigprocmask(SIG_UNBLOCK, &all, NULL);
	raise(signo);
	_exit(0);
}

/* A child that waits for the end of a pipe, and its process-to-be-dead's descriptors. */
static int make_dead(struct file_set *f, struct dead_process *dead)
{
	int ends[2], r = 0;
	dead->pidfds = arena_array(&f->s->arena, int, dead->files.n);
	for (size_t i = 0; i < dead->files.n; i++)
		dead->pidfds[i] = -1;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	_cleanup_close_ int wait_end = ends[0], go_end = ends[1];
	pid_t pid = fork();
	if (pid == 0) {
		char byte;
		close(go_end);
		while (read(wait_end, &byte, 1) < 0 && errno == EINTR)
			;
		die_like(dead->exit_status);
	}
	if (pid < 0)
		return -errno;
	for (size_t i = 0; i < dead->files.n && r >= 0; i++)
		r = dead->pidfds[i] = sys_pidfd_open(pid, 0);
	close(take_fd(&go_end));
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return r < 0 ? r : 0;
}

static int take_dead(struct file_set *f, struct open_file *o, int *ret_fd)
{
	struct dead_process *dead = id_map_get(&f->dead_processes, o->e->pidfd->ino);
	int r = dead->pidfds ? 0 : make_dead(f, dead);
	for (size_t i = 0; i < dead->files.n && r >= 0; i++)
		if (dead->files.v[i] == o)
			*ret_fd = take_fd(&dead->pidfds[i]);
	return r;
}

static int pidfd_create(struct file_set *f, struct open_file *o, int *ret_fd)
{
	const PidfdEntry *e = o->e->pidfd;
	int r;
	if (e->nspid < 0)
		r = take_dead(f, o, ret_fd);
	else
		r = *ret_fd = sys_pidfd_open(tree_find(f->tree, e->nspid)->pid, 0);
	return r < 0 ? fail(f->s, r, "%s: make a pidfd of process %d", open_file_label(f, o),
			       e->nspid)
		     : 0;
}

const struct file_type pidfd_type = {
	.type = FD_TYPES__PIDFD,
	.name = "pidfd",
	.restored = "of processes in the tree, also dead ones",
	.limits = "of processes outside; of single threads",
	.detail = offsetof(FileEntry, pidfd),
	.recognize = pidfd_recognize,
	.collect = pidfd_collect,
	.check = pidfd_check,
	.create = pidfd_create,
};
