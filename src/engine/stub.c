/*
 * Running stubs: start, wait, adopt, kill, and passing descriptors to them; see stub.h.
 * Birth is in stub_fork.c, take-over in stub_become.c.
 */
#include "engine/stub.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/explain.h"
#include "engine/seize.h"
#include "engine/stub_region.h"
#include "kernel/proc_tasks.h"
#include "kernel/syscalls.h"

size_t stubs_region_size(size_t n_tasks, size_t n_threads)
{
	return STUB_CODE_LEN + n_tasks * STUB_TASK_CHANNEL + n_threads * STUB_THREAD_CHANNEL;
}

int stubs_init(struct session *s, struct stubs *st, size_t n_tasks, size_t n_threads, uint64_t addr,
	const int services[STUB_SERVICES])
{
	*st = (struct stubs)STUBS_NONE;
	st->s = s;
	st->addr = addr;
	st->size = stubs_region_size(n_tasks, n_threads);
	st->used = STUB_CODE_LEN;
	st->task_images = services[STUB_SERVICES - 1];
	memcpy(st->services, services, sizeof(st->services));
	void *shared = mmap((void *)addr, st->size, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
	if (shared == MAP_FAILED && errno == EEXIST)
		return -EEXIST;
	if (shared == MAP_FAILED)
		return fail(s, errno, "map %zu bytes to restore tasks through", st->size);
	st->shared = shared;
	stub_region_init(st);
	return 0;
}

void stubs_release(struct stubs *st)
{
	if (st->shared)
		munmap(st->shared, st->size);
	for (int i = 0; i < STUB_LANES; i++)
		if (st->lanes[i] >= 0)
			close(st->lanes[i]);
	*st = (struct stubs)STUBS_NONE;
}

static const char *current_step(const struct program *p)
{
	return p->n_played < p->steps.n ? p->steps.v[p->n_played].what : "park";
}

/* Waits for the stop in which a stub rests. *ret_event: it is an event stop (newborn). */
static int wait_parked(struct stubs *st, pid_t tid, const struct program *p, bool *ret_event)
{
	for (;;) {
		int status;
		if (wait4(tid, &status, __WALL, NULL) < 0) {
			if (errno == EINTR)
				continue;
			return fail(st->s, errno, "pid %d: wait for it to be restored", tid);
		}
		if (WIFEXITED(status))
			return fail(st->s, ECHILD,
				"pid %d exited with status %d while it was being restored (%s)",
				tid, WEXITSTATUS(status), p ? current_step(p) : "start");
		if (WIFSIGNALED(status))
			return fail(st->s, ECHILD,
				"pid %d was killed by signal %d while it was being restored (%s)",
				tid, WTERMSIG(status), p ? current_step(p) : "start");
		int signo = WSTOPSIG(status), event = status >> 16;
		if (ret_event && event == PTRACE_EVENT_STOP) {
			*ret_event = true;
			return 0;
		}
		if (!event && signo == SIGTRAP)
			return 0;
		if (!event && (signo == SIGSEGV || signo == SIGBUS || signo == SIGILL))
			return fail(st->s, EFAULT,
				"pid %d got signal %d while it was being restored (%s)", tid, signo,
				p ? current_step(p) : "start");
		ptrace(PTRACE_CONT, tid, NULL, NULL); /* a stray stop */
	}
}

int stub_adopt(struct stubs *st, struct thread *t)
{
	bool event = false;
	if (st->explain)
		return 0;
	if (t->tid == t->task->pid)
		*vec_push(&st->s->arena, &st->pids) = t->tid;
	else
		*vec_push(&st->s->arena, &st->tids) = t->tid;
	return wait_parked(st, t->tid, NULL, &event);
}

static int go_on(struct stubs *st, const struct thread *t)
{
	if (ptrace(PTRACE_CONT, t->tid, NULL, NULL) < 0)
		return fail(st->s, errno, "pid %d: continue it", t->tid);
	return 0;
}

/* As if every step had returned what it should. */
static int pretend(struct stubs *st, struct program *p)
{
	explain_program(st->explain, p);
	vec_for_each (&p->steps, step)
		step->result = step->expect;
	p->n_played = p->steps.n;
	return 0;
}

int stub_load(struct stubs *st, struct thread *t, struct program *p)
{
	int r = t->playing ? stub_wait(st, t, t->playing) : 0;
	if (r >= 0 && !st->explain)
		r = channel_load(&t->channel, p);
	return r < 0 ? r : 0;
}

int stub_go(struct stubs *st, struct thread *t, struct program *p)
{
	if (st->explain)
		return pretend(st, p);
	if (!p->steps.n)
		return 0;
	t->playing = p;
	return go_on(st, t);
}

int stub_start(struct stubs *st, struct thread *t, struct program *p)
{
	int r = stub_load(st, t, p);
	return r < 0 ? r : stub_go(st, t, p);
}

/*
 * The kernel frees the number of a reaped task a little after the task is gone from every list: a
 * clone that finds it taken, by nobody, tries again.
 */
static bool clone_again(struct thread *t, struct program *p, unsigned *tries)
{
	uint32_t nr;
	int err;
	if (!channel_failed(&t->channel, &nr, &err) || nr != AGENT_CALL_CLONE || err != -EEXIST ||
		++*tries > STUB_PID_TRIES)
		return false;
	channel_retreat(&t->channel, p);
	poll(NULL, 0, STUB_PID_WAIT_MS);
	return true;
}

int stub_wait(struct stubs *st, struct thread *t, struct program *p)
{
	unsigned tries = 0;
	if (t->playing == p)
		t->playing = NULL;
	while (p->n_played < p->steps.n) {
		int r = wait_parked(st, t->tid, p, NULL);
		if (r >= 0 && !clone_again(t, p, &tries))
			r = channel_collect(&t->channel, p);
		if (r >= 0)
			r = channel_load(&t->channel, p);
		if (r > 0)
			r = go_on(st, t);
		if (r < 0)
			return r;
	}
	return 0;
}

int stub_play(struct stubs *st, struct thread *t, struct program *p)
{
	int r = stub_start(st, t, p);
	return r < 0 ? r : stub_wait(st, t, p);
}

/* --- descriptors --- */

/* A control message of descriptors; its header is a struct cmsghdr. */
struct fd_message {
	uint64_t len;
	int level, type;
	int fds[STUB_FDS_MAX];
};

int stub_take_lane(struct stubs *st, struct thread *user)
{
	st->lane = (st->lane + 1) % STUB_LANES;
	struct thread *before = st->users[st->lane];
	st->users[st->lane] = user;
	return before && before->playing ? stub_wait(st, before, before->playing) : 0;
}

int stub_send_fds(struct stubs *st, const int *fds, unsigned n)
{
	if (st->explain)
		return 0;
	struct fd_message control = {
		.len = CMSG_LEN(n * sizeof(int)), .level = SOL_SOCKET, .type = SCM_RIGHTS};
	memcpy(control.fds, fds, n * sizeof(int));
	char byte = 0;
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_SPACE(n * sizeof(int)),
	};
	if (sendmsg(st->lanes[st->lane], &msg, MSG_DONTWAIT) < 0)
		return fail(st->s, errno, "pass %u descriptors to a task", n);
	return 0;
}

