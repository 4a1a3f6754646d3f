/*
 * Calls under way while a signal with a handler waits (the task is stopped, so it cannot be taken):
 * continued, the handler runs and the call returns EINTR, or goes on where SA_RESTART says so; also
 * for a signal of a thread, and where one thread alone can take it.
 * PROVES: F004 F022
 */
#include <poll.h>
#include <pthread.h>

#include "check.h"

enum { N_CALLS = 7, SIG = SIGUSR1 };

static volatile sig_atomic_t handled;
static int pipes[N_CALLS][2], which;

static void handler(int sig)
{
	(void)sig;
	handled++;
}

static void handle(int flags)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = flags};

	NEED(!sigaction(SIG, &action, NULL));
}

static void block(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIG);
	NEED(!pthread_sigmask(how, &set, NULL));
}

static void need_interrupted(long result)
{
	NEED(result == -1 && errno == EINTR);
	SAME(handled, 1);
}

static void in_pause(void)
{
	need_interrupted(pause());
}

static void in_read(void)
{
	char c;

	need_interrupted(read(pipes[which][0], &c, 1));
}

static void in_read_again(void)
{
	char c = 0;

	handle(SA_RESTART);
	SAME(read(pipes[which][0], &c, 1), 1);
	SAME(c, 'r');
	SAME(handled, 1);
}

static void in_sleep(void)
{
	struct timespec t = {3600, 0}, left = {0};

	need_interrupted(nanosleep(&t, &left));
	NEED(left.tv_sec > 3500 && left.tv_sec <= 3600);
}

static void in_poll(void)
{
	struct pollfd p = {.fd = pipes[which][0], .events = POLLIN};

	need_interrupted(poll(&p, 1, 3600 * 1000));
}

static void in_sigsuspend(void)
{
	sigset_t none;

	block(SIG_BLOCK);
	sigemptyset(&none);
	need_interrupted(sigsuspend(&none));
}

static void *thread(void *arg)
{
	(void)arg;
	in_read();
	_exit(0);
}

static void in_thread(void)
{
	pthread_t t;

	NEED(!pthread_create(&t, NULL, thread, NULL));
	block(SIG_BLOCK);
	pthread_join(t, NULL);
}

static void (*const calls[N_CALLS])(void) = {
	in_pause, in_read, in_read_again, in_sleep, in_poll, in_sigsuspend, in_thread};

static void body(void *arg)
{
	which = *(int *)arg;
	handle(0);
	calls[which]();
	_exit(0);
}

static void await_state(pid_t pid, char state)
{
	for (int calm = 0; calm < 5; nap_ms(2))
		calm = task_state(pid, pid) == state ? calm + 1 : 0;
}

/* Whoever is to sleep does; then it is stopped, and has a signal. */
static void stop_with_signal(pid_t pid, int call)
{
	await_state(pid, 'S');
	if (calls[call] == in_thread)
		nap_ms(30);
	NEED(!kill(pid, SIGSTOP));
	await_state(pid, 'T');
	NEED(!kill(pid, SIG));
}

int main(int argc, char **argv)
{
	pid_t pids[N_CALLS];

	setup(argc, argv);
	for (int i = 0; i < N_CALLS; i++) {
		NEED(!pipe(pipes[i]));
		pids[i] = spawn(body, &i);
	}
	for (int i = 0; i < N_CALLS; i++)
		stop_with_signal(pids[i], i);
	park();
	for (int i = 0; i < N_CALLS; i++) {
		SAME(task_state(pids[i], pids[i]), 'T');
		NEED(!kill(pids[i], SIGCONT));
	}
	nap_ms(20);
	NEED(write(pipes[2][1], "r", 1) == 1);
	for (int i = 0; i < N_CALLS; i++)
		need_exit(pids[i], 0);
	ok();
}
