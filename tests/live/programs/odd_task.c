/*
 * A task with one state that cannot be restored, by name: "ldt": segments of its own; "ports":
 * access to I/O ports; "keys": a keyring of its process; "thread_keys": of a thread;
 * "thread_timer": a timer of another thread's CPU time ("main_timer", of the main thread's, can);
 * "own_files", "own_fs", "own_uts", "own_net", "own_ipc", "own_children": a thread that left what
 * its process has; with "many_", among so many that they are told apart all at once; "children",
 * "children_clock": a process whose next child will be in another namespace.
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

static int left; /* a flag of clone(2) */

static void *leave(void *unused)
{
	if (unshare(left))
		skip("no namespaces here");
	if (left == CLONE_FILES)
		NEED(dup2(1, 200) == 200);
	if (left == CLONE_FS)
		NEED(!chdir("/usr"));
	say("left", "");
	await("release");
	if (left == CLONE_FILES)
		NEED(!fcntl(200, F_GETFD));
	if (left == CLONE_FS) {
		char cwd[256];

		NEED(getcwd(cwd, sizeof(cwd)) && !strcmp(cwd, "/usr"));
	}
	say("checked", "");
	return unused;
}

static const struct {
	const char *name;
	int flag;
} leavable[] = {{"files", CLONE_FILES}, {"fs", CLONE_FS}, {"uts", CLONE_NEWUTS},
	{"net", CLONE_NEWNET}, {"ipc", CLONE_NEWIPC}, {"children", CLONE_NEWPID}};

enum { CROWD = 300 };

static void *sleep_on(void *unused)
{
	pause();
	return unused;
}

/* Of "own_NAME" or "many_NAME". */
static bool left_thread(const char *kind)
{
	pthread_attr_t small;
	pthread_t thread;
	int others = strncmp(kind, "many_", 5) ? 1 : CROWD;

	if (strncmp(kind, "own_", 4) && others == 1)
		return false;
	for (size_t i = 0; i < sizeof(leavable) / sizeof(leavable[0]); i++)
		if (!strcmp(strchr(kind, '_') + 1, leavable[i].name))
			left = leavable[i].flag;
	NEED(left && !pthread_attr_init(&small) && !pthread_attr_setstacksize(&small, 32768));
	for (int i = 0; i < others; i++)
		NEED(!pthread_create(&thread, &small, sleep_on, NULL));
	NEED(!pthread_create(&thread, NULL, leave, NULL));
	await("left");
	await_threads_asleep();
	return true;
}

static void children(void)
{
	if (unshare(CLONE_NEWPID))
		skip("no namespaces here");
}

static void children_clock(void)
{
	if (unshare(CLONE_NEWTIME))
		skip("no namespaces here");
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
	{"thread_timer", thread_timer}, {"main_timer", main_timer}, {"children", children},
	{"children_clock", children_clock}};

int main(int argc, char **argv)
{
	setup(argc, argv);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(argv[2], kinds[i].name))
			kinds[i].make();
	bool has_left = left_thread(argv[2]);
	park();
	if (has_left)
		await("checked");
	if (!strcmp(argv[2], "main_timer"))
		need_main_timer();
	ok();
}
