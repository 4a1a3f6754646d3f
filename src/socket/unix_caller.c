/*
 * Credentials of peers: SO_PEERCRED, SO_PEERGROUPS, SO_PEERPIDFD (unix(7)).
 *
 * The kernel takes them from whoever calls socketpair() (for both ends), listen() (for those that
 * connect) and connect() (for the accepted end), and never again.  So each of these calls is made
 * by the process that made it once, with the ids and groups it had then:
 *
 *	a process of the tree	its stub, which is given the socket for the call
 *	one that has ended	a child of ours with its PID, for the length of the call
 *	another			the controller; a warning that the socket tells its PID now
 *
 * To be used before the tables of stubs are filled: where descriptors land is known only then.
 */
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "engine/stub.h"
#include "kernel/syscalls.h"
#include "socket/unix.h"

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif

/* --- dump --- */

static void dump_groups(struct file_dump *d, int fd, FermataUcred *x)
{
	socklen_t len = 0;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &len) == 0 || errno != ERANGE)
		return; /* none */
	gid_t *groups = arena_alloc(&d->s->arena, len);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0)
		return;
	x->groups = groups;
	x->n_groups = len / sizeof(*groups);
}

void unix_peercred_dump(struct file_dump *d, const struct file_view *v, struct dumped_file *f)
{
	struct ucred creds;
	socklen_t len = sizeof(creds);
	if (getsockopt(v->fd, SOL_SOCKET, SO_PEERCRED, &creds, &len) < 0 || !creds.pid)
		return; /* was never connected, or by a process of another PID namespace */
	FermataUcred *x = arena_new(&d->s->arena, FermataUcred);
	fermata_ucred__init(x);
	x->pid = (uint32_t)file_tree_pid(d, creds.pid);
	x->uid = creds.uid;
	x->gid = creds.gid;
	dump_groups(d, v->fd, x);
	unix_extra_make(d, f)->peer = x;
}

/* --- restore: the calls --- */

enum call_kind { CALL_SOCKETPAIR, CALL_LISTEN, CALL_CONNECT };

struct call {
	enum call_kind kind;
	int fd;	  /* of listen and connect */
	int type; /* of socketpair */
	int backlog;
	struct sockaddr_un to;
	socklen_t to_len;
	int file; /* that `to` leads to; -1: none */
	int *pair;
};

static int call_here(const struct call *c)
{
	int r;
	switch (c->kind) {
	case CALL_SOCKETPAIR:
		r = socketpair(AF_UNIX, c->type | SOCK_CLOEXEC, 0, c->pair);
		break;
	case CALL_LISTEN:
		r = listen(c->fd, c->backlog);
		break;
	default:
		r = connect(c->fd, (const struct sockaddr *)&c->to, c->to_len);
	}
	return r < 0 ? -errno : 0;
}

/* --- in a stub --- */

struct ids {
	uint32_t uid, gid;
	size_t n_groups;
	const gid_t *groups;
};

/* Of the controller, and so of every stub until its own are set. */
static struct ids own_ids(struct file_set *f)
{
	int n = getgroups(0, NULL);
	gid_t *groups = arena_array(&f->s->arena, gid_t, n > 0 ? n : 1);
	n = n > 0 ? getgroups(n, groups) : 0;
	return (struct ids){geteuid(), getegid(), n > 0 ? (size_t)n : 0, groups};
}

static struct ids ids_of(const FermataUcred *who)
{
	return (struct ids){who->uid, who->gid, who->n_groups, who->groups};
}

static bool same_groups(const struct ids *a, const struct ids *b)
{
	return a->n_groups == b->n_groups &&
	       (!a->n_groups || memcmp(a->groups, b->groups, a->n_groups * sizeof(gid_t)) == 0);
}

