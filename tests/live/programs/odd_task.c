/*
 * A task with one state that cannot be restored, by name: "ldt": segments of its own; "ports":
 * access to I/O ports; "keys": a keyring of its process; "thread_keys": of a thread.
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

static const struct {
	const char *name;
	void (*make)(void);
} kinds[] = {{"ldt", ldt}, {"ports", ports}, {"keys", keys}, {"thread_keys", thread_keys}};

int main(int argc, char **argv)
{
	setup(argc, argv);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(argv[2], kinds[i].name))
			kinds[i].make();
	park();
	ok();
}
