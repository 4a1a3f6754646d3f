/*
 * Many tasks, and threads of one, that are alike but for one property in each, which the dump must
 * not take from a twin: every one of them finds all of its own after the restore.
 * Not in the variant `fidelity`, whose stops are signals from its children.
 * PROVES: F004 F005 F060
 * VARIANTS: plain cycles leave_running child
 */
#include "check.h"
#include <linux/prctl.h>
#include <linux/securebits.h>
#include <pthread.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/fsuid.h>

enum { PLAIN = 12, ODD_FD = 77, FAR_FD = 700 };

static char stack_room[1 << 16];

static long raw(long nr, long a, long b, long c)
{
	long r = syscall(nr, a, b, c, 0, 0);

	return r < 0 ? -errno : r;
}

/* --- properties: how one is set, and how it is read --- */

static void set_action(void)
{
	signal(SIGUSR2, SIG_IGN);
}

static long get_action(void)
{
	struct sigaction sa;

	sigaction(SIGUSR2, NULL, &sa);
	return (long)sa.sa_handler;
}

static void set_stack(void)
{
	stack_t st = {.ss_sp = stack_room, .ss_size = sizeof(stack_room)};

	NEED(!sigaltstack(&st, NULL));
}

static long get_stack(void)
{
	stack_t st;

	sigaltstack(NULL, &st);
	return (long)st.ss_sp ^ st.ss_flags;
}

static void set_limit(void)
{
	struct rlimit l = {123456, 234567};

	NEED(!setrlimit(RLIMIT_CORE, &l));
}

static long get_limit(void)
{
	struct rlimit l;

	getrlimit(RLIMIT_CORE, &l);
	return l.rlim_cur ^ l.rlim_max << 20;
}

static void set_timer(void)
{
	struct itimerval v = {.it_value = {5000, 0}};

	NEED(!setitimer(ITIMER_REAL, &v, NULL));
}

static long get_timer(void)
{
	struct itimerval v;

	getitimer(ITIMER_REAL, &v);
	return v.it_value.tv_sec > 3000;
}

static void set_interval(void)
{
	struct itimerval v = {.it_interval = {9, 0}};

	NEED(!setitimer(ITIMER_PROF, &v, NULL));
}

static long get_interval(void)
{
	struct itimerval v;

	getitimer(ITIMER_PROF, &v);
	return v.it_interval.tv_sec;
}

static void set_cloexec(void)
{
	NEED(!fcntl(ODD_FD, F_SETFD, FD_CLOEXEC));
}

static long get_cloexec(void)
{
	return fcntl(ODD_FD, F_GETFD);
}

static void set_far_cloexec(void)
{
	NEED(dup3(ODD_FD, FAR_FD, O_CLOEXEC) == FAR_FD);
}

static long get_far_cloexec(void)
{
	return fcntl(FAR_FD, F_GETFD);
}

static void set_break(void)
{
	NEED(sbrk(12345) != (void *)-1);
}

static long get_break(void)
{
	return (long)sbrk(0);
}

static void set_fsuid(void)
{
	setfsuid(1234);
}

static long get_fsuid(void)
{
	return setfsuid(-1);
}

#define PRCTL(name, setting, value, getting)           \
	static void set_##name(void)                   \
	{                                              \
		NEED(!prctl(setting, value, 0, 0, 0)); \
	}                                              \
	static long get_##name(void)                   \
	{                                              \
		return raw(SYS_prctl, getting, 0, 0);  \
	}
PRCTL(slack, PR_SET_TIMERSLACK, 77777, PR_GET_TIMERSLACK)
PRCTL(securebits, PR_SET_SECUREBITS, SECBIT_KEEP_CAPS, PR_GET_SECUREBITS)
PRCTL(dumpable, PR_SET_DUMPABLE, 0, PR_GET_DUMPABLE)
PRCTL(thp, PR_SET_THP_DISABLE, 1, PR_GET_THP_DISABLE)
PRCTL(privs, PR_SET_NO_NEW_PRIVS, 1, PR_GET_NO_NEW_PRIVS)

static void set_mce(void)
{
	NEED(!prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0));
}

static long get_mce(void)
{
	return prctl(PR_MCE_KILL_GET, 0, 0, 0, 0);
}

