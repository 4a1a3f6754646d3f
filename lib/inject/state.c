/* Registers, memory and descriptors of a seized process. */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "engine/remote.h"
#include "kernel/syscalls.h"

static int need_thread(struct fermata_inject *t, pid_t tid, struct thread **ret)
{
	int r = inject_need_task(t);
	if (r < 0)
		return r;
	*ret = inject_find_thread(t, tid);
	return *ret ? 0 : inject_fail(t, ESRCH, "pid %d has no thread %d", t->task->pid, tid);
}

int fermata_inject_get_registers(
	struct fermata_inject *t, pid_t tid, struct user_regs_struct *ret_registers)
{
	struct thread *th;
	int r = need_thread(t, tid, &th);
	if (r >= 0)
		*ret_registers = th->regs.gp;
	return r;
}

int fermata_inject_set_registers(
	struct fermata_inject *t, pid_t tid, const struct user_regs_struct *registers)
{
	struct thread *th;
	int r = need_thread(t, tid, &th);
	if (r >= 0 && t->visit)
		r = fermata_inject_leave(t);
	if (r < 0)
		return r;
	struct user_regs_struct gp = *registers;
	if (arch_ip(&gp) != arch_ip(&th->regs.gp))
		gp.orig_rax = UINT64_MAX; /* or the kernel would move it back onto the call */
	r = arch_set_gp(tid, &gp);
	if (r < 0)
		return inject_fail(t, -r, "pid %d: set registers", tid);
	th->regs.gp = gp;
	return 0;
}

int fermata_inject_read(struct fermata_inject *t, uint64_t address, void *buf, size_t len)
{
	int r = inject_need_task(t);
	if (r >= 0)
		r = remote_read_at(t->mem, address, buf, len);
	return t->task && r < 0 ? inject_fail(t, -r, "pid %d: read %zu bytes at %#llx",
					  t->task->pid, len, (unsigned long long)address)
				: r;
}

int fermata_inject_write(struct fermata_inject *t, uint64_t address, const void *buf, size_t len)
{
	int r = inject_need_task(t);
	if (r >= 0)
		r = remote_write_at(t->mem, address, buf, len);
	return t->task && r < 0 ? inject_fail(t, -r, "pid %d: write %zu bytes at %#llx",
					  t->task->pid, len, (unsigned long long)address)
				: r;
}

int fermata_inject_take_fd(struct fermata_inject *t, int fd)
{
	int r = inject_need_task(t);
	if (r < 0)
		return r;
	r = sys_pidfd_getfd(t->pidfd, fd);
	return r < 0 ? inject_fail(t, -r, "pid %d: take its descriptor %d", t->task->pid, fd) : r;
}

/* --- giving a descriptor: over a pair of sockets that the process makes --- */

union fd_message {
	struct cmsghdr head;
	char bytes[CMSG_SPACE(sizeof(int))];
};

static int send_fd(struct fermata_inject *t, int pair_end, int fd)
{
	union fd_message control = {.head = {.cmsg_len = CMSG_LEN(sizeof(int)),
					    .cmsg_level = SOL_SOCKET,
					    .cmsg_type = SCM_RIGHTS}};
	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	char byte = 0;
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	_cleanup_close_ int ours = fermata_inject_take_fd(t, pair_end);
	if (ours < 0)
		return ours;
	if (sendmsg(ours, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return inject_fail(t, errno, "pass descriptor %d to pid %d", fd, t->task->pid);
	return 0;
}

static int receive_fd(struct fermata_inject *t, int pair_end, int *ret_fd)
{
	struct program *p = &t->call;
	union fd_message control = {0};
	char byte;
	struct iovec iov = {NULL, 1};
	struct msghdr msg = {.msg_iovlen = 1, .msg_controllen = sizeof(control)};
	program_reset(p);
	struct arg msg_arg = inout(p, &msg, sizeof(msg)), iov_arg = in(p, &iov, sizeof(iov));
	struct arg control_arg = out(p, &control, sizeof(control));
	program_link(p, msg_arg, offsetof(struct msghdr, msg_iov), iov_arg);
	program_link(p, msg_arg, offsetof(struct msghdr, msg_control), control_arg);
	program_link(p, iov_arg, offsetof(struct iovec, iov_base), out(p, &byte, 1));
	program_step(p, "receive a descriptor", NULL, SYS_recvmsg, simm(pair_end), msg_arg,
		imm(MSG_DONTWAIT));
	int r = inject_play(t, p);
	if (r < 0)
		return r;
	if (msg.msg_controllen < CMSG_LEN(sizeof(int)) || msg.msg_flags & MSG_CTRUNC)
		return inject_fail(
			t, EMFILE, "pid %d: it has no room for a descriptor", t->task->pid);
	memcpy(ret_fd, CMSG_DATA(&control.head), sizeof(*ret_fd));
	return 0;
}

static int close_there(struct fermata_inject *t, int fd)
{
	const uint64_t arg[6] = {(uint64_t)fd};
	int64_t result;
	return fermata_inject_call(t, SYS_close, arg, &result);
}

/* From the number where it landed. */
static int move_there(struct fermata_inject *t, int fd, int at)
{
	const uint64_t arg[6] = {(uint64_t)fd, (uint64_t)at, 0};
	int64_t result = 0;
	int r = fermata_inject_call(t, SYS_dup3, arg, &result);
	int closed = r < 0 ? r : close_there(t, fd);
	if (r >= 0 && result < 0)
		return inject_fail(
			t, (int)-result, "pid %d: install descriptor %d", t->task->pid, at);
	return r < 0 ? r : closed;
}

int fermata_inject_give_fd(struct fermata_inject *t, int fd, int at)
{
	int r = inject_need_agent(t), pair[2], landed = -1;
	if (r < 0)
		return r;
	struct program *p = &t->call;
	program_reset(p);
	program_step(p, "socketpair", NULL, SYS_socketpair, imm(AF_UNIX),
		imm(SOCK_DGRAM | SOCK_CLOEXEC), imm(0), out(p, pair, sizeof(pair)));
	r = inject_play(t, p);
	if (r < 0)
		return r;
	r = send_fd(t, pair[0], fd);
	if (r >= 0)
		r = receive_fd(t, pair[1], &landed);
	char why[sizeof(t->error)];
	memcpy(why, t->error, sizeof(why));
	int closed = close_there(t, pair[0]);
	if (closed >= 0)
		closed = close_there(t, pair[1]);
	if (r < 0) {
		memcpy(t->error, why, sizeof(why));
		return r;
	}
	if (closed >= 0 && at >= 0 && at != landed) /* the pair may have been there */
		closed = move_there(t, landed, at);
	return closed < 0 ? closed : at >= 0 ? at : landed;
}
