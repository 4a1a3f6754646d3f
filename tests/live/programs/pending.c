/*
 * Pending signals, of the process and of each thread: which, how many, in which order, and with
 * what siginfo (kill, sigqueue, tgkill, a timer, a value, a foreign code).
 * PROVES: F006 F009
 */
#include "check.h"
#include <pthread.h>

static pid_t thread_tid;
static pthread_barrier_t go;

static void queue(pid_t tid, int sig, int code, int value)
{
	siginfo_t info = {.si_signo = sig, .si_code = code};

	info.si_pid = 4321;
	info.si_uid = 77;
	info.si_value.sival_int = value;
	if (tid)
		NEED(!syscall(SYS_rt_tgsigqueueinfo, getpid(), tid, sig, &info));
	else
		NEED(!syscall(SYS_rt_sigqueueinfo, getpid(), sig, &info));
}

static void take(int sig, int code, int pid, int uid, int value)
{
	static const struct timespec none;
	siginfo_t info;
	sigset_t set;

	memset(&info, 0xee, sizeof(info));
	sigemptyset(&set);
	sigaddset(&set, sig);
	/* Not sigtimedwait(), which turns SI_TKILL into SI_USER. */
	SAME(syscall(SYS_rt_sigtimedwait, &set, &info, &none, 8), sig);
	if (info.si_code != code)
		bad("signal %d came with code %d from %d, not %d", sig, info.si_code, info.si_pid,
			code);
	SAME(info.si_pid, pid);
	SAME(info.si_uid, uid);
	if (value)
		SAME(info.si_value.sival_int, value);
}

static void need_empty(void)
{
	sigset_t set;

	sigpending(&set);
	for (int sig = 1; sig <= SIGRTMAX; sig++)
		SAME(sigismember(&set, sig) == 1, 0);
}

/* Private signals come before those of the process, which is why main drains its own first. */
static void *thread(void *unused)
{
	thread_tid = syscall(SYS_gettid);
	queue(thread_tid, SIGRTMIN + 1, SI_QUEUE, 900);
	queue(thread_tid, SIGRTMIN + 1, -60, 901);
	SAME(syscall(SYS_tgkill, getpid(), thread_tid, SIGHUP), 0);
	pthread_barrier_wait(&go);
	pthread_barrier_wait(&go);
	take(SIGRTMIN + 1, SI_QUEUE, 4321, 77, 900);
	take(SIGRTMIN + 1, -60, 4321, 77, 901);
	take(SIGHUP, SI_TKILL, getpid(), getuid(), 0);
	need_empty();
	return unused;
}

int main(int argc, char **argv)
{
	pid_t self = getpid();
	pthread_t t;
	sigset_t all, now;

	setup(argc, argv);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	sigprocmask(SIG_BLOCK, NULL, &all);
	NEED(!pthread_barrier_init(&go, NULL, 2) && !pthread_create(&t, NULL, thread, NULL));
	pthread_barrier_wait(&go);
	SAME(kill(self, SIGUSR1), 0);
	SAME(kill(self, SIGTERM), 0);
	queue(0, SIGUSR2, SI_QUEUE, 11);
	queue(0, SIGUSR2, SI_QUEUE, 12); /* standard signals do not queue */
	for (int i = 1; i <= 40; i++)
		queue(0, SIGRTMIN + 5, i % 3 ? SI_QUEUE : SI_MESGQ, 100 + i);
	queue(0, SIGRTMAX, SI_ASYNCIO, 7);
	queue(self, SIGRTMIN + 5, SI_QUEUE, 50);
	SAME(syscall(SYS_tgkill, self, self, SIGINT), 0);
	await_threads_asleep();
	park();
	pthread_sigmask(SIG_BLOCK, NULL, &now);
	for (int sig = 1; sig <= SIGRTMAX; sig++)
		SAME(sigismember(&now, sig), sigismember(&all, sig));
	take(SIGRTMIN + 5, SI_QUEUE, 4321, 77, 50);
	take(SIGINT, SI_TKILL, self, getuid(), 0);
	take(SIGUSR1, SI_USER, self, getuid(), 0);
	take(SIGTERM, SI_USER, self, getuid(), 0);
	take(SIGUSR2, SI_QUEUE, 4321, 77, 11);
	for (int i = 1; i <= 40; i++)
		take(SIGRTMIN + 5, i % 3 ? SI_QUEUE : SI_MESGQ, 4321, 77, 100 + i);
	take(SIGRTMAX, SI_ASYNCIO, 4321, 77, 7);
	need_empty();
	pthread_barrier_wait(&go);
	NEED(!pthread_join(t, NULL));
	ok();
}
