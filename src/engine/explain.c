/*
 * Programs as text.  Numbers print as decimal when small and as hexadecimal otherwise, data as the
 * string it is or as its length, results of earlier steps as $N.
 */
#include "engine/explain.h"

#include <ctype.h>
#include <stdarg.h>

#include "engine/agent/abi.h"

enum {
	SMALL = 0xffff,
	STRING_MAX = 80,
};

static const struct {
	uint32_t nr;
	const char *name;
	int n_args;
} calls[] = {
#define CALL(name, n)                \
	{                            \
		SYS_##name, #name, n \
	}
	CALL(read, 3),
	CALL(write, 3),
	CALL(close, 1),
	CALL(mmap, 6),
	CALL(mprotect, 3),
	CALL(munmap, 2),
	CALL(madvise, 3),
	CALL(mlock, 2),
	CALL(brk, 1),
	CALL(rt_sigaction, 4),
	CALL(rt_sigprocmask, 4),
	CALL(rt_sigtimedwait, 4),
	CALL(rt_sigqueueinfo, 3),
	CALL(rt_tgsigqueueinfo, 4),
	CALL(sigaltstack, 2),
	CALL(preadv, 5),
	CALL(pwritev, 5),
	CALL(openat, 4),
	CALL(recvmsg, 3),
	CALL(sendmsg, 3),
	CALL(socketpair, 4),
	CALL(dup3, 3),
	CALL(fcntl, 3),
	CALL(ioctl, 3),
	CALL(fchdir, 1),
	CALL(chroot, 1),
	CALL(umask, 1),
	CALL(getpid, 0),
	CALL(setsid, 0),
	CALL(setpgid, 2),
	CALL(prctl, 5),
	CALL(arch_prctl, 2),
	CALL(set_tid_address, 1),
	CALL(set_robust_list, 2),
	CALL(rseq, 4),
	CALL(setitimer, 3),
	CALL(getitimer, 2),
	CALL(timer_create, 3),
	CALL(timer_settime, 4),
	CALL(timer_gettime, 2),
	CALL(timer_getoverrun, 1),
	CALL(timer_delete, 1),
	CALL(prlimit64, 4),
	CALL(setpriority, 3),
	CALL(sched_setscheduler, 3),
	CALL(setresuid, 3),
	CALL(setresgid, 3),
	CALL(setfsuid, 1),
	CALL(setfsgid, 1),
	CALL(setgroups, 2),
	CALL(getresuid, 3),
	CALL(getresgid, 3),
	CALL(getgroups, 2),
	CALL(capset, 2),
	CALL(capget, 2),
	CALL(seccomp, 3),
	CALL(membarrier, 3),
	CALL(personality, 1),
	CALL(wait4, 4),
	CALL(flock, 2),
	CALL(io_setup, 2),
	CALL(io_submit, 3),
	CALL(io_getevents, 5),
	CALL(io_destroy, 1),
	CALL(process_vm_writev, 6),
	CALL(shmat, 3),
	CALL(semctl, 4),
	CALL(msgsnd, 4),
	CALL(kill, 2),
	CALL(exit_group, 1),
	CALL(lseek, 3),
	CALL(getsid, 1),
	CALL(getpgid, 1),
	CALL(getpriority, 2),
	CALL(epoll_ctl, 4),
	CALL(mremap, 5),
	CALL(close_range, 3),
	CALL(chdir, 1),
	CALL(ioprio_set, 3),
	CALL(ioprio_get, 2),
	CALL(mlock2, 3),
	CALL(mlockall, 1),
	CALL(sched_setaffinity, 3),
	CALL(sched_getaffinity, 3),
	CALL(sched_setattr, 3),
	CALL(sched_getattr, 4),
	CALL(set_mempolicy, 3),
	CALL(get_mempolicy, 5),
	CALL(exit, 1),
	CALL(futex, 6),
	CALL(sched_setparam, 2),
	CALL(get_robust_list, 3),
	CALL(mincore, 3),
	CALL(io_uring_setup, 2),
	CALL(io_uring_enter, 6),
	CALL(io_uring_register, 4),
	CALL(pidfd_open, 2),
	CALL(pidfd_getfd, 3),
#undef CALL
	{AGENT_CALL_CLONE, "clone3", 3},
	{AGENT_CALL_FUNCTION, "function", 6},
};

enum { N_CALLS = sizeof(calls) / sizeof(calls[0]) };

const char *syscall_name(uint32_t nr)
{
	for (int i = 0; i < N_CALLS; i++)
		if (calls[i].nr == nr)
			return calls[i].name;
	return NULL;
}

static int arg_count(uint32_t nr)
{
	for (int i = 0; i < N_CALLS; i++)
		if (calls[i].nr == nr)
			return calls[i].n_args;
	return 6;
}

static bool is_text(const struct block *b)
{
	const unsigned char *p = b->host;
	if (!b->to_task || b->len < 2 || b->len > STRING_MAX || p[b->len - 1])
		return false;
	for (uint32_t i = 0; i + 1 < b->len; i++)
		if (!isprint(p[i]))
			return false;
	return true;
}

static void print_number(FILE *f, uint64_t v)
{
	if (v <= SMALL || v >= (uint64_t)-SMALL)
		fprintf(f, "%lld", (long long)v);
	else
		fprintf(f, "0x%llx", (unsigned long long)v);
}

static void print_arg(FILE *f, const struct program *p, struct arg a)
{
	const struct block *b;
	switch (a.kind) {
	case ARG_VALUE:
		print_number(f, a.value);
		break;
	case ARG_RESULT:
		fprintf(f, "$%u", a.index);
		break;
	case ARG_BLOCK:
		b = &p->blocks.v[a.index];
		if (is_text(b))
			fprintf(f, "\"%s\"", (const char *)b->host);
		else
			fprintf(f, "%s[%u bytes]", b->to_task ? "" : "out", b->len);
		break;
	}
}

static void print_step(FILE *f, const struct program *p, size_t index)
{
	const struct step *step = &p->steps.v[index];
	const char *name = syscall_name(step->nr);
	fprintf(f, "[%s] %s%s%s: ", p->about, step->what, step->object ? " " : "",
		step->object ? step->object : "");
	if (name)
		fprintf(f, "%s(", name);
	else
		fprintf(f, "syscall_%u(", step->nr);
	for (int k = 0; k < arg_count(step->nr); k++) {
		fputs(k ? ", " : "", f);
		print_arg(f, p, step->arg[k]);
	}
	fputs(")", f);
	if (step->flags & AGENT_STEP_EXPECT) {
		fputs(" = ", f);
		print_number(f, (uint64_t)step->expect);
	}
	if (step->flags & AGENT_STEP_MAY_FAIL)
		fputs(" or an error", f);
	fputc('\n', f);
}

void explain_program(FILE *f, const struct program *p)
{
	for (size_t i = 0; i < p->steps.n; i++)
		print_step(f, p, i);
}

bool explain_act(const char *fmt, ...)
{
	va_list ap;
	fputs("[controller] ", stdout);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	return true;
}