static void plan_ids(struct program *p, const struct ids *from, const struct ids *to, bool back)
{
	uint64_t keep = UINT32_MAX;
	if (back && from->uid != to->uid)
		program_step(p, "take the user id back", NULL, SYS_setresuid, imm(keep),
			imm(to->uid), imm(keep));
	if (!same_groups(from, to))
		program_step(p, "set groups for a call", NULL, SYS_setgroups, imm(to->n_groups),
			in_copy(p, to->groups, to->n_groups * sizeof(gid_t) + !to->n_groups));
	if (from->gid != to->gid)
		program_step(p, "set the group id for a call", NULL, SYS_setresgid, imm(keep),
			imm(to->gid), imm(keep));
	if (!back && from->uid != to->uid)
		program_step(p, "set the user id for a call", NULL, SYS_setresuid, imm(keep),
			imm(to->uid), imm(keep));
}

/* The descriptors of the call are sent, and land on the lowest numbers. */
static int plan_call(struct file_set *f, const struct call *c, struct program *p, int *pair)
{
	struct stubs *st = f->stubs;
	int first = stub_landing(st, 0), second = stub_landing(st, 1);
	struct sockaddr_un to = c->to;
	switch (c->kind) {
	case CALL_SOCKETPAIR:
		return program_step(p, "make a pair of unix sockets", NULL, SYS_socketpair,
			imm(AF_UNIX), imm((uint64_t)c->type), imm(0),
			out(p, pair, 2 * sizeof(int)));
	case CALL_LISTEN:
		return program_step(p, "listen", NULL, SYS_listen, imm((uint64_t)first),
			imm((uint64_t)c->backlog));
	default:
		if (c->file >= 0)
			snprintf(to.sun_path, sizeof(to.sun_path), "/proc/self/fd/%d", second);
		return program_step(p, "connect a unix socket", NULL, SYS_connect,
			imm((uint64_t)first), in_copy(p, &to, sizeof(to)), imm(c->to_len));
	}
}

static int send_files(struct file_set *f, const struct call *c, struct program *p, unsigned *ret_n)
{
	int fds[2] = {c->fd, c->file};
	*ret_n = c->kind == CALL_SOCKETPAIR ? 0 : c->kind == CALL_CONNECT && c->file >= 0 ? 2 : 1;
	int r = *ret_n ? stub_send_fds(f->stubs, fds, *ret_n) : 0;
	if (r >= 0 && *ret_n)
		stub_plan_receive(f->stubs, p, *ret_n);
	return r;
}

static int fetch_pair(struct file_set *f, const struct task *t, const int theirs[2], int pair[2])
{
	_cleanup_close_ int pidfd = sys_pidfd_open(t->pid, 0);
	for (int i = 0; i < 2; i++) {
		pair[i] = pidfd < 0 ? pidfd : sys_pidfd_getfd(pidfd, theirs[i]);
		if (pair[i] >= 0)
			continue;
		int r = fail(f->s, pair[i], "pid %d: fetch the unix sockets it made", t->vpid);
		if (i)
			close(take_fd(&pair[0]));
		return r;
	}
	return 0;
}

static void plan_close(struct file_set *f, struct program *p, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		program_step(p, "close", NULL, SYS_close, imm((uint64_t)stub_landing(f->stubs, i)));
}

static int call_in_stub(
	struct file_set *f, const FermataUcred *who, struct task *t, const struct call *c)
{
	struct program p;
	struct ids ours = own_ids(f), theirs = ids_of(who);
	int pair[2];
	unsigned n;
	program_init(&p, f->s, arena_printf(&f->s->arena, "pid %d", t->vpid));
	int r = send_files(f, c, &p, &n);
	if (r < 0)
		return r;
	plan_ids(&p, &ours, &theirs, /* back= */ false);
	int step = program_may_fail(&p, plan_call(f, c, &p, pair));
	plan_ids(&p, &theirs, &ours, /* back= */ true);
	plan_close(f, &p, n);
	r = stub_play(f->stubs, leader(t), &p);
	if (r >= 0 && program_result(&p, step) < 0)
		return (int)program_result(&p, step);
	if (r < 0 || c->kind != CALL_SOCKETPAIR)
		return r;
	r = fetch_pair(f, t, pair, c->pair);
	program_reset(&p);
	plan_close(f, &p, 2);
	return r < 0 ? r : stub_play(f->stubs, leader(t), &p);
}

