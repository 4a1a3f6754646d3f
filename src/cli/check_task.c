/* Probes of processes: ptrace requests, signals, clone, kcmp, prctl. */
#include "cli/check_probes.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/kcmp.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

#ifndef F_GETOWNER_UIDS
#define F_GETOWNER_UIDS 17
#endif
#ifndef PTRACE_GET_RSEQ_CONFIGURATION
#define PTRACE_GET_RSEQ_CONFIGURATION 0x420f
#endif
#ifndef PTRACE_O_SUSPEND_SECCOMP
#define PTRACE_O_SUSPEND_SECCOMP (1 << 21)
#endif
enum { TIMER_RESTORE_IDS = 77, TIMER_RESTORE_IDS_GET = 2 }; /* PR_TIMER_CREATE_RESTORE_IDS */

int probe_kcmp(void)
{
	pid_t self = getpid();
	_cleanup_close_ int fd = open("/", O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int copy = dup(fd);
	long order = syscall(SYS_kcmp, self, self, KCMP_FILE, fd, copy);
	return order < 0 ? -errno : order ? -EIO : 0;
}

int probe_kcmp_epoll(void)
{
	struct {
		uint32_t efd, tfd, toff;
	} slot;
	pid_t self = getpid();
	struct epoll_event ev = {.events = EPOLLIN};
	int ends[2];
	_cleanup_close_ int epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll < 0 || pipe2(ends, O_CLOEXEC))
		return -errno;
	_cleanup_close_ int reader = ends[0];
	close(ends[1]);
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, reader, &ev))
		return -errno;
	slot.efd = (uint32_t)epoll;
	slot.tfd = (uint32_t)reader;
	slot.toff = 0;
	long order = syscall(SYS_kcmp, self, self, KCMP_EPOLL_TFD, reader, &slot);
	return order < 0 ? -errno : order ? -EIO : 0;
}

/* The map form needs no CAP_SYS_RESOURCE; its size tells that this kernel has it. */
int probe_prctl_mm(void)
{
	unsigned int size = 0;
	if (prctl(PR_SET_MM, PR_SET_MM_MAP_SIZE, &size, 0, 0) < 0)
		return -errno;
	return size == sizeof(struct prctl_mm_map) ? 0 : -EIO;
}

int probe_userns(void)
{
	if (access("/proc/self/ns/user", F_OK))
		return -errno;
	return probe_prctl_mm();
}

int probe_getowner_uids(void)
{
	uid_t uids[2];
	_cleanup_close_ int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return result(fcntl(fd, F_GETOWNER_UIDS, uids));
}

/* A signal that claims to come from the kernel, as restored pending ones do. */
static int queue_to_self(void)
{
	siginfo_t info = {.si_signo = SIGUSR1, .si_code = SI_KERNEL};
	sigset_t mask;
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	if (syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, &info) < 0)
		return -errno;
	siginfo_t back;
	return sigwaitinfo(&mask, &back) == SIGUSR1 && back.si_code == SI_KERNEL ? 0 : -EIO;
}

int probe_sigqueueinfo(void)
{
	return in_child(queue_to_self);
}

/* Runs the probe on a child stopped by PTRACE_TRACEME; prepare() runs in the child first. */
static int with_traced(int (*prepare)(void), int (*probe)(pid_t))
{
	int status;
	pid_t pid = fork_probe();
	if (pid < 0)
		return -errno;
	if (!pid) {
		int err = prepare ? prepare() : 0;
		if (!err && !ptrace(PTRACE_TRACEME, 0, NULL, NULL))
			raise(SIGSTOP);
		_exit(err ? -err : 0);
	}
	int err = waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status) ? probe(pid)
		  : WIFEXITED(status) && WEXITSTATUS(status) ? -WEXITSTATUS(status)
							     : -ECHILD;
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return err;
}

static int peek_signals(pid_t pid)
{
	struct __ptrace_peeksiginfo_args args = {.nr = 1};
	siginfo_t info;
	uint64_t mask;
	if (ptrace(PTRACE_PEEKSIGINFO, pid, &args, &info) < 0)
		return -errno;
	return result(ptrace(PTRACE_GETSIGMASK, pid, (void *)sizeof(mask), &mask));
}

int probe_peeksiginfo(void)
{
	return with_traced(NULL, peek_signals);
}