static void set_reaper(void)
{
	NEED(!prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
}

static long get_reaper(void)
{
	int on = 0;

	prctl(PR_GET_CHILD_SUBREAPER, &on, 0, 0, 0);
	return on;
}

static void set_death(void)
{
	NEED(!prctl(PR_SET_PDEATHSIG, SIGUSR1, 0, 0, 0));
}

static long get_death(void)
{
	int signo = 0;

	prctl(PR_GET_PDEATHSIG, &signo, 0, 0, 0);
	return signo;
}

static void set_name(void)
{
	prctl(PR_SET_NAME, "another");
}

static long get_name(void)
{
	char name[16] = "";
	uint64_t first;

	prctl(PR_GET_NAME, name);
	memcpy(&first, name, sizeof(first));
	return (long)first;
}

static void set_persona(void)
{
	personality(ADDR_NO_RANDOMIZE);
}

static long get_persona(void)
{
	return personality(0xffffffff);
}

static void set_barrier(void)
{
	raw(SYS_membarrier, 1 << 4 /* REGISTER_PRIVATE_EXPEDITED */, 0, 0);
}

static long get_barrier(void)
{
	return raw(SYS_membarrier, 1 << 9 /* GET_REGISTRATIONS */, 0, 0);
}

static const struct property {
	void (*set)(void);
	long (*get)(void);
	bool of_thread;
} properties[] = {
	{set_stack, get_stack, true},
	{set_slack, get_slack, true},
	{set_mce, get_mce, true},
	{set_death, get_death, false},
	{set_name, get_name, true},
	{set_persona, get_persona, true},
	{set_action, get_action, false},
	{set_limit, get_limit, false},
	{set_timer, get_timer, false},
	{set_interval, get_interval, false},
	{set_cloexec, get_cloexec, false},
	{set_far_cloexec, get_far_cloexec, false},
	{set_break, get_break, false},
	{set_fsuid, get_fsuid, false},
	{set_securebits, get_securebits, false},
	{set_dumpable, get_dumpable, false},
	{set_thp, get_thp, false},
	{set_privs, get_privs, false},
	{set_reaper, get_reaper, false},
	{set_barrier, get_barrier, false},
};
enum { N = sizeof(properties) / sizeof(*properties) };

static void look(long *values, bool of_thread)
{
	for (int i = 0; i < N; i++)
		values[i] = properties[i].of_thread >= of_thread ? properties[i].get() : 0;
}

static void compare(const long *before, const long *after, long odd)
{
	for (int i = 0; i < N; i++)
		if (before[i] != after[i])
			bad("odd one %ld: property %d is %#lx instead of %#lx", odd, i, after[i],
				before[i]);
}

/* --- the crowd --- */

static void one_task(void *arg)
{
	long odd = *(long *)arg, before[N], after[N];

	if (odd >= 0 && odd < N)
		properties[odd].set();
	look(before, false);
	child_park();
	look(after, false);
	compare(before, after, odd);
}

static volatile int up;

static void *one_thread(void *arg)
{
	long odd = (long)arg, before[N], after[N];

	if (odd >= 0 && odd < N && properties[odd].of_thread)
		properties[odd].set();
	look(before, true);
	__atomic_add_fetch(&up, 1, __ATOMIC_SEQ_CST);
	await("release");
	look(after, true);
	compare(before, after, odd);
	return NULL;
}

int main(int argc, char **argv)
{
	enum { TASKS = PLAIN + 2 * N };
	pid_t pid[TASKS];
	pthread_t thread[TASKS];

	setup(argc, argv);
	NEED(!chmod(dir, 0777)); /* one says under another uid that it is up */
	NEED(dup2(0, ODD_FD) == ODD_FD);
	for (long i = 0; i < TASKS; i++) {
		/* plain ones before, between and after */
		long odd = i < PLAIN / 2 ? -1 : (i - PLAIN / 2) % 2 ? -1 : (i - PLAIN / 2) / 2;

		pid[i] = spawn(one_task, &odd);
		await_child(pid[i]);
	}
	for (long i = 0; i < TASKS; i++) {
		long odd = i % 3 ? -1 : i / 3;

		NEED(!pthread_create(&thread[i], NULL, one_thread, (void *)odd));
	}
	while (up < TASKS)
		nap_ms(1);
	park();
	for (int i = 0; i < TASKS; i++)
		pthread_join(thread[i], NULL);
	for (int i = 0; i < TASKS; i++)
		need_exit(pid[i], 0);
	ok();
}