/* --- in the name of a dead process --- */

static int take_ids(const struct ids *now, const struct ids *want)
{
	/* raw: glibc would tell threads that are not here */
	if ((!same_groups(now, want) && syscall(SYS_setgroups, want->n_groups, want->groups) < 0) ||
		(now->gid != want->gid && syscall(SYS_setresgid, -1, want->gid, -1) < 0) ||
		(now->uid != want->uid && syscall(SYS_setresuid, -1, want->uid, -1) < 0))
		return -errno;
	return 0;
}

/* -EEXIST: the PID is not free. */
static int call_as_dead(struct file_set *f, const FermataUcred *who, const struct call *c)
{
	struct ids ours = own_ids(f), theirs = ids_of(who);
	pid_t pid = (pid_t)who->pid;
	struct clone_args args = {.flags = CLONE_FILES,
		.exit_signal = SIGCHLD,
		.set_tid = (uintptr_t)&pid,
		.set_tid_size = 1};
	int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return fail(f->s, errno, "make a call for pid %d", pid);
	shared[2] = -ECHILD;
	struct call theirs_call = *c;
	theirs_call.pair = shared;
	pid_t child = sys_clone3(&args);
	if (child == 0) {
		int r = take_ids(&ours, &theirs);
		shared[2] = r < 0 ? r : call_here(&theirs_call);
		_exit(0);
	}
	int r = child;
	if (child > 0) {
		while (waitpid(child, NULL, __WALL) < 0 && errno == EINTR)
			;
		r = shared[2];
	}
	if (r >= 0 && c->pair)
		memcpy(c->pair, shared, 2 * sizeof(int));
	munmap(shared, 4096);
	return r;
}

/* Not allowed to be that process; its number belongs to another by now; no way to the socket for it. */
static bool is_denied(int r)
{
	return r == -EPERM || r == -EEXIST || r == -EACCES;
}

static int call_as(struct file_set *f, const FermataUcred *who, const struct call *c)
{
	if (!who || !f->stubs)
		return call_here(c);
	struct task *t = tree_find(f->tree, (pid_t)who->pid);
	int r = t ? call_in_stub(f, who, t, c) : call_as_dead(f, who, c);
	if (r >= 0 || f->s->failure.err || !is_denied(r))
		return r;
	int again = call_here(c);
	if (again >= 0)
		log_warn(f->s,
			"a unix socket tells another peer than pid %u, user %u: it cannot be that "
			"process who calls (%s)",
			who->pid, who->uid, strerror(-r));
	return again;
}

int unix_call_socketpair(struct file_set *f, const FermataUcred *who, int type, int ret[2])
{
	struct call c = {.kind = CALL_SOCKETPAIR, .type = type, .pair = ret, .fd = -1, .file = -1};
	int r = call_as(f, who, &c);
	return r < 0 ? fail(f->s, r, "make a pair of unix sockets") : 0;
}

int unix_call_listen(struct file_set *f, const FermataUcred *who, int fd, int backlog)
{
	struct call c = {.kind = CALL_LISTEN, .fd = fd, .backlog = backlog, .file = -1};
	int r = call_as(f, who, &c);
	return r < 0 ? fail(f->s, r, "listen on a unix socket") : 0;
}

int unix_call_connect(struct file_set *f, const FermataUcred *who, int fd, int to)
{
	struct call c = {.kind = CALL_CONNECT, .fd = fd};
	int r = unix_address_of(to, &c.to, &c.to_len, &c.file);
	if (r >= 0)
		r = call_as(f, who, &c);
	if (c.file >= 0)
		close(c.file);
	return r < 0 ? fail(f->s, r, "connect a unix socket") : 0;
}