const int *stub_plan_receive(struct stubs *st, struct program *p, unsigned n)
{
	struct arena *a = &st->s->arena;
	struct fd_message *control = arena_new(a, struct fd_message);
	struct iovec iov = {NULL, 1};
	struct msghdr msg = {
		.msg_iovlen = 1,
		.msg_controllen = CMSG_SPACE(n * sizeof(int)),
	};
	struct arg msg_arg = in_copy(p, &msg, sizeof(msg));
	struct arg iov_arg = in_copy(p, &iov, sizeof(iov));
	struct arg byte_arg = out(p, arena_alloc(a, 1), 1);
	struct arg control_arg = out(p, control, CMSG_SPACE(n * sizeof(int)));
	program_link(p, msg_arg, offsetof(struct msghdr, msg_iov), iov_arg);
	program_link(p, msg_arg, offsetof(struct msghdr, msg_control), control_arg);
	program_link(p, iov_arg, offsetof(struct iovec, iov_base), byte_arg);
	int step = program_step(p, "receive descriptors", NULL, SYS_recvmsg,
		imm((uint64_t)st->services[st->lane]), msg_arg, imm(MSG_CMSG_CLOEXEC));
	program_expect(p, step, 1);
	return control->fds;
}

void stub_plan_close_services(const struct stubs *st, struct program *p)
{
	for (int i = 0, end; i < STUB_SERVICES; i = end) {
		for (end = i + 1; end < STUB_SERVICES; end++)
			if (st->services[end] != st->services[i] + (end - i))
				break;
		program_step(p, "close", "sockets and images", SYS_close_range,
			imm((uint64_t)st->services[i]), imm((uint64_t)st->services[end - 1]),
			imm(0));
	}
}

int stub_landing(const struct stubs *st, unsigned i)
{
	int fd = (int)i;
	for (int k = 0; k < STUB_SERVICES; k++)
		fd += fd >= st->services[k];
	return fd;
}

/* --- the end --- */

void stub_forget(struct stubs *st, pid_t pid)
{
	for (size_t i = st->pids.n; i-- > 0;)
		if (st->pids.v[i] == pid) {
			st->pids.v[i] = st->pids.v[--st->pids.n];
			return;
		}
}

static void reap(pid_t pid)
{
	int status;
	while (seize_wait4(pid, &status) >= 0 && WIFSTOPPED(status))
		;
}

static bool is_listed(const pid_vec *list, pid_t pid)
{
	vec_for_each (list, it)
		if (*it == pid)
			return true;
	return false;
}

/* Also what was cloned but never adopted, after a program failed in the middle. */
static void find_all(struct stubs *st)
{
	for (size_t i = 0; i < st->pids.n; i++) {
		pid_vec found = {0};
		pid_t pid = st->pids.v[i];
		proc_list_tids(st->s, pid, &found);
		vec_for_each (&found, tid)
			if (*tid != pid && !is_listed(&st->tids, *tid))
				*vec_push(&st->s->arena, &st->tids) = *tid;
		found.n = 0;
		proc_list_children(st->s, pid, &found);
		vec_for_each (&found, child)
			if (!is_listed(&st->pids, *child))
				*vec_push(&st->s->arena, &st->pids) = *child;
	}
}

void stubs_kill(struct stubs *st)
{
	find_all(st);
	vec_for_each (&st->pids, pid)
		kill(*pid, SIGKILL);
	/* the end of a process is only reported when its other threads are reaped */
	vec_for_each (&st->tids, tid)
		reap(*tid);
	vec_for_each (&st->pids, pid)
		reap(*pid);
	st->pids.n = st->tids.n = 0;
}
