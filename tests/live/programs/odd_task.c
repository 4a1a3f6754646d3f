/*
 * A task with one state that cannot be restored, by name: "ldt": segments of its own; "ports":
 * access to I/O ports; "keys": a keyring of its process; "thread_keys": of a thread;
 * "thread_timer": a timer of another thread's CPU time ("main_timer", of the main thread's, can).
 * VARIANTS: scenario
 */
#include "check.h"

#include <asm/ldt.h>
#include <linux/keyctl.h>
#include <pthread.h>
#include <sys/io.h>

static void ldt(void)
{
	struct user_desc d = {.entry_number = 3, .limit = 10, .useable = 1};

	if (syscall(SYS_modify_ldt, 1, &d, sizeof(d)))
		skip("no modify_ldt() here");
}

static void ports(void)
{
	if (ioperm(0x80, 1, 1))
		skip("no I/O ports here");
}

static void keys(void)
{
	if (syscall(SYS_add_key, "user", "live", "secret", 6L, KEY_SPEC_PROCESS_KEYRING) < 0)
		skip("no keys here");
}

static void *own_keys(void *unused)
{
	(void)unused;
	if (syscall(SYS_add_key, "user", "live", "secret", 6L, KEY_SPEC_THREAD_KEYRING) < 0)
		skip("no keys here");
	say("keys", "");
	await("release");
	return NULL;
}

static void thread_keys(void)
{
	pthread_t thread;

	NEED(!pthread_create(&thread, NULL, own_keys, NULL));
	await("keys");
}

/* It does not expire before the verdict. */
static timer_t cpu_timer(void)
{
	struct sigevent event = {.sigev_notify = SIGEV_NONE};
	struct itimerspec when = {.it_value = {1000, 0}};
	timer_t timer;

	NEED(!timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer));
	NEED(!timer_settime(timer, 0, &when, NULL));
	return timer;
}

static void *use_timer(void *unused)
{
	cpu_timer();
	say("timer", "");
	await("release");
	return unused;
}

static void *use_none(void *unused)
{
	await("release");
	return unused;
}

static void thread_timer(void)
{
	pthread_t thread;

	NEED(!pthread_create(&thread, NULL, use_timer, NULL));
	await("timer");
}

static timer_t mine;

static void main_timer(void)
{
	pthread_t thread;

	NEED(!pthread_create(&thread, NULL, use_none, NULL));
	mine = cpu_timer();
}

/* Still of this thread: it goes on while that works. */
static void need_main_timer(void)
{
	struct itimerspec before, after;

	NEED(!timer_gettime(mine, &before));
	NEED(before.it_value.tv_sec > 990);
	for (volatile int i = 0; i < 1000000; i++)
		;
	NEED(!timer_gettime(mine, &after));
	NEED(memcmp(&before, &after, sizeof(before)));
}

static const struct {
	const char *name;
	void (*make)(void);
} kinds[] = {{"ldt", ldt}, {"ports", ports}, {"keys", keys}, {"thread_keys", thread_keys},
	{"thread_timer", thread_timer}, {"main_timer", main_timer}};

int main(int argc, char **argv)
{
	setup(argc, argv);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(argv[2], kinds[i].name))
			kinds[i].make();
	park();
	if (!strcmp(argv[2], "main_timer"))
		need_main_timer();
	ok();
}
