/*
 * A task in which next to nothing moves, for comparisons of every register and page: threads that
 * wait in futex, pause, nanosleep, epoll_wait and read; signals queued for one of them and for all;
 * timers of all kinds that are far from done; patterns in private memory and in memory shared with
 * a child that waits, too.
 * PROVES: F004 F006 F007 F008 F009
 */
#include "check.h"
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/time.h>
#include <sys/timerfd.h>

enum { THREADS = 5, PRIVATE = 512 * 1024, SHARED = 64 * 1024, LONG = 100000, TIMERS = 2 };

static pthread_mutex_t locked = PTHREAD_MUTEX_INITIALIZER;
static pid_t tids[THREADS];
static int pipe_fds[2], epoll_fd, timer_fd;
static timer_t timers[TIMERS];
static volatile int up;

static void settle(int which)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	tids[which] = (pid_t)syscall(SYS_gettid);
	__atomic_add_fetch(&up, 1, __ATOMIC_SEQ_CST);
}

static void *on_futex(void *arg)
{
	settle(0);
	pthread_mutex_lock(&locked);
	return arg;
}

static void *in_pause(void *arg)
{
	static char stack[64 * 1024];
	stack_t alt = {.ss_sp = stack, .ss_size = sizeof(stack)};

	NEED(!sigaltstack(&alt, NULL));
	settle(1);
	pause();
	return arg;
}

static void *in_sleep(void *arg)
{
	struct timespec t = {LONG, 0};

	settle(2);
	nanosleep(&t, NULL);
	return arg;
}

static void *in_epoll(void *arg)
{
	struct epoll_event e;

	settle(3);
	for (;;)
		epoll_wait(epoll_fd, &e, 1, -1);
	return arg;
}

static void *in_read(void *arg)
{
	char c;

	settle(4);
	SAME(read(pipe_fds[0], &c, 1), 1);
	SAME(c, 'x');
	return arg;
}

static void arm(void)
{
	struct itimerval it = {{LONG, 5}, {LONG, 0}};
	struct itimerspec spec = {{LONG, 7}, {LONG, 0}};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 3};

	NEED(!setitimer(ITIMER_REAL, &it, NULL) && !setitimer(ITIMER_PROF, &it, NULL));
	for (int i = 0; i < TIMERS; i++)
		NEED(!timer_create(i ? CLOCK_REALTIME : CLOCK_MONOTONIC, &event, &timers[i]) &&
			!timer_settime(timers[i], 0, &spec, NULL));
	timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	NEED(timer_fd >= 0 && !timerfd_settime(timer_fd, 0, &spec, NULL));
	epoll_fd = epoll_create1(0);
	struct epoll_event e = {.events = EPOLLIN, .data.u64 = 0x1234567890abcdefULL};
	NEED(epoll_fd >= 0 && !epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer_fd, &e));
}

static void need_far(time_t left)
{
	if (left > LONG || left < LONG - 3600)
		bad("a timer has %lld s left", (long long)left);
}

static void need_armed(void)
{
	struct itimerval it;
	struct itimerspec spec;

	NEED(!getitimer(ITIMER_REAL, &it));
	need_far(it.it_value.tv_sec);
	SAME(it.it_interval.tv_usec, 5);
	NEED(!getitimer(ITIMER_PROF, &it));
	need_far(it.it_value.tv_sec);
	for (int i = 0; i < TIMERS; i++) {
		NEED(!timer_gettime(timers[i], &spec));
		need_far(spec.it_value.tv_sec);
		SAME(spec.it_interval.tv_nsec, 7);
	}
	NEED(!timerfd_gettime(timer_fd, &spec));
	need_far(spec.it_value.tv_sec);
}

static void queue(pid_t tid, int sig, int value)
{
	siginfo_t info = {.si_signo = sig, .si_code = SI_QUEUE};

	info.si_pid = getpid();
	info.si_value.sival_int = value;
	if (tid)
		NEED(!syscall(SYS_rt_tgsigqueueinfo, getpid(), tid, sig, &info));
	else
		NEED(!syscall(SYS_rt_sigqueueinfo, getpid(), sig, &info));
}

/* Those for all are taken here, in their order. */
static void need_queued(void)
{
	sigset_t set;
	siginfo_t info;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	for (int i = 0; i < 3; i++) {
		struct timespec none = {0};
		SAME(sigtimedwait(&set, &info, &none), SIGRTMIN);
		SAME(info.si_value.sival_int, 100 + i);
	}
}

/* Soon: it may just have come from a dump. */
static void need_asleep(pid_t tid)
{
	for (int i = 0; i < 2000 && task_state(getpid(), tid) != 'S'; i++)
		nap_ms(5);
	SAME(task_state(getpid(), tid), 'S');
}

static void child(void *arg)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	say("child", "");
	for (;;)
		pause();
	(void)arg;
}

int main(int argc, char **argv)
{
	void *(*const bodies[THREADS])(void *) = {on_futex, in_pause, in_sleep, in_epoll, in_read};
	pthread_t threads[THREADS];
	sigset_t set;

	setup(argc, argv);
	char *memory =
		mmap(NULL, PRIVATE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *shared =
		mmap(NULL, SHARED, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	NEED(memory != MAP_FAILED && shared != MAP_FAILED);
	fill(memory, PRIVATE, 1);
	fill(shared, SHARED, 2);
	NEED(!mprotect(memory, PAGE, PROT_NONE));
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	NEED(!sigprocmask(SIG_BLOCK, &set, NULL));
	pid_t pid = spawn(child, NULL);
	await("child");
	NEED(!pipe(pipe_fds));
	arm();
	pthread_mutex_lock(&locked);
	for (int i = 0; i < THREADS; i++)
		NEED(!pthread_create(&threads[i], NULL, bodies[i], NULL));
	while (up < THREADS)
		nap_ms(1);
	await_threads_asleep();
	for (int i = 0; i < 3; i++) {
		queue(0, SIGRTMIN, 100 + i);
		queue(tids[1], SIGRTMIN + 1, 200 + i);
	}
	park();
	need_armed();
	need_queued();
	NEED(!mprotect(memory, PAGE, PROT_READ));
	need_filled(memory, PRIVATE, 1);
	need_filled(shared, SHARED, 2);
	for (int i = 1; i < 4; i++)
		need_asleep(tids[i]);
	NEED(write(pipe_fds[1], "x", 1) == 1);
	pthread_mutex_unlock(&locked);
	NEED(!pthread_join(threads[4], NULL) && !pthread_join(threads[0], NULL));
	NEED(!kill(pid, 0) && !kill(pid, SIGKILL));
	NEED(waitpid(pid, NULL, 0) == pid);
	ok();
}
