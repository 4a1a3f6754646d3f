/*
 * inject N HOW REPORT CMD ARG...: run CMD and let its N-th system call go wrong.
 *
 * HOW is "kill" (SIGKILL instead of the call), "fail" (the call is not made and returns an error
 * that it may really return, from the table below), "fail2" (another such error) or "none". Threads
 * of CMD are followed, its children are not. REPORT gets "COUNT NAME": how many calls were counted
 * and which one was hit ("-" if none: it cannot fail, or there was no N-th). Calls that only a dead
 * task makes fail (to let go of a tracee, to set its registers) are not made to fail.
 * Exit status: that of CMD, 128+N for signal N.
 */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct call {
	long nr;
	const char *name;
	int error, other; /* 0: does not fail */
} calls[] = {
#define CALL(name, error, other)                 \
	{                                        \
		SYS_##name, #name, error, other, \
	}
	CALL(accept4, EMFILE, ENOBUFS),
	CALL(bind, EADDRINUSE, EACCES),
	CALL(bpf, EPERM, ENOMEM),
	CALL(chdir, EACCES, ENOENT),
	CALL(clone, EAGAIN, ENOMEM),
	CALL(clone3, EAGAIN, ENOMEM),
	CALL(connect, ECONNREFUSED, EACCES),
	CALL(copy_file_range, ENOSPC, EIO),
	CALL(dup, EMFILE, EMFILE),
	CALL(dup3, EMFILE, EBUSY),
	CALL(epoll_create1, EMFILE, ENOMEM),
	CALL(epoll_ctl, ENOMEM, ENOSPC),
	CALL(eventfd2, EMFILE, ENOMEM),
	CALL(fallocate, ENOSPC, EIO),
	CALL(fchdir, EACCES, EACCES),
	CALL(fchmod, EPERM, EROFS),
	CALL(fchown, EPERM, EROFS),
	CALL(fcntl, EINVAL, EAGAIN),
	CALL(flock, EWOULDBLOCK, ENOLCK),
	CALL(fstat, EIO, ENOMEM),
	CALL(fstatfs, EIO, ENOMEM),
	CALL(fsync, EIO, ENOSPC),
	CALL(ftruncate, ENOSPC, EIO),
	CALL(getdents64, EIO, ENOMEM),
	CALL(ioctl, EIO, ENOMEM),
	CALL(kcmp, EPERM, ENOMEM),
	CALL(linkat, EMLINK, ENOSPC),
	CALL(listen, EADDRINUSE, EADDRINUSE),
	CALL(lseek, EINVAL, EOVERFLOW),
	CALL(madvise, ENOMEM, EAGAIN),
	CALL(memfd_create, EMFILE, ENOMEM),
	CALL(mkdirat, ENOSPC, EACCES),
	CALL(mknodat, ENOSPC, EPERM),
	CALL(mmap, ENOMEM, EAGAIN),
	CALL(mount, ENOMEM, EPERM),
	CALL(mprotect, ENOMEM, EACCES),
	CALL(mremap, ENOMEM, EAGAIN),
	CALL(name_to_handle_at, EOVERFLOW, ENOMEM),
	CALL(newfstatat, EIO, ENOMEM),
	CALL(open_by_handle_at, ESTALE, EMFILE),
	CALL(openat, EMFILE, EACCES),
	CALL(openat2, EMFILE, EACCES),
	CALL(pidfd_getfd, EMFILE, EPERM),
	CALL(pidfd_open, EMFILE, ENOMEM),
	CALL(pipe2, EMFILE, ENFILE),
	CALL(prctl, EINVAL, EPERM),
	CALL(pread64, EIO, ENOMEM),
	CALL(preadv, EIO, ENOMEM),
	CALL(process_vm_readv, EFAULT, ENOMEM),
	CALL(process_vm_writev, EFAULT, ENOMEM),
	CALL(pwrite64, ENOSPC, EIO),
	CALL(pwritev, ENOSPC, EIO),
	CALL(pwritev2, ENOSPC, EIO),
	CALL(read, EIO, ENOMEM),
	CALL(readlinkat, EIO, ENOMEM),
	CALL(readv, EIO, ENOMEM),
	CALL(recvmsg, ENOMEM, ENOMEM),
	CALL(renameat, ENOSPC, EACCES),
	CALL(renameat2, ENOSPC, EACCES),
	CALL(sendmsg, ENOBUFS, ENOMEM),
	CALL(sendto, ENOBUFS, ENOMEM),
	CALL(setns, EPERM, ENOMEM),
	CALL(setsockopt, ENOMEM, EPERM),
	CALL(socket, EMFILE, EAFNOSUPPORT),
	CALL(socketpair, EMFILE, ENFILE),
	CALL(splice, ENOMEM, EINVAL),
	CALL(statx, EIO, ENOMEM),
	CALL(tee, ENOMEM, EINVAL),
	CALL(timerfd_create, EMFILE, ENOMEM),
	CALL(userfaultfd, EPERM, EMFILE),
	CALL(vmsplice, ENOMEM, EAGAIN),
	CALL(write, ENOSPC, EIO),
	CALL(writev, ENOSPC, EIO),
	/*
	 * Counted and killed at, but never made to fail. For getsockopt(2), an error means that the
	 * socket has no such option.
	 */
	CALL(close, 0, 0),
	CALL(exit_group, 0, 0),
	CALL(futex, 0, 0),
	CALL(getsockopt, 0, 0),
	CALL(kill, 0, 0),
	CALL(munmap, 0, 0),
	CALL(tgkill, 0, 0),
	CALL(umount2, 0, 0),
	CALL(unlinkat, 0, 0),
	CALL(wait4, 0, 0),
	CALL(waitid, 0, 0),
};

