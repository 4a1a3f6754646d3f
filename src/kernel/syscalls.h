/*
 * Raw system calls that glibc 2.36 lacks or wraps too thickly, and numbers missing from its
 * headers.  Every wrapper returns a non-negative result or a negative errno.
 */
#ifndef FERMATA_KERNEL_SYSCALLS_H
#define FERMATA_KERNEL_SYSCALLS_H

#include <errno.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

/* prctl(2), by the Linux version that brought them. */
#ifndef PR_GET_THP_DISABLE /* 3.15 */
#define PR_SET_THP_DISABLE 41
#define PR_GET_THP_DISABLE 42
#endif
#ifndef PR_SET_VMA /* 5.17 */
#define PR_SET_VMA           0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif
#ifndef PR_SET_MDWE /* 6.3 */
#define PR_SET_MDWE              65
#define PR_GET_MDWE              66
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif
#ifndef PR_MDWE_NO_INHERIT /* 6.6 */
#define PR_MDWE_NO_INHERIT 2
#endif
#ifndef PR_SET_MEMORY_MERGE /* 6.4 */
#define PR_SET_MEMORY_MERGE 67
#define PR_GET_MEMORY_MERGE 68
#endif
#ifndef PR_GET_AUXV /* 6.4 */
#define PR_GET_AUXV 0x41555856
#endif
#ifndef PR_GET_SHADOW_STACK_STATUS /* 6.13, arm64 */
#define PR_GET_SHADOW_STACK_STATUS  74
#define PR_SET_SHADOW_STACK_STATUS  75
#define PR_LOCK_SHADOW_STACK_STATUS 76
#endif
#ifndef PR_TIMER_CREATE_RESTORE_IDS /* 6.15 */
#define PR_TIMER_CREATE_RESTORE_IDS     77
#define PR_TIMER_CREATE_RESTORE_IDS_OFF 0
#define PR_TIMER_CREATE_RESTORE_IDS_ON  1
#define PR_TIMER_CREATE_RESTORE_IDS_GET 2
#endif

/* memfd_create(2), 6.3 */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#define MFD_EXEC        0x0010U
#endif

/* mmap(2) and madvise(2) */
#ifndef MAP_DROPPABLE /* 6.11 */
#define MAP_DROPPABLE 0x08
#endif
#ifndef MADV_GUARD_INSTALL /* 6.13 */
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE  103
#endif

#ifndef SYS_mseal /* 6.10 */
#define SYS_mseal 462
#endif

/* ptrace(2). <sys/ptrace.h> has them as enumerators, each with a macro of its own name. */
#ifndef PTRACE_PEEKSIGINFO
#define PTRACE_PEEKSIGINFO 0x4209
#endif
#ifndef PTRACE_GETSIGMASK
#define PTRACE_GETSIGMASK 0x420a
#define PTRACE_SETSIGMASK 0x420b
#endif
#ifndef PTRACE_SECCOMP_GET_FILTER
#define PTRACE_SECCOMP_GET_FILTER 0x420c
#endif
#ifndef PTRACE_SECCOMP_GET_METADATA
#define PTRACE_SECCOMP_GET_METADATA 0x420d
#endif
#ifndef PTRACE_GET_SYSCALL_INFO
#define PTRACE_GET_SYSCALL_INFO 0x420e
#endif
#ifndef PTRACE_GET_RSEQ_CONFIGURATION /* 5.13 */
#define PTRACE_GET_RSEQ_CONFIGURATION 0x420f
#endif
#ifndef PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG /* 6.4 */
#define PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG 0x4210
#define PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG 0x4211
#endif
#ifndef PTRACE_SET_SYSCALL_INFO /* 6.16 */
#define PTRACE_SET_SYSCALL_INFO 0x4212
#endif
#ifndef PTRACE_O_SUSPEND_SECCOMP
#define PTRACE_O_SUSPEND_SECCOMP (1 << 21)
#endif
#ifndef PTRACE_PEEKSIGINFO_SHARED
#define PTRACE_PEEKSIGINFO_SHARED (1 << 0)
#endif

