/*
 * Credentials of processes: the four user and group ids, groups, all capability sets, the
 * bounding and the ambient set, securebits, no_new_privs, in several combinations.
 * PROVES: F314
 */
#include "creds.h"

static void ids(void)
{
	gid_t groups[] = {9, 77, 1000, 65537};

	NEED(!syscall(SYS_setgroups, 4, groups));
	NEED(!syscall(SYS_setresgid, 11, 12, 13));
	NEED(!syscall(SYS_setresuid, 0, 21, 22));
	syscall(SYS_setfsuid, 22);
}

static void unprivileged(void)
{
	NEED(!syscall(SYS_setgroups, 0, NULL));
	NEED(!syscall(SYS_setresgid, 1000, 1000, 1000));
	NEED(!syscall(SYS_setresuid, 1000, 1000, 1000));
}

static void capable_user(void)
{
	NEED(!prctl(PR_SET_KEEPCAPS, 1));
	NEED(!syscall(SYS_setresuid, 1001, 1001, 1001));
	set_caps(CAP(NET_RAW) | CAP(CHOWN), CAP(NET_RAW) | CAP(CHOWN) | CAP(KILL) | CAP(SYS_PTRACE),
		CAP(NET_RAW) | CAP(KILL));
	NEED(!prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_RAW, 0, 0));
	NEED(!prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0));
}

static void tame_root(void)
{
	for (int cap = 0; cap < 10; cap++)
		NEED(!prctl(PR_CAPBSET_DROP, cap * 3));
	NEED(!prctl(PR_SET_SECUREBITS,
		SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_NOROOT));
	NEED(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	set_caps(CAP(DAC_OVERRIDE), CAP(DAC_OVERRIDE) | CAP(AUDIT_WRITE), CAP(AUDIT_WRITE));
}

static void nothing(void)
{
	NEED(!prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE));
	set_caps(0, 0, 0);
	NEED(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

static void run(void *build)
{
	struct creds before, after;

	((void (*)(void))build)();
	get_creds(&before);
	child_park();
	get_creds(&after);
	same_creds(&before, &after);
}

int main(int argc, char **argv)
{
	void (*const build[])(void) = {ids, unprivileged, capable_user, tame_root, nothing};
	enum { BUILDS = sizeof(build) / sizeof(build[0]) };
	struct creds before, after;
	pid_t pid[BUILDS];

	setup(argc, argv);
	get_creds(&before);
	for (int i = 0; i < BUILDS; i++) {
		pid[i] = spawn(run, build[i]);
		await_child(pid[i]);
	}
	park();
	for (int i = 0; i < BUILDS; i++)
		need_exit(pid[i], 0);
	get_creds(&after);
	same_creds(&before, &after);
	ok();
}
