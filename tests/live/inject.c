/*
 * inject [-f] N HOW REPORT CMD ARG...: run CMD and let its N-th system call go wrong.
 *
 * HOW is "kill" (SIGKILL instead of the call), "wait" (SIGKILL at the first wait for others behind
 * it), "interrupt" (that wait ends with EINTR), "fail" (the call is not made and returns an error
 * that it may really return, from the table below), "fail2", "fail3" (other such errors), "short"
 * (half of what was to be read from or written to a file is) or "none".  Threads of CMD are
 * followed, and children that it waits for as in vfork(2), until they exec; other children are not,
 * or with -f they are, but not theirs. "kill" takes CMD, or with -f the process that makes the
 * call.  REPORT gets "COUNT NAME": how many calls were counted and which one was hit ("-" if none:
 * it cannot go wrong so, or there was no N-th); with "none", a line for each call behind that: its
 * name and the ways in which it can go wrong.
 *
 * Calls that only a dead task makes fail (to let go of a tracee, to set its registers) are not made
 * to fail.  Exit status: that of CMD, 128+N for signal N.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/futex.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	WAYS_TO_FAIL = 3,
	MOST_CALLS = 100000,
	MOST_TRACED = 1024,
	FOLLOW_THREADS = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEVFORK |
			 PTRACE_O_EXITKILL,
};

static const struct call {
	long nr;
	const char *name;
	int errors[WAYS_TO_FAIL]; /* 0: no more */
} calls[] = {
#define CALL(name, ...)             \
	{                           \
		SYS_##name, #name,  \
		{                   \
			__VA_ARGS__ \
		}                   \
	}
	CALL(accept4, EMFILE, ENOBUFS, ECONNABORTED),
	CALL(bind, EADDRINUSE, EACCES, EADDRNOTAVAIL),
	CALL(bpf, EPERM, ENOMEM, 0),
	CALL(chdir, EACCES, ENOENT, 0),
	CALL(clone, EAGAIN, ENOMEM, EPERM),
	CALL(clone3, EAGAIN, ENOMEM, EPERM),
	CALL(connect, ECONNREFUSED, EACCES, EAGAIN),
	CALL(copy_file_range, ENOSPC, EIO, EXDEV),
	CALL(dup, EMFILE, 0, 0),
	CALL(dup3, EMFILE, EBUSY, 0),
	CALL(epoll_create1, EMFILE, ENOMEM, 0),
	CALL(epoll_ctl, ENOMEM, ENOSPC, 0),
	CALL(eventfd2, EMFILE, ENOMEM, 0),
	CALL(fallocate, ENOSPC, EIO, EOPNOTSUPP),
	CALL(fchdir, EACCES, 0, 0),
	CALL(fchmod, EPERM, EROFS, 0),
	CALL(fchown, EPERM, EROFS, 0),
	CALL(fcntl, EINVAL, EAGAIN, 0),
	CALL(flock, EWOULDBLOCK, ENOLCK, 0),
	CALL(fstat, EIO, ENOMEM, 0),
	CALL(fstatfs, EIO, ENOMEM, 0),
	CALL(fsync, EIO, ENOSPC, 0),
	CALL(ftruncate, ENOSPC, EIO, EFBIG),
	CALL(getdents64, EIO, ENOMEM, 0),
	CALL(ioctl, EIO, ENOMEM, EPERM),
	CALL(kcmp, EPERM, ENOMEM, EACCES),
	CALL(linkat, EMLINK, ENOSPC, EROFS),
	CALL(listen, EADDRINUSE, 0, 0),
	CALL(lseek, EINVAL, EOVERFLOW, 0),
	CALL(madvise, ENOMEM, EAGAIN, 0),
	CALL(memfd_create, EMFILE, ENOMEM, 0),
	CALL(mkdirat, ENOSPC, EACCES, EROFS),
	CALL(mknodat, ENOSPC, EPERM, EROFS),
	CALL(mmap, ENOMEM, EAGAIN, EPERM),
	CALL(mount, ENOMEM, EPERM, EBUSY),
	CALL(mprotect, ENOMEM, EACCES, EAGAIN),
	CALL(mremap, ENOMEM, EAGAIN, 0),
	CALL(name_to_handle_at, EOVERFLOW, ENOMEM, 0),
	CALL(newfstatat, EIO, ENOMEM, 0),
	CALL(open_by_handle_at, ESTALE, EMFILE, 0),
	CALL(openat, EMFILE, EACCES, ENOMEM),
	CALL(openat2, EMFILE, EACCES, ENOMEM),
	CALL(pidfd_getfd, EMFILE, EPERM, EBADF),
	CALL(pidfd_open, EMFILE, ENOMEM, 0),
	CALL(pipe2, EMFILE, ENFILE, 0),
	CALL(prctl, EINVAL, EPERM, ENOMEM),
	CALL(pread64, EIO, ENOMEM, 0),
	CALL(preadv, EIO, ENOMEM, 0),
	CALL(process_vm_readv, EFAULT, ENOMEM, 0),
	CALL(process_vm_writev, EFAULT, ENOMEM, 0),
	CALL(pwrite64, ENOSPC, EIO, EDQUOT),
	CALL(pwritev, ENOSPC, EIO, 0),
	CALL(pwritev2, ENOSPC, EIO, 0),
	CALL(read, EIO, ENOMEM, 0),
	CALL(readlinkat, EIO, ENOMEM, 0),
	CALL(readv, EIO, ENOMEM, 0),
	CALL(recvmsg, ENOMEM, ENOBUFS, 0),
	CALL(renameat, ENOSPC, EACCES, EROFS),
	CALL(renameat2, ENOSPC, EACCES, EROFS),
	CALL(sendmsg, ENOBUFS, ENOMEM, ETOOMANYREFS),
	CALL(sendto, ENOBUFS, ENOMEM, 0),
	CALL(setns, EPERM, ENOMEM, EINVAL),
	CALL(setsockopt, ENOMEM, EPERM, ENOPROTOOPT),
	CALL(socket, EMFILE, EAFNOSUPPORT, ENOMEM),
	CALL(socketpair, EMFILE, ENFILE, 0),
	CALL(splice, ENOMEM, EINVAL, 0),
	CALL(statx, EIO, ENOMEM, 0),
	CALL(tee, ENOMEM, EINVAL, 0),
	CALL(timerfd_create, EMFILE, ENOMEM, 0),
	CALL(userfaultfd, EPERM, EMFILE, ENOMEM),
	CALL(vmsplice, ENOMEM, EAGAIN, 0),
	CALL(write, ENOSPC, EIO, EDQUOT),
	CALL(writev, ENOSPC, EIO, 0),
	CALL(capget, EPERM, EINVAL, 0),
	CALL(capset, EPERM, EINVAL, 0),
	CALL(close_range, ENOMEM, EMFILE, 0),
	CALL(dup2, EMFILE, EBUSY, 0),
	CALL(epoll_wait, EINTR, ENOMEM, 0),
	CALL(fchmodat, EPERM, EROFS, EIO),
	CALL(fchownat, EPERM, EROFS, EIO),
	CALL(getpeername, ENOBUFS, ENOMEM, 0),
	CALL(getsockname, ENOBUFS, ENOMEM, 0),
	CALL(inotify_add_watch, ENOSPC, ENOMEM, EACCES),
	CALL(inotify_init1, EMFILE, ENOMEM, 0),
	CALL(poll, ENOMEM, 0, 0),
	CALL(ppoll, ENOMEM, 0, 0),
	CALL(prlimit64, EPERM, ESRCH, 0),
	CALL(process_mrelease, EINTR, ENOSYS, 0),
	CALL(rename, ENOSPC, EACCES, EROFS),
	CALL(sched_setaffinity, EINVAL, EPERM, 0),
	CALL(sendmmsg, ENOBUFS, ENOMEM, 0),
	CALL(statfs, EIO, ENOMEM, 0),
	CALL(symlinkat, ENOSPC, EACCES, EROFS),
	CALL(unshare, EPERM, ENOMEM, ENOSPC),
	CALL(utimensat, EPERM, EROFS, EIO),
	/*
	 * Counted and killed at, but never made to fail. For getsockopt(2), an error means that the
	 * socket has no such option.
	 */
	CALL(close, 0, 0, 0),
	CALL(exit_group, 0, 0, 0),
	CALL(getsockopt, 0, 0, 0),
	CALL(kill, 0, 0, 0),
	CALL(munmap, 0, 0, 0),
	CALL(tgkill, 0, 0, 0),
	CALL(umount2, 0, 0, 0),
	CALL(unlinkat, 0, 0, 0),
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

/* Where a count of bytes or of vectors is. */
static const struct counted {
	long nr;
	size_t place;
} counted[] = {
	{SYS_read, offsetof(struct user_regs_struct, rdx)},
	{SYS_pread64, offsetof(struct user_regs_struct, rdx)},
	{SYS_preadv, offsetof(struct user_regs_struct, rdx)},
	{SYS_write, offsetof(struct user_regs_struct, rdx)},
	{SYS_writev, offsetof(struct user_regs_struct, rdx)},
	{SYS_pwrite64, offsetof(struct user_regs_struct, rdx)},
	{SYS_pwritev, offsetof(struct user_regs_struct, rdx)},
	{SYS_pwritev2, offsetof(struct user_regs_struct, rdx)},
	{SYS_copy_file_range, offsetof(struct user_regs_struct, r8)},
};

/* What the program is told of one call, in place of the truth. */
struct lie {
	pid_t tid; /* 0: none */
	bool fails;
	long error;
	size_t place; /* the register that was changed */
	long before;
};

struct run {
	unsigned long n, count;
	const char *how, *hit;
	pid_t root;
	bool children;
	struct lie lie;
	int status;
	pid_t traced[MOST_TRACED];
	pid_t let_go[MOST_TRACED];
	pid_t early[MOST_TRACED]; /* stopped before their parents told of them */
	size_t n_traced, n_let_go, n_early;
	char number[32];
	char **calls; /* all, if nothing is to go wrong */
};

static void need(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(125);
}

/* How often these are called depends on who is faster: they have no numbers of their own. */
static bool is_wait(long nr)
{
	return nr == SYS_futex || nr == SYS_wait4 || nr == SYS_waitid;
}

static const int *look_up(
	struct run *run, const struct __ptrace_syscall_info *info, const char **ret_name)
{
	static const int none[WAYS_TO_FAIL];
	static int one[WAYS_TO_FAIL];
	long nr = (long)info->entry.nr;
	for (size_t i = 0; nr == SYS_ptrace && i < sizeof(requests) / sizeof(*requests); i++)
		if (requests[i].request == (long)info->entry.args[0]) {
			*ret_name = requests[i].name;
			one[0] = requests[i].error;
			return one;
		}
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		if (calls[i].nr == nr) {
			*ret_name = calls[i].name;
			return calls[i].errors;
		}
	snprintf(run->number, sizeof(run->number), "call %ld", nr);
	*ret_name = run->number;
	return none;
}

/* Files of disks may take or give less than was asked for; those of /proc take all. */
static bool may_be_short(pid_t tid, const struct __ptrace_syscall_info *info, size_t *ret_place)
{
	char link[64], path[4096];
	long nr = (long)info->entry.nr;
	size_t i = 0;
	while (i < sizeof(counted) / sizeof(*counted) && counted[i].nr != nr)
		i++;
	if (i == sizeof(counted) / sizeof(*counted))
		return false;
	bool writes = nr != SYS_read && nr != SYS_pread64 && nr != SYS_preadv;
	*ret_place = counted[i].place;
	unsigned fd = (unsigned)info->entry.args[nr == SYS_copy_file_range ? 2 : 0];
	snprintf(link, sizeof(link), "/proc/%d/fd/%u", tid, fd);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	path[n < 0 ? 0 : n] = 0;
	if (*path != '/' || !strncmp(path, "/dev/", 5) || strstr(path, "/pagemap"))
		return false;
	return !writes || (strncmp(path, "/proc/", 6) && strncmp(path, "/sys/", 5));
}

static long register_of(pid_t tid, size_t place)
{
	return ptrace(PTRACE_PEEKUSER, tid, place, 0L);
}

static void set_register(pid_t tid, size_t place, long value)
{
	need(!ptrace(PTRACE_POKEUSER, tid, place, value), "PTRACE_POKEUSER");
}

static bool make_short(struct run *run, pid_t tid, const struct __ptrace_syscall_info *info)
{
	size_t place;
	if (!may_be_short(tid, info, &place))
		return false;
	long count = register_of(tid, place);
	if (count < 2)
		return false;
	set_register(tid, place, count / 2);
	run->lie = (struct lie){.tid = tid, .place = place, .before = count};
	return true;
}

static bool make_fail(struct run *run, pid_t tid, const int *errors)
{
	int way = run->how[4] ? run->how[4] - '1' : 0, error = errors[way];
	if (!error)
		return false;
	set_register(tid, offsetof(struct user_regs_struct, orig_rax), -1);
	run->lie = (struct lie){.tid = tid, .fails = true, .error = error};
	return true;
}

static void note_call(struct run *run, pid_t tid, const struct __ptrace_syscall_info *info,
	const char *name, const int *errors)
{
	static const char *const ways[] = {" fail", " fail2", " fail3"};
	char line[128];
	size_t place;
	snprintf(line, sizeof(line), "%s kill", name);
	for (int i = 0; i < WAYS_TO_FAIL && errors[i]; i++)
		strcat(line, ways[i]);
	if (may_be_short(tid, info, &place) && register_of(tid, place) > 1)
		strcat(line, " short");
	if (run->count <= MOST_CALLS)
		run->calls[run->count - 1] = strdup(line);
}

/* By a handler of a signal; not those that do not wait. */
static bool may_be_interrupted(const struct __ptrace_syscall_info *info)
{
	long nr = (long)info->entry.nr;
	int op = (int)info->entry.args[1] & FUTEX_CMD_MASK;
	if (nr == SYS_futex)
		return op == FUTEX_WAIT || op == FUTEX_WAIT_BITSET;
	return !(info->entry.args[nr == SYS_wait4 ? 2 : 3] & WNOHANG);
}

static void at_wait(struct run *run, pid_t tid, const struct __ptrace_syscall_info *info)
{
	char *line = run->n || !run->count || run->count > MOST_CALLS ? NULL
								      : run->calls[run->count - 1];
	const char *ways = may_be_interrupted(info) ? " wait interrupt" : " wait";
	if (line && !strstr(line, " wait") &&
		(line = realloc(line, strlen(line) + strlen(ways) + 1)))
		run->calls[run->count - 1] = strcat(line, ways);
	if (run->n && run->count == run->n && !strcmp(run->how, "wait") &&
		!kill(run->children ? tid : run->root, SIGKILL))
		run->hit = "wait";
	if (run->n && run->count == run->n && !strcmp(run->how, "interrupt") &&
		may_be_interrupted(info)) {
		set_register(tid, offsetof(struct user_regs_struct, orig_rax), -1);
		run->lie = (struct lie){.tid = tid, .fails = true, .error = EINTR};
		run->hit = "interrupted";
	}
}

static void at_entry(struct run *run, pid_t tid, const struct __ptrace_syscall_info *info)
{
	const char *name;
	bool hit = false;
	if (is_wait((long)info->entry.nr)) {
		at_wait(run, tid, info);
		return;
	}
	if (++run->count != run->n && run->n)
		return;
	const int *errors = look_up(run, info, &name);
	if (!run->n)
		note_call(run, tid, info, name, errors);
	else if (!strcmp(run->how, "kill"))
		hit = !kill(run->children ? tid : run->root, SIGKILL);
	else if (!strcmp(run->how, "short"))
		hit = make_short(run, tid, info);
	else if (!strncmp(run->how, "fail", 4))
		hit = make_fail(run, tid, errors);
	if (hit)
		run->hit = name;
}

static void at_exit_of_call(struct run *run, pid_t tid)
{
	struct lie *lie = &run->lie;
	if (lie->tid != tid)
		return;
	lie->tid = 0;
	if (lie->fails)
		set_register(tid, offsetof(struct user_regs_struct, rax), -lie->error);
	else
		set_register(tid, lie->place, lie->before);
}

static void trace(struct run *run, pid_t tid)
{
	need(run->n_traced < MOST_TRACED, "room for a thread");
	run->traced[run->n_traced++] = tid;
}

static void forget(struct run *run, pid_t tid)
{
	for (size_t i = 0; i < run->n_traced; i++)
		if (run->traced[i] == tid)
			run->traced[i--] = run->traced[--run->n_traced];
}

/* A field of /proc/TID/status. */
static pid_t status_number(pid_t tid, const char *field)
{
	char path[64], line[256];
	int value = 0;
	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	FILE *f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, field, strlen(field)))
			sscanf(line + strlen(field), ": %d", &value);
	if (f)
		fclose(f);
	return value;
}