/*
 * For what undoes a change and cannot be undone itself: errors that pass (EINTR, ENOMEM, ENOBUFS) are not
 * taken for an answer at once.  The result of the last try; negative: it failed.
 */
#define INSIST_TRIES 3
#define insist(call)                                                      \
	({                                                                \
		int insist_r, insist_n = 0;                               \
		do                                                        \
			insist_r = (call);                                \
		while (insist_r < 0 && ++insist_n < INSIST_TRIES);        \
		insist_r;                                                 \
	})

static inline long sys_result(long result)
{
	return result < 0 ? -errno : result;
}

/* Of all 64 signals: sigprocmask() never blocks 32 and 33. */
static inline int sys_sigmask(int how, uint64_t set, uint64_t *ret_before)
{
	return (int)sys_result(syscall(SYS_rt_sigprocmask, how, &set, ret_before, sizeof(set)));
}

/* pid in the parent; 0 in the child, which shares the stack image like after fork(2). */
static inline pid_t sys_clone3(struct clone_args *args)
{
	return (pid_t)sys_result(syscall(SYS_clone3, args, sizeof(*args)));
}

static inline int sys_pidfd_open(pid_t pid, unsigned flags)
{
	return (int)sys_result(syscall(SYS_pidfd_open, pid, flags));
}

/* A duplicate of fd of the task, close-on-exec. */
static inline int sys_pidfd_getfd(int pidfd, int fd)
{
	return (int)sys_result(syscall(SYS_pidfd_getfd, pidfd, fd, 0));
}

/* Frees the memory of a process that SIGKILL is on its way to. Linux 5.15. */
static inline int sys_process_mrelease(int pidfd)
{
	return (int)sys_result(syscall(SYS_process_mrelease, pidfd, 0));
}

static inline int sys_pidfd_send_signal(int pidfd, int signo, siginfo_t *info)
{
	return (int)sys_result(syscall(SYS_pidfd_send_signal, pidfd, signo, info, 0));
}

/* 0 equal, 1 less, 2 greater, 3 not equal without order. See kcmp.h for the polite version. */
static inline int sys_kcmp(
	pid_t pid1, pid_t pid2, int type, unsigned long index1, unsigned long index2)
{
	return (int)sys_result(syscall(SYS_kcmp, pid1, pid2, type, index1, index2));
}

static inline int sys_rt_sigqueueinfo(pid_t tgid, int signo, siginfo_t *info)
{
	return (int)sys_result(syscall(SYS_rt_sigqueueinfo, tgid, signo, info));
}

static inline int sys_rt_tgsigqueueinfo(pid_t tgid, pid_t tid, int signo, siginfo_t *info)
{
	return (int)sys_result(syscall(SYS_rt_tgsigqueueinfo, tgid, tid, signo, info));
}

static inline int sys_tgkill(pid_t tgid, pid_t tid, int signo)
{
	return (int)sys_result(syscall(SYS_tgkill, tgid, tid, signo));
}

static inline int sys_openat2(int dirfd, const char *path, struct open_how *how)
{
	return (int)sys_result(syscall(SYS_openat2, dirfd, path, how, sizeof(*how)));
}

static inline ssize_t sys_process_vm_readv(pid_t pid, const struct iovec *local, size_t n_local,
	const struct iovec *remote, size_t n_remote)
{
	return sys_result(syscall(SYS_process_vm_readv, pid, local, n_local, remote, n_remote, 0));
}

static inline int sys_mseal(uint64_t addr, uint64_t len)
{
	return (int)sys_result(syscall(SYS_mseal, addr, len, 0));
}

/*
 * What poll(2) says of fd at this moment: POLL* bits, also POLLERR and POLLHUP, which need not be asked
 * for.  A caller that took an error for "nothing there" would lose what is there.
 */
int sys_poll_now(int fd, short events);

/*
 * Mount id (as in fdinfo and mountinfo) of path at dirfd; path "" is the descriptor itself.
 * flags: AT_SYMLINK_NOFOLLOW ... Linux 5.8.
 */
int sys_mount_id(int dirfd, const char *path, int flags, uint64_t *ret);

#endif