static int get_syscall_info(pid_t pid)
{
	struct __ptrace_syscall_info info;
	return result(ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof(info), &info));
}

int probe_syscall_info(void)
{
	return with_traced(NULL, get_syscall_info);
}

static int suspend_seccomp(pid_t pid)
{
	return result(ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_SUSPEND_SECCOMP));
}

int probe_seccomp_suspend(void)
{
	return with_traced(NULL, suspend_seccomp);
}

static int install_filter(void)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = {.len = 1, .filter = &allow};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	return result(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0));
}

static int get_filter(pid_t pid)
{
	long len = ptrace(PTRACE_SECCOMP_GET_FILTER, pid, NULL, NULL);
	return len < 0 ? -errno : len == 1 ? 0 : -EIO;
}

int probe_seccomp_filters(void)
{
	return with_traced(install_filter, get_filter);
}

static int get_rseq(pid_t pid)
{
	unsigned char conf[24]; /* struct ptrace_rseq_configuration */
	return result(ptrace(PTRACE_GET_RSEQ_CONFIGURATION, pid, (void *)sizeof(conf), conf));
}

int probe_rseq_conf(void)
{
	return with_traced(NULL, get_rseq);
}

#if defined(__x86_64__)
/* Some virtual machines accept debug registers and never fire: let one fire. */
static int hit_breakpoint(pid_t pid)
{
	struct user_regs_struct regs;
	int status;
	if (ptrace(PTRACE_GETREGS, pid, NULL, &regs) < 0)
		return -errno;
	uintptr_t address = offsetof(struct user, u_debugreg[0]);
	uintptr_t control = offsetof(struct user, u_debugreg[7]);
	if (ptrace(PTRACE_POKEUSER, pid, (void *)address, (void *)regs.rip) < 0 ||
		ptrace(PTRACE_POKEUSER, pid, (void *)control, (void *)1L) < 0)
		return -errno;
	if (ptrace(PTRACE_CONT, pid, NULL, NULL) < 0 || waitpid(pid, &status, 0) < 0)
		return -errno;
	return WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP ? 0 : -ENOTSUP;
}
#else
static int hit_breakpoint(pid_t pid)
{
	(void)pid;
	return -ENOSYS;
}
#endif

int probe_breakpoints(void)
{
	return with_traced(NULL, hit_breakpoint);
}

static int unshare_time(void)
{
	return result(unshare(0x00000080)); /* CLONE_NEWTIME */
}

int probe_timens(void)
{
	return in_child(unshare_time);
}

int probe_timer_cr_ids(void)
{
	return result(prctl(TIMER_RESTORE_IDS, TIMER_RESTORE_IDS_GET, 0, 0, 0));
}

/* A PID that was just free is asked for again; somebody else may have taken it meanwhile. */
static int clone_with_tid(void)
{
	for (int tries = 0; tries < 10; tries++) {
		int status;
		pid_t free_pid = fork();
		if (free_pid < 0)
			return -errno;
		if (!free_pid)
			_exit(0);
		waitpid(free_pid, &status, 0);
		struct clone_args args = {
			.exit_signal = SIGCHLD, .set_tid = (uintptr_t)&free_pid, .set_tid_size = 1};
		pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
		if (!pid)
			_exit(0);
		if (pid > 0) {
			waitpid(pid, &status, 0);
			return pid == free_pid ? 0 : -EIO;
		}
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

int probe_clone3_set_tid(void)
{
	return in_child(clone_with_tid);
}

int probe_pidfd_store(void)
{
	_cleanup_close_ int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	if (pidfd < 0)
		return -errno;
	_cleanup_close_ int copy = (int)syscall(SYS_pidfd_getfd, pidfd, pidfd, 0);
	return result(copy);
}

/* The new task is its grandparent's child: that one waits, here as the child of in_child(). */
static int clone_sibling(void)
{
	struct clone_args args = {.flags = CLONE_PARENT | CLONE_NEWPID};
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (!pid)
		_exit(0);
	return result(pid);
}

static int clone_sibling_below(void)
{
	int err = in_child(clone_sibling);
	while (waitpid(-1, NULL, __WALL) > 0)
		;
	return err;
}

int probe_clone_parent(void)
{
	return in_child(clone_sibling_below);
}
