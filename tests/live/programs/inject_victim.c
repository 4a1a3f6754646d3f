/*
 * What others do things to by libfermata-inject: vector registers held by the leader, a sleeping
 * thread, one that can be led astray, memory, handlers, descriptors; all must be as before.
 * VARIANTS: scenario
 */
#include "xstate.h"
#include <pthread.h>

enum { MEMORY = 1 << 20 };

static volatile int was_led;

static void on_fault(int signo)
{
	_exit(signo);
}

/* Somebody sets a thread's instruction pointer here. */
static __attribute__((noreturn, used)) void detour(void)
{
	was_led = 1;
	for (;;)
		__asm__ volatile("pause");
}

static void *spin(void *arg)
{
	while (!*(volatile int *)arg)
		__asm__ volatile("pause");
	return NULL;
}

static void *sleep_on(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static char *read_all(const char *path)
{
	static char bufs[2][1 << 16];
	static int turn;
	char *buf = bufs[turn++ % 2];
	int fd = open(path, O_RDONLY);
	ssize_t n, len = 0;
	while ((n = read(fd, buf + len, (1 << 16) - 1 - (size_t)len)) > 0)
		len += n;
	close(fd);
	buf[len] = 0;
	return buf;
}

static long long open_fds(void)
{
	long long set = 0;
	for (int fd = 0; fd < 60; fd++)
		set |= (long long)(fcntl(fd, F_GETFD) >= 0) << fd;
	return set;
}

static void tell_addresses(int *never)
{
	char text[200];
	snprintf(text, sizeof(text), "%p %p %d", (void *)detour, (void *)&was_led, gettid());
	(void)never;
	say("addresses", text);
}

static int never;

static void *spin_and_tell(void *arg)
{
	tell_addresses(arg);
	return spin(arg);
}

int main(int argc, char **argv)
{
	pthread_t sleeper, spinner;
	struct sigaction segv = {.sa_handler = on_fault}, now;
	setup(argc, argv);
	struct ctl *ctl = map_ctl();
	unsigned *memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (unsigned i = 0; i < MEMORY / 4; i++)
		memory[i] = i * 2654435761u;
	sigaction(SIGSEGV, &segv, NULL);
	NEED(!pthread_create(&sleeper, NULL, sleep_on, NULL));
	NEED(!pthread_create(&spinner, NULL, spin_and_tell, &never));
	await("addresses");
	read_all("/proc/self/maps"); /* both buffers, and the stack, are there */
	char *before = read_all("/proc/self/maps");
	long long fds = open_fds();
	hold_and_check(SSE, 1, ctl, &ctl->armed);
	const char *after = read_all("/proc/self/maps");
	if (strcmp(before, after))
		fprintf(stderr, "before:\n%s\nafter:\n%s\n", before, after);
	NEED(!strcmp(before, after));
	SAME(open_fds(), fds);
	for (unsigned i = 0; i < MEMORY / 4; i++)
		NEED(memory[i] == i * 2654435761u);
	NEED(!sigaction(SIGSEGV, NULL, &now) && now.sa_handler == on_fault);
	sigset_t mask;
	NEED(!sigprocmask(SIG_BLOCK, NULL, &mask) && !sigismember(&mask, SIGTERM));
	if (argc > 2 && !strcmp(argv[2], "led"))
		SAME(was_led, 1);
	ok();
}