static bool is_thread(pid_t tid)
{
	return status_number(tid, "Tgid") != tid;
}

/*
 * The first stop of one that was cloned.  The kernel takes what is cloned without SIGCHLD for a
 * thread, but children that are to be our siblings or to share memory are cloned so, too: we let go
 * of them, but for one that its parent waits for as in vfork(2), which does the parent's work.
 * Forked children are followed with the options of their parent, which also follow theirs.
 */
static void at_first_stop(struct run *run, pid_t tid, int event)
{
	bool works = event == PTRACE_EVENT_VFORK;
	if (is_thread(tid) || works || (run->children && status_number(tid, "PPid") == run->root)) {
		trace(run, tid);
		ptrace(PTRACE_SETOPTIONS, tid, 0,
			FOLLOW_THREADS | (works ? PTRACE_O_TRACEEXEC : 0));
		return;
	}
	ptrace(PTRACE_DETACH, tid, 0, 0L);
	need(run->n_let_go < MOST_TRACED, "room for a child");
	run->let_go[run->n_let_go++] = tid;
}

static bool is_in(pid_t tid, const pid_t *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (list[i] == tid)
			return true;
	return false;
}

static bool is_early(struct run *run, pid_t tid)
{
	for (size_t i = 0; i < run->n_early; i++)
		if (run->early[i] == tid) {
			run->early[i] = run->early[--run->n_early];
			return true;
		}
	return false;
}

