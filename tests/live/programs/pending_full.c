/*
 * Signals that are pending without an entry in a queue, since they came when RLIMIT_SIGPENDING was reached:
 * by tgkill(2) to a thread, by sigqueue(3) and kill(2) to the process.  All that is known of them is their
 * number; whoever takes them is told that nobody (pid 0) sent them.
 * PROVES: F006
 */
#include "check.h"
#include <pthread.h>
#include <sys/resource.h>

enum { ROOM = 1000 };

static pthread_barrier_t go;

static bool send(int sig, int value)
{
	siginfo_t info = {.si_signo = sig, .si_code = SI_QUEUE};

	info.si_pid = 4321;
	info.si_value.sival_int = value;
	return !syscall(SYS_rt_sigqueueinfo, getpid(), sig, &info);
}

/* What the user has queued already, of all processes. */
static long queued(void)
{
	char text[4096], *line;
	long n;

	slurp("/proc/self/status", text, sizeof(text));
	NEED((line = strstr(text, "SigQ:")) && sscanf(line, "SigQ: %ld", &n) == 1);
	return n;
}

static void take(int sig, int code, int pid, int value)
{
	static const struct timespec none;
	siginfo_t info;
	sigset_t set;

	memset(&info, 0xee, sizeof(info));
	sigemptyset(&set);
	sigaddset(&set, sig);
	SAME(syscall(SYS_rt_sigtimedwait, &set, &info, &none, 8), sig);
	SAME(info.si_code, code);
	SAME(info.si_pid, pid);
	if (code == SI_USER)
		SAME(info.si_uid, 0);
	else
		SAME(info.si_value.sival_int, value);
}

static void need_empty(void)
{
	sigset_t set;

	sigpending(&set);
	NEED(sigisemptyset(&set));
}

static void *thread(void *unused)
{
	pthread_barrier_wait(&go); /* the queue is full */
	SAME(syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGHUP), 0);
	pthread_barrier_wait(&go);
	pthread_barrier_wait(&go); /* all of the process is taken */
	take(SIGHUP, SI_USER, 0, 0);
	need_empty();
	return unused;
}

/* The kernel counts for a user; nobody else is this one. */
static void be_alone(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	uid_t uid = 100000 + now.tv_nsec / 1000;

	NEED(!syscall(SYS_setresuid, uid, uid, uid));
}

int main(int argc, char **argv)
{
	struct rlimit limit, full;
	pthread_t t;
	sigset_t all;
	int n = 0;

	setup(argc, argv);
	be_alone();
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	NEED(!pthread_barrier_init(&go, NULL, 2) && !pthread_create(&t, NULL, thread, NULL));
	NEED(!getrlimit(RLIMIT_SIGPENDING, &limit));
	full = limit;
	full.rlim_cur = queued() + ROOM;
	NEED(!setrlimit(RLIMIT_SIGPENDING, &full));
	while (send(SIGRTMIN, n))
		n++;
	NEED(errno == EAGAIN && n);
	pthread_barrier_wait(&go);
	SAME(syscall(SYS_tgkill, getpid(), getpid(), SIGTERM), 0);
	NEED(send(SIGUSR1, 7)); /* its value is lost */
	SAME(kill(getpid(), SIGRTMIN + 3), 0);
	pthread_barrier_wait(&go);
	NEED(!setrlimit(RLIMIT_SIGPENDING, &limit)); /* room for a restore, in the count of another user */
	await_threads_asleep();
	park();
	take(SIGTERM, SI_USER, 0, 0);
	take(SIGUSR1, SI_USER, 0, 0);
	take(SIGRTMIN + 3, SI_USER, 0, 0);
	for (int i = 0; i < n; i++)
		take(SIGRTMIN, SI_QUEUE, 4321, i);
	need_empty();
	pthread_barrier_wait(&go);
	NEED(!pthread_join(t, NULL));
	ok();
}
