/*
 * Calls that wait for an event without a limit are restarted unnoticed: read from a pipe, open of
 * a FIFO, futex, wait4, pause, sigsuspend, ppoll. None may see EINTR from a dump; a mask lent for
 * the wait is given back.
 * PROVES: F004 F006 F022
 */
#include "check.h"
#include <linux/futex.h>
#include <poll.h>

static int pipe_fd[2];
static uint32_t *word;
static volatile sig_atomic_t got;

static void on_signal(int sig)
{
	got = sig;
}

static void by_read(void)
{
	char b[8];

	SAME(read(pipe_fd[0], b, sizeof(b)), 3);
	NEED(!memcmp(b, "now", 3));
}

static void by_open(void)
{
	int fd = open(in_dir("fifo"), O_RDONLY);

	NEED(fd >= 0);
	close(fd);
}

static void by_futex(void)
{
	SAME(syscall(SYS_futex, word, FUTEX_WAIT, 0, NULL, NULL, 0), 0);
	SAME(*word, 1);
}

static void by_wait(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		await("release");
		_exit(3);
	}
	need_exit(pid, 3);
}

static void by_pause(void)
{
	NEED(pause() == -1 && errno == EINTR);
	SAME(got, SIGUSR1);
}

static void need_mask(void)
{
	sigset_t now;

	sigprocmask(SIG_BLOCK, NULL, &now);
	NEED(sigismember(&now, SIGUSR1) && sigismember(&now, SIGHUP));
	NEED(!sigismember(&now, SIGUSR2));
	SAME(got, SIGUSR1);
}

static void block(sigset_t *lent)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigemptyset(lent);
	sigaddset(lent, SIGUSR2);
}

static void by_sigsuspend(void)
{
	sigset_t lent;

	block(&lent);
	NEED(sigsuspend(&lent) == -1 && errno == EINTR);
	need_mask();
}

static void by_ppoll(void)
{
	sigset_t lent;

	block(&lent);
	NEED(ppoll(NULL, 0, NULL, &lent) == -1 && errno == EINTR);
	need_mask();
}

static void run(void *body)
{
	NEED(signal(SIGUSR1, on_signal) != SIG_ERR);
	((void (*)(void))body)();
}

int main(int argc, char **argv)
{
	void (*const body[])(void) = {
		by_read, by_open, by_futex, by_wait, by_pause, by_sigsuspend, by_ppoll};
	enum { BODIES = sizeof(body) / sizeof(body[0]) };
	pid_t pid[BODIES];

	setup(argc, argv);
	NEED(!pipe(pipe_fd) && !mkfifo(in_dir("fifo"), 0600));
	word = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	NEED(word != MAP_FAILED);
	for (int i = 0; i < BODIES; i++)
		pid[i] = spawn(run, body[i]);
	for (int i = 0; i < BODIES; i++)
		while (task_state(pid[i], pid[i]) != 'S')
			nap_ms(1);
	nap_ms(50);
	park();
	for (int i = 0; i < BODIES; i++)
		if (body[i] != by_wait)
			SAME(waitpid(pid[i], NULL, WNOHANG), 0);
	SAME(write(pipe_fd[1], "now", 3), 3);
	int fd = open(in_dir("fifo"), O_WRONLY);
	NEED(fd >= 0);
	*word = 1;
	SAME(syscall(SYS_futex, word, FUTEX_WAKE, 10, NULL, NULL, 0), 1);
	nap_ms(20);
	for (int i = 4; i < BODIES; i++)
		SAME(kill(pid[i], SIGUSR1), 0);
	for (int i = 0; i < BODIES; i++)
		need_exit(pid[i], 0);
	ok();
}