/* The parent must not go on before that, for it will trace such a child itself. */
static void at_birth(struct run *run, pid_t born, int event)
{
	int status;
	if (is_in(born, run->traced, run->n_traced) || is_in(born, run->let_go, run->n_let_go))
		return;
	if (is_early(run, born) || (waitpid(born, &status, __WALL) == born && WIFSTOPPED(status))) {
		at_first_stop(run, born, event);
		if (is_in(born, run->traced, run->n_traced))
			ptrace(PTRACE_SYSCALL, born, 0, 0L);
	}
}

static void go_on(struct run *run, pid_t tid, int status)
{
	int sig = WSTOPSIG(status), event = status >> 16;
	unsigned long born;
	struct __ptrace_syscall_info info;
	if (!is_in(tid, run->traced, run->n_traced)) {
		if (!is_thread(tid)) {
			need(run->n_early < MOST_TRACED, "room for a child");
			run->early[run->n_early++] = tid;
			return;
		}
		at_first_stop(run, tid, PTRACE_EVENT_CLONE);
	}
	if (event == PTRACE_EVENT_EXEC && tid != run->root) { /* a script, which is not the tool */
		ptrace(PTRACE_DETACH, tid, 0, 0L);
		forget(run, tid);
		return;
	}
	if (event >= PTRACE_EVENT_FORK && event <= PTRACE_EVENT_CLONE &&
		!ptrace(PTRACE_GETEVENTMSG, tid, 0, &born))
		at_birth(run, (pid_t)born, event);
	if (sig == (SIGTRAP | 0x80)) {
		if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof(info), &info) > 0) {
			if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
				at_entry(run, tid, &info);
			else
				at_exit_of_call(run, tid);
		}
		sig = 0;
	} else if (event || sig == SIGSTOP) { /* a new thread or child begins with that one */
		sig = 0;
	}
	/* When the fault is over, the rest is nothing to us. */
	bool over = *run->hit != '-' && !run->lie.tid;
	ptrace(over ? PTRACE_CONT : PTRACE_SYSCALL, tid, 0, (long)sig);
}

