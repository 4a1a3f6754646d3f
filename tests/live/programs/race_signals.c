/*
 * Signals sent as fast as they are taken: queued ones with their values in order, to handlers, to
 * sigwaitinfo() and to signalfd; between threads, between processes, each waiting for the other's.
 * None is lost, doubled or reordered.
 * PROVES: F006
 * VARIANTS: scenario
 */
#include "race.h"
#include <sys/signalfd.h>

enum { BURST = 20, QUEUE = 1000 };

/* --- a process that queues signals to itself --- */

static volatile int expected, wrong;

static void on_queued(int signo, siginfo_t *info, void *unused)
{
	(void)signo;
	(void)unused;
	wrong += info->si_value.sival_int != expected++;
}

static void queuer(void *arg)
{
	struct sigaction action = {.sa_sigaction = on_queued, .sa_flags = SA_SIGINFO};
	sigset_t set, old;

	NEED(!sigaction(SIGRTMIN, &action, NULL));
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	for (int i = 0; racing();) {
		NEED(!sigprocmask(SIG_BLOCK, &set, &old));
		for (int k = 0; k < BURST; k++)
			NEED(!sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = i++}));
		NEED(!sigprocmask(SIG_SETMASK, &old, NULL));
		SAME(expected, i);
		SAME(wrong, 0);
		NEED(!sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = i++}));
		SAME(expected, i);
		race_beat(*(int *)arg);
	}
}

/* --- one thread queues, another takes them by sigwaitinfo() or a signalfd --- */

static volatile int taken;

static void *taker(void *unused)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	NEED(fd >= 0);
	for (int i = 0;; i++) {
		struct signalfd_siginfo got;
		siginfo_t info;
		int value;

		if (i % 2) {
			SAME(sigwaitinfo(&set, &info), SIGRTMIN + 1);
			value = info.si_value.sival_int;
		} else {
			SAME(read(fd, &got, sizeof(got)), sizeof(got));
			value = got.ssi_int;
		}
		if (value == -1)
			break;
		SAME(value, i);
		taken = i + 1;
	}
	close(fd);
	return unused;
}

static void giver(void *arg)
{
	pthread_t t;
	sigset_t set;
	union sigval value = {0};

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	NEED(!sigprocmask(SIG_BLOCK, &set, NULL));
	t = race_thread(taker, 0);
	while (racing()) {
		if (value.sival_int - taken > QUEUE) { /* to read n of them takes n * n */
			nap_us(200);
			continue;
		}
		NEED(!sigqueue(getpid(), SIGRTMIN + 1, value));
		value.sival_int++;
		if (value.sival_int % 64 == 0)
			nap_us(100);
		race_beat(*(int *)arg);
	}
	NEED(!sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = -1}));
	NEED(!pthread_join(t, NULL));
}

/* --- two processes, each answering the other's SIGUSR1 with SIGUSR2 --- */

static volatile int got_usr1, got_usr2;

static void on_usr(int signo)
{
	if (signo == SIGUSR1)
		got_usr1++;
	else
		got_usr2++;
}

static void answer(pid_t parent)
{
	sigset_t none;

	sigemptyset(&none);
	for (int i = 1;; i++) {
		while (got_usr1 < i && racing())
			sigsuspend(&none);
		if (got_usr1 < i)
			break;
		SAME(got_usr1, i);
		NEED(!kill(parent, SIGUSR2));
	}
	_exit(6);
}

static void ping_pong(void *arg)
{
	sigset_t block, none;
	pid_t self = getpid(), pid;

	sigemptyset(&none);
	sigemptyset(&block);
	sigaddset(&block, SIGUSR1);
	sigaddset(&block, SIGUSR2);
	NEED(!sigprocmask(SIG_BLOCK, &block, NULL));
	signal(SIGUSR1, on_usr);
	signal(SIGUSR2, on_usr);
	pid = fork();
	NEED(pid >= 0);
	if (pid == 0)
		answer(self);
	for (int i = 1; racing(); i++) {
		NEED(!kill(pid, SIGUSR1));
		while (got_usr2 < i && racing())
			sigsuspend(&none);
		NEED(got_usr2 <= i);
		race_beat(*(int *)arg);
	}
	kill(pid, SIGUSR1);
	need_exit(pid, 6);
}

/* --- threads that signal each other --- */

static volatile int hits[2];
static __thread int me;

static void on_hit(int signo)
{
	(void)signo;
	hits[me]++;
}

static volatile pid_t tids[2];

static void *hitter(void *arg)
{
	int beat = *(int *)arg;

	me = __atomic_fetch_add(&got_usr1, 1, __ATOMIC_SEQ_CST);
	tids[me] = (pid_t)syscall(SYS_gettid);
	while (!tids[!me])
		sched_yield();
	for (int i = 1; racing(); i++) {
		int other = !me;

		NEED(!syscall(SYS_tgkill, getpid(), tids[other], SIGUSR1));
		while (hits[me] < i && racing())
			sched_yield();
		NEED(hits[me] <= i + 1);
		race_beat(beat);
	}
	return NULL;
}

static void hitters(void *arg)
{
	pthread_t t[2];

	signal(SIGUSR1, on_hit);
	for (int i = 0; i < 2; i++)
		NEED(!pthread_create(&t[i], NULL, hitter, arg));
	for (int i = 0; i < 2; i++)
		NEED(!pthread_join(t[i], NULL));
}

int main(int argc, char **argv)
{
	void (*const body[])(void *) = {queuer, giver, ping_pong, hitters};
	pid_t pid[4];

	race_setup(argc, argv);
	for (int i = 0; i < 4; i++) {
		int beat = race_join();

		pid[i] = spawn(body[i], &beat);
	}
	race_ready();
	while (racing())
		nap_ms(2);
	for (int i = 0; i < 4; i++)
		need_exit(pid[i], 0);
	ok();
}