static const struct request {
	long request;
	const char *name;
	int error;
} requests[] = {
	{PTRACE_SEIZE, "ptrace(SEIZE)", EPERM},
	{PTRACE_INTERRUPT, "ptrace(INTERRUPT)", 0},
	{PTRACE_GETREGSET, "ptrace(GETREGSET)", 0},
	{PTRACE_GETSIGINFO, "ptrace(GETSIGINFO)", EINVAL},
	{PTRACE_GETSIGMASK, "ptrace(GETSIGMASK)", EINVAL},
	{PTRACE_PEEKSIGINFO, "ptrace(PEEKSIGINFO)", EINVAL},
	{PTRACE_SECCOMP_GET_FILTER, "ptrace(SECCOMP_GET_FILTER)", ENOMEM},
	{PTRACE_SETOPTIONS, "ptrace(SETOPTIONS)", 0},
	{PTRACE_SETREGSET, "ptrace(SETREGSET)", 0},
	{PTRACE_SETSIGMASK, "ptrace(SETSIGMASK)", 0},
	{PTRACE_CONT, "ptrace(CONT)", 0},
	{PTRACE_LISTEN, "ptrace(LISTEN)", 0},
	{PTRACE_DETACH, "ptrace(DETACH)", 0},
};

struct run {
	unsigned long n, count;
	const char *how, *hit;
	pid_t root, failing; /* the thread whose call is to return an error */
	int error, status;
	char number[32];
};

static void need(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(125);
}

static const char *look_up(struct run *run, const struct __ptrace_syscall_info *info, int *error)
{
	*error = 0;
	if ((long)info->entry.nr == SYS_ptrace) {
		for (size_t i = 0; i < sizeof(requests) / sizeof(*requests); i++)
			if (requests[i].request == (long)info->entry.args[0]) {
				*error = requests[i].error;
				return requests[i].name;
			}
	}
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		if (calls[i].nr == (long)info->entry.nr) {
			*error = strcmp(run->how, "fail2") ? calls[i].error : calls[i].other;
			return calls[i].name;
		}
	snprintf(run->number, sizeof(run->number), "call %lld", (long long)info->entry.nr);
	return run->number;
}

static void at_entry(struct run *run, pid_t tid, const struct __ptrace_syscall_info *info)
{
	int error;
	if (++run->count != run->n)
		return;
	const char *name = look_up(run, info, &error);
	if (!strcmp(run->how, "kill")) {
		run->hit = name;
		kill(run->root, SIGKILL);
	} else if (!strncmp(run->how, "fail", 4) && error) {
		run->hit = name;
		run->error = error;
		run->failing = tid;
		need(!ptrace(PTRACE_POKEUSER, tid, offsetof(struct user_regs_struct, orig_rax), -1L),
			"PTRACE_POKEUSER");
	}
}

static void at_exit_of_call(struct run *run, pid_t tid)
{
	if (run->failing != tid)
		return;
	run->failing = 0;
	ptrace(PTRACE_POKEUSER, tid, offsetof(struct user_regs_struct, rax), (long)-run->error);
}

static void go_on(struct run *run, pid_t tid, int status)
{
	int sig = WSTOPSIG(status), event = status >> 16;
	struct __ptrace_syscall_info info;
	if (sig == (SIGTRAP | 0x80)) {
		if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof(info), &info) > 0) {
			if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
				at_entry(run, tid, &info);
			else
				at_exit_of_call(run, tid);
		}
		sig = 0;
	} else if (event || sig == SIGSTOP) { /* a new thread begins with that one */
		sig = 0;
	}
	ptrace(PTRACE_SYSCALL, tid, 0, (long)sig);
}

static void follow(struct run *run)
{
	int status;
	for (pid_t tid; (tid = waitpid(-1, &status, __WALL)) > 0;) {
		if (WIFSTOPPED(status))
			go_on(run, tid, status);
		else if (tid == run->root)
			run->status = status;
	}
}

/* Counting begins with the program, not with what the child does before it. */
static pid_t start(char **argv)
{
	const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL;
	int status;
	pid_t pid = fork();
	need(pid >= 0, "fork");
	if (!pid) {
		need(!ptrace(PTRACE_TRACEME, 0, 0, 0), "PTRACE_TRACEME");
		execvp(argv[0], argv);
		need(0, argv[0]);
	}
	need(waitpid(pid, &status, 0) == pid, "wait");
	if (!WIFSTOPPED(status))
		exit(125);
	need(!ptrace(PTRACE_SETOPTIONS, pid, 0, options), "PTRACE_SETOPTIONS");
	need(!ptrace(PTRACE_SYSCALL, pid, 0, 0), "PTRACE_SYSCALL");
	return pid;
}

int main(int argc, char **argv)
{
	if (argc < 5) {
		fprintf(stderr, "usage: inject N none|kill|fail|fail2 REPORT CMD ARG...\n");
		return 125;
	}
	struct run run = {.n = strtoul(argv[1], NULL, 10), .how = argv[2], .hit = "-"};
	run.root = start(argv + 4);
	follow(&run);
	FILE *report = fopen(argv[3], "w");
	need(report != NULL, argv[3]);
	fprintf(report, "%lu %s\n", run.count, run.hit);
	need(!fclose(report), argv[3]);
	return WIFEXITED(run.status) ? WEXITSTATUS(run.status) : 128 + WTERMSIG(run.status);
}