/* Until all are gone; a restored task may be a child of ours, too, and stays. */
static void follow(struct run *run)
{
	int status;
	pid_t tid;
	trace(run, run->root);
	while (run->n_traced && (tid = waitpid(-1, &status, __WALL)) > 0) {
		if (WIFSTOPPED(status))
			go_on(run, tid, status);
		else
			forget(run, tid);
		if (tid == run->root)
			run->status = status;
	}
	for (size_t i = 0; i < run->n_early; i++) /* of a parent that was killed */
		ptrace(PTRACE_DETACH, run->early[i], 0, 0L);
}

/* Counting begins with the program, not with what the child does before it. */
static pid_t start(char **argv, bool children)
{
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
	long options = FOLLOW_THREADS | (children ? PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK : 0);
	need(!ptrace(PTRACE_SETOPTIONS, pid, 0, options), "PTRACE_SETOPTIONS");
	need(!ptrace(PTRACE_SYSCALL, pid, 0, 0), "PTRACE_SYSCALL");
	return pid;
}

static void report(const struct run *run, const char *path)
{
	char whole[4096];
	snprintf(whole, sizeof(whole), "%s.new", path);
	FILE *f = fopen(whole, "w");
	need(f != NULL, whole);
	fprintf(f, "%lu %s\n", run->count, run->hit);
	for (unsigned long i = 0; !run->n && i < run->count && i < MOST_CALLS; i++)
		fprintf(f, "%s\n", run->calls[i]);
	need(!fclose(f) && !rename(whole, path), path);
}

int main(int argc, char **argv)
{
	bool children = argc > 1 && !strcmp(argv[1], "-f");
	argv += children;
	argc -= children;
	if (argc < 5) {
		fprintf(stderr, "usage: inject [-f] N "
				"none|kill|wait|interrupt|fail|fail2|fail3|short REPORT CMD "
				"ARG...\n");
		return 125;
	}
	struct run run = {
		.n = strtoul(argv[1], NULL, 10), .how = argv[2], .hit = "-", .children = children};
	run.calls = run.n ? NULL : calloc(MOST_CALLS, sizeof(char *));
	need(run.n || run.calls, "memory");
	run.root = start(argv + 4, children);
	follow(&run);
	report(&run, argv[3]);
	return WIFEXITED(run.status) ? WEXITSTATUS(run.status) : 128 + WTERMSIG(run.status);
}
